//! What reaches a socket, and what never does: every word that one
//! audience may not see, looked for in all that its sockets were ever sent.

use serde_json::json;

use crate::support::{City, Phone, Server};

/// All that a socket was sent about one channel: the snapshot, what it heard, what it could
/// recover and what it could read of the past.
async fn everything(phone: &mut Phone, sent: &mut String, url: &str, token: &str, channel: &str) {
    while let Some(push) = phone.pushes.pop_front() {
        sent.push_str(&push.to_string());
    }
    let mut late = Phone::connect(url, token).await;
    sent.push_str(&late.recover(channel, 0, "").await.to_string());
    let history = json!({"history": {"channel": channel, "limit": -1}});
    sent.push_str(&late.ask(history).await.to_string());
    let mut new = Phone::connect(url, token).await;
    sent.push_str(&new.subscribe(channel).await.to_string());
}

#[actix_web::test]
async fn no_socket_is_ever_sent_what_its_audience_may_not_see() {
    let server = Server::start().await;
    let url = server.url.as_str();
    let city = City::found(url, &server.database).await;
    let other = city.new_driver(json!({"name": "Dana Bell", "phone": "+49 170 5550001"})).await;
    let order = city
        .order(json!({"proof_required": {"pin": true}, "meta": {"margin": "meta-secret"}}))
        .await["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let driver_token = city.driver_token().await;
    let other_token = city.token("driver", &other, &[]).await;
    let listeners = [
        ("customer", format!("order:{order}"), city.customer_token(&order).await),
        ("store", format!("store:{}", city.store), city.store_token().await),
        ("driver", format!("driver:{}", city.driver), driver_token.clone()),
        ("former", format!("driver:{other}"), other_token.clone()),
        ("ops", "dispatch".to_owned(), city.ops_token().await),
        ("ops", format!("order:{order}"), city.ops_token().await),
        ("platform", "tenant".to_owned(), city.key.clone()),
        ("platform", format!("order:{order}"), city.key.clone()),
    ];
    let mut phones = Vec::new();
    for (_, channel, token) in &listeners {
        let mut phone = Phone::connect(url, token).await;
        let snapshot = phone.subscribe(channel).await.to_string();
        phones.push((phone, snapshot));
    }
    let customer = phones[0].1.clone();
    let pin = serde_json::from_str::<serde_json::Value>(&customer).unwrap()["data"]["order"]["pin"]
        .as_str()
        .unwrap()
        .to_owned();

    // The whole way: another courier first, a change of the door, a return, a second attempt.
    let ops = city.platform.with_token(&city.ops_token().await);
    let courier = city.platform.with_token(&driver_token);
    let driver_path = format!("/v1/orders/{order}/driver");
    city.act(&ops, &order, "accept", json!({})).await;
    city.platform.put(&driver_path, json!({"driver": other})).await.expect(200);
    let reason = json!({"reason": "personal", "note": "drop-secret"});
    city.act(&city.platform.with_token(&other_token), &order, "drop", reason).await;
    city.assign(&order).await;
    let moved = json!({"dropoff": {
        "name": "Ann Lee", "phone": "+49 151 99887766", "address": "Seestr. 9, Wedding, Berlin",
        "lat": 52.55, "lng": 13.35, "notes": "third floor",
    }});
    city.platform.patch(&format!("/v1/orders/{order}"), moved).await.expect(200);
    city.act(&courier, &order, "at_store", json!({})).await;
    city.act(&courier, &order, "pickup", json!({})).await;
    city.act(&courier, &order, "at_door", json!({})).await;
    // Some see a little more while it is on its way; whoever comes now is told all of that.
    for ((_, channel, token), (_, sent)) in listeners.iter().zip(&mut phones) {
        let mut late = Phone::connect(url, token).await;
        sent.push_str(&late.subscribe(channel).await.to_string());
    }
    let reason = json!({"reason": "unsafe", "note": "return-secret"});
    city.act(&courier, &order, "return", reason).await;
    city.act(&city.platform, &order, "redeliver", json!({})).await;
    let last = city.act(&ops, &order, "deliver", json!({})).await;
    assert_eq!(last["status"], "delivered");

    for ((who, channel, token), (phone, sent)) in listeners.iter().zip(&mut phones) {
        // Who hears the order hears its end; a courier who lost it long ago does not.
        let last_kind = if *who == "former" { "courier.unassigned" } else { "order.delivered" };
        loop {
            let push = phone.push().await;
            sent.push_str(&push.to_string());
            if push["pub"]["data"]["type"] == last_kind {
                break;
            }
        }
        everything(phone, sent, url, token, channel).await;
        let hidden: &[&str] = match *who {
            "customer" => &[
                "99887766",
                "7654321",
                "5550001",
                "Rossi",
                "meta-secret",
                "drop-secret",
                "return-secret",
                "personal",
                "unsafe",
                &city.driver,
                &other,
                &city.store,
                &city.tenant,
                "external_id",
            ],
            "store" => &[
                "99887766",
                "7654321",
                "5550001",
                "Ann Lee",
                "Rossi",
                "Hauptstr",
                "Seestr",
                "ring twice",
                "third floor",
                "52.53",
                "52.55",
                "meta-secret",
                "drop-secret",
                "return-secret",
                &city.tenant,
            ],
            "driver" => &[
                "99887766",
                "5550001",
                "Ann Lee",
                "meta-secret",
                "drop-secret",
                "Hauptstr. 1\"",
                &city.tenant,
            ],
            "former" => &[
                "99887766",
                "Ann Lee",
                "Seestr",
                "third floor",
                "meta-secret",
                "return-secret",
                "7654321",
                "Rossi",
                &city.driver,
                &city.tenant,
            ],
            _ => &[],
        };
        for word in hidden {
            assert!(!sent.contains(word), "{who} was sent {word:?} on {channel}: {sent}");
        }
        let has_pin = sent.contains(&format!("\"{pin}\""));
        assert_eq!(has_pin, *who == "customer", "{who} on {channel}: {pin}");
        // What each is there for, so that the search above looked at something.
        let shown: &[&str] = match *who {
            "customer" => &["Seestr. 9, Wedding, Berlin", "Cori R.", "ring twice", "•••"],
            "store" => &["Ann L.", "Wedding, Berlin", "Cori R.", "•••"],
            "driver" => &["Ann L.", "Hauptstr. 1, Mitte, Berlin", "third floor", "•••"],
            "former" => &["Hauptstr. 1, Mitte, Berlin", "courier.unassigned"],
            _ => &["99887766", "7654321", "Ann Lee", "meta-secret", "drop-secret", "Rossi"],
        };
        for word in shown {
            assert!(sent.contains(word), "{who} was never sent {word:?} on {channel}: {sent}");
        }
    }
    server.stop().await;
}
