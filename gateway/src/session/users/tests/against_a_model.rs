//! A home and two workers whose values cross on the way, in every order that can be: whatever clients do, no place is left behind or
//! given up twice, and no session has two connections.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use proptest::prelude::*;

use super::*;

const WORKERS: usize = 2;

/// What a client does, or what happens to it. Numbers choose among what there is.
#[derive(Debug, Clone)]
enum Step {
    LogIn {
        worker: usize,
        platform: bool,
        /// Which of the secrets that were ever given out.
        secret: Option<usize>,
        automatic: bool,
    },
    /// A connection is lost, without a word.
    Lose(usize),
    LogOut(usize),
    Evict,
    Wait(u64),
    /// One value arrives at the home, from this worker.
    Up(usize),
    /// One arrives at this worker.
    Down(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let secret = prop::option::weighted(0.7, 0_usize..6);
    let log_in = (0..WORKERS, any::<bool>(), secret, any::<bool>());
    let step = prop_oneof![
        4 => log_in.prop_map(|(worker, platform, secret, automatic)| Step::LogIn { worker, platform, secret, automatic }),
        3 => (0_usize..8).prop_map(Step::Lose),
        1 => (0_usize..8).prop_map(Step::LogOut),
        1 => Just(Step::Evict),
        2 => (0_u64..20).prop_map(Step::Wait),
        8 => (0..WORKERS).prop_map(Step::Up),
        8 => (0..WORKERS).prop_map(Step::Down),
    ];
    prop::collection::vec(step, 1..120)
}

fn policies() -> impl Strategy<Value = SingleLogin> {
    prop_oneof![
        Just(SingleLogin::Single),
        Just(SingleLogin::PerPlatform),
        (1_u32..4).prop_map(SingleLogin::Multi),
    ]
}

/// To the home.
#[derive(Debug)]
enum Up {
    Register(Box<Arrival>),
    Unregister(ConnectionRef, Ended),
    Detached(Box<Lost>),
    Returned(ConnectionRef, Box<Lost>),
}

/// To a worker.
#[derive(Debug)]
enum Down {
    Registered(Box<Arrival>, Option<Granted>),
    Close(ConnectionRef, ErrorCode),
    Supplant(ConnectionRef),
}

/// A connection that is not gone.
#[derive(Debug, Clone, Copy)]
struct Open {
    connection: ConnectionRef,
    /// `None`: the home has not answered yet.
    session: Option<SessionId>,
}

/// What is to be done with the place of a connection that ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Kept,
    GivenUp,
}

/// A place in the room, as the room knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    OfSession,
    KeptForUser,
}

struct World {
    desk: Desk,
    now: Instant,
    unix_ms: i64,
    up: [VecDeque<Up>; WORKERS],
    down: [VecDeque<Down>; WORKERS],
    open: Vec<Open>,
    /// Secrets that clients got, with when the session logged in or went on.
    secrets: Vec<(ResumeSecret, i64)>,
    /// Whose places the room has.
    places: BTreeMap<ConnectionRef, Place>,
}

impl PartialOrd for ConnectionRef {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ConnectionRef {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.worker.0, self.key).cmp(&(other.worker.0, other.key))
    }
}

