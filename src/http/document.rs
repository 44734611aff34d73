//! The routes of this room, for the document that describes them.

use utoipa::OpenApi;

use super::{bulk, events, health, links, offers, orders, parties, proofs, tenant, webhooks};
use crate::api::answers::{FieldAtFault, ProblemAnswer};
use crate::view::schema::{
    Action, CredentialId, DriverId, DriverOrMe, Leg, LinkToken, OfferId, OfferVerb, OrderId,
    ProofId, Status, StoreId, WebhookId,
};

/// What the handlers say of themselves. A route that is not listed here is found by the behaviour
/// test `every_route_is_documented`.
#[derive(OpenApi, Debug)]
#[openapi(
    paths(
        orders::create,
        orders::list,
        orders::get,
        orders::update,
        orders::prep,
        orders::eta,
        orders::assign,
        orders::unassign,
        orders::act,
        bulk::create,
        bulk::act,
        links::create,
        links::list,
        links::revoke_all,
        links::revoke_one,
        links::track,
        links::peek,
        proofs::add,
        proofs::of_order,
        proofs::picture,
        events::of_order,
        events::of_tenant,
        offers::search,
        offers::stop,
        offers::of_order,
        offers::of_driver,
        offers::answer,
        offers::route,
        offers::locations,
        offers::trail,
        parties::create_store,
        parties::list_stores,
        parties::put_store,
        parties::get_store,
        parties::patch_store,
        parties::delete_store,
        parties::pause,
        parties::create_driver,
        parties::list_drivers,
        parties::put_driver,
        parties::get_driver,
        parties::patch_driver,
        parties::delete_driver,
        parties::duty,
        parties::issue_token,
        parties::revoke_token,
        tenant::get,
        tenant::update,
        webhooks::create,
        webhooks::list,
        webhooks::get,
        webhooks::patch,
        webhooks::delete,
        webhooks::attempts,
        webhooks::rotate,
        webhooks::replay,
        webhooks::ping,
        health::healthz,
        health::readyz,
        health::numbers
    ),
    // Also what only parameters refer to, which are not searched.
    components(schemas(
        ProblemAnswer,
        FieldAtFault,
        OrderId,
        StoreId,
        DriverId,
        DriverOrMe,
        OfferId,
        OfferVerb,
        CredentialId,
        LinkToken,
        WebhookId,
        ProofId,
        Action,
        Status,
        Leg
    ))
)]
pub struct Document;
