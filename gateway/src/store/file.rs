//! The file on disk: one gateway at a time, for the owner's eyes only, synced with each commit.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::error::StoreError;
use super::migrations::{self, MIGRATIONS};

/// The database, in the data folder. SQLite adds `-wal` and `-shm`.
pub(super) const FILE: &str = "sluice.db";
/// Who has a lock on this has the folder. Not the database itself: to close any handle on that would drop SQLite's own locks.
const LOCK: &str = "sluice.lock";
const OWNER_ONLY: u32 = 0o600;
const OWNER_ONLY_FOLDER: u32 = 0o700;

/// How long the file that keeps two gateways apart is tried, and how often.
const FILE_LOCK_WAIT: Duration = Duration::from_secs(1);
const FILE_LOCK_INTERVAL: Duration = Duration::from_millis(10);

/// How long a commit waits for somebody with a shell on the file to end a transaction. Everything behind it waits too.
const LOCK_WAIT: Duration = Duration::from_secs(2);

/// What the write-ahead log is cut back to when it begins anew: as long as it becomes under load, so that nothing is cut and grown again then, and a single
/// long log does not stay for ever.
const LOG_BYTES_KEPT: i64 = 32 * 1024 * 1024;

/// Different statements that a connection keeps prepared: all there are, and what questions for messages and lists are made of.
const STATEMENTS_KEPT: usize = 128;

/// Pages of the database that the writer keeps in memory, KiB. A message touches one of its conversation, of its sender's ids and of the conversation's
/// own row and names: for some thousand conversations that are written to in turn this has all of them. More would be the system's own cache once more.
const WRITER_CACHE_KIB: i64 = 64 * 1024;

/// The same for each thread that reads. It forgets them with the first question after a commit, so this is for what one question comes back to:
/// a list of a thousand conversations is some MiB.
const READER_CACHE_KIB: i64 = 16 * 1024;

/// The open file.
#[derive(Debug)]
pub(super) struct Opened {
    pub conn: Connection,
    pub lock: File,
    pub path: PathBuf,
}

/// Opens the file in `folder`, making both if need be, and brings it to the form of this version.
///
/// # Errors
/// When another gateway has it, it is newer than this one, not ours or damaged, or the system refuses.
pub(super) fn open(folder: &Path) -> Result<Opened, StoreError> {
    make_folder(folder).map_err(|error| StoreError::open(folder, &error))?;
    let path = folder.join(FILE);
    let lock = take_lock(&folder.join(LOCK), &path)?;
    let mut conn = make_file(folder, &path)
        .map_err(|error| StoreError::open(&path, &error))
        .and_then(|()| connect(&path).map_err(|error| StoreError::open(&path, &error)))?;
    let version = migrations::check_version(&conn, &path, MIGRATIONS.len())?;
    set_up(&conn)
        .and_then(|()| migrations::migrate(&mut conn, version, &MIGRATIONS))
        .map_err(|error| StoreError::open(&path, &error))?;
    sync_folder(folder).map_err(|error| StoreError::open(folder, &error))?;
    Ok(Opened { conn, lock, path })
}

/// The bytes of the database.
pub(super) fn bytes(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |metadata| metadata.len())
}

/// The bytes of its write-ahead log.
pub(super) fn log_bytes(path: &Path) -> u64 {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    bytes(Path::new(&log))
}

fn make_folder(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(OWNER_ONLY_FOLDER).create(folder)
}

/// Whoever had the lock may have given it up but for a child process, which has it too from its beginning until it runs a program of its own. So it is tried
/// for a moment.
fn take_lock(lock: &Path, path: &Path) -> Result<File, StoreError> {
    let file = open_owner_only(lock).map_err(|error| StoreError::open(lock, &error))?;
    let began = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if began.elapsed() < FILE_LOCK_WAIT => thread::sleep(FILE_LOCK_INTERVAL),
            Err(TryLockError::WouldBlock) => return Err(StoreError::InUse { path: path.to_owned() }),
            Err(TryLockError::Error(error)) => return Err(StoreError::open(lock, &error)),
        }
    }
}

/// Made before SQLite opens it, since SQLite would let others read it. It gives its other files the same permissions.
fn make_file(folder: &Path, path: &Path) -> io::Result<()> {
    if path.exists() {
        return Ok(());
    }
    open_owner_only(path)?;
    match folder.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => sync_folder(parent),
        _ => Ok(()),
    }
}

/// Makes the names of the files in it last: without its name, a file that was synced is lost all the same. SQLite does this
/// too when it makes a file, and says nothing when it fails.
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

fn open_owner_only(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    options.mode(OWNER_ONLY).open(path)
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    // One thread uses it: SQLite need not lock.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags)?;
    conn.busy_timeout(LOCK_WAIT)?;
    prepare_once(&conn)?;
    Ok(conn)
}

/// A connection that does nothing but copy the log into the database, and syncs both as the writer does.
pub(super) fn connect_to_copy(path: &Path) -> rusqlite::Result<Connection> {
    let conn = connect(path)?;
    set_for_writing(&conn)?;
    // That is the writer's, which knows whether something failed.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    Ok(conn)
}

/// A connection for reading alone.
pub(super) fn connect_to_read(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags)?;
    conn.busy_timeout(LOCK_WAIT)?;
    prepare_once(&conn)?;
    keep_in_memory(&conn, READER_CACHE_KIB)?;
    Ok(conn)
}

/// Statements are kept, and good for whatever they are asked with. By itself SQLite plans one anew each time where a partial index could do for some values.
fn prepare_once(conn: &Connection) -> rusqlite::Result<()> {
    conn.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(())
}

/// The file is not mapped to memory as well: what the disk cannot read would end the process then, where a read only fails.
fn keep_in_memory(conn: &Connection, kib: i64) -> rusqlite::Result<()> {
    // A negative number is KiB, another one pages.
    conn.pragma_update(None, "cache_size", -kib)
}

fn set_up(conn: &Connection) -> rusqlite::Result<()> {
    // Read to the end: the answer comes before the change is on disk, and is "wal" even if that fails.
    let mut statement = conn.prepare("PRAGMA journal_mode = wal")?;
    let modes = statement.query_map([], |row| row.get(0))?;
    let modes = modes.collect::<rusqlite::Result<Vec<String>>>()?;
    if modes != ["wal"] {
        let why = format!("it can have no write-ahead log; its journal mode is {modes:?}");
        return Err(rusqlite::Error::ToSqlConversionFailure(why.into()));
    }
    set_for_writing(conn)?;
    conn.pragma_update(None, "journal_size_limit", LOG_BYTES_KEPT)?;
    keep_in_memory(conn, WRITER_CACHE_KIB)?;
    Ok(())
}

fn set_for_writing(conn: &Connection) -> rusqlite::Result<()> {
    // With anything less, a commit that was answered can be gone after a power failure.
    conn.pragma_update(None, "synchronous", "full")?;
    // The store does it beside or after its commits, and sees what becomes of it: SQLite's own says nothing of its failures.
    conn.pragma_update(None, "wal_autocheckpoint", 0)
}
