//! The binary from the outside: what its commands print, and how they exit.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use sluice_gateway::development;

const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// A folder of its own for one test.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("command_line").join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("the target folder is writable");
    folder
}

/// A folder with a certificate that development mode has made, a secret and a configuration `sluice.toml` that begins
/// with `first` and has an app.
fn configured(name: &str, first: &str) -> PathBuf {
    let folder = folder(name);
    development::configuration(&folder.join("data")).expect("a development folder");
    fs::write(folder.join("secret"), format!("{SECRET}\n")).expect("written");
    let rest =
        "data = \"data\"\n[[apps]]\nkey = \"demo\"\n[[apps.keys]]\nalgorithm = \"HS256\"\nsecret_file = \"secret\"\n";
    fs::write(folder.join("sluice.toml"), format!("{first}\n{rest}")).expect("written");
    folder
}

/// What a command printed and how it ended.
struct Outcome {
    stdout: String,
    stderr: String,
    code: Option<i32>,
}

/// Runs `sluice` in `folder`, with nothing of this process's environment that it could take for a setting.
fn sluice(folder: &Path, arguments: &[&str]) -> Outcome {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sluice"));
    let output: Output = command
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .output()
        .expect("the binary runs");
    Outcome {
        stdout: String::from_utf8(output.stdout).expect("UTF-8"),
        stderr: String::from_utf8(output.stderr).expect("UTF-8"),
        code: output.status.code(),
    }
}

impl Outcome {
    #[track_caller]
    fn is(&self, stdout: &str, stderr: &str, code: i32) {
        assert_eq!((&*self.stdout, &*self.stderr, self.code), (stdout, stderr, Some(code)));
    }

    #[track_caller]
    fn fails_with(&self, reason: &str, code: i32) {
        assert!(self.stderr.contains(reason), "{reason:?} is not in {:?}", self.stderr);
        assert_eq!((&*self.stdout, self.code), ("", Some(code)));
    }
}

#[test]
fn the_version_is_printed() {
    let expected = format!("sluice {}\n", env!("CARGO_PKG_VERSION"));
    sluice(&folder("version"), &["--version"]).is(&expected, "", 0);
}

#[test]
fn a_valid_configuration_is_said_to_be_valid() {
    let configured = configured("valid", "");
    sluice(&configured, &["check-config", "--config", "sluice.toml"]).is("configuration is valid\n", "", 0);
    sluice(&folder("valid-development"), &["check-config"]).is("configuration is valid\n", "", 0);
}

#[test]
fn problems_go_to_standard_error_with_exit_code_2_whatever_the_command() {
    let folder = configured("problems", "listen.tpc = 1");
    fs::remove_file(folder.join("secret")).expect("removed");
    for command in ["check-config", "config", "serve"] {
        sluice(&folder, &[command, "--config", "sluice.toml", "--workers", "many"]).is(
            "",
            "sluice: the configuration has 3 problems:
  sluice.toml:1: unknown key \"listen.tpc\"; did you mean listen.tcp?
  sluice.toml:7: apps.keys.secret_file: secret cannot be read: No such file or directory (os error 2)
  --workers: workers: found \"many\", expected a whole number from 1 to 1024, or \"auto\"
",
            2,
        );
    }
}

#[test]
fn a_missing_configuration_file_is_the_only_problem() {
    sluice(&folder("missing"), &["check-config", "--config", "nowhere.toml"]).is(
        "",
        "sluice: the configuration has a problem:\n  nowhere.toml: cannot be read: No such file or directory (os error 2)\n",
        2,
    );
}

#[test]
fn the_effective_configuration_shows_origins_and_no_secret() {
    let folder = configured("effective", "");
    let outcome = sluice(
        &folder,
        &["config", "--config", "sluice.toml", "--set", "tokens.grace=1m"],
    );
    let text = &outcome.stdout;
    let has = |value: &str, origin: &str| {
        text.lines()
            .any(|line| line.starts_with(value) && line.ends_with(origin))
    };
    assert!(has("grace = \"1m\" ", "# --set tokens.grace"), "{text}");
    assert!(has("data = \"data\" ", "# sluice.toml:2"), "{text}");
    assert!(text.contains("(masked)") && !text.contains(SECRET), "{text}");
    assert_eq!((&*outcome.stderr, outcome.code), ("", Some(0)));
}

#[test]
fn a_token_is_printed_alone_in_development_mode() {
    let folder = configured("token", "");
    let outcome = sluice(&folder, &["token", "--app", "dev", "--user", "alice", "--ttl", "1h"]);
    let token = &outcome.stdout;
    assert_eq!((&*outcome.stderr, outcome.code), ("", Some(0)));
    assert_eq!((token.lines().count(), token.split('.').count()), (1, 3), "{token}");
}

