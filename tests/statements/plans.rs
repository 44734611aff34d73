//! The plans: each statement finds its rows by the indexes that its head names.

use std::collections::{BTreeMap, BTreeSet};

use ordercast::store::statement::ALL;
use serde_json::Value;
use tokio_postgres::{Client, SimpleQueryMessage};

use crate::header::{Field, Header};
use crate::{load, partitions, server};

/// Tables that grow with what has happened: no statement may read them whole.
const GROWING: &[&str] = &[
    "orders",
    "events",
    "idempotency_keys",
    "credentials",
    "revoked_tokens",
    "timers",
    "webhook_attempts",
    "proofs",
    "tracking_links",
];

/// Statements that are planned for the values at hand, because what may be null filters nothing.
/// Each with the values of some requests, the tenant left out, and the index that these should use.
const SAMPLES: &[(&str, &[(&str, &str)])] = &[
    (
        "list_orders",
        &[
            // The first page, and one far from it.
            (
                "null, null, null, null, null, null, null, null, null, null, null, null, false, 26",
                "orders_tenant_created",
            ),
            (
                "null, null, null, null, null, null, null, null, null, null, '2030-01-01 02:00Z', id('order', 7203), \
          false, 26",
                "orders_tenant_created",
            ),
            // What the store has to do, what one courier did, one order by the platform's name.
            (
                "array['placed'], null, null, null, null, null, null, null, null, null, null, null, true, 26",
                "orders_tenant_open",
            ),
            (
                "null, null, null, id('driver', 3), null, null, null, null, null, null, null, null, false, 26",
                "orders_driver_created",
            ),
            (
                "null, null, null, null, 'order 403', null, null, null, null, null, null, null, false, 26",
                "orders_external_id_tenant_id_key",
            ),
            // The stops of a tour; what was placed up to a moment.
            (
                "null, null, null, null, null, null, null, null, id('order', 3), null, null, null, \
          false, 26",
                "orders_tenant_batch",
            ),
            (
                "null, null, null, null, null, null, '2030-01-01 00:01Z', null, null, null, null, \
          null, false, 26",
                "orders_tenant_created",
            ),
            // What has changed since the last look.
            (
                "null, null, null, null, null, null, null, '2030-01-01 05:40Z', null, null, null, null, false, 26",
                "orders_tenant_closed",
            ),
        ],
    ),
    (
        "list_store_orders",
        &[
            (
                "null, null, null, null, null, null, null, null, null, null, null, null, id('store', 3), false, 26",
                "orders_store_created",
            ),
            (
                "null, null, null, null, null, null, null, null, null, null, '2030-01-01 02:00Z', \
          id('order', 7003), id('store', 3), false, 26",
                "orders_store_created",
            ),
            (
                "array['placed'], null, null, null, null, null, null, null, null, null, null, null, id('store', 3), \
          true, 26",
                "orders_store_open",
            ),
        ],
    ),
    (
        "list_driver_orders",
        &[
            (
                "null, null, null, null, null, null, null, null, null, null, null, null, id('driver', 3), false, 26",
                "orders_driver_created",
            ),
            (
                "array['ready'], null, null, null, null, null, null, null, null, null, null, null, id('driver', 3), \
          true, 26",
                "orders_driver_open",
            ),
        ],
    ),
    // A page of them is read by id or sorted, whichever is less; neither grows with what happens.
    (
        "list_trail",
        &[("id('driver', 3), '2000-01-01Z', 0, '2100-01-01Z', 101", "location_trail_driver")],
    ),
    ("list_stores", &[("null, 'store 403', 26", "stores_tenant_id_external_id_key")]),
    ("list_drivers", &[("null, 'driver 403', 26", "drivers_tenant_id_external_id_key")]),
];

/// Any value of a field's type; a position is one, as none would have every partition left out.
fn null(field: &Field) -> String {
    if field.kind == "int8" { "0::int8".to_owned() } else { format!("null::{}", field.kind) }
}

/// The plan of a prepared statement for these parameters.
pub(crate) async fn explain(client: &Client, options: &str, call: &str) -> Value {
    let sql = format!("explain ({options}, format json) execute {call}");
    let messages = client.simple_query(&sql).await.unwrap_or_else(|error| {
        panic!("{sql}: {:?}", error.as_db_error());
    });
    let json: String = messages
        .iter()
        .filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0),
            _ => None,
        })
        .collect();
    serde_json::from_str(&json).unwrap()
}

/// Of each partition of a table or index, what it is a part of.
pub(crate) type Wholes = BTreeMap<String, String>;

pub(crate) async fn wholes(client: &Client) -> Wholes {
    let query = "select inhrelid::regclass::text, inhparent::regclass::text from pg_inherits";
    let rows = client.query(query, &[]).await.unwrap();
    rows.iter().map(|row| (row.try_get(0).unwrap(), row.try_get(1).unwrap())).collect()
}

/// The indexes of a plan, and the tables that it reads whole.
#[derive(Debug, Default)]
struct Reads {
    indexes: BTreeSet<String>,
    whole: BTreeSet<String>,
}

