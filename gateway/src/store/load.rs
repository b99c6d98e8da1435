//! Reading everything that is kept, once, before anybody can change it.

use std::collections::BTreeMap;

use rusqlite::types::{FromSqlError, Type};
use rusqlite::{Connection, Row};

use super::change::{AppList, AttributeRecord, Entry, Kept, KeptRoom, RoomList, RoomRecord, RoomRules};

type Rooms = BTreeMap<(String, String), KeptRoom>;

/// Everything but entries whose end has come at `now_unix_ms`, in the order of apps, rooms, lists and keys.
///
/// # Errors
/// When the file cannot be read, or something in it is not what was written there.
pub(super) fn load(conn: &Connection, now_unix_ms: i64) -> rusqlite::Result<Kept> {
    let mut rooms = Rooms::new();
    load_records(conn, &mut rooms)?;
    load_rules(conn, &mut rooms)?;
    load_users(conn, now_unix_ms, &mut rooms)?;
    load_attributes(conn, &mut rooms)?;
    let mut rooms: Vec<KeptRoom> = rooms.into_values().collect();
    for room in &mut rooms {
        room.users.sort_unstable_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
        room.attributes.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    }
    Ok(Kept {
        rooms,
        apps: load_apps(conn, now_unix_ms)?,
    })
}

/// The greatest id of a conversation, of a message or of a version of members that was ever given: whoever makes ids goes on from there.
///
/// # Errors
/// When the file cannot be read.
pub(super) fn greatest_id(conn: &Connection) -> rusqlite::Result<i64> {
    conn.query_row("SELECT value FROM greatest_ids WHERE id = 1", [], |row| row.get(0))
}

fn load_records(conn: &Connection, rooms: &mut Rooms) -> rusqlite::Result<()> {
    let columns = "app, room, name, policy, created_at_ms, by_server, ends, attributes_version, used";
    let mut statement = conn.prepare(&format!("SELECT {columns} FROM rooms"))?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        room(rooms, row)?.record = Some(RoomRecord {
            name: row.get(2)?,
            policy: row.get(3)?,
            created_at_ms: row.get(4)?,
            by_server: row.get(5)?,
            ends: row.get(6)?,
            attributes_version: unsigned(row, 7)?,
            used: row.get(8)?,
        });
    }
    Ok(())
}

fn load_rules(conn: &Connection, rooms: &mut Rooms) -> rusqlite::Result<()> {
    let mut statement = conn.prepare("SELECT app, room, muted, stopped FROM room_rules")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        room(rooms, row)?.rules = RoomRules {
            muted: row.get(2)?,
            stopped: row.get(3)?,
        };
    }
    Ok(())
}

fn load_users(conn: &Connection, now_unix_ms: i64, rooms: &mut Rooms) -> rusqlite::Result<()> {
    let mut statement = conn.prepare(
        "SELECT app, room, list, user_id, until_ms, since_ms, note FROM room_users
         WHERE until_ms IS NULL OR until_ms > ?1",
    )?;
    let mut rows = statement.query([now_unix_ms])?;
    while let Some(row) = rows.next()? {
        let user = (list(row, 2, RoomList::named)?, row.get(3)?, entry(row, 4)?);
        room(rooms, row)?.users.push(user);
    }
    Ok(())
}

fn load_attributes(conn: &Connection, rooms: &mut Rooms) -> rusqlite::Result<()> {
    let columns = "app, room, name, content, owner_id, version, goes_with_owner, set_at_ms";
    let mut statement = conn.prepare(&format!("SELECT {columns} FROM room_attributes"))?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let attribute = AttributeRecord {
            value: row.get(3)?,
            owner: row.get(4)?,
            version: unsigned(row, 5)?,
            goes_with_owner: row.get(6)?,
            set_at_ms: row.get(7)?,
        };
        room(rooms, row)?.attributes.push((row.get(2)?, attribute));
    }
    Ok(())
}

fn load_apps(conn: &Connection, now_unix_ms: i64) -> rusqlite::Result<Vec<(String, AppList, String, Entry)>> {
    let mut statement = conn.prepare(
        "SELECT app, list, name, until_ms, since_ms, note FROM app_entries
         WHERE until_ms IS NULL OR until_ms > ?1",
    )?;
    let rows = statement.query_map([now_unix_ms], |row| {
        Ok((row.get(0)?, list(row, 1, AppList::named)?, row.get(2)?, entry(row, 3)?))
    })?;
    let mut apps = rows.collect::<rusqlite::Result<Vec<(String, AppList, String, Entry)>>>()?;
    apps.sort_unstable_by(|a, b| (&a.0, a.1, &a.2).cmp(&(&b.0, b.1, &b.2)));
    Ok(apps)
}

/// The room that a row is about: its first two columns.
fn room<'a>(rooms: &'a mut Rooms, row: &Row<'_>) -> rusqlite::Result<&'a mut KeptRoom> {
    let (app, room): (String, String) = (row.get(0)?, row.get(1)?);
    Ok(rooms.entry((app.clone(), room.clone())).or_insert_with(|| KeptRoom {
        app,
        room,
        ..KeptRoom::default()
    }))
}

/// The entry in three columns from `first`.
fn entry(row: &Row<'_>, first: usize) -> rusqlite::Result<Entry> {
    Ok(Entry {
        until_ms: row.get(first)?,
        since_ms: row.get(first + 1)?,
        text: row.get(first + 2)?,
    })
}

fn list<L>(row: &Row<'_>, column: usize, named: impl Fn(&str) -> Option<L>) -> rusqlite::Result<L> {
    let name: String = row.get(column)?;
    named(&name).ok_or_else(|| {
        let why = FromSqlError::Other(format!("there is no list {name:?}").into());
        rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(why))
    })
}

fn unsigned(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    let number: i64 = row.get(column)?;
    u64::try_from(number).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, number))
}
