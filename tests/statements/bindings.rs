//! Each statement is run through the code that owns it, so that no binding can differ, and what
//! was written is read back the same.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use ordercast::config::{Config, Overrides, Secret};
use ordercast::domain::{
    Actor, BatchId, Command, CredentialId, Draft, Driver, DriverId, Dropoff, Duty, Fulfilment,
    Item, OrderId, Place, ReasonCode, Refusal, Role, Status, Store, StoreId, TenantId,
    Undeliverable, Vehicle, Window,
};
use ordercast::store::{
    Change, Database, DriverPatch, IdempotencyKey, Listening, OrderFilter, Outcome, Scope,
    StorePatch, Target, Writer, run_writer, statement,
};
use ordercast::view::Sheet;
use serde_json::json;
use tokio_postgres::Client;

use crate::{
    answers, links, locations, members, offers, partitions, proofs, robo, server, tenants, timers,
    webhooks,
};

/// A database, its writer, and a tenant with a store and two couriers.
pub(crate) struct Walk {
    pub(crate) client: Client,
    url: String,
    pub(crate) database: Database,
    listening: Listening,
    writer: Writer,
    pub(crate) tenant: TenantId,
    pub(crate) store: Store,
    pub(crate) drivers: [Driver; 2],
}

pub(crate) fn actor(role: Role, id: &str) -> Actor {
    Actor { role, id: id.to_owned() }
}

impl Walk {
    pub(crate) async fn start(name: &str) -> Self {
        let (client, url) = server::migrated(name).await;
        client
            .batch_execute(&format!("alter database {name} set log_statement = 'all'"))
            .await
            .unwrap();
        let mut config = Config::load(None, &Overrides::default()).unwrap();
        config.database.url = Secret(url.clone());
        let (database, listening) = Database::new(&config.database).unwrap();
        let (writer, queue) = Writer::new(&config.writer);
        tokio::spawn(run_writer(database.clone(), queue));

        let tenant = database.upsert_tenant("Walk").await.unwrap();
        let store = Store {
            id: StoreId::new(),
            tenant,
            external_id: "s1".to_owned(),
            name: "Pasta Nova".to_owned(),
            place: Place { lat: 52.5, lng: 13.4 },
            tz: "Europe/Berlin".to_owned(),
            phone: Some("+49 30 1234567".to_owned()),
            auto_accept: false,
            default_prep_min: 20,
            paused_until: None,
        };
        let driver = |n: u32| Driver {
            id: DriverId::new(),
            tenant,
            external_id: format!("d{n}"),
            name: "Ada Lovelace".to_owned(),
            display_name: "Ada L.".to_owned(),
            phone: Some("+49 170 7654321".to_owned()),
            vehicle: Vehicle {
                kind: "car".to_owned(),
                make: Some("Zoe".to_owned()),
                colour: Some("blue".to_owned()),
                plate: Some("B-AL 1815".to_owned()),
            },
            duty: Duty::Off,
            capacity: 2,
        };
        let drivers = [driver(1), driver(2)];
        assert_eq!(database.upsert_store(&store).await.unwrap(), (store.clone(), true));
        for driver in &drivers {
            assert_eq!(database.upsert_driver(driver).await.unwrap(), (driver.clone(), true));
        }
        Self { client, url, database, listening, writer, tenant, store, drivers }
    }

    pub(crate) async fn submit(&self, by: Actor, key: Option<&str>, target: Target) -> Outcome {
        let idempotency =
            key.map(|key| IdempotencyKey { key: key.to_owned(), request_hash: vec![7; 32] });
        let tenant = self.tenant;
        let change = Change {
            tenant,
            by,
            target,
            idempotency,
            if_match: None,
            occurred_at: None,
            place: None,
        };
        self.writer.submit(change).await.unwrap()
    }

    /// The sheet of an order after a change that was accepted.
    pub(crate) async fn change(&self, by: Actor, id: OrderId, command: Command) -> Sheet {
        let action = command.action();
        match self.submit(by, None, Target::Order { id, command: Box::new(command) }).await {
            Outcome::Changed(sheet) => *sheet,
            other => panic!("{action:?}: {other:?}"),
        }
    }

