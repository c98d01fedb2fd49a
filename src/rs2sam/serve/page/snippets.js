/** What the page shows, as a command, as Python, as curl. */

const shell = (word) => (/^[\w./:=@%+-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`);
const python = (text) => JSON.stringify(text);
const ratio = (layer) => String(Number((layer.threshold / 256).toFixed(4)));

/** Layers in groups of one threshold each. */
function byThreshold(layers) {
  const groups = new Map();
  for (const layer of layers) {
    const key = layer.isScene ? "0.5" : ratio(layer);
    groups.set(key, [...(groups.get(key) ?? []), layer]);
  }
  return [...groups];
}

const remark = (layers) => (layers.some((layer) => layer.isEdited) ? "# without what was removed, added or left out for its confidence\n" : "");
const named = (model) => (model === "compact" ? "" : ` --model ${shell(model)}`);

export function command(image, layers, { model }) {
  const lines = byThreshold(layers).map(([threshold, group], at, all) => {
    const sentences = group.map((layer) => shell(layer.sentence)).join(" ");
    const asked = threshold === "0.5" ? "" : ` --threshold ${threshold}`;
    return `rs2sam segment ${shell(image.name)} ${sentences}${asked}${named(model)} -o out${all.length > 1 ? at + 1 : ""}/`;
  });
  return remark(layers) + lines.join("\n");
}

export function asPython(image, layers, { model }) {
  const lines = ["from rs2sam import Segmenter", "", `segmenter = Segmenter.load(${python(model)})`];
  layers.forEach((layer, at) => {
    const threshold = layer.isScene || layer.threshold === 128 ? "" : `, threshold=${ratio(layer)}`;
    const name = layers.length > 1 ? `result_${at + 1}` : "result";
    lines.push(`${name} = segmenter.segment(${python(image.name)}, ${python(layer.sentence)}${threshold})`);
    lines.push(`${name}.save("${layers.length > 1 ? `polygons_${at + 1}` : "polygons"}.gpkg")`);
  });
  return remark(layers) + lines.join("\n");
}

export function curl(image, layers, { origin }) {
  const lines = byThreshold(layers).map(([threshold, group], at, all) => {
    const sentences = group.map((layer) => `-F ${shell(`sentence=${layer.sentence}`)}`).join(" ");
    const name = all.length > 1 ? `polygons_${at + 1}.gpkg` : "polygons.gpkg";
    return `curl -F ${shell(`file=@${image.name}`)} ${sentences} -F threshold=${threshold} -H 'Accept: application/geopackage+sqlite3' ${origin}/v1/segment -o ${name}`;
  });
  return remark(layers) + lines.join("\n");
}
