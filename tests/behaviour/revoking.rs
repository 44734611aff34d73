//! Revoking: a token or an API key that was good is refused like one that never was, by every
//! process, from the moment it hears of it; and nobody ends what is another tenant's.

use futures::future::{join, join_all};
use ordercast::auth::{self, Keys};
use ordercast::config::Secret;
use ordercast::domain::CredentialId;
use serde_json::{Value, json};
use tokio_postgres::Client;

use crate::support::{
    City, Closed, Phone, Process, Rest, SECRET, Scratch, Server, check_log, until,
};

/// The identifier that a token carries.
fn id_of(token: &str) -> String {
    Keys::new(SECRET).verify(token, auth::now()).unwrap().credential.to_string()
}

async fn id_of_key(database: &Scratch, key: &str) -> String {
    let find = "select id from credentials where hash = $1";
    let row = database.connect().await.query_one(find, &[&auth::hash(key)]).await.unwrap();
    CredentialId::from_uuid(row.try_get(0).unwrap()).to_string()
}

/// A second API key of a city's tenant.
async fn another_key(database: &Scratch, city: &City) -> String {
    let (key, hash) = auth::new_api_key();
    let copy = "insert into credentials (id, tenant_id, kind, subject_id, hash)
                select $1, tenant_id, kind, 'another', $2 from credentials where hash = $3";
    let id = CredentialId::new().uuid();
    let client = database.connect().await;
    let made = client.execute(copy, &[&id, &hash, &auth::hash(&city.key)]).await.unwrap();
    assert_eq!(made, 1);
    key
}

async fn revoke(who: &Rest, id: &str) {
    assert_eq!(who.delete(&format!("/v1/tokens/{id}")).await.expect(204), json!(""));
}

/// Waits until a process refuses the token.
async fn refused(base: &str, token: &str) {
    let who = Rest::new(base, Some(token));
    let answer = until("the token to be refused", async || {
        let answer = who.get("/v1/orders").await;
        (answer.status != 200).then_some(answer)
    })
    .await;
    answer.expect_problem(401, "unauthenticated");
}

async fn door_is_shut(base: &str, token: &str) {
    let mut phone = Phone::open(base).await;
    phone.send(json!({"connect": {"token": token}})).await;
    let invalid = Closed { code: Some(3500), reason: "invalid token".to_owned() };
    assert_eq!(phone.closed().await, invalid);
}

async fn revocations(city: &City) -> Vec<Value> {
    let log = city.platform.get("/v1/events?types=token.revoked").await.expect(200);
    log["events"].as_array().unwrap().clone()
}

#[actix_web::test]
async fn a_revoked_token_is_refused_at_once_like_one_that_never_was() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let order = city.order_id().await;
    let forged = city.platform.with_token("a.b.c").get("/v1/orders").await;
    let mut forged = forged.expect_problem(401, "unauthenticated");
    for (nth, role) in ["ops", "store", "driver", "customer"].into_iter().enumerate() {
        let who = city.caller(role, &order).await;
        let other = city.caller(role, &order).await;
        let path = format!("/v1/orders/{order}");
        if role == "driver" {
            city.assign(&order).await;
        }
        who.get(&path).await.expect(200);
        let token = who.token.clone().unwrap();
        let id = id_of(&token);
        revoke(&city.platform, &id).await;
        let mut problem = who.get(&path).await.expect_problem(401, "unauthenticated");
        for problem in [&mut problem, &mut forged] {
            problem.as_object_mut().unwrap().remove("request_id");
        }
        assert_eq!(problem, forged, "{role}");
        door_is_shut(&server.url, &token).await;
        // Another one of the same subject is another one.
        other.get(&path).await.expect(200);

        let before = server.database.contents().await;
        revoke(&city.platform, &id).await;
        assert_eq!(server.database.contents().await, before, "a repetition writes nothing");
        let events = revocations(&city).await;
        assert_eq!(events.len(), nth + 1);
        assert_eq!(events[nth]["data"], json!({"token": id}));
        for key in ["order", "store", "driver", "n"] {
            assert_eq!(events[nth].get(key), None);
        }
    }
    // As long as any token may live, and longer than a key is believed unasked.
    let kept = "select bool_and(keep_until > now() + interval '86400 s'
                                and keep_until < now() + interval '90000 s') from revoked_tokens";
    let client = server.database.connect().await;
    assert!(client.query_one(kept, &[]).await.unwrap().try_get::<_, bool>(0).unwrap());
    check_log(&server.database).await;
    server.stop().await;
}