    /// An order with everything that one can have.
    pub(crate) fn draft(&self) -> Draft {
        let from = Timestamp::from_second(4_000_000_000).unwrap();
        Draft {
            id: OrderId::new(),
            tenant: self.tenant,
            external_id: "o1".to_owned(),
            store: self.store.id,
            short_code: "A1B2".to_owned(),
            fulfilment: Fulfilment::Delivery,
            dropoff: Some(Dropoff {
                name: "Grace Hopper".to_owned(),
                phone: Some("+49 151 1111111".to_owned()),
                address: "Musterstr. 1, 10115 Berlin".to_owned(),
                place: Place { lat: 52.51, lng: 13.41 },
                notes: Some("Hinterhaus".to_owned()),
                leave_at_door: true,
            }),
            items: vec![Item { name: "Ravioli".to_owned(), qty: 2 }],
            note: Some("no \"onions\"".to_owned()),
            window: Some(Window { from, to: from + SignedDuration::from_mins(30) }),
            undeliverable: Undeliverable::Return,
            proof_required: proofs::at_the_door(),
            pin: Some("1234".to_owned()),
            meta: json!({ "table": 7 }),
        }
    }

    pub(crate) async fn place(&self, draft: Draft, key: Option<&str>) -> Outcome {
        let target = Target::Place { draft: Box::new(draft), request_hash: vec![9; 32] };
        self.submit(actor(Role::Platform, "backend"), key, target).await
    }

    /// What is stored is what the writer answered.
    async fn assert_stored(&self, sheet: &Sheet) {
        let (_, stored) =
            self.database.find_order(self.tenant, sheet.order.id).await.unwrap().unwrap();
        assert_eq!(stored.order, sheet.order);
        assert_eq!(stored.store, sheet.store);
        assert_eq!(stored.driver, sheet.driver);
    }
}

/// The statements that the walk leaves out.
const ELSEWHERE: &[(&str, &str)] = &[
    ("find_transaction_status", "run by the test below, and at the foot of store::writer"),
    ("lift_border", "run where the log comes to a border: tests/behaviour/retention.rs"),
    ("find_event", "asked only of a commit that was not heard: at the foot of store::writer"),
];

