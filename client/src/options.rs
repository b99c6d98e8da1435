//! What a client needs to know before it can connect.

use std::fmt;
use std::path::PathBuf;

use sluice_protocol::{Login, PROTOCOL_VERSION, Platform, limits};

use crate::error::ClientError;
use crate::sync::SyncOptions;

/// What carries the frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Transport {
    /// Plain TCP: nothing is encrypted. For tests and for links that are protected otherwise.
    #[default]
    Tcp,
    /// TLS 1.3 or 1.2 over TCP.
    Tls,
    /// QUIC, encrypted with TLS 1.3.
    Quic,
}

/// Which certificates a server may show over TLS and QUIC. The system's own list is never consulted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// A PEM file with one or more certificates: authorities, or the server's own.
    CertificateFile(PathBuf),
    /// The same as text that is in memory already.
    CertificatePem(Vec<u8>),
}

/// What a client does when it has lost its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reconnect {
    /// Nothing: [`Event::Closed`](crate::Event::Closed) comes, and the app decides.
    #[default]
    Never,
    /// It connects again and goes on, until a logout, or until the server gives a reason that trying again does not mend
    /// ([`ErrorCode::retry`](sluice_protocol::ErrorCode::retry)).
    ///
    /// It resumes the session. Where the server does not keep it any more it logs in anew and joins the rooms again. The first try
    /// comes within a second, each further one within twice the time, up to five minutes; a connection that holds for a minute
    /// makes that begin anew. A delay that the server names is kept exactly.
    Automatic,
}

/// Where to connect and who logs in.
///
/// ```
/// use sluice_client::{Options, Transport, Trust};
///
/// let options = Options::new("chat.example.com:7401", "my-app", "alice", "eyJhbGciOi…")
///     .transport(Transport::Quic)
///     .trust(Trust::CertificateFile("authority.pem".into()))
///     .user_name("Alice");
/// ```
#[derive(Clone)]
pub struct Options {
    pub(crate) address: String,
    pub(crate) transport: Transport,
    pub(crate) server_name: Option<String>,
    pub(crate) trust: Option<Trust>,
    pub(crate) datagrams: bool,
    pub(crate) reconnect: Reconnect,
    pub(crate) sync: Option<SyncOptions>,
    app_key: String,
    user_id: String,
    user_name: String,
    token: String,
    platform: Platform,
    device_id: String,
    package_name: String,
}

impl Options {
    /// Plain TCP to `address` (`host:port`; an IPv6 host in brackets), as user `user_id` of the app `app_key`, proven by
    /// `token`, a JSON Web Token of the app's own server.
    pub fn new(
        address: impl Into<String>,
        app_key: impl Into<String>,
        user_id: impl Into<String>,
        token: impl Into<String>,
    ) -> Self {
        Self {
            address: address.into(),
            transport: Transport::default(),
            server_name: None,
            trust: None,
            datagrams: false,
            reconnect: Reconnect::default(),
            sync: None,
            app_key: app_key.into(),
            user_id: user_id.into(),
            user_name: String::new(),
            token: token.into(),
            platform: this_platform(),
            device_id: String::new(),
            package_name: String::new(),
        }
    }

    /// What carries the frames. Default: [`Transport::Tcp`].
    #[must_use]
    pub fn transport(mut self, transport: Transport) -> Self {
        self.transport = transport;
        self
    }

    /// The name the server's certificate must be for. Default: the host of the address.
    #[must_use]
    pub fn server_name(mut self, server_name: impl Into<String>) -> Self {
        self.server_name = Some(server_name.into());
        self
    }

    /// Which certificates the server may show. TLS and QUIC need it, TCP ignores it.
    #[must_use]
    pub fn trust(mut self, trust: Trust) -> Self {
        self.trust = Some(trust);
        self
    }

    /// Whether bullet-screen comments may come in datagrams, which only QUIC has: each at once, even while earlier ones are being
    /// sent again, but perhaps out of order, and perhaps never, of which no [`Event::Gap`](crate::Event::Gap) tells. A comment of a
    /// room may even come before the call that enters it is answered. All else comes on the stream as always, as do comments that
    /// do not fit. TCP and TLS ignore it. Default: no.
    #[must_use]
    pub fn datagrams(mut self, wanted: bool) -> Self {
        self.datagrams = wanted;
        self
    }

    /// What to do when the connection is lost. The first one must succeed: that it does not is the error of
    /// [`Client::connect`](crate::Client::connect). Default: [`Reconnect::Never`].
    #[must_use]
    pub fn reconnect(mut self, reconnect: Reconnect) -> Self {
        self.reconnect = reconnect;
        self
    }

    /// Follows the conversations of this user. After each login the client asks for what came while it was away; each message is told once
    /// and in order, and what is missing between is fetched from history. What the app has taken from [`Events`](crate::Events) is said to be
    /// delivered, at most once a second for each conversation. Default: the client does nothing about conversations by itself, and gets none of
    /// their events unless [`Client::sync_conversations`](crate::Client::sync_conversations) asks for them.
    #[must_use]
    pub fn sync(mut self, sync: SyncOptions) -> Self {
        self.sync = Some(sync);
        self
    }

    /// The name others see, at most 256 bytes. Default: empty.
    #[must_use]
    pub fn user_name(mut self, user_name: impl Into<String>) -> Self {
        self.user_name = user_name.into();
        self
    }

    /// What the client runs on. Default: the system this was built for.
    #[must_use]
    pub fn platform(mut self, platform: Platform) -> Self {
        self.platform = platform;
        self
    }

    /// Names this installation, the same at each login from it; at most 64 bytes. Default: empty.
    #[must_use]
    pub fn device_id(mut self, device_id: impl Into<String>) -> Self {
        self.device_id = device_id.into();
        self
    }

