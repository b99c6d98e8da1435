//! One of the two servers with its members and all who measure and disturb them.

use std::path::Path;
use std::time::Duration;

use super::report::Part;
use super::settings::{Phase, Settings};
use crate::bench_error::BenchError;
use crate::child::{Child, Inbox, this_program};
use crate::cores::Cores;
use crate::credentials::Credentials;
use crate::crowd::{Churned, CrowdProcesses, CrowdSettings, Departures, Figures, Stage};
use crate::gateway_process::{GatewayProcess, Wanted};
use crate::messages::{BareTask, Entry, Report, Transport};
use crate::monotonic::now_ns;
use crate::process_figures::CpuTimes;
use crate::schedule::Pace;
use crate::soloist::{self, Order, Ran, Soloist};

/// How long a bare loop may take to start.
const PATIENCE: Duration = Duration::from_secs(60);

/// From the orders of a phase to its first message: all processes have read them by then.
const LEAD: Duration = Duration::from_millis(300);

/// How long each server runs before anything counts.
const WARM_UP: Duration = Duration::from_secs(2);

/// After members came in there are member events to send: two of the gateway's digests.
const SETTLING: Duration = Duration::from_millis(2_500);

/// What a room keeps for slow members where there are some: the least there is, so that they fall behind within a phase.
const SLOW_LOG: &str = "log_bytes = \"1MiB\"";

/// A server under test, its members inside.
pub(super) struct Side {
    /// Before the server, as fields are dropped in this order: a member takes the end of its server for a fault.
    members: CrowdProcesses,
    speaker: Soloist,
    others: Option<Others>,
    server: Child,
    /// The number of the next timed message.
    next_number: u64,
    /// The room's newest message.
    sequence: u64,
}

/// Those who are only with the gateway.
struct Others {
    pinger: Soloist,
    chatter: Soloist,
    churners: Option<CrowdProcesses>,
}

impl Side {
    pub(super) fn start_bare(
        settings: &Settings,
        credentials: &Credentials,
        cores: &Cores,
        inbox: &Inbox,
    ) -> Result<Self, BenchError> {
        let subcommand = match settings.transport {
            Transport::Tcp => "bare-tcp",
            Transport::Tls => "bare-tls",
            Transport::Quic => "bare-quic",
        };
        let mut command = this_program(subcommand)?;
        let mut server = cores.on_server(|| Child::start_reporting("the bare loop", &mut command, inbox))?;
        server.tell(&BareTask {
            members: settings.members,
            talk: settings.talk(),
            certificate: credentials.certificate.clone(),
            key: credentials.key.clone(),
        })?;
        let (address, control) = match inbox.next_from(&server, "starting the bare loop", PATIENCE)? {
            Report::Listening { members, control } => (members, control),
            other => return Err(BenchError::peer(server.name(), format!("reported {other:?}"))),
        };
        let speaker = soloist_task(settings, control, &Entry::Bare, "publisher", soloist::Part::Speaker);
        let speaker = Soloist::start("the bare loop's publisher", &speaker, inbox)?;
        let mut members = CrowdProcesses::start(
            &crowd(settings, credentials, "members of the bare loop", address, &Entry::Bare),
            inbox,
        )?;
        members.rise(Stage::Inside, Departures::InTurn, inbox)?;
        Ok(Self {
            members,
            speaker,
            others: None,
            server,
            next_number: 0,
            sequence: 0,
        })
    }

