//! Tokens that others sign: whose keys are believed, how they come and how they go.

use std::path::PathBuf;

use ordercast::app::App;
use ordercast::auth::{self, Grant, Keys};
use ordercast::config::Secret;
use ordercast::domain::{Role, TenantId};
use serde_json::{Value, json};

use crate::support::{
    Certificate, City, Issuer, Phone, Process, RSA_WEAK_MODULUS, Rest, SECRET, Scratch, Server,
    Signer, config, key_set, merged, of, until,
};

/// A server that believes the keys at `url`, reads them every `refresh` seconds and no sooner
/// than `pause` seconds after the last time.
async fn believing(url: &str, refresh: u64, pause: u64) -> Server {
    Server::start_with(|config| {
        url.clone_into(&mut config.auth.jwks_url);
        config.auth.jwks_refresh_s = of(refresh);
        config.auth.jwks_min_refresh_s = of(pause);
    })
    .await
}

/// What a dispatcher's token says; `more` overrides.
fn claims(city: &City, more: Value) -> Value {
    let exp = auth::now().as_second() + 600;
    merged(json!({"sub": "ann", "tenant": city.tenant, "role": "ops", "exp": exp}), more)
}

/// Calls as a dispatcher by this signer.
fn caller(city: &City, signer: &Signer) -> Rest {
    city.platform.with_token(&signer.sign(&claims(city, json!({}))))
}

async fn status(rest: &Rest) -> u16 {
    rest.get("/v1/orders").await.status
}

/// How a socket that comes with this token is ended.
async fn door(server: &Server, token: &str) -> Option<u16> {
    let mut phone = Phone::open(&server.url).await;
    phone.send(json!({"connect": {"token": token}})).await;
    phone.closed().await.code
}

/// A file of this test, removed with it.
struct Paper(PathBuf);

impl Paper {
    fn new(text: &str) -> Self {
        let name = format!("ordercast-test-{}-{:x}", std::process::id(), rand::random::<u64>());
        let paper = Self(std::env::temp_dir().join(name));
        paper.write(text);
        paper
    }

    fn write(&self, text: &str) {
        // Renamed into its place, as operators do.
        let beside = self.0.with_extension("new");
        std::fs::write(&beside, text).unwrap();
        std::fs::rename(&beside, &self.0).unwrap();
    }

    fn path(&self) -> String {
        self.0.to_str().unwrap().to_owned()
    }
}

impl Drop for Paper {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).unwrap();
    }
}

#[actix_web::test]
async fn tokens_of_each_algorithm_open_rest_and_sockets() {
    let signers = Signer::each();
    let issuer = Issuer::start(&signers.each_ref());
    let server = believing(&issuer.url, 300, 300).await;
    let city = City::found(&server.url, &server.database).await;
    let order = city.order_id().await;
    for signer in &signers {
        let alg = signer.alg();
        let customer = json!({"role": "customer", "sub": "cid", "orders": [order]});
        let customer = signer.sign(&claims(&city, customer));
        let view = city.platform.with_token(&customer).get(&format!("/v1/orders/{order}")).await;
        assert_eq!(view.expect(200)["id"], order.as_str(), "{alg}");
        let mut phone = Phone::connect(&server.url, &customer).await;
        let result = phone.subscribe(&format!("order:{order}")).await;
        assert_eq!(result["data"]["order"]["id"], order.as_str(), "{alg}");
        assert_eq!(status(&caller(&city, signer)).await, 200, "{alg}");

        let expired = signer.sign(&claims(&city, json!({"exp": 1})));
        let refused = city.platform.with_token(&expired).get("/v1/orders").await;
        refused.expect_problem(401, "token_expired");
        let mut phone = Phone::open(&server.url).await;
        let reply = phone.ask(json!({"connect": {"token": expired}})).await;
        assert_eq!(reply["error"]["code"], 109, "{alg}");

        // The same claims over the signature of others.
        let other = signer.sign(&claims(&city, json!({"role": "platform"})));
        let (signed, _) = customer.rsplit_once('.').unwrap();
        let (_, signature) = other.rsplit_once('.').unwrap();
        let forged = format!("{signed}.{signature}");
        let refused = city.platform.with_token(&forged).get("/v1/orders").await;
        refused.expect_problem(401, "unauthenticated");
        assert_eq!(door(&server, &forged).await, Some(3500), "{alg}");
    }
    // All by what was read at the start.
    assert_eq!(issuer.asked(), 1);
    server.stop().await;
}

