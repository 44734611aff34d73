//! No statement grows with the size of the log: with ten times the history behind it each reads
//! as many pages as before, but for the height of its indexes.

use ordercast::store::statement::{self, Statement};
use serde_json::Value;
use tokio_postgres::Client;

use crate::load::{EVENTS_EACH, TENANTS};
use crate::plans::explain;
use crate::{load, server};

/// Orders at first, and in the end; each has five events.
const FEW: u32 = 2_000;
const MANY: u32 = 22_000;
/// Orders that stay open, the oldest; all later ones are closed.
const OPEN: u32 = 400;

/// An index of a larger table may be higher by one page, and a page's rows may begin earlier.
const ONE_HIGHER: i64 = 2;

/// What `execute` cannot say: it takes no query for a value.
const RECORDS: &str = "
create function orders_before(n bigint) returns order_record[] language sql stable as $$
    select array_agg(order_record(o)) from generate_series(n - 10, n - 1) m
    join orders o on o.id = id('order', m)
$$;
create function events_after(n bigint) returns event_record[] language sql stable as $$
    select array_agg(row(id('event', m), e.tenant_id, e.store_id, e.order_id, e.driver_id,
                         e.prior_driver_id, e.n, e.type, e.actor_role, e.actor_id, e.was, e.status,
                         e.occurred_at, e.recorded_at, e.data)::event_record)
    from generate_series(n + 1, n + 10) m join events e on e.position = m - 10
$$;
create function ids_before(kind text, n bigint) returns uuid[] language sql stable as $$
    select array_agg(id(kind, m)) from generate_series(n - 10, n - 1) m
$$;
";

/// A statement, its values, and by how many index lookups (of one page more each) it may grow.
/// `$last` is the newest order, `$head` the newest position, `$tenant` the newest order's.
const CALLS: &[(Statement, &str, i64)] = &[
    (statement::READ_HEAD, "", 0),
    (statement::READ_OLDEST_POSITION, "", 1),
    (statement::READ_EVENTS, "($head - 100, 100)", 1),
    (statement::FIND_EVENT, "($head - 100, id('event', $head - 3))", 1),
    (statement::READ_TENANT_EVENTS, "($tenant, $head - 2000, 300)", 1),
    (statement::READ_ORDER_EVENTS, "($tenant, id('order', $last), 0, 300)", 1),
    (statement::READ_STORE_EVENTS, "($tenant, id('store', $last % $stores), $head - 5000, 300)", 1),
    (
        statement::READ_DRIVER_EVENTS,
        "($tenant, id('driver', $last % $drivers), $head - 5000, 300)",
        2,
    ),
    // Ten events, each into six indexes.
    (statement::APPEND_EVENTS, "(events_after($head))", 60),
    (statement::FIND_ORDER, "($tenant, id('order', $last))", 3),
    (statement::LOCK_ORDERS, "(ids_before('order', $last), ids_before('tenant', $tenants))", 10),
    (statement::FIND_PLACED_ORDERS, "(array[$tenant], array['order $last'])", 1),
    (
        statement::READ_BATCH_DRIVERS,
        "(ids_before('order', $last), ids_before('driver', 20), ids_before('tenant', $tenants))",
        30,
    ),
    (
        statement::READ_BATCH_STORES,
        "(ids_before('order', $last), ids_before('store', 20), ids_before('tenant', $tenants))",
        30,
    ),
    // As many timers wait as there are orders, and none is due.
    (statement::CLAIM_TIMERS, "(array['order'], 128, 15)", 1),
    (statement::FIND_NEXT_TIMER, "(array['order'])", 1),
    (
        statement::UPSERT_TIMERS,
        "(array_fill('order'::text, array[10]), ids_before('order', $last), \
       array_fill($tenant, array[10]), array_fill(now(), array[10]))",
        40,
    ),
    (
        statement::DELETE_TIMERS,
        "(array_fill('order'::text, array[10]), ids_before('order', $last), \
       array_fill($tenant, array[10]))",
        20,
    ),
    // Ten orders that stay in their pages, found by their key.
    (statement::UPDATE_ORDERS, "(orders_before($last), array_fill(true, array[10]), now())", 40),
    (statement::LIST_OPEN_STORE_ORDERS, "(id('tenant', 3), id('store', 3), 2001)", 1),
    (statement::LIST_OPEN_DRIVER_ORDERS, "(id('tenant', 3), id('driver', 3), 2001)", 1),
    // 20 orders, whose stores and couriers may be looked up rather than hashed.
    (statement::LIST_OPEN_ORDERS, "(id('tenant', 3), null, null, 2001)", 60),
    (
        statement::LIST_ORDERS,
        "($tenant, null, null, null, null, null, null, null, null, null, null, null, null, false, 26)",
        1,
    ),
    (
        statement::LIST_ORDERS,
        "($tenant, null, null, null, null, null, null, null, null, null, null, '2030-01-01 00:25Z', \
       id('order', 1500), false, 26)",
        1,
    ),
    (
        statement::LIST_ORDERS,
        "(id('tenant', 3), array['ready'], null, null, null, null, null, null, null, null, null, null, null, \
       true, 26)",
        1,
    ),
    (
        statement::LIST_ORDERS,
        "($tenant, array['placed'], null, null, null, null, null, null, null, null, null, null, null, true, 26)",
        1,
    ),
    (
        statement::LIST_ORDERS,
        "($tenant, null, null, null, null, null, null, null, \
       '2030-01-01 00:08Z'::timestamptz + $last * interval '1 second', null, null, null, null, false, 26)",
        2,
    ),
    (
        statement::LIST_STORE_ORDERS,
        "(id('tenant', 3), array['placed'], null, null, null, null, null, null, null, null, null, null, null, \
       id('store', 3), true, 26)",
        1,
    ),
    (
        statement::LIST_DRIVER_ORDERS,
        "(id('tenant', 3), array['placed'], null, null, null, null, null, null, null, null, null, null, null, \
       id('driver', 3), true, 26)",
        1,
    ),
    // The stops of a tour; what was placed up to a moment long ago.
    (
        statement::LIST_ORDERS,
        "($tenant, null, null, null, null, null, null, null, null, id('order', 3), null, null, null, \
       false, 26)",
        1,
    ),
    (
        statement::LIST_ORDERS,
        "($tenant, null, null, null, null, null, null, '2030-01-01 00:20Z', null, null, null, null, \
       null, false, 26)",
        1,
    ),
];

