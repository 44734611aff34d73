//! Orders: asking for them, changing them, looking at them.

use rand::Rng as _;
use serde_json::{Value, json};

use super::body::{
    ActionBody, EtaBody, OrderBody, PatchBody, moment, optional_text, parse, required_text, word,
};
use super::{Api, Cursor, Problem, ProblemCode, audience, only};
use crate::auth::{self, Principal};
use crate::domain::{
    Action, Command, Draft, Fulfilment, Leg, OrderId, Patch, Promise, ReasonCode, Role, Status,
    Undeliverable, Word as _,
};
use crate::store::{Change, IdempotencyKey, OrderFilter, Outcome, Scope, Target};
use crate::view::{self, Sheet};

/// Characters of a short code: none that are mistaken for each other when read out.
const SHORT_CODE: &[u8] = b"23456789ABCDEFGHJKLMNPQRSTUVWXYZ";

/// Who asks, and under which conditions.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Who.
    pub principal: Principal,
    /// Under which key the answer is kept.
    pub idempotency_key: Option<String>,
    /// Only if the order has this version.
    pub if_match: Option<i64>,
}

/// What a change of an order is answered with.
#[derive(Debug, Clone, PartialEq)]
pub struct OrderAnswer {
    /// The order as the caller may see it.
    pub body: Value,
    /// Its version.
    pub version: i64,
    /// Whether it was made just now.
    pub created: bool,
    /// Whether its key was answered like this before, and nothing was done this time.
    pub replayed: bool,
}

/// What to list; the raw query, checked by [`Api::list_orders`].
pub type ListQuery = Vec<(String, String)>;

pub(super) fn number<N: std::str::FromStr>(field: &str, text: &str) -> Result<N, Problem> {
    text.parse().map_err(|_| Problem::field(field, "is not a whole number in range"))
}

/// A position, or a number of seconds: as large as the database can hold.
pub(super) fn whole(field: &str, text: &str) -> Result<u64, Problem> {
    let given: i64 = number(field, text)?;
    u64::try_from(given).map_err(|_| Problem::field(field, "is not a whole number in range"))
}

pub(super) fn order_id(text: &str) -> Result<OrderId, Problem> {
    text.parse().map_err(|_| Problem::not_found())
}

impl Api {
    /// Makes an order, or finds the one made by the same request before.
    pub async fn create_order(&self, asked: &Asked, body: Value) -> Result<OrderAnswer, Problem> {
        self.change(&asked.principal, placing(asked, body)?).await
    }

    /// Does `action` to an order; `name` is the action's word, as in the path.
    pub async fn act(
        &self,
        asked: &Asked,
        order: &str,
        action: &str,
        body: Value,
    ) -> Result<OrderAnswer, Problem> {
        let answer = self.change(&asked.principal, acting(asked, order, action, body)?).await?;
        if action == Action::Erase.word() {
            self.has_forgotten().await?;
        }
        Ok(answer)
    }

    pub(super) async fn change(
        &self,
        principal: &Principal,
        change: Change,
    ) -> Result<OrderAnswer, Problem> {
        order_answer(self.writer.submit(change).await?, principal)
    }

    /// Has the writer do what is not about one order.
    pub(super) async fn submit(
        &self,
        principal: &Principal,
        idempotency: Option<IdempotencyKey>,
        target: Target,
    ) -> Result<Outcome, Problem> {
        let change = Change {
            tenant: principal.tenant,
            by: principal.actor(),
            target,
            idempotency,
            if_match: None,
            occurred_at: None,
            place: None,
        };
        Ok(self.writer.submit(change).await?)
    }

    /// One order as the caller may see it.
    pub async fn get_order(
        &self,
        principal: &Principal,
        order: &str,
    ) -> Result<OrderAnswer, Problem> {
        let sheet = self.visible_order(principal, order_id(order)?).await?.1;
        Ok(answer(&sheet, principal, false))
    }

    /// The order and the position it was read at, if the caller may see it.
    pub async fn visible_order(
        &self,
        principal: &Principal,
        id: OrderId,
    ) -> Result<(u64, Sheet), Problem> {
        let found = self.database.find_order(principal.tenant, id).await?;
        let (position, sheet) = found.ok_or_else(Problem::not_found)?;
        let order = &sheet.order;
        let visible = match principal.role {
            Role::Platform | Role::Ops => true,
            Role::Store => principal.store() == Some(order.store),
            Role::Driver => order.driver.is_some() && principal.driver() == order.driver,
            Role::Customer => principal.orders.contains(&order.id),
            Role::System => false,
        };
        if visible { Ok((position, sheet)) } else { Err(Problem::not_found()) }
    }

