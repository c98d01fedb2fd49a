/** Pixels of an image and places on Earth: the projective map that takes its four corners to web Mercator. */

const EARTH_RADIUS_M = 6378137;

const toMercator = ([longitude, latitude]) => [
  (EARTH_RADIUS_M * longitude * Math.PI) / 180,
  EARTH_RADIUS_M * Math.log(Math.tan(Math.PI / 4 + (latitude * Math.PI) / 360)),
];
const fromMercator = ([x, y]) => [(x / EARTH_RADIUS_M) * (180 / Math.PI), (2 * Math.atan(Math.exp(y / EARTH_RADIUS_M)) - Math.PI / 2) * (180 / Math.PI)];

export class Placing {
  /** @param {{width: number, height: number, corners: number[][]}} image  corners: upper left, upper right, lower right, lower left */
  constructor({ width, height, corners }) {
    const points = corners.map(toMercator);
    this.origin = points[0];  // near zero, numbers keep their digits
    this.forward = squareTo(points.map(([x, y]) => [x - points[0][0], y - points[0][1]]));
    this.backward = inverse(this.forward);
    Object.assign(this, { width, height });
  }

  toEarth(x, y) {
    const [east, north] = apply(this.forward, x / this.width, y / this.height);
    return fromMercator([east + this.origin[0], north + this.origin[1]]);
  }

  toPixel(longitude, latitude) {
    const [east, north] = toMercator([longitude, latitude]);
    const [x, y] = apply(this.backward, east - this.origin[0], north - this.origin[1]);
    return { x: x * this.width, y: y * this.height };
  }
}

/** The 3 x 3 map of the unit square's corners, clockwise from (0, 0), to four points (Heckbert 1989, section 2.2.3). */
function squareTo([[x0, y0], [x1, y1], [x2, y2], [x3, y3]]) {
  const dx1 = x1 - x2, dx2 = x3 - x2, sx = x0 - x1 + x2 - x3;
  const dy1 = y1 - y2, dy2 = y3 - y2, sy = y0 - y1 + y2 - y3;
  const area = dx1 * dy2 - dx2 * dy1;
  const g = (sx * dy2 - dx2 * sy) / area, h = (dx1 * sy - sx * dy1) / area;
  return [x1 - x0 + g * x1, x3 - x0 + h * x3, x0, y1 - y0 + g * y1, y3 - y0 + h * y3, y0, g, h, 1];
}

function inverse([a, b, c, d, e, f, g, h, i]) {
  return [e * i - f * h, c * h - b * i, b * f - c * e, f * g - d * i, a * i - c * g, c * d - a * f, d * h - e * g, b * g - a * h, a * e - b * d];
}

function apply([a, b, c, d, e, f, g, h, i], x, y) {
  const scale = g * x + h * y + i;
  return [(a * x + b * y + c) / scale, (d * x + e * y + f) / scale];
}
