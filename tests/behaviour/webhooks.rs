//! Webhooks: what is posted, in which order, how often, and when not.

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio_postgres::Client;

use crate::support::{
    Certificate, City, Letter, Receiver, Says, Server, delivering, forget, until,
};

/// Has a webhook made; its view, with the secret.
pub async fn hook(city: &City, url: &str, types: Value) -> Value {
    let body = json!({"url": url, "types": types});
    city.platform.post("/v1/webhooks", body).await.expect(201)
}

pub fn path(hook: &Value, more: &str) -> String {
    format!("/v1/webhooks/{}{more}", hook["id"].as_str().unwrap())
}

pub async fn view(city: &City, hook: &Value) -> Value {
    city.platform.get(&path(hook, "")).await.expect(200)
}

/// The tenant's log after a position, as `GET /v1/events` has it.
pub async fn log(city: &City, after: u64) -> Vec<Value> {
    let page = city.platform.get(&format!("/v1/events?after={after}")).await.expect(200);
    page["events"].as_array().unwrap().clone()
}

/// What was tried, oldest first.
pub async fn attempts(city: &City, hook: &Value) -> Vec<Value> {
    let page = city.platform.get(&path(hook, "/attempts?limit=100")).await.expect(200);
    let mut attempts = page["attempts"].as_array().unwrap().clone();
    attempts.reverse();
    attempts
}

/// Waits until what failed so often, or more often by now, has been noted; the view.
async fn failed(city: &City, hook: &Value, times: u64) -> Value {
    until("the failure to be noted", async || {
        let view = view(city, hook).await;
        let is_noted = view["failures"].as_u64() >= Some(times);
        (is_noted || view["state"] == "disabled").then_some(view)
    })
    .await
}

/// Does not wait for the next try.
pub async fn hurry(client: &Client) {
    let due = "update webhooks set next_try_at = now() where next_try_at is not null";
    client.batch_execute(due).await.unwrap();
}

/// An order that is accepted and ready: four events.
async fn evening(city: &City) {
    let order = city.order_id().await;
    city.act(&city.platform, &order, "accept", json!({"prep_min": 10})).await;
    city.act(&city.platform, &order, "ready", json!({})).await;
}

#[actix_web::test]
async fn everything_is_posted_once_in_order_as_the_tenants_log_has_it() {
    let server = Server::start_with(delivering).await;
    let city = City::found(&server.url, &server.database).await;
    let receiver = Receiver::start();
    let hook = hook(&city, &receiver.url, Value::Null).await;
    let from = hook["position"].as_u64().unwrap();
    for _ in 0..5 {
        evening(&city).await;
    }
    let wanted = log(&city, from).await;
    assert_eq!(wanted.len(), 20);
    let letters = receiver.received(20).await;
    let events: Vec<Value> = letters.iter().map(Letter::event).collect();
    assert_eq!(events, wanted);
    let secret = hook["secret"].as_str().unwrap();
    for letter in &letters {
        assert_eq!(letter.id, letter.event()["id"]);
        assert_eq!(letter.kind, "application/json");
        assert!(letter.is_signed_by(secret) && !letter.signatures.contains(' '));
        let sent: i64 = letter.timestamp.parse().unwrap();
        assert!((Timestamp::now().as_second() - sent).abs() < 60);
    }
    // The mark is made after the answer.
    let last = wanted[19]["position"].as_u64().unwrap();
    let view = until("the last to be noted", async || {
        let view = view(&city, &hook).await;
        (view["position"] == last).then_some(view)
    })
    .await;
    assert_eq!((&view["failures"], &view["state"]), (&json!(0), &json!("enabled")));
    let tried = attempts(&city, &hook).await;
    for (nth, (attempt, event)) in (1..).zip(tried.iter().zip(&wanted)) {
        assert_eq!(attempt["n"], nth);
        assert_eq!((&attempt["event"], &attempt["position"]), (&event["id"], &event["position"]));
        assert_eq!((&attempt["outcome"], &attempt["status"]), (&json!("delivered"), &json!(204)));
        assert!(attempt["duration_ms"].as_u64().is_some() && attempt["at"].is_string());
    }
    assert_eq!(tried.len(), 20);
    let page = city.platform.get(&path(&hook, "/attempts?limit=15")).await.expect(200);
    let cursor = page["next"].as_str().unwrap();
    let rest = city.platform.get(&path(&hook, &format!("/attempts?cursor={cursor}"))).await;
    let rest = rest.expect(200);
    assert_eq!((rest["attempts"].as_array().unwrap().len(), &rest["next"]), (5, &Value::Null));
    assert_eq!(receiver.letters().len(), 20);
    server.stop().await;
}

