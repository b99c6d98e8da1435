use proptest::prelude::*;
use sluice_protocol::IdProfile;

use super::*;
use crate::config::{AppState, RoomEnds, SingleLogin, TokenAlgorithm};

#[path = "tests/api.rs"]
mod api;
#[path = "tests/apps.rs"]
mod apps;
#[path = "tests/conversations.rs"]
mod conversations;

/// An app, and nothing that would need a certificate.
const APP: &str = r#"
[[apps]]
key = "demo"
[[apps.keys]]
algorithm = "HS256"
secret = "0123456789abcdef0123456789abcdef"
"#;

fn load_text(text: &str, environment: &[(&str, &str)], flags: &[(&str, &str)]) -> Result<Loaded, Problems> {
    let owned = |(a, b): &(&str, &str)| ((*a).to_owned(), (*b).to_owned());
    let flag = |(path, value): &(&str, &str)| Flag {
        name: format!("--set {path}"),
        path: (*path).to_owned(),
        value: (*value).to_owned(),
    };
    let sources = Sources {
        file: Some("sluice.toml".into()),
        environment: environment.iter().map(owned).collect(),
        flags: flags.iter().map(flag).collect(),
    };
    let mut problems = Vec::new();
    let document = document::parse(Path::new("sluice.toml"), text, &mut problems);
    let loaded = layer(&sources, Some(document), &mut problems);
    if problems.is_empty() {
        Ok(loaded)
    } else {
        Err(Problems::new(problems))
    }
}

/// `text` with listeners that need no certificate and an app.
fn complete(text: &str) -> String {
    format!("{text}\n[listen]\ntls = \"off\"\nquic = \"off\"\n{APP}")
}

fn loaded(text: &str) -> Config {
    load_text(&complete(text), &[], &[])
        .expect("a valid configuration")
        .config
}

/// The same of a text that lacks nothing.
fn loaded_whole(text: &str) -> Config {
    load_text(text, &[], &[]).expect("a valid configuration").config
}

/// The problems of `text`, one line each.
fn problems(text: &str) -> Vec<String> {
    let problems = load_text(text, &[], &[]).expect_err("a problem");
    problems.0.iter().map(Problem::to_string).collect()
}

/// The only problem of `text`.
fn problem(text: &str) -> String {
    let problems = problems(text);
    assert_eq!(problems.len(), 1, "{problems:#?}");
    problems[0].clone()
}

/// The only problem of a setting alone in its file.
fn problem_of(setting: &str, value: &str) -> String {
    let (section, key) = setting.rsplit_once('.').unwrap_or(("", setting));
    let section = if section.is_empty() {
        String::new()
    } else {
        format!("[{section}]\n")
    };
    let off = if section == "[listen]\n" { "" } else { "[listen]\n" };
    problem(&format!(
        "{section}{key} = {value}\n{off}tls = \"off\"\nquic = \"off\"\n{APP}"
    ))
}

#[test]
fn every_default_can_be_read() {
    let config = defaults(Path::new("somewhere"));
    assert_eq!(config.data, Path::new("somewhere"));
    assert_eq!(config.tls.certificate, Path::new("somewhere/certificate.pem"));
    assert_eq!(config.tls.key, Path::new("somewhere/key.pem"));
    assert_eq!(config.listen.tcp, Some("127.0.0.1:7400".parse().expect("an address")));
    assert_eq!(config.listen.quic, config.listen.tls);
    assert!(config.workers >= 1 && config.connections.max >= 1);
    assert_eq!(config.connections.heartbeat_interval, Duration::from_secs(30));
    assert_eq!(config.connections.private_queue_bytes, 256 << 10);
    assert_eq!(config.rooms.log_bytes, 8 << 20);
    assert_eq!(config.rooms.live_messages_per_second, Rate::PerSecond(5));
    assert_eq!(config.tls.minimum_version, TlsVersion::V1_3);
    assert_eq!(config.log.level, "info");
}

#[test]
fn every_setting_has_a_meaning_and_a_path_of_its_own() {
    let mut paths = BTreeSet::new();
    for setting in SETTINGS {
        assert!(paths.insert(setting.path), "{} is there twice", setting.path);
        assert!(setting.meaning.ends_with('.'), "{}", setting.path);
        assert!(
            setting
                .path
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || b"._".contains(&byte)),
            "{}",
            setting.path
        );
    }
}

