//! QUIC: a few endpoints for the whole process, one stream for each member.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Connection, Endpoint, RecvStream, SendStream};

use crate::bench_error::BenchError;
use crate::credentials;
use crate::crowd::Task;
use crate::crowd::lost::Lost;
use crate::quic_transport;

/// A UDP socket's buffer is shared by all its connections; with a few sockets none of them overflows.
const ENDPOINTS: usize = 4;

pub(super) struct QuicConnector {
    endpoints: Vec<Endpoint>,
    /// One for all, or one for each member.
    configs: Vec<ClientConfig>,
}

pub(in crate::crowd) struct QuicOutlet {
    stream: RefCell<SendStream>,
    /// Ends when dropped.
    _connection: Connection,
}

pub(in crate::crowd) struct QuicInlet {
    stream: RecvStream,
    /// What arrived while asleep.
    arrived: Option<Bytes>,
}

impl QuicConnector {
    pub(super) fn new(task: &Task) -> Result<Self, BenchError> {
        let tls = credentials::client_config(&task.certificate)?;
        let configs = if task.resumes {
            (0..task.members)
                .map(|_| config(credentials::resuming(&tls)))
                .collect::<Result<_, _>>()?
        } else {
            vec![config(tls)?]
        };
        let endpoints = (0..ENDPOINTS)
            .map(|_| quic_transport::endpoint(None))
            .collect::<Result<_, _>>()?;
        Ok(Self { endpoints, configs })
    }

    pub(super) async fn connect(&self, server: SocketAddr, number: usize) -> Result<(QuicOutlet, QuicInlet), Lost> {
        let config = self.configs[number % self.configs.len()].clone();
        let connection = self.endpoints[number % ENDPOINTS]
            .connect_with(config, server, credentials::SERVER_NAME)
            .map_err(|error| Lost::Wrong(error.to_string()))?
            .await
            .map_err(|error| lost("connecting", error))?;
        let (send, receive) = connection
            .open_bi()
            .await
            .map_err(|error| lost("opening a stream", error))?;
        let outlet = QuicOutlet {
            stream: RefCell::new(send),
            _connection: connection,
        };
        let inlet = QuicInlet {
            stream: receive,
            arrived: None,
        };
        Ok((outlet, inlet))
    }
}

impl QuicOutlet {
    pub(super) fn send(&self, bytes: &[u8]) -> Result<(), Lost> {
        let mut stream = self.stream.borrow_mut();
        let mut writing = pin!(stream.write_all(bytes));
        // What members say fits in the stream's window, so the first poll is the last.
        match writing.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(written) => written.map_err(|error| lost("writing", error)),
            Poll::Pending => Err(Lost::Transport {
                doing: "writing",
                what: "the stream's window is full".into(),
            }),
        }
    }
}

impl QuicInlet {
    /// Passes on the next bytes, and says how many there were; 0 while `asleep`.
    pub(super) async fn read(
        &mut self,
        asleep: &Cell<bool>,
        mut take: impl FnMut(&[u8]) -> Result<(), Lost>,
    ) -> Result<usize, Lost> {
        if self.arrived.is_none() {
            let chunk = self.stream.read_chunk(usize::MAX, true).await;
            let chunk = chunk.map_err(|error| lost("reading", error))?;
            let chunk = chunk.ok_or_else(|| lost("reading", "the server ended the stream"))?;
            self.arrived = Some(chunk.bytes);
        }
        if asleep.get() {
            return Ok(0);
        }
        let bytes = self.arrived.take().unwrap_or_default();
        take(&bytes)?;
        Ok(bytes.len())
    }
}

fn config(tls: rustls::ClientConfig) -> Result<ClientConfig, BenchError> {
    let tls = QuicClientConfig::try_from(tls).map_err(|error| BenchError::Unsuitable(error.to_string()))?;
    let mut config = ClientConfig::new(Arc::new(tls));
    config.transport_config(quic_transport::client_transport());
    Ok(config)
}

fn lost(doing: &'static str, what: impl ToString) -> Lost {
    Lost::Transport {
        doing,
        what: what.to_string(),
    }
}
