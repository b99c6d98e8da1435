use std::collections::HashMap;
use std::time::Duration;

use super::*;
use crate::accept::quic::steering::place_of;

const LOOPBACK: &str = "127.0.0.1:0";

/// Long enough for loopback, where a packet is there when the call that sent it returns.
const PATIENCE: Duration = Duration::from_secs(5);

fn group(wanted: u16) -> (Vec<UdpSocket>, SocketAddr) {
    let bound = bind(LOOPBACK.parse().expect("an address"), wanted).expect("a port is free");
    assert!(
        bound.unsteered.is_none(),
        "this system allows no filter: {:?}",
        bound.unsteered
    );
    let address = bound.sockets[0].local_addr().expect("it is bound");
    (bound.sockets, address)
}

/// Which sockets of the group have how many packets.
fn arrived(sockets: &[UdpSocket]) -> HashMap<u16, usize> {
    let mut counts = HashMap::new();
    for (place, socket) in sockets.iter().enumerate() {
        socket.set_nonblocking(true).expect("a socket");
        let mut packet = [0; 64];
        let packets = std::iter::from_fn(|| socket.recv(&mut packet).ok()).count();
        if packets > 0 {
            counts.insert(u16::try_from(place).expect("a small group"), packets);
        }
    }
    counts
}

fn short_header(first: [u8; 2]) -> Vec<u8> {
    let mut packet = vec![0x40];
    packet.extend(first);
    packet.extend([9; 30]);
    packet
}

fn long_header(first_byte: u8, id_bytes: u8, first: [u8; 2]) -> Vec<u8> {
    let mut packet = vec![first_byte, 0, 0, 0, 1, id_bytes];
    packet.extend(first);
    packet.extend([9; 30]);
    packet
}

#[test]
fn the_kernel_leads_packets_by_the_rule_whatever_address_they_come_from() {
    let (sockets, address) = group(3);
    for first in [[0, 0], [0, 1], [0, 2], [1, 0], [0x12, 0x34], [0xff, 0xfe], [0xff, 0xff]] {
        let packets = [
            short_header(first),
            // Initial, 0-RTT and Handshake of version 1, with ids of several lengths; and a version that is still to be invented.
            long_header(0xc0, 8, first),
            long_header(0xd0, 20, first),
            long_header(0xe0, 8, first),
            long_header(0x80, 5, first),
        ];
        let sent = packets.len() * 8;
        for packet in &packets {
            // Eight sources: what the kernel does by itself would spread them.
            for _ in 0..8 {
                let source = UdpSocket::bind(LOOPBACK).expect("a port is free");
                source.send_to(packet, address).expect("loopback");
            }
        }
        assert_eq!(
            arrived(&sockets),
            HashMap::from([(place_of(first, 3), sent)]),
            "{first:?}"
        );
    }
}

#[test]
fn packets_too_short_for_the_rule_are_harmless() {
    let (sockets, address) = group(2);
    let source = UdpSocket::bind(LOOPBACK).expect("a port is free");
    for packet in [&[][..], &[0x40], &[0xc0], &[0x40, 1], &[0xc0, 0, 0, 0, 1, 8, 7]] {
        source.send_to(packet, address).expect("loopback");
    }
    assert_eq!(arrived(&sockets).values().sum::<usize>(), 5);
}

#[test]
fn ids_that_clients_choose_are_spread_evenly() {
    let mut counts = [0_u32; 3];
    for number in 0..=u16::MAX {
        counts[usize::from(place_of(number.to_be_bytes(), 3))] += 1;
    }
    assert_eq!(counts, [21_846, 21_845, 21_845]);
}

#[test]
fn a_second_gateway_on_the_same_port_notices() {
    let (_sockets, address) = group(2);
    for wanted in [1, 2] {
        let error = bind(address, wanted).expect_err("the port is in use");
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }
}

#[test]
fn without_the_filter_one_socket_gets_everything_and_the_reason_is_kept() {
    let refuse = |_: &UdpSocket, _| Err(io::ErrorKind::PermissionDenied.into());
    let bound = bind_group(LOOPBACK.parse().expect("an address"), 3, refuse).expect("a port is free");
    assert_eq!(bound.sockets.len(), 1);
    let reason = bound.unsteered.expect("it was refused");
    assert_eq!(reason.kind(), io::ErrorKind::PermissionDenied);
    let address = bound.sockets[0].local_addr().expect("it is bound");
    for number in 0..16 {
        let source = UdpSocket::bind(LOOPBACK).expect("a port is free");
        source.send_to(&short_header([0, number]), address).expect("loopback");
    }
    assert_eq!(arrived(&bound.sockets), HashMap::from([(0, 16)]));
}

#[test]
fn a_socket_that_shares_its_port_with_nobody_takes_no_filter() {
    let socket = UdpSocket::bind(LOOPBACK).expect("a port is free");
    assert!(steering::attach(&socket, 2).is_err());
}

#[test]
fn one_socket_needs_no_filter_and_shares_its_port_with_nobody() {
    let (sockets, address) = group(1);
    assert_eq!(sockets.len(), 1);
    assert!(bind(address, 1).is_err());
    let source = UdpSocket::bind(LOOPBACK).expect("a port is free");
    source.send_to(&short_header([7, 7]), address).expect("loopback");
    sockets[0].set_nonblocking(false).expect("a socket");
    sockets[0].set_read_timeout(Some(PATIENCE)).expect("a socket");
    assert_eq!(sockets[0].recv(&mut [0; 64]).expect("a packet"), 33);
}
