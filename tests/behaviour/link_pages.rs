//! The page of a tracking link, and that its address is told to nobody.

use awc::http::Method;
use serde_json::json;

use crate::links::{carried, is_kept_secret, path_of, secret_of};
use crate::support::{City, Phone, Process, Rest, Scratch, Server, Stream, until};

#[actix_web::test]
async fn the_page_can_be_read_without_a_script_and_escapes_every_text() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let evil = "<script>alert(\"1\")</script>&'";
    let store = format!("/v1/stores/{}", city.store);
    city.platform.patch(&store, json!({"name": format!("S{evil}")})).await.expect(200);
    let dropoff = json!({"name": evil, "address": format!("Elm {evil} St, Berlin"), "lat": 52.5, "lng": 13.4});
    let more = json!({"note": format!("N{evil}"), "dropoff": dropoff,
        "items": [{"name": format!("I{evil}"), "qty": 3}]});
    let order = city.order(more).await["id"].as_str().unwrap().to_owned();
    let link = city.link(&order).await;
    carried(&city, &order).await;
    let anybody = Rest::new(&server.url, None);
    let answer = anybody.get(link["url"].as_str().unwrap()).await;
    is_kept_secret(&answer);
    assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    let policy = answer.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
    assert!(!policy.contains("unsafe") && !policy.contains('*'), "{policy}");
    let page = answer.expect(200).as_str().unwrap().to_owned();
    let escaped = "&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;&amp;&#39;";
    for start in ["S", "N", "I", "Elm "] {
        assert!(page.contains(&format!("{start}{escaped}")), "{start}: {page}");
    }
    // The one that keeps it true is ours, and a file.
    let scripts: Vec<&str> = page.split("<script").skip(1).collect();
    assert_eq!(scripts.len(), 1, "{page}");
    let ours = " type=\"module\" src=\"/assets/track.js\"></script>";
    assert!(scripts.iter().all(|script| script.starts_with(ours)), "{page}");
    assert!(!page.contains("alert(\""), "{page}");
    for shown in ["On the way", "Received", "Cori R.", "red scooter · B-CR 1", "Arrives", "3 ×"] {
        assert!(page.contains(shown), "{shown}: {page}");
    }
    assert!(page.contains("http-equiv=\"refresh\"") && page.len() < 10_000);
    // Nothing that names the address, so that it is in no other page's hands.
    assert!(!page.contains(link["token"].as_str().unwrap()));
    let head = anybody.send(Method::HEAD, link["url"].as_str().unwrap(), &[], Vec::new()).await;
    assert_eq!(head.expect(200), "");
    server.stop().await;
}

#[actix_web::test]
async fn a_browser_that_asks_too_often_is_told_so_in_a_page_and_a_program_in_a_problem() {
    let server = Server::start_with(|config| {
        config.limits.link_reads_per_s = 1;
        config.limits.link_reads_burst = 1;
    })
    .await;
    let city = City::found(&server.url, &server.database).await;
    let order = city.order_id().await;
    let link = city.link(&order).await;
    let anybody = Rest::new(&server.url, None);
    let ask = async |accept: &str| {
        until("it to be too often", async || {
            let (page, headers) = (link["url"].as_str().unwrap(), [("accept", accept)]);
            let answer = anybody.send(Method::GET, page, &headers, Vec::new()).await;
            (answer.status == 429).then_some(answer)
        })
        .await
    };
    let page = ask("text/html,application/xhtml+xml;q=0.9,*/*;q=0.8").await;
    is_kept_secret(&page);
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(page.header("retry-after"), Some("1"));
    assert!(page.header("ratelimit").unwrap().starts_with("\"link-reads\";r=0"), "{page:?}");
    assert!(page.header("content-security-policy").unwrap().starts_with("default-src 'none'"));
    let body = page.body.as_str().unwrap();
    assert!(body.contains("One moment, please.") && body.contains("href=\"\">Try again"), "{body}");
    assert!(!body.contains(link["token"].as_str().unwrap()) && !body.contains("<script"), "{body}");
    for accept in ["*/*", "application/json"] {
        let problem = ask(accept).await;
        assert_eq!(problem.header("retry-after"), Some("1"));
        problem.expect_problem(429, "rate_limited");
    }
    server.stop().await;
}

#[actix_web::test]
async fn no_line_of_the_log_tells_a_token() {
    let database = Scratch::create().await;
    let process = Process::serve_with(&database, &[("RUST_LOG", "trace")]).await;
    let city = City::found(&process.url, &database).await;
    let order = city.order_id().await;
    let link = city.link(&order).await;
    let token = link["token"].as_str().unwrap();
    let anybody = Rest::new(&process.url, None);
    anybody.get(&path_of(&link)).await.expect(200);
    anybody.get(link["url"].as_str().unwrap()).await.expect(200);
    anybody.post(&path_of(&link), json!({})).await.expect(405);
    anybody.get(&format!("{}/more", path_of(&link))).await.expect(404);
    anybody.with_token(token).get("/v1/orders").await.expect(403);
    let mut phone = Phone::connect(&process.url, token).await;
    phone.subscribe(&format!("order:{order}")).await;
    let query = format!("channel=order:{order}");
    let mut stream = Stream::follow(&process.url, token, &query, "").await;
    stream.event("snapshot").await;
    city.platform.delete(&format!("/v1/orders/{order}/links")).await.expect(204);
    assert_eq!(phone.closed().await.code, Some(3500));
    anybody.get(&path_of(&link)).await.expect(410);
    anybody.get(link["url"].as_str().unwrap()).await.expect(410);
    let unknown = format!("tl_{}", "7".repeat(64));
    anybody.get(&format!("/v1/track/{unknown}")).await.expect(404);
    // The log has come as far as the last of these.
    let log = until("the log", async || {
        anybody.get("/v1/nowhere/at-all").await.expect(404);
        let log = process.logged();
        (log.matches("\"not_found\"").count() >= 3).then_some(log)
    })
    .await;
    assert!(log.contains("link_ended"), "problems are logged");
    for secret in [token, unknown.as_str()].map(secret_of) {
        let line = log.lines().find(|line| line.contains(secret));
        assert_eq!(line, None);
    }
}
