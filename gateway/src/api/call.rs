//! One call, checked: what a path's code works with.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};
use sluice_protocol::{RoomId, UserId};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::api::Api;
use crate::api::batches::in_batches;
use crate::api::failure::Failure;
use crate::api::field::{Checked, Fields};
use crate::api::serve::CALL_TIMEOUT;
use crate::api::turns::Turn;
use crate::clock::Now;
use crate::config::App;
use crate::conversation::{Command, Outcome};
use crate::identity::{AppIndex, RoomKey, User, UserKey};
use crate::policy::Policies;
use crate::room::{Answer, Order};
use crate::store::{Asker, Change};
use crate::worker::{Operator, refusal_of};

/// How long a call waits for all that it has the rules of conversations carry out, counted from when it came. Less than it may take, so that it can still
/// say of each part what became of it.
const CONVERSING_MAX: Duration = Duration::from_secs(8);
const _: () = assert!(CONVERSING_MAX.as_secs() < CALL_TIMEOUT.as_secs());

/// What a path answers besides the code: the fields of an object.
pub(super) type Answered = Result<Map<String, Value>, Failure>;

/// A path's code at work.
pub(super) type Running = Pin<Box<dyn Future<Output = Answered> + Send>>;

/// See the module.
#[derive(Debug)]
pub(super) struct Call {
    pub api: Arc<Api>,
    pub app: AppIndex,
    /// When it came.
    pub now: Now,
    pub fields: Fields,
}

/// Nothing but the code.
pub(super) fn done() -> Answered {
    Ok(Map::new())
}

/// The fields of `object`, which must be one.
pub(super) fn answer(object: Value) -> Answered {
    match object {
        Value::Object(fields) => Ok(fields),
        other => Ok(Map::from_iter([("result".to_owned(), other)])),
    }
}

impl Call {
    /// The way to rooms and users.
    pub(super) fn operator(&self) -> &Operator {
        &self.api.operator
    }

    /// What the app's server has decided for all rooms and users.
    pub(super) fn policies(&self) -> &Policies {
        &self.api.operator.shared().policies
    }

    /// The app's settings.
    pub(super) fn settings(&self) -> &App {
        &self.api.operator.shared().apps.get(self.app).settings
    }

    /// A room of this app.
    pub(super) fn room_key(&self, id: RoomId) -> RoomKey {
        RoomKey { app: self.app, id }
    }

    /// A user of this app.
    pub(super) fn user_key(&self, id: UserId) -> UserKey {
        UserKey { app: self.app, id }
    }

    /// A user of this app of whom nothing is known but the id.
    pub(super) fn nameless(&self, id: UserId) -> Arc<User> {
        Arc::new(User {
            app: self.app,
            id,
            name: "".into(),
        })
    }

    /// Has a room carry out an order, and waits until what it changes is kept.
    pub(super) async fn order(&self, room: RoomId, order: Order) -> Result<Answer, Failure> {
        Ok(self.operator().order(self.room_key(room), order).await?)
    }

    /// The same for several rooms at once; the answers are in the order of the rooms.
    pub(super) async fn orders(&self, orders: Vec<(RoomId, Order)>) -> Vec<Result<Answer, Failure>> {
        let orders = orders.into_iter().map(|(room, order)| (self.room_key(room), order));
        let answers = self.operator().orders(orders.collect()).await;
        answers
            .into_iter()
            .map(|answer| answer.map_err(Failure::from))
            .collect()
    }

