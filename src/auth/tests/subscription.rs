//! Subscription tokens, and that neither kind of token passes as the other.

use super::*;

fn permit_claims(more: Value) -> Value {
    let mut said = claims(json!({"role": null, "channel": "order:x"}));
    let Value::Object(more) = more else { panic!("{more} is no object") };
    said.as_object_mut().unwrap().extend(more);
    said
}

#[test]
fn a_subscription_token_says_what_it_was_granted() {
    let keys = Keys::new(SECRET);
    let granted = SubscriptionGrant {
        tenant: TenantId::new(),
        subject: "ann".to_owned(),
        channel: "order:x".to_owned(),
        info: Info::new(&json!({"a": 1})),
        expires_at: at(200),
    };
    let token = keys.issue_subscription(&granted, at(100)).unwrap();
    let permit = keys.verify_subscription(&token, at(199)).unwrap();
    assert_eq!((permit.tenant, permit.expires_at), (granted.tenant, at(200)));
    assert_eq!((permit.subject.as_str(), permit.channel.as_str()), ("ann", "order:x"));
    assert_eq!(permit.info, granted.info);
    assert_eq!(keys.verify_subscription(&token, at(200)), Err(TokenError::Expired));
    let again = keys.issue_subscription(&granted, at(100)).unwrap();
    assert_ne!(keys.verify_subscription(&again, at(150)).unwrap().credential, permit.credential);
}

#[test]
fn neither_kind_of_token_passes_as_the_other() {
    let signers = Signer::each();
    let keys = trusting("", &signers.each_ref());
    let connection = claims(json!({}));
    let subscription = permit_claims(json!({}));
    let mut pairs = vec![(
        hmac(SECRET.as_bytes(), &json!({"alg": "HS256"}), &connection),
        hmac(SECRET.as_bytes(), &json!({"alg": "HS256"}), &subscription),
    )];
    for signer in &signers {
        pairs.push((signer.sign(&connection), signer.sign(&subscription)));
    }
    for (connection, subscription) in pairs {
        keys.verify(&connection, at(150)).unwrap();
        assert_eq!(keys.verify_subscription(&connection, at(150)), Err(TokenError::Invalid));
        keys.verify_subscription(&subscription, at(150)).unwrap();
        assert_eq!(keys.verify(&subscription, at(150)), Err(TokenError::Invalid));
    }
    // What says both is neither.
    let order = OrderId::new().to_string();
    for both in [
        permit_claims(json!({"role": "ops"})),
        permit_claims(json!({"role": "ops", "channel": ""})),
        permit_claims(json!({"orders": [order]})),
        permit_claims(json!({"orders": []})),
        permit_claims(json!({"role": "customer", "orders": [order]})),
    ] {
        let token = signers[2].sign(&both);
        assert_eq!(keys.verify(&token, at(150)), Err(TokenError::Invalid), "{both}");
        assert_eq!(keys.verify_subscription(&token, at(150)), Err(TokenError::Invalid), "{both}");
    }
}

#[test]
fn a_subscription_token_names_its_channel_and_its_subject() {
    let signer = Signer::ed25519("a");
    let keys = trusting("", &[&signer]);
    for bad in [
        json!({"channel": null}),
        json!({"channel": ""}),
        json!({"channel": 7}),
        json!({"channel": ["order:x"]}),
        json!({"channel": "x".repeat(256)}),
        json!({"sub": null}),
        json!({"sub": ""}),
        json!({"tenant": "acme"}),
        json!({"exp": null}),
        json!({"info": "x".repeat(1_023)}),
    ] {
        let token = signer.sign(&permit_claims(bad.clone()));
        assert_eq!(keys.verify_subscription(&token, at(150)), Err(TokenError::Invalid), "{bad}");
    }
}
