//! Where a courier was, read back by those who may.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::sightings::prompt;
use crate::support::{City, Fleet, Server, until};

fn numbers(page: &Value) -> Vec<i64> {
    let points = page["points"].as_array().unwrap();
    points.iter().map(|point| point["n"].as_i64().unwrap()).collect()
}

#[actix_web::test]
async fn a_trail_is_read_page_by_page_by_the_platform_and_its_dispatchers_alone() {
    let server = Server::start_with(|config| {
        prompt(config);
        config.locations.trail_look_ms = crate::support::of(100);
        config.locations.trail_page_max = 4;
    })
    .await;
    let fleet = Fleet::found(&server, None).await;
    fleet.rule("location_retention_h", 24).await;
    let [courier, other] = [fleet.courier(None).await, fleet.courier(None).await];
    let now = Timestamp::now();
    let at = |nth: i64| {
        let at = now - SignedDuration::from_secs(60 - 5 * nth);
        Timestamp::from_millisecond(at.as_millisecond()).unwrap()
    };
    let path = format!("/v1/drivers/{}/trail", courier.id);
    let all = format!("{path}?from={}", at(0));
    assert_eq!(fleet.ops.get(&path).await.expect(200), json!({"points": [], "next": null}));
    // Kept from when it is known that somebody wants it: the first is told until it is.
    until("ways to be kept", async || {
        let n = Timestamp::now().as_microsecond();
        let early = at(0) - SignedDuration::from_secs(1);
        let point = json!([[n, early.to_string(), 52.52, 13.405]]);
        courier.rest.post("/v1/drivers/me/locations", json!({"p": point})).await.expect(200);
        let page = fleet.ops.get(&path).await.expect(200);
        (!numbers(&page).is_empty()).then_some(())
    })
    .await;
    for who in [&courier, &other] {
        // The newest first, and one that comes late: it is in its place on the way.
        for batch in [vec![7, 6, 4, 3, 2, 1], vec![5]] {
            let points: Vec<Value> = batch
                .iter()
                .map(|n| json!([n, at(*n).to_string(), 52.52, 13.405, 12, 90, 6.2, 0.5]))
                .collect();
            let answer = who.rest.post("/v1/drivers/me/locations", json!({"p": points})).await;
            assert_eq!(answer.expect(200)["refused"], 0);
        }
    }
    until("all to be kept", async || {
        let last = format!("{path}?from={}", at(5));
        let page = fleet.ops.get(&last).await.expect(200);
        (numbers(&page) == [5, 6, 7]).then_some(())
    })
    .await;
    for who in [&fleet.ops, &fleet.city.platform] {
        let first = who.get(&all).await.expect(200);
        assert_eq!(numbers(&first), [1, 2, 3, 4]);
        let point = &first["points"][0];
        assert_eq!(
            (&point["driver"], &point["bat"], &point["at"]),
            (&json!(courier.id), &json!(0.5), &json!(format!("{:.3}", at(1))))
        );
        assert!(point["heard_at"].is_string(), "{point}");
        let next = first["next"].as_str().unwrap();
        let rest = who.get(&format!("{all}&cursor={next}")).await.expect(200);
        assert_eq!((numbers(&rest), &rest["next"]), (vec![5, 6, 7], &Value::Null));
        let some = who.get(&format!("{path}?from={}&to={}&limit=2", at(2), at(6))).await;
        let some = some.expect(200);
        assert_eq!(numbers(&some), [2, 3]);
        let next = some["next"].as_str().unwrap();
        let ask = format!("{path}?from={}&to={}&cursor={next}", at(2), at(6));
        assert_eq!(numbers(&who.get(&ask).await.expect(200)), [4, 5]);
    }
    // Not the courier itself, nor anybody else, nor another tenant.
    courier.rest.get(&path).await.expect_problem(403, "role_not_allowed");
    let another = City::found(&server.url, &server.database).await;
    another.platform.get(&path).await.expect_problem(404, "not_found");
    fleet.ops.get("/v1/drivers/dr_1/trail").await.expect_problem(404, "not_found");
    for query in
        ["from=x", "to=1", "limit=0", "limit=x", "limit=1001", "cursor=1", "cursor=x.1", "n=1"]
    {
        let problem =
            fleet.ops.get(&format!("{path}?{query}")).await.expect_problem(422, "validation");
        let field = query.split('=').next().unwrap();
        assert_eq!(problem["fields"][0]["field"], field, "{query}");
    }
    let turned = format!("{path}?from={}&to={}", at(3), at(2));
    fleet.ops.get(&turned).await.expect_problem(422, "validation");
    server.stop().await;
}
