mod against_a_model;

use rustls::crypto::aws_lc_rs;
use slotmap::SlotMap;
use sluice_protocol::{IdProfile, RoomId, UserId};

use super::*;
use crate::clock::Now;
use crate::identity::{AppIndex, ConnectionKey, RoomKey, WorkerIndex};
use crate::session::login::Resume;

const WINDOW: Duration = Duration::from_secs(30);

/// The home of alice's sessions.
struct Desk {
    users: Users,
    keys: SlotMap<ConnectionKey, ()>,
    policy: SingleLogin,
    start: Instant,
    /// Whose places are kept for another device of the user alone, as the rooms were told.
    kept_for_user: Vec<ConnectionRef>,
}

/// A session as its client knows it.
#[derive(Debug, Clone, Copy)]
struct Held {
    connection: ConnectionRef,
    id: SessionId,
    secret: ResumeSecret,
}

/// How somebody logs in.
#[derive(Debug, Clone, Copy)]
struct Login {
    platform: Platform,
    at_ms: i64,
    opened_ms: i64,
    sending: Sending,
    device: &'static str,
    /// When the session began that a library lost.
    lost_ms: Option<i64>,
    secret: Option<ResumeSecret>,
}

impl Login {
    fn at(at_ms: i64) -> Self {
        Self {
            platform: Platform::Ios,
            at_ms,
            opened_ms: at_ms,
            sending: Sending::Open,
            device: "",
            lost_ms: None,
            secret: None,
        }
    }

    /// On a connection of then.
    fn opened(self, opened_ms: i64) -> Self {
        Self { opened_ms, ..self }
    }

    fn ended(self) -> Self {
        Self {
            sending: Sending::Ended,
            ..self
        }
    }

    fn device(self, device: &'static str) -> Self {
        Self { device, ..self }
    }

    fn on(self, platform: Platform) -> Self {
        Self { platform, ..self }
    }

    fn with(self, held: Held) -> Self {
        Self {
            secret: Some(held.secret),
            ..self
        }
    }

    fn automatic(self, lost_ms: i64) -> Self {
        Self {
            lost_ms: Some(lost_ms),
            ..self
        }
    }
}

impl Desk {
    fn new(policy: SingleLogin) -> Self {
        Self {
            users: Users::with_parked(Parked::new(WINDOW, 100)),
            keys: SlotMap::with_key(),
            policy,
            start: Instant::now(),
            kept_for_user: Vec::new(),
        }
    }

    fn arrival(&mut self, user: &str, login: Login) -> Box<Arrival> {
        let connection = ConnectionRef {
            worker: WorkerIndex(0),
            key: self.keys.insert(()),
        };
        let now = Now {
            instant: self.start,
            unix_ms: login.at_ms,
        };
        let resume = login.secret.map(|secret| {
            let known = Vec::new();
            Box::new(Resume { secret, known })
        });
        let accepted = Accepted {
            user: named(user),
            platform: login.platform,
            device_id: login.device.into(),
            package_name: "".into(),
            sdk: "".into(),
            resumes_session_of_ms: login.lost_ms,
            started_at_ms: login.at_ms,
            token_expires: now,
            datagrams: false,
            resume,
        };
        Box::new(Arrival {
            connection,
            opened: self.start + Duration::from_millis(login.opened_ms.unsigned_abs()),
            sending: login.sending,
            request_id: 1,
            login: Box::new(accepted),
            papers: Papers::new(aws_lc_rs::default_provider().secure_random),
        })
    }

    fn ask(&mut self, login: Login) -> Vec<Decision> {
        let arrival = self.arrival("alice", login);
        let decisions = self.users.register(arrival, self.policy);
        self.note(decisions)
    }

