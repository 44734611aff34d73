//! Keys of tracking links: their tokens are shown again, and kept nowhere.

use awc::http::Method;
use ordercast::app::App;
use ordercast::config::Secret;
use serde_json::{Value, json};

use super::send;
use crate::links::{path_of, secret_of};
use crate::support::{City, Rest, SECRET, Server, config};

/// Another process of the same database, with these secrets, the one that signs first.
async fn beside(server: &Server, secrets: &[&str]) -> (App, String) {
    let mut config = config(&server.database);
    config.auth.secret = Secret(secrets[0].to_owned());
    config.auth.previous_secrets =
        secrets[1..].iter().map(|secret| Secret((*secret).to_owned())).collect();
    let app = App::start(config).await.unwrap();
    let url = format!("http://{}", app.address());
    (app, url)
}

#[actix_web::test]
async fn a_links_token_is_shown_again_as_long_as_the_secret_that_made_it_is_known() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let order = city.order_id().await;
    let links = format!("/v1/orders/{order}/links");
    let create = async |url: &str| {
        let who = Rest::new(url, Some(&city.key));
        send(&who, Method::POST, &links, &json!({}), "link").await
    };
    let made = create(&server.url).await;
    assert_eq!(made.header("idempotent-replayed"), None);
    let made = made.expect(201);
    city.link(&order).await;

    let newer = "a newer secret of the tests, of 32 bytes";
    let (rotated, rotated_url) = beside(&server, &[newer, SECRET]).await;
    let (later, later_url) = beside(&server, &[newer]).await;
    let mut without = made.clone();
    for member in ["token", "url"] {
        assert!(without.as_object_mut().unwrap().remove(member).is_some());
    }
    for (url, shown) in [(&server.url, &made), (&rotated_url, &made), (&later_url, &without)] {
        let again = create(url).await;
        assert_eq!(again.header("idempotent-replayed"), Some("true"));
        assert_eq!(again.expect(201), *shown);
        // What is shown or not, the link goes on: it is known by its hash.
        let anybody = Rest::new(url, None);
        assert_eq!(anybody.get(&path_of(&made)).await.expect(200)["id"], *order);
    }
    assert_eq!(server.database.count("tracking_links").await, 2);
    let client = server.database.connect().await;
    let kept = "select string_agg(to_jsonb(k)::text, ' ') from idempotency_keys k";
    let kept: String = client.query_one(kept, &[]).await.unwrap().try_get(0).unwrap();
    assert!(kept.contains(made["id"].as_str().unwrap()));
    assert!(!kept.contains(secret_of(made["token"].as_str().unwrap())), "{kept}");
    rotated.stop().await;
    later.stop().await;
    server.stop().await;
}

#[actix_web::test]
async fn links_made_since_are_not_revoked_by_a_repetition() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let order = city.order_id().await;
    let links = format!("/v1/orders/{order}/links");
    let anybody = Rest::new(&server.url, None);
    let first = city.link(&order).await;
    let revoke =
        async || send(&city.platform, Method::DELETE, &links, &Value::Null, "all of them").await;
    revoke().await.expect(204);
    anybody.get(&path_of(&first)).await.expect_problem(410, "link_ended");
    let second = city.link(&order).await;
    let again = revoke().await;
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    again.expect(204);
    anybody.get(&path_of(&second)).await.expect(200);
    server.stop().await;
}