impl Reads {
    fn of(plan: &Value, wholes: &Wholes) -> Self {
        let mut reads = Self::default();
        reads.add(plan);
        let whole = |part: String| wholes.get(&part).cloned().unwrap_or(part);
        reads.indexes = reads.indexes.into_iter().map(whole).collect();
        reads.whole = reads.whole.into_iter().map(whole).collect();
        reads.whole.retain(|table| GROWING.contains(&table.as_str()));
        reads
    }

    fn add(&mut self, plan: &Value) {
        match plan {
            Value::Array(parts) => parts.iter().for_each(|part| self.add(part)),
            Value::Object(node) => {
                if let Some(index) = node.get("Index Name").and_then(Value::as_str) {
                    self.indexes.insert(index.to_owned());
                }
                if let Some(Value::Array(arbiters)) = node.get("Conflict Arbiter Indexes") {
                    self.indexes
                        .extend(arbiters.iter().filter_map(Value::as_str).map(str::to_owned));
                }
                if node.get("Node Type").and_then(Value::as_str) == Some("Seq Scan")
                    && let Some(table) = node.get("Relation Name").and_then(Value::as_str)
                {
                    self.whole.insert(table.to_owned());
                }
                node.values().for_each(|part| self.add(part));
            }
            _ => {}
        }
    }
}

/// A plan as a person reads it: its steps, one a line, the last to run at the top.
fn outline(plan: &Value, depth: usize) -> String {
    match plan {
        Value::Array(parts) => parts.iter().map(|part| outline(part, depth)).collect(),
        Value::Object(node) => {
            let mut shown = String::new();
            if node.contains_key("Node Type") {
                let about = |key: &str| node.get(key).filter(|value| !value.is_array());
                let keys = [
                    "Node Type",
                    "Index Name",
                    "Relation Name",
                    "Index Cond",
                    "Filter",
                    "Total Cost",
                    "Plan Rows",
                ];
                let parts: Vec<String> =
                    keys.iter().filter_map(|k| about(k)).map(Value::to_string).collect();
                shown = format!("{}{}\n", "  ".repeat(depth), parts.join(" "));
            }
            let parts = ["Plan", "Plans"].iter().filter_map(|key| node.get(*key));
            shown + &parts.map(|part| outline(part, depth + 1)).collect::<String>()
        }
        _ => String::new(),
    }
}

async fn loaded(name: &str, cut: bool) -> Client {
    let (client, _) = server::migrated(name).await;
    load::parties(&client).await;
    if cut {
        partitions::cut(&client).await;
        // As all connections of ours have it: the newest partition is small, as a whole log is not.
        client.batch_execute("set enable_seqscan = off").await.unwrap();
    }
    // One in 19 is open: no divisor of the counts of tenants, stores and couriers.
    load::orders(&client, 0, 20_000, "n % 19 = 0").await;
    client
}

#[tokio::test]
async fn each_statement_finds_its_rows_by_the_indexes_of_its_head() {
    assert_planned(&loaded("plans", false).await).await;
}

#[tokio::test]
async fn each_statement_does_so_also_where_the_log_lies_in_many_partitions() {
    assert_planned(&loaded("plans_of_partitions", true).await).await;
}

async fn assert_planned(client: &Client) {
    let wholes = wholes(client).await;
    let mut wrong = Vec::new();
    for statement in ALL {
        let name = statement.name;
        let header = Header::parse(statement.sql).unwrap();
        client.batch_execute(&format!("prepare {name} as {}", statement.sql)).await.unwrap();
        let samples = SAMPLES.iter().find(|(sampled, _)| *sampled == name);
        let said: BTreeSet<String> = header.indexes.iter().cloned().collect();
        let (mode, calls): (_, Vec<(String, BTreeSet<String>)>) = match samples {
            Some((_, samples)) => {
                let indexes: BTreeSet<String> =
                    samples.iter().map(|(_, index)| (*index).to_owned()).collect();
                assert_eq!(said, indexes, "{name}: the indexes of its head, and of its samples");
                let call = |(sample, index): &(&str, &str)| {
                    (format!("{name}(id('tenant', 3), {sample})"), [(*index).to_owned()].into())
                };
                ("force_custom_plan", samples.iter().map(call).collect())
            }
            None if header.parameters.is_empty() => ("auto", vec![(name.to_owned(), said)]),
            None => {
                let nulls: Vec<String> = header.parameters.iter().map(null).collect();
                ("force_generic_plan", vec![(format!("{name}({})", nulls.join(", ")), said)])
            }
        };
        client.batch_execute(&format!("set plan_cache_mode = {mode}")).await.unwrap();
        for (call, wanted) in calls {
            let plan = explain(client, "costs on", &call).await;
            let reads = Reads::of(&plan, &wholes);
            if !reads.indexes.is_superset(&wanted) || !reads.whole.is_empty() {
                let (used, whole) = (reads.indexes, reads.whole);
                let steps = outline(&plan, 2);
                wrong.push(format!(
                    "{call}\n  should use {wanted:?}, uses {used:?}, reads {whole:?} whole:\n{steps}"
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}
