//! What the words of Sluice's protocol mean: the generated message types, the error codes, the formats of identifiers,
//! the limits and the versions.
//!
//! Start with [`Frame`], the one message that travels, and [`ErrorCode`]. The schema with its prose is in
//! `proto/sluice/v1/`.
//!
//! This crate does no IO and knows no runtime; turning bytes into frames is the work of `sluice-codec`.

mod error_code;
mod generated;
mod id;
pub mod limits;
mod version;

pub use error_code::{Emitter, ErrorCode, Outcome, Retry};
pub use generated::*;
pub use id::{IdProfile, InvalidId, RoomId, UserId};
pub use version::{ALPN, PROTOCOL_VERSION, SUPPORTED_VERSIONS};