#[test]
fn each_layer_covers_the_one_below() {
    let file = complete("[tokens]\nwarning = \"11s\"\ngrace = \"12s\"\nleeway = \"13s\"");
    let environment = [
        ("SLUICE_TOKENS__GRACE", "22s"),
        ("SLUICE_TOKENS__LEEWAY", "23s"),
        ("HOME", "/root"),
    ];
    let tokens = load_text(&file, &environment, &[("tokens.leeway", "33s")])
        .expect("valid")
        .config
        .tokens;
    assert_eq!(tokens.warning, Duration::from_secs(11));
    assert_eq!(tokens.grace, Duration::from_secs(22));
    assert_eq!(tokens.leeway, Duration::from_secs(33));
    assert!(!tokens.operator_tokens);
}

#[test]
fn the_last_of_two_equal_flags_wins() {
    let flags = [("workers", "2"), ("workers", "3")];
    assert_eq!(load_text(&complete(""), &[], &flags).expect("valid").config.workers, 3);
}

#[test]
fn every_setting_can_be_said_in_the_environment() {
    assert_eq!(SETTINGS[2].variable(), "SLUICE_LISTEN__TCP");
    let mut shown = defaults(Path::new("./data"));
    for setting in SETTINGS {
        let value = setting.kind.show(&mut shown).trim_matches('"').to_owned();
        let variable = setting.variable();
        let file = if setting.path.starts_with("tls") {
            APP.to_owned()
        } else {
            complete("")
        };
        let result = load_text(
            &file,
            &[(&variable, &value)],
            &[("listen.tls", "off"), ("listen.quic", "off")],
        );
        let loaded = result.unwrap_or_else(|problems| panic!("{variable}={value}: {problems}"));
        if !matches!(setting.path, "listen.tls" | "listen.quic") {
            assert_eq!(loaded.origin(setting.path), &Origin::Variable(variable));
        }
    }
}

#[test]
fn what_each_kind_accepts() {
    let config = loaded(
        r#"
        data = "/var/lib/sluice"
        workers = 4
        connections.heartbeat_interval = "1500ms"
        connections.private_queue_bytes = 131072
        rooms = { log_bytes = "16MiB", room_messages_per_second = "unlimited", live_messages_per_second = 0x10 }
        log.format = "json"
        log.level = "warn,sluice_gateway::room=debug"
        tls.minimum_version = "1.2"
        tokens.operator_tokens = true
        "#,
    );
    assert_eq!(config.data, Path::new("/var/lib/sluice"));
    assert_eq!(config.tls.key, Path::new("/var/lib/sluice/key.pem"));
    assert_eq!(config.workers, 4);
    assert_eq!(config.connections.heartbeat_interval, Duration::from_millis(1500));
    assert_eq!(config.connections.private_queue_bytes, 128 << 10);
    assert_eq!(config.rooms.log_bytes, 16 << 20);
    assert_eq!(config.rooms.room_messages_per_second, Rate::Unlimited);
    assert_eq!(config.rooms.live_messages_per_second, Rate::PerSecond(16));
    assert_eq!(config.log.format, LogFormat::Json);
    assert_eq!(config.tls.minimum_version, TlsVersion::V1_2);
    assert!(config.tokens.operator_tokens);
    assert_eq!(config.listen.tls, None);
}

