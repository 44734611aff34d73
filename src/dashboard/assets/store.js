// The store's tablet: what rings, what is cooked, what waits, what is on its way. Everything it
// shows is folded from the events of the store's channel; everything it does is a call that goes
// through the outbox, so that a tap is neither lost nor done twice.

import { keepAwake } from "./awake.js";
import { fold, isFinished, moves } from "./fold.js";
import { holding } from "./holding.js";
import { Outbox } from "./outbox.js";
import { byId, claimsOf, clock, daySpanOf, minutes, run, setText, timeOf } from "./page.js";
import { ask, begin as beginProofs } from "./prove.js";
import { Sound } from "./sound.js";
import { proved } from "./stops.js";
import { Alerts } from "./store_alerts.js";
import { Call, HURRY } from "./store_call.js";
import { Detail, nextOf } from "./store_order.js";
import { approachOf, carrierOf, drawBadges, drawDue, drawItems, lateBy, setIcon, wayOf, whoOf } from "./store_words.js";
import { send } from "./upload.js";

/** Between two looks at what time alone changes, in milliseconds. */
const TICK = 1_000;
/** Lines of an order on its card. */
const LINES = 4;
/** Orders in a row that nobody answered, after which the store pauses itself, and for how long. */
const MISSES = 3;
const PAUSE = 30 * 60_000;
/** How old a courier's place may be to be told, in milliseconds. */
const FRESH = 60_000;

const LANES = ["preparing", "ready", "courier", "scheduled"];

const orders = new Map();
const cards = new Map();
/** Where couriers were heard to be: id to `{ lat, lng, at }`. */
const places = new Map();
const outbox = new Outbox("ordercast.store.taps");
const sound = new Sound("ordercast.store.muted");
const alerts = new Alerts("ordercast.store.alerts", byId("alerts"));
const call = new Call({ answer: act, onAside: redraw });
const detail = new Detail({ act, go });
let store = null;
let client = null;
let frame = 0;
let truncated = false;
let misses = 0;
/** Orders that were told to be running out of time. */
const hurried = new Set();

run((newClient, _order, token) => {
  client = newClient;
  const { sub, role } = claimsOf(token);
  if (!sub?.startsWith("st_") || (role && role !== "store")) return "This is not the token of a store.";
  // What was kept for another store is none of this one's.
  if (alerts.belongTo(sub)) {
    outbox.clear();
    for (const id of [...orders.keys()]) drop(id);
    store = null;
  }
  store ??= { id: sub };
  outbox.client = { call: (method, data) => send(newClient, token, method, data) };
  client.subscribe(`store:${sub}`, { onSnapshot: (snapshot) => replace(snapshot, token), onEvent: apply });
}, { name: "store", lasting: true, onState: connected });

function connected({ name }) {
  keepAwake(name !== "ended");
  byId("tools").hidden = name === "ended";
  if (name === "live") outbox.flush();
  redraw();
}

/** Everything is as the snapshot says. */
function replace(snapshot, token) {
  clock.set(snapshot.at);
  store = snapshot.store;
  truncated = snapshot.truncated === true;
  const there = new Set(snapshot.orders.map(({ id }) => id));
  for (const id of new Set([...alerts.watched, ...orders.keys()])) {
    if (!there.has(id) && !truncated) {
      missed(id, token);
      drop(id);
    }
  }
  const known = new Set(orders.keys());
  for (const order of snapshot.orders) orders.set(order.id, order);
  for (const place of snapshot.locations ?? []) locate(place);
  byId("truncated").hidden = !truncated;
  document.body.dataset.loaded = "yes";
  const fresh = ringing().filter(({ id }) => !known.has(id));
  if (fresh.length > 0) sayNew(fresh[0]);
  redraw();
}

/** What was being cooked and is gone: was it called off while nobody here could hear it? */
async function missed(id, token) {
  if (!alerts.watched.has(id)) return;
  alerts.unwatch(id);
  try {
    const answer = await fetch(`v1/orders/${id}`, { headers: { authorization: `Bearer ${token}` } });
    if (!answer.ok) return;
    const order = await answer.json();
    if (order.status === "cancelled" && order.reason?.by !== "store") cancelled(order, order.reason);
  } catch {
    // The next snapshot asks no more; the order is gone from the columns all the same.
  }
}

