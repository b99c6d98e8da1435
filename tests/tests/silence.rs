//! Clients that say nothing, or not enough.
