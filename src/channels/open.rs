//! What a channel's name stands for, and whether the caller may listen.

use serde::Deserialize;
use serde_json::Value;

use crate::api::Api;
use crate::auth::Principal;
use crate::domain::{LinkView, OrderId, Role, Status, StoreId, TenantId, Word as _};
use crate::hub::{Area, Ear, Filter, Seat, Topic};
use crate::protocol::code::ErrorCode;
use crate::protocol::{ErrorReply, RawJson};
use crate::session::{Moves, Opened};
use crate::store::Scope;

/// A channel the caller may listen to, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Channel {
    /// As whom.
    pub(super) seat: Seat,
    /// What it listens to; several topics only where they share a name.
    pub(super) topics: Vec<Topic>,
    /// What is read for it, a topic each.
    pub(super) scopes: Vec<Scope>,
}

impl Channel {
    fn one(topic: Topic, seat: Seat) -> Self {
        Self { seat, topics: vec![topic], scopes: vec![scope(topic)] }
    }

    /// The same for a session.
    pub(super) fn opened(self, tenant: TenantId, filter: Option<Filter>) -> Opened<Api> {
        let ear = Ear { tenant, seat: self.seat, filter: filter.map(Box::new) };
        // Those who may ask who is there may hear who comes and goes.
        let may_see = matches!(self.seat, Seat::OrderOps | Seat::OrderPlatform | Seat::Store);
        let attended = self.topics.iter().all(|topic| is_attended(*topic));
        Opened {
            ears: self.topics.iter().map(|topic| (*topic, ear.clone())).collect(),
            renamed: false,
            scope: self,
            is_seen: attended,
            moves: if may_see { Moves::IfAsked } else { Moves::Never },
            info: None,
            permitted: None,
        }
    }
}

/// The part of the log that a topic is.
pub(super) const fn scope(topic: Topic) -> Scope {
    match topic {
        Topic::Order(id) => Scope::Order(id),
        Topic::Store(id) => Scope::Store(id),
        Topic::Driver(id) => Scope::Driver(id),
        Topic::Dispatch(_) | Topic::Tenant(_) => Scope::Tenant,
    }
}

/// Whether it is kept who listens.
const fn is_attended(topic: Topic) -> bool {
    match topic {
        Topic::Order(_) | Topic::Store(_) | Topic::Driver(_) => true,
        Topic::Dispatch(_) | Topic::Tenant(_) => false,
    }
}

/// What `name` stands for to `principal`: error 102 when there is no such kind of channel, 103
/// when it is not the caller's to hear, or not there at all.
pub(super) fn channel(name: &str, principal: &Principal) -> Result<Channel, ErrorCode> {
    let denied = ErrorCode::PERMISSION_DENIED;
    if let Some(text) = name.strip_prefix("order:") {
        let id: OrderId = text.parse().map_err(|_| denied)?;
        let seat = match principal.role {
            Role::Customer if principal.orders.contains(&id) => customer_seat(principal),
            // Whether it has the order is read with it.
            Role::Driver => Seat::OrderDriver,
            Role::Ops => Seat::OrderOps,
            Role::Platform => Seat::OrderPlatform,
            Role::Customer | Role::Store | Role::System => return Err(denied),
        };
        return Ok(Channel::one(Topic::Order(id), seat));
    }
    if let Some(text) = name.strip_prefix("store:") {
        let own = principal.store().filter(|own| own.to_string() == text).ok_or(denied)?;
        return Ok(Channel::one(Topic::Store(own), Seat::Store));
    }
    if let Some(text) = name.strip_prefix("driver:") {
        let own = principal.driver().filter(|own| own.to_string() == text).ok_or(denied)?;
        return Ok(Channel::one(Topic::Driver(own), Seat::Driver));
    }
    let tenant = principal.tenant;
    match (name, principal.role) {
        ("dispatch", Role::Ops) => Ok(Channel::one(Topic::Dispatch(tenant), Seat::Dispatch)),
        ("tenant", Role::Platform) => Ok(Channel::one(Topic::Tenant(tenant), Seat::Tenant)),
        ("dispatch" | "tenant", _) => Err(denied),
        _ => Err(ErrorCode::UNKNOWN_CHANNEL),
    }
}

/// As whom a customer sits at its orders.
const fn customer_seat(principal: &Principal) -> Seat {
    match principal.link {
        None => Seat::OrderCustomer,
        Some(LinkView::Full) => Seat::OrderLink,
        Some(LinkView::Final) => Seat::OrderPastLink,
    }
}

/// What `name` stands for to a customer whose subscription token opens it, whatever orders the
/// connection's names.
pub(super) fn permitted(name: &str, principal: &Principal) -> Result<Channel, ErrorCode> {
    let order = name.strip_prefix("order:").and_then(|text| text.parse::<OrderId>().ok());
    match (order, principal.role) {
        (Some(order), Role::Customer) if principal.link.is_none() => {
            Ok(Channel::one(Topic::Order(order), Seat::OrderCustomer))
        }
        // Others have their rights by what they are.
        _ => channel(name, principal),
    }
}

