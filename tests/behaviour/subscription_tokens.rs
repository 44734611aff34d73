//! Tokens for one channel: what POST /v1/tokens makes, and that they open nothing else.

use ordercast::auth::{self, Keys};
use serde_json::{Value, json};

use crate::support::{City, Phone, SECRET, Server, Signer, key_set, merged};

#[actix_web::test]
async fn a_token_for_one_channel_opens_that_and_no_connection() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let order = city.order_id().await;
    let channel = format!("order:{order}");
    let info = json!({"name": "Ann"});
    let body = json!({"kind": "customer", "subject": "ann", "channel": channel, "ttl_s": 60,
        "info": info});
    let issued = city.platform.post("/v1/tokens", body).await.expect(201);
    let token = issued["token"].as_str().unwrap();
    let permit = server.app().api().permit(token).await.unwrap();
    assert_eq!(permit.tenant.to_string(), city.tenant);
    assert_eq!((permit.subject.as_str(), &permit.channel), ("ann", &channel));
    assert_eq!(permit.info.unwrap().json(), info.to_string());
    // Whole seconds in the token, all of them in the answer.
    let ends: jiff::Timestamp = issued["expires_at"].as_str().unwrap().parse().unwrap();
    assert_eq!(permit.expires_at.as_second(), ends.as_second());
    let said = json!({"id": permit.credential.to_string(), "token": token, "kind": "customer",
        "subject": "ann", "channel": channel, "expires_at": issued["expires_at"]});
    assert_eq!(issued, said);

    let refused = city.platform.with_token(token).get(&format!("/v1/orders/{order}")).await;
    refused.expect_problem(401, "unauthenticated");
    let mut phone = Phone::open(&server.url).await;
    phone.send(json!({"connect": {"token": token}})).await;
    assert_eq!(phone.closed().await.code, Some(3500));
    // Nor is the token of a connection one for a channel.
    let connection = city.customer_token(&order).await;
    let problem = server.app().api().permit(&connection).await.unwrap_err();
    assert_eq!(problem.code, ordercast::api::ProblemCode::Unauthenticated);
    let mut phone = Phone::connect(&server.url, &city.key).await;
    let data = json!({"kind": "customer", "subject": "ann", "channel": channel});
    let reply = phone.rpc("token.create", data).await;
    assert_eq!(reply["rpc"]["data"]["channel"], channel.as_str(), "{reply}");
    // Once it is revoked it opens nothing.
    let id = issued["id"].as_str().unwrap();
    city.platform.delete(&format!("/v1/tokens/{id}")).await.expect(204);
    let problem = server.app().api().permit(token).await.unwrap_err();
    assert_eq!(problem.code, ordercast::api::ProblemCode::Unauthenticated);
    server.stop().await;
}

#[actix_web::test]
async fn a_channel_is_given_only_to_customers_and_only_of_an_order_of_the_tenant() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let other = City::found(&server.url, &server.database).await;
    let (order, foreign) = (city.order_id().await, other.order_id().await);
    let good = json!({"kind": "customer", "subject": "ann", "channel": format!("order:{order}")});
    city.platform.post("/v1/tokens", good.clone()).await.expect(201);
    for (more, field) in [
        (json!({"kind": "ops"}), "channel"),
        (json!({"kind": "store", "subject": city.store}), "channel"),
        (json!({"kind": "driver", "subject": city.driver}), "channel"),
        (json!({"kind": "platform"}), "channel"),
        (json!({"orders": [order]}), "orders"),
        (json!({"channel": format!("order:{foreign}")}), "channel"),
        (json!({"channel": order}), "channel"),
        (json!({"channel": format!("order:{order} ")}), "channel"),
        (json!({"channel": format!("store:{}", city.store)}), "channel"),
        (json!({"channel": "dispatch"}), "channel"),
        (json!({"channel": "tenant"}), "channel"),
        (json!({"channel": ""}), "channel"),
        (json!({"info": "x".repeat(1_023)}), "info"),
        (json!({"ttl_s": 0}), "ttl_s"),
    ] {
        let answer = city.platform.post("/v1/tokens", merged(good.clone(), more.clone())).await;
        let problem = answer.expect_problem(422, "validation");
        assert_eq!(problem["fields"][0]["field"], field, "{more}");
    }
    server.stop().await;
}

#[actix_web::test]
async fn an_issued_token_is_named_by_its_id_and_carries_its_info() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    for info in [json!({"name": "Ann", "seat": 7}), json!("Ann"), Value::Null] {
        let body = json!({"kind": "ops", "subject": "ann", "info": info});
        let issued = city.platform.post("/v1/tokens", body).await.expect(201);
        let token = issued["token"].as_str().unwrap();
        let principal = Keys::new(SECRET).verify(token, auth::now()).unwrap();
        assert_eq!(principal.credential.to_string(), issued["id"].as_str().unwrap());
        let carried =
            principal.info.map(|info| serde_json::from_str::<Value>(info.json()).unwrap());
        assert_eq!(carried.unwrap_or_default(), info);
        assert!(issued.get("channel").is_none(), "{issued}");
        city.platform.with_token(token).get("/v1/orders").await.expect(200);
    }
    server.stop().await;
}

#[actix_web::test]
async fn a_channel_token_of_others_is_verified_by_their_keys() {
    let signer = Signer::p256("a");
    let file = std::env::temp_dir().join(format!("ordercast-permits-{}", std::process::id()));
    std::fs::write(&file, key_set(&[&signer]).to_string()).unwrap();
    let path = file.to_str().unwrap().to_owned();
    let server = Server::start_with(|config| config.auth.jwks_file = path).await;
    std::fs::remove_file(&file).unwrap();
    let city = City::found(&server.url, &server.database).await;
    let exp = auth::now().as_second() + 60;
    let said = json!({"sub": "ann", "tenant": city.tenant, "channel": "order:x", "exp": exp});
    let token = signer.sign(&said);
    let permit = server.app().api().permit(&token).await.unwrap();
    assert_eq!((permit.subject.as_str(), permit.channel.as_str()), ("ann", "order:x"));
    city.platform.with_token(&token).get("/v1/orders").await.expect_problem(401, "unauthenticated");
    let stranger = Signer::p256("a").sign(&said);
    server.app().api().permit(&stranger).await.unwrap_err();
    server.stop().await;
}
