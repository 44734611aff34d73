//! A server of ordercast's own protocol rooms with free channels and a memory instead of a log,
//! as the SDKs' own suites expect one. No database, no orders: `session`, `hub` and `protocol`
//! are what is tried here.

mod channel;
mod memory;
mod note;
mod panel;
mod server;
mod token;

pub use server::{Server, Settings};
