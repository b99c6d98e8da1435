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
mod conversation_quotas;
pub(crate) mod dispatch;
pub(crate) mod guesses;
pub(crate) mod login;
pub(crate) mod logout;
pub(crate) mod papers;
pub(crate) mod parked;
mod ping;
mod quotas;
mod renew_token;
pub(crate) mod token;
pub(crate) mod users;

use std::sync::Arc;
use std::time::{Duration, Instant};

use sluice_protocol::{ErrorCode, limits};

use crate::clock::Now;
use crate::config::Config;
use crate::identity::User;
use crate::refusal::Refusal;
use crate::session::login::Accepted;

pub(crate) use conversation_quotas::ConversationQuotas;
pub(crate) use quotas::Quotas;

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
    pub quotas: Quotas,
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
            quotas: Quotas::default(),
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
            Phase::Registering { until } if now >= *until => Timeout::Close(
                Refusal::with_detail(ErrorCode::SERVER_UNAVAILABLE, "overload").retry_after(OVERLOAD_RETRY),
            ),
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
        self.heard + silence_max(config)
    }
}

impl Online {
    /// Whether the token has ended, so that only a new one, a ping or a logout is accepted.
    pub(crate) fn is_expired(&self, now: Instant) -> bool {
        now >= self.token_expires.instant
    }
}

/// How long a client waits whose login the user's home did not answer in time.
const OVERLOAD_RETRY: Duration = Duration::from_secs(1);

