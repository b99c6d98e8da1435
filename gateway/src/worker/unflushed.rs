//! Connections with something new in their outbox, to be flushed at the end of the pump's turn.
//!
//! First those that have an answer: its client may wait for it before it goes on. A message to a large group is a write for each of its members, and the one who
//! sent it need not wait for all of them.

use std::cell::Cell;

use crate::identity::ConnectionKey;

/// What is new for a connection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum News {
    #[default]
    None,
    Event,
    Answer,
}

#[derive(Debug, Default)]
pub(super) struct Unflushed {
    with_answers: Vec<ConnectionKey>,
    with_events: Vec<ConnectionKey>,
}

impl Unflushed {
    /// There is something new for a connection that has known of `known`.
    pub(super) fn mark(&mut self, key: ConnectionKey, known: &Cell<News>, news: News) {
        if known.get() >= news {
            return;
        }
        known.set(news);
        match news {
            News::Answer => self.with_answers.push(key),
            // If an answer comes too, it is found here a second time, when there is nothing new any more.
            News::Event | News::None => self.with_events.push(key),
        }
    }

    /// Takes them all, in the order in which they are to be flushed.
    pub(super) fn take(&mut self) -> impl Iterator<Item = ConnectionKey> + use<> {
        let Self {
            with_answers,
            with_events,
        } = std::mem::take(self);
        with_answers.into_iter().chain(with_events)
    }
}

#[cfg(test)]
mod tests {
    use slotmap::KeyData;

    use super::*;

    #[test]
    fn who_has_an_answer_comes_before_who_has_events_alone() {
        let keys: Vec<ConnectionKey> = (1..=3).map(|number| KeyData::from_ffi(number).into()).collect();
        let known: [Cell<News>; 3] = Default::default();
        let mut unflushed = Unflushed::default();
        let mut mark = |number: usize, news| unflushed.mark(keys[number], &known[number], news);
        mark(0, News::Event);
        mark(1, News::Event);
        mark(1, News::Event);
        mark(2, News::Answer);
        mark(2, News::Event);
        mark(1, News::Answer);
        mark(1, News::Answer);
        let order: Vec<_> = unflushed.take().collect();
        assert_eq!(order, [keys[2], keys[1], keys[0], keys[1]]);
        assert_eq!(known.map(Cell::into_inner), [News::Event, News::Answer, News::Answer]);
        assert_eq!(unflushed.take().count(), 0);
    }
}
