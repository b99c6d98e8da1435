//! `sluice chat`: a client for a terminal and for scripts, on the same library that apps use.
//!
//! The main thread runs the conversation and writes to standard output, where a slow reader may hold it up; the
//! connection lives on the runtime's own thread and stays alive meanwhile. Standard input has a thread of its own,
//! since a read of a terminal cannot be called off.

mod failure;
mod input;
mod output;
mod pace;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::future::pending;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use sluice_client::{
    Client, ClientError, Event, Events, Options, OutgoingMessage, Pending, SentMessage, Transport, Trust,
};
use sluice_gateway::development::{APP, certificate_path, issue_token};
use tokio::runtime;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};

use self::failure::Failure;
use self::input::Line;
use self::output::{Format, Output};
use self::pace::Pace;

/// Where a gateway in development mode listens.
const TCP_ADDRESS: &str = "127.0.0.1:7400";
const TLS_AND_QUIC_ADDRESS: &str = "127.0.0.1:7401";

/// The name in the development certificate.
const DEVELOPMENT_SERVER_NAME: &str = "localhost";

/// How long a token is good for that this command makes itself. It is renewed in time.
const TOKEN_TTL: Duration = Duration::from_secs(24 * 60 * 60);

/// Messages on their way at once: enough to hide the round trip, few enough that a refusal comes soon.
const UNACKNOWLEDGED_MAX: usize = 32;

/// How long to wait, when all is acknowledged, for one's own messages to come back like everyone else's. They may have
/// been shed, so this is not for ever.
const OWN_MESSAGES_TIMEOUT: Duration = Duration::from_secs(1);

/// How long saying goodbye may take.
const LEAVING_TIMEOUT: Duration = Duration::from_secs(5);

/// Exit code after Ctrl-C, as shells have it: 128 and the number of SIGINT.
const INTERRUPTED: u8 = 130;

/// Enters a room, creating it if it does not exist. Each line of standard input is sent as a text message, at most ten a
/// second; each event is a line of standard output. Ends at the end of input, once everything is acknowledged.
///
/// In the folder of a gateway in development mode it needs no token and no certificate: both come from the data folder.
#[derive(Debug, clap::Args)]
#[command(after_long_help = output::HELP)]
pub(crate) struct ChatArguments {
    /// The user id to log in as
    #[arg(long, value_name = "ID")]
    user: String,
    /// The room to enter
    #[arg(long, value_name = "ID")]
    room: String,
    /// What carries the connection
    #[arg(long, value_enum, default_value = "tcp")]
    transport: TransportArgument,
    /// The gateway's host and port [default: 127.0.0.1:7400 for tcp, 127.0.0.1:7401 for tls and quic]
    #[arg(long, value_name = "ADDRESS")]
    address: Option<String>,
    /// A PEM file with the certificates to trust, for tls and quic [default: certificate.pem in the data folder]
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// The token to log in with [default: one made from the development app's secret in the data folder]
    #[arg(long)]
    token: Option<String>,
    /// The app's key
    #[arg(long, value_name = "KEY", default_value = APP)]
    app: String,
    /// The data folder of a gateway in development mode
    #[arg(long, value_name = "FOLDER", default_value = "./data")]
    data: PathBuf,
    /// End once this many messages of others have come and all that was read is acknowledged, instead of at the end of
    /// input
    #[arg(long, value_name = "N")]
    wait: Option<u64>,
    /// Print each event as one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum TransportArgument {
    Tcp,
    Tls,
    Quic,
}

/// `sluice chat`
pub(crate) fn run(arguments: ChatArguments) -> ExitCode {
    match start(&arguments) {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::Interrupted) => ExitCode::from(INTERRUPTED),
        // Whoever read our output has had enough.
        Err(Failure::OutputClosed) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{}", output::printable(&failure.to_string()));
            ExitCode::from(super::FAILED)
        }
    }
}

