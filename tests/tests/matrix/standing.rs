//! Where the sender of a command stands to a room.

use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Value, json};
use sluice_protocol::frame::Body;
use sluice_protocol::{Frame, Login, Ping, QueryRoom, QueryRoomAttributes, QueryRoomMembers, Reply, SetRoomAttributes};
use sluice_tests::{APP_KEY, Gateway, RawClient, SECRET, Transport, unix_ms, wait_until};

use super::{OTHER, THIRD, ask};
use crate::rooms::{enter_room, join_chat_room, leave_room, text};

/// Long enough to come into a room with.
const SHORT_TOKEN_SECONDS: i64 = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// Not logged in.
    Nobody,
    /// Never inside.
    Stranger,
    /// Was inside, and left.
    Left,
    Kicked,
    Blocked,
    /// Inside, but may not send.
    Gagged,
    GaggedEverywhere,
    InMutedRoom,
    /// Inside, with a token that has ended since.
    Expired,
    /// The namesake in another app of somebody inside. The room is not in that app.
    Foreign,
    /// The same where the room is in no app at all.
    Nowhere,
}

/// A client of which nothing goes unseen.
#[derive(Debug)]
pub(super) struct Client {
    raw: RawClient,
    last_request_id: u32,
    /// All that have come.
    pub events: Vec<Body>,
}

impl Client {
    pub(super) async fn connect(gateway: &Gateway) -> Self {
        Self {
            raw: RawClient::connect(gateway, Transport::Tcp).await,
            last_request_id: 0,
            events: Vec::new(),
        }
    }

    pub(super) async fn online(gateway: &Gateway, app: &str, user: &str, seconds: i64) -> Self {
        let mut client = Self::connect(gateway).await;
        let done = client.call(login(app, user, seconds)).await;
        assert_eq!(done.code, 0, "{done:?}");
        client
    }

    pub(super) async fn send(&mut self, command: Body) -> u32 {
        self.last_request_id += 1;
        self.raw.send(self.last_request_id, command).await;
        self.last_request_id
    }

    pub(super) async fn call(&mut self, command: Body) -> Reply {
        let request_id = self.send(command).await;
        loop {
            match self.raw.next_frame().await {
                Frame {
                    request_id: answered,
                    body: Some(Body::Reply(reply)),
                } => {
                    assert_eq!(answered, request_id, "{reply:?}; {self:?}");
                    return reply;
                }
                Frame { body, .. } => self.events.extend(body),
            }
        }
    }

    /// All that comes until the end of the connection.
    pub(super) async fn frames_until_end(&mut self) -> Vec<Frame> {
        let mut frames = Vec::new();
        while let Some(frame) = self.raw.next_frame_or_end().await {
            frames.push(frame);
        }
        frames
    }

    pub(super) async fn done(&mut self, command: Body) -> Reply {
        let reply = self.call(command).await;
        assert_eq!(reply.code, 0, "{reply:?}; {self:?}");
        reply
    }

    pub(super) async fn wait_for_event(&mut self, what: &str, mut is_it: impl FnMut(&Body) -> bool) {
        while !self.events.iter().any(&mut is_it) {
            match self.raw.next_frame().await {
                Frame {
                    request_id: 0,
                    body: Some(event),
                } => self.events.push(event),
                other => panic!("{other:?} came instead of {what}; {self:?}"),
            }
        }
    }
}

/// A good login, but for how long the token is good.
pub(super) fn login(app: &str, user: &str, seconds: i64) -> Body {
    Body::Login(Login {
        protocol_version: sluice_protocol::PROTOCOL_VERSION,
        app_key: app.to_owned(),
        user_id: user.to_owned(),
        token: token(app, user, seconds),
        ..Login::default()
    })
}

pub(super) fn token(app: &str, user: &str, seconds: i64) -> String {
    let claims = json!({ "sub": user, "aud": app, "exp": unix_ms() / 1000 + seconds });
    jsonwebtoken::encode(&Header::default(), &claims, &EncodingKey::from_secret(SECRET)).expect("claims")
}

/// A room with somebody inside, and somebody who wants something of it. Each cell has its own.
#[derive(Debug)]
pub(super) struct Cell {
    pub room: String,
    /// The room that commands name: this one, or one that is nowhere.
    pub named: String,
    /// Where the sender is inside, whatever it is elsewhere.
    pub hall: String,
    pub standing: Standing,
    pub sender_id: String,
    pub sender: Client,
    pub witness_id: String,
    witness: Client,
}

/// All there is to see of a room, from inside and by the app's server.
#[derive(Debug, PartialEq)]
pub(super) struct Seen {
    inside: [Reply; 3],
    by_server: Vec<Value>,
}

impl Cell {
    pub(super) async fn new(gateway: &Gateway, standing: Standing, number: usize) -> Self {
        let room = format!("room{number:03}");
        let hall = format!("hall{number:03}");
        let (witness_id, subject_id) = (format!("witness{number:03}"), format!("subject{number:03}"));
        let mut witness = Client::online(gateway, APP_KEY, &witness_id, 3600).await;
        witness.done(join_chat_room(&room, 0)).await;
        let attribute = SetRoomAttributes {
            room_id: room.clone(),
            keys: vec!["topic".into()],
            values: vec!["none".into()],
            ..SetRoomAttributes::default()
        };
        witness.done(Body::SetRoomAttributes(attribute)).await;
        witness.done(Body::SendMessage(text(&room, "before"))).await;

        let (app, sender_id, seconds) = match standing {
            Standing::Foreign => (OTHER, witness_id.clone(), 3600),
            Standing::Nowhere => (THIRD, witness_id.clone(), 3600),
            Standing::Expired => (APP_KEY, subject_id, SHORT_TOKEN_SECONDS),
            _ => (APP_KEY, subject_id, 3600),
        };
        let sender = match standing {
            Standing::Nobody => Client::connect(gateway).await,
            _ => {
                let mut sender = Client::online(gateway, app, &sender_id, seconds).await;
                sender.done(enter_room(&hall)).await;
                sender
            }
        };
        let named = match standing {
            Standing::Nowhere => format!("none{number:03}"),
            _ => room.clone(),
        };
        let mut cell = Self {
            room,
            named,
            hall,
            standing,
            sender_id,
            sender,
            witness_id,
            witness,
        };
        cell.take_the_stand(gateway).await;
        cell
    }

