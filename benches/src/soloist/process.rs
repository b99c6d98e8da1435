//! The plan's end of a soloist.

use std::time::Duration;

use super::{Order, Ran, Said, Task};
use crate::bench_error::BenchError;
use crate::child::{Child, Inbox, this_program};
use crate::messages::Report;

/// How long a soloist may be silent: the longest phase, and the answers after it.
const PATIENCE: Duration = Duration::from_secs(900);

pub(crate) struct Soloist {
    child: Child,
}

impl Soloist {
    /// Starts it and waits until it is inside.
    pub(crate) fn start(name: &str, task: &Task, inbox: &Inbox) -> Result<Self, BenchError> {
        let mut child = Child::start_reporting(name, &mut this_program("soloist")?, inbox)?;
        child.tell(task)?;
        let soloist = Self { child };
        match soloist.hear("entering", inbox)? {
            Said::Inside => Ok(soloist),
            other => Err(soloist.unexpected(&other)),
        }
    }

    /// Begins an order. What came of it is to be asked for with [`Self::ran`].
    pub(crate) fn begin(&mut self, order: Order) -> Result<(), BenchError> {
        self.child.tell(&order)
    }

    /// Waits until the order is done.
    pub(crate) fn ran(&self, inbox: &Inbox) -> Result<Ran, BenchError> {
        match self.hear("sending", inbox)? {
            Said::Ran(ran) => Ok(*ran),
            other => Err(self.unexpected(&other)),
        }
    }

    fn hear(&self, doing: &'static str, inbox: &Inbox) -> Result<Said, BenchError> {
        match inbox.next_from(&self.child, doing, PATIENCE)? {
            Report::Soloist(said) => Ok(said),
            other => Err(self.unexpected(&other)),
        }
    }

    fn unexpected(&self, what: &impl std::fmt::Debug) -> BenchError {
        BenchError::peer(self.child.name(), format!("reported {what:?}"))
    }
}
