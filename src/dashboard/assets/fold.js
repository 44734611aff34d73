// How an event changes an order: the same for a dispatcher's view, which has `status`, `leg` and
// `stamps`, and for a customer's, which has `steps`.
//
// Absent on purpose: nothing here knows a page or a socket. A type it does not know changes
// nothing but the version.

const STATUS = {
  "order.scheduled": "scheduled",
  "order.placed": "placed",
  "order.accepted": "accepted",
  "order.rejected": "rejected",
  "order.preparing": "preparing",
  "order.ready": "ready",
  "order.unready": "preparing",
  "order.picked_up": "picked_up",
  "order.delivered": "delivered",
  "order.cancelled": "cancelled",
  "order.failed": "failed",
  "order.returning": "returning",
  "order.returned": "returned",
  "order.redelivery": "picked_up",
};

/** Statuses after which an order leaves the board. */
const FINISHED = new Set(["delivered", "rejected", "cancelled", "failed", "returned"]);

export const isFinished = (order) => FINISHED.has(order.status);

/** Whether an event says where an order stands, so that one who hears it should know the order. */
export const moves = (event) => event.type in STATUS || event.type.startsWith("courier.");

/** What an order can be late with, in the order in which an order lists it. */
const LATE = ["accept", "prep", "pickup", "delivery"];

/** The order after the event. `order` is absent before its first one; it is not changed. */
export function fold(order, event) {
  const { type, data = {}, n, at } = event;
  const whole = type === "order.placed" ? data : type === "order.scheduled" ? data.order : null;
  if (whole?.id) return { ...whole, version: n };
  // What has no version, as an offer, leaves the order as it is; and a repeat does: recovery may
  // overlap with what a snapshot says already.
  if (!order || n === undefined || n <= order.version) return order;
  const next = { ...order, version: n };
  if (order.stamps) next.stamps = { ...order.stamps };
  if (order.steps) next.steps = [...order.steps];
  const status = STATUS[type];
  if (status) {
    if ("status" in order) next.status = status;
    stamp(next, status, at);
    if (FINISHED.has(status)) setLeg(next, "closed");
  }
  change(next, type, data, at);
  return next;
}

function change(order, type, data, at) {
  switch (type) {
    case "order.accepted":
      // A customer's second step begins when the store says yes.
      if (!order.steps?.some(({ step }) => step === "preparing")) step(order, "preparing", at);
      assign(order, data, ["prep_min", "ready_eta"]);
      times(order, data);
      break;
    case "order.preparing":
    case "order.prep_changed":
      if (type === "order.preparing") step(order, "preparing", at);
      assign(order, data, ["prep_min", "ready_eta"]);
      times(order, data);
      break;
    case "order.ready":
      if (order.fulfilment === "collection") step(order, "ready", at);
      assign(order, data, ["ready_eta"]);
      times(order, data);
      break;
    case "order.unready":
      unstamp(order, "ready");
      step(order, "preparing", at);
      assign(order, data, ["ready_eta"]);
      times(order, data);
      break;
    case "order.picked_up":
    case "order.redelivery":
      setLeg(order, order.fulfilment === "delivery" ? "en_route" : order.leg);
      step(order, "on_the_way", at);
      if (type === "order.redelivery") {
        delete order.reason;
        delete order.return_eta;
        attempt(order, data);
        // Another attempt has come to no door yet.
        order.steps = order.steps?.filter(({ step }) => step !== "arriving" && step !== "returning");
      }
      arrival(order, data);
      break;
    case "order.eta":
      assign(order, data, ["batch", "stop_seq", "stops_before"]);
      times(order, data);
      break;
    case "order.late":
      // A customer is told, and its order does not list it.
      if ("status" in order) {
        const late = new Set([...(order.late ?? []), data.kind]);
        order.late = LATE.filter((kind) => late.has(kind));
      }
      break;
    case "order.delivered":
      step(order, order.fulfilment === "collection" ? "collected" : "delivered", at);
      break;
    case "order.returning":
      setLeg(order, order.fulfilment === "delivery" ? "en_route" : order.leg);
      attempt(order, data);
      arrival(order, {});
      assign(order, data, ["return_eta"]);
      delete order.eta_source;
      // Falls through: it has a reason, too.
    case "order.rejected":
    case "order.cancelled":
    case "order.failed":
      step(order, STATUS[type], at);
      order.reason = { code: data.code, by: data.by, note: data.note };
      break;
    case "order.returned":
      step(order, "returned", at);
      break;
    case "order.updated":
      Object.assign(order, data);
      break;
    case "courier.searching":
      setLeg(order, "offering");
      // A store is not shown how often.
      if ("tenant" in order) order.search = { round: data.round };
      break;
    case "courier.search_failed":
      setLeg(order, "none");
      break;
    case "courier.assigned":
    case "courier.changed":
      order.driver = data.driver;
      tourless(order);
      times(order, data);
      stamp(order, "assigned", at);
      // A hand-over on the way leaves the order on the way.
      if (order.leg !== "en_route" && order.leg !== "at_door") {
        setLeg(order, "assigned");
        unstamp(order, "at_store");
      }
      break;
    case "courier.unassigned":
      delete order.driver;
      delete order.pickup_eta;
      tourless(order);
      setLeg(order, "none");
      unstamp(order, "assigned");
      unstamp(order, "at_store");
      break;
    case "courier.at_store":
      setLeg(order, "at_store");
      stamp(order, "at_store", at);
      break;
    case "courier.at_door":
      setLeg(order, "at_door");
      stamp(order, "at_door", at);
      step(order, "arriving", at);
      break;
  }
}

