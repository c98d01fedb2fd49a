/** The list of layers: a sentence, what was found, its sliders and its regions. */

import { byId, icon, make } from "/page/dom.js";
import * as format from "/page/format.js";

const MOST_LISTED = 40;
const CROSS = "m4 4 8 8M12 4l-8 8";

/** @param on  what a person does: change(layer), show(region), remove(region), drop(layer), activate(layer) */
export class LayerList {
  #items = new Map();

  constructor(on) {
    this.on = on;
    this.list = byId("layers");
  }

  /** Show these layers, the newest first; only `active` is open. */
  render(layers, active) {
    byId("layers-section").hidden = layers.length === 0;
    for (const [layer, item] of this.#items) {
      if (layers.includes(layer)) continue;
      item.root.remove();
      this.#items.delete(layer);
    }
    for (const layer of layers) {
      if (!this.#items.has(layer)) {
        this.#items.set(layer, this.#make(layer));
        this.list.prepend(this.#items.get(layer).root);
      }
      this.update(layer, layer === active);
    }
  }

  /** Facts, sliders and regions of a layer as it is now. */
  update(layer, isActive) {
    const item = this.#items.get(layer), regions = layer.regions;
    item.root.classList.toggle("active", isActive);
    item.title.setAttribute("aria-expanded", String(isActive));
    item.body.hidden = !isActive;
    item.shown.checked = layer.isVisible;
    item.facts.textContent = factsOf(layer, regions);
    if (item.threshold) setSlider(item.threshold, layer.threshold, (layer.threshold / 256).toFixed(2));
    setSlider(item.confidence, Math.round(100 * layer.confidence), layer.confidence ? `from ${format.percent(layer.confidence)}` : "any");
    if (isActive) this.#listRegions(item, regions);
  }

  #make(layer) {
    const number = `layer-${++LayerList.made}`;
    const shown = make("input", { type: "checkbox", "aria-label": `Show ${layer.sentence}`, onchange: () => { layer.isVisible = shown.checked; this.on.change(layer); } });
    const title = make("button", { type: "button", className: "layer-title", "aria-controls": number, onclick: () => this.on.activate(layer) }, layer.sentence);
    const facts = make("span", { className: "layer-facts" });
    const drop = make("button", { type: "button", className: "icon", "aria-label": `Close the layer ${layer.sentence}`, onclick: () => this.on.drop(layer) }, icon(CROSS));
    const swatch = make("span", { className: "swatch", "aria-hidden": "true" });
    swatch.style.setProperty("--colour", layer.colour);
    const threshold = layer.isScene ? null : this.#slider("Threshold", number, 1, 255, (value) => layer.setThreshold(value), layer);
    const confidence = this.#slider("Confidence", number, 0, 100, (value) => { layer.confidence = value / 100; }, layer);
    const regions = make("ol", { className: "regions", "aria-label": `Regions of ${layer.sentence}` });
    const notes = (layer.result?.warnings ?? []).map((text) => make("p", { className: "note" }, text));
    const body = make("div", { className: "layer-body", id: number }, ...notes, threshold?.root, confidence.root, regions);
    const root = make("li", { className: "layer" }, make("div", { className: "layer-head" }, shown, swatch, title, drop), facts, body);
    return { root, title, body, shown, facts, threshold, confidence, regions };
  }

  #slider(name, number, min, max, set, layer) {
    const id = `${number}-${name.toLowerCase()}`;
    const input = make("input", { type: "range", id, min, max, oninput: () => { set(Number(input.value)); this.on.change(layer); } });
    const output = make("output", { for: id });
    return { root: make("div", { className: "slider" }, make("label", { for: id }, name), input, output), input, output };
  }

  /** Remove a region; the focus stays in the list, at what has moved up. */
  #remove(item, region, at) {
    this.on.remove(region);
    const left = item.regions.querySelectorAll(".icon");
    (left[Math.min(at, left.length - 1)] ?? item.title).focus();
  }

  #listRegions(item, regions) {
    const listed = regions.slice(0, MOST_LISTED).map((region, at) => {
      const name = `${format.area(region.area, region.areaM2)}`;
      const sure = region.isAdded ? "added" : format.percent(region.confidence);
      return make(
        "li", {},
        make("button", { type: "button", className: "region", onclick: () => this.on.show(region) },
          make("span", {}, unseen(`Region ${at + 1}: `), name), make("span", { className: "sure" }, unseen(region.isAdded ? " " : " confidence "), sure)),
        make("button", { type: "button", className: "icon", "aria-label": `Remove region ${at + 1}`, title: "Remove", onclick: () => this.#remove(item, region, at) }, icon(CROSS)),
      );
    });
    const more = regions.length - listed.length;
    if (more > 0) listed.push(make("li", { className: "more" }, `and ${format.whole(more)} smaller`));
    item.regions.replaceChildren(...listed);
    item.regions.hidden = listed.length === 0;
  }
}
LayerList.made = 0;

const unseen = (text) => make("span", { className: "visually-hidden" }, text);

function setSlider({ input, output }, value, text) {
  input.value = value;
  input.setAttribute("aria-valuetext", text);
  output.textContent = text;
}

/** What was found, in a line. */
function factsOf(layer, regions) {
  if (regions.length) {
    const pixels = regions.reduce((sum, region) => sum + region.area, 0);
    const metres = regions.every((region) => region.areaM2 != null) ? regions.reduce((sum, region) => sum + region.areaM2, 0) : null;
    return `${format.count(regions.length, "region")} · ${format.area(pixels, metres)}`;
  }
  if (layer.isScene || layer.base.length) return layer.isScene && !layer.all.length ? "nothing found" : "nothing left to show";
  let highest = 0;
  for (const value of layer.probability) if (value > highest) highest = value;
  return `nothing above ${(layer.threshold / 256).toFixed(2)}; the highest probability is ${(highest / 256).toFixed(2)}`;
}
