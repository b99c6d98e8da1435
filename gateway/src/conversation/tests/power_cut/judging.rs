//! What a store has, compared with what was answered.

use super::*;

/// Compares what a store has with what was sent, and with what the answers to `told` were. Returns what it has.
pub(super) fn judge(store: &Store, sent: &Sent, told: &BTreeSet<usize>) -> Result<BTreeMap<Place, Vec<usize>>, String> {
    let mut found = BTreeMap::new();
    for (place, order) in &sent.order {
        let rows = messages(store, *place)?;
        let mut numbers = Vec::new();
        for (sequence, row) in (1..).zip(&rows) {
            let event = ConversationMessage::decode(&row.event[..]).map_err(|error| error.to_string())?;
            let number: usize = (event.client_message_id.parse()).map_err(|_| "not one of ours".to_owned())?;
            let says = (row.sequence, event.sequence, event.message_id);
            if says != (sequence, sequence.unsigned_abs(), row.message_id.unsigned_abs()) {
                return Err(format!("message {sequence} of {place:?} says {says:?}"));
            }
            if event.content != sent.sendings[number].text {
                return Err(format!("message {sequence} of {place:?} says something else"));
            }
            numbers.push(number);
        }
        if !order.starts_with(&numbers) {
            return Err(format!("{place:?} has {numbers:?}, where {order:?} were sent"));
        }
        if !rows.is_sorted_by_key(|row| row.message_id) {
            return Err(format!("the ids of {place:?} do not rise"));
        }
        for number in order.iter().filter(|number| told.contains(number)) {
            let ack = sent.acks[number];
            let at = numbers.iter().position(|other| other == number);
            let is_kept = at.is_some_and(|at| {
                let row = &rows[at];
                (row.sequence.unsigned_abs(), row.message_id.unsigned_abs()) == (ack.sequence, ack.message_id)
            });
            if !is_kept {
                return Err(format!("{number} was acknowledged as {ack:?} of {place:?} and is lost"));
            }
        }
        found.insert(*place, numbers);
    }
    judge_members(store, sent, told)?;
    judge_positions(store, sent, told)?;
    Ok(found)
}

fn judge_members(store: &Store, sent: &Sent, told: &BTreeSet<usize>) -> Result<(), String> {
    match members(store, group(GROUP))? {
        None if told.contains(&GROUP_MADE) => return Err("a group is lost".to_owned()),
        Some(members) if members.len() != USERS => return Err(format!("the group has the members {members:?}")),
        _ => {}
    }
    let Some(members) = members(store, group(CHANGING))? else {
        return match told.contains(&CHANGING_MADE) {
            true => Err("the other group is lost".to_owned()),
            false => Ok(()),
        };
    };
    let members: BTreeSet<String> = members.into_iter().map(|member| member.user_id).collect();
    // They are as after some change, none before the last that was answered.
    let answered = told.range(CHANGED..MOVED).next_back().map_or(0, |last| last - CHANGED);
    let is_known = (sent.members[answered..].iter()).any(|known| members == known.iter().copied().map(user).collect());
    match is_known {
        true => Ok(()),
        false => Err(format!("{members:?} are members, as never since change {answered}")),
    }
}

fn judge_positions(store: &Store, sent: &Sent, told: &BTreeSet<usize>) -> Result<(), String> {
    let mut answered: BTreeMap<(Place, usize), u64> = BTreeMap::new();
    for (number, position) in (MOVED..).zip(&sent.positions) {
        let least = answered.entry((position.place, position.by)).or_default();
        if told.contains(&number) {
            *least = sent.reached[&number].max(*least);
        }
    }
    for ((place, by), least) in answered {
        let members = members(store, place.key())?.unwrap_or_default();
        let member = members.iter().find(|member| member.user_id == user(by));
        let (read, delivered) = member.map_or((0, 0), |member| (member.read_sequence, member.delivered_sequence));
        let last = sent.order.get(&place).map_or(0, Vec::len) as u64;
        if read.unsigned_abs() < least || delivered < read || delivered.unsigned_abs() > last {
            return Err(format!(
                "the position of {by} in {place:?} is {read}, delivered {delivered}, where {least} was answered and {last} is the last"
            ));
        }
    }
    Ok(())
}

/// All messages of a conversation that the store has.
fn messages(store: &Store, place: Place) -> Result<Vec<MessageRow>, String> {
    let key = place.key();
    let (tell, told) = mpsc::channel();
    store.read(
        Length::Long,
        move |rows| {
            let Some(conversation) = rows.conversation(APP_KEY, key.kind.into(), &key.key)? else {
                return Ok((0, Vec::new()));
            };
            let all = rows.messages(&MessagesQuery {
                conversation: conversation.id,
                from_sequence: 0,
                beyond: None,
                direction: Direction::Newer,
                kinds: Vec::new(),
                limit: 2 * SENDINGS,
            })?;
            Ok((conversation.last_sequence, all))
        },
        move |outcome| tell.send(outcome).expect("the test waits"),
    );
    let (last, all) = told.recv().expect("an answer").map_err(|error| error.to_string())?;
    if i64::try_from(all.len()) != Ok(last) {
        return Err(format!("the last of {} messages is {last}", all.len()));
    }
    Ok(all)
}

/// Those who are in a conversation, if there is one.
pub(super) fn members(store: &Store, key: Key) -> Result<Option<Vec<MemberRow>>, String> {
    let (tell, told) = mpsc::channel();
    store.read(
        Length::Long,
        move |rows| {
            let Some(group) = rows.conversation(APP_KEY, key.kind.into(), &key.key)? else {
                return Ok(None);
            };
            Ok(Some(rows.members(group.id, "", 2 * USERS)?))
        },
        move |found| tell.send(found).expect("the test waits"),
    );
    told.recv().expect("an answer").map_err(|error| error.to_string())
}
