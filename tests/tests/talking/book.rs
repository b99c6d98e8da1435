//! What was sent, answered and given to applications, by all talkers, and what of it must not be.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use sluice_protocol::{ConversationMessage, ConversationType};
use tokio::time::{Instant, sleep};

/// How often somebody who waits looks.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// A conversation, named the same by all who are in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Place {
    /// Two users, in the order of their ids.
    Pair(String, String),
    Group(String),
}

/// A message as one of its receivers has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) sender: String,
    /// Its sender's count of its own messages.
    pub(crate) number: u32,
    pub(crate) message_id: u64,
}

/// Cheap to clone; all clones are one book.
#[derive(Debug, Clone, Default)]
pub(crate) struct Book(Arc<Mutex<Pages>>);

#[derive(Debug, Default)]
struct Pages {
    /// Who is in which conversation.
    members: BTreeMap<Place, BTreeSet<String>>,
    /// By sequence number: the same for everybody.
    said: BTreeMap<Place, BTreeMap<u64, Said>>,
    /// By sender and number.
    answered: BTreeMap<(String, u32), (Place, u64)>,
    /// How far each application has got.
    given: BTreeMap<(String, Place), u64>,
    /// How far the gateway knows each to have got.
    told: BTreeMap<(String, Place), u64>,
    /// Messages that wait for their answer.
    pending: BTreeMap<String, usize>,
    /// Whose connection has ended, and who has not come back yet.
    away: BTreeSet<String>,
    /// How often somebody came back, and the longest it took from the end of the connection.
    returns: usize,
    longest_return: Duration,
    repeats: usize,
    faults: Vec<String>,
}

/// What has happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Figures {
    pub(crate) answered: usize,
    /// Messages there are, each counted once.
    pub(crate) kept: usize,
    pub(crate) given: u64,
    /// Answers to messages that were sent again and had been kept before.
    pub(crate) repeats: usize,
    pub(crate) returns: usize,
    pub(crate) longest_return: Duration,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} messages answered and {} given to applications; {} were kept before and sent again; {} returns, the longest within \
             {} ms",
            self.answered,
            self.given,
            self.repeats,
            self.returns,
            self.longest_return.as_millis()
        )
    }
}

impl Place {
    pub(crate) fn pair(one: &str, other: &str) -> Self {
        let (first, second) = if one <= other { (one, other) } else { (other, one) };
        Self::Pair(first.to_owned(), second.to_owned())
    }

    /// As `user` names it.
    pub(crate) fn named_by(&self, user: &str) -> (ConversationType, &str) {
        match self {
            Self::Pair(first, second) if first == user => (ConversationType::Peer, second),
            Self::Pair(first, _) => (ConversationType::Peer, first),
            Self::Group(id) => (ConversationType::Group, id),
        }
    }
}

impl Said {
    pub(crate) fn of(message: &ConversationMessage) -> Self {
        let sender = message.sender.as_ref().map(|sender| sender.user_id.clone());
        Self {
            sender: sender.unwrap_or_default(),
            number: message.client_message_id.parse().unwrap_or(u32::MAX),
            message_id: message.message_id,
        }
    }
}

impl Book {
    /// Who is in a conversation.
    pub(crate) fn enrol(&self, place: &Place, members: &[&str]) {
        let members = members.iter().map(|member| (*member).to_owned());
        self.pages().members.entry(place.clone()).or_default().extend(members);
    }

    /// Writes down what must not be.
    pub(crate) fn fault(&self, what: String) {
        self.pages().faults.push(what);
    }

    /// A message got an answer: it is kept.
    pub(crate) fn answered(
        &self,
        sender: &str,
        number: u32,
        place: &Place,
        sequence: u64,
        message_id: u64,
        repeat: bool,
    ) {
        let said = Said {
            sender: sender.to_owned(),
            number,
            message_id,
        };
        let mut pages = self.pages();
        pages.repeats += usize::from(repeat);
        pages.say(place, sequence, &said);
        let answer = (place.clone(), sequence);
        let before = pages.answered.insert((sender.to_owned(), number), answer.clone());
        if let Some(before) = before.filter(|before| *before != answer) {
            let fault = format!("{number} of {sender} is {before:?} by one answer and {answer:?} by another");
            pages.faults.push(fault);
        }
    }

