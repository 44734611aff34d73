// What a dispatcher may do with an order, and why not: asked before it is tried, so that a drag
// says at once whether it would be refused. The server has the last word (README, Order machine).
//
// Absent on purpose: nothing is sent from here.

import { isFinished } from "./fold.js";
import { isOurs } from "./fleet.js";

const DUTY = { off: "Off duty", paused: "On a break" };
const REJECT = ["too_busy", "closed", "item_unavailable", "closing_early", "cannot_meet_note", "other"];
const CANCEL = [
  "customer_request", "duplicate", "payment", "no_courier", "courier_incident", "store_problem",
  "fraud", "other",
];
const FAIL = ["no_answer", "wrong_address", "refused", "damaged", "lost", "unsafe", "age_check", "other"];
const DROP = ["vehicle", "too_far", "long_wait", "personal", "other"];

/** Why an order cannot have a courier at all, or "". */
export function closedToCouriers(order) {
  if (isFinished(order)) return "It is over";
  if (order.fulfilment === "collection") return "The customer collects it";
  if (!isOurs(order)) return "The store delivers it";
  if (order.status === "scheduled") return "Not placed yet";
  return "";
}

/** Why this courier cannot be given this order, or "". `load` is how many it has. */
export function assignRefusal(order, courier, load) {
  const closed = closedToCouriers(order);
  if (closed) return closed;
  if (order.driver?.id === courier.id) return "Has it already";
  if (courier.duty !== "on") return DUTY[courier.duty] ?? "Not working";
  if (load >= courier.capacity) return `No room: ${load} of ${courier.capacity}`;
  return "";
}

/** What a drop on a column would do: `{action, words}`, `{refusal}`, or null for its own. */
export function columnMove(order, own, column) {
  if (column === own) return null;
  const no = (refusal) => ({ refusal });
  if (isFinished(order)) return no("It is over");
  if (column === "scheduled") return no("Cannot be scheduled any more");
  switch (order.status) {
    case "scheduled":
      return column === "placed" ? { action: "release", words: "Release now" } : no("Not placed yet");
    case "placed":
      return column === "preparing" ? { action: "accept", words: "Accept" } : no("Not accepted yet");
    case "accepted":
    case "preparing":
    case "ready":
      if (column === "placed") return no("Accepted already");
      if (column === "ready") return { action: "ready", words: "Mark as ready" };
      if (column === "preparing") return { action: "unready", words: "Not ready after all" };
      if (order.fulfilment === "collection") return no("The customer collects it");
      if (isOurs(order) && !["assigned", "at_store"].includes(order.leg)) return no("No courier yet");
      return { action: "pickup", words: "Picked up" };
    default:
      return no("Picked up already");
  }
}

/** What else can be done: `{action, words, reasons, tone}`, the next step first. */
export function actionsFor(order) {
  const does = (action, words, more = {}) => ({ action, words, ...more });
  const cancel = does("cancel", "Cancel order", { reasons: CANCEL, tone: "danger" });
  const carried = order.leg === "assigned" || order.leg === "at_store";
  const release = carried ? [does("unassign", "Take off courier", { reasons: DROP })] : [];
  const search = !isOurs(order) || order.driver ? []
    : order.leg === "offering" ? [does("stop_search", "Stop the search")]
    : [does("search", "Search a courier")];
  switch (order.status) {
    case "scheduled":
      return [does("release", "Release now"), cancel];
    case "placed":
      return [does("accept", "Accept for the store"), ...release,
        does("reject", "Reject", { reasons: REJECT, tone: "danger" }), cancel];
    case "accepted":
    case "preparing":
      return [does("ready", "Mark as ready"), ...search, ...release, cancel];
    case "ready":
      return [
        ...(order.fulfilment === "collection" ? [does("collect", "Collected")]
          : carried || !isOurs(order) ? [does("pickup", "Picked up")] : []),
        ...search, ...release, does("unready", "Not ready after all"), cancel,
      ];
    case "picked_up":
      return [does("deliver", "Delivered"),
        order.undeliverable_action === "return"
          ? does("return", "Send back", { reasons: FAIL, tone: "danger" })
          : does("fail", "Could not deliver", { reasons: FAIL, tone: "danger" })];
    case "returning":
      return [does("returned", "Is back at the store"), does("redeliver", "Try again"),
        does("fail", "Could not be returned", { reasons: ["failed_to_return", ...FAIL], tone: "danger" })];
    default:
      return [];
  }
}

/** Why a request was refused, for people. */
export function refusalWords(why) {
  return {
    driver_at_capacity: "The courier has no room.",
    driver_off_duty: "The courier is not working.",
    invalid_transition: "The order has moved on meanwhile.",
    already_picked_up: "It has been picked up already.",
    not_found: "It is not there any more.",
    role_not_allowed: "This token may only look.",
    overloaded: "The server is busy. Try again.",
  }[why.word] || why.message || "It did not work.";
}
