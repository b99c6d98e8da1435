//! Members that read too slowly.
