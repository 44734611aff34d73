// What a dispatcher does: asks the server over the socket, tries again while the connection is away,
// and says how it went.

import { candidates, loadWords, whereWords } from "./crew.js";
import { actionsFor, refusalWords } from "./dispatching.js";
import { byId, clock, setText } from "./page.js";
import { Picker, askReason } from "./picker.js";
import { vehicleWords } from "./tickets.js";
import { plain } from "./timeline.js";

/** How long what was done is said, in milliseconds. */
const TOAST = 5_000;
/** How long a request is tried again while the connection is away, in milliseconds. */
const TRY_FOR = 15_000;
const TRY_GAP = 500;

/** A key that no other request has. `randomUUID` is there on secure origins alone. */
const newKey = () => crypto.randomUUID?.()
  ?? [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");

/** `client()` is whom to ask; `onPending()` and `onDone(id)` hear that something is under way, or over. */
export class Acting {
  #fleet;
  #client;
  #onPending;
  #onDone;
  #picker = new Picker(byId("picker"));
  #toast = 0;

  constructor(fleet, { client, onPending, onDone }) {
    [this.#fleet, this.#client] = [fleet, client];
    [this.#onPending, this.#onDone] = [onPending, onDone];
  }

  /** Asks to whom an order is to be given, and gives it. */
  async askCourier(id) {
    const entry = this.#fleet.entries.get(id);
    if (!entry) return;
    const { order } = entry;
    const from = document.activeElement;
    const find = (text) => candidates(this.#fleet, order, { text, all: text.trim() !== "" }).map((mate) => ({
      id: mate.courier.id,
      name: mate.courier.name,
      sub: [loadWords(mate), vehicleWords(mate.courier.vehicle)].filter(Boolean).join(" · "),
      far: whereWords(this.#fleet, mate, clock.now()),
      refusal: mate.refusal,
    }));
    const verb = order.driver ? "Hand over" : "Assign";
    const courier = await this.#picker.ask(`${verb} ${order.short_code} to`, find);
    if (from?.isConnected) from.focus();
    if (courier) await this.assign(id, courier);
  }

  /** Gives an order to a courier, or hands it over. */
  assign(id, driver) {
    const name = this.#fleet.courierName(driver);
    const had = this.#fleet.entries.get(id)?.order.driver;
    const words = had ? `Handed over to ${name}` : `Assigned to ${name}`;
    return this.do(id, "order.assign", { driver }, words, `Assigning to ${name}…`);
  }

  /** Does one of `actionsFor`, with a reason if it takes one. */
  async act(id, action) {
    const entry = this.#fleet.entries.get(id);
    if (!entry || !action) return;
    const asked = actionsFor(entry.order).find((other) => other.action === action);
    const words = asked?.words ?? action;
    let more = {};
    if (asked?.reasons) {
      more = await askReason(byId("reasons"), words, asked.reasons, (code) => {
        const said = plain(code);
        return said[0].toUpperCase() + said.slice(1);
      });
      if (!more) return;
    }
    await this.do(id, `order.${action}`, more, `${words}: done`, `${words}…`);
  }

  /** Asks for something about an order, and says how it went. */
  async do(id, method, data, done, pending = "") {
    const entry = this.#fleet.entries.get(id);
    if (!entry) return;
    const client = this.#client();
    const code = entry.order.short_code;
    const pend = (words) => {
      entry.pending = words;
      this.#onPending();
    };
    pend(pending);
    const request = { order: id, ...data, idempotency_key: newKey() };
    const end = Date.now() + TRY_FOR;
    try {
      for (;;) {
        try {
          const answer = await client.call(method, request);
          if (answer?.id === id && answer.version) this.#fleet.set(answer);
          break;
        } catch (why) {
          // The same key: what was done already is not done again.
          if (!why.temporary || Date.now() > end || client !== this.#client()) throw why;
          await new Promise((resolve) => { setTimeout(resolve, TRY_GAP); });
        }
      }
      this.tell(`${code}: ${done}`, "good");
    } catch (why) {
      this.tell(`${code}: ${refusalWords(why)}`, "bad");
    } finally {
      pend("");
    }
    this.#onDone(id);
  }

  /** Says for a while how something went. */
  tell(words, tone) {
    const toast = byId("toast");
    toast.hidden = false;
    toast.dataset.tone = tone;
    setText(toast, words);
    // The one live region that is there from the beginning.
    setText(byId("polite"), words);
    clearTimeout(this.#toast);
    this.#toast = setTimeout(() => {
      toast.hidden = true;
      toast.textContent = "";
    }, TOAST);
  }
}
