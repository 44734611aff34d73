//! From when and until when a token is good.

use super::*;

#[test]
fn a_token_must_say_when_it_ends() {
    let signer = Signer::ed25519("a");
    let keys = trusting("", &[&signer]);
    for exp in [json!(null), json!("200"), json!([200]), json!(1e300), json!(i64::MAX), json!(1e12)]
    {
        let token = signer.sign(&claims(json!({"exp": exp})));
        // Not even before: the database and clients would not understand the date.
        assert_eq!(keys.verify(&token, at(150)), Err(TokenError::Invalid), "{exp}");
    }
    let token = signer.sign(&claims(json!({"exp": 200.9})));
    assert_eq!(keys.verify(&token, at(150)).unwrap().expires_at, Some(at(200)));
    assert_eq!(keys.verify(&token, at(200)), Err(TokenError::Expired));
}

#[test]
fn a_token_is_no_good_before_its_time() {
    let signer = Signer::ed25519("a");
    let keys = trusting("not_before_leeway_s = 10", &[&signer]);
    let later = claims(json!({"nbf": 110}));
    for token in [signer.sign(&later), hmac(SECRET.as_bytes(), &json!({"alg": "HS256"}), &later)] {
        assert_eq!(keys.verify(&token, at(99)), Err(TokenError::Invalid));
        keys.verify(&token, at(100)).unwrap();
        assert_eq!(keys.verify(&token, at(200)), Err(TokenError::Expired));
    }
    let never = signer.sign(&claims(json!({"nbf": "110"})));
    assert_eq!(keys.verify(&never, at(150)), Err(TokenError::Invalid));
    let permit = json!({"role": null, "channel": "order:x", "nbf": 110});
    let permit = signer.sign(&claims(permit));
    assert_eq!(keys.verify_subscription(&permit, at(99)), Err(TokenError::Invalid));
    keys.verify_subscription(&permit, at(100)).unwrap();
    assert_eq!(keys.verify_subscription(&permit, at(200)), Err(TokenError::Expired));
}

#[test]
fn only_what_was_good_has_expired() {
    let (signer, stranger) = (Signer::ed25519("a"), Signer::ed25519("a"));
    let keys = trusting("issuer = \"x\"", &[&signer]);
    let good = claims(json!({"iss": "x"}));
    assert_eq!(keys.verify(&signer.sign(&good), at(200)), Err(TokenError::Expired));
    for token in [
        stranger.sign(&good),
        signer.sign(&claims(json!({"iss": "y"}))),
        signer.sign(&claims(json!({"iss": "x", "role": "system"}))),
    ] {
        assert_eq!(keys.verify(&token, at(200)), Err(TokenError::Invalid));
    }
}
