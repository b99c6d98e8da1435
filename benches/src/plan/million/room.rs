//! One room in this process.

use std::cell::Cell;
use std::hint::black_box;
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use sluice_gateway::development;
use sluice_gateway::in_memory::Crowd;

use super::Part;
use crate::bench_error::BenchError;
use crate::process_figures::resident_bytes;
use crate::report::Spread;
use crate::scratch_folder::ScratchFolder;

/// Broadcasts before any counts.
const WARM_UP: usize = 3;

/// How long broadcasts are repeated at least, and how many there are.
const TIME_MIN: Duration = Duration::from_millis(500);
const BROADCASTS_MIN: usize = 11;

pub(super) fn measure(members: usize, payload: usize) -> Result<Part, BenchError> {
    let folder = ScratchFolder::create()?;
    let config = development::configuration(folder.path())
        .map_err(|error| BenchError::Unsuitable(format!("no configuration: {error}")))?;
    let content = Bytes::from(vec![b'x'; payload]);
    crate::allocator::count();
    let mut crowd = Crowd::new(&config);
    crowd.connect(members);
    let resident = resident_bytes(std::process::id())?;
    let allocated = crate::allocator::live_bytes();
    let join_ns = per_member(members, || crowd.join());
    let bytes = crate::allocator::live_bytes().saturating_sub(allocated);
    let resident = resident_bytes(std::process::id())?.saturating_sub(resident);

    let broadcast_ns = repeat(|| {
        per_member(members, || {
            assert_eq!(
                crowd.broadcast(&content).deliveries,
                members as u64,
                "everybody gets it"
            );
        })
    });
    let leave_ns = per_member(members, || crowd.leave());
    drop(crowd);
    let bare_ns = bare(members, &content);
    let each = |bytes: u64| bytes as f64 / members as f64;
    Ok(Part {
        members,
        bytes_per_member: each(bytes),
        resident_bytes_per_member: each(resident),
        join_ns,
        broadcast_ns,
        bare_ns,
        leave_ns,
    })
}

/// As many sinks, each behind two pointers like a member's transport.
fn bare(members: usize, content: &Bytes) -> f64 {
    let sinks: Vec<Rc<Rc<Cell<u64>>>> = (0..members).map(|_| Rc::new(Rc::new(Cell::new(0)))).collect();
    repeat(|| {
        per_member(members, || {
            for sink in black_box(&sinks) {
                sink.set(sink.get() + content.len() as u64);
            }
        })
    })
}

/// The median of many.
fn repeat(mut measure: impl FnMut() -> f64) -> f64 {
    for _ in 0..WARM_UP {
        measure();
    }
    let start = Instant::now();
    let mut figures = Vec::new();
    while figures.len() < BROADCASTS_MIN || start.elapsed() < TIME_MIN {
        figures.push(measure());
    }
    Spread::of(figures.into_iter()).median
}

fn per_member(members: usize, work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_nanos() as f64 / members as f64
}
