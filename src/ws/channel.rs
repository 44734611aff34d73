//! Channels: what a name stands for, and whether the caller may listen.

use serde::Deserialize;
use serde_json::Value;

use crate::auth::Principal;
use crate::domain::{OrderId, Role, Status, StoreId, Word as _};
use crate::hub::{Filter, Seat, Topic};
use crate::protocol::code::ErrorCode;
use crate::protocol::{ErrorReply, RawJson};
use crate::store::Scope;

/// A channel the caller may listen to, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Channel {
    pub(super) topic: Topic,
    pub(super) seat: Seat,
    pub(super) scope: Scope,
}

/// What `name` stands for to `principal`: error 102 when there is no such kind of channel, 103
/// when it is not the caller's to hear, or not there at all.
pub(super) fn open(name: &str, principal: &Principal) -> Result<Channel, ErrorCode> {
    let denied = ErrorCode::PERMISSION_DENIED;
    if let Some(text) = name.strip_prefix("order:") {
        let id: OrderId = text.parse().map_err(|_| denied)?;
        let seat = match principal.role {
            Role::Customer if principal.orders.contains(&id) => Seat::OrderCustomer,
            Role::Ops => Seat::OrderOps,
            Role::Platform => Seat::OrderPlatform,
            Role::Customer | Role::Store | Role::Driver | Role::System => return Err(denied),
        };
        return Ok(Channel { topic: Topic::Order(id), seat, scope: Scope::Order(id) });
    }
    if let Some(text) = name.strip_prefix("store:") {
        let own = principal.store().filter(|own| own.to_string() == text).ok_or(denied)?;
        let (topic, scope) = (Topic::Store(own), Scope::Store(own));
        return Ok(Channel { topic, seat: Seat::Store, scope });
    }
    if let Some(text) = name.strip_prefix("driver:") {
        let own = principal.driver().filter(|own| own.to_string() == text).ok_or(denied)?;
        let (topic, scope) = (Topic::Driver(own), Scope::Driver(own));
        return Ok(Channel { topic, seat: Seat::Driver, scope });
    }
    let tenant = principal.tenant;
    match (name, principal.role) {
        ("dispatch", Role::Ops) => Ok(Channel {
            topic: Topic::Dispatch(tenant),
            seat: Seat::Dispatch,
            scope: Scope::Tenant,
        }),
        ("tenant", Role::Platform) => {
            Ok(Channel { topic: Topic::Tenant(tenant), seat: Seat::Tenant, scope: Scope::Tenant })
        }
        ("dispatch" | "tenant", _) => Err(denied),
        _ => Err(ErrorCode::UNKNOWN_CHANNEL),
    }
}

/// A list, or one that stands for a list of one.
#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

impl OneOrMore {
    fn texts(&self) -> &[String] {
        match self {
            Self::One(text) => std::slice::from_ref(text),
            Self::More(texts) => texts,
        }
    }
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct FilterBody {
    store: Option<OneOrMore>,
    status: Option<OneOrMore>,
}

/// The filter that a subscribe to `dispatch` carries in its `data`.
pub(super) fn filter(
    topic: Topic,
    data: Option<&RawJson>,
) -> Result<Option<Filter>, ErrorReply<'static>> {
    let bad = |detail: String| ErrorReply::detailed(ErrorCode::BAD_REQUEST, detail);
    let (Topic::Dispatch(_), Some(data)) = (topic, data) else { return Ok(None) };
    let body: Value = serde_json::from_str(data.get())
        .map_err(|error| bad(format!("bad request: data: {error}")))?;
    // A list would be taken for the members in their order.
    if !body.is_object() {
        return Err(bad("bad request: data: must be an object".to_owned()));
    }
    let body: FilterBody =
        serde_json::from_value(body).map_err(|error| bad(format!("bad request: data: {error}")))?;
    let stores = body.store.map(|stores| {
        let ids = stores.texts().iter().map(|text| {
            text.parse::<StoreId>().map_err(|error| bad(format!("bad request: store: {error}")))
        });
        ids.collect::<Result<Vec<_>, _>>()
    });
    let statuses = body.status.map(|statuses| {
        let words = statuses.texts().iter().map(|text| {
            Status::find(text).map_err(|error| bad(format!("bad request: status: {error}")))
        });
        words.collect::<Result<Vec<_>, _>>()
    });
    let filter = Filter { stores: stores.transpose()?, statuses: statuses.transpose()? };
    Ok(Some(filter).filter(|filter| *filter != Filter::default()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{CredentialId, DriverId, TenantId};

    fn principal(role: Role, subject: &str, orders: Vec<OrderId>) -> Principal {
        let (tenant, credential) = (TenantId::new(), CredentialId::new());
        let subject = subject.to_owned();
        Principal { tenant, role, subject, orders, info: None, credential, expires_at: None }
    }

    #[test]
    fn each_role_opens_its_own_channels_and_no_other() {
        let (order, store, driver) = (OrderId::new(), StoreId::new(), DriverId::new());
        let names = [
            format!("order:{order}"),
            format!("order:{}", OrderId::new()),
            format!("store:{store}"),
            format!("store:{}", StoreId::new()),
            format!("driver:{driver}"),
            format!("driver:{}", DriverId::new()),
            "dispatch".to_owned(),
            "tenant".to_owned(),
        ];
        let opens = |principal: &Principal| -> Vec<usize> {
            let open = |nth: &usize| names.get(*nth).is_some_and(|n| open(n, principal).is_ok());
            (0..names.len()).filter(open).collect()
        };
        assert_eq!(opens(&principal(Role::Customer, "c", vec![order])), [0]);
        assert_eq!(opens(&principal(Role::Store, &store.to_string(), vec![])), [2]);
        assert_eq!(opens(&principal(Role::Driver, &driver.to_string(), vec![])), [4]);
        assert_eq!(opens(&principal(Role::Ops, "ann", vec![])), [0, 1, 6]);
        assert_eq!(opens(&principal(Role::Platform, "key", vec![])), [0, 1, 7]);
        assert_eq!(opens(&principal(Role::System, "", vec![])), Vec::<usize>::new());
    }

    #[test]
    fn an_unknown_kind_of_channel_is_told_from_a_forbidden_one() {
        let ann = principal(Role::Ops, "ann", vec![]);
        assert_eq!(open("chat:1", &ann), Err(ErrorCode::UNKNOWN_CHANNEL));
        assert_eq!(open("tenant", &ann), Err(ErrorCode::PERMISSION_DENIED));
        assert_eq!(open("order:nonsense", &ann), Err(ErrorCode::PERMISSION_DENIED));
    }
}
