/**
 * Connected regions of a probability picture, as runs of pixels; pure functions, no page.
 *
 * A region holds `runs`, an Int32Array of (row, start, end) triples in row order, with pixels start <= x < end.
 * Pixels that touch only at a corner belong to different regions, as in the service's own answers.
 */

/** Share of a region that may have been erased before it is gone altogether; below, only its erased pixels go. */
const GONE_SHARE = 0.5;

/** Regions of `probability >= threshold`, largest first.
 * @param {Uint8Array} probability  width * height values, row by row
 * @param {number} threshold  1..255
 * @param {Uint8Array|null} erased  1 where pixels were removed
 * @returns {{runs: Int32Array, area: number, confidence: number, box: number[]}[]} */
export function findRegions(probability, width, height, threshold, erased = null) {
  const found = scan(probability, width, height, threshold);
  const regions = grouped(found, width, probability, erased);
  return regions.sort((a, b) => b.area - a.area || a.runs[0] - b.runs[0] || a.runs[1] - b.runs[1]);
}

/** All runs of foreground, and for each the number of its component. */
function scan(probability, width, height, threshold) {
  let rows = new Int32Array(1024), starts = new Int32Array(1024), ends = new Int32Array(1024), parents = new Int32Array(1024);
  const grow = (old) => { const larger = new Int32Array(old.length * 2); larger.set(old); return larger; };
  const root = (run) => {
    while (parents[run] !== run) run = parents[run] = parents[parents[run]];
    return run;
  };
  let count = 0, above = 0, aboveEnd = 0;
  for (let y = 0; y < height; y++) {
    const first = count, offset = y * width;
    for (let x = 0; x < width; x++) {
      if (probability[offset + x] < threshold) continue;
      if (count === rows.length) [rows, starts, ends, parents] = [rows, starts, ends, parents].map(grow);
      const start = x;
      while (x < width && probability[offset + x] >= threshold) x++;
      rows[count] = y; starts[count] = start; ends[count] = x; parents[count] = count;
      while (above < aboveEnd && ends[above] <= start) above++;
      for (let other = above; other < aboveEnd && starts[other] < x; other++) {
        const a = root(other), b = root(count);
        if (a !== b) parents[Math.max(a, b)] = Math.min(a, b);
      }
      count++;
    }
    above = first; aboveEnd = count;
  }
  const components = new Int32Array(count);
  let number = 0;
  for (let run = 0; run < count; run++) components[run] = parents[run] === run ? number++ : components[root(run)];
  return { rows, starts, ends, components, count, number };
}

/** The runs of each component side by side, without what was erased, and what is known of it. */
function grouped({ rows, starts, ends, components, count, number }, width, probability, erased) {
  const first = new Int32Array(number + 1);
  for (let run = 0; run < count; run++) first[components[run] + 1]++;
  for (let region = 0; region < number; region++) first[region + 1] += first[region];
  const next = first.slice(), all = new Int32Array(3 * count);
  for (let run = 0; run < count; run++) {
    const at = 3 * next[components[run]]++;
    all[at] = rows[run]; all[at + 1] = starts[run]; all[at + 2] = ends[run];
  }
  const regions = [];
  for (let region = 0; region < number; region++) {
    const runs = all.subarray(3 * first[region], 3 * first[region + 1]);
    const left = erased ? withoutErased(runs, width, erased) : runs;
    if (left) regions.push(described(left, width, probability));
  }
  return regions;
}

/** What is left of runs where `covered` has no 1, and how many pixels went. */
export function uncoveredRuns(runs, width, covered) {
  let gone = 0;
  const left = [];
  for (let at = 0; at < runs.length; at += 3) {
    const offset = runs[at] * width;
    for (let x = runs[at + 1]; x < runs[at + 2]; x++) {
      if (covered[offset + x]) { gone++; continue; }
      const start = x;
      while (x < runs[at + 2] && !covered[offset + x]) x++;
      left.push(runs[at], start, x--);
    }
  }
  return { left: gone ? Int32Array.from(left) : runs, gone };
}

function withoutErased(runs, width, erased) {
  const { left, gone } = uncoveredRuns(runs, width, erased);
  return gone >= GONE_SHARE * areaOf(runs) ? null : left;
}

/** 1 where one of the regions lies, else 0. */
export function maskOf(regions, width, height) {
  const mask = new Uint8Array(width * height);
  for (const { runs } of regions)
    for (let at = 0; at < runs.length; at += 3) mask.fill(1, runs[at] * width + runs[at + 1], runs[at] * width + runs[at + 2]);
  return mask;
}

export function areaOf(runs) {
  let area = 0;
  for (let at = 0; at < runs.length; at += 3) area += runs[at + 2] - runs[at + 1];
  return area;
}

