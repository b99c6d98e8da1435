//! The layer between SQLite and the file system.
//!
//! SQLite reaches files through a table of functions. Ours is a copy of the system's with two entries changed, so that files of
//! a folder that is recorded are opened as [`RecordedFile`]s; all others are opened by the system's and never seen again. A
//! recorded file passes everything on and writes down what changes it.

#![allow(
    unsafe_code,
    reason = "a file layer of SQLite is a table of C functions, and there is no safe way to one"
)]

use std::collections::HashMap;
use std::ffi::{CStr, OsStr, c_char, c_int, c_void};
use std::ops::Range;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use rusqlite::ffi;

use super::history::{Event, FileNumber, History};

/// What happens to the files of a folder, from when it was made until it is dropped.
#[derive(Debug)]
pub(crate) struct Recording {
    folder: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    history: History,
    files: FileNumber,
    names: HashMap<String, FileNumber>,
    /// What cannot be read.
    ruined: Vec<(FileNumber, Range<usize>)>,
}

/// Folders that are recorded.
static RECORDINGS: Mutex<Vec<Weak<Recording>>> = Mutex::new(Vec::new());

/// The system's layer.
static SYSTEM: OnceLock<Layer> = OnceLock::new();

struct Layer(*mut ffi::sqlite3_vfs);

// SAFETY: SQLite itself uses a registered layer from all threads, and neither it nor we change one.
unsafe impl Send for Layer {}
// SAFETY: as above.
unsafe impl Sync for Layer {}

/// What SQLite has for an open file. The system's own follows it in memory.
#[repr(C)]
struct RecordedFile {
    /// SQLite's part. It comes first, so that a pointer to it is one to all.
    base: ffi::sqlite3_file,
    /// From a `Box`, which `close` takes back.
    place: *mut Place,
}

struct Place {
    recording: Arc<Recording>,
    file: FileNumber,
}

/// From the beginning of ours to that of the system's: aligned for whatever it is.
const OWN_BYTES: usize = size_of::<RecordedFile>().next_multiple_of(16);

impl Recording {
    /// Records the files of `folder`, which is made if need be. Whoever has files of it open already is not seen.
    pub(crate) fn start(folder: &Path) -> Arc<Self> {
        install();
        std::fs::create_dir_all(folder).expect("a folder for temporary files");
        // As SQLite names it.
        let folder = folder.canonicalize().expect("it was made");
        let mut state = State::default();
        for entry in std::fs::read_dir(&folder).expect("it can be listed").flatten() {
            if let (Some(name), Ok(bytes)) = (entry.file_name().to_str(), std::fs::read(entry.path())) {
                state.appeared(name, Some(bytes));
            }
        }
        let state = Mutex::new(state);
        let recording = Arc::new(Self { folder, state });
        let mut all = unpoisoned(&RECORDINGS);
        all.retain(|other| other.strong_count() > 0);
        all.push(Arc::downgrade(&recording));
        recording
    }

    /// Writes down something that is not about files, in its place among what is.
    pub(crate) fn note(&self, note: usize) {
        self.push(Event::Noted(note));
    }

    /// Has the disk be unable to read a part of a file that is there.
    pub(crate) fn ruin(&self, name: &str, bytes: Range<usize>) {
        let mut state = unpoisoned(&self.state);
        let file = *state.names.get(name).expect("a file of the folder");
        state.ruined.push((file, bytes));
    }

    fn is_ruined(&self, file: FileNumber, bytes: &Range<usize>) -> bool {
        let state = unpoisoned(&self.state);
        let meets = |ruined: &Range<usize>| ruined.start < bytes.end && bytes.start < ruined.end;
        state.ruined.iter().any(|(of, ruined)| *of == file && meets(ruined))
    }

    /// What has happened since it was started, or since this was last asked.
    pub(crate) fn history(&self) -> History {
        std::mem::take(&mut unpoisoned(&self.state).history)
    }

    fn push(&self, event: Event) {
        unpoisoned(&self.state).history.0.push(event);
    }

    /// The file of this name. If it is not known, it was `found` with this content, or is made now.
    fn opened(&self, name: &str, found: Option<Vec<u8>>) -> FileNumber {
        let mut state = unpoisoned(&self.state);
        match state.names.get(name) {
            Some(file) => *file,
            None => state.appeared(name, found),
        }
    }

    fn deleted(&self, name: &str, lasting: bool) {
        let mut state = unpoisoned(&self.state);
        state.names.remove(name);
        let name = name.to_owned();
        state.history.0.push(Event::Deleted { name, lasting });
    }
}

impl State {
    fn appeared(&mut self, name: &str, found: Option<Vec<u8>>) -> FileNumber {
        let file = self.files;
        self.files += 1;
        let name = name.to_owned();
        self.names.insert(name.clone(), file);
        self.history.0.push(match found {
            Some(bytes) => Event::Found {
                file,
                name,
                bytes: bytes.into(),
            },
            None => Event::Made { file, name },
        });
        file
    }
}

