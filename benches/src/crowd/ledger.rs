//! The accounts: what each member got, and when timed messages arrived.

use sluice_protocol::RoomGap;

use super::figures::MessageTimes;
use super::lost::Lost;
use crate::latencies::Latencies;
use crate::stamp::Stamp;

/// One member's messages of one stay in the room. What was published in that time was delivered or told as missed, each
/// message once.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Account {
    /// The room's newest message when the member came in.
    entered_at: u64,
    /// The newest delivered one.
    newest: u64,
    delivered: u64,
    missed: u64,
    gaps: u64,
}

impl Account {
    pub(super) fn open(sequence: u64) -> Self {
        Self {
            entered_at: sequence,
            newest: sequence,
            ..Self::default()
        }
    }

    pub(super) fn deliver(&mut self, sequence: u64) -> Result<(), Lost> {
        if sequence <= self.newest {
            return Err(Lost::Wrong(format!("got message {sequence} after {}", self.newest)));
        }
        self.newest = sequence;
        self.delivered += 1;
        Ok(())
    }

    pub(super) fn miss(&mut self, gap: &RoomGap) {
        self.missed += gap.high + gap.normal + gap.low + gap.barrage;
        self.gaps += 1;
    }

    pub(super) fn delivered(&self) -> u64 {
        self.delivered
    }

    pub(super) fn missed(&self) -> u64 {
        self.missed
    }

    pub(super) fn gaps(&self) -> u64 {
        self.gaps
    }

    /// Whether all messages up to `sequence` are accounted for. Asked when it is the room's newest.
    pub(super) fn is_settled(&self, sequence: u64) -> Result<bool, Lost> {
        let (known, published) = (self.delivered + self.missed, sequence.saturating_sub(self.entered_at));
        if known > published {
            return Err(Lost::Wrong(format!(
                "{} delivered and {} told as missed, of {published} published",
                self.delivered, self.missed
            )));
        }
        Ok(known == published)
    }
}

/// The delays of timed messages.
#[derive(Debug, Default)]
pub(super) struct Delays {
    first_number: u64,
    /// Of each message to each member, nanoseconds.
    by_message: Vec<Vec<u64>>,
}

impl Delays {
    /// For `messages` timed messages from number `first_number` on, to `members` members.
    pub(super) fn expect(first_number: u64, messages: u64, members: usize) -> Self {
        Self {
            first_number,
            by_message: (0..messages).map(|_| Vec::with_capacity(members)).collect(),
        }
    }

    pub(super) fn are_expected(&self) -> bool {
        !self.by_message.is_empty()
    }

    /// A timed message arrived. One that is not expected is of an earlier phase and does not count.
    pub(super) fn record(&mut self, stamp: Stamp, now_ns: u64) {
        if let Some(number) = stamp.number.checked_sub(self.first_number)
            && let Some(delays) = self.by_message.get_mut(number as usize)
        {
            delays.push(now_ns.saturating_sub(stamp.intended_ns));
        }
    }

    /// Ends the expectation.
    pub(super) fn take(&mut self) -> (Vec<Option<MessageTimes>>, Latencies) {
        let mut every = Latencies::new();
        let messages = std::mem::take(&mut self.by_message)
            .into_iter()
            .map(|mut delays| {
                delays.iter().for_each(|delay| every.record(*delay));
                MessageTimes::of(&mut delays)
            })
            .collect();
        (messages, every)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gap(low: u64, barrage: u64) -> RoomGap {
        RoomGap {
            low,
            barrage,
            ..RoomGap::default()
        }
    }

    #[test]
    fn an_account_is_settled_when_delivered_and_missed_make_up_what_was_published() {
        let mut account = Account::open(100);
        assert!(account.is_settled(100).unwrap());
        account.deliver(101).unwrap();
        account.miss(&gap(2, 1));
        account.deliver(103).unwrap();
        assert!(!account.is_settled(106).unwrap());
        account.deliver(106).unwrap();
        assert!(account.is_settled(106).unwrap());
        assert_eq!((account.delivered(), account.missed(), account.gaps()), (3, 3, 1));
    }

    #[test]
    fn a_message_twice_or_out_of_order_is_noticed() {
        let mut account = Account::open(5);
        account.deliver(6).unwrap();
        assert!(account.deliver(6).is_err());
        assert!(account.deliver(4).is_err());
    }

    #[test]
    fn more_than_was_published_is_noticed() {
        let mut account = Account::open(5);
        account.deliver(6).unwrap();
        account.miss(&gap(1, 0));
        assert!(account.is_settled(6).is_err());
        assert!(account.is_settled(7).unwrap());
    }

    #[test]
    fn delays_are_counted_from_the_intended_time_of_the_messages_expected() {
        let mut delays = Delays::expect(10, 2, 3);
        let stamp = |number| Stamp {
            intended_ns: 1_000,
            number,
        };
        delays.record(stamp(9), 1_500);
        delays.record(stamp(10), 1_300);
        delays.record(stamp(10), 1_100);
        delays.record(stamp(12), 1_500);
        let (messages, every) = delays.take();
        let times = messages[0].unwrap();
        assert_eq!((times.members, times.first_ns, times.last_ns), (2, 100, 300));
        assert_eq!((messages.len(), messages[1]), (2, None));
        assert_eq!(every.count(), 2);
        assert!(!delays.are_expected());
    }
}
