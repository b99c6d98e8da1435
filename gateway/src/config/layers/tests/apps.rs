//! Apps with their policies and keys.

use super::*;

#[test]
fn apps_are_read_with_their_policies_and_keys() {
    let text = complete(
        r#"
        [[apps]]
        key = "other-app"
        id_profile = "wide"
        single_login = "multi(3)"
        packages = ["com.example.chat"]
        state = "service_disabled"
        [[apps.keys]]
        id = "2026"
        algorithm = "HS256"
        secret = "abcdefghijabcdefghijabcdefghijab"
        "#,
    );
    let apps = load_text(&text, &[], &[]).expect("valid").config.apps;
    let [other, demo] = &apps[..] else {
        panic!("two apps: {apps:?}")
    };
    assert_eq!(
        (demo.id_profile, demo.single_login),
        (IdProfile::Zim, SingleLogin::Single)
    );
    assert_eq!(
        (demo.state, demo.packages.len(), &demo.keys[0].id),
        (AppState::Enabled, 0, &None)
    );
    assert_eq!(
        (&*other.key, other.id_profile, other.single_login),
        ("other-app", IdProfile::Wide, SingleLogin::Multi(3))
    );
    assert_eq!(
        (other.state, &other.packages[..]),
        (AppState::ServiceDisabled, &["com.example.chat".to_owned()][..])
    );
    assert_eq!(other.keys[0].id.as_deref(), Some("2026"));
    let TokenAlgorithm::Hs256 { secret } = &other.keys[0].algorithm else {
        panic!("HS256")
    };
    assert_eq!(secret.expose(), b"abcdefghijabcdefghijabcdefghijab");
}

/// An app with a policy whose table holds this.
fn with_policy(policy: &str) -> String {
    format!("{}[[apps.policies]]\n{policy}\n", complete(""))
}

#[test]
fn policies_of_an_app_are_read_and_change_what_they_say_alone() {
    let text = with_policy(
        "name = \"class\"\nfamily = \"room\"\nmembers_max = 30\nends = \"when_idle\"\nends_after = \"2h\"\n\
         messages_per_second = \"unlimited\"\nattribute_total_bytes = \"unlimited\"\n\
         [[apps.policies]]\nname = \"show\"\nfamily = \"live\"\nends = \"never\"\nattributes = false\nhistory_messages = 0",
    );
    let config = loaded_whole(&text);
    let [class, show] = &config.apps[0].policies[..] else {
        panic!("{:?}", config.apps[0].policies)
    };
    let class = config.rooms.policy(class);
    assert_eq!(
        (&*class.name, class.members_max, class.history_messages),
        ("class", Some(30), 50)
    );
    let after = Duration::from_secs(7200);
    assert_eq!(
        (class.ends, class.message_rate),
        (RoomEnds::WhenIdle { after }, Rate::Unlimited)
    );
    let attributes = class.attributes.expect("as in the preset");
    assert_eq!((attributes.keys, attributes.total_bytes), (20, None));
    let show = config.rooms.policy(show);
    assert_eq!(
        (show.ends, show.attributes, show.history_messages),
        (RoomEnds::Never, None, 0)
    );
    assert_eq!(show.budget, config.rooms.live_budget);
}

#[test]
fn policies_that_make_no_sense_are_refused() {
    for (policy, line, expected) in [
        (
            "family = \"room\"",
            0,
            "apps.policies.name: missing, expected 1 to 64 letters, digits, \"-\", \"_\" and \".\", but not \"room\" or \"live\"",
        ),
        (
            "name = \"live\"\nfamily = \"live\"",
            1,
            "apps.policies.name: found \"live\", expected 1 to 64 letters, digits, \"-\", \"_\" and \".\", but not \"room\" or \"live\"",
        ),
        (
            "name = \"a\"",
            0,
            "apps.policies.family: missing, expected \"room\" or \"live\"",
        ),
        (
            "name = \"a\"\nfamily = \"club\"",
            2,
            "apps.policies.family: found \"club\", expected \"room\" or \"live\"",
        ),
        (
            "name = \"a\"\nfamily = \"room\"\nmembers_max = 0",
            3,
            "apps.policies.members_max: found 0, expected a whole number from 1 to 10000000, or \"unlimited\"",
        ),
        (
            "name = \"a\"\nfamily = \"room\"\nends_after = \"4h\"",
            3,
            "apps.policies.ends_after: found \"4h\", expected 0ms to 3h for what ends it",
        ),
        (
            "name = \"a\"\nfamily = \"live\"\nends_after = \"59s\"",
            3,
            "apps.policies.ends_after: found \"59s\", expected 1m to 7d for what ends it",
        ),
        (
            "name = \"a\"\nfamily = \"live\"\nends = \"never\"\nends_after = \"1h\"",
            4,
            "apps.policies.ends_after: is for \"when_empty\" and \"when_idle\", not for \"never\"",
        ),
        (
            "name = \"a\"\nfamily = \"live\"\nattributes = false\nattribute_keys = 5",
            4,
            "apps.policies.attribute_keys: found next to attributes = false",
        ),
        (
            "name = \"a\"\nfamily = \"live\"\nhistory_messages = 51",
            3,
            "apps.policies.history_messages: found 51, expected a whole number from 0 to 50",
        ),
        (
            "name = \"a\"\nfamily = \"room\"\nbudget = 5\nbudget_for_high = 6",
            4,
            "apps.policies.budget_for_high: found 6, expected at most its budget, which is 5",
        ),
        (
            "name = \"a\"\nfamly = \"room\"\nfamily = \"room\"",
            2,
            "unknown key \"famly\"; did you mean family?",
        ),
        (
            "name = \"a\"\nfamily = \"room\"\n[[apps.policies]]\nname = \"a\"\nfamily = \"live\"",
            3,
            "apps.policies.name: found \"a\", which is the name of another policy of this app already (sluice.toml:11)",
        ),
    ] {
        let text = with_policy(policy);
        let header = text
            .lines()
            .position(|line| line == "[[apps.policies]]")
            .expect("it is there")
            + 1;
        let expected = format!("sluice.toml:{}: {expected}", header + line)
            .replace("sluice.toml:11)", &format!("sluice.toml:{header})"));
        assert_eq!(problem(&text), expected);
    }
    let many: String = (0..65)
        .map(|n| format!("[[apps.policies]]\nname = \"p{n}\"\nfamily = \"room\"\n"))
        .collect();
    let text = format!("{}{many}", complete(""));
    assert!(problem(&text).ends_with("apps.policies: found 65, expected at most 64"));
}

