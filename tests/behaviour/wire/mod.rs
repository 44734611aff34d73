//! The byte examples of the protocol's description, in both codecs over real sockets: what an SDK
//! sends is understood, and what it is sent is what it reads, to the member.

mod results;

use ordercast::protocol::Codec;
use serde_json::{Value, json};

use crate::support::dialect::{self, BOTH};
use crate::support::{Caller, City, Closed, Server, of};

fn hex(digits: &str) -> Vec<u8> {
    let digits: Vec<u8> = digits.bytes().filter(|digit| !digit.is_ascii_whitespace()).collect();
    let pairs = digits.chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
    pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
}

fn members(object: &Value) -> Vec<&str> {
    object.as_object().unwrap().keys().map(String::as_str).collect()
}

fn closed(code: u16, reason: &str) -> Closed {
    Closed { code: Some(code), reason: reason.to_owned() }
}

fn error(id: u32, code: u32, message: &str) -> Value {
    json!({"id": id, "error": {"code": code, "message": message}})
}

/// A token for one channel.
async fn permit(city: &City, channel: &str) -> String {
    let body = json!({"kind": "customer", "subject": "customer-1", "channel": channel});
    let issued = city.platform.post("/v1/tokens", body).await.expect(201);
    issued["token"].as_str().unwrap().to_owned()
}

/// Hears so many pushes of events; the publications.
async fn publications(caller: &mut Caller, count: usize) -> Vec<Value> {
    let mut all = Vec::new();
    for _ in 0..count {
        let push = caller.hear().await;
        assert_eq!(members(&push["push"]), ["channel", "pub"], "{push}");
        all.push(push["push"]["pub"].clone());
    }
    all
}

#[actix_web::test]
async fn what_an_sdk_says_first_is_answered_in_order_with_all_it_asks_for() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let order = city.order_id().await;
    let (channel, token) = (format!("order:{order}"), city.customer_token(&order).await);
    let permit = permit(&city, &channel).await;
    for codec in BOTH {
        let mut caller = Caller::open(&server.url, codec).await;
        // All of it in one message, before any reply.
        let connect = json!({"connect": {"token": token, "data": {"a": 1}, "name": "driver",
            "version": "1.2.3", "headers": {"X-H": "v"}}, "id": 1});
        let subscribe = json!({"subscribe": {"channel": channel, "token": permit, "positioned": true,
            "recoverable": true, "join_leave": true, "flag": 1, "delta": "fossil"}, "id": 2});
        let unsubscribe = json!({"unsubscribe": {"channel": channel}, "id": 3});
        let never = json!({"unsubscribe": {"channel": "never"}, "id": 4_294_967_295_u32});
        caller.say(&[connect, subscribe, unsubscribe, never]).await;

        let reply = caller.hear().await;
        assert_eq!(members(&reply), ["connect", "id"], "{codec:?}: {reply}");
        let connected = &reply["connect"];
        assert_eq!(members(connected), ["client", "expires", "ping", "pong", "ttl", "version"]);
        assert_eq!((&connected["ping"], &connected["pong"]), (&json!(25), &json!(true)));
        assert_eq!((&reply["id"], &connected["expires"]), (&json!(1), &json!(true)));
        let reply = caller.hear().await;
        assert_eq!((&reply["id"], members(&reply)), (&json!(2), vec!["id", "subscribe"]));
        let subscribed = &reply["subscribe"];
        let all = ["data", "epoch", "expires", "offset", "positioned", "recoverable", "ttl"];
        assert_eq!(members(subscribed), all, "{codec:?}: {reply}");
        assert_eq!(subscribed["data"]["order"]["id"], order.as_str());
        assert_eq!(caller.hear().await, json!({"id": 3, "unsubscribe": {}}));
        assert_eq!(caller.hear().await, json!({"id": 4_294_967_295_u32, "unsubscribe": {}}));
    }
    server.stop().await;
}

