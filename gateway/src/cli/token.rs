//! `sluice token`: a token for trying things out, and nothing else on standard output.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use clap::Args;
use sluice_gateway::config::{Config, Flag, Sources, parse_duration};
use sluice_gateway::development::{APP, TOKEN_TTL_DEFAULT, issue_token, issue_token_of};

use super::configuration::environment;
use super::{FAILED, MISCONFIGURED, fail, print};

/// Prints a token that a client can log in with. In production tokens come from the app server: with --config this
/// works only where `tokens.operator_tokens` is true.
#[derive(Debug, Args)]
pub(super) struct TokenArguments {
    /// The app's key
    #[arg(long, value_name = "KEY", default_value = APP)]
    app: String,
    /// The user id the token is for
    #[arg(long, value_name = "ID")]
    user: String,
    /// How long it is good for, such as 90s, 10m, 24h or 7d; at most 24d [default: 24h]
    #[arg(long, value_name = "TIME", value_parser = time)]
    ttl: Option<Duration>,
    /// The configuration file that has the app
    #[arg(long, value_name = "FILE", conflicts_with = "data")]
    config: Option<PathBuf>,
    /// The data folder of a gateway in development mode [default: ./data]
    #[arg(long, value_name = "FOLDER")]
    data: Option<String>,
}

fn time(text: &str) -> Result<Duration, &'static str> {
    parse_duration(text).ok_or("expected a whole number with a unit, such as 90s, 10m, 24h or 7d")
}

/// `sluice token`
pub(super) fn run(arguments: &TokenArguments) -> ExitCode {
    let data = arguments.data.iter().map(|value| Flag {
        name: "--data".into(),
        path: "data".into(),
        value: value.clone(),
    });
    let sources = Sources {
        file: arguments.config.clone(),
        environment: environment(),
        flags: data.collect(),
    };
    let config = match Config::load(&sources) {
        Ok(loaded) => loaded.config,
        Err(problems) => return fail(&problems, MISCONFIGURED),
    };
    let ttl = arguments.ttl.unwrap_or(TOKEN_TTL_DEFAULT);
    let token = match &arguments.config {
        None => issue_token(&config.data, &arguments.app, &arguments.user, ttl),
        Some(_) if !config.tokens.operator_tokens => {
            let reason = "tokens come from the app server; to issue them here, set tokens.operator_tokens = true";
            return fail(&reason, FAILED);
        }
        Some(_) => issue_token_of(&config.apps, &arguments.app, &arguments.user, ttl, SystemTime::now()),
    };
    match token {
        Ok(token) => {
            print(&format!("{token}\n"));
            ExitCode::SUCCESS
        }
        Err(error) => fail(&error, FAILED),
    }
}
