//! What must hold of the log after any load, and what a load writes.

use std::collections::BTreeMap;

use serde_json::json;
use tokio_postgres::Client;

use super::{Answer, Rest, Scratch};

/// Checks what must hold of every log: positions without a gap, each order's `n` without a gap
/// and up to its version, the head at the end.
pub async fn check_log(database: &Scratch) {
    let client = database.connect().await;
    let rows = client.query("select position from events order by position", &[]).await.unwrap();
    let positions: Vec<i64> = rows.iter().map(|row| row.try_get(0).unwrap()).collect();
    let count = i64::try_from(positions.len()).unwrap();
    assert_eq!(positions, (1..=count).collect::<Vec<_>>());
    let head = client.query_one("select last from log_head", &[]).await.unwrap();
    assert_eq!(head.try_get::<_, i64>(0).unwrap(), count);
    let orders = "
        select o.version, array_agg(e.n order by e.position) filter (where e.n is not null),
               (array_agg(e.status
               order by e.position desc))[1] = o.status
        from orders o left join events e on e.order_id = o.id and e.n is not null
        group by o.id";
    for row in client.query(orders, &[]).await.unwrap() {
        let version: i64 = row.try_get(0).unwrap();
        let steps: Vec<i64> = row.try_get(1).unwrap();
        assert_eq!(steps, (1..=version).collect::<Vec<_>>());
        assert!(row.try_get::<_, bool>(2).unwrap(), "the row stands where its last event says");
    }
}

/// Has the log begin after this position, as if what was before had been dropped for its age.
pub async fn forget(client: &Client, upto: i64) {
    client.execute("delete from events where position <= $1", &[&upto]).await.unwrap();
    client.execute("update log_head set oldest = $1::int8 + 1", &[&upto]).await.unwrap();
}

/// How often each order's meta was set to each number, by the log.
pub async fn noted(database: &Scratch) -> BTreeMap<String, usize> {
    let client = database.connect().await;
    let query = "select data->'order'->>'note' from events where type = 'order.updated'";
    let mut noted = BTreeMap::new();
    for row in client.query(query, &[]).await.unwrap() {
        *noted.entry(row.try_get(0).unwrap()).or_insert(0) += 1;
    }
    noted
}

/// How many backends of this database wait for a lock.
pub async fn waiting(client: &Client) -> i64 {
    let query = "select count(*) from pg_stat_activity
                 where datname = current_database() and wait_event_type = 'Lock'";
    client.query_one(query, &[]).await.unwrap().try_get(0).unwrap()
}

/// A change of details, which names itself in the log.
pub async fn note(who: &Rest, order: &str, note: &str) -> Answer {
    who.patch(&format!("/v1/orders/{order}"), json!({"note": note})).await
}
