// What a customer reads of an order: where it stands, when it arrives, what is next. Words and
// times only, made of the order as the server shows it.
//
// Absent on purpose: nothing here touches a page or a socket.

import { stepsOf } from "./fold.js";
import { dayOf, spanOf, timeOf } from "./page.js";

export const WORDS = {
  received: "Received",
  preparing: "Preparing",
  on_the_way: "On the way",
  arriving: "Arriving",
  delivered: "Delivered",
  ready: "Ready",
  collected: "Collected",
  rejected: "Not accepted",
  cancelled: "Cancelled",
  failed: "Not delivered",
  returning: "Going back",
  returned: "Returned",
};

/** The same as a headline. */
const HEADS = {
  received: "Order received",
  preparing: "Preparing your order",
  on_the_way: "On the way",
  arriving: "At your door",
  ready: "Ready to collect",
  returning: "Going back to the store",
  returned: "Back at the store",
};

const LADDER = {
  delivery: ["received", "preparing", "on_the_way", "arriving", "delivered"],
  // Who brings it is not tracked, so nobody knows when it is at the door.
  store_delivery: ["received", "preparing", "on_the_way", "delivered"],
  collection: ["received", "preparing", "ready", "collected"],
};

/** Steps after which nothing comes. */
const LAST = ["delivered", "collected", "rejected", "cancelled", "failed", "returned"];
/** Those that nobody wished for. */
const SAD = ["rejected", "cancelled", "failed", "returning", "returned"];

/** Reasons that help to be told. */
const REASONS = {
  no_response: "The store did not answer in time.",
  too_busy: "The store is too busy right now.",
  closed: "The store is closed.",
  closing_early: "The store closes early today.",
  item_unavailable: "Something you ordered is not available.",
  cannot_meet_note: "The store cannot do what the note asks for.",
  customer_request: "As you asked.",
  duplicate: "It was ordered twice.",
  no_courier: "No courier could be found.",
  store_problem: "The store had a problem.",
  no_answer: "Nobody answered at the door.",
  wrong_address: "The address was not right.",
  refused: "It was refused at the door.",
  damaged: "It was damaged on the way.",
  lost: "It was lost on the way.",
};

/** Why an arrival moves, by the event that moved it. */
const CAUSES = {
  "order.prep_changed": "the kitchen needs more time",
  "order.unready": "the kitchen needs more time",
  "courier.changed": "another courier takes over",
  "courier.unassigned": "another courier is being found",
  "order.redelivery": "it is brought to you once more",
};

/** The step an order is at, as in `on_the_way`. */
export const currentOf = (order) => stepsOf(order).at(-1)?.step ?? "received";

export const isOver = (order) => LAST.includes(currentOf(order));

/** Whether the courier may be on the map: on the way to this door and to no other before it. */
export const showsCourier = (order) =>
  ["on_the_way", "arriving"].includes(currentOf(order)) && !(order.stops_before > 0)
  && order.fulfilment !== "store_delivery";

/**
 * The ladder as far as it is known, a step each: `{ step, word, at, state }`, `state` being `done`,
 * `here` or `ahead`. Where it left the ladder there are only steps that were passed.
 */
export function ladderOf(order) {
  const passed = stepsOf(order);
  const current = currentOf(order);
  const times = new Map(passed.map(({ step, at }) => [step, at]));
  const ladder = LADDER[order.fulfilment] ?? LADDER.delivery;
  const reached = ladder.indexOf(current);
  const steps = reached >= 0 ? ladder : passed.map(({ step }) => step);
  const here = reached >= 0 ? reached : steps.length - 1;
  return steps.map((step, nth) => ({
    step,
    word: WORDS[step] ?? "Under way",
    at: nth <= here ? times.get(step) : undefined,
    state: nth < here || LAST.includes(step) && nth === here ? "done" : nth === here ? "here" : "ahead",
  }));
}

/** When it arrives, as two times in milliseconds, or null where nobody knows. */
export function windowOf({ dropoff_eta: at, dropoff_eta_lo: lo, dropoff_eta_hi: hi }) {
  if (!at) return null;
  return [Date.parse(lo ?? at), Date.parse(hi ?? at)];
}

/**
 * What stands at the head of the page: `head`, and where there is a time `label` and `time`, and a
 * sentence, `note`. `tone` is `good`, `bad` or "". A time that has passed is not shown as one that
 * is to come.
 */
export function headOf(order, now) {
  const current = currentOf(order);
  const { store = {}, window, ready_eta } = order;
  const at = stepsOf(order).at(-1)?.at;
  const reason = REASONS[order.reason?.code] ?? "";
  const head = HEADS[current] ?? WORDS[current] ?? "Under way";
  const delivers = order.fulfilment !== "collection";
  const tone = SAD.includes(current) ? "bad" : LAST.includes(current) || current === "ready" ? "good" : "";
  const told = { head, tone, label: "", time: "", note: "" };
  const arrives = () => {
    const [lo, hi] = windowOf(order);
    if (now > hi) return { ...told, note: "It takes a little longer than planned." };
    const time = lo < hi ? spanOf(lo, hi, store.tz) : timeOf(lo, store.tz);
    return { ...told, label: "Arrives", time };
  };
  switch (current) {
    case "received": {
      const note = `Waiting for ${store.name || "the store"} to confirm.`;
      if (!window) return { ...told, note };
      const { from, to } = window;
      const days = [from, to].map((at) => dayOf(at, store.tz));
      const ends = () => [from, to].map((at) => timeOf(at, store.tz)).join(" – ");
      const time = days[0] === days[1] ? spanOf(from, to, store.tz) : ends();
      return { ...told, label: `Planned for ${days[0]}`, time };
    }
    case "preparing": {
      if (delivers && windowOf(order)) return arrives();
      if (!ready_eta) return told;
      if (now > Date.parse(ready_eta)) return { ...told, note: "It takes a little longer than planned." };
      return { ...told, label: "Ready about", time: timeOf(ready_eta, store.tz) };
    }
    case "on_the_way":
      return windowOf(order) ? arrives() : told;
    case "arriving":
      return { ...told, tone: "good", note: "Your courier is at the door." };
    case "ready":
      return { ...told, note: `${store.name || "The store"} has it waiting for you.` };
    case "delivered":
      return { ...told, label: "At", time: timeOf(at, store.tz), note: "Enjoy!" };
    case "collected":
      return { ...told, label: "At", time: timeOf(at, store.tz), note: "Enjoy!" };
    default:
      return { ...told, note: reason };
  }
}

/**
 * Whether an arrival has slipped past what was promised. `promised` and `told` are windows of
 * milliseconds or null, `type` is the event that moved it. Returns a sentence, or "".
 */
export function slipOf(promised, told, type, tz) {
  if (!promised || !told || told[0] <= promised[1]) return "";
  const was = promised[0] < promised[1] ? spanOf(...promised, tz) : timeOf(promised[0], tz);
  const why = CAUSES[type];
  return `Later than planned (${was})${why ? `: ${why}` : ""}.`;
}

/** How many stops come first, in words; "" if none does. */
export function stopsOf({ stops_before: before = 0 }) {
  if (!(before > 0)) return "";
  return before === 1 ? "1 stop before yours" : `${before} stops before yours`;
}

/** What a courier rides, as in `red scooter · Vespa · B-CR 1`. */
export function vehicleOf({ vehicle: { colour, type, make, plate } = {} }) {
  return [[colour, type].filter(Boolean).join(" "), make, plate].filter(Boolean).join(" · ");
}
