//! A connection that is cut at each step of the protocol: before and after each frame of the client, and before each of the
//! gateway's. Also between a commit and the answer to it, since the answer is a frame.
//!
//! Whatever the step: when the client has come back, nothing is missing, nothing is double, and each of its messages is there once.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use prost::Message as _;
use sluice_codec::split_frame;
use sluice_protocol::frame::Body;
use sluice_protocol::{Frame, limits, reply};
use sluice_tests::{Gateway, Target, Transport, wait_until};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::WriteHalf;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::talking::{Book, Figures, Place, Talker, Talking};

/// How often a usual run cuts at each step, and what names a longer one.
const TIMES: usize = 1;
const TIMES_VARIABLE: &str = "SLUICE_TEST_CONNECTION_CUTS";

/// Steps in each direction: login, sync, messages and positions with their answers, and events. Those beyond the last frame are no
/// cut, and are not counted as one.
const STEPS: usize = 14;

/// Cuts there must be when each step has had its turn: before and after a login, a sync, the messages and a position, and before and
/// after the answers to them. How many events and other frames there are beside these, and thus cuts, depends on the machine.
const CUTS_MIN: usize = 2 * 2 * (3 + MESSAGES);

/// Runs at the same time, each with users of its own.
const AT_ONCE: usize = 16;

/// Messages that each of the two sends, in one go.
const MESSAGES: usize = 4;

const SETTLING: Duration = Duration::from_secs(20);

/// How often somebody who waits looks.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

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
    Lose(Kind),
}

/// What kind of frame of the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// To a message.
    Answer,
    /// A message of somebody else, unasked.
    Event,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Client,
    Gateway,
}

/// At which frame of which side, counted from 0. Where frames of one kind are lost, only those count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Step {
    side: Side,
    frame: usize,
    deed: Deed,
}

impl Deed {
    /// Whether it may be done to this frame.
    fn is_about(self, frame: &[u8]) -> bool {
        let Self::Lose(kind) = self else { return true };
        let frame = Frame::decode_length_delimited(frame).expect("frames");
        match frame.body {
            Some(Body::ConversationMessage(_)) => kind == Kind::Event,
            Some(Body::Reply(answer)) => {
                kind == Kind::Answer && matches!(answer.result, Some(reply::Result::SendMessage(_)))
            }
            _ => false,
        }
    }
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
    /// Set when the deed is done.
    done: Arc<AtomicBool>,
}

/// A way to the gateway for one connection, which ends at this step, and says so when it does.
async fn way(gateway: SocketAddr, step: Step, done: &Arc<AtomicBool>, tasks: &mut JoinSet<()>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let done = done.clone();
    tasks.spawn(async move {
        let (mut client, _) = listener.accept().await.expect("a client");
        let mut gateway = TcpStream::connect(gateway)
            .await
            .expect("the gateway takes connections");
        // How it ends is what is tested here.
        let _ = pass_on(&mut client, &mut gateway, step, &done).await;
    });
    address
}

