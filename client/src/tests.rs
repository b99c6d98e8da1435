//! The client against a server that follows a script: in memory for what happens on a connection, over real sockets for
//! opening one.

mod calls;
mod conversations;
mod events;
mod heartbeat;
mod login;
mod peer;
mod reconnecting;
mod rooms;
mod transports;
