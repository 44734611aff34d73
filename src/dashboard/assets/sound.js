// Sounds without files: a ring that repeats, and an alarm. Browsers are silent until somebody has
// touched the page; what stands there is told, so that a page can ask for it.

/** Between two rings, in milliseconds. */
const EVERY = 2_200;

/** Tones of each sound: Hertz, when in seconds, how long, how loud. */
const RING = [[880, 0, 0.16], [1175, 0.18, 0.16], [1568, 0.36, 0.34], [880, 0.8, 0.16], [1175, 0.98, 0.16], [1568, 1.16, 0.34]];
const ALARM = [[740, 0, 0.28], [554, 0.32, 0.28], [415, 0.64, 0.5], [740, 1.3, 0.28], [554, 1.62, 0.28], [415, 1.94, 0.5]];
const TEST = [[1175, 0, 0.14], [1568, 0.16, 0.24]];

/** `state` is `asleep` (the browser waits for a touch), `on` or `muted` (by somebody, on this device). */
export class Sound {
  #name;
  #context = null;
  #ringing = 0;
  #muted = false;
  onChange = () => {};

  constructor(name) {
    this.#name = name;
    try {
      this.#muted = localStorage.getItem(name) === "yes";
    } catch {
      // Then each visit begins with the sound on.
    }
    // Any touch will do, so that nobody has to look for the button.
    const wake = () => { if (!this.#muted) this.#wake(); };
    addEventListener("pointerup", wake, { capture: true });
    addEventListener("keyup", wake, { capture: true });
  }

  get state() {
    if (this.#muted) return "muted";
    return this.#context?.state === "running" ? "on" : "asleep";
  }

  get isRinging() {
    return this.#ringing !== 0;
  }

  /** Turns the sound on, and lets it be heard; needs a touch. */
  async turnOn() {
    this.#mute(false);
    await this.#wake();
    this.#play(TEST);
  }

  /** Silence on this device. */
  turnOff() {
    this.#mute(true);
  }

  /** Rings until told otherwise. */
  ring(on) {
    if (on === this.isRinging) return;
    clearInterval(this.#ringing);
    this.#ringing = 0;
    if (!on) return;
    const once = () => {
      this.#play(RING);
      navigator.vibrate?.([300, 120, 300]);
    };
    this.#ringing = setInterval(once, EVERY);
    once();
  }

  /** Once: something has come. */
  chime() {
    this.#play(TEST);
  }

  /** Once: something has gone wrong. */
  alarm() {
    this.#play(ALARM);
    navigator.vibrate?.([600, 150, 600]);
  }

  #mute(muted) {
    this.#muted = muted;
    try {
      localStorage.setItem(this.#name, muted ? "yes" : "no");
    } catch {
      // The same.
    }
    this.onChange();
  }

  async #wake() {
    if (this.#context?.state === "running") return;
    if (!this.#context) {
      this.#context = new AudioContext();
      this.#context.addEventListener("statechange", () => this.onChange());
    }
    try {
      await this.#context.resume();
    } catch {
      // Still asleep, and shown as such.
    }
    this.onChange();
  }

  #play(tones) {
    if (this.state !== "on") return;
    const context = this.#context;
    for (const [hertz, at, span] of tones) {
      const start = context.currentTime + at;
      const [tone, volume] = [context.createOscillator(), context.createGain()];
      tone.type = "triangle";
      tone.frequency.value = hertz;
      // Without edges, which would click.
      volume.gain.setValueAtTime(0, start);
      volume.gain.linearRampToValueAtTime(0.9, start + 0.02);
      volume.gain.setValueAtTime(0.9, start + span * 0.6);
      volume.gain.linearRampToValueAtTime(0, start + span);
      tone.connect(volume).connect(context.destination);
      tone.start(start);
      tone.stop(start + span);
    }
  }
}
