// A courier's page: duty, offers, the stop that is next with one big button, proofs, and where the
// phone is. What is tapped holds at once and is sent in the order in which it was tapped, also
// after hours without a connection.

import { keepAwake } from "./awake.js";
import { fold, isFinished } from "./fold.js";
import { distance, metres } from "./geo.js";
import { Offers } from "./offers.js";
import { Outbox, newKey } from "./outbox.js";
import { ago, byId, claimsOf, clock, run, setText, timeOf } from "./page.js";
import { ask, begin as beginProofs } from "./prove.js";
import { Sound } from "./sound.js";
import {
  DROPS, FAILS, foreseen, inTurn, missing, proved, stepOf, waitAtDoor, wayOut,
} from "./stops.js";
import { Tracker } from "./tracker.js";
import { tellUndone } from "./undone.js";
import { send } from "./upload.js";

/** Two taps within this time are one, in milliseconds. */
const TWICE = 700;
/** A fix that is older is not said to be where a tap was made, in milliseconds. */
const FRESH = 60_000;

const WORDS = {
  "order.at_store": "“At the store”",
  "order.pickup": "“Picked up”",
  "order.at_door": "“At the door”",
  "order.deliver": "“Delivered”",
  "order.return": "“Bring back”",
  "order.returned": "“Brought back”",
  "order.fail": "“Could not deliver”",
  "order.drop": "“Give it up”",
  "proof.add": "The proof",
  "driver.duty": "The change of duty",
  "driver.route": "The change of the order of stops",
};

const orders = new Map();
const sound = new Sound("ordercast.courier.muted");
const tracker = new Tracker();
const offers = new Offers(sound);
offers.where = () => tracker.last;
let outbox = null;
let client = null;
let driver = null;
let frame = 0;
let tapped = -Infinity;
let said = null;
/** Keys of taps whose PIN is looked at, so that a wrong one is asked for again. */
const pins = new Map();

beginProofs();

run((given, _order, token) => {
  const { sub, role } = claimsOf(token);
  if (role !== "driver") return "This is no courier’s token.";
  client = given;
  if (driver && driver.id !== sub) driver = null;
  orders.clear();
  offers.see([]);
  said = null;
  outbox = new Outbox(`ordercast.taps.${sub}`);
  const sender = { call: (method, data) => send(given, token, method, data) };
  outbox.client = sender;
  outbox.onChange = redraw;
  outbox.onDone = done;
  outbox.onRefused = refused;
  tracker.client = given;
  offers.client = given;
  client.subscribe(`driver:${sub}`, {
    onSnapshot(snapshot) {
      clock.set(snapshot.at);
      driver = snapshot.driver;
      orders.clear();
      for (const order of snapshot.orders) orders.set(order.id, order);
      offers.see(snapshot.offers ?? []);
      redraw();
    },
    onEvent(event) {
      hear(event);
      redraw();
    },
  });
  redraw();
  return "";
}, {
  name: "courier",
  lasting: true,
  onState({ name }) {
    if (name === "live") {
      outbox.flush();
      tracker.flush();
    }
    redraw();
  },
});

function hear(event) {
  const { type, data = {}, order: id } = event;
  if (type === "driver.duty") {
    driver = { ...driver, duty: data.duty };
  } else if (type.startsWith("offer.")) {
    offers.hear(event);
  } else if (type === "courier.assigned" || type === "courier.changed") {
    // Only whom it is given to is shown the order.
    if (data.order) orders.set(id, { ...data.order, version: event.n });
    else lose(id);
  } else if (type === "courier.unassigned") {
    lose(id);
  } else if (type === "proof.added" && orders.has(id)) {
    orders.set(id, { ...proved(orders.get(id), data.point, data.kind), version: event.n });
  } else if (orders.has(id)) {
    const next = fold(orders.get(id), event);
    if (isFinished(next)) {
      if (type === "order.cancelled") {
        sound.alarm();
        shout(`Order ${next.short_code} was cancelled.`);
      }
      orders.delete(id);
    } else {
      orders.set(id, next);
    }
  }
}

function lose(id) {
  const known = orders.get(id);
  orders.delete(id);
  // What one gave up oneself is no news.
  if (known && !outbox.about(id).some(({ method }) => method === "order.drop")) {
    shout(`Order ${known.short_code} is not yours any more.`);
  }
}