    /// Takes note of what rooms are told of places that are kept; returns the other decisions.
    fn note(&mut self, decisions: Vec<Decision>) -> Vec<Decision> {
        let (kept, others): (Vec<_>, Vec<_>) = decisions
            .into_iter()
            .partition(|decision| matches!(decision, Decision::KeepForUser(_)));
        self.kept_for_user
            .extend(kept.into_iter().map(|decision| match decision {
                Decision::KeepForUser(lost) => {
                    assert_eq!(lost.rooms, [room()]);
                    lost.connection
                }
                other => panic!("{other:?}"),
            }));
        others
    }

    fn log_out(&mut self, held: Held) -> Vec<Decision> {
        self.users
            .unregister(&named("alice").key(), held.connection, Ended::LoggedOut, self.policy)
    }

    /// Logs in and returns the session and whom it displaced.
    fn log_in(&mut self, login: Login) -> (Held, Vec<ConnectionRef>) {
        let mut decisions = self.ask(login);
        let (held, granted) = granted(decisions.pop().expect("a decision"));
        assert!(granted.resumed.is_none(), "{granted:?}");
        (held, decisions.into_iter().map(displaced).collect())
    }

    fn resume(&mut self, login: Login) -> (Held, Granted) {
        let mut decisions = self.ask(login);
        let last = granted(decisions.pop().expect("a decision"));
        assert!(decisions.is_empty(), "{decisions:?}");
        last
    }

    /// Logs in, whatever comes of the secret, and returns whom that displaced.
    fn resume_or_displace(&mut self, login: Login) -> Vec<ConnectionRef> {
        let mut decisions = self.ask(login);
        assert_eq!(granted(decisions.pop().expect("a decision")).1.how, How::Unknown);
        decisions.into_iter().map(displaced).collect()
    }

    /// The connection is lost; it was inside one room.
    fn lose(&mut self, held: Held) -> Vec<Decision> {
        let lost = Lost::new(named("alice"), held.connection, vec![room()]);
        let decisions = self.users.detached(self.start, Box::new(lost));
        self.note(decisions)
    }

    /// The connection is lost before it has heard that it goes on with a session.
    fn give_back(&mut self, died: Held, lost: Box<Lost>) -> Vec<Decision> {
        let decisions = self.users.returned(self.start, died.connection, lost);
        self.note(decisions)
    }

    fn expire(&mut self, after: Duration) -> Vec<(ConnectionRef, LeaveReason)> {
        let decisions = self.users.expire(self.start + after, 1000);
        decisions.into_iter().map(left).collect()
    }
}

fn named(user: &str) -> Arc<User> {
    Arc::new(User {
        app: AppIndex(0),
        id: UserId::parse(user, IdProfile::Zim).unwrap(),
        name: "".into(),
    })
}

fn room() -> RoomKey {
    RoomKey {
        app: AppIndex(0),
        id: RoomId::parse("lobby").unwrap(),
    }
}

fn granted(decision: Decision) -> (Held, Granted) {
    match decision {
        Decision::Grant(arrival, granted) => {
            let held = Held {
                connection: arrival.connection,
                id: granted.id,
                secret: granted.secret,
            };
            (held, granted)
        }
        other => panic!("{other:?}"),
    }
}

fn displaced(decision: Decision) -> ConnectionRef {
    match decision {
        Decision::Close(connection, refusal) => {
            assert_eq!(refusal, DISPLACED);
            connection
        }
        other => panic!("{other:?}"),
    }
}

fn left(decision: Decision) -> (ConnectionRef, LeaveReason) {
    match decision {
        Decision::Leave(lost, reason) => {
            assert_eq!(lost.rooms, [room()]);
            (lost.connection, reason)
        }
        other => panic!("{other:?}"),
    }
}

fn refused(mut decisions: Vec<Decision>) -> (ConnectionRef, i32, String) {
    match decisions.pop() {
        Some(Decision::Refuse(arrival, refusal)) if decisions.is_empty() => {
            (arrival.connection, refusal.code.number(), refusal.detail.into_owned())
        }
        other => panic!("{other:?}, {decisions:?}"),
    }
}

