use quinn::ConnectionError;

use super::*;
use crate::transport::Transport;
use crate::writer::Wire as _;

/// Fits in any datagram.
const FRAME: &[u8] = &[9; 200];

/// Both ends of a connection whose client takes datagrams of this length, and what drives them.
async fn connected(datagram_bytes_max: Option<usize>) -> (Connection, Transport, (Endpoint, Endpoints)) {
    let all = Endpoints::new(1);
    let client = client();
    let mut transport = TransportConfig::default();
    transport.datagram_receive_buffer_size(datagram_bytes_max);
    let (client_side, server_side) = tokio::join!(all.connect(&client, [0, 0], transport), all.accept(0));
    let (mut send, _) = client_side.open_bi().await.expect("one stream is allowed");
    send.write_all(b"0").await.expect("connected");
    let quic = control_stream(server_side, PATIENCE).await.expect("the stream is open");
    (client_side, Transport::Quic(Box::new(quic)), (client, all))
}

#[tokio::test]
async fn a_client_that_reads_datagrams_gets_them() {
    let (client, server, _driven) = connected(Some(64 * 1024)).await;
    let longest = server.datagram_bytes_max().expect("the client takes datagrams");
    assert!(longest >= 1100, "{longest}");
    assert!(server.try_send_datagram(FRAME));
    assert_eq!(within(client.read_datagram()).await.expect("connected"), FRAME);
    let largest = vec![7; longest];
    assert!(server.try_send_datagram(&largest));
    assert_eq!(within(client.read_datagram()).await.expect("connected"), largest);
    assert!(!server.try_send_datagram(&vec![7; longest + 100]), "too long");
}

#[tokio::test]
async fn a_client_that_does_not_read_datagrams_is_sent_none() {
    for silent in [None, Some(0)] {
        let (_client, server, _driven) = connected(silent).await;
        assert_eq!(server.datagram_bytes_max(), None);
        assert!(!server.try_send_datagram(FRAME));
    }
}

#[tokio::test]
async fn datagrams_beyond_the_buffer_are_left_to_the_caller_and_push_out_none_before_them() {
    let (client, server, _driven) = connected(Some(1024 * 1024)).await;
    // Nothing yields here, so that nothing is sent meanwhile.
    let taken = (0_u16..).take_while(|number| server.try_send_datagram(&[FRAME, &number.to_be_bytes()].concat()));
    let taken = u16::try_from(taken.count()).expect("the buffer is small");
    assert!((100..400).contains(&taken), "{taken}");
    for number in 0..taken {
        let datagram = within(client.read_datagram()).await.expect("connected");
        assert_eq!(datagram[FRAME.len()..], number.to_be_bytes());
    }
}

#[tokio::test]
async fn a_client_is_told_that_we_read_no_datagrams_and_is_cut_off_if_it_sends_one() {
    let (client, _server, _driven) = connected(Some(64 * 1024)).await;
    assert_eq!(client.max_datagram_size(), Some(0));
    assert!(
        client.send_datagram(FRAME.into()).is_err(),
        "the client's own library knows"
    );
    client
        .send_datagram(Vec::new().into())
        .expect("nothing is not too long");
    let end = within(client.closed()).await;
    assert!(matches!(end, ConnectionError::ConnectionClosed(_)), "{end}");
}
