// The board's map: all couriers and stores, and of the order at hand its door and ways.

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
    for (const store of this.#fleet.stores.values()) {
      this.#plot.put({ id: store.id, kind: "store", lat: store.lat, lng: store.lng, label: store.name });
    }
    for (const id of this.#fleet.places.keys()) this.courier(id);
    if (!this.#framed && this.#fleet.stores.size > 0) {
      this.#framed = true;
      this.#plot.show();
    }
  }

  /** One courier, where it is and how it stands. */
  courier(id) {
    const place = this.#fleet.places.get(id);
    if (!place) return;
    const courier = this.#fleet.couriers.get(id);
    const load = this.#fleet.load(id);
    if (courier?.duty === "off" && load === 0) return this.#plot.remove(id);
    const name = courier?.display_name ?? courier?.name ?? "";
    const mine = this.#order?.driver?.id === id || this.chosen === id;
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
    const before = this.#order?.driver?.id;
    this.#order = order;
    if (before) this.courier(before);
    const open = order && !isFinished(order);
    if (!open || !order.dropoff) this.#plot.remove(DOOR);
    if (!order) {
      this.#plot.lines([]);
      this.#plot.select(this.chosen);
      return;
    }
    const { store, dropoff, driver } = order;
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
