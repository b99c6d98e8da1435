//! A receiver process for a peer: as cheap as the one for the gateway, with one epoll and one buffer.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use serde::{Deserialize, Serialize};

use super::Protocol;
use super::audience::{Audience, Seat};
use crate::bench_error::{BenchError, Doing};
use crate::child::report;
use crate::messages::Talk;

/// Connections that are under way at a time. Some servers have a backlog of 128, and a connection that finds it full
/// waits for a second; with a few processes these stay below.
const CONNECTING_MAX: usize = 32;

/// As with the gateway: more than a round at window 128.
const READ_BYTES: usize = 256 * 1024;

/// Sockets looked after between two waits.
const EVENTS_MAX: usize = 1024;

/// A round of which nothing came for so long is given up. Servers drop what does not fit without a word.
const SILENCE_MAX: Duration = Duration::from_secs(10);

/// Task of a receiver process.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct PeerReceiveTask {
    pub(crate) protocol: Protocol,
    pub(crate) server: SocketAddr,
    /// How many members it stands for.
    pub(crate) members: usize,
    /// The number of the first of them.
    pub(crate) first_member: usize,
    pub(crate) talk: Talk,
}

/// Receives until the process ends.
pub(crate) fn run(task: PeerReceiveTask) -> Result<(), BenchError> {
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).doing("creating an epoll")?;
    let mut audience = Audience::new(task.protocol, &task.talk, task.members, report);
    let mut connections: Vec<(TcpStream, Seat)> = Vec::with_capacity(task.members);
    let mut buffer = vec![0; READ_BYTES];
    let mut events = Vec::with_capacity(EVENTS_MAX);
    let silence_max = Timespec::try_from(SILENCE_MAX).expect("seconds fit");
    let mut heard = Instant::now();
    loop {
        while connections.len() < task.members && connections.len() - audience.inside() < CONNECTING_MAX {
            let number = connections.len();
            let mut socket = TcpStream::connect(task.server).doing(format!("connecting member {number}"))?;
            let interest = epoll::EventFlags::IN | epoll::EventFlags::RDHUP | epoll::EventFlags::ET;
            socket
                .set_nodelay(true)
                .and_then(|()| socket.write_all(&task.protocol.subscription(task.first_member + number)))
                .and_then(|()| socket.set_nonblocking(true))
                .and_then(|()| {
                    let data = epoll::EventData::new_u64(number as u64);
                    epoll::add(&epoll, &socket, data, interest).map_err(Into::into)
                })
                .doing(format!("connecting member {number}"))?;
            connections.push((socket, Seat::default()));
        }
        events.clear();
        match epoll::wait(&epoll, spare_capacity(&mut events), Some(&silence_max)) {
            Err(rustix::io::Errno::INTR) => continue,
            other => other.doing("waiting for sockets")?,
        };
        if !events.is_empty() {
            heard = Instant::now();
        } else if audience.is_in_a_round() && heard.elapsed() >= SILENCE_MAX {
            audience.give_the_round_up(connections.iter().map(|(_, seat)| seat));
        }
        for event in &events {
            let number = event.data.u64() as usize;
            let (socket, seat) = &mut connections[number];
            receive(socket, seat, &mut audience, &mut buffer)
                .map_err(|what| BenchError::peer(&format!("the server of member {number}"), what))?;
        }
    }
}

/// Reads all there is.
fn receive(socket: &TcpStream, seat: &mut Seat, audience: &mut Audience, buffer: &mut [u8]) -> Result<(), String> {
    let mut reader = socket;
    loop {
        let bytes = match reader.read(buffer) {
            Ok(0) => return audience.lose(seat),
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return audience.lose(seat),
            Err(error) => return Err(error.to_string()),
        };
        let mut writer = socket;
        // A few bytes, once in a while: a socket buffer holds them.
        audience.take(seat, &buffer[..bytes], |answer| {
            writer.write_all(answer).map_err(|error| error.to_string())
        })?;
        // The buffer was larger than what there was: the socket is empty, and epoll says when it is not.
        if bytes < buffer.len() {
            return Ok(());
        }
    }
}