#[test]
fn what_each_kind_refuses_and_says() {
    for (setting, value, expected) in [
        ("data", "\"\"", "found \"\", expected a path"),
        ("data", "7", "found 7, expected a path"),
        (
            "workers",
            "0",
            "found 0, expected a whole number from 1 to 1024, or \"auto\"",
        ),
        (
            "workers",
            "-1",
            "found -1, expected a whole number from 1 to 1024, or \"auto\"",
        ),
        (
            "workers",
            "\"2\"",
            "found \"2\", expected a whole number from 1 to 1024, or \"auto\"",
        ),
        (
            "workers",
            "1.5",
            "found a value of type float, expected a whole number from 1 to 1024, or \"auto\"",
        ),
        (
            "connections.login_timeout",
            "10",
            "found 10, expected a time such as \"30s\", from 100ms to 2m",
        ),
        (
            "connections.heartbeat_interval",
            "\"50ms\"",
            "found \"50ms\", expected a time such as \"30s\", from 100ms to 10m",
        ),
        (
            "connections.heartbeat_interval",
            "\"11m\"",
            "found \"11m\", expected a time such as \"30s\", from 100ms to 10m",
        ),
        (
            "connections.private_queue_bytes",
            "1024",
            "found 1024, expected a size such as \"64KiB\", from 64KiB to 1GiB",
        ),
        (
            "rooms.log_bytes",
            "\"64KiB\"",
            "found \"64KiB\", expected a size such as \"64KiB\", from 1MiB to 1GiB",
        ),
        (
            "rooms.live_messages_per_second",
            "0",
            "found 0, expected a whole number from 1 to 4294967295, or \"unlimited\"",
        ),
        (
            "tokens.operator_tokens",
            "\"yes\"",
            "found \"yes\", expected true or false",
        ),
        (
            "tls.minimum_version",
            "\"1.1\"",
            "found \"1.1\", expected \"1.3\" or \"1.2\"",
        ),
        ("log.format", "\"xml\"", "found \"xml\", expected \"text\" or \"json\""),
        (
            "listen.tcp",
            "\"localhost\"",
            "found \"localhost\", expected an address with a port such as \"127.0.0.1:7400\" or \"[::1]:7400\", or \"off\"",
        ),
        (
            "listen.http",
            "[\"a\", \"b\"]",
            "found [\"a\", \"b\"], expected an address with a port such as \"127.0.0.1:7400\" or \"[::1]:7400\", or \"off\"",
        ),
    ] {
        let line = if setting.contains('.') { 2 } else { 1 };
        assert_eq!(
            problem_of(setting, value),
            format!("sluice.toml:{line}: {setting}: {expected}")
        );
    }
    let message = problem_of("log.level", "\"inof\"");
    assert!(message.contains("found \"inof\", expected a level"), "{message}");
}

#[test]
fn all_problems_come_at_once_each_with_its_origin() {
    let file = "\
workers = 0
lgo = 3
[listen]
tpc = \"127.0.0.1:7400\"
tls = \"off\"
quic = \"off\"
http = \"somewhere\"
[rooms]
heartbeat_interval = \"30s\"
[[apps]]
key = \"demo\"
stat = \"enabled\"
[[apps.keys]]
algorithm = \"HS256\"
secret = \"too short\"
";
    let environment = [("SLUICE_LISTEN_TCP", "127.0.0.1:1"), ("SLUICE_LOG__FORMAT", "yaml")];
    let flags = [("tokens.grace", "soon"), ("nonsense", "")];
    let found = load_text(file, &environment, &flags).expect_err("problems").to_string();
    let expected = "\
the configuration has 11 problems:
  sluice.toml:1: workers: found 0, expected a whole number from 1 to 1024, or \"auto\"
  sluice.toml:2: unknown key \"lgo\"; did you mean log?
  sluice.toml:4: unknown key \"listen.tpc\"; did you mean listen.tcp?
  sluice.toml:7: listen.http: found \"somewhere\", expected an address with a port such as \"127.0.0.1:7400\" or \"[::1]:7400\", or \"off\"
  sluice.toml:9: unknown key \"rooms.heartbeat_interval\"; did you mean connections.heartbeat_interval?
  sluice.toml:12: unknown key \"stat\"; did you mean state?
  sluice.toml:15: apps.keys.secret: found 9 bytes, expected text of 32 to 1024 bytes
  SLUICE_LISTEN_TCP: unknown variable; did you mean SLUICE_LISTEN__TCP?
  SLUICE_LOG__FORMAT: log.format: found \"yaml\", expected \"text\" or \"json\"
  --set nonsense: unknown key \"nonsense\"
  --set tokens.grace: tokens.grace: found \"soon\", expected a time such as \"30s\", from 0ms to 1d";
    assert_eq!(found, expected);
}

#[test]
fn text_that_is_no_toml_is_reported_with_its_line() {
    let found = problem("workers = 1\n\n[listen\n");
    assert!(found.starts_with("sluice.toml:3: not valid TOML: "), "{found}");
    let found = problems("secret = \"0123456789\nworkers = 1\nworkers = 2\n");
    assert!(
        found.iter().all(|line| !line.contains("0123456789")),
        "a secret may be on the line: {found:#?}"
    );
}

#[test]
fn a_quoted_key_with_dots_is_no_path() {
    assert_eq!(
        problem(&format!("\"log.level\" = \"info\"\n{}", complete(""))),
        "sluice.toml:1: unknown key \"\\\"log.level\\\"\"; did you mean log.level?"
    );
}

