//! The plan's end of a crowd that is spread over processes.

use std::net::SocketAddr;
use std::time::Duration;

use super::{Churned, Departures, Figures, Order, Pinged, Risen, Said, Stage, Task};
use crate::bench_error::BenchError;
use crate::child::{Child, Inbox, this_program};
use crate::messages::{Entry, Report, Transport};
use crate::process_figures::CpuTimes;
use crate::schedule::Pace;

/// How long a crowd may be silent over one order.
const PATIENCE: Duration = Duration::from_secs(180);

/// What a crowd is made from.
#[derive(Clone)]
pub(crate) struct CrowdSettings {
    /// For messages about its processes.
    pub(crate) name: &'static str,
    pub(crate) transport: Transport,
    pub(crate) server: SocketAddr,
    pub(crate) processes: usize,
    /// In all processes together.
    pub(crate) members: usize,
    /// The number of the first of them.
    pub(crate) first_member: usize,
    /// How many of them can be told to stop reading.
    pub(crate) slow: usize,
    pub(crate) room: String,
    pub(crate) content_bytes: usize,
    pub(crate) certificate: std::path::PathBuf,
    pub(crate) entry: Entry,
    pub(crate) resumes: bool,
}

/// A crowd, told by one, answering as one.
pub(crate) struct CrowdProcesses {
    children: Vec<Child>,
}

impl CrowdProcesses {
    /// Starts the processes. Nobody has connected yet.
    pub(crate) fn start(settings: &CrowdSettings, inbox: &Inbox) -> Result<Self, BenchError> {
        let mut children = Vec::new();
        let (mut first, mut first_slow) = (0, 0);
        for process in 0..settings.processes {
            let rest = settings.processes - process;
            let members = (settings.members - first).div_ceil(rest);
            let slow = (settings.slow - first_slow).div_ceil(rest).min(members);
            let name = format!("{} {process}", settings.name);
            let mut child = Child::start_reporting(&name, &mut this_program("crowd")?, inbox)?;
            child.tell(&Task {
                transport: settings.transport,
                server: settings.server,
                members,
                first_member: settings.first_member + first,
                slow,
                room: settings.room.clone(),
                content_bytes: settings.content_bytes,
                certificate: settings.certificate.clone(),
                entry: settings.entry.clone(),
                resumes: settings.resumes,
            })?;
            first += members;
            first_slow += slow;
            children.push(child);
        }
        Ok(Self { children })
    }

    /// Brings all to a stage.
    pub(crate) fn rise(&mut self, to: Stage, departures: Departures, inbox: &Inbox) -> Result<Risen, BenchError> {
        self.rise_however(to, departures, false, inbox)
    }

    /// The same; failures are counted and tried again.
    pub(crate) fn rise_persistently(
        &mut self,
        to: Stage,
        departures: Departures,
        inbox: &Inbox,
    ) -> Result<Risen, BenchError> {
        self.rise_however(to, departures, true, inbox)
    }

    fn rise_however(
        &mut self,
        to: Stage,
        departures: Departures,
        persistent: bool,
        inbox: &Inbox,
    ) -> Result<Risen, BenchError> {
        let processes = self.children.len() as f64;
        self.tell_each(|process| Order::Rise {
            to,
            departures: match departures {
                Departures::Paced(pace) => Departures::Paced(share(pace, process, processes)),
                other => other,
            },
            persistent,
        })?;
        let parts = self.hear(inbox, "coming in", |said| match said {
            Said::Risen(risen) => Some(risen),
            _ => None,
        })?;
        Ok(Risen::merge(parts))
    }

    /// Closes all connections.
    pub(crate) fn fall(&mut self, inbox: &Inbox) -> Result<(), BenchError> {
        self.do_at_once(&Order::Fall, inbox)
    }

    pub(crate) fn begin(&mut self, first_number: u64, messages: u64, inbox: &Inbox) -> Result<(), BenchError> {
        self.do_at_once(&Order::Begin { first_number, messages }, inbox)
    }

    /// Slow members stop reading.
    pub(crate) fn sleep(&mut self, inbox: &Inbox) -> Result<(), BenchError> {
        self.do_at_once(&Order::Sleep, inbox)
    }

