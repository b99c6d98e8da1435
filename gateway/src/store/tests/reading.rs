//! Questions, and the threads that answer them.

use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use super::*;

/// Questions that are asked without end, the next of which begins before the last ends: so somebody reads at all times.
#[derive(Debug, Default)]
struct Relay {
    /// How many have begun, and whether it is over.
    state: Mutex<(usize, bool)>,
    news: Condvar,
}

/// How long a question lasts at most if no other begins meanwhile.
const QUESTION_MAX: Duration = Duration::from_millis(20);

impl Relay {
    fn ask_on(self: Arc<Self>, store: Store, tell: mpsc::Sender<()>) {
        let (asked, again) = (self.clone(), store.clone());
        store.read(
            Length::Long,
            move |rows| {
                let read = rows.ended_group("app", "none");
                // As a long page takes.
                std::thread::sleep(Duration::from_millis(3));
                asked.wait_for_the_next();
                read
            },
            move |outcome| {
                assert_eq!(outcome, Ok(0));
                if self.is_over() {
                    tell.send(()).expect("the test waits");
                } else {
                    self.ask_on(again, tell);
                }
            },
        );
    }

    fn wait_for_the_next(&self) {
        let mut state = self.state.lock().expect("whole");
        state.0 += 1;
        self.news.notify_all();
        let own = state.0;
        let alone = |state: &mut (usize, bool)| state.0 == own && !state.1;
        drop(self.news.wait_timeout_while(state, QUESTION_MAX, alone).expect("whole"));
    }

    fn is_over(&self) -> bool {
        self.state.lock().expect("whole").1
    }
}

#[test]
fn the_log_stays_short_though_somebody_reads_at_all_times() {
    const NAME_BYTES: usize = 16 * 1024;
    // As long as it may be, what is written until that is seen, and what comes while the last questions end.
    const BYTES_MAX: u64 = 64 * 1024 * 1024;

    let folder = Folder::new();
    let (store, _) = open(&folder);
    let relay = Arc::<Relay>::default();
    let (tell, told) = mpsc::channel();
    for _ in 0..2 {
        relay.clone().ask_on(store.clone(), tell.clone());
    }
    let mut written = 0;
    while written < 2 * BYTES_MAX {
        // Another one each time: what is the same is not written.
        let name = format!("{written:016}").repeat(NAME_BYTES / 16);
        let group = (0..64).map(|number| put_room(&number.to_string(), &name));
        assert_eq!(keep(&store, group.collect()), Ok(()));
        written += 64 * NAME_BYTES as u64;
        let bytes = std::fs::metadata(log(&folder)).expect("it is there").len();
        assert!(bytes < BYTES_MAX, "{bytes} bytes of log after {written} written");
    }
    let asked = relay.state.lock().expect("whole").0;
    assert!(asked > 20, "they go on meanwhile: {asked}");
    relay.state.lock().expect("whole").1 = true;
    for _ in 0..2 {
        told.recv().expect("it ends");
    }
}

/// Asks and waits for the answer.
fn ask<T: Send + 'static>(
    store: &Store,
    question: impl FnOnce(&dyn Rows) -> Read<T> + Send + 'static,
) -> Result<T, StoreError> {
    let (tell, told) = mpsc::channel();
    store.read(Length::Short, question, move |outcome| {
        let _ = tell.send(outcome);
    });
    told.recv().expect("an answer")
}

#[test]
fn a_question_that_panics_is_answered_and_so_are_those_behind_it() {
    let folder = Folder::new();
    let (store, _) = open(&folder);
    for _ in 0..8 {
        let answer = ask(&store, |_| -> Read<()> { panic!("on purpose") });
        assert!(matches!(answer, Err(StoreError::Unfit(_))), "{answer:?}");
    }
    assert_eq!(ask(&store, |rows| rows.ended_group("app", "none")), Ok(0));
}

#[test]
fn questions_are_counted_and_who_asks_too_many_is_turned_away() {
    let folder = Folder::new();
    let (store, _) = open(&folder);
    assert_eq!(ask(&store, |rows| rows.ended_group("app", "none")), Ok(0));
    let figures = store.figures();
    assert_eq!(
        (figures.questions, figures.questions_queued, figures.unreadable),
        (1, 0, 0)
    );
    assert!(figures.question_time > Duration::ZERO);

    // Both threads are at something, and the rest waits.
    let (go, gone) = mpsc::channel::<()>();
    let gone = Arc::new(Mutex::new(gone));
    let (tell, told) = mpsc::channel();
    let mut asked = 0;
    while store.figures().questions_busy == 0 {
        let (gone, tell) = (gone.clone(), tell.clone());
        store.read(
            Length::Long,
            move |_| {
                let _ = gone.lock().expect("whole").recv();
                Ok(())
            },
            move |outcome| tell.send(outcome).expect("the test waits"),
        );
        asked += 1;
    }
    assert_eq!(told.recv(), Ok(Err(StoreError::Busy)));
    assert!(store.figures().questions_queued > 4_000);
    assert_eq!(store.figures().busy, 0, "those are for the writer");
    drop((go, tell));
    assert_eq!(told.iter().filter(Result::is_ok).count(), asked - 1);
}

fn log(folder: &Folder) -> PathBuf {
    folder.0.join("sluice.db-wal")
}

#[test]
fn a_store_that_was_stopped_leaves_no_log() {
    let folder = Folder::new();
    let (store, _) = open(&folder);
    assert_eq!(keep(&store, one_of_everything()), Ok(()));
    assert_eq!(ask(&store, |rows| rows.ended_group("app", "none")), Ok(0));
    assert!(log(&folder).exists());
    drop(store);
    assert!(!log(&folder).exists(), "the file alone is all there is");
}

#[test]
fn the_last_handle_may_go_where_a_question_is_answered_and_no_log_is_left() {
    let folder = Folder::new();
    let (store, _) = open(&folder);
    assert_eq!(keep(&store, one_of_everything()), Ok(()));
    let last = store.clone();
    let (go, gone) = mpsc::channel::<()>();
    store.read(
        Length::Short,
        |rows| rows.ended_group("app", "none"),
        move |_| {
            gone.recv().expect_err("the other handle is gone");
            drop(last);
        },
    );
    drop(store);
    drop(go);
    // Nobody waits for the store's threads then.
    let lock = std::fs::File::open(folder.0.join("sluice.lock")).expect("it is there");
    lock.lock().expect("the writer has ended");
    assert!(!log(&folder).exists());
}