impl World {
    fn new(policy: SingleLogin) -> Self {
        let desk = Desk::new(policy);
        Self {
            now: desk.start,
            desk,
            unix_ms: 1_800_000_000_000,
            up: Default::default(),
            down: Default::default(),
            open: Vec::new(),
            secrets: Vec::new(),
            places: BTreeMap::new(),
        }
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::LogIn {
                worker,
                platform,
                secret,
                automatic,
            } => {
                self.unix_ms += 1;
                let newest = self.secrets.len();
                let held = secret.and_then(|back| self.secrets.get(newest.checked_sub(back + 1)?));
                let login = Login {
                    platform: if platform { Platform::Ios } else { Platform::Android },
                    lost_ms: held.filter(|_| automatic).map(|(_, began_ms)| *began_ms),
                    secret: held.map(|(secret, _)| *secret),
                    ..Login::at(self.unix_ms)
                };
                let mut arrival = self.desk.arrival("alice", login);
                arrival.connection.worker = WorkerIndex(u16::try_from(worker).unwrap());
                self.open.push(Open {
                    connection: arrival.connection,
                    session: None,
                });
                self.up[worker].push_back(Up::Register(arrival));
            }
            Step::Lose(number) => {
                if let Some(open) = self.open.get(number).copied() {
                    self.end(open, End::Kept);
                }
            }
            Step::LogOut(number) => {
                if let Some(open) = self.open.get(number).copied().filter(|open| open.session.is_some()) {
                    self.end(open, End::GivenUp);
                }
            }
            Step::Evict => {
                let refusal = Refusal::new(ErrorCode::USER_BLOCKED);
                let decisions = self.desk.users.evict(&named("alice").key(), &refusal);
                self.carry_out(decisions);
            }
            Step::Wait(seconds) => {
                self.now += Duration::from_secs(seconds);
                let decisions = self.desk.users.expire(self.now, 3);
                self.carry_out(decisions);
            }
            Step::Up(worker) => self.at_home(worker),
            Step::Down(worker) => self.at_worker(worker),
        }
    }

    /// As a worker does it when a connection ends.
    fn end(&mut self, open: Open, end: End) {
        let connection = open.connection;
        self.open.retain(|other| other.connection != connection);
        if open.session.is_none() {
            // The answer will find it gone.
            return;
        }
        let message = match end {
            End::Kept => Up::Detached(Box::new(Lost::new(named("alice"), connection, vec![room()]))),
            End::GivenUp => {
                self.give_up(connection);
                Up::Unregister(connection, Ended::LoggedOut)
            }
        };
        self.up[connection.worker.get()].push_back(message);
    }

    fn give_up(&mut self, connection: ConnectionRef) {
        assert!(self.places.remove(&connection).is_some(), "a place is given up once");
    }

    fn at_home(&mut self, worker: usize) {
        let (users, policy) = (&mut self.desk.users, self.desk.policy);
        let decisions = match self.up[worker].pop_front() {
            None => return,
            Some(Up::Register(arrival)) => users.register(arrival, policy),
            Some(Up::Unregister(connection, ended)) => {
                users.unregister(&named("alice").key(), connection, ended, policy)
            }
            Some(Up::Detached(lost)) => users.detached(self.now, lost),
            Some(Up::Returned(connection, lost)) => users.returned(self.now, connection, lost),
        };
        self.carry_out(decisions);
    }

    fn carry_out(&mut self, decisions: Vec<Decision>) {
        for decision in decisions {
            let (to, message) = match decision {
                Decision::Grant(arrival, granted) => (arrival.connection, Down::Registered(arrival, Some(granted))),
                Decision::Refuse(arrival, _) => (arrival.connection, Down::Registered(arrival, None)),
                Decision::Close(to, refusal) => (to, Down::Close(to, refusal.code)),
                Decision::Supplant(to) => (to, Down::Supplant(to)),
                Decision::Leave(lost, _) => {
                    self.give_up(lost.connection);
                    continue;
                }
                Decision::KeepForUser(lost) => {
                    // Too late, where it was given up meanwhile.
                    let place = self.places.get_mut(&lost.connection);
                    place.into_iter().for_each(|place| *place = Place::KeptForUser);
                    continue;
                }
            };
            self.down[to.worker.get()].push_back(message);
        }
    }

    fn at_worker(&mut self, worker: usize) {
        match self.down[worker].pop_front() {
            None => {}
            Some(Down::Registered(arrival, granted)) => self.registered(&arrival, granted),
            Some(Down::Close(connection, code)) => {
                let end = if code == ErrorCode::USER_BLOCKED {
                    End::GivenUp
                } else {
                    End::Kept
                };
                self.close(connection, end);
            }
            Some(Down::Supplant(connection)) => self.close(connection, End::Kept),
        }
    }

    fn close(&mut self, connection: ConnectionRef, end: End) {
        let open = self.open.iter().find(|open| open.connection == connection).copied();
        if let Some(open) = open {
            assert!(open.session.is_some(), "only who was granted a login is closed");
            self.end(open, end);
        }
    }

    fn registered(&mut self, arrival: &Arrival, granted: Option<Granted>) {
        let connection = arrival.connection;
        let open = self.open.iter_mut().find(|open| open.connection == connection);
        match (open, granted) {
            (Some(_), None) => self.open.retain(|open| open.connection != connection),
            (None, None) => {}
            (Some(open), Some(granted)) => {
                open.session = Some(granted.id);
                if let Some(lost) = granted.resumed {
                    self.give_up(lost.connection);
                }
                self.places.insert(connection, Place::OfSession);
                self.secrets.push((granted.secret, arrival.login.started_at_ms));
            }
            (None, Some(granted)) => {
                let message = match granted.resumed {
                    Some(lost) => Up::Returned(connection, lost),
                    None => Up::Unregister(connection, Ended::Otherwise),
                };
                self.up[connection.worker.get()].push_back(message);
            }
        }
    }

    fn settle(&mut self) {
        while self.up.iter().any(|queue| !queue.is_empty()) || self.down.iter().any(|queue| !queue.is_empty()) {
            for worker in 0..WORKERS {
                self.at_home(worker);
                self.at_worker(worker);
            }
        }
    }

    /// What holds once nothing is under way any more.
    fn check(&self) {
        let key = named("alice").key();
        let users = &self.desk.users;
        let online: BTreeSet<ConnectionRef> = self.open.iter().map(|open| open.connection).collect();
        let known: BTreeSet<ConnectionRef> = users.connections(&key).collect();
        assert_eq!(online, known, "the home knows who is online");
        assert!(users.heirs.is_empty(), "nobody waits in vain");
        let ids: BTreeSet<String> = self
            .open
            .iter()
            .map(|open| open.session.expect("answered").to_text())
            .collect();
        assert_eq!(ids.len(), self.open.len(), "no session has two connections");
        assert_eq!(
            self.places.len(),
            self.open.len() + users.parked(),
            "a place for each who is online or parked, and no other"
        );
        let live = users.of(&key).len();
        let resumable = users.parked.resumable(&key).len();
        let of_sessions = self.places.values().filter(|place| **place == Place::OfSession);
        assert_eq!(
            of_sessions.count(),
            live + resumable,
            "the room knows which places no session will take again"
        );
        let most = match self.desk.policy {
            SingleLogin::Single => 1,
            SingleLogin::PerPlatform => 2,
            SingleLogin::Multi(most) => most as usize,
        };
        assert!(live + resumable <= most, "{live} live, {resumable} parked");
    }
}

proptest! {
    #[test]
    fn no_order_of_events_leaves_a_place_behind_or_gives_a_session_to_two(steps in steps(), policy in policies()) {
        let mut world = World::new(policy);
        for step in steps {
            world.take(step);
        }
        world.settle();
        world.check();
        // In the end everybody goes.
        while let Some(open) = world.open.first().copied() {
            world.end(open, End::Kept);
        }
        world.settle();
        world.check();
        world.now += WINDOW;
        let decisions = world.desk.users.expire(world.now, usize::MAX);
        world.carry_out(decisions);
        prop_assert!(world.places.is_empty());
        prop_assert_eq!((world.desk.users.len(), world.desk.users.parked()), (0, 0));
    }
}
