//! The binary `sluice` as a child process.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::thread::JoinHandle;
use std::time::SystemTime;
use std::{env, mem};

use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::mpsc;

use crate::{wait_until, within};

/// A running `sluice`, which is killed when dropped.
#[derive(Debug)]
pub struct Program {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: mpsc::UnboundedReceiver<String>,
    stdout_so_far: String,
    stderr: Option<JoinHandle<String>>,
}

/// What an ended program has left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// The exit code, or `None` where a signal ended it.
    pub code: Option<i32>,
    /// All of its standard output.
    pub stdout: String,
    /// All of its standard error.
    pub stderr: String,
}

impl Program {
    /// Starts `sluice` with these arguments in this working folder. It sees nothing of the gateway's settings in the environment.
    ///
    /// # Panics
    /// When it cannot be built or started.
    #[must_use]
    pub fn start(folder: &Path, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        let mut command = Command::new(path());
        for (name, _) in env::vars_os() {
            if name.to_string_lossy().starts_with("SLUICE_") {
                command.env_remove(name);
            }
        }
        let mut child = command
            .args(arguments)
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().expect("it was piped");
        let mut stderr = child.stderr.take().expect("it was piped");
        let (sender, lines) = mpsc::unbounded_channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines() {
                let Ok(line) = line else { break };
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let stderr = std::thread::spawn(move || {
            let mut text = Vec::new();
            // What could be read until it failed is worth showing.
            let _ = stderr.read_to_end(&mut text);
            String::from_utf8_lossy(&text).into_owned()
        });
        Self {
            child,
            stdin,
            lines,
            stdout_so_far: String::new(),
            stderr: Some(stderr),
        }
    }

    /// Runs `sluice` to its end, with nothing on its standard input.
    ///
    /// # Panics
    /// When it cannot be started or does not end.
    pub async fn run(folder: &Path, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Ended {
        let mut program = Self::start(folder, arguments);
        program.end_input();
        program.ended().await
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The next line of its standard output, or `None` at the end.
    ///
    /// # Panics
    /// When neither comes.
    pub async fn line(&mut self) -> Option<String> {
        let line = within("a line of output", self.lines.recv()).await?;
        self.stdout_so_far.push_str(&line);
        self.stdout_so_far.push('\n');
        Some(line)
    }

    /// Writes a line to its standard input.
    ///
    /// # Panics
    /// When it takes none.
    pub fn write_line(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().expect("its input is open");
        writeln!(stdin, "{line}").expect("the program takes input");
    }

    /// Ends its standard input.
    pub fn end_input(&mut self) {
        self.stdin = None;
    }

    /// Sends it SIGTERM.
    ///
    /// # Panics
    /// When it has ended already.
    pub fn terminate(&self) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.expect("a child's id"), Signal::TERM).expect("a child that lives");
    }

    /// Whether it has ended.
    ///
    /// # Panics
    /// When the system does not say.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("a child of ours").is_some()
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it does not end.
    pub async fn ended(mut self) -> Ended {
        let mut status = None;
        let child = &mut self.child;
        wait_until("the program has ended", || {
            status = child.try_wait().expect("a child of ours");
            std::future::ready(status.is_some())
        })
        .await;
        while self.line().await.is_some() {}
        let stderr = self.stderr.take().expect("only the end takes it");
        Ended {
            code: status.and_then(|status| status.code()),
            stdout: mem::take(&mut self.stdout_so_far),
            stderr: stderr.join().expect("reading does not panic"),
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // An error means that it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where the binary is. It is built once if it is missing or older than its sources: `cargo test` for this crate alone does not.
fn path() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| {
        let this = env::current_exe().expect("a test knows where it is");
        // TARGET/PROFILE/deps/this
        let profile = this.ancestors().nth(2).expect("tests lie in a profile's folder");
        let binary = profile.join("sluice");
        if !is_fresh(&binary) {
            build(profile);
        }
        binary
    })
}

/// Whether the binary is newer than all that it was built from, which the file beside it lists.
fn is_fresh(binary: &Path) -> bool {
    let changed = |path: &Path| fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
    let Some(built) = changed(binary) else { return false };
    let Ok(sources) = fs::read_to_string(binary.with_extension("d")) else {
        return false;
    };
    let is_older = |source: &str| changed(Path::new(source)).is_none_or(|changed: SystemTime| changed <= built);
    sources
        .split_whitespace()
        .filter(|word| !word.ends_with(':'))
        .all(is_older)
}

fn build(profile: &Path) {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--quiet", "-p", "sluice-gateway", "--target-dir"]);
    cargo.arg(profile.parent().expect("a profile's folder lies in the target folder"));
    if profile.ends_with("release") {
        cargo.arg("--release");
    }
    cargo.current_dir(env!("CARGO_MANIFEST_DIR"));
    let status = cargo.status().expect("cargo starts");
    assert!(status.success(), "the binary sluice cannot be built");
}
