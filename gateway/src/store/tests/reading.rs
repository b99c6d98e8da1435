//! Questions, and the threads that answer them.

use super::*;

/// Asks and waits for the answer.
fn ask<T: Send + 'static>(
    store: &Store,
    question: impl FnOnce(&dyn Rows) -> Read<T> + Send + 'static,
) -> Result<T, StoreError> {
    let (tell, told) = mpsc::channel();
    store.read(question, move |outcome| {
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
