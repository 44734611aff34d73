// What a courier is asked: one offer at a time over the whole screen, with the time that is left.
//
// Absent on purpose: it keeps no answer for later. An offer that cannot be answered now expires.

import { distance, metres } from "./geo.js";
import { byId, clock, setText, timeOf } from "./page.js";
import { tellUndone } from "./undone.js";

/** From this many seconds on the end is near, and said once. */
const NEAR = 10;

/** How an offer ended, in words. */
const ENDS = {
  expired: "The time to answer was over.",
  withdrawn: "It was called off.",
  lost: "Somebody else has it.",
};

export class Offers {
  #sound;
  #open = new Map();
  #shown = null;
  #timer = 0;
  #warned = false;

  /** To whom one answers. */
  client = null;
  /** Where this phone is, if that is known. */
  where = () => null;

  constructor(sound) {
    this.#sound = sound;
    const dialog = byId("offer");
    byId("offer-yes").addEventListener("click", () => this.#answer("offer.accept"));
    byId("offer-no").addEventListener("click", () => this.#answer("offer.decline"));
    // Only an answer puts it away.
    dialog.addEventListener("cancel", (event) => event.preventDefault());
  }

  /** All that are open. */
  see(offers) {
    this.#open = new Map(offers.map((offer) => [offer.offer, offer]));
    this.#show();
  }

  hear({ type, data }) {
    if (type === "offer.sent") this.#open.set(data.offer, data);
    else this.#close(data.offer, data.state);
    this.#show();
  }

  #close(id, state) {
    const known = this.#open.delete(id);
    if (known && id === this.#shown?.offer && ENDS[state]) setText(byId("announce"), ENDS[state]);
  }

  /** The one that ends first. */
  #show() {
    const now = clock.now();
    for (const [id, { expires_at }] of this.#open) {
      if (Date.parse(expires_at) <= now) this.#open.delete(id);
    }
    const [first] = [...this.#open.values()]
      .sort((a, b) => Date.parse(a.expires_at) - Date.parse(b.expires_at));
    const dialog = byId("offer");
    if (!first) {
      this.#shown = null;
      clearInterval(this.#timer);
      this.#sound.ring(false);
      if (dialog.open) dialog.close();
      return;
    }
    const isNew = first.offer !== this.#shown?.offer;
    this.#shown = first;
    const more = this.#open.size - 1;
    byId("offer-more").hidden = more === 0;
    setText(byId("offer-more"), `${more} more after this one`);
    if (!isNew) return;
    this.#warned = false;
    this.#draw(first);
    this.#enable(true);
    this.#complain("");
    if (!dialog.open) dialog.showModal();
    this.#sound.ring(true);
    clearInterval(this.#timer);
    this.#timer = setInterval(() => this.#tick(), 250);
    this.#tick();
    const left = Math.ceil((Date.parse(first.expires_at) - now) / 1_000);
    setText(byId("alarm"), `New order from ${first.pickup.name}. ${left} seconds to answer.`);
  }

  #draw({ pickup, dropoff, distance_m, items }) {
    setText(byId("offer-head"), pickup.name);
    setText(byId("offer-ready"), pickup.ready_eta ? `Ready about ${timeOf(pickup.ready_eta)}` : "");
    const line = (name, text) => {
      setText(byId(`offer-${name}`), text ?? "");
      byId(`offer-${name}`).parentElement.hidden = !text;
    };
    // The server says how far it is only of those whom it has found itself.
    const here = this.where();
    const near = distance_m ?? (here && metres(here, pickup));
    line("near", Number.isFinite(near) ? distance(near) : "");
    line("far", Number.isFinite(dropoff?.distance_m) ? distance(dropoff.distance_m) : "");
    line("area", dropoff?.area);
    line("items", items ? String(items) : "");
  }

  #tick() {
    const offer = this.#shown;
    if (!offer) return;
    const [from, to] = [Date.parse(offer.sent_at), Date.parse(offer.expires_at)];
    const left = to - clock.now();
    if (left <= 0) return this.#show();
    const seconds = Math.ceil(left / 1_000);
    byId("offer-bar").value = Math.min(1, left / Math.max(1, to - from));
    setText(byId("offer-left"), `${seconds} s left`);
    byId("offer").dataset.near = seconds <= NEAR ? "yes" : "no";
    if (seconds <= NEAR && !this.#warned) {
      this.#warned = true;
      setText(byId("alarm"), `${seconds} seconds left to answer.`);
    }
  }

  #enable(on) {
    byId("offer-yes").disabled = !on;
    byId("offer-no").disabled = !on;
  }

  #complain(text) {
    setText(byId("offer-note"), text);
    byId("offer-note").hidden = !text;
  }

  async #answer(method) {
    const offer = this.#shown;
    if (!offer || !this.client) return;
    this.#enable(false);
    this.#sound.ring(false);
    try {
      await this.client.call(method, { offer: offer.offer, idempotency_key: `${method} ${offer.offer}` });
      this.#open.delete(offer.offer);
      this.#show();
    } catch (why) {
      if (why.temporary) {
        this.#complain(why.lost ? "No connection: this was not sent. Try again." : "The server is busy. Try again.");
        this.#enable(true);
        return;
      }
      this.#open.delete(offer.offer);
      setText(byId("announce"), "");
      this.#show();
      tellUndone(why.word === "offer_closed" ? "Too late: somebody else has it, or its time was over." : why.message);
    }
  }
}
