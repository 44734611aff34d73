//! Many orders in one request: each made or changed, or refused, for itself.
//!
//! All go to the writer together and ride in its batches. There is no all or nothing: one that is
//! refused stands in nobody's way.
//!
//! A key of the whole request is remembered with what the request was, and each item without a key
//! of its own goes by one made of it. So a repetition, also of a request that was cut off half way,
//! does what is yet to be done and answers the rest as before.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::once::Request;
use super::orders::{acting, order_answer, placing};
use super::rpc::{is_unknown_action, required, take, take_version};
use super::{Api, Asked, OrderAnswer, Problem, only};
use crate::auth;
use crate::domain::{Action, Role, Word as _};
use crate::store::{Change, Claim, Kept, WriteError};
use crate::view::schema::OrderId;

/// Orders to place. Its items are read one by one, each as what it is made of.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OrdersBody {
    /// 1 to `api.bulk_items_max`.
    #[schema(min_items = 1)]
    pub orders: Vec<PlacingBody>,
}

/// What is done to orders. Its items are read one by one, each as what it is made of.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BulkBody {
    /// 1 to `api.bulk_items_max`.
    #[schema(min_items = 1)]
    pub items: Vec<ActingBody>,
}

/// What is said of an order to place beside its own body.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PlacingBody {
    /// A key of its own, instead of one by that of the request.
    #[schema(min_length = 1, max_length = 255)]
    pub idempotency_key: Option<String>,
}

/// What is said of an order to change beside the body of the action.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ActingBody {
    /// Which one.
    pub order: OrderId,
    /// A key of its own, instead of one by that of the request.
    #[schema(min_length = 1, max_length = 255)]
    pub idempotency_key: Option<String>,
    /// Only if it has this version.
    pub if_match: Option<i64>,
}

/// What became of each item, in their order.
#[derive(Debug)]
pub struct Bulk {
    /// One for each.
    pub results: Vec<Result<OrderAnswer, Problem>>,
}

impl Bulk {
    /// `{"results":[…]}`, each with its `order` or its `problem`, and the members that the way out
    /// has for it.
    pub fn body(self, more: impl Fn(&Result<OrderAnswer, Problem>) -> Map<String, Value>) -> Value {
        let results = self.results.into_iter().map(|result| {
            let more = more(&result);
            let mut item = Map::new();
            match result {
                Ok(answer) => {
                    item.insert("order".to_owned(), answer.body);
                    item.insert("created".to_owned(), answer.created.into());
                    item.insert("replayed".to_owned(), answer.replayed.into());
                }
                Err(problem) => {
                    item.insert("problem".to_owned(), problem.body());
                }
            }
            item.extend(more);
            Value::Object(item)
        });
        json!({"results": results.collect::<Value>()})
    }

    /// Whether nothing was done by it, as each item was answered before.
    pub fn is_replayed(&self) -> bool {
        self.results.iter().all(|result| result.as_ref().is_ok_and(|answer| answer.replayed))
    }
}

impl Api {
    /// Makes orders: `{"orders":[…]}`, each as the body of one with its `idempotency_key`.
    pub async fn create_orders(&self, asked: &Asked, body: Value) -> Result<Bulk, Problem> {
        only(&asked.principal, &[Role::Platform])?;
        let claim = claim(asked, ("order.bulk_create", "", &body))?;
        let orders = self.items("orders", body)?;
        let key = self.seen(claim).await?;
        let changes = orders.into_iter().enumerate().map(|(nth, mut order)| {
            let asked = item(asked, key.as_deref(), nth, &mut order)?;
            placing(&asked, order)
        });
        self.change_all(asked, changes.collect()).await
    }

    /// Does one action to orders: `{"items":[…]}`, each as the action's body with its `order`,
    /// `idempotency_key` and `if_match`.
    pub async fn act_on_orders(
        &self,
        asked: &Asked,
        action: &str,
        body: Value,
    ) -> Result<Bulk, Problem> {
        if is_unknown_action(action) {
            return Err(Problem::not_found());
        }
        let claim = claim(asked, ("order.bulk", action, &body))?;
        let items = self.items("items", body)?;
        let key = self.seen(claim).await?;
        let changes = items.into_iter().enumerate().map(|(nth, mut body)| {
            let asked = item(asked, key.as_deref(), nth, &mut body)?;
            let order = required(&mut body, "order")?;
            acting(&asked, &order, action, body)
        });
        let bulk = self.change_all(asked, changes.collect()).await?;
        if action == Action::Erase.word() {
            self.has_forgotten().await?;
        }
        Ok(bulk)
    }

    /// The key of the whole request, once it is known to have come with no other.
    async fn seen(&self, claim: Option<Claim>) -> Result<Option<String>, Problem> {
        let Some(claim) = claim else { return Ok(None) };
        if self.recall(&claim).await?.is_none() {
            let seen = Kept { created: false, body: None };
            if !self.database.apart().keep(&claim, &seen).await? {
                self.recall(&claim).await?;
            }
        }
        Ok(Some(claim.key.key))
    }

    fn items(&self, member: &str, mut body: Value) -> Result<Vec<Value>, Problem> {
        let items = body.as_object_mut().and_then(|body| body.remove(member));
        if let Some(unknown) = body.as_object().and_then(|body| body.keys().next()) {
            return Err(Problem::field(unknown.as_str(), "is no member of this request"));
        }
        let most = self.config.api.bulk_items_max;
        match items {
            Some(Value::Array(items)) if (1..=most).contains(&items.len()) => Ok(items),
            _ => Err(Problem::field(member, format!("must be a list of 1 to {most}"))),
        }
    }

    async fn change_all(
        &self,
        asked: &Asked,
        changes: Vec<Result<Change, Problem>>,
    ) -> Result<Bulk, Problem> {
        let (mut asked_for, mut results) = (Vec::new(), Vec::new());
        for change in changes {
            results.push(change.map(|change| asked_for.push(change)));
        }
        let outcomes = self.writer.submit_all(asked_for).await;
        let is_full = |outcome: &Result<_, _>| matches!(outcome, Err(WriteError::Overloaded));
        if !outcomes.is_empty() && outcomes.iter().all(is_full) {
            return Err(Problem::overloaded());
        }
        let mut outcomes = outcomes.into_iter();
        let results = results.into_iter().map(|result| {
            result?;
            let outcome = outcomes.next().ok_or_else(Problem::overloaded)?;
            order_answer(outcome?, &asked.principal)
        });
        Ok(Bulk { results: results.collect() })
    }
}

/// What the key of the whole request stands for.
fn claim(asked: &Asked, request: Request<'_>) -> Result<Option<Claim>, Problem> {
    if asked.if_match.is_some() {
        let detail = "is for one order: give each item its if_match";
        return Err(Problem::field("If-Match", detail));
    }
    asked.claim(request)
}

/// Who asks for one item, and under which conditions; its members for that are taken out.
fn item(asked: &Asked, key: Option<&str>, nth: usize, body: &mut Value) -> Result<Asked, Problem> {
    if !body.is_object() {
        return Err(Problem::field("body", "must be an object"));
    }
    let own = take(body, "idempotency_key")?;
    let if_match = take_version(body)?;
    let idempotency_key = match own {
        Some(own) => Some(own),
        // Of any length, and by no chance one that the caller draws.
        None => key.map(|key| STANDARD.encode(auth::hash(&format!("{nth} of {key}")))),
    };
    Ok(Asked { principal: asked.principal.clone(), idempotency_key, if_match })
}
