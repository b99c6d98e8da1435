//! A process with one connection that keeps time: it sends at intended times, to a few microseconds, and counts how long
//! the answers took from there.
//!
//! Alone in its process so that no crowd's work delays it, always over TCP so that its own transport is not in what it
//! measures, and with a raised priority where the system allows that: it shares its core with processes that are busy.
//! Where it was late all the same, [`Ran::lateness`] says by how much.

mod parts;
mod process;
mod voice;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::time::Duration;

use rustix::process::setpriority_process;
use rustix::thread::set_current_timer_slack;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::mpsc::error::TryRecvError;

use crate::bench_error::{BenchError, Doing};
use crate::child::report;
use crate::latencies::Latencies;
use crate::messages::{Entry, Report};
use crate::monotonic::now_ns;
use crate::schedule::Pace;
pub(crate) use process::Soloist;

/// What a soloist is made from.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Task {
    /// The gateway, or the control connection of a bare loop.
    pub(crate) server: SocketAddr,
    pub(crate) user: String,
    pub(crate) room: String,
    pub(crate) entry: Entry,
    pub(crate) part: Part,
    /// Bytes of content of each message.
    pub(crate) content_bytes: usize,
}

/// What it sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Part {
    /// Timed messages to the room; to a bare loop, orders to send them.
    Speaker,
    /// Messages to the room that are not timed.
    Chatter,
    Pinger,
}

/// What a soloist is told.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) enum Order {
    /// Sends `count` times at this pace. The first timed message has the number `first_number`.
    Run { pace: Pace, count: u64, first_number: u64 },
    /// Keeps `window` messages in flight, each from being sent to coming back to this member.
    Flood { window: u64, until_ns: u64 },
}

/// What a soloist says.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Said {
    Inside,
    Ran(Box<Ran>),
}

/// What came of an order.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Ran {
    pub(crate) sent: u64,
    /// The largest sequence number that any answer named; 0: none did.
    pub(crate) newest_sequence: u64,
    /// From the intended time to the answer.
    pub(crate) answers: Latencies,
    /// From the intended time to the sending: what the measuring itself adds.
    pub(crate) lateness: Latencies,
    /// Commands refused, by code.
    pub(crate) refused: BTreeMap<String, u64>,
}

/// Above all of a run but the kernel's own threads.
const PRIORITY: i32 = -15;

/// How often orders are looked for while there is nothing to do.
const LOOK_FOR_ORDERS: Duration = Duration::from_millis(5);

/// Obeys until the plan is gone.
pub(crate) fn run(task: Task, mut orders: UnboundedReceiver<Order>) -> Result<(), BenchError> {
    // Without the right to it the figures are still right, only with more lateness in them.
    let _ = setpriority_process(None, PRIORITY);
    set_current_timer_slack(NonZeroU64::new(1)).doing("asking for exact timers")?;
    let mut soloist = parts::Player::enter(&task)?;
    report(&Report::Soloist(Said::Inside));
    loop {
        match orders.try_recv() {
            Ok(Order::Run {
                pace,
                count,
                first_number,
            }) => say(soloist.run(pace, count, first_number)?),
            Ok(Order::Flood { window, until_ns }) => say(soloist.flood(window, until_ns)?),
            Err(TryRecvError::Empty) => soloist.idle_until(now_ns() + LOOK_FOR_ORDERS.as_nanos() as u64)?,
            // The process ends by itself.
            Err(TryRecvError::Disconnected) => return Ok(()),
        }
    }
}

fn say(ran: Ran) {
    report(&Report::Soloist(Said::Ran(Box::new(ran))));
}
