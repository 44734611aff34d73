//! Webhooks of a platform's tenant.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::body::parse;
use super::orders::{number, whole};
use super::{Answer, Api, Asked, Problem, ProblemCode, only};
use crate::auth::{self, Principal};
use crate::domain::{EventId, Role, WebhookId};
use crate::store::{Attempt, Delivered, Scope, Webhook, WebhookPatch};
use crate::view::stamp;
use crate::webhooks::{Letter, Secret};

/// Types that one webhook may name, and bytes of one.
const TYPES_MAX: usize = 64;
const TYPE_BYTES: usize = 64;
/// How long an old secret signs beside a new one when the request does not say.
const KEEP_S: u64 = 86_400;

/// An endpoint.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookBody {
    /// Where to post to: a public address over https.
    #[schema(min_length = 1, max_length = 2048)]
    url: String,
    /// The types of events that it wants; all if nothing is said.
    #[schema(min_items = 1, max_items = 64)]
    types: Option<Vec<String>>,
}

/// What to change of a webhook; what is absent stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookPatchBody {
    /// Where to post to: a public address over https.
    #[schema(min_length = 1, max_length = 2048)]
    url: Option<String>,
    /// The types of events that it wants; null for all.
    #[serde(default, deserialize_with = "choice")]
    #[schema(value_type = Option<Vec<String>>, min_items = 1, max_items = 64)]
    types: Option<Choice>,
    /// Whether anything is posted.
    state: Option<State>,
}

/// Whether anything is posted to a webhook.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = WebhookState)]
pub enum State {
    /// It is.
    Enabled,
    /// It is not.
    Disabled,
}

/// How to change a webhook's secret.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RotateBody {
    /// Seconds that the old one signs as well, up to `webhooks.prior_secret_max_s`; a day by default.
    keep_s: Option<u64>,
}

/// The types that a webhook is to want.
#[derive(Debug)]
enum Choice {
    All,
    These(Vec<String>),
}

fn choice<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Choice>, D::Error> {
    let types = Option::deserialize(deserializer)?;
    Ok(Some(types.map_or(Choice::All, Choice::These)))
}

/// The position that a replay goes on after, from the query.
pub fn replay_after(pairs: &[(String, String)]) -> Result<u64, Problem> {
    let mut after = None;
    for (name, value) in pairs {
        match name.as_str() {
            "after" => after = Some(whole(name, value)?),
            _ => return Err(Problem::field(name.as_str(), "is no parameter of this request")),
        }
    }
    after.ok_or_else(|| Problem::field("after", "is required"))
}

fn types(types: Option<Vec<String>>) -> Result<Option<Vec<String>>, Problem> {
    let Some(types) = types else { return Ok(None) };
    if types.is_empty() || types.len() > TYPES_MAX {
        return Err(Problem::field("types", format!("must be 1 to {TYPES_MAX}, or null for all")));
    }
    // Any word, as more types will come.
    let is_word = |text: &str| {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
    };
    for (nth, name) in types.iter().enumerate() {
        let words = name.split_once('.').filter(|_| name.len() <= TYPE_BYTES);
        if !words.is_some_and(|(noun, verb)| is_word(noun) && is_word(verb)) {
            return Err(Problem::field(format!("types[{nth}]"), "is no type, as order.ready"));
        }
    }
    Ok(Some(types))
}

fn view(webhook: &Webhook) -> Value {
    let time = |at: Option<jiff::Timestamp>| at.map(stamp);
    let prior_until = webhook.prior.as_ref().map(|(_, until)| *until);
    let prior_until = prior_until.filter(|until| *until > auth::now());
    json!({
        "id": webhook.id.to_string(),
        "url": webhook.url,
        "types": webhook.types,
        "state": if webhook.enabled { "enabled" } else { "disabled" },
        "reason": webhook.disabled.as_ref().map(|(reason, _)| reason),
        "disabled_at": time(webhook.disabled.as_ref().map(|(_, at)| *at)),
        "position": webhook.cursor,
        "failures": webhook.tries,
        "failing_since": time(webhook.failing_since),
        "next_try_at": time(webhook.next_try_at.filter(|_| webhook.enabled)),
        "prior_secret_until": time(prior_until),
        "created_at": stamp(webhook.created_at),
    })
}

