//! The one who speaks in the room of the gateway.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use bytes::Bytes;
use sluice_codec::{encode_into, split_frame};
use sluice_protocol::limits::SERVER_FRAME_BYTES;
use sluice_protocol::{ConversationType, Frame, MessageType, Reply, SendMessage, frame::Body, reply};

use crate::bench_error::{BenchError, Doing};
use crate::messages::{Entry, Talk};
use crate::receiver::{Arrival, Hello, read_frame};

/// How long the gateway may take to answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is read at once.
const READ_BYTES: usize = 64 * 1024;

/// A member over TCP, whatever the transport of the others, as the control connection of a bare loop is.
pub(crate) struct Publisher {
    socket: TcpStream,
    /// A round's commands, encoded.
    commands: Vec<u8>,
    window: u32,
    /// The newest message it has received itself.
    sequence: u64,
    unread: Vec<u8>,
}

impl Publisher {
    /// Logs in and enters the room, which makes the room.
    pub(crate) fn enter(server: SocketAddr, talk: &Talk, entry: &Entry) -> Result<Self, BenchError> {
        let mut socket = TcpStream::connect(server).doing("connecting the publisher")?;
        socket.set_nodelay(true).doing("connecting the publisher")?;
        socket
            .set_read_timeout(Some(PATIENCE))
            .doing("connecting the publisher")?;
        socket
            .write_all(&Hello::new(&talk.room, entry).of(&talk.sender))
            .doing("logging the publisher in")?;
        let mut publisher = Self {
            socket,
            commands: commands(talk),
            window: talk.window,
            sequence: 0,
            unread: Vec::new(),
        };
        let mut inside = false;
        while !inside {
            publisher.receive(|arrival| {
                inside |= matches!(
                    arrival,
                    Arrival::Reply(Reply {
                        result: Some(reply::Result::RoomEntered(_)),
                        ..
                    })
                );
            })?;
        }
        Ok(publisher)
    }

    /// Sends a round's messages in one write, and waits until each is acknowledged and has come back.
    pub(crate) fn send_round(&mut self) -> Result<(), BenchError> {
        self.socket.write_all(&self.commands).doing("publishing")?;
        let mut acknowledged = 0;
        let mut newest = self.sequence;
        let end = self.sequence + u64::from(self.window);
        while acknowledged < self.window || newest < end {
            self.receive(|arrival| match arrival {
                Arrival::Message(sequence) => newest = sequence,
                Arrival::Reply(_) => acknowledged += 1,
                Arrival::Other => {}
            })?;
        }
        self.sequence = newest;
        Ok(())
    }

    /// Reads once and hands on the frames that are whole.
    fn receive(&mut self, mut on_arrival: impl FnMut(Arrival)) -> Result<(), BenchError> {
        let known = self.unread.len();
        self.unread.resize(known + READ_BYTES, 0);
        let bytes = match self.socket.read(&mut self.unread[known..]) {
            Ok(0) => return Err(BenchError::peer("the gateway", "ended the publisher's connection")),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                return Err(BenchError::Timeout {
                    who: "the gateway".into(),
                    doing: "answering the publisher",
                    seconds: PATIENCE.as_secs(),
                });
            }
            other => other.doing("reading the publisher's connection")?,
        };
        self.unread.truncate(known + bytes);
        let mut used = 0;
        let fault = |what: String| BenchError::peer("the publisher's server", what);
        while let Some(frame) =
            split_frame(&self.unread[used..], SERVER_FRAME_BYTES).map_err(|error| fault(error.to_string()))?
        {
            on_arrival(read_frame(frame.body).map_err(fault)?);
            used += frame.consumed;
        }
        self.unread.drain(..used);
        Ok(())
    }
}

/// One round of `SendMessage`. The request ids are used again in the next round, when all are answered.
fn commands(talk: &Talk) -> Vec<u8> {
    let mut bytes = Vec::new();
    for request_id in 1..=talk.window {
        let message = SendMessage {
            conversation_type: ConversationType::Room.into(),
            target_id: talk.room.clone(),
            r#type: MessageType::Text.into(),
            content: Bytes::copy_from_slice(talk.content.as_bytes()),
            ..SendMessage::default()
        };
        encode_into(
            &Frame {
                request_id,
                body: Some(Body::SendMessage(message)),
            },
            &mut bytes,
        );
    }
    bytes
}
