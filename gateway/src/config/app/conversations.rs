//! How an app's conversations are kept. In a file, keys of `[[apps]]` that begin with `conversation_`.

use std::time::Duration;

use super::PushHook;

/// Limits and times of an app's conversations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppConversations {
    /// Most members of a discussion or a group. Default 500.
    pub members_max: usize,
    /// How long one's own message can be taken back and changed. Default 2 minutes.
    pub recall_window: Duration,
    /// Whether clients may ask for history (33007 if not). Default yes.
    pub history: bool,
    /// How long messages are kept. Default 180 days.
    pub history_kept: Duration,
    /// Whether anybody may join a group by its id (25414 if not). Default yes.
    pub groups_open: bool,
    /// Whether any member may add users to a group. Default no: owner and managers.
    pub members_may_add: bool,
    /// Whether users may choose the ids of groups they make (33003 `id` if not). Default no: an id that the app's server is going to use may not be
    /// taken by a user before, who would own the group.
    pub users_name_groups: bool,
    /// Where messages for users who are not online are told, if anywhere.
    pub push_hook: Option<PushHook>,
}

impl Default for AppConversations {
    fn default() -> Self {
        Self {
            members_max: 500,
            recall_window: Duration::from_secs(120),
            history: true,
            history_kept: Duration::from_secs(180 * 86_400),
            groups_open: true,
            members_may_add: false,
            users_name_groups: false,
            push_hook: None,
        }
    }
}
