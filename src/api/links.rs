//! Tracking links: addresses under which one order can be seen by whoever has them.
//!
//! A link is a credential: it is revoked as a token is, and with it end its sockets. Its bearer is
//! a customer of that one order who may only look. What it shows depends on how long the order
//! has been over, by the database's clock, and is judged anew at each request and each connect.

use std::time::Duration;

use futures::future::try_join_all;
use jiff::Timestamp;
use rand::Rng as _;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::body::parse;
use super::orders::order_id;
use super::{Answer, Api, Asked, Problem, ProblemCode, audience, only};
use crate::auth::{self, Principal, is_link_token};
use crate::domain::{CredentialId, LinkTerm, Order, Role};
use crate::store::{FoundLink, Link};
use crate::view::{self, stamp};

/// How long a link is to last.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LinkBody {
    /// Hours after the order's end, up to `links.ttl_max_h`; as the tenant has it if nothing is said.
    #[schema(minimum = 1)]
    ttl_h: Option<u32>,
}

/// What a link shows of its order.
#[derive(Debug, Clone, PartialEq)]
pub struct Tracked {
    /// The order as the bearer may see it.
    pub body: Value,
    /// Changes with the body, and with nothing else.
    pub tag: String,
    /// Whether the order goes on, so that it is worth looking again.
    pub is_open: bool,
    /// When it was read, by the database's clock.
    pub at: Timestamp,
}

fn link_ended() -> Problem {
    Problem::new(ProblemCode::LinkEnded, "this link shows nothing any more")
}

/// Whole hours.
const HOUR_S: u64 = 3_600;

fn shown(link: &Link, order: &Order) -> Value {
    let ends_at = order.ended_at().map(|ended| stamp(ended + link.ttl));
    json!({
        "id": link.id.to_string(),
        "order": order.id.to_string(),
        "ttl_h": link.ttl.as_secs() / HOUR_S,
        "ends_at": ends_at,
        "created_at": stamp(link.created_at),
    })
}

impl Api {
    /// Makes a link. Its token is shown here, and again to the same key as long as the secret that
    /// made it is known; to nobody else.
    pub async fn create_link(
        &self,
        asked: &Asked,
        order: &str,
        body: Value,
    ) -> Result<Answer, Problem> {
        let principal = &asked.principal;
        // Not for dispatchers: it shows the PIN, which is the customer's alone.
        only(principal, &[Role::Platform])?;
        let id = order_id(order)?;
        let given = body.clone();
        let body: LinkBody = parse(body)?;
        let longest = self.config.links.ttl_max_h;
        let ttl_h = match body.ttl_h {
            None => None,
            Some(hours) if (1..=longest).contains(&hours) => i32::try_from(hours).ok(),
            Some(_) => return Err(Problem::field("ttl_h", format!("must be 1 to {longest}"))),
        };
        let (_position, sheet) = self.visible_order(principal, id).await?;
        let link = CredentialId::new();
        let hash = auth::hash(&self.keys.link_token(link));
        let most = self.config.links.per_order_max;
        let whose = (principal.tenant, id);
        let request = ("link.create", &*id.to_string(), &given);
        let answer = self.once(asked, request, async |database| {
            let Some(link) = database.insert_link(whose, (link, &hash), ttl_h, most).await? else {
                let count = self.database.list_links(principal.tenant, id).await?.len();
                if u32::try_from(count).is_ok_and(|count| count < most) {
                    return Err(link_ended());
                }
                let detail = format!("the order has {most} links already; revoke one first");
                return Err(Problem::new(ProblemCode::Validation, detail));
            };
            Ok(Answer::made((shown(&link, &sheet.order), true)))
        });
        self.with_token(principal, answer.await?).await
    }

    /// The answer with the token of the link that was made. It is derived again; by another secret
    /// than the first time it is another token, that opens nothing, and is not shown.
    async fn with_token(
        &self,
        principal: &Principal,
        mut answer: Answer,
    ) -> Result<Answer, Problem> {
        let id = answer.body.as_ref().and_then(|body| body.get("id")).and_then(Value::as_str);
        let Some(Ok(id)) = id.map(str::parse::<CredentialId>) else { return Ok(answer) };
        for token in self.keys.link_tokens(id) {
            let is_its_own = !answer.replayed || {
                let found = self.database.find_link(&auth::hash(&token)).await?;
                found.is_some_and(|link| (link.tenant, link.id) == (principal.tenant, id))
            };
            if is_its_own {
                answer.put("url", format!("/t/{token}").into());
                answer.put("token", token.into());
                break;
            }
        }
        Ok(answer)
    }

