//! A connection that is cut at each step of the protocol: before and after each frame of the client, and before each of the
//! gateway's. Also between a commit and the answer to it, since the answer is a frame.
//!
//! Whatever the step: when the client has come back, nothing is missing, nothing is double, and each of its messages is there once.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use sluice_codec::split_frame;
use sluice_protocol::limits;
use sluice_tests::{Gateway, Target, Transport};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::WriteHalf;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::talking::{Book, Figures, Place, Talker, Talking};

/// How often a usual run cuts at each step, and what names a longer one.
const TIMES: usize = 1;
const TIMES_VARIABLE: &str = "SLUICE_TEST_CONNECTION_CUTS";

/// Steps in each direction: login, sync, messages and positions with their answers, and events. Some steps beyond the last frame
/// are no cut at all.
const STEPS: usize = 14;

/// Runs at the same time, each with users of its own.
const AT_ONCE: usize = 16;

/// Messages that each of the two sends, in one go.
const MESSAGES: usize = 4;

const SETTLING: Duration = Duration::from_secs(20);

/// For what must not settle.
const SHORT: Duration = Duration::from_secs(2);

/// What a way does with one frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deed {
    /// Ends the connection instead of passing it on.
    CutBefore,
    /// Passes it on and ends the connection.
    CutAfter,
    /// Passes on what follows, but not this one: what no transport does.
    LoseIt,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Client,
    Gateway,
}

/// At which frame of which side, counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Step {
    side: Side,
    frame: usize,
    deed: Deed,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} at frame {} of the {:?}", self.deed, self.frame, self.side)
    }
}

/// One direction of a connection.
struct Direction {
    side: Side,
    passed: usize,
    waiting: Vec<u8>,
}

/// A way to the gateway for one connection, which ends at this step.
async fn way(gateway: SocketAddr, step: Step, tasks: &mut JoinSet<()>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    tasks.spawn(async move {
        let (mut client, _) = listener.accept().await.expect("a client");
        let mut gateway = TcpStream::connect(gateway)
            .await
            .expect("the gateway takes connections");
        // How it ends is what is tested here.
        let _ = pass_on(&mut client, &mut gateway, step).await;
    });
    address
}

async fn pass_on(client: &mut TcpStream, gateway: &mut TcpStream, step: Step) -> io::Result<()> {
    client.set_nodelay(true)?;
    gateway.set_nodelay(true)?;
    let (mut from_client, mut to_client) = client.split();
    let (mut from_gateway, mut to_gateway) = gateway.split();
    let mut up = Direction::of(Side::Client);
    let mut down = Direction::of(Side::Gateway);
    let (mut up_buffer, mut down_buffer) = ([0; 4096], [0; 4096]);
    loop {
        tokio::select! {
            read = from_client.read(&mut up_buffer) => {
                up.take(&up_buffer[..some(read?)?], step, &mut to_gateway).await?;
            }
            read = from_gateway.read(&mut down_buffer) => {
                down.take(&down_buffer[..some(read?)?], step, &mut to_client).await?;
            }
        }
    }
}

/// # Errors
/// At the end.
fn some(read: usize) -> io::Result<usize> {
    if read == 0 {
        Err(io::ErrorKind::UnexpectedEof.into())
    } else {
        Ok(read)
    }
}

impl Direction {
    fn of(side: Side) -> Self {
        Self {
            side,
            passed: 0,
            waiting: Vec::new(),
        }
    }

    /// Passes whole frames on.
    ///
    /// # Errors
    /// At the step, and at the end of the other side.
    async fn take(&mut self, bytes: &[u8], step: Step, to: &mut WriteHalf<'_>) -> io::Result<()> {
        self.waiting.extend_from_slice(bytes);
        while let Some(frame) = split_frame(&self.waiting, limits::SERVER_FRAME_BYTES).expect("frames") {
            let consumed = frame.consumed;
            let deed = (step.side == self.side && step.frame == self.passed).then_some(step.deed);
            if deed == Some(Deed::CutBefore) {
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            if deed != Some(Deed::LoseIt) {
                to.write_all(&self.waiting[..consumed]).await?;
            }
            if deed == Some(Deed::CutAfter) {
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            self.waiting.drain(..consumed);
            self.passed += 1;
        }
        Ok(())
    }
}

/// Two users talk, one of them over a way that ends at this step.
async fn talk(target: &Target, name: &str, step: Step, patience: Duration) -> Result<Figures, String> {
    let (alice, bob) = (format!("alice-{name}"), format!("bob-{name}"));
    let place = Place::pair(&alice, &bob);
    let book = Book::default();
    book.enrol(&place, &[&alice, &bob]);
    let mut tasks = JoinSet::new();
    let way = way(target.address(Transport::Tcp), step, &mut tasks).await;
    let talker = |user: &str| {
        let talker = Talker::new(target, user, &book, vec![place.clone()], SETTLING);
        talker.with_messages(MESSAGES)
    };
    let talking = [talker(&bob).start(), talker(&alice).first_by(way).start()];
    talking.iter().for_each(Talking::be_quiet);
    let verdict = book.settled(patience).await;
    let figures = verdict.map_err(|why| format!("{step}: {why}"))?;
    if figures.answered != 2 * MESSAGES {
        return Err(format!("{step}: {figures}"));
    }
    Ok(figures)
}

fn steps() -> impl Iterator<Item = Step> {
    let deeds = [
        (Side::Client, Deed::CutBefore),
        (Side::Client, Deed::CutAfter),
        (Side::Gateway, Deed::CutBefore),
        (Side::Gateway, Deed::CutAfter),
    ];
    (0..STEPS).flat_map(move |frame| deeds.map(|(side, deed)| Step { side, frame, deed }))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_the_step_at_which_a_connection_is_cut_nothing_is_missing_and_nothing_double() {
    let times = std::env::var(TIMES_VARIABLE).map_or(TIMES, |times| times.parse().expect("a number of times"));
    let gateway = Gateway::start(|_| ());
    let mut runs = JoinSet::new();
    let (mut cuts, mut returns, mut repeats) = (0, 0, 0);
    let mut count = |run: Result<Result<Figures, String>, _>| {
        let figures = run.expect("no panic").unwrap_or_else(|why| panic!("{why}"));
        returns += figures.returns;
        repeats += figures.repeats;
    };
    for time in 0..times {
        for (number, step) in steps().enumerate() {
            if runs.len() == AT_ONCE {
                count(runs.join_next().await.expect("there are some"));
            }
            let target = (*gateway).clone();
            runs.spawn(async move { talk(&target, &format!("{time}-{number}"), step, SETTLING).await });
            cuts += 1;
        }
    }
    while let Some(run) = runs.join_next().await {
        count(run);
    }
    // A login, a sync, messages, a position: so many frames there are.
    assert!(returns >= 24 * times, "{returns} returns: connections were not cut");
    // At some steps a cut comes after an answer was made and before it is there.
    assert!(repeats > 0, "no message had to be sent again that was kept");
    println!(
        "{cuts} cuts at {} steps: {returns} returns, {repeats} messages sent again that were kept before; nothing missing or double",
        steps().count()
    );
}

#[tokio::test]
async fn a_message_that_is_lost_on_the_way_is_noticed() {
    let gateway = Gateway::start(|_| ());
    let mut noticed = 0;
    for frame in 2..8 {
        let step = Step {
            side: Side::Gateway,
            frame,
            deed: Deed::LoseIt,
        };
        noticed += usize::from(talk(&gateway, &frame.to_string(), step, SHORT).await.is_err());
    }
    assert!(noticed > 0, "a way that loses frames is like one that does not");
}