/// What is kept with an answer in place of its secret: enough to know it again.
const SECRET_HASH: &str = "secret_sha256";

fn hash(secret: &Secret) -> Value {
    STANDARD.encode(auth::hash(&secret.text())).into()
}

/// An answer that shows `secret`, as it is to be kept.
fn without(secret: &Secret, webhook: &Webhook, created: bool) -> Answer {
    let mut answer = Answer::made((view(webhook), created));
    answer.put(SECRET_HASH, hash(secret));
    answer
}

fn attempt(attempt: &Attempt) -> Value {
    json!({
        "n": attempt.nth,
        "event": attempt.event.to_string(),
        "position": attempt.position,
        "outcome": attempt.outcome,
        "status": attempt.status,
        "duration_ms": u64::try_from(attempt.duration.as_millis()).unwrap_or(u64::MAX),
        "at": stamp(attempt.at),
    })
}

fn id_of(text: &str) -> Result<WebhookId, Problem> {
    text.parse().map_err(|_| Problem::not_found())
}

impl Api {
    /// Makes a webhook; its secret is shown here and when it is rotated, and never else.
    pub async fn create_webhook(&self, asked: &Asked, body: Value) -> Result<Answer, Problem> {
        let principal = &asked.principal;
        only(principal, &[Role::Platform])?;
        let given = body.clone();
        let body: WebhookBody = parse(body)?;
        let types = types(body.types)?;
        let most = self.config.webhooks.per_tenant_max;
        let whose = (principal.tenant, WebhookId::new());
        let secret = Secret::draw();
        let answer = self.once(asked, ("webhook.create", "", &given), async |database| {
            self.check_url(&body.url).await?;
            let made = database
                .insert_webhook(whose, &body.url, types.as_deref(), secret.bytes(), most)
                .await?;
            let too_many = || {
                let detail = format!("there are {most} webhooks already; delete one first");
                Problem::new(ProblemCode::Validation, detail)
            };
            Ok(without(&secret, &made.ok_or_else(too_many)?, true))
        });
        self.with_secret(principal, answer.await?, &secret).await
    }

    /// The answer with the secret that it showed the first time: `drawn`, if it is the first time;
    /// else the webhook is asked, which may have had others since and know it no more.
    async fn with_secret(
        &self,
        principal: &Principal,
        mut answer: Answer,
        drawn: &Secret,
    ) -> Result<Answer, Problem> {
        let shown = answer.take(SECRET_HASH);
        let mut secret = Some(drawn.clone());
        if answer.replayed {
            let body = answer.body.as_ref();
            let id = body.and_then(|body| body.get("id")).and_then(Value::as_str);
            let webhook = match id.map(id_of).transpose()? {
                Some(id) => self.database.find_webhook(principal.tenant, id).await?,
                None => None,
            };
            let known = webhook.into_iter().flat_map(|webhook| {
                let now = auth::now();
                let prior = webhook.prior.filter(|(_secret, until)| *until > now);
                std::iter::once(webhook.secret).chain(prior.map(|(secret, _until)| secret))
            });
            let mut known = known.map(|bytes| Secret::from_bytes(&bytes));
            secret = known.find(|secret| shown.as_ref() == Some(&hash(secret)));
        }
        if let Some(secret) = secret {
            answer.put("secret", secret.text().into());
        }
        Ok(answer)
    }

    /// Refuses a URL that nothing may be posted to. One whose name cannot be looked up now may be
    /// one later, and is judged each time.
    async fn check_url(&self, url: &str) -> Result<(), Problem> {
        let uri = self.poster.guard().read(url);
        let uri = uri.map_err(|bad| Problem::field("url", bad.to_string()))?;
        if self.poster.may_reach(&uri).await {
            Ok(())
        } else {
            Err(Problem::field("url", crate::webhooks::BadUrl::Private.to_string()))
        }
    }

    /// A page of webhooks: `{"webhooks":[…],"next":"…"}`.
    pub async fn list_webhooks(
        &self,
        principal: &Principal,
        query: &[(String, String)],
    ) -> Result<Value, Problem> {
        only(principal, &[Role::Platform])?;
        let (after, limit) = self.page_of("cursor", query)?;
        let after = after.map(str::parse);
        let after =
            after.transpose().map_err(|_| Problem::field("cursor", "is not a cursor of ours"))?;
        let webhooks = self.database.list_webhooks(principal.tenant, after, limit).await?;
        let full = webhooks.len() >= usize::try_from(limit).unwrap_or(usize::MAX);
        let next = webhooks.last().filter(|_| full).map(|webhook| webhook.id.to_string());
        let webhooks: Vec<Value> = webhooks.iter().map(view).collect();
        Ok(json!({"webhooks": webhooks, "next": next}))
    }