#[actix_web::test]
async fn what_is_no_identifier_is_not_found_and_one_of_nothing_is_answered_as_any() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    for id in ["x", "cr_x", &city.store, "me"] {
        let answer = city.platform.delete(&format!("/v1/tokens/{id}")).await;
        answer.expect_problem(404, "not_found");
    }
    assert_eq!(server.database.count("revoked_tokens").await, 0);
    let nothing = CredentialId::new().to_string();
    revoke(&city.platform, &nothing).await;
    revoke(&city.platform, &nothing).await;
    assert_eq!(revocations(&city).await.len(), 1);
    server.stop().await;
}

#[actix_web::test]
async fn a_revoked_api_key_is_refused_at_once_though_it_was_remembered() {
    let server = Server::start_with(|config| {
        config.auth.api_key_cache_s = serde_json::from_value(json!(300)).unwrap();
    })
    .await;
    let city = City::found(&server.url, &server.database).await;
    let other = another_key(&server.database, &city).await;
    let other = city.platform.with_token(&other);
    other.get("/v1/orders").await.expect(200);
    let id = id_of_key(&server.database, other.token.as_ref().unwrap()).await;
    revoke(&city.platform, &id).await;
    other.get("/v1/orders").await.expect_problem(401, "unauthenticated");
    door_is_shut(&server.url, other.token.as_ref().unwrap()).await;
    // It is not the set in memory alone that knows.
    let ended = "select count(*) from credentials where revoked_at is not null";
    let client = server.database.connect().await;
    assert_eq!(client.query_one(ended, &[]).await.unwrap().try_get::<_, i64>(0).unwrap(), 1);
    // A key may end itself.
    let own = id_of_key(&server.database, &city.key).await;
    revoke(&city.platform, &own).await;
    city.platform.get("/v1/orders").await.expect_problem(401, "unauthenticated");
    city.platform.delete("/v1/tokens/x").await.expect_problem(401, "unauthenticated");
    server.stop().await;
}

#[actix_web::test]
async fn nobody_ends_what_is_another_tenants() {
    let server = Server::start().await;
    let ours = City::found(&server.url, &server.database).await;
    let theirs = City::found(&server.url, &server.database).await;
    let token = theirs.ops_token().await;
    let key_id = id_of_key(&server.database, &theirs.key).await;
    for id in [id_of(&token), key_id.clone()] {
        // Answered alike, also the second time: whether it is there is not told.
        revoke(&ours.platform, &id).await;
        revoke(&ours.platform, &id).await;
    }
    assert_eq!(revocations(&ours).await.len(), 2);
    assert_eq!(revocations(&theirs).await, [] as [Value; 0]);
    let ann = theirs.platform.with_token(&token);
    ann.get("/v1/orders").await.expect(200);
    theirs.platform.get("/v1/orders").await.expect(200);
    Phone::connect(&server.url, &token).await;
    // Nor does a process that reads it from the table take it for theirs.
    let second = Process::serve(&server.database).await;
    for token in [&token, &theirs.key] {
        Rest::new(&second.url, Some(token)).get("/v1/orders").await.expect(200);
    }
    // Theirs to end, still.
    revoke(&theirs.platform, &id_of(&token)).await;
    ann.get("/v1/orders").await.expect_problem(401, "unauthenticated");
    server.stop().await;
}

