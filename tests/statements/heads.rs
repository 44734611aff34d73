//! Each file of `sql/statements` against the list in `store::statement`, against the server, and
//! against the code that runs it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use ordercast::store::statement::ALL;
use tokio_postgres::types::{Kind, Type};

use crate::header::{Field, Header};
use crate::server;

/// A statement, its computed columns with whether they may be null, and why.
type Computed = (&'static str, &'static [(&'static str, bool)], &'static str);

/// Columns that are no plain column of a table: what the server cannot say of them.
const COMPUTED: &[Computed] = &[
    ("advance_webhook", &[("webhook", false)], "a record of a row that is there"),
    (
        "append_events",
        &[("first", false), ("notified", false)],
        "log_head has one row, whose last is not null; pg_notify gives a void, which is not null",
    ),
    ("begin_cut", &[("begun", false)], "whether"),
    ("check_cut", &[("checked", false)], "whether"),
    ("claim_webhooks", &[("webhook", false)], "a record of a row that is there"),
    ("drop_old_events", &[("oldest", true)], "null when nothing is old"),
    ("fail_webhook", &[("webhook", false)], "a record of a row that is there"),
    (
        "find_candidates",
        &[("driver_id", true), ("distance_m", true), ("room", true)],
        "one row without a courier when there is none; nobody may know where a courier is",
    ),
    ("find_driver", &[("driver", false)], "a record of a row that is there"),
    ("find_idempotency_key", &[("claimed_s", true)], "null once there is an answer"),
    ("find_idempotency_keys", &[("record", true)], "null without an outcome"),
    (
        "find_order",
        &[("record", false), ("store", false), ("driver", true)],
        "the store is a foreign key that is not null; an order need not have a courier",
    ),
    (
        "find_link",
        &[("at", false), ("record", false), ("store", false), ("driver", true)],
        "the time is always known; the others as in find_order",
    ),
    ("find_next_timer", &[("wait_s", false)], "made of a column that is not null, and of now"),
    ("find_placed_orders", &[("record", false)], "a record of a row that is there"),
    ("find_robo_orders", &[("at", false)], "the time is always known"),
    ("find_store", &[("store", false)], "a record of a row that is there"),
    ("find_tenant", &[("location_retention_h", false)], "0 for null"),
    ("find_transaction_status", &[("status", true)], "null for one too old to be known"),
    ("find_offer", &[("offer", false)], "a record of a row that is there"),
    ("find_unlocated", &[("room", false)], "made of counts and of a column that is not null"),
    ("find_enabled_webhook", &[("found", false)], "whether"),
    ("find_webhook", &[("webhook", false)], "a record of a row that is there"),
    ("finish_cut", &[("border", true)], "null without a border"),
    ("insert_webhook", &[("webhook", false)], "a record of a row that is there"),
    (
        "list_driver_offers",
        &[("offer", false), ("record", false), ("store", false)],
        "foreign keys that are not null",
    ),
    (
        "list_driver_orders",
        &[("record", false), ("store", false), ("driver", true)],
        "as in find_order",
    ),
    ("list_drivers", &[("driver", false)], "a record of a row that is there"),
    (
        "list_open_driver_orders",
        &[("record", true), ("store", true), ("driver", true)],
        "one row with the position alone when there is no order",
    ),
    (
        "list_open_orders",
        &[("record", true), ("store", true), ("driver", true)],
        "one row with the position alone when there is no order",
    ),
    (
        "list_open_store_orders",
        &[("record", true), ("store", true), ("driver", true)],
        "one row with the position alone when there is no order",
    ),
    (
        "list_errands",
        &[
            ("driver_id", true),
            ("vehicle", true),
            ("order_id", true),
            ("store_id", true),
            ("status", true),
            ("leg", true),
            ("toured", true),
            ("stops_before", true),
            ("near_lat", true),
            ("near_lng", true),
        ],
        "one row with the position alone when there is no courier, one without an order for each",
    ),
    (
        "list_near_drivers",
        &[("driver", false), ("distance_m", false), ("age_s", false)],
        "a record of a row that is there; made of columns that are not null, and of now",
    ),
    ("list_order_offers", &[("offer", false)], "a record of a row that is there"),
    ("list_orders", &[("record", false), ("store", false), ("driver", true)], "as in find_order"),
    (
        "list_store_orders",
        &[("record", false), ("store", false), ("driver", true)],
        "as in find_order",
    ),
    ("list_proofs", &[("bytes", true)], "null without a picture"),
    ("list_stores", &[("store", false)], "a record of a row that is there"),
    ("list_webhooks", &[("webhook", false)], "a record of a row that is there"),
    ("lock_orders", &[("record", false)], "a record of a row that is there"),
    ("keep_trails", &[("dropped", false)], "a count"),
    ("notify_locations", &[("notified", false)], "pg_notify gives a void, which is not null"),
    ("notify_processes", &[("notified", false)], "pg_notify gives a void, which is not null"),
    (
        "read_batch_drivers",
        &[
            ("driver", false),
            ("deleted", false),
            ("active", false),
            ("lat", true),
            ("lng", true),
            ("seen_at", true),
        ],
        "a record of a row that is there; whether; a count or 0; null for one not heard of",
    ),
    ("read_batch_offers", &[("offer", false)], "a record of a row that is there"),
    ("read_batch_stops", &[("stops", false)], "a count"),
    (
        "read_batch_stores",
        &[("store", false), ("deleted", false)],
        "a record of a row that is there; whether",
    ),
    (
        "read_epoch",
        &[("epoch", false)],
        "made of the seed, which is not null, and system functions",
    ),
    ("read_oldest_position", &[("oldest", false)], "made of columns that are not null"),
    ("read_transaction", &[("at", false), ("xid", false)], "system functions"),
    ("release_webhook", &[("more", false)], "whether"),
    ("replay_webhook", &[("webhook", false)], "a record of a row that is there"),
    ("rotate_webhook", &[("webhook", false)], "a record of a row that is there"),
    ("update_driver", &[("driver", false)], "a record of a row that is there"),
    ("update_store", &[("store", false)], "a record of a row that is there"),
    ("update_tenant", &[("location_retention_h", false)], "0 for null"),
    ("update_webhook", &[("webhook", false)], "a record of a row that is there"),
    (
        "upsert_driver",
        &[("driver", false), ("created", false)],
        "a record of a row that is there; id and $1 are not null",
    ),
    (
        "upsert_process",
        &[("is_new", false), ("others", false)],
        "a system column compared with a number; a count",
    ),
    (
        "upsert_store",
        &[("store", false), ("created", false)],
        "a record of a row that is there; id and $1 are not null",
    ),
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn heads() -> Vec<(&'static str, Header)> {
    let read = |sql| Header::parse(sql).unwrap_or_else(|slip| panic!("{sql}\n{slip}"));
    ALL.iter().map(|statement| (statement.name, read(statement.sql))).collect()
}

fn name_of(kind: &Type) -> String {
    match kind.kind() {
        Kind::Array(member) => format!("{}[]", member.name()),
        _ => kind.name().to_owned(),
    }
}

#[test]
fn the_folder_is_the_list() {
    let folder: BTreeMap<String, String> = fs::read_dir(root().join("sql/statements"))
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            let name = name.strip_suffix(".sql").expect("nothing but statements").to_owned();
            (name, fs::read_to_string(&path).unwrap())
        })
        .collect();
    let list: BTreeMap<String, String> =
        ALL.iter().map(|statement| (statement.name.to_owned(), statement.sql.to_owned())).collect();
    assert_eq!(list.len(), ALL.len(), "a name stands twice in the list");
    assert_eq!(folder, list);
    assert!(ALL.is_sorted_by_key(|statement| statement.name), "the list is sorted");
}

#[test]
fn each_head_names_its_file() {
    for (file, header) in heads() {
        assert_eq!(file, header.name);
    }
}

/// The text without what stands between quotes.
fn without_literals(body: &str) -> String {
    body.split('\'').step_by(2).collect()
}

#[test]
fn each_statement_is_lower_case_and_one_statement() {
    for (name, header) in heads() {
        let code = without_literals(&header.body);
        assert!(!code.contains(|letter: char| letter.is_uppercase()), "{name} is not lower case");
        assert!(!code.contains(';'), "{name} has a semicolon");
        assert!(!code.contains("--") && !code.contains("/*"), "{name} has a comment in its body");
        assert!(!code.contains("execute") && !code.contains("format("), "{name} builds SQL");
    }
}

/// The files of a folder of `src`, with those below, and their text.
fn sources(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let code = text.split("\n#[cfg(test)]\nmod tests").next().unwrap().to_owned();
            found.push((path, code));
        }
    }
    found
}