    /// Slow members read again.
    pub(crate) fn wake(&mut self, inbox: &Inbox) -> Result<(), BenchError> {
        self.do_at_once(&Order::Wake, inbox)
    }

    /// What members got, once all who read have everything up to `sequence`.
    pub(crate) fn settle(&mut self, sequence: u64, lossless: bool, inbox: &Inbox) -> Result<Figures, BenchError> {
        self.tell_each(|_| Order::Settle { sequence, lossless })?;
        let parts = self.hear(inbox, "delivering", |said| match said {
            Said::Settled(figures) => Some(figures),
            _ => None,
        })?;
        Ok(Figures::merge(parts))
    }

    /// Has members ping in turn, `per_second` of them in all, for `time`.
    pub(crate) fn ping(&mut self, pace: Pace, time: Duration, inbox: &Inbox) -> Result<Pinged, BenchError> {
        let processes = self.children.len() as f64;
        self.tell_each(|process| {
            let pace = share(pace, process, processes);
            Order::Ping {
                pace,
                count: pace.count_in(time),
            }
        })?;
        let parts = self.hear(inbox, "answering pings", |said| match said {
            Said::Pinged(pinged) => Some(pinged),
            _ => None,
        })?;
        Ok(Pinged::merge(parts))
    }

    /// Begins to have members enter and leave in turn. What came of it is to be asked for with [`Self::churned`].
    pub(crate) fn begin_churn(&mut self, pace: Pace, time: Duration) -> Result<(), BenchError> {
        let processes = self.children.len() as f64;
        self.tell_each(|process| {
            let pace = share(pace, process, processes);
            Order::Churn {
                pace,
                count: pace.count_in(time),
            }
        })
    }

    /// What the churn came to, by process.
    pub(crate) fn churned(&mut self, inbox: &Inbox) -> Result<Vec<Churned>, BenchError> {
        self.hear(inbox, "letting members in and out", |said| match said {
            Said::Churned(churned) => Some(churned),
            _ => None,
        })
    }

    /// CPU time of each process.
    pub(crate) fn cpu_times(&self) -> Result<Vec<CpuTimes>, BenchError> {
        self.children.iter().map(|child| CpuTimes::of(child.pid())).collect()
    }

    fn do_at_once(&mut self, order: &Order, inbox: &Inbox) -> Result<(), BenchError> {
        self.tell_each(|_| order.clone())?;
        self.hear(inbox, "doing as told", |said| match said {
            Said::Done => Some(()),
            _ => None,
        })?;
        Ok(())
    }

    fn tell_each(&mut self, order: impl Fn(usize) -> Order) -> Result<(), BenchError> {
        for (process, child) in self.children.iter_mut().enumerate() {
            child.tell(&order(process))?;
        }
        Ok(())
    }

    fn hear<T>(
        &self,
        inbox: &Inbox,
        doing: &'static str,
        expected: fn(Said) -> Option<T>,
    ) -> Result<Vec<T>, BenchError> {
        self.children
            .iter()
            .map(|child| match inbox.next_from(child, doing, PATIENCE)? {
                Report::Crowd(said) => {
                    expected(said).ok_or_else(|| BenchError::peer(child.name(), "answered another order"))
                }
                other => Err(BenchError::peer(child.name(), format!("reported {other:?}"))),
            })
            .collect()
    }
}

/// One process's part of a pace: as slow as there are processes, and each begins a step after the one before it.
fn share(pace: Pace, process: usize, processes: f64) -> Pace {
    Pace {
        start_ns: pace.intended_ns(process as u64),
        per_second: pace.per_second / processes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shares_of_a_pace_interleave_to_the_whole() {
        let pace = Pace {
            start_ns: 1_000_000,
            per_second: 30.0,
        };
        for number in 0..30 {
            let share = share(pace, number % 3, 3.0);
            let mine = share.intended_ns(number as u64 / 3);
            assert!(mine.abs_diff(pace.intended_ns(number as u64)) <= 1, "number {number}");
        }
    }
}
