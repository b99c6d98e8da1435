//! Which worker a QUIC packet belongs to: by its connection id, never by the client's address, which may change.
//!
//! The rule is one for all packets: **the first two bytes of the destination connection id, as a number, modulo the number of
//! endpoints.** It is written down twice: [`place_of`] for ids that we make, [`program`] for the kernel, which asks it for each
//! packet that comes to the port. Why all packets of a connection come to one endpoint, call it *w*:
//!
//! - A client's first packets (Initial, 0-RTT, and what it sends again of them) go to an id it has chosen itself, at random. Where
//!   the rule leads them is *w*: so new connections are spread evenly, and a lost first packet finds the same endpoint again.
//! - *w* answers with an id of its own, and each of those obeys the rule for *w* (`connection_ids.rs`). From then on, Handshake
//!   packets and all later ones carry such an id. Initial packets that still carry the client's own id lead to *w* as before.
//! - An endpoint that answers with Retry names such an id as well: the client's second attempt comes to *w* again.
//! - The id stands in the packet's clear part at a place that no version of QUIC can move (RFC 8999): behind the first byte in a
//!   short header; behind the first byte, the version and the id's length in a long one, which the highest bit tells apart.
//! - Several packets in one datagram have the same id (RFC 9000, section 12.2).
//!
//! Two bytes rather than one: 256 does not divide by most numbers of workers, so with one byte some workers would get up to twice
//! as many connections as others. With two, the difference is below 2 % for a thousand workers.

use std::io;
use std::net::UdpSocket;

use nix::libc::{
    BPF_A, BPF_ABS, BPF_ALU, BPF_B, BPF_H, BPF_JA, BPF_JMP, BPF_JSET, BPF_K, BPF_LD, BPF_MOD, BPF_RET, sock_filter,
    sock_fprog,
};
use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::AttachReusePortCbpf;

/// Set in the first byte of a long header.
const LONG_HEADER: u32 = 0x80;
/// Where the destination connection id begins.
const ID_IN_SHORT_HEADER: u32 = 1;
const ID_IN_LONG_HEADER: u32 = 6;

/// How many bytes of an id say whose it is.
pub(super) const PLACE_BYTES: usize = 2;

/// The number that the bytes of an id name is as much as this at most.
pub(super) const PLACES: u32 = 1 << 16;

/// Which of `endpoints` an id belongs to that begins with these bytes.
pub(super) fn place_of(first: [u8; PLACE_BYTES], endpoints: u16) -> u16 {
    u16::from_be_bytes(first) % endpoints
}

/// Has the kernel lead each packet to the socket of its place. The sockets of the group are counted in the order in which they
/// were bound. `socket` is any of them.
///
/// Where the program cannot read (packets of fewer than eight bytes, which are not QUIC) it ends with 0. A result for which there
/// is no socket would make the kernel choose by the addresses; the rule gives none.
///
/// # Errors
/// When the system does not allow it.
pub(super) fn attach(socket: &UdpSocket, endpoints: u16) -> io::Result<()> {
    let mut program = program(endpoints);
    let description = sock_fprog {
        len: u16::try_from(program.len()).expect("a handful of instructions"),
        filter: program.as_mut_ptr(),
    };
    // The kernel copies the program: neither has to outlive the call.
    setsockopt(socket, AttachReusePortCbpf, &description)?;
    Ok(())
}

/// The rule as the kernel reads it. Offset 0 is the first byte of the UDP payload: the kernel takes the headers off before it
/// runs the program of a group.
fn program(endpoints: u16) -> [sock_filter; 7] {
    let instruction = |code: u32, jump_true: u8, jump_false: u8, operand: u32| sock_filter {
        code: u16::try_from(code).expect("codes have 16 bits"),
        jt: jump_true,
        jf: jump_false,
        k: operand,
    };
    [
        instruction(BPF_LD | BPF_B | BPF_ABS, 0, 0, 0),
        instruction(BPF_JMP | BPF_JSET | BPF_K, 0, 2, LONG_HEADER),
        // Long header.
        instruction(BPF_LD | BPF_H | BPF_ABS, 0, 0, ID_IN_LONG_HEADER),
        instruction(BPF_JMP | BPF_JA, 0, 0, 1),
        // Short header.
        instruction(BPF_LD | BPF_H | BPF_ABS, 0, 0, ID_IN_SHORT_HEADER),
        // Both.
        instruction(BPF_ALU | BPF_MOD | BPF_K, 0, 0, endpoints.into()),
        instruction(BPF_RET | BPF_A, 0, 0, 0),
    ]
}
