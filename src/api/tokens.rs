//! Tokens for those who act for a platform's tenant.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::body::{parse, required_text, word};
use super::{Api, Problem, ProblemCode, only};
use crate::auth::{Grant, Principal};
use crate::domain::{OrderId, Role};
use crate::view::stamp;

/// Orders one customer's token may name.
const ORDERS_MAX: usize = 10;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenBody {
    kind: String,
    subject: String,
    #[serde(default)]
    orders: Vec<String>,
    ttl_s: Option<u64>,
}

/// A token and when it ends, as answered.
pub type IssuedToken = Value;

impl Api {
    /// Issues a token for a store, courier, customer or dispatcher of the caller's tenant.
    pub async fn issue_token(
        &self,
        principal: &Principal,
        body: Value,
    ) -> Result<IssuedToken, Problem> {
        only(principal, &[Role::Platform])?;
        let body: TokenBody = parse(body)?;
        let role: Role = word("kind", &body.kind)?;
        let subject = required_text("subject", body.subject, 128)?;
        let orders = self.customer_orders(principal, role, &body.orders).await?;
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
        let tenant = principal.tenant;
        let grant = Grant { tenant, role, subject, orders, expires_at };
        let token = self
            .keys
            .issue(&grant, now)
            .map_err(|_| Problem::new(ProblemCode::Internal, "the token could not be signed"))?;
        Ok(json!({
            "token": token,
            "kind": body.kind,
            "subject": grant.subject,
            "expires_at": stamp(expires_at),
        }))
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
