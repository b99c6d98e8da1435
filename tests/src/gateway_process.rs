//! A gateway in a process of its own.

use std::fs;
use std::ops::Deref;
use std::path::Path;

use sluice_gateway::{Addresses, development};

use crate::target::TokenSource;
use crate::{Ended, Program, Target, TemporaryFolder, metrics};

/// `sluice serve` in development mode as a child: two workers, all listeners on loopback ports of its own, data in a
/// temporary folder. Killed when dropped.
#[derive(Debug)]
pub struct GatewayProcess {
    program: Program,
    target: Target,
    banner: String,
    settings: Vec<String>,
    data: TemporaryFolder,
}

impl GatewayProcess {
    /// Starts one with these settings, such as `connections.login_timeout=300ms`, and waits until it listens.
    ///
    /// # Panics
    /// When it does not.
    pub async fn start(settings: &[&str]) -> Self {
        let any = Some(([127, 0, 0, 1], 0).into());
        let addresses = Addresses {
            tcp: any,
            tls: any,
            quic: any,
            http: any,
            api: any,
        };
        let settings = settings.iter().map(|setting| (*setting).to_owned()).collect();
        Self::start_in(TemporaryFolder::new(), addresses, settings).await
    }

    /// Kills it, and starts it again with the same folder, settings and addresses.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn killed_and_started_again(self) -> Self {
        self.killed_and_started_again_after(|_| ()).await
    }

    /// The same, with something done to the data folder in between.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn killed_and_started_again_after(self, between: impl FnOnce(&Path)) -> Self {
        let Self {
            program,
            target,
            settings,
            data,
            ..
        } = self;
        drop(program);
        between(data.path());
        Self::start_in(data, target.addresses, settings).await
    }

    async fn start_in(data: TemporaryFolder, addresses: Addresses, settings: Vec<String>) -> Self {
        let mut arguments: Vec<String> = ["serve", "--data"].map(String::from).to_vec();
        arguments.push(data.path().to_string_lossy().into_owned());
        arguments.extend(["--workers", "2", "--set", "log.level=off"].map(String::from));
        for (listener, address) in [
            ("--tcp", addresses.tcp),
            ("--tls", addresses.tls),
            ("--quic", addresses.quic),
            ("--http", addresses.http),
            ("--api", addresses.api),
        ] {
            let address = address.expect("it has all five");
            arguments.extend([listener.to_owned(), address.to_string()]);
        }
        for setting in &settings {
            arguments.extend(["--set".to_owned(), setting.clone()]);
        }
        let mut program = Program::start(data.path(), arguments);
        let (addresses, banner) = read_banner(&mut program).await;
        let target = Target {
            addresses,
            data: data.path().to_owned(),
            app_key: development::APP,
            tokens: TokenSource::DataFolder,
        };
        Self {
            program,
            target,
            banner,
            settings,
            data,
        }
    }

    /// The sum of all series that match `selector`, as [`crate::Gateway::metric`].
    ///
    /// # Panics
    /// When no series matches.
    pub async fn metric(&self, selector: &str) -> f64 {
        metrics::metric(self.target.http(), selector).await
    }

    /// What it printed on the terminal when it listened.
    #[must_use]
    pub fn banner(&self) -> &str {
        &self.banner
    }

    /// How many descriptors it has open.
    ///
    /// # Panics
    /// When it is gone.
    #[must_use]
    pub fn descriptors(&self) -> usize {
        let folder = format!("/proc/{}/fd", self.program.pid());
        fs::read_dir(folder).expect("the gateway lives").count()
    }

    /// Its memory in bytes, as far as it is resident.
    ///
    /// # Panics
    /// When it is gone.
    pub async fn resident_bytes(&self) -> f64 {
        self.metric("process_resident_memory_bytes").await
    }

    /// Sends it SIGTERM; it ends by itself.
    pub fn terminate(&self) {
        self.program.terminate();
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it does not end.
    pub async fn ended(self) -> Ended {
        self.program.ended().await
    }
}

impl Deref for GatewayProcess {
    type Target = Target;

    fn deref(&self) -> &Target {
        &self.target
    }
}

/// Reads what it prints when it listens, up to the last line, and finds the addresses in it.
async fn read_banner(program: &mut Program) -> (Addresses, String) {
    let mut addresses = Addresses::default();
    let mut banner = String::new();
    loop {
        let line = program.line().await;
        let line = line.expect("the gateway starts and says where it listens");
        banner.push_str(&line);
        banner.push('\n');
        let mut words = line.split_whitespace();
        let (name, address) = (words.next(), words.next());
        let address = address.and_then(|address| address.parse().ok());
        match name {
            Some("TCP") => addresses.tcp = address,
            Some("TLS") => addresses.tls = address,
            Some("QUIC") => addresses.quic = address,
            Some("HTTP") => addresses.http = address,
            Some("API") => addresses.api = address,
            Some("Ctrl-C") => return (addresses, banner),
            _ => {}
        }
    }
}
