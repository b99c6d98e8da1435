//! Rooms: entering, leaving, messages and history.
