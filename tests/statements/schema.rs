//! `sql/schema.sql`, the page of the data model: made from the catalogue of a migrated server, by
//! queries that answer the same in every supported version, so that no `pg_dump` is needed.

use std::fmt::Write as _;

use tokio_postgres::{Client, Row};

use crate::server;

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/sql/schema.sql");
const HEAD: &str = "\
-- The data model: what the database holds after all of sql/migrations.
--
-- Made from the server's catalogue and compared with it by tests/statements.rs. Do not edit: write
-- a migration, then run
--     ORDERCAST_BLESS=1 cargo test --test statements schema
-- Left out is schema_migrations, which belongs to the library that runs the migrations.
";

const TABLES: &str = "
select c.oid, c.relname::text as name, c.relkind::text as kind,
       c.relpersistence::text as persistence, array_to_string(c.reloptions, ', ') as options,
       coalesce(obj_description(c.oid, 'pg_class'), obj_description(c.reltype, 'pg_type')) as about,
       case when c.relkind = 'p' then pg_get_partkeydef(c.oid) end as parted
from pg_class c
where c.relnamespace = 'public'::regnamespace and c.relkind::text = any ($1)
  and c.relname <> 'schema_migrations' and not c.relispartition
order by c.oid";

const PARTS: &str = "
select c.relname::text as name, pg_get_expr(c.relpartbound, c.oid) as bound
from pg_inherits i
join pg_class c on c.oid = i.inhrelid
where i.inhparent = $1
order by c.oid";

const COLUMNS: &str = "
select a.attname::text as name, format_type(a.atttypid, a.atttypmod) as kind,
       a.attnotnull as not_null, pg_get_expr(d.adbin, d.adrelid) as default,
       col_description(a.attrelid, a.attnum) as about
from pg_attribute a
left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
where a.attrelid = $1 and a.attnum > 0 and not a.attisdropped
order by a.attnum";

// Since 18 a column that is not null has a constraint as well.
const CONSTRAINTS: &str = "
select conname::text as name, pg_get_constraintdef(oid) as definition
from pg_constraint
where conrelid = $1 and contype in ('p', 'u', 'c', 'f', 'x')
order by array_position(array['p', 'u', 'c', 'f', 'x'], contype::text), conname collate \"C\"";

const INDEXES: &str = "
select pg_get_indexdef(i.indexrelid) as definition
from pg_index i
join pg_class c on c.oid = i.indexrelid
where i.indrelid = $1 and not exists (select from pg_constraint k where k.conindid = i.indexrelid)
order by c.relname collate \"C\"";

const FUNCTIONS: &str = "
select pg_get_functiondef(oid) as definition, obj_description(oid, 'pg_proc') as about
from pg_proc
where pronamespace = 'public'::regnamespace
order by oid";

/// What the page has no words for; whoever brings it in adds them.
const UNKNOWN: &str = "
select 'relation ' || relname from pg_class
where relnamespace = 'public'::regnamespace and relkind not in ('r', 'p', 'c', 'i', 'I')
union all
select 'trigger ' || tgname from pg_trigger where not tgisinternal
union all
select 'column ' || attname from pg_attribute
where attrelid::regclass::text in (select relname from pg_class
                                   where relnamespace = 'public'::regnamespace)
  and (attidentity <> '' or attgenerated <> '')
union all
select 'type ' || typname from pg_type
where typnamespace = 'public'::regnamespace and typtype not in ('c', 'b')
union all
select 'extension ' || extname from pg_extension where extname <> 'plpgsql'
union all
select 'policy ' || polname from pg_policy
union all
select 'schema ' || nspname from pg_namespace
where nspname not like 'pg\\_%' and nspname not in ('public', 'information_schema')";

fn text(row: &Row, column: &str) -> String {
    row.try_get::<_, Option<String>>(column).unwrap().unwrap_or_default()
}

