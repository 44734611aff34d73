//! A courier's phone: from the offer to the hand-over, also where there is no network.

use fantoccini::key::Key;
use serde_json::{Value, json};

use crate::page::{Page, Screen};
use crate::stage::Stage;

/// The page of this city's courier, who works.
async fn phone(stage: &Stage) -> Page {
    let page = stage.enter(Screen::Phone, "/courier", &stage.city.driver_token().await).await;
    page.until("it is on duty", "document.querySelector('#duty [value=on]').checked").await;
    page
}

/// Waits until the big button says this.
async fn next(page: &Page, words: &str) {
    let says = format!(
        "!document.getElementById('dock').hidden && document.getElementById('next').textContent === '{words}'"
    );
    page.until("the next step", &says).await;
}

/// Presses the big button once it says this, until something comes of it: a second press within a
/// moment of the last is none.
async fn press(page: &Page, words: &str) {
    next(page, words).await;
    let heard = format!(
        "(() => {{
           const button = document.getElementById('next');
           const heard = button.textContent !== '{words}' || document.getElementById('dock').hidden
             || document.getElementById('proof').open;
           if (!heard) button.click();
           return heard;
         }})()"
    );
    page.until("it was heard", &heard).await;
}

#[actix_web::test]
async fn an_order_is_offered_fetched_proved_and_handed_over() {
    let stage = Stage::set().await;
    let page = phone(&stage).await;
    let waits = "document.getElementById('idle-head').textContent === 'Waiting for orders'";
    page.until("it waits", waits).await;
    page.assert_accessible("waiting").await;
    let order = stage.order(json!({"proof_required": {"photo": true, "pin": true}})).await;
    stage.act(&stage.ops, &order, "accept", json!({"prep_min": 15})).await;
    let body = json!({"drivers": [stage.city.driver], "offer_s": 120});
    stage.ops.post(&format!("/v1/orders/{}/offers", order.id), body).await.expect(200);
    page.until("it is asked", "document.getElementById('offer').open").await;
    let asked = page.text("document.getElementById('offer').innerText").await;
    for word in ["Trattoria", "s left", "Berlin"] {
        assert!(asked.contains(word), "{asked}");
    }
    assert!(!asked.contains("Hauptstr") && !asked.contains("Ann"), "{asked}");
    let alarm = page.text("document.getElementById('alarm').textContent").await;
    assert!(alarm.starts_with("New order from Trattoria"), "{alarm}");
    page.assert_accessible("an offer").await;
    page.click("#offer-yes").await;

    next(&page, "I’m at the store").await;
    assert_eq!(page.run("document.getElementById('offer').open").await, false);
    page.assert_accessible("on the way to the store").await;
    press(&page, "I’m at the store").await;
    stage.until_it_is(&order, "leg", "at_store").await;
    press(&page, "Picked up").await;
    stage.until_it_is(&order, "status", "picked_up").await;
    let task = page.text("document.getElementById('task').innerText").await;
    for word in ["Ann L.", "Hauptstr. 1", "ring twice", &order.code] {
        assert!(task.contains(word), "{task}");
    }
    press(&page, "I’m at the door").await;
    press(&page, "Delivered").await;

    // What has to be proved, and a PIN that is wrong.
    page.until("it is asked for proofs", "document.getElementById('proof').open").await;
    page.assert_accessible("proofs").await;
    page.fill("#photo-file", concat!(env!("CARGO_MANIFEST_DIR"), "/.pictures/courier.png")).await;
    page.until("the photo is seen", "!document.getElementById('photo-view').hidden").await;
    let customer = stage.city.caller("customer", &order.id).await;
    let seen = customer.get(&format!("/v1/orders/{}", order.id)).await.expect(200);
    let pin = seen["pin"].as_str().unwrap();
    page.fill("#pin-text", if pin == "0000" { "1111" } else { "0000" }).await;
    page.click("#proof-yes").await;
    let again =
        "!document.getElementById('proof-note').hidden && document.getElementById('proof').open
        && document.getElementById('proof-photo').hidden";
    page.until("it is asked again, and for the photo no more", again).await;
    page.fill("#pin-text", pin).await;
    page.click("#proof-yes").await;
    stage.until_it_is(&order, "status", "delivered").await;
    page.until("nothing is left", "document.getElementById('dock').hidden").await;
    let path = format!("/v1/orders/{}/proofs", order.id);
    let proofs = stage.ops.get(&path).await.expect(200)["proofs"].take();
    let kinds: Vec<_> = proofs.as_array().unwrap().iter().map(|proof| &proof["kind"]).collect();
    assert_eq!(kinds, ["photo", "pin"]);
    assert_eq!(proofs[0]["content_type"], "image/jpeg");
    stage.server.stop().await;
}

