//! Who is there, as processes tell each other.

use std::time::Duration;

use ordercast::store::{MemberRow, Seen};
use uuid::Uuid;

use crate::bindings::Walk;

/// Two processes tell each other who is there, and one of them dies.
pub(crate) async fn walk(walk: &Walk) {
    let database = &walk.database;
    let (one, other, alive) = (Uuid::new_v4(), Uuid::new_v4(), Duration::from_secs(15));
    let seen = |is_new, others| Seen { is_new, others };
    assert_eq!(database.upsert_process(one, alive).await.unwrap(), seen(true, 0));
    assert_eq!(database.upsert_process(other, alive).await.unwrap(), seen(true, 1));
    assert_eq!(database.upsert_process(one, alive).await.unwrap(), seen(false, 1));
    let member = |channel: &str, user: &str, info: Option<&str>| MemberRow {
        channel: channel.to_owned(),
        client: Uuid::new_v4(),
        user: user.to_owned(),
        info: info.map(str::to_owned),
    };
    let (ann, bob) = (member("order:1", "ann", Some("{}")), member("order:2", "bob", None));
    let both = [ann.clone(), bob.clone()];
    database.insert_members(one, &both).await.unwrap();
    database.insert_members(one, &both).await.unwrap();
    let channels = ["order:1".to_owned(), "order:2".to_owned()];
    let list = async |asker, limit| {
        let rows = database.list_members(asker, &channels, alive, limit).await.unwrap();
        let mut found: Vec<_> = rows.into_iter().map(|it| (it.client, it.user, it.info)).collect();
        found.sort_by(|one, other| one.1.cmp(&other.1));
        found
    };
    let of = |it: &MemberRow| (it.client, it.user.clone(), it.info.clone());
    assert_eq!(list(other, 9).await, [of(&ann), of(&bob)]);
    assert_eq!(list(other, 1).await.len(), 1);
    assert_eq!(list(one, 9).await, [], "it knows its own");
    database.delete_members(one, &[(ann.channel.clone(), ann.client)]).await.unwrap();
    assert_eq!(list(other, 9).await, [of(&bob)]);
    database.notify_processes(&["{}".to_owned()]).await.unwrap();

    // Silent for long enough it is not believed, and then forgotten with its members.
    let age = "update processes set seen_at = seen_at - interval '1 minute'";
    walk.client.batch_execute(age).await.unwrap();
    assert_eq!(list(other, 9).await, []);
    assert_eq!(database.upsert_process(other, alive).await.unwrap(), seen(false, 0));
    database.delete_silent_processes(alive).await.unwrap();
    let left = walk.client.query_one("select count(*) from members", &[]).await.unwrap();
    assert_eq!(left.try_get::<_, i64>(0).unwrap(), 0);
    database.delete_process(other).await.unwrap();
    let left = walk.client.query_one("select count(*) from processes", &[]).await.unwrap();
    assert_eq!(left.try_get::<_, i64>(0).unwrap(), 0);
}
