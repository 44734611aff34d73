//! Sockets and streams of tracking links: they hear their order and nothing else, as much of it as the
//! link shows, and die with it in every process.

use std::time::Duration;

use futures::future::join;
use ordercast::auth::{self, Grant, Keys};
use ordercast::domain::Role;
use serde_json::{Value, json};

use crate::links::{carried, ended_earlier, path_of};
use crate::support::{
    City, Phone, Process, Raw, Rest, SECRET, Scratch, Server, Stream, UPGRADE, check_log, of, until,
};

const INVALID: Option<u16> = Some(3500);
const EXPIRED: Option<u16> = Some(3005);
/// What a link shows at no time.
const NEVER: &[&str] = &["ring twice", "Mitte", "Lee", "7766", "\"leg\"", "external_id"];
/// What it does not show any more once the order has been over for a while.
const PAST: &[&str] = &["Hauptstr", "Ann", "Cori", "B-CR 1", "\"lat\"", "\"pin\":\""];

fn token_of(link: &Value) -> &str {
    link["token"].as_str().unwrap()
}

async fn door_is_shut(base: &str, token: &str) {
    let mut phone = Phone::open(base).await;
    phone.send(json!({"connect": {"token": token}})).await;
    assert_eq!(phone.closed().await.code, INVALID);
}

#[track_caller]
fn holds_none(text: &Value, secrets: &[&str]) {
    let text = text.to_string();
    for secret in secrets {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
}

#[actix_web::test]
async fn a_link_hears_its_order_as_it_shows_it_and_nothing_else() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let (order, other) = (city.order_id().await, city.order_id().await);
    let link = city.link(&order).await;
    let channel = format!("order:{order}");
    let mut phone = Phone::open(&server.url).await;
    // A personal feed is not for those who are nobody.
    let connect = json!({"connect": {"token": token_of(&link), "data": {"personal": true}}});
    let reply = phone.ask(connect).await;
    let connected = &reply["connect"];
    assert!(connected["client"].is_string() && connected.get("subs").is_none(), "{reply}");
    // Nothing to renew: the SDK would stop for good without a way to get another token.
    assert_eq!((connected.get("expires"), connected.get("ttl")), (None, None), "{reply}");
    let state = phone.subscribe(&channel).await;
    let anybody = Rest::new(&server.url, None);
    assert_eq!(state["data"]["order"], anybody.get(&path_of(&link)).await.expect(200));

    let strangers = City::found(&server.url, &server.database).await.order_id().await;
    for (name, code) in [
        (format!("order:{other}"), 103),
        (format!("order:{strangers}"), 103),
        (format!("store:{}", city.store), 103),
        (format!("driver:{}", city.driver), 103),
        ("dispatch".to_owned(), 103),
        ("tenant".to_owned(), 103),
        (format!("#{}", link["id"].as_str().unwrap()), 102),
    ] {
        let reply = phone.ask(json!({"subscribe": {"channel": name}})).await;
        assert_eq!(reply["error"]["code"], code, "{name}: {reply}");
        let history = json!({"history": {"channel": name, "limit": 9}});
        assert_eq!(phone.ask(history).await["error"]["code"], code, "{name}");
    }
    for ask in ["presence", "presence_stats"] {
        let reply = phone.ask(json!({ask: {"channel": channel}})).await;
        assert_eq!(reply["error"]["code"], 103, "{reply}");
    }
    let publish = json!({"publish": {"channel": channel, "data": {}}});
    assert_eq!(phone.ask(publish).await["error"]["code"], 103);
    let before = server.database.contents().await;
    for method in ["order.cancel", "order.create", "link.create", "link.revoke", "token.revoke"] {
        let data = json!({"order": order, "reason": "customer_request", "token": link["id"]});
        let reply = phone.rpc(method, data.clone()).await;
        assert_eq!(reply["error"]["code"], 403, "{method}: {reply}");
        phone
            .send_text(&json!({"send": {"data": {"method": method, "data": data}}}).to_string())
            .await;
    }
    // A good token for a channel, of a customer of this name, lifts nothing.
    let named =
        json!({"kind": "customer", "subject": link["id"], "channel": format!("order:{other}")});
    let named = city.platform.post("/v1/tokens", named).await.expect(201);
    let subscribe = json!({"channel": format!("order:{other}"), "token": named["token"]});
    assert_eq!(phone.ask(json!({"subscribe": subscribe})).await["error"]["code"], 103);
    assert_eq!(server.database.contents().await, before);

    city.act(&city.platform, &other, "accept", json!({})).await;
    let courier = carried(&city, &order).await;
    let path = format!("/v1/orders/{order}");
    city.platform.patch(&path, json!({"note": "more onions", "meta": {"x": 1}})).await.expect(200);
    city.act(&courier, &order, "deliver", json!({})).await;
    let mut heard = Vec::new();
    loop {
        let event = phone.event().await;
        assert_eq!(event["order"], order.as_str(), "{event}");
        holds_none(&event, NEVER);
        heard.push(event["type"].as_str().unwrap().to_owned());
        if event["type"] == "order.delivered" {
            break;
        }
    }
    let kinds = [
        "order.accepted",
        "order.preparing",
        "courier.assigned",
        "order.ready",
        "order.picked_up",
        "order.updated",
        "order.delivered",
    ];
    assert_eq!(heard, kinds);
    server.stop().await;
}

