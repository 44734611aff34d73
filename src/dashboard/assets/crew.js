// The couriers of the board: who works, what each has, where it is; for an order the nearest with
// room first, and why the others cannot take it.

import { assignRefusal } from "./dispatching.js";
import { distance, metres } from "./geo.js";
import { GPS_LOST, GPS_OLD } from "./fleet.js";
import { clock, minutes, setText } from "./page.js";
import { initials, vehicleWords } from "./tickets.js";

/** Couriers as an order would have them, the best first: `{courier, load, refusal, far}`. */
export function candidates(fleet, order, { text = "", all = false } = {}) {
  const wanted = text.trim().toLowerCase();
  const now = clock.now();
  const found = [];
  for (const courier of fleet.couriers.values()) {
    const load = fleet.load(courier.id);
    if (!all && courier.duty === "off" && load === 0) continue;
    if (wanted && !courier.name.toLowerCase().includes(wanted)) continue;
    const place = fleet.places.get(courier.id);
    const goal = order && (order.status === "picked_up" ? order.dropoff : order.store);
    // Where it was long ago is no reason to be near.
    const far = place && goal && now - place.at <= GPS_LOST ? metres(place, goal) : Infinity;
    const refusal = order ? assignRefusal(order, courier, load) : "";
    found.push({ courier, load, refusal, far });
  }
  const name = ({ courier }) => courier.display_name ?? courier.name;
  const idle = ({ courier }) => (courier.duty === "on" ? 0 : 1);
  return found.sort((a, b) =>
    (order ? Number(a.refusal !== "") - Number(b.refusal !== "") : idle(a) - idle(b))
    || (order && a.far !== b.far ? a.far - b.far : a.load - b.load)
    || name(a).localeCompare(name(b)));
}

/** What a courier has, in words. */
export function loadWords({ courier, load }) {
  if (courier.duty === "paused") return "On a break";
  if (courier.duty === "off") return load ? `Off duty, ${load} left` : "Off duty";
  return load === 0 ? "Free" : `${load} of ${courier.capacity}`;
}

/** Where somebody is, in words: the distance, or how old is what is known. */
export function whereWords(fleet, { courier, far }, now) {
  const age = fleet.gpsAge(courier.id, now);
  if (age === null) return "No GPS";
  if (age > GPS_OLD) return `GPS ${minutes(age)} old`;
  return Number.isFinite(far) ? distance(far) : "";
}

export function mateMaker(template) {
  return () => {
    const element = template.content.firstElementChild.cloneNode(true);
    element.parts = { button: element.firstElementChild };
    for (const name of ["face", "name", "load", "sub", "far"]) {
      element.parts[name] = element.querySelector(`.m-${name}`);
    }
    return element;
  };
}

export function paintMate(element, mate, { fleet, now, order, chosen }) {
  const { courier, load, refusal } = mate;
  const { parts } = element;
  const name = courier.display_name ?? courier.name;
  setText(parts.face, initials(name));
  setText(parts.name, courier.name);
  setText(parts.load, loadWords(mate));
  setText(parts.sub, order && refusal ? refusal : vehicleWords(courier.vehicle));
  setText(parts.far, whereWords(fleet, mate, now));
  const age = fleet.gpsAge(courier.id, now);
  element.dataset.state = courier.duty !== "on" ? "off"
    : load > 0 && age !== null && age > GPS_LOST ? "alarm" : load === 0 ? "free" : "busy";
  element.dataset.fits = order && refusal ? "no" : "yes";
  element.dataset.chosen = chosen ? "yes" : "no";
}
