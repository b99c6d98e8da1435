//! Which sockets of a worker can be read or written, without anything kept for each of them but what it needs itself.
//!
//! One epoll for all sockets of a worker, edge-triggered: a socket is told once when something changed and remembers it until a
//! read or write finds nothing. The runtime waits for the epoll as a whole. A registration and a task in the runtime for each
//! socket would take half a kilobyte, half of what an idle connection takes in all.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io::{self, IoSlice, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::rc::Rc;

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::time::Timespec;
use slotmap::{Key, KeyData};
use socket2::SockRef;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::Notify;

use crate::identity::ConnectionKey;

/// Changes taken from the kernel at a time.
const EVENTS_MAX: usize = 256;

/// See the module. Also the queue of those whose turn it is: because their socket changed, or because somebody woke them.
pub(crate) struct ReadySockets {
    epoll: AsyncFd<OwnedFd>,
    /// Those with something to read, and those that somebody woke.
    first: RefCell<VecDeque<ConnectionKey>>,
    /// Those that can only be written again. When a flood ends there may be thousands, with much to write each, and a ping must not
    /// wait behind them.
    second: RefCell<VecDeque<ConnectionKey>>,
    events: RefCell<Vec<epoll::Event>>,
    wanted: Notify,
}

/// What changed about a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Change(EventFlags);

impl ReadySockets {
    /// None yet. To be called on the worker's runtime.
    ///
    /// # Errors
    /// When there is no descriptor left for it.
    pub(crate) fn new() -> io::Result<Rc<Self>> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        // The contract of `register`: the descriptor is open, and stays the same one until the `AsyncFd` is dropped. Proof: an
        // `OwnedFd` is open by its type, gives out the same number each time, and is moved into the `AsyncFd`, which lends it
        // out by shared reference only and closes it after it has unregistered it.
        #[allow(unsafe_code)]
        let epoll = unsafe { AsyncFd::register_with_interest(epoll, Interest::READABLE) }?;
        Ok(Rc::new(Self {
            epoll,
            first: RefCell::default(),
            second: RefCell::default(),
            events: RefCell::new(Vec::with_capacity(EVENTS_MAX)),
            wanted: Notify::new(),
        }))
    }

    /// Returns when a socket may have changed or somebody was woken.
    pub(crate) async fn wait(&self) {
        tokio::select! {
            // Readiness stays until a look finds nothing, in `collect`. An error would mean that the runtime ends.
            _ = self.epoll.readable() => {}
            () = self.wanted.notified() => {}
        }
    }

    /// Passes on what changed since the last call, as far as the runtime has noticed that something did.
    pub(crate) fn collect(&self, mut tell: impl FnMut(ConnectionKey, Change)) {
        let mut events = self.events.take();
        let look = |epoll: &OwnedFd| {
            events.clear();
            let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
            match epoll::wait(epoll, spare_capacity(&mut events), Some(&at_once))? {
                0 => Err(io::ErrorKind::WouldBlock.into()),
                _ => Ok(()),
            }
        };
        // Whatever the error: nothing was taken, and what there is comes with the next call.
        if self.epoll.try_io(Interest::READABLE, look).is_ok() {
            for event in &events {
                tell(KeyData::from_ffi(event.data.u64()).into(), Change(event.flags));
            }
        }
        self.events.replace(events);
    }

    /// The one whose turn it is, of those with something to read or that somebody woke.
    pub(crate) fn next(&self) -> Option<ConnectionKey> {
        self.first.borrow_mut().pop_front()
    }

    /// How many have something to read or were woken.
    pub(crate) fn waiting(&self) -> usize {
        self.first.borrow().len()
    }

    /// The one whose turn it is, of those that can be written again.
    pub(crate) fn next_writable(&self) -> Option<ConnectionKey> {
        self.second.borrow_mut().pop_front()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.first.borrow().is_empty() && self.second.borrow().is_empty()
    }
}

impl std::fmt::Debug for ReadySockets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReadySockets")
            .field("first", &self.first.borrow().len())
            .field("second", &self.second.borrow().len())
            .finish_non_exhaustive()
    }
}

