//! The users whose home is one worker: which sessions each has, and which of them must go when another logs in.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use hashbrown::{Equivalent, HashMap};
use sluice_protocol::{ErrorCode, Platform};

use crate::config::SingleLogin;
use crate::identity::{ConnectionRef, User, UserKey};
use crate::refusal::Refusal;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Users {
    sessions: HashMap<ByKey, Sessions>,
}

/// A session's record of its user, hashed and compared by app and id: a pointer instead of a copy for each user.
#[derive(Debug)]
struct ByKey(Arc<User>);

/// In the order they began. Nearly every user has one, which needs no allocation.
#[derive(Debug)]
enum Sessions {
    One(Known),
    #[expect(
        clippy::box_collection,
        reason = "with a vector, everybody would take as much room as those few"
    )]
    Many(Box<Vec<Known>>),
}

#[derive(Debug, Clone, Copy)]
struct Known {
    connection: ConnectionRef,
    platform: Platform,
    started_at_ms: i64,
}

impl Sessions {
    fn as_slice(&self) -> &[Known] {
        match self {
            Self::One(known) => std::slice::from_ref(known),
            Self::Many(known) => known,
        }
    }

    /// `None` for no session.
    fn of(known: Vec<Known>) -> Option<Self> {
        match known[..] {
            [] => None,
            [one] => Some(Self::One(one)),
            _ => Some(Self::Many(Box::new(known))),
        }
    }
}

impl PartialEq for ByKey {
    fn eq(&self, other: &Self) -> bool {
        (self.0.app, &self.0.id) == (other.0.app, &other.0.id)
    }
}

impl Eq for ByKey {}

impl Hash for ByKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.0.app, &self.0.id).hash(state);
    }
}

impl Equivalent<ByKey> for UserKey {
    fn equivalent(&self, known: &ByKey) -> bool {
        (self.app, &self.id) == (known.0.app, &known.0.id)
    }
}

/// A session that asks to begin.
#[derive(Debug)]
pub(crate) struct Newcomer {
    pub connection: ConnectionRef,
    pub platform: Platform,
    pub started_at_ms: i64,
    /// As in [`crate::session::login::Accepted`].
    pub resumes_session_of_ms: Option<i64>,
}

impl Users {
    /// How many users have a session.
    pub(crate) fn len(&self) -> usize {
        self.sessions.len()
    }

    /// Lets a session begin and returns the older ones it displaces, which get 31010.
    ///
    /// # Errors
    /// When a library that reconnects would displace a session that is newer than the one it lost.
    pub(crate) fn register(
        &mut self,
        user: &Arc<User>,
        newcomer: &Newcomer,
        policy: SingleLogin,
    ) -> Result<Vec<ConnectionRef>, Refusal> {
        let key = ByKey(user.clone());
        let mut sessions = self
            .sessions
            .get(&key)
            .map_or_else(Vec::new, |known| known.as_slice().to_vec());
        // The oldest go first.
        let displaced: Vec<usize> = match policy {
            SingleLogin::Single => (0..sessions.len()).collect(),
            SingleLogin::PerPlatform => (0..sessions.len())
                .filter(|index| sessions[*index].platform == newcomer.platform)
                .collect(),
            SingleLogin::Multi(most) => (0..(sessions.len() + 1).saturating_sub(most as usize)).collect(),
        };
        if let Some(lost_began_ms) = newcomer.resumes_session_of_ms
            && displaced
                .iter()
                .any(|index| sessions[*index].started_at_ms > lost_began_ms)
        {
            return Err(Refusal::with_detail(ErrorCode::KICKED_BY_OTHER_DEVICE, "newer_login"));
        }
        let displaced: Vec<ConnectionRef> = displaced
            .into_iter()
            .rev()
            .map(|index| sessions.remove(index).connection)
            .collect();
        sessions.push(Known {
            connection: newcomer.connection,
            platform: newcomer.platform,
            started_at_ms: newcomer.started_at_ms,
        });
        // The record of the newest login, so that those of sessions that are gone can go.
        self.sessions.remove(&key);
        self.sessions
            .extend(Sessions::of(sessions).map(|sessions| (key, sessions)));
        Ok(displaced)
    }

