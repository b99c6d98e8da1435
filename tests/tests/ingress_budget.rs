//! The budget of `live` rooms: what a moment holds, who is told of the rest, and what is never shed.

use sluice_gateway::config::Budget;
use sluice_protocol::frame::Body;
use sluice_protocol::{MessageType, Priority, SendMessage, SendMessageResult};
use sluice_tests::{Gateway, RawClient, Transport, on_all_transports, wait_until};

use crate::rooms::{
    enter, enter_room, expect_quiet, join_chat_room, leave_room, message, next_message, no_rate_limits, send, sent,
};

on_all_transports!(
    of_sixty_at_once_forty_are_given_out_and_everybody_is_told_of_the_rest,
    the_lowest_classes_go_first,
    what_a_protected_sender_says_is_neither_shed_nor_counted,
    without_a_budget_everything_is_given_out,
);

/// What a `live` room gives out in a moment, and how much of it is for class high alone.
const BUDGET: usize = 40;
const FOR_HIGH: usize = 20;

/// The moment, in milliseconds.
const MOMENT_MS: i64 = 200;

/// Fewer would do: a machine that stops for a moment between two messages of one packet is rare.
const TRIES: u32 = 5;

/// An object name that the app has set to low.
const LOW_TYPE: &str = "app:like";

/// The fields of a gap's notice, as places in an array.
const HIGH: usize = 0;
const NORMAL: usize = 1;
const LOW: usize = 2;
const BARRAGE: usize = 3;

/// The values of the label `class` in metrics.
const CLASSES: [&str; 4] = ["high", "normal", "low", "barrage"];

/// A message, and the place of its class.
type Said = (SendMessage, usize);

/// Somebody who says things, and members on all transports and both workers who hear them.
struct Hall {
    gateway: Gateway,
    speaker: RawClient,
    members: Vec<RawClient>,
    rooms: u32,
    /// What was shed in all rooms so far, by class.
    shed: [usize; 4],
}

/// What came of things that were said at once.
struct Outcome {
    results: Vec<SendMessageResult>,
    /// Those that nobody gets, by class.
    shed: [usize; 4],
}

impl Hall {
    async fn start(transport: Transport, speaker: &str, budget: Budget) -> Self {
        let gateway = Gateway::start(|config| {
            no_rate_limits(config);
            config.rooms.live_budget = budget;
            config.apps[0].low_types = vec![LOW_TYPE.into()];
            config.apps[0].protected_senders = vec!["host".into()];
        });
        let mut members = Vec::new();
        for worker in 0..2 {
            members.push(RawClient::online_at_worker(&gateway, worker, &format!("worker-{worker}")).await);
        }
        for transport in [Transport::Tcp, Transport::Tls] {
            members.push(RawClient::online(&gateway, transport, &format!("over-{transport}")).await);
        }
        let speaker = RawClient::online(&gateway, transport, speaker).await;
        Self {
            gateway,
            speaker,
            members,
            rooms: 0,
            shed: [0; 4],
        }
    }

    /// Has all of this said at once in a new room, after which the speaker leaves, and checks what everybody hears.
    async fn say_at_once(&mut self, said: impl Fn(&str) -> Vec<Said>) -> Outcome {
        for _ in 0..TRIES {
            self.rooms += 1;
            let outcome = self.say(&format!("live-{}", self.rooms), &said).await;
            let (first, last) = (&outcome.results[0], &outcome.results[outcome.results.len() - 1]);
            // One less, since both are rounded.
            if last.server_time_ms - first.server_time_ms < MOMENT_MS - 1 {
                return outcome;
            }
        }
        panic!("the gateway never took them in one moment");
    }

    async fn say(&mut self, room: &str, said: impl Fn(&str) -> Vec<Said>) -> Outcome {
        for member in &mut self.members {
            enter(member, 1, join_chat_room(room, -1)).await;
        }
        enter(&mut self.speaker, 1, join_chat_room(room, -1)).await;
        for (member, later) in self.members.iter_mut().rev().zip(1..) {
            for _ in 0..later {
                assert!(matches!(member.event().await, Body::RoomMemberJoined(_)), "{member:?}");
            }
        }
        let (messages, classes): (Vec<_>, Vec<_>) = said(room).into_iter().unzip();
        let leave_id = 100 + u32::try_from(messages.len()).expect("a few");
        // Leaving at once: nothing but the notice can come between the last message and that.
        let commands = messages.into_iter().map(Body::SendMessage).chain([leave_room(room)]);
        self.speaker.send_together(100, commands).await;
        let mut results = Vec::new();
        for request_id in 100..leave_id {
            results.push(sent(self.speaker.reply(request_id).await));
        }
        assert_eq!(self.speaker.reply(leave_id).await.code, 0);

        let mut outcome = Outcome { results, shed: [0; 4] };
        for (result, class) in outcome.results.iter().zip(&classes) {
            outcome.shed[*class] += usize::from(!result.distributed);
        }
        for member in &mut self.members {
            let left = outcome.check(member, &classes).await;
            assert!(matches!(left, Body::RoomMemberLeft(_)), "{left:?}; {member:?}");
        }
        let all = (0..4).map(|class| self.shed[class] + outcome.shed[class]);
        self.shed = all.collect::<Vec<_>>().try_into().expect("as many");
        outcome
    }

