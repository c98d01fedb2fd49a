/** What is seen: the picture on a canvas, or the scene on a map, with the layers over it and a card about a region. */

import * as api from "/page/api.js";
import { byId, icon, make, say } from "/page/dom.js";
import * as format from "/page/format.js";
import { borders, paint, shape } from "/page/layers.js";
import { Stage } from "/page/stage.js";

/** Longer side of the picture that comes at once, and of the one that follows where the image stays in the page. */
const FIRST_PREVIEW = 1600;
const LONGEST_PREVIEW = 4096;
/** Beyond this many pixels of outline no thin line is drawn: it would be the fill. */
const MOST_OUTLINED = 4_000_000;
/** Width of a stage in which the card lies at the lower edge [px]. */
const NARROW = 560;

export class Viewer extends EventTarget {
  #isQueued = false;
  #preview = null;
  #borders = new WeakMap();

  constructor() {
    super();
    Object.assign(this, { stage: new Stage(byId("canvas")), map: null, kind: "image", image: null, layers: [], opacity: 0.55, selected: null });
    this.#listen(this.stage);
    this.stage.addEventListener("box-key", () => byId("box").click());
  }

  /** Show an image, on the map where it is a scene that does not fit into the page. */
  async open(image, baseMap) {
    Object.assign(this, { image, baseMap, layers: [] });
    this.#preview = null;
    this.closeCard();
    byId("canvas").hidden = false;
    this.stage.setImage(await pictureOf(image, FIRST_PREVIEW), image);
    if (Math.max(image.width, image.height) > FIRST_PREVIEW && (image.is_interactive || !image.links.tilejson)) this.#sharpen(image);
    this.overlay = image.is_interactive ? make("canvas", { width: image.width, height: image.height }) : null;
    byId("views").hidden = !image.links.tilejson;
    byId("tools").hidden = false;
    await this.setKind(image.links.tilejson && !image.is_interactive ? "map" : "image");
  }

