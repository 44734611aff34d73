//! Every write by name: the RPC methods of a socket, with the bodies of REST.

use serde_json::Value;

use super::{Api, Asked, Problem, may_write};
use crate::auth::Principal;

impl Api {
    /// Calls `method` with `data`: the body of the REST request, and beside its members `order`,
    /// `store` or `driver` instead of the path, `idempotency_key` and `if_match` instead of the
    /// headers. `None` when there is no such method.
    pub async fn call(
        &self,
        principal: &Principal,
        method: &str,
        mut data: Value,
    ) -> Option<Result<Value, Problem>> {
        // One word, as every phone sends it every few seconds.
        let method = if method == "locations" { "driver.locations" } else { method };
        let (noun, verb) = method.split_once('.')?;
        // All of them write.
        if let Err(problem) = may_write(principal) {
            return Some(Err(problem));
        }
        let idempotency_key = match take(&mut data, "idempotency_key") {
            Ok(key) => key,
            Err(problem) => return Some(Err(problem)),
        };
        let if_match = match data.as_object_mut().and_then(|data| data.remove("if_match")) {
            None | Some(Value::Null) => None,
            Some(version) => match version.as_i64() {
                Some(version) => Some(version),
                None => return Some(Err(Problem::field("if_match", "is not a version"))),
            },
        };
        let asked = Asked { principal: principal.clone(), idempotency_key, if_match };
        Some(match (noun, verb) {
            ("order", "create") => self.create_order(&asked, data).await.map(|answer| answer.body),
            ("order", "search") => match required(&mut data, "order") {
                Ok(order) => {
                    self.search_courier(&asked, &order, data).await.map(|answer| answer.body)
                }
                Err(problem) => Err(problem),
            },
            ("order", "stop_search") => match required(&mut data, "order") {
                Ok(order) => self.stop_search(&asked, &order, data).await.map(|answer| answer.body),
                Err(problem) => Err(problem),
            },
            ("offer", verb @ ("accept" | "decline")) => match required(&mut data, "offer") {
                Ok(offer) => self.answer_offer(&asked, &offer, verb, data).await,
                Err(problem) => Err(problem),
            },
            ("driver", "route") => match required(&mut data, "driver") {
                Ok(driver) => self.set_route(&asked, &driver, data).await,
                Err(problem) => Err(problem),
            },
            ("proof", "add") => match required(&mut data, "order") {
                Ok(order) => self.add_proof(&asked, &order, data).await.map(|added| added.body),
                Err(problem) => Err(problem),
            },
            ("driver", "locations") => self.note_locations(principal, data).await,
            ("order", action) => match take(&mut data, "order") {
                Ok(Some(order)) => match self.act(&asked, &order, action, data).await {
                    // An action that is not there is a method that is not there.
                    Err(problem)
                        if is_unknown_action(action) && problem == Problem::not_found() =>
                    {
                        return None;
                    }
                    answer => answer.map(|answer| answer.body),
                },
                Ok(None) if is_unknown_action(action) => return None,
                Ok(None) => Err(Problem::field("order", "is required")),
                Err(problem) => Err(problem),
            },
            ("store", "create") => self.put_store(principal, None, data).await.map(|made| made.0),
            ("store", "update") => match required(&mut data, "store") {
                Ok(store) => self.patch_store(principal, &store, data).await,
                Err(problem) => Err(problem),
            },
            ("driver", "create") => self.put_driver(principal, None, data).await.map(|made| made.0),
            ("driver", "update") => match required(&mut data, "driver") {
                Ok(driver) => self.patch_driver(principal, &driver, data).await,
                Err(problem) => Err(problem),
            },
            ("token", "create") => self.issue_token(principal, data).await,
            ("token", "revoke") => match required(&mut data, "token") {
                Ok(token) => self.revoke_token(principal, &token).await.map(|()| nothing()),
                Err(problem) => Err(problem),
            },
            ("store", "delete") => match required(&mut data, "store") {
                Ok(store) => self.delete_store(principal, &store).await.map(|()| nothing()),
                Err(problem) => Err(problem),
            },
            ("driver", "delete") => match required(&mut data, "driver") {
                Ok(driver) => self.delete_driver(principal, &driver).await.map(|()| nothing()),
                Err(problem) => Err(problem),
            },
            ("store", "pause") => match take(&mut data, "store") {
                Ok(store) => {
                    let own = principal.store().map(|store| store.to_string());
                    let store = store.or(own).unwrap_or_default();
                    self.pause_store(principal, &store, data).await
                }
                Err(problem) => Err(problem),
            },
            ("driver", "duty") => match take(&mut data, "driver") {
                Ok(driver) => {
                    let driver = driver.unwrap_or_else(|| "me".to_owned());
                    self.set_duty(principal, &driver, data).await
                }
                Err(problem) => Err(problem),
            },
            ("link", "create") => match required(&mut data, "order") {
                Ok(order) => self.create_link(principal, &order, data).await,
                Err(problem) => Err(problem),
            },
            ("link", "revoke") => self.call_revoke_links(principal, data).await,
            ("webhook", "create") => self.create_webhook(principal, data).await,
            ("webhook", verb) if WEBHOOK_VERBS.contains(&verb) => {
                match required(&mut data, "webhook") {
                    Ok(id) => self.call_webhook(principal, verb, &id, data).await,
                    Err(problem) => Err(problem),
                }
            }
            _ => return None,
        })
    }

