//! Who may do what, as a matrix: everybody who may not, by every command of the protocol and every path of the server API.
//!
//! The rows are not written down but found: commands by decoding each number a command may have, paths in the OpenAPI document. One that
//! is new has no cells, which does not compile or fails. Each cell names what must come, and looks at the room and the lists of the app
//! before and after: where nothing may happen, nothing does.

mod commands;
mod conversations;
mod exposure;
mod log_lines;
mod paths;
mod standing;
mod tokens;

use serde_json::Value;
use sluice_gateway::config::{ApiKey, Config, Rate, Secret};
use sluice_tests::{API_SECRET, APP_KEY, ApiCall, Gateway};

use crate::rooms::no_rate_limits;

/// Another app, whose tokens are signed with the same secret: only its name keeps it apart.
const OTHER: &str = "other";
const OTHER_API_SECRET: &str = "the API secret of the other app, 32";

/// One more like it, in which names are used that are nowhere else.
const THIRD: &str = "third";
const THIRD_API_SECRET: &str = "the API secret of the third app, 32";

/// Three apps, and no limit that a test could meet by doing much at once.
fn three_apps(config: &mut Config) {
    no_rate_limits(config);
    config.rooms.queries_per_second = Rate::Unlimited;
    config.rooms.attribute_writes_per_second = Rate::Unlimited;
    config.api.failed_signatures_per_minute = 100_000;
    config.apps[0].api_keys[0].rate = Rate::Unlimited;
    for (key, secret) in [(OTHER, OTHER_API_SECRET), (THIRD, THIRD_API_SECRET)] {
        let mut app = config.apps[0].clone();
        app.key = key.to_owned();
        app.api_keys = vec![ApiKey {
            rate: Rate::Unlimited,
            ..ApiKey::new(Secret::new(secret))
        }];
        config.apps.push(app);
    }
}

/// What the app of the tests is answered by a path, which must take the call.
async fn ask(gateway: &Gateway, path: &str, fields: &[(&str, &str)]) -> Value {
    let answer = ApiCall::of(APP_KEY, API_SECRET, path, fields).send(gateway.api()).await;
    assert_eq!(
        (answer.status, answer.code()),
        (200, 200),
        "{path} {fields:?}: {answer:?}"
    );
    answer.json
}
