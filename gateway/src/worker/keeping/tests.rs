//! A worker whose store is held up: what waits for the disk, what does not, and what is turned away.

use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use sluice_protocol::{IdProfile, RoomId, RoomPreset, UserId};
use tokio::sync::watch;

use super::*;
use crate::admission::Admission;
use crate::clock::Now;
use crate::config::{App, Config};
use crate::conversation::{self, Command, Conversations};
use crate::handshake;
use crate::identity::{AppIndex, ConnectionKey, User, WorkerIndex};
use crate::metrics::{Registry, WorkerFigures};
use crate::policy::Policies;
use crate::push;
use crate::room::{Answer, Create, Enter, NewRoom, Order, Request, RoomPlaces};
use crate::session::apps::Apps;
use crate::store::{Asker, KeptRoom, Store};
use crate::worker::mailbox::Outside;
use crate::worker::{Listeners, Mailbox, Operator, Shared, WorkerHandle, mailboxes, start};

/// One worker without listeners.
struct Alone {
    operator: Operator,
    outside: Outside,
    worker: WorkerHandle,
    stop: watch::Sender<bool>,
    folder: PathBuf,
    /// Of a worker that does not run, so that it stays as full as it is.
    _idle: Mailbox,
}

/// Keeps the writer busy until it is dropped.
struct Held {
    _release: mpsc::Sender<()>,
}

impl Alone {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("sluice-keeping-{name}-{}", std::process::id()));
        let mut config = Config::defaults(&folder);
        config.apps = vec![App::new("app")];
        config.workers = 1;
        let (store, _) = Store::open(&folder, Now::read().unix_ms).expect("the store opens");
        let (stop, stopping) = watch::channel(false);
        let registry = Registry::new();
        let policies = Arc::new(Policies::new(&config.apps));
        let conversations = Conversations::new(store.clone(), &config.apps, policies.clone(), WorkerIndex(2));
        let pushes = push::start(&config.apps, &handshake::provider(), &registry);
        let (pushes, _) = pushes.expect("no hook to call");
        let shared = Arc::new(Shared {
            apps: Apps::new(&config).expect("an app without keys"),
            store,
            conversations,
            pushes,
            policies,
            room_places: Arc::new(RoomPlaces::new(&config.apps)),
            registry,
            homes: hashbrown::DefaultHashBuilder::default(),
            random: handshake::provider().secure_random,
            workers: vec![WorkerFigures::default()],
            started: Instant::now(),
            config,
        });
        let [mailbox, idle] = mailboxes(2).try_into().expect("two");
        let outside = mailbox.outside(shared.config.rooms.mailbox_messages);
        let admission = Admission::new(1, 1);
        let worker = start(
            mailbox,
            shared.clone(),
            admission,
            Listeners::default(),
            Vec::new(),
            stopping,
        );
        Self {
            operator: Operator::new(shared, outside.clone()),
            outside,
            worker: worker.expect("a thread"),
            stop,
            folder,
            _idle: idle,
        }
    }

    fn store(&self) -> &Store {
        &self.operator.shared().store
    }

    fn hold(&self) -> Held {
        let (release, released) = mpsc::channel();
        let (tell, told) = mpsc::channel();
        self.store().submit(Vec::new(), move |_| {
            tell.send(()).expect("the test waits");
            let _ = released.recv();
        });
        told.recv().expect("the writer is there");
        Held { _release: release }
    }

    /// Submits until `asker` is turned away.
    fn fill(&self, asker: Asker) {
        let nothing = Change::RemoveRoom {
            app: "app".into(),
            room: "nothing".into(),
        };
        while !self.store().is_behind(asker) {
            self.store().submit(vec![nothing.clone(); 64], |_| ());
        }
    }

    async fn is_there(&self, room: &str) -> bool {
        match self.operator.order(key(room), Order::Describe).await {
            Ok(Answer::Described(described)) => described.is_some(),
            other => panic!("{other:?}"),
        }
    }

    /// Somebody comes in for whom a room is made. It is not there any more when he is told so, and the room is.
    fn enter(&self, room: &str) {
        let user = User {
            app: AppIndex(0),
            id: UserId::parse("alice", IdProfile::Zim).expect("an id"),
            name: "".into(),
        };
        let caller = Caller {
            user: Arc::new(user),
            connection: ConnectionRef {
                worker: WorkerIndex(0),
                key: ConnectionKey::default(),
            },
            request_id: 1,
        };
        let request = Request::Enter(Enter {
            create: Create::IfMissing(NewRoom::of_preset(RoomPreset::Live, String::new())),
            history: 0,
            extra: String::new(),
        });
        let room = key(room);
        self.outside
            .post_always(WorkerIndex(0), Message::Room { room, caller, request });
    }

    /// Stops it, and returns the rooms that are on disk.
    fn kept(self) -> Vec<String> {
        self.stop.send_replace(true);
        self.worker.join();
        drop(self.operator);
        let (_, kept) = Store::open(&self.folder, Now::read().unix_ms).expect("the store opens again");
        let _ = std::fs::remove_dir_all(&self.folder);
        let is_room = |room: &KeptRoom| room.record.is_some();
        kept.rooms.into_iter().filter(is_room).map(|room| room.room).collect()
    }
}

