// Tells where this phone is, while somebody works with it: the newest point first, so that what is
// seen is not late when much has piled up.
//
// Absent on purpose: it draws nothing, and asks for no permission before it is started.

/** Points of one message. */
const AT_ONCE = 20;
/** Points kept while there is no connection; the oldest go. */
const KEPT_MAX = 200;
/** Between two messages: with an order, and without, in milliseconds. */
const BUSY = 5_000;
const FREE = 30_000;
/** A fix that is older is asked for anew. */
const FRESH = 10_000;

/** `onChange()` is called when `state` differs: `off`, `asking`, `on` (it was told), `denied`, `lost`. */
export class Tracker {
  #client = null;
  #points = [];
  #watching = null;
  #timer = 0;
  #pace = FREE;
  #sending = false;
  #battery = null;
  /** Whether a point has been taken since it was started. */
  #begun = false;

  state = "off";
  last = null;
  onChange = () => {};

  /** To whom it is told. */
  set client(client) {
    this.#client = client;
  }

  /** Whether this phone has an order: then more often. */
  set busy(on) {
    const pace = on ? BUSY : FREE;
    if (pace === this.#pace) return;
    this.#pace = pace;
    if (this.#watching !== null) this.#again();
  }

  start() {
    if (this.#watching !== null) return;
    if (!navigator.geolocation) return this.#set("denied");
    this.#set("asking");
    this.#begun = false;
    const options = { enableHighAccuracy: true, maximumAge: FRESH, timeout: 30_000 };
    this.#watching = navigator.geolocation.watchPosition(
      (fix) => this.#take(fix),
      ({ code }) => {
        // 1 is a no; the others pass.
        this.#set(code === 1 ? "denied" : "lost");
        if (code === 1) this.stop();
      },
      options,
    );
    navigator.getBattery?.().then((battery) => { this.#battery = battery; }, () => {});
    this.#again();
  }

  stop() {
    if (this.#watching !== null) navigator.geolocation.clearWatch(this.#watching);
    this.#watching = null;
    clearInterval(this.#timer);
    this.#points = [];
    if (this.state !== "denied") this.#set("off");
  }

  /** Sends what has piled up. */
  async flush() {
    if (this.#sending || !this.#client || this.#points.length === 0) return;
    this.#sending = true;
    try {
      const p = this.#points.slice(-AT_ONCE).reverse();
      await this.#client.call("locations", { p });
      this.#forget(p);
      // Only now it is shared.
      if (this.#watching !== null) this.#set("on");
    } catch (why) {
      // Sent again with what comes; but what makes no sense to the server never will.
      if (!why.temporary) this.#points = [];
    } finally {
      this.#sending = false;
    }
  }

  #forget(sent) {
    const numbers = new Set(sent.map(([n]) => n));
    this.#points = this.#points.filter(([n]) => !numbers.has(n));
  }

  #again() {
    clearInterval(this.#timer);
    this.#timer = setInterval(() => this.#tick(), this.#pace);
  }

  #tick() {
    // Who stands still is not told of by a watch.
    if (!this.last || Date.now() - this.last.at > FRESH) {
      const options = { enableHighAccuracy: true, maximumAge: 0, timeout: this.#pace };
      navigator.geolocation.getCurrentPosition((fix) => this.#take(fix), () => {}, options);
    }
    this.flush();
  }

  #take({ coords, timestamp }) {
    if (this.#watching === null) return;
    const { latitude, longitude, accuracy, heading, speed } = coords;
    const at = Math.round(timestamp) || Date.now();
    // Numbers only grow, also over a reload; two points of a moment are one.
    const newest = this.#points.at(-1);
    const known = (value, digits) =>
      (Number.isFinite(value) && value >= 0 ? Number(value.toFixed(digits)) : null);
    const round = (value) => Number(value.toFixed(6));
    const point = [
      Math.max(Date.now(), (newest?.[0] ?? 0) + 1), at, round(latitude), round(longitude),
      known(accuracy, 0), known(heading, 0), known(speed, 1), known(this.#battery?.level, 2),
    ];
    const first = !this.#begun;
    this.#begun = true;
    if (newest && at - newest[1] < 1_000) this.#points.pop();
    this.#points.push(point);
    if (this.#points.length > KEPT_MAX) this.#points.shift();
    this.last = { lat: latitude, lng: longitude, acc: accuracy, at: Date.now() };
    if (this.state === "lost") this.#set("asking");
    // Nobody waits for the first one.
    if (first) this.flush();
  }

  #set(state) {
    if (state === this.state) return;
    this.state = state;
    this.onChange();
  }
}
