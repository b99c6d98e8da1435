//! Changes as SQL, in shapes that Postgres has too.

use rusqlite::{Connection, Params, params};

use super::change::{Change, RoomList, RoomRules};

const PUT_ROOM: &str = "
    INSERT INTO rooms (app, room, name, policy, created_at_ms, by_server, ends, attributes_version, used)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
    ON CONFLICT (app, room) DO UPDATE SET name = excluded.name, policy = excluded.policy,
        created_at_ms = excluded.created_at_ms, by_server = excluded.by_server, ends = excluded.ends,
        attributes_version = excluded.attributes_version, used = excluded.used";
const REMOVE_ROOM: &str = "DELETE FROM rooms WHERE app = ?1 AND room = ?2";
const REMOVE_ATTRIBUTES: &str = "DELETE FROM room_attributes WHERE app = ?1 AND room = ?2";
const REMOVE_LIST: &str = "DELETE FROM room_users WHERE app = ?1 AND room = ?2 AND list = ?3";
const PUT_RULES: &str = "
    INSERT INTO room_rules (app, room, muted, stopped) VALUES (?1, ?2, ?3, ?4)
    ON CONFLICT (app, room) DO UPDATE SET muted = excluded.muted, stopped = excluded.stopped";
const REMOVE_RULES: &str = "DELETE FROM room_rules WHERE app = ?1 AND room = ?2";
const PUT_USER: &str = "
    INSERT INTO room_users (app, room, list, user_id, until_ms, since_ms, note) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
    ON CONFLICT (app, room, list, user_id) DO UPDATE SET until_ms = excluded.until_ms, since_ms = excluded.since_ms,
        note = excluded.note";
const REMOVE_USER: &str = "DELETE FROM room_users WHERE app = ?1 AND room = ?2 AND list = ?3 AND user_id = ?4";
const PUT_ATTRIBUTE: &str = "
    INSERT INTO room_attributes (app, room, name, content, owner_id, version, goes_with_owner, set_at_ms)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
    ON CONFLICT (app, room, name) DO UPDATE SET content = excluded.content, owner_id = excluded.owner_id,
        version = excluded.version, goes_with_owner = excluded.goes_with_owner,
        set_at_ms = excluded.set_at_ms";
const REMOVE_ATTRIBUTE: &str = "DELETE FROM room_attributes WHERE app = ?1 AND room = ?2 AND name = ?3";
const PUT_APP_ENTRY: &str = "
    INSERT INTO app_entries (app, list, name, until_ms, since_ms, note) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
    ON CONFLICT (app, list, name) DO UPDATE SET until_ms = excluded.until_ms, since_ms = excluded.since_ms,
        note = excluded.note";
const REMOVE_APP_ENTRY: &str = "DELETE FROM app_entries WHERE app = ?1 AND list = ?2 AND name = ?3";

/// Carries out a change within the transaction that is open.
///
/// # Errors
/// When SQLite refuses, or a number is too large for it.
pub(super) fn apply(conn: &Connection, change: &Change) -> rusqlite::Result<()> {
    match change {
        Change::PutRoom { app, room, record } => {
            let (name, policy, ends) = (&record.name, &record.policy, &record.ends);
            let version = signed(record.attributes_version)?;
            let (created, by_server) = (record.created_at_ms, record.by_server);
            let row = params![app, room, name, policy, created, by_server, ends, version, record.used];
            run(conn, PUT_ROOM, row)
        }
        Change::RemoveRoom { app, room } => {
            run(conn, REMOVE_ROOM, params![app, room])?;
            run(conn, REMOVE_ATTRIBUTES, params![app, room])?;
            run(conn, REMOVE_LIST, params![app, room, RoomList::ServerMember.name()])
        }
        Change::PutRoomRules { app, room, rules } if *rules == RoomRules::default() => {
            run(conn, REMOVE_RULES, params![app, room])
        }
        Change::PutRoomRules { app, room, rules } => {
            run(conn, PUT_RULES, params![app, room, rules.muted, rules.stopped])
        }
        Change::PutRoomUser {
            app,
            room,
            list,
            user,
            entry,
        } => {
            let (until, since, note) = (entry.until_ms, entry.since_ms, &entry.text);
            run(
                conn,
                PUT_USER,
                params![app, room, list.name(), user, until, since, note],
            )
        }
        Change::RemoveRoomUser { app, room, list, user } => {
            run(conn, REMOVE_USER, params![app, room, list.name(), user])
        }
        Change::PutAttribute {
            app,
            room,
            key,
            attribute,
        } => {
            let (content, owner) = (&attribute.value, &attribute.owner);
            let (version, goes) = (signed(attribute.version)?, attribute.goes_with_owner);
            let row = params![app, room, key, content, owner, version, goes, attribute.set_at_ms];
            run(conn, PUT_ATTRIBUTE, row)
        }
        Change::RemoveAttribute { app, room, key } => run(conn, REMOVE_ATTRIBUTE, params![app, room, key]),
        Change::PutAppEntry { app, list, key, entry } => {
            let (until, since, note) = (entry.until_ms, entry.since_ms, &entry.text);
            run(conn, PUT_APP_ENTRY, params![app, list.name(), key, until, since, note])
        }
        Change::RemoveAppEntry { app, list, key } => run(conn, REMOVE_APP_ENTRY, params![app, list.name(), key]),
    }
}

fn run(conn: &Connection, statement: &str, row: impl Params) -> rusqlite::Result<()> {
    conn.prepare_cached(statement)?.execute(row)?;
    Ok(())
}

/// Numbers in the file are signed.
fn signed(number: u64) -> rusqlite::Result<i64> {
    i64::try_from(number).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
}
