//! Sockets: one session for each, speaking the Centrifuge client protocol.
//!
//! A request for `/connection/websocket` goes through the app like any other; its handler
//! answers 101 and leaves a mark in the response. The upgrade service sees the mark, writes the
//! answer, frees the HTTP buffers, and runs the session on the bare socket: reading commands,
//! while the worker's hub writes what is published. Commands of a session are carried out one at
//! a time, in order.
//!
//! Absent on purpose: a session decides nothing about orders, and nobody but its own task and
//! its worker's hub touches it.

mod channel;
mod handshake;
mod rpc;
mod session;
mod subscribe;
mod upgrade;

pub use handshake::connect;
pub(crate) use upgrade::take_over;
