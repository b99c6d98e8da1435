//! The binary `sluice`: its commands, what they print and their exit codes.
