//! What would Fossil deltas save on ordercast's own channels, and at what price?
//!
//! Unit: bytes of WebSocket frames, all publications of a channel as its listener is sent them,
//! with and without deltas, in both codecs; and microseconds of one core for each publication
//! beyond encoding it plainly. The publications are those of an evening played over REST on a
//! real server: [`ORDERS`] orders of [`STORES`] stores, [`TOGETHER`] of them on their way at once.
//!
//! Act when customers and couriers save a third or more in both codecs: then ordercast's own
//! channels should offer deltas (`Source::makes_deltas`). A frame costs some 50 bytes of TCP and
//! IP besides, which are not counted and which no delta saves.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a bench reports, and may fail"
)]

use std::hint::black_box;
use std::process::Command;
use std::time::Instant;

use ordercast::app::App;
use ordercast::config::{Config, Overrides, Secret};
use ordercast::domain::TenantPatch;
use ordercast::embedded::{Durability, Postgres, Settings};
use ordercast::frame::message_frame;
use ordercast::protocol::{Codec, Deltas, Said};
use ordercast::store::Scope;
use ordercast::view::Audience;
use serde_json::{Value, json};

const ORDERS: usize = 60;
const STORES: usize = 4;
const TOGETHER: usize = 12;

/// What publications are told apart by: the offset and the JSON text.
type Channel = Vec<(u64, String)>;

struct Rest {
    client: awc::Client,
    base: String,
    key: String,
}

impl Rest {
    async fn post(&self, path: &str, body: Value) -> Value {
        self.send(self.client.post(format!("{}{path}", self.base)), body).await
    }

    async fn put(&self, path: &str, body: Value) -> Value {
        self.send(self.client.put(format!("{}{path}", self.base)), body).await
    }

    async fn send(&self, request: awc::ClientRequest, body: Value) -> Value {
        let mut answer = request.bearer_auth(&self.key).send_json(&body).await.unwrap();
        let value: Value = answer.json().await.unwrap();
        assert!(answer.status().is_success(), "{value:#}");
        value
    }
}

fn id(view: &Value) -> String {
    view["id"].as_str().unwrap().to_owned()
}

/// An evening of orders, as platform, store and courier would move them.
async fn play(rest: &Rest, orders: usize) -> Evening {
    let (mut stores, mut drivers) = (Vec::new(), Vec::new());
    for nth in 0..STORES {
        let body = json!({"external_id": format!("s{nth}"), "name": "Trattoria da Enzo",
            "lat": 52.52, "lng": 13.405, "tz": "Europe/Berlin", "phone": "+49 30 1234567"});
        stores.push(id(&rest.post("/v1/stores", body).await));
    }
    for nth in 0..TOGETHER {
        let body = json!({"external_id": format!("d{nth}"), "name": "Cori Rossi",
            "phone": "+49 170 7654321", "capacity": 3,
            "vehicle": {"type": "scooter", "colour": "red", "plate": "B-CR 1"}});
        let driver = id(&rest.post("/v1/drivers", body).await);
        rest.put(&format!("/v1/drivers/{driver}/duty"), json!({"duty": "on"})).await;
        drivers.push(driver);
    }
    let mut placed = Vec::new();
    for group in (0..orders).step_by(TOGETHER) {
        let mut going = Vec::new();
        for nth in group..orders.min(group + TOGETHER) {
            let body = json!({
                "external_id": format!("o{nth}"), "store": stores[nth % STORES],
                "items": [{"name": "Pizza Margherita", "qty": 2}, {"name": "Tiramisù", "qty": 1}],
                "note": "no onions, please",
                "dropoff": {"name": "Ann Lee", "phone": "+49 151 99887766",
                    "address": "Hauptstr. 1, Mitte, Berlin", "lat": 52.53, "lng": 13.41,
                    "notes": "ring twice"},
            });
            going.push((nth, id(&rest.post("/v1/orders", body).await)));
        }
        for step in ["accept", "driver", "at_store", "ready", "pickup", "at_door", "deliver"] {
            for (nth, order) in &going {
                let path = format!("/v1/orders/{order}/{step}");
                let driver = &drivers[nth % TOGETHER];
                let as_driver = json!({"kind": "driver", "subject": driver});
                match step {
                    "accept" => rest.post(&path, json!({"prep_min": 15})).await,
                    "driver" => rest.put(&path, json!({"driver": driver})).await,
                    "ready" => rest.post(&path, json!({})).await,
                    _ => {
                        let token = rest.post("/v1/tokens", as_driver).await;
                        let key = token["token"].as_str().unwrap().to_owned();
                        let (client, base) = (rest.client.clone(), rest.base.clone());
                        Rest { client, base, key }.post(&path, json!({})).await
                    }
                };
            }
        }
        placed.extend(going.into_iter().map(|(_nth, order)| order));
    }
    Evening { orders: placed, stores, drivers }
}

struct Evening {
    orders: Vec<String>,
    stores: Vec<String>,
    drivers: Vec<String>,
}

fn main() {
    actix_web::rt::System::new().block_on(run());
}