/// The personal feed of a store, a courier or a customer, which the server subscribes it to:
/// what it could hear by itself, under one name. Dispatchers and platforms have none: theirs
/// would be everything; the bearer of a link neither: there is one channel, and nobody to know.
pub(super) fn personal(principal: &Principal) -> Option<(String, Opened<Api>)> {
    if principal.link.is_some() {
        return None;
    }
    let (seat, topics) = match principal.role {
        Role::Store => (Seat::Store, principal.store().into_iter().map(Topic::Store).collect()),
        Role::Driver => (Seat::Driver, principal.driver().into_iter().map(Topic::Driver).collect()),
        Role::Customer => {
            (Seat::OrderCustomer, principal.orders.iter().copied().map(Topic::Order).collect())
        }
        Role::Ops | Role::Platform | Role::System => return None,
    };
    let topics: Vec<Topic> = topics;
    let scopes = topics.iter().copied().map(scope).collect();
    let channel = Channel { seat, topics, scopes };
    let opened = Opened { renamed: true, ..channel.opened(principal.tenant, None) };
    Some((format!("#{}", principal.subject), opened))
}

/// The topic of a channel, if the caller may know who is there: dispatchers and the platform on
/// every order, store and courier; a store at its own door.
pub(super) fn attended(name: &str, principal: &Principal) -> Result<Topic, ErrorCode> {
    let inside = matches!(principal.role, Role::Ops | Role::Platform);
    if let Some(topic) = Topic::find(name).filter(|_| inside) {
        return Ok(topic);
    }
    let channel = channel(name, principal)?;
    match channel.topics.first() {
        Some(topic) if !is_attended(*topic) => Err(ErrorCode::NOT_AVAILABLE),
        Some(topic) if channel.seat == Seat::Store => Ok(*topic),
        _ => Err(ErrorCode::PERMISSION_DENIED),
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
    /// South, west, north, east.
    area: Option<[f64; 4]>,
    locations: Option<bool>,
}

/// The part of the map between these degrees: south, west, north, east.
pub(super) fn area([south, west, north, east]: [f64; 4]) -> Option<Area> {
    let lat = |degrees: f64| (-90.0..=90.0).contains(&degrees);
    let lng = |degrees: f64| (-180.0..=180.0).contains(&degrees);
    #[expect(clippy::cast_possible_truncation, reason = "at most 180 millions")]
    let grains = |degrees: f64| (degrees * Area::GRAIN).round() as i32;
    (lat(south) && lat(north) && south <= north && lng(west) && lng(east)).then(|| Area {
        south: grains(south),
        west: grains(west),
        north: grains(north),
        east: grains(east),
    })
}

/// The filter that a subscribe to `dispatch` or `tenant` carries in its `data`.
pub(super) fn filter(
    channel: &Channel,
    data: Option<&RawJson>,
) -> Result<Option<Filter>, ErrorReply<'static>> {
    let bad = |detail: String| ErrorReply::detailed(ErrorCode::BAD_REQUEST, detail);
    let (Seat::Dispatch | Seat::Tenant, Some(data)) = (channel.seat, data) else {
        return Ok(None);
    };
    let body: Value = serde_json::from_str(data.get())
        .map_err(|error| bad(format!("bad request: data: {error}")))?;
    // A list would be taken for the members in their order.
    if !body.is_object() {
        return Err(bad("bad request: data: must be an object".to_owned()));
    }
    let body: FilterBody =
        serde_json::from_value(body).map_err(|error| bad(format!("bad request: data: {error}")))?;
    let is_tenant = channel.seat == Seat::Tenant;
    let narrowed = body.store.is_some() || body.status.is_some() || body.area.is_some();
    if is_tenant && narrowed || !is_tenant && body.locations.is_some() {
        return Err(bad("bad request: data: is no filter of this channel".to_owned()));
    }
    let there = body.area.map(|sides| {
        let bad = || bad("bad request: area: must be [south, west, north, east]".to_owned());
        area(sides).ok_or_else(bad)
    });
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
    let filter = Filter {
        stores: stores.transpose()?,
        statuses: statuses.transpose()?,
        area: there.transpose()?,
        locations: body.locations.unwrap_or_default(),
    };
    Ok(Some(filter).filter(|filter| *filter != Filter::default()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{CredentialId, DriverId, TenantId};

    fn principal(role: Role, subject: &str, orders: Vec<OrderId>) -> Principal {
        let (tenant, credential) = (TenantId::new(), CredentialId::new());
        let subject = subject.to_owned();
        Principal {
            tenant,
            role,
            subject,
            orders,
            info: None,
            credential,
            expires_at: None,
            link: None,
        }
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
            let open = |nth: &usize| names.get(*nth).is_some_and(|n| channel(n, principal).is_ok());
            (0..names.len()).filter(open).collect()
        };
        assert_eq!(opens(&principal(Role::Customer, "c", vec![order])), [0]);
        assert_eq!(opens(&principal(Role::Store, &store.to_string(), vec![])), [2]);
        // Whether it has the order is decided when that is read.
        assert_eq!(opens(&principal(Role::Driver, &driver.to_string(), vec![])), [0, 1, 4]);
        assert_eq!(opens(&principal(Role::Ops, "ann", vec![])), [0, 1, 6]);
        assert_eq!(opens(&principal(Role::Platform, "key", vec![])), [0, 1, 7]);
        assert_eq!(opens(&principal(Role::System, "", vec![])), Vec::<usize>::new());
    }

    #[test]
    fn an_unknown_kind_of_channel_is_told_from_a_forbidden_one() {
        let ann = principal(Role::Ops, "ann", vec![]);
        assert_eq!(channel("chat:1", &ann), Err(ErrorCode::UNKNOWN_CHANNEL));
        assert_eq!(channel("tenant", &ann), Err(ErrorCode::PERMISSION_DENIED));
        assert_eq!(channel("order:nonsense", &ann), Err(ErrorCode::PERMISSION_DENIED));
    }
}