#[test]
fn a_single_login_displaces_the_one_before() {
    let mut desk = Desk::new(SingleLogin::Single);
    let (first, displaced) = desk.log_in(Login::at(1));
    assert!(displaced.is_empty());
    let (_, displaced) = desk.log_in(Login::at(2));
    assert_eq!(displaced, [first.connection]);
}

#[test]
fn per_platform_only_the_same_platform_is_displaced() {
    let mut desk = Desk::new(SingleLogin::PerPlatform);
    let (ios, _) = desk.log_in(Login::at(1));
    let (_, displaced) = desk.log_in(Login::at(2).on(Platform::Android));
    assert!(displaced.is_empty());
    let (_, displaced) = desk.log_in(Login::at(3));
    assert_eq!(displaced, [ios.connection]);
}

#[test]
fn of_several_allowed_the_oldest_is_displaced() {
    let mut desk = Desk::new(SingleLogin::Multi(2));
    let (first, _) = desk.log_in(Login::at(1));
    let (second, displaced) = desk.log_in(Login::at(2));
    assert!(displaced.is_empty());
    let (_, displaced) = desk.log_in(Login::at(3));
    assert_eq!(displaced, [first.connection]);
    let (_, displaced) = desk.log_in(Login::at(4));
    assert_eq!(displaced, [second.connection]);
}

#[test]
fn an_automatic_reconnect_never_displaces_a_newer_login() {
    let mut desk = Desk::new(SingleLogin::Single);
    desk.log_in(Login::at(10));
    let (newer, _) = desk.log_in(Login::at(20).on(Platform::Android));
    let (_, code, detail) = refused(desk.ask(Login::at(30).automatic(10)));
    assert_eq!((code, &*detail), (31010, "newer_login"));
    // One that lost the newest session itself takes its place.
    let (_, displaced) = desk.log_in(Login::at(40).automatic(20));
    assert_eq!(displaced, [newer.connection]);
}

#[test]
fn a_user_without_sessions_is_forgotten() {
    let mut desk = Desk::new(SingleLogin::Single);
    let (held, _) = desk.log_in(Login::at(1));
    assert!(desk.log_out(held).is_empty());
    assert_eq!(desk.users.len(), 0);
}

#[test]
fn a_parked_session_goes_on_with_its_name_its_places_and_a_new_secret() {
    let mut desk = Desk::new(SingleLogin::Single);
    let (first, _) = desk.log_in(Login::at(10));
    assert!(desk.lose(first).is_empty());
    assert_eq!((desk.users.len(), desk.users.parked()), (0, 1));
    let (second, granted) = desk.resume(Login::at(20).with(first));
    assert_eq!(granted.how, How::Resumed);
    assert_eq!(second.id, first.id);
    assert!(!second.secret.matches(&first.secret));
    let lost = granted.resumed.expect("what the connection left");
    assert_eq!((lost.connection, &lost.rooms[..]), (first.connection, &[room()][..]));
    assert_eq!((desk.users.len(), desk.users.parked()), (1, 0));
    assert!(desk.expire(WINDOW * 2).is_empty());
    // And again, and it counts as having begun when it did.
    desk.lose(second);
    let (_, granted) = desk.resume(Login::at(30).with(second).automatic(10));
    assert_eq!(granted.id, first.id);
}

#[test]
fn what_nobody_resumes_leaves_when_the_window_is_over() {
    let mut desk = Desk::new(SingleLogin::Single);
    let (held, _) = desk.log_in(Login::at(10));
    desk.lose(held);
    assert!(desk.expire(WINDOW - Duration::from_nanos(1)).is_empty());
    assert_eq!(desk.expire(WINDOW), [(held.connection, LeaveReason::Offline)]);
    let (_, granted) = desk.resume(Login::at(20).with(held));
    assert_eq!(granted.how, How::Unknown);
}

