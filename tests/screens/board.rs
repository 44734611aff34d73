//! The dispatch board with 2,000 orders that change and 2,000 couriers that move: how long frames
//! take.

use std::time::Duration;

use futures::future::{Either, join_all, select};
use futures::{StreamExt as _, stream};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::time::interval;

use crate::page::{Page, Screen};
use crate::stage::Stage;
use crate::support::Rest;

const ORDERS: usize = 2_000;
const COURIERS: usize = 2_000;
const STORES: usize = 40;
/// Calls at once while the city is built.
const AT_ONCE: usize = 8;
/// Items of one bulk request.
const BULK: usize = 500;
/// How long frames are looked at, in milliseconds.
const WATCH_MS: u32 = 6_000;
/// Each courier says where it is as often: what a dispatcher is sent at most.
const EVERY: Duration = Duration::from_secs(10);
/// Between two orders' changes: some 20 a second, as in the peak minute of a large city.
const CHANGE: Duration = Duration::from_millis(250);
/// Half of the frames may take no more; 60 a second are 16.7 ms each, where nobody else is at work.
const HALF_MS: f64 = 40.0;
/// What a frame may take of a processor: the page's own part of those 16.7 ms.
const WORK_MS: f64 = 25.0;
/// All frames but one in twenty. Most of it is others', where the tests share processors with them.
const MOST_MS: f64 = 150.0;

/// What the board hears at least meanwhile: a quarter of what is meant, where the processors are
/// others'.
const MOVES: u64 = 300;
const CHANGES: u64 = 30;

const FRAMES: &str = "return new Promise((resolve) => {
    const frames = [];
    let [first, last] = [0, 0];
    const look = (time) => {
      if (last) frames.push(time - last);
      else first = time;
      last = time;
      if (time - first < span) requestAnimationFrame(look);
      else resolve(frames);
    };
    requestAnimationFrame(look);
  });";

/// Counts what the page's socket brings: places of couriers, and events of orders.
const COUNT: &str = "window.heard = { places: 0, events: 0 };
  window.WebSocket = class extends WebSocket {
    constructor(...all) {
      super(...all);
      this.addEventListener('message', ({ data }) => {
        for (const line of data.split('\\n')) {
          if (line.includes('\"driver.location\"')) heard.places += 1;
          else if (line.includes('\"order.')) heard.events += 1;
        }
      });
    }
  };";

/// Where the nth thing of a large city is.
fn place(nth: usize) -> (f64, f64) {
    let part = |step: usize| f64::from(u32::try_from(nth * step % 1_000).unwrap());
    (52.45 + part(37) / 7_000.0, 13.25 + part(61) / 3_500.0)
}

/// A courier, and how often it has said where it is.
struct Mover {
    rest: Rest,
    nth: usize,
    said: f64,
}

impl Mover {
    async fn say(&mut self) {
        let turn = self.said / 3.0 + f64::from(u32::try_from(self.nth).unwrap());
        let (lat, lng) = place(self.nth);
        let (lat, lng) = (lat + 0.0004 * turn.sin(), lng + 0.0004 * turn.cos());
        let now = Timestamp::now();
        let body = json!({"p": [[now.as_millisecond(), now.to_string(), lat, lng, 10, 90, 5]]});
        self.rest.post("/v1/drivers/me/locations", body).await.expect(200);
        self.said += 1.0;
    }
}

/// What a bulk request did with its items, each of which must have succeeded.
async fn bulk(who: &Rest, path: &str, name: &str, all: &[Value]) -> Vec<Value> {
    let mut done = Vec::new();
    for items in all.chunks(BULK) {
        let mut answer = who.post(path, json!({name: items})).await.expect(200);
        let results = answer["results"].take();
        let results = results.as_array().unwrap();
        assert!(
            results.iter().all(|one| one["status"].as_u64() < Some(300)),
            "{path}: {results:?}"
        );
        done.extend_from_slice(results);
    }
    done
}

async fn movers(stage: &Stage) -> (Vec<String>, Vec<Mover>) {
    let hired = stream::iter(0..COURIERS).map(async |nth| {
        let id = stage.city.new_driver(json!({"name": format!("Courier {nth}")})).await;
        let token = stage.city.token("driver", &id, &[]).await;
        let mut mover = Mover { rest: stage.city.platform.with_token(&token), nth, said: 0.0 };
        mover.say().await;
        (id, mover)
    });
    hired.buffered(AT_ONCE).collect::<Vec<_>>().await.into_iter().unzip()
}

/// Orders in every column: the first are waiting, the last on their way.
async fn orders(stage: &Stage, couriers: &[String]) -> Vec<String> {
    let stores = (0..STORES).map(async |nth| {
        let (lat, lng) = place(nth * 17);
        let body = json!({"name": format!("Store {nth}"), "lat": lat, "lng": lng});
        stage.city.new_store(body).await
    });
    let stores = join_all(stores).await;
    let bodies = (0..ORDERS).map(|nth| {
        let (lat, lng) = place(nth * 13);
        let address = format!("Elm St {nth}, Berlin");
        stage.city.order_body(json!({
            "store": stores[nth % STORES],
            "dropoff": {"name": format!("Guest {nth}"), "address": address, "lat": lat, "lng": lng},
        }))
    });
    let bodies: Vec<Value> = bodies.collect();
    let placed = bulk(&stage.city.platform, "/v1/orders/bulk", "orders", &bodies).await;
    let ids = placed.iter().map(|one| one["order"]["id"].as_str().unwrap().to_owned());
    let ids: Vec<String> = ids.collect();
    let items = |from: usize, more: fn(usize, &[String]) -> Value| -> Vec<Value> {
        let items = ids[from..].iter().enumerate();
        let item = |(nth, id): (usize, &String)| {
            crate::support::merged(json!({"order": id}), more(nth, couriers))
        };
        items.map(item).collect()
    };
    let ops = &stage.ops;
    bulk(ops, "/v1/orders/bulk/accept", "items", &items(300, |_, _| json!({"prep_min": 30}))).await;
    let assigned = items(600, |nth, couriers| json!({"driver": couriers[nth]}));
    bulk(ops, "/v1/orders/bulk/assign", "items", &assigned).await;
    bulk(ops, "/v1/orders/bulk/ready", "items", &items(1_000, |_, _| json!({}))).await;
    bulk(ops, "/v1/orders/bulk/pickup", "items", &items(1_400, |_, _| json!({}))).await;
    ids
}