function apply(event) {
  if (event.type === "driver.location") return locate(event.data ?? event);
  if (event.type === "store.paused") {
    store = { ...store, paused_until: event.data.until ?? undefined };
    return redraw();
  }
  if (!event.order) return;
  const known = orders.get(event.order);
  const { type, data = {} } = event;
  const order = type === "proof.added" && known ? { ...proved(known, data.point, data.kind), version: event.n } : fold(known, event);
  if (!order) {
    // We should have known it.
    if (moves(event) && !truncated) client.renew(`store:${store.id}`);
    return;
  }
  if (order === known) return;
  tell(event, known, order);
  if (isFinished(order)) drop(order.id);
  else orders.set(order.id, order);
  redraw();
}

/** Says aloud what somebody has to know. */
function tell(event, known, order) {
  const byUs = event.by?.role === "store";
  switch (event.type) {
    case "order.placed":
      sayNew(order);
      break;
    case "order.accepted":
      misses = 0;
      // The store accepts by itself: then it did not ring.
      if (event.by?.role === "system") sound.chime();
      break;
    case "order.rejected":
      miss(event);
      break;
    case "order.cancelled":
      if (!byUs && known && !["scheduled", "placed"].includes(known.status)) cancelled(order, event.data);
      else if (!byUs && known?.status === "placed") setText(byId("announce"), `${order.short_code} was cancelled.`);
      break;
    case "order.prep_changed":
      if (byUs) break;
      sound.alarm();
      alerts.put({
        id: event.id, tone: "warn", title: `${order.short_code}: another time`,
        text: `Dispatch needs it at ${timeOf(order.ready_eta, order.store.tz)}.${event.data.why ? ` ${event.data.why}` : ""}`,
        done: "Understood",
      });
      setText(byId("announce"), `${order.short_code} is now to be ready at ${timeOf(order.ready_eta, order.store.tz)}.`);
      break;
    case "courier.at_store":
      setText(byId("announce"), `${order.driver?.name ?? "The courier"} is here for ${order.short_code}.`);
      break;
    case "order.returning":
      setText(byId("announce"), `${order.short_code} comes back to the store.`);
      break;
  }
}

function sayNew(order) {
  const count = order.items.reduce((sum, { qty }) => sum + qty, 0);
  setText(byId("alarm"), `New order ${order.short_code}, ${count} ${count === 1 ? "item" : "items"}.`);
}

function cancelled(order, why) {
  sound.alarm();
  alerts.cancelled(order, why);
  setText(byId("alarm"), `Order ${order.short_code} is cancelled. Stop preparing it.`);
  redraw();
}

/** Orders that nobody answered, one after the other: then nobody is there, and no more shall come. */
function miss(event) {
  if (event.data.code !== "no_response") {
    misses = 0;
    return;
  }
  misses += 1;
  const isOpen = !store.paused_until || Date.parse(store.paused_until) <= clock.now();
  if (misses < MISSES || !isOpen) return;
  misses = 0;
  const until = new Date(Date.parse(event.at) + PAUSE).toISOString();
  alerts.pausedUntil = until;
  // The same from every tablet of the store: it is done once.
  outbox.put("store.pause", { until }, "store", `no-answer-${event.id}`);
}

function locate({ driver, lat, lng, at }) {
  if (!driver || !(Date.parse(at) >= (places.get(driver)?.at ?? 0))) return;
  places.set(driver, { lat, lng, at: Date.parse(at) });
  redraw();
}

function drop(id) {
  orders.delete(id);
  hurried.delete(id);
  alerts.unwatch(id);
  const card = cards.get(id);
  cards.delete(id);
  card?.element.remove();
  if (detail.id === id) detail.close();
}

/** Takes a tap. */
function act(method, order, data) {
  const at = new Date(clock.now()).toISOString();
  if (!outbox.put(method, { order: order.id, at, ...data }, order.id)) {
    refused({ about: order.id }, { message: "Too much waits to be sent." });
  }
  redraw();
}

/** Takes the next step of an order, with the proofs that it needs. */
function go(order, { method, words, point, kinds = [] }) {
  if (kinds.length === 0) return act(method, order, {});
  ask(kinds, point, words, (proofs, pin) => {
    for (const proof of proofs) act("proof.add", order, proof);
    act(method, order, pin ? { pin } : {});
  });
}