    /// A session ended.
    pub(crate) fn unregister(&mut self, user: &UserKey, connection: ConnectionRef) {
        let Some(sessions) = self.sessions.get_mut(user) else {
            return;
        };
        let left = sessions
            .as_slice()
            .iter()
            .filter(|known| known.connection != connection);
        match Sessions::of(left.copied().collect()) {
            Some(left) => *sessions = left,
            None => {
                self.sessions.remove(user);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use slotmap::SlotMap;
    use sluice_protocol::{IdProfile, UserId};

    use super::*;
    use crate::identity::{AppIndex, ConnectionKey, WorkerIndex};

    struct Desk {
        users: Users,
        keys: SlotMap<ConnectionKey, ()>,
        policy: SingleLogin,
    }

    impl Desk {
        fn new(policy: SingleLogin) -> Self {
            Self {
                users: Users::default(),
                keys: SlotMap::with_key(),
                policy,
            }
        }

        fn log_in(&mut self, platform: Platform, at_ms: i64, lost: Option<i64>) -> (ConnectionRef, Vec<ConnectionRef>) {
            let connection = ConnectionRef {
                worker: WorkerIndex(0),
                key: self.keys.insert(()),
            };
            let newcomer = Newcomer {
                connection,
                platform,
                started_at_ms: at_ms,
                resumes_session_of_ms: lost,
            };
            let displaced = self.users.register(&alice(), &newcomer, self.policy).expect("accepted");
            (connection, displaced)
        }
    }

    fn alice() -> Arc<User> {
        Arc::new(User {
            app: AppIndex(0),
            id: UserId::parse("alice", IdProfile::Zim).unwrap(),
            name: "".into(),
        })
    }

    #[test]
    fn a_single_login_displaces_the_one_before() {
        let mut desk = Desk::new(SingleLogin::Single);
        let (first, displaced) = desk.log_in(Platform::Ios, 1, None);
        assert!(displaced.is_empty());
        let (_, displaced) = desk.log_in(Platform::Android, 2, None);
        assert_eq!(displaced, [first]);
    }

    #[test]
    fn per_platform_only_the_same_platform_is_displaced() {
        let mut desk = Desk::new(SingleLogin::PerPlatform);
        let (ios, _) = desk.log_in(Platform::Ios, 1, None);
        let (_, displaced) = desk.log_in(Platform::Android, 2, None);
        assert!(displaced.is_empty());
        let (_, displaced) = desk.log_in(Platform::Ios, 3, None);
        assert_eq!(displaced, [ios]);
    }

    #[test]
    fn of_several_allowed_the_oldest_is_displaced() {
        let mut desk = Desk::new(SingleLogin::Multi(2));
        let (first, _) = desk.log_in(Platform::Ios, 1, None);
        let (second, displaced) = desk.log_in(Platform::Ios, 2, None);
        assert!(displaced.is_empty());
        let (_, displaced) = desk.log_in(Platform::Ios, 3, None);
        assert_eq!(displaced, [first]);
        let (_, displaced) = desk.log_in(Platform::Ios, 4, None);
        assert_eq!(displaced, [second]);
    }

    #[test]
    fn an_automatic_reconnect_never_displaces_a_newer_login() {
        let mut desk = Desk::new(SingleLogin::Single);
        desk.log_in(Platform::Ios, 10, None);
        let (newer, _) = desk.log_in(Platform::Android, 20, None);
        let connection = ConnectionRef {
            worker: WorkerIndex(0),
            key: desk.keys.insert(()),
        };
        let returning = Newcomer {
            connection,
            platform: Platform::Ios,
            started_at_ms: 30,
            resumes_session_of_ms: Some(10),
        };
        let refusal = desk
            .users
            .register(&alice(), &returning, SingleLogin::Single)
            .unwrap_err();
        assert_eq!(
            (refusal.code, &*refusal.detail),
            (ErrorCode::KICKED_BY_OTHER_DEVICE, "newer_login")
        );
        // One that lost the newest session itself takes its place.
        let (_, displaced) = desk.log_in(Platform::Android, 40, Some(20));
        assert_eq!(displaced, [newer]);
    }

    #[test]
    fn a_user_without_sessions_is_forgotten() {
        let mut desk = Desk::new(SingleLogin::Single);
        let (connection, _) = desk.log_in(Platform::Ios, 1, None);
        desk.users.unregister(&alice().key(), connection);
        assert_eq!(desk.users.len(), 0);
    }
}
