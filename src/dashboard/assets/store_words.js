// Words, marks and times of an order as a store reads them.

import { minutes, setText, timeOf } from "./page.js";

/** Why a store says no, or gives up; the server's words and ours. */
export const REASONS = [
  ["too_busy", "Too busy"],
  ["item_unavailable", "Something is sold out"],
  ["closing_early", "Closing early"],
  ["closed", "Closed"],
  ["cannot_meet_note", "Cannot do what the note asks"],
  ["other", "Something else"],
];

const CANCELS = {
  customer_request: "The customer changed their mind.",
  duplicate: "It was ordered twice.",
  payment: "It was not paid.",
  no_courier: "No courier could be found.",
  courier_incident: "The courier cannot bring it.",
  no_response: "Nobody answered in time.",
};

const BY = {
  customer: "by the customer",
  ops: "by dispatch",
  platform: "by the platform",
  store: "by the store",
  system: "by itself",
};

/** Who ended an order and why, in one sentence or two. */
export function whyOf({ code, by, note }) {
  const reason = CANCELS[code] ?? REASONS.find(([word]) => word === code)?.[1] ?? "";
  return [`Cancelled ${BY[by] ?? ""}`.trim(), reason, note].filter(Boolean).join(". ").replace("..", ".");
}

const WAYS = {
  delivery: ["person", "Delivery"],
  collection: ["bag", "Customer collects"],
  store_delivery: ["store", "You deliver"],
};

/** Icon and words of how an order leaves. */
export const wayOf = ({ fulfilment }) => WAYS[fulfilment] ?? WAYS.delivery;

/** An icon of the sheet. */
export const iconPath = (name) => `assets/icons.svg#${name}`;

/** Shows another icon. */
export function setIcon(svg, name) {
  const use = svg.querySelector("use");
  if (use.getAttribute("href") !== iconPath(name)) use.setAttribute("href", iconPath(name));
}

/** Whose order it is, and where it goes as far as a store is told. */
export function whoOf({ dropoff, fulfilment }) {
  if (!dropoff) return fulfilment === "collection" ? "Collection" : "Delivery";
  return [dropoff.name, dropoff.address].filter(Boolean).join(" · ");
}

const clone = (id) => document.getElementById(id).content.firstElementChild.cloneNode(true);

/** Draws the items, at most `most` lines; what is left out is counted. */
export function drawItems(list, items, most = Infinity) {
  const key = JSON.stringify([items, most]);
  if (list.dataset.key === key) return;
  list.dataset.key = key;
  const shown = items.length > most ? items.slice(0, most - 1) : items;
  const lines = shown.map(({ qty, name }) => {
    const line = clone("line");
    line.children[0].textContent = `${qty}×`;
    line.children[1].textContent = name;
    if (qty > 1) line.dataset.many = "yes";
    return line;
  });
  if (shown.length < items.length) {
    const rest = clone("line");
    rest.children[1].textContent = `and ${items.length - shown.length} more`;
    rest.classList.add("rest");
    lines.push(rest);
  }
  list.replaceChildren(...lines);
}

/** Draws badges: each `[tone, words]`. */
export function drawBadges(place, badges) {
  const key = JSON.stringify(badges);
  if (place.dataset.key === key) return;
  place.dataset.key = key;
  place.replaceChildren(...badges.map(([tone, words]) => {
    const badge = clone("badge");
    badge.dataset.tone = tone;
    badge.textContent = words;
    return badge;
  }));
  place.hidden = badges.length === 0;
}

/** Draws radio buttons: each `[value, words]`. */
export function drawChoices(place, name, choices, chosen) {
  place.replaceChildren(...choices.map(([value, words]) => {
    const choice = clone("choice");
    const input = choice.querySelector("input");
    Object.assign(input, { name, value, checked: value === chosen });
    choice.querySelector("span").textContent = words;
    return choice;
  }));
}

/** How a courier is called, and what it rides. */
export function carrierOf({ name, vehicle = {} }) {
  const rides = [vehicle.colour, vehicle.type].filter(Boolean).join(" ");
  return { name, rides: [rides, vehicle.plate].filter(Boolean).join(" · ") };
}

/** Where the courier of an order is, as `{ words, here }`; nothing without one on its way here. */
export function approachOf({ driver, leg, pickup_eta }, now) {
  if (!driver) return null;
  if (leg === "at_store") return { words: "is here", here: true };
  if (leg !== "assigned") return null;
  const left = pickup_eta ? Date.parse(pickup_eta) - now : NaN;
  if (Number.isNaN(left)) return { words: "is coming", here: false };
  return { words: left < 60_000 ? "about to arrive" : `${minutes(left)} away`, here: false };
}

/** What is expected next, as `{ at, left, words }`: when, in how many milliseconds. */
export function dueOf(order, now) {
  const { status, store: { tz } } = order;
  const [at, word] = {
    accepted: [order.ready_eta, "by"],
    preparing: [order.ready_eta, "by"],
    ready: [order.stamps?.ready, "since"],
    picked_up: [order.dropoff_eta_hi ?? order.dropoff_eta, "by"],
    returning: [order.return_eta, "by"],
  }[status] ?? [];
  return at ? { at, word, left: Date.parse(at) - now, time: timeOf(at, tz) } : null;
}

/** How late the kitchen or the way is, in milliseconds; 0 while it is not. */
export function lateBy(order, now) {
  const due = dueOf(order, now);
  if (!due || order.status === "ready" || order.status === "returning") return 0;
  // Past the minute: a mark that comes and goes with the second says nothing.
  return due.left < -60_000 ? -due.left : 0;
}

/** Draws when something is due: how long that is, and under it the time of day. */
export function drawDue(place, order, now) {
  const [left, time] = place.children;
  const due = dueOf(order, now);
  const late = lateBy(order, now);
  if (!due) setText(left, "");
  else if (order.status === "ready") setText(left, due.left > -60_000 ? "just now" : `waits ${minutes(-due.left)}`);
  else if (late) setText(left, `▲ ${minutes(late)} late`);
  else setText(left, due.left < 60_000 ? "now" : minutes(due.left));
  setText(time, due && order.status !== "ready" ? `${due.word} ${due.time}` : "");
}
