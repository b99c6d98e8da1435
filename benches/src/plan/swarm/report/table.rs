//! The figures as text for a terminal.

use std::collections::BTreeMap;
use std::fmt;

use super::{Broadcast, Rise, Storm, SwarmReport};
use crate::crowd::add_counts;
use crate::latencies::{Percentiles, readable};
use crate::report::{Spread, count, kibibytes, nanoseconds, percent, spread};

impl fmt::Display for SwarmReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (settings, hardware) = (&self.settings, &self.hardware);
        writeln!(
            f,
            "swarm over {}: {} processes with {} connections each",
            settings.transport.name(),
            settings.processes,
            settings.connections_each
        )?;
        writeln!(
            f,
            "on {}, {} cores (one for the server), {:.1} GiB, Linux {}; {}",
            hardware.cpu_model,
            hardware.cores,
            hardware.memory_bytes as f64 / f64::from(1 << 30),
            hardware.kernel,
            self.versions.gateway.as_deref().unwrap_or("no gateway")
        )?;
        self.write_coming_in(f)?;
        self.write_being_there(f)?;
        self.write_storms(f)?;
        self.write_memory(f)
    }
}

impl SwarmReport {
    fn write_coming_in(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let members = self.settings.members() as f64;
        writeln!(
            f,
            "\nramp       {} logins in {:.2} s: {}/s on average, {}/s in the busiest second; {} of server CPU each, server busy {}",
            count(members),
            self.ramp.seconds,
            count(members / self.ramp.seconds),
            count(self.ramp.peak_logins_per_second),
            nanoseconds(self.ramp.server_cpu_seconds * 1e9 / members),
            percent(self.ramp.server_busy_percent())
        )?;
        writeln!(f, "           login {}", delays(&self.ramp.login))?;
        writeln!(f, "           failed attempts: {}", causes(&self.ramp.failures))?;
        writeln!(
            f,
            "enter      all in the room in {:.2} s: {}/s; {} of server CPU each; failed attempts: {}",
            self.enter.seconds,
            count(members / self.enter.seconds),
            nanoseconds(self.enter.server_cpu_seconds * 1e9 / members),
            causes(&self.enter.failures)
        )
    }

    fn write_being_there(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hold = &self.hold;
        writeln!(
            f,
            "hold       {:.1} s: server busy {:.1} %; {} pings, {} answered, {}",
            hold.wall_seconds,
            100.0 * hold.server_cpu_seconds / hold.wall_seconds,
            hold.pings_sent,
            hold.pings_answered,
            delays(&hold.ping)
        )?;
        let over = |figure: &dyn Fn(&Broadcast) -> f64| Spread::of(self.broadcasts.iter().map(figure));
        let after = |delay_ns: f64| readable(delay_ns as u64);
        writeln!(
            f,
            "broadcast  {} messages, each to all; median (smallest..largest):",
            self.broadcasts.len()
        )?;
        writeln!(
            f,
            "           first after {}, median after {}, last after {}",
            spread(over(&|broadcast| broadcast.times.first_ns as f64), after),
            spread(over(&|broadcast| broadcast.times.median_ns as f64), after),
            spread(over(&|broadcast| broadcast.times.last_ns as f64), after)
        )?;
        writeln!(
            f,
            "           {} deliveries/s, {} of server CPU each",
            spread(over(&Broadcast::deliveries_per_second), count),
            spread(over(&Broadcast::cpu_nanoseconds_per_delivery), nanoseconds)
        )
    }

    fn write_storms(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let members = self.settings.members() as f64;
        let over = |figure: &dyn Fn(&Storm) -> f64| Spread::of(self.storms.iter().map(figure));
        let of_rise = |figure: fn(&Rise) -> f64| over(&|storm| figure(&storm.rise));
        let window = match self.settings.jitter_window_seconds {
            0 => "all at once".to_owned(),
            seconds => format!("with full jitter over {seconds} s"),
        };
        writeln!(
            f,
            "storm      {} times all lost and back {window}; median (smallest..largest):",
            self.storms.len()
        )?;
        writeln!(
            f,
            "           all back in the room after {} s; {} logins/s on average, {} in the busiest second",
            spread(of_rise(|rise| rise.seconds), |seconds| format!("{seconds:.2}")),
            spread(over(&|storm| members / storm.rise.seconds), count),
            spread(of_rise(|rise| rise.peak_logins_per_second), count)
        )?;
        writeln!(
            f,
            "           server busy {}, {} of its CPU for each who came back",
            spread(of_rise(Rise::server_busy_percent), percent),
            spread(
                over(&|storm| storm.rise.server_cpu_seconds * 1e9 / members),
                nanoseconds
            )
        )?;
        writeln!(
            f,
            "           login p50 {}, p99 {}, max {}",
            spread(of_rise(|rise| rise.login.p50_ns as f64), |ns| readable(ns as u64)),
            spread(of_rise(|rise| rise.login.p99_ns as f64), |ns| readable(ns as u64)),
            spread(of_rise(|rise| rise.login.max_ns as f64), |ns| readable(ns as u64))
        )?;
        let mut failures = BTreeMap::new();
        for storm in &self.storms {
            add_counts(&mut failures, storm.rise.failures.clone());
        }
        writeln!(f, "           failed attempts of all storms: {}", causes(&failures))?;
        let resumed: Option<Vec<_>> = self.storms.iter().map(|storm| storm.resumed).collect();
        if let Some(resumed) = resumed {
            let share = Spread::of(resumed.iter().map(|resumed| 100.0 * *resumed as f64 / members));
            writeln!(f, "           TLS sessions resumed: {}", spread(share, percent))?;
        }
        Ok(())
    }

    fn write_memory(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let resident = &self.resident_bytes;
        let each =
            |bytes: u64| kibibytes(bytes.saturating_sub(resident.before) as f64 / self.settings.members() as f64);
        writeln!(
            f,
            "resident   per connection: {} logged in, {} inside the room, {} after the storms",
            each(resident.logged_in),
            each(resident.inside),
            each(resident.after_storms)
        )
    }
}

fn delays(found: &Percentiles) -> String {
    format!(
        "p50 {}, p99 {}, p99.9 {}, max {}",
        readable(found.p50_ns),
        readable(found.p99_ns),
        readable(found.p999_ns),
        readable(found.max_ns)
    )
}

fn causes(failures: &BTreeMap<String, u64>) -> String {
    if failures.is_empty() {
        return "none".into();
    }
    let each: Vec<_> = failures
        .iter()
        .map(|(cause, times)| format!("{times} × {cause}"))
        .collect();
    each.join(", ")
}
