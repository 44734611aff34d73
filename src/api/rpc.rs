//! Every write by name: the RPC methods of a socket, with the bodies of REST.

use serde_json::{Map, Value};

use super::{Answer, Api, Asked, Problem, may_write};
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
        if let Err(problem) = may_write(principal).and_then(|()| self.limits.admit(principal, true))
        {
            return Some(Err(problem));
        }
        let idempotency_key = match take(&mut data, "idempotency_key") {
            Ok(key) => key,
            Err(problem) => return Some(Err(problem)),
        };
        let if_match = match take_version(&mut data) {
            Ok(version) => version,
            Err(problem) => return Some(Err(problem)),
        };
        let asked = Asked { principal: principal.clone(), idempotency_key, if_match };
        Some(match (noun, verb) {
            ("order", "bulk_create") => {
                self.create_orders(&asked, data).await.map(|bulk| bulk.body(|_result| Map::new()))
            }
            ("order", "bulk") => match required(&mut data, "action") {
                Ok(action) => {
                    let acted = self.act_on_orders(&asked, &action, data).await;
                    acted.map(|bulk| bulk.body(|_result| Map::new()))
                }
                Err(problem) => Err(problem),
            },
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
                Ok(offer) => {
                    let answer = self.answer_offer(&asked, &offer, verb, data).await;
                    answer.map(|answer| answer.body.unwrap_or_else(nothing))
                }
                Err(problem) => Err(problem),
            },
            ("proof", "add") => match required(&mut data, "order") {
                Ok(order) => self.add_proof(&asked, &order, data).await.map(|added| added.body),
                Err(problem) => Err(problem),
            },
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
            _ => match self.call_other(&asked, noun, verb, data).await? {
                Ok(answer) => Ok(answer.body.unwrap_or_else(nothing)),
                Err(problem) => Err(problem),
            },
        })
    }

    /// What is not about an order.
    async fn call_other(
        &self,
        asked: &Asked,
        noun: &str,
        verb: &str,
        mut data: Value,
    ) -> Option<Result<Answer, Problem>> {
        let principal = &asked.principal;
        // What is named in the data; whoever may leave it out means itself.
        let named = match (noun, verb) {
            ("store" | "driver", "update" | "delete")
            | ("token", "revoke")
            | ("driver", "route")
            | ("webhook", "update" | "delete" | "rotate" | "replay" | "test") => {
                required(&mut data, noun)
            }
            ("link", "create" | "revoke") => required(&mut data, "order"),
            ("store", "pause") => take(&mut data, noun).map(|store| {
                let own = || principal.store().map(|store| store.to_string());
                store.or_else(own).unwrap_or_default()
            }),
            ("driver", "duty") => {
                take(&mut data, noun).map(|driver| driver.unwrap_or_else(|| "me".to_owned()))
            }
            ("store" | "driver" | "token" | "webhook", "create")
            | ("driver", "locations")
            | ("tenant", "update") => Ok(String::new()),
            _ => return None,
        };
        let id = match named {
            Ok(id) => id,
            Err(problem) => return Some(Err(problem)),
        };
        Some(match (noun, verb) {
            ("store", "create") => self.put_store(asked, None, data).await,
            ("store", "update") => self.patch_store(asked, &id, data).await,
            ("store", "delete") => self.delete_store(asked, &id).await,
            ("store", _) => self.pause_store(asked, &id, data).await,
            ("driver", "create") => self.put_driver(asked, None, data).await,
            ("driver", "update") => self.patch_driver(asked, &id, data).await,
            ("driver", "delete") => self.delete_driver(asked, &id).await,
            ("driver", "route") => self.set_route(asked, &id, data).await,
            ("driver", "locations") => self.note_locations(asked, data).await,
            ("driver", _) => self.set_duty(asked, &id, data).await,
            ("link", "create") => self.create_link(asked, &id, data).await,
            ("link", _) => self.call_revoke_links(asked, &id, data).await,
            ("tenant", _) => self.patch_tenant(asked, data).await,
            ("token", "create") => self.issue_token(asked, data).await,
            ("token", _) => self.revoke_token(asked, &id).await,
            ("webhook", "create") => self.create_webhook(asked, data).await,
            _ => self.call_webhook(asked, verb, &id, data).await,
        })
    }

    async fn call_revoke_links(
        &self,
        asked: &Asked,
        order: &str,
        mut data: Value,
    ) -> Result<Answer, Problem> {
        let link = take(&mut data, "link")?;
        nothing_else(&data)?;
        self.revoke_links(asked, order, link.as_deref()).await
    }

    async fn call_webhook(
        &self,
        asked: &Asked,
        verb: &str,
        id: &str,
        mut data: Value,
    ) -> Result<Answer, Problem> {
        match verb {
            "update" => self.patch_webhook(asked, id, data).await,
            "rotate" => self.rotate_webhook(asked, id, data).await,
            "replay" => {
                let after = data.as_object_mut().and_then(|data| data.remove("after"));
                let after = after.as_ref().and_then(Value::as_u64);
                let after = after.ok_or_else(|| Problem::field("after", "is not a position"))?;
                nothing_else(&data)?;
                self.replay_webhook(asked, id, after).await
            }
            "test" => {
                nothing_else(&data)?;
                self.ping_webhook(asked, id).await
            }
            _ => {
                nothing_else(&data)?;
                self.delete_webhook(asked, id).await
            }
        }
    }
}

/// Refuses members that mean nothing.
fn nothing_else(data: &Value) -> Result<(), Problem> {
    match data.as_object().and_then(|data| data.keys().next()) {
        None => Ok(()),
        Some(unknown) => Err(Problem::field(unknown.as_str(), "is no member of this request")),
    }
}

/// Whether nobody can ask for this, though the order machine may know it.
pub(super) fn is_unknown_action(action: &str) -> bool {
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
    Value::Object(Map::new())
}

/// Takes a member that must be there.
pub(super) fn required(data: &mut Value, name: &str) -> Result<String, Problem> {
    take(data, name)?.ok_or_else(|| Problem::field(name, "is required"))
}

/// Takes a member that must be a text.
pub(super) fn take(data: &mut Value, name: &str) -> Result<Option<String>, Problem> {
    match data.as_object_mut().and_then(|data| data.remove(name)) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(Problem::field(name, "must be a text")),
    }
}

/// Takes the version that the caller insists on.
pub(super) fn take_version(data: &mut Value) -> Result<Option<i64>, Problem> {
    match data.as_object_mut().and_then(|data| data.remove("if_match")) {
        None | Some(Value::Null) => Ok(None),
        Some(version) => match version.as_i64() {
            Some(version) => Ok(Some(version)),
            None => Err(Problem::field("if_match", "is not a version")),
        },
    }
}
