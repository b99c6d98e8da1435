//! A store that cannot be written: nothing is acknowledged that is not kept, what can be read is answered, and it goes on without a restart.

use std::env;
use std::fs::{self, File};
use std::io::{Write as _, stderr};
use std::path::Path;
use std::process::Command;

use rusqlite::Connection;
use sluice_gateway::config::Config;
use sluice_protocol::frame::Body;
use sluice_protocol::{
    ConversationMessage, ConversationType, Ping, QueryMessages, Reply, SendMessage, SendMessageResult, reply,
};
use sluice_tests::{Gateway, RawClient, TemporaryFolder, Transport, exchange, wait_until};
use tokio::net::TcpStream;

use crate::conversations::{listening, next, to_peer};
use crate::rooms::{enter_room, refused, sent, text};

const UNAVAILABLE: i32 = 31003;

/// What a client is told to wait then, milliseconds.
const RETRY_AFTER_MS: u32 = 5_000;

/// As much as a message takes, so that it does not fit into what happens to be free.
const LARGE: usize = 32 * 1024;

/// Messages until a disk without any room is full: what the files have of it already.
const FITTING: u32 = 20;

/// Two users, and what was answered to the one.
struct Talk {
    gateway: Gateway,
    alice: RawClient,
    bob: RawClient,
    request_id: u32,
    /// What was acknowledged, in order: contents by sequence number.
    acknowledged: Vec<String>,
}

impl Talk {
    async fn begin(change: impl FnOnce(&mut Config)) -> Self {
        let gateway = Gateway::start(|config| {
            change(config);
            crate::conversations::several_devices(config);
        });
        let alice = listening(&gateway, Transport::Tls, "alice").await;
        let bob = listening(&gateway, Transport::Tcp, "bob").await;
        let mut talk = Self {
            gateway,
            alice,
            bob,
            request_id: 0,
            acknowledged: Vec::new(),
        };
        talk.must_be_kept("before").await;
        talk
    }

    async fn say(&mut self, what: &str) -> Reply {
        self.request_id += 1;
        let message = SendMessage {
            client_message_id: format!("id of {}", &what[..what.len().min(20)]),
            ..to_peer("bob", what)
        };
        self.alice.call(self.request_id, Body::SendMessage(message)).await
    }

    async fn must_be_kept(&mut self, what: &str) {
        let reply = self.say(what).await;
        self.acknowledge(what, sent(reply));
    }

    fn acknowledge(&mut self, what: &str, result: SendMessageResult) {
        assert!(!result.duplicate, "nobody was told that it was kept: {result:?}");
        self.acknowledged.push(what.to_owned());
        assert_eq!(result.sequence, self.acknowledged.len() as u64, "{result:?}");
    }

    /// Nothing is acknowledged, and all else is served.
    async fn goes_without_its_store(&mut self, detail: &str) {
        let reply = self.say("meanwhile").await;
        assert_eq!(refused(&reply), (UNAVAILABLE, detail));
        assert_eq!(reply.retry_after_ms, RETRY_AFTER_MS);
        assert_eq!(self.ready().await, 503);
        assert_eq!(self.alice.call(9_000, Body::Ping(Ping {})).await.code, 0);
        wait_until("the figures say so", async || {
            self.gateway.metric("sluice_store_healthy").await == 0.0
        })
        .await;
        let contents = history(&mut self.bob, "alice").await;
        assert_eq!(contents, self.acknowledged, "what is not kept is not there");
        // Rooms have no part in it.
        let mut carol = RawClient::online(&self.gateway, Transport::Quic, "carol").await;
        let entered = carol.call(1, enter_room("lobby")).await;
        assert_eq!(entered.code, 0, "{entered:?}");
        let said = carol.call(2, Body::SendMessage(text("lobby", "still here"))).await;
        assert_eq!(sent(said).sequence, 1);
    }

    /// The same message is sent again, as clients do, and everybody has everything once.
    async fn goes_on(mut self) {
        wait_until("it is ready again", async || self.ready().await == 200).await;
        self.must_be_kept("meanwhile").await;
        self.must_be_kept("after").await;
        for (number, content) in (1..).zip(&self.acknowledged) {
            let message = next(&mut self.bob).await;
            assert_eq!((message.sequence, content_of(&message)), (number, content.clone()));
        }
        let again = sent(self.say("meanwhile").await);
        assert!(again.duplicate, "{again:?}");
        let Self {
            mut gateway,
            acknowledged,
            ..
        } = self;
        gateway.restart().await;
        let mut bob = RawClient::online(&gateway, Transport::Tcp, "bob").await;
        assert_eq!(history(&mut bob, "alice").await, acknowledged);
    }

