//! Delivery of one frame to all members of a room: the members on this worker, and the sweep that writes to them.
//!
//! A [`Slice`] appends each frame once to the room's log; [`Slice::sweep`] goes round the members and flushes their
//! outboxes. Under load the batches grow by themselves: what arrives while a round is under way goes out with the
//! next one, all of it in one write for each member. Nothing here knows why a frame is sent.

mod slice;

pub(crate) use slice::{STEP_BYTES_MAX, Slice, Step};
