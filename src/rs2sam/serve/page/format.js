/** Numbers and words as a person reads them. */

const number = (value, digits = 0) => value.toLocaleString("en", { maximumFractionDigits: digits, minimumFractionDigits: digits });
const digitsFor = (value) => (value < 10 ? 1 : 0);

/** An area in m², ha or km², or in pixels where the image has no place. */
export function area(pixels, squareMetres) {
  if (squareMetres == null) return `${number(pixels)} px`;
  if (squareMetres < 1e4) return `${number(squareMetres, digitsFor(squareMetres))} m²`;
  if (squareMetres < 1e6) return `${number(squareMetres / 1e4, 2)} ha`;
  return `${number(squareMetres / 1e6, 2)} km²`;
}

export const percent = (share) => `${Math.round(100 * share)} %`;
export const count = (value, one, several = `${one}s`) => `${number(value)} ${value === 1 ? one : several}`;
export const whole = (value) => number(value);

export function bytes(value) {
  if (value < 1e6) return `${number(Math.max(1, value / 1e3))} kB`;
  return value < 1e9 ? `${number(value / 1e6, 1)} MB` : `${number(value / 1e9, 1)} GB`;
}

export function duration(seconds) {
  if (seconds < 0.95) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 90) return `${number(seconds, seconds < 10 ? 1 : 0)} s`;
  return seconds < 5400 ? `${number(seconds / 60)} min` : `${number(seconds / 3600, 1)} h`;
}

export const degrees = ([longitude, latitude]) =>
  `${Math.abs(latitude).toFixed(6)}° ${latitude < 0 ? "S" : "N"}, ${Math.abs(longitude).toFixed(6)}° ${longitude < 0 ? "W" : "E"}`;

export const clockTime = (stamp) => new Date(stamp).toLocaleString("en-GB", { dateStyle: "short", timeStyle: "short" });
