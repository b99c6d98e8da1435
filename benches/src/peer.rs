//! Other servers on the same work, so that nobody has to believe figures from another machine and another day.
//!
//! A peer is somebody else's server: the plan starts the binary it is given ([`server`]), lets as many members
//! subscribe to one subject as would sit in the room ([`receiver`]), and publishes the same rounds ([`publisher`]), all
//! in the peer's own protocol. Of [`nats`] and [`mqtt`] there is no more here than that needs.
//!
//! Peers may lose what is published: [`audience`] counts it. For the gateway and the bare loops a lost message ends the
//! run; for a peer it is a result.

mod audience;
mod mqtt;
mod nats;
mod publisher;
mod receiver;
mod server;

use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

pub(crate) use publisher::PeerPublisher;
pub(crate) use receiver::{PeerReceiveTask, run as receive};
pub(crate) use server::{PeerServer, version};

/// The subject or topic that stands for the room.
const SUBJECT: &str = "bench";

/// Of a message's content the first bytes are its number, from 1, big-endian: these protocols number nothing
/// themselves.
pub(crate) const SEQUENCE_BYTES: usize = 8;

/// The servers this program can start and speak to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum PeerKind {
    Nats,
    Mosquitto,
    Rumqttd,
}

impl PeerKind {
    const ALL: [Self; 3] = [Self::Nats, Self::Mosquitto, Self::Rumqttd];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Nats => "nats",
            Self::Mosquitto => "mosquitto",
            Self::Rumqttd => "rumqttd",
        }
    }

    pub(crate) fn protocol(self) -> Protocol {
        match self {
            Self::Nats => Protocol::Nats,
            Self::Mosquitto | Self::Rumqttd => Protocol::Mqtt,
        }
    }
}

/// A peer's binary, as it is named on the command line: `nats=PATH`.
#[derive(Debug, Clone)]
pub(crate) struct PeerBinary {
    pub(crate) kind: PeerKind,
    pub(crate) path: PathBuf,
}

impl FromStr for PeerBinary {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, path) = text
            .split_once('=')
            .ok_or("a peer is NAME=PATH, such as nats=/usr/sbin/nats-server")?;
        let kind = PeerKind::ALL
            .into_iter()
            .find(|kind| kind.name() == name)
            .ok_or_else(|| format!("there is no peer {name}: nats, mosquitto and rumqttd are known"))?;
        Ok(Self {
            kind,
            path: path.into(),
        })
    }
}

/// What is spoken to a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Protocol {
    Nats,
    Mqtt,
}

/// What a peer sent.
#[derive(Debug, PartialEq, Eq)]
enum Arrival<'a> {
    /// The greeting is answered.
    Greeted,
    /// The subscription is answered.
    Inside,
    /// A published message, its content.
    Message(&'a [u8]),
    /// It wants to hear these bytes.
    Answer(&'static [u8]),
    /// It is about to end the connection and says why.
    Complaint(String),
    /// Nothing that matters here.
    Other,
}

/// One thing a peer sent, and how many bytes it had.
type Next<'a> = Result<Option<(Arrival<'a>, usize)>, String>;

impl Protocol {
    /// All that a member says of itself.
    fn subscription(self, member: usize) -> Vec<u8> {
        match self {
            Self::Nats => nats::subscription(),
            Self::Mqtt => mqtt::subscription(member),
        }
    }

    /// All that a publisher says before it publishes.
    fn greeting(self) -> Vec<u8> {
        match self {
            Self::Nats => nats::greeting(),
            Self::Mqtt => mqtt::greeting(),
        }
    }

    /// Appends the publication of `content`.
    fn publish(self, content: &[u8], out: &mut Vec<u8>) {
        match self {
            Self::Nats => nats::publish(content, out),
            Self::Mqtt => mqtt::publish(content, out),
        }
    }

    /// The first whole thing in `input`; `None` while its rest is on its way.
    ///
    /// # Errors
    /// The peer says what this protocol does not have.
    fn next(self, input: &[u8]) -> Next<'_> {
        match self {
            Self::Nats => nats::next(input),
            Self::Mqtt => mqtt::next(input),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_a_known_name_and_a_path() {
        let peer: PeerBinary = "mosquitto=/usr/sbin/mosquitto".parse().unwrap();
        assert_eq!(
            (peer.kind, peer.path),
            (PeerKind::Mosquitto, PathBuf::from("/usr/sbin/mosquitto"))
        );
        assert!("nats".parse::<PeerBinary>().is_err());
        assert!("emqx=/bin/emqx".parse::<PeerBinary>().unwrap_err().contains("emqx"));
    }
}
