//! Measures Sluice against the least any server could do.
//!
//! A *plan* is one question with its load. [`plan::fanout`] asks what a delivery costs beyond the bare system call (or
//! the bare rustls or quinn) that carries it. Each run starts its own servers and receivers as child processes of this
//! same binary, measures them in turn and prints ratios; absolute figures of a shared machine mean little.
//!
//! What is not here: correctness (the integration tests have that; only what is needed to trust a figure is checked)
//! and networks (all of it is loopback).

mod bare;
mod batch;
mod bench_error;
mod chart;
mod child;
mod cores;
mod credentials;
mod gateway_process;
mod hardware;
mod messages;
mod peer;
mod plan;
mod process_figures;
mod publisher;
mod quic_transport;
mod receiver;
mod report;
mod scratch_folder;

use std::process::ExitCode;

use bench_error::BenchError;
use clap::{Parser, Subcommand};

/// The gateway's allocator: bare loops with another one would compare allocators.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Benchmark plans for Sluice.
///
/// Build with `--release`, and build the gateway too: its binary `sluice` is looked for next to this one.
#[derive(Parser)]
#[command(name = "sluice-bench", version)]
struct Arguments {
    #[command(subcommand)]
    plan: Plan,
}

#[derive(Subcommand)]
enum Plan {
    /// What does one delivery of a room message cost, and what does one idle member?
    ///
    /// N members sit in one room. A round sends W messages into it and ends when every member has all of them. Two
    /// servers take turns on the same work, each in its own process on one core: the gateway with one worker, and a bare
    /// loop that does nothing but write the same bytes to every connection (send(2) for tcp, rustls for tls, quinn for
    /// quic). With --peer other servers take part, through their own protocol. Receivers run in further processes on the other
    /// cores and check that every member gets every message once and in order.
    ///
    /// Printed for each: deliveries per second, server CPU per delivery, resident bytes per connection, and the ratio
    /// to the bare loop; the median of the repeats with their smallest and largest value. With --window 1 compare CPU
    /// per delivery (what the gateway adds to each write), with --window 128 compare deliveries per second (how well it
    /// gathers messages into writes).
    Fanout(plan::fanout::Arguments),
    /// What do frames cost to encode and decode beyond bare prost?
    ///
    /// The codec and prost alone take turns on the same messages, on one core. The figure to look at is our speed divided by
    /// that of prost.
    Codec(plan::codec::Arguments),
    /// Draws charts from the results of `fanout`.
    Chart(chart::Arguments),

    /// Opens members' connections and counts what arrives. Started by a plan, told what to do on standard input.
    #[command(hide = true)]
    Receive,
    /// The same for another server. Started by a plan, told what to do on standard input.
    #[command(hide = true)]
    ReceivePeer,
    /// Bare loop over TCP. Started by a plan, told what to do on standard input.
    #[command(hide = true)]
    BareTcp,
    /// Bare loop over TLS. Started by a plan, told what to do on standard input.
    #[command(hide = true)]
    BareTls,
    /// Bare loop over QUIC. Started by a plan, told what to do on standard input.
    #[command(hide = true)]
    BareQuic,
}

fn main() -> ExitCode {
    match Arguments::parse().plan {
        Plan::Fanout(arguments) => finish(plan::fanout::run(&arguments)),
        Plan::Codec(arguments) => finish(plan::codec::run(&arguments)),
        Plan::Chart(arguments) => finish(chart::run(&arguments)),
        Plan::Receive => child::obey(receiver::run),
        Plan::ReceivePeer => child::obey(peer::receive),
        Plan::BareTcp => child::obey(bare::tcp::run),
        Plan::BareTls => child::obey(bare::tls::run),
        Plan::BareQuic => child::obey(bare::quic::run),
    }
}

fn finish(result: Result<(), BenchError>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sluice-bench: {error}");
            ExitCode::FAILURE
        }
    }
}
