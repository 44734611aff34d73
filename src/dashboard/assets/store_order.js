// One order in full, with everything the store can do about it.

import { byId, clock, daySpanOf, setText, timeOf } from "./page.js";
import { missing } from "./stops.js";
import { reasonIn } from "./store_call.js";
import { approachOf, carrierOf, drawChoices, drawItems, lateBy, REASONS, wayOf, whoOf } from "./store_words.js";

/** A step with what is to be proved there: `kinds` of proof, and `pin` if that is all. */
function proving(order, method, words, point) {
  const kinds = missing(order, point);
  return { method, words, point, kinds, pin: kinds.length === 1 && kinds[0] === "pin" };
}

/**
 * The next step of an order that is the store's: `{ method, words }`, and what is to be proved;
 * nothing while it waits for somebody else.
 */
export function nextOf(order) {
  const { status, fulfilment } = order;
  if (status === "accepted") return { method: "order.start", words: "Start cooking" };
  if (status === "preparing") return { method: "order.ready", words: "Ready" };
  if (status === "ready" && fulfilment === "collection") {
    return proving(order, "order.collect", "Hand over", "dropoff");
  }
  if (status === "ready" && fulfilment === "store_delivery") {
    return proving(order, "order.pickup", "It leaves now", "pickup");
  }
  if (status === "picked_up" && fulfilment === "store_delivery") {
    return proving(order, "order.deliver", "Delivered", "dropoff");
  }
  if (status === "returning") return proving(order, "order.returned", "It is back here", "return");
  if (status === "scheduled") return { method: "order.accept", words: "Accept" };
  return null;
}

const canCancel = ({ status }) => ["scheduled", "accepted", "preparing", "ready"].includes(status);

export class Detail {
  #dialog = byId("detail");
  #act;
  #go;
  #id = null;
  #order = null;

