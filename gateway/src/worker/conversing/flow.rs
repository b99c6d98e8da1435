//! Whether events of conversations flow to a session, and what waits while it is asking what it missed.
//!
//! ```text
//! Off ──begin──▶ Held ──last page answered, settled, and room in the queue──▶ On
//!                 │ ▲                                                          │
//!   too much ─────┘ └───────────────────────────── begin ──────────────────────┘
//!   waits: it is told, and Off
//! ```
//!
//! Plain rules. *Settled* means: all that was kept before the first page was read has come here, so what comes from now on is in no page.

use std::cell::Cell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

use hashbrown::HashMap;

use crate::session::ConversationQuotas;
use crate::worker::conversing::Happened;

/// Events held back for one session. Beyond it they are dropped, and it is told to ask again: by then a page of history says it shorter.
const HELD_EVENTS_MAX: usize = 1024;

/// What an event takes beside its bytes.
const EVENT_OVERHEAD_BYTES: usize = 64;

/// What a session has to do with conversations: nothing until its first command about them.
#[derive(Debug, Default)]
pub(in crate::worker) struct Conversing(Option<Box<Known>>);

#[derive(Debug, Default)]
struct Known {
    quotas: ConversationQuotas,
    flow: Flow,
    /// The number of the newest synchronisation.
    sync: u32,
}

#[derive(Debug, Default)]
enum Flow {
    #[default]
    Off,
    Held(Box<Held>),
    On,
}

/// Bytes held back for all sessions of a worker.
#[derive(Debug, Clone, Default)]
pub(in crate::worker) struct HeldBytes(Rc<Cell<usize>>);

impl HeldBytes {
    pub(in crate::worker) fn get(&self) -> usize {
        self.0.get()
    }
}

/// How much may be held back.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// For this session.
    pub own_bytes: usize,
    /// For all of the worker.
    pub all_bytes: usize,
}

#[derive(Debug)]
struct Held {
    events: VecDeque<Arc<Happened>>,
    bytes: usize,
    all_bytes: HeldBytes,
    /// How far each conversation goes in the pages.
    reached: HashMap<i64, i64>,
    /// What was before: after a question that failed it goes on.
    before: Before,
    pages: Pages,
    settled: bool,
    lost: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    Off,
    On,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pages {
    /// Not even the first is there.
    None,
    Some,
    All,
}

/// What becomes of an event.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// It is to be sent.
    Sent,
    /// It waits.
    Held,
    /// The session wants none, or is told later that it lost some.
    Dropped,
}

/// What is to be sent now that a session has all pages.
#[derive(Debug)]
pub(super) enum Release {
    Nothing,
    Events(Vec<Arc<Happened>>),
    /// Too much came meanwhile.
    Lost,
}

/// A page that goes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PageOf {
    /// It is the first; nothing else was asked before it.
    First,
    Later,
}

impl Conversing {
    pub(super) fn quotas(&mut self) -> &mut ConversationQuotas {
        &mut self.known().quotas
    }

    /// The session asks for the first page of what it missed. From here on events wait. Returns the number of this synchronisation.
    pub(super) fn begin(&mut self, all_bytes: &HeldBytes) -> u32 {
        let known = self.known();
        known.sync = known.sync.wrapping_add(1);
        match &mut known.flow {
            // What waits has not been told and goes on waiting; which of it is in the pages, the new ones say.
            Flow::Held(held) => held.begin_anew(),
            flow => {
                let before = if matches!(flow, Flow::On) {
                    Before::On
                } else {
                    Before::Off
                };
                *flow = Flow::Held(Box::new(Held::new(before, all_bytes.clone())));
            }
        }
        known.sync
    }

    /// The number of the synchronisation under way, of which a further page may be asked.
    pub(super) fn under_way(&self) -> Option<u32> {
        let known = self.0.as_ref()?;
        matches!(&known.flow, Flow::Held(held) if held.pages == Pages::Some).then_some(known.sync)
    }

    /// Whether all pages have gone out, and what was held back until then has not.
    pub(super) fn has_all_pages(&self) -> bool {
        let flow = self.0.as_ref().map(|known| &known.flow);
        matches!(flow, Some(Flow::Held(held)) if held.pages == Pages::All)
    }

    /// An event came.
    pub(super) fn take(&mut self, event: &Arc<Happened>, bounds: Bounds) -> Taken {
        let Some(known) = &mut self.0 else {
            return Taken::Dropped;
        };
        match &mut known.flow {
            Flow::Off => Taken::Dropped,
            Flow::On => Taken::Sent,
            Flow::Held(held) => held.take(event, bounds),
        }
    }

