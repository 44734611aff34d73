//! Which keys of a set are used.

use super::*;

/// `jwk` with other members; null takes one away.
fn with(jwk: &Value, more: Value) -> Value {
    let mut jwk = jwk.clone();
    let Value::Object(more) = more else { panic!("{more} is no object") };
    jwk.as_object_mut().unwrap().extend(more);
    jwk
}

#[test]
fn a_key_that_cannot_be_used_is_left_out_and_the_others_serve() {
    let [rsa, p256, ed25519] = Signer::each();
    let (r, p, e) = (rsa.jwk(), p256.jwk(), ed25519.jwk());
    let mut off_curve = URL_SAFE_NO_PAD.decode(p["y"].as_str().unwrap()).unwrap();
    off_curve[0] ^= 1;
    let mut even = URL_SAFE_NO_PAD.decode(r["n"].as_str().unwrap()).unwrap();
    even[255] ^= 1;
    let weak_point = URL_SAFE_NO_PAD.encode([&[1_u8][..], &[0; 31]].concat());
    let unusable = [
        (with(&r, json!({"n": RSA_WEAK_MODULUS})), "2048 to 4096 bits"),
        (with(&r, json!({"n": URL_SAFE_NO_PAD.encode([255; 1_024])})), "2048 to 4096 bits"),
        (with(&r, json!({"n": URL_SAFE_NO_PAD.encode([0; 300])})), "2048 to 4096 bits"),
        (with(&r, json!({"n": URL_SAFE_NO_PAD.encode(even)})), "to rely on"),
        (with(&r, json!({"e": "AQ"})), "to rely on"),
        (with(&r, json!({"e": "Ag"})), "to rely on"),
        (with(&r, json!({"e": ""})), "to rely on"),
        (with(&r, json!({"e": null})), "missing"),
        (with(&r, json!({"n": "+/+/"})), "base64url"),
        (with(&r, json!({"d": "AQAB"})), "private part"),
        (with(&r, json!({"use": "enc"})), "not for signatures"),
        (with(&r, json!({"key_ops": ["encrypt"]})), "not for verifying"),
        (with(&r, json!({"alg": "RS512"})), "for none of"),
        (with(&r, json!({"alg": "PS256"})), "for none of"),
        (with(&r, json!({"alg": "HS256"})), "for none of"),
        (with(&p, json!({"alg": "EdDSA"})), "for none of"),
        (with(&p, json!({"crv": "P-384", "alg": "ES384"})), "none of RSA"),
        (with(&p, json!({"crv": "secp256k1"})), "none of RSA"),
        (with(&p, json!({"y": URL_SAFE_NO_PAD.encode(off_curve)})), "no point of P-256"),
        (with(&p, json!({"x": "AQAB"})), "32 bytes"),
        (with(&e, json!({"crv": "X25519", "alg": null})), "none of RSA"),
        (with(&e, json!({"x": "AQAB"})), "32 bytes"),
        (with(&e, json!({"x": weak_point})), "weak point"),
        (json!({"kty": "oct", "k": "c2VjcmV0", "alg": "HS256"}), "none of RSA"),
        (json!({"kty": "future"}), "none of RSA"),
        (json!({"kid": "no type"}), "not a JSON Web Key"),
        (json!(7), "not a JSON Web Key"),
    ];
    for (jwk, why) in unusable {
        let set = parsed(&json!({"keys": [jwk, e]}));
        assert_eq!((set.usable(), set.left_out().len()), (1, 1), "{jwk}");
        assert!(set.left_out()[0].contains(why), "{} {jwk}", set.left_out()[0]);
        let keys = configured("");
        keys.trust(set);
        keys.verify(&ed25519.sign(&claims(json!({}))), at(150)).unwrap();
    }
    // What need not be said need not be said.
    let bare = |jwk: &Value| with(jwk, json!({"alg": null, "use": null, "key_ops": ["verify"]}));
    let keys = configured("");
    keys.trust(parsed(&json!({"keys": [bare(&r), bare(&p), bare(&e)], "more": 1})));
    for signer in [&rsa, &p256, &ed25519] {
        keys.verify(&signer.sign(&claims(json!({}))), at(150)).unwrap();
    }
}

#[test]
fn what_is_no_set_is_a_mistake() {
    for text in ["", "nonsense", "[]", "{}", r#"{"keys":{}}"#, r#"{"keys":[]"#, "\u{0}"] {
        let read = PublicKeys::parse(text.as_bytes(), 32);
        assert!(matches!(read, Err(JwksError::NotASet(_))), "{text}");
    }
    let three = json!({"keys": [1, 2, 3]}).to_string();
    let read = PublicKeys::parse(three.as_bytes(), 2);
    assert!(matches!(read, Err(JwksError::TooMany { found: 3, most: 2 })));
    assert_eq!(PublicKeys::parse(three.as_bytes(), 3).unwrap().usable(), 0);
}

#[test]
fn a_key_that_is_gone_verifies_no_more() {
    let (before, after) = (Signer::ed25519("before"), Signer::ed25519("after"));
    let keys = trusting("", &[&before]);
    let shared = keys.clone();
    let token = before.sign(&claims(json!({})));
    shared.verify(&token, at(150)).unwrap();
    keys.trust(parsed(&key_set(&[&before, &after])));
    shared.verify(&token, at(150)).unwrap();
    shared.verify(&after.sign(&claims(json!({}))), at(150)).unwrap();
    keys.trust(parsed(&key_set(&[&after])));
    assert_eq!(shared.verify(&token, at(150)), Err(TokenError::UnknownKey));
    let nameless = before.sign_under(&json!({"alg": "EdDSA"}), &claims(json!({})));
    assert_eq!(shared.verify(&nameless, at(150)), Err(TokenError::Invalid));
}
