// A courier's work: which stops there are, what is to be done at each, and what an order will be
// once the taps that wait have been sent.
//
// Absent on purpose: nothing here touches a page or a socket.

/** Kinds of proof in the order in which they are asked for. */
export const KINDS = ["photo", "signature", "scan", "pin"];

/** What to do next with an order: the method, the button's words, the hand-over it is of. */
const STEPS = {
  assigned: { method: "order.at_store", words: "I’m at the store", at: "store" },
  at_store: { method: "order.pickup", words: "Picked up", at: "store", point: "pickup" },
  en_route: { method: "order.at_door", words: "I’m at the door", at: "door" },
  at_door: { method: "order.deliver", words: "Delivered", at: "door", point: "dropoff" },
  returning: { method: "order.returned", words: "Brought back", at: "store", point: "return" },
};

/** What is next with this order, or null when nothing is. */
export const stepOf = (order) => STEPS[order.status === "returning" ? "returning" : order.leg] ?? null;

/** What each tap makes of an order, before the server has said so; null when it is gone. */
const EFFECTS = {
  "order.at_store": (order) => ({ ...order, leg: "at_store" }),
  "order.pickup": (order) => ({ ...order, status: "picked_up", leg: "en_route" }),
  "order.at_door": (order, { at }) => ({ ...order, leg: "at_door", stamps: { ...order.stamps, at_door: at } }),
  "order.return": (order) => ({ ...order, status: "returning", leg: "en_route" }),
  "order.deliver": () => null,
  "order.returned": () => null,
  "order.fail": () => null,
  "order.drop": () => null,
  "proof.add": (order, { point, kind }) => proved(order, point, kind),
};

/** The order with one more proof. */
export function proved(order, point, kind) {
  const held = new Set(order.proofs?.[point]);
  return { ...order, proofs: { ...order.proofs, [point]: [...held.add(kind)] } };
}

/** The order as it will be once these taps are done; null when it will be gone. */
export function foreseen(order, taps) {
  return taps.reduce((left, { method, data }) => left && (EFFECTS[method]?.(left, data) ?? (method in EFFECTS ? null : left)), order);
}

/** The proofs that an order still needs for a hand-over. */
export function missing(order, point) {
  const required = order.proof_required ?? {};
  const needed = point === "dropoff"
    ? KINDS.filter((kind) => required[kind] === true)
    : required[point] ?? [];
  const held = order.proofs?.[point] ?? [];
  return KINDS.filter((kind) => needed.includes(kind) && !held.includes(kind));
}

/**
 * Orders in the order in which their next stops are made: where one stands already comes first,
 * then as the tour says, then what is hot before what is to be fetched, then as they came. Of one
 * tour everything is fetched before anything is brought.
 */
export function inTurn(orders) {
  const fetches = ({ leg }) => leg === "assigned" || leg === "at_store";
  const rank = (order) => {
    const here = order.leg === "at_door" || order.leg === "at_store" ? 0 : 1;
    const together = order.batch
      && orders.some((other) => other.batch === order.batch && fetches(other));
    const waits = together && !fetches(order) ? 1 : 0;
    return [waits, here, order.stop_seq ?? Infinity, fetches(order) ? 1 : 0, Date.parse(order.stamps?.assigned ?? 0) || 0];
  };
  const ranked = [...orders].map((order) => [rank(order), order]);
  ranked.sort(([a], [b]) => {
    const nth = a.findIndex((value, index) => value !== b[index]);
    return nth < 0 ? 0 : a[nth] < b[nth] ? -1 : 1;
  });
  return ranked.map(([, order]) => order);
}

/** Reasons why an order is given up, before and after it was picked up. */
export const DROPS = {
  vehicle: "My vehicle broke down",
  too_far: "It is too far",
  long_wait: "The wait is too long",
  personal: "Something personal",
  other: "Something else",
};
export const FAILS = {
  no_answer: "Nobody answers",
  wrong_address: "The address is wrong",
  refused: "They don’t want it",
  damaged: "It is damaged",
  lost: "It is lost",
  unsafe: "It is not safe here",
  age_check: "Too young to take it",
  other: "Something else",
};

/** How long one waits at the door before nobody answers, in milliseconds. */
const AT_DOOR = 5 * 60_000;

/** How an order that cannot be handed over goes on: its method. */
export function wayOut(order, reason) {
  const gone = reason === "damaged" || reason === "lost";
  return order.undeliverable_action === "return" && !gone ? "order.return" : "order.fail";
}

/** How much longer to wait before one may say that nobody answers, in milliseconds. */
export function waitAtDoor(order, now) {
  if (order.leg !== "at_door") return Infinity;
  return Math.max(0, Date.parse(order.stamps.at_door) + AT_DOOR - now);
}
