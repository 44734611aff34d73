//! The store's tablets: they ring until somebody answers, and lose no tap.

use fantoccini::key::Key;
use serde_json::{Value, json};

use crate::page::{Page, Screen};
use crate::stage::{Order, Stage};
use crate::support::until;

const RINGS: &str = "document.getElementById('call').open";
const SILENT: &str = "!document.getElementById('call').open";

async fn tablet(stage: &Stage) -> Page {
    let page = stage.enter(Screen::Tablet, "/store", &stage.city.store_token().await).await;
    page.until("it is loaded", "'loaded' in document.body.dataset").await;
    page
}

/// Waits until an order's card is in this column.
async fn in_lane(page: &Page, lane: &str, order: &Order) {
    let cards = format!(
        "[...document.querySelectorAll('#{lane} .code')]
           .some((code) => code.textContent.replace('✓ ', '') === '{}')",
        order.code
    );
    page.until(&format!("{} is in {lane}", order.code), &cards).await;
}

#[actix_web::test]
async fn a_tablet_rings_until_somebody_answers_over_a_reload_and_on_the_second_one() {
    let stage = Stage::set().await;
    let first = tablet(&stage).await;
    assert_eq!(first.run(RINGS).await, false);

    let order = stage.order(json!({"note": "No onions"})).await;
    first.until("it rings", RINGS).await;
    assert_eq!(first.text("document.getElementById('call-code').textContent").await, order.code);
    let said = first.text("document.getElementById('alarm').textContent").await;
    assert!(said.contains(&format!("New order {}, 3 items", order.code)), "{said}");
    let left = first.text("document.getElementById('call-left').textContent").await;
    assert!(left.ends_with(" left to answer"), "{left}");
    assert_eq!(first.text("document.getElementById('call-note').textContent").await, "No onions");
    first.assert_accessible("a ringing tablet").await;

    first.reload().await;
    first.until("it rings again", RINGS).await;
    let second = tablet(&stage).await;
    second.until("the other rings too", RINGS).await;
    let seen = stage.see(&order).await;
    assert_eq!((&seen["status"], &seen["version"]), (&json!("placed"), &json!(1)));

    second.click("#call-more").await;
    let minutes = second.text("document.getElementById('call-prep').textContent").await;
    second.click("#call-accept").await;
    first.until("it is silent", SILENT).await;
    second.until("the other is silent", SILENT).await;
    for page in [&first, &second] {
        in_lane(page, "preparing", &order).await;
    }
    let answered = stage.see(&order).await;
    assert_eq!(answered["prep_min"].to_string(), minutes);
    first.assert_accessible("a tablet with an order").await;
    // Nobody is called twice: after a reload it is quiet.
    first.reload().await;
    in_lane(&first, "preparing", &order).await;
    assert_eq!(first.run(RINGS).await, false);
    stage.server.stop().await;
}

#[actix_web::test]
async fn taps_without_a_connection_are_kept_over_a_reload_and_done_once_and_in_their_order() {
    let stage = Stage::set().await;
    let page = tablet(&stage).await;
    let (one, two) = (stage.cooking().await, stage.cooking().await);
    for order in [&one, &two] {
        in_lane(&page, "preparing", order).await;
    }
    stage.network.cut();
    page.until("it says so", "!document.getElementById('offline').hidden").await;
    page.assert_accessible("a tablet without a connection").await;
    let card = "[...document.querySelectorAll('#preparing .slipcard')]
        .find((card) => card.querySelector('.code').textContent.endsWith(code)).querySelector('.next')";
    for order in [&two, &one] {
        page.call(&["code"], &format!("{card}.click()"), vec![json!(order.code)]).await;
    }
    let kept = "[...document.querySelectorAll('#preparing .badge')]
        .filter((badge) => badge.textContent === 'Kept, not sent yet').length === 2";
    page.until("both are marked", kept).await;
    let taps = page.text("localStorage.getItem('ordercast.store.taps')").await;
    let taps: Value = serde_json::from_str(&taps).unwrap();
    let about: Vec<_> = taps.as_array().unwrap().iter().map(|tap| &tap["about"]).collect();
    assert_eq!(about, [&json!(two.id), &json!(one.id)]);
    assert_eq!(stage.see(&one).await["status"], "preparing");

    stage.network.mend();
    page.reload().await;
    for order in [&one, &two] {
        in_lane(&page, "ready", order).await;
    }
    page.until("nothing is kept", "localStorage.getItem('ordercast.store.taps') === '[]'").await;
    let done = until("both to be done", async || {
        let path = "/v1/events?limit=100&types=order.ready";
        let body = stage.city.platform.get(path).await.expect(200);
        let events = body["events"].as_array().unwrap().clone();
        (events.len() >= 2).then_some(events)
    })
    .await;
    let done: Vec<_> = done.iter().map(|event| &event["order"]).collect();
    assert_eq!(done, [&json!(two.id), &json!(one.id)]);
    stage.server.stop().await;
}

#[actix_web::test]
async fn a_store_that_brings_it_by_itself_proves_the_hand_over() {
    let stage = Stage::set().await;
    let page = tablet(&stage).await;
    let proofs = json!({"photo": true, "signature": true, "pin": true});
    let more = json!({"fulfilment": "store_delivery", "proof_required": proofs});
    let order = stage.order(more).await;
    stage.act(&stage.store, &order, "accept", json!({"prep_min": 15})).await;
    stage.act(&stage.store, &order, "ready", json!({})).await;
    in_lane(&page, "ready", &order).await;
    page.click("#ready .next").await;
    in_lane(&page, "courier", &order).await;
    page.until("it can go on", "!document.querySelector('#courier .next').hidden").await;
    page.click("#courier .next").await;
    page.until("it is asked for proofs", "document.getElementById('proof').open").await;
    page.assert_accessible("proofs on a tablet").await;
    page.fill("#photo-file", concat!(env!("CARGO_MANIFEST_DIR"), "/.pictures/courier.png")).await;
    page.until("the photo is seen", "!document.getElementById('photo-view').hidden").await;
    page.fill("#signer", "Ann Lee").await;
    let customer = stage.city.caller("customer", &order.id).await;
    let seen = customer.get(&format!("/v1/orders/{}", order.id)).await.expect(200);
    let pin = seen["pin"].as_str().unwrap();
    page.fill("#pin-text", if pin == "0000" { "1111" } else { "0000" }).await;
    page.click("#proof-yes").await;
    let told = "document.querySelector('.alert')?.textContent.includes('not right')";
    page.until("the code is not right", told).await;
    // What was proved is not asked for again: only the code.
    page.until("it can go on", "!document.querySelector('#courier .next').hidden").await;
    page.click("#courier .next").await;
    page.until("it asks for the code", "document.getElementById('detail').open").await;
    page.fill("#detail-digits", pin).await;
    page.press(Key::Enter).await;
    page.until("it leaves", "!document.querySelector('.slipcard')").await;
    stage.until_it_is(&order, "status", "delivered").await;
    let path = format!("/v1/orders/{}/proofs", order.id);
    let proofs = stage.ops.get(&path).await.expect(200)["proofs"].take();
    let kinds: Vec<_> = proofs.as_array().unwrap().iter().map(|proof| &proof["kind"]).collect();
    assert_eq!(kinds, ["photo", "signature", "pin"]);
    stage.server.stop().await;
}
