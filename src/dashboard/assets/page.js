// What every page has: a token from the address, a form when there is none, a connection light,
// words for times.

import { Client } from "./client.js";
import { canScan, scan, tokenIn } from "./scan.js";

export const byId = (id) => document.getElementById(id);

/** Sets a text only where it differs, so that nothing is laid out for nothing. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** What a page keeps of whom it is shown to: for its tab, or on this device for good. */
class Memory {
  #prefix;
  #storage = null;
  /** Used where the browser keeps nothing for us. */
  #kept = new Map();

  constructor(name, lasting) {
    this.#prefix = name ? `ordercast.${name}.` : "ordercast.";
    try {
      this.#storage = lasting ? localStorage : sessionStorage;
    } catch {
      // Then a reload asks again.
    }
  }

  keep(key, value) {
    this.#kept.set(key, value);
    try {
      this.#storage?.setItem(this.#prefix + key, value);
    } catch {
      // The same.
    }
  }

  recall(key) {
    try {
      return this.#storage?.getItem(this.#prefix + key) ?? this.#kept.get(key) ?? "";
    } catch {
      return this.#kept.get(key) ?? "";
    }
  }
}

/** What the address says after `#`, which no server is ever told. The token is taken out. */
function readAddress(memory) {
  const given = new URLSearchParams(location.hash.slice(1));
  const token = given.get("token")?.trim();
  const order = given.get("order")?.trim();
  if (token) {
    memory.keep("token", token);
    // The order that was looked at with another token is none of this one's.
    memory.keep("order", order ?? "");
    given.delete("token");
    const rest = given.toString();
    history.replaceState(history.state, "", rest ? `#${rest}` : location.pathname);
  } else if (order) {
    memory.keep("order", order);
  }
}

