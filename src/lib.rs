//! ordercast tracks orders live: one durable log in PostgreSQL, heard by every socket within
//! milliseconds. The README's Architecture section is the map; each room's head says what it is
//! for and what it does not do.

pub mod api;
pub mod app;
pub mod auth;
pub mod channels;
pub mod cli;
pub mod config;
pub mod dashboard;
pub mod docs;
pub mod domain;
pub mod embedded;
pub mod feed;
pub mod frame;
pub mod http;
pub mod hub;
pub mod jwks;
pub mod locations;
pub mod presence;
pub mod protocol;
pub mod server;
pub mod session;
pub mod store;
pub mod telemetry;
pub mod timers;
pub mod tls;
pub mod view;
pub mod webhooks;
pub mod wire;
