//! A process with a crowd of connections that does what it is told: comes in, goes away and comes back, stops reading,
//! pings, enters and leaves; and keeps account of every message that each member gets.
//!
//! The plan's end is [`CrowdProcesses`], the child's starts in [`run`]. In between go [`Order`]s and what was [`Said`]
//! to them. Orders are done one after the other; [`conductor`] carries them out, [`member`] is one connection with its
//! place in the protocol, [`ledger`] adds up. Different from the receivers of `fanout`, which are there to cost as
//! little as possible, a crowd is there to see as much as possible.
//!
//! A fault that no order asked for (a connection lost, a message out of order, doubled, or neither delivered nor told as
//! missed) ends the process, and with it the run.

mod conductor;
mod figures;
mod ledger;
mod link;
mod lost;
mod member;
mod processes;

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::LocalSet;

use crate::bench_error::{BenchError, Doing};
use crate::messages::{Entry, Transport};
use crate::schedule::Pace;
pub(crate) use figures::{Churned, Figures, MessageTimes, Pinged, Risen, add_counts};
pub(crate) use processes::{CrowdProcesses, CrowdSettings};

/// What a crowd process is made from.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Task {
    pub(crate) transport: Transport,
    pub(crate) server: SocketAddr,
    pub(crate) members: usize,
    /// The number of the first of them, which their user ids carry.
    pub(crate) first_member: usize,
    /// How many of them can be told to stop reading, spread evenly over the others.
    pub(crate) slow: usize,
    pub(crate) room: String,
    /// Bytes of content of a timed message.
    pub(crate) content_bytes: usize,
    pub(crate) certificate: PathBuf,
    pub(crate) entry: Entry,
    /// Whether each member keeps its own session ticket and resumes with it.
    pub(crate) resumes: bool,
}

/// How far in a member is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Stage {
    Away,
    /// The transport is ready, its handshake included. Nothing was said.
    Connected,
    LoggedIn,
    /// Inside the room.
    Inside,
}

/// When members set out.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) enum Departures {
    /// The next when there are not too many on their way.
    InTurn,
    /// At an even pace, whoever is still on the way.
    Paced(Pace),
    /// Each at a random time of so many milliseconds from now on; 0: all at once.
    Scattered { window_ms: u64 },
}

/// What a crowd is told.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Order {
    /// All come to this stage. With `persistent`, failures are counted and tried again after a back-off.
    Rise {
        to: Stage,
        departures: Departures,
        persistent: bool,
    },
    /// All connections are closed at once.
    Fall,
    /// Figures start afresh. Timed messages are those numbered from `first_number` on.
    Begin { first_number: u64, messages: u64 },
    /// Slow members stop reading.
    Sleep,
    /// Slow members read again.
    Wake,
    /// Waits until each member who reads has, or was told that it missed, all messages up to this one. With
    /// `lossless` nobody may have missed any.
    Settle { sequence: u64, lossless: bool },
    /// Members ping in turn, so many times in all.
    Ping { pace: Pace, count: u64 },
    /// Members enter and leave the room in turn, so many times in all.
    Churn { pace: Pace, count: u64 },
}

/// What a crowd answers when an order is done.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Said {
    Done,
    Risen(Risen),
    Settled(Figures),
    Pinged(Pinged),
    Churned(Churned),
}

/// Obeys until the plan is gone.
pub(crate) fn run(task: Task, orders: UnboundedReceiver<Order>) -> Result<(), BenchError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .doing("starting a runtime")?;
    LocalSet::new().block_on(&runtime, conductor::conduct(task, orders))
}
