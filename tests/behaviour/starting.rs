//! Starting, and being ready: on which databases, and until when.

use serde_json::json;

use crate::support::{City, Process, Rest, Scratch, Server, until};

/// A process given this database gives up, and says what to do.
async fn gives_up(url: &str, advice: &str) {
    let (code, said) = Process::give_up(url).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("the database's schema does not fit this release"), "{said}");
    assert!(said.contains(advice), "{said}");
    assert!(!said.contains("serving"), "{said}");
}

#[actix_web::test]
async fn a_process_does_not_serve_a_database_of_another_release() {
    let database = Scratch::create().await;
    let client = database.connect().await;
    let newer = "insert into schema_migrations (version, name, applied_on, checksum)
                 values (9999, 'from_the_future', now()::text, '1')";
    client.execute(newer, &[]).await.unwrap();
    let advice = "it has migration 9999, which is newer; run a newer release";
    gives_up(&database.url, advice).await;
    client.batch_execute("delete from schema_migrations where version = 9999").await.unwrap();
    client.batch_execute("update schema_migrations set checksum = '7'").await.unwrap();
    gives_up(&database.url, "was applied with another text").await;
    client.batch_execute("delete from schema_migrations").await.unwrap();
    gives_up(&database.url, "migrations are missing; run `ordercast migrate`").await;
    client.batch_execute("drop table schema_migrations").await.unwrap();
    gives_up(&database.url, "migrations are missing; run `ordercast migrate`").await;
}

#[actix_web::test]
async fn a_process_is_ready_while_it_hears_the_log() {
    let server = Server::start().await;
    let city = City::found(&server.url, &server.database).await;
    let nobody = Rest::new(&server.url, None);
    assert_eq!(nobody.get("/healthz").await.expect(200), json!({"status": "ok"}));
    city.order_id().await;
    let ready = until("the feed to have read", async || {
        let ready = nobody.get("/readyz").await.expect(200);
        (ready["lag"] == 0).then_some(ready)
    })
    .await;
    assert_eq!((&ready["status"], &ready["position"]), (&json!("ready"), &json!(2)));
    assert!(ready["epoch"].as_str().is_some_and(|epoch| !epoch.is_empty()));

    // Nobody may connect any more, and those who were connected are cut off.
    let name = &server.database.name;
    let (base, _name) = server.database.url.rsplit_once('/').unwrap();
    let elsewhere = Scratch { name: "postgres".to_owned(), url: format!("{base}/postgres") };
    let admin = elsewhere.connect().await;
    let allow = async |allow: bool| {
        let alter = format!("alter database {name} with allow_connections = {allow}");
        admin.batch_execute(&alter).await.unwrap();
    };
    allow(false).await;
    let cut_off = "
        with own as materialized (select pid from pg_stat_activity where datname = $1)
        select pg_terminate_backend(pid) from own";
    admin.query(cut_off, &[name]).await.unwrap();
    let refused = until("the process to notice", async || {
        let answer = nobody.get("/readyz").await;
        (answer.status != 200).then_some(answer)
    })
    .await;
    assert_eq!(refused.header("retry-after"), Some("1"));
    refused.expect_problem(503, "overloaded");
    nobody.get("/healthz").await.expect(200);
    let write = city.platform.post("/v1/orders", city.order_body(json!({}))).await;
    write.expect_problem(503, "overloaded");
    city.platform.get("/v1/orders").await.expect_problem(503, "overloaded");
    allow(true).await;
    until("the process to be ready again", async || {
        (nobody.get("/readyz").await.status == 200).then_some(())
    })
    .await;
    city.order_id().await;
    assert_eq!(server.database.count("orders").await, 2);
    server.stop().await;
}