#[actix_web::test]
async fn dispatchers_and_the_platform_hear_of_it_and_nobody_else() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let order = city.order_id().await;
    let token = city.ops_token().await;
    let mut all = Vec::new();
    for (hears, channel, token) in [
        (true, "dispatch".to_owned(), city.ops_token().await),
        (true, "tenant".to_owned(), city.key.clone()),
        (false, format!("order:{order}"), city.customer_token(&order).await),
        (false, format!("store:{}", city.store), city.store_token().await),
        (false, format!("driver:{}", city.driver), city.driver_token().await),
    ] {
        let mut phone = Phone::connect(&server.url, &token).await;
        phone.subscribe(&channel).await;
        all.push((hears, channel, phone));
    }
    let id = id_of(&token);
    let reply = all[1].2.rpc("token.revoke", json!({"token": id})).await;
    assert_eq!(reply["rpc"]["data"], json!({}), "{reply}");
    city.assign(&order).await;
    for (hears, channel, phone) in &mut all {
        let mut event = phone.event().await;
        if *hears {
            assert_eq!(event["type"], "token.revoked", "{channel}");
            assert_eq!(event["data"], json!({"token": id}), "{channel}");
            event = phone.event().await;
        }
        assert_eq!(event["type"], "courier.assigned", "{channel}");
    }
    let reply = all[0].2.rpc("token.revoke", json!({"token": id})).await;
    assert_eq!(reply["error"]["code"], 403, "{reply}");
    for (data, code) in [(json!({}), 422), (json!({"token": 7}), 422), (json!({"token": "x"}), 404)]
    {
        let reply = all[1].2.rpc("token.revoke", data).await;
        assert_eq!(reply["error"]["code"], code, "{reply}");
    }
    server.stop().await;
}

#[actix_web::test]
async fn a_token_revoked_from_many_sides_at_once_is_revoked_once() {
    let database = Scratch::create().await;
    let (one, two) = join(Process::serve(&database), Process::serve(&database)).await;
    let city = City::found(&one.url, &database).await;
    let callers = [&one, &two].map(|process| Rest::new(&process.url, Some(&city.key)));
    for round in 0..10 {
        let ids: Vec<String> = (0..4).map(|_| CredentialId::new().to_string()).collect();
        // All of both sides, in another order on each.
        let asking = (0..16).map(|nth: usize| {
            let place = if nth.is_multiple_of(2) { nth / 2 } else { (15 - nth) / 2 };
            revoke(&callers[nth % 2], &ids[place % 4])
        });
        join_all(asking).await;
        assert_eq!(revocations(&city).await.len(), 4 * (round + 1));
    }
    assert_eq!(database.count("revoked_tokens").await, 40);
    check_log(&database).await;
}

/// Ends the feeds' connections.
async fn cut(client: &Client) {
    let cut = "select pg_terminate_backend(pid) from pg_stat_activity
               where datname = current_database() and application_name = 'ordercast feed'";
    client.query(cut, &[]).await.unwrap();
}

#[actix_web::test]
async fn every_process_refuses_it_once_it_hears_of_it_also_after_an_outage_of_its_feed() {
    let database = Scratch::create().await;
    let (one, two) = join(Process::serve(&database), Process::serve(&database)).await;
    let city = City::found(&one.url, &database).await;
    let client = database.connect().await;
    for round in 0..6 {
        let token = city.ops_token().await;
        Rest::new(&two.url, Some(&token)).get("/v1/orders").await.expect(200);
        if round % 2 == 1 {
            cut(&client).await;
        }
        revoke(&city.platform, &id_of(&token)).await;
        refused(&two.url, &token).await;
        refused(&one.url, &token).await;
        door_is_shut(&two.url, &token).await;
    }
    // Who hears of it is late already: whoever it was cannot come again.
    let token = city.ops_token().await;
    let mut phone = Phone::connect(&two.url, &city.key).await;
    phone.subscribe("tenant").await;
    revoke(&city.platform, &id_of(&token)).await;
    assert_eq!(phone.event().await["type"], "token.revoked");
    door_is_shut(&two.url, &token).await;
}

