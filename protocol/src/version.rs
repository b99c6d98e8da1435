//! Versions of the protocol.

use std::ops::RangeInclusive;

/// The version this crate describes; a client puts it in `Login.protocol_version`.
pub const PROTOCOL_VERSION: u32 = 1;

/// The versions a server of this build accepts. Others answer 31001 with this range as detail.
pub const SUPPORTED_VERSIONS: RangeInclusive<u32> = 1..=1;

/// The application protocol that clients name in the TLS handshake, over TCP and over QUIC.
pub const ALPN: &[u8] = b"sluice/1";
