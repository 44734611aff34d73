// One order as its customer follows it: steps with their times, when it arrives, who brings it.

import { fold, stepsOf } from "./fold.js";
import { byId, clock, daySpanOf, run, setText, spanOf, timeOf, zoneOf } from "./page.js";

/** Between two looks at what time alone changes, in milliseconds. */
const TICK = 10_000;

const WORDS = {
  received: "Received",
  preparing: "Preparing",
  on_the_way: "On the way",
  arriving: "Arriving",
  delivered: "Delivered",
  ready: "Ready to collect",
  collected: "Collected",
  rejected: "Not accepted",
  cancelled: "Cancelled",
  failed: "Not delivered",
  returning: "Going back to the store",
  returned: "Back at the store",
};

const LADDER = {
  delivery: ["received", "preparing", "on_the_way", "arriving", "delivered"],
  // Who brings it is not tracked, so nobody knows when it arrives at the door.
  store_delivery: ["received", "preparing", "on_the_way", "delivered"],
  collection: ["received", "preparing", "ready", "collected"],
};

/** Reasons that help to be told. */
const REASONS = {
  no_response: "The store did not answer in time.",
  too_busy: "The store is too busy.",
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

let order = null;
let frame = 0;
let announced = null;

run((client, id) => {
  [order, announced] = [null, null];
  if (!id) return "Which order? Give its id, which begins with or_.";
  client.subscribe(`order:${id}`, {
    onSnapshot(snapshot) {
      clock.set(snapshot.at);
      order = snapshot.order;
      redraw();
    },
    onEvent(event) {
      order = fold(order, event);
      redraw();
    },
  });
  return "";
});

setInterval(redraw, TICK);
document.addEventListener("visibilitychange", redraw);

function redraw() {
  if (order) frame ||= requestAnimationFrame(draw);
}

function draw() {
  frame = 0;
  if (!order) return;
  const { store } = order;
  const passed = stepsOf(order);
  const current = passed.at(-1).step;
  const promise = promiseOf(current, passed.at(-1).at);
  setText(byId("code"), order.short_code);
  setText(byId("store"), store.name);
  setText(byId("now"), WORDS[current] ?? current);
  setText(byId("promise"), promise);
  byId("now").dataset.step = current;
  drawSteps(passed, current);
  const zone = zoneOf(passed.at(-1).at, store.tz);
  byId("zone").hidden = !zone;
  setText(byId("zone"), `Times are the store’s (${zone}).`);
  drawCourier();
  drawDetails();
  document.title = `${WORDS[current] ?? current} · Order ${order.short_code}`;
  document.body.dataset.loaded = "yes";
  announce(current, promise);
}

/** When what is next will be, in one sentence. */
function promiseOf(current, at) {
  const { store, window, ready_eta, dropoff_eta, dropoff_eta_lo: lo, dropoff_eta_hi: hi } = order;
  const now = clock.now();
  const reason = REASONS[order.reason?.code] ?? "";
  switch (current) {
    case "received":
      return window
        ? `Planned for ${daySpanOf(window.from, window.to, store.tz)}`
        : "Waiting for the store to accept";
    case "preparing":
      if (!ready_eta) return "";
      if (now > Date.parse(ready_eta)) return "Taking a little longer than planned";
      return `Ready about ${timeOf(ready_eta, store.tz)}`;
    case "on_the_way":
      if (!dropoff_eta) return "";
      if (now > Date.parse(hi ?? dropoff_eta)) return "Taking longer than planned, still on its way";
      return lo && hi
        ? `Arrives ${spanOf(lo, hi, store.tz)}`
        : `Arrives about ${timeOf(dropoff_eta, store.tz)}`;
    case "arriving":
      return "Your courier is at the door";
    case "ready":
      return `Waiting for you at ${store.name}`;
    case "delivered":
    case "collected":
      return `At ${timeOf(at, store.tz)}. Enjoy!`;
    default:
      return reason;
  }
}

/** The ladder as far as it is known: steps that were passed, where it stands, what is to come. */
function drawSteps(passed, current) {
  const times = new Map(passed.map(({ step, at }) => [step, at]));
  const ladder = LADDER[order.fulfilment] ?? LADDER.delivery;
  const reached = ladder.indexOf(current);
  const shown = reached >= 0
    ? ladder.map((step, nth) => ({ step, at: nth <= reached ? times.get(step) : undefined }))
    : passed;
  const here = reached >= 0 ? reached : shown.length - 1;
  const last = ["delivered", "collected"].includes(current);
  const list = byId("steps");
  while (list.children.length > shown.length) list.lastElementChild.remove();
  while (list.children.length < shown.length) {
    list.append(byId("step").content.firstElementChild.cloneNode(true));
  }
  shown.forEach(({ step, at }, nth) => {
    const item = list.children[nth];
    const state = nth < here || last ? "done" : nth === here ? "here" : "ahead";
    const [icon, word, time, spoken] = item.children;
    item.dataset.state = state;
    if (nth === here) item.setAttribute("aria-current", "step");
    else item.removeAttribute("aria-current");
    setText(icon, { done: "✓", here: "●", ahead: "○" }[state]);
    setText(word, WORDS[step] ?? step);
    setText(time, at ? timeOf(at, order.store.tz) : "");
    if (at) time.dateTime = at;
    else time.removeAttribute("datetime");
    setText(spoken, { done: "done", here: "now", ahead: "to come" }[state]);
  });
}

function drawCourier() {
  const { driver } = order;
  byId("courier").hidden = !driver;
  if (!driver) return;
  const { colour, type, make, plate } = driver.vehicle ?? {};
  setText(byId("courier-name"), driver.display_name ?? driver.name);
  const vehicle = [colour, type].filter(Boolean).join(" ");
  setText(byId("courier-vehicle"), [vehicle, make, plate].filter(Boolean).join(" · "));
}

function drawDetails() {
  const { items, dropoff, pin, note } = order;
  const list = byId("items");
  const lines = items.map(({ name, qty }) => `${qty} × ${name}`);
  if (lines.join("\n") !== [...list.children].map((line) => line.textContent).join("\n")) {
    list.replaceChildren(...lines.map((line) => {
      const item = document.createElement("li");
      item.textContent = line;
      return item;
    }));
  }
  field("dropoff", dropoff?.address);
  field("note", note);
  field("pin", pin);
}

function field(name, text) {
  byId(`${name}-field`).hidden = !text;
  setText(byId(name), text ?? "");
}

/** Says a change of step or courier aloud, once, and never what was there when the page came. */
function announce(current, promise) {
  const courier = order.driver?.display_name ?? order.driver?.name ?? "";
  const last = announced;
  announced = { current, courier };
  if (!last) return;
  const said = [];
  if (last.current !== current) said.push([WORDS[current] ?? current, promise].filter(Boolean).join(". "));
  if (courier && last.courier !== courier) said.push(`Your courier is ${courier}`);
  if (said.length > 0) setText(byId("announce"), said.join(". "));
}
