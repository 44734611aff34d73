// What a dispatcher's board knows: open orders, couriers, stores, where couriers are; and what
// follows from it: what is due when, what is late, what needs somebody.
//
// Absent on purpose: nothing here draws, and nothing waits. Times are numbers of milliseconds.

import { fold, isFinished, moves } from "./fold.js";

/** The column of each status; a finished order stays where it was for a moment. */
const COLUMN = {
  scheduled: "scheduled",
  placed: "placed",
  accepted: "preparing",
  preparing: "preparing",
  ready: "ready",
  picked_up: "courier",
  returning: "courier",
};
export const COLUMNS = ["placed", "preparing", "ready", "courier", "scheduled"];

/** How long a finished order stays to be seen. */
export const LINGER = 6_000;
/** From when on something counts as late: the clocks of people differ. */
export const LATE_AFTER = 60_000;
/** How old a courier's point may be until an order's card says so, and until it is an alarm. */
export const GPS_OLD = 60_000;
export const GPS_LOST = 300_000;
/** How long a courier may stand at a door, and an order be ready without one. */
export const DOOR_LONG = 300_000;
const UNCLAIMED = 60_000;
/** A store that is silent is said to be so again after ten minutes at most. */
const SILENT_FOR = 11 * 60_000;
/** Orders that a store turns down in a row until it is an alarm. */
const REJECTED_MAX = 3;
/** What tells how a search went. */
const SEARCH = ["courier.searching", "courier.assigned", "courier.search_failed"];
/** How wide the span of an arrival may be until it counts as unsure. */
const WIDE = 20 * 60_000;

const time = (at) => (at ? Date.parse(at) : NaN);

/** What is expected next of an order, and when: `{what, at}`, or null. */
export function dueOf(order) {
  const [what, at] = {
    scheduled: ["release", order.release_at],
    placed: ["answer", order.accept_by],
    accepted: ["ready", order.ready_eta],
    preparing: ["ready", order.ready_eta],
    ready: order.fulfilment === "collection"
      ? [] : ["pickup", order.pickup_eta ?? order.ready_eta ?? order.stamps?.ready],
    picked_up: ["delivery", order.dropoff_eta_hi ?? order.dropoff_eta],
  }[order.status] ?? [];
  return at ? { what, at: time(at) } : null;
}

/** The kind of lateness that an order's status is about. */
const LATE_KIND = {
  placed: "accept", accepted: "prep", preparing: "prep", ready: "pickup", picked_up: "delivery",
};

/** How late an order is now, or 0. */
export function lateness(entry, now) {
  const { order, due } = entry;
  if (isFinished(order) || order.status === "scheduled") return 0;
  const over = due ? now - due.at : 0;
  if (over >= LATE_AFTER) return over;
  return order.late?.includes(LATE_KIND[order.status]) ? Math.max(over, 1) : 0;
}

/** Since when an order is there. */
export const sinceOf = ({ stamps }) => time(stamps.placed ?? stamps.created);

/** Whether a courier of ours brings it. */
export const isOurs = (order) => order.fulfilment === "delivery";

/** Whether an order waits for a courier. */
export const isUnassigned = (order) =>
  isOurs(order) && !order.driver && ["accepted", "preparing", "ready"].includes(order.status);

/** The board. `onChange(entry | null)` hears which order has changed, or that all may have. */
export class Fleet {
  /** Orders by id: `{order, column, due, key, failed, gone}`. */
  entries = new Map();
  /** Couriers by id, as the API lists them. */
  couriers = new Map();
  stores = new Map();
  /** Where couriers are: `{lat, lng, at, heading}`. */
  places = new Map();
  /** The orders that each courier has: ids by courier. */
  loads = new Map();
  truncated = false;
  #silent = new Map();
  #rejected = new Map();

  /** Everything is as a snapshot of `dispatch` says. Returns the entries that are gone. */
  replace(snapshot) {
    this.truncated = snapshot.truncated === true;
    const there = new Set(snapshot.orders.map(({ id }) => id));
    const gone = [...this.entries.values()].filter(({ order }) => !there.has(order.id));
    for (const { order } of gone) this.forget(order.id);
    for (const order of snapshot.orders) this.set(order);
    for (const place of snapshot.locations ?? []) this.locate(place);
    return gone;
  }

  /** Takes an event. Returns the entry it changed, or null; `unknown` if it should be known. */
  hear(event) {
    const { type, data = {} } = event;
    this.#hearParty(event);
    if (!event.order) return null;
    const known = this.entries.get(event.order);
    const order = fold(known?.order, event);
    if (!order) return moves(event) && !this.truncated ? "unknown" : null;
    if (order === known?.order) return null;
    const entry = this.set(order);
    if (type === "courier.search_failed") entry.failed = time(event.at);
    if (type === "courier.searching" || type === "courier.assigned") entry.failed = 0;
    const store = order.store?.id;
    if (type === "order.rejected") this.#reject(store, data.code);
    if (type === "order.accepted") this.#rejected.delete(store);
    if (event.by?.role === "store") this.#silent.delete(store);
    return entry;
  }

