//! Tests of tokens and keys: what passes, and every way in which one thing could be taken for
//! another.

mod confusion;
mod link;
mod sets;
mod subscription;
mod times;

#[expect(unreachable_pub, reason = "the tests of behaviour use it too")]
#[path = "../../../tests/behaviour/support/signer.rs"]
mod signer;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use figment::Figment;
use figment::providers::{Format as _, Toml};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::*;
use crate::config::{Config, DEFAULTS};
use crate::domain::{CredentialId, OrderId, Role, StoreId, TenantId};
use signer::{RSA_WEAK_MODULUS, Signer, key_set};

const SECRET: &str = "a secret of at least thirty-two bytes";
const OTHER_SECRET: &str = "another secret of thirty-two bytes!!";

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn grant(role: Role, subject: &str, expires_at: Timestamp) -> Grant {
    let (tenant, subject) = (TenantId::new(), subject.to_owned());
    Grant { tenant, role, subject, orders: vec![], info: None, expires_at }
}

/// Keys of the default configuration with the changes of this section `[auth]`.
fn configured(auth: &str) -> Keys {
    let text = format!("[auth]\nsecret = \"{SECRET}\"\n{auth}");
    let figment = Figment::from(Toml::string(DEFAULTS)).merge(Toml::string(&text));
    Keys::configured(&figment.extract::<Config>().unwrap().auth)
}

/// The same, trusting these signers.
fn trusting(auth: &str, signers: &[&Signer]) -> Keys {
    let keys = configured(auth);
    keys.trust(parsed(&key_set(signers)));
    keys
}

fn parsed(set: &Value) -> PublicKeys {
    PublicKeys::parse(set.to_string().as_bytes(), 32).unwrap()
}

/// What a dispatcher's token says that is good until 200; `more` overrides, null takes away.
fn claims(more: Value) -> Value {
    let mut claims = json!({"sub": "ann", "tenant": TenantId::new().to_string(), "role": "ops",
        "exp": 200});
    let members = claims.as_object_mut().unwrap();
    let Value::Object(more) = more else { panic!("{more} is no object") };
    for (name, value) in more {
        if value.is_null() {
            members.remove(&name);
        } else {
            members.insert(name, value);
        }
    }
    claims
}

/// A token by HMAC, with this text as the secret.
fn hmac(secret: &[u8], head: &Value, claims: &Value) -> String {
    let part = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
    let signed = format!("{}.{}", part(head), part(claims));
    let key = jsonwebtoken::EncodingKey::from_secret(secret);
    let algorithm = jsonwebtoken::Algorithm::HS256;
    let signature = jsonwebtoken::crypto::sign(signed.as_bytes(), &key, algorithm).unwrap();
    format!("{signed}.{signature}")
}

