// The dispatcher's board: every open order of the tenant as a card in the column of its status,
// oldest first.
//
// Events only mark an order as changed; once a frame the marked cards are brought up to date, so
// a burst costs one layout and an unchanged card costs nothing.

import { fold, isFinished, moves } from "./fold.js";
import { ago, byId, clock, daySpanOf, minutes, run, setText, zoneOf } from "./page.js";

const CHANNEL = "dispatch";
/** How long a finished order stays to be seen, in milliseconds. */
const LINGER = 6_000;
/** Between two looks at ages, in milliseconds: a minute turns at most this late. */
const TICK = 5_000;

const COLUMN = {
  placed: "placed",
  accepted: "preparing",
  preparing: "preparing",
  ready: "ready",
  picked_up: "courier",
  returning: "courier",
  scheduled: "scheduled",
};

const FINISH = {
  delivered: ["✓", "Delivered"],
  rejected: ["✕", "Rejected"],
  cancelled: ["✕", "Cancelled"],
  failed: ["✕", "Failed"],
  returned: ["↩", "Returned"],
};

const LEG = {
  none: ["○", "no courier"],
  offering: ["◌", "searching a courier"],
  assigned: ["→", "to the store"],
  at_store: ["■", "at the store"],
  en_route: ["→", "to the customer"],
  at_door: ["■", "at the door"],
};

/** Cards by order id, and columns: each a sorted list of cards and where they are drawn. */
const cards = new Map();
const columns = new Map();
const changed = new Set();
let client = null;
let frame = 0;
let truncated = false;

for (const section of document.querySelectorAll("[data-column]")) {
  const name = section.dataset.column;
  columns.set(name, {
    section,
    list: section.querySelector("ol"),
    empty: section.querySelector(".empty"),
    counts: document.querySelectorAll(`[data-count="${name}"]`),
    cards: [],
  });
}
const template = byId("card").content.firstElementChild;

run((newClient) => {
  client = newClient;
  for (const card of [...cards.values()]) remove(card);
  client.subscribe(CHANNEL, { onSnapshot: replace, onEvent: apply });
});

setInterval(tick, TICK);
document.addEventListener("visibilitychange", tick);

/** Everything is as the snapshot says. */
function replace(snapshot) {
  clock.set(snapshot.at);
  truncated = snapshot.truncated === true;
  const there = new Set();
  for (const order of snapshot.orders) {
    there.add(order.id);
    show(order);
  }
  for (const card of cards.values()) {
    if (!there.has(card.order.id) && !isFinished(card.order)) remove(card);
  }
  byId("truncated").hidden = !truncated;
  document.body.dataset.loaded = "yes";
  redraw();
}

function apply(event) {
  if (!event.order) return;
  const known = cards.get(event.order)?.order;
  const order = fold(known, event);
  if (order) {
    if (order !== known) show(order);
  } else if (moves(event) && !truncated) {
    // We should have known it.
    client.renew(CHANNEL);
  }
}

function show(order) {
  let card = cards.get(order.id);
  if (!card) {
    const element = template.cloneNode(true);
    const part = (name) => element.querySelector(`.${name}`);
    const parts = {};
    for (const name of ["code", "age", "store", "items", "icon", "leg", "late"]) {
      parts[name] = part(name);
    }
    parts.code.href = `order#order=${encodeURIComponent(order.id)}`;
    card = { element, parts, order, column: null, key: "", leaving: 0 };
    cards.set(order.id, card);
  }
  card.order = order;
  if (isFinished(order)) {
    card.leaving ||= setTimeout(() => remove(card), LINGER);
  } else if (card.leaving) {
    clearTimeout(card.leaving);
    card.leaving = 0;
  }
  changed.add(card);
  redraw();
}

function remove(card) {
  clearTimeout(card.leaving);
  cards.delete(card.order.id);
  changed.delete(card);
  take(card);
  redraw();
}

function redraw() {
  frame ||= requestAnimationFrame(draw);
}

