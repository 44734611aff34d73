// Where a courier is, for one who waits: the newest point, how far it is, how old it may get.
//
// Absent on purpose: it draws no map.

import { distance, metres } from "./geo.js";

/** From this age on a point is said to be old, in milliseconds. */
export const STALE = 60_000;
const HOUR_S = 3_600;

const number = (digits, unit) => new Intl.NumberFormat(undefined, {
  style: "unit", unit, unitDisplay: "short", maximumFractionDigits: digits,
});

/** A span of milliseconds in minutes, as a person says it: `about 6 min`. */
export function aboutOf(span) {
  const minutes = Math.max(1, Math.round(span / 60_000));
  if (minutes * 60 < HOUR_S) return `about ${number(0, "minute").format(minutes)}`;
  return `about ${number(1, "hour").format(minutes / 60)}`;
}

/** The point that a publication brings, if it is one: it stands bare, or in an event's data. */
export function pointOf(message) {
  if (message?.type && message.type !== "driver.location") return null;
  const point = message?.type ? message.data ?? message : message;
  const { lat, lng, at } = point ?? {};
  return typeof lat === "number" && typeof lng === "number" && at ? point : null;
}

/** The newer of two points; points may come late, and never run backwards. */
export function newerOf(known, point) {
  if (!known || !point) return point ?? known;
  const [old, young] = [Date.parse(known.at), Date.parse(point.at)];
  return young > old || young === old && (point.n ?? 0) > (known.n ?? 0) ? point : known;
}

/** Where the courier is in words, for whoever sees no map: `1.2 km away, about 6 min`. */
export function twinOf(point, door, arrival, now) {
  const far = `${distance(metres(point, door))} away`;
  const left = arrival ? Date.parse(arrival) - now : 0;
  return left > 0 ? `${far}, ${aboutOf(left)}` : far;
}
