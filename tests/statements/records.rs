//! The composite types that travel, against the tables behind them. That the Rust structs are
//! the same is checked at the foot of `src/store/record.rs`, where they are.

use ordercast::store::statement;
use tokio_postgres::Client;

use crate::server;

/// Name and type of each attribute of a relation or composite type, in order.
async fn attributes(client: &Client, relation: &str) -> Vec<(String, String)> {
    let rows = client
        .query(
            "select attname::text, format_type(atttypid, atttypmod) from pg_attribute \
             where attrelid = $1::text::regclass and attnum > 0 and not attisdropped \
             order by attnum",
            &[&relation],
        )
        .await
        .unwrap();
    rows.iter().map(|row| (row.try_get(0).unwrap(), row.try_get(1).unwrap())).collect()
}

/// The items of the list between `from` and `to`, of any line breaks.
fn list_between<'a>(text: &'a str, from: &str, to: &str) -> Vec<&'a str> {
    let list = text.split_once(from).unwrap().1.split_once(to).unwrap().0;
    list.split(',').map(str::trim).collect()
}

#[tokio::test]
async fn each_record_is_made_of_its_tables_columns() {
    let (client, _) = server::migrated("records").await;
    for (record, table) in [
        ("store_record", "stores"),
        ("driver_record", "drivers"),
        ("order_record", "orders"),
        ("event_record", "events"),
        ("webhook_record", "webhooks"),
    ] {
        let columns = attributes(&client, table).await;
        let fields = attributes(&client, record).await;
        for field in &fields {
            assert!(columns.contains(field), "{record}.{field:?} is no column of {table}");
        }
        if record == "event_record" {
            // Written only, by append_events below, and whole but for what the log draws.
            assert_eq!(fields, columns[1..], "{table}");
            continue;
        }
        let source: String = client
            .query_one("select prosrc from pg_proc where proname = $1", &[&record])
            .await
            .unwrap()
            .try_get(0)
            .unwrap();
        let alias = &table[..1];
        let wanted: Vec<String> =
            fields.iter().map(|(name, _)| format!("{alias}.{name}")).collect();
        let closing = format!(")::{record}");
        assert_eq!(list_between(&source, "select row(", &closing), wanted, "{record}()");
    }
}

/// The names under which a statement unpacks its records must be theirs, in their order: they
/// are given by position, so two that are swapped would swap the values.
#[tokio::test]
async fn records_are_unpacked_in_their_order() {
    let (client, _) = server::migrated("unpacking").await;
    let names = async |record| -> Vec<String> {
        attributes(&client, record).await.into_iter().map(|(name, _)| name).collect()
    };
    let (orders, events) = (names("order_record").await, names("event_record").await);
    for (statement, alias, fields) in [
        (statement::INSERT_ORDERS, "r", &orders),
        (statement::UPDATE_ORDERS, "r", &orders),
        (statement::APPEND_EVENTS, "e", &events),
    ] {
        let mut unpacked = list_between(statement.sql, &format!("ordinality as {alias} ("), ")");
        assert_eq!(unpacked.pop(), Some("nth"), "{}", statement.name);
        assert_eq!(&unpacked, fields, "{}", statement.name);
    }

    let sql = statement::INSERT_ORDERS.sql;
    let mut wanted = orders.clone();
    wanted.extend(["request_hash", "updated_at"].map(str::to_owned));
    assert_eq!(list_between(sql, "insert into orders (", ")"), wanted);
    let mut wanted: Vec<String> = orders.iter().map(|name| format!("r.{name}")).collect();
    wanted.extend(["($2::bytea[])[r.nth]", "$3"].map(str::to_owned));
    assert_eq!(list_between(sql, "\nselect\n", "\nfrom "), wanted);

    let sql = statement::APPEND_EVENTS.sql;
    let mut wanted = vec!["position".to_owned()];
    wanted.extend(events.iter().cloned());
    assert_eq!(list_between(sql, "insert into events (", ")"), wanted);
    let mut wanted = vec!["head.last - cardinality($1::event_record[]) + e.nth".to_owned()];
    wanted.extend(events.iter().map(|name| format!("e.{name}")));
    assert_eq!(list_between(sql, "    select ", "\n    from "), wanted);
}

/// What `update_orders` leaves alone is what never changes once an order is placed.
#[tokio::test]
async fn an_update_sets_each_column_to_the_field_of_its_name() {
    const NEVER_CHANGE: &[&str] = &[
        "id",
        "tenant_id",
        "external_id",
        "store_id",
        "short_code",
        "fulfilment",
        "items",
        "undeliverable_action",
        "proof_photo",
        "proof_signature",
        "proof_pin",
        "proof_scan",
        "proof_pickup",
        "proof_return",
        "pin",
        "created_at",
        "robo_end",
        "robo_step_s",
    ];
    let (client, _) = server::migrated("updating").await;
    let sql = statement::UPDATE_ORDERS.sql;
    let set = list_between(sql, " set\n", "\nfrom ");
    let set: Vec<String> =
        set.iter().map(|item| item.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    let mut wanted: Vec<String> = attributes(&client, "order_record")
        .await
        .into_iter()
        .filter(|(name, _)| !NEVER_CHANGE.contains(&name.as_str()))
        .map(|(name, _)| format!("{name} = r.{name}"))
        .collect();
    wanted.extend(
        [
            "request_hash = case when r.erased_at is null then o.request_hash else ''::bytea end",
            "closed_at = case when ($2::bool[])[r.nth] then case when o.closed_at is null then \
             $3::timestamptz else o.closed_at end end",
            "updated_at = $3",
        ]
        .map(str::to_owned),
    );
    assert_eq!(set, wanted);
}
