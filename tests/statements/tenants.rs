//! A tenant, its settings and its keys.

use ordercast::domain::{CredentialId, Status, Tenant, TenantId, TenantPatch};
use ordercast::store::Credential;

use crate::bindings::Walk;

pub(crate) async fn tenants(walk: &Walk) {
    let (database, tenant) = (&walk.database, walk.tenant);
    assert_eq!(database.upsert_tenant("Walk").await.unwrap(), tenant);
    assert_eq!(
        database.find_tenant(tenant).await.unwrap().map(|it| it.name).as_deref(),
        Some("Walk")
    );
    let off = TenantPatch {
        accept_s: Some(900),
        customer_cancel_until: Some(Status::Preparing),
        robo: Some(true),
        offer_mode: Some(None),
        offer_s: Some(45),
        offer_rounds: Some(3),
        search_lead_s: Some(600),
        link_ttl_h: Some(48),
        location_retention_h: Some(12),
    };
    let changed = database.update_tenant(tenant, &off).await.unwrap().unwrap();
    assert_eq!(database.find_tenant(tenant).await.unwrap().as_ref(), Some(&changed));
    assert_eq!(
        (changed.accept_s, changed.customer_cancel_until, changed.robo, changed.offer_mode),
        (900, Status::Preparing, true, None)
    );
    let numbers =
        (changed.offer_s, changed.offer_rounds, changed.search_lead_s, changed.link_ttl_h);
    assert_eq!((numbers, changed.location_retention_h), ((45, 3, 600, 48), 12));
    // The others stay.
    let plain = TenantPatch {
        robo: Some(false),
        link_ttl_h: Some(24),
        location_retention_h: Some(0),
        ..TenantPatch::default()
    };
    let changed = Tenant { robo: false, link_ttl_h: 24, location_retention_h: 0, ..changed };
    assert_eq!(database.update_tenant(tenant, &plain).await.unwrap(), Some(changed));
    assert_eq!(database.update_tenant(TenantId::new(), &plain).await.unwrap(), None);
    let credential = Credential {
        id: CredentialId::new(),
        tenant,
        kind: "api_key".to_owned(),
        subject: "backend".to_owned(),
    };
    database.insert_credential(&credential, &[1; 32]).await.unwrap();
    let found = database.find_credential(&[1; 32]).await.unwrap().unwrap();
    assert_eq!(
        (found.id, found.tenant, found.subject),
        (credential.id, tenant, credential.subject)
    );
    assert!(database.find_credential(&[2; 32]).await.unwrap().is_none());
}
