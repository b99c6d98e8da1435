//! The three transports, and tests that run over each of them.

use std::fmt;

/// What carries a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// Plain TCP.
    Tcp,
    /// TLS over TCP.
    Tls,
    /// QUIC.
    Quic,
}

impl Transport {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Tcp, Self::Tls, Self::Quic];

    /// The value of the label `transport` in metrics, and of `sluice chat --transport`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Quic => "quic",
        }
    }

    /// The same for `sluice-client`.
    #[must_use]
    pub fn of_client(self) -> sluice_client::Transport {
        match self {
            Self::Tcp => sluice_client::Transport::Tcp,
            Self::Tls => sluice_client::Transport::Tls,
            Self::Quic => sluice_client::Transport::Quic,
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Makes three tests, `over_tcp`, `over_tls` and `over_quic`, of each `async fn name(transport: Transport)`. They stand
/// in a module of the function's name, so that a failure names what broke and the transport.
///
/// ```
/// use sluice_tests::{Transport, on_all_transports};
///
/// on_all_transports!(a_name_is_a_sentence);
///
/// async fn a_name_is_a_sentence(transport: Transport) {
///     assert!(Transport::ALL.contains(&transport));
/// }
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! on_all_transports {
    ($($name:ident),* $(,)?) => {$(
        mod $name {
            #[tokio::test]
            async fn over_tcp() {
                super::$name($crate::Transport::Tcp).await;
            }

            #[tokio::test]
            async fn over_tls() {
                super::$name($crate::Transport::Tls).await;
            }

            #[tokio::test]
            async fn over_quic() {
                super::$name($crate::Transport::Quic).await;
            }
        }
    )*};
}
