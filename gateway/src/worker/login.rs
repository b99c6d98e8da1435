//! A login at its connection: the end of what [`crate::worker::user_home`] decides.

use std::rc::Rc;
use std::time::Instant;

use sluice_protocol::{ErrorCode, Limits, LoginResult, reply};

use crate::clock::Now;
use crate::frames;
use crate::identity::User;
use crate::metrics::Metric;
use crate::refusal::Refusal;
use crate::session::users::{Arrival, Ended, Granted};
use crate::worker::Worker;
use crate::worker::close::CloseReason;
use crate::worker::connection::{Connection, Errand, Label};
use crate::worker::mailbox::Message;
use crate::worker::resume::Walk;

/// Values of labels, by their place in the table of metrics.
const ACCEPTED: usize = 0;
const REFUSED: usize = 1;

impl Worker {
    /// Refuses a login, and ends the connection. Whoever guesses is not told why for ever.
    pub(super) fn refuse_login(self: &Rc<Self>, connection: &Rc<Connection>, request_id: u32, refusal: Refusal) {
        self.metrics.add_labelled(Metric::Logins, REFUSED, 1);
        let peer = connection.transport.peer().ip();
        let told = self.guesses.borrow_mut().judge(Instant::now(), peer, refusal.clone());
        if told.code == ErrorCode::CONNECT_TOO_OFTEN {
            self.metrics.add(Metric::LoginsTooOften, 1);
            self.count_token_reject(&refusal);
        }
        self.answer(connection, &frames::refuse(request_id, &told));
        self.close(connection, &told, CloseReason::LoginRefused);
    }

    /// The user's home has decided.
    pub(super) fn registered(self: &Rc<Self>, arrival: &Arrival, result: Result<Granted, Refusal>, now: Now) {
        let connection = self.answered(arrival.connection.key, false);
        let registering = |connection: &Rc<Connection>| connection.state.borrow().session.is_registering();
        let Some(connection) = connection.filter(registering) else {
            return self.give_back(arrival, result);
        };
        let granted = match result {
            Ok(granted) => granted,
            Err(refusal) => return self.refuse_login(&connection, arrival.request_id, refusal),
        };
        let login = &arrival.login;
        {
            let mut state = connection.state.borrow_mut();
            state.session.handle_registered(now, login);
            self.set_label(&connection, &mut state, Label::Online);
            self.metrics
                .record(Metric::LoginDuration, 0, state.opened.elapsed().as_secs_f64());
        }
        self.metrics.add_labelled(Metric::Logins, ACCEPTED, 1);
        self.metrics.shift(Metric::SessionsOnline, 1);
        tracing::debug!(
            session = granted.id.to_text(),
            user = ?login.user.id.as_str(),
            platform = ?login.platform,
            device = ?login.device_id,
            package = ?login.package_name,
            sdk = ?login.sdk,
            how = ?granted.how,
            "logged in"
        );
        let datagrams = login.datagrams && connection.transport.datagram_bytes_max().is_some();
        if datagrams {
            connection.outbox.borrow_mut().send_barrage_in_datagrams();
        }
        let ms = |duration: std::time::Duration| u32::try_from(duration.as_millis()).unwrap_or(u32::MAX);
        let window = self.config().sessions.resume_window;
        let secret = (!window.is_zero()).then(|| granted.secret.to_text());
        let result = LoginResult {
            session_id: granted.id.to_text(),
            user_id: login.user.id.as_str().to_owned(),
            heartbeat_interval_ms: ms(self.config().connections.heartbeat_interval),
            server_time_ms: login.started_at_ms,
            token_expires_at_ms: login.token_expires.unix_ms,
            limits: Some(self.limits_of(&login.user)),
            datagrams,
            resume_secret: secret.unwrap_or_default(),
            resume_window_ms: ms(window),
            resumed: granted.resumed.is_some(),
        };
        self.answer(
            &connection,
            &frames::reply(arrival.request_id, reply::Result::Login(result)),
        );
        if let Some(lost) = granted.resumed {
            let known = login.resume.as_ref().map_or(&[][..], |resume| &resume.known);
            connection.state.borrow_mut().errand = Some(Box::new(Errand::Walk(Walk::new(*lost, known))));
            self.resume_rooms(&connection);
        }
        self.rearm(&connection, now.instant);
    }

    /// What is in force for a session of this user.
    fn limits_of(&self, user: &User) -> Limits {
        let rooms = self.shared.apps.get(user.app).settings.rooms_per_user;
        Limits {
            rooms_per_session: u32::try_from(rooms).unwrap_or(u32::MAX),
            ..Limits::of_protocol()
        }
    }

    /// The connection ended while its login was decided, and the home does not know.
    fn give_back(&self, arrival: &Arrival, result: Result<Granted, Refusal>) {
        let Ok(granted) = result else { return };
        let (user, connection) = (&arrival.login.user, arrival.connection);
        let message = match granted.resumed {
            Some(lost) => Message::Returned { connection, lost },
            None => Message::Unregister {
                user: user.key(),
                connection,
                ended: Ended::Otherwise,
            },
        };
        self.post(self.home_of_user(user), message);
    }
}
