//! What the members of one receiver process have of a peer's messages, and what they have lost.

use super::{Arrival, Protocol, SEQUENCE_BYTES};
use crate::messages::{Report, Talk};

/// One member's place in the stream of messages.
#[derive(Default)]
pub(super) struct Seat {
    /// The newest message it has.
    sequence: u64,
    inside: bool,
    /// The server has ended its connection.
    gone: bool,
    /// The beginning of something whose rest is still on its way.
    partial: Vec<u8>,
}

/// All members of this process.
pub(super) struct Audience {
    protocol: Protocol,
    content: String,
    window: u64,
    members: usize,
    inside: usize,
    /// The round under way, from 1.
    round: u64,
    /// The number of its last message.
    round_ends: u64,
    /// Whether any of its messages has come.
    begun: bool,
    /// Members who have its last message, or will get no more.
    complete: usize,
    /// Its messages that members will not get.
    lost: u64,
    bytes: u64,
    /// Hears of all members being inside, and of the end of each round.
    tell: fn(&Report),
}

impl Audience {
    pub(super) fn new(protocol: Protocol, talk: &Talk, members: usize, tell: fn(&Report)) -> Self {
        Self {
            protocol,
            content: talk.content.clone(),
            window: u64::from(talk.window),
            members,
            inside: 0,
            round: 1,
            round_ends: u64::from(talk.window),
            begun: false,
            complete: 0,
            lost: 0,
            bytes: 0,
            tell,
        }
    }

    /// How many members are inside.
    pub(super) fn inside(&self) -> usize {
        self.inside
    }

    /// Whether a round has begun to arrive and is not complete.
    pub(super) fn is_in_a_round(&self) -> bool {
        self.begun
    }

    /// Takes bytes of one member's stream that begin where the last ones ended. `answer` sends bytes back.
    pub(super) fn take(
        &mut self,
        seat: &mut Seat,
        input: &[u8],
        mut answer: impl FnMut(&[u8]) -> Result<(), String>,
    ) -> Result<(), String> {
        if seat.partial.is_empty() {
            let used = self.take_all(seat, input, &mut answer)?;
            seat.partial.extend_from_slice(&input[used..]);
        } else {
            let mut joined = std::mem::take(&mut seat.partial);
            joined.extend_from_slice(input);
            let used = self.take_all(seat, &joined, &mut answer)?;
            joined.drain(..used);
            seat.partial = joined;
        }
        Ok(())
    }

    fn take_all(
        &mut self,
        seat: &mut Seat,
        input: &[u8],
        answer: &mut impl FnMut(&[u8]) -> Result<(), String>,
    ) -> Result<usize, String> {
        let mut used = 0;
        while let Some((arrival, bytes)) = self.protocol.next(&input[used..])? {
            used += bytes;
            self.bytes += bytes as u64;
            match arrival {
                Arrival::Message(content) => self.take_message(seat, content)?,
                Arrival::Inside => self.let_in(seat),
                Arrival::Answer(bytes) => answer(bytes)?,
                // The end of the connection follows, and what it costs in the round is counted then.
                Arrival::Complaint(_) if self.begun => {}
                Arrival::Complaint(what) => return Err(what),
                Arrival::Greeted | Arrival::Other => {}
            }
        }
        Ok(used)
    }

    fn let_in(&mut self, seat: &mut Seat) {
        if !seat.inside {
            seat.inside = true;
            self.inside += 1;
            if self.inside == self.members {
                (self.tell)(&Report::Inside);
            }
        }
    }

    fn take_message(&mut self, seat: &mut Seat, content: &[u8]) -> Result<(), String> {
        let Some((sequence, rest)) = content.split_first_chunk::<SEQUENCE_BYTES>() else {
            return Err("sent a message without its number".into());
        };
        let sequence = u64::from_be_bytes(*sequence);
        if content.len() != self.content.len() {
            return Err(format!("sent {} bytes of {}", content.len(), self.content.len()));
        }
        if sequence <= seat.sequence || sequence > self.round_ends {
            return Err(format!("sent message {sequence} after {}", seat.sequence));
        }
        self.lost += sequence - seat.sequence - 1;
        self.begun = true;
        seat.sequence = sequence;
        if sequence == self.round_ends {
            if rest != &self.content.as_bytes()[SEQUENCE_BYTES..] {
                return Err("changed a message on its way".into());
            }
            self.complete_one();
        }
        Ok(())
    }

    /// The server has ended a member's connection: what is missing of the round will not come.
    ///
    /// # Errors
    /// There is no round under way, so nothing was lost: the server does not want this member.
    pub(super) fn lose(&mut self, seat: &mut Seat) -> Result<(), String> {
        if !self.begun {
            return Err("ended the connection".into());
        }
        if !seat.gone {
            seat.gone = true;
            if seat.sequence < self.round_ends {
                self.lost += self.round_ends - seat.sequence;
                self.complete_one();
            }
        }
        Ok(())
    }

