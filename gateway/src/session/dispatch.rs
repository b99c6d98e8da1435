//! What becomes of a client's frame: the session answers it, or passes it on.

use std::num::NonZeroU32;

use sluice_codec::ClientFrame;
use sluice_protocol::{ErrorCode, Login, frame::Body, limits};

use crate::clock::Now;
use crate::command::{self, About, Refused, Switch};
use crate::config::Config;
use crate::conversation;
use crate::frames;
use crate::identity::RoomKey;
use crate::refusal::Refusal;
use crate::room;
use crate::session::apps::Apps;
use crate::session::login::{self, Accepted};
use crate::session::{Online, Session, ping, renew_token};

/// What a frame comes to.
#[derive(Debug)]
pub(crate) enum Action {
    /// Nothing more than this answer.
    Answer(Vec<u8>),
    /// The command failed; the answer says so, unless none is wanted.
    Refuse { refusal: Refusal, answer: Option<Vec<u8>> },
    /// To the user's home, which decides about other sessions.
    Register { request_id: u32, login: Box<Accepted> },
    /// To the room's home.
    Room {
        key: RoomKey,
        request_id: u32,
        request: room::Request,
    },
    /// To the home of one room, and then out of another.
    Switch { request_id: u32, switch: Switch },
    /// To the rules of conversations.
    Converse {
        request_id: u32,
        command: conversation::Command,
    },
    /// Out of all rooms.
    LeaveAll { request_id: u32 },
    /// The session has a new token and this answer.
    Renew { expires: Now, answer: Vec<u8> },
    /// The client wants to go, and this request of it is the last to be answered.
    LogOut { request_id: NonZeroU32 },
    /// The login failed, and the connection ends.
    Close { request_id: u32, refusal: Refusal },
}

/// What is known beside the session.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Context<'a> {
    pub now: Now,
    pub config: &'a Config,
    pub apps: &'a Apps,
}

/// Handles one frame of a client.
pub(crate) fn handle(frame: ClientFrame, session: &mut Session, context: Context<'_>) -> Action {
    match frame {
        ClientFrame::Unknown { request_id, .. } => refuse(request_id, Refusal::new(ErrorCode::OPERATION_NOT_SUPPORTED)),
        ClientFrame::Command { request_id, command } => {
            if request_id == 0 && !command::may_go_unanswered(&command) {
                return refuse(request_id, Refusal::parameter("request_id"));
            }
            match (session.online_mut(), command) {
                (Some(online), command) => handle_online(request_id, command, online, context),
                (None, Body::Login(login)) => handle_login(request_id, login, context),
                (None, _) => refuse(request_id, Refusal::new(ErrorCode::NOT_LOGGED_IN)),
            }
        }
    }
}

fn handle_login(request_id: u32, login: Login, context: Context<'_>) -> Action {
    match login::check(login, context.apps, context.now, context.config) {
        Ok(login) => Action::Register {
            request_id,
            login: Box::new(login),
        },
        // A field of the wrong form is the one thing a client can mend on the spot.
        Err(refusal) if refusal.code == ErrorCode::INVALID_PARAMETER => refuse(request_id, refusal),
        Err(refusal) => Action::Close { request_id, refusal },
    }
}

fn handle_online(request_id: u32, command: Body, online: &mut Online, context: Context<'_>) -> Action {
    match command {
        Body::Logout(_) => match NonZeroU32::new(request_id) {
            Some(request_id) => Action::LogOut { request_id },
            // Refused before it came here.
            None => refuse(request_id, Refusal::parameter("request_id")),
        },
        Body::Ping(_) => ping::handle(request_id, context.now),
        Body::RenewToken(renew) => renew_token::handle(request_id, &renew, online, context),
        _ if online.is_expired(context.now.instant) => {
            refuse(request_id, Refusal::with_detail(ErrorCode::TOKEN_INVALID, "expired"))
        }
        Body::Login(_) => refuse(request_id, Refusal::new(ErrorCode::ALREADY_CONNECTED)),
        Body::LeaveAllRooms(_) => Action::LeaveAll { request_id },
        Body::SwitchRoom(command) => match command::switch_room(request_id, command, online.user.app) {
            Ok(switch) => Action::Switch { request_id, switch },
            Err(Refused { refusal, answer }) => Action::Refuse { refusal, answer },
        },
        command => match command::about_conversation(command) {
            About::Conversations(command) => handle_conversation(request_id, command),
            About::Rooms(command) => handle_room(request_id, command, online),
        },
    }
}