/// Whether `constant` stands in `code` as a word of its own.
fn mentions(code: &str, constant: &str) -> bool {
    let edge = |letter: Option<char>| letter.is_none_or(|l| !l.is_alphanumeric() && l != '_');
    code.match_indices(constant).any(|(at, _)| {
        edge(code[..at].chars().next_back()) && edge(code[at + constant.len()..].chars().next())
    })
}

#[test]
fn used_by_names_exactly_the_modules_that_run_it() {
    let modules: Vec<(String, String)> = sources(&root().join("src"))
        .into_iter()
        .filter(|(path, _)| !path.ends_with("store/statement.rs"))
        .map(|(path, code)| {
            let path = path.strip_prefix(root().join("src")).unwrap().with_extension("");
            let module = path.to_str().unwrap().replace('/', "::");
            (module.strip_suffix("::mod").unwrap_or(&module).to_owned(), code)
        })
        .collect();
    for (name, header) in heads() {
        let constant = name.to_uppercase();
        let users: BTreeSet<&str> = modules
            .iter()
            .filter(|(_, code)| mentions(code, &constant))
            .map(|(module, _)| module.as_str())
            .collect();
        let said: BTreeSet<&str> = header.used_by.iter().map(String::as_str).collect();
        assert_eq!(said, users, "used by of {name}, left, and the modules with {constant}");
    }
}