    /// Waits for the app's turn at what takes a thread for some time.
    pub(super) async fn turn(&self) -> Result<Turn<'_>, Failure> {
        self.api.turns.take(self.app).await
    }

    /// Does what takes long, in the app's turn: other threads serve the others meanwhile.
    pub(super) async fn at_length<T>(&self, work: impl FnOnce() -> T) -> Result<T, Failure> {
        let _turn = self.turn().await?;
        Ok(tokio::task::block_in_place(work))
    }

    /// Changes a list of the app and waits until that is kept. `change` is given what takes the changes to the store, to be called
    /// while the list cannot change again.
    pub(super) async fn keep<T, E>(
        &self,
        change: impl FnOnce(&mut dyn FnMut(Vec<Change>)) -> Result<T, E>,
    ) -> Result<T, Failure>
    where
        Failure: From<E>,
    {
        let turn = self.turn().await?;
        let store = &self.operator().shared().store;
        store.admit(Asker::Server).map_err(|error| refusal_of(&error))?;
        let (kept, told) = oneshot::channel();
        let mut kept = Some(kept);
        // To make a long list of words ready takes a tenth of a second: meanwhile another thread serves the others.
        let result = tokio::task::block_in_place(|| {
            change(&mut |changes| {
                if let Some(kept) = kept.take() {
                    store.submit(changes, move |result| {
                        // Nobody waits any more when the call took too long.
                        let _ = kept.send(result);
                    });
                }
            })
        })?;
        drop(turn);
        // Where nothing was to be kept, nobody is told.
        drop(kept);
        match told.await {
            Ok(Err(error)) => Err(refusal_of(&error).into()),
            Ok(Ok(())) | Err(_) => Ok(result),
        }
    }

    /// The room of a field that must be there.
    pub(super) fn room(&self, name: &'static str) -> Result<RoomId, Failure> {
        let room = self.rooms(name).into_iter().next();
        room.ok_or_else(|| missing(name))
    }

    pub(super) fn rooms(&self, name: &'static str) -> Vec<RoomId> {
        self.all(name, |value| match value {
            Checked::Room(room) => Some(room.clone()),
            _ => None,
        })
    }

    /// Rooms with a name each.
    pub(super) fn named_rooms(&self, name: &'static str) -> Vec<(RoomId, String)> {
        self.all(name, |value| match value {
            Checked::NamedRoom(room, name) => Some((room.clone(), name.clone())),
            _ => None,
        })
    }

    /// The group, or whatever a message goes to, of a field that must be there.
    pub(super) fn conversation(&self, name: &'static str) -> Result<String, Failure> {
        let conversation = self.conversations(name).into_iter().next();
        conversation.ok_or_else(|| missing(name))
    }

    pub(super) fn conversations(&self, name: &'static str) -> Vec<String> {
        self.all(name, |value| match value {
            Checked::Conversation(id) => Some(id.clone()),
            _ => None,
        })
    }

    /// Groups with a name each.
    pub(super) fn named_groups(&self, name: &'static str) -> Vec<(String, String)> {
        self.all(name, |value| match value {
            Checked::NamedGroup(group, name) => Some((group.clone(), name.clone())),
            _ => None,
        })
    }

    /// The objects of a list that must be there.
    pub(super) fn objects(&self, name: &'static str) -> Result<Vec<Map<String, Value>>, Failure> {
        let all = self.all(name, |value| match value {
            Checked::Objects(objects) => Some(objects.clone()),
            _ => None,
        });
        all.into_iter().next().ok_or_else(|| missing(name))
    }

    /// Has the rules of conversations carry out a command, and waits until what it changes is kept.
    pub(super) async fn converse(&self, command: Command) -> Result<Outcome, Failure> {
        Ok(self.operator().converse(self.app, command).await?)
    }

    /// The same for several at once, kept in this order.
    pub(super) async fn converse_all(&self, commands: Vec<Command>) -> Vec<Result<Outcome, Failure>> {
        let outcomes = self.operator().converse_all(self.app, commands, self.deadline()).await;
        outcomes
            .into_iter()
            .map(|outcome| outcome.map_err(Failure::from))
            .collect()
    }

    /// The same for many, so many at once, so that others have their turn in between.
    pub(super) async fn converse_in_batches(
        &self,
        commands: Vec<Command>,
        at_once: usize,
    ) -> Vec<Result<Outcome, Failure>> {
        in_batches(commands, at_once, self.deadline(), |batch| self.converse_all(batch)).await
    }

    /// Until when it waits for the rules of conversations.
    pub(super) fn deadline(&self) -> Instant {
        Instant::from_std(self.now.instant) + CONVERSING_MAX
    }

    /// The user of a field that must be there.
    pub(super) fn user(&self, name: &'static str) -> Result<UserId, Failure> {
        let user = self.users(name).into_iter().next();
        user.ok_or_else(|| missing(name))
    }

    pub(super) fn users(&self, name: &'static str) -> Vec<UserId> {
        self.all(name, |value| match value {
            Checked::User(user) => Some(user.clone()),
            _ => None,
        })
    }

    /// The text of a field that may be missing.
    pub(super) fn text(&self, name: &'static str) -> Option<String> {
        self.texts(name).into_iter().next()
    }

    /// The text of a field that must be there.
    pub(super) fn required_text(&self, name: &'static str) -> Result<String, Failure> {
        self.text(name).ok_or_else(|| missing(name))
    }

    /// The texts of a field that may be there several times, or of one array.
    pub(super) fn texts(&self, name: &'static str) -> Vec<String> {
        let texts = self.all(name, |value| match value {
            Checked::Text(text) => Some(vec![text.clone()]),
            Checked::Texts(texts) => Some(texts.clone()),
            _ => None,
        });
        texts.into_iter().flatten().collect()
    }

    pub(super) fn number(&self, name: &'static str) -> Option<i64> {
        let all = self.all(name, |value| match value {
            Checked::Number(number) => Some(*number),
            _ => None,
        });
        all.into_iter().next()
    }

    pub(super) fn flag(&self, name: &'static str) -> Option<bool> {
        let all = self.all(name, |value| match value {
            Checked::Flag(flag) => Some(*flag),
            _ => None,
        });
        all.into_iter().next()
    }

    pub(super) fn object(&self, name: &'static str) -> Option<Map<String, Value>> {
        let all = self.all(name, |value| match value {
            Checked::Object(object) => Some(object.clone()),
            _ => None,
        });
        all.into_iter().next()
    }

    /// When something ends that lasts the minutes of a field that must be there: milliseconds since 1970.
    pub(super) fn until_ms(&self, name: &'static str) -> Result<i64, Failure> {
        let minutes = self.number(name).ok_or_else(|| missing(name))?;
        Ok(self.now.unix_ms + minutes * 60_000)
    }

    /// Whether the path has a field of this name.
    pub(super) fn may_have(&self, name: &'static str) -> bool {
        self.fields.iter().any(|(known, _)| *known == name)
    }

    /// The user of this app that a text of the call names.
    pub(super) fn user_id(&self, name: &'static str, text: &str) -> Result<UserId, Failure> {
        let user = UserId::parse(text, self.settings().id_profile);
        user.map_err(|why| Failure::parameter(format!("{name}: {why}")))
    }

    fn all<T>(&self, name: &'static str, wanted: impl FnMut(&Checked) -> Option<T>) -> Vec<T> {
        let field = self.fields.iter().find(|(known, _)| *known == name);
        debug_assert!(field.is_some(), "{name} is no field of this path");
        field.map_or_else(Vec::new, |(_, values)| values.iter().filter_map(wanted).collect())
    }
}

fn missing(name: &'static str) -> Failure {
    Failure::parameter(format!("{name}: is missing"))
}