    /// A message is given to the application of `user`.
    pub(crate) fn given(&self, user: &str, place: &Place, sequence: u64, said: &Said) {
        let mut pages = self.pages();
        pages.say(place, sequence, said);
        let before = pages.given.insert((user.to_owned(), place.clone()), sequence);
        if before.unwrap_or(0) + 1 != sequence {
            let fault = format!("{user} got message {sequence} of {place:?} after {before:?}");
            pages.faults.push(fault);
        }
    }

    /// How many messages of `user` have no answer yet.
    pub(crate) fn pending(&self, user: &str, count: usize) {
        self.pages().pending.insert(user.to_owned(), count);
    }

    /// The gateway says how far `user` has got, be it in an answer or in a sync.
    pub(crate) fn told(&self, user: &str, place: &Place, sequence: u64) {
        let mut pages = self.pages();
        let known = pages.told.entry((user.to_owned(), place.clone())).or_default();
        let before = *known;
        *known = sequence;
        if sequence < before {
            let fault = format!("{user} had got to {before} of {place:?}, and then to {sequence}");
            pages.faults.push(fault);
        }
    }

    /// The connection of `user` has ended.
    pub(crate) fn lost(&self, user: &str) {
        self.pages().away.insert(user.to_owned());
    }

    /// So long after that, `user` is online again and has what was missed.
    pub(crate) fn returned(&self, user: &str, after: Duration) {
        let mut pages = self.pages();
        pages.away.remove(user);
        pages.returns += 1;
        pages.longest_return = pages.longest_return.max(after);
    }

    pub(crate) fn answered_count(&self) -> usize {
        self.pages().answered.len()
    }

    pub(crate) fn has_faults(&self) -> bool {
        !self.pages().faults.is_empty()
    }

    /// Whether everybody is there, all messages are answered, everybody has all of each of their conversations, and the gateway knows that.
    fn is_settled(&self) -> bool {
        let pages = self.pages();
        pages.away.is_empty() && pages.pending.values().all(|pending| *pending == 0) && pages.behind().is_none()
    }

    /// Waits until it is, until there is a fault, or for so long; then says how it is.
    ///
    /// # Errors
    /// As [`Self::verdict`].
    pub(crate) async fn settled(&self, patience: Duration) -> Result<Figures, String> {
        let until = Instant::now() + patience;
        while !self.is_settled() && !self.has_faults() && Instant::now() < until {
            sleep(POLL_INTERVAL).await;
        }
        self.verdict()
    }

    /// All conversations in which something was said, each with one of its members.
    pub(crate) fn places(&self) -> Vec<(Place, String)> {
        let pages = self.pages();
        let member = |place: &Place| pages.members[place].first().cloned().expect("somebody is in it");
        pages.said.keys().map(|place| (place.clone(), member(place))).collect()
    }

    /// Compares a conversation with its messages as a gateway has them.
    ///
    /// # Errors
    /// What differs.
    pub(crate) fn compare(&self, place: &Place, messages: &[ConversationMessage]) -> Result<(), String> {
        let pages = self.pages();
        let said = pages.said[place]
            .iter()
            .map(|(sequence, said)| (*sequence, said.clone()));
        let found = messages.iter().map(|message| (message.sequence, Said::of(message)));
        if said.clone().eq(found.clone()) {
            return Ok(());
        }
        let found: BTreeMap<u64, Said> = found.collect();
        let different = said.clone().find(|(sequence, said)| found.get(sequence) != Some(said));
        Err(format!(
            "{place:?} has {} messages, and there were {}; the first that is not the same: {different:?}",
            found.len(),
            said.count()
        ))
    }

