//! The users: one connection each, one epoll, one thread.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use sluice_codec::{encode, open_server_frame, split_frame};
use sluice_protocol::limits::SERVER_FRAME_BYTES;
use sluice_protocol::{Frame, Reply, SyncConversations, frame::Body, reply};

use crate::bench_error::{BenchError, Doing};
use crate::gateway_process::GatewayProcess;
use crate::monotonic::now_ns;
use crate::receiver::{Hello, user_id};
use crate::stamp::{STAMP_BYTES, Stamp};

/// What is read at once.
const READ_BYTES: usize = 256 * 1024;

/// Sockets looked after between two waits.
const EVENTS_MAX: usize = 1_024;

/// How long the server may be silent when it owes an answer.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// Users who log in at a time: the gateway checks logins one after the other.
const ENTERING_MAX: usize = 256;

/// What a user hears.
pub(super) enum Heard {
    /// A message with a stamp, to one more user than the one who sent it.
    Delivered(Stamp),
    Answer(u32, Box<Reply>),
}

pub(super) struct People {
    epoll: OwnedFd,
    links: Vec<Link>,
    buffer: Vec<u8>,
}

struct Link {
    socket: TcpStream,
    /// Said, but not yet with the kernel.
    unsent: Vec<u8>,
    /// The beginning of a frame whose rest is still on its way.
    partial: Vec<u8>,
}

impl People {
    /// Users `member-0` to `member-(count - 1)` log in, and ask for the events of their conversations.
    pub(super) fn enter(server: SocketAddr, count: usize) -> Result<Self, BenchError> {
        let mut people = Self {
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC).doing("creating an epoll")?,
            links: Vec::with_capacity(count),
            buffer: vec![0; READ_BYTES],
        };
        let hello = Hello::new("", &GatewayProcess::entry());
        let first_page = command(2, Body::SyncConversations(SyncConversations::default()));
        while people.links.len() < count {
            let entering = ENTERING_MAX.min(count - people.links.len());
            for _ in 0..entering {
                let user = people.open(server)?;
                let mut bytes = hello.login(&user_id(user));
                bytes.extend_from_slice(&first_page);
                people.say(user, &bytes)?;
            }
            people.await_answers(2 * entering, |_, reply| {
                let page = match reply.result {
                    Some(reply::Result::SyncPage(page)) => page,
                    _ => return Ok(()),
                };
                // In a file that is filled beforehand nobody is told of what is there already, or the rest is asked for.
                if page.next_cursor.is_empty() {
                    return Ok(());
                }
                Err(BenchError::peer(
                    "the gateway",
                    "has more than a page of news for a user of this plan",
                ))
            })?;
        }
        Ok(people)
    }

    fn open(&mut self, server: SocketAddr) -> Result<usize, BenchError> {
        let number = self.links.len();
        let doing = "connecting a user";
        let socket = TcpStream::connect(server).doing(doing)?;
        socket.set_nodelay(true).doing(doing)?;
        socket.set_nonblocking(true).doing(doing)?;
        let interest =
            epoll::EventFlags::IN | epoll::EventFlags::OUT | epoll::EventFlags::RDHUP | epoll::EventFlags::ET;
        epoll::add(&self.epoll, &socket, epoll::EventData::new_u64(number as u64), interest).doing(doing)?;
        self.links.push(Link {
            socket,
            unsent: Vec::new(),
            partial: Vec::new(),
        });
        Ok(number)
    }

    /// Sends as much as the kernel takes now; the rest follows when it takes more.
    pub(super) fn say(&mut self, user: usize, bytes: &[u8]) -> Result<(), BenchError> {
        let link = &mut self.links[user];
        link.unsent.extend_from_slice(bytes);
        link.send()
    }

    /// Waits until somebody hears something, or until `until_ns`, and passes it on.
    ///
    /// # Errors
    /// A connection that fails or is closed, also if `take` refuses.
    pub(super) fn listen(
        &mut self,
        until_ns: u64,
        take: &mut impl FnMut(usize, Heard) -> Result<(), BenchError>,
    ) -> Result<(), BenchError> {
        let left = Duration::from_nanos(until_ns.saturating_sub(now_ns()));
        let timeout = Timespec {
            tv_sec: left.as_secs() as i64,
            tv_nsec: left.subsec_nanos().into(),
        };
        let mut events = Vec::with_capacity(EVENTS_MAX);
        match epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&timeout)) {
            Err(rustix::io::Errno::INTR) => return Ok(()),
            other => other.doing("waiting for sockets")?,
        };
        for event in &events {
            let user = event.data.u64() as usize;
            let link = &mut self.links[user];
            link.send()?;
            link.receive(&mut self.buffer, |heard| take(user, heard))?;
        }
        Ok(())
    }

    /// Waits for so many answers to commands, all of which must be good.
    pub(super) fn await_answers(
        &mut self,
        count: usize,
        mut look: impl FnMut(usize, Reply) -> Result<(), BenchError>,
    ) -> Result<(), BenchError> {
        let mut answered = 0;
        let deadline_ns = now_ns() + PATIENCE.as_nanos() as u64;
        while answered < count {
            self.listen(deadline_ns, &mut |user, heard| {
                if let Heard::Answer(_, reply) = heard {
                    refuse_refusals(&reply)?;
                    look(user, *reply)?;
                    answered += 1;
                }
                Ok(())
            })?;
            if now_ns() > deadline_ns {
                return Err(silent());
            }
        }
        Ok(())
    }
}