fn unpoisoned<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes ours the layer that SQLite uses when it is told of none, once in a process.
fn install() {
    SYSTEM.get_or_init(|| {
        // SAFETY: it takes no name for the default one, and returns one that is never freed, or null.
        let system = unsafe { ffi::sqlite3_vfs_find(std::ptr::null()) };
        assert!(!system.is_null(), "SQLite has a file layer");
        // SAFETY: not null, and of a registered layer; it is only read.
        let copy = unsafe { *system };
        let own_bytes = c_int::try_from(OWN_BYTES).expect("a few words");
        let own = Box::leak(Box::new(ffi::sqlite3_vfs {
            szOsFile: copy.szOsFile + own_bytes,
            pNext: std::ptr::null_mut(),
            zName: c"sluice-power-cut".as_ptr(),
            xOpen: Some(open),
            xDelete: Some(delete),
            ..copy
        }));
        // SAFETY: it lives for ever, and so does its name. Its functions but `open` and `delete` are the system's: they use what the
        // layer carries (`pAppData`), which is the same in the copy.
        let registered = unsafe { ffi::sqlite3_vfs_register(own, 1) };
        assert_eq!(registered, ffi::SQLITE_OK);
        Layer(system)
    });
}

fn system() -> *mut ffi::sqlite3_vfs {
    SYSTEM.get().expect("ours was registered after it was found").0
}

/// The recording that this path is of, and the file's name.
fn recording_of(path: &Path) -> Option<(Arc<Recording>, String)> {
    let (folder, name) = (path.parent()?, path.file_name()?.to_str()?);
    let all = unpoisoned(&RECORDINGS);
    let recording = all
        .iter()
        .filter_map(Weak::upgrade)
        .find(|recording| recording.folder == folder)?;
    Some((recording, name.to_owned()))
}

/// # Safety
/// `name` is null or ends with a zero, and lives while the result does.
unsafe fn path<'a>(name: *const c_char) -> Option<&'a Path> {
    if name.is_null() {
        return None;
    }
    // SAFETY: by the contract of this function.
    let name = unsafe { CStr::from_ptr(name) };
    Some(Path::new(OsStr::from_bytes(name.to_bytes())))
}

/// # Safety
/// As SQLite calls it: `file` has room for as many bytes as the layer has asked for, `name` is null or a path.
unsafe extern "C" fn open(
    _own: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    flags_out: *mut c_int,
) -> c_int {
    let system = system();
    // SAFETY: a registered layer, which can open files.
    let open = unsafe { (*system).xOpen }.expect("every layer can");
    // SAFETY: by SQLite's contract.
    let named = unsafe { path(name) };
    let Some((path, (recording, short))) = named.and_then(|path| Some((path, recording_of(path)?))) else {
        // SAFETY: the arguments are SQLite's own, and there is more room than the system asks for.
        return unsafe { open(system, name, file, flags, flags_out) };
    };
    let found = std::fs::read(path).ok();
    // SAFETY: the layer has asked for room for both.
    let inner = unsafe { inner(file) };
    // SAFETY: as above; `inner` has as much room as the system asks for.
    let opened = unsafe { open(system, name, inner, flags, flags_out) };
    let own = file.cast::<RecordedFile>();
    if opened != ffi::SQLITE_OK {
        // SAFETY: room for ours. Null says that there is nothing to close; unix's `open` leaves nothing behind when it fails.
        unsafe { (*own).base.pMethods = std::ptr::null() };
        return opened;
    }
    let file = recording.opened(&short, found);
    let place = Box::into_raw(Box::new(Place { recording, file }));
    let base = ffi::sqlite3_file { pMethods: &METHODS };
    // SAFETY: room for ours, which is not read before.
    unsafe { own.write(RecordedFile { base, place }) };
    ffi::SQLITE_OK
}

/// # Safety
/// As SQLite calls it.
unsafe extern "C" fn delete(_own: *mut ffi::sqlite3_vfs, name: *const c_char, sync_folder: c_int) -> c_int {
    let system = system();
    // SAFETY: a registered layer.
    let delete = unsafe { (*system).xDelete }.expect("every layer can");
    // SAFETY: the arguments are SQLite's own.
    let deleted = unsafe { delete(system, name, sync_folder) };
    // SAFETY: by SQLite's contract.
    let named = unsafe { path(name) };
    if deleted == ffi::SQLITE_OK
        && let Some((recording, short)) = named.and_then(recording_of)
    {
        recording.deleted(&short, sync_folder != 0);
    }
    deleted
}

/// The system's file, behind ours.
///
/// # Safety
/// `file` has as much room as the layer has asked for.
unsafe fn inner(file: *mut ffi::sqlite3_file) -> *mut ffi::sqlite3_file {
    // SAFETY: by the contract of this function.
    unsafe { file.byte_add(OWN_BYTES) }
}

/// # Safety
/// `file` was opened by [`open`] as one that is recorded, and not closed since.
unsafe fn place<'a>(file: *mut ffi::sqlite3_file) -> &'a Place {
    // SAFETY: by the contract of this function; nobody changes it while the file is open.
    unsafe { &*(*file.cast::<RecordedFile>()).place }
}