    /// The counters say what the senders were told.
    async fn expect_counted(&self) {
        for (class, shed) in CLASSES.iter().zip(self.shed) {
            let series = format!("sluice_messages_shed_total{{class=\"{class}\",place=\"ingress\"}}");
            wait_until(&format!("{shed} of class {class} are counted"), async || {
                self.gateway.metric(&series).await.to_string() == shed.to_string()
            })
            .await;
        }
        let notices = self.gateway.metric("sluice_room_gaps_total{place=\"ingress\"}").await;
        assert_eq!(notices > 0.0, self.shed != [0; 4], "{notices} notices");
    }
}

impl Outcome {
    fn distributed(&self) -> Vec<bool> {
        self.results.iter().map(|result| result.distributed).collect()
    }

    /// Checks what a member hears: all that was given out, in order, and notices that add up to the rest, each before the next
    /// frame of the room. Returns that frame.
    async fn check(&self, member: &mut RawClient, classes: &[usize]) -> Body {
        let mut told = [0; 4];
        let mut heard = 0;
        let next = loop {
            let event = member.event().await;
            match &event {
                Body::RoomGap(gap) => {
                    let counts = [gap.high, gap.normal, gap.low, gap.barrage];
                    assert!(counts.iter().sum::<u64>() > 0, "{gap:?}");
                    for (sum, count) in told.iter_mut().zip(counts) {
                        *sum += usize::try_from(count).expect("a few");
                    }
                    let shed = |sequence: u64| !self.results[usize::try_from(sequence - 1).expect("a few")].distributed;
                    assert!(gap.first_sequence <= gap.last_sequence, "{gap:?}");
                    assert!(shed(gap.first_sequence) && shed(gap.last_sequence), "{gap:?}");
                }
                Body::RoomMessage(message) => {
                    let skipped = self.results[heard..].iter().take_while(|result| !result.distributed);
                    heard += skipped.count();
                    assert_eq!(message.sequence, heard as u64 + 1, "{member:?}");
                    heard += 1;
                    assert_eq!(
                        told,
                        self.shed_before(heard, classes),
                        "told before the next frame; {member:?}"
                    );
                }
                _ => break event,
            }
        };
        assert!(
            self.results[heard..].iter().all(|result| !result.distributed),
            "{member:?}"
        );
        assert_eq!(
            told, self.shed,
            "what was said is what was heard and what was missed; {member:?}"
        );
        next
    }

    /// How many of the first `count` were shed, by class.
    fn shed_before(&self, count: usize, classes: &[usize]) -> [usize; 4] {
        let mut shed = [0; 4];
        for (result, class) in self.results[..count].iter().zip(classes) {
            shed[*class] += usize::from(!result.distributed);
        }
        shed
    }
}

fn text(room: &str, priority: Priority) -> SendMessage {
    SendMessage {
        priority: priority.into(),
        ..message(room, MessageType::Text, "x")
    }
}

/// `count` messages without a priority, which are high in a `live` room.
fn plain(room: &str, count: usize) -> Vec<Said> {
    vec![(text(room, Priority::Default), HIGH); count]
}

