//! The binary `sluice`: reads the command line, runs a command and picks the exit code. Everything else is in the
//! library and in [`cli`].

mod cli;

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Two providers in one process, or none, make rustls panic at the first handshake; this decides before anybody asks.
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .expect("nobody has installed another provider before main");
    cli::run()
}
