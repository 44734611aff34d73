//! The documents of the API: that they are well formed, that they name every route, method and
//! event that there is and no other. What their schemas say of answers and frames, `contract` holds
//! in all other tests.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use awc::http::Method;
use ordercast::domain::{Action, Word as _};
use serde_json::{Value, json};

use crate::support::contract::{self, asyncapi, openapi};
use crate::support::{City, Phone, Rest, Server, until};

const METHODS: &[&str] = &["get", "put", "post", "delete", "patch", "head"];

/// What follows `mark` up to the next quotation mark, in every file of the sources below `folder`.
fn quoted(folder: &Path, mark: &str, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            quoted(&path, mark, found);
        } else if path.extension().is_some_and(|its| its == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let text = text.split("\n#[cfg(test)]\nmod tests").next().unwrap();
            // However it is wrapped.
            let text: String = text.split_whitespace().collect();
            let rest = text.split(mark).skip(1).filter_map(|rest| rest.split('"').next());
            found.extend(rest.map(str::to_owned));
        }
    }
}

fn in_sources(mark: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    quoted(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), mark, &mut found);
    found
}

/// Every path of the document with its operations.
fn paths() -> impl Iterator<Item = (&'static String, &'static Value)> {
    openapi()["paths"].as_object().unwrap().iter()
}

/// Whether a documented path is one of those that a route takes: `{action}` stands for a word, and
/// what a parameter is called is nobody's business.
fn is_of(documented: &str, route: &str) -> bool {
    let (documented, route): (Vec<_>, Vec<_>) =
        (documented.split('/').collect(), route.split('/').collect());
    let same = |(one, other): (&&str, &&str)| {
        one == other || other.starts_with('{') && (one.starts_with('{') || is_word(one))
    };
    documented.len() == route.len() && documented.iter().zip(&route).all(same)
}

fn is_word(text: &str) -> bool {
    text == "accept" || text == "decline" || Action::find(text).is_ok()
}

#[test]
fn every_route_is_documented_and_no_other() {
    // Pages are none of the API. All but these are registered from a table.
    let mut routes = in_sources("web::resource(\"");
    for of_pages in ["/t/{token}", "/assets/tiles.json"] {
        assert!(routes.remove(of_pages), "{routes:?}");
    }
    assert!(routes.len() > 25, "{routes:?}");
    for mark in ["web::scope(\"", "#[get(\"", "#[post(\"", "services.route(\""] {
        assert!(
            in_sources(mark).is_empty(),
            "routes are resources, so that they are found: {mark}"
        );
    }
    let known: Vec<&str> = paths().map(|(path, _)| path.as_str()).collect();
    let missing: Vec<_> =
        routes.iter().filter(|route| !known.iter().any(|path| is_of(path, route))).collect();
    assert!(
        missing.is_empty(),
        "describe them, and list them in src/http/document.rs: {missing:?}"
    );
    let invented: Vec<_> =
        known.iter().filter(|path| !routes.iter().any(|route| is_of(path, route))).collect();
    assert!(invented.is_empty(), "there are no such routes: {invented:?}");
}

#[actix_web::test]
async fn every_method_of_a_route_is_documented_and_no_other() {
    let server = Server::start().await;
    let rest = Rest::new(&server.url, None);
    for (path, operations) in paths() {
        let some = path.replace(['{', '}'], "");
        let method = Method::from_bytes(b"PROPFIND").unwrap();
        let answer = rest.send(method, &some, &[], vec![]).await;
        assert_eq!(answer.status, 405, "{path}");
        let allowed = answer.header("allow").unwrap().split(',');
        let allowed: BTreeSet<String> = allowed.map(|it| it.trim().to_lowercase()).collect();
        let known = METHODS.iter().filter(|method| operations.get(**method).is_some());
        assert_eq!(allowed, known.map(|it| (*it).to_owned()).collect(), "{path}");
        answer.expect_problem(405, "method_not_allowed");
    }
}

