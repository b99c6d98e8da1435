//! What was answered survives a power failure, in its order; what was not is there as if it had been sent in time, or not at all.
//!
//! A real store takes messages by the real rules while [`power_cut`] writes down what happens to its files and when somebody got
//! an answer. The power then fails at a random moment: a store is opened on what is left and compared with the answers.
//! Some of the messages are sent again there, and in some cases the power fails once more. The same with who is in a group, and
//! with how far users have read.

mod judging;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use sluice_protocol::{
    AckMessages, AddMembers, ConversationMessage, ConversationType, MessageType, RemoveMembers, SendMessage,
    SendMessageResult,
};

use self::judging::{judge, members};
use super::*;
use crate::conversation::key::Key;
use crate::store::power_cut::{self, Chance, Recording, Weakness};
use crate::store::{Direction, Length, MemberRow, MessageRow, MessagesQuery};

/// Cuts of a usual run, and what names a longer one.
const CUTS: usize = 60;
const CUTS_VARIABLE: &str = "SLUICE_TEST_POWER_CUTS";

/// To write one recording takes about as long as to judge so many cuts of it.
const CUTS_OF_A_RECORDING: usize = 20;

/// A weakness must show within so many.
const CUTS_TO_CATCH: usize = 50;

/// Enough for the log to be copied into the database this often at least, and to be begun anew.
const SENDINGS: usize = 2_400;
const LOG_COPIES_MIN: u64 = 2;

/// Sent at once, at most, and waiting for an answer.
const BURST_MAX: usize = 150;
const UNANSWERED_MAX: usize = 600;

/// Sent again after a cut.
const REPEATS: usize = 40;

const USERS: usize = 5;
const TEXT_BYTES_MAX: usize = 1_500;
const APP_KEY: &str = "app";
const NOW_MS: i64 = 1_800_000_000_000;

/// The group that all users are in, and the one that they come into and leave.
const GROUP: &str = "everybody";
const CHANGING: &str = "some";

/// What is noted when something is answered: the number of a message, or one of these.
const GROUP_MADE: usize = SENDINGS;
const CHANGING_MADE: usize = SENDINGS + 1;
/// And these with the number of the change or of the position.
const CHANGED: usize = 1_000_000;
const MOVED: usize = 2_000_000;

/// A message, named by its number.
#[derive(Debug)]
struct Sending {
    from: usize,
    place: Place,
    text: Vec<u8>,
}

/// A conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    /// Of two users, the one with the smaller number first.
    Pair(usize, usize),
    Group,
}

/// What somebody was told of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ack {
    sequence: u64,
    message_id: u64,
}

/// What was sent, in which order, and what was answered.
#[derive(Debug, Clone, Default)]
struct Sent {
    sendings: Arc<Vec<Sending>>,
    /// Of each conversation its messages, as they were first sent.
    order: BTreeMap<Place, Vec<usize>>,
    acks: BTreeMap<usize, Ack>,
    /// Who was in the group that changes when it was made, and after each change.
    members: Vec<BTreeSet<usize>>,
    positions: Vec<Position>,
    /// What was answered to them, by number: how far the user has read.
    reached: BTreeMap<usize, u64>,
}

/// Who has told of which conversation how far it is read.
#[derive(Debug, Clone, Copy)]
struct Position {
    by: usize,
    place: Place,
}

/// What a run has looked at.
#[derive(Debug, Default)]
struct Figures {
    recordings: usize,
    cuts: usize,
    second_cuts: usize,
    /// Answers that were given before a cut, and found to be kept.
    acknowledged: usize,
    /// Messages found that nobody was told of.
    unacknowledged: usize,
    /// Changes of members and positions that were answered before a cut, and found to be kept.
    others: usize,
    repeated: usize,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} cuts in {} recordings, {} cut twice: {} acknowledged messages found, {} kept that nobody was told of, \
             {} sent again; {} acknowledged changes of members and positions found",
            self.cuts,
            self.recordings,
            self.second_cuts,
            self.acknowledged,
            self.unacknowledged,
            self.repeated,
            self.others
        )
    }
}

impl Place {
    fn key(self) -> Key {
        match self {
            Self::Pair(one, other) => Key::peer(&user(one), &user(other)),
            Self::Group => group(GROUP),
        }
    }

    /// As a user names it who is in it.
    fn named_by(self, number: usize) -> String {
        match self {
            Self::Pair(one, other) if one == number => user(other),
            Self::Pair(one, _) => user(one),
            Self::Group => GROUP.to_owned(),
        }
    }
}

