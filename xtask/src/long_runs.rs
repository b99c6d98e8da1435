//! Tests of safety that take longer than one waits before a commit. The same tests run for a short while in `cargo xtask test`.

use crate::cargo_test::{self, Totals};
use crate::worktree::cargo;
use crate::{Outcome, failure};

/// A test that goes on for as long as one wants.
struct LongTest {
    package: &'static str,
    /// Which of its binaries.
    target: &'static [&'static str],
    /// In full: another test with a name like it is not meant.
    name: &'static str,
    /// Tells it how often.
    variable: &'static str,
}

/// The power fails under the store.
pub(crate) fn power_cut(cuts: &str) -> Outcome {
    let test = LongTest {
        package: "sluice-gateway",
        target: &["--lib"],
        name: "conversation::tests::power_cut::what_was_acknowledged_survives_a_power_failure_in_its_order",
        variable: "SLUICE_TEST_POWER_CUTS",
    };
    test.run(cuts)
}

/// Random histories of conversations are played.
pub(crate) fn histories(times: &str) -> Outcome {
    let test = LongTest {
        package: "sluice-gateway",
        target: &["--lib"],
        name: "conversation::tests::against_a_model::conversations_do_what_the_simplest_ones_do",
        variable: "SLUICE_TEST_CONVERSATION_HISTORIES",
    };
    test.run(times)
}

/// The gateway is killed. Here it must also serve everybody again in time.
pub(crate) fn kill(times: &str) -> Outcome {
    let test = LongTest {
        package: "sluice-tests",
        target: &["--test", "main"],
        name: "kill::nothing_that_was_answered_is_lost_when_the_gateway_is_killed",
        variable: "SLUICE_TEST_KILLS",
    };
    test.run(times)
}

/// Connections are cut.
pub(crate) fn cut_connections(times: &str) -> Outcome {
    let test = LongTest {
        package: "sluice-tests",
        target: &["--test", "main"],
        name: "connection_cuts::whatever_the_step_at_which_a_connection_is_cut_nothing_is_missing_and_nothing_double",
        variable: "SLUICE_TEST_CONNECTION_CUTS",
    };
    test.run(times)
}

impl LongTest {
    fn run(&self, times: &str) -> Outcome {
        check(times)?;
        let mut arguments = vec!["test", "--package", self.package];
        arguments.extend(self.target);
        arguments.extend(["--", "--exact", self.name, "--nocapture"]);
        let (totals, outcome) = cargo_test::run(cargo(&arguments).env(self.variable, times));
        outcome?;
        self.check_that_it_ran(totals)
    }

    /// Cargo is content where no test has the name.
    fn check_that_it_ran(&self, totals: Totals) -> Outcome {
        if totals.passed() == 1 {
            Ok(())
        } else {
            failure(format!("{} was not run: {totals}", self.name))
        }
    }
}

/// A run of nothing shows nothing.
fn check(times: &str) -> Outcome {
    match times.parse::<u32>() {
        Ok(1..) => Ok(()),
        Ok(0) | Err(_) => failure(format!("how often is a whole number from 1 on, not {times:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_of_nothing_is_refused() {
        for times in ["0", "00", "", "-1", "1.5", "often"] {
            assert!(check(times).is_err(), "{times:?}");
        }
        assert!(check("1").is_ok());
    }

    #[test]
    fn a_test_that_is_not_there_any_more_is_no_success() {
        let test = LongTest {
            package: "xtask",
            target: &["--bins"],
            name: "a_name_that_was",
            variable: "UNUSED",
        };
        assert!(test.check_that_it_ran(Totals::default()).is_err());
        let test = LongTest { name: "a_name", ..test };
        let one = Totals::of_line("test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 7 filtered out");
        assert!(test.check_that_it_ran(one.expect("the last line of a run")).is_ok());
    }
}
