// Where things are: distances in words, and the projection that all maps use (Web Mercator, the
// whole world a square of one by one).
//
// Absent on purpose: nothing here draws or knows a page.

const EARTH_M = 6_371_008.8;
const radians = (degrees) => (degrees * Math.PI) / 180;

/** Metres between two places `{lat, lng}`, as the crow flies. */
export function metres(a, b) {
  const [south, north] = [radians(a.lat), radians(b.lat)];
  const up = Math.sin((north - south) / 2) ** 2;
  const across = Math.sin(radians(b.lng - a.lng) / 2) ** 2;
  return 2 * EARTH_M * Math.asin(Math.sqrt(up + Math.cos(south) * Math.cos(north) * across));
}

const words = new Map();

/** A number with its unit in the reader's language. */
function unit(number, name, digits) {
  const key = `${name}${digits}`;
  if (!words.has(key)) {
    const options = { style: "unit", unit: name, maximumFractionDigits: digits };
    words.set(key, new Intl.NumberFormat(undefined, options));
  }
  return words.get(key).format(number);
}

/** A distance in words: `80 m`, `1.2 km`, `14 km`. */
export function distance(meters) {
  if (meters < 995) return unit(Math.round(meters / 10) * 10, "meter", 0);
  return unit(meters / 1_000, "kilometer", meters < 9_950 ? 1 : 0);
}

/** A round distance in words, as on a scale. */
export const scale = (meters) =>
  meters < 1_000 ? unit(meters, "meter", 0) : unit(meters / 1_000, "kilometer", 0);

/** The largest of 1, 2, 5, 10, 20, 50 … that is not more. */
export function roundDown(meters) {
  const power = 10 ** Math.floor(Math.log10(meters));
  return [5, 2, 1].find((digit) => digit * power <= meters) * power;
}

/** Where a place lies in the square: from west to east, from north to south. */
export function project({ lat, lng }) {
  const north = Math.log(Math.tan(Math.PI / 4 + radians(Math.min(85, Math.max(-85, lat))) / 2));
  return { x: lng / 360 + 0.5, y: 0.5 - north / (2 * Math.PI) };
}

/** The place at a point of the square. */
export function unproject({ x, y }) {
  const lat = (2 * Math.atan(Math.exp((0.5 - y) * 2 * Math.PI)) - Math.PI / 2) * (180 / Math.PI);
  return { lat, lng: (x - 0.5) * 360 };
}

/** Metres that one unit of the square is at this height of it. */
export const metresPerUnit = (y) =>
  2 * Math.PI * EARTH_M * Math.cos(radians(unproject({ x: 0, y }).lat));
