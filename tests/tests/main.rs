//! The whole gateway over real sockets: one file for each subject, one binary for all.

mod attributes;
mod backlog_budget;
mod bad_input;
mod closing;
mod command_line;
mod hostile;
mod ingress_budget;
mod leaks;
mod login_guesses;
mod member_events;
mod messages;
mod python_client;
mod quic_addresses;
mod quic_datagrams;
mod quic_restart;
mod quic_workers;
mod resume;
mod room_policies;
mod rooms;
mod sessions;
mod silence;
mod slow_members;
mod tls;
mod user_blocks;
mod workers;
