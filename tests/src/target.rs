//! What a client needs to know of a gateway, be it in this process or in its own.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use sluice_client::{Options, Trust};
use sluice_gateway::Addresses;
use sluice_gateway::config::App;
use sluice_gateway::development::{self, issue_token, issue_token_of};

use sluice_protocol::{Login, PROTOCOL_VERSION};

use crate::Transport;

/// The name in the development certificate.
pub(crate) const SERVER_NAME: &str = "localhost";

/// No test takes so long.
const TOKEN_TTL: Duration = Duration::from_secs(3600);

/// A gateway as its clients see it.
#[derive(Debug, Clone)]
pub struct Target {
    pub(crate) addresses: Addresses,
    pub(crate) data: PathBuf,
    pub(crate) app_key: &'static str,
    pub(crate) tokens: TokenSource,
}

/// Who signs.
#[derive(Debug, Clone)]
pub(crate) enum TokenSource {
    /// The secret of one of these apps.
    Apps(Vec<App>),
    /// The secret of the development app in the data folder.
    DataFolder,
}

impl Target {
    /// Where it listens for clients of `transport`.
    ///
    /// # Panics
    /// When it does not.
    #[must_use]
    pub fn address(&self, transport: Transport) -> SocketAddr {
        let address = match transport {
            Transport::Tcp => self.addresses.tcp,
            Transport::Tls => self.addresses.tls,
            Transport::Quic => self.addresses.quic,
        };
        address.unwrap_or_else(|| panic!("the gateway does not listen for {transport}"))
    }

    /// Where its metrics are.
    ///
    /// # Panics
    /// When it has no HTTP.
    #[must_use]
    pub fn http(&self) -> SocketAddr {
        self.addresses.http.expect("the gateway has HTTP")
    }

    /// Where its server API is.
    ///
    /// # Panics
    /// When it has none.
    #[must_use]
    pub fn api(&self) -> SocketAddr {
        self.addresses.api.expect("the gateway has a server API")
    }

    /// The certificate to trust.
    #[must_use]
    pub fn certificate(&self) -> PathBuf {
        development::certificate_path(&self.data)
    }

    /// Its data folder.
    #[must_use]
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// The key of the app that clients log in to.
    #[must_use]
    pub fn app_key(&self) -> &'static str {
        self.app_key
    }

    /// A good token for `user`.
    ///
    /// # Panics
    /// When `user` is no user id.
    #[must_use]
    pub fn token(&self, user: &str) -> String {
        let token = match &self.tokens {
            TokenSource::Apps(apps) => issue_token_of(apps, self.app_key, user, TOKEN_TTL, SystemTime::now()),
            TokenSource::DataFolder => issue_token(&self.data, self.app_key, user, TOKEN_TTL),
        };
        token.expect("a user id that can have a token")
    }

    /// A good login of `user`.
    #[must_use]
    pub fn login_command(&self, user: &str) -> Login {
        Login {
            protocol_version: PROTOCOL_VERSION,
            app_key: self.app_key.to_owned(),
            user_id: user.to_owned(),
            token: self.token(user),
            ..Login::default()
        }
    }

    /// With these, `sluice-client` logs in as `user`.
    #[must_use]
    pub fn options(&self, user: &str, transport: Transport) -> Options {
        let address = self.address(transport).to_string();
        Options::new(address, self.app_key, user, self.token(user))
            .transport(transport.of_client())
            .trust(Trust::CertificateFile(self.certificate()))
            .server_name(SERVER_NAME)
    }
}
