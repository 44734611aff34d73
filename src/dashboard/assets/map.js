// A map of points on a canvas: stores, doors and couriers with a scale, and no streets; tiles lie
// under it only if there is somebody to serve them (tiles.js).
//
// Thousands of couriers may move at once. A courier glides from where it was to where it is said
// to be over the time that lay between the two; markers are drawn once into small pictures and
// copied from there; above `crowd` couriers in view those that lie close together become one
// circle with their number.
//
// A map is never the only place where something is said: whoever shows one also says it in words.
// Colours come from the custom properties of map.css.
//
// Absent on purpose: it knows no order and no socket.

import { metresPerUnit, project, roundDown, scale, unproject } from "./geo.js";
import { giveHands } from "./hands.js";
import { Markers } from "./markers.js";
import { tilesFor } from "./tiles.js";

/** A glide takes as long as lay between the last two points of a courier, within these, in ms. */
const GLIDE_MIN = 800;
const GLIDE_MAX = 12_000;
/** A leap of more metres is no ride: the marker is put there. */
const LEAP = 4_000;
/** Between two looks at ages, in ms. */
const TICK = 5_000;
/** Side of the squares within which couriers become one circle, in pixels. */
const CELL = 64;
/** How near to a marker a finger or mouse must be, in pixels. */
const REACH = 22;
/** Pixels to a unit of the world: from a continent to a house. */
const SCALE_MIN = 2 ** 11;
const SCALE_MAX = 2 ** 27;
/** When all there is lies at one place, it is shown with this around it. */
const SCALE_ALONE = 2 ** 23;
/** Names of stores are written if no more are in view. */
const NAMES_MAX = 40;
/** How long a movement of the view takes, in ms. */
const MOVE = 350;

const still = matchMedia("(prefers-reduced-motion: reduce)");
const dark = matchMedia("(prefers-color-scheme: dark)");
const clamp = (low, value, high) => Math.min(high, Math.max(low, value));
const eased = (part) => 1 - (1 - part) ** 3;

/**
 * A map in `host`, an element of a given size and the class `plot`.
 *
 * `put({id, kind, lat, lng, …})` sets a point. `kind` is `store`, `door` or `courier`; besides
 * may be given `label` (a name), `initials` or `vehicle` (what stands in a courier's marker), `at`
 * (when it was there, in ms of `now()`), `heading` (degrees), and `state` of a courier: `busy` (if
 * nothing is said), `free`, `alarm`.
 *
 * Options: `label` (what a screen reader calls the map), `interactive` (it can be moved, and
 * `onPick(id)` hears what was chosen), `follow` (the view keeps all points in sight), `crowd`
 * (couriers in view above which they are drawn together), `now` (the clock of `at`), `onMove` (the
 * view has changed).
 */
export class Plot {
  #host;
  #canvas;
  #pen;
  #options;
  #markers;
  #points = new Map();
  #lines = [];
  #gliding = new Set();
  #selected = null;
  /** What is in sight: the middle, and pixels to a unit. */
  #view = { x: 0.5, y: 0.35, scale: SCALE_MIN };
  #move = null;
  #following = true;
  #framed = null;
  #size = { width: 0, height: 0, dpr: 1, rtl: false };
  #tiles = null;
  #frame = 0;
  #clusters = [];
  #placed = [];
  #ending = new AbortController();

  /** What the last frame took: couriers drawn, circles, milliseconds. */
  drawn = { couriers: 0, circles: 0, ms: 0 };

