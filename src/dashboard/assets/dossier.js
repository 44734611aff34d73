// One order in full, beside the board: what it is, who has it, what can be done, what happened.

import { actionsFor, closedToCouriers } from "./dispatching.js";
import { isFinished } from "./fold.js";
import { byId, minutes, setText, timeOf } from "./page.js";
import { STATUS, urgency, vehicleWords } from "./tickets.js";
import { plain, Timeline } from "./timeline.js";

function element(tag, more = {}, ...children) {
  const made = document.createElement(tag);
  const { on = {}, data = {}, ...rest } = more;
  for (const [name, value] of Object.entries(rest)) {
    if (name === "class") made.className = value;
    else if (name in made) made[name] = value;
    else made.setAttribute(name, value);
  }
  Object.assign(made.dataset, data);
  for (const [name, run] of Object.entries(on)) made.addEventListener(name, run);
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

const line = (name, ...values) => {
  const said = values.filter(Boolean);
  return said.length === 0 ? null : element("div", {},
    element("dt", { textContent: name }),
    ...said.map((value) => (value instanceof Node
      ? element("dd", {}, value) : element("dd", { textContent: value }))));
};

const call = (phone) => phone && element("a", { href: `tel:${phone.replaceAll(" ", "")}`, textContent: phone });

/**
 * Draws into `host`. `does` are what buttons lead to: `assign(order)`, `act(order, action)`,
 * `note(order, text)`, `close()`; `read(path)` fetches.
 */
export class Dossier {
  #host;
  #does;
  #id = null;
  #parts = null;
  #drawn = { facts: "", actions: "" };
  #timeline = null;

  constructor(host, does) {
    [this.#host, this.#does] = [host, does];
  }

  get id() {
    return this.#id;
  }

  /** Shows an order, with its past as soon as it is read. */
  async open(entry, names) {
    const { order } = entry;
    this.#id = order.id;
    this.#drawn = { facts: "", actions: "" };
    const head = element("header", { class: "d-head" },
      element("h2", {}, element("span", { class: "d-code", textContent: order.short_code })),
      element("p", { class: "d-badges" }),
      element("button", { type: "button", class: "bare d-close", "aria-label": "Close the order", on: { click: () => this.#does.close() } },
        icon("cross")));
    const note = element("input", { type: "text", id: "d-note", maxLength: 500, placeholder: "Write a note" });
    const write = element("form", {
      class: "d-note",
      on: {
        submit: (event) => {
          event.preventDefault();
          const text = note.value.trim();
          if (!text) return;
          note.value = "";
          this.#does.note(this.#id, text);
        },
      },
    }, element("label", { class: "spoken", htmlFor: "d-note", textContent: "Note" }), note,
    element("button", { class: "second", textContent: "Add" }));
    const list = element("ol", { class: "log" });
    const wait = element("p", { class: "none", textContent: "Reading what happened…" });
    this.#timeline = new Timeline(list);
    this.#parts = {
      badges: head.querySelector(".d-badges"),
      actions: element("div", { class: "d-actions" }),
      facts: element("dl", { class: "d-facts" }),
      wait,
    };
    this.#host.replaceChildren(head, this.#parts.actions, this.#parts.facts,
      element("h3", { textContent: "What happened" }), write, wait, list);
    this.#host.scrollTop = 0;
    this.paint(entry, names);
    const { id } = order;
    try {
      for (let after = 0, more = true; more;) {
        const page = await this.#does.read(`v1/orders/${id}/events?after=${after}&limit=200`);
        if (this.#id !== id) return;
        this.#timeline.add(page.events, order.store.tz, names);
        more = page.events.length >= 200 && page.next > after;
        after = page.next;
      }
      wait.hidden = true;
    } catch {
      if (this.#id === id) setText(wait, "What happened could not be read. Open the order again.");
    }
  }

  close() {
    this.#id = null;
    this.#timeline = null;
    this.#host.replaceChildren();
  }

  /** Takes an event of the order. */
  hear(event, tz, names) {
    this.#timeline?.add([event], tz, names);
  }

  /** Brings it up to date. */
  paint(entry, names, now = Date.now(), gps = null) {
    const { order } = entry;
    const [words, tone] = urgency(entry, now);
    const badges = [[STATUS[order.status] ?? plain(order.status), isFinished(order) ? "" : "accent"]];
    if (words) badges.push([words, tone]);
    if (entry.pending) badges.push([entry.pending, "warn"]);
    const shown = JSON.stringify(badges);
    if (this.#parts.badges.dataset.shown !== shown) {
      this.#parts.badges.dataset.shown = shown;
      this.#parts.badges.replaceChildren(...badges.map(([textContent, its]) =>
        element("span", { class: "badge", textContent, data: { tone: its } })));
    }
    this.#paintFacts(order, gps);
    this.#paintActions(order);
  }

  #paintFacts(order, gps) {
    const age = gps === null ? "" : `GPS ${minutes(gps)} old`;
    const key = JSON.stringify([order, age]);
    if (this.#drawn.facts === key) return;
    this.#drawn.facts = key;
    const { store, dropoff, driver, stamps } = order;
    const at = (time) => (time ? timeOf(time, store.tz) : "");
    const span = order.dropoff_eta_lo && order.dropoff_eta_hi
      ? `${at(order.dropoff_eta_lo)}–${at(order.dropoff_eta_hi)}` : at(order.dropoff_eta);
    const lines = [
      line("Store", store.name, call(store.phone)),
      line("Customer", dropoff?.name, dropoff?.address, call(dropoff?.phone), dropoff?.notes && `“${dropoff.notes}”`,
        dropoff?.leave_at_door ? "Leave at the door" : ""),
      line("Courier", driver?.name, vehicleWords(driver?.vehicle), call(driver?.phone), driver && age),
      line("Tour", order.stops_before ? `${order.stops_before} ${order.stops_before === 1 ? "stop" : "stops"} before` : ""),
      line("Items", ...order.items.map(({ qty, name }) => `${qty} × ${name}`)),
      line("Note", order.note),
      line("Times", stamps.placed && `Placed ${at(stamps.placed)}`,
        !stamps.ready && order.ready_eta && `Ready about ${at(order.ready_eta)}`,
        span && !isFinished(order) && `Arrives ${span}`),
      line("Reason", order.reason && `${plain(order.reason.code)}${order.reason.note ? ` – ${order.reason.note}` : ""}`),
      line("Number", order.external_id),
    ];
    this.#parts.facts.replaceChildren(...lines.filter(Boolean));
  }

  #paintActions(order) {
    const actions = actionsFor(order);
    const assign = closedToCouriers(order) ? "" : order.driver ? "Hand over" : "Assign courier";
    const key = JSON.stringify([assign, actions.map(({ words }) => words)]);
    if (this.#drawn.actions === key) return;
    this.#drawn.actions = key;
    const had = this.#parts.actions.contains(document.activeElement);
    const button = ({ action, words, tone }, kind) => element("button", {
      type: "button",
      class: tone === "danger" ? "danger" : kind,
      textContent: words,
      data: { action },
      on: { click: () => this.#does.act(this.#id, action) },
    });
    const [first, ...others] = actions;
    const main = [
      assign && element("button", {
        type: "button", class: order.driver ? "second" : "first", data: { action: "assign" }, textContent: assign,
        on: { click: () => this.#does.assign(this.#id) },
      }),
      first && button(first, "second"),
    ].filter(Boolean);
    const rest = others.length === 0 ? [] : [element("details", {},
      element("summary", { class: "button second", textContent: "More" }),
      element("div", { class: "d-more" }, ...others.map((other) => button(other, "second"))))];
    this.#parts.actions.replaceChildren(...main, ...rest);
    // Whoever acted by keyboard goes on from here.
    if (had) this.#parts.actions.querySelector("button")?.focus();
  }
}

/** A drawing of icons.svg. */
export function icon(name) {
  const svg = byId("icon").content.firstElementChild.cloneNode(true);
  svg.firstElementChild.setAttribute("href", `assets/icons.svg#${name}`);
  return svg;
}