    async fn take_the_stand(&mut self, gateway: &Gateway) {
        let (room, user) = (&*self.room, &*self.sender_id);
        match self.standing {
            Standing::Nobody | Standing::Stranger | Standing::Foreign | Standing::Nowhere => return,
            _ => self.sender.done(join_chat_room(room, 0)).await,
        };
        let (of_room, of_user, for_long) = (("chatroomId", room), ("userId", user), ("minute", "60"));
        let is_put_out = |event: &Body| matches!(event, Body::RoomKickedOut(_));
        match self.standing {
            Standing::Left => {
                self.sender.done(leave_room(room)).await;
            }
            Standing::Kicked => {
                ask(gateway, "/chatroom/user/kick.json", &[of_room, of_user]).await;
                self.sender.wait_for_event("being put out", is_put_out).await;
            }
            Standing::Blocked => {
                ask(gateway, "/chatroom/user/block/add.json", &[of_room, of_user, for_long]).await;
                self.sender.wait_for_event("being put out", is_put_out).await;
            }
            Standing::Gagged => {
                ask(gateway, "/chatroom/user/gag/add.json", &[of_room, of_user, for_long]).await;
            }
            Standing::GaggedEverywhere => {
                ask(gateway, "/chatroom/user/ban/add.json", &[of_user, for_long]).await;
            }
            Standing::InMutedRoom => {
                ask(gateway, "/chatroom/ban/add.json", &[of_room]).await;
            }
            Standing::Expired | Standing::Nobody | Standing::Stranger | Standing::Foreign | Standing::Nowhere => {}
        }
    }

    /// Waits until the sender's token has ended, where that is its standing.
    pub(super) async fn mature(&mut self) {
        if self.standing == Standing::Expired {
            let sender = &mut self.sender;
            wait_until("the token has ended", async || {
                sender.call(leave_room("nowhere")).await.code == 31004
            })
            .await;
        }
    }

    pub(super) async fn look(&mut self, gateway: &Gateway) -> Seen {
        let room_id = || self.room.clone();
        let queries = [
            Body::QueryRoom(QueryRoom { room_id: room_id() }),
            Body::QueryRoomMembers(QueryRoomMembers {
                room_id: room_id(),
                ..QueryRoomMembers::default()
            }),
            Body::QueryRoomAttributes(QueryRoomAttributes {
                room_id: room_id(),
                keys: Vec::new(),
            }),
        ];
        let [status, members, attributes] = queries;
        let inside = [
            self.witness.done(status).await,
            self.witness.done(members).await,
            self.witness.done(attributes).await,
        ];
        let mut by_server = Vec::new();
        for path in [
            "/chatroom/get.json",
            "/chatroom/user/query.json",
            "/chatroom/entry/query.json",
            "/chatroom/user/gag/list.json",
            "/chatroom/user/block/list.json",
            "/chatroom/user/ban/whitelist/query.json",
        ] {
            by_server.push(ask(gateway, path, &[("chatroomId", &self.room)]).await);
        }
        Seen { inside, by_server }
    }

    /// The witness says something, unless nobody may in the room, and sees nothing else that it has not seen yet.
    pub(super) async fn expect_nothing_told(&mut self) {
        if self.standing == Standing::InMutedRoom {
            return;
        }
        self.witness.events.clear();
        self.witness.done(Body::SendMessage(text(&self.room, "after"))).await;
        let is_message = |event: &Body| matches!(event, Body::RoomMessage(_));
        self.witness.wait_for_event("its own message", is_message).await;
        assert_eq!(self.witness.events.len(), 1, "{:?}", self.witness.events);
    }

    /// The sender, who is still there, has seen nothing of the room, and is where it was.
    pub(super) async fn expect_sender_kept_out(&mut self) {
        if self.standing == Standing::Nobody {
            assert_eq!(self.sender.call(Body::Ping(Ping {})).await.code, 6_000_121);
        } else {
            let hall = QueryRoom {
                room_id: self.hall.clone(),
            };
            self.sender.done(Body::QueryRoom(hall)).await;
        }
        let of_room: Vec<&Body> = self
            .sender
            .events
            .iter()
            .filter(|event| !matches!(event, Body::RoomKickedOut(_)))
            .collect();
        let was_inside = matches!(self.standing, Standing::Left | Standing::Kicked | Standing::Blocked);
        assert!(was_inside || of_room.is_empty(), "{of_room:?}");
        let after = of_room
            .iter()
            .any(|event| matches!(event, Body::RoomMessage(message) if message.content == "after"));
        assert!(!after, "{of_room:?}");
    }

    /// Whether the sender is a member.
    pub(super) fn is_inside(&self) -> bool {
        match self.standing {
            Standing::Gagged | Standing::GaggedEverywhere | Standing::InMutedRoom | Standing::Expired => true,
            Standing::Nobody
            | Standing::Stranger
            | Standing::Left
            | Standing::Kicked
            | Standing::Blocked
            | Standing::Foreign
            | Standing::Nowhere => false,
        }
    }
}