/// A comment, broken into lines of at most 100 characters.
fn remark(about: &str, indent: &str) -> String {
    let mut lines = String::new();
    let mut line = String::new();
    for word in about.split_whitespace() {
        if !line.is_empty() && indent.len() + 4 + line.chars().count() + word.chars().count() > 100
        {
            writeln!(lines, "{indent}-- {line}").unwrap();
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    if !line.is_empty() {
        writeln!(lines, "{indent}-- {line}").unwrap();
    }
    lines
}

async fn table(client: &Client, row: &Row) -> String {
    let oid: u32 = row.try_get("oid").unwrap();
    let mut parts = Vec::new();
    for column in client.query(COLUMNS, &[&oid]).await.unwrap() {
        let mut part = remark(&text(&column, "about"), "    ");
        write!(part, "    {} {}", text(&column, "name"), text(&column, "kind")).unwrap();
        if column.try_get("not_null").unwrap() {
            part.push_str(" not null");
        }
        let default = text(&column, "default");
        if !default.is_empty() {
            write!(part, " default {default}").unwrap();
        }
        parts.push(part);
    }
    for constraint in client.query(CONSTRAINTS, &[&oid]).await.unwrap() {
        let (name, definition) = (text(&constraint, "name"), text(&constraint, "definition"));
        parts.push(format!("    constraint {name} {definition}"));
    }
    let unlogged = if text(row, "persistence") == "u" { "unlogged " } else { "" };
    let options = text(row, "options");
    let options = if options.is_empty() { options } else { format!(" with ({options})") };
    let mut page = remark(&text(row, "about"), "");
    let name = text(row, "name");
    let parted = text(row, "parted");
    let parted =
        if parted.is_empty() { parted } else { format!(" partition by {}", parted.to_lowercase()) };
    writeln!(page, "create {unlogged}table {name} (\n{}\n){parted}{options};", parts.join(",\n"))
        .unwrap();
    for index in client.query(INDEXES, &[&oid]).await.unwrap() {
        let definition = text(&index, "definition").replace("public.", "");
        // Those of the partitions, which follow, are made with them.
        writeln!(page, "{};", definition.replace(" ON ONLY ", " ON ")).unwrap();
    }
    for part in client.query(PARTS, &[&oid]).await.unwrap() {
        let (part, bound) = (text(&part, "name"), text(&part, "bound").to_lowercase());
        writeln!(page, "create table {part} partition of {name} {bound};").unwrap();
    }
    page
}

async fn composite(client: &Client, row: &Row) -> String {
    let oid: u32 = row.try_get("oid").unwrap();
    let fields = client.query(COLUMNS, &[&oid]).await.unwrap();
    let fields: Vec<String> = fields
        .iter()
        .map(|field| {
            let about = remark(&text(field, "about"), "    ");
            format!("{about}    {} {}", text(field, "name"), text(field, "kind"))
        })
        .collect();
    let about = remark(&text(row, "about"), "");
    format!("{about}create type {} as (\n{}\n);\n", text(row, "name"), fields.join(",\n"))
}

/// The page for a database. Ordered as things were made, so that it could be run from the top.
async fn page(client: &Client) -> String {
    client.batch_execute("set search_path = public").await.unwrap();
    let unknown = client.query(UNKNOWN, &[]).await.unwrap();
    let unknown: Vec<String> = unknown.iter().map(|row| row.try_get(0).unwrap()).collect();
    assert!(unknown.is_empty(), "tests/statements/schema.rs cannot describe: {unknown:?}");

    let mut parts = vec![HEAD.to_owned()];
    for row in client.query(TABLES, &[&vec!["r", "p"]]).await.unwrap() {
        parts.push(table(client, &row).await);
    }
    for row in client.query(TABLES, &[&vec!["c"]]).await.unwrap() {
        parts.push(composite(client, &row).await);
    }
    for row in client.query(FUNCTIONS, &[]).await.unwrap() {
        let definition = text(&row, "definition").replace("public.", "");
        parts.push(format!("{}{};\n", remark(&text(&row, "about"), ""), definition.trim_end()));
    }
    parts.join("\n")
}

/// The lines that only one of two texts has, from the first that differs to the last.
fn difference(file: &str, server: &str) -> String {
    let (file, server): (Vec<_>, Vec<_>) = (file.lines().collect(), server.lines().collect());
    let same = file.iter().zip(&server).take_while(|(a, b)| a == b).count();
    let (file, server) = (&file[same..], &server[same..]);
    let same_end = file.iter().rev().zip(server.iter().rev()).take_while(|(a, b)| a == b).count();
    let mut shown = format!("from line {}:\n", same + 1);
    for (sign, lines) in [('-', file), ('+', server)] {
        for line in &lines[..lines.len() - same_end] {
            writeln!(shown, "{sign}{line}").unwrap();
        }
    }
    shown
}

#[tokio::test]
async fn the_schemas_page_is_what_the_migrations_make() {
    let (client, _) = server::migrated("schema_page").await;
    let made = page(&client).await;
    let file = std::fs::read_to_string(PATH).unwrap_or_default();
    if std::env::var_os("ORDERCAST_BLESS").is_some_and(|bless| bless == "1") {
        if file != made {
            std::fs::write(PATH, made).unwrap();
        }
        return;
    }
    assert!(
        file == made,
        "sql/schema.sql (-) is not what the migrations make (+); to rewrite it, run\n    \
         ORDERCAST_BLESS=1 cargo test --test statements schema\n{}",
        difference(&file, &made)
    );
}

/// Nothing that it shows is shown wrongly: run from the top, it makes the same schema, but for
/// the comments.
#[tokio::test]
async fn the_schemas_page_makes_the_same_schema() {
    let (migrated, _) = server::migrated("schema_of_migrations").await;
    let page_of_migrations = page(&migrated).await;
    let client = server::connect(&server::empty("schema_of_page").await).await;
    client.batch_execute(&page_of_migrations).await.unwrap();
    let bare = |page: &str| -> String {
        let code = page.lines().filter(|line| !line.trim_start().starts_with("--"));
        code.map(|line| format!("{line}\n")).collect()
    };
    let (made, remade) = (bare(&page_of_migrations), bare(&page(&client).await));
    assert!(made == remade, "{}", difference(&made, &remade));
}
