//! Hooks of apps whose servers are in memory, so that the clock can be moved: minutes of waiting take no time.

use std::io;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{LOCATION, RETRY_AFTER};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::DuplexStream;
use tokio::task::JoinHandle;

use super::*;
use crate::config::Secret;
use crate::push::turns::{AGE_MAX, CALLS_AT_ONCE};

const SECOND: Duration = Duration::from_secs(1);

/// What a hook's server does about a call.
#[derive(Debug, Clone, Copy)]
enum Answer {
    Status(u16),
    /// With `Retry-After`.
    NotBefore(u16, u64),
    Never,
    /// The connection ends without an answer.
    Cut,
}

/// A call that came to a hook.
#[derive(Debug, Clone)]
struct Told {
    at: Instant,
    /// Of which event.
    message: i64,
    /// The number of the connection.
    connection: usize,
}

/// The server of one app.
#[derive(Debug, Clone, Default)]
struct Server {
    told: Arc<Mutex<Vec<Told>>>,
}

/// Hooks of some apps, their servers, and what calls them.
struct World {
    pushes: PushHooks,
    servers: Vec<Server>,
    registry: Registry,
    figures: Arc<Figures>,
    stop: Option<oneshot::Sender<()>>,
    running: JoinHandle<()>,
}

impl Server {
    /// Answers calls, given the number of the event and how many calls were before.
    async fn serve(
        self,
        mut pipes: mpsc::UnboundedReceiver<DuplexStream>,
        answer: impl Fn(i64, usize) -> Answer + Copy + Send + Sync + 'static,
    ) {
        let mut connection = 0;
        while let Some(pipe) = pipes.recv().await {
            connection += 1;
            let server = self.clone();
            tokio::spawn(async move {
                let service = service_fn(|request| server.answer(request, connection, answer));
                let serving = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(pipe), service);
                let _ = serving.await;
            });
        }
    }

    async fn answer(
        &self,
        request: Request<Incoming>,
        connection: usize,
        answer: impl Fn(i64, usize) -> Answer,
    ) -> io::Result<Response<Full<Bytes>>> {
        let id = request.headers()["sluice-event-id"].to_str().expect("text");
        let message = id.split('-').next().and_then(|number| number.parse().ok());
        let message = message.expect("the number of the message is in the event's");
        let before = {
            let mut told = self.told.lock().unwrap();
            told.push(Told {
                at: Instant::now(),
                message,
                connection,
            });
            told.len() - 1
        };
        let (status, retry_after) = match answer(message, before) {
            Answer::Status(status) => (status, None),
            Answer::NotBefore(status, seconds) => (status, Some(seconds)),
            Answer::Never => return std::future::pending().await,
            Answer::Cut => return Err(io::ErrorKind::ConnectionReset.into()),
        };
        let mut answer = Response::builder()
            .status(status)
            .header(LOCATION, "http://hook.test/elsewhere");
        if let Some(seconds) = retry_after {
            answer = answer.header(RETRY_AFTER, seconds);
        }
        Ok(answer
            .body(Full::new(Bytes::from_static(b"thanks")))
            .expect("an answer"))
    }

    fn told(&self) -> Vec<Told> {
        self.told.lock().unwrap().clone()
    }

    /// How long after `began` calls about an event came.
    fn times_of(&self, message: i64, began: Instant) -> Vec<Duration> {
        let of_it = self.told().into_iter().filter(|told| told.message == message);
        of_it.map(|told| told.at - began).collect()
    }
}

impl World {
    /// Of one app, to be called in a runtime whose clock is paused.
    fn new(answer: impl Fn(i64, usize) -> Answer + Copy + Send + Sync + 'static) -> Self {
        Self::of_apps(1, move |_, message, before| answer(message, before))
    }

    /// Of several; `answer` is given the app's number first.
    fn of_apps(apps: usize, answer: impl Fn(usize, i64, usize) -> Answer + Copy + Send + Sync + 'static) -> Self {
        let registry = Registry::new();
        let (mut servers, mut callers) = (Vec::new(), Vec::new());
        for app in 0..apps {
            let (pipes, others) = mpsc::unbounded_channel();
            let secret = Secret::new("an-example-secret-of-more-than-32-bytes");
            callers.push(Some(Caller::through_pipes(&format!("app{app}"), secret, pipes)));
            let server = Server::default();
            tokio::spawn(
                server
                    .clone()
                    .serve(others, move |message, before| answer(app, message, before)),
            );
            servers.push(server);
        }
        let (pushes, hooks, figures) = join(callers, &registry);
        let (stop, stopped) = oneshot::channel();
        let running = tokio::spawn(run(hooks, figures.clone(), stopped));
        Self {
            pushes,
            servers,
            registry,
            figures,
            stop: Some(stop),
            running,
        }
    }

