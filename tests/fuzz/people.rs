//! Two tenants that must not hear of each other, their people, and what those ask for.

use ordercast::protocol::Codec;
use serde_json::{Value, json};

use crate::chance::Chance;
use crate::support::{Caller, City, Server, merged, of, until};

/// Orders of each tenant.
const ORDERS: usize = 6;
/// Subscriptions of a socket, so that the bound is met.
pub const MOST_SUBSCRIPTIONS: usize = 5;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Platform,
    Ops,
    Store,
    Driver,
    Customer,
    /// The bearer of a tracking link, who may only look.
    Link,
}

/// Whom a token speaks for.
#[derive(Debug, Clone)]
pub struct Person {
    /// Which of the two tenants.
    pub tenant: usize,
    pub role: Role,
    pub subject: String,
    /// A customer's.
    pub orders: Vec<String>,
    pub token: String,
    /// Whether the token has ended.
    pub is_dead: bool,
}

/// What a token for one channel opens.
#[derive(Debug, Clone)]
pub struct Permit {
    pub tenant: usize,
    pub subject: &'static str,
    pub channel: String,
    pub token: String,
    /// Whether the token has ended.
    pub is_dead: bool,
}

impl Permit {
    pub fn is_for(&self, who: &Person, channel: &str) -> bool {
        (self.tenant, self.subject, self.channel.as_str()) == (who.tenant, &who.subject, channel)
    }
}

impl Person {
    pub fn is_same(&self, other: &Self) -> bool {
        (self.tenant, self.role, &self.subject) == (other.tenant, other.role, &other.subject)
    }

    /// The name of the feed that is its own.
    pub fn feed(&self) -> Option<String> {
        let has_one = matches!(self.role, Role::Store | Role::Driver | Role::Customer);
        has_one.then(|| format!("#{}", self.subject))
    }
}

/// One tenant with what is its own.
pub struct Home {
    pub city: City,
    pub orders: Vec<String>,
}

pub struct World {
    pub server: Server,
    pub homes: [Home; 2],
    pub people: Vec<Person>,
    pub permits: Vec<Permit>,
    pub epoch: String,
}

impl World {
    pub async fn found() -> Self {
        let server = Server::start_with(|config| {
            config.socket.max_subscriptions = MOST_SUBSCRIPTIONS;
            // Nobody connects in time; it is not what is looked for.
            config.socket.stale_timeout_s = of(120);
            // Who hears little is pinged sooner than a test loses patience.
            config.socket.ping_interval_s = of(5);
            // Small, so that what grows shows.
            config.feed.window_len = 64;
            // All that come by a link come by the same.
            config.links.sockets_max = 100_000;
        })
        .await;
        let mut homes = Vec::new();
        let (mut people, mut permits) = (Vec::new(), Vec::new());
        for tenant in 0..2 {
            let city = City::found(&server.url, &server.database).await;
            let mut orders = Vec::new();
            for _ in 0..ORDERS {
                orders.push(city.order_id().await);
            }
            for order in &orders[..2] {
                city.act(&city.platform, order, "accept", json!({})).await;
                city.assign(order).await;
            }
            let mut enter = |role, subject: &str, orders: &[String], token: String, is_dead| {
                let (subject, orders) = (subject.to_owned(), orders.to_vec());
                people.push(Person { tenant, role, subject, orders, token, is_dead });
            };
            let some: Vec<&str> = orders[..3].iter().map(String::as_str).collect();
            let issued = city.token("customer", "customer-1", &some).await;
            enter(Role::Customer, "customer-1", &orders[..3], issued, false);
            let issued = city.token("customer", "customer-1", &some[..1]).await;
            enter(Role::Customer, "customer-1", &orders[..1], issued, false);
            let link = city.link(&orders[1]).await;
            let text = |member: &str| link[member].as_str().unwrap().to_owned();
            enter(Role::Link, &text("id"), &orders[1..2], text("token"), false);
            enter(Role::Platform, "back end", &[], city.key.clone(), false);
            enter(Role::Ops, "ann", &[], city.ops_token().await, false);
            enter(Role::Store, &city.store, &[], city.store_token().await, false);
            enter(Role::Driver, &city.driver, &[], city.driver_token().await, false);
            // For what the connection opens by itself, for what it does not, for another, too late.
            for (order, subject, ttl_s, is_dead) in [
                (0, "customer-1", 3600, false),
                (4, "customer-1", 3600, false),
                (4, "customer-2", 3600, false),
                (5, "customer-1", 1, true),
            ] {
                let channel = format!("order:{}", orders[order]);
                let body = json!({"kind": "customer", "subject": subject, "channel": channel,
                    "ttl_s": ttl_s});
                let issued = city.platform.post("/v1/tokens", body).await.expect(201);
                let token = issued["token"].as_str().unwrap().to_owned();
                permits.push(Permit { tenant, subject, channel, token, is_dead });
            }
            // Made last and ended: so has that of a channel.
            let body = json!({"kind": "ops", "subject": "ann", "ttl_s": 1});
            let dead = city.platform.post("/v1/tokens", body).await.expect(201);
            let dead = dead["token"].as_str().unwrap().to_owned();
            until("a token to end", async || {
                let answer = city.platform.with_token(&dead).get("/v1/orders").await;
                (answer.status == 401).then_some(())
            })
            .await;
            enter(Role::Ops, "ann", &[], dead, true);
            homes.push(Home { city, orders });
        }
        let key = &people[3].token;
        let (mut caller, _) = Caller::connect(&server.url, Codec::Json, key).await;
        let past = caller.ask(json!({"id": 2, "history": {"channel": "tenant"}})).await;
        let epoch = past["history"]["epoch"].as_str().unwrap().to_owned();
        let Ok(homes) = homes.try_into() else { panic!("two homes") };
        Self { server, homes, people, permits, epoch }
    }

