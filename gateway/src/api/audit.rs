//! The audit log: who changed what through the server API, or wanted to, one line of JSON each, in a file of its own and in the log.
//!
//! Who cannot prove who he is has no line: strangers must not be able to fill the disk, or push out what others did.
//!
//! The file is written by a thread of its own. When it is behind, lines are lost and counted: a full disk must not keep anybody from
//! gagging somebody. It is for looking up, not for accounts.

mod file;

use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use serde_json::{Value, json};

use crate::api::failure::Code;
use crate::api::field::{Checked, Fields};
use crate::api::times;

/// Its name in the data folder.
pub(super) const FILE: &str = "audit.log";

/// Lines that wait for the disk: some seconds of all that one key may do.
const WAITING_MAX: usize = 4096;

/// Rooms, conversations and users that one line names, of each.
const NAMED_MAX: usize = 20;

/// A change that was asked for.
#[derive(Debug, Clone)]
pub(super) struct Record {
    pub at_ms: i64,
    pub app: String,
    pub key: String,
    pub path: &'static str,
    pub on: Named,
    pub request_id: String,
    pub peer: IpAddr,
}

/// Whom it concerns; the rest is only counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Named {
    pub rooms: Vec<String>,
    /// Groups and other targets of messages.
    pub conversations: Vec<String>,
    pub users: Vec<String>,
    /// Those that are not named.
    pub more: usize,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Audit {
    /// `None` once it ends.
    lines: Option<SyncSender<String>>,
    lost: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

/// A change that is under way. It is written down when it ends; where it is cut off, as one of which nothing is known.
#[derive(Debug)]
pub(super) struct UnderWay {
    audit: Arc<Audit>,
    record: Option<Record>,
}

impl Record {
    /// The rooms, conversations and users among the fields of a call.
    pub(super) fn named_in(fields: &Fields) -> Named {
        let mut named = Named::default();
        for value in fields.iter().flat_map(|(_, values)| values) {
            let (list, name) = match value {
                Checked::Room(room) | Checked::NamedRoom(room, _) => (&mut named.rooms, room.as_str()),
                Checked::Conversation(id) | Checked::NamedGroup(id, _) => (&mut named.conversations, id.as_str()),
                Checked::User(user) => (&mut named.users, user.as_str()),
                _ => continue,
            };
            if list.len() < NAMED_MAX {
                list.push(name.to_owned());
            } else {
                named.more += 1;
            }
        }
        named
    }

    fn line(&self, code: Code) -> String {
        let line = json!({
            "time": times::text(self.at_ms),
            "app": self.app,
            "key": self.key,
            "path": self.path,
            "rooms": self.on.rooms,
            "conversations": self.on.conversations,
            "users": self.on.users,
            "more": self.on.more,
            "code": code.0,
            "request_id": self.request_id,
            "peer": self.peer.to_string(),
        });
        one_line(&line)
    }
}

/// JSON on one line for every program: what some take for an end of line, obey as a command of a terminal, or have turn the direction
/// of all that follows, is written in digits.
fn one_line(value: &Value) -> String {
    let turns = |character| matches!(character, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let mut line = String::new();
    for character in value.to_string().chars() {
        if character.is_control() || matches!(character, '\u{2028}' | '\u{2029}') || turns(character) {
            // All of them are below U+FFFF, and outside of texts JSON has none.
            line.push_str(&format!("\\u{:04x}", u32::from(character)));
        } else {
            line.push(character);
        }
    }
    line
}

impl Audit {
    /// Starts the thread that writes the file in `folder`, which begins anew at `bytes_max`.
    ///
    /// # Errors
    /// When the file cannot be opened, or the thread not started.
    pub(super) fn start(folder: &Path, bytes_max: usize) -> io::Result<Self> {
        let mut file = file::File::open(&folder.join(FILE), bytes_max as u64)?;
        let (lines, waiting) = sync_channel::<String>(WAITING_MAX);
        let lost = Arc::<AtomicU64>::default();
        let losing = lost.clone();
        let thread = std::thread::Builder::new().name("audit".to_owned()).spawn(move || {
            let mut failing = false;
            for line in waiting {
                match file.write(&line) {
                    Ok(()) => failing = false,
                    Err(error) => {
                        losing.fetch_add(1, Ordering::Relaxed);
                        if !failing {
                            tracing::error!(%error, "the audit log cannot be written");
                        }
                        failing = true;
                    }
                }
            }
        })?;
        Ok(Self {
            lines: Some(lines),
            lost,
            thread: Some(thread),
        })
    }

    /// Will write down what comes of a change.
    pub(super) fn begin(self: &Arc<Self>, record: Record) -> UnderWay {
        let (audit, record) = (self.clone(), Some(record));
        UnderWay { audit, record }
    }

    /// Writes down a change and what came of it. Never waits.
    fn tell(&self, record: Record, code: Code) {
        // In quotes: what is in a name must not end a line or colour a terminal.
        tracing::info!(
            target: "sluice::audit",
            app = ?record.app,
            key = ?record.key,
            path = record.path,
            rooms = ?record.on.rooms,
            conversations = ?record.on.conversations,
            users = ?record.on.users,
            more = record.on.more,
            code = code.0,
            request_id = ?record.request_id,
            peer = %record.peer,
            "a change by the server API"
        );
        let Some(lines) = &self.lines else { return };
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) = lines.try_send(record.line(code)) {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Lines that were lost since it was last asked.
    pub(super) fn take_lost(&self) -> u64 {
        self.lost.swap(0, Ordering::Relaxed)
    }
}

impl UnderWay {
    /// It is over.
    pub(super) fn end(mut self, code: Code) {
        if let Some(record) = self.record.take() {
            self.audit.tell(record, code);
        }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        if let Some(record) = self.record.take() {
            self.audit.tell(record, Code::TIMEOUT);
        }
    }
}

impl Drop for Audit {
    fn drop(&mut self) {
        drop(self.lines.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread of the audit log panicked");
        }
    }
}

#[cfg(test)]
#[path = "audit/tests.rs"]
mod tests;