#[actix_web::test]
async fn a_receiver_that_was_down_gets_everything_in_order_once_it_is_back() {
    let server = Server::start_with(delivering).await;
    let client = server.database.connect().await;
    let city = City::found(&server.url, &server.database).await;
    let mut receiver = Receiver::start();
    let hook = hook(&city, &receiver.url, Value::Null).await;
    let from = hook["position"].as_u64().unwrap();
    evening(&city).await;
    receiver.received(4).await;
    receiver.go_down().await;
    for _ in 0..30 {
        evening(&city).await;
    }
    for times in 1..=3 {
        failed(&city, &hook, times).await;
        assert_eq!(attempts(&city, &hook).await.last().unwrap()["outcome"], "connect");
        if times < 3 {
            hurry(&client).await;
        }
    }
    receiver.come_back();
    hurry(&client).await;
    let letters = receiver.received(124).await;
    let wanted = log(&city, from).await;
    assert!(letters.iter().map(Letter::event).eq(wanted));
    let view = until("the last to be noted", async || {
        let view = view(&city, &hook).await;
        (view["failures"] == 0 && view["position"].as_u64() > Some(from + 120)).then_some(view)
    })
    .await;
    assert_eq!((&view["failing_since"], &view["next_try_at"]), (&Value::Null, &Value::Null));
    server.stop().await;
}

#[actix_web::test]
async fn what_is_not_answered_well_is_posted_again_later_and_nothing_before_it() {
    let server = Server::start_with(|config| {
        delivering(config);
        config.webhooks.timeout_ms = crate::support::of(500);
    })
    .await;
    let client = server.database.connect().await;
    let city = City::found(&server.url, &server.database).await;
    let (receiver, elsewhere) = (Receiver::start(), Receiver::start());
    let hook = hook(&city, &receiver.url, Value::Null).await;
    let said = |status, header| Says { header, ..Says::status(status) };
    let after = |seconds: &str| Some(("retry-after", seconds.to_owned()));
    let cases = [
        (said(500, None), "status", 5),
        (said(302, Some(("location", elsewhere.url.clone()))), "status", 30),
        (said(429, after("77")), "status", 77),
        (said(503, after("1")), "status", 5),
        (said(503, after("99999")), "status", 3_600),
        (said(404, None), "status", 3_600),
        (said(308, Some(("location", elsewhere.url.clone()))), "status", 10_800),
    ];
    for (says, ..) in &cases {
        receiver.say(says.clone());
    }
    let order = city.order_id().await;
    city.act(&city.platform, &order, "accept", json!({"prep_min": 10})).await;
    for (times, (says, outcome, wait)) in (1..).zip(&cases) {
        let view = failed(&city, &hook, times).await;
        assert_eq!(view["state"], "enabled");
        let attempt = attempts(&city, &hook).await.pop().unwrap();
        assert_eq!(
            (&attempt["outcome"], &attempt["status"]),
            (&json!(outcome), &json!(says.status))
        );
        let at = |value: &Value| value.as_str().unwrap().parse::<Timestamp>().unwrap();
        let waits = at(&view["next_try_at"]).duration_since(at(&attempt["at"])).as_secs_f64();
        let wait = f64::from(*wait);
        assert!(wait <= waits && waits <= wait * 1.2 + 1.0, "{says:?}: {waits}, not {wait}");
        hurry(&client).await;
    }
    let times = cases.len();
    let letters = receiver.received(times + 3).await;
    assert!(elsewhere.letters().is_empty(), "no redirection is followed");
    let ids: Vec<&str> = letters.iter().map(|letter| letter.id.as_str()).collect();
    assert!(ids[..=times].iter().all(|id| *id == ids[0]), "the same until it is answered");
    assert!(ids[times..].windows(2).all(|pair| pair[0] != pair[1]), "then the others");

    // A receiver that is too slow has failed, and one that talks without an end has not.
    let long = Says { body: "x".repeat(1 << 20), ..Says::status(200) };
    receiver.say(long);
    city.act(&city.platform, &order, "ready", json!({})).await;
    receiver.received(times + 4).await;
    until("it to be noted", async || {
        let tried = attempts(&city, &hook).await;
        let last = tried.last().unwrap();
        (tried.len() == times + 4 && last["outcome"] == "delivered").then_some(())
    })
    .await;
    receiver.fall_silent();
    city.act(&city.caller("ops", &order).await, &order, "unready", json!({})).await;
    failed(&city, &hook, 1).await;
    let attempt = attempts(&city, &hook).await.pop().unwrap();
    assert_eq!((&attempt["outcome"], &attempt["status"]), (&json!("timeout"), &Value::Null));
    assert!(attempt["duration_ms"].as_u64().unwrap() >= 500);
    receiver.answer_all();
    hurry(&client).await;
    let letters = receiver.received(times + 6).await;
    assert_eq!(letters[times + 4].id, letters[times + 5].id);
    server.stop().await;
}

