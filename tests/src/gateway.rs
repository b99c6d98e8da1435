//! A gateway in this process.

use std::ops::Deref;
use std::time::Duration;

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use sluice_gateway::config::{ApiKey, App, Config, Secret, TokenAlgorithm, TokenKey};
use sluice_gateway::{Addresses, Server, development};

use crate::target::TokenSource;
use crate::{Target, TemporaryFolder, metrics, scrape, wait_until, within};

/// The key of the app that every gateway here has.
pub const APP_KEY: &str = "test";

/// The secret its tokens are signed with (HS256).
pub const SECRET: &[u8] = b"a secret of exactly 32 bytes, ok";

/// The secret that calls of the server API are signed with.
pub const API_SECRET: &str = "an API secret of 32 bytes or more";

/// Enough for rooms and users to have their home elsewhere than their connections.
const WORKERS: usize = 2;

/// A client that is told why has this long to hear it; no test should have to wait for the usual 2 s.
const CLOSING_TIMEOUT: Duration = Duration::from_millis(500);

/// A real gateway in this process: two workers, all five listeners on loopback ports of its own, a development
/// certificate in a temporary folder and the app [`APP_KEY`]. Dropping it stops it.
#[derive(Debug)]
pub struct Gateway {
    server: Option<Server>,
    config: Config,
    target: Target,
    _data: TemporaryFolder,
}

impl Gateway {
    /// Starts one with the defaults, except that the closing timeout is 500 ms, after `change` had its way.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start(change: impl FnOnce(&mut Config)) -> Self {
        let data = TemporaryFolder::new();
        let mut config = development::configuration(data.path()).expect("the folder takes a certificate");
        let any = Some(([127, 0, 0, 1], 0).into());
        config.listen.tcp = any;
        config.listen.tls = any;
        config.listen.quic = any;
        config.listen.http = any;
        config.listen.api = any;
        config.workers = WORKERS;
        config.connections.closing_timeout = CLOSING_TIMEOUT;
        config.apps = vec![app()];
        change(&mut config);
        let apps = config.apps.clone();
        let server = Server::start(config.clone()).expect("a gateway on ports of its own");
        let target = Target {
            addresses: server.addresses(),
            data: data.path().to_owned(),
            app_key: APP_KEY,
            tokens: TokenSource::Apps(apps),
        };
        Self {
            server: Some(server),
            config,
            target,
            _data: data,
        }
    }

    /// Where it listens.
    #[must_use]
    pub fn addresses(&self) -> Addresses {
        self.target.addresses
    }

    /// A token with these claims, whatever they are, signed with [`SECRET`].
    ///
    /// # Panics
    /// When `claims` is no object.
    #[must_use]
    pub fn token_with(&self, claims: &serde_json::Value) -> String {
        let key = EncodingKey::from_secret(SECRET);
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &key).expect("claims that can be written down")
    }

    /// The sum of all series that match `selector`: a name, and the labels that are given, as in
    /// `sluice_connections{transport="tcp"}`. Workers publish their figures once a second.
    ///
    /// # Panics
    /// When no series matches.
    pub async fn metric(&self, selector: &str) -> f64 {
        metrics::metric(self.target.http(), selector).await
    }

    /// Waits until `count` connections were opened since the start and all of them are gone, for this `reason` (a value of
    /// that label of `sluice_connections_closed_total`).
    ///
    /// # Panics
    /// When that does not happen.
    pub async fn all_gone(&self, count: u32, reason: &str) {
        let count = f64::from(count);
        let series = [
            ("sluice_connections_opened_total".to_owned(), count),
            (format!("sluice_connections_closed_total{{reason=\"{reason}\"}}"), count),
            ("sluice_connections_closed_total".to_owned(), count),
            ("sluice_connections".to_owned(), 0.0),
            ("sluice_sessions_online".to_owned(), 0.0),
            ("sluice_users_online".to_owned(), 0.0),
        ];
        let what = format!("{count} connections are gone for the reason {reason}");
        wait_until(&what, async || {
            let text = scrape(self.target.http(), "/metrics").await;
            series
                .iter()
                .all(|(selector, expected)| metrics::sum(&text, selector) == Some(*expected))
        })
        .await;
    }

    /// Stops it, and starts it again on the same folder, on other ports.
    ///
    /// # Panics
    /// When it does not stop, or does not start.
    pub async fn restart(&mut self) {
        self.shut_down().await;
        let server = Server::start(self.config.clone()).expect("a gateway that starts again");
        self.target.addresses = server.addresses();
        self.server = Some(server);
    }

    /// Stops it, and returns when its workers have ended.
    ///
    /// # Panics
    /// When they do not.
    pub async fn stop(mut self) {
        self.shut_down().await;
    }

    async fn shut_down(&mut self) {
        if let Some(server) = self.server.take() {
            let stopping = tokio::task::spawn_blocking(move || server.shutdown());
            within("the gateway to stop", stopping)
                .await
                .expect("a gateway stops without a panic");
        }
    }
}

impl Deref for Gateway {
    type Target = Target;

    fn deref(&self) -> &Target {
        &self.target
    }
}

fn app() -> App {
    let mut app = App::new(APP_KEY);
    // So that tests can tell whom a group is for.
    app.conversations.users_name_groups = true;
    App {
        keys: vec![TokenKey {
            id: None,
            algorithm: TokenAlgorithm::Hs256 {
                secret: Secret::new(SECRET),
            },
        }],
        api_keys: vec![ApiKey::new(Secret::new(API_SECRET))],
        ..app
    }
}
