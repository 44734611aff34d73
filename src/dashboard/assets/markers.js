// The markers of a map (map.js): each look is drawn once into a small picture and copied from
// there, as thousands are drawn in a frame. Shapes differ as well as colours: stores are squares,
// doors drops, couriers discs, hollow while they are free.

/** How old a courier's point is when it turns grey, and when its age is written, in ms. */
export const GREY_AFTER = 60_000;
export const AGE_AFTER = 300_000;

const FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif";
const TURN = 2 * Math.PI;

/** What stands in a marker, drawn in a square of 24: paths to fill, and paths to stroke. */
const GLYPHS = {
  store: { fill: "M4 11.5h16V20h-7v-5H9v5H4zM4.5 4h15L22 9.2a2.7 2.7 0 0 1-5 .6 2.8 2.8 0 0 1-5 0 2.8 2.8 0 0 1-5 0 2.7 2.7 0 0 1-5-.6z" },
  home: { fill: "M12 3.5 21 11h-2.5v8.5h-4.5V14h-4v5.5H5.5V11H3z" },
  bicycle: { stroke: "M9.5 16a3.5 3.5 0 1 1-7 0 3.5 3.5 0 0 1 7 0zM21.5 16a3.5 3.5 0 1 1-7 0 3.5 3.5 0 0 1 7 0zM6 16l3.5-7h6L18 16M9.5 9l3.5 7H6M8 6.5h3M15.5 9l-.8-3H17" },
  scooter: { stroke: "M8.5 17a2.5 2.5 0 1 1-5 0 2.5 2.5 0 0 1 5 0zM20.5 17a2.5 2.5 0 1 1-5 0 2.5 2.5 0 0 1 5 0zM8.5 17h5.5l2.5-5-1-6h-3M4 13.5c0-2 1.5-3 3.5-3h3" },
  car: { fill: "M4.8 11 6.6 6.3A2 2 0 0 1 8.5 5h7a2 2 0 0 1 1.9 1.3L19.2 11A2 2 0 0 1 21 13v5h-2v1.5h-3V18H8v1.5H5V18H3v-5a2 2 0 0 1 1.8-2zM7 10.8h10l-1.3-3.6H8.3z" },
};
const VEHICLES = {
  bicycle: "bicycle", bike: "bicycle", cargo_bike: "bicycle", scooter: "scooter",
  motorcycle: "scooter", motorbike: "scooter", moped: "scooter", car: "car", van: "car",
};

/** The glyph of a vehicle, or nothing. */
export const glyphOf = (type) => VEHICLES[String(type ?? "").toLowerCase()] ?? null;

export class Markers {
  #host;
  #style = null;
  #colours = new Map();
  #pictures = new Map();

  constructor(host) {
    this.#host = host;
  }

  /** Colours have changed. */
  forget() {
    this.#style = null;
    this.#colours.clear();
    this.#pictures.clear();
  }

  /** A colour of map.css. */
  colour(name) {
    if (!this.#colours.has(name)) {
      this.#style ??= getComputedStyle(this.#host);
      this.#colours.set(name, this.#style.getPropertyValue(`--plot-${name}`).trim() || "#888");
    }
    return this.#colours.get(name);
  }

  /** Draws a point where it is placed. */
  draw(pen, { point, left, top }, { now, dpr, room, selected, named, small }) {
    const age = point.kind === "courier" && point.at ? now - point.at : 0;
    const state = age > GREY_AFTER && point.state !== "alarm" ? "stale" : point.state ?? "busy";
    const tiny = small && !selected;
    const mark = tiny ? "" : point.initials ?? glyphOf(point.vehicle) ?? "";
    const key = `${point.kind} ${state} ${mark} ${tiny} ${selected} ${dpr}`;
    const picture = this.#pictures.get(key) ?? this.#make(key, { point, state, mark, tiny, selected, dpr });
    const { canvas, size, anchor } = picture;
    if (Number.isFinite(point.heading) && point.kind === "courier" && !tiny && state !== "stale") {
      this.#nose(pen, left, top, point.heading, this.colour(state), selected);
    }
    pen.drawImage(canvas, left - size / 2, top - size * anchor, size, size);
    const words = age > AGE_AFTER && !tiny ? `${Math.floor(age / 60_000)} min`
      : selected || (named && point.kind !== "courier") ? point.label : "";
    if (!words) return;
    const below = top + size * (1 - anchor) + 10;
    const half = words.length * 3.6;
    if (room([left - half, below - 10, left + half, below + 3])) {
      this.text(pen, words, left, below, { size: 12, bold: selected });
    }
  }

