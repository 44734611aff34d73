// The board's map: couriers and stores, all or those that the filters leave, and of the order at
// hand its door and ways.

import { Plot } from "./map.js";
import { isFinished } from "./fold.js";
import { clock } from "./page.js";
import { initials } from "./tickets.js";

const DOOR = "door";

export class CityMap {
  #plot;
  #fleet;
  #order = null;
  #alarmed = new Set();
  #framed = false;
  /** The stores and couriers to be shown, `{stores, couriers}`; null for all. */
  #found = null;
  chosen = null;

  constructor(host, fleet, { onPick, onMove }) {
    this.#fleet = fleet;
    this.#plot = new Plot(host, {
      label: "Map of stores and couriers. The lists say the same in words.",
      interactive: true,
      now: () => clock.now(),
      onPick: (id) => {
        const kind = !id ? null : fleet.couriers.has(id) || fleet.places.has(id) ? "courier"
          : fleet.stores.has(id) ? "store" : DOOR;
        if (kind !== DOOR) onPick(kind, id);
      },
      onMove,
    });
  }

  get plot() {
    return this.#plot;
  }

  bounds() {
    return this.#plot.bounds();
  }

  courierAt(x, y) {
    return this.#plot.at(x, y, ({ kind }) => kind === "courier");
  }

  /** All there is, as after a snapshot. */
  everything() {
    for (const id of this.#fleet.stores.keys()) this.store(id);
    for (const id of this.#fleet.places.keys()) this.courier(id);
    if (!this.#framed && this.#fleet.stores.size > 0) {
      this.#framed = true;
      this.#plot.show();
    }
  }

  /** Shows no others than these from now on: `{stores, couriers}` as sets of ids; null for all. */
  narrow(found) {
    const before = this.#found;
    this.#found = found;
    const changed = (kind, id) => (!before || before[kind].has(id)) !== (!found || found[kind].has(id));
    for (const id of this.#fleet.stores.keys()) if (changed("stores", id)) this.store(id);
    for (const id of this.#fleet.places.keys()) if (changed("couriers", id)) this.courier(id);
  }

  /** How many are shown, `{stores, couriers}`; null while all are. */
  shown() {
    if (!this.#found) return null;
    const count = (ids) => [...ids].filter((id) => this.#plot.has(id)).length;
    return { stores: count(this.#fleet.stores.keys()), couriers: count(this.#fleet.places.keys()) };
  }

  /** One store, or that it is gone. */
  store(id) {
    const store = this.#fleet.stores.get(id);
    const shows = !this.#found || this.#found.stores.has(id) || this.#order?.store.id === id;
    if (!store || !shows) return this.#plot.remove(id);
    this.#plot.put({ id, kind: "store", lat: store.lat, lng: store.lng, label: store.name });
  }

  /** One courier, where it is and how it stands, or that it is gone. */
  courier(id) {
    const place = this.#fleet.places.get(id);
    if (!place) return this.#plot.remove(id);
    const courier = this.#fleet.couriers.get(id);
    const load = this.#fleet.load(id);
    if (courier?.duty === "off" && load === 0) return this.#plot.remove(id);
    const name = courier?.display_name ?? courier?.name ?? "";
    const mine = this.#order?.driver?.id === id || this.chosen === id;
    if (this.#found && !this.#found.couriers.has(id) && !mine) return this.#plot.remove(id);
    this.#plot.put({
      id, kind: "courier", lat: place.lat, lng: place.lng, at: place.at, heading: place.heading,
      label: name, initials: initials(name), fixed: mine,
      state: this.#alarmed.has(id) ? "alarm" : load > 0 ? "busy" : courier?.duty === "on" ? "free" : "stale",
    });
  }

  /** Couriers that an alarm is about are marked. */
  alarm(alarms) {
    const now = new Set(alarms.filter(({ courier }) => courier).map(({ courier }) => courier));
    for (const id of new Set([...this.#alarmed, ...now])) {
      if (this.#alarmed.has(id) === now.has(id)) continue;
      if (now.has(id)) this.#alarmed.add(id);
      else this.#alarmed.delete(id);
      this.courier(id);
    }
  }

  /** Shows the way of an order, or of none. */
  order(order, frame = false) {
    const before = this.#order;
    this.#order = order;
    if (before) this.store(before.store.id);
    if (before?.driver) this.courier(before.driver.id);
    const open = order && !isFinished(order);
    if (!open || !order.dropoff) this.#plot.remove(DOOR);
    if (!order) {
      this.#plot.lines([]);
      this.#plot.select(this.chosen);
      return;
    }
    const { store, dropoff, driver } = order;
    this.store(store.id);
    if (open && dropoff) this.#plot.put({ id: DOOR, kind: "door", lat: dropoff.lat, lng: dropoff.lng, label: dropoff.name });
    if (driver) this.courier(driver.id);
    const carried = order.status === "picked_up";
    const seen = driver && this.#plot.has(driver.id);
    const lines = !open ? [] : seen
      ? carried ? [[driver.id, DOOR]] : [[driver.id, store.id], [store.id, DOOR]]
      : [[store.id, DOOR]];
    this.#plot.lines(lines);
    this.#plot.select(seen ? driver.id : store.id);
    if (frame) this.#plot.show([store.id, DOOR, driver?.id].filter((id) => id && this.#plot.has(id)));
  }

  /** Marks a courier. */
  choose(id, frame = false) {
    const before = this.chosen;
    this.chosen = id;
    if (before) this.courier(before);
    this.courier(id);
    this.#plot.select(id);
    if (frame && this.#plot.has(id)) this.#plot.show([id]);
  }

  /** Shows one point, or everything. */
  frame(id) {
    if (id && this.#plot.has(id)) this.#plot.show([id]);
  }
}