#[actix_web::test]
async fn a_restart_forgets_no_revocation() {
    let database = Scratch::create().await;
    let one = Process::serve(&database).await;
    let city = City::found(&one.url, &database).await;
    let good = city.ops_token().await;
    let mut tokens = vec![another_key(&database, &city).await];
    revoke(&city.platform, &id_of_key(&database, &tokens[0]).await).await;
    for _ in 0..5 {
        tokens.push(city.ops_token().await);
        revoke(&city.platform, &id_of(tokens.last().unwrap())).await;
    }
    one.kill();
    // More of them than one page holds, in any of these.
    for page_len in [1, 2, 5, 6, 100] {
        let mut config = crate::support::config(&database);
        config.feed.page_len = page_len;
        config.auth.secret = Secret(SECRET.to_owned());
        let app = ordercast::app::App::start(config).await.unwrap();
        let url = format!("http://{}", app.address());
        for token in &tokens {
            let answer = Rest::new(&url, Some(token)).get("/v1/orders").await;
            answer.expect_problem(401, "unauthenticated");
            door_is_shut(&url, token).await;
        }
        for token in [&good, &city.key] {
            Rest::new(&url, Some(token)).get("/v1/orders").await.expect(200);
        }
        app.stop().await;
    }
}

#[actix_web::test]
async fn a_log_that_lost_the_event_or_was_replaced_loses_no_revocation() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let client = server.database.connect().await;
    let row = "insert into revoked_tokens values ($1, $2, now(), now() + interval '1 day')";
    let tenant: ordercast::domain::TenantId = city.tenant.parse().unwrap();
    let hole = "
        begin;
        update log_head set last = last + 2;
        insert into events (position, id, tenant_id, type, actor_role, actor_id, occurred_at,
                            recorded_at, data)
        select h.last, gen_random_uuid(), gen_random_uuid(), 'nothing', 'ops', 'x', now(), now(),
               '{}' from log_head h;
        commit";
    // As if the events that said so had been dropped: of the table's row nothing else tells.
    for step in [hole, "update log_head set seed = 'another'"] {
        let token = city.ops_token().await;
        let id: CredentialId = id_of(&token).parse().unwrap();
        client.execute(row, &[&tenant.uuid(), &id.uuid()]).await.unwrap();
        city.platform.with_token(&token).get("/v1/orders").await.expect(200);
        client.batch_execute(step).await.unwrap();
        cut(&client).await;
        refused(&server.url, &token).await;
    }
    server.stop().await;
}

#[actix_web::test]
async fn a_token_of_the_command_line_lives_no_longer_than_a_revocation_and_tells_its_id() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let token = async |ttl_s: &str| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_ordercast"));
        command
            .args(["token", "--tenant", &city.tenant, "--kind", "ops", "--ttl-s", ttl_s])
            .env("ORDERCAST_DATABASE_URL", &server.database.url)
            .env("ORDERCAST_AUTH__SECRET", SECRET);
        let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap().trim().to_owned();
        (output.status.success(), text(output.stdout), text(output.stderr))
    };
    let (made, nothing, why) = token("86401").await;
    assert!(!made && nothing.is_empty() && why.contains("auth.token_ttl_max_s"), "{why}");
    let (made, token, told) = token("86400").await;
    assert!(made, "{told}");
    let id = id_of(&token);
    assert!(told.lines().any(|line| line == format!("id {id}")), "{told}");
    city.platform.with_token(&token).get("/v1/orders").await.expect(200);
    revoke(&city.platform, &id).await;
    refused(&server.url, &token).await;
    server.stop().await;
}