    fn offer(&self, app: u16, message: i64) {
        let message = Message {
            conversation_type: "peer",
            target_id: "alice",
            sender_id: "bob",
            message_id: message,
            sequence: 1,
            sent_at_ms: 1_800_000_000_000,
            message_type: 1,
            object_name: "",
            push_content: "",
            push_data: "",
            mentioned_user_ids: &[],
            mention_all: false,
        };
        self.pushes
            .offer(AppIndex(app), WorkerIndex(0), &message, ["alice"].into_iter());
    }

    /// Stops as the gateway does.
    async fn stop(&mut self) {
        let stop = self.stop.take().expect("it runs");
        stop.send(()).expect("it runs");
        (&mut self.running).await.expect("it ends");
    }

    /// Events by what became of them: delivered, refused, expired, dropped.
    fn outcomes(&self) -> [u32; 4] {
        self.figures.flush();
        ["delivered", "refused", "expired", "dropped"]
            .map(|result| self.metric(&format!("sluice_push_events_total{{result=\"{result}\"}}")))
    }

    fn metric(&self, series: &str) -> u32 {
        self.figures.flush();
        let text = self.registry.flushed();
        let value = text
            .lines()
            .find_map(|line| line.strip_prefix(series)?.trim().parse().ok());
        value.unwrap_or_else(|| panic!("{series} is missing: {text}"))
    }
}

async fn pass(time: Duration) {
    tokio::time::sleep(time).await;
}