/** What a token says of itself. Reading it proves nothing; the server decides. */
export function claimsOf(token) {
  try {
    const text = atob(token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/"));
    return JSON.parse(new TextDecoder().decode(Uint8Array.from(text, (letter) => letter.charCodeAt(0))));
  } catch {
    return {};
  }
}

/** The only order a customer's token names. */
const soleOrder = ({ orders }) => (orders?.length === 1 ? orders[0] : "");

/**
 * Runs a page. `begin(client, order, token)` subscribes; it returns a text when it cannot. Starts
 * over whenever another token or order is given. `onState(state, client)` hears of each change of
 * the connection. A page with a `name` keeps its token apart from other pages', and one that is
 * `lasting` keeps it on this device instead of in the tab.
 */
export function run(begin, { name = "", lasting = false, onState = () => {} } = {}) {
  const memory = new Memory(name, lasting);
  const [form, note, content] = [byId("entry"), byId("entry-note"), byId("content")];
  const [tokenField, orderField, forget] = ["entry-token", "entry-order", "forget"].map(byId);
  let client = null;
  let shown = false;

  const ask = (text) => {
    forget.hidden = true;
    setText(note, text);
    note.hidden = !text;
    form.hidden = false;
    // What was already shown stays, under a light that says how old it is.
    content.hidden = !shown;
  };
  const enter = () => {
    client?.stop();
    shown = false;
    readAddress(memory);
    const token = memory.recall("token");
    const order = memory.recall("order") || soleOrder(claimsOf(token));
    if (orderField) orderField.value = order;
    const light = new Light(byId("light"));
    if (!token) {
      light.show("idle");
      return ask("");
    }
    client = new Client(token, (state) => {
      shown ||= state.name === "live";
      light.show(state.name, () => client.heard);
      if (state.name === "ended") ask(state.text);
      onState(state, client);
    });
    const missing = begin(client, order, token);
    if (missing) {
      light.show("idle");
      return ask(missing);
    }
    form.hidden = true;
    forget.hidden = false;
    content.hidden = false;
    client.start();
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const token = tokenIn(tokenField.value);
    if (token) memory.keep("token", token);
    tokenField.value = "";
    if (orderField) memory.keep("order", orderField.value.trim());
    enter();
  });
  const scanner = byId("scan");
  if (scanner) {
    scanner.hidden = !canScan();
    scanner.addEventListener("click", async () => {
      const read = await scan(byId("scanner"));
      if (!read) return tokenField.focus();
      tokenField.value = read;
      form.requestSubmit();
    });
  }
  forget.addEventListener("click", () => {
    memory.keep("token", "");
    memory.keep("order", "");
    history.replaceState(history.state, "", location.pathname);
    enter();
    tokenField.focus();
  });
  addEventListener("hashchange", () => {
    // Other fragments are places on the page.
    if (/^#(token|order)=/.test(location.hash)) enter();
  });
  enter();
}

/** Icon and word of each state of a connection; never colour alone. */
const LIGHTS = {
  idle: ["○", "Not connected"],
  connecting: ["◌", "Connecting…"],
  live: ["●", "Live"],
  waiting: ["↻", "Reconnecting…"],
  ended: ["■", "Not connected"],
};

/** How long a link may be down before a page says so in a banner, in milliseconds. */
const BANNER_AFTER = 3_000;

/**
 * The light in the head, and, where a page has one, the banner `#offline` that says in a sentence
 * how old is what it shows.
 */
class Light {
  static #ticking = 0;
  #element;
  #wasLive = false;

  constructor(element) {
    this.#element = element;
  }

  show(name, heard = () => 0) {
    clearInterval(Light.#ticking);
    this.#wasLive ||= name === "live";
    const again = name === "connecting" && this.#wasLive;
    const [icon, word] = LIGHTS[again ? "waiting" : name];
    this.#element.dataset.state = again ? "waiting" : name;
    const [iconElement, wordElement] = this.#element.children;
    setText(iconElement, icon);
    const say = () => {
      const stale = this.#wasLive && name !== "live";
      const age = Date.now() - heard();
      setText(wordElement, stale ? `${word} last heard ${ago(age)} ago` : word);
      const banner = byId("offline");
      if (!banner) return;
      banner.hidden = !stale || name === "ended" || age < BANNER_AFTER;
      // Whole steps, so that it is not read out each second.
      const old = age < 60_000 ? "less than a minute" : minutes(age);
      if (!banner.hidden) setText(banner.querySelector("[data-age]"), old);
    };
    say();
    if (this.#wasLive && name !== "live") Light.#ticking = setInterval(say, 1_000);
  }
}

/** The server's clock, as last heard, so that ages are right on a device that goes wrong. */
export const clock = {
  ahead: 0,
  set(at) {
    const ahead = Date.parse(at) - Date.now();
    // Less is the time the message took.
    this.ahead = Math.abs(ahead) > 2_000 ? ahead : 0;
  },
  now() {
    return Date.now() + this.ahead;
  },
};

/** A span of milliseconds in words: `40 s`, `12 min`, `1 h 05 min`, `3 d`. */
export function ago(span) {
  const seconds = Math.max(0, Math.floor(span / 1_000));
  return seconds < 60 ? `${seconds} s` : minutes(span);
}

/** The same in whole minutes. */
export function minutes(span) {
  const whole = Math.max(0, Math.floor(span / 60_000));
  if (whole < 60) return `${whole} min`;
  if (whole < 24 * 60) {
    return `${Math.floor(whole / 60)} h ${String(whole % 60).padStart(2, "0")} min`;
  }
  return `${Math.floor(whole / (24 * 60))} d`;
}

const formats = new Map();

/** A format for times at a place. */
function format(tz, options) {
  const key = JSON.stringify([tz, options]);
  if (!formats.has(key)) {
    let made;
    try {
      made = new Intl.DateTimeFormat(undefined, { ...options, timeZone: tz });
    } catch {
      // A zone that this browser does not know: better the device's time than none.
      made = new Intl.DateTimeFormat(undefined, options);
    }
    formats.set(key, made);
  }
  return formats.get(key);
}

const TIME = { hour: "numeric", minute: "2-digit" };
const DAY = { weekday: "short", day: "numeric", month: "short" };

/** A time of day at the store, as in `18:20`. */
export const timeOf = (at, tz) => format(tz, TIME).format(new Date(at));

/** A day at the store, as in `Tue 3 Mar`. */
export const dayOf = (at, tz) => format(tz, DAY).format(new Date(at));

/** Two of them, as in `18:20–18:30`. */
export const spanOf = (from, to, tz) => format(tz, TIME).formatRange(new Date(from), new Date(to));

/** The same with day and date. */
export const daySpanOf = (from, to, tz) =>
  format(tz, { ...DAY, ...TIME }).formatRange(new Date(from), new Date(to));

/** The name of the store's zone when its clocks show another time than this device's, or "". */
export function zoneOf(at, tz) {
  const options = { ...DAY, ...TIME };
  if (format(tz, options).format(new Date(at)) === format(undefined, options).format(new Date(at))) {
    return "";
  }
  const parts = format(tz, { timeZoneName: "short" }).formatToParts(new Date(at));
  return parts.find(({ type }) => type === "timeZoneName")?.value ?? tz;
}