#[actix_web::test]
async fn bytes_of_the_python_sdk_are_understood_and_answered_in_kind() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    // A connect by the token "T": understood, and so refused for the token and nothing else.
    let mut caller = Caller::open(&server.url, Codec::Protobuf).await;
    caller.say_bytes(&hex("0d 0801 22 09 0a0154 220464617274")).await;
    assert_eq!(caller.closed().await, closed(3500, "invalid token"));

    let (mut caller, _) = Caller::connect(&server.url, Codec::Protobuf, &city.key).await;
    // "order:1", from offset 5 of "e1": no order has that name.
    caller.say_bytes(&hex("17 0802 2a 13 0a076f726465723a31 1801 32026531 3805 7001")).await;
    assert_eq!(caller.hear().await, error(2, 103, "permission denied"));
    let denied = hex("19 0802 12 15 0867 1211 70 65 72 6d 69 73 73 69 6f 6e 20 64 65 6e 69 65 64");
    assert_eq!(caller.last, denied);
    // Explicit defaults, and an unsubscribe: its result is empty, and there.
    caller.say_bytes(&hex("07 0803 32 03 0a0161")).await;
    assert_eq!(caller.hear().await, json!({"id": 3, "unsubscribe": {}}));
    assert_eq!(caller.last, hex("04 0803 3a00"));

    // A push: the channel, the data, the offset, each behind its tag.
    let order = city.order_id().await;
    let channel = format!("order:{order}");
    caller.ask(json!({"id": 4, "subscribe": {"channel": channel}})).await;
    let note = json!({"note": "two bells"});
    city.platform.patch(&format!("/v1/orders/{order}"), note).await.expect(200);
    let publication = publications(&mut caller, 1).await.remove(0);
    let data = publication["data"].to_string();
    let (mut inner, mut push, mut expected) = (vec![0x22], vec![0x12], vec![]);
    let text = caller.last.windows(8).position(|window| window == b"{\"v\":1,\"").unwrap();
    let text = &caller.last[text..][..data.len()];
    dialect::bytes(&mut inner, text);
    inner.push(0x30);
    dialect::varint(&mut inner, publication["offset"].as_u64().unwrap());
    dialect::bytes(&mut push, channel.as_bytes());
    push.push(0x22);
    dialect::bytes(&mut push, &inner);
    let mut reply = vec![0x22];
    dialect::bytes(&mut reply, &push);
    dialect::bytes(&mut expected, &reply);
    assert_eq!(caller.last, expected);
    server.stop().await;
}

