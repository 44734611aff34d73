//! The numbers of a process.

use serde_json::json;

use crate::support::speaker::{Speaker, Subscribe};
use crate::support::{City, Phone, Process, Rest, Scratch, Server, note, until};

/// The sum of a metric's samples whose line begins so.
fn sum(text: &str, start: &str) -> i64 {
    let samples = text.lines().filter(|line| line.starts_with(start));
    samples.map(|line| line.rsplit(' ').next().unwrap().parse::<i64>().unwrap()).sum()
}

#[actix_web::test]
async fn a_process_counts_what_it_does_and_names_nobody() {
    let database = Scratch::create().await;
    let process = Process::serve(&database).await;
    let city = City::found(&process.url, &database).await;
    let anybody = Rest::new(&process.url, None);
    let read = async || {
        let answer = anybody.get("/metrics").await;
        assert_eq!(answer.status, 200);
        let kind = answer.header("content-type").unwrap();
        assert!(kind.starts_with("application/openmetrics-text; version=1.0.0"), "{kind}");
        answer.body.as_str().unwrap().to_owned()
    };
    let before = read().await;
    let mut phone = Phone::connect(&process.url, &city.ops_token().await).await;
    phone.subscribe("dispatch").await;
    let order = city.order_id().await;
    phone.event().await;
    let path = format!("/v1/orders/{order}");
    city.platform.get(&path).await.expect(200);
    city.platform.get("/v1/orders/or_nonsense").await.expect(404);
    city.platform.post(&format!("{path}/nonsense"), json!({})).await.expect(404);
    anybody.get("/nowhere").await.expect(404);
    let after = read().await;
    let grown = |start: &str| sum(&after, start) - sum(&before, start);
    let of_order = "ordercast_http_requests_total{method=\"GET\",route=\"/v1/orders/{order}\"";
    assert_eq!(grown(&format!("{of_order},status=\"200\"}}")), 1, "{after}");
    assert_eq!(grown(&format!("{of_order},status=\"404\"}}")), 1, "{after}");
    assert!(grown("ordercast_changes_total") >= 1, "{after}");
    assert_eq!(grown("ordercast_batch_seconds_count"), grown("ordercast_batch_changes_count"));
    assert!(grown("ordercast_events_total") >= 1, "{after}");
    assert!(grown("ordercast_socket_writes_total") >= 1, "{after}");
    assert_eq!(sum(&after, "ordercast_connections "), 1, "{after}");
    assert_eq!(sum(&after, "ordercast_log_heard "), 1, "{after}");
    let positions = ["published", "committed"];
    let positions = positions.map(|it| sum(&after, &format!("ordercast_{it}_position ")));
    assert!(positions.iter().all(|position| *position >= 1), "{after}");
    // Neither who it was nor what.
    for secret in [&order, &city.tenant, &city.store, &city.key, &"nonsense".to_owned()] {
        assert!(!after.contains(secret.as_str()), "{secret} in {after}");
    }
    assert_eq!(after.matches("# EOF").count(), 1);
    assert!(after.ends_with("# EOF\n"));
    phone.drop_connection();
    until("the socket to be gone", async || {
        (sum(&read().await, "ordercast_connections ") == 0).then_some(())
    })
    .await;
    assert_eq!(process.terminate(), Some(0));
}

/// Sockets of each audience and codec: enough to be on all the process's threads.
const EACH: usize = 8;

#[actix_web::test]
async fn an_event_is_encoded_once_for_an_audience_and_codec_whoever_listens() {
    let database = Scratch::create().await;
    let process = Process::serve(&database).await;
    let city = City::found(&process.url, &database).await;
    let anybody = Rest::new(&process.url, None);
    let read = async || {
        let answer = anybody.get("/metrics").await;
        let text = answer.body.as_str().unwrap().to_owned();
        ["frames", "events"].map(|it| sum(&text, &format!("ordercast_{it}_total")))
    };
    let order = city.order_id().await;
    let own = format!("order:{order}");
    let kitchen = format!("store:{}", city.store);
    let (mut phones, mut speakers) = (Vec::new(), Vec::new());
    for (channel, token) in [
        (own.as_str(), city.customer_token(&order).await),
        (&kitchen, city.store_token().await),
        ("dispatch", city.ops_token().await),
        ("tenant", city.key.clone()),
    ] {
        for _ in 0..EACH {
            let mut phone = Phone::connect(&process.url, &token).await;
            phone.subscribe(channel).await;
            phones.push(phone);
            let (mut speaker, _connected) = Speaker::connect(&process.url, true, &token).await;
            let subscribe = Subscribe { channel: channel.to_owned(), ..Subscribe::default() };
            assert!(speaker.subscribe(subscribe).await.error.is_none());
            speakers.push(speaker);
        }
    }
    let [frames, events] = read().await;
    note(&city.platform, &order, "once").await.expect(200);
    for phone in &mut phones {
        assert_eq!(phone.event().await["type"], "order.updated");
    }
    for speaker in &mut speakers {
        speaker.heard().await;
    }
    let [more_frames, more_events] = read().await;
    assert_eq!(more_events - events, 1);
    // Four audiences, two codecs.
    assert_eq!(more_frames - frames, 8, "of {} sockets", phones.len() + speakers.len());
    assert_eq!(process.terminate(), Some(0));
}

#[actix_web::test]
async fn a_process_need_not_tell() {
    let server = Server::start_with(|config| config.server.metrics = false).await;
    Rest::new(&server.url, None).get("/metrics").await.expect_problem(404, "not_found");
    server.stop().await;
}
