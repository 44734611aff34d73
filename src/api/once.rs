//! Writes that are asked for under an Idempotency-Key: done once, answered as often as asked.
//!
//! The same key with the same request is answered as the first time; with another one it is
//! refused. What failed kept nothing, and may be tried again. No secret is kept with an answer:
//! each write that shows one makes it again.

use std::time::Duration;

use serde_json::Value;

use super::body::required_text;
use super::{Api, Asked, Problem, ProblemCode};
use crate::auth::{self, Principal};
use crate::domain::Refusal;
use crate::store::{Claim, Database, IdempotencyKey, Kept, Known, Outcome, Target};
use crate::view;

/// The longest key, in bytes.
const KEY_MAX: usize = 255;

/// What a write is answered with, if it is not about one order.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// What there is to say, if there is anything.
    pub body: Option<Value>,
    /// Whether it was made just now.
    pub created: bool,
    /// Whether its key was answered like this before, and nothing was done this time.
    pub replayed: bool,
}

impl Answer {
    pub(super) fn of(body: Value) -> Self {
        Self { body: Some(body), created: false, replayed: false }
    }

    pub(super) fn made((body, created): (Value, bool)) -> Self {
        Self { created, ..Self::of(body) }
    }

    pub(super) const fn nothing() -> Self {
        Self { body: None, created: false, replayed: false }
    }

    fn again(kept: Kept) -> Self {
        Self { body: kept.body, created: kept.created, replayed: true }
    }

    fn kept(&self) -> Kept {
        Kept { created: self.created, body: self.body.clone() }
    }

    /// Takes a member out of the body: what is kept with an answer, and not shown.
    pub(super) fn take(&mut self, name: &str) -> Option<Value> {
        self.body.as_mut().and_then(Value::as_object_mut).and_then(|body| body.remove(name))
    }

    /// Puts a member into the body.
    pub(super) fn put(&mut self, name: &str, value: Value) {
        if let Some(body) = self.body.as_mut().and_then(Value::as_object_mut) {
            body.insert(name.to_owned(), value);
        }
    }
}

/// What is asked, to tell a repetition from another request: the method's name, of what, and the
/// body. The same over REST and over a socket.
pub(super) type Request<'a> = (&'a str, &'a str, &'a Value);

impl Asked {
    /// The key of the request, checked.
    pub(super) fn key(&self) -> Result<Option<String>, Problem> {
        let key = self.idempotency_key.clone();
        key.map(|key| required_text("Idempotency-Key", key, KEY_MAX)).transpose()
    }

    /// The key and what it came with.
    pub(super) fn idempotency(
        &self,
        (method, target, body): Request<'_>,
    ) -> Result<Option<IdempotencyKey>, Problem> {
        let Some(key) = self.key()? else { return Ok(None) };
        let request_hash = auth::hash(&format!("{method} {target} {body}"));
        Ok(Some(IdempotencyKey { key, request_hash }))
    }

    pub(super) fn claim(&self, request: Request<'_>) -> Result<Option<Claim>, Problem> {
        let (tenant, by) = (self.principal.tenant, self.principal.actor());
        Ok(self.idempotency(request)?.map(|key| Claim { tenant, by, key }))
    }
}

impl Api {
    /// Does a write that is not the writer's: once, if it comes with a key. `write` is given the
    /// database that it is to change by; what it reads and checks before it asks of another.
    pub(super) async fn once(
        &self,
        asked: &Asked,
        request: Request<'_>,
        write: impl AsyncFnOnce(&Database) -> Result<Answer, Problem>,
    ) -> Result<Answer, Problem> {
        let Some(claim) = asked.claim(request)? else { return write(&self.database).await };
        if let Some(answer) = self.recall(&claim).await? {
            return Ok(answer);
        }
        let apart = self.database.apart();
        match write(&apart).await {
            Ok(answer) => {
                if apart.keep(&claim, &answer.kept()).await? {
                    return Ok(answer);
                }
                // Somebody was faster, with the same key; what this one did is taken back.
                self.recall(&claim).await?.ok_or_else(Problem::overloaded)
            }
            Err(problem) => {
                apart.take_back().await?;
                // It may be their doing that it cannot be done now.
                self.recall(&claim).await?.ok_or(problem)
            }
        }
    }

    /// Does what no transaction reaches: once, if it comes with a key, and by nobody else within
    /// `lease`, unless it is known to have ended.
    pub(super) async fn once_elsewhere(
        &self,
        claim: Option<Claim>,
        lease: Duration,
        write: impl AsyncFnOnce() -> Result<Answer, Problem>,
    ) -> Result<Answer, Problem> {
        let Some(claim) = claim else { return write().await };
        if !self.database.claim(&claim, lease).await? {
            return self.recall(&claim).await?.ok_or_else(Problem::overloaded);
        }
        let answer = write().await?;
        self.database.answer(&claim, &answer.kept()).await?;
        Ok(answer)
    }

    /// What the key was answered before.
    pub(super) async fn recall(&self, claim: &Claim) -> Result<Option<Answer>, Problem> {
        match self.database.find_known(claim).await? {
            None => Ok(None),
            Some(Known::Answered(kept)) => Ok(Some(Answer::again(kept))),
            Some(Known::Reused) => {
                Err(Problem::refused(Refusal::IdempotencyKeyReused, None, &claim.by))
            }
            Some(Known::UnderWay(left)) => {
                let detail = "a request with this Idempotency-Key is being carried out";
                let mut problem = Problem::new(ProblemCode::IdempotencyKeyInUse, detail);
                problem.retry_after = Some(left.min(Duration::from_secs(1)));
                Err(problem)
            }
        }
    }

    /// Has the writer do what is about a store, a courier or a right, and answers what became of
    /// it.
    pub(super) async fn write_party(
        &self,
        asked: &Asked,
        request: Request<'_>,
        target: Target,
    ) -> Result<Answer, Problem> {
        let idempotency = asked.idempotency(request)?;
        let outcome = self.submit(&asked.principal, idempotency, target).await?;
        party_answer(outcome, &asked.principal)
    }
}

fn party_answer(outcome: Outcome, principal: &Principal) -> Result<Answer, Problem> {
    match outcome {
        Outcome::Driver(driver) => Ok(Answer::of(view::driver(&driver))),
        Outcome::Store(store) => Ok(Answer::of(view::store(&store))),
        Outcome::Routed(stops) => Ok(Answer::of(view::tour(&stops))),
        Outcome::Ended => Ok(Answer::nothing()),
        Outcome::Answered(kept) => Ok(Answer::again(kept)),
        Outcome::Refused(refusal, _) => Err(Problem::refused(refusal, None, &principal.actor())),
        Outcome::Placed(_)
        | Outcome::Changed(_)
        | Outcome::Repeated(_)
        | Outcome::Replayed { .. } => {
            Err(Problem::new(ProblemCode::Internal, "an order's outcome"))
        }
    }
}
