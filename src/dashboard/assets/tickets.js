// An order's card on the board: what it is, where it goes, who has it, when it is due.

import { glyphOf } from "./markers.js";
import { isFinished } from "./fold.js";
import { isUnassigned, lateness, sinceOf } from "./fleet.js";
import { ago, dayOf, minutes, setText, spanOf, timeOf } from "./page.js";

const FINISH = {
  delivered: ["check", "Delivered"],
  rejected: ["cross", "Rejected"],
  cancelled: ["cross", "Cancelled"],
  failed: ["cross", "Could not be delivered"],
  returned: ["undo", "Back at the store"],
};

const LEG = {
  assigned: "to store",
  at_store: "at store",
  en_route: "to customer",
  at_door: "at door",
};

export const STATUS = {
  scheduled: "Scheduled",
  placed: "Placed",
  accepted: "Accepted",
  preparing: "Preparing",
  ready: "Ready",
  picked_up: "On the way",
  returning: "Returning",
  delivered: "Delivered",
  rejected: "Rejected",
  cancelled: "Cancelled",
  failed: "Failed",
  returned: "Returned",
};

/** Who has an order or will have it: an icon, words, and whether somebody must see to it. */
export function standing({ order, failed, pending }) {
  if (pending) return ["clock", pending, ""];
  if (isFinished(order)) return [...FINISH[order.status], ""];
  if (order.status === "scheduled" && order.window) {
    return ["calendar", dayOf(order.window.from, order.store.tz), ""];
  }
  if (order.fulfilment === "collection") return ["bag", "Customer collects", ""];
  if (order.fulfilment === "store_delivery") return ["store", "Store delivers", ""];
  const { driver, leg } = order;
  if (driver) {
    const where = order.status === "returning" ? "back to store" : LEG[leg] ?? "";
    return ["courier", `${driver.display_name ?? driver.name} · ${where}`, ""];
  }
  if (leg === "offering") return ["search", `Searching · round ${order.search?.round ?? 1}`, "accent"];
  if (failed) return ["alert", "No courier found", "bad"];
  return ["person", "No courier", isUnassigned(order) && order.status === "ready" ? "bad" : ""];
}

/** The street where it goes, or what else says where. */
export function areaOf({ dropoff, fulfilment }) {
  if (fulfilment === "collection") return "collected";
  return dropoff?.address ?? "no address";
}

/** When what is next is expected, and when it arrives, in a few words each. */
export function timesOf(order) {
  const { store: { tz }, status } = order;
  if (isFinished(order)) return ["", ""];
  if (status === "scheduled") {
    const { window } = order;
    return [window ? spanOf(window.from, window.to, tz) : "", ""];
  }
  const said = (words, time) => (time ? `${words} ${timeOf(time, tz)}` : "");
  const next = {
    placed: said("Answer by", order.accept_by),
    accepted: said("Ready", order.ready_eta),
    preparing: said("Ready", order.ready_eta),
    ready: said("Pick-up", order.pickup_eta),
    returning: said("Back", order.return_eta),
  }[status] ?? "";
  return [next, status === "placed" ? "" : said("ETA", order.dropoff_eta)];
}

/** How urgent an order is: `[words, tone, icon]`. */
export function urgency(entry, now) {
  const { order, due } = entry;
  if (isFinished(order)) return ["", ""];
  const late = lateness(entry, now);
  if (late >= 60_000) return [`▲ ${minutes(late)} late`, "bad"];
  if (late && (!due || due.at <= now)) return ["▲ Late", "bad"];
  if (!due) return ["", ""];
  const left = due.at - now;
  // Told to be late before its time is over, as when half of the time to answer is.
  if (late) return [`▲ in ${left < 120_000 ? ago(left) : minutes(left)}`, "warn"];
  if (order.status === "scheduled") return ["", ""];
  if (left <= 0) return ["Due now", "warn"];
  return left < 120_000 ? [`in ${ago(left)}`, "warn"] : [`in ${minutes(left)}`, ""];
}

/** Makes cards of a template. */
export function ticketMaker(template) {
  return () => {
    const element = template.content.firstElementChild.cloneNode(true);
    const part = (name) => element.querySelector(`.t-${name}`);
    element.parts = { button: element.firstElementChild, use: element.querySelector("use") };
    for (const name of ["code", "age", "due", "store", "area", "who", "standing", "gps", "next", "eta", "unsure"]) {
      element.parts[name] = part(name);
    }
    return element;
  };
}

/** Brings a card up to date. */
export function paintTicket(element, entry, { now, doubts, selected }) {
  const { order } = entry;
  const { parts } = element;
  setText(parts.code, order.short_code);
  const done = isFinished(order);
  setText(parts.age, done || order.status === "scheduled" ? "" : minutes(now - sinceOf(order)));
  const [words, tone] = urgency(entry, now);
  setText(parts.due, words);
  show(parts.due, "tone", tone);
  show(element, "tone", tone === "bad" ? "bad" : "");
  setText(parts.store, order.store.name);
  setText(parts.area, areaOf(order));
  const [icon, who, worry] = standing(entry);
  const href = `assets/icons.svg#${icon}`;
  if (parts.use.getAttribute("href") !== href) parts.use.setAttribute("href", href);
  setText(parts.standing, who);
  show(parts.who, "tone", worry);
  setText(parts.gps, doubts.gps > 0 ? `GPS ${minutes(doubts.gps)}` : "");
  const [next, eta] = timesOf(order);
  setText(parts.next, next);
  setText(parts.eta, eta);
  setText(parts.unsure, doubts.unsure ? (eta ? "unsure" : "ETA unsure") : "");
  show(element, "done", done ? "yes" : "");
  show(element, "chosen", selected ? "yes" : "");
  if (selected) parts.button.setAttribute("aria-current", "true");
  else parts.button.removeAttribute("aria-current");
}

function show(element, name, value) {
  if (value) {
    if (element.dataset[name] !== value) element.dataset[name] = value;
  } else if (element.dataset[name] !== undefined) {
    delete element.dataset[name];
  }
}

/** The two letters that stand for somebody. */
export function initials(name = "") {
  const words = name.replace(/[^\p{L}\p{N} ]/gu, "").split(/\s+/).filter(Boolean);
  return words.slice(0, 2).map((word) => word[0]).join("").toUpperCase();
}

const VEHICLE = { bicycle: "Bicycle", scooter: "Scooter", car: "Car" };

/** A courier's vehicle in words. */
export function vehicleWords({ type, colour } = {}) {
  const kind = VEHICLE[glyphOf(type)] ?? type ?? "";
  return colour ? `${colour[0].toUpperCase()}${colour.slice(1)} ${kind.toLowerCase()}` : kind;
}