fn key(room: &str) -> RoomKey {
    RoomKey {
        app: AppIndex(0),
        id: RoomId::parse(room).expect("an id"),
    }
}

fn create() -> Order {
    Order::Create(NewRoom::by_server(String::new()))
}

#[tokio::test]
async fn an_order_that_changes_nothing_any_more_waits_for_the_one_that_did() {
    let alone = Alone::new("again");
    let held = alone.hold();
    let orders = [(); 2].map(|()| {
        let operator = alone.operator.clone();
        tokio::spawn(async move { operator.order(key("room"), create()).await })
    });
    while !alone.is_there("room").await {}
    // Questions are answered in the meantime. This one comes after both orders.
    assert!(alone.is_there("room").await);
    tokio::task::yield_now().await;
    assert!(orders.iter().all(|order| !order.is_finished()));
    drop(held);
    for order in orders {
        assert_eq!(order.await.expect("it does not panic"), Ok(Answer::Done));
    }
    assert_eq!(alone.kept(), ["room"]);
}

#[tokio::test]
async fn an_order_is_turned_away_before_it_changes_anything_while_too_much_waits() {
    let alone = Alone::new("behind");
    let held = alone.hold();
    alone.fill(Asker::Server);
    let refusal = alone
        .operator
        .order(key("room"), create())
        .await
        .expect_err("too much waits");
    assert_eq!(
        (refusal.code, &*refusal.detail),
        (ErrorCode::REQUEST_TOO_FREQUENT, "overload")
    );
    assert!(!refusal.retry_after.is_zero());
    assert!(!alone.is_there("room").await);
    drop(held);
    while alone.store().is_behind(Asker::Server) {
        tokio::task::yield_now().await;
    }
    assert_eq!(alone.operator.order(key("room"), create()).await, Ok(Answer::Done));
    assert_eq!(alone.kept(), ["room"]);
}

#[tokio::test]
async fn rooms_of_members_are_made_and_not_kept_while_half_of_that_waits() {
    let alone = Alone::new("members");
    alone.enter("before");
    assert!(alone.is_there("before").await);
    let held = alone.hold();
    alone.fill(Asker::Member);
    alone.enter("meanwhile");
    assert!(alone.is_there("meanwhile").await);
    let order = {
        let operator = alone.operator.clone();
        tokio::spawn(async move { operator.order(key("server"), create()).await })
    };
    while !alone.is_there("server").await {}
    drop(held);
    assert_eq!(order.await.expect("it does not panic"), Ok(Answer::Done));
    alone.enter("after");
    assert!(alone.is_there("after").await);
    assert_eq!(alone.kept(), ["after", "before", "server"]);
}

#[tokio::test]
async fn what_is_told_of_a_conversation_is_turned_away_while_a_mailbox_is_full_and_a_question_is_not() {
    let alone = Alone::new("conversing");
    let mute = || {
        Command::Server(Box::new(conversation::Order::Mute {
            group: "group".into(),
            muted: true,
        }))
    };
    let question = Command::Server(Box::new(conversation::Order::Muted { skip: 0, limit: 10 }));
    assert!(alone.operator.converse(AppIndex(0), mute()).await.is_ok());
    let large = Message::Event {
        connection: ConnectionKey::default(),
        frame: vec![0; 1024 * alone.operator.shared().config.rooms.mailbox_messages].into(),
    };
    alone.outside.post_always(WorkerIndex(1), large);
    let refusal = alone.operator.converse(AppIndex(0), mute()).await.expect_err("full");
    assert_eq!(
        (refusal.code, &*refusal.detail),
        (ErrorCode::REQUEST_TOO_FREQUENT, "overload")
    );
    assert!(!refusal.retry_after.is_zero());
    assert!(alone.operator.converse(AppIndex(0), question).await.is_ok());
    let shared = alone.operator.shared();
    let figures = shared.registry.render(&shared.workers, &shared.store, Duration::ZERO);
    assert!(figures.contains("sluice_mailbox_refusals_total 1\n"), "{figures}");
    alone.kept();
}

#[test]
fn that_all_is_told_is_certain_unless_too_much_waits_for_the_disk() {
    let alone = Alone::new("settling");
    let settle = || {
        let (tell, told) = mpsc::channel();
        let then = move |settled| tell.send(settled).expect("the test waits");
        alone.operator.shared().conversations.settle(then);
        told
    };
    let held = alone.hold();
    let certain = settle();
    assert!(certain.try_recv().is_err(), "what is before it is not kept yet");
    alone.fill(Asker::Member);
    assert_eq!(settle().try_recv(), Ok(false), "at once");
    drop(held);
    assert_eq!(certain.recv(), Ok(true));
    alone.kept();
}