#[actix_web::test]
async fn a_new_key_is_fetched_once_for_all_who_come_with_it() {
    let (before, after) = (Signer::ed25519("before"), Signer::p256("after"));
    let issuer = Issuer::start(&[&before]);
    let server = believing(&issuer.url, 300, 0).await;
    let city = City::found(&server.url, &server.database).await;
    issuer.publish(&[&before, &after]);
    // All have come before the answer does.
    issuer.fall_silent();
    let newcomer = caller(&city, &after);
    let callers = futures::future::join_all((0..20).map(|_| status(&newcomer)));
    let token = after.sign(&claims(&city, json!({})));
    let sockets = futures::future::join_all((0..5).map(|_| Phone::connect(&server.url, &token)));
    let meanwhile = async {
        issuer.asked_times(2).await;
        // Who comes with a known key waits for nothing.
        assert_eq!(status(&caller(&city, &before)).await, 200);
        issuer.answer_all();
    };
    let (statuses, _phones, ()) = futures::join!(callers, sockets, meanwhile);
    assert_eq!(statuses, [200; 20]);
    assert_eq!(status(&newcomer).await, 200);
    // One at the start, and one for the new key; one more may have been asked for by those who
    // came in between, as there is no pause here.
    assert!(issuer.asked() <= 3, "{}", issuer.asked());
    server.stop().await;
}

#[actix_web::test]
async fn unknown_keys_do_not_make_us_ask_again_and_again() {
    let (known, unknown) = (Signer::ed25519("known"), Signer::ed25519("unknown"));
    let issuer = Issuer::start(&[&known]);
    let server = believing(&issuer.url, 300, 300).await;
    let city = City::found(&server.url, &server.database).await;
    let stranger = caller(&city, &unknown);
    for _ in 0..5 {
        stranger.get("/v1/orders").await.expect_problem(401, "unauthenticated");
    }
    let token = stranger.token.clone().unwrap();
    assert_eq!(door(&server, &token).await, Some(3500));
    // It was asked at the start, which is just now.
    assert_eq!(issuer.asked(), 1);
    assert_eq!(status(&caller(&city, &known)).await, 200);
    server.stop().await;
}

#[actix_web::test]
async fn a_key_that_is_withdrawn_opens_nothing_after_the_next_refresh() {
    let (before, after) = (Signer::rsa("before"), Signer::ed25519("after"));
    let issuer = Issuer::start(&[&before, &after]);
    let server = believing(&issuer.url, 1, 1).await;
    let city = City::found(&server.url, &server.database).await;
    let (old, new) = (caller(&city, &before), caller(&city, &after));
    assert_eq!((status(&old).await, status(&new).await), (200, 200));
    let mut open = Phone::connect(&server.url, &old.token.clone().unwrap()).await;
    issuer.publish(&[&after]);
    until("the old key to be forgotten", async || (status(&old).await == 401).then_some(())).await;
    assert_eq!(status(&new).await, 200);
    assert_eq!(door(&server, &old.token.clone().unwrap()).await, Some(3500));
    // Who is in stays in, until its token ends.
    assert_eq!(open.subscribe("dispatch").await["recoverable"], true);
    // Even the last: an empty set is an answer.
    issuer.publish(&[]);
    until("the last key to be forgotten", async || (status(&new).await == 401).then_some(())).await;
    assert_eq!(status(&city.platform).await, 200);
    server.stop().await;
}

#[actix_web::test]
async fn the_last_good_keys_hold_while_their_server_fails() {
    let (known, later) = (Signer::ed25519("known"), Signer::p256("later"));
    let mut issuer = Issuer::start(&[&known]);
    let server = believing(&issuer.url, 1, 1).await;
    let city = City::found(&server.url, &server.database).await;
    let (old, new) = (caller(&city, &known), caller(&city, &later));
    let set = key_set(&[&later]);
    let elsewhere = Issuer::start(&[&later]);
    let failures: [&dyn Fn(&Issuer); 5] = [
        &|issuer| issuer.say(500, &set),
        &|issuer| issuer.say(404, &set),
        &|issuer| issuer.say_text(200, "<html>"),
        &|issuer| issuer.say_text(200, &format!("{set}{}", " ".repeat(65_536))),
        &|issuer| issuer.redirect(&elsewhere.url),
    ];
    for fail in failures {
        fail(&issuer);
        // The one that is going on may have begun before; the one after that has failed.
        issuer.asked_times(issuer.asked() + 2).await;
        assert_eq!(status(&old).await, 200);
        until("a failure to be known", async || (status(&new).await == 503).then_some(())).await;
    }
    assert_eq!(elsewhere.asked(), 0, "a redirection was followed");
    issuer.go_down().await;
    until("a failure to be known", async || (status(&new).await == 503).then_some(())).await;
    assert_eq!(status(&old).await, 200);
    // What cannot be looked up may be good: the SDK is to try again, and not to give up.
    let mut phone = Phone::open(&server.url).await;
    let token = new.token.clone().unwrap();
    let reply = phone.ask(json!({"connect": {"token": token}})).await;
    assert_eq!(
        (&reply["error"]["code"], &reply["error"]["temporary"]),
        (&json!(100), &json!(true))
    );
    issuer.publish(&[&later]);
    issuer.come_back();
    until("the new key to be known", async || (status(&new).await == 200).then_some(())).await;
    assert_eq!(status(&old).await, 401);
    server.stop().await;
}