    pub(super) fn start_sluice(
        settings: &Settings,
        binary: &Path,
        credentials: &Credentials,
        folder: &Path,
        cores: &Cores,
        inbox: &Inbox,
    ) -> Result<Self, BenchError> {
        let wanted = Wanted {
            workers: 1,
            transport: settings.transport,
            members: settings.members + settings.churners,
            rooms: if settings.slow_members > 0 { SLOW_LOG } else { "" },
        };
        let gateway = GatewayProcess::start_as(binary, &wanted, credentials, folder, cores, inbox)?;
        let entry = GatewayProcess::entry();
        let soloist = |name: &str, user: &str, part| {
            let task = soloist_task(settings, gateway.tcp, &entry, user, part);
            Soloist::start(name, &task, inbox)
        };
        // First, so that the room is there.
        let speaker = soloist("the publisher", "publisher", soloist::Part::Speaker)?;
        let pinger = soloist("the pinger", "pinger", soloist::Part::Pinger)?;
        let chatter = soloist("the other publisher", "chatter", soloist::Part::Chatter)?;
        let mut settings_of_members = crowd(settings, credentials, "members", gateway.members, &entry);
        let mut members = CrowdProcesses::start(&settings_of_members, inbox)?;
        members.rise(Stage::Inside, Departures::InTurn, inbox)?;
        let mut churners = None;
        if settings.churners > 0 {
            settings_of_members.name = "those who come and go";
            settings_of_members.transport = Transport::Tcp;
            settings_of_members.server = gateway.tcp;
            settings_of_members.processes = 1;
            settings_of_members.first_member = settings.members;
            settings_of_members.members = settings.churners;
            settings_of_members.slow = 0;
            let mut crowd = CrowdProcesses::start(&settings_of_members, inbox)?;
            crowd.rise(Stage::LoggedIn, Departures::InTurn, inbox)?;
            churners = Some(crowd);
        }
        inbox.pause(SETTLING)?;
        Ok(Self {
            members,
            speaker,
            others: Some(Others {
                pinger,
                chatter,
                churners,
            }),
            server: gateway.process,
            next_number: 0,
            sequence: 0,
        })
    }

    /// Runs an undisturbed phase that does not count.
    pub(super) fn warm_up(&mut self, settings: &Settings, phase: Phase, inbox: &Inbox) -> Result<(), BenchError> {
        self.go_through(settings, phase, 0, WARM_UP, inbox).map(drop)
    }

    pub(super) fn measure(
        &mut self,
        settings: &Settings,
        phase: Phase,
        repeat: u32,
        inbox: &Inbox,
    ) -> Result<Part, BenchError> {
        self.go_through(settings, phase, repeat, Duration::from_secs(settings.seconds), inbox)
    }

    fn go_through(
        &mut self,
        settings: &Settings,
        phase: Phase,
        repeat: u32,
        time: Duration,
        inbox: &Inbox,
    ) -> Result<Part, BenchError> {
        let start_ns = now_ns() + LEAD.as_nanos() as u64;
        let pace = |per_second| Pace { start_ns, per_second };
        let messages = pace(settings.messages_per_second).count_in(time).max(1);
        let first_number = self.next_number;
        self.next_number += messages;
        self.members.begin(first_number, messages, inbox)?;
        if phase == Phase::Slow {
            self.members.sleep(inbox)?;
        }

        let server_before = CpuTimes::of(self.server.pid())?;
        let load_before = self.members.cpu_times()?;
        let began_ns = now_ns();
        self.speaker.begin(Order::Run {
            pace: pace(settings.messages_per_second),
            count: messages,
            first_number,
        })?;
        let mut chatters = false;
        let mut churns = None;
        if let Some(others) = &mut self.others {
            others.pinger.begin(Order::Run {
                pace: pace(settings.pings_per_second),
                count: pace(settings.pings_per_second).count_in(time),
                first_number: 0,
            })?;
            if let Some(order) = chatter_order(settings, phase, start_ns, time) {
                others.chatter.begin(order)?;
                chatters = true;
            }
            if let (Phase::Stormy, Some(joins), Some(churners)) =
                (phase, settings.joins_per_second, &mut others.churners)
            {
                churners.begin_churn(pace(joins), time)?;
                churns = Some(churners);
            }
        }

        let spoken = self.speaker.ran(inbox)?;
        let churned = churns.map(|churners| churners.churned(inbox)).transpose()?;
        let churned = churned.and_then(|parts: Vec<Churned>| parts.into_iter().next());
        let (mut pinged, mut chattered) = (None, None);
        if let Some(others) = &self.others {
            pinged = Some(others.pinger.ran(inbox)?);
            if chatters {
                chattered = Some(others.chatter.ran(inbox)?);
            }
        }
        let newest = chattered.as_ref().map_or(0, |ran| ran.newest_sequence);
        self.sequence = match phase {
            Phase::Bare => self.sequence + messages,
            _ => self.sequence.max(spoken.newest_sequence).max(newest),
        };
        // A flood may be more than members on busy cores can take; then they are told. In no other phase are they too slow.
        let lossless = phase != Phase::Flooded;
        let figures = self.members.settle(self.sequence, lossless, inbox)?;
        let wall_ns = now_ns() - began_ns;
        let server = CpuTimes::of(self.server.pid())?;
        let load = self.members.cpu_times()?;
        let load_cpu_ns: u64 = load
            .iter()
            .zip(&load_before)
            .map(|(after, before)| after.since(before))
            .sum();
        let mut slow = None;
        if phase == Phase::Slow {
            self.members.wake(inbox)?;
            slow = Some(self.members.settle(self.sequence, true, inbox)?);
        }
        if lossless {
            check_messages(&figures, &spoken, settings.steady_members())?;
        }
        Ok(Part {
            phase,
            repeat,
            wall_seconds: wall_ns as f64 / 1e9,
            server_cpu_seconds: server.since(&server_before) as f64 / 1e9,
            server_kept_waiting_seconds: server.kept_waiting_since(&server_before) as f64 / 1e9,
            crowd_cpu_seconds: load_cpu_ns as f64 / 1e9,
            figures,
            spoken,
            pinged,
            chattered,
            churned,
            slow,
        })
    }
}

