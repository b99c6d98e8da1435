//! What a gateway in development mode says on the terminal: where it listens, and what to type next.

use std::env;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use sluice_gateway::Addresses;

/// The addresses and folder that `sluice chat` takes for granted: only others need a flag.
const CHAT_TCP: &str = "127.0.0.1:7400";
const CHAT_TLS_AND_QUIC: &str = "127.0.0.1:7401";
const CHAT_DATA: &str = "./data";

/// How the server API is called by hand.
#[derive(Debug)]
pub(super) struct ApiExample {
    /// Names and values of the headers that sign a call.
    pub(super) headers: [(&'static str, String); 4],
    /// The certificate to trust, where it is served over TLS.
    pub(super) certificate: Option<PathBuf>,
}

/// The banner. `certificate` is where the certificate lies, unless it is the one made in `data`; `command` starts this
/// program.
pub(super) fn text(
    addresses: &Addresses,
    data: &Path,
    certificate: Option<&Path>,
    api: Option<&ApiExample>,
    command: &str,
) -> String {
    let mut text = format!(
        "\nSluice {}, development mode: app \"dev\", data in {}\n\n",
        env!("CARGO_PKG_VERSION"),
        data.display()
    );
    let mut line = |line: String| writeln!(text, "{line}").expect("a String takes everything");
    let listeners = [
        ("TCP", addresses.tcp, ""),
        ("TLS", addresses.tls, ""),
        ("QUIC", addresses.quic, "  (UDP)"),
        ("HTTP", addresses.http, "  (/metrics, /livez, /readyz)"),
        ("API", addresses.api, "  (/openapi.json)"),
    ];
    for (name, address, remark) in listeners {
        if let Some(address) = address {
            line(format!("  {name:<6}{address}{remark}"));
        }
    }

    line("\nChat in other terminals:\n".into());
    let chats = [
        ("alice", "tcp", addresses.tcp, CHAT_TCP),
        ("bob", "tls", addresses.tls, CHAT_TLS_AND_QUIC),
        ("carol", "quic", addresses.quic, CHAT_TLS_AND_QUIC),
    ];
    for (user, transport, address, usual) in chats {
        let Some(address) = address else { continue };
        let mut chat = format!("  {command} chat --user {user} --room lobby");
        let mut flag = |name: &str, value: &str| {
            write!(chat, " --{name} {}", shell_word(value)).expect("a String takes everything");
        };
        if transport != "tcp" {
            flag("transport", transport);
        }
        if address.to_string() != usual {
            flag("address", &address.to_string());
        }
        if data != Path::new(CHAT_DATA) {
            flag("data", &data.to_string_lossy());
        }
        if let (Some(certificate), false) = (certificate, transport == "tcp") {
            flag("ca", &certificate.to_string_lossy());
        }
        line(chat);
    }
    if let Some(http) = addresses.http {
        line(format!("\nWatch:\n\n  curl http://{http}/metrics"));
    }
    if let (Some(address), Some(api)) = (addresses.api, api) {
        let mut call = "curl".to_owned();
        for (name, value) in &api.headers {
            write!(call, " -H {}", shell_word(&format!("{name}: {value}"))).expect("a String takes everything");
        }
        let mut scheme = "http";
        if let Some(certificate) = &api.certificate {
            scheme = "https";
            write!(call, " --cacert {}", shell_word(&certificate.to_string_lossy()))
                .expect("a String takes everything");
        }
        line(format!(
            "\nSteer it as the app's server would:\n\n  {call} -d userId=alice {scheme}://{address}/user/checkOnline.json"
        ));
    }
    line("\nCtrl-C ends it.".into());
    text
}

/// How this program is started from the working folder: the bare name where the shell finds it, else the shortest path.
pub(super) fn command() -> String {
    let Ok(program) = env::current_exe() else {
        return "sluice".into();
    };
    let on_path = env::var_os("PATH")
        .is_some_and(|path| env::split_paths(&path).any(|folder| Some(&*folder) == program.parent()));
    let folder = env::current_dir().unwrap_or_default();
    let path = match (program.file_name(), program.strip_prefix(&folder)) {
        (Some(name), _) if on_path => name.to_string_lossy().into_owned(),
        (_, Ok(relative)) if relative.components().count() == 1 => format!("./{}", relative.display()),
        (_, Ok(relative)) => relative.to_string_lossy().into_owned(),
        _ => program.to_string_lossy().into_owned(),
    };
    shell_word(&path)
}

/// `text` as one word of a POSIX shell.
fn shell_word(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:[]@%+,=".contains(&byte);
    if !text.is_empty() && text.bytes().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    fn address(text: &str) -> Option<SocketAddr> {
        Some(text.parse().expect("an address"))
    }

    #[test]
    fn the_usual_addresses_need_no_flags() {
        let addresses = Addresses {
            tcp: address("127.0.0.1:7400"),
            tls: address("127.0.0.1:7401"),
            quic: address("127.0.0.1:7401"),
            http: address("127.0.0.1:7480"),
            api: address("127.0.0.1:7482"),
        };
        let api = ApiExample {
            headers: [
                ("App-Key", "dev"),
                ("Nonce", "1"),
                ("Timestamp", "1"),
                ("Signature", "12ab"),
            ]
            .map(|(name, value)| (name, value.to_owned())),
            certificate: None,
        };
        let text = text(
            &addresses,
            Path::new("./data"),
            None,
            Some(&api),
            "target/release/sluice",
        );
        let expected = "
  TCP   127.0.0.1:7400
  TLS   127.0.0.1:7401
  QUIC  127.0.0.1:7401  (UDP)
  HTTP  127.0.0.1:7480  (/metrics, /livez, /readyz)
  API   127.0.0.1:7482  (/openapi.json)

Chat in other terminals:

  target/release/sluice chat --user alice --room lobby
  target/release/sluice chat --user bob --room lobby --transport tls
  target/release/sluice chat --user carol --room lobby --transport quic

Watch:

  curl http://127.0.0.1:7480/metrics

Steer it as the app's server would:

  curl -H 'App-Key: dev' -H 'Nonce: 1' -H 'Timestamp: 1' -H 'Signature: 12ab' -d userId=alice http://127.0.0.1:7482/user/checkOnline.json

Ctrl-C ends it.
";
        assert!(text.ends_with(expected), "{text}");
    }

    #[test]
    fn other_addresses_and_folders_are_in_the_commands() {
        let addresses = Addresses {
            tcp: None,
            tls: address("[::1]:9000"),
            quic: None,
            http: None,
            api: None,
        };
        let text = text(
            &addresses,
            Path::new("my data"),
            Some(Path::new("ca.pem")),
            None,
            "sluice",
        );
        let expected =
            "  sluice chat --user bob --room lobby --transport tls --address [::1]:9000 --data 'my data' --ca ca.pem\n";
        assert!(text.contains(expected), "{text}");
        assert!(!text.contains("alice") && !text.contains("curl"), "{text}");
    }
}
