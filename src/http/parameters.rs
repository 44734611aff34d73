//! Parameters as the document shows them. What reads them stands in [`crate::api`]; the behaviour
//! tests hold both against each other.

use utoipa::IntoParams;

use crate::view::schema::{Leg, Status};

/// The condition of a change of an order.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "only a description")]
pub(super) struct Conditions {
    /// Only if the order has this version: the number, bare or as an `ETag`, or `*` for any.
    #[param(
        rename = "If-Match",
        required = false,
        pattern = r#"^(\*|(W/)?"[0-9]{1,18}"|[0-9]{1,18})$"#
    )]
    if_match: String,
}

/// What the caller has already.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "only a description")]
pub(super) struct IfNew {
    /// `ETag`s of earlier answers.
    #[param(rename = "If-None-Match", required = false)]
    if_none_match: String,
}

/// Which orders to list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only a description")]
pub(super) struct OrdersQuery {
    /// In one of these.
    #[param(style = Form, explode = false, required = false)]
    status: Vec<Status>,
    /// Whose courier stands in one of these.
    #[param(style = Form, explode = false, required = false)]
    leg: Vec<Leg>,
    /// Of this store.
    #[param(required = false, value_type = crate::view::schema::StoreId)]
    store: String,
    /// Of this courier.
    #[param(required = false, value_type = crate::view::schema::DriverId)]
    driver: String,
    /// By the platform's name for it.
    #[param(min_length = 1, max_length = 128, required = false)]
    external_id: String,
    /// Placed then or later.
    #[param(required = false, format = DateTime)]
    placed_from: String,
    /// Placed before.
    #[param(required = false, format = DateTime)]
    placed_to: String,
    /// Changed then or later.
    #[param(required = false, format = DateTime)]
    updated_since: String,
    /// Of this tour; not for stores.
    #[param(required = false, value_type = crate::view::schema::BatchId)]
    batch: String,
    /// Whether it was told to be late with something.
    #[param(required = false)]
    late: bool,
    /// At most so many, up to `api.page_len_max`.
    #[param(minimum = 1, required = false)]
    limit: u32,
    /// The `next` of the page before.
    #[param(required = false)]
    cursor: String,
}

/// Which page of a list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only a description")]
pub(super) struct PageQuery {
    /// At most so many, up to `api.page_len_max`.
    #[param(minimum = 1, required = false)]
    limit: u32,
    /// The `next` of the page before.
    #[param(required = false)]
    cursor: String,
}

/// Which stores or couriers to list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only a description")]
pub(super) struct PartiesQuery {
    /// By the platform's name for it.
    #[param(min_length = 1, max_length = 128, required = false)]
    external_id: String,
    /// At most so many, up to `api.page_len_max`.
    #[param(minimum = 1, required = false)]
    limit: u32,
    /// The `next` of the page before.
    #[param(required = false)]
    cursor: String,
}

/// Which events to read.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only a description")]
pub(super) struct EventsQuery {
    /// Those after this position.
    #[param(minimum = 0, required = false)]
    after: u64,
    /// At most so many, up to `api.events_len_max`.
    #[param(minimum = 1, required = false)]
    limit: u32,
    /// Only these types.
    #[param(style = Form, explode = false, required = false)]
    types: Vec<String>,
}

/// How long to wait for the first event.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only a description")]
pub(super) struct WaitQuery {
    /// Seconds of long poll, cut to `api.long_poll_max_s`.
    #[param(minimum = 0, required = false)]
    wait: u64,
}

/// Where a replay goes on.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only a description")]
pub(super) struct ReplayQuery {
    /// After this position.
    #[param(minimum = 0)]
    after: u64,
}

/// Which part of a courier's way.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "read by the document alone")]
pub(super) struct TrailQuery {
    /// From then on, by its device; an hour before `to` by default.
    #[param(required = false, format = DateTime)]
    from: String,
    /// Up to before then, by its device; now by default.
    #[param(required = false, format = DateTime)]
    to: String,
    /// At most so many, up to `locations.trail_page_max`.
    #[param(minimum = 1, required = false)]
    limit: u32,
    /// The `next` of the page before.
    #[param(required = false)]
    cursor: String,
}

/// How to list couriers: by name, or by where they are.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "read by the document alone")]
pub(super) struct DriversQuery {
    /// By the platform's name for it.
    #[param(min_length = 1, max_length = 128, required = false)]
    external_id: String,
    /// At most so many, up to `api.page_len_max`; with `near` up to `locations.near_max`.
    #[param(minimum = 1, required = false)]
    limit: u32,
    /// The `next` of the page before; not with `near`.
    #[param(required = false)]
    cursor: String,
    /// `lat,lng`: those around there, the nearest first.
    #[param(example = "52.52,13.405", required = false)]
    near: String,
    /// How far from there, in metres, up to `locations.radius_max_m`; 5000 by default.
    #[param(minimum = 1, maximum = 200_000, required = false)]
    radius: f64,
}