    /// A page of orders: `{"orders":[…],"next":"…"}`.
    pub async fn list_orders(
        &self,
        principal: &Principal,
        query: &ListQuery,
    ) -> Result<Value, Problem> {
        let scope = match principal.role {
            Role::Platform | Role::Ops => Scope::Tenant,
            Role::Store => Scope::Store(principal.store().ok_or_else(Problem::not_found)?),
            Role::Driver => Scope::Driver(principal.driver().ok_or_else(Problem::not_found)?),
            Role::Customer | Role::System => return Err(Problem::role_not_allowed()),
        };
        let mut filter = OrderFilter::default();
        let mut limit = self.config.api.page_len_default;
        for (name, value) in query {
            match name.as_str() {
                "status" => {
                    let words = value.split(',').map(|text| word::<Status>("status", text));
                    filter
                        .statuses
                        .get_or_insert_default()
                        .extend(words.collect::<Result<Vec<_>, _>>()?);
                }
                "leg" => {
                    let words = value.split(',').map(|text| word::<Leg>("leg", text));
                    filter
                        .legs
                        .get_or_insert_default()
                        .extend(words.collect::<Result<Vec<_>, _>>()?);
                }
                "store" => filter.store = Some(id("store", value)?),
                "driver" => filter.driver = Some(id("driver", value)?),
                "external_id" => {
                    filter.external_id = Some(required_text("external_id", value.clone(), 128)?);
                }
                "placed_from" => filter.placed_from = Some(moment(name, value)?),
                "placed_to" => filter.placed_to = Some(moment(name, value)?),
                "updated_since" => filter.updated_since = Some(moment(name, value)?),
                // In which tour an order goes stores are not shown.
                "batch" if principal.role != Role::Store => {
                    filter.batch = Some(id("batch", value)?);
                }
                "late" => {
                    let said = value.parse();
                    filter.late =
                        Some(said.map_err(|_| Problem::field("late", "must be true or false"))?);
                }
                "limit" => limit = self.page_len(number(name, value)?)?,
                "cursor" => {
                    let cursor: Cursor = value
                        .parse()
                        .map_err(|_| Problem::field("cursor", "is not a cursor of ours"))?;
                    filter.before = Some((cursor.at, cursor.id));
                }
                _ => return Err(Problem::field(name.as_str(), "is no parameter of this request")),
            }
        }
        let page = self.database.list_orders(principal.tenant, scope, &filter, limit).await?;
        let seen = audience(principal);
        let orders: Vec<Value> = page.orders.iter().map(|sheet| view::order(sheet, seen)).collect();
        let next = page.next.map(|(at, id)| Cursor { at, id }.to_string());
        Ok(json!({"orders": orders, "next": next}))
    }

    /// The length of a page, within its bound.
    pub(super) fn page_len(&self, asked: u32) -> Result<u32, Problem> {
        let most = self.config.api.page_len_max;
        if (1..=most).contains(&asked) {
            Ok(asked)
        } else {
            Err(Problem::field("limit", format!("must be 1 to {most}")))
        }
    }
}

fn answer(sheet: &Sheet, principal: &Principal, created: bool) -> OrderAnswer {
    let body = view::order(sheet, audience(principal));
    OrderAnswer { body, version: sheet.order.version, created, replayed: false }
}

/// What a change of an order is answered with.
pub(super) fn order_answer(
    outcome: Outcome,
    principal: &Principal,
) -> Result<OrderAnswer, Problem> {
    match outcome {
        Outcome::Placed(sheet) => Ok(answer(&sheet, principal, true)),
        Outcome::Changed(sheet) | Outcome::Repeated(sheet) => Ok(answer(&sheet, principal, false)),
        Outcome::Replayed { sheet, created } => {
            Ok(OrderAnswer { replayed: true, ..answer(&sheet, principal, created) })
        }
        Outcome::Refused(refusal, sheet) => {
            let order = sheet.as_ref().map(|sheet| &sheet.order);
            Err(Problem::refused(refusal, order, &principal.actor()))
        }
        Outcome::Driver(_)
        | Outcome::Store(_)
        | Outcome::Routed(_)
        | Outcome::Ended
        | Outcome::Answered(_) => {
            Err(Problem::new(ProblemCode::Internal, "not an order's outcome"))
        }
    }
}