#[test]
fn without_a_development_folder_there_is_no_token() {
    let reason = "start the gateway in development mode first";
    sluice(&folder("no-token"), &["token", "--user", "alice"]).fails_with(reason, 1);
}

#[test]
fn with_a_configuration_file_tokens_must_be_allowed() {
    let arguments = ["token", "--config", "sluice.toml", "--app", "demo", "--user", "alice"];
    let reason = "set tokens.operator_tokens = true";
    sluice(&configured("forbidden-token", ""), &arguments).fails_with(reason, 1);
    let outcome = sluice(
        &configured("allowed-token", "tokens.operator_tokens = true"),
        &arguments,
    );
    assert_eq!(
        (outcome.stdout.split('.').count(), &*outcome.stderr, outcome.code),
        (3, "", Some(0))
    );
}

#[test]
fn the_secret_of_development_mode_must_not_leave_loopback() {
    let folder = configured("copied-secret", "");
    let app = fs::read_to_string(folder.join("data/app-dev.toml")).expect("the development app");
    let text = format!("data = \"data\"\nlisten.tls = \"0.0.0.0:7401\"\n{app}");
    fs::write(folder.join("sluice.toml"), text).expect("written");
    let reason = "has the secret that development mode made, and listen.tls is 0.0.0.0:7401";
    sluice(&folder, &["check-config", "--config", "sluice.toml"]).fails_with(reason, 2);
}

#[test]
fn a_certificate_and_a_key_that_do_not_match_are_both_named() {
    let folder = configured("mismatch", "");
    development::configuration(&folder.join("other")).expect("another development folder");
    let reason =
        "--set tls.key: tls.key: the key in other/key.pem does not belong to the certificate in data/certificate.pem";
    let arguments = [
        "check-config",
        "--config",
        "sluice.toml",
        "--set",
        "tls.key=other/key.pem",
    ];
    sluice(&folder, &arguments).fails_with(reason, 2);
}

/// A gateway in development mode on ports of the system's choice. It is killed when the test is over.
struct Gateway {
    child: Child,
    /// What it has printed, up to the last line of the banner.
    banner: String,
}

impl Gateway {
    fn start(folder: &Path) -> Self {
        let ports = ["--tcp", "--tls", "--quic", "--http", "--api"].map(|flag| [flag, "127.0.0.1:0"]);
        let mut command = Command::new(env!("CARGO_BIN_EXE_sluice"));
        command.args(ports.as_flattened()).current_dir(folder).env_clear();
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary runs");
        let mut banner = String::new();
        let mut stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        while !banner.ends_with("Ctrl-C ends it.\n") {
            assert_ne!(
                stdout.read_line(&mut banner).expect("UTF-8"),
                0,
                "it ended after {banner:?}"
            );
        }
        Self { child, banner }
    }

    /// The address in the banner's line that begins with `name`.
    fn address(&self, name: &str) -> &str {
        let line = self
            .banner
            .lines()
            .find_map(|line| line.trim_start().strip_prefix(name));
        line.and_then(|line| line.split_whitespace().next())
            .expect("a line with an address")
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_bare_start_needs_nothing_and_a_signal_ends_it_with_exit_code_0() {
    for (name, signal) in [("interrupted", Signal::INT), ("terminated", Signal::TERM)] {
        let folder = folder(name);
        let mut gateway = Gateway::start(&folder);
        assert!(
            gateway.banner.contains("development mode: app \"dev\", data in ./data"),
            "{}",
            gateway.banner
        );
        for listener in ["TCP", "TLS", "HTTP", "API"] {
            let address = gateway.address(listener);
            assert!(TcpStream::connect(address).is_ok(), "{listener} at {address}");
        }
        assert!(folder.join("data/certificate.pem").exists());
        let id = Pid::from_child(&gateway.child);
        kill_process(id, signal).expect("it runs");
        assert_eq!(gateway.child.wait().expect("it ends").code(), Some(0), "{name}");
    }
}

#[test]
fn a_port_in_use_is_named_with_exit_code_1() {
    let folder = folder("port-in-use");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("bound").to_string();
    for (flag, others) in [
        ("--tcp", ["--tls", "--http", "--api"]),
        ("--tls", ["--tcp", "--http", "--api"]),
        ("--http", ["--tcp", "--tls", "--api"]),
        ("--api", ["--tcp", "--tls", "--http"]),
    ] {
        let arguments = [
            "serve",
            flag,
            &address,
            others[0],
            "127.0.0.1:0",
            others[1],
            "127.0.0.1:0",
            others[2],
            "127.0.0.1:0",
            "--quic",
            "off",
        ];
        sluice(&folder, &arguments).fails_with(&address, 1);
    }
}
