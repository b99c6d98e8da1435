//! The doors: listeners that take connections in, as long as there is room.

pub(crate) mod quic;
pub(crate) mod tcp;
