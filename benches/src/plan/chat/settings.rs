//! What is asked for, and whether this machine can do it.

use std::path::PathBuf;
use std::time::Duration;

use rustix::process::{Resource, getrlimit};
use serde::Serialize;

use crate::bench_error::BenchError;

/// Descriptors a process needs besides its connections.
const OTHER_DESCRIPTORS: usize = 200;

/// Most members of a conversation: more than a group of the gateway's defaults has.
const SIZE_MAX: usize = 500;

/// Most messages in flight: half of what may wait to be written.
const WINDOW_MAX: usize = 8_192;

/// Most deliveries in flight: a third of a second of work. With much more the gateway refuses, and should.
const DELIVERIES_MAX: usize = 128 * 1024;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Users, all online
    #[arg(long, value_name = "N", default_value_t = 4_000)]
    users: usize,
    /// Members of each conversation, 2 (a pair) to 500; one measurement for each
    #[arg(long, value_name = "M,…", value_delimiter = ',', default_value = "2,10,500")]
    sizes: Vec<usize>,
    /// Bytes of content of each message, 1 to 32768
    #[arg(long, value_name = "B", default_value_t = 128)]
    payload: usize,
    /// Messages in flight while the most is measured that is committed, and at most 131072 deliveries
    #[arg(long, value_name = "W", default_value_t = 1_024)]
    window: usize,
    /// Length of a turn
    #[arg(long, value_name = "S", default_value_t = 5)]
    seconds: u64,
    /// How often the bare loop and the gateway have a turn; the open loop lasts as long as all of the gateway's
    #[arg(long, value_name = "K", default_value_t = 5)]
    repeats: u32,
    /// Measure the list of conversations and the newest page of one instead
    #[arg(long)]
    list: bool,
    /// With --list: conversations in the table, of 100 for each user; a multiple of 50, at least 5100
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    conversations: usize,
    /// With --list: messages of each conversation, rising; each number is measured
    #[arg(long, value_name = "M,…", value_delimiter = ',', default_value = "10,100")]
    messages: Vec<usize>,
    /// With --list: questions each second
    #[arg(long, value_name = "R", default_value_t = 200.0)]
    rate: f64,
    /// Write all figures, with hardware, versions and settings, to this file
    #[arg(long, value_name = "FILE")]
    pub(super) json: Option<PathBuf>,
    /// The gateway's binary [default: `sluice` next to this program]
    #[arg(long, value_name = "PATH")]
    pub(super) gateway: Option<PathBuf>,
}

/// Arguments that this machine can do.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Settings {
    pub(super) users: usize,
    pub(super) sizes: Vec<usize>,
    pub(super) payload_bytes: usize,
    pub(super) window: usize,
    pub(super) seconds: u64,
    pub(super) repeats: u32,
    pub(super) list: bool,
    pub(super) conversations: usize,
    pub(super) messages: Vec<usize>,
    pub(super) questions_per_second: f64,
}

impl Settings {
    pub(super) fn check(arguments: &Arguments) -> Result<Self, BenchError> {
        let refuse = |what: String| Err(BenchError::Unsuitable(what));
        if arguments.seconds == 0 || arguments.repeats == 0 {
            return refuse("--seconds and --repeats are at least 1".into());
        }
        let sizes = &arguments.sizes;
        if sizes.is_empty()
            || sizes
                .iter()
                .any(|size| !(2..=SIZE_MAX).contains(size) || *size > arguments.users)
        {
            return refuse(format!("--sizes are 2 to {SIZE_MAX}, and not more than --users"));
        }
        let largest = sluice_protocol::limits::TEXT_BYTES;
        if !(1..=largest).contains(&arguments.payload) {
            return refuse(format!("--payload is 1 to {largest}"));
        }
        if !(1..=WINDOW_MAX).contains(&arguments.window) {
            return refuse(format!("--window is 1 to {WINDOW_MAX}"));
        }
        if arguments.conversations < super::list::CONVERSATIONS_MIN
            || !arguments.conversations.is_multiple_of(super::list::MADE_BY_EACH)
        {
            return refuse(format!(
                "--conversations is a multiple of {}, at least {}",
                super::list::MADE_BY_EACH,
                super::list::CONVERSATIONS_MIN
            ));
        }
        if arguments.messages.is_empty() || arguments.messages[0] == 0 || !arguments.messages.is_sorted() {
            return refuse("--messages rise from 1 at least".into());
        }
        if !(arguments.rate.is_finite() && arguments.rate > 0.0) {
            return refuse("--rate is above 0".into());
        }
        // One of each user's with the gateway, and the two ends of one with the bare loop.
        let descriptors = 3 * arguments.users + OTHER_DESCRIPTORS;
        if let Some(limit) = getrlimit(Resource::Nofile).current
            && descriptors as u64 > limit
        {
            return refuse(format!(
                "{} users need {descriptors} descriptors here and in the server, and this process may have {limit}: raise it \
                 with `ulimit -n` or take fewer users",
                arguments.users
            ));
        }
        Ok(Self {
            users: arguments.users,
            sizes: sizes.clone(),
            payload_bytes: arguments.payload,
            window: arguments.window,
            seconds: arguments.seconds,
            repeats: arguments.repeats,
            list: arguments.list,
            conversations: arguments.conversations,
            messages: arguments.messages.clone(),
            questions_per_second: arguments.rate,
        })
    }

    /// Messages in flight in conversations of this size.
    pub(super) fn window_of(&self, size: usize) -> usize {
        self.window.min(DELIVERIES_MAX / size)
    }

    /// Of a turn.
    pub(super) fn time(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }
}
