//! The command line: which command with which settings. Exit codes are 0 for success, [`FAILED`] and
//! [`MISCONFIGURED`].

mod banner;
mod chat;
mod configuration;
mod logging;
mod serve;
mod token;

use std::io::Write as _;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use configuration::ConfigurationArguments;

/// Exit code of a command that was understood and did not succeed.
pub(crate) const FAILED: u8 = 1;

/// Exit code where the command line or the configuration is wrong; clap uses the same.
pub(crate) const MISCONFIGURED: u8 = 2;

/// Sluice, an edge gateway for chat over TCP, TLS and QUIC
///
/// Without a command: serve. Without --config: development mode, which needs nothing configured and listens on this
/// machine only.
#[derive(Debug, Parser)]
#[command(name = "sluice", version, args_conflicts_with_subcommands = true)]
struct CommandLine {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    configuration: ConfigurationArguments,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway until SIGINT or SIGTERM
    Serve(ConfigurationArguments),
    /// Chat in a room from this terminal
    Chat(chat::ChatArguments),
    /// Print a token for a user, for trying things out
    Token(token::TokenArguments),
    /// Say whether the configuration is valid, or everything that is wrong with it
    CheckConfig(ConfigurationArguments),
    /// Print the effective configuration with the origin of every value, secrets masked
    Config(ConfigurationArguments),
}

/// Runs the command that the process was started with.
pub(crate) fn run() -> ExitCode {
    let line = CommandLine::parse();
    match line.command {
        None => serve::run(&line.configuration),
        Some(Command::Serve(arguments)) => serve::run(&arguments),
        Some(Command::Chat(arguments)) => chat::run(arguments),
        Some(Command::Token(arguments)) => token::run(&arguments),
        Some(Command::CheckConfig(arguments)) => configuration::check(&arguments),
        Some(Command::Config(arguments)) => configuration::print(&arguments),
    }
}

/// Says on standard error why a command failed.
fn fail(reason: &dyn std::fmt::Display, code: u8) -> ExitCode {
    eprintln!("sluice: {reason}");
    ExitCode::from(code)
}

/// Prints to standard output. A reader that has left, as `head` does, is no failure.
fn print(text: &str) {
    let mut stdout = std::io::stdout().lock();
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn a_bare_command_line_serves_and_takes_the_flags_of_serve() {
        let line = CommandLine::try_parse_from(["sluice", "--tcp", "127.0.0.1:0"]).expect("flags without a command");
        assert!(line.command.is_none());
        assert!(CommandLine::try_parse_from(["sluice", "serve", "--tcp", "127.0.0.1:0"]).is_ok());
    }
}