#[actix_web::test]
async fn a_receiver_that_is_gone_or_fails_for_a_day_is_left_alone_until_it_is_enabled() {
    let server = Server::start_with(delivering).await;
    let client = server.database.connect().await;
    let city = City::found(&server.url, &server.database).await;
    let receiver = Receiver::start();
    let hook = hook(&city, &receiver.url, Value::Null).await;
    receiver.say(Says::status(410));
    let order = city.order_id().await;
    let view = failed(&city, &hook, 1).await;
    assert_eq!((&view["state"], &view["reason"]), (&json!("disabled"), &json!("gone")));
    assert!(view["disabled_at"].is_string() && view["next_try_at"].is_null());
    let enable = async || {
        let on = json!({"state": "enabled"});
        let view = city.platform.patch(&path(&hook, ""), on).await.expect(200);
        assert_eq!((&view["state"], &view["reason"]), (&json!("enabled"), &Value::Null));
    };
    enable().await;
    let letters = receiver.received(2).await;
    assert_eq!(letters[0].id, letters[1].id);

    receiver.say(Says::status(500));
    receiver.say(Says::status(500));
    city.act(&city.platform, &order, "accept", json!({"prep_min": 10})).await;
    assert_eq!(failed(&city, &hook, 1).await["state"], "enabled");
    let a_day_ago = "update webhooks set failing_since = failing_since - interval '24 hours'";
    client.batch_execute(a_day_ago).await.unwrap();
    hurry(&client).await;
    let view = failed(&city, &hook, 2).await;
    assert_eq!((&view["state"], &view["reason"]), (&json!("disabled"), &json!("failing")));
    assert_eq!(receiver.letters().len(), 4);
    city.act(&city.platform, &order, "ready", json!({})).await;
    enable().await;
    // What failed, and what came since.
    let letters = receiver.received(7).await;
    let kinds: Vec<Value> =
        letters[4..].iter().map(|letter| letter.event()["type"].clone()).collect();
    assert_eq!(kinds, ["order.accepted", "order.preparing", "order.ready"]);

    // Whoever asks for it is left alone too.
    let off = json!({"state": "disabled"});
    let view = city.platform.patch(&path(&hook, ""), off).await.expect(200);
    assert_eq!((&view["state"], &view["reason"]), (&json!("disabled"), &json!("asked")));
    city.act(&city.caller("ops", &order).await, &order, "unready", json!({})).await;
    let other = Receiver::start();
    let witness = self::hook(&city, &other.url, Value::Null).await;
    city.act(&city.platform, &order, "ready", json!({})).await;
    other.received(1).await;
    assert_eq!(receiver.letters().len(), 7);
    assert_eq!(self::view(&city, &witness).await["failures"], 0);
    server.stop().await;
}