#[tokio::test(start_paused = true)]
async fn a_call_that_fails_is_made_again_later_though_its_connection_was_kept() {
    let world = World::new(|_, before| Answer::Status([200, 503, 200][before]));
    let began = Instant::now();
    world.offer(0, 1);
    pass(SECOND).await;
    world.offer(0, 2);
    pass(SECOND).await;
    let times = world.servers[0].times_of(2, began);
    assert_eq!(times.len(), 2);
    assert!(times[1] - times[0] >= SECOND / 4, "{times:?}");
    let told = world.servers[0].told();
    assert!(told.iter().all(|told| told.connection == 1), "{told:?}");
    assert_eq!(world.outcomes(), [2, 0, 0, 0]);
    assert_eq!(world.metric("sluice_push_retries_total"), 1);
    assert_eq!(world.metric("sluice_push_waiting"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_hook_that_says_when_is_called_neither_before_nor_with_another_event() {
    let world = World::new(|_, before| match before {
        1 => Answer::NotBefore(429, 3),
        _ => Answer::Status(200),
    });
    world.offer(0, 1);
    pass(SECOND).await;
    let began = Instant::now();
    world.offer(0, 2);
    pass(SECOND).await;
    world.offer(0, 3);
    pass(SECOND * 3).await;
    let (second, third) = (world.servers[0].times_of(2, began), world.servers[0].times_of(3, began));
    assert_eq!((second.len(), third.len()), (2, 1));
    assert!(
        second[1] >= SECOND * 3 && third[0] >= SECOND * 3,
        "{second:?} {third:?}"
    );
    assert_eq!(world.outcomes(), [3, 0, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_call_without_an_answer_ends_after_ten_seconds_and_is_made_again_once() {
    let world = World::new(|_, before| match before {
        1 => Answer::Never,
        _ => Answer::Status(200),
    });
    world.offer(0, 1);
    pass(SECOND).await;
    let began = Instant::now();
    world.offer(0, 2);
    pass(SECOND * 9).await;
    assert_eq!(world.outcomes(), [1, 0, 0, 0]);
    assert_eq!(world.metric("sluice_push_waiting"), 1);
    pass(SECOND * 11).await;
    let times = world.servers[0].times_of(2, began);
    assert_eq!(times.len(), 2, "{times:?}");
    assert!(times[1] >= SECOND * 10 + SECOND / 4, "{times:?}");
    assert_eq!(world.outcomes(), [2, 0, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_kept_connection_that_is_gone_costs_no_wait_and_a_new_one_that_ends_does() {
    let world = World::new(|_, before| match before {
        1 | 3 | 4 => Answer::Cut,
        _ => Answer::Status(200),
    });
    world.offer(0, 1);
    pass(SECOND).await;
    let began = Instant::now();
    world.offer(0, 2);
    pass(SECOND).await;
    assert_eq!(world.servers[0].times_of(2, began), [Duration::ZERO; 2]);
    assert_eq!(world.metric("sluice_push_retries_total"), 0);
    // Once: the connection it is then made over is no kept one.
    let began = Instant::now();
    world.offer(0, 3);
    pass(SECOND).await;
    let times = world.servers[0].times_of(3, began);
    assert_eq!(times.len(), 3, "{times:?}");
    assert!(times[1] == Duration::ZERO && times[2] >= SECOND / 4, "{times:?}");
    let connections: Vec<_> = world.servers[0].told().iter().map(|told| told.connection).collect();
    assert_eq!(connections, [1, 1, 2, 2, 3, 4]);
    assert_eq!(world.outcomes(), [3, 0, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_points_elsewhere_is_a_refusal() {
    let world = World::new(|_, _| Answer::Status(302));
    world.offer(0, 1);
    pass(SECOND * 60).await;
    assert_eq!(world.servers[0].told().len(), 1);
    assert_eq!(world.outcomes(), [0, 1, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn events_that_a_hook_fails_at_hold_up_no_others() {
    let world = World::new(|message, _| Answer::Status(if message < 100 { 500 } else { 200 }));
    for message in 0..8 {
        world.offer(0, message);
    }
    pass(SECOND / 100).await;
    let began = Instant::now();
    world.offer(0, 100);
    pass(SECOND).await;
    let times = world.servers[0].times_of(100, began);
    assert!(times.len() == 1 && times[0] < SECOND / 2, "{times:?}");
    assert_eq!(world.metric("sluice_push_waiting"), 8);
}

#[tokio::test(start_paused = true)]
async fn what_is_too_old_is_not_told_to_a_hook_that_is_back() {
    let down = AGE_MAX + SECOND * 60;
    let began = Instant::now();
    let world = World::new(move |_, _| Answer::Status(if began.elapsed() < down { 503 } else { 200 }));
    for message in 0..1000 {
        world.offer(0, message);
    }
    pass(down - SECOND).await;
    assert_eq!(world.outcomes(), [0, 0, 1000, 0]);
    assert_eq!(world.metric("sluice_push_waiting"), 0);
    // At no time many of them, also when all became too old at once.
    let mut times: Vec<_> = world.servers[0].told().iter().map(|told| told.at).collect();
    times.sort_unstable();
    let many = 10 + 2 * CALLS_AT_ONCE;
    assert!(times.windows(many + 1).all(|some| some[many] - some[0] >= SECOND));
    let before = times.len();
    for message in 1000..1020 {
        world.offer(0, message);
    }
    pass(SECOND * 60).await;
    let told = world.servers[0].told();
    assert!(told[before..].iter().all(|told| told.message >= 1000), "{told:?}");
    assert_eq!(world.outcomes(), [20, 0, 1000, 0]);
}

#[tokio::test(start_paused = true)]
async fn an_app_whose_hook_takes_nothing_holds_up_no_other() {
    let world = World::of_apps(2, |app, _, _| match app {
        0 => Answer::Never,
        _ => Answer::Status(200),
    });
    for message in 0..10_002 {
        world.offer(0, message);
    }
    for message in 0..100 {
        world.offer(1, message);
    }
    pass(SECOND).await;
    assert_eq!(world.servers[1].told().len(), 100);
    assert_eq!(world.outcomes(), [100, 0, 0, 2]);
    assert_eq!(world.servers[0].told().len(), CALLS_AT_ONCE);
    // Of the other app nothing is left over.
    assert_eq!(world.metric("sluice_push_waiting"), 10_000);
}

#[tokio::test(start_paused = true)]
async fn what_waits_at_the_stop_is_told_and_what_is_not_taken_then_is_counted() {
    let mut world = World::new(|message, _| match message {
        0 => Answer::Never,
        _ => Answer::Status(200),
    });
    for message in 0..101 {
        world.offer(0, message);
    }
    let began = Instant::now();
    world.stop().await;
    assert!(began.elapsed() <= LAST_CALLS_TIMEOUT + DRAIN_INTERVAL);
    assert_eq!(world.outcomes(), [100, 0, 0, 1]);
    let began = Instant::now();
    let mut world = World::new(|_, _| Answer::Status(200));
    world.offer(0, 1);
    world.stop().await;
    assert!(began.elapsed() < LAST_CALLS_TIMEOUT, "it does not wait for nothing");
    assert_eq!(world.outcomes(), [1, 0, 0, 0]);
}
