//! Keys of searches, of couriers' answers, and of where couriers are.

use awc::http::Method;
use futures::future::join_all;
use serde_json::{Value, json};

use super::send;
use super::writes::offered;
use crate::support::{City, Server, merged, until};

/// The types of an order's events.
async fn told(city: &City, order: &str) -> Vec<String> {
    let log = city.platform.get(&format!("/v1/orders/{order}/events")).await.expect(200);
    let events = log["events"].as_array().unwrap().iter();
    events.map(|event| event["type"].as_str().unwrap().to_owned()).collect()
}

#[actix_web::test]
async fn a_search_that_is_repeated_is_answered_though_who_was_named_is_free_no_longer() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    // Room for one: after the search nobody who is named could be asked.
    let driver = city.new_driver(json!({"capacity": 1})).await;
    let duty = async |duty: &str| {
        let path = format!("/v1/drivers/{driver}/duty");
        city.platform.put(&path, json!({"duty": duty})).await.expect(200);
    };
    let order = city.order_id().await;
    city.act(&city.platform, &order, "accept", json!({})).await;
    let path = format!("/v1/orders/{order}/offers");
    let body = json!({"drivers": [driver], "offer_s": 120});
    let search =
        async |body: &Value, key: &str| send(&city.platform, Method::POST, &path, body, key).await;

    // What was refused kept nothing.
    duty("off").await;
    search(&body, "search").await.expect_problem(422, "validation");
    assert_eq!(server.database.count("idempotency_keys").await, 0);
    duty("on").await;
    // Of several at once one does it, and the others are answered the same.
    let answers = join_all((0..8).map(|_nth| search(&body, "search"))).await;
    for answer in &answers {
        assert_eq!((answer.status, &answer.body), (200, &answers[0].body));
        assert_eq!(answer.header("etag"), answers[0].header("etag"));
    }
    let firsts = answers.iter().filter(|it| it.header("idempotent-replayed").is_none());
    assert_eq!(firsts.count(), 1);
    assert_eq!(answers[0].body["leg"], "offering");
    assert_eq!(server.database.count("offers").await, 1);

    duty("off").await;
    city.act(&city.platform, &order, "cancel", json!({"reason": "duplicate"})).await;
    let before = server.database.contents().await;
    let again = search(&body, "search").await;
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(again.expect(200), answers[0].body);
    let longer = json!({"drivers": [city.driver], "offer_s": 120});
    search(&longer, "search").await.expect_problem(409, "idempotency_key_reused");
    search(&body, "another").await.expect_problem(409, "invalid_transition");
    assert_eq!(server.database.contents().await, before);
    server.stop().await;
}

#[actix_web::test]
async fn an_offer_is_answered_once_whatever_became_of_the_order_since() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let courier = city.caller("driver", "").await;
    let answer = async |offer: &str, verb: &str, key: &str| {
        let path = format!("/v1/offers/{offer}/{verb}");
        send(&courier, Method::POST, &path, &json!({}), key).await
    };
    let (order, offer) = offered(&city, &[&city.driver]).await;
    let first = answer(&offer, "accept", "a").await.expect(200);
    assert_eq!((&first["id"], &first["leg"]), (&json!(order), &json!("assigned")));
    // Taken off again: a repetition does not bring it back.
    city.platform.delete(&format!("/v1/orders/{order}/driver")).await.expect(200);
    let again = answer(&offer, "accept", "a").await;
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(again.expect(200), first);
    answer(&offer, "decline", "a").await.expect_problem(409, "idempotency_key_reused");
    let view = city.platform.get(&format!("/v1/orders/{order}")).await.expect(200);
    assert_eq!(view["driver"], Value::Null);
    let accepted = told(&city, &order).await.iter().filter(|it| *it == "courier.assigned").count();
    assert_eq!(accepted, 1);

    let other = city.new_driver(json!({})).await;
    let (order, offer) = offered(&city, &[&city.driver, &other]).await;
    let first = answer(&offer, "decline", "d").await.expect(200);
    assert_eq!(first, json!({"offer": offer, "state": "declined"}));
    city.act(&city.platform, &order, "cancel", json!({"reason": "duplicate"})).await;
    let before = server.database.contents().await;
    let again = answer(&offer, "decline", "d").await;
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(again.expect(200), first);
    answer(&offer, "accept", "d").await.expect_problem(409, "idempotency_key_reused");
    assert_eq!(server.database.contents().await, before);
    server.stop().await;
}

#[actix_web::test]
async fn a_point_that_comes_with_a_key_tells_of_an_arrival_too() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let order = city.order_id().await;
    city.act(&city.platform, &order, "accept", json!({})).await;
    city.assign(&order).await;
    let courier = city.caller("driver", "").await;
    let now = ordercast::auth::now().as_millisecond();
    // At the store's door.
    let body = json!({"p": [[7, now, 52.5200, 13.4050]]});
    let point = async |body: &Value| {
        send(&courier, Method::POST, "/v1/drivers/me/locations", body, "p").await
    };
    let first = point(&body).await.expect(200);
    assert_eq!(first, json!({"n": 7, "refused": 0}));
    until("the arrival to be told", async || {
        told(&city, &order).await.iter().any(|it| it == "courier.near").then_some(())
    })
    .await;
    let before = server.database.contents().await;
    let again = point(&body).await;
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(again.expect(200), first);
    let other = merged(body, json!({"p": [[8, now, 52.5200, 13.4050]]}));
    point(&other).await.expect_problem(409, "idempotency_key_reused");
    assert_eq!(server.database.contents().await, before);
    server.stop().await;
}
