//! Who hears of what the bare loop inserts, when it is to deliver too: a connection for each user, read by a thread of its own.
//!
//! The connections are within this process, over the loopback device as those of the gateway. Nothing is made of what is read.

use std::io::{ErrorKind, Read, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread::{self, JoinHandle};

use rustix::buffer::spare_capacity;
use rustix::event::epoll;

use crate::bench_error::{BenchError, Doing};

/// What is read at once.
const READ_BYTES: usize = 256 * 1024;

/// Sockets looked after between two waits.
const EVENTS_MAX: usize = 1_024;

pub(in crate::plan::chat) struct Audience {
    members: Vec<Member>,
    /// Those for whom something waits.
    waiting: Vec<usize>,
    /// Members of each conversation: those of conversation `c` are from `c * size` on.
    size: usize,
    reader: Option<JoinHandle<Result<(), BenchError>>>,
}

struct Member {
    socket: TcpStream,
    unsent: Vec<u8>,
}

impl Audience {
    /// Connects `conversations` times `size` users. Who reads stays on the cores of this thread.
    pub(in crate::plan::chat) fn gather(conversations: usize, size: usize) -> Result<Self, BenchError> {
        let doing = "connecting a bare loop to itself";
        let listener = TcpListener::bind(("127.0.0.1", 0)).doing(doing)?;
        let address = listener.local_addr().doing(doing)?;
        let (mut members, mut ears) = (Vec::new(), Vec::new());
        for _ in 0..conversations * size {
            ears.push(TcpStream::connect(address).doing(doing)?);
            let (socket, _) = listener.accept().doing(doing)?;
            socket.set_nodelay(true).doing(doing)?;
            members.push(Member {
                socket,
                unsent: Vec::new(),
            });
        }
        Ok(Self {
            members,
            waiting: Vec::new(),
            size,
            reader: Some(thread::spawn(move || read_all(&ears))),
        })
    }

    /// Something is for one member of a conversation, and something else for all the others.
    pub(super) fn tell(&mut self, conversation: usize, place: usize, own: &[u8], others: &[u8]) {
        for number in 0..self.size {
            let user = conversation * self.size + number;
            let unsent = &mut self.members[user].unsent;
            if unsent.is_empty() {
                self.waiting.push(user);
            }
            unsent.extend_from_slice(if number == place { own } else { others });
        }
    }

    /// Sends what waits, to each in one go.
    pub(super) fn deliver(&mut self) -> Result<(), BenchError> {
        for user in self.waiting.drain(..) {
            let member = &mut self.members[user];
            member.socket.write_all(&member.unsent).doing("sending to a member")?;
            member.unsent.clear();
        }
        Ok(())
    }
}

impl Drop for Audience {
    fn drop(&mut self) {
        self.members.clear();
        if let Some(reader) = self.reader.take()
            && !matches!(reader.join(), Ok(Ok(())))
        {
            eprintln!("the members of a bare loop did not read to the end");
        }
    }
}

/// Reads until all have come to their ends.
fn read_all(ears: &[TcpStream]) -> Result<(), BenchError> {
    let doing = "reading what a bare loop sends";
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).doing(doing)?;
    for (number, ear) in (0..).zip(ears) {
        ear.set_nonblocking(true).doing(doing)?;
        epoll::add(&epoll, ear, epoll::EventData::new_u64(number), epoll::EventFlags::IN).doing(doing)?;
    }
    let mut buffer = vec![0; READ_BYTES];
    let mut open = ears.len();
    while open > 0 {
        let mut events = Vec::with_capacity(EVENTS_MAX);
        match epoll::wait(&epoll, spare_capacity(&mut events), None) {
            Err(rustix::io::Errno::INTR) => continue,
            other => other.doing(doing)?,
        };
        for event in &events {
            let mut ear = &ears[event.data.u64() as usize];
            match ear.read(&mut buffer) {
                Ok(0) => {
                    epoll::delete(&epoll, ear).doing(doing)?;
                    open -= 1;
                }
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error).doing(doing),
            }
        }
    }
    Ok(())
}
