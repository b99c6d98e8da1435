//! Plans: each is one question, the load that answers it, and how the answer is to be read.

pub(crate) mod chat;
pub(crate) mod codec;
pub(crate) mod fanout;
pub(crate) mod latency;
pub(crate) mod memory;
pub(crate) mod million;
pub(crate) mod swarm;
