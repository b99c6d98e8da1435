//! The allocator of every process of a benchmark: the gateway's own, which counts what is allocated where a plan asks for it.
//!
//! Counting costs a shared counter for each allocation, so it is off until [`count`] is called: servers that are compared never
//! call it.

use std::alloc::{GlobalAlloc, Layout};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use mimalloc::MiMalloc;

static COUNTING: AtomicBool = AtomicBool::new(false);
static LIVE_BYTES: AtomicU64 = AtomicU64::new(0);
static LIVE_ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

/// See the module.
pub(crate) struct Allocator;

/// Counts from now on, in this process. What was allocated before and is freed later makes the count too small, so callers look
/// at differences over times in which that does not happen.
pub(crate) fn count() {
    COUNTING.store(true, Ordering::Relaxed);
}

/// Bytes allocated and not freed since counting began, modulo 2^64.
pub(crate) fn live_bytes() -> u64 {
    LIVE_BYTES.load(Ordering::Relaxed)
}

/// Allocations made and not freed since counting began, modulo 2^64.
pub(crate) fn live_allocations() -> u64 {
    LIVE_ALLOCATIONS.load(Ordering::Relaxed)
}

fn add(bytes: usize) {
    if COUNTING.load(Ordering::Relaxed) {
        LIVE_BYTES.fetch_add(bytes as u64, Ordering::Relaxed);
        LIVE_ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
    }
}

fn subtract(bytes: usize) {
    if COUNTING.load(Ordering::Relaxed) {
        LIVE_BYTES.fetch_sub(bytes as u64, Ordering::Relaxed);
        LIVE_ALLOCATIONS.fetch_sub(1, Ordering::Relaxed);
    }
}

// An allocator cannot be written in safe code. Proof: every call is passed on unchanged to mimalloc's own implementation, whose
// contract is the one of the trait; what is done beside it touches two atomics and neither allocates nor panics.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        add(layout.size());
        unsafe { MiMalloc.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        add(layout.size());
        unsafe { MiMalloc.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        subtract(layout.size());
        unsafe { MiMalloc.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        add(new_size);
        subtract(layout.size());
        unsafe { MiMalloc.realloc(pointer, layout, new_size) }
    }
}