/** A region from its runs: pixels, mean probability (of the middle of each of 256 steps), box (x0, y0, x1, y1). */
function described(runs, width, probability) {
  let sum = 0;
  for (let at = 0; at < runs.length; at += 3) {
    const offset = runs[at] * width;
    for (let x = runs[at + 1]; x < runs[at + 2]; x++) sum += probability[offset + x];
  }
  const area = areaOf(runs);
  return { runs, area, confidence: (sum / area + 0.5) / 256, box: boxOf(runs) };
}

/** Share of the regions of a mean probability that are right; the probability itself where nobody measured that. */
export function shareOf(calibration, mean) {
  if (calibration == null) return mean;
  const { mean_probability: at, share_right: share } = calibration;
  const right = at.findIndex((one) => one > mean);
  if (right <= 0) return right === 0 ? share[0] : share[share.length - 1];
  return share[right - 1] + ((share[right] - share[right - 1]) * (mean - at[right - 1])) / (at[right] - at[right - 1]);
}

export function boxOf(runs) {
  let left = Infinity, right = -Infinity;
  for (let at = 0; at < runs.length; at += 3) {
    left = Math.min(left, runs[at + 1]);
    right = Math.max(right, runs[at + 2]);
  }
  return [left, runs[0], right, runs[runs.length - 3] + 1];
}

/** Runs of the pixels whose middle lies within rings of (x, y), even-odd. */
export function runsOfPolygon(rings, width, height) {
  const crossings = new Map();
  for (const ring of rings) {
    for (let at = 0; at + 1 < ring.length; at++) {
      let [x0, y0] = ring[at], [x1, y1] = ring[at + 1];
      if (y0 > y1) [x0, y0, x1, y1] = [x1, y1, x0, y0];
      for (let y = Math.max(0, Math.ceil(y0 - 0.5)); y < Math.min(height, Math.ceil(y1 - 0.5)); y++) {
        if (!crossings.has(y)) crossings.set(y, []);
        crossings.get(y).push(x0 + ((y + 0.5 - y0) / (y1 - y0)) * (x1 - x0));
      }
    }
  }
  const runs = [];
  for (const y of [...crossings.keys()].sort((a, b) => a - b)) {
    const at = crossings.get(y).sort((a, b) => a - b);
    for (let pair = 0; pair + 1 < at.length; pair += 2) {
      const start = Math.max(0, Math.ceil(at[pair] - 0.5)), end = Math.min(width, Math.ceil(at[pair + 1] - 0.5));
      if (end > start) runs.push(y, start, end);
    }
  }
  return Int32Array.from(runs);
}

export function contains(runs, x, y) {
  for (let at = 0; at < runs.length; at += 3) {
    if (runs[at] === y && runs[at + 1] <= x && x < runs[at + 2]) return true;
    if (runs[at] > y) return false;
  }
  return false;
}

/** Calls `line(x0, y0, x1, y1)` for every piece of the border, along pixel edges. */
export function eachEdge(runs, line) {
  const rowOf = (at) => runs[at];
  let previous = [0, 0], from = 0;
  while (from < runs.length) {
    let to = from;
    while (to < runs.length && rowOf(to) === rowOf(from)) to += 3;
    const y = rowOf(from), isNext = previous[1] > previous[0] && rowOf(previous[0]) === y - 1;
    if (!isNext) uncovered(runs, previous, [0, 0], (a, b) => line(a, rowOf(previous[0]) + 1, b, rowOf(previous[0]) + 1));
    const above = isNext ? previous : [0, 0];
    uncovered(runs, [from, to], above, (a, b) => line(a, y, b, y));
    if (isNext) uncovered(runs, above, [from, to], (a, b) => line(a, y, b, y));
    for (let at = from; at < to; at += 3) {
      line(runs[at + 1], y, runs[at + 1], y + 1);
      line(runs[at + 2], y, runs[at + 2], y + 1);
    }
    previous = [from, to];
    from = to;
  }
  uncovered(runs, previous, [0, 0], (a, b) => line(a, rowOf(previous[0]) + 1, b, rowOf(previous[0]) + 1));
}

/** Parts of one row's runs that another row's runs leave free. */
function uncovered(runs, [from, to], [otherFrom, otherTo], part) {
  let other = otherFrom;
  for (let at = from; at < to; at += 3) {
    let x = runs[at + 1];
    const end = runs[at + 2];
    while (other < otherTo && runs[other + 2] <= x) other += 3;
    for (let cover = other; cover < otherTo && runs[cover + 1] < end; cover += 3) {
      if (runs[cover + 1] > x) part(x, runs[cover + 1]);
      x = Math.max(x, runs[cover + 2]);
    }
    if (x < end) part(x, end);
  }
}

/** COCO run lengths (column by column, zeros first) of what several regions cover. */
export function cocoCounts(regions, width, height) {
  const mask = maskOf(regions, width, height);
  const counts = [];
  let value = 0, length = 0;
  for (let x = 0; x < width; x++) {
    for (let y = 0, at = x; y < height; y++, at += width) {
      if (mask[at] === value) { length++; continue; }
      counts.push(length);
      value = mask[at];
      length = 1;
    }
  }
  counts.push(length);
  return { size: [height, width], counts };
}
