//! The Python client of the documentation against the gateway.
