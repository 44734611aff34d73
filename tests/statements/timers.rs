//! The timer of an order: there exactly while something is due of it, claimed by one, and right
//! again whoever asks.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use ordercast::domain::{Actor, Command, Draft, OrderId, ReasonCode, Refusal, Role, Status};
use ordercast::store::{LookedUp, Outcome, Subject, Target, statement};

use crate::bindings::{Walk, actor};
use crate::plans::explain;
use crate::server;

const LEASE: Duration = Duration::from_mins(1);
/// Longest wait for what others of the database do to be over.
const PATIENCE: Duration = Duration::from_mins(1);

async fn elapse(walk: &Walk, order: OrderId) -> Outcome {
    walk.submit(Actor::system(), None, Target::Elapse { order, looked_up: LookedUp::default() })
        .await
}

/// When the timer is due, by the row.
async fn due_at(walk: &Walk, order: OrderId) -> Option<Timestamp> {
    let query = "select due_at from timers where kind = 'order' and subject_id = $1";
    let row = walk.client.query_opt(query, &[&order.uuid()]).await.unwrap();
    row.map(|row| row.try_get(0).unwrap())
}

pub(crate) async fn timers(walk: &Walk) {
    let database = &walk.database;
    let none = database.claim_timers(9, LEASE).await.unwrap();
    assert_eq!((none.claimed, none.next_in), (vec![], None), "of what is over nothing is due");

    let draft = Draft { external_id: "o2".to_owned(), ..walk.draft() };
    let (id, tenant) = (draft.id, draft.tenant);
    let release_at = match walk.place(draft, None).await {
        Outcome::Placed(sheet) => sheet.order.release_at,
        other => panic!("{other:?}"),
    };
    assert!(release_at.is_some());
    assert_eq!(due_at(walk, id).await, release_at);
    let early = database.claim_timers(9, LEASE).await.unwrap();
    assert!(early.claimed.is_empty() && early.next_in.unwrap() > Duration::from_hours(1));

    // Due too early, as after a step of the clock: claimed by one, and put right.
    let bring_forward = "update timers set due_at = now() - interval '1 s'";
    walk.client.batch_execute(bring_forward).await.unwrap();
    let foreign = "insert into timers values ('of a newer release', $1, $1, now())";
    walk.client.execute(foreign, &[&tenant.uuid()]).await.unwrap();
    let due = database.claim_timers(9, LEASE).await.unwrap();
    assert_eq!(due.claimed, [(Subject::Order(id), tenant)]);
    let claimed = database.claim_timers(9, LEASE).await.unwrap();
    assert!(claimed.claimed.is_empty() && claimed.next_in.is_some_and(|wait| wait <= LEASE));
    let outcome = elapse(walk, id).await;
    assert!(matches!(outcome, Outcome::Repeated(_)), "{outcome:?}");
    assert_eq!(due_at(walk, id).await, release_at);
    walk.client.batch_execute("delete from timers where kind <> 'order'").await.unwrap();

    // Due in truth: done once, however often it is asked.
    let now = "update orders set release_at = now() - interval '1 s' where id = $1";
    walk.client.execute(now, &[&id.uuid()]).await.unwrap();
    for nth in 0..3 {
        let (Outcome::Changed(sheet) | Outcome::Repeated(sheet)) = elapse(walk, id).await else {
            panic!("refused")
        };
        assert_eq!((sheet.order.status, sheet.order.version), (Status::Placed, 2), "{nth}");
        // Or it is looked who sees it, whichever comes first.
        let order = &sheet.order;
        let look = order.next_look(order.stamps.placed.unwrap());
        assert_eq!(due_at(walk, id).await, [order.due(), look].into_iter().flatten().min());
    }

    // Another's order is none, and neither is one that is not there.
    for wrong in [OrderId::new(), OrderId::from_uuid(tenant.uuid())] {
        let outcome = elapse(walk, wrong).await;
        assert!(matches!(outcome, Outcome::Refused(Refusal::NotFound, None)), "{outcome:?}");
    }
    let reason = (ReasonCode::Duplicate, None);
    walk.change(actor(Role::Ops, "o"), id, Command::Cancel { reason }).await;
    assert_eq!(due_at(walk, id).await, None);
    let outcome = elapse(walk, id).await;
    assert!(matches!(outcome, Outcome::Repeated(_)), "{outcome:?}");
}

