//! What is said of a path, once: checking, the code that serves it, the OpenAPI document, the audit log and the metrics follow.

use crate::api::call::{Call, Running};
use crate::api::field::Field;
use crate::config::ApiScope;

/// One path.
#[derive(Debug)]
pub(super) struct Path {
    /// Without its ending: `/chatroom/create` is served as `/chatroom/create.json` too.
    pub path: &'static str,
    pub group: Group,
    /// What a key must be for.
    pub scope: ApiScope,
    pub effect: Effect,
    pub summary: &'static str,
    pub fields: &'static [Field],
    /// What an answer with the code 200 has besides it.
    pub answers: &'static [Answer],
    pub run: fn(Call) -> Running,
}

/// Whether a call changes something, which the audit log is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    Asks,
    Changes,
}

/// Paths that are counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Group {
    User,
    Room,
    Gag,
    Block,
    AllowList,
    Priority,
    Distribution,
    KeepAlive,
    Attribute,
    Message,
    Word,
    Groups,
    UserList,
    Conversation,
    /// What is no path, or is not served.
    None,
}

/// One field of an answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub name: &'static str,
    pub kind: AnswerKind,
    pub presence: Presence,
    pub meaning: &'static str,
}

/// Whether an answer has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Presence {
    Always,
    Sometimes,
}

/// What it is.
#[derive(Debug, Clone, Copy)]
pub(super) enum AnswerKind {
    Text,
    Number,
    Flag,
    Texts,
    /// An object with these fields.
    Object(&'static [Answer]),
    /// A list of such.
    Objects(&'static [Answer]),
}

impl Answer {
    pub(super) const fn new(name: &'static str, kind: AnswerKind, meaning: &'static str) -> Self {
        Self {
            name,
            kind,
            presence: Presence::Always,
            meaning,
        }
    }

    /// The same, only where there is something to say.
    pub(super) const fn sometimes(mut self) -> Self {
        self.presence = Presence::Sometimes;
        self
    }
}
