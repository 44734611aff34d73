// The call of a new order: the whole screen, until somebody says yes or no. Which orders ring, the
// server says; this shows them one after the other, those with the least time left first.

import { byId, clock, daySpanOf, setText, timeOf } from "./page.js";
import { drawChoices, drawItems, REASONS, wayOf, whoOf } from "./store_words.js";

/** Minutes to choose from, and the steps between. */
const CHIPS = [10, 15, 20, 25, 30, 40, 50, 60, 75, 90];
const [STEP, LEAST, MOST] = [5, 5, 240];
/** From here on it is said that time runs out, in milliseconds. */
export const HURRY = 60_000;

/** Time left as people read it; never a clock at zero. */
export function leftText(left) {
  if (left <= 0) return "Time is over";
  const seconds = Math.ceil(left / 1_000);
  if (seconds <= 60) return `${seconds} s left to answer`;
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")} left to answer`;
}

export class Call {
  #dialog = byId("call");
  #answer;
  #order = null;
  #prep = 15;
  #seen = new Set();
  #aside = false;
  #waiting = [];

  /** `answer(method, order, data)` takes what was tapped; `onAside()` hears when it is put away. */
  constructor({ answer, onAside }) {
    this.#answer = answer;
    byId("call-chips").addEventListener("change", ({ target }) => this.#choose(Number(target.value)));
    byId("call-less").addEventListener("click", () => this.#choose(this.#prep - STEP));
    byId("call-more").addEventListener("click", () => this.#choose(this.#prep + STEP));
    byId("call-answer").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#say("order.accept", { prep_min: this.#prep });
    });
    byId("call-reject").addEventListener("click", () => this.#ask(true));
    byId("call-back").addEventListener("click", () => this.#ask(false));
    byId("call-why").addEventListener("submit", (event) => {
      event.preventDefault();
      const given = reasonIn(byId("call-why"), byId("call-remark"));
      if (given) this.#say("order.reject", given);
    });
    const aside = () => {
      this.#aside = true;
      onAside();
    };
    byId("call-later").addEventListener("click", () => {
      this.#dialog.close();
      aside();
    });
    // Escape puts it away; it does not answer.
    this.#dialog.addEventListener("cancel", aside);
  }

  get isAside() {
    return this.#aside;
  }

  /** Brings it back after it was put away. */
  open(id) {
    this.#aside = false;
    const wanted = this.#waiting.find((order) => order.id === id);
    if (wanted) this.#take(wanted);
    this.show(this.#waiting);
  }

  /** Shows what rings, the most urgent first; nothing closes it. */
  show(waiting, defaultPrep = this.#defaultPrep) {
    this.#defaultPrep = defaultPrep;
    this.#waiting = waiting;
    if (waiting.some(({ id }) => !this.#seen.has(id))) this.#aside = false;
    this.#seen = new Set(waiting.map(({ id }) => id));
    if (waiting.length === 0) {
      this.#order = null;
      this.#aside = false;
      if (this.#dialog.open) this.#dialog.close();
      return;
    }
    const same = waiting.find(({ id }) => id === this.#order?.id);
    if (same) this.#order = same;
    else this.#take(waiting[0]);
    if (this.#aside) return;
    this.#draw();
    if (!this.#dialog.open) {
      for (const other of document.querySelectorAll("dialog[open]")) other.close();
      this.#dialog.showModal();
      byId("call-accept").focus({ preventScroll: true });
    }
  }

  #defaultPrep = 15;

  #take(order) {
    this.#order = order;
    this.#ask(false);
    byId("call-remark").value = "";
    drawChoices(byId("call-reasons"), "reject", REASONS, "");
    drawChoices(byId("call-chips"), "prep", CHIPS.map((chip) => [String(chip), `${chip}`]), "");
    this.#choose(this.#defaultPrep);
  }

  #choose(minutes) {
    this.#prep = Math.min(MOST, Math.max(LEAST, minutes));
    setText(byId("call-prep"), String(this.#prep));
    for (const input of byId("call-chips").querySelectorAll("input")) {
      input.checked = Number(input.value) === this.#prep;
    }
    this.tick();
  }

  #ask(why) {
    byId("call-answer").hidden = why;
    byId("call-why").hidden = !why;
    if (why) byId("call-reasons").querySelector("input").focus();
  }

  #say(method, data) {
    const order = this.#order;
    this.#order = null;
    this.#answer(method, order, data);
  }

  #draw() {
    const order = this.#order;
    const { window, note, items, store } = order;
    const [, way] = wayOf(order);
    const count = this.#waiting.length;
    const nth = this.#waiting.findIndex(({ id }) => id === order.id) + 1;
    setText(byId("call-count"), count > 1 ? `${nth} of ${count}` : "");
    setText(byId("call-code"), order.short_code);
    setText(byId("call-way"), way);
    setText(byId("call-who"), whoOf(order));
    byId("call-window").hidden = !window;
    if (window) setText(byId("call-window"), `For ${daySpanOf(window.from, window.to, store.tz)}`);
    byId("call-note").hidden = !note;
    setText(byId("call-note"), note ?? "");
    drawItems(byId("call-items"), items);
    this.tick();
  }

  /** Brings up to date what time alone changes. */
  tick() {
    const order = this.#order;
    if (!order) return;
    const now = clock.now();
    const left = Date.parse(order.accept_by) - now;
    const whole = Date.parse(order.accept_by) - Date.parse(order.stamps.placed);
    setText(byId("call-left"), leftText(left));
    byId("call-bar").style.inlineSize = `${Math.min(100, Math.max(0, (left / whole) * 100))}%`;
    this.#dialog.classList.toggle("hurry", left < HURRY);
    const tz = order.store.tz;
    const ready = now + this.#prep * 60_000;
    const later = order.window && Date.parse(order.window.from) > ready;
    setText(byId("call-ready"), later ? `planned for ${timeOf(order.window.from, tz)}` : `ready at ${timeOf(ready, tz)}`);
  }
}

/** What a form of reasons says, or nothing while it is not complete; then it says what is missing. */
export function reasonIn(form, remark) {
  const reason = form.querySelector("input[type=radio]:checked")?.value;
  const note = remark.value.trim();
  const first = form.querySelector("input[type=radio]");
  first.setCustomValidity(reason ? "" : "Choose a reason.");
  remark.setCustomValidity(reason === "other" && !note ? "Say in a few words what it is." : "");
  if (!form.reportValidity()) {
    // Whoever goes on is not held to what was missing.
    const clear = () => [first, remark].forEach((field) => field.setCustomValidity(""));
    form.addEventListener("input", clear, { once: true });
    return null;
  }
  return note ? { reason, note } : { reason };
}

