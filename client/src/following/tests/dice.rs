//! A server and a client, and what comes between them decided by dice.

use super::*;

/// A server with one conversation, and a client whose connection dies now and then. What happened comes in order, and so do answers; which of the two
/// comes first is thrown.
struct World {
    script: Script,
    dice: u64,
    /// Who sent each message: this client, or somebody else.
    said: Vec<Sender>,
    told: Vec<u64>,
    /// Own messages of which the answer came.
    answered: HashSet<u64>,
    /// Own messages that were sent and have no answer yet: of those of earlier connections there is one when they are sent again.
    unanswered: VecDeque<u64>,
    stream: Stream,
    events: VecDeque<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sender {
    Own,
    Other,
}

/// What the server tells a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stream {
    /// It has not asked.
    Nothing,
    /// Pages up to `last`, of which it has those before `next`.
    Pages {
        next: u64,
        last: u64,
    },
    Events,
}

impl World {
    fn new(options: &SyncOptions, dice: u64) -> Self {
        Self {
            script: Script::new(options),
            dice,
            said: Vec::new(),
            told: Vec::new(),
            answered: HashSet::new(),
            unanswered: VecDeque::new(),
            stream: Stream::Nothing,
            events: VecDeque::new(),
        }
    }

    fn roll(&mut self, sides: u64) -> u64 {
        self.dice = self
            .dice
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.dice >> 33) % sides
    }

    fn last(&self) -> u64 {
        self.said.len() as u64
    }

    fn say(&mut self, sender: Sender) {
        self.said.push(sender);
        match sender {
            Sender::Own => self.unanswered.push_back(self.last()),
            // What is said while pages come is held back, and behind them.
            Sender::Other if self.stream != Stream::Nothing => self.events.push_back(self.last()),
            Sender::Other => {}
        }
    }

    fn lose_connection(&mut self) {
        self.stream = Stream::Nothing;
        self.events.clear();
        self.script.following.on_connected();
    }

    /// The next event comes.
    fn tell(&mut self) -> bool {
        if self.stream != Stream::Events {
            return false;
        }
        let Some(sequence) = self.events.pop_front() else {
            return false;
        };
        // Now and then twice.
        for _ in 0..=self.roll(8) / 7 {
            let events = self.script.live(sequence);
            self.note(events);
        }
        true
    }

    /// The next answer to a message comes, now and then to one that was answered before.
    fn confirm(&mut self) -> bool {
        let Some(sequence) = self.unanswered.pop_front() else {
            return false;
        };
        self.answered.insert(sequence);
        for _ in 0..=self.roll(8) / 7 {
            let events = self.script.sent(sequence);
            self.note(events);
        }
        true
    }

    /// Answers what the client asks.
    fn serve(&mut self) -> bool {
        let Some((request_id, command)) = self.script.next() else {
            return false;
        };
        let result = match command {
            Body::SyncConversations(sync) => {
                if sync.cursor.is_empty() {
                    let last = self.last();
                    let first = match sync.known_sequences.first() {
                        Some(known) => (known + 1).max(last.saturating_sub(self.roll(5))),
                        // It has acknowledged nothing, and asks for all.
                        None => 1,
                    };
                    self.stream = Stream::Pages { next: first, last };
                    self.events.clear();
                }
                let Stream::Pages { next, last } = self.stream else {
                    panic!("a cursor of another connection")
                };
                let to = last.min(next + self.roll(8));
                self.stream = match to {
                    to if to == last => Stream::Events,
                    _ => Stream::Pages { next: to + 1, last },
                };
                reply::Result::SyncPage(WirePage {
                    conversations: vec![listed(GROUP, last, 0)],
                    messages: messages(next..=to),
                    next_cursor: if to == last { String::new() } else { "c".into() },
                    ..WirePage::default()
                })
            }
            Body::QueryMessages(query) => {
                let last = self.last();
                let first = query.message_id.saturating_sub(7000) + 1;
                let to = last.min(first + self.roll(6));
                reply::Result::Messages(Messages {
                    messages: messages(first..=to),
                    more: to < last,
                    ..Messages::default()
                })
            }
            other => panic!("{other:?}"),
        };
        let events = self.script.answer(request_id, &Ok(Some(result)));
        self.note(events);
        true
    }

    fn note(&mut self, events: Vec<String>) {
        for event in events.iter().filter(|event| !event.starts_with("synced")) {
            let sequence = event.parse().expect("nothing is missing");
            assert!(!self.answered.contains(&sequence), "{sequence} is known to be sent");
            self.told.push(sequence);
        }
    }
}

#[test]
fn whatever_happens_each_message_of_others_is_told_once_and_in_order() {
    for seed in 0..600 {
        // Half of the clients have never heard of the conversation.
        let options = if seed % 2 == 0 {
            known(0)
        } else {
            SyncOptions::default()
        };
        let mut world = World::new(&options, seed);
        for _ in 0..300 {
            match world.roll(30) {
                0 => world.lose_connection(),
                1..=4 => world.say(Sender::Own),
                5..=11 => world.say(Sender::Other),
                12..=18 => {
                    world.tell();
                }
                19..=22 => {
                    world.confirm();
                }
                _ => {
                    world.serve();
                }
            }
            world.script.now += Duration::from_millis(100);
        }
        loop {
            world.script.now += Duration::from_secs(1);
            let (told, confirmed) = (world.tell(), world.confirm());
            if !world.serve() && !told && !confirmed {
                break;
            }
        }
        assert!(
            world.told.is_sorted_by(|one, other| one < other),
            "seed {seed}: {:?}",
            world.told
        );
        let is_other = |sequence: &u64| world.said[*sequence as usize - 1] == Sender::Other;
        let of_others: Vec<u64> = world.told.iter().copied().filter(is_other).collect();
        let expected: Vec<u64> = (1..=world.last()).filter(is_other).collect();
        assert_eq!(of_others, expected, "seed {seed}");
        assert_eq!(world.script.following.ahead_bytes, 0, "seed {seed}");
    }
}
