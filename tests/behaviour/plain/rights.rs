//! Rights that end while a stream is open: the last events are the one that says so and the end,
//! and a browser that comes back is sent away for good.

use ordercast::auth::{self, Keys};
use serde_json::json;

use crate::support::{City, SECRET, Server, Stream};

async fn follow(server: &Server, token: &str, channel: &str) -> Stream {
    let mut stream = Stream::follow(&server.url, token, &format!("channel={channel}"), "").await;
    stream.event("snapshot").await;
    stream
}

/// The end is the last, and coming back is answered by this status.
async fn ends(
    server: &Server,
    mut stream: Stream,
    code: u64,
    token: &str,
    channel: &str,
    status: u16,
) {
    let end = stream.event("end").await;
    assert_eq!(end.json()["code"], code, "{channel}");
    assert!(stream.next().await.is_none() && stream.whole, "{channel}");
    let query = format!("channel={channel}");
    let again = Stream::follow(&server.url, token, &query, &stream.last_id).await;
    again.problem(status).await;
}

#[actix_web::test]
async fn a_courier_follows_an_order_while_it_has_it() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let order = city.order_id().await;
    let (channel, token) = (format!("order:{order}"), city.driver_token().await);
    city.act(&city.platform, &order, "accept", json!({})).await;
    city.assign(&order).await;
    let mut stream = follow(&server, &token, &channel).await;
    let next = city.new_driver(json!({})).await;
    let path = format!("/v1/orders/{order}/driver");
    city.platform.put(&path, json!({"driver": next})).await.expect(200);
    assert_eq!(stream.envelope().await["type"], "courier.changed");
    ends(&server, stream, 2000, &token, &channel, 403).await;
    server.stop().await;
}

#[actix_web::test]
async fn who_is_deleted_hears_that_and_no_more() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let store = city.new_store(json!({})).await;
    let token = city.token("store", &store, &[]).await;
    let channel = format!("store:{store}");
    let mut stream = follow(&server, &token, &channel).await;
    city.platform.delete(&format!("/v1/stores/{store}")).await.expect(204);
    assert_eq!(stream.envelope().await["type"], "store.deleted");
    ends(&server, stream, 2000, &token, &channel, 403).await;
    server.stop().await;
}

#[actix_web::test]
async fn a_revoked_token_ends_its_streams_and_no_others() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let order = city.order_id().await;
    let (revoked, other) = (city.ops_token().await, city.ops_token().await);
    // On both threads.
    let mut streams = Vec::new();
    for _ in 0..4 {
        streams.push(follow(&server, &revoked, "dispatch").await);
    }
    let mut staying = follow(&server, &other, "dispatch").await;
    let id = Keys::new(SECRET).verify(&revoked, auth::now()).unwrap().credential;
    city.platform.delete(&format!("/v1/tokens/{id}")).await.expect(204);
    for mut stream in streams {
        // Dispatchers are told of it like of everything.
        assert_eq!(stream.envelope().await["type"], "token.revoked");
        ends(&server, stream, 3500, &revoked, "dispatch", 401).await;
    }
    city.act(&city.platform, &order, "accept", json!({})).await;
    while staying.envelope().await["type"] != "order.accepted" {}
    server.stop().await;
}