#[actix_web::test]
async fn a_silent_issuer_keeps_nobody_waiting_for_long() {
    let (known, unknown) = (Signer::ed25519("known"), Signer::ed25519("unknown"));
    let issuer = Issuer::start(&[&known]);
    let server = Server::start_with(|config| {
        config.auth.jwks_url = issuer.url.clone();
        config.auth.jwks_min_refresh_s = of(0);
        config.auth.jwks_timeout_ms = of(200);
    })
    .await;
    let city = City::found(&server.url, &server.database).await;
    issuer.fall_silent();
    // Nobody ever answers: only our own patience can end this.
    let refused = caller(&city, &unknown).get("/v1/orders").await;
    assert_eq!(refused.header("retry-after"), Some("1"));
    refused.expect_problem(503, "overloaded");
    assert_eq!(status(&caller(&city, &known)).await, 200);
    issuer.answer_all();
    server.stop().await;
}

#[actix_web::test]
async fn a_file_of_keys_is_read_again_when_it_changes() {
    let (before, after) = (Signer::rsa("before"), Signer::p256("after"));
    let paper = Paper::new(&key_set(&[&before]).to_string());
    let server = Server::start_with(|config| {
        config.auth.jwks_file = paper.path();
        config.auth.jwks_refresh_s = of(1);
        config.auth.jwks_min_refresh_s = of(1);
    })
    .await;
    let city = City::found(&server.url, &server.database).await;
    let (old, new) = (caller(&city, &before), caller(&city, &after));
    assert_eq!(status(&old).await, 200);
    paper.write("half of a");
    until("the mistake to be noticed", async || (status(&new).await == 503).then_some(())).await;
    assert_eq!(status(&old).await, 200);
    paper.write(&key_set(&[&after]).to_string());
    until("the new key to be read", async || (status(&new).await == 200).then_some(())).await;
    assert_eq!(status(&old).await, 401);
    server.stop().await;
}

#[actix_web::test]
async fn keys_that_cannot_be_used_at_the_start_are_a_mistake_in_the_configuration() {
    let database = Scratch::create().await;
    let weak = json!({"kty": "RSA", "kid": "weak", "n": RSA_WEAK_MODULUS, "e": "AQAB"});
    let paper = Paper::new("nonsense");
    let file = [("ORDERCAST_AUTH__JWKS_FILE", paper.path())];
    let file: Vec<_> = file.iter().map(|(name, value)| (*name, value.as_str())).collect();
    for (text, advice) in [
        ("nonsense".to_owned(), "it is not a JSON Web Key Set"),
        (json!({"keys": []}).to_string(), "no public key can be used"),
        (json!({"keys": [weak]}).to_string(), "its modulus has not 2048 to 4096 bits"),
    ] {
        paper.write(&text);
        let (code, said) = Process::give_up_with(&database.url, &file).await;
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains("preparing the public keys") && said.contains(advice), "{said}");
    }

    let issuer = Issuer::start(&[&Signer::ed25519("a")]);
    let good = Issuer::start(&[&Signer::ed25519("a")]);
    let start = async |change: &dyn Fn(&mut ordercast::config::Auth)| {
        let mut config = config(&database);
        config.auth.jwks_url = issuer.url.clone();
        change(&mut config.auth);
        let error = App::start(config).await.map(|app| app.address()).unwrap_err();
        format!("{:#}", anyhow::Error::from(error))
    };
    issuer.say(503, &json!({}));
    assert!(start(&|_| {}).await.contains("answered by status 503"));
    issuer.redirect(&good.url);
    assert!(start(&|_| {}).await.contains("answered by status 302"));
    issuer.say_text(200, &" ".repeat(2_000));
    let error = start(&|auth| auth.jwks_limit_bytes = 1_024).await;
    assert!(error.contains("more than auth.jwks_limit_bytes"), "{error}");
    issuer.publish(&[&Signer::ed25519("a"), &Signer::ed25519("b")]);
    let error = start(&|auth| auth.jwks_keys_max = 1).await;
    assert!(error.contains("auth.jwks_keys_max allows 1"), "{error}");
    issuer.fall_silent();
    let error = start(&|auth| auth.jwks_timeout_ms = of(200)).await;
    assert!(error.contains("more than auth.jwks_timeout_ms"), "{error}");
    issuer.answer_all();
    let missing = |auth: &mut ordercast::config::Auth| {
        auth.jwks_url = String::new();
        auth.jwks_file = "/nowhere/at/all".to_owned();
    };
    assert!(start(&missing).await.contains("reading auth.jwks_file"));
}

