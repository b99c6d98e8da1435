//! What a crowd counts, and how the counts of several processes become one.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::latencies::Latencies;

/// Length of the intervals in which logins are counted, to find the busiest.
pub(crate) const TICK_MS: u64 = 100;

/// How members came to a stage.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Risen {
    /// From the order until the last was there.
    pub(crate) seconds: f64,
    /// Logins in each [`TICK_MS`] since the order.
    pub(crate) logins: Vec<u32>,
    /// From setting out, failed attempts included, to the login's answer.
    pub(crate) login_latencies: Latencies,
    /// Attempts that failed, by cause.
    pub(crate) failures: BTreeMap<String, u64>,
}

impl Risen {
    /// All processes together; they were told at the same moment.
    pub(crate) fn merge(parts: Vec<Self>) -> Self {
        let mut parts = parts.into_iter();
        let mut sum = parts.next().expect("a crowd has a process");
        for part in parts {
            sum.seconds = sum.seconds.max(part.seconds);
            if sum.logins.len() < part.logins.len() {
                sum.logins.resize(part.logins.len(), 0);
            }
            for (sum, count) in sum.logins.iter_mut().zip(part.logins) {
                *sum += count;
            }
            sum.login_latencies.add(&part.login_latencies);
            add_counts(&mut sum.failures, part.failures);
        }
        sum
    }

    /// The most logins that any second held; the rate of them all if they took less than one.
    pub(crate) fn peak_logins_per_second(&self) -> f64 {
        let second = (1_000 / TICK_MS) as usize;
        let whole = self.logins.windows(second).map(|second| second.iter().sum::<u32>());
        whole
            .max()
            .map_or_else(|| f64::from(self.logins.iter().sum::<u32>()) / self.seconds, f64::from)
    }
}

/// When a message reached the members who were timed, nanoseconds after it was to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MessageTimes {
    /// How many were timed.
    pub(crate) members: u64,
    pub(crate) first_ns: u64,
    pub(crate) median_ns: u64,
    pub(crate) last_ns: u64,
}

impl MessageTimes {
    /// Of the delays of one message to each member, in any order. `None`: it reached nobody.
    pub(crate) fn of(delays_ns: &mut [u64]) -> Option<Self> {
        delays_ns.sort_unstable();
        Some(Self {
            members: delays_ns.len() as u64,
            first_ns: *delays_ns.first()?,
            median_ns: delays_ns[delays_ns.len() / 2],
            last_ns: *delays_ns.last()?,
        })
    }

    /// Of two processes with members dealt out in turn, so that the median of both is between theirs.
    fn merge(self, other: Self) -> Self {
        let weighted = |mine: u64, others: u64| {
            let sum = u128::from(mine) * u128::from(self.members) + u128::from(others) * u128::from(other.members);
            (sum / u128::from(self.members + other.members)) as u64
        };
        Self {
            members: self.members + other.members,
            first_ns: self.first_ns.min(other.first_ns),
            median_ns: weighted(self.median_ns, other.median_ns),
            last_ns: self.last_ns.max(other.last_ns),
        }
    }
}

/// What members got since the figures began.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Figures {
    /// Messages delivered to members who always read, and told to them as missed.
    pub(crate) delivered: u64,
    pub(crate) missed: u64,
    /// The same of members who stopped reading.
    pub(crate) slow_delivered: u64,
    pub(crate) slow_missed: u64,
    /// Gap notices to members who stopped reading.
    pub(crate) slow_gaps: u64,
    /// Of each timed message, members who stopped reading left out; by its number from the first one on.
    pub(crate) messages: Vec<Option<MessageTimes>>,
    /// Of each timed delivery.
    pub(crate) every: Latencies,
}

impl Figures {
    /// All processes together.
    pub(crate) fn merge(parts: Vec<Self>) -> Self {
        let mut parts = parts.into_iter();
        let mut sum = parts.next().expect("a crowd has a process");
        for part in parts {
            sum.delivered += part.delivered;
            sum.missed += part.missed;
            sum.slow_delivered += part.slow_delivered;
            sum.slow_missed += part.slow_missed;
            sum.slow_gaps += part.slow_gaps;
            sum.every.add(&part.every);
            for (sum, times) in sum.messages.iter_mut().zip(part.messages) {
                *sum = match (*sum, times) {
                    (Some(sum), Some(times)) => Some(sum.merge(times)),
                    (sum, times) => sum.or(times),
                };
            }
        }
        sum
    }
}

/// Pings of members in turn.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Pinged {
    pub(crate) sent: u64,
    pub(crate) answered: u64,
    /// From sending to the answer.
    pub(crate) latencies: Latencies,
}

impl Pinged {
    pub(crate) fn merge(parts: Vec<Self>) -> Self {
        let mut parts = parts.into_iter();
        let mut sum = parts.next().expect("a crowd has a process");
        for part in parts {
            sum.sent += part.sent;
            sum.answered += part.answered;
            sum.latencies.add(&part.latencies);
        }
        sum
    }
}

/// Members who entered and left.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Churned {
    /// From the first intended join to the answer to the last leave.
    pub(crate) seconds: f64,
    pub(crate) joins: u64,
    pub(crate) leaves: u64,
    /// Turns at which a member had not yet had the answer to its last one, and was passed over.
    pub(crate) passed_over: u64,
    /// Commands refused, by code.
    pub(crate) refused: BTreeMap<String, u64>,
}

pub(crate) fn add_counts(sum: &mut BTreeMap<String, u64>, counts: BTreeMap<String, u64>) {
    for (cause, count) in counts {
        *sum.entry(cause).or_default() += count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_timed_by_its_first_median_and_last_member() {
        assert_eq!(
            MessageTimes::of(&mut [50, 10, 20, 40, 30]),
            Some(MessageTimes {
                members: 5,
                first_ns: 10,
                median_ns: 30,
                last_ns: 50
            })
        );
        assert_eq!(MessageTimes::of(&mut []), None);
    }

    #[test]
    fn processes_are_merged_by_their_extremes_and_the_weight_of_their_members() {
        let one = MessageTimes::of(&mut [10, 20, 30]).unwrap();
        let other = MessageTimes::of(&mut [40]).unwrap();
        assert_eq!(
            one.merge(other),
            MessageTimes {
                members: 4,
                first_ns: 10,
                median_ns: 25,
                last_ns: 40
            }
        );
    }

    #[test]
    fn the_peak_is_the_busiest_second_wherever_it_begins() {
        let mut risen = Risen {
            seconds: 2.0,
            logins: vec![0; 20],
            login_latencies: Latencies::new(),
            failures: BTreeMap::new(),
        };
        for tick in 5..15 {
            risen.logins[tick] = 7;
        }
        risen.logins[19] = 1;
        assert_eq!(risen.peak_logins_per_second(), 70.0);
        risen.logins.truncate(7);
        risen.seconds = 0.5;
        assert_eq!(risen.peak_logins_per_second(), 28.0);
    }
}