#[actix_web::test]
async fn json_is_written_as_the_examples_are() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let order = city.order_id().await;
    let channel = format!("order:{order}");
    let (mut caller, connected) = Caller::connect(&server.url, Codec::Json, &city.key).await;
    let (client, version) = (&connected["client"], &connected["version"]);
    let expected = format!(
        r#"{{"id":1,"connect":{{"client":{client},"version":{version},"ping":25,"pong":true}}}}"#
    );
    assert_eq!(String::from_utf8_lossy(&caller.last), expected);
    let seen = caller.ask(json!({"id": 2, "subscribe": {"channel": channel}})).await;
    let (epoch, offset) = (&seen["subscribe"]["epoch"], &seen["subscribe"]["offset"]);
    let expected = format!(
        r#"{{"id":2,"subscribe":{{"recoverable":true,"positioned":true,"epoch":{epoch},"offset":{offset},"data":{{"#
    );
    assert!(caller.last.starts_with(expected.as_bytes()), "{expected}");
    let shapes = [
        (json!({"id": 3, "unsubscribe": {"channel": channel}}), r#"{"id":3,"unsubscribe":{}}"#),
        (
            json!({"id": 4, "presence": {"channel": channel}}),
            r#"{"id":4,"presence":{"presence":{}}}"#,
        ),
        (
            json!({"id": 5, "presence_stats": {"channel": channel}}),
            r#"{"id":5,"presence_stats":{"num_clients":0,"num_users":0}}"#,
        ),
        (
            json!({"id": 6, "rpc": {"method": "no.such", "data": {}}}),
            r#"{"id":6,"error":{"code":104,"message":"method not found"}}"#,
        ),
        (
            json!({"id": 7, "ping": {}}),
            r#"{"id":7,"error":{"code":108,"message":"not available"}}"#,
        ),
    ];
    for (command, expected) in shapes {
        caller.ask(command).await;
        assert_eq!(String::from_utf8_lossy(&caller.last), expected);
    }
    caller.ask(json!({"id": 8, "history": {"channel": channel}})).await;
    let head = format!(r#"{{"id":8,"history":{{"epoch":{epoch},"offset":"#);
    let said = String::from_utf8_lossy(&caller.last);
    assert!(said.starts_with(&head) && said.ends_with(r#","publications":[]}}"#), "{said}");
    server.stop().await;
}

#[actix_web::test]
async fn pings_and_pongs_are_the_empty_message_of_the_codec() {
    let server = Server::start_with(|config| {
        config.socket.ping_interval_s = of(1);
        config.socket.pong_timeout_s = of(2);
    })
    .await;
    let city = City::found(&server.url, &server.database).await;
    for (codec, empty) in [(Codec::Json, &b"{}"[..]), (Codec::Protobuf, &[0])] {
        let (mut caller, connected) = Caller::connect(&server.url, codec, &city.key).await;
        assert_eq!(connected["ping"], 1);
        // A pong too many does no harm, alone or before a command.
        caller.say_bytes(empty).await;
        caller.say(&[json!({}), json!({"id": 2, "ping": {}})]).await;
        assert_eq!(caller.hear().await, error(2, 108, "not available"));
        for _ in 0..3 {
            assert_eq!(caller.hear().await, json!({}));
            assert_eq!(caller.last, empty);
            caller.say_bytes(empty).await;
        }
        // The first that stays unanswered ends it.
        let end = loop {
            match caller.listen().await {
                Ok(ping) => assert_eq!(ping, json!({})),
                Err(closed) => break closed,
            }
        };
        assert_eq!(end, closed(3012, "no pong"), "{codec:?}");
    }
    server.stop().await;
}

#[actix_web::test]
async fn recovery_is_the_same_whether_defaults_are_left_out_or_written() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let order = city.order_id().await;
    city.act(&city.platform, &order, "accept", json!({})).await;
    let channel = format!("order:{order}");
    let (mut caller, _) = Caller::connect(&server.url, Codec::Json, &city.key).await;
    let past = json!({"id": 2, "history": {"channel": channel, "limit": -1}});
    let past = caller.ask(past).await["history"].clone();
    assert_eq!(past["publications"].as_array().unwrap().len(), 3, "{past}");
    let (epoch, top) = (&past["epoch"], &past["offset"]);
    let after_first = &past["publications"][0]["offset"];

    let base = json!({"recoverable": true, "positioned": true, "epoch": epoch,
        "was_recovering": true, "recovered": true});
    let with = |more: Value| crate::support::merged(base.clone(), more);
    let whole = with(json!({"publications": past["publications"]}));
    let rest = with(json!({"offset": after_first,
        "publications": past["publications"].as_array().unwrap()[1..]}));
    let asks = [
        (json!({"recover": true}), &whole),
        (json!({"recover": true, "offset": 0, "epoch": ""}), &whole),
        (json!({"recover": true, "offset": 0, "epoch": epoch, "flag": 1}), &whole),
        (json!({"recover": true, "offset": after_first, "epoch": epoch, "flag": 3}), &rest),
        (json!({"recover": true, "offset": after_first}), &rest),
        (json!({"recover": true, "offset": top, "epoch": epoch}), &with(json!({"offset": top}))),
    ];
    for codec in BOTH {
        let (mut caller, _) = Caller::connect(&server.url, codec, &city.key).await;
        for (ask, expected) in &asks {
            let subscribe = crate::support::merged(json!({"channel": channel}), ask.clone());
            let reply = caller.ask(json!({"id": 4, "subscribe": subscribe})).await;
            // An offset of 0 is left out, as every default.
            assert_eq!(reply["subscribe"], **expected, "{codec:?}: {ask}");
            caller.ask(json!({"id": 5, "unsubscribe": {"channel": channel}})).await;
        }
        // Another log: the state, and word that something is lost; or 112, if that is asked for.
        let foreign = json!({"channel": channel, "recover": true, "offset": 1, "epoch": "other"});
        let reply = caller.ask(json!({"id": 6, "subscribe": foreign})).await;
        let told = &reply["subscribe"];
        let all = ["data", "epoch", "offset", "positioned", "recoverable", "was_recovering"];
        assert_eq!(members(told), all, "{codec:?}");
        assert_eq!((&told["epoch"], &told["offset"]), (epoch, top), "{codec:?}");
        caller.ask(json!({"id": 7, "unsubscribe": {"channel": channel}})).await;
        let strict = crate::support::merged(foreign, json!({"flag": 2}));
        let reply = caller.ask(json!({"id": 8, "subscribe": strict})).await;
        assert_eq!(reply, error(8, 112, "unrecoverable position"), "{codec:?}");
        // Refused, it is as if it had not been asked.
        let reply = caller.ask(json!({"id": 9, "subscribe": {"channel": channel}})).await;
        assert!(reply["subscribe"]["data"]["order"].is_object(), "{codec:?}: {reply}");
        let reply = caller.ask(json!({"id": 10, "subscribe": {"channel": channel}})).await;
        assert_eq!(reply, error(10, 105, "already subscribed"), "{codec:?}");
    }
    server.stop().await;
}

#[actix_web::test]
async fn only_an_error_that_may_pass_says_that_it_is_temporary() {
    let server = Server::start_with(|config| config.socket.reply_timeout_ms = of(200)).await;
    let city = City::found(&server.url, &server.database).await;
    let order = city.order_id().await;
    let subscribe = json!({"id": 2, "subscribe": {"channel": format!("order:{order}")}});
    let mut callers = Vec::new();
    for codec in BOTH {
        callers.push(Caller::connect(&server.url, codec, &city.key).await.0);
    }
    let mut client = server.database.connect().await;
    let lock = client.transaction().await.unwrap();
    lock.batch_execute("lock table orders in access exclusive mode").await.unwrap();
    for caller in &mut callers {
        let failed = json!({"code": 100, "message": "internal server error", "temporary": true});
        let reply = caller.ask(subscribe.clone()).await;
        assert_eq!(reply, json!({"id": 2, "error": failed}), "{:?}", caller.codec);
    }
    lock.rollback().await.unwrap();
    for caller in &mut callers {
        let reply = caller.ask(subscribe.clone()).await;
        assert!(reply["subscribe"]["recoverable"] == true, "{reply}");
        let nowhere = json!({"id": 3, "subscribe": {"channel": "nowhere"}});
        assert_eq!(caller.ask(nowhere).await, error(3, 102, "unknown channel"));
    }
    server.stop().await;
}

#[actix_web::test]
async fn what_says_nothing_or_too_little_ends_the_connection_in_either_codec() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let ping = json!({"id": 1, "ping": {}});
    let empty_channels =
        ["subscribe", "publish", "presence", "presence_stats", "history"].map(|command| {
            let mut ask = json!({"id": 9});
            ask[command] = json!({});
            ask
        });
    for codec in BOTH {
        let mut messages: Vec<Vec<u8>> = match codec {
            Codec::Json => ["", "\n", "\r\n \t", "{}{", "[{}]", "{}\u{0}"]
                .map(|message| message.as_bytes().to_vec())
                .into(),
            // Nothing; an id alone; a command cut short; a length without an end; wire types that
            // are none; more behind a whole command than a command.
            Codec::Protobuf => {
                ["", "02 0801", "0d 0801 22", "ff ff ff ff ff ff ff ff ff 7f", "02 0f01", "00 05"]
                    .map(hex)
                    .into()
            }
        };
        for ask in &empty_channels {
            messages.push(dialect::message(codec, std::slice::from_ref(ask)));
        }
        // A request without a number, behind one with.
        messages.push(dialect::message(codec, &[ping.clone(), json!({"ping": {}})]));
        messages.push(dialect::message(codec, &vec![ping.clone(); 257]));
        for message in messages {
            let (mut caller, _) = Caller::connect(&server.url, codec, &city.key).await;
            caller.say_bytes(&message).await;
            assert_eq!(caller.closed().await, closed(3501, "bad request"), "{message:?}");
        }
        let (mut caller, _) = Caller::connect(&server.url, codec, &city.key).await;
        caller.say(&vec![ping.clone(); 256]).await;
        for _ in 0..256 {
            assert_eq!(caller.hear().await["error"]["code"], 108);
        }
    }
    server.stop().await;
}

#[actix_web::test]
async fn blanks_newlines_and_what_is_new_to_us_change_nothing() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let not_available = |id| error(id, 108, "not available");
    let (mut json, _) = Caller::connect(&server.url, Codec::Json, &city.key).await;
    for (message, ids) in [
        ("{\"id\":1,\"ping\":{}}\n", vec![1]),
        ("\n\n{\"id\":1,\"ping\":{}}\n\n\n{\"id\":2,\"ping\":{}}\n\n", vec![1, 2]),
        ("{\r\n\t\"id\" :\n1,\n\n\"ping\"\n:\n{\n}\n}", vec![1]),
        ("{\"id\":1,\"ping\":{}}{\"id\":2,\"ping\":{}}", vec![1, 2]),
        ("{ }\n{\"id\":3,\"ping\":{\"new\":[1,{}]},\"newer\":\"\\u0000\"}\n{\"id\":0}", vec![3]),
        ("{\"id\":4,\"ping\":{},\"connect\":null,\"rpc\":null}", vec![4]),
        // The first of the schema is what counts: a ping, and no RPC.
        ("{\"rpc\":{\"method\":\"no.such\"},\"ping\":{},\"id\":5}", vec![5]),
    ] {
        json.say_bytes(message.as_bytes()).await;
        for id in ids {
            assert_eq!(json.hear().await, not_available(id), "{message}");
        }
    }
    let (mut protobuf, _) = Caller::connect(&server.url, Codec::Protobuf, &city.key).await;
    for (message, ids) in [
        ("04 0801 5a00", vec![1]),
        // Pongs before, between and after.
        ("00 04 0801 5a00 00 00 04 0802 5a00 00", vec![1, 2]),
        // Tags that we do not know, of each type: 90 and 91 to 94.
        ("14 d005 01 0803 da0502abcd e50501020304 5a020801", vec![3]),
        // The length and the id in more bytes than they need.
        ("8580 8000 0884 00 5a00", vec![4]),
        // The first of the schema is what counts, wherever it stands.
        ("0b 6a05 1203 6e6f2e 5a00 0805", vec![5]),
    ] {
        protobuf.say_bytes(&hex(message)).await;
        for id in ids {
            assert_eq!(protobuf.hear().await, not_available(id), "{message}");
        }
    }
    server.stop().await;
}