#[tokio::test]
async fn the_orders_that_were_there_before_get_the_timers_they_would_have() {
    let walk = Walk::start("timers_before").await;
    let store = || actor(Role::Store, &walk.store.id.to_string());
    for (nth, steps) in [0, 1, 0, 1, 2].into_iter().enumerate() {
        let mut draft = Draft { external_id: format!("o{nth}"), ..walk.draft() };
        if nth > 1 {
            // For now: accepting it is to prepare it.
            draft.window = None;
        }
        let id = draft.id;
        assert!(matches!(walk.place(draft, None).await, Outcome::Placed(_)));
        if steps > 0 {
            walk.change(store(), id, Command::Accept { prep_min: Some(25) }).await;
        }
        if steps > 1 {
            let reason = (ReasonCode::Duplicate, None);
            walk.change(actor(Role::Ops, "o"), id, Command::Cancel { reason }).await;
        }
    }
    let all = "select array_agg(t::text order by t::text) from timers t";
    let read = async || -> Option<Vec<String>> {
        walk.client.query_one(all, &[]).await.unwrap().try_get(0).unwrap()
    };
    let written = read().await;
    assert_eq!(written.as_ref().map(Vec::len), Some(4), "{written:?}");
    walk.client.batch_execute("delete from timers").await.unwrap();
    let migration = include_str!("../../sql/migrations/V0006__offers.sql");
    let (_tables, rows) = migration.split_once("\n\n-- Every open order is looked").unwrap();
    walk.client.batch_execute(&format!("-- {rows}")).await.unwrap();
    let found = walk.database.claim_timers(9, LEASE).await.unwrap().claimed;
    assert_eq!(found.len(), 4);
    for (Subject::Order(order), _tenant) in found {
        elapse(&walk, order).await;
    }
    assert_eq!(read().await, written);
}

/// A look at the timers reads a few pages of an index, however many wait, and also when many have
/// come and gone.
#[tokio::test]
async fn a_hundred_thousand_timers_cost_nothing_until_they_are_due() {
    let (client, _) = server::migrated("timers_many").await;
    let insert = "
        insert into timers
        select 'order', gen_random_uuid(), gen_random_uuid(), now() + n * interval '1 minute'
        from generate_series(1, 100000) n";
    // An ANALYZE under way sees what is gone, so that nobody may mark it.
    let left_alone = "alter table timers set (autovacuum_enabled = false)";
    client.batch_execute(left_alone).await.unwrap();
    client.batch_execute(insert).await.unwrap();
    client.batch_execute("set plan_cache_mode = force_generic_plan").await.unwrap();
    for statement in [statement::CLAIM_TIMERS, statement::FIND_NEXT_TIMER] {
        client
            .batch_execute(&format!("prepare {} as {}", statement.name, statement.sql))
            .await
            .unwrap();
    }
    let calls = ["claim_timers(array['order'], 128, 15)", "find_next_timer(array['order'])"];
    let look = async |call: &str| -> i64 {
        let plan = explain(&client, "analyze, buffers, timing off", call).await;
        let read = ["Shared Hit Blocks", "Shared Read Blocks"];
        read.iter().map(|kind| plan[0]["Plan"][kind].as_i64().unwrap()).sum()
    };
    for (come_and_gone, most) in [(false, 6), (true, 60)] {
        if come_and_gone {
            // Nothing has cleaned up behind them yet.
            client
                .batch_execute("delete from timers where due_at < now() + interval '1 week'")
                .await
                .unwrap();
        }
        // A look passes what is gone, and marks it for the ones after it; unless somebody else, such
        // as an ANALYZE of another table, still sees it.
        let began = Instant::now();
        loop {
            let pages = [look(calls[0]).await, look(calls[1]).await];
            if pages.iter().all(|pages| *pages <= most) {
                break;
            }
            assert!(began.elapsed() < PATIENCE, "{pages:?}");
        }
    }
}
