//! No key verifies what it is not for.

use super::*;

#[track_caller]
fn refused(keys: &Keys, token: &str) {
    assert_eq!(keys.verify(token, at(150)), Err(TokenError::Invalid), "{token}");
    assert_eq!(keys.verify_subscription(token, at(150)), Err(TokenError::Invalid), "{token}");
}

#[test]
fn another_secret_and_no_algorithm_are_refused() {
    let keys = Keys::new(SECRET);
    let token = keys.issue(&grant(Role::Ops, "ann", at(200)), at(100)).unwrap();
    refused(&Keys::new(OTHER_SECRET), &token);
    let body = token.split('.').nth(1).unwrap();
    for alg in ["none", "None", "NONE", "", "hs256", "HS384", "HS512", "PS256", "ES384"] {
        let head = URL_SAFE_NO_PAD.encode(json!({"alg": alg}).to_string());
        refused(&keys, &format!("{head}.{body}."));
        let signature = token.rsplit('.').next().unwrap();
        refused(&keys, &format!("{head}.{body}.{signature}"));
    }
    let head = URL_SAFE_NO_PAD.encode(json!({"typ": "JWT"}).to_string());
    refused(&keys, &format!("{head}.{body}."));
    for garbage in ["", ".", "..", "...", "a.b", "a.b.c", &token.replace('.', ""), &body.repeat(99)]
    {
        refused(&keys, garbage);
    }
}

#[test]
fn a_public_key_is_no_secret() {
    let signers = Signer::each();
    let keys = trusting("", &signers.each_ref());
    for signer in &signers {
        let jwk = signer.jwk();
        let decode = |name: &str| URL_SAFE_NO_PAD.decode(jwk[name].as_str()?).ok();
        let mut texts: Vec<Vec<u8>> = vec![jwk.to_string().into_bytes()];
        for name in ["n", "e", "x", "y"] {
            texts.extend(jwk[name].as_str().map(|text| text.as_bytes().to_vec()));
            texts.extend(decode(name));
        }
        if let (Some(x), Some(y)) = (decode("x"), decode("y")) {
            texts.push([&[4], x.as_slice(), &y].concat());
        }
        assert!(texts.len() >= 3);
        for text in texts {
            for head in [
                json!({"alg": "HS256"}),
                json!({"alg": "HS256", "kid": jwk["kid"]}),
                json!({"alg": signer.alg(), "kid": jwk["kid"]}),
                json!({"alg": signer.alg()}),
            ] {
                refused(&keys, &hmac(&text, &head, &claims(json!({}))));
            }
        }
    }
}

#[test]
fn a_key_in_the_head_of_a_token_is_not_believed() {
    let (trusted, stranger) = (Signer::ed25519("a"), Signer::ed25519("a"));
    let keys = trusting("", &[&trusted]);
    let said = claims(json!({}));
    let head = json!({"alg": "EdDSA", "kid": "a", "jwk": stranger.jwk(),
        "jku": "https://example.com/jwks", "x5u": "https://example.com/cert"});
    refused(&keys, &stranger.sign_under(&head, &said));
    keys.verify(&trusted.sign_under(&head, &said), at(150)).unwrap();
}

#[test]
fn a_kid_selects_and_its_key_says_the_algorithm() {
    let signers = Signer::each();
    let keys = trusting("", &signers.each_ref());
    let said = claims(json!({}));
    for signer in &signers {
        for other in &signers {
            let kid = &other.jwk()["kid"];
            let same = signer.alg() == other.alg();
            // Signed by one, named as another: whatever algorithm the head claims.
            for alg in [signer.alg(), other.alg(), "HS256".to_owned()] {
                let token = signer.sign_under(&json!({"alg": alg, "kid": kid}), &said);
                if same && alg == signer.alg() {
                    keys.verify(&token, at(150)).unwrap();
                } else {
                    refused(&keys, &token);
                }
            }
        }
        let unknown = signer.sign_under(&json!({"alg": signer.alg(), "kid": "unknown"}), &said);
        assert_eq!(keys.verify(&unknown, at(150)), Err(TokenError::UnknownKey));
        assert_eq!(keys.verify_subscription(&unknown, at(150)), Err(TokenError::UnknownKey));
    }
    // A secret has a name too; another is not tried, and nothing is fetched for it.
    refused(&keys, &hmac(SECRET.as_bytes(), &json!({"alg": "HS256", "kid": "x"}), &said));
    refused(&keys, &hmac(SECRET.as_bytes(), &json!({"alg": "HS256", "kid": "rsa"}), &said));
    keys.verify(&hmac(SECRET.as_bytes(), &json!({"alg": "HS256"}), &said), at(150)).unwrap();
}