#[test]
fn a_value_in_place_of_a_section_is_refused() {
    let found = problem(&complete("rooms = 3"));
    assert_eq!(
        found,
        "sluice.toml:1: rooms: found a value of type integer, expected a section: [rooms]"
    );
}

#[test]
fn listeners_beyond_loopback_must_be_wanted() {
    let listen = |lines: &str| format!("[listen]\ntls = \"off\"\nquic = \"off\"\n{lines}\n{APP}");
    let found = problem(&listen("tcp = \"0.0.0.0:7400\""));
    assert!(
        found.starts_with("sluice.toml:4: listen.tcp: found 0.0.0.0:7400, expected a loopback address"),
        "{found}"
    );
    assert!(found.contains("listen.allow_plaintext = true"), "{found}");
    assert!(load_text(&listen("tcp = \"0.0.0.0:7400\"\nallow_plaintext = true"), &[], &[]).is_ok());

    let found = problem(&listen("http = \"[::]:7480\""));
    assert!(found.contains("listen.allow_public_http = true"), "{found}");
    assert!(load_text(&listen("http = \"[::]:7480\"\nallow_public_http = true"), &[], &[]).is_ok());
    assert!(load_text(&listen("http = \"[::1]:7480\""), &[], &[]).is_ok());
    assert!(load_text(&listen("http = \"[::ffff:127.0.0.1]:7480\""), &[], &[]).is_ok());
}

#[test]
fn two_tcp_listeners_need_two_ports() {
    let listen = |lines: &str| format!("[listen]\ntls = \"off\"\nquic = \"off\"\n{lines}\n{APP}");
    let found = problem(&listen("tcp = \"127.0.0.1:7480\""));
    let expected =
        "default: listen.http: found 127.0.0.1:7480, which listen.tcp (sluice.toml:4) takes already: 127.0.0.1:7480";
    assert_eq!(found, expected);
    assert!(load_text(&listen("tcp = \"127.0.0.1:0\"\nhttp = \"127.0.0.1:0\""), &[], &[]).is_ok());
    assert!(load_text(&listen("tcp = \"127.0.0.2:7480\""), &[], &[]).is_ok());
}

#[test]
fn a_gateway_without_any_listener_is_refused() {
    let found = problem(&format!(
        "[listen]\ntcp = \"off\"\ntls = \"off\"\nquic = \"off\"\n{APP}"
    ));
    assert!(found.contains("expected at least one"), "{found}");
}

#[test]
fn tls_without_its_files_is_refused_by_the_name_of_the_file() {
    let found = problem(&format!("data = \"/nowhere\"\n{APP}"));
    assert!(
        found.starts_with("default: tls.certificate: /nowhere/certificate.pem cannot be read: "),
        "{found}"
    );
}

#[test]
fn more_connections_than_open_files_are_refused() {
    let found = problem(&complete("connections.max = 100000000"));
    assert!(found.contains("the open files this process may have"), "{found}");
}

#[test]
fn member_events_must_climb() {
    let found = problem(&complete("[rooms]\nmember_events_each = 20000"));
    assert!(
        found.contains("expected at least rooms.member_events_each, which is 20000"),
        "{found}"
    );
}

#[test]
fn a_rule_about_a_broken_value_is_not_reported_on_top() {
    let found = problem(&format!(
        "[listen]\ntls = \"off\"\nquic = \"off\"\ntcp = \"0.0.0.0\"\n{APP}"
    ));
    assert!(found.contains("expected an address with a port"), "{found}");
}

#[test]
fn paths_in_a_file_start_at_its_folder_and_others_at_the_working_folder() {
    let mut problems = Vec::new();
    let text = complete("data = \"state\"\ntls.key = \"../key.pem\"");
    let document = document::parse(Path::new("/etc/sluice/sluice.toml"), &text, &mut problems);
    let sources = Sources {
        file: Some("/etc/sluice/sluice.toml".into()),
        environment: vec![("SLUICE_TLS__CERTIFICATE".into(), "here.pem".into())],
        flags: Vec::new(),
    };
    let config = layer(&sources, Some(document), &mut problems).config;
    assert_eq!(problems, []);
    assert_eq!(config.data, Path::new("/etc/sluice/state"));
    assert_eq!(config.tls.key, Path::new("/etc/sluice/../key.pem"));
    assert_eq!(config.tls.certificate, Path::new("here.pem"));
}

