//! Tokens for those who act for a platform's tenant.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::body::{moment, parse, required_text, word};
use super::{Answer, Api, Asked, Problem, ProblemCode, only};
use crate::auth::{Grant, Info, Principal, SubscriptionGrant, TokenError};
use crate::domain::{CredentialId, OrderId, Role};
use crate::hub::Topic;
use crate::view::stamp;

/// Orders one customer's token may name.
const ORDERS_MAX: usize = 10;

/// Whom a token is to speak for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenBody {
    /// What it is to be: `store`, `driver`, `customer` or `ops`.
    #[schema(value_type = TokenKind)]
    kind: String,
    /// Which one: the id of a store or courier, any name of a customer or dispatcher.
    #[schema(min_length = 1, max_length = 128)]
    subject: String,
    /// The orders that a customer may watch: at least one, unless `channel` is there.
    #[serde(default)]
    #[schema(value_type = Vec<crate::view::schema::OrderId>, max_items = 10)]
    orders: Vec<String>,
    /// Makes it a token for this channel alone, as `order:or_…`; for customers, without `orders`.
    #[schema(pattern = "^order:or_[0-7][0-9a-hjkmnp-tv-z]{25}$")]
    channel: Option<String>,
    /// What others on a channel may know of it: any JSON of at most 1024 bytes.
    info: Option<Value>,
    /// Seconds that it lasts, up to `auth.token_ttl_max_s`.
    #[schema(minimum = 1)]
    ttl_s: Option<u64>,
}

/// Whom a token may speak for.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum TokenKind {
    /// A store.
    Store,
    /// A courier.
    Driver,
    /// A customer.
    Customer,
    /// A dispatcher.
    Ops,
}

/// What a token says, as it is kept with the answer instead of it.
#[derive(Debug, Deserialize)]
struct Granted {
    id: String,
    kind: String,
    subject: String,
    expires_at: String,
    issued_at: String,
    orders: Vec<String>,
    info: Option<Value>,
    channel: Option<String>,
}

impl Api {
    /// Issues a token for a store, courier, customer or dispatcher of the caller's tenant: a
    /// connection token, or with `channel` a subscription token for a customer.
    pub async fn issue_token(&self, asked: &Asked, body: Value) -> Result<Answer, Problem> {
        let principal = &asked.principal;
        only(principal, &[Role::Platform])?;
        let request = ("token.create", "", &body.clone());
        let answer = self.once(asked, request, async |_database| {
            Ok(Answer::made((self.grant(principal, body).await?, true)))
        });
        self.signed(principal, answer.await?)
    }

    /// What a token is to say, as a body without it.
    async fn grant(&self, principal: &Principal, body: Value) -> Result<Value, Problem> {
        let body: TokenBody = parse(body)?;
        let role: Role = word("kind", &body.kind)?;
        let subject = required_text("subject", body.subject, 128)?;
        let channel = match body.channel {
            None => None,
            Some(_) if role != Role::Customer => {
                return Err(Problem::field("channel", "is for customers only"));
            }
            Some(_) if !body.orders.is_empty() => {
                return Err(Problem::field("orders", "must not be there beside channel"));
            }
            Some(channel) => Some(self.order_channel(principal, channel).await?),
        };
        let orders = match &channel {
            None => self.customer_orders(principal, role, &body.orders).await?,
            Some(_) => vec![],
        };
        let info = body.info.as_ref().filter(|info| !info.is_null()).map(|info| {
            let most = Info::MAX_BYTES;
            let too_long = || Problem::field("info", format!("is longer than {most} bytes"));
            Info::new(info).ok_or_else(too_long)
        });
        info.transpose()?;
        match role {
            Role::Ops | Role::Customer => {}
            Role::Store => {
                self.get_store(principal, &subject)
                    .await
                    .map_err(|problem| no_such("subject", problem))?;
            }
            Role::Driver => {
                self.get_driver(principal, &subject)
                    .await
                    .map_err(|problem| no_such("subject", problem))?;
            }
            Role::Platform | Role::System => {
                return Err(Problem::field("kind", "must be store, driver, customer or ops"));
            }
        }
        let settings = &self.config.auth;
        let ttl = body.ttl_s.unwrap_or(settings.token_ttl_default_s.secs());
        let most = settings.token_ttl_max_s.secs();
        if !(1..=most).contains(&ttl) {
            return Err(Problem::field("ttl_s", format!("must be 1 to {most}")));
        }
        let now = self.now();
        let expires_at = now + Duration::from_secs(ttl);
        let mut grant = json!({
            "id": CredentialId::new().to_string(),
            "kind": body.kind,
            "subject": subject,
            "expires_at": stamp(expires_at),
            "issued_at": stamp(now),
            "orders": orders.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "info": body.info,
        });
        if let (Some(channel), Some(grant)) = (channel, grant.as_object_mut()) {
            grant.insert("channel".to_owned(), channel.into());
        }
        Ok(grant)
    }

