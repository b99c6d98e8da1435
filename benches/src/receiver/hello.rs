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
        let mut bytes = self.login(user);
        bytes.extend_from_slice(&self.enter(2));
        bytes
    }

    /// The login alone; empty where the server wants none.
    pub(crate) fn login(&self, user: &str) -> Vec<u8> {
        let Entry::Sluice { app, secret } = &self.entry else {
            return Vec::new();
        };
        let login = Login {
            protocol_version: PROTOCOL_VERSION,
            app_key: app.clone(),
            user_id: user.to_owned(),
            token: token(app, secret, user),
            platform: Platform::Linux.into(),
            sdk: concat!("sluice-bench/", env!("CARGO_PKG_VERSION")).into(),
            ..Login::default()
        };
        encode(1, Body::Login(login))
    }

    /// The way into the room alone.
    pub(crate) fn enter(&self, request_id: u32) -> Vec<u8> {
        let enter = EnterRoom {
            room_id: self.room.clone(),
            room_name: String::new(),
            ..EnterRoom::default()
        };
        encode(request_id, Body::EnterRoom(enter))
    }
}

fn encode(request_id: u32, body: Body) -> Vec<u8> {
    let frame = Frame {
        request_id,
        body: Some(body),
    };
    sluice_codec::encode(&frame).to_vec()
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
