//! The commands, checked for form already, and which rule each is for.

use sluice_protocol::{
    AckMessages, AddMembers, CreateConversation, CreateGroup, DismissGroup, EditBlacklist, EditMessage,
    JoinConversation, MuteGroupMembers, PutCombinedPart, QueryBlacklist, QueryCombined, QueryConversation,
    QueryConversationMembers, QueryConversations, QueryMessages, QuitConversation, RecallMessage, RemoveMembers,
    SendMessage, SetGroupManagers, SyncConversations, TransferGroup, UpdateConversation,
};

use crate::conversation::positions::Move;
use crate::conversation::publish::Publish;
use crate::conversation::recall::TakeBack;
use crate::conversation::send::Sending;
use crate::conversation::server::Order;
use crate::conversation::{
    Asked, Context, Outcome, Ruled, blacklist, combined, create, groups, history, look, members, positions, publish,
    recall, send, server, sync,
};
use crate::store::{Rows, RowsMut};

/// A command about conversations.
#[derive(Debug)]
pub(crate) enum Command {
    Send(Box<Sending>),
    Sync(SyncConversations),
    /// Counted first, on a thread that only reads; then it is [`Self::Move`].
    Ack(AckMessages),
    Move(Move),
    Create(CreateConversation),
    Query(QueryConversation),
    Add(AddMembers),
    Remove(RemoveMembers),
    Join(JoinConversation),
    Quit(QuitConversation),
    QueryMembers(QueryConversationMembers),
    List(QueryConversations),
    History(QueryMessages),
    Recall(RecallMessage),
    Edit(EditMessage),
    Update(UpdateConversation),
    CreateGroup(CreateGroup),
    Dismiss(DismissGroup),
    Transfer(TransferGroup),
    SetManagers(SetGroupManagers),
    Mute(MuteGroupMembers),
    PutPart(PutCombinedPart),
    QueryCombined(QueryCombined),
    EditBlacklist(EditBlacklist),
    QueryBlacklist(QueryBlacklist),
    /// Of the app's server, like those that follow.
    Publish(Box<Publish>),
    TakeBack(Box<TakeBack>),
    Server(Box<Order>),
}

impl Command {
    /// To be made before it is asked for: it reads the whole message.
    pub(crate) fn send(message: SendMessage) -> Self {
        Self::Send(Box::new(Sending::new(message)))
    }

    /// Whether it is a question: nobody is told anything.
    pub(crate) fn asks_only(&self) -> bool {
        !matches!(self, Self::Send(_) | Self::Publish(_) | Self::Ack(_)) && !self.changes_rows()
    }

    /// Whether it is a question that is answered by a page: it reads many times as many rows as any other.
    pub(crate) fn asks_for_page(&self) -> bool {
        matches!(
            self,
            Self::Sync(_) | Self::History(_) | Self::List(_) | Self::QueryCombined(_) | Self::Server(_)
        ) && !self.changes_rows()
    }

    /// Whether it may change rows; if not, it runs on a thread that only reads.
    pub(super) fn changes_rows(&self) -> bool {
        match self {
            Self::Send(message) => send::is_kept(message),
            Self::Publish(publish) => publish.is_kept(),
            Self::Server(order) => order.changes_rows(),
            Self::Sync(_)
            | Self::Ack(_)
            | Self::Query(_)
            | Self::QueryMembers(_)
            | Self::List(_)
            | Self::History(_)
            | Self::QueryCombined(_)
            | Self::QueryBlacklist(_) => false,
            Self::Move(_)
            | Self::Create(_)
            | Self::Add(_)
            | Self::Remove(_)
            | Self::Join(_)
            | Self::Quit(_)
            | Self::Recall(_)
            | Self::Edit(_)
            | Self::Update(_)
            | Self::CreateGroup(_)
            | Self::Dismiss(_)
            | Self::Transfer(_)
            | Self::SetManagers(_)
            | Self::Mute(_)
            | Self::PutPart(_)
            | Self::EditBlacklist(_)
            | Self::TakeBack(_) => true,
        }
    }
}

impl Command {
    /// As how many messages it counts, by the rows that it may change: those of a message, or of a user, each.
    pub(super) fn weight(&self) -> usize {
        let each = match self {
            Self::Publish(publish) => publish.targets.len(),
            Self::Server(order) => order.weight(),
            Self::Create(command) => command.user_ids.len(),
            Self::CreateGroup(command) => command.user_ids.len(),
            Self::Add(command) => command.user_ids.len(),
            Self::Remove(command) => command.user_ids.len(),
            Self::SetManagers(command) => command.user_ids.len(),
            Self::Mute(command) => command.user_ids.len(),
            Self::EditBlacklist(command) => command.user_ids.len(),
            _ => 1,
        };
        each.max(1)
    }
}

/// Carries out a command that may change rows.
pub(super) fn change(rows: &dyn RowsMut, context: Context<'_>, asked: &Asked) -> Ruled<Outcome> {
    match &asked.command {
        Command::Send(message) => send::keep(rows, context, &asked.by, message),
        Command::Move(command) => positions::go(rows, context, &asked.by, command),
        Command::Create(command) => create::discussion(rows, context, &asked.by, command),
        Command::Add(command) => members::add(rows, context, &asked.by, command),
        Command::Remove(command) => members::remove(rows, context, &asked.by, command),
        Command::Join(command) => members::join(rows, context, &asked.by, command),
        Command::Quit(command) => members::quit(rows, context, &asked.by, command),
        Command::Recall(command) => recall::recall(rows, context, &asked.by, command),
        Command::Edit(command) => recall::edit(rows, context, &asked.by, command),
        Command::Update(command) => groups::update(rows, context, &asked.by, command),
        Command::CreateGroup(command) => create::group(rows, context, &asked.by, command),
        Command::Dismiss(command) => groups::dismiss(rows, context, &asked.by, command),
        Command::Transfer(command) => groups::transfer(rows, context, &asked.by, command),
        Command::SetManagers(command) => groups::set_managers(rows, context, &asked.by, command),
        Command::Mute(command) => groups::mute(rows, context, &asked.by, command),
        Command::PutPart(command) => combined::put(rows, context, &asked.by, command),
        Command::EditBlacklist(command) => blacklist::edit(rows, context, &asked.by, command),
        Command::Publish(publish) => publish::keep(rows, context, &asked.by, publish),
        Command::TakeBack(command) => recall::recall_as(rows, context, &asked.by, command),
        Command::Server(order) => server::change(rows, context, &asked.by, order),
        _ => look_up(rows, context, asked),
    }
}

/// Carries out a command that changes none.
pub(super) fn look_up(rows: &dyn Rows, context: Context<'_>, asked: &Asked) -> Ruled<Outcome> {
    match &asked.command {
        Command::Send(message) => send::pass_on(rows, context, &asked.by, message),
        Command::Publish(publish) => publish::pass_on(rows, context, &asked.by, publish),
        Command::Sync(command) => sync::page(rows, context, &asked.by, command),
        Command::Ack(command) => positions::ack(rows, context, &asked.by, command),
        Command::Query(command) => look::conversation(rows, context, &asked.by, command),
        Command::QueryMembers(command) => look::members(rows, context, &asked.by, command),
        Command::List(command) => look::list(rows, context, &asked.by, command),
        Command::History(command) => history::page(rows, context, &asked.by, command),
        Command::QueryCombined(command) => combined::page(rows, context, &asked.by, command),
        Command::QueryBlacklist(command) => blacklist::page(rows, context, &asked.by, command),
        Command::Server(order) => server::look_up(rows, context, &asked.by, order),
        _ => unreachable!("it changes rows"),
    }
}