    /// The application's package name, for apps whose server lists the ones it accepts; at most 128 bytes. Default: empty.
    #[must_use]
    pub fn package_name(mut self, package_name: impl Into<String>) -> Self {
        self.package_name = package_name.into();
        self
    }

    /// The name to check the certificate against.
    pub(crate) fn effective_server_name(&self) -> &str {
        if let Some(name) = &self.server_name {
            return name;
        }
        let host = self
            .address
            .rsplit_once(':')
            .map_or(self.address.as_str(), |(host, _port)| host);
        host.strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(host)
    }

    /// The login command, or which option breaks its rule. A user id is only measured here: which characters it may
    /// have is the app's choice, which the server knows.
    pub(crate) fn login(&self) -> Result<Login, ClientError> {
        measure("app_key", &self.app_key, 1, limits::APP_KEY_BYTES)?;
        measure("user_id", &self.user_id, 1, limits::USER_ID_BYTES)?;
        measure("user_name", &self.user_name, 0, limits::USER_NAME_BYTES)?;
        measure("token", &self.token, 1, limits::TOKEN_BYTES)?;
        measure("device_id", &self.device_id, 0, limits::DEVICE_ID_BYTES)?;
        measure("package_name", &self.package_name, 0, limits::PACKAGE_NAME_BYTES)?;
        if self
            .sync
            .as_ref()
            .is_some_and(|sync| sync.newest > limits::SYNC_NEWEST_MAX)
        {
            return Err(ClientError::invalid("newest", "at most 100 messages of a conversation"));
        }
        Ok(Login {
            protocol_version: PROTOCOL_VERSION,
            app_key: self.app_key.clone(),
            user_id: self.user_id.clone(),
            user_name: self.user_name.clone(),
            token: self.token.clone(),
            platform: self.platform.into(),
            device_id: self.device_id.clone(),
            package_name: self.package_name.clone(),
            sdk: concat!("sluice-client/", env!("CARGO_PKG_VERSION")).to_owned(),
            datagrams: self.datagrams && self.transport == Transport::Quic,
            ..Login::default()
        })
    }
}

/// Checks the length of `text`; `parameter` is its name on the wire and the detail of the error.
pub(crate) fn measure(
    parameter: &'static str,
    text: &str,
    bytes_min: usize,
    bytes_max: usize,
) -> Result<(), ClientError> {
    if (bytes_min..=bytes_max).contains(&text.len()) {
        return Ok(());
    }
    Err(ClientError::invalid(
        parameter,
        format!(
            "{parameter} must have {bytes_min} to {bytes_max} bytes, this one has {}",
            text.len()
        ),
    ))
}

fn this_platform() -> Platform {
    if cfg!(target_os = "linux") {
        Platform::Linux
    } else if cfg!(target_os = "macos") {
        Platform::Macos
    } else if cfg!(target_os = "windows") {
        Platform::Windows
    } else if cfg!(target_os = "ios") {
        Platform::Ios
    } else if cfg!(target_os = "android") {
        Platform::Android
    } else {
        Platform::Other
    }
}

impl fmt::Debug for Options {
    /// Leaves the token out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("address", &self.address)
            .field("transport", &self.transport)
            .field("server_name", &self.effective_server_name())
            .field("datagrams", &self.datagrams)
            .field("reconnect", &self.reconnect)
            .field("sync", &self.sync.is_some())
            .field("app_key", &self.app_key)
            .field("user_id", &self.user_id)
            .field("platform", &self.platform)
            .field("device_id", &self.device_id)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_name_is_the_host_of_the_address_unless_one_is_given() {
        let name = |address: &str| Options::new(address, "a", "u", "t").effective_server_name().to_owned();
        assert_eq!(name("chat.example.com:7401"), "chat.example.com");
        assert_eq!(name("127.0.0.1:7401"), "127.0.0.1");
        assert_eq!(name("[::1]:7401"), "::1");
        assert_eq!(name("no-port"), "no-port");
        assert_eq!(
            Options::new("127.0.0.1:1", "a", "u", "t")
                .server_name("localhost")
                .effective_server_name(),
            "localhost"
        );
    }

    #[test]
    fn an_option_beyond_its_limit_is_named() {
        let detail = |options: Options| options.login().map_err(|error| error.detail);
        assert_eq!(detail(Options::new("", "", "u", "t")), Err("app_key".to_owned()));
        assert_eq!(
            detail(Options::new("", "a", "u".repeat(257), "t")),
            Err("user_id".to_owned())
        );
        assert_eq!(
            detail(Options::new("", "a", "u", "t".repeat(2049))),
            Err("token".to_owned())
        );
        assert_eq!(
            detail(Options::new("", "a", "u", "t").device_id("d".repeat(65))),
            Err("device_id".to_owned())
        );
    }

    #[test]
    fn datagrams_are_asked_for_on_quic_alone_and_only_when_wanted() {
        let asked = |transport, wanted| {
            let options = Options::new("", "a", "u", "t").transport(transport).datagrams(wanted);
            options.login().expect("valid").datagrams
        };
        assert!(asked(Transport::Quic, true));
        assert!(!asked(Transport::Quic, false));
        assert!(!asked(Transport::Tcp, true));
        assert!(!asked(Transport::Tls, true));
        assert!(
            !Options::new("", "a", "u", "t")
                .transport(Transport::Quic)
                .login()
                .expect("valid")
                .datagrams
        );
    }

    #[test]
    fn the_token_is_not_shown_by_debug() {
        let options = Options::new("localhost:1", "app", "alice", "very-secret");
        assert!(!format!("{options:?}").contains("very-secret"));
    }
}
