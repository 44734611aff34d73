//! The log in many partitions: what reads of it open, and how it is cut.

use ordercast::config::{Config, Overrides};
use ordercast::store::Database;
use ordercast::store::statement::{self, Statement};
use serde_json::Value;
use tokio_postgres::Client;

use crate::load::{self, EVENTS_EACH, TENANTS};
use crate::plans::explain;
use crate::server;

/// Orders that are loaded, and events of a partition: over a hundred of these.
const ORDERS: u32 = 20_000;
pub(crate) const PART: u32 = 900;

/// Cuts a log that is still empty into partitions of so many events, up to what will be loaded.
pub(crate) async fn cut(client: &Client) {
    let sql = "
do $$ begin
    alter table events detach partition events_from_1;
    alter table events attach partition events_from_1 for values from (minvalue) to ($part);
    for n in 1 .. $last loop
        execute format('create table events_from_%s partition of events for values from (%1$s) to (%s)',
                       n * $part,
                       case when n = $last then 'maxvalue' else ((n + 1) * $part)::text end);
    end loop;
end $$";
    let last = ORDERS * EVENTS_EACH / PART;
    let sql = sql.replace("$part", &PART.to_string()).replace("$last", &last.to_string());
    client.batch_execute(&sql).await.unwrap();
}

/// How many partitions of the log a plan, as it was run, has opened.
fn opened(plan: &Value) -> usize {
    match plan {
        Value::Array(parts) => parts.iter().map(opened).sum(),
        Value::Object(node) => {
            let name = node.get("Relation Name").and_then(Value::as_str).unwrap_or_default();
            usize::from(name.starts_with("events_from_")) + node.values().map(opened).sum::<usize>()
        }
        _ => 0,
    }
}

/// Reads of what came lately, and how many scans of the log each has.
const NEAR: &[(Statement, &str, usize)] = &[
    (statement::READ_EVENTS, "($head - 100, 100)", 1),
    (statement::FIND_EVENT, "($head - 100, id('event', $head - 3))", 1),
    (statement::READ_TENANT_EVENTS, "($tenant, $head - 100, 300)", 1),
    (statement::READ_ORDER_EVENTS, "($tenant, id('order', $last), $head - 100, 300)", 1),
    (statement::READ_STORE_EVENTS, "($tenant, id('store', $last), $head - 100, 300)", 1),
    (statement::READ_DRIVER_EVENTS, "($tenant, id('driver', $last), $head - 100, 300)", 2),
];

/// What is planned once for any values leaves out, as it starts, all partitions that it has no
/// need of.
#[tokio::test]
async fn a_read_of_what_came_lately_opens_the_newest_partitions_alone() {
    let (client, _) = server::migrated("partitions").await;
    load::parties(&client).await;
    cut(&client).await;
    load::orders(&client, 0, ORDERS, "n % 19 = 0").await;
    client
        .batch_execute("set enable_seqscan = off; set plan_cache_mode = force_generic_plan")
        .await
        .unwrap();
    for (statement, values, scans) in NEAR {
        let last = ORDERS - 1;
        let values = load::fill(values)
            .replace("$tenant", &format!("id('tenant', {})", last % TENANTS))
            .replace("$head", &(ORDERS * EVENTS_EACH).to_string())
            .replace("$last", &last.to_string());
        let name = statement.name;
        client.batch_execute(&format!("prepare {name} as {}", statement.sql)).await.unwrap();
        let plan = explain(&client, "analyze, timing off", &format!("{name}{values}")).await;
        // A hundred events lie in two partitions, where they are cut in between.
        let opened = opened(&plan);
        assert!((*scans..=2 * scans).contains(&opened), "{name} opens {opened}: {plan:#}");
    }
}

/// The first day of the log ends, and then is old.
pub(crate) async fn walk(client: &Client, database: &Database) {
    let retention = Config::load(None, &Overrides::default()).unwrap().retention;
    for days in [1, 100] {
        let age = format!("update events set recorded_at = recorded_at - interval '{days} days'");
        client.batch_execute(&age).await.unwrap();
        database.keep_log(&retention).await.unwrap();
    }
    let parts = "select count(*), (select oldest > last from log_head) from pg_inherits \
                 where inhparent = 'events'::regclass";
    let parts = client.query_one(parts, &[]).await.unwrap();
    assert_eq!((parts.try_get(0).unwrap(), parts.try_get(1).unwrap()), (1_i64, true));
}
