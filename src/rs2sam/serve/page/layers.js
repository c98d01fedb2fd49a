/** A sentence and what was found for it, with the changes a person made; no page. */

import { areaOf, boxOf, cocoCounts, contains, eachEdge, findRegions, maskOf, runsOfPolygon, shareOf, uncoveredRuns } from "/page/regions.js";

/** Told apart with any kind of colour vision (Okabe and Ito), strongest first. */
export const COLOURS = ["#e69f00", "#56b4e9", "#cc79a7", "#009e73", "#f0e442", "#d55e00", "#0072b2", "#ffffff"];

/** Threshold 0.5 in 256 steps. */
export const HALF = 128;

/** A layer over an image that fits into the page: its probabilities are here, so regions follow the sliders. */
export class Layer {
  #erased = null;
  #edits = [];
  #base = null;
  #known;

  constructor({ image, answer, result, probability, colour }) {
    Object.assign(this, { image, probability, colour, sentence: result.sentence, result });
    this.answer = answer.id;
    this.index = result.index;
    this.threshold = Math.round(answer.threshold * 256);
    this.confidence = 0;
    this.isVisible = true;
    const placed = result.regions.features.filter((feature) => feature.properties.area_m2 != null), known = placed[0];
    this.#known = new Map(placed.map(({ properties: { area_px: area, bbox_px: box, area_m2: areaM2 } }) => [`${area} ${box}`, areaM2]));
    const pixel = image.pixel_size_m;
    this.pixelArea = known ? known.properties.area_m2 / known.properties.area_px : pixel ? pixel[0] * pixel[1] : null;
  }

  /** All regions at the threshold, before the confidence counts. */
  get base() {
    this.#base ??= findRegions(this.probability, this.image.width, this.image.height, this.threshold, this.#erased).map((region) =>
      Object.assign(region, {
        areaM2: this.#areaM2(region), confidence: shareOf(this.result.calibration, region.confidence), layer: this,
      }),
    );
    return this.#base;
  }

  /** Regions that are shown, largest first; those added by hand always are. */
  get regions() {
    const removed = this.#edits.map((edit) => edit.removed);
    const added = this.#edits.flatMap((edit) => edit.added ?? []).filter((region) => !removed.includes(region));
    return [...this.base.filter((region) => region.confidence >= this.confidence), ...added].sort((a, b) => b.area - a.area);
  }

  /** Whether the service cannot make this by a threshold alone. */
  get isEdited() { return this.#edits.length > 0 || this.confidence > 0; }

  setThreshold(value) {
    this.threshold = value;
    this.#base = null;
  }

  remove(region) {
    this.#edits.push({ removed: region });
    this.#erase();
  }

  /** Add what the service found at a place, as one change; the regions that are new. */
  add(features, source) {
    const added = features.map((feature) => this.#made(feature, source)).filter(Boolean);
    if (added.length) this.#edits.push({ added });
    return added;
  }

  #made(feature, source) {
    const { width, height } = this.image;
    const found = runsOfPolygon(feature.geometry.coordinates, width, height);
    const runs = uncoveredRuns(found, width, maskOf(this.regions, width, height)).left;
    if (runs.length === 0) return null;
    const area = areaOf(runs), { area_m2: areaM2, area_px: whole, confidence } = feature.properties;
    const metres = areaM2 == null ? null : (areaM2 * area) / whole;
    return { runs, area, areaM2: metres, confidence, box: boxOf(runs), isAdded: true, source, layer: this };
  }

  /** Take the last change back: what was `removed`, or what was `added`. */
  undo() {
    const edit = this.#edits.pop();
    this.#erase();
    return edit;
  }

  regionAt(x, y) {
    const holds = ({ box, runs }) => box[0] <= x && x < box[2] && box[1] <= y && y < box[3] && contains(runs, x, y);
    return this.regions.findLast(holds) ?? null;  // the smallest, where one lies within another
  }

  /** What the service needs to write this layer into a file. */
  exported() {
    const from = { sentence: this.sentence, answer: this.answer, index: this.index };
    if (!this.isEdited) return { ...from, threshold: this.threshold / 256 };
    return { ...from, rle: cocoCounts(this.regions, this.image.width, this.image.height) };
  }

  #erase() {
    const gone = this.#edits.map((edit) => edit.removed).filter((region) => region && !region.isAdded);
    this.#erased = gone.length ? maskOf(gone, this.image.width, this.image.height) : null;
    this.#base = null;
  }

  /** The service's own figure where the region is one of its answer, else pixels times the area of one. */
  #areaM2(region) {
    if (this.pixelArea == null) return null;
    return this.#known.get(`${region.area} ${region.box}`) ?? region.area * this.pixelArea;
  }
}

