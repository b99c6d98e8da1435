//! What was answered survives a power failure, in its order; what was not is there as if it had been sent in time, or not at all.
//!
//! A real store takes messages by the real rules while [`power_cut`] writes down what happens to its files and when somebody got
//! an answer. The power then fails at a random moment: a store is opened on what is left and compared with the answers.
//! Some of the messages are sent again there, and in some cases the power fails once more.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use sluice_protocol::{ConversationMessage, ConversationType, MessageType, SendMessage, SendMessageResult};

use super::*;
use crate::conversation::key::Key;
use crate::store::power_cut::{self, Chance, Recording, Weakness};
use crate::store::{Direction, MessageRow, MessagesQuery};

/// Cuts of a usual run, and what names a longer one.
const CUTS: usize = 60;
const CUTS_VARIABLE: &str = "SLUICE_TEST_POWER_CUTS";

/// To write one recording takes about as long as to judge so many cuts of it.
const CUTS_OF_A_RECORDING: usize = 20;

/// A weakness must show within so many.
const CUTS_TO_CATCH: usize = 50;

/// Enough for the log to be copied into the database twice, and to be begun anew.
const SENDINGS: usize = 2_400;

/// Sent at once, at most, and waiting for an answer.
const BURST_MAX: usize = 150;
const UNANSWERED_MAX: usize = 600;

/// Sent again after a cut.
const REPEATS: usize = 40;

const USERS: usize = 5;
const TEXT_BYTES_MAX: usize = 1_500;
const APP_KEY: &str = "app";
const NOW_MS: i64 = 1_800_000_000_000;

/// The group that all users are in, and what is noted when its making is answered.
const GROUP: &str = "everybody";
const GROUP_MADE: usize = SENDINGS;

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
    repeated: usize,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} cuts in {} recordings, {} cut twice: {} acknowledged messages found, {} kept that nobody was told of, {} sent again",
            self.cuts, self.recordings, self.second_cuts, self.acknowledged, self.unacknowledged, self.repeated
        )
    }
}

impl Place {
    fn key(self) -> Key {
        match self {
            Self::Pair(one, other) => Key::peer(&user(one), &user(other)),
            Self::Group => Key {
                kind: ConversationType::Group,
                key: GROUP.to_owned(),
            },
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
        let asked = Asked {
            app: AppIndex(0),
            by: Actor::User(named(&user(sending.from))),
            command: Command::send(message),
        };
        conversations.ask(asked, move |outcome| match outcome {
            Ok(Outcome {
                result: reply::Result::SendMessage(result),
                ..
            }) => note(number, result),
            other => panic!("a message was not taken: {other:?}"),
        });
    }
}

fn user(number: usize) -> String {
    format!("user-{number}")
}

fn conversations(store: Store) -> Conversations {
    let apps = [App::new(APP_KEY)];
    Conversations::new(store, &apps, Arc::new(Policies::new(&apps)), WorkerIndex(9))
}

/// Has the group made, and waits for the answer, which is noted.
fn make_group(conversations: &Conversations, recording: &Arc<Recording>) {
    let command = CreateGroup {
        id: GROUP.to_owned(),
        user_ids: (1..USERS).map(user).collect(),
        ..CreateGroup::default()
    };
    let asked = Asked {
        app: AppIndex(0),
        by: Actor::User(named(&user(0))),
        command: Command::CreateGroup(command),
    };
    let (tell, told) = mpsc::channel();
    let recording = recording.clone();
    conversations.ask(asked, move |outcome| {
        recording.note(GROUP_MADE);
        tell.send(outcome.map(|_| ())).expect("the test waits");
    });
    told.recv().expect("an answer").expect("a group");
}

/// How many members the group has, if there is one.
fn group_members(store: &Store) -> Result<Option<usize>, String> {
    let (tell, told) = mpsc::channel();
    store.read(
        |rows| {
            let key = Place::Group.key();
            let Some(group) = rows.conversation(APP_KEY, key.kind.into(), &key.key)? else {
                return Ok(None);
            };
            Ok(Some(rows.members(group.id, "", 2 * USERS)?.len()))
        },
        move |found| tell.send(found).expect("the test waits"),
    );
    told.recv().expect("an answer").map_err(|error| error.to_string())
}

/// Sends all messages, some of them more than once, in bursts of all sizes. Returns what happened meanwhile.
fn record(chance: &mut Chance, weakness: Weakness) -> (power_cut::History, Sent) {
    let folder = new_folder();
    let recording = Recording::start(&folder.0);
    let store = power_cut::open(&folder.0, NOW_MS, weakness).expect("the store opens");
    let conversations = conversations(store);
    make_group(&conversations, &recording);
    let mut sent = Sent::new(chance);
    let (tell, told) = mpsc::channel();
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
        if unanswered > UNANSWERED_MAX || chance.in_100(50) {
            sent.acks.extend(told.iter().take(unanswered).map(ack));
            unanswered = 0;
        }
    }
    drop((conversations, tell));
    sent.acks.extend(told.iter().map(ack));
    (recording.history(), sent)
}

