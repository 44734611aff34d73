//! Who waits: a person orders and watches, and a link that is revoked meanwhile.

use fantoccini::key::Key;
use serde_json::{Value, json};

use crate::page::{PATIENCE, Page, Screen};
use crate::stage::{Order, Stage};
use crate::support::until_within;

/// A picture of one pixel.
const PHOTO: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

async fn head(page: &Page, words: &str) {
    let says = format!("document.getElementById('now')?.textContent === '{words}'");
    page.until("the head", &says).await;
}

async fn open(stage: &Stage, order: &Order) -> (Page, Value) {
    let link = stage.city.link(&order.id).await;
    let page = stage.page(Screen::Phone, link["url"].as_str().unwrap()).await;
    let live =
        "document.body.dataset.loaded && document.getElementById('light').dataset.state === 'live'";
    page.until("it is live", live).await;
    (page, link)
}

#[actix_web::test]
async fn a_person_orders_and_watches_from_the_first_step_to_the_photo() {
    let stage = Stage::set().await;
    let courier = stage.courier().await;
    let order = stage.order(json!({"proof_required": {"pin": true}})).await;
    let (page, _link) = open(&stage, &order).await;
    let text = "document.getElementById('track').innerText";
    let shown = |id: &str| format!("!document.getElementById('{id}').hidden");
    head(&page, "Order received").await;
    let said = "document.getElementById('announce').textContent";
    assert_eq!(page.text(said).await, "", "what was there at first is not read out");
    page.assert_accessible("received").await;

    stage.act(&stage.store, &order, "accept", json!({"prep_min": 20})).await;
    head(&page, "Preparing your order").await;
    page.until("it is read out", &format!("{said}.startsWith('Preparing your order')")).await;
    assert!(page.text(text).await.contains("Arrives"));

    stage.city.assign(&order.id).await;
    page.until("the courier is shown", &shown("courier")).await;
    let words = page.text(text).await;
    assert!(words.contains("Cori R.") && words.contains("red scooter"), "{words}");
    assert_eq!(page.run(&shown("where")).await, false, "no map before the pick-up");
    page.assert_accessible("preparing").await;

    stage.act(&courier, &order, "pickup", json!({})).await;
    head(&page, "On the way").await;
    page.until("there is a map", &shown("where")).await;
    page.until("it is drawn", "document.querySelector('#map canvas')").await;
    page.until(
        "who calls",
        "document.getElementById('courier-phone').textContent.endsWith('•••4321')",
    )
    .await;
    page.assert_accessible("on the way").await;
    page.prefer("prefers-color-scheme", "dark").await;
    page.assert_accessible("on the way, in the dark").await;

    stage.act(&courier, &order, "at_door", json!({})).await;
    head(&page, "At your door").await;
    let pin = page.text("document.getElementById('pin').textContent").await;
    let photo =
        json!({"point": "dropoff", "kind": "photo", "content_type": "image/png", "data": PHOTO});
    courier.post(&format!("/v1/orders/{}/proofs", order.id), photo).await.expect(201);
    stage.act(&courier, &order, "deliver", json!({"pin": pin})).await;
    head(&page, "Delivered").await;
    let photo = "document.querySelector('#photos img')?.naturalWidth === 1";
    page.until("the photo is there", photo).await;
    assert_eq!(page.run(&shown("where")).await, false, "the map is gone");
    assert_eq!(page.run(&shown("pin-card")).await, false);
    let steps = "[...document.querySelectorAll('#steps li')].map((step) => step.dataset.state)";
    assert_eq!(page.run(steps).await, json!(vec!["done"; 5]));
    page.assert_accessible("delivered").await;
    stage.server.stop().await;
}

#[actix_web::test]
async fn a_link_that_is_revoked_while_it_is_open_shows_nothing_any_more() {
    let stage = Stage::set().await;
    let order = stage.order(json!({})).await;
    let (page, link) = open(&stage, &order).await;
    let path = format!("/v1/orders/{}/links/{}", order.id, link["id"].as_str().unwrap());
    stage.city.platform.delete(&path).await.expect(204);
    let ended = "document.querySelector('h1')?.textContent === 'This link has ended.'";
    page.until("it has ended", ended).await;
    let words = page.text("document.body.innerText").await;
    assert!(!words.contains("Hauptstr") && !words.contains("Trattoria"), "{words}");
    page.assert_accessible("ended").await;
    page.reload().await;
    assert_eq!(page.run(ended).await, true);
    page.assert_accessible("ended, from the server").await;
    stage.server.stop().await;
}

#[actix_web::test]
async fn who_asks_too_often_reads_so_and_tries_again() {
    let stage = Stage::set_with(|config| {
        config.limits.link_reads_per_s = 1;
        config.limits.link_reads_burst = 1;
    })
    .await;
    let order = stage.order(json!({})).await;
    let link = stage.city.link(&order.id).await;
    let page = stage.page(Screen::Phone, link["url"].as_str().unwrap()).await;
    let heads = "document.querySelector('h1')?.textContent === 'One moment, please.'";
    until_within(PATIENCE, "it to be too often", async || {
        page.reload().await;
        (page.run(heads).await == true).then_some(())
    })
    .await;
    page.assert_accessible("too often").await;
    until_within(PATIENCE, "it to be there again", async || {
        if page.run(heads).await == true {
            page.tab_to("a.button").await;
            page.press(Key::Enter).await;
        }
        (page.run("document.getElementById('now')?.textContent").await == "Order received")
            .then_some(())
    })
    .await;
    stage.server.stop().await;
}
