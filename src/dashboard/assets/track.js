// One order as whoever has its link follows it. The page comes whole from the server and can be
// read without this; from here on it is kept true: by a socket, and where none gets through by
// asking every few seconds.

import { keepAwake } from "./awake.js";
import { Client } from "./client.js";
import { fold } from "./fold.js";
import {
  WORDS, currentOf, headOf, isOver, ladderOf, showsCourier, slipOf, stopsOf, vehicleOf, windowOf,
} from "./journey.js";
import { ago, byId, clock, setText, timeOf, zoneOf } from "./page.js";
import { STALE, newerOf, pointOf, twinOf } from "./whereabouts.js";

/** Between two requests where no socket gets through, in milliseconds. */
const POLL = 12_000;
/** How long a socket may take until the page asks instead. */
const PATIENCE = 4_000;
/** How long a request may take. */
const POLL_LIMIT = 8_000;

const main = byId("track");
const id = main.dataset.order;
const token = location.pathname.split("/").at(-1);

let order = null;
let point = null;
let map = null;
/** Whether what is in sight was chosen with the courier there. */
let framed = null;
let client = null;
/** What was last said aloud. */
let said = null;
/** What moved the arrival last, and what was promised before. */
let cause = "";
let promised = recall();
let slip = "";
let heard = Date.now();
let tag = "";
let gone = false;
let frame = 0;
const photos = new Map();

client = new Client(token, () => tick());
client.subscribe(`order:${id}`, {
  onSnapshot(snapshot) {
    clock.set(snapshot.at);
    take(snapshot.order, snapshot.location);
  },
  onEvent(event) {
    const next = pointOf(event);
    if (next) {
      point = newerOf(point, next);
    } else {
      if (event.type === "courier.changed" || event.type === "courier.unassigned") point = null;
      const before = windowOf(order ?? {});
      order = fold(order, event);
      if (String(before) !== String(windowOf(order))) cause = event.type;
      // What is shown of the courier from here on comes with the whole.
      if (event.type === "order.picked_up") client.renew(`order:${id}`);
      if (event.type === "proof.added" || event.type === "order.delivered") showPhotos();
    }
    redraw();
  },
});
client.start();

// Ages and times that pass.
setInterval(tick, 1_000);
setInterval(() => { if (!isLive()) poll(); }, POLL);
setTimeout(() => { if (!isLive()) poll(); }, PATIENCE);
document.addEventListener("visibilitychange", tick);
addEventListener("online", () => { if (!isLive()) poll(); });

const isLive = () => client.state.name === "live";

/** The whole order, as it was sent or fetched. */
function take(whole, where) {
  const first = !order;
  if (!first && !(whole.version >= order.version)) return;
  order = whole;
  point = where && showsCourier(order) ? newerOf(point, where) : point;
  if (isOver(order)) showPhotos();
  redraw();
}

async function poll() {
  if (gone || document.visibilityState === "hidden") return;
  try {
    const headers = tag ? { "if-none-match": tag } : {};
    const answer = await fetch(`/v1/track/${token}`, {
      headers, cache: "no-store", signal: AbortSignal.timeout(POLL_LIMIT),
    });
    if (answer.status === 410) return end("This link has ended.");
    if (answer.status === 404) return end("This link leads nowhere.");
    if (answer.status !== 200 && answer.status !== 304) return;
    heard = Date.now();
    if (answer.status === 200) {
      tag = answer.headers.get("etag") ?? "";
      const body = await answer.json();
      take(body, body.location);
    }
    tick();
  } catch {
    // No network: the age says so, and it is asked again.
  }
}

/** The link shows nothing any more. */
function end(text) {
  gone = true;
  client.stop();
  keepAwake(false);
  const head = document.createElement("h1");
  head.textContent = text;
  const help = document.createElement("p");
  help.textContent = "Whoever sent it to you can send you another.";
  const box = document.createElement("section");
  box.className = "sheet over";
  box.append(head, help);
  document.title = text;
  document.querySelector(".bar")?.remove();
  // The region that says it stays.
  const region = byId("announce");
  main.replaceChildren(region, box);
  setText(region, text);
}

function redraw() {
  if (order && !gone) frame ||= requestAnimationFrame(draw);
}

