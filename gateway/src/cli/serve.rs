//! `sluice serve`: the gateway, from its configuration to the signal that ends it.

use std::process::ExitCode;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use sluice_gateway::config::{Config, Loaded, Mode};
use sluice_gateway::{Server, development};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::configuration::ConfigurationArguments;
use super::{FAILED, MISCONFIGURED, banner, fail, logging, print};

/// `sluice serve`
pub(super) fn run(arguments: &ConfigurationArguments) -> ExitCode {
    let loaded = match arguments.load() {
        Ok(loaded) => loaded,
        Err(problems) => return fail(&problems, MISCONFIGURED),
    };
    logging::start(&loaded.config.log);
    allow_open_files();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_io().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&format!("the main thread cannot wait for signals: {error}"), FAILED),
    };
    match runtime.block_on(serve(loaded)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error, FAILED),
    }
}

async fn serve(loaded: Loaded) -> Result<(), Box<dyn std::error::Error>> {
    // Before the gateway starts: a signal that comes while it does must end it as tidily as one that comes later.
    let mut signals = Signals::new()?;
    let mode = loaded.mode;
    let own_certificate = loaded.certificate_is_default();
    let config: Config = match mode {
        Mode::Configured => loaded.config,
        Mode::Development => development::prepare(loaded)?,
    };
    let (data, certificate) = (config.data.clone(), config.tls.certificate.clone());
    let api = config.apps.first().and_then(development::api_headers);
    let api = api.map(|headers| banner::ApiExample {
        headers,
        certificate: config.api.tls.then(|| certificate.clone()),
    });
    let server = Server::start(config)?;
    if mode == Mode::Development {
        let certificate = (!own_certificate).then_some(certificate.as_path());
        print(&banner::text(
            &server.addresses(),
            &data,
            certificate,
            api.as_ref(),
            &banner::command(),
        ));
    }

    let name = signals.next().await;
    tracing::info!(signal = name, "stopping");
    // On a thread of its own, so that a second signal still counts.
    let stopping = tokio::task::spawn_blocking(move || server.shutdown());
    tokio::select! {
        stopped = stopping => Ok(stopped?),
        name = signals.next() => Err(format!("{name} while stopping: connections were cut").into()),
    }
}

/// The signals that end the gateway.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// The name of the next signal.
    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
        }
    }
}

/// Raises the soft limit on open files to the hard one, by which `connections.max` is measured. The soft one is low for
/// the sake of programs that use select(2), which this one does not.
fn allow_open_files() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "the limit on open files stays as it is");
    }
}
