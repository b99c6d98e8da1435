//! What operators see: one table of metrics, counters that cost an addition, and the rendering for Prometheus.
//!
//! Each worker counts in plain integers ([`Local`]) and adds them to the shared series once a second: the fan-out path
//! never touches anything shared. Labels come from closed sets, so that no client can make a series.

mod local;
mod process;
mod registry;
mod store;
mod table;
mod workers;

pub(crate) use local::Local;
pub use process::GAUGES as PROCESS_GAUGES;
pub(crate) use registry::Registry;
pub use store::STORE_FIGURES;
pub use table::{FAMILIES, Family, Kind, Label};
pub(crate) use table::{Metric, label};
pub use workers::WORKER_GAUGES;
pub(crate) use workers::WorkerFigures;