  /** A circle that stands for many couriers. */
  circle(pen, { left, top, count, alarm }, dpr) {
    const shown = count < 1_000 ? String(count) : `${Math.floor(count / 1_000)}k`;
    const key = `circle ${shown} ${alarm} ${dpr}`;
    let picture = this.#pictures.get(key);
    if (!picture) {
      const radius = 11 + Math.min(11, 2 * Math.log2(count / 3 + 1));
      picture = this.#picture(key, 2 * radius + 8, 0.5, dpr, (draw) => {
        disc(draw, radius + 3, this.colour(alarm ? "alarm" : "busy"), 0.25);
        disc(draw, radius, this.colour(alarm ? "alarm" : "busy"), 1);
        write(draw, shown, radius > 16 ? 13 : 12, this.colour("mark"));
      });
    }
    const { canvas, size } = picture;
    pen.drawImage(canvas, left - size / 2, top - size / 2, size, size);
  }

  /** Writes with a halo, so that it can be read on anything. */
  text(pen, words, x, y, { size, bold }) {
    pen.font = `${bold ? 700 : 600} ${size}px ${FONT}`;
    pen.textAlign = "center";
    pen.textBaseline = "alphabetic";
    pen.lineJoin = "round";
    pen.lineWidth = 3.5;
    pen.strokeStyle = this.colour("halo");
    pen.strokeText(words, x, y);
    pen.fillStyle = this.colour("text");
    pen.fillText(words, x, y);
  }

  #nose(pen, left, top, heading, colour, selected) {
    const far = selected ? 23 : 17;
    pen.save();
    pen.translate(left, top);
    pen.rotate((heading * Math.PI) / 180);
    pen.fillStyle = colour;
    pen.beginPath();
    pen.moveTo(0, -far - 5);
    pen.lineTo(6, -far + 3);
    pen.lineTo(-6, -far + 3);
    pen.fill();
    pen.restore();
  }

  #make(key, { point, state, mark, tiny, selected, dpr }) {
    const grow = selected ? 1.3 : 1;
    if (point.kind === "store") {
      const side = (tiny ? 10 : 24) * grow;
      return this.#picture(key, side + 8, 0.5, dpr, (draw) => {
        draw.beginPath();
        draw.roundRect(-side / 2, -side / 2, side, side, side / 4);
        outlined(draw, this.colour("store"), this.colour("halo"));
        if (!tiny) glyph(draw, "store", side * 0.66, this.colour("mark"));
      });
    }
    if (point.kind === "door") {
      const side = 26 * grow;
      return this.#picture(key, side + 16, 0.9, dpr, (draw) => {
        drop(draw, side);
        outlined(draw, this.colour("door"), this.colour("halo"));
        draw.translate(0, -side * 0.7);
        glyph(draw, "home", side * 0.56, this.colour("mark"));
      });
    }
    const radius = (tiny ? 6 : 13) * grow;
    return this.#picture(key, 2 * radius + 10, 0.5, dpr, (draw) => {
      const colour = this.colour(state);
      const hollow = state === "free";
      draw.beginPath();
      draw.arc(0, 0, radius, 0, TURN);
      outlined(draw, hollow ? this.colour("halo") : colour, hollow ? colour : this.colour("halo"),
        hollow ? (tiny ? 2.5 : 3) : 2);
      if (state === "alarm" && !tiny) {
        draw.beginPath();
        draw.arc(0, 0, radius + 3, 0, TURN);
        draw.strokeStyle = colour;
        draw.lineWidth = 2;
        draw.stroke();
      }
      const ink = hollow ? colour : this.colour("mark");
      if (GLYPHS[mark]) glyph(draw, mark, radius * 1.4, ink);
      else if (mark) write(draw, mark, radius * 0.85, ink);
    });
  }

  /** A picture of `size` css pixels, drawn around its anchor: a share of the height from the top. */
  #picture(key, size, anchor, dpr, paint) {
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = Math.ceil(size * dpr);
    const draw = canvas.getContext("2d");
    draw.scale(dpr, dpr);
    draw.translate(size / 2, size * anchor);
    paint(draw);
    const picture = { canvas, size, anchor };
    this.#pictures.set(key, picture);
    return picture;
  }
}

function outlined(draw, fill, line, width = 2) {
  draw.fillStyle = fill;
  draw.strokeStyle = line;
  draw.lineWidth = width;
  draw.fill();
  draw.stroke();
}

function disc(draw, radius, colour, opacity) {
  draw.globalAlpha = opacity;
  draw.fillStyle = colour;
  draw.beginPath();
  draw.arc(0, 0, radius, 0, TURN);
  draw.fill();
  draw.globalAlpha = 1;
}

/** A drop whose tip is the origin. */
function drop(draw, side) {
  const radius = side / 2;
  draw.beginPath();
  draw.moveTo(0, 0);
  draw.bezierCurveTo(-radius * 0.35, -radius * 0.6, -radius, -radius * 0.9, -radius, -radius * 1.5);
  draw.arc(0, -radius * 1.5, radius, Math.PI, 0);
  draw.bezierCurveTo(radius, -radius * 0.9, radius * 0.35, -radius * 0.6, 0, 0);
  draw.closePath();
}

function glyph(draw, name, side, colour) {
  const { fill, stroke } = GLYPHS[name];
  draw.save();
  draw.scale(side / 24, side / 24);
  draw.translate(-12, -12);
  if (fill) {
    draw.fillStyle = colour;
    draw.fill(new Path2D(fill), "evenodd");
  } else {
    draw.strokeStyle = colour;
    draw.lineWidth = 2;
    draw.lineCap = draw.lineJoin = "round";
    draw.stroke(new Path2D(stroke));
  }
  draw.restore();
}

function write(draw, words, size, colour) {
  draw.font = `700 ${size}px ${FONT}`;
  draw.textAlign = "center";
  draw.textBaseline = "middle";
  draw.fillStyle = colour;
  draw.fillText(words, 0, size * 0.06);
}
