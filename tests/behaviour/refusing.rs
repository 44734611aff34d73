//! Refusing: what cannot be read, is not there, or is not open, by status and word, and that
//! nothing was written.

use awc::http::Method;
use ordercast::domain::OrderId;
use serde_json::{Value, json};

use crate::support::{City, Server};

#[actix_web::test]
async fn a_body_is_json_whatever_it_is_called() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let path = format!("/v1/orders/{}/note", city.order_id().await);
    for kind in ["application/x-www-form-urlencoded", "text/plain", "application/xml", "nonsense"] {
        let named = [("content-type", kind)];
        let body = br#"{"note":"x"}"#.to_vec();
        city.platform.send(Method::POST, &path, &named, body).await.expect(200);
        let form = city.platform.send(Method::POST, &path, &named, b"note=x".to_vec()).await;
        form.expect_problem(400, "malformed");
    }
    server.stop().await;
}

#[actix_web::test]
async fn what_is_no_json_or_no_object_or_too_large_is_refused() {
    let server = Server::start_with(|config| config.server.body_limit_bytes = 8_192).await;
    let city = City::found(&server.url, &server.database).await;
    let order = city.order_id().await;
    let before = server.database.contents().await;
    let targets = [
        (Method::POST, "/v1/orders".to_owned()),
        (Method::PATCH, format!("/v1/orders/{order}")),
        (Method::POST, format!("/v1/orders/{order}/accept")),
        (Method::PUT, format!("/v1/orders/{order}/prep")),
        (Method::PUT, format!("/v1/orders/{order}/driver")),
        (Method::DELETE, format!("/v1/orders/{order}/driver")),
        (Method::POST, "/v1/stores".to_owned()),
        (Method::PUT, "/v1/stores/ext/s".to_owned()),
        (Method::PATCH, format!("/v1/stores/{}", city.store)),
        (Method::PUT, format!("/v1/stores/{}/pause", city.store)),
        (Method::POST, "/v1/drivers".to_owned()),
        (Method::PUT, "/v1/drivers/ext/d".to_owned()),
        (Method::PATCH, format!("/v1/drivers/{}", city.driver)),
        (Method::PUT, format!("/v1/drivers/{}/duty", city.driver)),
        (Method::POST, "/v1/tokens".to_owned()),
    ];
    let deep = "[".repeat(2_000);
    let no_json: [&[u8]; 8] = [
        b"{",
        b"not json",
        b"<order/>",
        b"{\"note\":1}x",
        b"{\"note\":\"\xff\"}",
        b"{\"note\":\"\\ud800\"}",
        b"{'note':1}",
        deep.as_bytes(),
    ];
    for (method, path) in &targets {
        for body in no_json {
            let answer = city.platform.send(method.clone(), path, &[], body.to_vec()).await;
            let problem = answer.expect_problem(400, "malformed");
            assert!(problem["detail"].as_str().unwrap().starts_with("the body is not JSON"));
            assert_eq!(problem["status"], 400);
        }
        for body in ["[]", "null", "7", "\"x\"", "true"] {
            let answer = city.platform.send(method.clone(), path, &[], body.into()).await;
            let problem = answer.expect_problem(422, "validation");
            assert_eq!(problem["fields"][0]["field"], "body", "{method} {path} {body}");
        }
        let large = vec![b' '; 8_193];
        let answer = city.platform.send(method.clone(), path, &[], large).await;
        assert_eq!(answer.expect_problem(413, "payload_too_large")["status"], 413);
    }
    assert_eq!(server.database.contents().await, before);
    // As large as may be.
    let mut body = city.order_body(json!({})).to_string();
    body.extend(std::iter::repeat_n(' ', 8_192 - body.len()));
    city.platform.send(Method::POST, "/v1/orders", &[], body.into()).await.expect(201);
    server.stop().await;
}