/** What time alone changes. */
function tick() {
  if (gone || document.visibilityState === "hidden") return;
  const { name } = client.state;
  if (client.heard > heard) heard = client.heard;
  if (name === "ended") poll.asked ??= poll();
  const age = Date.now() - heard;
  const state = name === "live" ? "live" : age < 2 * POLL ? "near" : "stale";
  const light = byId("light");
  light.dataset.state = state;
  const [icon, word] = light.children;
  setText(icon, state === "stale" ? "↻" : "●");
  const since = age < 3_000 ? "just now" : `${ago(age)} ago`;
  setText(word, state === "stale" ? `Offline · from ${since}` : `Updated ${since}`);
  redraw();
}

function draw() {
  frame = 0;
  if (!order || gone) return;
  const now = clock.now();
  const current = currentOf(order);
  const told = headOf(order, now);
  const { store = {} } = order;
  drawSlip(current);
  const stops = isOver(order) ? "" : stopsOf(order);
  setText(byId("code"), order.short_code ?? "");
  setText(byId("store"), store.name ?? "");
  setText(byId("now"), told.head);
  byId("hero").dataset.tone = told.tone;
  text("label", told.label);
  text("time", told.time);
  text("note", [told.note, stops && `${stops}.`].filter(Boolean).join(" "));
  drawSteps();
  drawCourier(current);
  drawMap(now);
  drawDetails();
  const passed = order.steps?.at(-1)?.at;
  const zone = passed && store.tz ? zoneOf(passed, store.tz) : "";
  text("zone", zone && `Times are the store’s (${zone}).`);
  document.title = [WORDS[current] ?? "Your order", told.time, store.name].filter(Boolean).join(" · ");
  document.body.dataset.loaded = "yes";
  keepAwake(["on_the_way", "arriving"].includes(current));
  announce(current, told);
}

/** A line that is there only when it says something. */
function text(name, words) {
  const element = byId(name);
  setText(element, words ?? "");
  element.hidden = !words;
}

/** Says once that it arrives later than promised, and from then on goes by the new promise. */
function drawSlip(current) {
  const told = windowOf(order);
  const waits = ["preparing", "on_the_way"].includes(current);
  if (told && waits) {
    const words = slipOf(promised, told, cause, order.store?.tz);
    if (words) slip = words;
    if (words || !promised) {
      promised = told;
      remember();
    }
  }
  if (!waits) slip = "";
  text("slip", slip);
}

function recall() {
  try {
    return JSON.parse(sessionStorage.getItem(`ordercast.promised.${id}`));
  } catch {
    return null;
  }
}

function remember() {
  try {
    sessionStorage.setItem(`ordercast.promised.${id}`, JSON.stringify(promised));
  } catch {
    // Then a reload begins anew.
  }
}

function drawSteps() {
  const steps = ladderOf(order);
  const list = byId("steps");
  while (list.children.length > steps.length) list.lastElementChild.remove();
  while (list.children.length < steps.length) list.append(list.lastElementChild.cloneNode(true));
  steps.forEach(({ step, word, at, state }, nth) => {
    const item = list.children[nth];
    const [icon, name, time, spoken] = item.children;
    item.dataset.state = state;
    item.dataset.step = step;
    if (state === "here") item.setAttribute("aria-current", "step");
    else item.removeAttribute("aria-current");
    const drawing = `#i-${step}`;
    const use = icon.querySelector("use");
    if (use.getAttribute("href") !== drawing) use.setAttribute("href", drawing);
    setText(name, word);
    setText(time, at ? timeOf(at, order.store?.tz) : "");
    if (at) time.dateTime = at;
    else time.removeAttribute("datetime");
    setText(spoken, { done: "done", here: "now", ahead: "to come" }[state]);
  });
}

function drawCourier(current) {
  const { driver } = order;
  byId("courier").hidden = !driver;
  if (!driver) return;
  const name = driver.display_name ?? driver.name ?? "";
  setText(byId("courier-head"), current === "preparing" ? "Courier found" : "Your courier");
  setText(byId("courier-name"), name);
  setText(byId("courier-face"), name.slice(0, 1));
  text("courier-vehicle", vehicleOf(driver));
  const calls = ["on_the_way", "arriving"].includes(current);
  text("courier-phone", calls && driver.phone && `Calls you from ${driver.phone}`);
}

