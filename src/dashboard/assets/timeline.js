// What happened to an order, in words: what, who and when.

import { daySpanOf, setText, timeOf } from "./page.js";

/** A code of the API in words: `too_busy` is "too busy". */
export const plain = (code) => String(code ?? "").replaceAll("_", " ");

const because = ({ code, note }) => {
  const why = code === "other" && note ? note : plain(code);
  return why ? `: ${why}${note && note !== why ? ` – ${note}` : ""}` : "";
};

/** What a type says, given its data, a clock and names. */
const SAID = {
  "order.placed": () => "Placed",
  "order.scheduled": ({ window }, at) => `Scheduled for ${at.span(window)}`,
  "order.accepted": ({ prep_min }) => `Accepted, ready in ${prep_min} min`,
  "order.rejected": (data) => `Rejected${because(data)}`,
  "order.preparing": () => "Preparation begun",
  "order.ready": () => "Ready",
  "order.unready": ({ ready_eta }, at) => `Not ready after all, now ${at.time(ready_eta)}`,
  "order.prep_changed": ({ ready_eta, why }, at) =>
    `Ready ${at.time(ready_eta)} instead${why ? `: ${plain(why)}` : ""}`,
  "order.picked_up": () => "Picked up",
  "order.delivered": ({ proofs }) =>
    proofs?.length ? `Delivered, with ${proofs.map(plain).join(" and ")}` : "Delivered",
  "order.cancelled": (data) => `Cancelled${because(data)}`,
  "order.failed": (data) => `Could not be delivered${because(data)}`,
  "order.returning": (data) => `Goes back to the store${because(data)}`,
  "order.returned": () => "Back at the store",
  "order.redelivery": ({ attempt }) => `Attempt ${attempt}`,
  "order.updated": (data) => `Changed: ${Object.keys(data).map(plain).join(", ")}`,
  "order.noted": ({ note }) => `“${note}”`,
  "order.eta": ({ dropoff_eta, pickup_eta }, at) =>
    dropoff_eta ? `Arrival now ${at.time(dropoff_eta)}` : `Pick-up now ${at.time(pickup_eta)}`,
  "order.late": ({ kind }) => `Late: ${{ accept: "no answer yet", prep: "not ready yet", pickup: "not picked up yet", delivery: "not delivered yet" }[kind] ?? plain(kind)}`,
  "order.erased": () => "Personal data erased",
  "proof.added": ({ kind, point }) => `Proof at ${plain(point)}: ${plain(kind)}`,
  "courier.searching": ({ round }) => `Searching a courier, round ${round}`,
  "courier.search_failed": () => "No courier found",
  "courier.assigned": ({ driver }) => `Given to ${driver.name}`,
  "courier.changed": ({ driver }) => `Handed over to ${driver.name}`,
  "courier.unassigned": (data) => `Courier taken off${because(data)}`,
  "courier.near": ({ end }) => `Courier near the ${end === "door" ? "door" : "store"}`,
  "courier.at_store": () => "Courier at the store",
  "courier.at_door": () => "Courier at the door",
  "offer.sent": ({ driver }, at, names) => `Offered to ${names.courier(driver)}`,
  "offer.closed": ({ driver, state }, at, names) => `Offer to ${names.courier(driver)} ${plain(state)}`,
};

const QUIET = new Set(["order.eta", "courier.near", "offer.sent", "offer.closed"]);
const BAD = new Set(["order.rejected", "order.cancelled", "order.failed", "order.returning", "order.late", "courier.search_failed", "courier.unassigned"]);

/** Who did it. */
export function whoWords({ role, id }, names) {
  switch (role) {
    case "driver": return names.courier(id);
    case "store": return names.store(id);
    case "ops": return id ? `Dispatcher ${id}` : "Dispatcher";
    case "platform": return "Platform";
    case "customer": return "Customer";
    default: return "Automatic";
  }
}

/** What an event says. A type that is not known says its name. */
export function eventWords({ type, data = {} }, tz, names) {
  const at = {
    time: (time) => (time ? timeOf(time, tz) : "later"),
    span: (window) => (window ? daySpanOf(window.from, window.to, tz) : "later"),
  };
  try {
    return SAID[type]?.(data, at, names) ?? plain(type.replace(".", " "));
  } catch {
    // Data of another shape than expected still happened.
    return plain(type.replace(".", " "));
  }
}

/** The past of one order in a list, the latest first; each event once. */
export class Timeline {
  #list;
  #known = new Set();

  constructor(list) {
    this.#list = list;
  }

  /** Adds events in the order of the log. */
  add(events, tz, names) {
    for (const event of events) {
      if (this.#known.has(event.position)) continue;
      this.#known.add(event.position);
      const item = document.createElement("li");
      item.dataset.position = event.position;
      item.dataset.tone = BAD.has(event.type) ? "bad" : QUIET.has(event.type) ? "quiet" : "";
      const [time, what, who] = ["time", "span", "span"].map((tag) => document.createElement(tag));
      time.dateTime = event.at;
      time.title = new Date(event.at).toLocaleString();
      setText(time, timeOf(event.at, tz));
      what.className = "l-what";
      setText(what, eventWords(event, tz, names));
      who.className = "l-who";
      setText(who, whoWords(event.by ?? {}, names));
      item.append(time, what, who);
      this.#list.insertBefore(item, this.#after(event.position));
    }
  }

  /** The first that is older. */
  #after(position) {
    return [...this.#list.children].find((item) => Number(item.dataset.position) < position) ?? null;
  }
}