/// Shared pages of a plan. What nothing reads from, such as an insert in a `with`, is not among
/// those of the steps above it.
fn pages_of(plan: &Value) -> i64 {
    let own = |kind: &str| plan[kind].as_i64().unwrap();
    let parts = plan["Plans"].as_array().into_iter().flatten();
    let aside = |part: &&Value| {
        part["Subplan Name"].as_str().is_some_and(|name| name.starts_with("CTE"))
            && part["Node Type"] == "ModifyTable"
    };
    own("Shared Hit Blocks")
        + own("Shared Read Blocks")
        + parts.filter(aside).map(pages_of).sum::<i64>()
}

/// Shared pages that each call reads; what it writes is rolled back.
async fn pages(client: &Client, orders: u32) -> Vec<i64> {
    let mut pages = Vec::new();
    for (statement, values, _) in CALLS {
        let last = orders - 1;
        let values = load::fill(values)
            .replace("$tenants", &TENANTS.to_string())
            .replace("$tenant", &format!("id('tenant', {})", last % TENANTS))
            .replace("$head", &(orders * EVENTS_EACH).to_string())
            .replace("$last", &last.to_string());
        let planned = if values.contains("null") { "custom" } else { "generic" };
        client
            .batch_execute(&format!(
                "begin; set local plan_cache_mode = force_{planned}_plan; prepare p as {}",
                statement.sql
            ))
            .await
            .unwrap();
        let plan = explain(client, "analyze, buffers, timing off", &format!("p{values}")).await;
        client.batch_execute("rollback; deallocate p").await.unwrap();
        pages.push(pages_of(&plan[0]["Plan"]));
    }
    pages
}

#[tokio::test]
async fn no_statement_grows_with_the_log() {
    let (client, _) = server::migrated("growth").await;
    load::parties(&client).await;
    client.batch_execute(RECORDS).await.unwrap();
    load::orders(&client, 0, FEW, &format!("n < {OPEN}")).await;
    let few = pages(&client, FEW).await;
    load::orders(&client, FEW, MANY, "false").await;
    let many = pages(&client, MANY).await;

    let mut wrong = Vec::new();
    for ((statement, values, lookups), (few, many)) in CALLS.iter().zip(few.iter().zip(&many)) {
        let told = format!("{}{values}: {few} pages, then {many}", statement.name);
        if many - few > lookups * ONE_HIGHER {
            wrong.push(told);
        } else {
            println!("{told}");
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// An update that leaves an order open stays in its page: no index is touched, whatever of the
/// order changes but its courier.
#[tokio::test]
async fn an_update_of_an_open_order_touches_no_index() {
    let (client, _) = server::migrated("growth_hot").await;
    load::parties(&client).await;
    client.batch_execute(RECORDS).await.unwrap();
    load::orders(&client, 0, 1_000, "true").await;
    let update = statement::UPDATE_ORDERS.sql;
    client.batch_execute(&format!("prepare p as {update}")).await.unwrap();
    let again = "begin; execute p(orders_before(500), array_fill(false, array[10]), now())";
    client.batch_execute(again).await.unwrap();
    let hot = "select pg_stat_get_xact_tuples_hot_updated('orders'::regclass)";
    let hot: i64 = client.query_one(hot, &[]).await.unwrap().try_get(0).unwrap();
    assert_eq!(hot, 10);
}

/// The measure itself: what reads the whole log is seen.
#[tokio::test]
async fn a_statement_that_reads_the_whole_log_is_seen() {
    let (client, _) = server::migrated("growth_seen").await;
    load::parties(&client).await;
    let mut pages = Vec::new();
    for (from, to) in [(0, 200), (200, 2_000)] {
        load::orders(&client, from, to, "false").await;
        client.batch_execute("prepare p as select count(data::text) from events").await.unwrap();
        let plan: Value = explain(&client, "analyze, buffers, timing off", "p").await;
        client.batch_execute("deallocate p").await.unwrap();
        pages.push(plan[0]["Plan"]["Shared Hit Blocks"].as_i64().unwrap());
    }
    assert!(pages[1] > 5 * pages[0], "{pages:?}");
}