/** The map, only while the courier comes to this door next; and what it shows in words. */
function drawMap(now) {
  const { store = {}, dropoff = {} } = order;
  const known = point || currentOf(order) === "on_the_way";
  const shown = showsCourier(order) && known && typeof dropoff.lat === "number";
  byId("where").hidden = !shown;
  if (!shown) {
    point = null;
    return;
  }
  const age = point ? now - Date.parse(point.at) : 0;
  const old = age > STALE;
  text("twin", point
    ? twinOf(point, dropoff, order.dropoff_eta, now)
    : "Waiting to hear where your courier is.");
  text("age", point && (old ? `Last seen ${ago(age)} ago` : ""));
  byId("where").dataset.old = old ? "yes" : "no";
  drawPlot(store, dropoff);
}

/** Draws what the words say; they stand alone where there is no map. */
async function drawPlot(store, door) {
  map ??= import("./map.js").then(
    ({ Plot }) => new Plot(byId("map"), { label: "Map", follow: true, now: () => clock.now() }),
    () => null,
  );
  const plot = await map;
  if (!plot) return;
  plot.put({ id: "store", kind: "store", lat: store.lat, lng: store.lng });
  plot.put({ id: "door", kind: "door", lat: door.lat, lng: door.lng });
  if (point) {
    const { lat, lng, hdg, at } = point;
    const { vehicle } = order?.driver ?? {};
    plot.put({ id: "courier", kind: "courier", lat, lng, heading: hdg, at: Date.parse(at), vehicle: vehicle?.type });
    plot.lines([["courier", "door"]]);
  } else {
    plot.remove("courier");
    plot.lines([["store", "door"]]);
  }
  if (framed !== Boolean(point)) plot.show();
  framed = Boolean(point);
}

function drawDetails() {
  const { items = [], dropoff, pin, note, store = {} } = order;
  const list = byId("items");
  const lines = items.map(({ name, qty }) => `${qty} × ${name}`);
  if (lines.join("\n") !== [...list.children].map((line) => line.textContent).join("\n")) {
    list.replaceChildren(...lines.map((line) => {
      const item = document.createElement("li");
      item.textContent = line;
      return item;
    }));
  }
  field("to", dropoff?.address);
  field("remark", note);
  byId("pin-card").hidden = !pin || isOver(order);
  setText(byId("pin"), pin ?? "");
  const { phone } = store;
  byId("call").hidden = !phone;
  if (phone) byId("call").href = `tel:${phone.replaceAll(/[^\d+]/g, "")}`;
}

function field(name, words) {
  byId(`${name}-field`).hidden = !words;
  setText(byId(name), words ?? "");
}

/** Pictures that prove the hand-over, as long as the link shows them. */
async function showPhotos() {
  try {
    const headers = { authorization: `Bearer ${token}` };
    const answer = await fetch(`/v1/orders/${id}/proofs`, { headers });
    if (!answer.ok) return;
    const { proofs } = await answer.json();
    for (const { id: proof, kind, href, url, at } of proofs) {
      if (kind !== "photo" || photos.has(proof)) continue;
      photos.set(proof, at);
      const figure = byId("photo").content.firstElementChild.cloneNode(true);
      const [image, link, caption] = figure.children;
      setText(caption, `Left at ${timeOf(at, order?.store?.tz)}`);
      if (href) {
        const picture = await fetch(href, { headers });
        if (!picture.ok) continue;
        image.src = URL.createObjectURL(await picture.blob());
        link.remove();
      } else {
        link.href = url;
        image.remove();
      }
      byId("photos").append(figure);
      byId("proof").hidden = false;
    }
  } catch {
    // The next visit shows them.
  }
}

/** Says a change of step, courier or arrival aloud, once, and never what was there at first. */
function announce(current, told) {
  const courier = order.driver?.display_name ?? order.driver?.name ?? "";
  const last = said;
  said = { current, courier, slip };
  if (!last) return;
  const words = [];
  if (last.current !== current) {
    words.push([told.head, told.label && `${told.label} ${told.time}`, told.note].filter(Boolean).join(". "));
  }
  if (courier && last.courier !== courier) words.push(`Your courier is ${courier}`);
  if (slip && last.slip !== slip) words.push(`${slip} ${told.label} ${told.time}`);
  if (words.length > 0) setText(byId("announce"), words.join(". "));
}