#[test]
fn a_token_says_what_it_was_granted_until_it_expires() {
    let keys = Keys::new(SECRET);
    let store = StoreId::new().to_string();
    let mut granted = grant(Role::Store, &store, at(200));
    granted.info = Info::new(&json!({"name": "Corner"}));
    let token = keys.issue(&granted, at(100)).unwrap();
    let principal = keys.verify(&token, at(199)).unwrap();
    assert_eq!(principal.tenant, granted.tenant);
    assert_eq!(principal.store().unwrap().to_string(), store);
    assert_eq!(principal.info.unwrap().json(), r#"{"name":"Corner"}"#);
    assert_eq!(keys.verify(&token, at(200)), Err(TokenError::Expired));
}

#[test]
fn a_store_token_must_name_a_store_and_nobody_is_the_system() {
    let keys = Keys::new(SECRET);
    for (role, subject) in [
        (Role::Store, "ann"),
        (Role::Driver, "bob"),
        (Role::Customer, "cid"),
        (Role::System, "x"),
        (Role::Ops, ""),
        (Role::Ops, "a\0b"),
        (Role::Ops, &"x".repeat(256)),
    ] {
        let token = keys.issue(&grant(role, subject, at(200)), at(100)).unwrap();
        assert_eq!(keys.verify(&token, at(150)), Err(TokenError::Invalid), "{role} {subject}");
    }
}

#[test]
fn tokens_of_the_secret_before_are_good_while_it_is_named() {
    let before = Keys::new(OTHER_SECRET).issue(&grant(Role::Ops, "ann", at(200)), at(1)).unwrap();
    let now = Keys::new(SECRET).issue(&grant(Role::Ops, "ann", at(200)), at(1)).unwrap();
    let nameless = hmac(OTHER_SECRET.as_bytes(), &json!({"alg": "HS256"}), &claims(json!({})));
    let both = configured(&format!("previous_secrets = [\"{OTHER_SECRET}\"]"));
    let after = configured("");
    for (token, good_after) in [(&before, false), (&nameless, false), (&now, true)] {
        both.verify(token, at(150)).unwrap();
        assert_eq!(after.verify(token, at(150)).is_ok(), good_after);
    }
    // What it signs is signed by the new one.
    let issued = both.issue(&grant(Role::Ops, "ann", at(200)), at(1)).unwrap();
    after.verify(&issued, at(150)).unwrap();
}

#[test]
fn public_keys_of_each_algorithm_verify() {
    let signers = Signer::each();
    let keys = trusting("", &signers.each_ref());
    for signer in &signers {
        let orders = [OrderId::new()];
        let said = claims(json!({"role": "customer", "orders": [orders[0].to_string()],
            "iat": 100, "info": [1], "iss": "any", "aud": "any", "unknown": {}}));
        let principal = keys.verify(&signer.sign(&said), at(150)).unwrap();
        assert_eq!((principal.role, principal.subject.as_str()), (Role::Customer, "ann"));
        assert_eq!(principal.tenant.to_string(), said["tenant"].as_str().unwrap());
        assert_eq!(principal.orders, orders);
        assert_eq!(principal.expires_at, Some(at(200)));
        assert_eq!(principal.info.unwrap().json(), "[1]");
        // Without a kid it is found by trying.
        let nameless = signer.sign_under(&json!({"alg": signer.alg()}), &said);
        keys.verify(&nameless, at(150)).unwrap();
    }
}

#[test]
fn a_credential_is_named_by_jti_or_by_what_was_signed() {
    let signer = Signer::p256("a");
    let keys = trusting("", &[&signer]);
    let id = |token: &str| keys.verify(token, at(150)).unwrap().credential;
    let ours = CredentialId::new();
    assert_eq!(id(&signer.sign(&claims(json!({"jti": ours.to_string()})))), ours);
    let named = claims(json!({"jti": "7", "iss": "x"}));
    let mut renewed = named.clone();
    renewed["exp"] = 300.into();
    assert_eq!(id(&signer.sign(&named)), id(&signer.sign(&renewed)));
    for (member, other) in
        [("jti", json!("8")), ("iss", json!("y")), ("tenant", json!(TenantId::new().to_string()))]
    {
        let mut elsewhere = named.clone();
        elsewhere[member] = other;
        assert_ne!(id(&signer.sign(&named)), id(&signer.sign(&elsewhere)), "{member}");
    }
    let nameless = claims(json!({}));
    let token = signer.sign(&nameless);
    assert_eq!(id(&token), id(&token));
    // The same signature in other bits: of r and s, the order minus s is as good.
    let (message, signature) = token.rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let signature = p256::ecdsa::Signature::from_slice(&signature).unwrap();
    let (r, s) = (signature.r(), signature.s());
    let other = p256::ecdsa::Signature::from_scalars(r.to_bytes(), (-*s).to_bytes()).unwrap();
    let twin = format!("{message}.{}", URL_SAFE_NO_PAD.encode(other.to_bytes()));
    assert_ne!(token, twin);
    assert_eq!(id(&token), id(&twin));
    assert_ne!(id(&token), id(&signer.sign(&claims(json!({"exp": 201})))));
}

#[test]
fn info_is_any_json_within_its_bound() {
    let text = |length: usize| json!("x".repeat(length));
    assert_eq!(Info::new(&text(Info::MAX_BYTES - 2)).unwrap().json().len(), Info::MAX_BYTES);
    assert_eq!(Info::new(&text(Info::MAX_BYTES - 1)), None);
    assert_eq!(Info::new(&Value::Null), None);
    let signer = Signer::ed25519("a");
    let keys = trusting("", &[&signer]);
    let token = signer.sign(&claims(json!({"info": text(Info::MAX_BYTES)})));
    assert_eq!(keys.verify(&token, at(150)), Err(TokenError::Invalid));
}

#[test]
fn an_api_key_is_kept_as_its_hash_only() {
    let (key, kept) = new_api_key();
    assert_eq!(hash(&key), kept);
    assert_ne!(new_api_key().0, key);
}
