//! A process's share of the members: what each has received, and when a round is complete.

use sluice_codec::{open_server_frame, split_frame};
use sluice_protocol::limits::SERVER_FRAME_BYTES;
use sluice_protocol::{Reply, frame::Body, reply};

use super::room_message;
use crate::messages::{Report, Talk};

/// One member's place in the stream of messages.
#[derive(Default)]
pub(super) struct Member {
    /// The newest message it has.
    sequence: u64,
    inside: bool,
    /// The beginning of a frame whose rest is still on its way.
    partial: Vec<u8>,
}

impl Member {
    pub(super) fn is_inside(&self) -> bool {
        self.inside
    }
}

/// All members of this process.
pub(super) struct Share {
    talk: Talk,
    members: usize,
    inside: usize,
    /// The round under way, from 1.
    round: u64,
    /// The sequence number of its last message.
    round_ends: u64,
    /// Members who have that message.
    complete: usize,
    frame_bytes: u64,
    /// Hears of all members being inside, and of each complete round.
    tell: fn(&Report),
}

/// What a frame means to a member.
#[expect(
    clippy::large_enum_variant,
    reason = "it lives on the stack for one frame; a box would cost each an allocation"
)]
pub(crate) enum Arrival {
    /// The room message with this number.
    Message(u64),
    Reply(Reply),
    /// Others' coming and going.
    Other,
}

/// Looks at one frame's body.
///
/// # Errors
/// The server has given the member up, or has skipped messages: the figures would be those of less work.
pub(crate) fn read_frame(body: &[u8]) -> Result<Arrival, String> {
    if let Some(sequence) = room_message::sequence(body) {
        return Ok(Arrival::Message(sequence));
    }
    let frame = open_server_frame(body).map_err(|error| format!("sent a bad frame: {error}"))?;
    match frame.body {
        Some(Body::RoomMessage(message)) => Ok(Arrival::Message(message.sequence)),
        Some(Body::Reply(reply)) if reply.code != 0 => Err(format!(
            "refused with {} {} {}",
            reply.code, reply.message, reply.detail
        )),
        Some(Body::Reply(reply)) => Ok(Arrival::Reply(reply)),
        Some(Body::Close(close)) => Err(format!("closed with {} {} {}", close.code, close.message, close.detail)),
        Some(Body::RoomGap(gap)) => Err(format!("skipped {} to {}", gap.first_sequence, gap.last_sequence)),
        _ => Ok(Arrival::Other),
    }
}

impl Share {
    pub(super) fn new(talk: &Talk, members: usize, tell: fn(&Report)) -> Self {
        Self {
            talk: talk.clone(),
            members,
            inside: 0,
            round: 1,
            round_ends: u64::from(talk.window),
            complete: 0,
            frame_bytes: 0,
            tell,
        }
    }

    /// How many members are inside.
    pub(super) fn inside(&self) -> usize {
        self.inside
    }

    /// Takes bytes of one member's stream that begin where the last ones ended.
    pub(super) fn take(&mut self, member: &mut Member, input: &[u8]) -> Result<(), String> {
        if member.partial.is_empty() {
            let used = self.take_frames(member, input)?;
            member.partial.extend_from_slice(&input[used..]);
        } else {
            let mut joined = std::mem::take(&mut member.partial);
            joined.extend_from_slice(input);
            let used = self.take_frames(member, &joined)?;
            joined.drain(..used);
            member.partial = joined;
        }
        Ok(())
    }

    /// Takes the whole frames at the front of `input` and answers how many bytes they had.
    fn take_frames(&mut self, member: &mut Member, input: &[u8]) -> Result<usize, String> {
        let mut used = 0;
        while let Some(frame) =
            split_frame(&input[used..], SERVER_FRAME_BYTES).map_err(|error| format!("sent a bad frame: {error}"))?
        {
            self.take_frame(member, frame.body)?;
            used += frame.consumed;
        }
        self.frame_bytes += used as u64;
        Ok(used)
    }

    fn take_frame(&mut self, member: &mut Member, body: &[u8]) -> Result<(), String> {
        match read_frame(body)? {
            Arrival::Message(sequence) => {
                if sequence != member.sequence + 1 {
                    return Err(format!("sent message {sequence} after {}", member.sequence));
                }
                member.sequence = sequence;
                if sequence == self.round_ends {
                    self.check_content(body)?;
                    self.complete += 1;
                    if self.complete == self.members {
                        self.finish_round();
                    }
                }
            }
            Arrival::Reply(Reply {
                result: Some(reply::Result::RoomEntered(entered)),
                ..
            }) => {
                member.sequence = entered.sequence;
                member.inside = true;
                self.inside += 1;
                if self.inside == self.members {
                    (self.tell)(&Report::Inside);
                }
            }
            Arrival::Reply(_) | Arrival::Other => {}
        }
        Ok(())
    }

    fn check_content(&self, body: &[u8]) -> Result<(), String> {
        let frame = open_server_frame(body).map_err(|error| format!("sent a bad frame: {error}"))?;
        match frame.body {
            Some(Body::RoomMessage(message))
                if message.content == self.talk.content.as_bytes()
                    && message.room_id == self.talk.room
                    && message
                        .sender
                        .as_ref()
                        .is_some_and(|sender| sender.user_id == self.talk.sender) =>
            {
                Ok(())
            }
            _ => Err(format!("changed a message on its way: {frame:?}")),
        }
    }

    fn finish_round(&mut self) {
        (self.tell)(&Report::Round {
            round: self.round,
            frame_bytes: self.frame_bytes,
        });
        self.round += 1;
        self.round_ends += u64::from(self.talk.window);
        self.complete = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::{Batches, welcome};

    fn talk() -> Talk {
        Talk {
            room: "lobby".into(),
            sender: "bob".into(),
            content: "hello".into(),
            window: 3,
        }
    }

    #[test]
    fn a_round_is_complete_however_its_bytes_are_cut() {
        let stream = [welcome(), Batches::new(talk()).next_round()].concat();
        for cut in 1..stream.len() {
            let mut share = Share::new(&talk(), 1, |_| {});
            let mut member = Member::default();
            for piece in stream.chunks(cut) {
                share.take(&mut member, piece).unwrap();
            }
            assert!(member.is_inside());
            assert_eq!(
                (share.round, share.frame_bytes),
                (2, stream.len() as u64),
                "in pieces of {cut}"
            );
        }
    }

    #[test]
    fn a_lost_doubled_or_changed_message_is_noticed() {
        let mut batches = Batches::new(talk());
        let (first, second) = (batches.next_round(), batches.next_round());
        let verdict = |pieces: &[&[u8]]| {
            let mut share = Share::new(&talk(), 1, |_| {});
            let mut member = Member::default();
            pieces.iter().try_for_each(|piece| share.take(&mut member, piece))
        };
        assert_eq!(verdict(&[&first, &second]), Ok(()));
        assert_eq!(verdict(&[&second]), Err("sent message 4 after 0".into()));
        assert_eq!(verdict(&[&first, &first]), Err("sent message 1 after 3".into()));
        let other = Batches::new(Talk {
            content: "hallo".into(),
            ..talk()
        })
        .next_round();
        assert!(verdict(&[&other]).unwrap_err().contains("changed"));
    }
}
