// Tiles under a map (map.js), if the server is set to have them: pictures of 256 pixels, numbered as
// everybody numbers them.
//
// Absent on purpose: without a setting nothing is asked of anybody.

const SIDE = 256;
/** The nearest and farthest there are. */
const ZOOM_MAX = 19;
/** Tiles that are kept, and asked for at once. */
const KEPT_MAX = 256;
const ASKED_MAX = 8;

const dark = matchMedia("(prefers-color-scheme: dark)");
let asked = null;

/** What the server is set to: `{url, credit}`; asked once. */
const setting = () => {
  asked ??= fetch(new URL("./tiles.json", import.meta.url))
    .then((answer) => (answer.ok ? answer.json() : {}))
    .catch(() => ({}));
  return asked;
};

/** The tiles of a map in `host`, or null. `onTile` hears that there is one more. */
export async function tilesFor(host, onTile) {
  const { url, credit } = await setting();
  if (!url) return null;
  if (credit) {
    const line = document.createElement("p");
    line.className = "plot-credit";
    line.textContent = credit;
    host.append(line);
  }
  return new Tiles(url, onTile);
}

class Tiles {
  #url;
  #onTile;
  #kept = new Map();
  #asked = 0;

  constructor(url, onTile) {
    [this.#url, this.#onTile] = [url, onTile];
  }

  /** Draws what there is of what is in sight, and asks for the rest. */
  draw(pen, { x, y, scale }, { width, height }) {
    const zoom = Math.min(ZOOM_MAX, Math.max(0, Math.round(Math.log2(scale / SIDE))));
    const count = 2 ** zoom;
    const side = scale / count;
    const [west, north] = [x * scale - width / 2, y * scale - height / 2];
    pen.save();
    // A map of day is dimmed at night, where the browser can.
    if (dark.matches) pen.filter = "invert(1) hue-rotate(180deg) brightness(0.9)";
    for (let row = Math.max(0, Math.floor(north / side)); row * side < north + height && row < count; row += 1) {
      for (let column = Math.floor(west / side); column * side < west + width; column += 1) {
        const tile = this.#tile(zoom, ((column % count) + count) % count, row);
        if (!tile) continue;
        // Whole pixels, so that no gaps are seen.
        const [left, top] = [Math.floor(column * side - west), Math.floor(row * side - north)];
        const [right, bottom] = [Math.floor((column + 1) * side - west), Math.floor((row + 1) * side - north)];
        pen.drawImage(tile, left, top, right - left, bottom - top);
      }
    }
    pen.restore();
  }

  #tile(zoom, column, row) {
    const key = `${zoom}/${column}/${row}`;
    const known = this.#kept.get(key);
    if (known) {
      // The newest are last.
      this.#kept.delete(key);
      this.#kept.set(key, known);
      return known.complete && known.naturalWidth > 0 ? known : null;
    }
    if (this.#asked >= ASKED_MAX) return null;
    this.#asked += 1;
    const image = new Image();
    const done = () => {
      this.#asked -= 1;
      this.#onTile();
    };
    image.onload = image.onerror = done;
    image.referrerPolicy = "no-referrer";
    image.src = this.#url.replace("{z}", zoom).replace("{x}", column).replace("{y}", row);
    this.#kept.set(key, image);
    if (this.#kept.size > KEPT_MAX) this.#kept.delete(this.#kept.keys().next().value);
    return null;
  }
}