/// A TCP socket that never waits, with what is known of whether it can be read and written.
#[derive(Debug)]
pub(crate) struct Socket {
    stream: TcpStream,
    /// Kept, because the socket forgets it when the client resets the connection.
    peer: SocketAddr,
    ready: Rc<ReadySockets>,
    key: Cell<ConnectionKey>,
    /// Something may be there to be read.
    readable: Cell<bool>,
    /// Something may be written.
    writable: Cell<bool>,
    /// No more will come after what is there, so that no change will tell of the end.
    ended: Cell<bool>,
    /// It waits for its turn in the first queue, or in the second.
    queued: Cell<[bool; 2]>,
}

impl Socket {
    /// A socket that must not block. Nothing is heard of it before [`Self::watch`].
    pub(crate) fn new(stream: TcpStream, peer: SocketAddr, ready: Rc<ReadySockets>) -> Self {
        Self {
            stream,
            peer,
            ready,
            key: Cell::default(),
            readable: Cell::new(false),
            writable: Cell::new(true),
            ended: Cell::new(false),
            queued: Cell::default(),
        }
    }

    /// From now on changes are told for `key`, the first one soon.
    ///
    /// # Errors
    /// When the system has no memory for it.
    pub(crate) fn watch(&self, key: ConnectionKey) -> io::Result<()> {
        self.key.set(key);
        let interest = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        let data = EventData::new_u64(key.data().as_ffi());
        Ok(epoll::add(self.ready.epoll.get_ref(), &self.stream, data, interest)?)
    }

    pub(super) fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Takes note of a change, and has its turn come.
    pub(crate) fn on_change(&self, Change(flags): Change) {
        let over = flags.intersects(EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR);
        if over {
            self.ended.set(true);
        }
        if over || flags.contains(EventFlags::IN) {
            self.readable.set(true);
        }
        let was_full = !self.writable.get();
        if over || flags.contains(EventFlags::OUT) {
            self.writable.set(true);
        }
        if self.readable.get() {
            self.wake();
        } else if was_full && self.writable.get() {
            self.queue(1, &self.ready.second);
        }
    }

    /// Has its turn come, after those who wait already.
    pub(super) fn wake(&self) {
        self.queue(0, &self.ready.first);
        self.ready.wanted.notify_one();
    }

    /// Its turn has come.
    pub(crate) fn on_turn(&self) {
        // If it is in the other queue too, that turn finds nothing to do.
        self.queued.take();
    }

    fn queue(&self, place: usize, queue: &RefCell<VecDeque<ConnectionKey>>) {
        let mut queued = self.queued.get();
        if !std::mem::replace(&mut queued[place], true) {
            self.queued.set(queued);
            queue.borrow_mut().push_back(self.key.get());
        }
    }

    pub(super) fn is_writable(&self) -> bool {
        self.writable.get()
    }

    /// Reads what there is. 0 is the end of the stream.
    ///
    /// # Errors
    /// `WouldBlock` when there is nothing now; anything else when the connection is broken.
    pub(super) fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.readable.get() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let result = (&self.stream).read(buffer);
        let drained = match &result {
            Ok(bytes) => *bytes > 0 && *bytes < buffer.len() && !self.ended.get(),
            Err(error) => error.kind() == io::ErrorKind::WouldBlock,
        };
        if drained {
            // The kernel tells when there is more, so another system call just to see that there is nothing is saved.
            self.readable.set(false);
        }
        result
    }

    /// Writes as much as fits.
    ///
    /// # Errors
    /// `WouldBlock` when nothing does now; anything else when the connection is broken.
    pub(super) fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.write_with(bytes.len(), |mut stream| stream.write(bytes))
    }

    /// The same for several pieces.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub(super) fn write_vectored(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        let all = pieces.iter().map(|piece| piece.len()).sum();
        self.write_with(all, |mut stream| stream.write_vectored(pieces))
    }

    fn write_with(&self, all: usize, write: impl FnOnce(&TcpStream) -> io::Result<usize>) -> io::Result<usize> {
        if !self.writable.get() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let result = write(&self.stream);
        let full = match &result {
            Ok(bytes) => *bytes < all,
            Err(error) => error.kind() == io::ErrorKind::WouldBlock,
        };
        if full {
            self.writable.set(false);
        }
        result
    }

    /// Ends the sending side. A client that is gone already is no error.
    pub(super) fn shut_down(&self) {
        if let Err(error) = SockRef::from(&self.stream).shutdown(Shutdown::Write) {
            tracing::trace!(%error, "shutdown");
        }
    }
}
