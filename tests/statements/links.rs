//! Tracking links, statement by statement: found by hash and by order, revoked, forgotten.

use std::time::Duration;

use ordercast::domain::{CredentialId, Order, Role, TenantId};
use ordercast::store::Target;

use crate::bindings::{Walk, actor};

const HOUR: Duration = Duration::from_hours(1);

/// Runs each statement about links, on an order that has ended.
pub(crate) async fn links(walk: &Walk, order: &Order) {
    let (database, tenant, id) = (&walk.database, walk.tenant, order.id);
    let hash = |n: u8| vec![n; 32];
    let insert = async |n, ttl_h, most| {
        let made = (CredentialId::new(), &*hash(n));
        database.insert_link((tenant, id), made, ttl_h, most).await.unwrap()
    };
    let first = insert(1, None, 2).await.unwrap();
    assert_eq!(first.ttl, 24 * HOUR, "as its tenant's last");
    walk.client.batch_execute("update tenants set link_ttl_h = 5").await.unwrap();
    let second = insert(2, None, 2).await.unwrap();
    assert_eq!(second.ttl, 5 * HOUR);
    assert_eq!(insert(3, Some(7), 2).await, None, "there are two");
    let stranger = TenantId::new();
    let made = (CredentialId::new(), &*hash(3));
    let made = database.insert_link((stranger, id), made, None, 9).await.unwrap();
    assert_eq!(made, None, "another tenant's order");

    let both = [first.clone(), second.clone()];
    assert_eq!(database.list_links(tenant, id).await.unwrap(), both);
    assert_eq!(database.list_links(stranger, id).await.unwrap(), []);
    let found = database.find_link(&hash(1)).await.unwrap().unwrap();
    assert_eq!((found.id, found.tenant, found.ttl), (first.id, tenant, first.ttl));
    assert_eq!((&found.sheet.order, found.sheet.store.id), (order, walk.store.id));
    assert!(!found.is_revoked && found.at >= first.created_at);
    assert!(database.find_link(&hash(3)).await.unwrap().is_none());

    // Revoked as a token is: by its tenant, and nobody else.
    let revoke = async |token| {
        let target = Target::Revoke { token, keep: HOUR };
        walk.submit(actor(Role::Ops, "o"), None, target).await;
    };
    let give = "update tracking_links set tenant_id = (select id from tenants t
                      where t.id <> tracking_links.tenant_id limit 1) where hash = $1";
    walk.client
        .batch_execute("insert into tenants (id, name) values (gen_random_uuid(), 'Other')")
        .await
        .unwrap();
    walk.client.execute(give, &[&hash(2)]).await.unwrap();
    revoke(first.id).await;
    revoke(second.id).await;
    assert_eq!(database.list_links(tenant, id).await.unwrap(), []);
    assert!(database.find_link(&hash(1)).await.unwrap().unwrap().is_revoked);
    assert!(database.find_link(&hash(2)).await.unwrap().is_none(), "of no order of its tenant");
    let untouched = "select revoked_at is null from tracking_links where hash = $1";
    let row = walk.client.query_one(untouched, &[&hash(2)]).await.unwrap();
    assert!(row.try_get::<_, bool>(0).unwrap());
    walk.client.batch_execute("delete from tracking_links where revoked_at is null").await.unwrap();

    // A revoked one is forgotten a while after; one that is good as long after its end.
    let third = insert(3, Some(7), 2).await.unwrap();
    let swept = async |keep| {
        assert!(!database.sweep_links(keep).await.unwrap());
        let count = "select count(*) from tracking_links";
        let row = walk.client.query_one(count, &[]).await.unwrap();
        row.try_get::<_, i64>(0).unwrap()
    };
    assert_eq!(swept(HOUR).await, 2);
    assert_eq!(swept(Duration::ZERO).await, 1);
    assert_eq!(database.list_links(tenant, id).await.unwrap(), [third]);
    let earlier = async |hours: i32| {
        let earlier = "update orders set closed_at = now() - make_interval(hours => $1)";
        walk.client.execute(earlier, &[&hours]).await.unwrap();
        let earlier = "update tracking_links set created_at = now() - make_interval(hours => $1)";
        walk.client.execute(earlier, &[&hours]).await.unwrap();
    };
    earlier(9).await;
    assert_eq!(swept(2 * HOUR + HOUR / 2).await, 1, "it ended two hours ago");
    assert_eq!(swept(HOUR).await, 0);
}