async fn of_sixty_at_once_forty_are_given_out_and_everybody_is_told_of_the_rest(transport: Transport) {
    let mut hall = Hall::start(transport, "alice", Budget::Messages(BUDGET)).await;
    let outcome = hall.say_at_once(|room| plain(room, 60)).await;
    assert_eq!(outcome.distributed(), [vec![true; BUDGET], vec![false; 20]].concat());
    let sequences = outcome.results.iter().map(|result| result.sequence);
    assert!(sequences.eq(1..=60), "what is shed has its place all the same");
    // Whoever says it hears no more of it than the others, the notice before the answer to leaving.
    let mut told = 0;
    for number in 1..=BUDGET as u64 {
        assert_eq!(next_message(&mut hall.speaker).await.sequence, number);
    }
    while told < 20 {
        match hall.speaker.event().await {
            Body::RoomGap(gap) => told += gap.high,
            other => panic!("{other:?}; {:?}", hall.speaker),
        }
    }
    expect_quiet(&mut hall.speaker, 2).await;
    hall.expect_counted().await;
    // It is kept as history like the rest.
    let room = format!("live-{}", hall.rooms);
    let entered = enter(&mut hall.speaker, 3, join_chat_room(&room, 50)).await;
    assert_eq!((entered.sequence, entered.history_count), (60, 50));
    for sequence in 11..=60 {
        assert_eq!(next_message(&mut hall.speaker).await.sequence, sequence);
    }
}

async fn the_lowest_classes_go_first(transport: Transport) {
    let mut hall = Hall::start(transport, "alice", Budget::Messages(BUDGET)).await;
    let like = |room: &str| SendMessage {
        object_name: LOW_TYPE.into(),
        priority: Priority::High.into(),
        ..message(room, MessageType::Custom, "+1")
    };
    let barrage = |room: &str| SendMessage {
        priority: Priority::High.into(),
        ..message(room, MessageType::Barrage, "wow")
    };
    let said = |room: &str| -> Vec<Said> {
        [
            vec![(text(room, Priority::Low), LOW); 8],
            vec![(like(room), LOW); 8],
            vec![(barrage(room), BARRAGE); 2],
            vec![(text(room, Priority::Medium), NORMAL); 2],
            // Here ends what is for all.
            vec![(like(room), LOW); 3],
            vec![(barrage(room), BARRAGE); 4],
            vec![(text(room, Priority::High), HIGH); 10],
            vec![(text(room, Priority::Medium), NORMAL); 5],
            vec![(text(room, Priority::Default), HIGH); 16],
        ]
        .concat()
    };
    let outcome = hall.say_at_once(said).await;
    let expected = [
        vec![true; BUDGET - FOR_HIGH],
        vec![false; 7],
        vec![true; 10],
        vec![false; 5],
        vec![true; 10],
        vec![false; 6],
    ];
    assert_eq!(outcome.distributed(), expected.concat());
    let mut shed = [0; 4];
    (shed[HIGH], shed[NORMAL], shed[LOW], shed[BARRAGE]) = (6, 5, 3, 4);
    assert_eq!(outcome.shed, shed);
    hall.expect_counted().await;
}

async fn what_a_protected_sender_says_is_neither_shed_nor_counted(transport: Transport) {
    let mut hall = Hall::start(transport, "host", Budget::Messages(BUDGET)).await;
    let said = |room: &str| -> Vec<Said> {
        let barrage = message(room, MessageType::Barrage, "wow");
        [plain(room, 60), vec![(barrage, BARRAGE); 10]].concat()
    };
    let outcome = hall.say_at_once(said).await;
    assert_eq!(outcome.shed, [0; 4]);
    // Somebody else has the whole budget in the same room at the same moment.
    let room = "shared";
    let guest = &mut hall.members[0];
    for client in [&mut hall.speaker, &mut *guest] {
        enter(client, 1, join_chat_room(room, -1)).await;
    }
    for (client, count) in [(&mut hall.speaker, 60), (guest, 40)] {
        let message = Body::SendMessage(text(room, Priority::Default));
        client.send_together(100, vec![message; count]).await;
        for request_id in (100..).take(count) {
            assert!(sent(client.reply(request_id).await).distributed, "{client:?}");
        }
    }
}

async fn without_a_budget_everything_is_given_out(transport: Transport) {
    let mut hall = Hall::start(transport, "alice", Budget::Unlimited).await;
    let outcome = hall.say_at_once(|room| plain(room, 200)).await;
    assert_eq!(outcome.shed, [0; 4]);
    hall.expect_counted().await;
}

#[tokio::test]
async fn rooms_of_the_other_preset_have_no_budget() {
    let gateway = Gateway::start(|config| {
        no_rate_limits(config);
        config.rooms.live_budget = Budget::Messages(1);
        config.rooms.live_budget_for_high = 0;
    });
    let mut alice = RawClient::online(&gateway, Transport::Tcp, "alice").await;
    for (number, room) in (1..).zip(["first", "second"]) {
        enter(&mut alice, number, enter_room(room)).await;
        for request_id in 10..20 {
            assert!(
                send(&mut alice, request_id, text(room, Priority::Low))
                    .await
                    .distributed
            );
        }
    }
}
