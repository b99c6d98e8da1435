//! Why bytes are no frame.

use sluice_protocol::ErrorCode;

/// Why the bytes at the front of a stream, or the body of a frame, are not acceptable.
///
/// Each of these ends the connection: after a wrong length nobody knows where the next frame begins, and a peer that
/// sends a wrong body cannot be talked to.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum FrameError {
    /// The length prefix announces more than the limit.
    #[error("a frame of at least {announced} bytes is announced, {bytes_max} are allowed")]
    TooLong {
        /// Bytes the body would have. The refusal comes with the first byte of the prefix that proves it, so this is
        /// the exact length where that byte is the prefix's last, and the least it could have become where not.
        announced: u64,
        /// The limit, in bytes of the body.
        bytes_max: usize,
    },
    /// The length is zero. A frame always has a body field and so at least two bytes.
    #[error("a frame without a single byte")]
    Empty,
    /// The length prefix is longer than 5 bytes, or longer than its number needs. Each number has one accepted form,
    /// so that no two readers of the same bytes disagree.
    #[error("the length prefix is longer than needed")]
    OverlongLength,
    /// The body is not a valid protobuf `Frame`, or not exactly one of the frame's body fields is set.
    #[error("not a frame with exactly one body")]
    Malformed,
}

impl FrameError {
    /// The close code for it: 4109 for a frame that is too long, 32002 for everything else.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::TooLong { .. } => ErrorCode::FRAME_TOO_LONG,
            Self::Empty | Self::OverlongLength | Self::Malformed => ErrorCode::MALFORMED_FRAME,
        }
    }
}