/** A tap was done: the order as it stands after it. */
function done({ key, method, about }, answer) {
  pins.delete(key);
  if (method.startsWith("order.") && answer?.id) {
    const known = orders.get(about);
    if (known && (!answer.status || isFinished(answer) || !stepOf(answer))) orders.delete(about);
    else if (known && answer.version > known.version) orders.set(about, answer);
  } else if (method === "proof.add" && orders.has(about)) {
    orders.set(about, proved(orders.get(about), answer.point, answer.kind));
  } else if (method === "driver.duty" && answer?.duty) {
    driver = { ...driver, duty: answer.duty };
  }
  redraw();
}

/** A tap was not done, and will not be. */
function refused({ key, method, about }, why) {
  const again = pins.get(key);
  pins.delete(key);
  if (again && why.word === "pin_wrong") return again("That PIN is not right. Ask once more.");
  if (why.word === "proof_required" && orders.has(about)) {
    const order = orders.get(about);
    const step = stepOf(order);
    const kinds = step?.point ? missing(order, step.point) : [];
    if (kinds.length > 0) return prove(order, step, kinds, "This is needed first.");
  }
  const code = orders.get(about)?.short_code;
  const reasons = {
    not_found: "it is not yours any more",
    pin_locked: "the PIN was wrong too often; call your dispatcher",
    invalid_transition: "the order has moved on",
  };
  const reason = reasons[why.word] ?? why.message;
  complain(`${WORDS[method] ?? method}${code ? ` for ${code}` : ""} was not done: ${reason}.`);
}

/** Says what needs to be known, and keeps it until it is put away. */
function complain(text) {
  tellUndone(text);
  setText(byId("alarm"), text);
}

function shout(text) {
  complain(text);
  navigator.vibrate?.([300, 120, 300]);
}

/** Takes a tap about an order. */
function tap(method, order, data = {}) {
  const { last } = tracker;
  const where = last && Date.now() - last.at < FRESH ? { lat: last.lat, lng: last.lng } : {};
  const at = new Date(clock.now()).toISOString();
  const key = newKey();
  if (!outbox.put(method, { order: order.id, at, ...where, ...data }, order.id, key)) {
    complain("Too much is waiting to be sent. Find a connection first.");
  }
  tapped = performance.now();
  return key;
}

/** Orders as they will be once what waits is sent, in the order of their stops. */
function work() {
  const left = [...orders.values()].map((order) => foreseen(order, outbox?.about(order.id) ?? []));
  return inTurn(left.filter((order) => order && stepOf(order)));
}

function next() {
  if (performance.now() - tapped < TWICE) return;
  const [order] = work();
  const step = order && stepOf(order);
  if (!step) return;
  const kinds = step.point ? missing(order, step.point) : [];
  if (kinds.length > 0) return prove(order, step, kinds);
  tap(step.method, order);
}

function prove(order, step, kinds, refusal = "") {
  ask(kinds, step.point, step.words, (proofs, pin) => {
    for (const proof of proofs) tap("proof.add", order, proof);
    const key = tap(step.method, order, pin ? { pin } : {});
    if (pin) pins.set(key, (text) => prove(order, step, ["pin"], text));
  }, refusal);
}

byId("next").addEventListener("click", next);

for (const input of byId("duty").querySelectorAll("input")) {
  input.addEventListener("change", () => {
    if (!input.checked) return;
    outbox.put("driver.duty", { duty: input.value }, "duty");
    // Here the phone may ask whether it may say where it is.
    if (input.value === "on" && tracker.state === "denied") tracker.start();
  });
}

/** The duty as it will be once what waits is sent. */
const dutyNow = () => outbox?.about("duty").at(-1)?.data.duty ?? driver?.duty ?? "off";

byId("sound").addEventListener("click", () => {
  if (sound.state === "on") sound.turnOff();
  else sound.turnOn();
});
sound.onChange = () => drawSound();
tracker.onChange = () => redraw();
setInterval(redraw, 5_000);

// Trouble with an order

byId("trouble").addEventListener("click", () => {
  const [order] = work();
  if (order) openProblem(order);
});
byId("problem-no").addEventListener("click", () => byId("problem").close());

let troubled = null;