/// The system's function for a file, and the file it is for.
///
/// # Safety
/// As [`place`].
unsafe fn inside(file: *mut ffi::sqlite3_file) -> (&'static ffi::sqlite3_io_methods, *mut ffi::sqlite3_file) {
    // SAFETY: by the contract of this function. Tables of methods are never freed.
    unsafe {
        let inner = inner(file);
        (&*(*inner).pMethods, inner)
    }
}

/// Functions that only pass on.
macro_rules! pass_on {
    ($($name:ident = $method:ident($($argument:ident: $type:ty),*) -> $result:ty;)*) => {$(
        /// # Safety
        /// SQLite calls it with a file that [`open`] has opened, and arguments as the system's function takes them.
        unsafe extern "C" fn $name(file: *mut ffi::sqlite3_file, $($argument: $type),*) -> $result {
            // SAFETY: by the contract of this function.
            let (methods, inner) = unsafe { inside(file) };
            let method = methods.$method.expect("unix has it");
            // SAFETY: as above.
            unsafe { method(inner, $($argument),*) }
        }
    )*};
}

pass_on! {
    file_size = xFileSize(size: *mut i64) -> c_int;
    lock = xLock(level: c_int) -> c_int;
    unlock = xUnlock(level: c_int) -> c_int;
    check_reserved_lock = xCheckReservedLock(result: *mut c_int) -> c_int;
    file_control = xFileControl(operation: c_int, argument: *mut c_void) -> c_int;
    sector_size = xSectorSize() -> c_int;
    device_characteristics = xDeviceCharacteristics() -> c_int;
    shm_map = xShmMap(page: c_int, bytes: c_int, extend: c_int, memory: *mut *mut c_void) -> c_int;
    shm_lock = xShmLock(offset: c_int, count: c_int, flags: c_int) -> c_int;
    shm_barrier = xShmBarrier() -> ();
    shm_unmap = xShmUnmap(delete: c_int) -> c_int;
}

/// # Safety
/// As the functions that only pass on.
unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: by the contract of this function.
    let (methods, inner) = unsafe { inside(file) };
    let method = methods.xClose.expect("unix has it");
    // SAFETY: as above.
    let closed = unsafe { method(inner) };
    // SAFETY: SQLite closes a file once, and the place is from a `Box`.
    drop(unsafe { Box::from_raw((*file.cast::<RecordedFile>()).place) });
    closed
}

/// # Safety
/// As the functions that only pass on.
unsafe extern "C" fn read(file: *mut ffi::sqlite3_file, buffer: *mut c_void, bytes: c_int, at: i64) -> c_int {
    // SAFETY: by the contract of this function.
    let ((methods, inner), place) = unsafe { (inside(file), place(file)) };
    let range = natural(at)..natural(at) + natural(bytes.into());
    if place.recording.is_ruined(place.file, &range) {
        return ffi::SQLITE_IOERR_READ;
    }
    let method = methods.xRead.expect("unix has it");
    // SAFETY: as above.
    unsafe { method(inner, buffer, bytes, at) }
}

/// # Safety
/// As the functions that only pass on; `buffer` has this many bytes.
unsafe extern "C" fn write(file: *mut ffi::sqlite3_file, buffer: *const c_void, bytes: c_int, at: i64) -> c_int {
    // SAFETY: by the contract of this function.
    let ((methods, inner), place) = unsafe { (inside(file), place(file)) };
    let method = methods.xWrite.expect("unix has it");
    // SAFETY: as above.
    let written = unsafe { method(inner, buffer, bytes, at) };
    if written == ffi::SQLITE_OK {
        // SAFETY: by the contract of this function.
        let bytes = unsafe { std::slice::from_raw_parts(buffer.cast::<u8>(), natural(bytes.into())) };
        place.recording.push(Event::Written {
            file: place.file,
            at: natural(at),
            bytes: bytes.into(),
        });
    }
    written
}

/// # Safety
/// As the functions that only pass on.
unsafe extern "C" fn truncate(file: *mut ffi::sqlite3_file, size: i64) -> c_int {
    // SAFETY: by the contract of this function.
    let ((methods, inner), place) = unsafe { (inside(file), place(file)) };
    let method = methods.xTruncate.expect("unix has it");
    // SAFETY: as above.
    let truncated = unsafe { method(inner, size) };
    if truncated == ffi::SQLITE_OK {
        place.recording.push(Event::Truncated {
            file: place.file,
            length: natural(size),
        });
    }
    truncated
}

/// The disk of the machine that runs the test need not do it: no power fails there.
///
/// # Safety
/// As the functions that only pass on.
unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, _flags: c_int) -> c_int {
    // SAFETY: by the contract of this function.
    let place = unsafe { place(file) };
    place.recording.push(Event::Synced { file: place.file });
    ffi::SQLITE_OK
}

/// What SQLite has checked not to be negative.
fn natural(number: i64) -> usize {
    usize::try_from(number).unwrap_or_default()
}

/// Version 2: without the functions for files mapped to memory, so that every byte passes `read` and `write`.
static METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: None,
    xUnfetch: None,
};