#[actix_web::test]
async fn while_a_secret_is_changed_both_sign() {
    let server = Server::start_with(delivering).await;
    let client = server.database.connect().await;
    let city = City::found(&server.url, &server.database).await;
    let receiver = Receiver::start();
    let hook = hook(&city, &receiver.url, Value::Null).await;
    let first = hook["secret"].as_str().unwrap().to_owned();
    let rotate = async |body| {
        let answer = city.platform.post(&path(&hook, "/rotate"), body).await.expect(200);
        (answer["secret"].as_str().unwrap().to_owned(), answer)
    };
    let (second, answer) = rotate(json!({"keep_s": 3_600})).await;
    assert_ne!(first, second);
    assert!(answer["prior_secret_until"].is_string());
    let order = city.order_id().await;
    let letter = receiver.received(1).await.pop().unwrap();
    assert!(letter.is_signed_by(&first) && letter.is_signed_by(&second));
    assert_eq!(letter.signatures.split(' ').count(), 2);

    let over = "update webhooks set prior_until = now()";
    client.batch_execute(over).await.unwrap();
    city.act(&city.platform, &order, "accept", json!({"prep_min": 10})).await;
    let letter = receiver.received(3).await.pop().unwrap();
    assert!(!letter.is_signed_by(&first) && letter.is_signed_by(&second));

    let (third, answer) = rotate(json!({"keep_s": 0})).await;
    assert_eq!(answer["prior_secret_until"], Value::Null);
    city.act(&city.platform, &order, "ready", json!({})).await;
    let letter = receiver.received(4).await.pop().unwrap();
    assert!(!letter.is_signed_by(&second) && letter.is_signed_by(&third));
    server.stop().await;
}

#[actix_web::test]
async fn a_webhook_of_some_types_gets_these_alone() {
    let server = Server::start_with(delivering).await;
    let city = City::found(&server.url, &server.database).await;
    let receiver = Receiver::start();
    let hook = hook(&city, &receiver.url, json!(["order.placed", "order.ready"])).await;
    for _ in 0..3 {
        evening(&city).await;
    }
    let kinds = |letters: &[Letter]| -> Vec<Value> {
        letters.iter().map(|letter| letter.event()["type"].clone()).collect()
    };
    let letters = receiver.received(6).await;
    let both = ["order.placed", "order.ready"];
    assert_eq!(kinds(&letters), [both, both, both].concat());
    // What it does not want is passed over, and not brought back by another choice.
    let last = log(&city, 0).await.pop().unwrap()["position"].clone();
    until("the end of the log", async || {
        (view(&city, &hook).await["position"] == last).then_some(())
    })
    .await;
    city.platform.patch(&path(&hook, ""), json!({"types": null})).await.expect(200);
    evening(&city).await;
    let letters = receiver.received(10).await;
    let all = ["order.placed", "order.accepted", "order.preparing", "order.ready"];
    assert_eq!(kinds(&letters[6..]), all);
    server.stop().await;
}

