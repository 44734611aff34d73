//! The settings of the caller's tenant.

use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::body::{parse, word};
use super::{Answer, Api, Asked, Problem, only};
use crate::auth::Principal;
use crate::domain::{OfferMode, Role, TenantPatch};
use crate::view;

/// What to change of the settings; what is absent or null stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TenantPatchBody {
    /// Seconds a store may think about a new order.
    #[schema(minimum = 10, maximum = 86400)]
    accept_s: Option<i32>,
    /// The last status in which a customer may cancel.
    #[schema(value_type = Option<view::schema::CancelUntil>)]
    customer_cancel_until: Option<String>,
    /// How couriers are asked by themselves; `off` leaves it to dispatchers and the platform.
    #[schema(value_type = Option<view::schema::SearchMode>)]
    offer_mode: Option<String>,
    /// Seconds a courier may think about an offer.
    #[schema(minimum = 15, maximum = 120)]
    offer_s: Option<i32>,
    /// Rounds until a search has failed.
    #[schema(minimum = 1, maximum = 100)]
    offer_rounds: Option<i32>,
    /// Seconds before an order is ready at which its search begins.
    #[schema(minimum = 0, maximum = 7200)]
    search_lead_s: Option<i32>,
    /// Hours after an order's end that its links show it, unless they say otherwise.
    #[schema(minimum = 1, maximum = 8760)]
    link_ttl_h: Option<i32>,
    /// Hours for which the ways of its couriers are kept; 0 keeps none.
    #[schema(minimum = 0, maximum = 8760)]
    location_retention_h: Option<i32>,
    /// Whether new orders go their way by themselves, for tests of an integration.
    robo: Option<bool>,
}

impl TenantPatchBody {
    fn patch(self) -> Result<TenantPatch, Problem> {
        let until = self.customer_cancel_until.as_deref();
        let mode = |text: &str| match text {
            "off" => Ok(None),
            text => word::<OfferMode>("offer_mode", text).map(Some),
        };
        let patch = TenantPatch {
            accept_s: self.accept_s,
            customer_cancel_until: until.map(|it| word("customer_cancel_until", it)).transpose()?,
            robo: self.robo,
            offer_mode: self.offer_mode.as_deref().map(mode).transpose()?,
            offer_s: self.offer_s,
            offer_rounds: self.offer_rounds,
            search_lead_s: self.search_lead_s,
            link_ttl_h: self.link_ttl_h,
            location_retention_h: self.location_retention_h,
        };
        patch.check().map_err(|(field, detail)| Problem::field(field, detail))?;
        Ok(patch)
    }
}

impl Api {
    /// The tenant with its settings: for the platform and dispatchers.
    pub async fn get_tenant(&self, principal: &Principal) -> Result<Value, Problem> {
        only(principal, &[Role::Platform, Role::Ops])?;
        let tenant = self.database.find_tenant(principal.tenant).await?;
        Ok(view::tenant(&tenant.ok_or_else(Problem::not_found)?))
    }

    /// Changes what is given of the tenant's settings.
    pub async fn patch_tenant(&self, asked: &Asked, body: Value) -> Result<Answer, Problem> {
        let principal = &asked.principal;
        only(principal, &[Role::Platform])?;
        let given = body.clone();
        let patch = parse::<TenantPatchBody>(body)?.patch()?;
        self.once(asked, ("tenant.update", "", &given), async |database| {
            let tenant = database.update_tenant(principal.tenant, &patch).await?;
            Ok(Answer::of(view::tenant(&tenant.ok_or_else(Problem::not_found)?)))
        })
        .await
    }
}