#[tokio::test]
async fn each_statement_runs_through_its_code() {
    let mut walk = Walk::start("walk").await;
    let (tenant, database) = (walk.tenant, walk.database.clone());
    parties(&walk).await;
    members::walk(&walk).await;
    locations::walk(&walk).await;
    revoking(&mut walk).await;

    let placed = match walk.place(walk.draft(), Some("k1")).await {
        Outcome::Placed(sheet) => *sheet,
        other => panic!("{other:?}"),
    };
    walk.assert_stored(&placed).await;
    // By its key, and without one by its external id.
    let repeated = walk.place(walk.draft(), Some("k1")).await;
    assert!(matches!(repeated, Outcome::Replayed { sheet, .. } if sheet.order == placed.order));
    let repeated = walk.place(walk.draft(), None).await;
    assert!(matches!(repeated, Outcome::Repeated(sheet) if sheet.order == placed.order));
    let id = placed.order.id;
    let platform = || actor(Role::Platform, "backend");
    walk.change(platform(), id, Command::Release).await;
    walk.change(
        actor(Role::Store, &walk.store.id.to_string()),
        id,
        Command::Accept { prep_min: Some(15) },
    )
    .await;
    for driver in &walk.drivers {
        let target = Target::Duty { driver: driver.id, duty: Duty::On };
        let outcome = walk.submit(actor(Role::Ops, "o"), None, target).await;
        assert!(matches!(outcome, Outcome::Driver(driver) if driver.duty == Duty::On));
        let assigned =
            walk.change(actor(Role::Ops, "o"), id, Command::Assign { driver: driver.id }).await;
        walk.assert_stored(&assigned).await;
    }
    let until = Some(Timestamp::from_second(4_000_000_000).unwrap());
    let target = Target::Pause { store: walk.store.id, until };
    let paused = walk.submit(actor(Role::Ops, "o"), None, target).await;
    assert!(matches!(paused, Outcome::Store(store) if store.paused_until == until));

    // What is open, before and after the end.
    let scopes = [
        Scope::Order(id),
        Scope::Store(walk.store.id),
        Scope::Driver(walk.drivers[1].id),
        Scope::Tenant,
    ];
    for scope in scopes {
        let open = database.list_open_orders(tenant, scope, None, None, 10).await.unwrap();
        assert_eq!(open.orders.len(), 1, "{scope:?}");
        assert_eq!(open.orders[0].driver.as_ref().unwrap().id, walk.drivers[1].id);
    }
    let reason = (ReasonCode::Other, Some("a test".to_owned()));
    let cancelled = walk.change(actor(Role::Ops, "o"), id, Command::Cancel { reason }).await;
    assert_eq!(cancelled.order.status, Status::Cancelled);
    walk.assert_stored(&cancelled).await;
    for scope in &scopes[1..] {
        let (stores, statuses) = ([walk.store.id], [Status::Ready]);
        let narrowed = (Some(stores.as_slice()), Some(statuses.as_slice()));
        let open = database.list_open_orders(tenant, *scope, narrowed.0, narrowed.1, 10).await;
        let open = open.unwrap();
        assert!(open.orders.is_empty() && open.position == database.read_head().await.unwrap());
    }

    lists(&walk, &cancelled).await;
    log(&mut walk, id).await;
    links::links(&walk, &cancelled.order).await;
    timers::timers(&walk).await;
    offers::offers(&walk).await;
    robo::robo(&walk).await;
    proofs::proofs(&walk).await;
    answers::walk(&database, tenant).await;
    webhooks::walk(&walk.client, &database, tenant).await;
    deleting(&walk).await;
    let erased = walk.change(platform(), id, Command::Erase).await;
    walk.assert_stored(&erased).await;
    // What was answered to its key as it was made is known without what is personal.
    let repeated = walk.place(walk.draft(), Some("k1")).await;
    let Outcome::Replayed { sheet: repeated, .. } = repeated else { panic!("{repeated:?}") };
    assert_eq!((repeated.order.version, &repeated.order.dropoff), (1, &None));
    while database.sweep_idempotency_keys(Duration::ZERO).await.unwrap() {}
    let again = walk.place(walk.draft(), Some("k1")).await;
    // The key is forgotten, the external id is not; what it was made by is.
    assert!(matches!(
        again,
        Outcome::Refused(Refusal::ExternalIdConflict, Some(sheet)) if sheet.order == erased.order
    ));

    partitions::walk(&walk.client, &database).await;

    let log = server::log();
    let unseen: Vec<&str> = statement::ALL
        .iter()
        .filter(|statement| !log.contains(&format!(": -- {}: ", statement.name)))
        .map(|statement| statement.name)
        .filter(|name| !ELSEWHERE.iter().any(|(elsewhere, _)| elsewhere == name))
        .collect();
    assert!(unseen.is_empty(), "not run: {unseen:?}");
}

async fn parties(walk: &Walk) {
    let (database, tenant) = (&walk.database, walk.tenant);
    tenants::tenants(walk).await;

    let mut store = walk.store.clone();
    let (mut driver, last) = (walk.drivers[0].clone(), &walk.drivers[1]);
    // The identifier of the one that is there stays.
    let anew = Store { id: StoreId::new(), ..store.clone() };
    assert_eq!(database.upsert_store(&anew).await.unwrap(), (store.clone(), false));
    let anew = Driver { id: DriverId::new(), ..driver.clone() };
    assert_eq!(database.upsert_driver(&anew).await.unwrap(), (driver.clone(), false));

    let nothing = StorePatch::default();
    let unchanged = database.update_store(tenant, store.id, &nothing).await.unwrap();
    assert_eq!(unchanged.as_ref(), Some(&store));
    let unchanged = database.update_driver(tenant, driver.id, &DriverPatch::default()).await;
    assert_eq!(unchanged.unwrap().as_ref(), Some(&driver));
    let place = Place { lat: 1.5, lng: 2.5 };
    let patch = StorePatch { place: Some(place), default_prep_min: Some(9), ..nothing };
    (store.place, store.default_prep_min) = (place, 9);
    let changed = database.update_store(tenant, store.id, &patch).await.unwrap();
    assert_eq!(changed.as_ref(), Some(&store));
    let patch = DriverPatch { capacity: Some(3), ..DriverPatch::default() };
    driver.capacity = 3;
    let changed = database.update_driver(tenant, driver.id, &patch).await.unwrap();
    assert_eq!(changed.as_ref(), Some(&driver));

    assert_eq!(database.find_store(tenant, store.id).await.unwrap().as_ref(), Some(&store));
    assert_eq!(database.find_driver(tenant, driver.id).await.unwrap().as_ref(), Some(&driver));
    let stranger = TenantId::new();
    assert_eq!(database.find_store(stranger, store.id).await.unwrap(), None);
    assert_eq!(database.find_driver(stranger, driver.id).await.unwrap(), None);
    assert_eq!(database.list_stores(tenant, None, Some("s1"), 9).await.unwrap(), [store.clone()]);
    assert_eq!(database.list_stores(tenant, Some(store.id), None, 9).await.unwrap(), []);
    let both = [driver.clone(), last.clone()];
    assert_eq!(database.list_drivers(tenant, None, None, 9).await.unwrap(), both);
    let after = database.list_drivers(tenant, Some(driver.id), Some("d2"), 9).await.unwrap();
    assert_eq!(after, both[1..]);
}

