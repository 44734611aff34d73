//! A tenant's settings: who sees and changes them, and when they hold.

use std::process::Command;

use serde_json::{Value, json};

use crate::support::{City, Process, Rest, SECRET, Scratch, Server};

#[actix_web::test]
async fn the_platform_changes_its_settings_within_their_bounds() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let order = city.order_id().await;
    let was = city.platform.get("/v1/tenant").await.expect(200);
    assert_eq!((&was["id"], &was["offer_mode"]), (&json!(city.tenant), &json!("off")), "{was}");
    for role in ["ops", "store", "driver", "customer"] {
        let who = city.caller(role, &order).await;
        let seen = who.get("/v1/tenant").await;
        if role == "ops" {
            assert_eq!(seen.expect(200), was);
        } else {
            seen.expect_problem(403, "role_not_allowed");
        }
        let refused = who.patch("/v1/tenant", json!({"robo": true})).await;
        refused.expect_problem(403, "role_not_allowed");
    }
    for (setting, least, most) in [
        ("accept_s", 10, 86_400),
        ("offer_s", 15, 120),
        ("offer_rounds", 1, 100),
        ("search_lead_s", 0, 7_200),
        ("link_ttl_h", 1, 8_760),
        ("location_retention_h", 0, 8_760),
    ] {
        for beyond in [least - 1, most + 1] {
            let problem = city.platform.patch("/v1/tenant", json!({setting: beyond})).await;
            let problem = problem.expect_problem(422, "validation");
            assert_eq!(problem["fields"][0]["field"], setting);
        }
        for within in [least, most] {
            let now = city.platform.patch("/v1/tenant", json!({setting: within})).await.expect(200);
            assert_eq!(now[setting], within);
        }
    }
    for (setting, good, bad) in [
        ("offer_mode", ["off", "one_by_one", "broadcast"].as_slice(), ["none", ""]),
        ("customer_cancel_until", &["scheduled", "ready"], ["picked_up", "never"]),
    ] {
        for word in good {
            let now = city.platform.patch("/v1/tenant", json!({setting: word})).await.expect(200);
            assert_eq!(now[setting], *word);
        }
        for word in bad {
            let problem = city.platform.patch("/v1/tenant", json!({setting: word})).await;
            let problem = problem.expect_problem(422, "validation");
            assert_eq!(problem["fields"][0]["field"], setting);
        }
    }
    let before = city.platform.get("/v1/tenant").await.expect(200);
    // The name is not the platform's to choose, and nothing changes nothing.
    let problem = city.platform.patch("/v1/tenant", json!({"name": "x"})).await;
    problem.expect_problem(422, "validation");
    let same = city.platform.patch("/v1/tenant", json!({"robo": null})).await.expect(200);
    assert_eq!(same, before);
    server.stop().await;
}

#[actix_web::test]
async fn a_change_holds_at_once_at_every_process_and_for_this_tenant_alone() {
    let database = Scratch::create().await;
    let (one, two) = (Process::serve(&database).await, Process::serve(&database).await);
    let city = City::found(&one.url, &database).await;
    let other = City::found(&one.url, &database).await;
    let window = async |city: &City, url: &str| {
        let platform = Rest::new(url, Some(&city.key));
        let order = platform.post("/v1/orders", city.order_body(json!({}))).await.expect(201);
        let moment = |it: &Value| it.as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
        let placed = moment(&order["stamps"]["placed"]);
        moment(&order["accept_by"]).duration_since(placed).as_secs()
    };
    // Both have read what it was.
    assert_eq!((window(&city, &one.url).await, window(&city, &two.url).await), (480, 480));
    city.platform.patch("/v1/tenant", json!({"accept_s": 900})).await.expect(200);
    assert_eq!((window(&city, &two.url).await, window(&city, &one.url).await), (900, 900));
    assert_eq!(window(&other, &two.url).await, 480);
    assert_eq!((one.terminate(), two.terminate()), (Some(0), Some(0)));
}

#[actix_web::test]
async fn the_command_line_makes_a_tenant_that_is_searched_for_and_changes_it() {
    let database = Scratch::create().await;
    let tenant = async |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ordercast"));
        command.arg("tenant").args(arguments).env("ORDERCAST_DATABASE_URL", &database.url);
        command.env("ORDERCAST_AUTH__SECRET", SECRET);
        tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap()
    };
    let settings = async |arguments: &[&str]| {
        let output = tenant(arguments).await;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };
    let made = settings(&["acme"]).await;
    assert_eq!((&made["offer_mode"], &made["robo"]), (&json!("one_by_one"), &json!(false)));
    let changed =
        settings(&["acme", "--offer-mode", "off", "--robo", "on", "--accept-s", "60"]).await;
    let of = |key: &str| changed[key].clone();
    assert_eq!(
        [of("offer_mode"), of("robo"), of("accept_s")],
        [json!("off"), json!(true), json!(60)]
    );
    assert_eq!(changed["id"], made["id"]);
    let id = made["id"].as_str().unwrap();
    assert_eq!(settings(&[id, "--robo", "off", "--offer-mode", "broadcast"]).await["robo"], false);
    for (arguments, said) in [
        (["acme", "--offer-s", "14"], "--offer-s must be 15 to 120"),
        (["acme", "--customer-cancel-until", "delivered"], "--customer-cancel-until must be"),
        (["acme", "--offer-mode", "lottery"], "one_by_one"),
        (["tn_01h455vb4pex5vsknk084sn02q", "--robo", "on"], "there is no such tenant"),
    ] {
        let output = tenant(&arguments).await;
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && error.contains(said), "{error}");
    }
    assert_eq!(settings(&["acme"]).await["offer_mode"], "broadcast");
}
