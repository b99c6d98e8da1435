//! What the tests of the whole gateway stand on: a gateway in this process or in its own, and clients that may misbehave.
//!
//! Start with [`Gateway`], a real gateway on loopback ports of its own, and [`RawClient`], which sends any bytes over
//! any [`Transport`]. [`GatewayProcess`] is the binary `sluice` as a child, for what only a process of its own shows:
//! descriptors, exit codes, signals. Clients that behave come from `sluice-client` with [`Target::options`].
//!
//! Nothing here sleeps for luck: every wait is for a condition, and fails after [`DEADLINE`] with what was seen.

#![warn(missing_docs)]

pub mod crafted;

mod deadline;
mod gateway;
mod gateway_process;
mod metrics;
mod program;
mod quic;
mod raw_client;
mod server_api;
mod target;
mod temporary_folder;
mod tls;
mod transport;

pub use deadline::{DEADLINE, wait_until, within};
pub use gateway::{API_SECRET, APP_KEY, Gateway, SECRET};
pub use gateway_process::GatewayProcess;
pub use metrics::scrape;
pub use program::{Ended, Program};
pub use quic::{Direction, QuicRelay, begin_at_worker, quic_client_config, quic_connect, quic_connect_to};
pub use raw_client::RawClient;
pub use server_api::{ApiAnswer, ApiCall, exchange, hmac_signature, sha1_signature, unix_ms};
pub use target::Target;
pub use temporary_folder::TemporaryFolder;
pub use tls::{tls_client_config, tls_connect};
pub use transport::Transport;