    /// Signs what was granted, which says all that the token does: signed again it is the same.
    fn signed(&self, principal: &Principal, mut answer: Answer) -> Result<Answer, Problem> {
        let broken = || Problem::new(ProblemCode::Internal, "the token could not be signed");
        let body = answer.body.clone().unwrap_or_default();
        let Granted { id, kind, subject, expires_at, issued_at, orders, info, channel } =
            serde_json::from_value(body).map_err(|_| broken())?;
        let (tenant, info) = (principal.tenant, info.as_ref().and_then(Info::new));
        let id: CredentialId = id.parse().map_err(|_| broken())?;
        let (issued_at, expires_at) =
            (moment("issued_at", &issued_at)?, moment("expires_at", &expires_at)?);
        // Verified as well: what we would not accept ourselves is not handed out.
        let token = match channel {
            None => {
                let orders = orders.iter().map(|order| order.parse()).collect::<Result<_, _>>();
                let (role, orders) = (word("kind", &kind)?, orders.map_err(|_| broken())?);
                let grant = Grant { tenant, role, subject, orders, info, expires_at };
                let token = self.keys.issue_as(id, &grant, issued_at);
                token.and_then(|token| self.keys.verify(&token, issued_at).map(|_| token))
            }
            Some(channel) => {
                let grant = SubscriptionGrant { tenant, subject, channel, info, expires_at };
                let token = self.keys.issue_subscription_as(id, &grant, issued_at);
                token.and_then(|token| {
                    self.keys.verify_subscription(&token, issued_at).map(|_| token)
                })
            }
        };
        for member in ["issued_at", "orders", "info"] {
            answer.take(member);
        }
        answer.put("token", token.map_err(|_: TokenError| broken())?.into());
        Ok(answer)
    }

    /// The channel of an order of the caller's tenant, as it is written.
    async fn order_channel(
        &self,
        principal: &Principal,
        channel: String,
    ) -> Result<String, Problem> {
        let unknown = || Problem::field("channel", "must be order: and the id of an order");
        let id: OrderId = channel
            .strip_prefix("order:")
            .and_then(|order| order.parse().ok())
            .ok_or_else(unknown)?;
        let visible = self.visible_order(principal, id).await;
        visible.map_err(|problem| no_such("channel", problem))?;
        Ok(Topic::Order(id).to_string())
    }

    async fn customer_orders(
        &self,
        principal: &Principal,
        role: Role,
        orders: &[String],
    ) -> Result<Vec<OrderId>, Problem> {
        match (role, orders.len()) {
            (Role::Customer, 1..=ORDERS_MAX) => {}
            (Role::Customer, _) => {
                return Err(Problem::field(
                    "orders",
                    format!("must name 1 to {ORDERS_MAX} orders"),
                ));
            }
            (_, 0) => return Ok(vec![]),
            _ => return Err(Problem::field("orders", "is for customers only")),
        }
        let mut ids = Vec::with_capacity(orders.len());
        for (nth, order) in orders.iter().enumerate() {
            let field = format!("orders[{nth}]");
            let id: OrderId =
                order.parse().map_err(|_| Problem::field(field.as_str(), "no such order"))?;
            let visible = self.visible_order(principal, id).await;
            visible.map_err(|problem| no_such(&field, problem))?;
            ids.push(id);
        }
        Ok(ids)
    }
}

fn no_such(field: &str, problem: Problem) -> Problem {
    if problem.code == ProblemCode::NotFound {
        Problem::field(field, "there is no such thing in this tenant")
    } else {
        problem
    }
}