/** A layer of a scene: polygons from a job's file; they can be hidden and removed, not made anew. */
export class SceneLayer {
  #removed = [];

  constructor({ image, sentence, features, colour }) {
    Object.assign(this, { image, sentence, colour, confidence: 0, isVisible: true, isScene: true });
    this.all = features
      .map((feature) => ({
        feature,
        area: feature.properties.area_px,
        areaM2: feature.properties.area_m2,
        confidence: feature.properties.confidence ?? feature.properties.mean_probability,
        layer: this,
      }))
      .sort((a, b) => b.area - a.area);
  }

  get regions() {
    const gone = new Set(this.#removed);
    return this.all.filter((region) => region.confidence >= this.confidence && !gone.has(region));
  }

  get isEdited() { return this.#removed.length > 0 || this.confidence > 0; }
  remove(region) { this.#removed.push(region); }
  undo() { return { removed: this.#removed.pop() }; }
}

/** Borders of regions as one path in pixels. */
export function borders(regions) {
  const path = new Path2D();
  for (const region of regions) {
    if (region.runs) {
      eachEdge(region.runs, (x0, y0, x1, y1) => {
        path.moveTo(x0, y0);
        path.lineTo(x1, y1);
      });
    } else {
      path.addPath(shape(region.feature.geometry));
    }
  }
  return path;
}

/** A polygon or multipolygon in pixels as a path. */
export function shape({ type, coordinates }) {
  const path = new Path2D();
  for (const rings of type === "Polygon" ? [coordinates] : coordinates) {
    for (const ring of rings) {
      ring.forEach(([x, y], at) => (at ? path.lineTo(x, y) : path.moveTo(x, y)));
      path.closePath();
    }
  }
  return path;
}

/** Paint the shown regions of all layers, each in its colour, later layers over earlier ones.
 * @param {OffscreenCanvas|HTMLCanvasElement} canvas  of the image's own size */
export function paint(canvas, layers) {
  const { width, height } = canvas, context = canvas.getContext("2d");
  const pixels = context.createImageData(width, height), words = new Uint32Array(pixels.data.buffer);
  for (const layer of layers) {
    if (!layer.isVisible) continue;
    const word = wordOf(layer.colour);
    for (const { runs } of layer.regions)
      for (let at = 0; at < runs.length; at += 3) words.fill(word, runs[at] * width + runs[at + 1], runs[at] * width + runs[at + 2]);
  }
  context.putImageData(pixels, 0, 0);
}

/** "#rrggbb" as the four bytes of an opaque pixel. */
function wordOf(colour) {
  const bytes = [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
  return new Uint32Array(Uint8Array.of(...bytes, 255).buffer)[0];
}

/** Values of a probability PNG given in base64, without any change of colour. */
export async function decodeProbability({ base64, media_type: type }) {
  const letters = atob(base64), bytes = new Uint8Array(letters.length);
  for (let at = 0; at < letters.length; at++) bytes[at] = letters.charCodeAt(at);  // ten times as quick as `from`
  const bitmap = await createImageBitmap(new Blob([bytes], { type }), { colorSpaceConversion: "none", premultiplyAlpha: "none" });
  const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  const { data } = context.getImageData(0, 0, bitmap.width, bitmap.height);
  const values = new Uint8Array(bitmap.width * bitmap.height);
  for (let at = 0; at < values.length; at++) values[at] = data[4 * at];
  bitmap.close();
  return values;
}