    /// Nothing came for too long: what is missing is taken for lost.
    pub(super) fn give_the_round_up<'a>(&mut self, seats: impl Iterator<Item = &'a Seat>) {
        let waiting = seats.filter(|seat| !seat.gone);
        self.lost += waiting.map(|seat| self.round_ends - seat.sequence).sum::<u64>();
        self.finish_round();
    }

    fn complete_one(&mut self) {
        self.complete += 1;
        if self.complete == self.members {
            self.finish_round();
        }
    }

    fn finish_round(&mut self) {
        let (round, frame_bytes) = (self.round, self.bytes);
        (self.tell)(&match self.lost {
            0 => Report::Round { round, frame_bytes },
            lost => Report::Lost {
                round,
                lost,
                frame_bytes,
            },
        });
        self.round += 1;
        self.round_ends += self.window;
        self.begun = false;
        self.complete = 0;
        self.lost = 0;
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    thread_local! {
        static TOLD: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    }

    fn audience(members: usize) -> Audience {
        let talk = Talk {
            room: "lobby".into(),
            sender: "bob".into(),
            content: "x".repeat(20),
            window: 3,
        };
        TOLD.take();
        Audience::new(Protocol::Mqtt, &talk, members, |report| {
            TOLD.with_borrow_mut(|told| told.push(format!("{report:?}")));
        })
    }

    fn messages(numbers: &[u64]) -> Vec<u8> {
        let mut out = Vec::new();
        for number in numbers {
            let content = [&number.to_be_bytes()[..], &[b'x'; 12]].concat();
            Protocol::Mqtt.publish(&content, &mut out);
        }
        out
    }

    fn take(audience: &mut Audience, seat: &mut Seat, input: &[u8]) -> Result<(), String> {
        audience.take(seat, input, |_| Ok(()))
    }

    #[test]
    fn a_round_is_complete_however_its_bytes_are_cut() {
        let stream = [&b"\x20\x02\0\0\x90\x03\0\x01\0"[..], &messages(&[1, 2, 3])].concat();
        for cut in 1..stream.len() {
            let (mut audience, mut seat) = (audience(1), Seat::default());
            for piece in stream.chunks(cut) {
                take(&mut audience, &mut seat, piece).unwrap();
            }
            let round = format!("Round {{ round: 1, frame_bytes: {} }}", stream.len());
            assert_eq!(TOLD.take(), ["Inside".to_owned(), round], "in pieces of {cut}");
        }
    }

    #[test]
    fn a_message_left_out_is_counted_when_the_round_ends() {
        let (mut audience, mut seat) = (audience(1), Seat::default());
        take(&mut audience, &mut seat, &messages(&[1, 3])).unwrap();
        assert!(TOLD.take()[0].starts_with("Lost { round: 1, lost: 1,"));
        take(&mut audience, &mut seat, &messages(&[4, 5, 6])).unwrap();
        assert!(TOLD.take()[0].starts_with("Round { round: 2,"));
    }

    #[test]
    fn a_member_that_is_cut_off_loses_the_rest_of_the_round() {
        let (mut audience, mut seats) = (audience(2), [Seat::default(), Seat::default()]);
        assert!(
            audience.lose(&mut seats[0]).is_err(),
            "no round is under way, so no queue can have been full"
        );
        take(&mut audience, &mut seats[0], &messages(&[1])).unwrap();
        take(&mut audience, &mut seats[1], &messages(&[1, 2, 3])).unwrap();
        assert!(TOLD.take().is_empty());
        audience.lose(&mut seats[0]).unwrap();
        assert!(TOLD.take()[0].starts_with("Lost { round: 1, lost: 2,"));
    }

    #[test]
    fn what_never_comes_is_lost_when_the_round_is_given_up() {
        let (mut audience, mut seats) = (audience(2), [Seat::default(), Seat::default()]);
        take(&mut audience, &mut seats[0], &messages(&[1, 2, 3])).unwrap();
        take(&mut audience, &mut seats[1], &messages(&[2])).unwrap();
        assert!(audience.is_in_a_round());
        audience.give_the_round_up(seats.iter());
        assert!(TOLD.take()[0].starts_with("Lost { round: 1, lost: 2,"));
        assert!(!audience.is_in_a_round());
    }

    #[test]
    fn a_message_that_comes_twice_or_is_changed_is_a_fault() {
        let (mut audience, mut seat) = (audience(1), Seat::default());
        take(&mut audience, &mut seat, &messages(&[1, 2])).unwrap();
        assert_eq!(
            take(&mut audience, &mut seat, &messages(&[2])),
            Err("sent message 2 after 2".into())
        );
        let mut changed = messages(&[3]);
        *changed.last_mut().unwrap() = b'y';
        assert!(
            take(&mut audience, &mut seat, &changed)
                .unwrap_err()
                .contains("changed")
        );
    }
}
