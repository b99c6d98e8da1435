//! A receiver process: opens the connections of its share of the members and checks and counts what arrives.
//!
//! The same code receives from the gateway and from the bare loops; only what a member says first differs ([`Hello`]).
//! It must cost less than the server, or the server would not be what is measured: sockets are read by epoll into one
//! buffer ([`sockets`]; QUIC in [`quic`] has quinn's runtime), and of each message only the sequence number is looked at
//! ([`share`]).

mod hello;
mod quic;
mod room_message;
mod share;
mod sockets;

pub(crate) use hello::{Hello, user_id};
pub(crate) use room_message::sequence as sequence_of;
pub(crate) use share::{Arrival, read_frame};

use crate::bench_error::BenchError;
use crate::messages::{ReceiveTask, Transport};

/// Connections that are under way at a time: enough to keep the server busy, few enough for its backlog.
pub(crate) const CONNECTING_MAX: usize = 200;

/// Receives until the plan is gone.
pub(crate) fn run(task: ReceiveTask) -> Result<(), BenchError> {
    match task.transport {
        Transport::Tcp | Transport::Tls => sockets::run(&task),
        Transport::Quic => quic::run(&task),
    }
}