  constructor(host, options = {}) {
    this.#options = { crowd: 500, now: Date.now, label: "Map", ...options };
    this.#host = host;
    this.#canvas = document.createElement("canvas");
    this.#canvas.setAttribute("aria-hidden", "true");
    this.#pen = this.#canvas.getContext("2d");
    this.#markers = new Markers(host);
    host.classList.add("plot");
    host.setAttribute("role", options.interactive ? "group" : "img");
    host.setAttribute("aria-label", this.#options.label);
    host.prepend(this.#canvas);
    if (options.interactive) {
      giveHands(host, this.#canvas, {
        signal: this.#ending.signal,
        pan: (dx, dy) => this.#pan(dx, dy),
        zoom: (...how) => this.#zoom(...how),
        all: () => this.show(),
        hit: (event, place) => this.at(event.clientX, event.clientY) ?? this.#clusterAt(place),
        pick: (event, { x, y }) => {
          const hit = this.at(event.clientX, event.clientY);
          const cluster = hit ? null : this.#clusterAt({ x, y });
          if (cluster) this.#zoom(2.5, cluster.left, cluster.top, true);
          else this.#options.onPick?.(hit);
        },
      });
    }
    this.#fetchTiles();
    const { signal } = this.#ending;
    const fresh = () => {
      this.#markers.forget();
      this.#redraw();
    };
    dark.addEventListener("change", fresh, { signal });
    const sized = new ResizeObserver(() => this.#resize());
    sized.observe(host);
    const ticking = setInterval(() => this.#redraw(), TICK);
    signal.addEventListener("abort", () => {
      sized.disconnect();
      clearInterval(ticking);
      cancelAnimationFrame(this.#frame);
    });
    this.#resize();
  }

  /** Sets a point, or moves it. */
  put(point) {
    const { x, y } = project(point);
    const known = this.#points.get(point.id);
    const now = performance.now();
    const next = { ...point, x, y, shown: { x, y }, came: now };
    if (known) {
      next.shown = known.shown;
      const moved = known.x !== x || known.y !== y;
      const leap = Math.hypot(known.shown.x - x, known.shown.y - y) * metresPerUnit(y) > LEAP;
      if (moved && point.kind === "courier" && !still.matches && !leap) {
        const takes = clamp(GLIDE_MIN, now - known.came, GLIDE_MAX);
        next.glide = { from: { ...known.shown }, since: now, takes };
        this.#gliding.add(point.id);
      } else if (moved) {
        next.shown = { x, y };
        this.#gliding.delete(point.id);
      } else {
        [next.glide, next.came] = [known.glide, known.came];
      }
    }
    this.#points.set(point.id, next);
    this.#redraw();
  }

  remove(id) {
    this.#gliding.delete(id);
    if (this.#points.delete(id)) this.#redraw();
  }

  has(id) {
    return this.#points.has(id);
  }

  /** Draws lines between points: `[from, to]` by id; what is not there is not drawn. */
  lines(pairs) {
    this.#lines = pairs;
    this.#redraw();
  }

  /** Marks one point, or none. */
  select(id) {
    this.#selected = id;
    this.#redraw();
  }

  /** Another view: these points, or all, and again when they move if the map follows. */
  show(ids = null) {
    this.#framed = ids;
    this.#following = true;
    this.#fit(!still.matches);
  }

  /** What is in sight, `{south, west, north, east}`. */
  bounds() {
    const { width, height } = this.#size;
    const { x, y, scale: perUnit } = this.#view;
    const [w, h] = [width / 2 / perUnit, height / 2 / perUnit];
    const [low, high] = [unproject({ x: x - w, y: y + h }), unproject({ x: x + w, y: y - h })];
    return { south: low.lat, west: low.lng, north: high.lat, east: high.lng };
  }

  /** The id of what is drawn at a place of the window, nearest first, if `accept` takes it. */
  at(clientX, clientY, accept = () => true) {
    const box = this.#canvas.getBoundingClientRect();
    const [px, py] = [clientX - box.left, clientY - box.top];
    if (px < 0 || py < 0 || px > box.width || py > box.height) return null;
    let [best, least] = [null, REACH];
    for (const { point, left, top } of this.#placed) {
      const far = Math.hypot(left - px, top - py);
      if (far < least && accept(point)) [best, least] = [point.id, far];
    }
    return best;
  }

  /** Ends it. */
  stop() {
    this.#ending.abort();
  }

  async #fetchTiles() {
    this.#tiles = await tilesFor(this.#host, () => this.#redraw());
    if (this.#tiles) this.#redraw();
  }

  #resize() {
    const { clientWidth: width, clientHeight: height } = this.#host;
    const dpr = Math.min(3, devicePixelRatio || 1);
    // Asked for here, as it has the browser work out all styles at once.
    const rtl = getComputedStyle(this.#host).direction === "rtl";
    this.#size = { width, height, dpr, rtl };
    this.#canvas.width = Math.round(width * dpr);
    this.#canvas.height = Math.round(height * dpr);
    if (this.#following) this.#fit(false);
    this.#redraw();
  }

  #redraw() {
    this.#frame ||= requestAnimationFrame((time) => this.#draw(time));
  }

  /** The view in which all that is to be in sight is. */
  #around() {
    const points = this.#framed
      ? this.#framed.map((id) => this.#points.get(id)).filter(Boolean)
      : [...this.#points.values()];
    const { width, height } = this.#size;
    if (points.length === 0 || width === 0) return null;
    const [xs, ys] = [points.map(({ x }) => x), points.map(({ y }) => y)];
    const extent = (all) => {
      const [low, high] = all.reduce(([l, h], v) => [Math.min(l, v), Math.max(h, v)], [1, 0]);
      return [(low + high) / 2, high - low];
    };
    const [[x, w], [y, h]] = [extent(xs), extent(ys)];
    const room = Math.min(56, width / 6, height / 6);
    const fits = Math.min((width - 2 * room) / (w || 1e-12), (height - 2 * room) / (h || 1e-12));
    return { x, y, scale: clamp(SCALE_MIN, Math.min(fits, SCALE_ALONE), SCALE_MAX) };
  }

  #fit(smoothly) {
    const to = this.#around();
    if (!to) return;
    if (smoothly) this.#move = { from: { ...this.#view }, to, since: performance.now() };
    else [this.#view, this.#move] = [to, null];
    this.#redraw();
  }

  /** Whether following means that the view must change: something is near the edge or beyond. */
  #strayed() {
    const { width, height } = this.#size;
    const { x, y, scale: perUnit } = this.#view;
    const ids = this.#framed ?? this.#points.keys();
    for (const id of ids) {
      const point = this.#points.get(id);
      if (!point) continue;
      const [left, top] = [(point.x - x) * perUnit, (point.y - y) * perUnit];
      if (Math.abs(left) > width / 2 - 20 || Math.abs(top) > height / 2 - 20) return true;
    }
    return false;
  }

  #draw(time) {
    this.#frame = 0;
    const begun = performance.now();
    const { width, height, dpr } = this.#size;
    if (width === 0 || height === 0) return;
    if (this.#options.follow && this.#following && !this.#move && this.#strayed()) {
      this.#fit(!still.matches);
    }
    if (this.#move) this.#step(time);
    for (const id of this.#gliding) this.#glide(id, this.#points.get(id), time);
    const pen = this.#pen;
    pen.setTransform(dpr, 0, 0, dpr, 0, 0);
    pen.clearRect(0, 0, width, height);
    // With nothing to show there is no place yet of which tiles are wanted.
    if (this.#tiles && this.#points.size > 0) this.#tiles.draw(pen, this.#view, this.#size);
    else this.#drawGrid();
    this.#drawLines();
    this.#drawPoints();
    this.#drawScale();
    this.drawn.ms = performance.now() - begun;
    if (this.#move || this.#gliding.size > 0) this.#redraw();
  }

  #step(time) {
    const { from, to, since } = this.#move;
    const part = clamp(0, (time - since) / MOVE, 1);
    const done = eased(part);
    const between = (a, b) => a + (b - a) * done;
    this.#view = {
      x: between(from.x, to.x),
      y: between(from.y, to.y),
      scale: Math.exp(between(Math.log(from.scale), Math.log(to.scale))),
    };
    if (part >= 1) this.#move = null;
    this.#options.onMove?.();
  }

  #glide(id, point, time) {
    const { from, since, takes } = point.glide;
    const part = clamp(0, (time - since) / takes, 1);
    point.shown.x = from.x + (point.x - from.x) * part;
    point.shown.y = from.y + (point.y - from.y) * part;
    if (part >= 1) this.#gliding.delete(id);
  }

  /** A grid that stays where it is on the ground, so that moving is seen. */
  #drawGrid() {
    const pen = this.#pen;
    const { width, height } = this.#size;
    const { x, y, scale: perUnit } = this.#view;
    const step = 2 ** -Math.round(Math.log2(perUnit / 64));
    pen.strokeStyle = this.#markers.colour("grid");
    pen.lineWidth = 1;
    pen.beginPath();
    const west = x - width / 2 / perUnit;
    for (let at = Math.ceil(west / step) * step; (at - west) * perUnit < width; at += step) {
      const left = Math.round((at - west) * perUnit) + 0.5;
      pen.moveTo(left, 0);
      pen.lineTo(left, height);
    }
    const north = y - height / 2 / perUnit;
    for (let at = Math.ceil(north / step) * step; (at - north) * perUnit < height; at += step) {
      const top = Math.round((at - north) * perUnit) + 0.5;
      pen.moveTo(0, top);
      pen.lineTo(width, top);
    }
    pen.stroke();
  }

  #onScreen({ x, y }) {
    const { width, height } = this.#size;
    const { x: mx, y: my, scale: perUnit } = this.#view;
    return [(x - mx) * perUnit + width / 2, (y - my) * perUnit + height / 2];
  }

  #drawLines() {
    const pen = this.#pen;
    pen.save();
    pen.strokeStyle = this.#markers.colour("line");
    pen.lineWidth = 2;
    pen.setLineDash([6, 5]);
    for (const [from, to] of this.#lines) {
      const [a, b] = [this.#points.get(from), this.#points.get(to)];
      if (!a || !b) continue;
      pen.beginPath();
      pen.moveTo(...this.#onScreen(a.shown));
      pen.lineTo(...this.#onScreen(b.shown));
      pen.stroke();
    }
    pen.restore();
  }

  #drawPoints() {
    const { width, height, dpr } = this.#size;
    const placed = { store: [], door: [], courier: [] };
    let chosen = null;
    for (const point of this.#points.values()) {
      const [left, top] = this.#onScreen(point.shown);
      if (left < -24 || top < -24 || left > width + 24 || top > height + 24) continue;
      const one = { point, left, top };
      if (point.id === this.#selected || point.fixed) chosen = [...(chosen ?? []), one];
      else placed[point.kind].push(one);
    }
    this.#clusters = [];
    let couriers = placed.courier;
    if (couriers.length > this.#options.crowd) couriers = this.#gather(couriers);
    const small = couriers.length > this.#options.crowd / 4;
    const now = this.#options.now();
    const named = placed.store.length <= NAMES_MAX;
    // Names do not lie on one another: whoever is written first has the room.
    const taken = [];
    const room = (box) => {
      const free = taken.every(([l, t, r, b]) => box[2] < l || box[0] > r || box[3] < t || box[1] > b);
      if (free) taken.push(box);
      return free;
    };
    const stamp = (one, detail) => this.#markers.draw(this.#pen, one, {
      now, dpr, room, selected: one.point.id === this.#selected, ...detail,
    });
    for (const { left, top } of named ? placed.store : []) {
      taken.push([left - 12, top - 12, left + 12, top + 10]);
    }
    for (const { left, top } of chosen ?? []) room([left - 40, top - 16, left + 40, top + 40]);
    for (const cluster of this.#clusters) this.#markers.circle(this.#pen, cluster, dpr);
    for (const one of placed.store) stamp(one, { named, small: placed.store.length > 150 });
    for (const one of placed.door) stamp(one, {});
    for (const one of couriers) stamp(one, { small });
    for (const one of chosen ?? []) stamp(one, { named: true, room: () => true });
    this.#placed = [...placed.store, ...placed.door, ...couriers, ...(chosen ?? [])];
    this.drawn.couriers = couriers.length;
    this.drawn.circles = this.#clusters.length;
  }

  /** Makes circles of couriers that lie in one square of the ground; returns those left alone. */
  #gather(couriers) {
    const { width, height } = this.#size;
    const { x, y, scale: perUnit } = this.#view;
    const [ox, oy] = [x * perUnit - width / 2, y * perUnit - height / 2];
    const cells = new Map();
    for (const one of couriers) {
      const key = `${Math.floor((one.left + ox) / CELL)} ${Math.floor((one.top + oy) / CELL)}`;
      const cell = cells.get(key);
      if (cell) cell.push(one);
      else cells.set(key, [one]);
    }
    const alone = [];
    for (const cell of cells.values()) {
      if (cell.length < 3) {
        alone.push(...cell);
        continue;
      }
      const sum = cell.reduce(([l, t], { left, top }) => [l + left, t + top], [0, 0]);
      const alarm = cell.some(({ point }) => point.state === "alarm");
      const [left, top] = sum.map((all) => all / cell.length);
      this.#clusters.push({ left, top, count: cell.length, alarm });
    }
    return alone;
  }

  #drawScale() {
    const pen = this.#pen;
    const { width, height } = this.#size;
    const perMetre = this.#view.scale / metresPerUnit(this.#view.y);
    const meters = roundDown(Math.min(120, width / 3) / perMetre);
    const long = meters * perMetre;
    const left = this.#size.rtl ? width - 12 - long : 12;
    const bottom = height - 12;
    const line = () => {
      pen.beginPath();
      pen.moveTo(left, bottom - 6);
      pen.lineTo(left, bottom);
      pen.lineTo(left + long, bottom);
      pen.lineTo(left + long, bottom - 6);
      pen.stroke();
    };
    pen.lineJoin = "round";
    pen.strokeStyle = this.#markers.colour("halo");
    pen.lineWidth = 4;
    line();
    pen.strokeStyle = this.#markers.colour("text");
    pen.lineWidth = 1.5;
    line();
    this.#markers.text(pen, scale(meters), left + long / 2, bottom - 9, { size: 11 });
  }

  // Hands

  #zoom(by, px = this.#size.width / 2, py = this.#size.height / 2, smoothly = false) {
    const { width, height } = this.#size;
    const from = this.#move?.to ?? this.#view;
    const perUnit = clamp(SCALE_MIN, from.scale * by, SCALE_MAX);
    // What is under the finger stays there.
    const shift = 1 / from.scale - 1 / perUnit;
    const to = {
      x: from.x + (px - width / 2) * shift,
      y: from.y + (py - height / 2) * shift,
      scale: perUnit,
    };
    this.#lookAt(to, smoothly);
  }

  #pan(dx, dy) {
    const { x, y, scale: perUnit } = this.#move?.to ?? this.#view;
    this.#lookAt({ x: x - dx / perUnit, y: y - dy / perUnit, scale: perUnit }, false);
  }

  #lookAt(to, smoothly) {
    this.#following = false;
    if (smoothly && !still.matches) {
      this.#move = { from: { ...this.#view }, to, since: performance.now() };
    } else {
      [this.#view, this.#move] = [to, null];
      this.#options.onMove?.();
    }
    this.#redraw();
  }

  #clusterAt({ x, y }) {
    return this.#clusters.find(({ left, top }) => Math.hypot(left - x, top - y) < REACH);
  }
}
