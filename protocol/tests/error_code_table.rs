//! `docs/error-codes.md` matches the table. Where it does not, this test writes it anew and fails once.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use sluice_protocol::{Emitter, ErrorCode, Outcome, Retry};

const INTRODUCTION: &str = "\
# Error codes

<!-- Made from protocol/src/error_code.rs by protocol/tests/error_code_table.rs. Edit there. -->

One number space serves every situation. A number keeps its meaning for ever and is never used for another one. On the
wire it stands in `Reply.code` and in `Close.code`, beside

- `message`: English text for a developer's log. It may change; do not decide on it and do not show it to users.
- `detail`: a short word that narrows the code, such as `expired` with 31004 or the name of the wrong field with 33003.
  It is stable. Empty when there is nothing to add.
- `retry_after_ms`: milliseconds to wait before trying the same again; 0 when there is no advice.

## Ends

What the code ends.

| word | meaning |
|---|---|
| command | One command, or one call of a client library, fails. The connection lives on. |
| connection | The connection ends. The server says so in a `Close` frame, its last, and over QUIC closes with the same number as application error code. When the code answers a command, a `Reply` with it comes first. |
| either | As the answer to a login, and in a `Close`, it ends the connection. As the answer to any other command it fails that command alone. |

A connection that ends without a `Close` frame is 30011, which a client library makes up itself.

## Retry

What a client library does without being told.

| word | meaning |
|---|---|
| automatic | Connect again: after `retry_after_ms` if that is not 0, else after a back-off of its own that grows and has a random part. But not after 31011 with `detail` `resumed`: the session goes on with another connection, and to come back would take it from that. |
| elsewhere | The same, but only with another protocol version (31001) or to another address (31006). A library that has neither reports the code and waits its longest back-off between attempts. |
| after delay | Stop and report. Connect again when the time in `detail` or `retry_after_ms` has passed, or without one when the app says so. |
| never | Stop and report. The same attempt would fail the same way until somebody changes something: a key, a token, a parameter. |
| app | The connection needs nothing. Hand the code to the app, which decides: it may tell the user, wait for `retry_after_ms`, or drop the matter. |

A message that was under way when the connection ended, or that failed with 5004, may or may not have been sent. Send it
again with the same `client_message_id`: as long as the room remembers that id, the answer is the first one and nobody
gets the message twice.

## Sent by

| word | meaning |
|---|---|
| server | Travels on the wire. |
| client | A client library tells its app so; it never travels. |
| both | Either of them. |
| nobody | Kept free. |

Some codes with \"server\" belong to functions that this server does not have yet, so that it does not send them today.

## Codes that are not here

A newer server may send a number that is not in the table. A client keeps it as it is and hands it to the app. In a `Close`
it counts as \"automatic\", in a `Reply` as \"app\".

## The table

| code | name | meaning | 含义 | ends | retry | sent by |
|---:|---|---|---|---|---|---|
";

#[test]
fn the_page_of_error_codes_is_that_of_the_table() {
    let mut fresh = INTRODUCTION.to_owned();
    for code in ErrorCode::all() {
        let (number, name, meaning, meaning_zh) = (code.number(), code.name(), code.meaning(), code.meaning_zh());
        let (ends, retry, sent_by) = (ends(code.outcome()), retry(code), sent_by(code.emitter()));
        writeln!(
            fresh,
            "| {number} | {name} | {meaning} | {meaning_zh} | {ends} | {retry} | {sent_by} |"
        )
        .expect("a String takes any text");
    }

    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/error-codes.md");
    if fs::read_to_string(&page).unwrap_or_default() != fresh {
        fs::write(&page, fresh).expect("the source tree is writable");
        panic!(
            "{} was out of date and has been written anew: commit it",
            page.display()
        );
    }
}

fn ends(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Reply => "command",
        Outcome::Close => "connection",
        Outcome::Either => "either",
    }
}

fn retry(code: ErrorCode) -> &'static str {
    match code.retry() {
        // There is nothing to retry.
        _ if code == ErrorCode::NO_ERROR => "–",
        Retry::Automatic => "automatic",
        Retry::Elsewhere => "elsewhere",
        Retry::AfterDelay => "after delay",
        Retry::Never => "never",
        Retry::App => "app",
    }
}

fn sent_by(emitter: Emitter) -> &'static str {
    match emitter {
        Emitter::Server => "server",
        Emitter::Client => "client",
        Emitter::Both => "both",
        Emitter::Reserved => "nobody",
    }
}