/// The change that makes an order.
pub(super) fn placing(asked: &Asked, body: Value) -> Result<Change, Problem> {
    let principal = &asked.principal;
    only(principal, &[Role::Platform])?;
    let request_hash = auth::hash(&format!("create {body}"));
    let key = asked.key()?;
    let body: OrderBody = parse(body)?;
    let draft = Box::new(draft(principal, body)?);
    Ok(Change {
        tenant: principal.tenant,
        by: principal.actor(),
        idempotency: key.map(|key| IdempotencyKey { key, request_hash: request_hash.clone() }),
        target: Target::Place { draft, request_hash },
        if_match: asked.if_match,
        occurred_at: None,
        place: None,
    })
}

/// The change that does `action` to an order.
pub(super) fn acting(
    asked: &Asked,
    order: &str,
    action: &str,
    body: Value,
) -> Result<Change, Problem> {
    let principal = &asked.principal;
    let action = Action::find(action).map_err(|_| Problem::not_found())?;
    let id = order_id(order)?;
    let given = body.clone();
    let (command, body) = if action == Action::Update {
        (Command::Update(Box::new(patch(parse(body)?)?)), ActionBody::default())
    } else if action == Action::Eta {
        (Command::Eta(promise(&parse(body)?)?), ActionBody::default())
    } else {
        let body: ActionBody = parse(body)?;
        (command(action, &body)?, body)
    };
    if principal.role == Role::Customer && !principal.orders.contains(&id) {
        return Err(Problem::not_found());
    }
    Ok(Change {
        tenant: principal.tenant,
        by: principal.actor(),
        target: Target::Order { id, command: Box::new(command) },
        idempotency: asked.idempotency((action.word(), &id.to_string(), &given))?,
        if_match: asked.if_match,
        occurred_at: body.occurred_at()?,
        place: body.place()?,
    })
}

pub(super) fn id<T: std::str::FromStr>(field: &str, text: &str) -> Result<T, Problem>
where
    T::Err: std::fmt::Display,
{
    text.parse().map_err(|error: T::Err| Problem::field(field, error.to_string()))
}

fn draft(principal: &Principal, body: OrderBody) -> Result<Draft, Problem> {
    let items = body.items()?;
    let proof_required = body.proof_required()?;
    let fulfilment = match &body.fulfilment {
        Some(text) => word("fulfilment", text)?,
        None => Fulfilment::Delivery,
    };
    let undeliverable = match &body.undeliverable_action {
        Some(text) => word("undeliverable_action", text)?,
        None => Undeliverable::Return,
    };
    let mut rng = rand::rng();
    let needs_pin = proof_required.pin || fulfilment == Fulfilment::Collection;
    let short_code = (0..4)
        .filter_map(|_| SHORT_CODE.get(rng.random_range(0..SHORT_CODE.len())))
        .map(|byte| char::from(*byte))
        .collect();
    Ok(Draft {
        id: OrderId::new(),
        tenant: principal.tenant,
        external_id: required_text("external_id", body.external_id, 128)?,
        store: id("store", &body.store)?,
        short_code,
        fulfilment,
        dropoff: body.dropoff.map(super::body::DropoffBody::dropoff).transpose()?,
        items,
        note: optional_text("note", body.note, 1_000)?,
        window: body.window.map(|window| window.window()).transpose()?,
        undeliverable,
        proof_required,
        pin: needs_pin.then(|| format!("{:04}", rng.random_range(0..10_000))),
        meta: meta(body.meta)?.unwrap_or_else(|| json!({})),
    })
}

/// Largest `meta`, in bytes of its JSON.
const META_MAX: usize = 4_096;

fn meta(meta: Option<serde_json::Map<String, Value>>) -> Result<Option<Value>, Problem> {
    let Some(meta) = meta.map(Value::Object) else { return Ok(None) };
    if meta.to_string().len() > META_MAX {
        return Err(Problem::field("meta", format!("is longer than {META_MAX} bytes")));
    }
    // JSON may hold it, PostgreSQL's jsonb may not.
    if has_nul(&meta) {
        return Err(Problem::field("meta", "must not contain U+0000"));
    }
    Ok(Some(meta))
}