#[actix_web::test]
async fn every_action_of_an_order_is_documented_and_no_other() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let order = city.order_id().await;
    for action in Action::WORDS {
        let path = format!("/v1/orders/{order}/{action}");
        let known =
            openapi()["paths"][format!("/v1/orders/{{order}}/{action}")]["post"].is_object();
        let answer = city.platform.post(&path, json!({})).await;
        let there = !matches!(answer.status, 404 | 405);
        assert_eq!(there, known, "{action}: {:#}", answer.body);
    }
}

#[actix_web::test]
async fn every_rpc_method_is_documented_and_no_other() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let mut phone = Phone::connect(&server.url, &city.key).await;
    let operations = asyncapi()["operations"].as_object().unwrap();
    let is_call = |name: &&str| operations[*name]["action"] == "receive";
    let calls: BTreeSet<&str> = operations.keys().map(String::as_str).filter(is_call).collect();
    assert!(calls.len() > 30, "{calls:?}");
    for call in &calls {
        // Nothing is there that it could be done to.
        let reply = phone.rpc(call, json!({"surplus": 1})).await;
        contract::check(
            call,
            &asyncapi()["components"]["messages"]["Error"]["payload"],
            &reply,
            true,
        );
        assert_ne!(reply["error"]["code"], 104, "{call}");
    }
    // Nouns and verbs as they are matched there, each with each.
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/api/rpc.rs"));
    let text = text.unwrap();
    let words = |text: &'static str| text.split('"').skip(1).step_by(2).collect::<Vec<_>>();
    let text: &'static str = text.leak();
    let lines = text.lines().map(|line| line.trim_start().trim_start_matches("| "));
    let arms = lines.filter(|line| line.starts_with("(\""));
    let arms = arms.filter_map(|line| line.split("=>").next());
    for line in arms.flat_map(|line| line.split(") | (")) {
        let (nouns, verbs) = line.split_once(',').unwrap();
        for noun in words(nouns) {
            for verb in words(verbs) {
                assert!(calls.contains(&*format!("{noun}.{verb}")), "{noun}.{verb}: {line}");
            }
        }
    }
}

#[test]
fn every_schema_is_one_and_everything_referred_to_is_there() {
    for document in [openapi(), asyncapi()] {
        for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
            let errors = jsonschema::draft202012::meta::validate(schema);
            assert!(errors.is_ok(), "{name}: {}", errors.unwrap_err());
        }
        let mut referred = 0;
        walk(document, &mut |value| {
            let Some(place) = value.get("$ref").and_then(Value::as_str) else { return };
            referred += 1;
            assert!(document.pointer(place.strip_prefix('#').unwrap()).is_some(), "{place}");
        });
        assert!(referred > 300, "{referred}");
    }
}

