//! A peer in a run: it may be slow and it may lose messages, and neither ends the run.
//!
//! A peer is measured for as long as its time lasts, with rounds of its own number. One that lost something or failed
//! is started anew for the next repeat, since nobody knows what it still has in its queues. All of it is in the result.

use std::time::{Duration, Instant};

use super::report::{End, Idle, Incomplete, Part, SideName};
use super::side::{Ground, Rounds, Side, WarmUp};
use super::{PART, WARM_UP, WARM_UP_MAX, WARM_UP_ROUNDS_MIN};
use crate::bench_error::BenchError;
use crate::peer::PeerBinary;

/// How long a peer may take for one number of members and window, all repeats together; what has begun is ended.
const TIME_MAX: Duration = Duration::from_secs(90);

/// A peer with its members, or what is left of it.
pub(super) struct Contender<'a> {
    binary: &'a PeerBinary,
    ground: &'a Ground<'a>,
    rounds_max: Option<u32>,
    running: Option<Running>,
    idle: Option<Idle>,
    incomplete: Vec<Incomplete>,
    spent: Duration,
}

struct Running {
    side: Side,
    rounds: u32,
}

impl<'a> Contender<'a> {
    /// Starts the peer and warms it up. `rounds_max` bounds the rounds of a repeat besides the time.
    ///
    /// # Errors
    /// Only an interrupt: that the peer does not start is a result.
    pub(super) fn start(
        binary: &'a PeerBinary,
        rounds_max: Option<u32>,
        ground: &'a Ground<'a>,
    ) -> Result<Self, BenchError> {
        let mut contender = Self {
            binary,
            ground,
            rounds_max,
            running: None,
            idle: None,
            incomplete: Vec::new(),
            spent: Duration::ZERO,
        };
        contender.start_anew(0)?;
        Ok(contender)
    }

    pub(super) fn name(&self) -> SideName {
        SideName::Peer(self.binary.kind)
    }

    /// What was seen before the first round, if its members ever came in.
    pub(super) fn idle(&self) -> Option<Idle> {
        self.idle.clone()
    }

    /// What did not go as it should.
    pub(super) fn into_incomplete(self) -> Vec<Incomplete> {
        self.incomplete
    }

    /// Measures one repeat. `None`: its time is over, or the repeat is among the incomplete.
    ///
    /// # Errors
    /// Only an interrupt.
    pub(super) fn measure(&mut self, repeat: u32) -> Result<Option<Part>, BenchError> {
        if self.spent >= TIME_MAX {
            return Ok(None);
        }
        if self.running.is_none() {
            self.start_anew(repeat)?;
        }
        let Some(mut running) = self.running.take() else {
            return Ok(None);
        };
        let began = Instant::now();
        eprintln!("repeat {repeat}: {} rounds of {} ...", running.rounds, self.name());
        let measured = running.side.measure(repeat, running.rounds, self.ground.inbox);
        self.spent += began.elapsed();
        match measured {
            Ok(Rounds::Complete(part)) => {
                self.running = Some(running);
                Ok(Some(part))
            }
            Ok(Rounds::Lost { rounds_complete, lost }) => {
                self.note_lost(repeat, rounds_complete, lost);
                Ok(None)
            }
            Err(error) => {
                self.note_failed(repeat, error)?;
                Ok(None)
            }
        }
    }

    fn start_anew(&mut self, repeat: u32) -> Result<(), BenchError> {
        let load = self.ground.load;
        let began = Instant::now();
        eprintln!("{} members enter {} ...", load.members, self.name());
        let warm = Side::start_peer(self.binary, self.ground).and_then(|mut side| {
            if self.idle.is_none() {
                self.idle = Some(side.idle());
            }
            let fastest = side.warm_up(WARM_UP, WARM_UP_ROUNDS_MIN, WARM_UP_MAX, self.ground.inbox)?;
            Ok((side, fastest))
        });
        self.spent += began.elapsed();
        match warm {
            Ok((side, WarmUp::Fastest(fastest))) => {
                let fill = PART.div_duration_f64(fastest).ceil() as u32;
                let rounds = fill.min(self.rounds_max.unwrap_or(u32::MAX));
                self.running = Some(Running { side, rounds });
            }
            Ok((_, WarmUp::Lost(lost))) => self.note_lost(repeat, 0, lost),
            Err(error) => self.note_failed(repeat, error)?,
        }
        Ok(())
    }

    fn note_lost(&mut self, repeat: u32, rounds_complete: u32, lost: u64) {
        let load = self.ground.load;
        let of = load.members as u64 * u64::from(load.window);
        self.note(repeat, rounds_complete, End::Lost { lost, of });
    }

    fn note_failed(&mut self, repeat: u32, error: BenchError) -> Result<(), BenchError> {
        let reason = match error {
            BenchError::Interrupted => return Err(error),
            BenchError::Timeout { doing, seconds, .. } => {
                // Another try would take as long and come to nothing again.
                self.spent = TIME_MAX;
                format!("{doing} took more than {seconds} s")
            }
            other => other.to_string(),
        };
        self.note(repeat, 0, End::Failed { reason });
        Ok(())
    }

    fn note(&mut self, repeat: u32, rounds_complete: u32, end: End) {
        let incomplete = Incomplete {
            side: self.name(),
            repeat,
            rounds_complete,
            end,
        };
        eprintln!("{incomplete}");
        self.incomplete.push(incomplete);
    }
}
