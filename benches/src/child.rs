//! Child processes, told what to do by one line and heard by many.
//!
//! [`Child`] is the plan's end, [`obey`] and [`report`] are the child's. A child that is dropped is killed and not heard
//! any more, and a child whose standard input ends goes by itself, so nothing is left behind however a run ends.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::process::{self, Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc as orders;

use crate::bench_error::{BenchError, Doing};
use crate::messages::Report;

/// The plan's handle of one child.
pub(crate) struct Child {
    name: String,
    process: process::Child,
    dismissed: Dismissed,
}

/// Set when a child is dropped: what it said before, and that it ended, is of no interest then.
type Dismissed = Arc<AtomicBool>;

/// Something a plan waits for.
enum Event {
    Reported(String, Box<Report>, Dismissed),
    Ended(String, Dismissed),
    Interrupted,
}

impl Event {
    fn is_of_a_dismissed_child(&self) -> bool {
        match self {
            Self::Reported(_, _, dismissed) | Self::Ended(_, dismissed) => dismissed.load(Ordering::Relaxed),
            Self::Interrupted => false,
        }
    }
}

/// Where the reports of all children arrive.
pub(crate) struct Inbox {
    events: mpsc::Receiver<Event>,
    sender: mpsc::Sender<Event>,
    /// Reports of children that nobody has asked for yet.
    set_aside: RefCell<VecDeque<(String, Report)>>,
}

impl Inbox {
    /// Also begins to listen for SIGINT and SIGTERM, so that an interrupted run still ends its children.
    pub(crate) fn open() -> Result<Self, BenchError> {
        let (sender, events) = mpsc::channel();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .doing("starting the signal listener")?;
        let interrupted = sender.clone();
        std::thread::spawn(move || {
            runtime.block_on(async {
                let terminated = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate());
                if let Ok(mut terminated) = terminated {
                    tokio::select! {
                        _ = tokio::signal::ctrl_c() => {}
                        _ = terminated.recv() => {}
                    }
                    // The run may be over already; then nobody needs to know.
                    let _ = interrupted.send(Event::Interrupted);
                }
            });
        });
        Ok(Self {
            events,
            sender,
            set_aside: RefCell::default(),
        })
    }

    /// The next report of any child.
    ///
    /// # Errors
    /// A child that fails or ends, an interrupt, or silence for `patience` while `doing` something.
    pub(crate) fn next(&self, doing: &'static str, patience: Duration) -> Result<(String, Report), BenchError> {
        let mut event = self.events.recv_timeout(patience);
        while event.as_ref().is_ok_and(Event::is_of_a_dismissed_child) {
            event = self.events.recv_timeout(patience);
        }
        match event {
            Ok(Event::Reported(who, report, _)) => match *report {
                Report::Failed { reason } => Err(BenchError::peer(&who, reason)),
                report => Ok((who, report)),
            },
            Ok(Event::Ended(who, _)) => Err(BenchError::peer(&who, format!("ended while {doing}"))),
            Ok(Event::Interrupted) => Err(BenchError::Interrupted),
            Err(_) => Err(BenchError::Timeout {
                who: "every child".into(),
                doing,
                seconds: patience.as_secs(),
            }),
        }
    }

    /// The next report of `child`. What others report meanwhile waits until it is asked for.
    ///
    /// # Errors
    /// As [`Self::next`]; any child that fails or ends counts, whoever is waited for.
    pub(crate) fn next_from(
        &self,
        child: &Child,
        doing: &'static str,
        patience: Duration,
    ) -> Result<Report, BenchError> {
        let mut set_aside = self.set_aside.borrow_mut();
        if let Some(index) = set_aside.iter().position(|(who, _)| *who == child.name) {
            let (_, report) = set_aside.remove(index).expect("it was just found there");
            return Ok(report);
        }
        loop {
            let (who, report) = self.next(doing, patience)?;
            if who == child.name {
                return Ok(report);
            }
            set_aside.push_back((who, report));
        }
    }

    /// Waits for a moment, or for the first fault.
    pub(crate) fn pause(&self, time: Duration) -> Result<(), BenchError> {
        match self.next("waiting", time) {
            Err(BenchError::Timeout { .. }) => Ok(()),
            Err(error) => Err(error),
            Ok((who, report)) => Err(BenchError::peer(&who, format!("reported {report:?} unasked"))),
        }
    }
}

