//! The flags that set the configuration, and the commands that only look at it.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use sluice_gateway::config::{Config, Flag, Loaded, Problems, Sources};

use super::{MISCONFIGURED, fail, print as print_text};

/// Where the configuration comes from. Values are texts: the configuration judges them, all at once.
#[derive(Debug, Args)]
pub(super) struct ConfigurationArguments {
    /// TOML file; without one the gateway is in development mode
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Folder for all that the gateway keeps [data]
    #[arg(long, value_name = "FOLDER")]
    data: Option<String>,
    /// Address for plain TCP, or off [listen.tcp]
    #[arg(long, value_name = "ADDRESS")]
    tcp: Option<String>,
    /// Address for TLS, or off [listen.tls]
    #[arg(long, value_name = "ADDRESS")]
    tls: Option<String>,
    /// UDP address for QUIC, or off [listen.quic]
    #[arg(long, value_name = "ADDRESS")]
    quic: Option<String>,
    /// Address for metrics and health, or off [listen.http]
    #[arg(long, value_name = "ADDRESS")]
    http: Option<String>,
    /// Address for the server API, or off [listen.api]
    #[arg(long, value_name = "ADDRESS")]
    api: Option<String>,
    /// Worker threads, or auto for one per core [workers]
    #[arg(long, value_name = "N")]
    workers: Option<String>,
    /// text or json [log.format]
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<String>,
    /// Any setting, such as tokens.grace=1m; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

impl ConfigurationArguments {
    pub(super) fn load(&self) -> Result<Loaded, Problems> {
        Config::load(&self.sources())
    }

    fn sources(&self) -> Sources {
        let set = self.set.iter().map(|text| {
            let (path, value) = text.split_once('=').unwrap_or((text, ""));
            (format!("--set {path}"), path, value)
        });
        let named = [
            ("--data", "data", &self.data),
            ("--tcp", "listen.tcp", &self.tcp),
            ("--tls", "listen.tls", &self.tls),
            ("--quic", "listen.quic", &self.quic),
            ("--http", "listen.http", &self.http),
            ("--api", "listen.api", &self.api),
            ("--workers", "workers", &self.workers),
            ("--log-format", "log.format", &self.log_format),
        ];
        let named = named
            .into_iter()
            .filter_map(|(name, path, value)| Some((name.to_owned(), path, value.as_deref()?)));
        Sources {
            file: self.config.clone(),
            environment: environment(),
            flags: set
                .chain(named)
                .map(|(name, path, value)| Flag {
                    name,
                    path: path.to_owned(),
                    value: value.to_owned(),
                })
                .collect(),
        }
    }
}

/// The environment. What is not UTF-8 comes with replacement characters, which no setting accepts.
pub(super) fn environment() -> Vec<(String, String)> {
    let text = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
    std::env::vars_os()
        .map(|(name, value)| (text(name), text(value)))
        .collect()
}

/// `sluice check-config`
pub(super) fn check(arguments: &ConfigurationArguments) -> ExitCode {
    match arguments.load() {
        Ok(_) => {
            print_text("configuration is valid\n");
            ExitCode::SUCCESS
        }
        Err(problems) => fail(&problems, MISCONFIGURED),
    }
}

/// `sluice config`
pub(super) fn print(arguments: &ConfigurationArguments) -> ExitCode {
    match arguments.load() {
        Ok(loaded) => {
            print_text(&loaded.effective());
            ExitCode::SUCCESS
        }
        Err(problems) => fail(&problems, MISCONFIGURED),
    }
}
