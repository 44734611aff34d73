//! Tracking links over HTTP: what they show to whoever has the address, for how long, and that they
//! show nothing else and can do nothing.

use awc::http::Method;
use ordercast::auth;
use ordercast::domain::OrderId;
use serde_json::{Value, json};

use crate::support::{Answer, City, Phone, Rest, Scratch, Server, of};

/// The address of what a link's token shows.
pub fn path_of(link: &Value) -> String {
    format!("/v1/track/{}", link["token"].as_str().unwrap())
}

/// Makes the end of an order lie so much further back.
pub async fn ended_earlier(database: &Scratch, order: &str, by: &str) {
    let stamps = ["delivered_at", "rejected_at", "cancelled_at", "failed_at", "returned_at"];
    let earlier = stamps.map(|stamp| format!("{stamp} = {stamp} - interval '{by}'")).join(", ");
    let update = format!(
        "update orders set {earlier}, closed_at = closed_at - interval '{by}' where id = $1"
    );
    let id: OrderId = order.parse().unwrap();
    let changed = database.connect().await.execute(&update, &[&id.uuid()]).await.unwrap();
    assert_eq!(changed, 1);
}

/// Accepted, assigned and picked up.
pub async fn carried(city: &City, order: &str) -> Rest {
    city.act(&city.platform, order, "accept", json!({})).await;
    city.assign(order).await;
    let courier = city.caller("driver", order).await;
    city.act(&courier, order, "pickup", json!({})).await;
    courier
}

/// What of a token is random.
pub fn secret_of(token: &str) -> &str {
    token.strip_prefix("tl_").unwrap()
}

fn members(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

/// What every answer to a link says of itself.
#[track_caller]
pub fn is_kept_secret(answer: &Answer) {
    assert_eq!(answer.header("referrer-policy"), Some("no-referrer"), "{answer:?}");
    assert_eq!(answer.header("x-robots-tag"), Some("noindex"), "{answer:?}");
    assert_eq!(answer.header("cache-control"), Some("no-store"), "{answer:?}");
}

#[actix_web::test]
async fn a_link_shows_its_order_to_whoever_has_it_and_only_the_street_of_the_address() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let order = city.order(json!({"note": "no onions", "proof_required": {"pin": true}})).await;
    let order = order["id"].as_str().unwrap();
    let link = city.link(order).await;
    let shown = ["created_at", "ends_at", "id", "order", "token", "ttl_h", "url"];
    assert_eq!(members(&link), shown);
    let token = link["token"].as_str().unwrap();
    assert_eq!(link["url"], format!("/t/{token}"));
    assert_eq!((&link["order"], &link["ttl_h"]), (&json!(order), &json!(24)));
    assert_eq!(link["ends_at"], Value::Null, "nobody knows yet");
    // 256 bits, of which nothing is kept but the hash.
    assert_eq!(token.len(), "tl_".len() + 64);
    let client = server.database.connect().await;
    let row = client.query_one("select hash, l::text from tracking_links l", &[]).await.unwrap();
    assert_eq!(row.try_get::<_, Vec<u8>>(0).unwrap(), auth::hash(token));
    assert!(!row.try_get::<_, String>(1).unwrap().contains(secret_of(token)));
    assert_ne!(city.link(order).await["token"], token);

    carried(&city, order).await;
    let anybody = Rest::new(&server.url, None);
    let answer = anybody.get(&path_of(&link)).await;
    is_kept_secret(&answer);
    let seen = answer.expect(200);
    // As the customer who is signed in, but for the address.
    let mut customers =
        city.caller("customer", order).await.get(&format!("/v1/orders/{order}")).await.expect(200);
    assert_eq!(customers["dropoff"]["address"], "Hauptstr. 1, Mitte, Berlin");
    assert_eq!(customers["dropoff"]["notes"], "ring twice");
    assert!(customers["pin"].is_string());
    customers["dropoff"]["address"] = "Hauptstr. 1".into();
    customers["dropoff"].as_object_mut().unwrap().remove("notes");
    assert_eq!(seen, customers);
    // To those who bring the token as others do, too.
    let bearer = anybody.with_token(token);
    assert_eq!(bearer.get(&format!("/v1/orders/{order}")).await.expect(200), seen);
    let log = bearer.get(&format!("/v1/orders/{order}/events")).await.expect(200);
    let types: Vec<&Value> =
        log["events"].as_array().unwrap().iter().map(|event| &event["type"]).collect();
    assert_eq!(types.first(), Some(&&json!("order.placed")));
    assert_eq!(types.last(), Some(&&json!("order.picked_up")));
    for secret in ["ring twice", "Mitte", "7766", "Lee", &city.driver, &city.tenant] {
        assert!(!log.to_string().contains(secret), "{secret}");
    }
    server.stop().await;
}