/// A token and the API key made above are revoked, read back, and forgotten when it is time.
async fn revoking(walk: &mut Walk) {
    let ops = || actor(Role::Platform, "backend");
    let key = walk.database.find_credential(&[1; 32]).await.unwrap().unwrap().id;
    let tokens = [CredentialId::new(), key, CredentialId::new()];
    for keep in [Duration::ZERO, Duration::from_hours(1)] {
        for token in tokens {
            let outcome = walk.submit(ops(), None, Target::Revoke { token, keep }).await;
            assert!(matches!(outcome, Outcome::Ended), "{outcome:?}");
        }
        walk.listening.connect().await.unwrap();
        // A page of each, so that they are found after one another.
        let (mut read, mut after) = (Vec::new(), None);
        while let [one] = walk.listening.read_revoked(after, 1).await.unwrap()[..] {
            assert_eq!(one.tenant, walk.tenant);
            read.push(one.id);
            after = Some(one);
        }
        let mut wanted = tokens;
        wanted.sort_unstable();
        assert_eq!(read, wanted);
        assert!(!walk.database.sweep_revoked_tokens().await.unwrap());
        let left = walk.listening.read_revoked(None, 9).await.unwrap().len();
        assert_eq!(left, if keep.is_zero() { 0 } else { 3 });
    }
    assert!(walk.database.find_credential(&[1; 32]).await.unwrap().is_none());
    let events = walk.listening.read_events(0, 100).await.unwrap();
    let kinds: Vec<_> = events.iter().map(|event| event.kind.as_str()).collect();
    assert_eq!(kinds, ["token.revoked"; 6]);
}

async fn deleting(walk: &Walk) {
    let platform = || actor(Role::Platform, "backend");
    let ended = |outcome: Outcome| assert!(matches!(outcome, Outcome::Ended), "{outcome:?}");
    let store = walk.store.id;
    ended(walk.submit(platform(), None, Target::DeleteStore { store }).await);
    assert_eq!(walk.database.find_store(walk.tenant, store).await.unwrap(), None);
    let driver = walk.drivers[1].id;
    ended(walk.submit(platform(), None, Target::DeleteDriver { driver }).await);
    assert_eq!(walk.database.find_driver(walk.tenant, driver).await.unwrap(), None);
    let again = walk.database.upsert_driver(&walk.drivers[1]).await.unwrap();
    assert_eq!(again, (walk.drivers[1].clone(), true), "off duty again");
}

async fn lists(walk: &Walk, sheet: &Sheet) {
    let order = &sheet.order;
    let at = order.stamps.created;
    let (before, after) = (at - SignedDuration::from_hours(1), at + SignedDuration::from_hours(1));
    let hit = OrderFilter {
        statuses: Some(vec![Status::Placed, Status::Cancelled]),
        legs: Some(vec![order.leg]),
        store: Some(order.store),
        driver: order.driver,
        external_id: Some("o1".to_owned()),
        placed_from: Some(before),
        placed_to: Some(after),
        updated_since: Some(before),
        batch: None,
        late: Some(false),
        before: Some((after, order.id)),
    };
    let all = OrderFilter::default;
    for scope in [Scope::Store(order.store), Scope::Driver(order.driver.unwrap()), Scope::Tenant] {
        for (filter, found) in [
            (all(), true),
            (hit.clone(), true),
            (OrderFilter { statuses: Some(vec![Status::Ready]), ..all() }, false),
            (OrderFilter { statuses: Some(vec![Status::Cancelled]), ..all() }, true),
            (OrderFilter { updated_since: Some(after), ..all() }, false),
            (OrderFilter { batch: Some(BatchId::new()), ..all() }, false),
            (OrderFilter { late: Some(true), ..all() }, false),
            (OrderFilter { before: Some((before, order.id)), ..all() }, false),
        ] {
            let page = walk.database.list_orders(walk.tenant, scope, &filter, 5).await.unwrap();
            let orders: Vec<_> = page.orders.iter().map(|sheet| &sheet.order).collect();
            assert_eq!(orders, if found { vec![order] } else { vec![] }, "{scope:?} {filter:?}");
        }
    }
}

