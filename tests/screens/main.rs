//! The screens in a browser, as people use them: orders and watching, a tablet that rings, taps
//! without a connection, links that are revoked, a board of thousands, and whether everybody can
//! use each page.
//!
//! Needs Chromium with its driver, and axe-core: `npm ci` in tests/browser, where what is finer is
//! tried. `CHROMEDRIVER` names another driver.
//!
//! ```console
//! $ cargo test --test screens
//! ```
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed step should fail the test"
)]
#![expect(unreachable_pub, reason = "pub means that other tests use it")]

mod axe;
mod board;
mod courier;
mod customer;
mod driver;
mod everybody;
mod network;
mod page;
mod stage;
#[path = "../behaviour/support/mod.rs"]
#[allow(dead_code, unused_imports, reason = "the other tests use the rest")]
mod support;
mod tablet;