#[actix_web::test]
async fn a_replay_posts_again_what_the_log_holds() {
    let server = Server::start_with(delivering).await;
    let client = server.database.connect().await;
    let city = City::found(&server.url, &server.database).await;
    evening(&city).await;
    let receiver = Receiver::start();
    let hook = hook(&city, &receiver.url, Value::Null).await;
    let all = log(&city, 0).await;
    let replay = async |after: u64| {
        let replay = path(&hook, &format!("/replay?after={after}"));
        city.platform.post(&replay, json!({})).await
    };
    let view = replay(0).await.expect(200);
    assert_eq!(view["id"], hook["id"]);
    let letters = receiver.received(all.len()).await;
    assert!(letters.iter().map(Letter::event).eq(all.iter().cloned()));
    replay(2).await.expect(200);
    let letters = receiver.received(2 * all.len() - 2).await;
    assert!(letters[all.len()..].iter().map(Letter::event).eq(all[2..].iter().cloned()));

    // Neither beyond the log, nor before what it holds still.
    let head = u64::try_from(all.len()).unwrap();
    replay(head + 1).await.expect_problem(410, "cursor_too_old");
    forget(&client, 2).await;
    replay(1).await.expect_problem(410, "cursor_too_old");
    replay(2).await.expect(200);
    receiver.received(3 * all.len() - 4).await;
    // One that was left behind there says so, instead of leaving out.
    client.batch_execute("update webhooks set cursor = 0").await.unwrap();
    let view = until("it to be noticed", async || {
        let view = self::view(&city, &hook).await;
        (view["state"] == "disabled").then_some(view)
    })
    .await;
    assert_eq!(view["reason"], "cursor_too_old");
    let on = json!({"state": "enabled"});
    city.platform.patch(&path(&hook, ""), on.clone()).await.expect_problem(410, "cursor_too_old");
    replay(2).await.expect(200);
    city.platform.patch(&path(&hook, ""), on).await.expect(200);
    receiver.received(4 * all.len() - 6).await;
    server.stop().await;
}

#[actix_web::test]
async fn a_slow_receiver_holds_up_nobody_and_no_tenant_gets_anothers_events() {
    let server = Server::start_with(delivering).await;
    let one = City::found(&server.url, &server.database).await;
    let other = City::found(&server.url, &server.database).await;
    let (slow, quick, others) = (Receiver::start(), Receiver::start(), Receiver::start());
    hook(&one, &slow.url, Value::Null).await;
    hook(&one, &quick.url, Value::Null).await;
    hook(&other, &others.url, Value::Null).await;
    slow.fall_silent();
    for _ in 0..3 {
        evening(&one).await;
        evening(&other).await;
    }
    for (receiver, city) in [(&quick, &one), (&others, &other)] {
        let letters = receiver.received(12).await;
        assert_eq!(letters.len(), 12);
        assert!(letters.iter().all(|letter| letter.event()["tenant"] == city.tenant.as_str()));
    }
    assert_eq!(slow.letters().len(), 1, "one after the other");
    slow.answer_all();
    let letters = slow.received(12).await;
    let quick: Vec<String> = quick.letters().into_iter().map(|letter| letter.id).collect();
    assert!(letters.into_iter().map(|letter| letter.id).eq(quick));
    server.stop().await;
}

#[actix_web::test]
async fn over_tls_the_receiver_must_be_certified() {
    let url = Certificate::serve(&json!({}));
    let root = tempfile(Certificate::PEM);
    for (trusted, outcome) in [(true, "delivered"), (false, "connect")] {
        let path = root.display().to_string();
        let server = Server::start_with(|config| {
            config.webhooks.allow_private = true;
            if trusted {
                config.webhooks.ca_file = path;
            }
        })
        .await;
        let city = City::found(&server.url, &server.database).await;
        let hook = hook(&city, &url, Value::Null).await;
        let sent = city.platform.post(&self::path(&hook, "/test"), json!({})).await.expect(200);
        assert_eq!(sent["outcome"], outcome, "{sent}");
        city.order_id().await;
        until("it to be posted", async || {
            let tried = attempts(&city, &hook).await;
            (tried.len() == 2).then(|| assert_eq!(tried[1]["outcome"], outcome))
        })
        .await;
        server.stop().await;
    }
    std::fs::remove_file(root).unwrap();
}

fn tempfile(text: &str) -> std::path::PathBuf {
    let path = std::env::temp_dir().join(format!("ordercast-{}.pem", uuid::Uuid::new_v4()));
    std::fs::write(&path, text).unwrap();
    path
}
