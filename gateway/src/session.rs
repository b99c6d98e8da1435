//! One client's life on a connection, from the first byte to the last: a state machine that is told what happened and when.
//!
//! ```text
//! Handshaking ──secure──▶ Anonymous ──login──▶ Registering ──registered──▶ Online
//!      │                      │                     │                        │
//!      └──────────────────────┴──────── close ──────┴────────────────────────┴──▶ Closing
//! ```
//!
//! It reads no clock and touches no socket. [`Session::next_deadline`] says when [`Session::handle_timeout`] wants to be called.

pub(crate) mod apps;
pub(crate) mod login;
pub(crate) mod token;
pub(crate) mod users;

use std::sync::Arc;
use std::time::{Duration, Instant};

use sluice_protocol::{ErrorCode, limits};

use crate::clock::Now;
use crate::config::Config;
use crate::identity::{RoomKey, User};
use crate::refusal::Refusal;
use crate::session::login::Accepted;

/// See the module.
#[derive(Debug)]
pub(crate) struct Session {
    phase: Phase,
    /// When the client was last heard.
    heard: Instant,
}

#[derive(Debug)]
enum Phase {
    /// TLS is being agreed on.
    Handshaking { until: Instant },
    /// Nobody has logged in.
    Anonymous { until: Instant, bytes_left: usize },
    /// The token is good; the user's home decides about other sessions.
    Registering { until: Instant },
    /// Logged in.
    Online(Box<Online>),
    /// The last frame is on its way.
    Closing { until: Instant },
}

/// A logged-in session.
#[derive(Debug)]
pub(crate) struct Online {
    pub user: Arc<User>,
    pub rooms: Vec<RoomKey>,
    token_expires: Now,
    warning: Warning,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Warning {
    Due,
    Given,
}

/// What a deadline that has come asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Timeout {
    /// Nothing yet; look at the next deadline.
    Nothing,
    /// Tell the client that its token has this many seconds left.
    TokenWillExpire { seconds: u32 },
    /// End the connection and say why.
    Close(Refusal),
    /// The client had its time to read the last frame: drop the transport.
    Drop,
}

impl Session {
    /// A connection that begins with a TLS handshake.
    pub(crate) fn handshaking(now: Instant, config: &Config) -> Self {
        Self {
            phase: Phase::Handshaking {
                until: now + config.connections.handshake_timeout,
            },
            heard: now,
        }
    }

    /// A connection that waits for a login.
    pub(crate) fn anonymous(now: Instant, config: &Config) -> Self {
        let until = now + config.connections.login_timeout;
        Self {
            phase: Phase::Anonymous {
                until,
                bytes_left: limits::BYTES_BEFORE_LOGIN,
            },
            heard: now,
        }
    }

    /// The TLS handshake is done.
    pub(crate) fn handle_secured(&mut self, now: Instant, config: &Config) {
        if let Phase::Handshaking { .. } = self.phase {
            *self = Self::anonymous(now, config);
        }
    }

    /// Bytes came in. They are no sign of life before they make a frame.
    ///
    /// # Errors
    /// When a client that is not logged in has sent too much.
    pub(crate) fn handle_bytes(&mut self, bytes: usize) -> Result<(), Refusal> {
        if let Phase::Anonymous { bytes_left, .. } = &mut self.phase {
            let Some(left) = bytes_left.checked_sub(bytes) else {
                return Err(Refusal::with_detail(ErrorCode::FRAME_TOO_LONG, "before_login"));
            };
            *bytes_left = left;
        }
        Ok(())
    }

    /// A whole frame came in, of whatever kind: the client is alive.
    pub(crate) fn handle_frame(&mut self, now: Instant) {
        self.heard = now;
    }

    /// The longest frame the client may send now.
    pub(crate) fn frame_bytes_max(&self) -> usize {
        match self.phase {
            Phase::Online(_) => limits::CLIENT_FRAME_BYTES,
            _ => limits::CLIENT_FRAME_BYTES_BEFORE_LOGIN,
        }
    }

    /// A login was found good and its user's home is being asked.
    pub(crate) fn handle_login(&mut self, now: Instant, config: &Config) {
        self.phase = Phase::Registering {
            until: now + config.connections.login_timeout,
        };
    }

    /// The user's home agreed.
    pub(crate) fn handle_registered(&mut self, now: Now, accepted: &Accepted) {
        self.heard = now.instant;
        self.phase = Phase::Online(Box::new(Online {
            user: accepted.user.clone(),
            rooms: Vec::new(),
            token_expires: accepted.token_expires,
            warning: Warning::Due,
        }));
    }

