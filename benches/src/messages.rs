//! What the plan and its child processes say to each other: one JSON object a line, tasks on a child's standard input,
//! reports on its standard output.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::plan::memory::server;
use crate::{crowd, soloist};

/// How frames travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Transport {
    Tcp,
    Tls,
    Quic,
}

impl Transport {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Quic => "quic",
        }
    }
}

/// The room and what is said in it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Talk {
    pub(crate) room: String,
    /// The user who sends every message.
    pub(crate) sender: String,
    /// The content of every message.
    pub(crate) content: String,
    /// Messages a round.
    pub(crate) window: u32,
}

/// Task of a bare loop.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct BareTask {
    pub(crate) members: usize,
    pub(crate) talk: Talk,
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

/// Task of a receiver process.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ReceiveTask {
    pub(crate) transport: Transport,
    pub(crate) server: SocketAddr,
    /// How many members it stands for.
    pub(crate) members: usize,
    /// The number of the first of them, which their user ids carry.
    pub(crate) first_member: usize,
    pub(crate) talk: Talk,
    pub(crate) certificate: PathBuf,
    pub(crate) entry: Entry,
}

/// How a member gets in.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Entry {
    /// One short frame, so that a server that waits for the client to speak (QUIC) sees the connection.
    Bare,
    /// Login, then enter the room.
    Sluice { app: String, secret: String },
}

/// What a child reports.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Report {
    /// A bare loop waits for the control connection and for its members.
    Listening { members: SocketAddr, control: SocketAddr },
    /// All members of this process are inside.
    Inside,
    /// All members of this process have all messages of this round; bytes of frames received since the start.
    Round { round: u64, frame_bytes: u64 },
    /// This round ended without that many of its messages: some were left out, or nothing came for too long.
    Lost { round: u64, lost: u64, frame_bytes: u64 },
    /// What a crowd answers to an order.
    Crowd(crowd::Said),
    /// What a soloist answers to an order.
    Soloist(soloist::Said),
    /// What the gateway of the plan `memory` answers to an order.
    Memory(server::Said),
    /// It cannot go on.
    Failed { reason: String },
}
