//! Keys and what they were answered, for what is not the writer's.

use std::time::Duration;

use ordercast::domain::{Place, Role, Store, StoreId, TenantId};
use ordercast::store::{Claim, Database, IdempotencyKey, Kept, Known};
use serde_json::json;

use crate::bindings::actor;

const LEASE: Duration = Duration::from_secs(30);

/// Runs each statement about keys that are not brought to the writer.
pub(crate) async fn walk(database: &Database, tenant: TenantId) {
    let claim = |key: &str, request: u8| Claim {
        tenant,
        by: actor(Role::Platform, "backend"),
        key: IdempotencyKey { key: key.to_owned(), request_hash: vec![request; 32] },
    };
    let store = |name: &str| Store {
        id: StoreId::new(),
        tenant,
        external_id: name.to_owned(),
        name: name.to_owned(),
        place: Place { lat: 1.0, lng: 2.0 },
        tz: "Europe/Paris".to_owned(),
        phone: None,
        auto_accept: false,
        default_prep_min: 20,
        paused_until: None,
    };
    let known = async |claim: &Claim| database.find_known(claim).await.unwrap();
    let made = Kept { created: true, body: Some(json!({"id": "st_1", "n": [1, null]})) };
    let there = async |id| database.find_store(tenant, id).await.unwrap().is_some();

    // An effect and its answer, or neither.
    let (first, other) = (claim("put", 1), claim("put", 2));
    assert_eq!(known(&first).await, None);
    let (one, two) = (store("one"), store("two"));
    let apart = database.apart();
    apart.upsert_store(&one).await.unwrap();
    assert!(!there(one.id).await, "not yet");
    assert!(apart.keep(&first, &made).await.unwrap());
    assert!(there(one.id).await);
    assert_eq!(known(&first).await, Some(Known::Answered(made.clone())));
    assert_eq!(known(&other).await, Some(Known::Reused));
    let stranger = Claim { by: actor(Role::Ops, "backend"), ..first.clone() };
    assert_eq!(known(&stranger).await, None);
    let elsewhere = Claim { tenant: TenantId::new(), ..first.clone() };
    assert_eq!(known(&elsewhere).await, None);

    // A key that is there takes the effect back; so does giving up, and stopping in between.
    let apart = database.apart();
    apart.upsert_store(&two).await.unwrap();
    assert!(!apart.keep(&first, &made).await.unwrap());
    let apart = database.apart();
    apart.upsert_store(&two).await.unwrap();
    apart.take_back().await.unwrap();
    database.apart().take_back().await.unwrap();
    let apart = database.apart();
    apart.upsert_store(&two).await.unwrap();
    drop(apart);
    // As often as there are connections: none was given back with a transaction.
    for _ in 0..16 {
        assert!(!there(two.id).await);
    }
    let nothing = Kept { created: false, body: None };
    assert!(database.apart().keep(&claim("nothing", 1), &nothing).await.unwrap());
    assert_eq!(known(&claim("nothing", 1)).await, Some(Known::Answered(nothing)));

    // Two at once: the second waits for the first, and does nothing.
    let race = claim("race", 1);
    let (ahead, behind) = (database.apart(), database.apart());
    ahead.upsert_store(&two).await.unwrap();
    let three = store("three");
    behind.upsert_store(&three).await.unwrap();
    let (won, lost) = futures::join!(ahead.keep(&race, &made), behind.keep(&race, &made));
    assert_ne!(won.unwrap(), lost.unwrap());
    assert_ne!(there(two.id).await, there(three.id).await);

    // Taken first, for what no transaction reaches.
    let ping = claim("ping", 1);
    assert!(database.claim(&ping, LEASE).await.unwrap());
    assert!(!database.claim(&ping, LEASE).await.unwrap());
    assert!(!database.claim(&claim("put", 1), LEASE).await.unwrap(), "it was answered");
    match known(&ping).await {
        Some(Known::UnderWay(left)) => assert!(left <= LEASE && left > LEASE / 2, "{left:?}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(known(&claim("ping", 2)).await, Some(Known::Reused));
    database.answer(&ping, &made).await.unwrap();
    assert_eq!(known(&ping).await, Some(Known::Answered(made.clone())));
    // An answer that comes late, after another took it up, is not theirs.
    let late = Kept { created: false, body: None };
    database.answer(&ping, &late).await.unwrap();
    assert_eq!(known(&ping).await, Some(Known::Answered(made)));
    let again = claim("again", 1);
    assert!(database.claim(&again, Duration::ZERO).await.unwrap());
    assert_eq!(known(&again).await, None, "given up");
    assert_eq!(known(&claim("again", 3)).await, Some(Known::Reused), "but not for another");
    assert!(database.claim(&claim("again", 2), LEASE).await.unwrap());
    assert_eq!(known(&again).await, Some(Known::Reused));
}
