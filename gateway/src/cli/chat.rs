//! `sluice chat`: a client for a terminal and for scripts, on the same library that apps use.
//!
//! The main thread runs the conversation and writes to standard output, where a slow reader may hold it up; the
//! connection lives on the runtime's own thread and stays alive meanwhile. Standard input has a thread of its own,
//! since a read of a terminal cannot be called off.

mod command;
mod conversation;
mod failure;
mod input;
mod output;
mod pace;
#[cfg(test)]
mod tests;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use sluice_client::{Client, Event, Events, Options, Reconnect, SyncOptions, Transport, Trust};
use sluice_gateway::development::{APP, certificate_path, issue_token};
use tokio::runtime;
use tokio::sync::mpsc;
use tokio::time::timeout;

use self::conversation::Conversation;
use self::failure::Failure;
use self::input::Line;
use self::output::{Format, Output};

/// Where a gateway in development mode listens.
const TCP_ADDRESS: &str = "127.0.0.1:7400";
const TLS_AND_QUIC_ADDRESS: &str = "127.0.0.1:7401";

/// The name in the development certificate.
const DEVELOPMENT_SERVER_NAME: &str = "localhost";

/// How long a token is good for that this command makes itself. It is renewed in time.
const TOKEN_TTL: Duration = Duration::from_secs(24 * 60 * 60);

/// How long saying goodbye may take.
const LEAVING_TIMEOUT: Duration = Duration::from_secs(5);

/// Exit code after Ctrl-C, as shells have it: 128 and the number of SIGINT.
const INTERRUPTED: u8 = 130;

/// Enters a room, creating it if it does not exist. Each line of standard input is sent as a text message, at most ten a
/// second; each event is a line of standard output. Ends at the end of input, once everything is acknowledged. A
/// connection that is lost is opened again.
///
/// `/to` and `/group` talk with a user and in a group, where what was missed comes at the next login.
///
/// In the folder of a gateway in development mode it needs no token and no certificate: both come from the data folder.
#[derive(Debug, clap::Args)]
#[command(after_long_help = output::HELP)]
pub(crate) struct ChatArguments {
    /// The user id to log in as
    #[arg(long, value_name = "ID")]
    user: String,
    /// The room to enter [default: none, to talk with users and in groups]
    #[arg(long, value_name = "ID")]
    room: Option<String>,
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
        let options = Options::new(address, &self.app, &self.user, token)
            .transport(transport)
            .reconnect(Reconnect::Automatic)
            .sync(SyncOptions::default());
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
    let mut conversation = Conversation::new(arguments, &client, lines);
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
