//! Migrating: once, by whoever comes first; and what a release says of a schema it does not know.

use ordercast::store::{SchemaState, migrate, schema_state};

use crate::server;

#[tokio::test]
async fn migrating_again_changes_nothing() {
    let url = server::empty("migrating_again").await;
    let files = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/sql/migrations")).unwrap();
    assert_eq!(migrate(&url).await.unwrap(), files.count());
    assert_eq!(migrate(&url).await.unwrap(), 0);
}

#[tokio::test]
async fn those_who_migrate_at_once_take_turns() {
    let url = server::empty("migrating_at_once").await;
    let all = futures::future::join_all((0..8).map(|_| migrate(&url))).await;
    let applied: Vec<usize> = all.into_iter().map(Result::unwrap).collect();
    assert_eq!(applied.iter().filter(|applied| **applied > 0).count(), 1, "{applied:?}");
    assert_eq!(schema_state(&url).await.unwrap(), SchemaState::Current);
}

#[tokio::test]
async fn an_empty_database_is_older() {
    let url = server::empty("schema_older").await;
    let missing = match schema_state(&url).await.unwrap() {
        SchemaState::Older { missing } => missing,
        other => panic!("{other:?}"),
    };
    assert_eq!(migrate(&url).await.unwrap(), missing);
    assert_eq!(schema_state(&url).await.unwrap(), SchemaState::Current);

    let client = server::connect(&url).await;
    client.execute("delete from schema_migrations where version = 1", &[]).await.unwrap();
    assert_eq!(schema_state(&url).await.unwrap(), SchemaState::Older { missing: 1 });
}

#[tokio::test]
async fn a_migration_that_we_do_not_know_is_newer_and_stops_us() {
    let (client, url) = server::migrated("schema_newer").await;
    client
        .batch_execute(
            "insert into schema_migrations (version, name, applied_on, checksum) \
             values (9999, 'from_the_future', '2099-01-01T00:00:00Z', '1')",
        )
        .await
        .unwrap();
    assert_eq!(schema_state(&url).await.unwrap(), SchemaState::Newer { version: 9999 });
    assert!(migrate(&url).await.is_err());
}

#[tokio::test]
async fn a_migration_with_another_text_is_different_and_stops_us() {
    let (client, url) = server::migrated("schema_different").await;
    client
        .batch_execute("update schema_migrations set checksum = '1' where version = 1")
        .await
        .unwrap();
    assert_eq!(schema_state(&url).await.unwrap(), SchemaState::Different { version: 1 });
    assert!(migrate(&url).await.is_err());
}