function openProblem(order) {
  const has = order.status === "picked_up";
  if (order.status === "returning") return complain("It is on its way back. Call your dispatcher.");
  troubled = order;
  setText(byId("problem-head"), has ? "Why can’t it be delivered?" : "Why do you give it up?");
  const wait = waitAtDoor(order, clock.now());
  const reasons = Object.entries(has ? FAILS : DROPS);
  byId("reasons").replaceChildren(byId("reasons").firstElementChild, ...reasons.map(([code, words]) => {
    const label = byId("reason").content.firstElementChild.cloneNode(true);
    const [input, text] = label.children;
    input.value = code;
    input.disabled = code === "no_answer" && wait > 0;
    setText(text, words);
    return label;
  }));
  const note = byId("problem-wait");
  note.hidden = !has || wait === 0;
  setText(note, wait === Infinity
    ? "“Nobody answers” is for when you are at the door."
    : `“Nobody answers” is for after 5 minutes at the door, in ${ago(wait)}.`);
  byId("problem-text").value = "";
  byId("problem-more").hidden = true;
  setText(byId("problem-yes"), has ? "Don’t deliver" : "Give it up");
  byId("problem").showModal();
}

byId("reasons").addEventListener("change", ({ target }) => {
  byId("problem-more").hidden = target.value !== "other";
  byId("problem-text").required = target.value === "other";
});

byId("problem-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const reason = new FormData(event.target).get("reason");
  const note = byId("problem-text").value.trim();
  const method = troubled.status === "picked_up" ? wayOut(troubled, reason) : "order.drop";
  byId("problem").close();
  tap(method, troubled, { reason, ...(note ? { note } : {}) });
});

// Drawing

function redraw() {
  frame ||= requestAnimationFrame(draw);
}

function draw() {
  frame = 0;
  if (!outbox) return;
  // Who has signed out, or may not see this any more, is not asked, nor told of.
  if (byId("content").hidden || client.state.name === "ended") return rest();
  const duty = dutyNow();
  const [order, ...others] = work();
  const works = duty !== "off" || Boolean(order);
  setText(byId("me"), driver?.display_name ?? driver?.name ?? "Courier");
  for (const input of byId("duty").querySelectorAll("input")) {
    if (driver) input.checked = input.value === duty;
    input.disabled = !driver;
  }
  byId("sound").hidden = !driver;
  drawQueue();
  drawIdle(duty, order);
  drawTask(order);
  drawStops(others);
  drawPlace(works);
  keepAwake(works);
  if (works && driver && tracker.state === "off") tracker.start();
  if (!works) tracker.stop();
  tracker.busy = Boolean(order);
  drawSound();
  announce(order);
}

/** Nobody works with this page. */
function rest() {
  offers.see([]);
  tracker.stop();
  keepAwake(false);
  for (const name of ["dock", "task", "later", "idle", "place", "sound"]) byId(name).hidden = true;
  document.body.dataset.busy = "no";
}

byId("forget").addEventListener("click", redraw);

function drawQueue() {
  const { length } = outbox.taps;
  const waits = length > 0 && client?.state.name !== "live";
  byId("queued").hidden = !waits;
  setText(byId("queued"), `${length === 1 ? "1 tap is" : `${length} taps are`} kept and sent when you are back online.`);
}

function drawIdle(duty, order) {
  byId("idle").hidden = Boolean(order) || !driver;
  byId("idle").dataset.duty = duty;
  const [head, note] = {
    on: ["Waiting for orders", "Offers come here. Keep this page open."],
    paused: ["You are on a break", "You get no offers until you are on duty again."],
    off: ["You are off duty", "Go on duty to get offers."],
  }[duty];
  setText(byId("idle-head"), head);
  setText(byId("idle-note"), note);
}

const isFetched = ({ leg, status }) => leg === "en_route" && status !== "returning" || leg === "at_door";

/** What a stop is: where, for whom, by when. */
function stopOf(order) {
  const { store, dropoff = {}, ready_eta, dropoff_eta, status } = order;
  if (isFetched(order)) {
    return {
      kind: "Deliver", name: dropoff.name ?? "Customer", address: dropoff.address ?? "",
      place: dropoff, phone: dropoff.phone, by: dropoff_eta && `By ${timeOf(dropoff_eta, store.tz)}`,
    };
  }
  const isReady = status === "ready";
  return {
    kind: status === "returning" ? "Bring back" : "Pick up", name: store.name, address: "",
    place: store, phone: store.phone,
    by: status === "returning" ? "" : isReady ? "Ready now" : ready_eta && `Ready about ${timeOf(ready_eta, store.tz)}`,
  };
}