#[actix_web::test]
async fn who_looks_again_is_sent_only_what_has_changed() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let order = city.order_id().await;
    let link = city.link(&order).await;
    let anybody = Rest::new(&server.url, None);
    let look = async |tag: &str| {
        let known = [("if-none-match", tag)];
        anybody.send(Method::GET, &path_of(&link), &known, Vec::new()).await
    };
    let first = look("\"1\"").await;
    let tag = first.header("etag").unwrap().to_owned();
    assert_eq!(first.expect(200)["version"], 1);
    for known in [tag.clone(), format!("W/{tag}"), format!("\"x\", {tag}"), "*".to_owned()] {
        let again = look(&known).await;
        is_kept_secret(&again);
        assert_eq!(again.header("etag"), Some(&*tag));
        assert_eq!(again.expect(304), "");
    }
    // Also what is no change of the order itself, as the name of its store.
    let store = format!("/v1/stores/{}", city.store);
    city.platform.patch(&store, json!({"name": "Osteria"})).await.expect(200);
    let renamed = look(&tag).await;
    let tag = renamed.header("etag").unwrap().to_owned();
    assert_eq!(renamed.expect(200)["store"]["name"], "Osteria");
    city.act(&city.platform, &order, "accept", json!({})).await;
    assert_eq!(look(&tag).await.expect(200)["version"], 3);
    let head = anybody.send(Method::HEAD, &path_of(&link), &[], Vec::new()).await;
    is_kept_secret(&head);
    assert_eq!(head.expect(200), "");
    server.stop().await;
}

#[actix_web::test]
async fn after_the_end_a_link_shows_all_for_two_hours_then_how_it_ended_and_then_nothing() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let order = city.order(json!({"note": "no onions"})).await["id"].as_str().unwrap().to_owned();
    let (link, long) = (city.link(&order).await, json!({"ttl_h": 48}));
    let links = format!("/v1/orders/{order}/links");
    let long = city.platform.post(&links, long).await.expect(201);
    assert_eq!(long["ttl_h"], 48);
    let courier = carried(&city, &order).await;
    city.act(&courier, &order, "deliver", json!({})).await;
    let anybody = Rest::new(&server.url, None);
    let bearer = anybody.with_token(link["token"].as_str().unwrap());
    let page = format!("/t/{}", link["token"].as_str().unwrap());

    ended_earlier(&server.database, &order, "119 minutes").await;
    let full = anybody.get(&path_of(&link)).await.expect(200);
    assert_eq!(full["dropoff"]["name"], "Ann");
    assert!(anybody.get(&page).await.expect(200).as_str().unwrap().contains("Hauptstr. 1"));

    ended_earlier(&server.database, &order, "2 minutes").await;
    let answer = anybody.get(&path_of(&link)).await;
    is_kept_secret(&answer);
    let end = answer.expect(200);
    let mut left = full.clone();
    for gone in ["dropoff", "driver", "note"] {
        assert!(left.as_object_mut().unwrap().remove(gone).is_some(), "{gone}");
    }
    for gone in ["lat", "lng"] {
        assert!(left["store"].as_object_mut().unwrap().remove(gone).is_some(), "{gone}");
    }
    // The steps tell of the end when it was by now.
    left["steps"] = end["steps"].clone();
    assert_eq!(end, left);
    assert!(end["steps"].as_array().unwrap().iter().any(|step| step["step"] == "delivered"));
    let shown = anybody.get(&page).await.expect(200).to_string();
    let log = bearer.get(&format!("/v1/orders/{order}/events")).await.expect(200).to_string();
    for secret in ["Hauptstr", "Ann", "Cori", "\"lat\"", "\"lng\"", "B-CR 1", "no onions"] {
        for (what, text) in
            [("view", end.to_string()), ("page", shown.clone()), ("log", log.clone())]
        {
            assert!(!text.contains(secret), "{secret} in the {what}: {text}");
        }
    }
    assert!(log.contains("order.delivered") && log.contains("courier.assigned"));

    ended_earlier(&server.database, &order, "22 hours").await;
    for _ in 0..2 {
        let answer = anybody.get(&path_of(&link)).await;
        is_kept_secret(&answer);
        answer.expect_problem(410, "link_ended");
        let answer = anybody.get(&page).await;
        is_kept_secret(&answer);
        assert!(answer.expect(410).as_str().unwrap().contains("This link has ended."));
    }
    let path = format!("/v1/orders/{order}");
    bearer.get(&path).await.expect_problem(401, "unauthenticated");
    let mut later = anybody.get(&path_of(&long)).await.expect(200);
    later["steps"] = end["steps"].clone();
    assert_eq!(later, end);
    // A new one would be of no use.
    let stale = city.platform.post(&links, json!({"ttl_h": 5})).await;
    stale.expect_problem(410, "link_ended");
    ended_earlier(&server.database, &order, "24 hours").await;
    anybody.get(&path_of(&long)).await.expect_problem(410, "link_ended");
    server.stop().await;
}