#[test]
fn a_secret_is_good_once_and_for_its_own_user_alone() {
    let mut desk = Desk::new(SingleLogin::Multi(9));
    let (held, _) = desk.log_in(Login::at(10));
    desk.lose(held);
    let arrival = desk.arrival("mallory", Login::at(15).with(held));
    let decision = desk.users.register(arrival, SingleLogin::Multi(9)).remove(0);
    assert_eq!(granted(decision).1.how, How::Unknown);
    assert_eq!(desk.resume(Login::at(20).with(held)).1.how, How::Resumed);
    assert_eq!(desk.resume(Login::at(30).with(held)).1.how, How::Unknown);
}

#[test]
fn of_two_parked_sessions_each_goes_on_with_its_own() {
    let mut desk = Desk::new(SingleLogin::Multi(2));
    let (phone, _) = desk.log_in(Login::at(10));
    let (tablet, _) = desk.log_in(Login::at(20));
    desk.lose(phone);
    desk.lose(tablet);
    let (back, granted) = desk.resume(Login::at(30).with(tablet));
    assert_eq!((granted.id, granted.how), (tablet.id, How::Resumed));
    let (_, granted) = desk.resume(Login::at(40).with(phone));
    assert_eq!((granted.id, granted.how), (phone.id, How::Resumed));
    // The oldest is still the one that logged in first.
    let (_, displaced) = desk.log_in(Login::at(50));
    assert_ne!(displaced, [back.connection]);
}

#[test]
fn who_resumes_a_session_that_is_not_known_to_be_lost_waits_until_its_connection_has_ended() {
    let mut desk = Desk::new(SingleLogin::Single);
    let (old, _) = desk.log_in(Login::at(10));
    let decisions = desk.ask(Login::at(20).with(old));
    assert!(matches!(decisions[..], [Decision::Supplant(connection)] if connection == old.connection));
    let decision = desk.lose(old).remove(0);
    let (new, granted) = granted(decision);
    assert_eq!((granted.how, granted.id), (How::TakenOver, old.id));
    assert_eq!(granted.resumed.expect("places").connection, old.connection);
    assert_eq!(
        desk.users.connections(&named("alice").key()).collect::<Vec<_>>(),
        [new.connection]
    );
}

#[test]
fn who_waits_for_a_session_that_logs_out_is_a_login_like_any_other() {
    let mut desk = Desk::new(SingleLogin::Single);
    let (old, _) = desk.log_in(Login::at(10));
    desk.ask(Login::at(20).with(old));
    let mut decisions = desk.log_out(old);
    let (new, granted) = granted(decisions.remove(0));
    assert_eq!(granted.how, How::Unknown);
    assert_ne!(new.id, old.id);
    assert!(granted.resumed.is_none() && decisions.is_empty());
}

#[test]
fn of_two_who_ask_for_one_session_the_first_gets_it() {
    let mut desk = Desk::new(SingleLogin::Multi(3));
    let (old, _) = desk.log_in(Login::at(10));
    assert!(matches!(desk.ask(Login::at(20).with(old))[..], [Decision::Supplant(_)]));
    assert_eq!(desk.resume(Login::at(21).with(old)).1.how, How::Unknown);
    assert_eq!(granted(desk.lose(old).remove(0)).1.how, How::TakenOver);
    assert_eq!(desk.users.connections(&named("alice").key()).len(), 2);
}

#[test]
fn whose_session_is_displaced_while_he_waits_for_it_is_told_so() {
    let mut desk = Desk::new(SingleLogin::Single);
    let (old, _) = desk.log_in(Login::at(10));
    desk.ask(Login::at(20).with(old));
    let decisions = desk.ask(Login::at(30));
    assert!(
        matches!(
            &decisions[..],
            [Decision::Close(connection, _), Decision::Refuse(_, refusal), Decision::Grant(..)]
                if *connection == old.connection && *refusal == DISPLACED
        ),
        "{decisions:?}"
    );
    // Its places stay for a while, so that the new one comes in unseen.
    assert!(desk.lose(old).is_empty());
    assert_eq!(desk.kept_for_user, [old.connection]);
    assert_eq!(desk.expire(WINDOW), [(old.connection, LeaveReason::Offline)]);
}

