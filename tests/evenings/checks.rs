//! What must hold after an evening, by its rows and by its log read from the start.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};

use ordercast::domain::{DriverId, Order, OrderId, StoreId};
use ordercast::store::Scope;
use ordercast::view::{LogEvent, full_order};
use uuid::Uuid;

use crate::World;
use crate::audiences;
use crate::fold::Fold;
use crate::offers::Replay;
use crate::town::Town;

/// More events than an evening has.
const ALL: u32 = 100_000;

/// Each must find nothing; `$1` is the tenant.
const NOTHING: &[(&str, &str)] = &[
    (
        "a row of another tenant beside one of this",
        "select o.id::text from orders o
         join stores s on s.id = o.store_id
         left join drivers d on d.id = o.driver_id
         where o.tenant_id = $1
           and (s.tenant_id <> $1 or d.tenant_id is distinct from case when d.id is not null then $1 end)
         union all
         select f.id::text from offers f
         join orders o on o.id = f.order_id join drivers d on d.id = f.driver_id
         where (f.tenant_id = $1 or o.tenant_id = $1 or d.tenant_id = $1)
           and (f.tenant_id <> $1 or o.tenant_id <> $1 or d.tenant_id <> $1)
         union all
         select e.id::text from events e join orders o on o.id = e.order_id
         where (e.tenant_id = $1 or o.tenant_id = $1) and e.tenant_id <> o.tenant_id
         union all
         select t.subject_id::text from timers t join orders o on o.id = t.subject_id
         where (t.tenant_id = $1 or o.tenant_id = $1) and t.tenant_id <> o.tenant_id
         union all
         select k.key from idempotency_keys k join orders o on o.id = k.order_id
         where (k.tenant_id = $1 or o.tenant_id = $1) and k.tenant_id <> o.tenant_id",
    ),
    (
        "a closed order without its time, or the other way round",
        "select id::text from orders where tenant_id = $1
         and (closed_at is not null)
             <> (status in ('delivered', 'rejected', 'cancelled', 'failed', 'returned'))",
    ),
    (
        "two accepted offers of one search",
        "select order_id::text from offers where tenant_id = $1 and state = 'accepted'
         group by order_id, since having count(*) > 1",
    ),
    (
        "a courier asked twice in one search",
        "select order_id::text from offers where tenant_id = $1
         group by order_id, since, driver_id having count(*) > 1",
    ),
    (
        "a pending offer of an order that is not searched for",
        "select f.id::text from offers f join orders o on o.id = f.order_id
         where f.tenant_id = $1 and f.state = 'pending' and o.leg <> 'offering'",
    ),
    (
        "several asked at once one by one",
        "select o.id::text from orders o join offers f on f.order_id = o.id
            and f.since = o.search_since
         where o.tenant_id = $1 and o.search_mode = 'one_by_one'
         group by o.id, f.round having count(*) > 1",
    ),
    (
        "a search that waits although all whom it asked have declined",
        "select o.id::text from orders o join offers f on f.order_id = o.id
            and f.since = o.search_since and f.round = o.search_round
         where o.tenant_id = $1 and o.leg = 'offering' and o.status <> 'placed'
         group by o.id having bool_and(f.state = 'declined')",
    ),
    (
        "an offer that was accepted too late, or has no end",
        "select id::text from offers where tenant_id = $1
         and ((state = 'accepted' and closed_at >= expires_at)
              or (state = 'expired' and closed_at < expires_at)
              or (state = 'pending') = (closed_at is not null))",
    ),
    (
        "a courier with more than it can carry",
        "select d.id::text from drivers d join orders o on o.driver_id = d.id
         where d.tenant_id = $1 and o.closed_at is null
         group by d.id, d.capacity having count(*) > d.capacity",
    ),
    (
        "an open order of a courier or store that is deleted",
        "select o.id::text from orders o join stores s on s.id = o.store_id
         left join drivers d on d.id = o.driver_id
         where o.tenant_id = $1 and o.closed_at is null
           and (s.deleted_at is not null or d.deleted_at is not null)",
    ),
    (
        "a stop that comes twice in a tour, or without one",
        "select driver_id::text from orders
         where tenant_id = $1 and closed_at is null and stop_seq is not null
         group by driver_id, batch_id, stop_seq having count(*) > 1 or driver_id is null",
    ),
    (
        "too many wrong PINs",
        "select id::text from orders where tenant_id = $1 and pin_tries > 5",
    ),
    (
        "a remark that was made twice",
        "select data->>'note' from events where tenant_id = $1 and type = 'order.noted'
         and data->>'note' in (select data->>'note' from events where tenant_id = $1
                               and type = 'order.noted' group by 1 having count(*) > 1)",
    ),
];

/// The tenant's log up to a position, folded.
struct Read {
    events: Vec<LogEvent>,
    folds: HashMap<OrderId, Fold>,
    replay: Replay,
}

async fn events(town: &Town<'_>, scope: Scope) -> Vec<LogEvent> {
    let database = &town.world.apis[1].database;
    database.read_missed(town.tenant(), scope, 0, ALL).await.unwrap().events
}

