//! The connection ids that our endpoints give out.
//!
//! Eight bytes: two that lead packets to the endpoint (`steering.rs`), two random ones, and four of a keyed hash over those. The
//! first two are random as well, but for which endpoint they lead to, so that is all an onlooker learns from them. The hash tells
//! our ids from those that are guessed or made up, and it is the same after a restart: a client that goes on sending after one
//! gets a stateless reset, and noise gets nothing.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::hmac;
use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use quinn::{ConnectionId, ConnectionIdGenerator};
use quinn_proto::InvalidCid;

use super::steering::{PLACE_BYTES, PLACES, place_of};

/// What is random, and what the hash is over.
const NONCE_BYTES: usize = 4;
/// One guess in four billion passes.
const SIGNATURE_BYTES: usize = 4;
const ID_BYTES: usize = NONCE_BYTES + SIGNATURE_BYTES;

/// The ids of one endpoint.
#[derive(Debug, Clone)]
pub(super) struct ConnectionIds {
    key: Arc<hmac::Key>,
    /// Which endpoint of how many this is.
    place: u16,
    endpoints: u16,
}

impl ConnectionIds {
    pub(super) fn new(key: Arc<hmac::Key>, place: u16, endpoints: u16) -> Self {
        Self { key, place, endpoints }
    }

    fn signature(&self, nonce: &[u8]) -> [u8; SIGNATURE_BYTES] {
        let mut signature = [0; SIGNATURE_BYTES];
        signature.copy_from_slice(&hmac::sign(&self.key, nonce).as_ref()[..SIGNATURE_BYTES]);
        signature
    }
}

impl ConnectionIdGenerator for ConnectionIds {
    fn generate_cid(&mut self) -> ConnectionId {
        let mut random = [0; NONCE_BYTES];
        SystemRandom::new()
            .fill(&mut random)
            .expect("the system has random numbers");
        let [high, low, rest @ ..] = random;
        // Any of the numbers that lead here: place, place + endpoints, place + 2 × endpoints...
        let (place, endpoints) = (u32::from(self.place), u32::from(self.endpoints));
        let leading_here = (PLACES - place).div_ceil(endpoints);
        let chosen = u32::from(u16::from_be_bytes([high, low])) % leading_here;
        let first = u16::try_from(place + chosen * endpoints).expect("the last of them is below 65536");

        let mut id = [0; ID_BYTES];
        id[..PLACE_BYTES].copy_from_slice(&first.to_be_bytes());
        id[PLACE_BYTES..NONCE_BYTES].copy_from_slice(&rest);
        let signature = self.signature(&id[..NONCE_BYTES]);
        id[NONCE_BYTES..].copy_from_slice(&signature);
        ConnectionId::new(&id)
    }

    /// Whether an id that belongs to no connection may have been ours before a restart, and deserves a reset.
    ///
    /// An id that leads to another endpoint does not. It comes here only when the kernel or the network card has glued packets of
    /// two connections together that share a client's port: the other one lives, and a reset from here would end it.
    fn validate(&self, id: &ConnectionId) -> Result<(), InvalidCid> {
        let Some((nonce, signature)) = id.split_first_chunk::<NONCE_BYTES>() else {
            return Err(InvalidCid);
        };
        let [high, low, ..] = *nonce;
        let ours = place_of([high, low], self.endpoints) == self.place && self.signature(nonce) == signature;
        if ours { Ok(()) } else { Err(InvalidCid) }
    }

    fn cid_len(&self) -> usize {
        ID_BYTES
    }

    /// For as long as the connection lives.
    fn cid_lifetime(&self) -> Option<Duration> {
        None
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn ids(secret: &[u8], place: u16, endpoints: u16) -> ConnectionIds {
        ConnectionIds::new(Arc::new(hmac::Key::new(hmac::HMAC_SHA256, secret)), place, endpoints)
    }

    fn place(id: &ConnectionId, endpoints: u16) -> u16 {
        place_of([id[0], id[1]], endpoints)
    }

    #[test]
    fn ids_lead_to_the_endpoint_that_made_them() {
        for endpoints in [1, 2, 3, 7, 255, 256, 257, 1024, u16::MAX] {
            for at in [0, endpoints / 2, endpoints - 1] {
                let mut ids = ids(b"secret", at, endpoints);
                for _ in 0..100 {
                    let id = ids.generate_cid();
                    assert_eq!(id.len(), ids.cid_len());
                    assert_eq!(place(&id, endpoints), at, "{at} of {endpoints}");
                    assert!(ids.validate(&id).is_ok());
                }
            }
        }
    }

    #[test]
    fn ids_are_many_and_use_all_of_their_first_bytes() {
        let mut ids = ids(b"secret", 1, 3);
        let made: HashSet<ConnectionId> = (0..2000).map(|_| ids.generate_cid()).collect();
        assert_eq!(made.len(), 2000);
        // 21,845 numbers lead here, from which 2,000 were drawn.
        let firsts: HashSet<[u8; 2]> = made.iter().map(|id| [id[0], id[1]]).collect();
        assert!(firsts.len() > 1800, "{}", firsts.len());
    }

    #[test]
    fn ids_are_known_again_after_a_restart_with_the_same_key_even_with_fewer_endpoints() {
        let id = ids(b"secret", 2, 3).generate_cid();
        assert!(ids(b"secret", 2, 3).validate(&id).is_ok());
        let at = place(&id, 2);
        assert!(ids(b"secret", at, 2).validate(&id).is_ok(), "where its packets go now");
        assert!(ids(b"secret", 1 - at, 2).validate(&id).is_err(), "where they do not go");
    }

    #[test]
    fn foreign_ids_are_noticed() {
        let mut ours = ids(b"secret", 0, 2);
        let id = ours.generate_cid();
        assert!(ids(b"another secret", 0, 2).validate(&id).is_err());
        for byte in PLACE_BYTES..ID_BYTES {
            let mut altered = [0; ID_BYTES];
            altered.copy_from_slice(&id);
            altered[byte] ^= 1;
            assert!(ours.validate(&ConnectionId::new(&altered)).is_err(), "byte {byte}");
        }
        for bytes in 0..ID_BYTES {
            assert!(
                ours.validate(&ConnectionId::new(&id[..bytes])).is_err(),
                "{bytes} bytes"
            );
        }
    }
}
