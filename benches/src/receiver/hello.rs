//! What a member says first.

use std::time::{SystemTime, UNIX_EPOCH};

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;
use sluice_protocol::{EnterRoom, Frame, Login, PROTOCOL_VERSION, Platform, frame::Body};

use crate::messages::Entry;

/// Longer than any run.
const TOKEN_SECONDS: u64 = 24 * 60 * 60;

/// The user behind a member's number.
pub(crate) fn user_id(member: usize) -> String {
    format!("member-{member}")
}

#[derive(Serialize)]
struct Claims<'a> {
    sub: &'a str,
    aud: &'a str,
    iat: u64,
    exp: u64,
}

/// Makes the first bytes of members.
pub(crate) struct Hello {
    room: String,
    entry: Entry,
}

impl Hello {
    pub(crate) fn new(room: &str, entry: &Entry) -> Self {
        Self {
            room: room.to_owned(),
            entry: entry.clone(),
        }
    }

    /// All that a member sends, in one piece. A `RoomEntered` says that it is inside.
    pub(crate) fn of(&self, user: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        if let Entry::Sluice { app, secret } = &self.entry {
            let login = Login {
                protocol_version: PROTOCOL_VERSION,
                app_key: app.clone(),
                user_id: user.to_owned(),
                token: token(app, secret, user),
                platform: Platform::Linux.into(),
                sdk: concat!("sluice-bench/", env!("CARGO_PKG_VERSION")).into(),
                ..Login::default()
            };
            sluice_codec::encode_into(
                &Frame {
                    request_id: 1,
                    body: Some(Body::Login(login)),
                },
                &mut bytes,
            );
        }
        let enter = EnterRoom {
            room_id: self.room.clone(),
            room_name: String::new(),
        };
        sluice_codec::encode_into(
            &Frame {
                request_id: 2,
                body: Some(Body::EnterRoom(enter)),
            },
            &mut bytes,
        );
        bytes
    }
}

fn token(app: &str, secret: &str, user: &str) -> String {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("the clock is past 1970")
        .as_secs();
    let claims = Claims {
        sub: user,
        aud: app,
        iat: now,
        exp: now + TOKEN_SECONDS,
    };
    jsonwebtoken::encode(
        &Header::new(Algorithm::HS256),
        &claims,
        &EncodingKey::from_secret(secret.as_bytes()),
    )
    .expect("an HMAC has no way to fail")
}