fn ack((number, result): (usize, SendMessageResult)) -> (usize, Ack) {
    let SendMessageResult {
        sequence, message_id, ..
    } = result;
    (number, Ack { sequence, message_id })
}

/// Compares what a store has with what was sent, and with what the answers to `told` were. Returns what it has.
fn judge(store: &Store, sent: &Sent, told: &BTreeSet<usize>) -> Result<BTreeMap<Place, Vec<usize>>, String> {
    match group_members(store)? {
        None if told.contains(&GROUP_MADE) => return Err("a group is lost".to_owned()),
        None | Some(USERS) => {}
        Some(members) => return Err(format!("the group has {members} members")),
    }
    let mut found = BTreeMap::new();
    for (place, order) in &sent.order {
        let rows = messages(store, *place)?;
        let mut numbers = Vec::new();
        for (sequence, row) in (1..).zip(&rows) {
            let event = ConversationMessage::decode(&row.event[..]).map_err(|error| error.to_string())?;
            let number: usize = (event.client_message_id.parse()).map_err(|_| "not one of ours".to_owned())?;
            let says = (row.sequence, event.sequence, event.message_id);
            if says != (sequence, sequence.unsigned_abs(), row.message_id.unsigned_abs()) {
                return Err(format!("message {sequence} of {place:?} says {says:?}"));
            }
            if event.content != sent.sendings[number].text {
                return Err(format!("message {sequence} of {place:?} says something else"));
            }
            numbers.push(number);
        }
        if !order.starts_with(&numbers) {
            return Err(format!("{place:?} has {numbers:?}, where {order:?} were sent"));
        }
        if !rows.is_sorted_by_key(|row| row.message_id) {
            return Err(format!("the ids of {place:?} do not rise"));
        }
        for number in order.iter().filter(|number| told.contains(number)) {
            let ack = sent.acks[number];
            let at = numbers.iter().position(|other| other == number);
            let is_kept = at.is_some_and(|at| {
                let row = &rows[at];
                (row.sequence.unsigned_abs(), row.message_id.unsigned_abs()) == (ack.sequence, ack.message_id)
            });
            if !is_kept {
                return Err(format!("{number} was acknowledged as {ack:?} of {place:?} and is lost"));
            }
        }
        found.insert(*place, numbers);
    }
    Ok(found)
}

/// All messages of a conversation that the store has.
fn messages(store: &Store, place: Place) -> Result<Vec<MessageRow>, String> {
    let key = place.key();
    let (tell, told) = mpsc::channel();
    store.read(
        move |rows| {
            let Some(conversation) = rows.conversation(APP_KEY, key.kind.into(), &key.key)? else {
                return Ok((0, Vec::new()));
            };
            let all = rows.messages(&MessagesQuery {
                conversation: conversation.id,
                from_sequence: 0,
                beyond: None,
                direction: Direction::Newer,
                kinds: Vec::new(),
                limit: 2 * SENDINGS,
            })?;
            Ok((conversation.last_sequence, all))
        },
        move |outcome| tell.send(outcome).expect("the test waits"),
    );
    let (last, all) = told.recv().expect("an answer").map_err(|error| error.to_string())?;
    if i64::try_from(all.len()) != Ok(last) {
        return Err(format!("the last of {} messages is {last}", all.len()));
    }
    Ok(all)
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
    if group_members(&store)?.is_none() {
        make_group(&conversations, &recording);
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
    let acknowledged = told.iter().filter(|note| **note != GROUP_MADE).count();
    figures.acknowledged += acknowledged;
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
            assert!(figures.acknowledged > cuts, "{figures}");
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