fn walk(value: &Value, visit: &mut impl FnMut(&Value)) {
    visit(value);
    match value {
        Value::Object(members) => members.values().for_each(|inner| walk(inner, visit)),
        Value::Array(all) => all.iter().for_each(|inner| walk(inner, visit)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn every_operation_has_a_name_of_its_own_and_says_who_may_and_what_may_go_wrong() {
    let mut names = BTreeSet::new();
    for (path, operations) in paths() {
        for (method, operation) in operations.as_object().unwrap() {
            let about = format!("{method} {path}");
            assert!(METHODS.contains(&method.as_str()), "{about}");
            assert!(names.insert(operation["operationId"].as_str().unwrap()), "{about}");
            assert!(!operation["summary"].as_str().unwrap().is_empty(), "{about}");
            assert!(operation.get("x-problems").is_none(), "{about}");
            let parameters = operation["parameters"].as_array().into_iter().flatten();
            let in_path = parameters.filter(|it| it["in"] == "path").map(|it| it["name"].as_str());
            let in_path: BTreeSet<_> = in_path.flatten().collect();
            let braced = path.split('{').skip(1).filter_map(|rest| rest.split('}').next());
            assert_eq!(in_path, braced.collect(), "{about}");
            let answers = operation["responses"].as_object().unwrap();
            assert!(answers.contains_key("500") && answers.contains_key("503"), "{about}");
            let open = operation["security"] == json!([{}]);
            assert_eq!(answers.contains_key("401"), !open, "{about}");
        }
    }
    assert!(names.len() > 60, "{names:?}");
}

/// Plays until there was an event of every type that needs no waiting, and hears them all.
#[actix_web::test]
async fn frames_of_an_evening_are_as_documented() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let mut phone = Phone::connect(&server.url, &city.key).await;
    phone.subscribe("tenant").await;
    let mut dispatcher = Phone::connect(&server.url, &city.ops_token().await).await;
    dispatcher.subscribe("dispatch").await;
    let (store, driver) = (city.store_token().await, city.driver_token().await);
    let (mut counter, mut scooter) =
        (Phone::connect(&server.url, &store).await, Phone::connect(&server.url, &driver).await);
    counter.subscribe(&format!("store:{}", city.store)).await;
    scooter.subscribe(&format!("driver:{}", city.driver)).await;
    let [platform, store, driver] = [
        city.platform.clone(),
        city.platform.with_token(&store),
        city.platform.with_token(&driver),
    ];
    let ops = city.platform.with_token(&city.ops_token().await);
    let other = city.new_driver(json!({})).await;
    ops.put(&format!("/v1/drivers/{other}/duty"), json!({"duty": "on"})).await.expect(200);
    ops.put(&format!("/v1/drivers/{}/duty", city.driver), json!({"duty": "on"})).await.expect(200);

    // To the door, back, and to the door again.
    let order = city.order_id().await;
    let path = |what: &str| format!("/v1/orders/{order}/{what}");
    let mut customer = Phone::connect(&server.url, &city.customer_token(&order).await).await;
    customer.subscribe(&format!("order:{order}")).await;
    store.post(&path("accept"), json!({"prep_min": 10})).await.expect(200);
    store.put(&path("prep"), json!({"prep_min": 20, "why": "the oven"})).await.expect(200);
    ops.post(&path("note"), json!({"note": "a remark"})).await.expect(200);
    platform.patch(&format!("/v1/orders/{order}"), json!({"note": "no onions"})).await.expect(200);
    platform.post(&path("offers"), json!({"drivers": [city.driver]})).await.expect(200);
    let asked = driver.get("/v1/drivers/me/offers").await.expect(200);
    let offer = asked["offers"][0]["offer"].as_str().unwrap().to_owned();
    platform.get(&path("offers")).await.expect(200);
    driver.post(&format!("/v1/offers/{offer}/decline"), json!({})).await.expect(200);
    ops.delete(&path("offers")).await;
    platform.put(&path("driver"), json!({"driver": other})).await.expect(200);
    platform.put(&path("driver"), json!({"driver": city.driver})).await.expect(200);
    driver.post(&path("drop"), json!({"reason": "vehicle"})).await.expect(200);
    platform.put(&path("driver"), json!({"driver": city.driver})).await.expect(200);
    platform
        .put(&format!("/v1/drivers/{}/route", city.driver), json!({"orders": [order]}))
        .await
        .expect(200);
    let order_now = platform.get(&format!("/v1/orders/{order}")).await.expect(200);
    let place = [&order_now["store"]["lat"], &order_now["store"]["lng"]];
    let point = json!([1, order_now["stamps"]["assigned"], place[0], place[1], 5.0]);
    driver.post("/v1/drivers/me/locations", json!({"p": [point]})).await.expect(200);
    for phone in [&mut dispatcher, &mut counter] {
        phone.location().await;
    }
    let near = "/v1/events?types=courier.near";
    until("the courier to be near", async || {
        let told = platform.get(near).await.expect(200);
        told["events"].as_array().unwrap().first().cloned()
    })
    .await;
    store.post(&path("start"), json!({})).await;
    store.post(&path("ready"), json!({})).await.expect(200);
    store.post(&path("unready"), json!({})).await.expect(200);
    driver.post(&path("at_store"), json!({"lat": 52.5, "lng": 13.4})).await.expect(200);
    driver.post(&path("pickup"), json!({})).await.expect(200);
    platform.put(&path("eta"), json!({"dropoff_eta": "2031-01-01T12:00:00Z"})).await.expect(200);
    driver.post(&path("at_door"), json!({})).await.expect(200);
    let picture =
        json!({"point": "dropoff", "kind": "photo", "url": "https://example.com/door.jpg"});
    driver.post(&path("proofs"), picture).await.expect(201);
    driver.post(&path("return"), json!({"reason": "refused"})).await.expect(200);
    ops.post(&path("redeliver"), json!({})).await.expect(200);
    driver.post(&path("return"), json!({"reason": "refused"})).await.expect(200);
    driver.post(&path("returned"), json!({})).await.expect(200);

    platform.post(&path("erase"), json!({})).await.expect(200);

    // And the other ends.
    let refused = city.order_id().await;
    let reject = json!({"reason": "too_busy"});
    store.post(&format!("/v1/orders/{refused}/reject"), reject).await.expect(200);
    let off = city.order_id().await;
    let cancel = json!({"reason": "duplicate"});
    platform.post(&format!("/v1/orders/{off}/cancel"), cancel).await.expect(200);
    for (last, body) in [("deliver", json!({})), ("fail", json!({"reason": "lost"}))] {
        let order = city.order_id().await;
        let path = |what: &str| format!("/v1/orders/{order}/{what}");
        store.post(&path("accept"), json!({"prep_min": 5})).await.expect(200);
        platform.put(&path("driver"), json!({"driver": city.driver})).await.expect(200);
        driver.post(&path("pickup"), json!({})).await.expect(200);
        driver.post(&path(last), body).await.expect(200);
    }
    let window = json!({"from": "2031-01-01T12:00:00Z", "to": "2031-01-01T13:00:00Z"});
    city.order(json!({"window": window})).await;
    let closing = city.new_store(json!({})).await;
    store
        .put(&format!("/v1/stores/{}/pause", city.store), json!({"until": "2031-01-01T12:00:00Z"}))
        .await
        .expect(200);
    platform.delete(&format!("/v1/stores/{closing}")).await.expect(204);
    platform.delete(&format!("/v1/drivers/{other}")).await.expect(204);
    let body = json!({"kind": "ops", "subject": "olga"});
    let token = platform.post("/v1/tokens", body).await.expect(201);
    platform.delete(&format!("/v1/tokens/{}", token["id"].as_str().unwrap())).await.expect(204);

    // The last is heard after all others.
    for phone in [&mut phone, &mut dispatcher] {
        while phone.event().await["type"] != "token.revoked" {}
    }
    while counter.event().await["type"] != "store.paused" {}
    let log = platform.get("/v1/events").await.expect(200);
    let told = log["events"].as_array().unwrap().iter().map(|event| event["type"].as_str());
    let told: BTreeSet<&str> = told.flatten().collect();
    // Times pass before these.
    let late = ["order.late", "store.silent", "courier.search_failed"];
    let messages = asyncapi()["components"]["messages"].as_object().unwrap().values();
    let all = messages.filter(|it| it["payload"].get("$ref").is_some());
    let all = all.filter_map(|it| it["name"].as_str()).filter(|name| name.contains('.'));
    let missing: Vec<&str> =
        all.filter(|kind| !told.contains(kind) && !late.contains(kind)).collect();
    // In no log, but heard.
    assert_eq!(missing, ["driver.location"], "of {told:?}");
    let heard = contract::heard();
    assert!(heard.contains("driver.location"), "{heard:?}");
    assert!(told.iter().all(|kind| heard.contains(*kind)), "{heard:?}");
}

#[actix_web::test]
async fn the_documents_are_served_to_everyone() {
    let server = Server::start().await;
    let rest = Rest::new(&server.url, None);
    for (path, document) in [("/openapi.json", openapi()), ("/asyncapi.json", asyncapi())] {
        let answer = rest.get(path).await;
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert_eq!(&answer.expect(200), document);
    }
    let page = rest.get("/docs").await.expect(200);
    assert!(page.as_str().unwrap().contains("assets/docs.js"));
}