    async fn call_revoke_links(
        &self,
        principal: &Principal,
        mut data: Value,
    ) -> Result<Value, Problem> {
        let order = required(&mut data, "order")?;
        let link = take(&mut data, "link")?;
        nothing_else(&data)?;
        self.revoke_links(principal, &order, link.as_deref()).await.map(|()| nothing())
    }

    async fn call_webhook(
        &self,
        principal: &Principal,
        verb: &str,
        id: &str,
        mut data: Value,
    ) -> Result<Value, Problem> {
        match verb {
            "update" => self.patch_webhook(principal, id, data).await,
            "rotate" => self.rotate_webhook(principal, id, data).await,
            "replay" => {
                let after = data.as_object_mut().and_then(|data| data.remove("after"));
                let after = after.as_ref().and_then(Value::as_u64);
                let after = after.ok_or_else(|| Problem::field("after", "is not a position"))?;
                nothing_else(&data)?;
                self.replay_webhook(principal, id, after).await
            }
            "test" => {
                nothing_else(&data)?;
                self.ping_webhook(principal, id).await
            }
            _ => {
                nothing_else(&data)?;
                self.delete_webhook(principal, id).await.map(|()| nothing())
            }
        }
    }
}

/// What can be done to a webhook that is there.
const WEBHOOK_VERBS: &[&str] = &["update", "delete", "rotate", "replay", "test"];

/// Refuses members that mean nothing.
fn nothing_else(data: &Value) -> Result<(), Problem> {
    match data.as_object().and_then(|data| data.keys().next()) {
        None => Ok(()),
        Some(unknown) => Err(Problem::field(unknown.as_str(), "is no member of this request")),
    }
}

fn is_unknown_action(action: &str) -> bool {
    use crate::domain::{Action, Word as _};
    matches!(
        Action::find(action),
        Err(_)
            | Ok(Action::Search
                | Action::SearchFailed
                | Action::NextRound
                | Action::AcceptOffer
                | Action::DeclineOffer
                | Action::Route
                | Action::Watch
                | Action::Late
                | Action::AddProof)
    )
}

/// What is answered where REST answers with no body.
fn nothing() -> Value {
    Value::Object(serde_json::Map::new())
}

/// Takes a member that must be there.
fn required(data: &mut Value, name: &str) -> Result<String, Problem> {
    take(data, name)?.ok_or_else(|| Problem::field(name, "is required"))
}

/// Takes a member that must be a text.
fn take(data: &mut Value, name: &str) -> Result<Option<String>, Problem> {
    match data.as_object_mut().and_then(|data| data.remove(name)) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(Problem::field(name, "must be a text")),
    }
}