impl Sent {
    fn new(chance: &mut Chance) -> Self {
        let sending = |_| {
            let from = chance.below(USERS);
            let to = (from + 1 + chance.below(USERS - 1)) % USERS;
            let place = if chance.in_100(20) {
                Place::Group
            } else {
                Place::Pair(from.min(to), from.max(to))
            };
            let text = vec![b'a' + u8::try_from(from).expect("few users"); 1 + chance.below(TEXT_BYTES_MAX)];
            Sending { from, place, text }
        };
        Self {
            sendings: Arc::new((0..SENDINGS).map(sending).collect()),
            members: vec![BTreeSet::from([0])],
            ..Self::default()
        }
    }

    /// Sends a message; `note` is called where it is answered.
    fn send(
        &mut self,
        conversations: &Conversations,
        number: usize,
        note: impl FnOnce(usize, SendMessageResult) + Send + 'static,
    ) {
        let sending = &self.sendings[number];
        let of_place = self.order.entry(sending.place).or_default();
        if !of_place.contains(&number) {
            of_place.push(number);
        }
        let message = SendMessage {
            conversation_type: sending.place.key().kind.into(),
            target_id: sending.place.named_by(sending.from),
            r#type: MessageType::Text.into(),
            client_message_id: number.to_string(),
            content: sending.text.clone().into(),
            ..SendMessage::default()
        };
        let command = Command::send(message);
        ask(conversations, sending.from, command, move |result| match result {
            reply::Result::SendMessage(result) => note(number, result),
            other => panic!("{other:?}"),
        });
    }