#[actix_web::test]
async fn a_change_of_the_door_tells_a_link_the_street_alone() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let order = city.order_id().await;
    let link = city.link(&order).await;
    let channel = format!("order:{order}");
    let mut phone = Phone::connect(&server.url, token_of(&link)).await;
    let state = phone.subscribe(&channel).await;
    let dropoff = json!({"name": "Ann Lee", "phone": "+49 151 99887766", "notes": "ring twice",
        "address": "Elm St 2, Mitte", "lat": 1.0, "lng": 2.0});
    let path = format!("/v1/orders/{order}");
    city.platform.patch(&path, json!({"dropoff": dropoff})).await.expect(200);
    let event = phone.event().await;
    let shown = json!({"name": "Ann", "address": "Elm St 2", "lat": 1.0, "lng": 2.0,
        "leave_at_door": false});
    assert_eq!(event["data"], json!({"dropoff": shown}));
    // The same to one who comes back, from memory, and in the channel's past.
    let (offset, epoch) = (state["offset"].as_u64().unwrap(), state["epoch"].as_str().unwrap());
    let mut again = Phone::connect(&server.url, token_of(&link)).await;
    let missed = again.recover(&channel, offset, epoch).await;
    assert_eq!(missed["publications"][0]["data"], event);
    let past = again.ask(json!({"history": {"channel": channel, "limit": 9}})).await;
    let past = &past["history"]["publications"];
    assert_eq!(past[1]["data"], event);
    holds_none(past, NEVER);
    server.stop().await;
}

#[actix_web::test]
async fn a_revoked_link_loses_its_sockets_at_once_in_every_process() {
    let database = Scratch::create().await;
    let (one, two) = join(Process::serve(&database), Process::serve(&database)).await;
    let city = City::found(&one.url, &database).await;
    let order = city.order_id().await;
    let (channel, links) = (format!("order:{order}"), format!("/v1/orders/{order}/links"));
    let (revoked, other) = (city.link(&order).await, city.link(&order).await);
    let mut ending = Vec::new();
    let mut staying = Vec::new();
    for process in [&one, &two, &one, &two] {
        for (link, phones) in [(&revoked, &mut ending), (&other, &mut staying)] {
            let mut phone = Phone::connect(&process.url, token_of(link)).await;
            phone.subscribe(&channel).await;
            phones.push(phone);
        }
    }
    let mut idle = Phone::connect(&two.url, token_of(&revoked)).await;
    let query = format!("channel={channel}");
    let mut stream = Stream::follow(&one.url, token_of(&revoked), &query, "").await;
    stream.event("snapshot").await;
    let id = revoked["id"].as_str().unwrap();
    city.platform.delete(&format!("{links}/{id}")).await.expect(204);
    for phone in ending.iter_mut().chain([&mut idle]) {
        assert_eq!(phone.closed().await.code, INVALID);
        assert!(phone.pushes.is_empty(), "{:?}", phone.pushes);
    }
    assert_eq!(stream.event("end").await.json()["code"], 3500);
    for process in [&one, &two] {
        door_is_shut(&process.url, token_of(&revoked)).await;
        let bearer = Rest::new(&process.url, Some(token_of(&revoked)));
        bearer.get(&format!("/v1/orders/{order}")).await.expect_problem(401, "unauthenticated");
        bearer.get(&path_of(&revoked)).await.expect_problem(410, "link_ended");
    }
    city.act(&city.platform, &order, "accept", json!({})).await;
    for phone in &mut staying {
        assert_eq!(phone.event().await["type"], "order.accepted");
    }
    // And all of an order.
    city.platform.delete(&links).await.expect(204);
    for phone in &mut staying {
        while phone.pushes.pop_front().is_some() {}
        assert_eq!(phone.closed().await.code, INVALID);
    }
    check_log(&database).await;
}