#[test]
fn the_name_of_a_secret_is_no_name_of_a_public_key() {
    let secret = Keys::new(SECRET).issue(&grant(Role::Ops, "ann", at(200)), at(100)).unwrap();
    let head = URL_SAFE_NO_PAD.decode(secret.split('.').next().unwrap()).unwrap();
    let head: Value = serde_json::from_slice(&head).unwrap();
    let signer = Signer::ed25519(head["kid"].as_str().unwrap());
    let keys = trusting("", &[&signer]);
    keys.verify(&secret, at(150)).unwrap();
    keys.verify(&signer.sign(&claims(json!({}))), at(150)).unwrap();
    refused(&keys, &signer.sign_under(&head, &claims(json!({}))));
}

#[test]
fn a_changed_token_is_refused() {
    for signer in Signer::each() {
        let keys = trusting("", &[&signer]);
        let token = signer.sign(&claims(json!({})));
        let other = signer.sign(&claims(json!({"role": "platform"})));
        let (signed, _) = token.rsplit_once('.').unwrap();
        let (_, signature) = other.rsplit_once('.').unwrap();
        refused(&keys, &format!("{signed}.{signature}"));
        refused(&keys, &format!("{signed}."));
        refused(&keys, &format!("{signed}.AAAA"));
        refused(&keys, &format!("{token}.{signature}"));
    }
}

#[test]
fn what_a_token_calls_critical_must_be_understood() {
    let signer = Signer::ed25519("a");
    let keys = trusting("", &[&signer]);
    let head = json!({"alg": "EdDSA", "kid": "a", "crit": ["b64"], "b64": false});
    refused(&keys, &signer.sign_under(&head, &claims(json!({}))));
}

#[test]
fn a_token_without_a_kid_is_tried_with_few_keys() {
    let signers: Vec<Signer> = (0..3).map(|nth| Signer::ed25519(&format!("{nth}"))).collect();
    let keys = trusting("kidless_tries_max = 2", &signers.iter().collect::<Vec<_>>());
    let said = claims(json!({}));
    let tried = signers.iter().map(|signer| {
        keys.verify(&signer.sign(&said), at(150)).unwrap();
        keys.verify(&signer.sign_under(&json!({"alg": "EdDSA"}), &said), at(150)).is_ok()
    });
    assert_eq!(tried.collect::<Vec<_>>(), [true, true, false]);
}

#[test]
fn a_token_that_is_too_long_is_not_looked_at() {
    let signer = Signer::ed25519("a");
    let keys = trusting("token_limit_bytes = 4096", &[&signer]);
    keys.verify(&signer.sign(&claims(json!({"more": "x".repeat(2_000)}))), at(150)).unwrap();
    refused(&keys, &signer.sign(&claims(json!({"more": "x".repeat(4_000)}))));
}

#[test]
fn issuer_audience_and_tenant_bind_public_keys_and_not_the_secret() {
    let signer = Signer::ed25519("a");
    let tenant = TenantId::new().to_string();
    let auth = format!("issuer = \"https://id\"\naudience = \"us\"\njwks_tenant = \"{tenant}\"");
    let keys = trusting(&auth, &[&signer]);
    let good = json!({"iss": "https://id", "aud": "us", "tenant": tenant});
    keys.verify(&signer.sign(&claims(good.clone())), at(150)).unwrap();
    let with = |member: &str, value: Value| {
        let mut more = good.clone();
        more[member] = value;
        more
    };
    let several = with("aud", json!(["them", "us"]));
    keys.verify(&signer.sign(&claims(several)), at(150)).unwrap();
    for bad in [
        with("iss", json!("https://id/")),
        with("iss", Value::Null),
        with("iss", json!(["https://id"])),
        with("aud", json!("them")),
        with("aud", json!(["them"])),
        with("aud", json!([])),
        with("aud", Value::Null),
        with("tenant", json!(TenantId::new().to_string())),
        with("tenant", Value::Null),
        with("tenant", json!("acme")),
    ] {
        refused(&keys, &signer.sign(&claims(bad)));
    }
    let own = keys.issue(&grant(Role::Ops, "ann", at(200)), at(100)).unwrap();
    keys.verify(&own, at(150)).unwrap();
}