#[test]
fn a_displaced_session_keeps_its_places_and_cannot_be_resumed() {
    for lost_before in [true, false] {
        let mut desk = Desk::new(SingleLogin::Single);
        let (old, _) = desk.log_in(Login::at(10));
        if lost_before {
            desk.lose(old);
        }
        let (newer, displaced) = desk.log_in(Login::at(20));
        assert_eq!(displaced.is_empty(), lost_before);
        if !lost_before {
            assert!(desk.lose(old).is_empty());
        }
        assert_eq!(desk.kept_for_user, [old.connection], "the rooms are told");
        let (_, code, detail) = refused(desk.ask(Login::at(30).with(old).automatic(10)));
        assert_eq!((code, &*detail), (31010, "newer_login"));
        assert_eq!(desk.expire(WINDOW), [(old.connection, LeaveReason::Offline)]);
        assert_eq!(
            desk.users.connections(&named("alice").key()).collect::<Vec<_>>(),
            [newer.connection]
        );
    }
}

#[test]
fn with_the_logout_of_the_last_session_what_was_kept_for_another_device_is_given_up() {
    let mut desk = Desk::new(SingleLogin::PerPlatform);
    let (old, _) = desk.log_in(Login::at(10));
    let (tablet, _) = desk.log_in(Login::at(20).on(Platform::Android));
    desk.lose(old);
    let (new, _) = desk.log_in(Login::at(30));
    desk.lose(tablet);
    assert!(desk.log_out(new).is_empty(), "the tablet may come back");
    let (tablet, _) = desk.resume(Login::at(40).with(tablet));
    let gone: Vec<_> = desk.log_out(tablet).into_iter().map(left).collect();
    assert_eq!(gone, [(old.connection, LeaveReason::Logout)]);
    assert_eq!((desk.users.len(), desk.users.parked()), (0, 0));
}

#[test]
fn a_login_that_nobody_hears_of_is_no_logout() {
    let mut desk = Desk::new(SingleLogin::Single);
    let (old, _) = desk.log_in(Login::at(10));
    desk.lose(old);
    let (died, _) = desk.log_in(Login::at(20));
    let alice = named("alice").key();
    let decisions = desk
        .users
        .unregister(&alice, died.connection, Ended::Otherwise, desk.policy);
    assert!(decisions.is_empty(), "it will try again: {decisions:?}");
    assert_eq!(desk.expire(WINDOW), [(old.connection, LeaveReason::Offline)]);
}

#[test]
fn an_automatic_login_does_not_displace_a_newer_session_that_is_parked_either() {
    let mut desk = Desk::new(SingleLogin::Single);
    desk.log_in(Login::at(10));
    let (newer, _) = desk.log_in(Login::at(20));
    desk.lose(newer);
    assert_eq!(refused(desk.ask(Login::at(30).automatic(10))).1, 31010);
    assert_eq!(desk.resume(Login::at(40).with(newer)).1.how, How::Resumed);
}

#[test]
fn what_is_lost_gives_way_before_what_is_in_use() {
    let mut desk = Desk::new(SingleLogin::Multi(2));
    let (tablet, _) = desk.log_in(Login::at(10));
    let (phone, _) = desk.log_in(Login::at(20));
    desk.lose(phone);
    // The phone was switched off and on: it knows no secret.
    let (_, displaced) = desk.log_in(Login::at(30));
    assert!(displaced.is_empty());
    assert!(
        desk.users
            .connections(&named("alice").key())
            .any(|connection| connection == tablet.connection)
    );
    assert!(desk.users.parked.resumable(&named("alice").key()).is_empty());
}