    /// Whom a token speaks for, if it is one of these.
    pub fn whom(&self, token: &str) -> Option<&Person> {
        self.people.iter().find(|person| person.token == token)
    }

    /// What a token opens, if it is one of these.
    pub fn permit(&self, token: &str) -> Option<&Permit> {
        self.permits.iter().find(|permit| permit.token == token)
    }

    /// A channel's name: one's own, another's, another tenant's, nobody's.
    fn channel(&self, chance: &mut Chance) -> String {
        let home = &self.homes[usize::from(chance.one_in(5))];
        match chance.below(13) {
            0..=4 => format!("order:{}", chance.pick(&home.orders)),
            5 => format!("store:{}", home.city.store),
            6 => format!("driver:{}", home.city.driver),
            7 => "dispatch".to_owned(),
            8 => "tenant".to_owned(),
            9 => chance.pick(&self.people).feed().unwrap_or_default(),
            10 => {
                let id = chance.pick(&home.orders);
                (*chance.pick(&["order:", "store:", "driver:", "order", ":", "Order:"])).to_owned()
                    + *chance.pick(&["", "1", id, &id[3..], &id.to_uppercase(), "\u{0}", "é"])
            }
            11 => "x".repeat(*chance.pick(&[1, 255, 256, 1000])),
            _ => (*chance.pick(&["", "chat", "#", "#ann", "dispatch:1", "order:\n", "tenant "]))
                .to_owned(),
        }
    }

    fn token(&self, chance: &mut Chance) -> String {
        let token = &chance.pick(&self.people).token;
        match chance.below(8) {
            0 => (*chance.pick(&["", "x", "a.b.c", "ock_", " ", "\u{e9}"])).to_owned(),
            1 => {
                let at = chance.below(token.len() - 1);
                format!("{}A{}", &token[..at], &token[at + 1..])
            }
            _ => token.clone(),
        }
    }

    /// A position: any, or near those that there are.
    fn position(&self, chance: &mut Chance, top: u64) -> Value {
        let offset = match chance.below(5) {
            0 => chance.number() >> 11,
            1 => top + chance.below(3) as u64,
            2 => 0,
            _ => top.saturating_sub(chance.below(12) as u64),
        };
        let mut position = json!({"offset": offset});
        match chance.below(6) {
            0 => {}
            1 => position["epoch"] = chance.pick(&["", "e1", "_"]).to_string().into(),
            _ => position["epoch"] = self.epoch.as_str().into(),
        }
        position
    }

    /// What a call says: in order, nearly so, or not at all.
    fn call(&self, chance: &mut Chance) -> Value {
        let home = &self.homes[usize::from(chance.one_in(6))];
        let method = *chance.pick(&[
            "order.accept",
            "order.ready",
            "order.unready",
            "order.pickup",
            "order.deliver",
            "order.update",
            "order.update",
            "order.prep",
            "order.prep",
            "order.assign",
            "order.unassign",
            "order.at_store",
            "order.search",
            "order.",
            "order",
            "",
            "store.pause",
            "store.update",
            "driver.duty",
            "driver.update",
            "token.create",
            "store.create",
            "driver.create",
            "order.create",
            "no.such",
            "a.b.c",
            ".",
            "\u{0}",
        ]);
        let data = match chance.below(8) {
            0 => chance.pick(&odd()).clone(),
            1 => json!({"order": chance.pick(&odd()).clone()}),
            // Orders are made seldom: every snapshot holds all of them.
            2 if chance.one_in(20) => home.city.order_body(json!({})),
            _ => {
                let mut data = json!({"order": chance.pick(&home.orders)});
                let more = [
                    ("prep_min", json!(10)),
                    ("note", json!("n".repeat(chance.below(9)))),
                    ("reason", json!("duplicate")),
                    ("driver", json!(home.city.driver)),
                    ("store", json!(home.city.store)),
                    ("if_match", json!(chance.below(5))),
                    ("if_match", chance.pick(&odd()).clone()),
                    ("idempotency_key", chance.pick(&odd()).clone()),
                ];
                // What a method needs, or one thing more or less.
                for (name, value) in &more {
                    let needs = match method {
                        "order.accept" | "order.prep" => *name == "prep_min",
                        "order.update" => *name == "note",
                        "order.cancel" => *name == "reason",
                        "order.assign" => *name == "driver",
                        _ => false,
                    };
                    if needs != chance.one_in(12) {
                        data[*name] = value.clone();
                    }
                }
                data
            }
        };
        json!({"method": method, "data": data})
    }