impl Link {
    fn send(&mut self) -> Result<(), BenchError> {
        while !self.unsent.is_empty() {
            match self.socket.write(&self.unsent) {
                Ok(bytes) => {
                    self.unsent.drain(..bytes);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error).doing("writing a user's connection"),
            }
        }
        Ok(())
    }

    /// Reads all there is.
    fn receive(
        &mut self,
        buffer: &mut [u8],
        mut take: impl FnMut(Heard) -> Result<(), BenchError>,
    ) -> Result<(), BenchError> {
        loop {
            let bytes = match self.socket.read(buffer) {
                Ok(0) => return Err(BenchError::peer("the gateway", "ended a user's connection")),
                Ok(bytes) => bytes,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error).doing("reading a user's connection"),
            };
            self.partial.extend_from_slice(&buffer[..bytes]);
            let mut used = 0;
            while let Some(frame) = split_frame(&self.partial[used..], SERVER_FRAME_BYTES)
                .map_err(|error| BenchError::peer("the gateway", format!("sent a bad frame: {error}")))?
            {
                if let Some(heard) = understand(frame.body)? {
                    take(heard)?;
                }
                used += frame.consumed;
            }
            self.partial.drain(..used);
            // The buffer was larger than what there was: the socket is empty, and epoll says when it is not.
            if bytes < buffer.len() {
                return Ok(());
            }
        }
    }
}

/// How the frame of a message begins that was said by somebody else: with the key of its body. The refusal of a message ends like one.
const MESSAGE_KEY: [u8; 2] = [0xa2, 0x05];

/// The stamp of a message is its client message id, which a message without anything else ends with: it is found without decoding.
fn understand(body: &[u8]) -> Result<Option<Heard>, BenchError> {
    if body.starts_with(&MESSAGE_KEY)
        && let Some(stamp) = Stamp::of(body, STAMP_BYTES)
    {
        return Ok(Some(Heard::Delivered(stamp)));
    }
    let frame = open_server_frame(body)
        .map_err(|error| BenchError::peer("the gateway", format!("sent a bad frame: {error}")))?;
    match frame.body {
        Some(Body::Reply(reply)) => Ok(Some(Heard::Answer(frame.request_id, Box::new(reply)))),
        Some(Body::Close(close)) => Err(BenchError::peer(
            "the gateway",
            format!("closed with {} {} {}", close.code, close.message, close.detail),
        )),
        Some(Body::ConversationsLost(_)) => Err(BenchError::peer("the gateway", "left messages out for a user")),
        Some(Body::ConversationMessage(message)) => Err(BenchError::peer(
            "the gateway",
            format!("sent a message without a stamp: {message:?}"),
        )),
        _ => Ok(None),
    }
}

pub(super) fn command(request_id: u32, body: Body) -> Vec<u8> {
    encode(&Frame {
        request_id,
        body: Some(body),
    })
    .to_vec()
}

/// # Errors
/// When the answer is one: half of the work is not the work.
pub(super) fn refuse_refusals(reply: &Reply) -> Result<(), BenchError> {
    if reply.code == 0 {
        return Ok(());
    }
    Err(BenchError::peer(
        "the gateway",
        format!(
            "refused a command with {} {} {} (of 20604 the cure is more users)",
            reply.code, reply.message, reply.detail
        ),
    ))
}

pub(super) fn silent() -> BenchError {
    BenchError::Timeout {
        who: "the gateway".into(),
        doing: "answering and delivering",
        seconds: PATIENCE.as_secs(),
    }
}