  #reject(store, code) {
    // What nobody answered says that the store is silent, not that it says no.
    if (code !== "no_response") this.#rejected.set(store, (this.#rejected.get(store) ?? 0) + 1);
  }

  #hearParty({ type, at, store, driver, data = {} }) {
    if (type === "store.silent") this.#silent.set(store, time(at));
    if (type === "store.paused" && this.stores.has(store)) {
      this.#silent.delete(store);
      this.stores.get(store).paused_until = data.until ?? undefined;
    }
    if (type === "store.deleted") this.stores.delete(store);
    if (type === "driver.duty" && this.couriers.has(driver)) {
      this.couriers.get(driver).duty = data.duty;
    }
    if (type === "driver.deleted") {
      this.couriers.delete(driver);
      this.places.delete(driver);
    }
  }

  /** Orders without a courier for whom nobody is searched, worst first: whether a search has failed
   * no snapshot says, but their past. */
  unclaimed() {
    const found = [...this.entries.values()].filter(({ order }) => isUnassigned(order) && order.leg === "none");
    return found.sort((a, b) => a.key - b.key).map(({ order }) => order.id);
  }

  /** Takes the past of an order, its events from the first. Returns whether that is news. */
  recall(id, events) {
    const entry = this.entries.get(id);
    const last = events.findLast(({ type }) => SEARCH.includes(type));
    // What was heard meanwhile is newer.
    if (!entry || entry.order.leg !== "none" || last?.type !== "courier.search_failed") return false;
    const news = !entry.failed;
    entry.failed ||= time(last.at);
    return news;
  }

  /** Takes where a courier is. Returns whether that is news. */
  locate({ driver, lat, lng, at, hdg }) {
    const when = typeof at === "number" ? at : time(at);
    const known = this.places.get(driver);
    if (known && known.at >= when) return false;
    this.places.set(driver, { lat, lng, at: when, heading: hdg });
    return true;
  }

  /** An order is as it is. */
  set(order) {
    const entry = this.entries.get(order.id) ?? { column: null, failed: 0, gone: 0 };
    const before = entry.order;
    if (before?.version > order.version) return entry;
    this.#carry(before, order);
    entry.order = order;
    entry.due = dueOf(order);
    if (!isFinished(order)) entry.column = COLUMN[order.status] ?? entry.column;
    entry.key = this.#key(entry);
    this.entries.set(order.id, entry);
    return entry;
  }

  forget(id) {
    const entry = this.entries.get(id);
    if (!entry) return;
    this.#carry(entry.order, null);
    this.entries.delete(id);
  }

  #carry(before, after) {
    const [had, has] = [before, after].map((order) =>
      order && !isFinished(order) ? order.driver?.id : undefined);
    if (had === has) return;
    const id = (after ?? before).id;
    this.loads.get(had)?.delete(id);
    if (!has) return;
    if (!this.loads.has(has)) this.loads.set(has, new Set());
    this.loads.get(has).add(id);
  }

  /** Where an order stands among others: late ones first, then what is due first. */
  #key({ order, due }) {
    const at = due?.at ?? sinceOf(order) + 86_400_000;
    // What was told to be late comes first, even if it is promised anew.
    return order.late?.includes(LATE_KIND[order.status]) ? at - 86_400_000 : at;
  }

  /** The orders of a column that pass, worst first. */
  column(name, passes) {
    const inside = [];
    for (const entry of this.entries.values()) {
      if (entry.column === name && passes(entry)) inside.push(entry);
    }
    return inside.sort((a, b) => a.key - b.key || (a.order.id < b.order.id ? -1 : 1));
  }

  load(courier) {
    return this.loads.get(courier)?.size ?? 0;
  }

  /** How old is what is known of where a courier is, or null if nothing is. */
  gpsAge(courier, now) {
    const place = this.places.get(courier);
    return place ? now - place.at : null;
  }

  /** What stands on an order's card besides: `gps` is an age, `unsure` whether its time is. */
  doubts({ order }, now) {
    const busy = order.driver && !isFinished(order);
    const age = busy ? this.gpsAge(order.driver.id, now) : null;
    const gps = age !== null && age > GPS_OLD ? age : 0;
    const way = order.status === "picked_up";
    const span = time(order.dropoff_eta_hi) - time(order.dropoff_eta_lo);
    const unsure = way && (!order.dropoff_eta || span > WIDE
      || (gps > 0 && (order.eta_source ?? "computed") === "computed"));
    return { gps, unsure };
  }

  /** What needs somebody, the oldest first: `{kind, since, order | store, courier}`. */
  alarms(now) {
    const found = [];
    const waiting = new Set();
    for (const { order, failed } of this.entries.values()) {
      if (isFinished(order)) continue;
      if (order.status === "placed") waiting.add(order.store.id);
      if (isUnassigned(order) && order.leg === "none") {
        const ready = time(order.stamps.ready);
        if (failed) found.push({ kind: "search_failed", since: failed, order });
        else if (now - ready > UNCLAIMED) found.push({ kind: "unclaimed", since: ready, order });
      }
      const atDoor = time(order.stamps.at_door);
      if (order.leg === "at_door" && now - atDoor > DOOR_LONG) {
        found.push({ kind: "at_door", since: atDoor, order });
      }
    }
    for (const [courier, orders] of this.loads) {
      const place = this.places.get(courier);
      const [first] = orders;
      if (!first || !place || now - place.at <= GPS_LOST) continue;
      found.push({ kind: "courier_stale", since: place.at, courier, order: this.entries.get(first).order });
    }
    for (const [store, since] of this.#silent) {
      if (now - since > SILENT_FOR || !waiting.has(store)) this.#silent.delete(store);
      else found.push({ kind: "store_silent", since, store });
    }
    for (const [store, count] of this.#rejected) {
      if (count >= REJECTED_MAX) found.push({ kind: "store_rejects", since: now, store, count });
    }
    return found.sort((a, b) => a.since - b.since);
  }

  /** The name of a store, as far as it is known. */
  storeName(id) {
    return this.stores.get(id)?.name ?? "A store";
  }

  courierName(id) {
    const courier = this.couriers.get(id);
    return courier?.display_name ?? courier?.name ?? "A courier";
  }
}
