// What people tapped and the server has not answered yet: a queue that outlives a reload and a lost
// link. Each tap has an idempotency key from the moment it was made, so that sending it twice does
// it once. Taps go one after the other, in the order in which they were made: the next waits for
// the answer to the one before it.
//
// Absent on purpose: it knows no method and draws nothing.

/** Taps kept at most; then new ones are refused, and people told. */
const KEPT_MAX = 200;
/** How long a tap that could not be sent is kept, in milliseconds: as long as the server knows keys. */
const KEPT_MS = 23 * 3_600_000;
/** Between two tries of one that was turned away for now, in milliseconds. */
const AGAIN = 2_000;

/** A key that no other tap has. `randomUUID` is there on secure origins alone. */
export const newKey = () =>
  crypto.randomUUID?.()
  ?? [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");

/**
 * A queue under one name. `onChange()` is called whenever `taps` differ, `onRefused(tap, why)` when
 * the server said no (a `Refused`), `onDone(tap, answer)` when it was done.
 *
 * A tap is `{ key, method, data, about, at }`: `about` is what it concerns (an order's id), `at`
 * the moment in milliseconds.
 */
export class Outbox {
  #name;
  #client = null;
  #sending = false;
  #timer = 0;

  taps = [];
  onChange = () => {};
  onRefused = () => {};
  onDone = () => {};

  constructor(name) {
    this.#name = name;
    try {
      const kept = JSON.parse(localStorage.getItem(name) ?? "[]");
      this.taps = kept.filter(({ at }) => Date.now() - at < KEPT_MS);
    } catch {
      // What cannot be read was not ours.
    }
  }

  /** Whom taps are sent to. Its owner calls `flush` when it is live. */
  set client(client) {
    this.#client = client;
  }

  /** The taps about one thing that are not answered yet. */
  about(id) {
    return this.taps.filter((tap) => tap.about === id);
  }

  /** Takes a tap, and sends it as soon as it can be. Returns whether there was room. */
  put(method, data, about, key = newKey()) {
    if (this.taps.length >= KEPT_MAX) return false;
    this.taps.push({ key, method, data, about, at: Date.now() });
    this.#keep();
    this.flush();
    return true;
  }

  /** Forgets everything, as when somebody else signs in. */
  clear() {
    this.taps = [];
    this.#keep();
  }

  /** Sends what waits, one after the other, until the link is lost or nothing is left. */
  async flush() {
    clearTimeout(this.#timer);
    if (this.#sending || !this.#client) return;
    this.#sending = true;
    try {
      for (let tap = this.taps[0]; tap; tap = this.taps[0]) {
        if (!(await this.#send(tap))) return;
      }
    } finally {
      this.#sending = false;
    }
  }

  /** Whether the next may go. */
  async #send(tap) {
    const client = this.#client;
    let answer;
    let refused = null;
    try {
      answer = await client.call(tap.method, { ...tap.data, idempotency_key: tap.key });
    } catch (why) {
      if (why.temporary) {
        // A lost link says itself when it is back.
        if (!why.lost) this.#timer = setTimeout(() => this.flush(), AGAIN);
        // Another client may be there by now, and live.
        return client !== this.#client;
      }
      refused = why;
    }
    // It may have been cleared meanwhile.
    if (!this.taps.includes(tap)) return true;
    this.taps = this.taps.filter((other) => other !== tap);
    // Before anything is drawn, so that nothing is for a moment as if nobody had tapped.
    if (refused) this.onRefused(tap, refused);
    else this.onDone(tap, answer);
    this.#keep();
    return true;
  }

  #keep() {
    try {
      localStorage.setItem(this.#name, JSON.stringify(this.taps));
    } catch {
      // Then a reload loses them; this page still sends them.
    }
    this.onChange();
  }
}
