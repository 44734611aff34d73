//! Embedded pages.

use actix_web::web::ServiceConfig;

/// Adds the pages.
pub fn configure(_services: &mut ServiceConfig) {}
