//! One call, by the way in that chance has drawn: in process at one of two apps, or over REST.

use awc::http::Method;
use serde_json::Value;

use crate::town::{Keyed, Person, Town};

/// What somebody asks for: a method, and its data, as over a socket.
#[derive(Clone)]
pub struct Call {
    pub who: Person,
    pub method: String,
    pub data: Value,
    pub key: Option<String>,
    pub if_match: Option<i64>,
}

/// By which way it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Straight to this app.
    App(usize),
    Rest,
}

/// The answer, or the word of the problem and its detail.
pub type Answered = Result<Value, (String, String)>;

impl Call {
    pub fn new(who: &Person, method: &str, data: Value) -> Self {
        Self { who: who.clone(), method: method.to_owned(), data, key: None, if_match: None }
    }

    /// The same as a request.
    fn request(&self) -> (Method, String, Value) {
        let mut data = self.data.clone();
        let mut take = |name: &str| {
            let taken = data.as_object_mut().unwrap().remove(name);
            taken.and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
        };
        let (method, path) = match self.method.as_str() {
            "order.create" => (Method::POST, "/v1/orders".to_owned()),
            "order.update" => (Method::PATCH, format!("/v1/orders/{}", take("order"))),
            "order.prep" => (Method::PUT, format!("/v1/orders/{}/prep", take("order"))),
            "order.eta" => (Method::PUT, format!("/v1/orders/{}/eta", take("order"))),
            "order.assign" => (Method::PUT, format!("/v1/orders/{}/driver", take("order"))),
            "order.unassign" => (Method::DELETE, format!("/v1/orders/{}/driver", take("order"))),
            "order.search" => (Method::POST, format!("/v1/orders/{}/offers", take("order"))),
            "order.stop_search" => (Method::DELETE, format!("/v1/orders/{}/offers", take("order"))),
            "offer.accept" => (Method::POST, format!("/v1/offers/{}/accept", take("offer"))),
            "offer.decline" => (Method::POST, format!("/v1/offers/{}/decline", take("offer"))),
            "driver.route" => (Method::PUT, format!("/v1/drivers/{}/route", take("driver"))),
            "driver.duty" => (Method::PUT, format!("/v1/drivers/{}/duty", take("driver"))),
            "driver.delete" => (Method::DELETE, format!("/v1/drivers/{}", take("driver"))),
            "store.pause" => (Method::PUT, format!("/v1/stores/{}/pause", take("store"))),
            "locations" => (Method::POST, "/v1/drivers/me/locations".to_owned()),
            method => {
                let action = method.split_once('.').unwrap().1.to_owned();
                (Method::POST, format!("/v1/orders/{}/{action}", take("order")))
            }
        };
        (method, path, data)
    }

    /// Makes the call.
    pub async fn go(&self, town: &Town<'_>, way: Way) -> Answered {
        let answered = match way {
            Way::App(nth) => self.in_process(town, nth).await,
            Way::Rest => self.over_rest().await,
        };
        let word = match &answered {
            Ok(_) => "ok",
            Err((word, _detail)) => word,
        };
        town.count(&format!("{} {word}", self.method));
        if let Err((word, detail)) = &answered
            && matches!(
                word.as_str(),
                "internal"
                    | "overloaded"
                    | "malformed"
                    | "unauthenticated"
                    | "method_not_allowed"
                    | "no_such_method"
            )
        {
            town.find(format!(
                "{} by {} with {}: {word}: {detail}",
                self.method, self.who.role, self.data
            ));
        }
        answered
    }

    async fn in_process(&self, town: &Town<'_>, nth: usize) -> Answered {
        let mut data = self.data.clone();
        if let Some(key) = &self.key {
            data["idempotency_key"] = key.as_str().into();
        }
        if let Some(version) = self.if_match {
            data["if_match"] = version.into();
        }
        let api = &town.world.apis[nth];
        match api.call(&self.who.principal, &self.method, data).await {
            None => Err(("no_such_method".to_owned(), String::new())),
            Some(answer) => {
                answer.map_err(|problem| (problem.code.word().to_owned(), format!("{problem:?}")))
            }
        }
    }

    async fn over_rest(&self) -> Answered {
        let (method, path, body) = self.request();
        let mut headers = Vec::new();
        if let Some(key) = &self.key {
            headers.push(("idempotency-key", key.as_str()));
        }
        let version = self.if_match.map(|version| format!("\"{version}\""));
        if let Some(version) = &version {
            headers.push(("if-match", version.as_str()));
        }
        let body = body.to_string().into_bytes();
        let answer = self.who.rest.send(method, &path, &headers, body).await;
        match answer.status {
            200..=299 => Ok(answer.body),
            status => {
                let word = answer.body["code"].as_str().unwrap_or("internal").to_owned();
                Err((word, format!("{status} {}", answer.body)))
            }
        }
    }
}

impl Town<'_> {
    /// By which way the next call goes.
    pub fn way(&mut self) -> Way {
        match self.chance.below(10) {
            0 => Way::Rest,
            nth => Way::App(nth % 2),
        }
    }

    /// What became of a call with a key, if its answer is kept: then it is answered so for ever.
    pub async fn note_key(&mut self, call: Call, answered: &Answered) {
        let Some(key) = call.key.clone() else { return };
        let scope = format!("{}:{}", call.who.role, call.who.principal.subject);
        let query = "select count(*) from idempotency_keys
                     where tenant_id = $1 and scope = $2 and key = $3";
        let values: [&(dyn postgres_types::ToSql + Sync); 3] =
            [&self.tenant().uuid(), &scope, &key];
        let count: i64 = self.client.query_one(query, &values).await.unwrap().try_get(0).unwrap();
        let kept = (count == 1).then(|| answered.clone().ok()).flatten();
        if let Some(known) = self.keyed.iter_mut().find(|known| known.call.key == call.key) {
            match (&known.kept, answered) {
                (Some(kept), Ok(answer)) if kept != answer => {
                    let what = format!("{} with {key}: {kept} and then {answer}", call.method);
                    self.findings.borrow_mut().push(what);
                }
                (Some(_), Err(problem)) => {
                    let what = format!("{} with {key}: kept, and then {problem:?}", call.method);
                    self.findings.borrow_mut().push(what);
                }
                (None, _) => known.kept = kept,
                _ => self.count("a repeat answered the same"),
            }
        } else {
            self.keyed.push(Keyed { call, kept });
        }
    }
}