async fn log(walk: &mut Walk, id: OrderId) {
    let (database, tenant) = (&walk.database, walk.tenant);
    let (epoch, last) = walk.listening.connect().await.unwrap();
    assert!(epoch.len() == 12 && database.epoch().is_empty());
    walk.listening.tell_epoch(&epoch);
    assert_eq!(database.epoch(), epoch);
    assert_eq!(database.read_head().await.unwrap(), last);
    assert!(walk.listening.probe(Duration::from_secs(10)).await);
    let all = walk.listening.read_events(0, 100).await.unwrap();
    let positions: Vec<u64> = all.iter().map(|event| event.position).collect();
    assert_eq!(positions, (1..=last).collect::<Vec<_>>(), "gapless");

    let [first, second] = [walk.drivers[0].id, walk.drivers[1].id];
    let store = walk.store.id;
    for scope in [
        Scope::Order(id),
        Scope::Store(store),
        Scope::Driver(first),
        Scope::Driver(second),
        Scope::Tenant,
    ] {
        let missed = database.read_missed(tenant, scope, 0, 100).await.unwrap();
        let concerned = all.iter().filter(|event| match scope {
            Scope::Order(id) => event.order == Some(id),
            Scope::Store(id) => event.store == Some(id),
            Scope::Driver(id) => event.driver == Some(id) || event.prior_driver == Some(id),
            Scope::Tenant => true,
        });
        let concerned: Vec<_> = concerned.map(|event| event.id).collect();
        let heard: Vec<_> = missed.events.iter().map(|event| event.id).collect();
        assert!(heard.len() > 1 && heard == concerned, "{scope:?}");
        assert_eq!((missed.last, missed.position, missed.oldest), (last, last, 1));
        // Backwards, from the end and from before the last.
        for before in [u64::MAX, last] {
            let backwards = database.read_last(tenant, scope, before, 100).await.unwrap();
            let mut backwards = backwards.events;
            backwards.reverse();
            let earlier = missed.events.iter().filter(|event| event.position < before);
            assert!(backwards.iter().map(|event| event.id).eq(earlier.map(|event| event.id)));
        }
        let stranger = database.read_missed(TenantId::new(), scope, 0, 100).await.unwrap();
        assert!(stranger.events.is_empty());
        let stranger = database.read_last(TenantId::new(), scope, u64::MAX, 100).await.unwrap();
        assert!(stranger.events.is_empty());
    }
}

/// Waits for a condition of the database, asking again and again for at most 30 s.
async fn until(client: &Client, condition: &str) {
    let waiting = async {
        while !client.query_one(condition, &[]).await.unwrap().try_get::<_, bool>(0).unwrap() {}
    };
    tokio::time::timeout(Duration::from_secs(30), waiting).await.expect(condition);
}

#[tokio::test]
async fn a_change_whose_connection_is_cut_before_its_commit_is_written_once() {
    let walk = Walk::start("cut").await;
    // Whoever holds the head keeps the batch from ending.
    let holder = server::connect(&walk.url).await;
    holder.batch_execute("begin; select from log_head for update").await.unwrap();
    let placing = walk.place(walk.draft(), None);
    let cutting = async {
        let waits = "datname = current_database() and application_name = 'ordercast writer' \
                     and wait_event_type = 'Lock'";
        let waiting = format!("select exists (select from pg_stat_activity where {waits})");
        until(&walk.client, &waiting).await;
        let cut = format!("select pg_terminate_backend(pid) from pg_stat_activity where {waits}");
        walk.client.query_one(&cut, &[]).await.unwrap();
        holder.batch_execute("commit").await.unwrap();
    };
    let (outcome, ()) = futures::join!(placing, cutting);
    assert!(matches!(outcome, Outcome::Placed(_)), "{outcome:?}");
    assert_eq!(walk.database.read_head().await.unwrap(), 1);
    assert!(server::log().contains(": -- find_transaction_status: "));
}