    /// Any command but a connect. `top` is about where the log ends.
    pub fn command(&self, chance: &mut Chance, top: u64) -> Value {
        let id = match chance.below(6) {
            0 => chance.number() & 0xffff_ffff,
            _ => 1 + chance.below(1000) as u64,
        }
        .max(1);
        let channel = self.channel(chance);
        let mut command = match chance.below(24) {
            0..=6 => {
                let mut subscribe = json!({"channel": channel});
                if chance.one_in(2) {
                    subscribe = merged(subscribe, self.position(chance, top));
                    subscribe["recover"] = true.into();
                }
                if chance.one_in(10) {
                    let permit = chance.pick(&self.permits);
                    let token = &permit.token;
                    subscribe["token"] =
                        if chance.one_in(8) { self.token(chance) } else { token.clone() }.into();
                    if !chance.one_in(5) {
                        subscribe["channel"] = permit.channel.as_str().into();
                    }
                }
                match chance.below(6) {
                    0 => subscribe["flag"] = chance.below(4).into(),
                    1 => subscribe["data"] = chance.pick(&filters()).clone(),
                    2 => subscribe["join_leave"] = true.into(),
                    3 if chance.one_in(4) => subscribe["type"] = 1.into(),
                    4 if chance.one_in(4) => subscribe["tf"] = json!({"op": "and"}),
                    _ => {}
                }
                json!({"subscribe": subscribe})
            }
            7..=9 => json!({"unsubscribe": {"channel": channel}}),
            10 | 11 => {
                let limit = *chance.pick(&[0, 1, -1, 300, 301, i32::MIN, i32::MAX, -2, 7]);
                let mut history = json!({"channel": channel, "limit": limit});
                if chance.one_in(2) {
                    history["since"] = self.position(chance, top);
                }
                if chance.one_in(3) {
                    history["reverse"] = true.into();
                }
                json!({"history": history})
            }
            12 => json!({"presence": {"channel": channel}}),
            13 => json!({"presence_stats": {"channel": channel}}),
            14 if chance.one_in(2) => {
                json!({"publish": {"channel": channel, "data": chance.pick(&odd()).clone()}})
            }
            15 => json!({"refresh": {"token": self.token(chance)}}),
            16 => {
                let permit = chance.pick(&self.permits);
                let (channel, token) = match chance.below(4) {
                    0 => (channel, self.token(chance)),
                    1 => (channel, permit.token.clone()),
                    _ => (permit.channel.clone(), permit.token.clone()),
                };
                json!({"sub_refresh": {"channel": channel, "token": token}})
            }
            17 => json!({"ping": {}}),
            18 => return json!({}),
            19 if chance.one_in(3) => {
                let data =
                    if chance.one_in(4) { chance.pick(&odd()).clone() } else { self.call(chance) };
                return json!({"send": {"data": data}});
            }
            _ => json!({"rpc": self.call(chance)}),
        };
        command["id"] = id.into();
        command
    }

    pub fn connect(&self, chance: &mut Chance, top: u64) -> Value {
        let token = match chance.below(6) {
            0 => self.token(chance),
            _ => chance.pick(&self.people).token.clone(),
        };
        let mut connect = json!({"token": token, "name": "fuzz"});
        match chance.below(5) {
            0 => connect["data"] = json!({"personal": true}),
            1 => connect["data"] = chance.pick(&odd()).clone(),
            2 => {
                let mut subs = json!({});
                for _ in 0..=chance.below(9) {
                    let mut position = self.position(chance, top);
                    position["recover"] = chance.one_in(2).into();
                    subs[self.channel(chance)] = position;
                }
                connect["subs"] = subs;
            }
            _ => {}
        }
        json!({"id": 1 + chance.below(9), "connect": connect})
    }
}

/// Values where others are expected.
fn odd() -> Vec<Value> {
    let mut deep = json!(0);
    for _ in 0..150 {
        deep = json!([deep]);
    }
    vec![
        json!(null),
        json!(0),
        json!(-1.5e300),
        json!(""),
        json!("x\u{0}\n\u{2028}"),
        json!([]),
        json!({}),
        json!([true]),
        json!(true),
        json!({"personal": 1}),
        json!({"order": null, "driver": {}}),
        json!("é".repeat(3000)),
        deep,
    ]
}

/// Filters of the feeds of dispatchers and the platform, those in order first.
pub fn filters() -> Vec<Value> {
    vec![
        json!({}),
        json!({"status": "ready"}),
        json!({"status": ["placed", "preparing"], "store": []}),
        json!({"area": [52.4, 13.3, 52.6, 13.5]}),
        json!({"locations": true}),
        json!({"status": "cooked"}),
        json!({"store": "nonsense"}),
        json!({"area": 1}),
        json!([]),
        json!("x"),
    ]
}

/// Whether the `nth` of [`filters`] is in order for this channel.
pub fn is_filter_of(channel: &str, nth: usize) -> bool {
    if channel == "dispatch" { nth < 4 } else { matches!(nth, 0 | 4) }
}