/// All move, and orders are ready and then are not, for as long as it is awaited.
async fn live(stage: &Stage, movers: &mut [Mover], orders: &[String]) {
    let count = u32::try_from(movers.len()).unwrap();
    let moving = async {
        let mut pace = interval(EVERY / count * 8);
        // Some at once, as they come to a server.
        for nth in (0..movers.len()).step_by(8).cycle() {
            pace.tick().await;
            let some = movers[nth..].iter_mut().take(8).map(Mover::say);
            join_all(some).await;
        }
    };
    let changing = async {
        let mut pace = interval(CHANGE);
        for (nth, some) in orders[1_000..1_400].chunks(5).cycle().enumerate() {
            pace.tick().await;
            let items: Vec<Value> = some.iter().map(|order| json!({"order": order})).collect();
            let action = if nth % 160 < 80 { "unready" } else { "ready" };
            bulk(&stage.ops, &format!("/v1/orders/bulk/{action}"), "items", &items).await;
        }
    };
    futures::join!(moving, changing);
}

/// What the page's thread has worked until now, in seconds of a processor.
async fn busy(page: &Page) -> f64 {
    let metrics = page.devtools("Performance.getMetrics", json!({})).await;
    let all = metrics["metrics"].as_array().unwrap();
    all.iter().find(|one| one["name"] == "TaskDuration").unwrap()["value"].as_f64().unwrap()
}

/// Looks at frames for a while, and holds them against the bounds.
#[expect(clippy::print_stdout, reason = "numbers for those who ask")]
async fn measure(page: &Page, what: &str) {
    page.run("Object.assign(heard, { places: 0, events: 0 })").await;
    let before = busy(page).await;
    let frames = page.call(&["span"], FRAMES, vec![json!(WATCH_MS)]).await;
    let work = busy(page).await - before;
    let heard = page.run("heard").await;
    let mut frames: Vec<f64> = serde_json::from_value(frames).unwrap();
    frames.sort_by(f64::total_cmp);
    let half = frames[frames.len() / 2];
    let most = frames[frames.len() * 19 / 20];
    let work_ms = work * 1_000.0 / f64::from(u32::try_from(frames.len()).unwrap());
    let line = format!(
        "{what}: {} frames, half within {half:.1} ms, 95 % within {most:.1} ms, longest {:.1} ms, \
         {work_ms:.1} ms of work each, {} places and {} events heard",
        frames.len(),
        frames[frames.len() - 1],
        heard["places"],
        heard["events"],
    );
    println!("{line}");
    assert!(
        heard["places"].as_u64() > Some(MOVES) && heard["events"].as_u64() > Some(CHANGES),
        "{line}"
    );
    assert!(half <= HALF_MS && most <= MOST_MS && work_ms <= WORK_MS, "{line}");
}

#[actix_web::test]
async fn a_board_stays_smooth_while_thousands_move() {
    let stage = Stage::set().await;
    let (couriers, mut movers) = movers(&stage).await;
    let orders = orders(&stage, &couriers).await;
    let page = stage.blank(Screen::Desk).await;
    page.devtools("Page.enable", json!({})).await;
    page.devtools("Page.addScriptToEvaluateOnNewDocument", json!({"source": COUNT})).await;
    stage.enter_on(&page, "/dispatch", &stage.city.ops_token().await).await;
    // By the time of the processor, as others may use it too.
    page.devtools("Performance.enable", json!({"timeDomain": "threadTicks"})).await;
    let open = format!("document.getElementById('open').textContent === '{ORDERS}'");
    page.until("all orders are there", &open).await;
    let there = format!("Number(document.getElementById('crew-count').textContent) >= {COURIERS}");
    page.until("all couriers are there", &there).await;
    let look = async {
        measure(&page, "all couriers in view, as circles").await;
        // Nearer, so that single markers glide.
        for _ in 0..2 {
            page.click(".plot-hands button").await;
        }
        measure(&page, "nearer, single couriers").await;
        // A list that is scrolled meanwhile, 2,300 pixels a second.
        let scroll = "setInterval(() => {
            const box = document.querySelector('.lane[data-column=\"courier\"] .lane-box');
            box.scrollTop = (box.scrollTop + 37) % 40000;
          }, 16)";
        page.run(scroll).await;
        measure(&page, "scrolled").await;
        let cards = page.run("document.querySelectorAll('.ticket').length").await;
        assert!(cards.as_u64() < Some(150), "{cards} cards are there, which are not all in sight");
    };
    let living = live(&stage, &mut movers, &orders);
    match select(Box::pin(look), Box::pin(living)).await {
        Either::Left(..) => {}
        Either::Right(..) => unreachable!("it goes on for ever"),
    }
    stage.server.stop().await;
}
