//! Names in the environment: `SLUICE_LISTEN__TCP` is `listen.tcp`.

use super::kind::Written;
use super::layers::Entry;
use super::origin::{Origin, Problem};
use super::settings::{SETTINGS, Setting, VARIABLE_PREFIX};
use super::suggestion::nearest;

/// Variables with this prefix belong to the test suite, which starts the gateway as its child.
const TEST_PREFIX: &str = "SLUICE_TEST_";

/// The variables meant for the gateway, as entries; unknown ones are problems.
pub(super) fn entries(environment: &[(String, String)], problems: &mut Vec<Problem>) -> Vec<Entry> {
    let mut entries = Vec::new();
    let ours =
        |name: &str| name.starts_with(VARIABLE_PREFIX) && !name.starts_with(TEST_PREFIX) && !is_service_link(name);
    for (name, value) in environment.iter().filter(|(name, _)| ours(name)) {
        let origin = Origin::Variable(name.clone());
        match SETTINGS.iter().position(|setting| setting.variable() == *name) {
            Some(setting) => entries.push(Entry {
                setting,
                written: Written::Bare(value.clone()),
                origin,
            }),
            None => {
                let known: Vec<String> = SETTINGS.iter().map(Setting::variable).collect();
                let hint = nearest(name, known.iter().map(String::as_str))
                    .map_or_else(String::new, |name| format!("; did you mean {name}?"));
                problems.push(Problem::new(&origin, format!("unknown variable{hint}")));
            }
        }
    }
    entries
}

/// Kubernetes sets variables such as `SLUICE_SERVICE_HOST` and `SLUICE_PORT_7400_TCP_ADDR` in every container for a
/// service named `sluice`: nobody's mistake, so they must not keep the gateway from starting.
fn is_service_link(name: &str) -> bool {
    let port = |name: &str| {
        name.rsplit_once("_PORT_").is_some_and(|(_, rest)| {
            let mut parts = rest.split('_');
            parts.next().is_some_and(|number| number.parse::<u16>().is_ok())
                && matches!(parts.next(), Some("TCP" | "UDP" | "SCTP"))
        })
    };
    name.ends_with("_SERVICE_HOST")
        || name.ends_with("_SERVICE_PORT")
        || name.contains("_SERVICE_PORT_")
        || name.ends_with("_PORT")
        || port(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_links_of_a_kubernetes_service_are_not_taken_for_settings() {
        for link in [
            "SLUICE_SERVICE_HOST",
            "SLUICE_SERVICE_PORT",
            "SLUICE_SERVICE_PORT_METRICS",
            "SLUICE_PORT",
            "SLUICE_PORT_7400_TCP",
            "SLUICE_PORT_7400_TCP_ADDR",
            "SLUICE_EDGE_PORT_7401_UDP_PROTO",
        ] {
            assert!(is_service_link(link), "{link}");
        }
        for setting in SETTINGS {
            assert!(
                !is_service_link(&setting.variable()),
                "{} could not be set",
                setting.path
            );
        }
    }
}