#[test]
fn variables_of_others_are_left_alone() {
    let environment = [
        ("SLUICE_TEST_PYTHON", "python3"),
        ("SLUICE_PORT_7400_TCP_ADDR", "10.0.0.1"),
        ("sluice_workers", "x"),
    ];
    assert!(load_text(&complete(""), &environment, &[]).is_ok());
}

#[test]
fn the_effective_configuration_reads_back_and_masks_secrets() {
    let text = complete("workers = 3\nlog.level = \"warn\"");
    let loaded = load_text(&text, &[("SLUICE_TOKENS__GRACE", "2m")], &[("rooms.log_bytes", "2MiB")]).expect("valid");
    let effective = loaded.effective();
    for (line, origin) in [
        ("workers = 3 ", "# sluice.toml:1"),
        ("level = \"warn\" ", "# sluice.toml:2"),
        ("grace = \"2m\" ", "# SLUICE_TOKENS__GRACE"),
        ("log_bytes = \"2MiB\" ", "# --set rooms.log_bytes"),
        ("warning = \"30s\" ", "# default"),
        ("[[apps]] ", "# sluice.toml:7"),
        ("key = \"demo\" ", "# sluice.toml:8"),
        ("secret = \"(masked)\" ", "# 32 bytes"),
    ] {
        let found = effective
            .lines()
            .any(|found| found.starts_with(line) && found.ends_with(origin));
        assert!(found, "{line:?} with {origin:?} in\n{effective}");
    }
    assert!(!effective.contains("0123456789abcdef"), "{effective}");
    assert!(!format!("{loaded:?}").contains("48, 49, 50"), "Debug shows the secret");

    // All but the secret is a configuration again, and the same one.
    let again = effective.replace("(masked)", "0123456789abcdef0123456789abcdef");
    let again = load_text(&again, &[], &[]).unwrap_or_else(|problems| panic!("{problems}\n{effective}"));
    let values = |text: &str| -> Vec<String> {
        text.lines()
            .map(|line| line.split("  #").next().unwrap_or(line).trim_end().to_owned())
            .collect()
    };
    assert_eq!(values(&again.effective()), values(&effective));
}

#[test]
fn without_a_file_the_gateway_is_in_development_mode_and_stays_on_loopback() {
    let sources = |tcp: &str| Sources {
        file: None,
        environment: vec![("SLUICE_DATA".into(), "/nowhere".into())],
        flags: vec![Flag {
            name: "--quic".into(),
            path: "listen.quic".into(),
            value: tcp.into(),
        }],
    };
    let loaded = load(&sources("127.0.0.1:0")).expect("valid");
    assert_eq!(loaded.mode, Mode::Development);
    assert!(loaded.config.apps.is_empty() && loaded.certificate_is_default());
    let found = load(&sources("0.0.0.0:7401")).expect_err("a problem").to_string();
    assert!(
        found.contains("--quic: listen.quic: found 0.0.0.0:7401, expected a loopback address"),
        "{found}"
    );
}

/// Texts that look like configurations, more often than chance would have it.
fn likely_text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("[listen]\n".to_owned()),
        Just("[[apps]]\n".to_owned()),
        Just("[[apps.keys]]\n".to_owned()),
        Just("[apps]\n".to_owned()),
        Just(APP.to_owned()),
        (0..SETTINGS.len(), ".{0,12}").prop_map(|(index, value)| format!("{} = {value}\n", SETTINGS[index].path)),
        (0..SETTINGS.len(), ".{0,12}").prop_map(|(index, value)| format!("{} = {value:?}\n", SETTINGS[index].path)),
        (0..SETTINGS.len(), any::<i64>()).prop_map(|(index, value)| format!("{} = {value}\n", SETTINGS[index].path)),
        "[a-z_.]{1,10} = [\\[\\]{}0-9a-z\"]{0,10}\n",
        ".{0,20}",
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn no_text_makes_the_loader_panic(text in likely_text(), value: String, setting in 0..SETTINGS.len()) {
        let variable = SETTINGS[setting].variable();
        let path = SETTINGS[setting].path;
        match load_text(&text, &[(&variable, &value)], &[(path, &value), (&value, &text)]) {
            Ok(loaded) => prop_assert!(loaded.effective().parse::<toml::Table>().is_ok()),
            Err(problems) => prop_assert!(!problems.to_string().is_empty()),
        }
    }

    #[test]
    fn no_bytes_make_the_parser_panic(text: String) {
        let _ = load_text(&text, &[], &[]);
    }
}