#[actix_web::test]
async fn each_way_to_end_counts_and_the_tenant_says_for_how_long() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let client = server.database.connect().await;
    client.batch_execute("update tenants set link_ttl_h = 3").await.unwrap();
    let anybody = Rest::new(&server.url, None);
    for end in ["delivered", "rejected", "cancelled", "failed", "returned"] {
        let order = city.order_id().await;
        let link = city.link(&order).await;
        assert_eq!(link["ttl_h"], 3);
        let id: OrderId = order.parse().unwrap();
        let update = format!(
            "update orders set status = '{end}', leg = 'closed', {end}_at = now(),
                closed_at = now(), updated_at = now() where id = $1"
        );
        client.execute(&update, &[&id.uuid()]).await.unwrap();
        assert!(anybody.get(&path_of(&link)).await.expect(200)["dropoff"].is_object());
        let links = city.platform.get(&format!("/v1/orders/{order}/links")).await.expect(200);
        assert!(links["links"][0]["ends_at"].is_string(), "{links}");
        ended_earlier(&server.database, &order, "121 minutes").await;
        let shown = anybody.get(&path_of(&link)).await.expect(200);
        assert_eq!(shown.get("dropoff"), None, "{end}");
        ended_earlier(&server.database, &order, "59 minutes").await;
        anybody.get(&path_of(&link)).await.expect_problem(410, "link_ended");
    }
    server.stop().await;
}

#[actix_web::test]
async fn a_revoked_link_shows_nothing_any_more_and_the_others_go_on() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let (order, other) = (city.order_id().await, city.order_id().await);
    let links = format!("/v1/orders/{order}/links");
    let (mut made, elsewhere) = (Vec::new(), city.link(&other).await);
    for _ in 0..4 {
        made.push(city.link(&order).await);
    }
    let listed = city.platform.get(&links).await.expect(200);
    let plain: Vec<Value> = made.iter().cloned().map(without_token).collect();
    assert_eq!(listed, json!({"links": plain}));
    let ops = city.caller("ops", &order).await;
    assert_eq!(ops.get(&links).await.expect(200), listed);

    let anybody = Rest::new(&server.url, None);
    let one = format!("{links}/{}", made[0]["id"].as_str().unwrap());
    for _ in 0..2 {
        assert_eq!(ops.delete(&one).await.expect(204), "");
        anybody.get(&path_of(&made[0])).await.expect_problem(410, "link_ended");
    }
    // By its id alone, as a token is; and by RPC.
    let token = format!("/v1/tokens/{}", made[1]["id"].as_str().unwrap());
    city.platform.delete(&token).await.expect(204);
    anybody.get(&path_of(&made[1])).await.expect_problem(410, "link_ended");
    let mut phone = Phone::connect(&server.url, &city.key).await;
    let data = json!({"order": order, "link": made[2]["id"]});
    assert_eq!(phone.rpc("link.revoke", data).await["rpc"]["data"], json!({}));
    let listed = city.platform.get(&links).await.expect(200);
    assert_eq!(listed, json!({"links": [without_token(made[3].clone())]}));
    anybody.get(&path_of(&made[3])).await.expect(200);
    let reply = phone.rpc("link.create", json!({"order": order, "ttl_h": 2})).await;
    let last = &reply["rpc"]["data"];
    assert_eq!(last["ttl_h"], 2, "{reply}");
    made.push(last.clone());
    for _ in 0..2 {
        city.platform.delete(&links).await.expect(204);
        let reply = phone.rpc("link.revoke", json!({"order": order})).await;
        assert_eq!(reply["rpc"]["data"], json!({}), "{reply}");
    }
    for (data, code) in [
        (json!({}), 422),
        (json!({"order": order, "links": []}), 422),
        (json!({"order": "or_x"}), 404),
        (json!({"order": order, "link": "x"}), 404),
    ] {
        assert_eq!(phone.rpc("link.revoke", data).await["error"]["code"], code);
    }
    for link in &made {
        let bearer = anybody.with_token(link["token"].as_str().unwrap());
        bearer.get(&format!("/v1/orders/{order}")).await.expect_problem(401, "unauthenticated");
        anybody.get(&path_of(link)).await.expect_problem(410, "link_ended");
        anybody.get(link["url"].as_str().unwrap()).await.expect(410);
    }
    anybody.get(&path_of(&elsewhere)).await.expect(200);
    let log = city.platform.get("/v1/events?types=token.revoked").await.expect(200);
    let told: Vec<&Value> =
        log["events"].as_array().unwrap().iter().map(|event| &event["data"]["token"]).collect();
    assert_eq!(told.len(), made.len(), "each once: {log}");
    assert!(made.iter().all(|link| told.contains(&&link["id"])));
    server.stop().await;
}