/// The only SQL outside `sql/`: nothing of it is about our data.
const LITERALS: &[(&str, &[&str])] = &[
    ("store/batch.rs", &["begin", "rollback"]),
    (
        "store/listen.rs",
        &["listen ordercast; listen ordercast_processes; listen ordercast_locations", ""],
    ),
    ("store/mod.rs", &["begin read only; set local plan_cache_mode = force_custom_plan", "commit"]),
    ("store/once.rs", &["begin", "rollback"]),
    (
        "store/migrate.rs",
        &[
            "select pg_advisory_lock($1)",
            "select to_regclass('schema_migrations')::text",
            "select version::int8, checksum from schema_migrations order by version",
        ],
    ),
];

#[test]
fn no_sql_is_written_or_built_in_the_code() {
    let calls = [
        "query",
        "query_one",
        "query_opt",
        "query_raw",
        "execute",
        "batch_execute",
        "simple_query",
        "prepare",
        "prepare_cached",
        "prepare_typed",
        "prepare_typed_cached",
    ];
    for (path, code) in sources(&root().join("src/store")) {
        let file = path.strip_prefix(root().join("src")).unwrap().to_str().unwrap();
        let allowed: BTreeSet<&str> = LITERALS
            .iter()
            .filter(|(allowed, _)| *allowed == file)
            .flat_map(|(_, texts)| texts.iter().copied())
            .collect();
        let mut found = BTreeSet::new();
        for call in calls {
            let opening = format!(".{call}(");
            for (at, _) in code.match_indices(&opening) {
                let argument = code[at + opening.len()..].trim_start().trim_start_matches('&');
                assert!(!argument.starts_with("format!"), "{file} builds SQL");
                if let Some(literal) = argument.strip_prefix('"') {
                    found.insert(literal.split('"').next().unwrap());
                }
            }
        }
        assert_eq!(found, allowed, "SQL in {file}, left, and what it may have");
    }
}

#[tokio::test]
async fn each_statement_takes_and_gives_what_its_head_says() {
    let (client, _) = server::migrated("heads").await;
    let rows = client
        .query("select attrelid, attnum, attnotnull from pg_attribute where attnum > 0", &[])
        .await
        .unwrap();
    let not_null: BTreeMap<(u32, i16), bool> = rows
        .iter()
        .map(|row| {
            let column = (row.try_get("attrelid").unwrap(), row.try_get("attnum").unwrap());
            (column, row.try_get("attnotnull").unwrap())
        })
        .collect();

    let mut wrong = Vec::new();
    let mut computed_seen = BTreeSet::new();
    let heads: BTreeMap<&str, Header> = heads().into_iter().collect();
    for statement in ALL {
        let (name, header) = (statement.name, &heads[statement.name]);
        let prepared = match client.prepare(statement.sql).await {
            Ok(prepared) => prepared,
            Err(error) => {
                wrong.push(format!("{name} cannot be prepared: {:?}", error.as_db_error()));
                continue;
            }
        };
        let said: Vec<&str> = header.parameters.iter().map(|field| field.kind.as_str()).collect();
        let true_kinds: Vec<String> = prepared.params().iter().map(name_of).collect();
        if said != true_kinds {
            wrong.push(format!("{name}: parameters are {true_kinds:?}, its head says {said:?}"));
        }
        let columns: Vec<Field> = prepared
            .columns()
            .iter()
            .map(|column| {
                let place = column.table_oid().zip(column.column_id());
                // A null is told by the catalogue for a plain column, by the list for others.
                let nullable = place.map(|place| !not_null[&place]).or_else(|| {
                    let (_, columns, _) = COMPUTED.iter().find(|(listed, ..)| *listed == name)?;
                    let (_, nullable) = columns.iter().find(|(n, _)| *n == column.name())?;
                    computed_seen.insert((name, column.name().to_owned()));
                    Some(*nullable)
                });
                // The parts of a union have lost their origin: the columns of the log itself.
                let nullable = nullable.or_else(|| {
                    let log = heads["read_events"].columns.iter();
                    let same = log.clone().find(|field| field.name == column.name())?;
                    name.ends_with("_driver_events").then_some(same.nullable)
                });
                let nullable = nullable.unwrap_or_else(|| {
                    wrong
                        .push(format!("{name}: {} is computed and not in COMPUTED", column.name()));
                    false
                });
                Field { name: column.name().to_owned(), kind: name_of(column.type_()), nullable }
            })
            .collect();
        if columns != header.columns {
            let shown = |fields: &[Field]| -> String {
                fields.iter().map(|field| format!("   {field}")).collect()
            };
            let (columns, said) = (shown(&columns), shown(&header.columns));
            wrong.push(format!("{name}: columns are\n  {columns}\nits head says\n  {said}"));
        }
    }
    for (name, columns, _) in COMPUTED {
        for (column, _) in *columns {
            if !computed_seen.contains(&(*name, (*column).to_owned())) {
                wrong.push(format!("COMPUTED lists {name}.{column}, which is not computed"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