/**
 * A tap was done: the order as it stands after it. Its event may come later than this answer, and
 * until then the order would ring once more.
 */
function done({ method, about }, answer) {
  if (method === "order.accept" || method === "order.reject") misses = 0;
  const known = orders.get(about);
  if (!known || answer?.id !== about || !(answer.version > known.version)) return;
  if (isFinished(answer)) drop(about);
  else orders.set(about, answer);
}

function refused({ about, method }, why) {
  const order = orders.get(about);
  // Somebody else did it first, or it is over: the columns say what is so.
  const name = order?.short_code ?? (about === "store" ? "Store" : "An order");
  alerts.put({
    id: `${about}-${method}`, tone: "warn", title: `${name}: this did not work`,
    text: why.word === "pin_wrong" ? "The code is not right. Ask again." : why.message || "Try again.",
    done: "Understood",
  });
  redraw();
}

beginProofs();
outbox.onChange = redraw;
outbox.onDone = done;
outbox.onRefused = refused;
sound.onChange = redraw;
alerts.onChange = redraw;
setInterval(redraw, TICK);
document.addEventListener("visibilitychange", redraw);

byId("sound").addEventListener("click", () => (sound.state === "on" ? sound.turnOff() : sound.turnOn()));
for (const id of ["unmute", "call-unmute"]) byId(id).addEventListener("click", () => sound.turnOn());
byId("ringing").addEventListener("click", () => call.open());
byId("pause").addEventListener("click", () => byId("pausing").showModal());
byId("pausing-no").addEventListener("click", () => byId("pausing").close());
byId("pausing-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const span = Number(new FormData(event.target).get("span"));
  const until = new Date(clock.now() + span * 60_000).toISOString();
  outbox.put("store.pause", { until }, "store");
  byId("pausing").close();
});
byId("resume").addEventListener("click", () => outbox.put("store.pause", {}, "store"));

/** Orders that ring: nobody has answered, here or on another tablet. */
const ringing = () => [...orders.values()]
  .filter(({ id, status }) => status === "placed" && outbox.about(id).length === 0)
  .sort((a, b) => Date.parse(a.accept_by) - Date.parse(b.accept_by));

function redraw() {
  if (document.visibilityState === "hidden") draw();
  else frame ||= requestAnimationFrame(draw);
}

function draw() {
  cancelAnimationFrame(frame);
  frame = 0;
  if (!store?.name) return;
  const now = clock.now();
  holding(() => {
    drawHead(now);
    drawRinging(now);
    drawCouriers(now);
    drawLanes(now);
  }, heirOf);
  const shown = orders.get(detail.id);
  if (shown) detail.show(shown, outbox.about(shown.id));
}

function drawHead(now) {
  setText(byId("name"), store.name);
  const until = store.paused_until && Date.parse(store.paused_until) > now ? store.paused_until : null;
  const waits = outbox.about("store").length > 0;
  setText(byId("standing"), until ? `Paused until ${timeOf(until, store.tz)}` : "Open for orders");
  byId("standing").dataset.tone = until ? "bad" : "good";
  byId("pause").hidden = Boolean(until);
  byId("pause").disabled = waits;
  byId("resume").disabled = waits;
  byId("paused").hidden = !until;
  if (until) {
    const byItself = alerts.pausedUntil === until;
    setText(byId("paused-title"), byItself ? "Paused by itself" : "Paused");
    const left = minutes(Date.parse(until) - now + 59_999);
    setText(byId("paused-text"), `${byItself ? `${MISSES} orders were not answered. ` : ""}No new orders until ${timeOf(until, store.tz)}, for ${left}.`);
  }
  const { state } = sound;
  setText(byId("sound").lastElementChild, state === "on" ? "Sound on" : "Sound off");
  setIcon(byId("sound").firstElementChild, state === "on" ? "bell" : "bell-off");
  byId("sound").dataset.state = state;
  byId("mute").hidden = state === "on";
  byId("call-mute").hidden = state === "on";
}