    /// The session has a new token.
    pub(crate) fn handle_renewed(&mut self, token_expires: Now) {
        if let Phase::Online(online) = &mut self.phase {
            online.token_expires = token_expires;
            online.warning = Warning::Due;
        }
    }

    /// The last frame is queued; the client has until the closing timeout to read it. Returns what the session was.
    pub(crate) fn handle_close(&mut self, now: Instant, config: &Config) -> Option<Box<Online>> {
        let until = now + config.connections.closing_timeout;
        match std::mem::replace(&mut self.phase, Phase::Closing { until }) {
            Phase::Online(online) => Some(online),
            Phase::Closing { until } => {
                self.phase = Phase::Closing { until };
                None
            }
            _ => None,
        }
    }

    pub(crate) fn is_handshaking(&self) -> bool {
        matches!(self.phase, Phase::Handshaking { .. })
    }

    pub(crate) fn is_registering(&self) -> bool {
        matches!(self.phase, Phase::Registering { .. })
    }

    pub(crate) fn is_closing(&self) -> bool {
        matches!(self.phase, Phase::Closing { .. })
    }

    /// The logged-in session, if there is one.
    pub(crate) fn online(&self) -> Option<&Online> {
        match &self.phase {
            Phase::Online(online) => Some(online),
            _ => None,
        }
    }

    /// The logged-in session, if there is one.
    pub(crate) fn online_mut(&mut self) -> Option<&mut Online> {
        match &mut self.phase {
            Phase::Online(online) => Some(online),
            _ => None,
        }
    }

    /// When [`Self::handle_timeout`] is to be called.
    pub(crate) fn next_deadline(&self, config: &Config) -> Instant {
        match &self.phase {
            Phase::Handshaking { until }
            | Phase::Anonymous { until, .. }
            | Phase::Registering { until }
            | Phase::Closing { until } => *until,
            Phase::Online(online) => {
                let expires = online.token_expires.instant;
                let token = match online.warning {
                    Warning::Due => expires.checked_sub(config.tokens.warning).unwrap_or(expires),
                    Warning::Given => expires + config.tokens.grace,
                };
                token.min(self.silent_at(config))
            }
        }
    }

    /// A deadline may have come.
    pub(crate) fn handle_timeout(&mut self, now: Instant, config: &Config) -> Timeout {
        let silent_at = self.silent_at(config);
        match &mut self.phase {
            Phase::Handshaking { until } if now >= *until => {
                Timeout::Close(Refusal::with_detail(ErrorCode::LOGIN_TIMEOUT, "handshake"))
            }
            Phase::Anonymous { until, .. } if now >= *until => Timeout::Close(Refusal::new(ErrorCode::LOGIN_TIMEOUT)),
            Phase::Registering { until } if now >= *until => Timeout::Close(Refusal::new(ErrorCode::TIMEOUT)),
            Phase::Closing { until } if now >= *until => Timeout::Drop,
            Phase::Online(_) if now >= silent_at => Timeout::Close(Refusal::new(ErrorCode::PING_TIMEOUT)),
            Phase::Online(online) => {
                let expires = online.token_expires.instant;
                if now >= expires + config.tokens.grace {
                    return Timeout::Close(Refusal::with_detail(ErrorCode::TOKEN_INVALID, "expired"));
                }
                if online.warning == Warning::Due && now + config.tokens.warning >= expires {
                    online.warning = Warning::Given;
                    let left = expires.saturating_duration_since(now);
                    return Timeout::TokenWillExpire {
                        seconds: u32::try_from(left.as_secs()).unwrap_or(u32::MAX),
                    };
                }
                Timeout::Nothing
            }
            _ => Timeout::Nothing,
        }
    }

    fn silent_at(&self, config: &Config) -> Instant {
        self.heard + silence_max(config.connections.heartbeat_interval)
    }
}

impl Online {
    /// Whether the token has ended, so that only a new one, a ping or a logout is accepted.
    pub(crate) fn is_expired(&self, now: Instant) -> bool {
        now >= self.token_expires.instant
    }

    pub(crate) fn is_inside(&self, room: &RoomKey) -> bool {
        self.rooms.contains(room)
    }
}

/// How long a client may be silent.
fn silence_max(heartbeat_interval: Duration) -> Duration {
    heartbeat_interval.mul_f64(limits::HEARTBEAT_INTERVALS_UNTIL_SILENT)
}
