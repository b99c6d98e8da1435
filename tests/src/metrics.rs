//! Reading a gateway's metrics, over HTTP like Prometheus.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::{wait_until, within};

/// The body of `GET path`.
///
/// # Panics
/// When there is no answer, or another than 200.
pub async fn scrape(http: SocketAddr, path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nHost: {http}\r\nConnection: close\r\n\r\n");
    let answer = within("an HTTP answer", async {
        let mut stream = TcpStream::connect(http).await.expect("HTTP takes connections");
        stream
            .write_all(request.as_bytes())
            .await
            .expect("HTTP takes a request");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.expect("HTTP answers to the end");
        String::from_utf8(answer).expect("metrics are UTF-8")
    });
    let answer = answer.await;
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    body.to_owned()
}

/// The sum of all series that match `selector`: a name, and the labels that are given as in
/// `sluice_connections{transport="tcp"}`. Waits for the first moments after the start, when there are none.
///
/// # Panics
/// When none matches, which is a slip of the pen.
pub(crate) async fn metric(http: SocketAddr, selector: &str) -> f64 {
    let mut found = None;
    wait_until(&format!("a series matches {selector}"), async || {
        found = sum(&scrape(http, "/metrics").await, selector);
        found.is_some()
    })
    .await;
    found.expect("it was waited for")
}

/// The sum of all series in `text` that match `selector`, if any does.
pub(crate) fn sum(text: &str, selector: &str) -> Option<f64> {
    let (name, labels) = split(selector);
    let matching: Vec<f64> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            let (its_name, its_labels) = split(series);
            let matches = its_name == name && labels.iter().all(|label| its_labels.contains(label));
            matches.then(|| value.parse().expect("a number"))
        })
        .collect();
    (!matching.is_empty()).then(|| matching.into_iter().sum())
}

/// Values of labels here have no commas.
fn split(series: &str) -> (&str, Vec<&str>) {
    match series.trim_end_matches('}').split_once('{') {
        Some((name, labels)) => (name, labels.split(',').collect()),
        None => (series, Vec::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::sum;

    #[test]
    fn series_that_match_are_summed() {
        let text = "# TYPE c gauge\nc{transport=\"tcp\",state=\"online\"} 2\nc{transport=\"tcp\",state=\"closing\"} 1\n\
                    c{transport=\"tls\",state=\"online\"} 4\ncc 7\n";
        assert_eq!(sum(text, "c"), Some(7.0));
        assert_eq!(sum(text, "c{transport=\"tcp\"}"), Some(3.0));
        assert_eq!(sum(text, "c{state=\"online\",transport=\"tls\"}"), Some(4.0));
        assert_eq!(sum(text, "cc"), Some(7.0));
        assert_eq!(sum(text, "d"), None);
    }
}
