//! Many things that one call asks for, some at a time, for as long as the call has: what was not begun by then certainly is not done, and is told so.

use tokio::time::Instant;

use crate::api::OVERLOAD_RETRY;
use crate::api::failure::{Code, Failure};

/// Asks for `all`, `at_once` at a time, and returns what became of each, in their order. After `deadline` nothing is begun any more.
pub(super) async fn in_batches<Q, A, Asking>(
    all: Vec<Q>,
    at_once: usize,
    deadline: Instant,
    mut ask: impl FnMut(Vec<Q>) -> Asking,
) -> Vec<Result<A, Failure>>
where
    Asking: Future<Output = Vec<Result<A, Failure>>>,
{
    let count = all.len();
    let mut answers = Vec::with_capacity(count);
    let mut left = all.into_iter();
    while left.len() > 0 && Instant::now() < deadline {
        answers.extend(ask(left.by_ref().take(at_once).collect()).await);
    }
    answers.resize_with(count, || Err(not_begun()));
    answers
}

fn not_begun() -> Failure {
    Failure::new(Code::RATE, "not begun: what came before took too long").retry_after(OVERLOAD_RETRY)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_not_begun_in_time_is_told_apart_from_what_is_not_known() {
        let start = Instant::now();
        let deadline = start + Duration::from_secs(8);
        let unknown = || Failure::new(Code::TIMEOUT, "no answer in time");
        // Each batch takes five seconds, and is waited for until the deadline.
        let slow = |batch: Vec<u32>| async move {
            tokio::time::sleep(Duration::from_secs(5).min(deadline - Instant::now())).await;
            let in_time = Instant::now() < deadline;
            let answers = batch.into_iter();
            answers
                .map(|one| if in_time { Ok(one) } else { Err(unknown()) })
                .collect()
        };
        let answers = in_batches((0..7).collect(), 2, deadline, slow).await;
        assert_eq!(start.elapsed(), Duration::from_secs(8));
        let codes: Vec<_> = answers
            .into_iter()
            .map(|answer| answer.map_err(|failure| failure.code))
            .collect();
        let (unknown, not_begun) = (Err(Code::TIMEOUT), Err(Code::RATE));
        assert_eq!(codes, [Ok(0), Ok(1), unknown, unknown, not_begun, not_begun, not_begun]);
    }

    #[tokio::test(start_paused = true)]
    async fn all_is_asked_for_in_order_and_so_many_at_once() {
        let mut sizes = Vec::new();
        let deadline = Instant::now() + Duration::from_secs(8);
        let answers = in_batches((0..5).collect(), 2, deadline, |batch: Vec<u32>| {
            sizes.push(batch.len());
            std::future::ready(batch.into_iter().map(Ok).collect())
        });
        let answers: Vec<u32> = answers
            .await
            .into_iter()
            .map(|answer| answer.expect("in time"))
            .collect();
        assert_eq!((answers, sizes), ((0..5).collect(), vec![2, 2, 1]));
    }
}
