//! Steps one after the other, each with its duration, and the list of all at the end.

use std::time::{Duration, Instant};

use crate::{Outcome, failure};

/// A named part of a task. It returns a remark for the list, which may be empty.
pub(crate) struct Step<'a> {
    name: &'static str,
    work: Box<dyn FnOnce() -> Outcome<String> + 'a>,
}

impl<'a> Step<'a> {
    pub(crate) fn new(name: &'static str, work: impl FnOnce() -> Outcome<String> + 'a) -> Self {
        Self {
            name,
            work: Box::new(work),
        }
    }
}

/// Runs the steps up to the first that fails, which most later ones would repeat.
pub(crate) fn run(steps: Vec<Step<'_>>) -> Outcome {
    let start = Instant::now();
    let mut list = Vec::new();
    let mut failed = None;
    for Step { name, work } in steps {
        if failed.is_some() {
            list.push(format!("  not run            {name}"));
            continue;
        }
        println!("\n==> {name}");
        let start = Instant::now();
        let outcome = work();
        let seconds = seconds(start.elapsed());
        match outcome {
            Ok(remark) if remark.is_empty() => list.push(format!("  ok      {seconds}  {name}")),
            Ok(remark) => list.push(format!("  ok      {seconds}  {name}: {remark}")),
            Err(reason) => {
                list.push(format!("  FAILED  {seconds}  {name}"));
                failed = Some(format!("{name}: {reason}"));
            }
        }
    }
    println!("\n{}\n  in all  {}", list.join("\n"), seconds(start.elapsed()));
    failed.map_or(Ok(()), failure)
}

fn seconds(duration: Duration) -> String {
    format!("{:>7.1} s", duration.as_secs_f64())
}