#[test]
fn a_library_that_cannot_resume_takes_the_place_of_its_own_lost_session() {
    let mut desk = Desk::new(SingleLogin::Multi(2));
    let (phone, _) = desk.log_in(Login::at(10));
    let (tablet, _) = desk.log_in(Login::at(20));
    desk.lose(phone);
    desk.lose(tablet);
    // Both come back without a secret, the newer one first.
    desk.log_in(Login::at(30).automatic(20));
    desk.log_in(Login::at(40).automatic(10));
    assert_eq!(desk.users.connections(&named("alice").key()).len(), 2);
    assert!(desk.users.parked.resumable(&named("alice").key()).is_empty());
}

#[test]
fn who_dies_before_it_hears_of_its_session_may_come_again_with_the_secret_it_has() {
    let mut desk = Desk::new(SingleLogin::Single);
    let (old, _) = desk.log_in(Login::at(10));
    desk.lose(old);
    let (died, granted) = desk.resume(Login::at(20).with(old));
    let lost = granted.resumed.expect("places");
    assert!(desk.give_back(died, lost).is_empty());
    assert_eq!(desk.users.len(), 0);
    assert!(desk.kept_for_user.is_empty());
    let (_, granted) = desk.resume(Login::at(30).with(old));
    assert_eq!((granted.how, granted.id), (How::Resumed, old.id));
    assert_eq!(granted.resumed.expect("places").connection, old.connection);
}

#[test]
fn who_dies_before_it_hears_of_its_session_and_was_displaced_meanwhile_cannot_have_it() {
    let mut desk = Desk::new(SingleLogin::Single);
    let (old, _) = desk.log_in(Login::at(10));
    desk.lose(old);
    let (died, granted) = desk.resume(Login::at(20).with(old));
    let (newer, displaced) = desk.log_in(Login::at(30));
    assert_eq!(displaced, [died.connection]);
    let lost = granted.resumed.expect("places");
    assert!(desk.give_back(died, lost).is_empty());
    assert_eq!(desk.kept_for_user, [old.connection]);
    assert_eq!(desk.resume_or_displace(Login::at(40).with(old)), [newer.connection]);
    assert_eq!(desk.expire(WINDOW), [(old.connection, LeaveReason::Offline)]);
}

#[test]
fn who_is_evicted_has_nothing_left() {
    let mut desk = Desk::new(SingleLogin::Multi(9));
    let (parked, _) = desk.log_in(Login::at(10));
    let (live, _) = desk.log_in(Login::at(20));
    let (awaited, _) = desk.log_in(Login::at(30));
    desk.lose(parked);
    desk.ask(Login::at(40).with(awaited));
    let blocked = Refusal::with_detail(ErrorCode::USER_BLOCKED, "1800000000000");
    let decisions = desk.users.evict(&named("alice").key(), &blocked);
    let mut closed = Vec::new();
    let mut refused = 0;
    let mut gone = Vec::new();
    for decision in decisions {
        match decision {
            Decision::Close(connection, refusal) => {
                assert_eq!(refusal, blocked);
                closed.push(connection);
            }
            Decision::Refuse(_, refusal) => {
                assert_eq!(refusal, blocked);
                refused += 1;
            }
            other => gone.push(left(other)),
        }
    }
    assert_eq!(closed, [live.connection, awaited.connection]);
    assert_eq!(refused, 1);
    assert_eq!(gone, [(parked.connection, LeaveReason::UserBlocked)]);
    assert_eq!((desk.users.len(), desk.users.parked()), (0, 0));
    assert!(desk.users.heirs.is_empty());
    assert_eq!(desk.resume(Login::at(50).with(parked)).1.how, How::Unknown);
}