function assign(order, data, keys) {
  for (const key of keys) if (data[key] !== undefined) order[key] = data[key];
}

/** Times of arrival come together, or not at all. */
function arrival(order, { dropoff_eta, lo, hi, source }) {
  order.dropoff_eta = dropoff_eta;
  order.dropoff_eta_lo = lo;
  order.dropoff_eta_hi = hi;
  if (source) order.eta_source = source;
}

/** When it is picked up, delivered or brought back, where an event says so. */
function times(order, data) {
  assign(order, data, ["pickup_eta", "return_eta"]);
  if (data.dropoff_eta) arrival(order, data);
  else if (data.source) order.eta_source = data.source;
}

/** A customer is not shown which attempt it is. */
function attempt(order, data) {
  if ("status" in order) assign(order, data, ["attempt"]);
}

/** A tour is the courier's who had the order. */
function tourless(order) {
  for (const key of ["batch", "stop_seq", "stops_before"]) delete order[key];
}

function setLeg(order, leg) {
  if ("leg" in order) order.leg = leg;
  if (leg !== "offering") delete order.search;
}

function stamp(order, name, at) {
  if (order.stamps) order.stamps[name] = at;
}

function unstamp(order, name) {
  if (order.stamps) delete order.stamps[name];
  if (order.steps) order.steps = order.steps.filter((passed) => passed.step !== name);
}

function step(order, name, at) {
  if (!order.steps) return;
  order.steps = order.steps.filter((passed) => passed.step !== name);
  order.steps.push({ step: name, at });
}

/** The steps a customer follows that were passed, in the order in which they were. */
export function stepsOf(order) {
  const { stamps = {} } = order;
  const collected = order.fulfilment === "collection";
  const passed = order.steps ?? [
    ["received", stamps.created],
    ["preparing", stamps.preparing ?? stamps.accepted],
    ...(collected
      ? [["ready", stamps.ready], ["collected", stamps.delivered]]
      : [["on_the_way", stamps.picked_up], ["arriving", stamps.at_door], ["delivered", stamps.delivered]]),
    ...["rejected", "cancelled", "failed", "returning", "returned"].map((name) => [name, stamps[name]]),
  ].filter(([, at]) => at).map(([name, at]) => ({ step: name, at }));
  // By time, as an order that is sent out again passes a step it had passed before.
  return [...passed].sort((a, b) => Date.parse(a.at) - Date.parse(b.at));
}