/// Whether each timed message that was not refused came to all members. Their accounts are right when this is asked; it finds
/// messages that were changed on their way.
fn check_messages(figures: &Figures, spoken: &Ran, members: usize) -> Result<(), BenchError> {
    let refused: u64 = spoken.refused.values().sum();
    let unseen = figures.messages.iter().filter(|times| times.is_none()).count();
    let mut seen = figures.messages.iter().flatten();
    if unseen as u64 != refused || seen.any(|times| times.members as usize != members) {
        return Err(BenchError::peer(
            "the server",
            format!(
                "did not bring all timed messages to all members, or changed some: {unseen} unseen, {refused} refused"
            ),
        ));
    }
    Ok(())
}

/// What the other publisher does in a phase.
fn chatter_order(settings: &Settings, phase: Phase, start_ns: u64, time: Duration) -> Option<Order> {
    match (phase, settings.flood_window) {
        (Phase::Flooded, Some(window)) => Some(Order::Flood {
            window,
            until_ns: start_ns + time.as_nanos() as u64,
        }),
        (Phase::Bare, _) => None,
        _ if settings.background_per_second > 0.0 => {
            let pace = Pace {
                start_ns,
                per_second: settings.background_per_second,
            };
            Some(Order::Run {
                pace,
                count: pace.count_in(time),
                first_number: 0,
            })
        }
        _ => None,
    }
}

fn crowd(
    settings: &Settings,
    credentials: &Credentials,
    name: &'static str,
    server: std::net::SocketAddr,
    entry: &Entry,
) -> CrowdSettings {
    CrowdSettings {
        name,
        transport: settings.transport,
        server,
        processes: settings.crowd_processes,
        members: settings.members,
        first_member: 0,
        slow: settings.slow_members,
        room: settings.talk().room,
        content_bytes: settings.payload_bytes,
        certificate: credentials.certificate.clone(),
        entry: entry.clone(),
        resumes: false,
    }
}

fn soloist_task(
    settings: &Settings,
    server: std::net::SocketAddr,
    entry: &Entry,
    user: &str,
    part: soloist::Part,
) -> soloist::Task {
    soloist::Task {
        server,
        user: user.into(),
        room: settings.talk().room,
        entry: entry.clone(),
        part,
        content_bytes: settings.payload_bytes,
    }
}