/// Folds the log as far as `to`.
async fn read(town: &Town<'_>, to: u64) -> Read {
    let mut events = events(town, Scope::Tenant).await;
    events.retain(|event| event.position <= to);
    let mut folds: HashMap<OrderId, Fold> = HashMap::new();
    let mut replay = Replay::default();
    let found = |event: &LogEvent, result: Result<(), String>| {
        if let Err(what) = result {
            let of = event.order.map(|order| order.to_string()).unwrap_or_default();
            town.find(format!("at {}, {} of {of}: {what}", event.position, event.kind));
        }
    };
    for event in &events {
        if event.tenant != town.tenant() {
            town.find(format!("another tenant's event: {event:?}"));
        }
        if audiences::is_numbered(&event.kind) != event.n.is_some() {
            town.find(format!("{} with {:?}", event.kind, event.n));
        }
        let Some(order) = event.order else { continue };
        if event.n.is_none() {
            found(event, replay.offer(event, folds.get(&order)));
            continue;
        }
        let before = folds.get(&order).map(|fold| fold.leg);
        if let Some(fold) = folds.get_mut(&order) {
            found(event, fold.apply(event));
        } else {
            match Fold::begin(event, town.robo) {
                Ok(fold) => drop(folds.insert(order, fold)),
                Err(what) => found(event, Err(what)),
            }
        }
        if let Some(fold) = folds.get(&order) {
            found(event, replay.step(event, before, fold, &town.capacities));
        }
    }
    Read { events, folds, replay }
}

/// What is shown of all open orders, at any moment, is what the log says up to its position.
pub async fn check_snapshot(town: &mut Town<'_>) {
    let api = town.api();
    let scope = Scope::Tenant;
    let shown = api.database.list_open_orders(town.tenant(), scope, None, None, 1000).await;
    let shown = shown.unwrap();
    let read = read(town, shown.position).await;
    let mut open = read.folds.values().filter(|fold| !fold.status.is_terminal()).count();
    for sheet in &shown.orders {
        open = open.wrapping_sub(1);
        let Some(fold) = read.folds.get(&sheet.order.id) else {
            town.find(format!("{} is shown and not in the log", sheet.order.id));
            continue;
        };
        for what in fold.differs(&full_order(sheet)) {
            town.find(format!("{} at {}: {what}", sheet.order.id, shown.position));
        }
    }
    if open != 0 {
        town.find(format!("a snapshot at {} lacks {open} orders", shown.position));
    }
    town.count("snapshots");
}

/// All that must hold when the evening is over and nothing is due.
pub async fn check(town: &mut Town<'_>) {
    check_snapshot(town).await;
    let read = read(town, u64::MAX).await;
    for (what, sql) in NOTHING {
        for row in town.client.query(*sql, &[&town.tenant().uuid()]).await.unwrap() {
            let id: String = row.try_get(0).unwrap();
            town.find(format!("{what}: {id}"));
        }
    }
    if let Err(what) = read.replay.end(&read.folds) {
        town.find(what);
    }
    check_offers(town, &read).await;
    check_rows(town, &read).await;
    check_parts(town, &read).await;
    for event in &read.events {
        let fold = event.order.and_then(|order| read.folds.get(&order));
        if let Err(what) = audiences::check(event, fold.and_then(Fold::pin)) {
            town.find(format!("at {}: {what}", event.position));
        }
        town.count(&event.kind);
    }
    // Nobody's part of the log is missing, and nothing of others in between.
    let gaps =
        "select (select count(*) from events where position > $1), (select last from log_head)";
    let row = town.client.query_one(gaps, &[&town.since]).await.unwrap();
    let (count, last): (i64, i64) = (row.try_get(0).unwrap(), row.try_get(1).unwrap());
    if count != last - town.since {
        town.find(format!("{count} events from {} to {last}", town.since));
    }
}

/// Offers are what their events say.
async fn check_offers(town: &Town<'_>, read: &Read) {
    let states = read.replay.states();
    let query = "select id, state from offers where tenant_id = $1";
    let rows = town.client.query(query, &[&town.tenant().uuid()]).await.unwrap();
    if rows.len() != states.len() {
        town.find(format!("{} offers, {} by the log", rows.len(), states.len()));
    }
    for row in rows {
        let id = ordercast::domain::OfferId::from_uuid(row.try_get(0).unwrap()).to_string();
        let state: String = row.try_get(1).unwrap();
        if states.get(id.as_str()) != Some(&state.as_str()) {
            town.find(format!("{id} is {state}, and {:?} by the log", states.get(id.as_str())));
        }
    }
}