#[test]
fn a_login_that_its_device_has_given_up_for_another_connection_displaces_nobody() {
    for lost in [None, Some(5)] {
        let automatic = |login: Login| Login { lost_ms: lost, ..login };
        let mut desk = Desk::new(SingleLogin::Single);
        // It was opened first, and comes last.
        let (new, _) = desk.log_in(automatic(Login::at(10).opened(2).device("phone")));
        let (_, code, detail) = refused(desk.ask(automatic(Login::at(20).opened(1).device("phone"))));
        assert_eq!((code, &*detail), (31010, "newer_login"));
        // Nor does it when the new one is lost as well.
        desk.lose(new);
        let (_, code, detail) = refused(desk.ask(automatic(Login::at(21).opened(1).device("phone"))));
        assert_eq!((code, &*detail), (31010, "newer_login"));
    }
}

#[test]
fn a_login_on_a_connection_that_has_ended_displaces_no_session_of_its_device_that_is_in_use() {
    let mut desk = Desk::new(SingleLogin::Single);
    let (new, _) = desk.log_in(Login::at(10).device("phone"));
    let (_, code, detail) = refused(desk.ask(Login::at(20).device("phone").ended()));
    assert_eq!((code, &*detail), (31010, "newer_login"));
    // One that was lost goes nevertheless.
    desk.lose(new);
    let (_, displaced) = desk.log_in(Login::at(30).device("phone").ended());
    assert!(displaced.is_empty());
}

#[test]
fn another_device_displaces_whenever_its_connection_was_opened() {
    for login in [
        Login::at(20).opened(1).device("tablet"),
        Login::at(20).opened(1).device("phone").on(Platform::Android),
        Login::at(20).device("tablet").ended(),
        Login::at(20).opened(1),
    ] {
        let mut desk = Desk::new(SingleLogin::Single);
        let (old, _) = desk.log_in(Login::at(10).opened(2).device("phone"));
        let (_, displaced) = desk.log_in(login);
        assert_eq!(displaced, [old.connection], "{login:?}");
    }
    // Nobody knows whether those without a name are the same.
    let mut desk = Desk::new(SingleLogin::Single);
    let (old, _) = desk.log_in(Login::at(10).opened(2));
    let (_, displaced) = desk.log_in(Login::at(20).opened(1));
    assert_eq!(displaced, [old.connection]);
}

#[test]
fn a_session_that_goes_on_does_so_with_the_connection_it_has_now() {
    let mut desk = Desk::new(SingleLogin::Single);
    let phone = |at_ms| Login::at(at_ms).device("phone");
    let (old, _) = desk.log_in(phone(10));
    desk.lose(old);
    let (_, granted) = desk.resume(phone(30).with(old).automatic(10));
    assert_eq!(granted.how, How::Resumed);
    // With the secret that is spent, on the connection before.
    for login in [phone(31), Login::at(31)] {
        let (_, code, detail) = refused(desk.ask(login.opened(20).with(old).automatic(10)));
        assert_eq!((code, &*detail), (31010, "newer_login"));
    }
}

#[test]
fn a_library_that_did_not_hear_of_the_session_it_began_takes_its_place_and_no_other() {
    let mut desk = Desk::new(SingleLogin::Single);
    // From before the server was started anew.
    let (lost, _) = desk.log_in(Login::at(10));
    desk.log_out(lost);
    let returning = |at_ms| Login::at(at_ms).with(lost).automatic(10);
    let (unheard, _) = desk.log_in(returning(20));
    let (heard, displaced) = desk.log_in(returning(30));
    assert_eq!(displaced, [unheard.connection]);
    // Not so when it comes late, on the connection before.
    let (_, code, detail) = refused(desk.ask(returning(31).opened(20)));
    assert_eq!((code, &*detail), (31010, "newer_login"));
    // Nor where somebody else has logged in since.
    let (_, displaced) = desk.log_in(Login::at(40));
    assert_eq!(displaced, [heard.connection]);
    let (_, code, detail) = refused(desk.ask(returning(50)));
    assert_eq!((code, &*detail), (31010, "newer_login"));
}