#[actix_web::test]
async fn methods_and_paths_that_are_not_there_are_problems_too() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let order = city.order_id().await;
    let before = server.database.contents().await;
    let one = format!("/v1/orders/{order}");
    for (method, path) in [
        (Method::DELETE, "/v1/orders"),
        (Method::PUT, "/v1/orders"),
        (Method::DELETE, &one),
        (Method::POST, &one),
        (Method::GET, &format!("{one}/accept")),
        (Method::PUT, &format!("{one}/accept")),
        (Method::POST, &format!("{one}/events")),
        (Method::POST, &format!("{one}/prep")),
        (Method::POST, &format!("{one}/driver")),
        (Method::GET, &format!("{one}/driver")),
        (Method::POST, "/v1/events"),
        (Method::DELETE, "/v1/stores"),
        (Method::POST, &format!("/v1/stores/{}", city.store)),
        (Method::PUT, &format!("/v1/drivers/{}", city.driver)),
        (Method::GET, "/v1/tokens/cr_01h455vb4pex5vsknk084sn02q"),
        (Method::GET, "/v1/stores/ext/s"),
        (Method::POST, &format!("/v1/drivers/{}/duty", city.driver)),
        (Method::GET, "/v1/tokens"),
        (Method::POST, "/healthz"),
        (Method::DELETE, "/readyz"),
    ] {
        let answer = city.platform.send(method.clone(), path, &[], b"{}".to_vec()).await;
        let problem = answer.expect_problem(405, "method_not_allowed");
        assert_eq!(problem["status"], 405, "{method} {path}");
    }
    let absent = OrderId::new();
    for (method, path) in [
        (Method::GET, "/".to_owned()),
        (Method::GET, "/v1".to_owned()),
        (Method::GET, "/v1/order".to_owned()),
        (Method::GET, "/v2/orders".to_owned()),
        (Method::GET, "/v1/orders/".to_owned()),
        (Method::GET, "/v1/orders/7".to_owned()),
        (Method::GET, format!("/v1/orders/{}", city.store)),
        (Method::GET, format!("/v1/orders/{absent}")),
        (Method::GET, format!("/v1/orders/{absent}/events")),
        (Method::PATCH, format!("/v1/orders/{absent}")),
        (Method::POST, format!("/v1/orders/{absent}/accept")),
        (Method::POST, format!("{one}/explode")),
        (Method::POST, format!("{one}/search")),
        (Method::POST, format!("{one}/search_failed")),
        (Method::POST, format!("{one}/update")),
        (Method::POST, format!("{one}/assign")),
        (Method::POST, format!("{one}/unassign")),
        (Method::POST, format!("{one}/accept/twice")),
        (Method::GET, "/v1/stores/7".to_owned()),
        (Method::GET, "/v1/drivers/me".to_owned()),
        (Method::GET, "/v1/orders/%ff".to_owned()),
        (Method::GET, "/v1/orders/%00".to_owned()),
        (Method::GET, "/v1/orders/..%2f..%2fetc".to_owned()),
    ] {
        // A landing page may be put at `/` later.
        if path == "/" {
            continue;
        }
        let answer = city.platform.send(method.clone(), &path, &[], b"{}".to_vec()).await;
        assert_eq!(answer.status, 404, "{method} {path}");
        assert_eq!(answer.expect_problem(404, "not_found")["status"], 404);
    }
    assert_eq!(server.database.contents().await, before);
    server.stop().await;
}