  /** Replace the first picture by one of more pixels; the first stays where that fails. */
  async #sharpen(image) {
    const bitmap = await pictureOf(image, LONGEST_PREVIEW).catch(() => null);
    if (!bitmap || this.image !== image) return;
    this.stage.bitmap = bitmap;
    this.stage.draw();
  }

  async setKind(kind) {
    this.closeCard();
    this.kind = kind;
    byId("canvas").hidden = kind !== "image";
    byId("map").hidden = kind !== "map";
    byId("base-map-choice").hidden = kind !== "map" || !this.baseMap;
    for (const button of document.querySelectorAll("[data-view]")) button.setAttribute("aria-pressed", String(button.dataset.view === kind));
    if (kind === "map") {
      const { SceneMap } = await import("/page/map.js");
      if (!this.map) {
        this.map = await SceneMap.on(byId("map"));
        this.#listen(this.map);
        this.map.addEventListener("region", ({ detail }) => this.select(detail.region, detail.screen));
      }
      this.map.resize();
      if (this.map.image !== this.image) await this.map.setImage(this.image);
      this.#showBaseMap();
    }
    this.refresh();
  }

  #showBaseMap() {
    this.map.setBaseMap(byId("base-map").checked ? this.baseMap : null);
  }

  baseMapChanged() {
    if (this.map) this.#showBaseMap();
  }

  /** Draw the layers again, once a frame at most. */
  refresh(layers = this.layers, opacity = this.opacity) {
    Object.assign(this, { layers, opacity });
    if (this.#isQueued) return;
    this.#isQueued = true;
    requestAnimationFrame(() => {
      this.#isQueued = false;
      if (this.image) this.#draw();
    });
  }

  /** A picture of what a job found so far. */
  async showPreview(url) {
    this.#preview = url;
    if (this.kind === "image" && url) this.stage.overlay = await createImageBitmap(await api.file(url));
    this.refresh();
  }

  #draw() {
    const shown = this.layers.filter((layer) => layer.isVisible);
    const scenes = this.layers.filter((layer) => layer.isScene);
    if (this.overlay) paint(this.overlay, this.layers);
    if (this.kind === "map") {
      const isPreview = this.#preview && !scenes.length;
      this.map.setOverlay(isPreview ? this.#preview : this.overlay, this.opacity);
      this.map.setScene(scenes, this.opacity);
      this.map.select(this.selected);
      return;
    }
    this.stage.opacity = this.opacity;
    if (this.overlay) this.stage.overlay = this.overlay;
    else if (!this.#preview || scenes.length) this.stage.overlay = null;
    const colours = (layer) => ({ path: this.#bordersOf(layer), colour: layer.colour });
    const pixels = shown.reduce((sum, layer) => sum + layer.regions.reduce((all, region) => all + (region.runs?.length ?? 0), 0), 0);
    this.stage.lines = pixels < MOST_OUTLINED ? shown.map(colours) : [];
    this.stage.shapes = shown.filter((layer) => layer.isScene).map(colours);
    this.stage.selected = this.selected && borders([this.selected]);
    this.stage.drawNow();  // this is a frame already
  }

  /** Borders of what a layer shows, made anew only where that has changed. */
  #bordersOf(layer) {
    const { regions } = layer, kept = this.#borders.get(layer);
    if (kept?.regions.length === regions.length && regions.every((region, at) => region === kept.regions[at])) return kept.path;
    const path = borders(regions);
    this.#borders.set(layer, { regions, path });
    return path;
  }

  get active() { return this.kind === "map" ? this.map : this.stage; }

  /** The region shown at a pixel, of the layer on top. */
  regionAt(x, y) {
    for (const layer of this.layers.filter(({ isVisible }) => isVisible).reverse()) {
      const region = layer.isScene ? this.#sceneRegionAt(layer, x, y) : layer.regionAt(Math.floor(x), Math.floor(y));
      if (region) return region;
    }
    return null;
  }

  #sceneRegionAt(layer, x, y) {
    const context = byId("canvas").getContext("2d");
    context.save();
    context.resetTransform();
    const found = layer.regions.findLast((region) => context.isPointInPath(shape(region.feature.geometry), x, y, "evenodd"));
    context.restore();
    return found ?? null;
  }

  /** Bring a region into sight and tell of it; `takesFocus` for those who came by keyboard. */
  show(region) {
    if (this.kind === "map") {
      this.map.show(region);
      this.select(region, null, true);
      return;
    }
    const box = region.box ?? boxOfRings(region.feature.geometry);
    this.stage.show(box);
    this.select(region, this.stage.toScreen({ x: box[2], y: (box[1] + box[3]) / 2 }), true);
  }

  /** Mark a region and open the card about it beside a place on the screen. */
  select(region, screen, takesFocus = false) {
    this.selected = region;
    this.refresh();
    const card = byId("card"), facts = [format.area(region.area, region.areaM2), region.areaM2 == null ? null : `${format.whole(region.area)} px`];
    const sure = region.isAdded ? `added by hand, ${region.source}` : `confidence ${format.percent(region.confidence)}`;
    const swatch = make("span", { className: "swatch", "aria-hidden": "true" });
    swatch.style.setProperty("--colour", region.layer.colour);
    const remove = make("button", { type: "button", className: "primary", onclick: () => this.#tell("remove", { region }) }, "Remove");
    const close = make("button", { type: "button", className: "icon", "aria-label": "Close", onclick: () => this.closeCard(true) }, icon("m4 4 8 8M12 4l-8 8"));
    card.replaceChildren(
      make("div", { className: "card-head" }, swatch, make("strong", {}, region.layer.sentence), close),
      make("p", {}, make("b", {}, facts[0]), facts[1] ? ` · ${facts[1]}` : "", make("br"), sure),
      remove,
    );
    card.hidden = false;
    this.#placeCard(card, screen);
    say(`${region.layer.sentence}: ${facts[0]}, ${sure}.`);
    if (takesFocus) remove.focus({ preventScroll: true });
  }

  /** Where the card leaves a region free, or where a large one was clicked. */
  #beside({ box }, clicked) {
    const right = this.stage.toScreen({ x: box?.[2] ?? clicked.x, y: clicked.y }), at = this.stage.toScreen(clicked);
    return right.x - at.x < 150 ? right : at;
  }

  #placeCard(card, screen) {
    const { clientWidth, clientHeight } = byId("stage");
    const at = screen ?? { x: clientWidth / 2, y: clientHeight / 2 };
    const left = at.x + 12 + card.offsetWidth > clientWidth ? at.x - card.offsetWidth - 12 : at.x + 12;
    if (clientWidth < NARROW) {  // on a phone it would cover what it is about
      Object.assign(card.style, { left: "8px", top: `${clientHeight - card.offsetHeight - 8}px` });
      return;
    }
    card.style.left = `${Math.max(8, Math.min(left, clientWidth - card.offsetWidth - 8))}px`;
    card.style.top = `${Math.max(8, Math.min(at.y - card.offsetHeight / 2, clientHeight - card.offsetHeight - 8))}px`;
  }

  closeCard(returnsFocus = false) {
    const card = byId("card");
    if (card.hidden) return;
    card.hidden = true;
    this.selected = null;
    if (returnsFocus) byId("canvas").focus({ preventScroll: true });
    this.refresh();
  }

  #listen(source) {
    source.addEventListener("pick", ({ detail }) => {
      const region = this.regionAt(detail.x, detail.y);
      if (region) this.select(region, detail.screen ?? this.#beside(region, detail), byId("canvas").matches(":focus-visible"));
      else if (!byId("card").hidden) this.closeCard();
      else this.#tell("add", { point: [detail.x, detail.y] });
    });
    source.addEventListener("box", ({ detail }) => this.#tell("add", { box: detail.box }));
    source.addEventListener("moved", () => this.closeCard());
    source.addEventListener("hover", ({ detail }) => this.#tell("hover", detail));
  }

  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

async function pictureOf(image, most) {
  const longest = Math.max(64, Math.min(most, Math.max(image.width, image.height)));
  return createImageBitmap(await api.file(`${image.links.preview}?max=${longest}`));
}

function boxOfRings({ type, coordinates }) {
  const places = (type === "Polygon" ? [coordinates] : coordinates).flat(2);
  const xs = places.map(([x]) => x), ys = places.map(([, y]) => y);
  return [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)];
}
