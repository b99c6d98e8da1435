//! Measures Sluice against the least any server could do.
//!
//! A *plan* is one question with its load. [`plan::fanout`] asks what a delivery costs beyond the bare system call (or
//! the bare rustls or quinn) that carries it. Each run starts its own servers and receivers as child processes of this
//! same binary, measures them in turn and prints ratios; absolute figures of a shared machine mean little.
//!
//! What is not here: correctness (the integration tests have that; only what is needed to trust a figure is checked)
//! and networks (all of it is loopback).

mod allocator;
mod bare;
mod batch;
mod bench_error;
mod chart;
mod child;
mod cores;
mod credentials;
mod crowd;
mod gateway_process;
mod hardware;
mod latencies;
mod messages;
mod monotonic;
mod peer;
mod plan;
mod process_figures;
mod publisher;
mod quic_transport;
mod receiver;
mod report;
mod schedule;
mod scratch_folder;
mod soloist;
mod stamp;

use std::process::ExitCode;

use bench_error::BenchError;
use clap::{Parser, Subcommand};

/// The gateway's allocator: bare loops with another one would compare allocators.
#[global_allocator]
static ALLOCATOR: allocator::Allocator = allocator::Allocator;

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
    /// How long does a message take to the first, the median and the last member, and what delays it?
    ///
    /// An open loop: a publisher sends at a set rate whatever becomes of it, and every delay counts from when the message
    /// was to be sent. Phases take turns in each repeat: a bare loop with the same members and rate, the gateway
    /// undisturbed (quiet), and one phase for each disturbance asked for: --flood, --joins-per-second, --slow. Look at
    /// the ratios: quiet to bare says what the gateway adds, the others what the disturbance adds.
    ///
    /// Everything is accounted for: a message that is neither delivered nor told as missed, once, ends the run with an
    /// error.
    Latency(plan::latency::Arguments),
    /// What does a population of clients cost: coming in, being there, one message to all, and all coming back at once?
    ///
    /// P processes with N connections each against one gateway process on one core. They log in, enter one room, stay and
    /// ping, get messages one by one, lose all their connections at once and come back, with full jitter over a window
    /// or (--no-jitter) all together. Clients that fail try again after a back-off, and failures are counted by cause.
    Swarm(plan::swarm::Arguments),
    /// Where does the memory of a connection go?
    ///
    /// The gateway runs inside a process whose allocator counts. Its clients connect, log in, enter a room and get messages,
    /// all together one step after the other; what each step adds is printed for each connection, and beside it what the
    /// process has resident.
    Memory(plan::memory::Arguments),
    /// What does a room cost beyond its connections, up to a million members?
    ///
    /// The gateway's own home, slice and sweep with connections in memory that take everything: bytes for each member, and
    /// nanoseconds for each member to join, to get a broadcast and to leave, beside a bare loop over as many sinks. Every size
    /// is measured in a process of its own.
    Million(plan::million::Arguments),
    /// What do messages of conversations cost that are on disk before they are acknowledged?
    ///
    /// N users in pairs and in groups. In turns: a bare loop that inserts the same rows into the same tables, one sync for 256
    /// messages; and the gateway, with as many messages in flight as keep its groups full. Then an open loop at half of what the
    /// gateway committed: from the intended time to the acknowledgement, and from there to each online member. With --list instead:
    /// the list of conversations and the newest page of one, with more and more messages in the table.
    Chat(plan::chat::Arguments),
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
    /// Opens connections and does with them what it is told. Started by a plan, told on standard input.
    #[command(hide = true)]
    Crowd,
    /// Sends on one connection at intended times. Started by a plan, told what to do on standard input.
    #[command(hide = true)]
    Soloist,
    /// One room of the plan `million`.
    #[command(hide = true)]
    MillionRoom(plan::million::RoomArguments),
    /// The gateway, counting what it allocates. Started by a plan, told on standard input.
    #[command(hide = true)]
    MemoryServer,
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
        Plan::Latency(arguments) => finish(plan::latency::run(&arguments)),
        Plan::Swarm(arguments) => finish(plan::swarm::run(&arguments)),
        Plan::Memory(arguments) => finish(plan::memory::run(&arguments)),
        Plan::Million(arguments) => finish(plan::million::run(&arguments)),
        Plan::MillionRoom(arguments) => finish(plan::million::run_room(&arguments)),
        Plan::Chat(arguments) => finish(plan::chat::run(&arguments)),
        Plan::Codec(arguments) => finish(plan::codec::run(&arguments)),
        Plan::Chart(arguments) => finish(chart::run(&arguments)),
        Plan::Receive => child::obey(receiver::run),
        Plan::ReceivePeer => child::obey(peer::receive),
        Plan::Crowd => child::obey_orders(crowd::run),
        Plan::Soloist => child::obey_orders(soloist::run),
        Plan::MemoryServer => child::obey_orders(plan::memory::server::run),
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