/// Orders are the fold of their events; of each something is due exactly if it has a timer, and
/// nothing is overdue.
async fn check_rows(town: &Town<'_>, read: &Read) {
    let sheets = town.sheets().await;
    let now = town.world.clock.now().await;
    let query = "select subject_id, due_at from timers where tenant_id = $1";
    let rows = town.client.query(query, &[&town.tenant().uuid()]).await.unwrap();
    let mut timers: BTreeMap<Uuid, jiff::Timestamp> =
        rows.iter().map(|row| (row.try_get(0).unwrap(), row.try_get(1).unwrap())).collect();
    if sheets.len() != read.folds.len() || sheets.len() != town.orders.len() {
        let counts = (sheets.len(), read.folds.len(), town.orders.len());
        town.find(format!("orders by rows, by the log and by the answers: {counts:?}"));
    }
    for sheet in &sheets {
        let order: &Order = &sheet.order;
        town.count(&format!("order ends {:?} {:?}", order.status, order.leg));
        let Some(fold) = read.folds.get(&order.id) else {
            town.find(format!("{} is not in the log", order.id));
            continue;
        };
        for what in fold.differs(&full_order(sheet)) {
            town.find(format!("{}: {what}", order.id));
        }
        let timer = timers.remove(&order.id.uuid());
        let due = order.due();
        if timer.is_some() != (due.is_some() || order.is_watched()) {
            let stands = (order.status, order.leg);
            town.find(format!("{}: {timer:?}, due {due:?}, {stands:?}", order.id));
        }
        if due.is_some_and(|due| timer.is_some_and(|timer| timer > due)) {
            town.find(format!("{}: {timer:?} is later than {due:?}", order.id));
        }
        // The clock of all may have gone on since it was run dry.
        if due.is_some_and(|due| due <= now) && timer.is_none_or(|timer| timer > now) {
            town.find(format!("{}: overdue since {due:?}, and nobody will look", order.id));
        }
    }
    if !timers.is_empty() {
        town.find(format!("timers of nothing: {timers:?}"));
    }
}

/// Each party's part of the log is what of it concerns the party.
async fn check_parts(town: &Town<'_>, read: &Read) {
    let whole = |wanted: &dyn Fn(&LogEvent) -> bool| -> Vec<u64> {
        read.events.iter().filter(|it| wanted(it)).map(|it| it.position).collect()
    };
    for store in &town.stores {
        let id: StoreId = store.id.parse().unwrap();
        let part = events(town, Scope::Store(id)).await;
        let part: Vec<u64> = part.iter().map(|it| it.position).collect();
        if part != whole(&|event| event.store == Some(id)) {
            town.find(format!("another part of the log for {id}"));
        }
    }
    for driver in &town.drivers {
        let id: DriverId = driver.id.parse().unwrap();
        let part = events(town, Scope::Driver(id)).await;
        let part: Vec<u64> = part.iter().map(|it| it.position).collect();
        if part != whole(&|event| event.driver == Some(id) || event.prior_driver == Some(id)) {
            town.find(format!("another part of the log for {id}"));
        }
    }
    for order in read.folds.keys() {
        let part = events(town, Scope::Order(*order)).await;
        let part: Vec<u64> = part.iter().map(|it| it.position).collect();
        if part != whole(&|event| event.order == Some(*order)) {
            town.find(format!("another part of the log for {order}"));
        }
    }
}

/// What must hold of the whole log.
pub async fn check_all(world: &World, found: &RefCell<Vec<String>>) {
    let client = world.database.connect().await;
    let query = "select count(*), min(position), max(position), (select last from log_head),
                        count(*) filter (where tenant_id is null)
                 from events";
    let row = client.query_one(query, &[]).await.unwrap();
    let number = |nth: usize| row.try_get::<_, i64>(nth).unwrap();
    let (count, first, last, head) = (number(0), number(1), number(2), number(3));
    if (first, last, head) != (1, count, count) || number(4) != 0 {
        let what = format!("{count} events from {first} to {last}, the head at {head}");
        found.borrow_mut().push(what);
    }
}

/// What evenings are about must have happened in them.
pub fn check_variety(world: &World, evenings: u64) {
    let tally = world.tally.borrow();
    let often = |what: &str| tally.get(what).copied().unwrap_or_default();
    let often_enough = |whats: &[&str]| {
        for what in whats {
            assert!(often(what) > 0, "{what} never happened");
        }
    };
    // What happens some five times in sixteen evenings may not happen in them at all.
    if evenings >= 128 {
        often_enough(&[
            "order.failed",
            "order.returning",
            "order.returned",
            "order.redelivery",
            "courier.at_store",
            "courier.at_door",
            "courier.near",
            "driver.deleted",
            "store.paused",
            "order.assign driver_at_capacity",
        ]);
    }
    // A run of one evening is one of whatever it is.
    if evenings < 16 {
        return;
    }
    often_enough(&[
        "order.placed",
        "order.scheduled",
        "order.accepted",
        "order.rejected",
        "order.cancelled",
        "order.preparing",
        "order.ready",
        "order.unready",
        "order.prep_changed",
        "order.picked_up",
        "order.delivered",
        "order.updated",
        "order.eta",
        "order.late",
        "order.noted",
        "courier.searching",
        "courier.search_failed",
        "courier.assigned",
        "courier.changed",
        "courier.unassigned",
        "offer.sent",
        "offer.closed",
        "driver.duty",
        "offer.accept ok",
        "offer.decline ok",
        "offer.accept offer_closed",
        "driver.route ok",
        "a repeat answered the same",
        "snapshots",
        "elapse: changed",
        "elapse: nothing",
    ]);
}