function drawTask(order) {
  byId("task").hidden = !order;
  byId("dock").hidden = !order;
  document.body.dataset.busy = order ? "yes" : "no";
  if (!order) return;
  const stop = stopOf(order);
  const step = stepOf(order);
  const { last } = tracker;
  const far = last && typeof stop.place?.lat === "number" ? `${distance(metres(last, stop.place))} away` : "";
  setText(byId("task-kind"), stop.kind);
  setText(byId("task-code"), order.short_code);
  setText(byId("task-place"), stop.name);
  setText(byId("task-address"), stop.address);
  setText(byId("task-by"), [stop.by, far].filter(Boolean).join(" · "));
  const state = byId("task-state");
  const isReady = order.status === "ready" && !isFetched(order);
  const isLate = order.late?.includes("delivery");
  state.hidden = !isReady && !isLate;
  state.dataset.tone = isLate ? "warn" : "good";
  setText(state, isLate ? "Late" : "✓ Ready");
  const notes = isFetched(order)
    ? [order.dropoff?.leave_at_door && "Leave it at the door.", order.dropoff?.notes].filter(Boolean).join(" ") : "";
  byId("task-notes").hidden = !notes;
  setText(byId("task-notes"), notes);
  const { lat, lng } = stop.place ?? {};
  byId("navigate").hidden = typeof lat !== "number";
  byId("navigate").href = wayTo(lat, lng);
  // A number that is masked cannot be called.
  const callable = stop.phone && !stop.phone.includes("•");
  byId("phone").hidden = !callable;
  if (callable) byId("phone").href = `tel:${stop.phone.replaceAll(/[^\d+]/g, "")}`;
  const lines = (order.items ?? []).map(({ name, qty }) => `${qty} × ${name}`);
  const list = byId("task-items");
  if (lines.join("\n") !== [...list.children].map((line) => line.textContent).join("\n")) {
    list.replaceChildren(...lines.map((line) => {
      const item = document.createElement("li");
      item.textContent = line;
      return item;
    }));
  }
  setText(byId("task-note"), order.note ?? "");
  setText(byId("next"), step.words);
  byId("next").dataset.order = order.id;
  byId("next").dataset.method = step.method;
}

/** The phone's own map: its schemes are all that is asked of it. */
function wayTo(lat, lng) {
  return /iPhone|iPad|Macintosh/.test(navigator.userAgent)
    ? `maps:?daddr=${lat},${lng}` : `geo:${lat},${lng}?q=${lat},${lng}`;
}

function drawStops(others) {
  byId("later").hidden = others.length === 0;
  const list = byId("stops");
  while (list.children.length > others.length) list.lastElementChild.remove();
  while (list.children.length < others.length) {
    const item = byId("stop").content.firstElementChild.cloneNode(true);
    item.lastElementChild.addEventListener("click", () => doFirst(item.dataset.order));
    list.append(item);
  }
  others.forEach((order, nth) => {
    const item = list.children[nth];
    const [number, text, button] = item.children;
    const [kind, name, by] = text.children;
    const stop = stopOf(order);
    item.dataset.order = order.id;
    setText(number, String(nth + 2));
    setText(kind, `${stop.kind} · ${order.short_code}`);
    setText(name, stop.address || stop.name);
    setText(by, stop.by || "");
    button.setAttribute("aria-label", `Do first: ${stop.kind} ${order.short_code}`);
  });
}

/** Another stop first: the tour of all open orders, so that those who wait are told, too. */
function doFirst(id) {
  const all = work().map((order) => order.id);
  const tour = [id, ...all.filter((other) => other !== id)];
  outbox.put("driver.route", { driver: driver.id, orders: tour }, "route");
}

function drawPlace(works) {
  const { state, last } = tracker;
  const line = byId("place");
  line.hidden = !works || !driver;
  line.dataset.state = state;
  setText(byId("place-words"), {
    off: "Your location is not shared.",
    asking: "Finding your location…",
    on: last ? `Location shared, accurate to ${distance(Math.max(10, last.acc))}` : "",
    denied: "Location is off: allow it for this page in the browser’s settings.",
    lost: "Your location cannot be found right now.",
  }[state]);
}

function drawSound() {
  const button = byId("sound");
  const isOn = sound.state === "on";
  button.setAttribute("aria-pressed", String(isOn));
  button.setAttribute("aria-label", isOn ? "Sound is on" : "Sound is off");
  const drawing = `assets/icons.svg#${isOn ? "bell" : "bell-off"}`;
  const use = button.querySelector("use");
  if (use.getAttribute("href") !== drawing) use.setAttribute("href", drawing);
}

/** Says what is next when it changed. */
function announce(order) {
  const step = order ? `${stopOf(order).kind} ${order.short_code}. Next: ${stepOf(order).words}` : "Nothing to do";
  if (said !== null && said !== step) setText(byId("announce"), step);
  said = step;
}