    /// A page of this synchronisation goes out. `reached` says how far its conversations go in this and later pages.
    pub(super) fn handle_page(&mut self, sync: u32, reached: Vec<(i64, i64)>, is_last: bool) {
        if let Some(held) = self.held(sync) {
            held.reached.extend(reached);
            held.pages = if is_last { Pages::All } else { Pages::Some };
        }
    }

    /// A page of this synchronisation could not be had. If it is the first, all is as it was before; another can be asked for again.
    pub(super) fn handle_no_page(&mut self, sync: u32, page: PageOf) {
        if page == PageOf::First
            && let Some(held) = self.held(sync)
        {
            match held.before {
                // What waited was not lost, and nobody was told of it elsewhere.
                Before::On => {
                    held.reached.clear();
                    held.pages = Pages::All;
                    held.settled = true;
                }
                Before::Off => self.known().flow = Flow::Off,
            }
        }
    }

    /// All that was kept before the first page of this synchronisation was read has come here.
    pub(super) fn handle_settled(&mut self, sync: u32) {
        if let Some(held) = self.held(sync) {
            held.settled = true;
        }
    }

    /// It cannot be known what has come here and what is still to come.
    pub(super) fn handle_unsettled(&mut self, sync: u32) {
        if let Some(held) = self.held(sync) {
            held.lose();
        }
    }

    /// Whether something waits for nothing but room in the connection's queue.
    pub(super) fn is_ready(&self) -> bool {
        let held = match &self.0 {
            Some(known) => match &known.flow {
                Flow::Held(held) => held,
                _ => return false,
            },
            None => return false,
        };
        held.pages == Pages::All && (held.settled || held.lost)
    }

    /// Lets go of what waited, if it [is ready](Self::is_ready).
    pub(super) fn release(&mut self) -> Release {
        if !self.is_ready() {
            return Release::Nothing;
        }
        let known = self.known();
        let Flow::Held(mut held) = std::mem::take(&mut known.flow) else {
            return Release::Nothing;
        };
        if held.lost {
            return Release::Lost;
        }
        known.flow = Flow::On;
        let events = std::mem::take(&mut held.events);
        let is_new = |event: &Arc<Happened>| {
            event.sequence == 0
                || held
                    .reached
                    .get(&event.conversation)
                    .is_none_or(|reached| event.sequence > *reached)
        };
        Release::Events(events.into_iter().filter(is_new).collect())
    }

    fn known(&mut self) -> &mut Known {
        self.0.get_or_insert_default()
    }

    fn held(&mut self, sync: u32) -> Option<&mut Held> {
        let known = self.0.as_mut()?;
        match &mut known.flow {
            Flow::Held(held) if known.sync == sync => Some(held),
            _ => None,
        }
    }
}

impl Held {
    fn new(before: Before, all_bytes: HeldBytes) -> Self {
        Self {
            events: VecDeque::new(),
            bytes: 0,
            all_bytes,
            reached: HashMap::new(),
            before,
            pages: Pages::None,
            settled: false,
            lost: false,
        }
    }

    fn begin_anew(&mut self) {
        self.reached = HashMap::new();
        // Some of what waits was in pages before, which is forgotten.
        self.before = Before::Off;
        self.pages = Pages::None;
        self.settled = false;
        self.lost = false;
    }

    fn take(&mut self, event: &Arc<Happened>, bounds: Bounds) -> Taken {
        let bytes = event.frame.len() + EVENT_OVERHEAD_BYTES;
        if self.lost {
            return Taken::Dropped;
        }
        let all_bytes = self.all_bytes.0.get() + bytes;
        if self.events.len() >= HELD_EVENTS_MAX || self.bytes + bytes > bounds.own_bytes || all_bytes > bounds.all_bytes
        {
            self.lose();
            return Taken::Dropped;
        }
        self.bytes += bytes;
        self.all_bytes.0.set(all_bytes);
        self.events.push_back(event.clone());
        Taken::Held
    }

    fn lose(&mut self) {
        self.lost = true;
        self.events = VecDeque::new();
        self.give_back();
    }

    fn give_back(&mut self) {
        self.all_bytes.0.update(|bytes| bytes - self.bytes);
        self.bytes = 0;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.give_back();
    }
}

#[cfg(test)]
mod tests;
