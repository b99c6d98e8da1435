//! From `[[apps.policies]]` to policies that make sense.

use sluice_protocol::RoomPreset;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{AppPolicySettings, POLICY_SETTINGS};
use crate::config::app::{require, tables};
use crate::config::document::{Place, Present, fill};
use crate::config::kind::show_duration;
use crate::config::origin::{Origin, Problem};

/// An app has a handful of kinds of rooms; each is a record in the memory of every worker.
const POLICIES_MAX: usize = 64;

/// Where a policy and its rules were said.
#[derive(Debug, Clone)]
pub(in crate::config) struct PolicyOrigins {
    pub(in crate::config) policy: Origin,
    pub(in crate::config) present: Present,
}

impl PolicyOrigins {
    /// Where a key was said, if it was.
    pub(in crate::config) fn at(&self, path: &str) -> Option<&Origin> {
        let said = self.present.iter().find(|(other, _)| *other == path);
        said.map(|(_, origin)| origin)
    }
}

/// Reads the value of `apps.policies`.
pub(in crate::config) fn read(
    value: &Spanned<DeValue<'_>>,
    origin: &Origin,
    place: &Place<'_>,
    problems: &mut Vec<Problem>,
) -> Vec<(AppPolicySettings, PolicyOrigins)> {
    let mut policies: Vec<(AppPolicySettings, PolicyOrigins)> = Vec::new();
    let found = tables("apps.policies", value, origin, place, problems);
    if found.len() > POLICIES_MAX {
        let message = format!("apps.policies: found {}, expected at most {POLICIES_MAX}", found.len());
        problems.push(Problem::new(origin, message));
    }
    for (origin, table) in found {
        let (policy, origins) = read_policy(table, origin, place, problems);
        if !policy.name.is_empty()
            && let Some((_, first)) = policies.iter().find(|(other, _)| other.name == policy.name)
        {
            let message = format!(
                "apps.policies.name: found {:?}, which is the name of another policy of this app already ({})",
                policy.name, first.policy
            );
            problems.push(Problem::new(&origins.policy, message));
        }
        policies.push((policy, origins));
    }
    policies
}

fn read_policy(
    table: &DeTable<'_>,
    origin: Origin,
    place: &Place<'_>,
    problems: &mut Vec<Problem>,
) -> (AppPolicySettings, PolicyOrigins) {
    let mut policy = AppPolicySettings::new("", RoomPreset::Room);
    let origins = PolicyOrigins {
        present: fill(POLICY_SETTINGS, &[], &mut policy, table, place, problems),
        policy: origin,
    };
    for path in ["apps.policies.name", "apps.policies.family"] {
        require(POLICY_SETTINGS, path, &origins.present, &origins.policy, problems);
    }
    if let (Some(found), Some(at)) = (policy.ends_after, origins.at("apps.policies.ends_after")) {
        match policy.ends_after_range() {
            Some((min, max)) if (min..=max).contains(&found) => {}
            Some((min, max)) => {
                let (found, min, max) = (show_duration(found), show_duration(min), show_duration(max));
                let message =
                    format!("apps.policies.ends_after: found {found:?}, expected {min} to {max} for what ends it");
                problems.push(Problem::new(at, message));
            }
            None => problems.push(Problem::new(
                at,
                "apps.policies.ends_after: is for \"when_empty\" and \"when_idle\", not for \"never\"",
            )),
        }
    }
    if policy.attributes == Some(false) {
        for (path, at) in &origins.present {
            if path.starts_with("apps.policies.attribute_") {
                problems.push(Problem::new(at, format!("{path}: found next to attributes = false")));
            }
        }
    }
    (policy, origins)
}