fn start(arguments: &ChatArguments) -> Result<Outcome, Failure> {
    let options = arguments.options()?;
    let runtime = runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| Failure::output(&error))?;
    let format = if arguments.json { Format::Json } else { Format::Readable };
    let output = Output::new(io::stdout(), format);
    // Before connecting, so that what is there already counts as read so far.
    let lines = input::lines();
    runtime.block_on(chat(arguments, options, lines, output))
}

impl ChatArguments {
    fn options(&self) -> Result<Options, Failure> {
        let (transport, default_address) = match self.transport {
            TransportArgument::Tcp => (Transport::Tcp, TCP_ADDRESS),
            TransportArgument::Tls => (Transport::Tls, TLS_AND_QUIC_ADDRESS),
            TransportArgument::Quic => (Transport::Quic, TLS_AND_QUIC_ADDRESS),
        };
        let address = self.address.as_deref().unwrap_or(default_address);
        let token = match &self.token {
            Some(token) => token.clone(),
            None => self.own_token()?,
        };
        let options = Options::new(address, &self.app, &self.user, token).transport(transport);
        Ok(match &self.ca {
            Some(file) => options.trust(Trust::CertificateFile(file.clone())),
            None => options
                .trust(Trust::CertificateFile(certificate_path(&self.data)))
                .server_name(DEVELOPMENT_SERVER_NAME),
        })
    }

    fn own_token(&self) -> Result<String, Failure> {
        issue_token(&self.data, &self.app, &self.user, TOKEN_TTL)
            .map_err(|error| Failure::invalid("token", error.to_string()))
    }
}

/// How a conversation ended that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Done,
    Interrupted,
}

async fn chat(
    arguments: &ChatArguments,
    options: Options,
    lines: mpsc::Receiver<Line>,
    mut output: Output<impl Write>,
) -> Result<Outcome, Failure> {
    let (client, mut events) = Client::connect(options).await?;
    let mut conversation = Conversation {
        arguments,
        client: &client,
        lines,
        pace: Pace::default(),
        input_ended: false,
        unacknowledged: VecDeque::new(),
        acknowledged_sequence: 0,
        seen_sequence: 0,
        messages_of_others: 0,
        renewal: None,
    };
    let outcome = conversation.run(&mut events, &mut output).await;
    match outcome {
        // There is nothing left to log out of.
        Err(Failure::Closed(_)) => outcome,
        Err(failure) => {
            // The first failure is the one to report.
            drop(timeout(LEAVING_TIMEOUT, leave(&client, &mut events, &mut output)).await);
            Err(failure)
        }
        Ok(outcome) => match timeout(LEAVING_TIMEOUT, leave(&client, &mut events, &mut output)).await {
            Ok(left) => left.map(|()| outcome),
            Err(_) => Ok(outcome),
        },
    }
}

/// Logs out, and prints what still comes until the connection has ended.
async fn leave(client: &Client, events: &mut Events, output: &mut Output<impl Write>) -> Result<(), Failure> {
    let mut logout = client.logout();
    let mut answered = false;
    loop {
        tokio::select! {
            outcome = &mut logout, if !answered => {
                outcome?;
                answered = true;
            }
            event = events.next() => match event {
                None => return Ok(()),
                Some(Event::Closed(closed)) => return closed.error().map_or(Ok(()), |error| Err(Failure::Closed(error))),
                Some(event) => output.event(&event)?,
            }
        }
    }
}

struct Conversation<'a> {
    arguments: &'a ChatArguments,
    client: &'a Client,
    lines: mpsc::Receiver<Line>,
    pace: Pace,
    input_ended: bool,
    /// Oldest first.
    unacknowledged: VecDeque<Pending<SentMessage>>,
    /// Of the newest message of ours that the server took, and of the newest that has come back to us or was missed.
    acknowledged_sequence: u64,
    seen_sequence: u64,
    messages_of_others: u64,
    renewal: Option<Pending<i64>>,
}