    /// Where a page begins, and how long it is.
    fn page_of<'q>(
        &self,
        from: &str,
        query: &'q [(String, String)],
    ) -> Result<(Option<&'q str>, u32), Problem> {
        let mut page = (None, self.config.api.page_len_default);
        for (name, value) in query {
            match name.as_str() {
                "limit" => page.1 = self.page_len(number(name, value)?)?,
                name if name == from => page.0 = Some(value.as_str()),
                _ => return Err(Problem::field(name.as_str(), "is no parameter of this request")),
            }
        }
        Ok(page)
    }

    /// One webhook.
    pub async fn get_webhook(
        &self,
        principal: &Principal,
        webhook: &str,
    ) -> Result<Value, Problem> {
        Ok(view(&self.webhook(principal, webhook).await?))
    }

    async fn webhook(&self, principal: &Principal, webhook: &str) -> Result<Webhook, Problem> {
        only(principal, &[Role::Platform])?;
        let found = self.database.find_webhook(principal.tenant, id_of(webhook)?).await?;
        found.ok_or_else(Problem::not_found)
    }

    /// Changes what is given of a webhook; one that was disabled can be enabled, and goes on where
    /// it stopped.
    pub async fn patch_webhook(
        &self,
        asked: &Asked,
        webhook: &str,
        body: Value,
    ) -> Result<Answer, Problem> {
        let principal = &asked.principal;
        let request = ("webhook.update", webhook, &body.clone());
        self.once(asked, request, async |database| {
            let known = self.webhook(principal, webhook).await?;
            let body: WebhookPatchBody = parse(body)?;
            if let Some(url) = &body.url {
                self.check_url(url).await?;
            }
            let enabled = body.state.map(|state| matches!(state, State::Enabled));
            if enabled == Some(true) {
                self.check_position(principal, known.cursor).await?;
            }
            let types = body.types.map(|choice| match choice {
                Choice::All => Ok(None),
                Choice::These(chosen) => types(Some(chosen)),
            });
            let patch = WebhookPatch { url: body.url, types: types.transpose()?, enabled };
            let changed = database.update_webhook(principal.tenant, known.id, &patch).await?;
            Ok(Answer::of(view(&changed.ok_or_else(Problem::not_found)?)))
        })
        .await
    }

    /// Forgets a webhook; also again.
    pub async fn delete_webhook(&self, asked: &Asked, webhook: &str) -> Result<Answer, Problem> {
        let principal = &asked.principal;
        only(principal, &[Role::Platform])?;
        let id = id_of(webhook)?;
        self.once(asked, ("webhook.delete", webhook, &Value::Null), async |database| {
            database.delete_webhook(principal.tenant, id).await?;
            Ok(Answer::nothing())
        })
        .await
    }

    /// Gives a webhook a new secret, which is shown; the old one signs as well for `keep_s`.
    pub async fn rotate_webhook(
        &self,
        asked: &Asked,
        webhook: &str,
        body: Value,
    ) -> Result<Answer, Problem> {
        let principal = &asked.principal;
        let request = ("webhook.rotate", webhook, &body.clone());
        let secret = Secret::draw();
        let answer = self.once(asked, request, async |database| {
            let known = self.webhook(principal, webhook).await?;
            let body: RotateBody = parse(body)?;
            let most = self.config.webhooks.prior_secret_max_s.secs();
            let keep_s = body.keep_s.unwrap_or(KEEP_S.min(most));
            if keep_s > most {
                return Err(Problem::field("keep_s", format!("must be 0 to {most}")));
            }
            let (tenant, keep) = (principal.tenant, Duration::from_secs(keep_s));
            let rotated = database.rotate_webhook(tenant, known.id, secret.bytes(), keep).await?;
            Ok(without(&secret, &rotated.ok_or_else(Problem::not_found)?, false))
        });
        self.with_secret(principal, answer.await?, &secret).await
    }

    /// Has a webhook go on after another position of the log: back, to get events again, or
    /// forth, to do without some.
    pub async fn replay_webhook(
        &self,
        asked: &Asked,
        webhook: &str,
        after: u64,
    ) -> Result<Answer, Problem> {
        let principal = &asked.principal;
        let request = ("webhook.replay", webhook, &json!({"after": after}));
        self.once(asked, request, async |database| {
            let known = self.webhook(principal, webhook).await?;
            self.check_position(principal, after).await?;
            let moved = database.replay_webhook(principal.tenant, known.id, after).await?;
            Ok(Answer::of(view(&moved.ok_or_else(Problem::not_found)?)))
        })
        .await
    }

    /// Refuses a position after which the log does not hold everything.
    async fn check_position(&self, principal: &Principal, after: u64) -> Result<(), Problem> {
        let log = self.database.read_missed(principal.tenant, Scope::Tenant, after, 1).await?;
        if after > log.last || after + 1 < log.oldest {
            let detail = format!(
                "the log does not reach from there; replay from {} to {}",
                log.oldest.saturating_sub(1),
                log.last
            );
            return Err(Problem::new(ProblemCode::CursorTooOld, detail));
        }
        Ok(())
    }

    /// What was posted to a webhook, newest first: `{"attempts":[…],"next":"…"}`.
    pub async fn list_webhook_attempts(
        &self,
        principal: &Principal,
        webhook: &str,
        query: &[(String, String)],
    ) -> Result<Value, Problem> {
        let known = self.webhook(principal, webhook).await?;
        let (before, limit) = self.page_of("cursor", query)?;
        let before = before.map(str::parse);
        let before =
            before.transpose().map_err(|_| Problem::field("cursor", "is not a cursor of ours"))?;
        let attempts =
            self.database.list_webhook_attempts(principal.tenant, known.id, before, limit).await?;
        let full = attempts.len() >= usize::try_from(limit).unwrap_or(usize::MAX);
        let next = attempts.last().filter(|_| full).map(|attempt| attempt.nth.to_string());
        let attempts: Vec<Value> = attempts.iter().map(attempt).collect();
        Ok(json!({"attempts": attempts, "next": next}))
    }

    /// Posts one event of no meaning to a webhook, disabled or not, and says what came of it. It
    /// is none of the log: nobody else hears of it, and it is not tried again.
    pub async fn ping_webhook(&self, asked: &Asked, webhook: &str) -> Result<Answer, Problem> {
        let principal = &asked.principal;
        let claim = asked.claim(("webhook.test", webhook, &Value::Null))?;
        if let Some(claim) = &claim
            && let Some(answer) = self.recall(claim).await?
        {
            return Ok(answer);
        }
        let known = self.webhook(principal, webhook).await?;
        let _place = self.pings.try_acquire().map_err(|_full| Problem::overloaded())?;
        // Longer than it can take to post and to note it.
        let settings = (&self.config.webhooks, &self.config.database);
        let lease = settings.0.timeout_ms.get() + settings.1.statement_timeout_ms.get() * 2;
        self.once_elsewhere(claim, lease, async || self.ping(principal, &known).await).await
    }

    async fn ping(&self, principal: &Principal, known: &Webhook) -> Result<Answer, Problem> {
        let event = EventId::new();
        let (id, now) = (event.to_string(), self.now());
        let body = json!({
            "v": 1,
            "id": id,
            "type": "webhook.ping",
            "tenant": principal.tenant.to_string(),
            "at": stamp(now),
            "by": {"role": "system"},
            "data": {"webhook": known.id.to_string()},
        });
        let body = body.to_string();
        let sent = self.poster.line().post(known, Letter { id: &id, body: &body }).await;
        let outcome = sent.outcome.word();
        let ping = Delivered { event, status: sent.status, duration: sent.duration };
        let kept = self.config.webhooks.attempts_max;
        self.database.note_webhook_ping((principal.tenant, known.id), ping, outcome, kept).await?;
        let duration_ms = u64::try_from(sent.duration.as_millis()).unwrap_or(u64::MAX);
        Ok(Answer::of(json!({
            "event": id,
            "outcome": outcome,
            "status": sent.status,
            "duration_ms": duration_ms,
        })))
    }
}