#[actix_web::test]
async fn a_step_that_is_not_open_is_refused_with_those_that_are() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let order = city.order_id().await;
    let path = |action: &str| format!("/v1/orders/{order}/{action}");
    let refused = async |role: &str, action: &str, code: &str| {
        let who = city.caller(role, &order).await;
        let body = match action {
            "cancel" => json!({"reason": "duplicate"}),
            "return" | "fail" => json!({"reason": "refused"}),
            _ => json!({}),
        };
        let before = server.database.contents().await;
        let problem = who.post(&path(action), body).await.expect_problem(409, code);
        assert_eq!(server.database.contents().await, before, "{role} {action}");
        assert_eq!(problem["title"], "Conflict");
        problem
    };
    let stands = |problem: &Value, status: &str, leg: &str, version: i64, allowed: &[&str]| {
        assert_eq!(problem["status"], status, "{problem}");
        assert_eq!(problem["leg"], leg, "{problem}");
        assert_eq!(problem["version"], version, "{problem}");
        // Beside those that always are: a remark, and what leads nowhere.
        let always = ["late", "eta", "route", "note", "add_proof"];
        let listed = problem["allowed"].as_array().unwrap().iter();
        let steps: Vec<_> = listed.filter(|it| !always.iter().any(|word| it == word)).collect();
        assert_eq!(json!(steps), json!(allowed), "{problem}");
    };
    let no = "invalid_transition";
    let problem = refused("store", "ready", no).await;
    assert_eq!(problem["detail"], "the order does not allow this now");
    stands(&problem, "placed", "none", 1, &["accept", "reject"]);
    let all = ["accept", "reject", "cancel", "update", "assign"];
    stands(&refused("ops", "deliver", no).await, "placed", "none", 1, &all);
    let problem = refused("platform", "redeliver", no).await;
    stands(&problem, "placed", "none", 1, &["accept", "cancel", "update", "assign"]);
    // A customer reads steps, not statuses.
    let problem = refused("customer", "collect", no).await;
    assert_eq!((&problem["status"], problem.get("leg")), (&json!(409), None));
    assert_eq!((&problem["version"], &problem["allowed"]), (&json!(1), &json!(["cancel"])));

    city.assign(&order).await;
    let problem = refused("driver", "pickup", no).await;
    stands(&problem, "placed", "assigned", 2, &["drop", "at_store"]);
    city.act(&city.platform, &order, "accept", json!({})).await;
    stands(
        &refused("store", "unready", no).await,
        "preparing",
        "assigned",
        4,
        &["ready", "prep", "cancel"],
    );
    let driver = city.caller("driver", &order).await;
    city.act(&driver, &order, "pickup", json!({})).await;
    let problem = refused("ops", "cancel", "already_picked_up").await;
    assert_eq!(problem["detail"], "the order has been picked up; return or fail it instead");
    stands(
        &problem,
        "picked_up",
        "en_route",
        6,
        &["deliver", "fail", "return", "update", "assign"],
    );
    refused("platform", "cancel", "already_picked_up").await;
    refused("customer", "cancel", "already_picked_up").await;
    // What can go back has to go back.
    refused("driver", "fail", no).await;
    city.act(&driver, &order, "deliver", json!({})).await;
    for (role, action, code) in [
        ("ops", "cancel", "already_picked_up"),
        ("store", "accept", no),
        ("driver", "pickup", no),
        ("ops", "return", no),
    ] {
        stands(&refused(role, action, code).await, "delivered", "closed", 7, &[]);
    }
    server.stop().await;
}

#[actix_web::test]
async fn too_early_and_too_late_are_said_as_such() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let order = city.order_id().await;
    city.act(&city.platform, &order, "accept", json!({})).await;
    let before = server.database.contents().await;
    let customer = city.caller("customer", &order).await;
    let reason = json!({"reason": "customer_request"});
    let late = customer.post(&format!("/v1/orders/{order}/cancel"), reason).await;
    let late = late.expect_problem(422, "outside_window");
    assert_eq!(late["detail"], "it is too late for the customer to cancel");
    assert_eq!(server.database.contents().await, before);

    // The store's time to answer is over.
    let second = city.order_id().await;
    let client = server.database.connect().await;
    let overdue = "update orders set accept_by = now() - interval '1 s' where status = 'placed'";
    client.execute(overdue, &[]).await.unwrap();
    let before = server.database.contents().await;
    let store = city.caller("store", &second).await;
    let late = store.post(&format!("/v1/orders/{second}/accept"), json!({})).await;
    let late = late.expect_problem(422, "outside_window");
    assert_eq!(late["detail"], "the time to accept this order is over");
    assert_eq!(late["status"], "placed");
    assert_eq!(server.database.contents().await, before);
    let ops = city.caller("ops", &second).await;
    city.act(&ops, &second, "accept", json!({})).await;

    // Nobody answered, but not for long enough.
    city.assign(&second).await;
    let driver = city.caller("driver", &second).await;
    city.act(&driver, &second, "pickup", json!({})).await;
    let no_answer = json!({"reason": "no_answer"});
    let path = format!("/v1/orders/{second}/return");
    driver.post(&path, no_answer.clone()).await.expect_problem(422, "outside_window");
    city.act(&driver, &second, "at_door", json!({})).await;
    driver.post(&path, no_answer.clone()).await.expect_problem(422, "outside_window");
    let waited = "update orders set at_door_at = now() - interval '5 min' where leg = 'at_door'";
    client.execute(waited, &[]).await.unwrap();
    driver.post(&path, no_answer).await.expect(200);
    server.stop().await;
}
