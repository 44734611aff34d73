// Which orders the board shows: by words, store, courier, late, without a courier, in the map's area;
// and which stores and couriers the map shows with them.

import { isFinished } from "./fold.js";
import { isUnassigned, lateness } from "./fleet.js";
import { byId, clock } from "./page.js";

/** Between a key and the search, in milliseconds. */
const TYPING = 120;

export class Filters {
  #fleet;
  #bounds;
  #onChange;
  #words = new WeakMap();
  #typing = 0;

  constructor(fleet, { bounds, onChange }) {
    [this.#fleet, this.#bounds, this.#onChange] = [fleet, bounds, onChange];
    const form = byId("filters");
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("change", () => this.#change());
    const unfold = byId("unfold");
    unfold.addEventListener("click", () => {
      const open = unfold.getAttribute("aria-expanded") !== "true";
      unfold.setAttribute("aria-expanded", String(open));
      if (open) document.body.dataset.unfolded = "yes";
      else delete document.body.dataset.unfolded;
    });
    form.addEventListener("reset", () => setTimeout(() => this.#change(), 0));
    byId("find").addEventListener("input", () => {
      clearTimeout(this.#typing);
      this.#typing = setTimeout(() => this.#change(), TYPING);
    });
  }

  get store() {
    return byId("by-store").value;
  }

  get courier() {
    return byId("by-courier").value;
  }

  get area() {
    return byId("only-area").checked;
  }

  showStore(id) {
    byId("by-store").value = id === this.store ? "" : id;
    this.#change();
  }

  #change() {
    const given = byId("find").value || this.store || this.courier
      || ["only-late", "only-unassigned", "only-area"].some((id) => byId(id).checked);
    if (!given && document.activeElement === byId("unfilter")) byId("find").focus();
    byId("unfilter").hidden = !given;
    byId("unfold").textContent = given ? "Filtered" : "Filter";
    this.#onChange();
  }

  /** Offers the stores and couriers there are. */
  offer() {
    const fill = (select, parties) => {
      const { value } = select;
      const options = [...parties.values()].map(({ id, name }) => new Option(name, id));
      options.sort((a, b) => a.text.localeCompare(b.text));
      select.replaceChildren(select.options[0], ...options);
      select.value = parties.has(value) ? value : "";
    };
    fill(byId("by-store"), this.#fleet.stores);
    fill(byId("by-courier"), this.#fleet.couriers);
  }

  #wordsOf(order) {
    if (!this.#words.has(order)) {
      const { short_code, external_id, store, dropoff, driver } = order;
      const all = [short_code, external_id, store.name, dropoff?.name, dropoff?.address, driver?.name];
      this.#words.set(order, all.filter(Boolean).join(" ").toLowerCase());
    }
    return this.#words.get(order);
  }

  #chosen() {
    const words = byId("find").value.trim().toLowerCase().split(/\s+/).filter(Boolean);
    const [late, unassigned] = ["only-late", "only-unassigned"].map((id) => byId(id).checked);
    return { words, late, unassigned, store: this.store, courier: this.courier };
  }

  /** A test of entries, by what is chosen now. */
  passes() {
    return this.#test(this.#chosen(), this.area ? this.#bounds() : null);
  }

  /**
   * The stores and couriers of what is chosen, as sets of ids: those of the orders that pass, and who
   * is chosen or found by name. Null when nothing is chosen; the map's area narrows no map.
   */
  parties() {
    const chosen = this.#chosen();
    const { words, late, unassigned, store, courier } = chosen;
    if (words.length === 0 && !late && !unassigned && !store && !courier) return null;
    const found = { stores: new Set([store]), couriers: new Set([courier]) };
    const passes = this.#test(chosen, null);
    for (const entry of this.#fleet.entries.values()) {
      if (isFinished(entry.order) || !passes(entry)) continue;
      found.stores.add(entry.order.store.id);
      if (entry.order.driver) found.couriers.add(entry.order.driver.id);
    }
    const add = (kind, test) => {
      for (const one of this.#fleet[kind].values()) if (test(one)) found[kind].add(one.id);
    };
    // Who could take what nobody has.
    if (unassigned && !courier) add("couriers", ({ id, duty }) => duty === "on" && this.#fleet.load(id) === 0);
    if (words.length > 0 && !late && !unassigned && !store && !courier) {
      for (const kind of ["stores", "couriers"]) {
        add(kind, ({ name }) => words.every((word) => name.toLowerCase().includes(word)));
      }
    }
    return found;
  }

  #test({ words, late, unassigned, store, courier }, bounds) {
    const now = clock.now();
    const inside = (place) => place && place.lat >= bounds.south && place.lat <= bounds.north
      && place.lng >= bounds.west && place.lng <= bounds.east;
    return (entry) => {
      const { order } = entry;
      return (!store || order.store.id === store)
        && (!courier || order.driver?.id === courier)
        && (!late || lateness(entry, now) > 0)
        && (!unassigned || (isUnassigned(order) && !isFinished(order)))
        && (!bounds || inside(order.store) || inside(order.dropoff))
        && words.every((word) => this.#wordsOf(order).includes(word));
    };
  }
}
