// What needs somebody, in rows above the board: what, which, since when; each opens what it is about.

import { icon } from "./dossier.js";
import { minutes, setText } from "./page.js";

/** Rows that are shown until more are asked for. */
const SHOWN = 4;
/** Alarms that come together are told together, in milliseconds. */
const TOGETHER = 2_000;

const KINDS = {
  search_failed: ["search", "Search failed"],
  unclaimed: ["bag", "No courier"],
  at_door: ["door", "Long at door"],
  courier_stale: ["courier", "No GPS for long"],
  store_silent: ["store", "Silent, orders wait"],
  store_rejects: ["store", "Turns orders down"],
};

export class Alarms {
  #host;
  #list;
  #more;
  #names;
  #say;
  #known = new Map();
  #all = false;
  #begun = false;
  #timer = 0;
  #news = [];

  constructor(host, { names, onOpen, say }) {
    [this.#host, this.#names, this.#say] = [host, names, say];
    this.#list = host.querySelector("ul");
    this.#more = host.querySelector("#more-alarms");
    this.#more.addEventListener("click", () => {
      this.#all = !this.#all;
      this.#fold();
    });
    this.#list.addEventListener("click", (event) => {
      const key = event.target.closest("li")?.dataset.key;
      const known = this.#known.get(key);
      if (known) onOpen(known.alarm);
    });
  }

  /** Shows these. What is there when the board begins is not told as news. */
  show(alarms, now, begun) {
    const keys = new Set();
    for (const alarm of alarms) {
      const key = `${alarm.kind} ${alarm.courier ?? alarm.order?.id ?? alarm.store}`;
      keys.add(key);
      let known = this.#known.get(key);
      if (!known) {
        known = { element: this.#row(key, alarm), alarm };
        this.#known.set(key, known);
        this.#list.append(known.element);
        if (this.#begun) this.#tell(`${this.#about(alarm)}: ${this.#what(alarm)}`);
      }
      known.alarm = alarm;
      const [, about, what, age] = known.element.firstElementChild.children;
      setText(about, this.#about(alarm));
      setText(what, this.#what(alarm));
      setText(age, alarm.count ? `${alarm.count} in a row` : minutes(now - alarm.since));
    }
    this.#begun ||= begun;
    for (const [key, { element }] of this.#known) {
      if (keys.has(key)) continue;
      this.#known.delete(key);
      element.remove();
    }
    this.#host.hidden = alarms.length === 0;
    setText(this.#host.querySelector("#alarm-count"), String(alarms.length));
    setText(this.#host.querySelector("#alarm-word"), alarms.length === 1 ? "alarm" : "alarms");
    this.#fold();
  }

  #fold() {
    [...this.#list.children].forEach((row, nth) => {
      row.hidden = !this.#all && nth >= SHOWN;
    });
    const hidden = this.#list.childElementCount - SHOWN;
    this.#more.hidden = hidden <= 0;
    this.#more.setAttribute("aria-expanded", String(this.#all));
    setText(this.#more, this.#all ? "Fewer" : `${hidden} more`);
  }

  #about({ order, store, courier }) {
    if (courier) return this.#names.courier(courier);
    return order?.short_code ?? this.#names.store(store);
  }

  #what({ kind, order, courier }) {
    const [, words] = KINDS[kind];
    if (courier) return `${words}, with ${order.short_code}`;
    return order ? `${words} · ${order.store.name}` : words;
  }

  #row(key, alarm) {
    const [drawing] = KINDS[alarm.kind];
    const row = document.createElement("li");
    row.dataset.key = key;
    const button = document.createElement("button");
    button.type = "button";
    const [about, what, age] = ["b", "span", "span"].map((tag) => document.createElement(tag));
    what.className = "a-what";
    age.className = "a-age number";
    button.append(icon(drawing), about, " ", what, " ", age);
    row.append(button);
    return row;
  }

  #tell(words) {
    this.#news.push(words);
    this.#timer ||= setTimeout(() => {
      this.#timer = 0;
      const news = this.#news.splice(0);
      this.#say(news.length === 1 ? `Alarm. ${news[0]}` : `${news.length} new alarms. ${news[0]}`);
    }, TOGETHER);
  }
}