    async fn ready(&self) -> u16 {
        let address = self.gateway.addresses().http.expect("it listens");
        let stream = TcpStream::connect(address).await.expect("HTTP takes connections");
        let question = format!("GET /readyz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        exchange(stream, question.as_bytes()).await.status
    }
}

fn content_of(message: &ConversationMessage) -> String {
    String::from_utf8(message.content.to_vec()).expect("text")
}

async fn history(client: &mut RawClient, with: &str) -> Vec<String> {
    let query = QueryMessages {
        r#type: ConversationType::Peer.into(),
        id: with.to_owned(),
        limit: 1_000,
        ..QueryMessages::default()
    };
    let reply = client.call(9_100, Body::QueryMessages(query)).await;
    match reply.result {
        Some(reply::Result::Messages(page)) if reply.code == 0 => {
            assert!(!page.more, "it fits on one page");
            page.messages.iter().map(content_of).collect()
        }
        _ => panic!("{reply:?}"),
    }
}

#[tokio::test]
async fn while_somebody_else_holds_the_database_nothing_is_acknowledged_and_then_it_goes_on() {
    let mut data = None;
    let mut talk = Talk::begin(|config| data = Some(config.data.clone())).await;
    let shell = Connection::open(data.expect("it was set").join("sluice.db")).expect("a database");
    shell.execute_batch("BEGIN IMMEDIATE").expect("nobody else writes now");
    talk.goes_without_its_store("store").await;
    shell.execute_batch("ROLLBACK").expect("it was begun");
    talk.goes_on().await;
}

/// What `mount` says where it takes rights that we have not.
const FORBIDDEN: [&str; 3] = ["permission denied", "must be superuser", "not permitted"];

/// A file system of its own, gone when the test is.
struct SmallDisk(TemporaryFolder);

impl SmallDisk {
    /// `None` where nobody but another user of this machine may mount one, which the terminal is told. Whatever else keeps it from
    /// being mounted is nothing that CI accepts.
    fn mount() -> Option<Self> {
        let disk = Self(TemporaryFolder::new());
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=4m,mode=700", "sluice"])
            .arg(disk.path())
            .env("LC_ALL", "C")
            .output();
        let why = match mount {
            Ok(mount) if mount.status.success() => return Some(disk),
            Ok(mount) => String::from_utf8_lossy(&mount.stderr).trim().to_owned(),
            Err(error) => error.to_string(),
        };
        let is_forbidden = FORBIDDEN.iter().any(|words| why.contains(words));
        assert!(
            is_forbidden || env::var_os("CI").is_none(),
            "a file system of its own cannot be mounted: {why}"
        );
        // Unlike eprintln!, this is seen although the test passes.
        let line = format!("NOT TESTED: a full disk, since a file system of its own cannot be mounted: {why}\n");
        stderr()
            .write_all(line.as_bytes())
            .expect("a terminal that takes a line");
        None
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Takes all the room there is.
    fn fill(&self) {
        let mut file = File::create(self.path().join("filling")).expect("room for a name");
        let piece = [0_u8; 4096];
        while file.write_all(&piece).is_ok() {}
    }

    fn empty(&self) {
        fs::remove_file(self.path().join("filling")).expect("it is there");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Also where the gateway still has files open.
        let _ = Command::new("umount").arg("--lazy").arg(self.path()).output();
    }
}

#[tokio::test]
async fn a_full_disk_takes_no_message_loses_none_and_needs_no_restart() {
    let Some(disk) = SmallDisk::mount() else { return };
    let mut talk = Talk::begin(|config| config.data = disk.path().to_owned()).await;
    disk.fill();
    let mut is_full = false;
    for number in 0..FITTING {
        let what = format!("{number:04} {}", "x".repeat(LARGE - 5));
        let reply = talk.say(&what).await;
        if reply.code != 0 {
            assert_eq!(refused(&reply), (UNAVAILABLE, "disk_full"));
            is_full = true;
            break;
        }
        talk.acknowledge(&what, sent(reply));
        assert!(talk.acknowledged.len() < 9, "a session may say no more in a second");
    }
    assert!(is_full, "it was filled");
    talk.goes_without_its_store("disk_full").await;
    // Who comes and asks what was missed is answered behind a commit that writes nothing: that says nothing of the disk.
    for name in ["dave", "erin", "frank"] {
        listening(&talk.gateway, Transport::Tls, name).await;
        assert_eq!(talk.ready().await, 503);
    }
    disk.empty();
    talk.goes_on().await;
}