#[actix_web::test]
async fn keys_are_taken_over_tls_only_from_whom_a_root_vouches_for() {
    let signer = Signer::ed25519("a");
    let url = Certificate::serve(&key_set(&[&signer]));
    let database = Scratch::create().await;
    let mut settings = config(&database);
    settings.auth.jwks_url = url.clone();
    let error = App::start(settings).await.map(|app| app.address()).unwrap_err();
    let error = format!("{:#}", anyhow::Error::from(error));
    assert!(error.contains("invalid peer certificate"), "{error}");

    let root = Paper::new(Certificate::PEM);
    let server = Server::start_with(|config| {
        config.auth.jwks_url = url.clone();
        config.auth.jwks_ca_file = root.path();
    })
    .await;
    let city = City::found(&server.url, &server.database).await;
    assert_eq!(status(&caller(&city, &signer)).await, 200);
    server.stop().await;

    let mut settings = config(&database);
    let empty = Paper::new("no certificate");
    (settings.auth.jwks_url, settings.auth.jwks_ca_file) = (url, empty.path());
    let error = App::start(settings).await.map(|app| app.address()).unwrap_err();
    let error = format!("{:#}", anyhow::Error::from(error));
    assert!(error.contains("reading the roots in auth.jwks_ca_file"), "{error}");
}

#[actix_web::test]
async fn keys_of_one_tenant_speak_for_no_other() {
    let signer = Signer::ed25519("a");
    let paper = Paper::new(&key_set(&[&signer]).to_string());
    let tenant = TenantId::new();
    let server = Server::start_with(|config| {
        config.auth.jwks_file = paper.path();
        config.auth.jwks_tenant = tenant.to_string();
        config.auth.issuer = "https://id.example.com".to_owned();
        config.auth.audience = "orders".to_owned();
    })
    .await;
    let city = City::found(&server.url, &server.database).await;
    let good =
        json!({"iss": "https://id.example.com", "aud": ["orders"], "tenant": tenant.to_string()});
    let call = async |more: Value| {
        let token = signer.sign(&claims(&city, merged(good.clone(), more)));
        status(&city.platform.with_token(&token)).await
    };
    assert_eq!(call(json!({})).await, 200);
    assert_eq!(call(json!({"tenant": city.tenant})).await, 401);
    assert_eq!(call(json!({"iss": "https://id.example.org"})).await, 401);
    assert_eq!(call(json!({"aud": "others"})).await, 401);
    // Our own tokens are bound to none of it.
    let own = city.platform.with_token(&city.ops_token().await);
    assert_eq!(status(&own).await, 200);
    server.stop().await;
}

#[actix_web::test]
async fn tokens_of_the_secret_before_are_good_while_it_is_named() {
    const NEXT: &str = "the next secret, also of at least 32 bytes";
    let server = Server::start_with(|config| {
        config.auth.previous_secrets = vec![Secret(SECRET.to_owned())];
        config.auth.secret = Secret(NEXT.to_owned());
    })
    .await;
    let city = City::found(&server.url, &server.database).await;
    let now = auth::now();
    let token = |secret: &str| {
        let tenant = city.tenant.parse::<TenantId>().unwrap();
        let expires_at = now + jiff::SignedDuration::from_secs(60);
        let (subject, orders) = ("ann".to_owned(), vec![]);
        let grant = Grant { tenant, role: Role::Ops, subject, orders, info: None, expires_at };
        Keys::new(secret).issue(&grant, now).unwrap()
    };
    for (secret, wanted) in [(NEXT, 200), (SECRET, 200), ("some other secret of >= 32 bytes", 401)]
    {
        assert_eq!(status(&city.platform.with_token(&token(secret))).await, wanted, "{secret}");
    }
    Phone::connect(&server.url, &token(SECRET)).await;
    // What is issued is signed by the new one.
    Keys::new(NEXT).verify(&city.ops_token().await, now).unwrap();
    server.stop().await;
}