/// How long a client may be silent.
pub(crate) fn silence_max(config: &Config) -> Duration {
    config
        .connections
        .heartbeat_interval
        .mul_f64(limits::HEARTBEAT_INTERVALS_UNTIL_SILENT)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;
    use sluice_protocol::{IdProfile, Platform, UserId};

    use super::*;
    use crate::identity::AppIndex;

    const SECOND: Duration = Duration::from_secs(1);

    fn config() -> Config {
        Config::defaults(Path::new("data"))
    }

    fn start() -> Now {
        Now {
            instant: Instant::now(),
            unix_ms: 1_800_000_000_000,
        }
    }

    fn accepted(now: Now, token_left: Duration) -> Accepted {
        Accepted {
            user: Arc::new(User {
                app: AppIndex(0),
                id: UserId::parse("alice", IdProfile::Zim).unwrap(),
                name: "Alice".into(),
            }),
            platform: Platform::Linux,
            device_id: "laptop".into(),
            package_name: "".into(),
            sdk: "".into(),
            resumes_session_of_ms: None,
            started_at_ms: now.unix_ms,
            token_expires: now + token_left,
            datagrams: false,
            resume: None,
        }
    }

    fn online(now: Now, token_left: Duration) -> Session {
        let mut session = Session::anonymous(now.instant, &config());
        session.handle_login(now.instant, &config());
        session.handle_registered(now, &accepted(now, token_left));
        session
    }

    /// What comes up when the deadlines are followed to the letter until `until`, each with its time since `start`. The
    /// client pings every 30 s when `alive`.
    fn follow(
        session: &mut Session,
        config: &Config,
        start: Instant,
        until: Duration,
        alive: bool,
    ) -> Vec<(Duration, Timeout)> {
        let mut seen = Vec::new();
        let mut ping = start;
        loop {
            let deadline = session.next_deadline(config);
            if alive && ping <= deadline && ping - start <= until {
                session.handle_frame(ping);
                ping += 30 * SECOND;
                continue;
            }
            if deadline - start > until {
                return seen;
            }
            match session.handle_timeout(deadline, config) {
                Timeout::Nothing => assert!(
                    session.next_deadline(config) > deadline,
                    "a deadline that asks for nothing moves"
                ),
                Timeout::Close(refusal) => {
                    seen.push((deadline - start, Timeout::Close(refusal)));
                    session.handle_close(deadline, config);
                }
                Timeout::Drop => {
                    seen.push((deadline - start, Timeout::Drop));
                    return seen;
                }
                warning => seen.push((deadline - start, warning)),
            }
        }
    }

    fn close(code: ErrorCode, detail: &'static str) -> Timeout {
        Timeout::Close(Refusal::with_detail(code, detail))
    }

    #[test]
    fn a_handshake_that_takes_too_long_is_closed_with_4108_and_dropped_after_the_closing_time() {
        let now = start().instant;
        let mut session = Session::handshaking(now, &config());
        assert_eq!(
            session.handle_timeout(now + 5 * SECOND - Duration::from_nanos(1), &config()),
            Timeout::Nothing
        );
        assert_eq!(
            follow(&mut session, &config(), now, 60 * SECOND, false),
            [
                (5 * SECOND, close(ErrorCode::LOGIN_TIMEOUT, "handshake")),
                (7 * SECOND, Timeout::Drop)
            ]
        );
    }

    #[test]
    fn the_time_to_log_in_begins_when_the_handshake_is_done() {
        let now = start().instant;
        let mut session = Session::handshaking(now, &config());
        assert!(session.is_handshaking());
        session.handle_secured(now + 4 * SECOND, &config());
        assert!(!session.is_handshaking());
        assert_eq!(session.next_deadline(&config()), now + 14 * SECOND);
    }

    #[test]
    fn a_client_that_does_not_log_in_is_closed_with_4108_however_many_frames_it_sends() {
        let now = start().instant;
        let mut session = Session::anonymous(now, &config());
        for second in 0..10 {
            session.handle_frame(now + second * SECOND);
        }
        assert_eq!(
            session.handle_timeout(now + 10 * SECOND - Duration::from_nanos(1), &config()),
            Timeout::Nothing
        );
        assert_eq!(
            follow(&mut session, &config(), now, 60 * SECOND, false)[0],
            (10 * SECOND, close(ErrorCode::LOGIN_TIMEOUT, ""))
        );
    }

    #[test]
    fn a_login_whose_home_does_not_answer_ends_in_a_timeout() {
        let now = start().instant;
        let mut session = Session::anonymous(now, &config());
        session.handle_login(now + 3 * SECOND, &config());
        assert!(session.is_registering());
        assert_eq!(
            follow(&mut session, &config(), now, 60 * SECOND, false)[0],
            (
                13 * SECOND,
                Timeout::Close(
                    Refusal::with_detail(ErrorCode::SERVER_UNAVAILABLE, "overload").retry_after(OVERLOAD_RETRY)
                )
            )
        );
    }

    #[test]
    fn a_silent_client_is_closed_at_two_and_a_half_intervals_and_not_before() {
        let now = start();
        let mut session = online(now, 3600 * SECOND);
        let silent = Duration::from_millis(75_000);
        assert_eq!(
            session.handle_timeout(now.instant + silent - Duration::from_nanos(1), &config()),
            Timeout::Nothing
        );
        assert_eq!(
            follow(&mut session, &config(), now.instant, 300 * SECOND, false)[0],
            (silent, close(ErrorCode::PING_TIMEOUT, ""))
        );
    }

    #[test]
    fn any_frame_is_a_sign_of_life_and_bytes_alone_are_none() {
        let now = start();
        let mut session = online(now, 3600 * SECOND);
        session.handle_frame(now.instant + 70 * SECOND);
        session.handle_bytes(1).unwrap();
        assert_eq!(session.next_deadline(&config()), now.instant + 145 * SECOND);
    }

    #[test]
    fn a_client_that_pings_at_every_interval_is_never_closed() {
        let now = start();
        let mut session = online(now, 7200 * SECOND);
        assert_eq!(follow(&mut session, &config(), now.instant, 3600 * SECOND, true), []);
    }

    #[test]
    fn the_end_of_the_token_is_announced_once_and_closes_after_the_grace() {
        let now = start();
        let mut session = online(now, 100 * SECOND);
        assert_eq!(
            follow(&mut session, &config(), now.instant, 300 * SECOND, true),
            [
                (70 * SECOND, Timeout::TokenWillExpire { seconds: 30 }),
                (130 * SECOND, close(ErrorCode::TOKEN_INVALID, "expired")),
                (132 * SECOND, Timeout::Drop)
            ]
        );
    }

    #[test]
    fn a_token_with_less_than_the_warning_left_is_announced_at_once() {
        let now = start();
        let mut session = online(now, Duration::from_millis(12_700));
        assert!(session.next_deadline(&config()) <= now.instant);
        assert_eq!(
            session.handle_timeout(now.instant, &config()),
            Timeout::TokenWillExpire { seconds: 12 }
        );
        assert_eq!(session.handle_timeout(now.instant, &config()), Timeout::Nothing);
    }

    #[test]
    fn a_token_counts_as_expired_from_its_very_end_on() {
        let now = start();
        let session = online(now, 100 * SECOND);
        let online = session.online().expect("logged in");
        let end = now.instant + 100 * SECOND;
        assert!(!online.is_expired(end - Duration::from_nanos(1)));
        assert!(online.is_expired(end));
    }

    #[test]
    fn a_renewed_token_is_announced_anew_and_the_old_end_is_forgotten() {
        let now = start();
        let mut session = online(now, 100 * SECOND);
        assert_eq!(
            session.handle_timeout(now.instant + 70 * SECOND, &config()),
            Timeout::TokenWillExpire { seconds: 30 }
        );
        // In the grace, after the old token ended.
        session.handle_renewed(now + 200 * SECOND);
        assert!(!session.online().unwrap().is_expired(now.instant + 120 * SECOND));
        assert_eq!(
            follow(&mut session, &config(), now.instant, 400 * SECOND, true),
            [
                (170 * SECOND, Timeout::TokenWillExpire { seconds: 30 }),
                (230 * SECOND, close(ErrorCode::TOKEN_INVALID, "expired")),
                (232 * SECOND, Timeout::Drop)
            ]
        );
    }

    #[test]
    fn the_bytes_before_the_login_are_capped_and_those_after_it_are_not() {
        let now = start();
        let mut session = Session::anonymous(now.instant, &config());
        session.handle_bytes(limits::BYTES_BEFORE_LOGIN - 1).unwrap();
        session.handle_bytes(1).unwrap();
        let refusal = session.handle_bytes(1).unwrap_err();
        assert_eq!(
            (refusal.code, &*refusal.detail),
            (ErrorCode::FRAME_TOO_LONG, "before_login")
        );
        let mut session = online(now, 100 * SECOND);
        for _ in 0..100 {
            session.handle_bytes(limits::BYTES_BEFORE_LOGIN).unwrap();
        }
    }

    #[test]
    fn long_frames_are_for_those_who_are_logged_in() {
        let now = start();
        let mut session = Session::anonymous(now.instant, &config());
        assert_eq!(session.frame_bytes_max(), limits::CLIENT_FRAME_BYTES_BEFORE_LOGIN);
        session.handle_login(now.instant, &config());
        assert_eq!(session.frame_bytes_max(), limits::CLIENT_FRAME_BYTES_BEFORE_LOGIN);
        session.handle_registered(now, &accepted(now, 100 * SECOND));
        assert_eq!(session.frame_bytes_max(), limits::CLIENT_FRAME_BYTES);
    }

    #[test]
    fn a_second_close_neither_moves_the_end_nor_gives_the_session_back_again() {
        let now = start();
        let mut session = online(now, 100 * SECOND);
        assert!(session.handle_close(now.instant, &config()).is_some());
        assert!(session.handle_close(now.instant + SECOND, &config()).is_none());
        assert!(session.is_closing());
        assert_eq!(session.next_deadline(&config()), now.instant + 2 * SECOND);
    }

    #[derive(Debug, Clone)]
    enum Step {
        Wait(u64),
        Frame,
        Secured,
        Login { token_left_ms: u64 },
        Renewed { token_left_ms: u64 },
        Close,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            4 => (0_u64..40_000).prop_map(Step::Wait),
            3 => Just(Step::Frame),
            1 => Just(Step::Secured),
            1 => (1_u64..200_000).prop_map(|token_left_ms| Step::Login { token_left_ms }),
            1 => (1_u64..200_000).prop_map(|token_left_ms| Step::Renewed { token_left_ms }),
            1 => Just(Step::Close),
        ];
        prop::collection::vec(step, 1..60)
    }

    proptest! {
        /// Whatever happened before: nothing comes of a timeout before its deadline, and at the deadline something does,
        /// so that a timer that follows the deadlines neither fires in vain for ever nor misses anything.
        #[test]
        fn a_timeout_acts_at_its_deadline_and_never_before(steps in steps(), secure in any::<bool>()) {
            let config = config();
            let mut now = start();
            let mut session = if secure {
                Session::handshaking(now.instant, &config)
            } else {
                Session::anonymous(now.instant, &config)
            };
            for step in steps {
                match step {
                    Step::Wait(ms) => now = now + Duration::from_millis(ms),
                    Step::Frame => session.handle_frame(now.instant),
                    Step::Secured => session.handle_secured(now.instant, &config),
                    Step::Login { token_left_ms } if !session.is_closing() && session.online().is_none() => {
                        session.handle_login(now.instant, &config);
                        session.handle_registered(now, &accepted(now, Duration::from_millis(token_left_ms)));
                    }
                    Step::Renewed { token_left_ms } => session.handle_renewed(now + Duration::from_millis(token_left_ms)),
                    Step::Close => {
                        session.handle_close(now.instant, &config);
                    }
                    Step::Login { .. } => {}
                }
                let deadline = session.next_deadline(&config);
                let timeout = session.handle_timeout(now.instant, &config);
                if now.instant < deadline {
                    prop_assert_eq!(timeout, Timeout::Nothing);
                    prop_assert_eq!(session.next_deadline(&config), deadline);
                    continue;
                }
                match timeout {
                    Timeout::Nothing => prop_assert!(session.next_deadline(&config) > deadline),
                    Timeout::TokenWillExpire { .. } => prop_assert!(session.next_deadline(&config) > deadline),
                    Timeout::Close(_) => {
                        prop_assert!(!session.is_closing());
                        session.handle_close(now.instant, &config);
                    }
                    Timeout::Drop => {
                        prop_assert!(session.is_closing());
                        break;
                    }
                }
            }
        }
    }
}