#[test]
fn apps_that_make_no_sense_are_refused() {
    let off = "[listen]\ntls = \"off\"\nquic = \"off\"\n";
    let key = "[[apps.keys]]\nalgorithm = \"HS256\"\nsecret = \"0123456789abcdef0123456789abcdef\"\n";
    for (apps, expected) in [
        (
            String::new(),
            "default: apps: found none, expected at least one [[apps]] in the configuration file: nobody could log in",
        ),
        (
            "apps = 3".into(),
            "sluice.toml:1: apps: found a value of type integer, expected tables: [[apps]]",
        ),
        (
            "apps = [3]".into(),
            "sluice.toml:1: apps: found a value of type integer, expected a table: [[apps]]",
        ),
        (
            format!("[[apps]]\n{key}"),
            "sluice.toml:1: apps.key: missing, expected 1 to 64 letters, digits, \"-\", \"_\" and \".\"",
        ),
        (
            format!("[[apps]]\nkey = \"a b\"\n{key}"),
            "sluice.toml:2: apps.key: found \"a b\", expected 1 to 64 letters, digits, \"-\", \"_\" and \".\"",
        ),
        (
            "[[apps]]\nkey = \"a\"\n".into(),
            "sluice.toml:1: apps.keys: found 0, expected 1 to 16 tables [[apps.keys]]",
        ),
        (
            format!("[[apps]]\nkey = \"a\"\nsingle_login = \"multi(0)\"\n{key}"),
            "sluice.toml:3: apps.single_login: found \"multi(0)\", expected \"single\", \"per_platform\" or \"multi(N)\" with N from 1 to 64",
        ),
        (
            format!("[[apps]]\nkey = \"a\"\n{key}[[apps]]\nkey = \"a\"\n{key}"),
            "sluice.toml:7: apps.key: found \"a\", which is the key of another app already (sluice.toml:2)",
        ),
        (
            "[[apps]]\nkey = \"a\"\n[[apps.keys]]\nalgorithm = \"HS256\"\n".into(),
            "sluice.toml:3: apps.keys.secret: missing; HS256 needs it, or secret_file",
        ),
        (
            "[[apps]]\nkey = \"a\"\n[[apps.keys]]\nalgorithm = \"none\"\n".into(),
            "sluice.toml:4: apps.keys.algorithm: found \"none\", expected \"HS256\" or \"EdDSA\"",
        ),
        (
            "[[apps]]\nkey = \"a\"\n[[apps.keys]]\nalgorithm = \"EdDSA\"\n".into(),
            "sluice.toml:3: apps.keys.public_key_file: missing; EdDSA needs it",
        ),
        (
            format!("[[apps]]\nkey = \"a\"\n{key}secret_file = \"x\"\n"),
            "sluice.toml:6: apps.keys.secret_file: found next to secret, expected only one of them",
        ),
        (
            format!("[[apps]]\nkey = \"a\"\nrooms_per_user = 101\n{key}"),
            "sluice.toml:3: apps.rooms_per_user: found 101, expected a whole number from 1 to 100",
        ),
        (
            format!("[[apps]]\nkey = \"a\"\n{key}public_key_file = \"x\"\n"),
            "sluice.toml:6: apps.keys.public_key_file: is for EdDSA, not for HS256",
        ),
    ] {
        assert_eq!(problem(&format!("{apps}\n{off}")), expected);
    }
}