impl Conversation<'_> {
    async fn run(&mut self, events: &mut Events, output: &mut Output<impl Write>) -> Result<Outcome, Failure> {
        let room = self.client.enter_room(&self.arguments.room, "").await?;
        output.entered(&room)?;
        let mut finished_at = None;
        // One listener for the whole conversation: a new one for each turn would miss what comes between.
        let mut interrupted = std::pin::pin!(tokio::signal::ctrl_c());
        loop {
            if self.has_finished() {
                let deadline = *finished_at.get_or_insert_with(|| Instant::now() + OWN_MESSAGES_TIMEOUT);
                if self.seen_sequence >= self.acknowledged_sequence || Instant::now() >= deadline {
                    return Ok(Outcome::Done);
                }
            } else {
                finished_at = None;
            }
            let wants_lines = !self.input_ended && self.unacknowledged.len() < UNACKNOWLEDGED_MAX;
            let next_line_at = self.pace.next_at(Instant::now()).filter(|_| wants_lines);
            let takes_lines = wants_lines && next_line_at.is_none();
            tokio::select! {
                _ = &mut interrupted => return Ok(Outcome::Interrupted),
                line = self.lines.recv(), if takes_lines => match line {
                    Some(line) => self.send(line?),
                    None => self.input_ended = true,
                },
                acknowledged = oldest(&mut self.unacknowledged) => {
                    self.acknowledged_sequence = self.acknowledged_sequence.max(acknowledged?.sequence);
                }
                renewed = renewed(&mut self.renewal) => {
                    renewed?;
                }
                event = events.next() => match event {
                    Some(Event::Closed(closed)) => {
                        return closed.error().map_or(Ok(Outcome::Done), |error| Err(Failure::Closed(error)));
                    }
                    Some(event) => self.handle_event(&event, output)?,
                    None => return Ok(Outcome::Done),
                },
                () = until(finished_at) => {}
                () = until(next_line_at) => {}
            }
        }
    }

    /// Whether nothing is left to do but to see one's own messages.
    fn has_finished(&self) -> bool {
        let waited = match self.arguments.wait {
            Some(count) => self.messages_of_others >= count && self.lines.is_empty(),
            None => self.input_ended,
        };
        waited && self.unacknowledged.is_empty()
    }

    fn send(&mut self, line: String) {
        // Return alone sends nothing: a message must not be empty.
        if !line.is_empty() {
            let message = OutgoingMessage::text(&self.arguments.room, line);
            self.unacknowledged.push_back(self.client.send(message));
            self.pace.take(Instant::now());
        }
    }

    fn handle_event(&mut self, event: &Event, output: &mut Output<impl Write>) -> Result<(), Failure> {
        match event {
            Event::RoomMessage(message) => {
                self.seen_sequence = self.seen_sequence.max(message.sequence);
                if message.sender.user_id != self.arguments.user {
                    self.messages_of_others += 1;
                }
            }
            Event::Gap(gap) => self.seen_sequence = self.seen_sequence.max(gap.last_sequence),
            Event::TokenWillExpire { .. } if self.arguments.token.is_none() => {
                self.renewal = Some(self.client.renew_token(&self.arguments.own_token()?));
            }
            _ => {}
        }
        output.event(event)
    }
}

/// The answer to the oldest message that has none yet. Cancel safe.
async fn oldest(unacknowledged: &mut VecDeque<Pending<SentMessage>>) -> Result<SentMessage, ClientError> {
    let Some(oldest) = unacknowledged.front_mut() else {
        return pending().await;
    };
    let answer = oldest.await;
    unacknowledged.pop_front();
    answer
}

/// The answer to the new token, if one is on its way. Cancel safe.
async fn renewed(renewal: &mut Option<Pending<i64>>) -> Result<i64, ClientError> {
    let Some(answer) = renewal else { return pending().await };
    let answer = answer.await;
    *renewal = None;
    answer
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => pending().await,
    }
}