#[actix_web::test]
async fn a_socket_ends_when_its_link_shows_less_and_comes_back_to_that() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let order = city.order(json!({"proof_required": {"photo": false}})).await;
    let order = order["id"].as_str().unwrap();
    let link = city.link(order).await;
    let channel = format!("order:{order}");
    let mut early = Phone::connect(&server.url, token_of(&link)).await;
    let state = early.subscribe(&channel).await;
    let (first, epoch) = (state["offset"].as_u64().unwrap(), state["epoch"].as_str().unwrap());
    let courier = carried(&city, order).await;
    city.act(&courier, order, "deliver", json!({})).await;
    // The last seconds in which it shows all; enough of them to look.
    ended_earlier(&server.database, order, "1 hour 59 minutes 53 seconds").await;
    let mut phone = Phone::connect(&server.url, token_of(&link)).await;
    let state = phone.subscribe(&channel).await;
    assert_eq!(state["data"]["order"]["dropoff"]["address"], "Hauptstr. 1");
    let query = format!("channel={channel}");
    let mut stream = Stream::follow(&server.url, token_of(&link), &query, "").await;
    assert!(stream.event("snapshot").await.json()["order"]["dropoff"].is_object());
    assert_eq!(phone.closed().await.code, EXPIRED);
    assert_eq!(stream.event("end").await.json()["code"], 3005);

    // From its state, from memory, from the log of another process, and from its past.
    let second =
        Process::serve_with(&server.database, &[("ORDERCAST_FEED__WINDOW_LEN", "0")]).await;
    for base in [&server.url, &second.url] {
        let mut phone = Phone::connect(base, token_of(&link)).await;
        let state = phone.subscribe(&channel).await;
        let anybody = Rest::new(base, None);
        let shown = anybody.get(&path_of(&link)).await.expect(200);
        assert_eq!(state["data"]["order"], shown);
        assert_eq!(shown.get("dropoff"), None);
        let mut phone = Phone::connect(base, token_of(&link)).await;
        let missed = phone.recover(&channel, first, epoch).await;
        assert_eq!(missed["recovered"], true, "{missed}");
        let types: Vec<_> = missed["publications"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| &it["data"]["type"])
            .collect();
        assert_eq!(types.len(), 6, "{types:?}");
        let past = phone.ask(json!({"history": {"channel": channel, "limit": 9}})).await;
        assert_eq!(past["history"]["publications"][0]["data"]["type"], "order.placed");
        let from = format!("{epoch}:0");
        let mut stream = Stream::follow(base, token_of(&link), &query, &from).await;
        let placed = stream.envelope().await;
        assert_eq!(placed["type"], "order.placed");
        for text in [&state, &missed, &past, &placed] {
            holds_none(text, NEVER);
            holds_none(text, PAST);
        }
    }

    // The last seconds of all, however long that took.
    let ago = "update orders set delivered_at = now() - interval '23 hours 59 minutes 54 seconds',
                                 closed_at = now() - interval '23 hours 59 minutes 54 seconds'";
    server.database.connect().await.batch_execute(ago).await.unwrap();
    let mut last = Phone::connect(&server.url, token_of(&link)).await;
    last.subscribe(&channel).await;
    assert_eq!(last.closed().await.code, EXPIRED);
    door_is_shut(&server.url, token_of(&link)).await;
    let stream = Stream::follow(&server.url, token_of(&link), &query, "").await;
    assert_eq!(stream.problem(401).await["code"], "unauthenticated");
    server.stop().await;
}

#[actix_web::test]
async fn a_socket_of_an_order_that_goes_on_is_judged_anew_before_it_could_show_too_much() {
    let server = Server::start_with(|config| {
        config.links.full_view_s = of(2);
        // Who cannot renew is not waited for.
        config.socket.expiry_grace_s = of(300);
    })
    .await;
    let city = City::found(&server.url, &server.database).await;
    let order = city.order_id().await;
    let link = city.link(&order).await;
    let channel = format!("order:{order}");
    let mut phone = Phone::connect(&server.url, token_of(&link)).await;
    let opened = tokio::time::Instant::now();
    let state = phone.subscribe(&channel).await;
    // Whoever refreshes nevertheless is judged anew, too.
    let refreshed = phone.ask(json!({"refresh": {"token": token_of(&link)}})).await;
    assert!(refreshed["refresh"].is_object(), "{refreshed}");
    assert_eq!(phone.closed().await.code, EXPIRED);
    assert!(opened.elapsed() >= Duration::from_secs(1));
    city.act(&city.platform, &order, "accept", json!({})).await;
    let mut phone = Phone::connect(&server.url, token_of(&link)).await;
    let (offset, epoch) = (state["offset"].as_u64().unwrap(), state["epoch"].as_str().unwrap());
    let missed = phone.recover(&channel, offset, epoch).await;
    assert_eq!(missed["publications"][0]["data"]["type"], "order.accepted");
    server.stop().await;
}

