//! `cargo test` with its output on the terminal, and the sum of what it counts.

use std::fmt;
use std::io::{BufRead as _, BufReader, Write as _};
use std::ops::Add;
use std::process::{Command, Stdio};

use crate::{Outcome, failure};

/// How many tests ended how.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) struct Totals {
    passed: u64,
    failed: u64,
    ignored: u64,
}

impl Add for Totals {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            passed: self.passed + other.passed,
            failed: self.failed + other.failed,
            ignored: self.ignored + other.ignored,
        }
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)?;
        if self.ignored > 0 {
            write!(f, ", {} ignored", self.ignored)?;
        }
        Ok(())
    }
}

impl Totals {
    pub(crate) fn passed(self) -> u64 {
        self.passed
    }

    /// Reads the line with which a test binary ends: `test result: ok. 3 passed; 0 failed; …`.
    pub(crate) fn of_line(line: &str) -> Option<Self> {
        let counts = line.strip_prefix("test result: ")?.split_once(". ")?.1;
        let count = |word: &str| {
            let part = counts.split("; ").find_map(|part| part.strip_suffix(word));
            part.and_then(|number| number.trim().parse().ok()).unwrap_or(0)
        };
        Some(Self {
            passed: count("passed"),
            failed: count("failed"),
            ignored: count("ignored"),
        })
    }
}

/// Runs `command`, a `cargo test`. The counts are there even when it fails.
pub(crate) fn run(command: &mut Command) -> (Totals, Outcome) {
    let mut totals = Totals::default();
    let mut child = match command.stdout(Stdio::piped()).spawn() {
        Ok(child) => child,
        Err(error) => return (totals, failure(format!("cargo cannot be started: {error}"))),
    };
    let output = child.stdout.take().expect("it is piped");
    let mut terminal = std::io::stdout().lock();
    for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
        totals = totals + Totals::of_line(&String::from_utf8_lossy(&line)).unwrap_or_default();
        // Nobody may be reading any more; the tests still run to their end.
        let _ = terminal.write_all(&line).and_then(|()| terminal.write_all(b"\n"));
    }
    let outcome = match child.wait() {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => failure(format!("cargo test failed: {totals}")),
        Err(error) => failure(format!("cargo test is lost: {error}")),
    };
    (totals, outcome)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_of_a_test_binary_is_counted() {
        let line = "test result: FAILED. 12 passed; 3 failed; 1 ignored; 0 measured; 7 filtered out; finished in 0.38s";
        let expected = Totals {
            passed: 12,
            failed: 3,
            ignored: 1,
        };
        assert_eq!(Totals::of_line(line), Some(expected));
        assert_eq!(Totals::of_line("test a_test ... ok"), None);
        assert_eq!((expected + expected).to_string(), "24 passed, 6 failed, 2 ignored");
    }
}