function draw() {
  frame = 0;
  const now = clock.now();
  for (const card of changed) {
    changed.delete(card);
    try {
      place(card);
      paint(card, now);
    } catch (failure) {
      // One order that cannot be shown must not hide the others.
      console.error(failure);
      remove(card);
    }
  }
  let open = 0;
  for (const [name, column] of columns) {
    const count = column.cards.filter((card) => !isFinished(card.order)).length;
    open += count;
    for (const element of column.counts) setText(element, String(count));
    column.empty.hidden = column.cards.length > 0;
    if (name === "scheduled") {
      column.section.hidden = count === 0;
      byId("count-scheduled").hidden = count === 0;
    }
  }
  setText(byId("open"), String(open));
  document.title = `${open} open · Board · ordercast`;
}

const since = ({ stamps, release_at }) => stamps.placed ?? release_at ?? stamps.created;

/** Puts a card where it belongs: its column, after those that are older. */
function place(card) {
  const { order } = card;
  // A finished order stays where it was for its last moment; if it was nowhere, it has none.
  const name = isFinished(order) ? card.column : COLUMN[order.status];
  if (!name) return remove(card);
  const key = `${since(order)} ${order.id}`;
  if (name === card.column && key === card.key) return;
  const { activeElement } = document;
  const focused = card.element.contains(activeElement);
  const arrived = card.column !== null;
  take(card);
  const column = columns.get(name);
  const nth = search(column.cards, key);
  column.cards.splice(nth, 0, card);
  column.list.insertBefore(card.element, column.cards[nth + 1]?.element ?? null);
  [card.column, card.key] = [name, key];
  if (focused) activeElement.focus({ preventScroll: true });
  if (arrived) card.element.dataset.moved = "yes";
}

/** Takes a card from its column. */
function take(card) {
  card.element.remove();
  if (!card.column) return;
  const list = columns.get(card.column).cards;
  list.splice(search(list, card.key), 1);
  card.column = null;
}

/** Where in a sorted list of cards `key` is, or would be. */
function search(list, key) {
  let [low, high] = [0, list.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (list[middle].key < key) low = middle + 1;
    else high = middle;
  }
  return low;
}

function paint(card, now) {
  const { order, parts, element } = card;
  const count = order.items.reduce((sum, { qty }) => sum + qty, 0);
  setText(parts.code, order.short_code);
  setText(parts.store, order.store.name);
  const [icon, words] = standing(order);
  setText(parts.items, `${count} ${count === 1 ? "item" : "items"}${note(order)}`);
  setText(parts.icon, icon);
  setText(parts.leg, words);
  element.classList.toggle("finished", isFinished(order));
  paintTimes(card, now);
}

/** What a column does not say by itself. */
function note({ status }) {
  if (status === "accepted") return " · accepted, not started";
  if (status === "returning") return " · returning";
  return "";
}

/** Who has the order, or will have it. */
function standing(order) {
  if (isFinished(order)) return FINISH[order.status];
  if (order.status === "scheduled" && order.window) {
    const { window: { from, to }, store: { tz } } = order;
    return ["◷", `${daySpanOf(from, to, tz)} ${zoneOf(from, tz)}`.trim()];
  }
  if (order.fulfilment === "collection") return ["⌂", "customer collects"];
  if (order.fulfilment === "store_delivery") return ["⌂", "store delivers"];
  const [icon, where] = LEG[order.leg] ?? ["", order.leg];
  const back = order.status === "returning" ? "back to the store" : where;
  return order.driver ? [icon, `${order.driver.display_name ?? order.driver.name} · ${back}`] : [icon, where];
}

/** What changes by itself as time passes. */
function paintTimes({ order, parts }, now) {
  if (isFinished(order)) {
    setText(parts.age, "");
    setText(parts.late, "");
    return;
  }
  const age = now - Date.parse(since(order));
  setText(parts.age, order.status === "scheduled" ? "" : minutes(age));
  const due = dueOf(order);
  const late = due ? now - Date.parse(due[1]) : -1;
  setText(parts.late, late >= 60_000 ? `▲ ${due[0]} ${ago(late)} late` : "");
}

/** What is expected next of an order, and when. */
function dueOf(order) {
  const due = {
    placed: ["answer", order.accept_by],
    accepted: ["kitchen", order.ready_eta],
    preparing: ["kitchen", order.ready_eta],
    picked_up: ["delivery", order.dropoff_eta_hi ?? order.dropoff_eta],
  }[order.status];
  return due?.[1] ? due : null;
}

function tick() {
  if (document.visibilityState === "hidden") return;
  const now = clock.now();
  for (const card of cards.values()) paintTimes(card, now);
}