async fn pass_on(
    client: &mut TcpStream,
    gateway: &mut TcpStream,
    step: Step,
    done: &Arc<AtomicBool>,
) -> io::Result<()> {
    client.set_nodelay(true)?;
    gateway.set_nodelay(true)?;
    let (mut from_client, mut to_client) = client.split();
    let (mut from_gateway, mut to_gateway) = gateway.split();
    let mut up = Direction::of(Side::Client, done);
    let mut down = Direction::of(Side::Gateway, done);
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
    fn of(side: Side, done: &Arc<AtomicBool>) -> Self {
        Self {
            side,
            passed: 0,
            waiting: Vec::new(),
            done: done.clone(),
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
            let counts = self.side == step.side && step.deed.is_about(&self.waiting[..consumed]);
            let deed = (counts && self.passed == step.frame).then_some(step.deed);
            if deed.is_some() {
                // Before anything is passed on: whoever gets the last frame may be all that is waited for.
                self.done.store(true, Ordering::Release);
            }
            if deed == Some(Deed::CutBefore) {
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            if !matches!(deed, Some(Deed::Lose(_))) {
                to.write_all(&self.waiting[..consumed]).await?;
            }
            if deed == Some(Deed::CutAfter) {
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            self.waiting.drain(..consumed);
            self.passed += usize::from(counts);
        }
        Ok(())
    }
}

/// Two users talk, one of them over a way that ends at a step.
struct Run {
    step: Step,
    book: Book,
    target: Target,
    place: Place,
    alice: String,
    bob: String,
    done: Arc<AtomicBool>,
    tasks: JoinSet<()>,
}

impl Run {
    fn new(target: &Target, name: &str, step: Step) -> Self {
        let (alice, bob) = (format!("alice-{name}"), format!("bob-{name}"));
        let place = Place::pair(&alice, &bob);
        let book = Book::default();
        book.enrol(&place, &[&alice, &bob]);
        Self {
            step,
            book,
            target: target.clone(),
            place,
            alice,
            bob,
            done: Arc::default(),
            tasks: JoinSet::new(),
        }
    }

    fn talker(&self, user: &str) -> Talker {
        let talker = Talker::new(&self.target, user, &self.book, vec![self.place.clone()], SETTLING);
        talker.with_messages(MESSAGES)
    }

    /// Who has the way.
    async fn start_alice(&mut self) -> Talking {
        let gateway = self.target.address(Transport::Tcp);
        let way = way(gateway, self.step, &self.done, &mut self.tasks).await;
        let talking = self.talker(&self.alice).first_by(way).start();
        talking.be_quiet();
        talking
    }

    fn start_bob(&self) -> Talking {
        let talking = self.talker(&self.bob).start();
        talking.be_quiet();
        talking
    }

    /// What it comes to, and whether the way did what it was to do.
    async fn settled(&self, patience: Duration) -> Result<(Figures, bool), String> {
        let until = Instant::now() + patience;
        loop {
            let verdict = self.book.settled(patience).await;
            let figures = verdict.map_err(|why| format!("{}: {why}", self.step))?;
            if figures.answered != 2 * MESSAGES {
                return Err(format!("{}: {figures}", self.step));
            }
            let was_done = self.was_done();
            // That a way has ended with the last frame that was waited for is seen a moment later.
            if !was_done || figures.returns > 0 {
                return Ok((figures, was_done));
            }
            if Instant::now() > until {
                return Err(format!("{}: nobody has come back", self.step));
            }
            sleep(POLL_INTERVAL).await;
        }
    }

    fn was_done(&self) -> bool {
        self.done.load(Ordering::Acquire)
    }
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
    let (mut count, mut cuts, mut returns, mut repeats) = (0, 0, 0, 0);
    let mut add = |run: Result<Result<(Figures, bool), String>, _>| {
        let (figures, was_cut) = run.expect("no panic").unwrap_or_else(|why| panic!("{why}"));
        count += 1;
        cuts += usize::from(was_cut);
        returns += figures.returns;
        repeats += figures.repeats;
    };
    for time in 0..times {
        for (number, step) in steps().enumerate() {
            if runs.len() == AT_ONCE {
                add(runs.join_next().await.expect("there are some"));
            }
            let mut run = Run::new(&gateway, &format!("{time}-{number}"), step);
            runs.spawn(async move {
                let _talking = [run.start_bob(), run.start_alice().await];
                run.settled(SETTLING).await
            });
        }
    }
    while let Some(run) = runs.join_next().await {
        add(run);
    }
    assert!(
        cuts >= CUTS_MIN * times && returns >= cuts,
        "{cuts} cuts and {returns} returns in {count} runs: connections were not cut"
    );
    // At some steps a cut comes after an answer was made and before it is there.
    assert!(repeats > 0, "no message had to be sent again that was kept");
    println!(
        "{cuts} cuts in {count} runs, {times} at each of {} steps as far as there were so many frames: {returns} returns, {repeats} \
         messages sent again that were kept before; nothing missing or double",
        steps().count()
    );
}

#[tokio::test]
async fn an_answer_and_an_event_that_are_lost_on_the_way_are_noticed_each() {
    let gateway = Gateway::start(|_| ());
    let mut runs = Vec::new();
    for kind in [Kind::Answer, Kind::Event] {
        for frame in 0..MESSAGES {
            let step = Step {
                side: Side::Gateway,
                frame,
                deed: Deed::Lose(kind),
            };
            let mut run = Run::new(&gateway, &format!("{kind:?}-{frame}"), step);
            let alice = run.start_alice().await;
            runs.push((run, alice, usize::from(kind == Kind::Answer)));
        }
    }
    let mut talking = Vec::new();
    for (run, _, lost_answers) in &runs {
        wait_until("alice is online", async || {
            run.book.answered_count() == MESSAGES - lost_answers
        })
        .await;
        // What bob writes comes to her as events.
        talking.push(run.start_bob());
    }
    for (run, _, lost_answers) in &runs {
        wait_until("the frame is lost, and there is nothing else to come", async || {
            run.was_done() && run.book.answered_count() == 2 * MESSAGES - lost_answers
        })
        .await;
    }
    for (number, (run, ..)) in runs.iter().enumerate() {
        // While the first is waited for the others go on too.
        let patience = if number == 0 { SHORT } else { Duration::ZERO };
        let verdict = run.settled(patience).await;
        let why = verdict.expect_err("a way that loses frames is like one that does not");
        assert!(why.contains(&format!("{} has got", run.alice)), "{why}");
    }
}