/// Whether U+0000 is in any of its texts or names. It is as deep as JSON is read at most.
fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(values) => values.iter().any(has_nul),
        Value::Object(members) => {
            members.iter().any(|(name, value)| name.contains('\0') || has_nul(value))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

fn patch(body: PatchBody) -> Result<Patch, Problem> {
    let note = body.note.map(|note| optional_text("note", note, 1_000)).transpose()?;
    Ok(Patch {
        note,
        dropoff: body.dropoff.map(super::body::DropoffBody::dropoff).transpose()?,
        window: body.window.map(|window| window.window()).transpose()?,
        meta: meta(body.meta)?,
    })
}

fn promise(body: &EtaBody) -> Result<Promise, Problem> {
    let time = |field: &str, text: &Option<String>| {
        text.as_deref().map(|text| moment(field, text)).transpose()
    };
    Ok(Promise {
        pickup: time("pickup_eta", &body.pickup_eta)?,
        dropoff: time("dropoff_eta", &body.dropoff_eta)?,
        lo: time("lo", &body.lo)?,
        hi: time("hi", &body.hi)?,
    })
}

/// The members that an action takes beside `at`, `lat` and `lng`, and whether it cannot do
/// without the first; nothing for one that has another body, or happens by itself.
pub fn members(action: Action) -> Option<(&'static [&'static str], bool)> {
    let taken: &[&str] = match action {
        Action::Accept => &["prep_min"],
        Action::Prep => &["prep_min", "why"],
        Action::Reject
        | Action::Cancel
        | Action::Fail
        | Action::Return
        | Action::Unassign
        | Action::Drop => &["reason", "note"],
        Action::Pickup | Action::Returned => &["proofs"],
        Action::Deliver | Action::Collect => &["pin", "proofs"],
        Action::Assign => &["driver"],
        Action::Note => &["note"],
        Action::Release
        | Action::Start
        | Action::Ready
        | Action::Unready
        | Action::Redeliver
        | Action::AtStore
        | Action::AtDoor
        | Action::Erase => &[],
        // Details and times have bodies of their own, offers and tours paths; the rest happens by
        // itself.
        Action::Update
        | Action::Eta
        | Action::Search
        | Action::SearchFailed
        | Action::NextRound
        | Action::AcceptOffer
        | Action::DeclineOffer
        | Action::Route
        | Action::Watch
        | Action::Late
        | Action::AddProof => return None,
    };
    let asks = matches!(
        action,
        Action::Prep
            | Action::Reject
            | Action::Cancel
            | Action::Fail
            | Action::Return
            | Action::Drop
            | Action::Assign
            | Action::Note
    );
    Some((taken, asks))
}

/// The command that an action and its body make.
fn command(action: Action, body: &ActionBody) -> Result<Command, Problem> {
    let (taken, _asks) = members(action).ok_or_else(Problem::not_found)?;
    body.only(taken)?;
    body.check_prep_min()?;
    Ok(match action {
        Action::Release => Command::Release,
        Action::Accept => Command::Accept { prep_min: body.prep_min },
        Action::Reject => Command::Reject { reason: body.reason()? },
        Action::Start => Command::Start,
        Action::Ready => Command::Ready,
        Action::Unready => Command::Unready,
        Action::Prep => Command::Prep {
            prep_min: body.prep_min.ok_or_else(|| Problem::field("prep_min", "is required"))?,
            why: body.why()?,
        },
        Action::Pickup => Command::Pickup { proofs: body.proofs()? },
        Action::Deliver => Command::Deliver { pin: body.pin()?, proofs: body.proofs()? },
        Action::Collect => Command::Collect { pin: body.pin()?, proofs: body.proofs()? },
        Action::Cancel => Command::Cancel { reason: body.reason()? },
        Action::Fail => Command::Fail { reason: body.reason()? },
        Action::Return => Command::Return { reason: body.reason()? },
        Action::Returned => Command::Returned { proofs: body.proofs()? },
        Action::Redeliver => Command::Redeliver,
        Action::Assign => {
            let driver = body.driver.as_deref();
            let driver = driver.ok_or_else(|| Problem::field("driver", "is required"))?;
            Command::Assign { driver: id("driver", driver)? }
        }
        Action::Unassign if !body.has_reason() => {
            let note = "unassigned without a reason given".to_owned();
            Command::Unassign { reason: (ReasonCode::Other, Some(note)) }
        }
        Action::Unassign => Command::Unassign { reason: body.reason()? },
        Action::Drop => Command::Drop { reason: body.reason()? },
        Action::AtStore => Command::AtStore,
        Action::AtDoor => Command::AtDoor,
        Action::Note => Command::Note { text: body.text()? },
        Action::Erase => Command::Erase,
        Action::Update
        | Action::Eta
        | Action::Search
        | Action::SearchFailed
        | Action::NextRound
        | Action::AcceptOffer
        | Action::DeclineOffer
        | Action::Route
        | Action::Watch
        | Action::Late
        | Action::AddProof => return Err(Problem::not_found()),
    })
}
