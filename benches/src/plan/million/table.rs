//! The figures for a reader.

use std::fmt;

use super::{MillionReport, Size};
use crate::report::Spread;

/// Bytes of room state for each member that the design allows.
const BYTES_GOAL: f64 = 100.0;

/// How much more a member of the largest room may cost than one of the smallest.
const FLATNESS_GOAL: f64 = 1.5;

impl fmt::Display for MillionReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "one room in memory, content of {} bytes; median (smallest..largest) of the repeats\n",
            self.payload_bytes
        )?;
        writeln!(
            f,
            "{:>9} | {:>22} | {:>22} | {:>22} | {:>22} | {:>22} | {:>22}",
            "members",
            "bytes each",
            "resident bytes each",
            "join, ns each",
            "broadcast, ns each",
            "bare loop, ns each",
            "leave, ns each"
        )?;
        for size in &self.sizes {
            let Size {
                bytes_per_member,
                resident_bytes_per_member,
                join_ns,
                broadcast_ns,
                bare_ns,
                leave_ns,
                ..
            } = size;
            write!(f, "{:>9}", size.members)?;
            for spread in [
                bytes_per_member,
                resident_bytes_per_member,
                join_ns,
                broadcast_ns,
                bare_ns,
                leave_ns,
            ] {
                write!(f, " | {:>22}", text(spread))?;
            }
            writeln!(f)?;
        }
        let (Some(first), Some(last)) = (self.sizes.first(), self.sizes.last()) else {
            return Ok(());
        };
        let bytes = last.bytes_per_member.median;
        let flatness = last.broadcast_ns.median / first.broadcast_ns.median;
        let bare = last.bare_ns.median / first.bare_ns.median;
        writeln!(f)?;
        writeln!(
            f,
            "room state of each of {}: {bytes:.0} bytes, goal {BYTES_GOAL:.0}: {}",
            last.members,
            verdict(bytes <= BYTES_GOAL)
        )?;
        writeln!(
            f,
            "a broadcast costs a member {flatness:.2} times as much in a room of {} as of {} (bare loop: {bare:.2}), goal {FLATNESS_GOAL}: {}",
            last.members,
            first.members,
            verdict(flatness <= FLATNESS_GOAL)
        )
    }
}

fn verdict(reached: bool) -> &'static str {
    if reached { "reached" } else { "not reached" }
}

fn text(spread: &Spread) -> String {
    format!("{:.1} ({:.1}..{:.1})", spread.median, spread.min, spread.max)
}