    /// Brings a user into the group that changes, or puts one out.
    fn change(
        &mut self,
        conversations: &Conversations,
        chance: &mut Chance,
        note: impl FnOnce(usize) + Send + 'static,
    ) {
        let other = 1 + chance.below(USERS - 1);
        let mut members = self.members.last().expect("those it was made with").clone();
        let (r#type, id, user_ids) = (ConversationType::Group.into(), CHANGING.to_owned(), vec![user(other)]);
        let command = if members.remove(&other) {
            Command::Remove(RemoveMembers { r#type, id, user_ids })
        } else {
            members.insert(other);
            Command::Add(AddMembers { r#type, id, user_ids })
        };
        let number = CHANGED + self.members.len();
        self.members.push(members);
        ask(conversations, 0, command, move |_| note(number));
    }

    /// Has somebody say how far a conversation is read.
    fn tell_position(
        &mut self,
        conversations: &Conversations,
        chance: &mut Chance,
        note: impl FnOnce(usize, u64) + Send + 'static,
    ) {
        let Sending { from: by, place, .. } = self.sendings[chance.below(SENDINGS)];
        let length = self.order.get(&place).map_or(0, Vec::len);
        let read = chance.below(length + 1) as u64;
        let number = MOVED + self.positions.len();
        self.positions.push(Position { by, place });
        let command = AckMessages {
            r#type: place.key().kind.into(),
            id: place.named_by(by),
            delivered_sequence: 0,
            read_sequence: read,
        };
        ask(conversations, by, Command::Ack(command), move |result| match result {
            reply::Result::AckMessages(result) => note(number, result.read_sequence),
            other => panic!("{other:?}"),
        });
    }
}

/// Has a user's command carried out, which must not be refused.
fn ask(conversations: &Conversations, by: usize, command: Command, then: impl FnOnce(reply::Result) + Send + 'static) {
    let asked = Asked {
        app: AppIndex(0),
        by: Actor::User(named(&user(by))),
        command,
    };
    conversations.ask(asked, move |outcome| match outcome {
        Ok(outcome) => then(outcome.result),
        Err(refusal) => panic!("it was not done: {refusal:?}"),
    });
}

fn user(number: usize) -> String {
    format!("user-{number}")
}

fn conversations(store: Store) -> Conversations {
    let apps = [app(APP_KEY)];
    Conversations::new(store, &apps, Arc::new(Policies::new(&apps)), WorkerIndex(9))
}

/// Has a group of these made, and waits for the answer, which is noted.
fn make_group(
    conversations: &Conversations,
    recording: &Arc<Recording>,
    (id, members): (&str, std::ops::Range<usize>),
    made: usize,
) {
    let command = CreateGroup {
        id: id.to_owned(),
        user_ids: members.map(user).collect(),
        ..CreateGroup::default()
    };
    let (tell, told) = mpsc::channel();
    let recording = recording.clone();
    ask(conversations, 0, Command::CreateGroup(command), move |_| {
        recording.note(made);
        tell.send(()).expect("the test waits");
    });
    told.recv().expect("an answer");
}

fn group(id: &str) -> Key {
    Key {
        kind: ConversationType::Group,
        key: id.to_owned(),
    }
}

/// Sends all messages, some of them more than once, in bursts of all sizes. Returns what happened meanwhile.
fn record(chance: &mut Chance, weakness: Weakness) -> (power_cut::History, Sent) {
    let folder = new_folder();
    let recording = Recording::start(&folder.0);
    let store = power_cut::open(&folder.0, NOW_MS, weakness).expect("the store opens");
    let conversations = conversations(store.clone());
    make_group(&conversations, &recording, (GROUP, 1..USERS), GROUP_MADE);
    make_group(&conversations, &recording, (CHANGING, 0..0), CHANGING_MADE);
    let mut sent = Sent::new(chance);
    let (tell, told) = mpsc::channel();
    let (tell_other, told_others) = mpsc::channel();
    let mut unanswered = 0;
    let mut next = 0;
    while next < SENDINGS {
        let burst = 1 + chance.below(BURST_MAX);
        for _ in 0..burst.min(SENDINGS - next) {
            let number = if next > 0 && chance.in_100(5) {
                chance.below(next)
            } else {
                next += 1;
                next - 1
            };
            let (tell, recording) = (tell.clone(), recording.clone());
            unanswered += 1;
            sent.send(&conversations, number, move |number, result| {
                recording.note(number);
                tell.send((number, result)).expect("the test waits");
            });
        }
        for _ in 0..1 + burst / 10 {
            let (tell, note) = (tell_other.clone(), recording.clone());
            sent.change(&conversations, chance, move |number| {
                note.note(number);
                tell.send((number, 0)).expect("the test waits");
            });
            let (tell, note) = (tell_other.clone(), recording.clone());
            sent.tell_position(&conversations, chance, move |number, read| {
                note.note(number);
                tell.send((number, read)).expect("the test waits");
            });
        }
        if unanswered > UNANSWERED_MAX || chance.in_100(50) {
            sent.acks.extend(told.iter().take(unanswered).map(ack));
            unanswered = 0;
        }
    }
    drop((conversations, tell, tell_other));
    sent.acks.extend(told.iter().map(ack));
    sent.reached.extend(told_others.iter());
    let copies = store.figures().log_copies;
    assert!(copies >= LOG_COPIES_MIN, "the log was copied {copies} times");
    drop(store);
    (recording.history(), sent)
}

fn ack((number, result): (usize, SendMessageResult)) -> (usize, Ack) {
    let SendMessageResult {
        sequence, message_id, ..
    } = result;
    (number, Ack { sequence, message_id })
}

/// Sends some of the messages again, in their order, to a store that has `found`. Repeats are answered as such, others follow.
fn send_again(
    conversations: &Conversations,
    recording: &Arc<Recording>,
    sent: &mut Sent,
    chance: &mut Chance,
) -> Result<usize, String> {
    let numbers: BTreeSet<usize> = (0..REPEATS).map(|_| chance.below(SENDINGS)).collect();
    let found = sent.order.clone();
    let (tell, told) = mpsc::channel();
    for number in &numbers {
        let (tell, recording) = (tell.clone(), recording.clone());
        sent.send(conversations, *number, move |number, result| {
            recording.note(number);
            tell.send((number, result)).expect("the test waits");
        });
    }
    drop(tell);
    for (number, result) in told.iter() {
        let place = sent.sendings[number].place;
        let is_known = found.get(&place).is_some_and(|known| known.contains(&number));
        let at = sent.order[&place].iter().position(|other| *other == number);
        let expected = at.map_or(0, |at| at + 1);
        if result.duplicate != is_known || usize::try_from(result.sequence) != Ok(expected) {
            return Err(format!(
                "{number}, which was {expected} of {place:?}, got {result:?} when it was sent again"
            ));
        }
        let (_, ack) = ack((number, result));
        // What was never told may have got another id after the cut.
        if let Some(before) = sent.acks.insert(number, ack)
            && is_known
            && before != ack
        {
            return Err(format!("{number} got {before:?}, and then {ack:?}"));
        }
    }
    Ok(numbers.len())
}

/// The power fails at a moment of `history`, and perhaps once more while the store is opened on what is left and sent to.
fn cut(history: &power_cut::History, sent: &Sent, chance: &mut Chance, figures: &mut Figures) -> Result<(), String> {
    let moment = history.moment(chance);
    let mut told: BTreeSet<usize> = history.noted(moment).collect();
    let folder = new_folder();
    history.remains(moment, chance).write_to(&folder.0);
    let recording = Recording::start(&folder.0);
    let (store, mut sent) = open_and_judge(&folder.0, sent, &told, figures)?;
    let conversations = conversations(store.clone());
    if members(&store, group(GROUP))?.is_none() {
        make_group(&conversations, &recording, (GROUP, 1..USERS), GROUP_MADE);
    }
    figures.repeated += send_again(&conversations, &recording, &mut sent, chance)?;
    if judge(&store, &sent, &told)? != sent.order {
        return Err("not all of what was sent again is there".to_owned());
    }
    drop((conversations, store));
    figures.cuts += 1;
    if chance.in_100(30) {
        let history = recording.history();
        let moment = history.moment(chance);
        told.extend(history.noted(moment));
        let folder = new_folder();
        history.remains(moment, chance).write_to(&folder.0);
        open_and_judge(&folder.0, &sent, &told, figures).map_err(|why| format!("after a second cut: {why}"))?;
        figures.second_cuts += 1;
    }
    Ok(())
}

/// Opens what is left. Returns the store, and what was sent as it has it.
fn open_and_judge(
    folder: &Path,
    sent: &Sent,
    told: &BTreeSet<usize>,
    figures: &mut Figures,
) -> Result<(Store, Sent), String> {
    let store =
        power_cut::open(folder, NOW_MS, Weakness::None).map_err(|error| format!("it does not open: {error}"))?;
    power_cut::check(folder)?;
    let order = judge(&store, sent, told)?;
    let found: usize = order.values().map(Vec::len).sum();
    let acknowledged = told.range(..SENDINGS).count();
    figures.acknowledged += acknowledged;
    figures.others += told.range(CHANGED..).count();
    figures.unacknowledged += found - acknowledged;
    let sent = Sent { order, ..sent.clone() };
    Ok((store, sent))
}

/// So many cuts. Fails with the number of the one that shows a fault.
fn cut_often(seed: u64, cuts: usize, weakness: Weakness) -> Result<Figures, (usize, String)> {
    let mut chance = Chance(seed);
    let mut figures = Figures::default();
    while figures.cuts < cuts {
        let (history, sent) = record(&mut chance, weakness);
        figures.recordings += 1;
        for _ in 0..CUTS_OF_A_RECORDING.min(cuts - figures.cuts) {
            cut(&history, &sent, &mut chance, &mut figures).map_err(|why| (figures.cuts + 1, why))?;
        }
    }
    Ok(figures)
}

fn new_folder() -> Folder {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let folder = std::env::temp_dir().join(format!("sluice-power-cut-{}-{number}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    Folder(folder)
}

#[test]
fn what_was_acknowledged_survives_a_power_failure_in_its_order() {
    let cuts = std::env::var(CUTS_VARIABLE).map_or(CUTS, |cuts| cuts.parse().expect("a number of cuts"));
    // What is cut depends on the machine's pace too, so the seed alone does not bring a fault back.
    match cut_often(1, cuts, Weakness::None) {
        Ok(figures) => {
            assert!(figures.acknowledged > cuts && figures.others > cuts, "{figures}");
            println!("{figures}; none lost, none in another place");
        }
        Err((number, why)) => panic!("cut {number}: {why}"),
    }
}

fn is_caught(weakness: Weakness) {
    // Messages are lost, or the whole file is damaged.
    let (number, why) = cut_often(2, CUTS_TO_CATCH, weakness).expect_err("a weak store is not safe");
    println!("{weakness:?} is caught at cut {number}: {why}");
}

#[test]
fn a_store_that_syncs_its_log_only_now_and_then_is_caught() {
    is_caught(Weakness::SyncsSeldom);
}

#[test]
fn a_store_that_never_syncs_is_caught() {
    is_caught(Weakness::NeverSyncs);
}

#[test]
fn a_store_that_answers_before_its_commit_is_caught() {
    is_caught(Weakness::AnswersEarly);
}

/// Where messages are lost much else is: that members and positions are looked at too shows only when they alone are others.
#[test]
fn members_and_positions_that_are_lost_are_noticed() {
    let mut chance = Chance(3);
    let (history, sent) = record(&mut chance, Weakness::None);
    for (statement, noticed) in [
        (
            "DELETE FROM conversation_members WHERE user_id <> 'user-0'",
            "the members",
        ),
        (
            "DELETE FROM conversations WHERE name_key = 'some'",
            "the other group is lost",
        ),
        (
            "DELETE FROM conversation_members WHERE conversation IN (SELECT id FROM conversations WHERE name_key = 'some')",
            "as never since",
        ),
        ("UPDATE conversation_members SET read_sequence = 0", "the position of"),
        (
            "UPDATE conversation_members SET delivered_sequence = 0",
            "the position of",
        ),
    ] {
        let folder = new_folder();
        let end = history.end();
        history.remains(end, &mut chance).write_to(&folder.0);
        let told: BTreeSet<usize> = history.noted(end).collect();
        let store = power_cut::open(&folder.0, NOW_MS, Weakness::None).expect("nothing is lost");
        judge(&store, &sent, &told).expect("nothing is lost");
        let shell = rusqlite::Connection::open(folder.0.join("sluice.db")).expect("the store's file");
        shell.execute_batch(statement).expect("a statement");
        let why = judge(&store, &sent, &told).expect_err("something is lost");
        assert!(why.contains(noticed), "{statement}: {why}");
    }
}