impl Child {
    /// Starts `command` with its standard output read as reports to `inbox`.
    pub(crate) fn start_reporting(name: &str, command: &mut Command, inbox: &Inbox) -> Result<Self, BenchError> {
        let mut child = Self::start(name, command.stdout(Stdio::piped()))?;
        let output = child.process.stdout.take().expect("standard output was just piped");
        let events = inbox.sender.clone();
        let name = name.to_owned();
        let dismissed = child.dismissed.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines() {
                let Ok(line) = line else { break };
                let report = serde_json::from_str(&line).unwrap_or_else(|_| Report::Failed {
                    reason: format!("printed {line:?}"),
                });
                if events
                    .send(Event::Reported(name.clone(), Box::new(report), dismissed.clone()))
                    .is_err()
                {
                    return;
                }
            }
            // The plan may have stopped listening because it is done.
            let _ = events.send(Event::Ended(name, dismissed));
        });
        Ok(child)
    }

    /// Starts `command` without listening to it.
    pub(crate) fn start(name: &str, command: &mut Command) -> Result<Self, BenchError> {
        let process = command
            .stdin(Stdio::piped())
            .spawn()
            .doing(format!("starting {name}"))?;
        Ok(Self {
            name: name.to_owned(),
            process,
            dismissed: Dismissed::default(),
        })
    }

    pub(crate) fn tell(&mut self, task: &impl Serialize) -> Result<(), BenchError> {
        let mut line = serde_json::to_string(task).expect("tasks are plain data");
        line.push('\n');
        let input = self
            .process
            .stdin
            .as_mut()
            .expect("standard input is piped and stays open");
        input
            .write_all(line.as_bytes())
            .doing(format!("telling {} its task", self.name))
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Whether it has ended by itself.
    pub(crate) fn exit_status(&mut self) -> Result<Option<process::ExitStatus>, BenchError> {
        self.process.try_wait().doing(format!("looking after {}", self.name))
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.dismissed.store(true, Ordering::Relaxed);
        // It may have ended already, and there is nobody to tell if not.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The child's whole life: read the task, do it, report why it failed.
pub(crate) fn obey<T: DeserializeOwned>(work: fn(T) -> Result<(), BenchError>) -> ExitCode {
    let mut input = BufReader::new(io::stdin());
    let Some(task) = read_task(&mut input) else {
        return ExitCode::FAILURE;
    };
    std::thread::spawn(move || {
        // The plan never says more; the end of the input, or an error, says that the plan is gone.
        let _ = input.read_to_end(&mut Vec::new());
        process::exit(0);
    });
    finish(work(task))
}

/// The whole life of a child that gets orders after its task, one a line.
pub(crate) fn obey_orders<T, O>(work: fn(T, orders::UnboundedReceiver<O>) -> Result<(), BenchError>) -> ExitCode
where
    T: DeserializeOwned,
    O: DeserializeOwned + Send + 'static,
{
    let mut input = BufReader::new(io::stdin());
    let Some(task) = read_task(&mut input) else {
        return ExitCode::FAILURE;
    };
    let (sender, receiver) = orders::unbounded_channel();
    std::thread::spawn(move || {
        for line in input.lines() {
            let Some(order) = line.ok().and_then(|line| serde_json::from_str(&line).ok()) else {
                break;
            };
            if sender.send(order).is_err() {
                break;
            }
        }
        process::exit(0);
    });
    finish(work(task, receiver))
}

/// The first line of the input. `None`: there is no plan, and whoever started this has been told so.
fn read_task<T: DeserializeOwned>(input: &mut impl BufRead) -> Option<T> {
    let mut line = String::new();
    if input.read_line(&mut line).is_ok()
        && let Ok(task) = serde_json::from_str(&line)
    {
        return Some(task);
    }
    eprintln!("sluice-bench: only a plan starts this command, with a task on standard input");
    None
}

fn finish(result: Result<(), BenchError>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(&Report::Failed {
                reason: error.to_string(),
            });
            ExitCode::FAILURE
        }
    }
}

/// A command that runs this same program.
pub(crate) fn this_program(subcommand: &str) -> Result<Command, BenchError> {
    let mut command = Command::new(std::env::current_exe().doing("finding this program")?);
    command.arg(subcommand);
    Ok(command)
}

/// Tells the plan something.
pub(crate) fn report(report: &Report) {
    let mut line = serde_json::to_string(report).expect("reports are plain data");
    line.push('\n');
    let mut output = io::stdout().lock();
    // Without a plan to hear it the end of standard input stops this process.
    let _ = output.write_all(line.as_bytes()).and_then(|()| output.flush());
}