    /// Compares answers with what was given.
    ///
    /// # Errors
    /// What must not be.
    pub(crate) fn verdict(&self) -> Result<Figures, String> {
        let mut pages = self.pages();
        let mut faults = std::mem::take(&mut pages.faults);
        faults.extend(pages.behind());
        faults.extend(pages.away.first().map(|user| format!("{user} has not come back")));
        for (place, said) in &pages.said {
            if !said.keys().copied().eq(1..=said.len() as u64) {
                faults.push(format!("there is a gap in {place:?}"));
            }
            if !said.values().is_sorted_by_key(|said| said.message_id) {
                faults.push(format!("the ids of {place:?} do not rise"));
            }
            let mut last = BTreeMap::new();
            for Said { sender, number, .. } in said.values() {
                if last.insert(sender, number).is_some_and(|last| last >= number) {
                    faults.push(format!("{number} of {sender} is out of order in {place:?}"));
                }
            }
        }
        for ((sender, number), (place, sequence)) in &pages.answered {
            let said = pages.said.get(place).and_then(|said| said.get(sequence));
            if said.is_none_or(|said| (&said.sender, said.number) != (sender, *number)) {
                faults.push(format!(
                    "{number} of {sender} was answered as {sequence} of {place:?}, which is {said:?}"
                ));
            }
        }
        if let Some(fault) = faults.first() {
            return Err(format!("{} faults, the first: {fault}", faults.len()));
        }
        Ok(Figures {
            answered: pages.answered.len(),
            kept: pages.said.values().map(BTreeMap::len).sum(),
            given: pages.given.values().sum(),
            repeats: pages.repeats,
            returns: pages.returns,
            longest_return: pages.longest_return,
        })
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.0.lock().expect("nobody panics with the book in hand")
    }
}

impl Pages {
    fn say(&mut self, place: &Place, sequence: u64, said: &Said) {
        let known = self.said.entry(place.clone()).or_default();
        let known = known.entry(sequence).or_insert_with(|| said.clone());
        if known != said {
            let fault = format!("message {sequence} of {place:?} is {known:?} for one and {said:?} for another");
            self.faults.push(fault);
        }
    }

    /// Who has not got all of a conversation.
    fn behind(&self) -> Option<String> {
        self.said.iter().find_map(|(place, said)| {
            let last = said.keys().next_back().copied().unwrap_or(0);
            let members = self.members.get(place)?;
            members.iter().find_map(|user| {
                let given = self.given.get(&(user.clone(), place.clone())).copied().unwrap_or(0);
                let told = self.told.get(&(user.clone(), place.clone())).copied().unwrap_or(0);
                ((given, told) != (last, last)).then(|| {
                    format!("{user} has got {given} of {last} messages of {place:?}, and the gateway knows of {told}")
                })
            })
        })
    }
}

/// A book that notices nothing proves nothing.
#[test]
fn what_must_not_be_is_noticed() {
    let place = Place::pair("alice", "bob");
    let said = |number| Said {
        sender: "alice".to_owned(),
        number,
        message_id: 100 + u64::from(number),
    };
    let judge = |tell: &dyn Fn(&Book)| {
        let book = Book::default();
        book.enrol(&place, &["alice", "bob"]);
        for user in ["alice", "bob"] {
            book.given(user, &place, 1, &said(1));
            book.given(user, &place, 2, &said(2));
            book.told(user, &place, 2);
        }
        book.answered("alice", 1, &place, 1, 101, false);
        tell(&book);
        book.verdict()
    };
    assert!(judge(&|_| ()).is_ok());
    let twice = judge(&|book| book.given("bob", &place, 2, &said(2)));
    let with_a_gap = judge(&|book| book.given("bob", &place, 4, &said(4)));
    let another = judge(&|book| book.given("bob", &place, 2, &said(3)));
    let lost = judge(&|book| book.answered("alice", 3, &place, 3, 103, false));
    let moved = judge(&|book| book.answered("alice", 1, &place, 2, 102, true));
    let disordered = judge(&|book| {
        for user in ["alice", "bob"] {
            book.given(user, &place, 3, &Said { number: 1, ..said(3) });
            book.told(user, &place, 3);
        }
    });
    let gone_back = judge(&|book| {
        book.told("bob", &place, 1);
        book.told("bob", &place, 2);
    });
    let away = judge(&|book| {
        book.lost("alice");
        book.returned("alice", Duration::ZERO);
        book.lost("bob");
    });
    for verdict in [away, gone_back, twice, with_a_gap, another, lost, moved, disordered] {
        verdict.expect_err("this must not be");
    }
}
