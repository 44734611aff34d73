//! The conformance server, which the SDKs' own suites run against: what they rely on, in both
//! codecs, so that it is there when somebody runs them.

use awc::http::StatusCode;
use jsonwebtoken::{EncodingKey, Header, encode};
use ordercast::config::{Config, Overrides};
use serde_json::{Value, json};

use crate::conformance::{Server, Settings};
use crate::support::of;
use crate::support::speaker::{Command, History, Named, Rpc, Speaker, Subscribe};

const KEY: &str = "the test's key";

fn start() -> Server {
    let overrides = Overrides { host: Some("127.0.0.1".to_owned()), ..Overrides::default() };
    let mut config = Config::load(None, &overrides).unwrap();
    config.server.workers = 2;
    // Nobody reads the phones of a test that is over: each stop would wait for them.
    config.socket.close_timeout_s = of(1);
    let settings = Settings {
        port: 0,
        secret: "secret".to_owned(),
        api_key: KEY.to_owned(),
        offers_presence: true,
    };
    Server::start(config, settings).unwrap()
}

fn token(claims: &Value) -> String {
    encode(&Header::default(), claims, &EncodingKey::from_secret(b"secret")).unwrap()
}

fn to(channel: &str) -> Subscribe {
    Subscribe { channel: channel.to_owned(), ..Subscribe::default() }
}

fn named(channel: &str) -> Named {
    Named { channel: channel.to_owned() }
}

/// What a reader of Fossil deltas makes of one.
fn patched(old: &[u8], patch: &[u8]) -> Vec<u8> {
    const DIGITS: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz~";
    let mut at = 0;
    let number = |at: &mut usize| {
        let mut number = 0;
        while let Some(digit) = DIGITS.iter().position(|digit| *digit == patch[*at]) {
            number = number * 64 + digit;
            *at += 1;
        }
        *at += 1;
        (number, patch[*at - 1])
    };
    let (length, _line) = number(&mut at);
    let mut new = Vec::new();
    loop {
        match number(&mut at) {
            (count, b'@') => {
                let (offset, _comma) = number(&mut at);
                new.extend_from_slice(&old[offset..offset + count]);
            }
            (count, b':') => {
                new.extend_from_slice(&patch[at..at + count]);
                at += count;
            }
            (_checksum, _end) => {
                assert_eq!(new.len(), length);
                return new;
            }
        }
    }
}

