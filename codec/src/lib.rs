//! Bytes to frames and back, incremental and bounded.
//!
//! On the wire a frame is a protobuf varint with the length of the encoded [`Frame`](sluice_protocol::Frame), and then
//! those bytes. Who reads whole slices of a stream starts with [`split_frame`], who wants a buffer kept for them with
//! [`FrameBuffer`], and who has tokio-util with [`FrameCodec`] (feature `tokio-util`, on by default). What they find,
//! the *body*, is opened by [`open_client_frame`] in a server and by [`open_server_frame`] in a client. [`encode`] makes
//! the bytes that any number of receivers can share.
//!
//! This crate opens no socket, reads no clock and knows no session: which limit holds when is its caller's to say.
//! Nothing that a peer sends makes it panic, and no memory is reserved for what a peer merely announces.
//!
//! ```
//! use sluice_codec::{ClientFrame, encode, open_client_frame, split_frame};
//! use sluice_protocol::{Frame, Ping, frame::Body};
//!
//! let bytes = encode(&Frame { request_id: 7, body: Some(Body::Ping(Ping {})) });
//! assert_eq!(&bytes[..], [5, 0x08, 7, 0x92, 0x01, 0]);
//!
//! assert_eq!(split_frame(&bytes[..3], 4096), Ok(None)); // the rest is still on its way
//! let frame = split_frame(&bytes, 4096)?.expect("it is all there");
//! assert_eq!(frame.consumed, 6);
//! assert_eq!(
//!     open_client_frame(frame.body)?,
//!     ClientFrame::Command { request_id: 7, command: Body::Ping(Ping {}) }
//! );
//! # Ok::<(), sluice_codec::FrameError>(())
//! ```

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod buffer;
mod encode;
mod frame_error;
mod open;
mod split;
#[cfg(feature = "tokio-util")]
mod tokio_util_codec;

pub use buffer::FrameBuffer;
pub use encode::{encode, encode_into};
pub use frame_error::FrameError;
pub use open::{ClientFrame, open_client_frame, open_server_frame};
pub use split::{SplitFrame, frame_bytes, split_frame};
#[cfg(feature = "tokio-util")]
pub use tokio_util_codec::{FrameCodec, FrameCodecError};