async fn run() {
    // `cargo test --benches` and CI pass this: each part runs, briefly.
    let brief = std::env::args().any(|argument| argument == "--test");
    let postgres = Postgres::temporary(&Settings {
        bin_dir: std::env::var_os("ORDERCAST_POSTGRES_BIN_DIR").map(Into::into),
        data_dir: None,
        durability: Durability::ThrowAway,
        max_connections: 50,
        shared_buffers_mb: 64,
    })
    .unwrap();
    let port = Overrides { port: Some(0), ..Overrides::default() };
    let mut config = Config::load(None, &port).unwrap();
    config.database.url = Secret(postgres.url("postgres"));
    config.auth.secret = Secret("a secret of the bench, at least 32 bytes".to_owned());
    // Brings the schema up to date as well.
    let mut token = Command::new(env!("CARGO_BIN_EXE_ordercast"));
    token
        .args(["token", "--tenant", "bench", "--database-url", &config.database.url.0])
        .env("ORDERCAST_AUTH__SECRET", &config.auth.secret.0);
    let key = token.output().unwrap();
    let key = String::from_utf8(key.stdout).unwrap().trim().to_owned();
    let app = App::start(config).await.unwrap();
    let (client, base) = (awc::Client::default(), format!("http://{}", app.address()));
    let evening = play(&Rest { client, base, key }, if brief { 4 } else { ORDERS }).await;
    let database = app.api().database.clone();
    let tenant = database.upsert_tenant("bench").await.unwrap();
    // Couriers are named here.
    let off = TenantPatch { offer_mode: Some(None), ..TenantPatch::default() };
    database.update_tenant(tenant, &off).await.unwrap();
    let scopes = |ids: &[String], scope: fn(&str) -> Scope| {
        ids.iter().map(|id| scope(id)).collect::<Vec<_>>()
    };
    let rows = [
        ("order, customer", Audience::Customer, scopes(&evening.orders, order)),
        ("order, dispatcher", Audience::Ops, scopes(&evening.orders, order)),
        ("driver", Audience::Driver, scopes(&evening.drivers, driver)),
        ("store", Audience::Store, scopes(&evening.stores, shop)),
        ("dispatch", Audience::Ops, vec![Scope::Tenant]),
        ("tenant", Audience::Platform, vec![Scope::Tenant]),
    ];
    println!("channel            codec     events   plain B   delta B   saved  each B  more µs");
    for (name, audience, scopes) in rows {
        let mut channels = Vec::new();
        for scope in scopes {
            let missed = database.read_missed(tenant, scope, 0, 100_000).await.unwrap();
            let heard = missed
                .events
                .iter()
                .filter_map(|event| Some((event.position, event.render(audience)?)));
            channels.push(heard.collect::<Channel>());
        }
        for codec in [Codec::Json, Codec::Protobuf] {
            report(name, codec, &channels, if brief { 1 } else { 50 });
        }
        if let Some((_offset, example)) = channels[0].get(1).filter(|_| name.ends_with("customer"))
        {
            println!("  such as {example}");
        }
    }
    app.stop().await;
}

fn order(id: &str) -> Scope {
    Scope::Order(id.parse().unwrap())
}

fn driver(id: &str) -> Scope {
    Scope::Driver(id.parse().unwrap())
}

fn shop(id: &str) -> Scope {
    Scope::Store(id.parse().unwrap())
}

/// Bytes of all frames of these channels.
fn frames(codec: Codec, channels: &[Channel], deltas: bool) -> usize {
    let mut bytes = 0;
    for channel in channels {
        let memory = Deltas::default();
        for (offset, data) in channel {
            let said = Said { offset: Some(*offset), ..Said::new(data) };
            let (mut publication, mut push) = (Vec::new(), Vec::new());
            if deltas {
                memory.encode_publication(codec, &mut publication, &said);
            } else {
                codec.encode_said(&mut publication, &said);
            }
            let name = "order:or_01k8zjz6vhfd8vqd0kq2bnd2sw";
            codec.encode_push_publication(&mut push, name, &publication);
            bytes += message_frame(codec, &push).len();
        }
    }
    bytes
}

fn report(name: &str, codec: Codec, channels: &[Channel], rounds: u32) {
    let count: usize = channels.iter().map(Vec::len).sum();
    let timed = |deltas| {
        let began = Instant::now();
        for _round in 0..rounds {
            black_box(frames(codec, black_box(channels), deltas));
        }
        began.elapsed() / rounds
    };
    let (plain, patched) = (frames(codec, channels, false), frames(codec, channels, true));
    let more = timed(true).saturating_sub(timed(false));
    let share = |part: usize, whole: usize| {
        let number = |bytes: usize| f64::from(u32::try_from(bytes).unwrap());
        number(part) / number(whole)
    };
    let saved = 100.0 * (1.0 - share(patched, plain));
    let (each, count_f) = (share(plain, count), f64::from(u32::try_from(count).unwrap()));
    let micros = more.as_secs_f64() * 1e6 / count_f;
    println!(
        "{name:18} {:9} {count:6} {plain:9} {patched:9}  {saved:5.1} %  {each:6.0}  {micros:7.2}",
        format!("{codec:?}")
    );
}