fn without_token(mut link: Value) -> Value {
    for member in ["token", "url"] {
        link.as_object_mut().unwrap().remove(member).unwrap();
    }
    link
}

#[actix_web::test]
async fn what_was_never_a_link_is_not_found_and_a_forgotten_one_neither() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let order = city.order_id().await;
    let link = city.link(&order).await;
    let anybody = Rest::new(&server.url, None);
    let token = link["token"].as_str().unwrap();
    let customers = city.customer_token(&order).await;
    for wrong in [
        "x",
        "tl_",
        &format!("tl_{}", "0".repeat(64)),
        secret_of(token),
        &token.to_uppercase(),
        &format!("{token}0"),
        link["id"].as_str().unwrap(),
        &city.key,
        &customers,
    ] {
        let answer = anybody.get(&format!("/v1/track/{wrong}")).await;
        is_kept_secret(&answer);
        answer.expect_problem(404, "not_found");
        let page = anybody.get(&format!("/t/{wrong}")).await;
        is_kept_secret(&page);
        assert!(page.expect(404).as_str().unwrap().starts_with("<!doctype html>"));
        if wrong.starts_with("tl_") {
            let bearer = anybody.with_token(wrong);
            bearer.get("/v1/orders").await.expect_problem(401, "unauthenticated");
        }
    }
    // Nor does the method show one.
    let post = anybody.post(&path_of(&link), json!({})).await;
    post.expect_problem(405, "method_not_allowed");
    city.platform.delete(&format!("/v1/orders/{order}/links")).await.expect(204);
    anybody.get(&path_of(&link)).await.expect_problem(410, "link_ended");
    let earlier = "update tracking_links set created_at = created_at - interval '31 days',
        revoked_at = revoked_at - interval '31 days'";
    server.database.connect().await.batch_execute(earlier).await.unwrap();
    let keep = server.app().api().config.links.keep_s.get();
    server.app().api().database.sweep_links(keep).await.unwrap();
    anybody.get(&path_of(&link)).await.expect_problem(404, "not_found");
    server.stop().await;
}

#[actix_web::test]
async fn only_the_platform_makes_links_and_only_for_its_own_orders() {
    let server = Server::start_with(|config| config.links.per_order_max = 3).await;
    let city = City::found(&server.url, &server.database).await;
    let theirs = City::found(&server.url, &server.database).await;
    let order = city.order_id().await;
    city.assign(&order).await;
    let links = format!("/v1/orders/{order}/links");
    for role in ["ops", "store", "driver", "customer"] {
        let who = city.caller(role, &order).await;
        who.post(&links, json!({})).await.expect_problem(403, "role_not_allowed");
        if role != "ops" {
            who.get(&links).await.expect_problem(403, "role_not_allowed");
            who.delete(&links).await.expect_problem(403, "role_not_allowed");
        }
    }
    Rest::new(&server.url, None).post(&links, json!({})).await.expect(401);
    let link = city.link(&order).await;
    let one = format!("{links}/{}", link["id"].as_str().unwrap());
    let stranger = &theirs.platform;
    stranger.post(&links, json!({})).await.expect_problem(404, "not_found");
    stranger.get(&links).await.expect_problem(404, "not_found");
    stranger.delete(&links).await.expect_problem(404, "not_found");
    stranger.delete(&one).await.expect_problem(404, "not_found");
    // By the path of an order of its own, or as a token: answered as any, and nothing is ended.
    let own = theirs.order_id().await;
    let through = format!("/v1/orders/{own}/links/{}", link["id"].as_str().unwrap());
    stranger.delete(&through).await.expect(204);
    let token = format!("/v1/tokens/{}", link["id"].as_str().unwrap());
    stranger.delete(&token).await.expect(204);
    let anybody = Rest::new(&server.url, None);
    anybody.get(&path_of(&link)).await.expect(200);
    // Nor is a link one of another order of the same tenant.
    let second = city.order_id().await;
    let through = format!("/v1/orders/{second}/links/{}", link["id"].as_str().unwrap());
    city.platform.delete(&through).await.expect(204);
    anybody.get(&path_of(&link)).await.expect(200);

    for (body, field) in [
        (json!({"ttl_h": 0}), "ttl_h"),
        (json!({"ttl_h": 721}), "ttl_h"),
        (json!({"ttl_h": -1}), "ttl_h"),
        (json!({"ttl_h": 1.5}), "ttl_h"),
        (json!({"ttl_h": "24"}), "ttl_h"),
        (json!({"ttl": 24}), "ttl"),
    ] {
        let problem = city.platform.post(&links, body).await.expect_problem(422, "validation");
        assert_eq!(problem["fields"][0]["field"], field);
    }
    for order in ["x", "or_x", &city.store] {
        let links = format!("/v1/orders/{order}/links");
        city.platform.post(&links, json!({})).await.expect_problem(404, "not_found");
    }
    city.platform.delete(&format!("{links}/x")).await.expect_problem(404, "not_found");
    city.link(&order).await;
    city.platform.post(&links, json!({"ttl_h": 720})).await.expect(201);
    let full = city.platform.post(&links, json!({})).await.expect_problem(422, "validation");
    assert!(full["detail"].as_str().unwrap().contains("3 links already"));
    city.platform.delete(&one).await.expect(204);
    city.link(&order).await;
    server.stop().await;
}