#[actix_web::test]
async fn a_signature_is_given_by_keyboard_alone() {
    let stage = Stage::set().await;
    let page = phone(&stage).await;
    let order = stage.order(json!({"proof_required": {"signature": true}})).await;
    stage.act(&stage.ops, &order, "accept", json!({"prep_min": 15})).await;
    stage.city.assign(&order.id).await;
    let courier = stage.courier().await;
    for step in ["at_store", "pickup", "at_door"] {
        stage.act(&courier, &order, step, json!({})).await;
    }
    next(&page, "Delivered").await;
    page.tab_to("#next").await;
    page.press(Key::Enter).await;
    page.until("it is asked for proofs", "document.getElementById('proof').open").await;
    page.tab_to("#proof-yes").await;
    page.press(Key::Enter).await;
    let refused = "document.getElementById('proof-note').textContent.includes('name typed')";
    page.until("an empty field is no signature", refused).await;
    page.tab_to("#signer").await;
    page.keys("Ann Lee".chars()).await;
    // White but for what is written.
    let ink = "(() => {
        const { width, height } = document.getElementById('pad');
        const { data } = document.getElementById('pad').getContext('2d').getImageData(0, 0, width, height);
        return data.filter((value, nth) => nth % 4 === 0 && value < 100).length;
      })()";
    let written = page.run(ink).await.as_u64();
    assert!(written > Some(500), "{written:?} dark pixels");
    page.assert_accessible("a typed signature").await;
    page.tab_to("#pad-clear").await;
    page.press(Key::Enter).await;
    assert_eq!(page.run(ink).await, 0, "it is clear");
    page.tab_to("#signer").await;
    page.keys("Ann Lee of the second floor on the left, with all her names".chars()).await;
    assert!(page.run(ink).await.as_u64() > Some(500), "however long it is");
    // Nothing of it is cut off at the sides.
    let margin = "(() => {
        const pad = document.getElementById('pad');
        const pen = pad.getContext('2d');
        return [0, pad.width - 8].every((left) =>
          pen.getImageData(left, 0, 8, pad.height).data.every((value) => value === 255));
      })()";
    assert_eq!(page.run(margin).await, true);
    // Enter in the field does what the button does.
    page.press(Key::Enter).await;
    stage.until_it_is(&order, "status", "delivered").await;
    let path = format!("/v1/orders/{}/proofs", order.id);
    let proof = stage.ops.get(&path).await.expect(200)["proofs"][0].take();
    assert_eq!(
        (&proof["kind"], &proof["content_type"]),
        (&json!("signature"), &json!("image/png"))
    );
    stage.server.stop().await;
}

#[actix_web::test]
async fn taps_without_a_network_are_done_in_their_order_when_it_is_back_also_after_a_reload() {
    let stage = Stage::set().await;
    let page = phone(&stage).await;
    let order = stage.cooking().await;
    stage.city.assign(&order.id).await;
    next(&page, "I’m at the store").await;
    stage.network.cut();
    let noticed = "document.getElementById('light').dataset.state === 'waiting'";
    page.until("it noticed", noticed).await;
    for words in ["I’m at the store", "Picked up", "I’m at the door"] {
        press(&page, words).await;
    }
    next(&page, "Delivered").await;
    let queued = "document.getElementById('queued').textContent.startsWith('3 taps')";
    page.until("it says so", queued).await;
    page.until("how old it is", "!document.getElementById('offline').hidden").await;
    page.assert_accessible("offline").await;
    assert_eq!(stage.see(&order).await["leg"], "assigned");
    let kept = format!("localStorage.getItem('ordercast.taps.{}')", stage.city.driver);
    let taps: Value = serde_json::from_str(&page.text(&kept).await).unwrap();
    let mut keys: Vec<_> = taps.as_array().unwrap().iter().map(|tap| tap["key"].as_str()).collect();
    keys.dedup();
    assert!(keys.len() == 3 && keys.iter().all(Option::is_some), "{taps}");

    stage.network.mend();
    page.reload().await;
    page.until("all is sent", &format!("{kept} === '[]'")).await;
    stage.until_it_is(&order, "leg", "at_door").await;
    let path = format!("/v1/orders/{}/events?limit=100", order.id);
    let body = stage.ops.get(&path).await.expect(200);
    let events = body["events"].as_array().unwrap().iter();
    let mine: Vec<_> = events.filter(|event| event["by"]["role"] == "driver").collect();
    let types: Vec<_> = mine.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["courier.at_store", "order.picked_up", "courier.at_door"]);
    // Each is dated when it was tapped.
    let tapped: Vec<_> = mine.iter().map(|event| event["occurred_at"].as_str().unwrap()).collect();
    assert!(tapped.is_sorted(), "{tapped:?}");
    assert!(mine.iter().all(|event| event["occurred_at"].as_str() < event["at"].as_str()));
    press(&page, "Delivered").await;
    stage.until_it_is(&order, "status", "delivered").await;
    stage.server.stop().await;
}