#[actix_web::test]
async fn both_codecs_publish_to_each_other_and_recover_all_they_missed() {
    let server = start();
    let (mut ann, about_ann) = Speaker::connect(&server.url, false, "").await;
    let (mut bob, _) = Speaker::connect(&server.url, true, "").await;
    let mut epoch = String::new();
    for speaker in [&mut ann, &mut bob] {
        let subscribed = speaker.subscribe(to("news")).await.subscribe.unwrap();
        assert!(subscribed.recoverable && subscribed.positioned && !subscribed.was_recovering);
        assert_eq!(subscribed.offset, 0);
        epoch = subscribed.epoch;
    }
    assert!(!epoch.is_empty());
    assert!(ann.publish("news", r#"{"n":1}"#).await.error.is_none());
    for speaker in [&mut ann, &mut bob] {
        let heard = speaker.heard().await;
        assert_eq!((heard.offset, heard.data.as_slice()), (1, br#"{"n":1}"#.as_slice()));
        assert_eq!(heard.info.unwrap().client, about_ann.client);
    }
    let unsubscribe = Command { unsubscribe: Some(named("news")), ..Command::default() };
    bob.ask(unsubscribe).await;
    for n in 2..=4 {
        ann.publish("news", &format!(r#"{{"n":{n}}}"#)).await;
    }
    // Who knows no epoch recovers as well.
    for (epoch, binary) in [(epoch, true), (String::new(), false)] {
        let (mut late, _) = Speaker::connect(&server.url, binary, "").await;
        let ask = Subscribe { recover: true, offset: 1, epoch, ..to("news") };
        let recovered = late.subscribe(ask).await.subscribe.unwrap();
        assert!(recovered.was_recovering && recovered.recovered);
        let offsets: Vec<_> = recovered.publications.iter().map(|it| it.offset).collect();
        assert_eq!((recovered.offset, offsets), (1, vec![2, 3, 4]));
    }
    server.stop().await;
}

#[actix_web::test]
async fn what_is_not_kept_any_more_is_not_recovered() {
    let server = start();
    for binary in [false, true] {
        let channel = format!("smallhistory:{binary}");
        let (mut speaker, _) = Speaker::connect(&server.url, binary, "").await;
        for n in 1..=5 {
            speaker.publish(&channel, &n.to_string()).await;
        }
        let ask = Subscribe { recover: true, offset: 1, ..to(&channel) };
        let refused = speaker.subscribe(Subscribe { flag: 2, ..ask.clone() }).await;
        assert_eq!(refused.error.unwrap().code, 112);
        let lost = speaker.subscribe(ask).await.subscribe.unwrap();
        assert!(lost.was_recovering && !lost.recovered && lost.publications.is_empty());
        assert_eq!(lost.offset, 5);
        speaker.publish(&channel, "6").await;
        assert_eq!(speaker.heard().await.offset, 6);
    }
    server.stop().await;
}

#[actix_web::test]
async fn deltas_are_sent_to_those_who_ask_live_and_recovered() {
    let server = start();
    let text =
        |n: u32| format!(r#"{{"n":{n},"note":"an étage above the pâtisserie, ring twice"}}"#);
    for binary in [false, true] {
        let channel = format!("delta:{binary}");
        let (mut speaker, _) = Speaker::connect(&server.url, binary, "").await;
        let ask = Subscribe { delta: "fossil".to_owned(), ..to(&channel) };
        assert!(speaker.subscribe(ask.clone()).await.subscribe.unwrap().delta);
        let mut live = Vec::new();
        for n in 1..=4 {
            // The third is like the second.
            speaker.publish(&channel, &text(if n == 3 { 2 } else { n })).await;
            live.push(speaker.heard().await);
        }
        speaker.ask(Command { unsubscribe: Some(named(&channel)), ..Command::default() }).await;
        let recovering = Subscribe { recover: true, ..ask };
        let recovered = speaker.subscribe(recovering).await.subscribe.unwrap();
        assert!(recovered.delta && recovered.recovered);
        for publications in [live, recovered.publications] {
            let mut last = Vec::new();
            for (publication, n) in publications.iter().zip([1, 2, 2, 4]) {
                // In JSON it is a text that holds the data, or the patch.
                let data: Vec<u8> = if binary {
                    publication.data.clone()
                } else {
                    serde_json::from_slice::<String>(&publication.data).unwrap().into()
                };
                assert_eq!(publication.delta, publication.offset > 1);
                last = if publication.delta { patched(&last, &data) } else { data };
                assert_eq!(String::from_utf8(last.clone()).unwrap(), text(n));
            }
            assert_eq!(publications.len(), 4);
        }
        // Its past, and what others hear, are whole.
        let history = Some(History { channel: channel.clone(), limit: 1, reverse: true });
        let past = speaker.ask(Command { history, ..Command::default() }).await.history.unwrap();
        assert_eq!(past.publications[0].data, text(4).as_bytes());
        let (mut plain, _) = Speaker::connect(&server.url, binary, "").await;
        assert!(!plain.subscribe(to(&channel)).await.subscribe.unwrap().delta);
        plain.publish(&channel, &text(5)).await;
        assert_eq!(plain.heard().await.data, text(5).as_bytes());
    }
    server.stop().await;
}

#[actix_web::test]
async fn everybody_may_ask_who_is_there_and_what_was() {
    let server = start();
    for binary in [false, true] {
        let channel = format!("recovery:{binary}");
        let (mut guest, about) = Speaker::connect(&server.url, binary, "").await;
        let (mut other, _) = Speaker::connect(&server.url, !binary, "").await;
        guest.subscribe(to(&channel)).await;
        assert_eq!(guest.push().await.join.unwrap().info.unwrap().client, about.client);
        for n in 1..=3 {
            other.publish(&channel, &n.to_string()).await;
        }
        let presence = Command { presence: Some(named(&channel)), ..Command::default() };
        let present = other.ask(presence).await.presence.unwrap().presence;
        assert_eq!(present.into_keys().collect::<Vec<_>>(), [about.client]);
        let stats = Command { presence_stats: Some(named(&channel)), ..Command::default() };
        let stats = other.ask(stats).await.presence_stats.unwrap();
        assert_eq!((stats.num_clients, stats.num_users), (1, 1));
        for (limit, reverse, expected) in
            [(0, false, vec![]), (-1, false, vec![1, 2, 3]), (2, true, vec![3, 2])]
        {
            let history = Some(History { channel: channel.clone(), limit, reverse });
            let past = other.ask(Command { history, ..Command::default() }).await.history.unwrap();
            let offsets: Vec<_> = past.publications.iter().map(|it| it.offset).collect();
            assert_eq!((past.offset, offsets), (3, expected), "limit {limit}");
        }
    }
    server.stop().await;
}

#[actix_web::test]
async fn tokens_are_judged_and_open_a_channel_of_ones_own() {
    let server = start();
    for binary in [false, true] {
        let mut stranger = Speaker::open(&server.url, binary).await;
        let connect = |token: &str| Command {
            id: 1,
            connect: Some(crate::support::speaker::Connect { token: token.to_owned() }),
            ..Command::default()
        };
        stranger.send(&connect("invalid_token")).await;
        assert_eq!(stranger.closed().await.code, Some(3500));
        let mut late = Speaker::open(&server.url, binary).await;
        let refused = late.ask(connect(&token(&json!({"sub": "42", "exp": 1})))).await;
        assert_eq!(refused.error.unwrap().code, 109);

        let user = format!("user-{binary}");
        let (mut own, connected) =
            Speaker::connect(&server.url, binary, &token(&json!({"sub": user}))).await;
        let personal = format!("#{user}");
        assert!(connected.subs[&personal].recoverable);
        assert_eq!(own.push().await.join.unwrap().info.unwrap().user, user);
        own.publish(&personal, r#""to myself""#).await;
        assert_eq!(own.heard().await.offset, 1);

        let good = token(&json!({"sub": user, "channel": "news"}));
        let refused = own.subscribe(Subscribe { token: "bad".to_owned(), ..to("news") }).await;
        assert_eq!(refused.error.unwrap().code, 103);
        let refused = own.subscribe(to("#somebody")).await;
        assert_eq!(refused.error.unwrap().code, 103);
        let refused = own.subscribe(to("nowhere:1")).await;
        assert_eq!(refused.error.unwrap().code, 102);
        let rpc = Some(Rpc { method: "method".to_owned() });
        let refused = own.ask(Command { rpc, ..Command::default() }).await;
        assert_eq!(refused.error.unwrap().code, 108);
        assert!(own.subscribe(Subscribe { token: good, ..to("news") }).await.subscribe.is_some());
    }
    server.stop().await;
}

#[actix_web::test]
async fn a_back_end_publishes_and_looks_back_with_its_key_alone() {
    let server = start();
    let (mut speaker, _) = Speaker::connect(&server.url, false, "").await;
    speaker.subscribe(to("news")).await;
    let client = awc::Client::default();
    let post = |path: &str, key: &str, body: Value| {
        let request =
            client.post(format!("{}{path}", server.url)).insert_header(("X-API-Key", key));
        async move {
            let mut answer = request.send_json(&body).await.unwrap();
            (answer.status(), answer.json::<Value>().await.unwrap())
        }
    };
    let body = json!({"channel": "news", "data": {"n": 1}});
    let (status, _problem) = post("/api/publish", "another", body.clone()).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert_eq!(post("/api/publish", KEY, body).await.0, StatusCode::OK);
    let heard = speaker.heard().await;
    assert_eq!((heard.offset, heard.info), (1, None));
    let (_ok, past) = post("/api/history", KEY, json!({"channel": "news", "limit": -1})).await;
    assert_eq!(past["result"]["offset"], 1);
    assert_eq!(past["result"]["publications"], json!([{"offset": 1, "data": {"n": 1}}]));
    server.stop().await;
}
