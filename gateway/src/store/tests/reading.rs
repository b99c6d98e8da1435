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