    /// An order's links that are not revoked, without their tokens: `{"links":[…]}`.
    pub async fn list_links(&self, principal: &Principal, order: &str) -> Result<Value, Problem> {
        only(principal, &[Role::Platform, Role::Ops])?;
        let (_position, sheet) = self.visible_order(principal, order_id(order)?).await?;
        let links = self.database.list_links(principal.tenant, sheet.order.id).await?;
        let links: Vec<Value> = links.iter().map(|link| shown(link, &sheet.order)).collect();
        Ok(json!({"links": links}))
    }

    /// Revokes one link of an order, or all. This process refuses them from now on, the others
    /// once they hear; sockets that stand on them are closed. As with tokens it is not told whether
    /// there was one, and asking again changes nothing.
    pub async fn revoke_links(
        &self,
        asked: &Asked,
        order: &str,
        link: Option<&str>,
    ) -> Result<Answer, Problem> {
        let principal = &asked.principal;
        only(principal, &[Role::Platform, Role::Ops])?;
        let wanted = link.map(str::parse::<CredentialId>);
        let wanted = wanted.transpose().map_err(|_| Problem::not_found())?;
        let (_position, sheet) = self.visible_order(principal, order_id(order)?).await?;
        let links = self.database.list_links(principal.tenant, sheet.order.id).await?;
        let ids = links.iter().map(|link| link.id);
        let ids = ids.filter(|id| wanted.is_none_or(|wanted| *id == wanted));
        let ids: Vec<CredentialId> = ids.collect();
        let what = format!("{order} {}", link.unwrap_or_default());
        // Revoking is the writer's, and done twice it is done once: only the answer is kept.
        self.once(asked, ("link.revoke", &what, &Value::Null), async |_database| {
            try_join_all(ids.iter().map(|id| self.revoke(principal, *id))).await?;
            Ok(Answer::nothing())
        })
        .await
    }

    /// What the link with this token shows. One that was never made, or is forgotten, is not found;
    /// one that was revoked or whose time is over has ended.
    pub async fn track(&self, token: &str) -> Result<Tracked, Problem> {
        let (link, principal) = self.find_link(token).await?;
        let principal = principal.ok_or_else(link_ended)?;
        self.limits.admit(&principal, false)?;
        let body = view::order(&link.sheet, audience(&principal));
        let digest = auth::hash(&body.to_string());
        let digest = digest.iter().take(8).map(|byte| format!("{byte:02x}"));
        let tag = format!("{}-{}", link.sheet.order.version, digest.collect::<String>());
        let is_open = link.sheet.order.ended_at().is_none();
        Ok(Tracked { body, tag, is_open, at: link.at })
    }

    /// Whom a link's token speaks for. One that shows nothing any more is answered like one that
    /// never was.
    pub(super) async fn link_bearer(&self, token: &str) -> Result<Principal, Problem> {
        let found = self.find_link(token).await;
        let found = found.map_err(|problem| {
            if problem.code == ProblemCode::NotFound { Problem::unauthenticated() } else { problem }
        });
        found?.1.ok_or_else(Problem::unauthenticated)
    }

    /// A link, and its bearer unless it has ended.
    async fn find_link(&self, token: &str) -> Result<(FoundLink, Option<Principal>), Problem> {
        if !is_link_token(token) {
            return Err(Problem::not_found());
        }
        let found = self.database.find_link(&auth::hash(token)).await?;
        let link = found.ok_or_else(Problem::not_found)?;
        let term = LinkTerm { full: self.config.links.full_view_s.get(), ttl: link.ttl };
        let ended = link.sheet.order.ended_at();
        let is_revoked = link.is_revoked || self.revoked.contains(link.tenant, link.id);
        let view = term.view_at(ended, link.at).filter(|_| !is_revoked);
        let principal = view.map(|(view, lasts)| Principal {
            tenant: link.tenant,
            role: Role::Customer,
            subject: link.id.to_string(),
            orders: vec![link.sheet.order.id],
            info: None,
            credential: link.id,
            expires_at: Some(self.now() + if ended.is_none() { spread(lasts) } else { lasts }),
            link: Some(view),
        });
        Ok((link, principal))
    }
}

/// Somewhere in the second half, so that those who came together after a restart do not all come
/// back at once.
fn spread(lasts: Duration) -> Duration {
    lasts.mul_f64(rand::rng().random_range(0.5..=1.0))
}