#[actix_web::test]
async fn the_bearer_of_a_link_looks_at_its_order_and_can_do_nothing() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let client = server.database.connect().await;
    client.batch_execute("update tenants set customer_cancel_until = 'ready'").await.unwrap();
    let (order, other) = (city.order_id().await, city.order_id().await);
    let link = city.link(&order).await;
    let bearer = city.platform.with_token(link["token"].as_str().unwrap());
    let path = format!("/v1/orders/{order}");
    let before = server.database.contents().await;
    let reason = json!({"reason": "customer_request"});
    for (method, path) in [
        (Method::POST, format!("{path}/cancel")),
        (Method::POST, format!("{path}/collect")),
        (Method::POST, format!("/v1/orders/{other}/cancel")),
        (Method::PATCH, path.clone()),
        (Method::PUT, format!("{path}/prep")),
        (Method::DELETE, format!("{path}/driver")),
        (Method::POST, format!("{path}/links")),
        (Method::DELETE, format!("{path}/links")),
        (Method::POST, "/v1/orders".to_owned()),
        (Method::POST, "/v1/tokens".to_owned()),
        (Method::DELETE, format!("/v1/tokens/{}", link["id"].as_str().unwrap())),
        (Method::PUT, "/v1/drivers/me/duty".to_owned()),
        (Method::POST, "/v1/webhooks".to_owned()),
        (Method::GET, "/v1/orders".to_owned()),
        (Method::GET, "/v1/events".to_owned()),
        (Method::GET, "/v1/stores".to_owned()),
        (Method::GET, format!("{path}/links")),
    ] {
        let answer = bearer.send(method.clone(), &path, &[], reason.to_string().into()).await;
        assert_eq!(answer.status, 403, "{method} {path}: {}", answer.body);
    }
    assert_eq!(server.database.contents().await, before);
    for other in [&other, &OrderId::new().to_string()] {
        let path = format!("/v1/orders/{other}");
        bearer.get(&path).await.expect_problem(404, "not_found");
        bearer.get(&format!("{path}/events")).await.expect_problem(404, "not_found");
    }
    let store = format!("/v1/stores/{}", city.store);
    bearer.get(&store).await.expect_problem(404, "not_found");
    bearer.get(&path).await.expect(200);
    // The customer who is signed in may.
    let customer = city.caller("customer", &order).await;
    city.act(&customer, &order, "cancel", reason).await;
    server.stop().await;
}

#[actix_web::test]
async fn what_is_shown_in_full_for_how_long_is_a_setting() {
    let server = Server::start_with(|config| config.links.full_view_s = of(60)).await;
    let city = City::found(&server.url, &server.database).await;
    let order = city.order_id().await;
    let link = city.link(&order).await;
    let reason = json!({"reason": "duplicate"});
    city.act(&city.platform, &order, "cancel", reason).await;
    let anybody = Rest::new(&server.url, None);
    assert!(anybody.get(&path_of(&link)).await.expect(200)["dropoff"].is_object());
    ended_earlier(&server.database, &order, "61 seconds").await;
    assert_eq!(anybody.get(&path_of(&link)).await.expect(200).get("dropoff"), None);
    server.stop().await;
}
