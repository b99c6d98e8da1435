//! What is counted of the server API: a worker's counters, used by many threads.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::api::failure::Code;
use crate::api::path::Group;
use crate::metrics::{Local, Metric, Registry, label};

/// See the module.
#[derive(Debug)]
pub(super) struct Figures {
    local: Mutex<Local>,
}

impl Figures {
    pub(super) fn new(registry: &Registry) -> Self {
        Self {
            local: Mutex::new(registry.local()),
        }
    }

    /// Counts a call and how long it took.
    pub(super) fn count(&self, group: Group, code: Code, took: Duration) {
        let local = self.local();
        local.add_labelled_twice(Metric::ApiRequests, group as usize, code_index(code), 1);
        local.record(Metric::ApiRequestDuration, group as usize, took.as_secs_f64());
    }

    /// Counts connections that came or, below zero, went.
    pub(super) fn connections(&self, by: i64) {
        self.local().shift(Metric::ApiConnections, by);
    }

    /// Adds everything to what is shown, with the lines of the audit log that were lost meanwhile.
    pub(super) fn flush(&self, audit_lost: u64) {
        let local = self.local();
        local.add(Metric::AuditLost, audit_lost);
        local.flush();
    }

    fn local(&self) -> MutexGuard<'_, Local> {
        self.local.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where a code stands among the values of its label; the last stands for any other.
fn code_index(code: Code) -> usize {
    let values = label::API_CODE.values;
    let known = values.iter().position(|value| value.parse() == Ok(code.0));
    known.unwrap_or(values.len() - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::failure::CODES;
    use crate::api::paths;

    #[test]
    fn every_code_but_those_of_rooms_has_a_value_of_its_own() {
        let of_rooms = [23_400..23_500, 6_000_000..7_000_000];
        let is_of_rooms = |code: Code| of_rooms.iter().any(|codes| codes.contains(&code.0));
        for known in CODES.iter().filter(|known| !is_of_rooms(known.code)) {
            let value = label::API_CODE.values[code_index(known.code)];
            assert_eq!(value, known.code.0.to_string());
        }
        assert_eq!(label::API_CODE.values[code_index(Code(23_499))], "other");
    }

    #[test]
    fn every_group_has_a_value() {
        assert_eq!(label::API_GROUP.values[Group::User as usize], "user");
        assert_eq!(label::API_GROUP.values[Group::None as usize], "none");
        assert_eq!(label::API_GROUP.values.len(), Group::None as usize + 1);
        for path in paths::all() {
            assert_ne!(path.group, Group::None, "{}", path.path);
        }
    }
}
