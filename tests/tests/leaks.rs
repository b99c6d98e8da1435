//! Nothing is left of clients that are gone.