function drawRinging(now) {
  // Who has signed out, or may not see this any more, is not called.
  const isOver = client.state.name === "ended" || byId("content").hidden;
  const waiting = isOver ? [] : ringing();
  call.show(waiting, store.default_prep_min);
  call.tick();
  sound.ring(waiting.length > 0);
  byId("ringing").hidden = waiting.length === 0 || !call.isAside;
  if (waiting.length > 0) {
    const left = Date.parse(waiting[0].accept_by) - now;
    setText(byId("ringing-title"), waiting.length === 1 ? "1 new order waits" : `${waiting.length} new orders wait`);
    setText(byId("ringing-text"), left > 0 ? `${minutes(left + 59_999)} left to answer` : "time is over");
    for (const { id, short_code, accept_by } of waiting) {
      if (Date.parse(accept_by) - now > HURRY || hurried.has(id)) continue;
      hurried.add(id);
      setText(byId("announce"), `One minute left to answer order ${short_code}.`);
    }
  }
  document.title = waiting.length > 0 ? `● ${waiting.length} new · ${store.name}` : `${store.name} · ordercast`;
}

/** Straight line in metres. */
function metres(a, b) {
  const [x, y] = [(b.lng - a.lng) * Math.cos((a.lat * Math.PI) / 180), b.lat - a.lat];
  return Math.hypot(x, y) * 111_195;
}

function drawCouriers(now) {
  const coming = new Map();
  for (const order of orders.values()) {
    const way = approachOf(order, now);
    if (!way) continue;
    const { driver } = order;
    const entry = coming.get(driver.id) ?? { driver, codes: [], here: false, ready: false, words: way.words, eta: Infinity };
    entry.codes.push(order.short_code);
    entry.here ||= way.here;
    entry.ready ||= order.status === "ready";
    const eta = way.here ? 0 : Date.parse(order.pickup_eta) || Infinity;
    if (eta < entry.eta) [entry.eta, entry.words] = [eta, way.words];
    coming.set(driver.id, entry);
  }
  const list = [...coming.values()].sort((a, b) => a.eta - b.eta);
  byId("couriers").hidden = list.length === 0;
  const view = list.map(({ driver, codes, here, ready, words }) => {
    const { name, rides } = carrierOf(driver);
    const place = places.get(driver.id);
    const far = place && now - place.at < FRESH && !here ? metres(place, store) : NaN;
    const distance = Number.isNaN(far) ? "" : far < 950 ? `${Math.max(10, Math.round(far / 10) * 10)} m` : `${(far / 1_000).toFixed(1)} km`;
    const badge = here ? (ready ? "Here · bring it out" : "Here · waits") : [words, distance].filter(Boolean).join(" · ");
    return [name, badge, here ? (ready ? "good" : "warn") : "", [rides, codes.join(", ")].filter(Boolean).join(" · ")];
  });
  const place = byId("couriers").querySelector("ul");
  const key = JSON.stringify(view);
  if (place.dataset.key === key) return;
  place.dataset.key = key;
  place.replaceChildren(...view.map(([name, badge, tone, rest]) => {
    const line = byId("carrier").content.firstElementChild.cloneNode(true);
    line.querySelector("strong").textContent = name;
    line.querySelector(".badge").textContent = badge;
    line.querySelector(".badge").dataset.tone = tone;
    line.querySelector(".help").textContent = rest;
    return line;
  }));
}

/** Who has the focus after a part that is not there any more. */
function heirOf(part) {
  const after = { pause: "resume", resume: "pause", unmute: "sound", ringing: "pause" }[part.id];
  return after ? byId(after) : part.closest(".slipcard")?.querySelector(".code");
}

/** The column of an order; none for what rings. */
function laneOf({ status, window }) {
  // Accepted long before: it waits for its time.
  if (status === "scheduled" || (status === "accepted" && window)) return "scheduled";
  if (status === "accepted" || status === "preparing") return "preparing";
  if (status === "ready") return "ready";
  return status === "placed" ? null : "courier";
}

/** What is done first stands first. */
function rankOf(order) {
  const { status, window, ready_eta, stamps, dropoff_eta } = order;
  if (status === "returning") return 0;
  const at = status === "scheduled" ? window?.from : status === "picked_up" ? dropoff_eta : status === "ready" ? stamps.ready : ready_eta;
  return Date.parse(at ?? stamps.created);
}