  /** `act(method, order, data)` takes what was tapped, `go(order, next)` the step that is next. */
  constructor({ act, go }) {
    [this.#act, this.#go] = [act, go];
    byId("detail-close").addEventListener("click", () => this.#dialog.close());
    this.#dialog.addEventListener("close", () => { this.#id = null; });
    // A tap beside it closes it.
    this.#dialog.addEventListener("click", ({ target }) => {
      if (target === this.#dialog) this.#dialog.close();
    });
    byId("detail-prep").addEventListener("click", ({ target }) => {
      const more = Number(target.closest("[data-more]")?.dataset.more ?? 0);
      if (!more) return;
      // Minutes count from now on.
      const left = Math.round((Date.parse(this.#order.ready_eta) - clock.now()) / 60_000);
      this.#do("order.prep", { prep_min: Math.min(240, Math.max(0, Math.max(0, left) + more)) }, false);
    });
    byId("detail-pin").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#do(nextOf(this.#order).method, { pin: byId("detail-digits").value });
    });
    byId("detail-keep").addEventListener("click", () => this.#ask(false));
    byId("detail-why").addEventListener("submit", (event) => {
      event.preventDefault();
      const given = reasonIn(byId("detail-why"), byId("detail-remark"));
      if (given) this.#do("order.cancel", given);
    });
  }

  /** Shows this order until it is closed. */
  open(order) {
    this.#id = order.id;
    byId("detail-digits").value = "";
    byId("detail-remark").value = "";
    drawChoices(byId("detail-reasons"), "cancel", REASONS, "");
    this.#ask(false);
    this.show(order, []);
    this.#dialog.showModal();
    this.#dialog.scrollTop = 0;
  }

  /** The order that is shown. */
  get id() {
    return this.#id;
  }

  close() {
    if (this.#dialog.open) this.#dialog.close();
  }

  #do(method, data, closes = true) {
    this.#act(method, this.#order, data);
    if (closes) this.close();
  }

  #step(next) {
    const order = this.#order;
    this.close();
    this.#go(order, next);
  }

  #ask(why) {
    byId("detail-why").hidden = !why;
    byId("detail-actions").hidden = why;
    if (why) {
      byId("detail-pin").hidden = true;
      byId("detail-prep").hidden = true;
      byId("detail-reasons").querySelector("input").focus();
    } else if (this.#order) {
      this.show(this.#order, []);
    }
  }

  /** Brings it up to date. `taps` are those about it that were not sent yet. */
  show(order, taps) {
    this.#order = order;
    const now = clock.now();
    const { store, note, items } = order;
    setText(byId("detail-code"), order.short_code);
    setText(byId("detail-way"), wayOf(order)[1]);
    setText(byId("detail-who"), whoOf(order));
    byId("detail-note").hidden = !note;
    setText(byId("detail-note"), note ?? "");
    drawItems(byId("detail-items"), items);
    const late = lateBy(order, now);
    byId("detail-late").hidden = !late;
    setText(byId("detail-late").firstElementChild, `▲ ${Math.floor(late / 60_000)} min late`);
    this.#facts(order, now);
    byId("detail-pending").hidden = taps.length === 0;
    const asks = !byId("detail-why").hidden;
    const next = nextOf(order);
    byId("detail-pin").hidden = asks || !next?.pin;
    byId("detail-prep").hidden = asks || !["accepted", "preparing"].includes(order.status);
    if (order.ready_eta) setText(byId("detail-ready"), timeOf(order.ready_eta, store.tz));
    this.#actions(order, next, taps.length > 0);
  }

  #facts(order, now) {
    const { store: { tz }, stamps, window, dropoff, driver } = order;
    const at = (time) => (time ? timeOf(time, tz) : "");
    const facts = [["Placed", at(stamps.placed ?? stamps.created)]];
    if (window) facts.push(["Planned for", daySpanOf(window.from, window.to, tz)]);
    if (dropoff?.phone) facts.push(["Phone", dropoff.phone]);
    if (dropoff?.notes) facts.push(["At the door", dropoff.notes]);
    if (driver) {
      const { name, rides } = carrierOf(driver);
      const way = approachOf(order, now);
      facts.push(["Courier", [name, rides, driver.phone].filter(Boolean).join(" · ")]);
      if (way) facts.push(["", `${way.here ? "■" : "→"} ${way.words}`]);
    } else if (order.leg === "offering") {
      facts.push(["Courier", "is being looked for"]);
    }
    if (stamps.ready) facts.push(["Ready since", at(stamps.ready)]);
    if (order.status === "picked_up" && order.dropoff_eta) facts.push(["Arrives", at(order.dropoff_eta)]);
    const list = byId("detail-facts");
    const key = JSON.stringify(facts);
    if (list.dataset.key === key) return;
    list.dataset.key = key;
    list.replaceChildren(...facts.map(([name, words]) => {
      const fact = byId("fact").content.firstElementChild.cloneNode(true);
      fact.children[0].textContent = name;
      fact.children[1].textContent = words;
      return fact;
    }));
  }

  #actions(order, next, waits) {
    const buttons = [];
    if (next && !next.pin) buttons.push([next.words, "big", () => this.#step(next)]);
    if (order.status === "accepted") buttons.push(["Ready", "second", () => this.#do("order.ready", {})]);
    if (order.status === "ready") buttons.push(["Not ready after all", "second", () => this.#do("order.unready", {})]);
    if (canCancel(order)) buttons.push(["Cancel the order…", "danger", () => this.#ask(true)]);
    const key = JSON.stringify([order.id, waits, buttons.map(([words]) => words)]);
    const place = byId("detail-actions");
    if (place.dataset.key === key) return;
    place.dataset.key = key;
    place.replaceChildren(...buttons.map(([words, kind, act]) => {
      const button = document.createElement("button");
      Object.assign(button, { type: "button", className: kind, textContent: words, disabled: waits });
      button.addEventListener("click", act);
      return button;
    }));
  }
}
