//! How often one may ask, and how many sockets a token may have.

use futures::future::join_all;
use serde_json::json;

use crate::links::path_of;
use crate::support::{Answer, City, Phone, Rest, Server};

/// Asks so often at once; how often it was not refused, and one of the refusals.
async fn ask_at_once(times: usize, ask: impl AsyncFn() -> Answer) -> (usize, Answer) {
    let answers = join_all((0..times).map(|_| ask())).await;
    let (refused, done): (Vec<_>, Vec<_>) =
        answers.into_iter().partition(|answer| answer.status == 429);
    assert!(done.iter().all(|answer| answer.status < 300), "{done:?}");
    let refused = refused.into_iter().next();
    (done.len(), refused.expect("so many, and none was too many"))
}

#[actix_web::test]
async fn a_platform_that_asks_too_often_is_told_when_to_come_back_and_others_go_on() {
    let server = Server::start_with(|config| {
        config.limits.tenant_writes_per_s = 20;
        config.limits.tenant_reads_per_s = 30;
    })
    .await;
    let city = City::found(&server.url, &server.database).await;
    let other = City::found(&server.url, &server.database).await;
    let order = city.order_id().await;
    let path = format!("/v1/orders/{order}");
    let store = city.caller("store", &order).await;
    let before = city.platform.get(&path).await.expect(200)["version"].as_i64().unwrap();
    let noting = format!("{path}/note");
    let note = async || city.platform.post(&noting, json!({"note": "ring"})).await;
    let (done, refused) = ask_at_once(400, note).await;
    let header = |name: &str| refused.header(name).unwrap().to_owned();
    assert_eq!(header("Retry-After"), "1");
    assert_eq!(header("RateLimit-Policy"), "\"writes\";q=20;w=1");
    assert_eq!(header("RateLimit"), "\"writes\";r=0;t=1");
    refused.expect_problem(429, "rate_limited");
    // Reads are counted for themselves; what was refused was not done.
    let after = city.platform.get(&path).await.expect(200)["version"].as_i64().unwrap();
    assert_eq!(usize::try_from(after - before).unwrap(), done);
    let read = async || city.platform.get(&path).await;
    let (_done, refused) = ask_at_once(600, read).await;
    assert_eq!(refused.header("RateLimit-Policy"), Some("\"reads\";q=30;w=1"));
    // The same over a socket, whatever else would come of it.
    let mut phone = Phone::connect(&server.url, &city.key).await;
    let call = json!({"rpc": {"method": "order.note", "data": {}}});
    let mut replies = Vec::new();
    for _ in 0..400 {
        let id = phone.send(call.clone()).await;
        replies.push(phone.reply(id).await["error"].clone());
    }
    let refused = replies.iter().find(|error| error["code"] == 429).unwrap();
    assert_eq!(refused["temporary"], true, "{refused}");
    // Neither another platform nor the people of this one are concerned.
    other.platform.get("/v1/orders").await.expect(200);
    for _ in 0..40 {
        store.get(&path).await.expect(200);
    }
    server.stop().await;
}

#[actix_web::test]
async fn a_link_that_is_read_too_often_has_to_wait_and_other_links_do_not() {
    let server = Server::start_with(|config| {
        config.limits.link_reads_per_s = 1;
        config.limits.link_reads_burst = 3;
    })
    .await;
    let city = City::found(&server.url, &server.database).await;
    let order = city.order_id().await;
    let (one, other) = (city.link(&order).await, city.link(&order).await);
    let anybody = Rest::new(&server.url, None);
    let path = path_of(&one);
    let (done, refused) = ask_at_once(200, async || anybody.get(&path).await).await;
    assert!(done >= 3, "{done}");
    refused.expect_problem(429, "rate_limited");
    anybody.get(&path_of(&other)).await.expect(200);
    server.stop().await;
}

#[actix_web::test]
async fn a_token_of_a_store_has_so_many_sockets() {
    let server = Server::start_with(|config| config.limits.store_sockets_max = 2).await;
    let city = City::found(&server.url, &server.database).await;
    let token = city.store_token().await;
    let first = Phone::connect(&server.url, &token).await;
    let _second = Phone::connect(&server.url, &token).await;
    let mut third = Phone::open(&server.url).await;
    let reply = third.ask(json!({"connect": {"token": token}})).await;
    assert_eq!(reply["error"]["code"], 111, "{reply}");
    // Another token of the same store is another tablet's.
    let issued = json!({"kind": "store", "subject": city.store});
    let issued = city.platform.post("/v1/tokens", issued).await.expect(201);
    Phone::connect(&server.url, issued["token"].as_str().unwrap()).await;
    // One that has gone makes room, as soon as it is known that it has.
    drop(first);
    loop {
        let mut again = Phone::open(&server.url).await;
        if again.ask(json!({"connect": {"token": token}})).await.get("connect").is_some() {
            break;
        }
    }
    server.stop().await;
}
