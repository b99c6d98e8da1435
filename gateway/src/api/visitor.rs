//! Who is at the other end of a connection: nobody knows, until a call on it is signed rightly.
//!
//! The places for connections are for those who sign. Whoever does not, has few of them for one answer each: neither the document nor
//! refusals keep a connection open, and one network never has so many that nobody else gets in.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use hashbrown::HashMap;

use crate::session::guesses::Network;

/// Connections from one network that have signed nothing yet: half of all there may be. An app's server that opens all it needs at once
/// has less, also where a proxy does it for several.
const STRANGERS_PER_NETWORK_MAX: usize = super::listener::CONNECTIONS_MAX / 2;

/// Those who have signed nothing yet, by where they come from.
#[derive(Debug)]
pub(super) struct Strangers {
    max: usize,
    by_network: Mutex<HashMap<Network, usize>>,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Visitor {
    pub address: IpAddr,
    strangers: Arc<Strangers>,
    known: AtomicBool,
}

impl Default for Strangers {
    fn default() -> Self {
        Self {
            max: STRANGERS_PER_NETWORK_MAX,
            by_network: Mutex::default(),
        }
    }
}

impl Strangers {
    /// Somebody with a new connection, unless too many strangers from there are here already.
    pub(super) fn let_in(self: &Arc<Self>, address: IpAddr) -> Option<Visitor> {
        let mut by_network = self.by_network.lock().unwrap_or_else(PoisonError::into_inner);
        let here = by_network.entry(Network::of(address)).or_default();
        if *here == self.max {
            return None;
        }
        *here += 1;
        Some(Visitor {
            address,
            strangers: self.clone(),
            known: AtomicBool::new(false),
        })
    }

    fn one_less(&self, address: IpAddr) {
        let mut by_network = self.by_network.lock().unwrap_or_else(PoisonError::into_inner);
        let network = Network::of(address);
        if let Some(here) = by_network.get_mut(&network) {
            *here -= 1;
            if *here == 0 {
                by_network.remove(&network);
            }
        }
    }
}

impl Visitor {
    /// Whether a call of theirs was signed rightly.
    pub(super) fn is_known(&self) -> bool {
        self.known.load(Ordering::Relaxed)
    }

    /// A call was signed rightly.
    pub(super) fn has_signed(&self) {
        if !self.known.swap(true, Ordering::Relaxed) {
            self.strangers.one_less(self.address);
        }
    }
}

impl Drop for Visitor {
    fn drop(&mut self) {
        if !self.is_known() {
            self.strangers.one_less(self.address);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_of_one_network_have_so_many_places_and_whoever_signs_is_no_stranger() {
        let strangers = Arc::new(Strangers {
            max: 2,
            by_network: Mutex::default(),
        });
        let let_in = |address: &str| strangers.let_in(address.parse().expect("an address"));
        let first = let_in("2001:db8::1").expect("a place");
        let second = let_in("2001:db8::2").expect("a place");
        assert!(let_in("2001:db8::3").is_none());
        let other = let_in("10.0.0.1").expect("another network has its own");
        assert!(!first.is_known());
        first.has_signed();
        first.has_signed();
        assert!(first.is_known());
        let third = let_in("2001:db8::3").expect("a place");
        assert!(let_in("2001:db8::4").is_none());
        drop(first);
        assert!(let_in("2001:db8::4").is_none(), "it had none to give back");
        drop(second);
        drop(let_in("2001:db8::4").expect("a place"));
        drop((third, other));
        assert!(strangers.by_network.lock().expect("no panic").is_empty());
    }
}