#[actix_web::test]
async fn a_socket_never_becomes_another_than_its_links() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let order = city.order_id().await;
    let link = city.link(&order).await;
    let channel = format!("order:{order}");
    // A customer whom the platform calls as the link is called, and the other way round.
    let grant = Grant {
        tenant: city.tenant.parse().unwrap(),
        role: Role::Customer,
        subject: link["id"].as_str().unwrap().to_owned(),
        orders: vec![order.parse().unwrap()],
        info: None,
        expires_at: auth::now() + Duration::from_mins(5),
    };
    let namesake = Keys::new(SECRET).issue(&grant, auth::now()).unwrap();
    for (first, second) in [(token_of(&link), namesake.as_str()), (&namesake, token_of(&link))] {
        let mut phone = Phone::connect(&server.url, first).await;
        phone.subscribe(&channel).await;
        phone.send(json!({"refresh": {"token": second}})).await;
        assert_eq!(phone.closed().await.code, EXPIRED);
    }
    // Nor does it see more than it did, or go on with more than it may see.
    let reason = json!({"reason": "duplicate"});
    let mut phone = Phone::connect(&server.url, token_of(&link)).await;
    phone.subscribe(&channel).await;
    city.act(&city.platform, &order, "cancel", reason).await;
    ended_earlier(&server.database, &order, "3 hours").await;
    phone.send(json!({"refresh": {"token": token_of(&link)}})).await;
    assert_eq!(phone.closed().await.code, EXPIRED);
    server.stop().await;
}

#[actix_web::test]
async fn so_many_sockets_and_no_more_stand_on_one_link() {
    let server = Server::start_with(|config| config.links.sockets_max = 3).await;
    let city = City::found(&server.url, &server.database).await;
    let order = city.order_id().await;
    let (link, other) = (city.link(&order).await, city.link(&order).await);
    let query = format!("channel=order:{order}");
    let one = Phone::connect(&server.url, token_of(&link)).await;
    let mut two = Phone::connect(&server.url, token_of(&link)).await;
    let mut stream = Stream::follow(&server.url, token_of(&link), &query, "").await;
    stream.event("snapshot").await;
    let mut full = Phone::open(&server.url).await;
    let reply = full.ask(json!({"connect": {"token": token_of(&link)}})).await;
    // The SDK tries again after a while.
    assert_eq!(reply["error"]["code"], 111, "{reply}");
    assert_eq!(reply["error"]["temporary"], true, "{reply}");
    let refused = Stream::follow(&server.url, token_of(&link), &query, "").await;
    assert_eq!(refused.problem(503).await["code"], "overloaded");
    // A refresh takes no second place, looking none, and another link has its own.
    let refreshed = two.ask(json!({"refresh": {"token": token_of(&link)}})).await;
    assert!(refreshed["refresh"].is_object(), "{refreshed}");
    Rest::new(&server.url, None).get(&path_of(&link)).await.expect(200);
    let _other = Phone::connect(&server.url, token_of(&other)).await;
    one.drop_connection();
    until("a place to be free", async || {
        let mut phone = Phone::open(&server.url).await;
        let reply = phone.ask(json!({"connect": {"token": token_of(&link)}})).await;
        reply["connect"].is_object().then_some(())
    })
    .await;
    server.stop().await;
}

#[actix_web::test]
async fn bare_tools_and_browsers_follow_a_link_too() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let order = city.order_id().await;
    let link = city.link(&order).await;
    let channel = format!("order:{order}");
    let mut raw = Raw::open(&server.url).await;
    assert_eq!(raw.get("/connection/uni_websocket", UPGRADE).await.status, 101);
    let connect = json!({"token": token_of(&link), "subs": {&channel: {}}});
    raw.send_text(&connect.to_string()).await;
    assert!(raw.text().await["connect"]["subs"][&channel].is_object());
    // A browser's EventSource brings it in a cookie.
    let bearer = Rest::new(&server.url, Some(token_of(&link)));
    let given = bearer.post("/v1/sse/cookie", json!({})).await;
    let cookie = given.header("set-cookie").unwrap().to_owned();
    given.expect(204);
    let pair = cookie.split(';').next().unwrap();
    let headers = format!("Cookie: {pair}\r\n");
    let path = format!("/v1/sse?channel={channel}");
    let mut stream = Stream::get(&server.url, &path, &headers).await;
    stream.event("snapshot").await;
    city.act(&city.platform, &order, "accept", json!({})).await;
    assert_eq!(stream.envelope().await["type"], "order.accepted");
    assert_eq!(raw.text().await["pub"]["data"]["type"], "order.accepted");
    city.platform.delete(&format!("/v1/orders/{order}/links")).await.expect(204);
    while raw.text().await["pub"]["data"]["type"] != "order.preparing" {}
    assert_eq!(raw.closed().await.code, INVALID);
    server.stop().await;
}