fn handle_conversation(request_id: u32, command: conversation::Command) -> Action {
    match command::check_conversation(&command) {
        Ok(()) => Action::Converse { request_id, command },
        Err(refusal) => Action::Refuse {
            // A barrage, which is for rooms alone, may want none.
            answer: (request_id != 0).then(|| refuse_command(request_id, &refusal, &command)),
            refusal,
        },
    }
}

/// The refusal of a message names the message, if it has a name that can be repeated.
fn refuse_command(request_id: u32, refusal: &Refusal, command: &conversation::Command) -> Vec<u8> {
    match command {
        conversation::Command::Send(message) if message.client_message_id.len() <= limits::CLIENT_MESSAGE_ID_BYTES => {
            frames::refuse_message(request_id, refusal, message.client_message_id.clone())
        }
        conversation::Command::Send(_) => frames::refuse_message(request_id, refusal, String::new()),
        _ => frames::refuse(request_id, refusal),
    }
}

fn handle_room(request_id: u32, command: Body, online: &Online) -> Action {
    match command::handle(request_id, command, online.user.app) {
        Ok((key, request)) => Action::Room {
            key,
            request_id,
            request,
        },
        Err(Refused { refusal, answer }) => Action::Refuse { refusal, answer },
    }
}

pub(super) fn refuse(request_id: u32, refusal: Refusal) -> Action {
    Action::Refuse {
        answer: Some(frames::refuse(request_id, &refusal)),
        refusal,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use bytes::Bytes;
    use sluice_protocol::{
        ConversationType, IdProfile, JoinRoom, Logout, MessageType, Ping, Platform, RenewToken, SendMessage, UserId,
    };

    use super::*;
    use crate::identity::{AppIndex, User};

    fn session(now: Now, config: &Config) -> Session {
        let mut session = Session::anonymous(now.instant, config);
        let accepted = Accepted {
            user: Arc::new(User {
                app: AppIndex(0),
                id: UserId::parse("alice", IdProfile::Zim).unwrap(),
                name: "".into(),
            }),
            platform: Platform::Other,
            device_id: "".into(),
            package_name: "".into(),
            sdk: "".into(),
            resumes_session_of_ms: None,
            started_at_ms: now.unix_ms,
            token_expires: now + Duration::from_secs(60),
            datagrams: false,
            resume: None,
        };
        session.handle_registered(now, &accepted);
        session
    }

    fn config() -> Config {
        let mut config = Config::defaults(Path::new("data"));
        config.apps = vec![crate::config::App::new("shop")];
        config
    }

    /// What these commands come to, each so long after a session began.
    fn ask_all(commands: impl IntoIterator<Item = (Duration, u32, Body)>) -> Vec<Action> {
        let config = config();
        let apps = Apps::new(&config).unwrap();
        let now = Now {
            instant: Instant::now(),
            unix_ms: 1_800_000_000_000,
        };
        let mut session = session(now, &config);
        let ask = |(waited, request_id, command)| {
            let context = Context {
                now: now + waited,
                config: &config,
                apps: &apps,
            };
            handle(ClientFrame::Command { request_id, command }, &mut session, context)
        };
        commands.into_iter().map(ask).collect()
    }

    fn ask_after(waited: Duration, request_id: u32, command: Body) -> Action {
        ask_all([(waited, request_id, command)]).remove(0)
    }

    fn good() -> SendMessage {
        SendMessage {
            conversation_type: ConversationType::Room.into(),
            target_id: "lobby".into(),
            r#type: MessageType::Text.into(),
            content: Bytes::from_static(b"hello"),
            client_message_id: "m1".into(),
            ..SendMessage::default()
        }
    }

    fn of_type(kind: MessageType, content_bytes: usize) -> SendMessage {
        SendMessage {
            r#type: kind.into(),
            content: vec![b'x'; content_bytes].into(),
            object_name: if kind == MessageType::Custom { "app:vote" } else { "" }.into(),
            ..good()
        }
    }

    #[test]
    fn only_barrage_may_go_without_an_answer() {
        let silent = |message| ask_after(Duration::ZERO, 0, Body::SendMessage(message));
        assert!(matches!(
            silent(of_type(MessageType::Barrage, 5)),
            Action::Room { request_id: 0, .. }
        ));
        let wrong = of_type(MessageType::Barrage, 5 * 1024 + 1);
        assert!(
            matches!(silent(wrong), Action::Refuse { answer: None, .. }),
            "nor is a refusal answered"
        );
        let elsewhere = SendMessage {
            conversation_type: ConversationType::Peer.into(),
            ..of_type(MessageType::Barrage, 5)
        };
        assert!(
            matches!(silent(elsewhere), Action::Refuse { answer: None, .. }),
            "nor is one that is for rooms alone"
        );
        for kind in [MessageType::Text, MessageType::Command, MessageType::Custom] {
            match silent(of_type(kind, 5)) {
                Action::Refuse {
                    refusal,
                    answer: Some(_),
                } => assert_eq!(refusal, Refusal::parameter("request_id")),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn after_the_token_has_ended_only_a_new_one_a_ping_and_a_logout_are_taken() {
        let ask = |waited, command| ask_after(waited, 7, command);
        let join = || {
            Body::JoinRoom(JoinRoom {
                room_id: "lobby".into(),
                ..JoinRoom::default()
            })
        };
        let end = Duration::from_secs(60);
        let just_before = end - Duration::from_nanos(1);
        assert!(matches!(ask(just_before, join()), Action::Room { .. }));
        for command in [join(), Body::SendMessage(good())] {
            match ask(end, command) {
                Action::Refuse { refusal, .. } => {
                    assert_eq!(refusal, Refusal::with_detail(ErrorCode::TOKEN_INVALID, "expired"));
                }
                other => panic!("{other:?}"),
            }
        }
        assert!(matches!(ask(end, Body::Ping(Ping {})), Action::Answer(_)));
        assert!(matches!(ask(end, Body::Logout(Logout {})), Action::LogOut { .. }));
        let renewal = ask(end, Body::RenewToken(RenewToken { token: "x".into() }));
        assert!(matches!(
            renewal,
            Action::Refuse { refusal, .. } if refusal.detail == "malformed"
        ));
    }
    #[test]
    fn tokens_beyond_the_quota_are_not_even_looked_at() {
        const QUOTA: usize = limits::TOKEN_RENEWALS_PER_SECOND as usize;
        let renew = |ms, token: &str| {
            let renewal = RenewToken { token: token.into() };
            (Duration::from_millis(ms), 7, Body::RenewToken(renewal))
        };
        let too_long = "t".repeat(limits::TOKEN_BYTES + 1);
        let mut commands = vec![renew(0, &too_long)];
        commands.extend((0..=QUOTA).map(|_| renew(100, "x")));
        commands.push(renew(1099, "x"));
        commands.push(renew(1100, "x"));
        let refusals: Vec<Refusal> = ask_all(commands)
            .into_iter()
            .map(|action| match action {
                Action::Refuse {
                    refusal,
                    answer: Some(_),
                } => refusal,
                other => panic!("{other:?}"),
            })
            .collect();
        let looked_at = Refusal::with_detail(ErrorCode::TOKEN_INVALID, "malformed");
        let too_many =
            |ms| Refusal::with_detail(ErrorCode::REQUEST_TOO_FREQUENT, "rate").retry_after(Duration::from_millis(ms));
        let mut expected = vec![Refusal::parameter("token")];
        expected.extend(vec![looked_at.clone(); QUOTA]);
        expected.extend([too_many(1000), too_many(1), looked_at]);
        assert_eq!(refusals, expected);
    }
}