function drawLanes(now) {
  const lanes = new Map(LANES.map((lane) => [lane, []]));
  for (const order of orders.values()) lanes.get(laneOf(order))?.push(order);
  for (const [lane, list] of lanes) {
    list.sort((a, b) => rankOf(a) - rankOf(b) || a.id.localeCompare(b.id));
    for (const count of document.querySelectorAll(`[data-count="${lane}"]`)) setText(count, String(list.length));
    const section = byId(lane);
    section.querySelector(".empty").hidden = list.length > 0;
    section.dataset.empty = list.length === 0 ? "yes" : "no";
    const place = section.querySelector("ol");
    list.forEach((order, nth) => {
      const card = cardOf(order);
      drawCard(card, order, now);
      // Only what stands elsewhere is moved.
      if (place.children[nth] !== card.element) place.insertBefore(card.element, place.children[nth] ?? null);
    });
    while (place.children.length > list.length) place.lastElementChild.remove();
  }
  for (const order of orders.values()) {
    if (["accepted", "preparing", "ready"].includes(order.status)) alerts.watch(order.id);
    else alerts.unwatch(order.id);
  }
}

function cardOf({ id }) {
  let card = cards.get(id);
  if (card) return card;
  const element = byId("card").content.firstElementChild.cloneNode(true);
  const part = (name) => element.querySelector(`.${name}`);
  card = { element, code: part("code"), due: part("due"), when: part("when"), who: part("who"), lines: part("lines"), note: part("slip-note"), carrier: part("carrier"), badges: part("badges"), next: part("next") };
  card.code.addEventListener("click", () => {
    const order = orders.get(id);
    if (order) detail.open(order);
  });
  card.next.addEventListener("click", () => {
    const order = orders.get(id);
    const next = order && nextOf(order);
    if (next?.pin) detail.open(order);
    else if (next) go(order, next);
  });
  cards.set(id, card);
  return card;
}

function drawCard(card, order, now) {
  const late = lateBy(order, now) > 0;
  const lane = laneOf(order);
  card.element.dataset.late = late ? "yes" : "no";
  card.element.dataset.status = order.status;
  setText(card.code, order.status === "ready" ? `✓ ${order.short_code}` : order.short_code);
  card.code.setAttribute("aria-label", `Order ${order.short_code}${late ? ", late" : ""}: all about it`);
  const planned = lane === "scheduled" && order.window;
  card.due.hidden = Boolean(planned);
  card.when.hidden = !planned;
  if (planned) setText(card.when, daySpanOf(order.window.from, order.window.to, order.store.tz));
  else drawDue(card.due, order, now);
  setIcon(card.who.firstElementChild, wayOf(order)[0]);
  setText(card.who.lastElementChild, whoOf(order));
  drawItems(card.lines, order.items, LINES);
  card.note.hidden = !order.note || ["picked_up", "returning"].includes(order.status);
  setText(card.note, order.note ?? "");
  drawCarrier(card.carrier, order, now);
  const waits = outbox.about(order.id).length > 0;
  drawBadges(card.badges, badgesOf(order, waits));
  const next = nextOf(order);
  card.next.hidden = !next || waits;
  if (next) setText(card.next, next.words);
  card.next.className = order.status === "scheduled" || order.status === "accepted" ? "next second" : "next";
}

function drawCarrier(place, order, now) {
  const { driver, status, fulfilment } = order;
  place.hidden = fulfilment !== "delivery" || lanesWithout.has(status);
  const way = approachOf(order, now);
  place.dataset.here = way?.here && status === "ready" ? "yes" : "no";
  const words = driver
    ? `${carrierOf(driver).name}${way ? ` ${way.words}` : status === "picked_up" ? " brings it" : ""}${place.dataset.here === "yes" ? " — bring it out" : ""}`
    : order.leg === "offering" ? "Looking for a courier" : "No courier yet";
  setText(place.lastElementChild, words);
}
const lanesWithout = new Set(["scheduled", "placed"]);

function badgesOf(order, waits) {
  const badges = [];
  if (waits) badges.push(["accent", client?.state.name === "live" ? "Sending…" : "Kept, not sent yet"]);
  if (order.status === "ready" && order.late?.includes("pickup")) badges.push(["warn", "▲ Courier is late"]);
  if (order.status === "returning") badges.push(["bad", "▲ Comes back"]);
  if (order.status === "accepted" && order.window) badges.push(["good", "✓ Accepted"]);
  if (order.status === "scheduled") badges.push(["", "To be accepted"]);
  return badges;
}
