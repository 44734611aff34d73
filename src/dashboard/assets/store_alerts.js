// What somebody at the store must have seen: it stays until it is put away, also over a reload.
// It also keeps which orders are being cooked, so that one that was called off while this tablet
// was away is not just gone.

import { holding } from "./holding.js";
import { timeOf } from "./page.js";
import { whyOf } from "./store_words.js";

/** Alerts kept at most; the oldest go first. */
const KEPT_MAX = 30;

export class Alerts {
  #name;
  #list;
  #alerts = [];
  #watched = new Set();
  #pausedUntil = "";
  #owner = "";
  onChange = () => {};

  constructor(name, list) {
    this.#name = name;
    this.#list = list;
    try {
      const { alerts = [], watched = [], pausedUntil = "", owner = "" } = JSON.parse(localStorage.getItem(name) ?? "{}");
      this.#alerts = alerts;
      this.#watched = new Set(watched);
      this.#pausedUntil = pausedUntil;
      this.#owner = owner;
    } catch {
      // What cannot be read was not ours.
    }
    this.#draw();
  }

  /** Orders that are being cooked, as far as this tablet knows. */
  get watched() {
    return this.#watched;
  }

  watch(id) {
    if (this.#watched.has(id)) return;
    this.#watched.add(id);
    this.#keep();
  }

  unwatch(id) {
    if (this.#watched.delete(id)) this.#keep();
  }

  /** Until when the store has paused itself. */
  get pausedUntil() {
    return this.#pausedUntil;
  }

  set pausedUntil(until) {
    this.#pausedUntil = until;
    this.#keep();
  }

  /** An alert `{ id, tone, title, text, done }`; one with this `id` is there once. */
  put(alert) {
    this.#alerts = [...this.#alerts.filter(({ id }) => id !== alert.id), alert].slice(-KEPT_MAX);
    this.#keep();
    this.#draw();
  }

  /** An order that was being cooked is called off. */
  cancelled(order, why) {
    const at = order.stamps?.cancelled;
    const when = at ? `${timeOf(at, order.store.tz)} · ` : "";
    const items = order.items.map(({ qty, name }) => `${qty}× ${name}`).join(", ");
    this.put({
      id: `cancelled-${order.id}`, tone: "bad", title: `${order.short_code} is cancelled: stop preparing it`,
      text: `${when}${whyOf(why ?? {})} (${items})`, done: "We have stopped",
    });
  }

  /** Says which store this is; returns whether it was another's, whose alerts are forgotten. */
  belongTo(store) {
    if (this.#owner === store) return false;
    this.#owner = store;
    this.#alerts = [];
    this.#watched.clear();
    this.#keep();
    this.#draw();
    return true;
  }

  #remove(id) {
    this.#alerts = this.#alerts.filter((alert) => alert.id !== id);
    this.#keep();
    this.#draw();
    this.onChange();
  }

  #draw() {
    const ofSame = (had) => [...this.#list.children].find(({ dataset }) => dataset.id === had.closest(".alert")?.dataset.id);
    holding(() => this.#redraw(), (had) => (ofSame(had) ?? this.#list).querySelector("button") ?? document.getElementById("pause"));
  }

  #redraw() {
    this.#list.hidden = this.#alerts.length === 0;
    this.#list.replaceChildren(...this.#alerts.map(({ id, tone, title, text, done }) => {
      const item = document.getElementById("alert").content.firstElementChild.cloneNode(true);
      Object.assign(item.dataset, { id, tone });
      item.querySelector("h2").textContent = title;
      item.querySelector("p").textContent = text;
      const button = item.querySelector("button");
      button.textContent = done;
      button.addEventListener("click", () => this.#remove(id));
      return item;
    }));
  }

  #keep() {
    try {
      const [alerts, watched] = [this.#alerts, [...this.#watched]];
      const kept = { alerts, watched, pausedUntil: this.#pausedUntil, owner: this.#owner };
      localStorage.setItem(this.#name, JSON.stringify(kept));
    } catch {
      // Then a reload forgets them.
    }
  }
}
