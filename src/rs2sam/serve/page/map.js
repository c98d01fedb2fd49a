/** The scene as tiles on a map (MapLibre GL), with what was found over it. Loaded when a map is first shown. */

import { eachEdge } from "/page/regions.js";
import { Placing } from "/page/placing.js";

const FIT = { padding: 24, duration: 0 };

export class SceneMap extends EventTarget {
  #overlay = null;

  /** @param {HTMLElement} container */
  static async on(container) {
    const styled = new Promise((resolve) => {
      const link = Object.assign(document.createElement("link"), { rel: "stylesheet", href: "/page/vendor/maplibre-gl.css", onload: resolve });
      document.head.append(link);
    });
    const [library] = await Promise.all([import("/page/vendor/maplibre-gl.mjs"), styled]);
    return new SceneMap(container, library);
  }

  constructor(container, library) {
    super();
    this.library = library;
    this.map = new library.Map({
      container, style: { version: 8, sources: {}, layers: [] }, attributionControl: false, dragRotate: false, pitchWithRotate: false,
      touchPitch: false, boxZoom: false, fadeDuration: 0,
    });
    this.map.touchZoomRotate.disableRotation();
    this.map.addControl(new library.ScaleControl({ maxWidth: 120 }), "bottom-left");
    this.map.addControl(new library.AttributionControl({ compact: true }));
    this.map.on("click", (event) => this.#click(event));
    this.map.on("mousemove", ({ lngLat }) => this.#tell("hover", this.#pixel(lngLat)));
    this.map.on("movestart", () => this.#tell("moved"));
    this.#listenForBoxes();
    this.loaded = new Promise((resolve) => this.map.once("load", resolve));
  }

  async setImage(image, tileSize = 256) {
    await this.loaded;
    this.image = image;
    this.placing = new Placing(image);
    this.#clear();
    this.map.addSource("scene", { type: "raster", url: new URL(image.links.tilejson, location.href).href, tileSize });
    this.map.addLayer({ id: "scene", type: "raster", source: "scene", paint: { "raster-fade-duration": 0 } });
    this.map.addSource("selected", { type: "geojson", data: empty() });
    this.map.addLayer({ id: "selected-under", type: "line", source: "selected", paint: { "line-color": "#000", "line-width": 5 } });
    this.map.addLayer({ id: "selected", type: "line", source: "selected", paint: { "line-color": "#fff", "line-width": 2.5 } });
    this.fit();
  }

  /** Tiles of streets or relief under the scene; null takes them away. */
  setBaseMap(baseMap) {
    if (this.map.getLayer("base")) {
      this.map.removeLayer("base");
      this.map.removeSource("base");
    }
    if (!baseMap) return;
    this.map.addSource("base", { type: "raster", tiles: [baseMap.tiles], tileSize: 256, attribution: baseMap.attribution });
    this.map.addLayer({ id: "base", type: "raster", source: "base" }, this.map.getLayer("scene") ? "scene" : undefined);
  }

  /** A picture of the whole image over it: a canvas, or the address of a picture. */
  setOverlay(overlay, opacity) {
    const isCanvas = overlay instanceof HTMLCanvasElement;
    if (this.#overlay !== overlay || !isCanvas) this.#removeOverlay();
    this.#overlay = overlay;
    if (!overlay) return;
    if (!this.map.getSource("overlay")) {
      const coordinates = this.image.corners;
      this.map.addSource("overlay", isCanvas ? { type: "canvas", canvas: overlay, coordinates, animate: false } : { type: "image", url: overlay, coordinates });
      const paint = { "raster-opacity": opacity, "raster-fade-duration": 0, "raster-resampling": "nearest" };
      this.map.addLayer({ id: "overlay", type: "raster", source: "overlay", paint }, "selected-under");
    }
    this.map.setPaintProperty("overlay", "raster-opacity", opacity);
    if (!isCanvas) return;
    const source = this.map.getSource("overlay");
    source.play();  // reads the canvas with the next frame
    this.map.once("render", () => source.pause());
  }

  /** Polygons of layers of a scene. */
  setScene(layers, opacity) {
    for (const { id } of this.map.getStyle().layers) if (id.startsWith("polygons")) this.map.removeLayer(id);
    for (const id of Object.keys(this.map.getStyle().sources)) if (id.startsWith("polygons")) this.map.removeSource(id);
    this.scene = layers;
    layers.forEach((layer, at) => {
      const id = `polygons-${at}`, visibility = layer.isVisible ? "visible" : "none";
      const features = layer.regions.map((region) => ({ ...region.feature, properties: { at: layer.all.indexOf(region) } }));
      this.map.addSource(id, { type: "geojson", data: { type: "FeatureCollection", features } });
      this.map.addLayer({ id, type: "fill", source: id, layout: { visibility }, paint: { "fill-color": layer.colour, "fill-opacity": opacity } }, "selected-under");
      this.map.addLayer({ id: `${id}-line`, type: "line", source: id, layout: { visibility }, paint: { "line-color": layer.colour, "line-width": 1.25 } }, "selected-under");
    });
  }

  /** Put a region's border into sight; null takes it away. */
  select(region) {
    this.map.getSource("selected")?.setData(region ? this.#border(region) : empty());
  }

  show(region) {
    this.map.fitBounds(boundsOf(region.feature ? region.feature.geometry : this.#border(region)), { padding: 120, maxZoom: this.map.getZoom() + 2, duration: 0 });
  }

  fit() {
    const [west, south, east, north] = this.image.bounds;
    this.map.fitBounds([[west, south], [east, north]], FIT);
  }

  zoomIn() { this.map.zoomIn(); }
  zoomOut() { this.map.zoomOut(); }
  resize() { this.map.resize(); }

  #clear() {
    this.setScene([], 0);
    this.#removeOverlay();
    for (const id of ["selected", "selected-under", "scene"]) if (this.map.getLayer(id)) this.map.removeLayer(id);
    for (const id of ["selected", "scene"]) if (this.map.getSource(id)) this.map.removeSource(id);
  }

  #removeOverlay() {
    if (this.map.getLayer("overlay")) this.map.removeLayer("overlay");
    if (this.map.getSource("overlay")) this.map.removeSource("overlay");
    this.#overlay = null;
  }

  #border(region) {
    if (region.feature) return { type: "Feature", properties: {}, geometry: region.feature.geometry };
    const lines = [];
    eachEdge(region.runs, (x0, y0, x1, y1) => lines.push([this.placing.toEarth(x0, y0), this.placing.toEarth(x1, y1)]));
    return { type: "Feature", properties: {}, geometry: { type: "MultiLineString", coordinates: lines } };
  }

  #pixel({ lng, lat }) {
    return this.placing ? { ...this.placing.toPixel(lng, lat), place: [lng, lat] } : null;
  }

  #click(event) {
    const [hit] = this.scene?.length ? this.map.queryRenderedFeatures(event.point).filter(({ source }) => source.startsWith("polygons")) : [];
    const region = hit && this.scene[Number(hit.source.split("-")[1])].all[hit.properties.at];
    const { x, y } = this.#pixel(event.lngLat);
    if (region) this.#tell("region", { region, screen: event.point });
    else if (x >= 0 && y >= 0 && x < this.image.width && y < this.image.height) this.#tell("pick", { x, y, screen: event.point });
  }

  /** Shift and drag, or drag with the box tool, draws a box. */
  #listenForBoxes() {
    const frame = this.map.getCanvasContainer(), drawn = document.createElement("div");
    drawn.className = "rubber";
    let from = null;
    const place = (event) => ({ x: event.clientX - frame.getBoundingClientRect().left, y: event.clientY - frame.getBoundingClientRect().top });
    frame.addEventListener("pointerdown", (event) => {
      if (event.button !== 0 || !(this.isBox || event.shiftKey)) return;
      from = place(event);
      this.map.dragPan.disable();
      frame.append(drawn);
    });
    window.addEventListener("pointermove", (event) => {
      if (!from) return;
      const to = place(event);
      Object.assign(drawn.style, {
        left: `${Math.min(from.x, to.x)}px`, top: `${Math.min(from.y, to.y)}px`,
        width: `${Math.abs(from.x - to.x)}px`, height: `${Math.abs(from.y - to.y)}px`,
      });
    });
    window.addEventListener("pointerup", (event) => {
      if (!from) return;
      const to = place(event), [a, b] = [from, to].map(({ x, y }) => this.#pixel(this.map.unproject([x, y])));
      from = null;
      drawn.remove();
      this.map.dragPan.enable();
      if (Math.hypot(a.x - b.x, a.y - b.y) > 2) this.#tell("box", { box: [Math.min(a.x, b.x), Math.min(a.y, b.y), Math.max(a.x, b.x), Math.max(a.y, b.y)] });
    });
  }

  #tell(type, detail = null) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

const empty = () => ({ type: "FeatureCollection", features: [] });

function boundsOf(shape) {
  const places = (shape.geometry ?? shape).coordinates.flat(Infinity);
  let [west, south, east, north] = [Infinity, Infinity, -Infinity, -Infinity];
  for (let at = 0; at < places.length; at += 2) {
    west = Math.min(west, places[at]); east = Math.max(east, places[at]);
    south = Math.min(south, places[at + 1]); north = Math.max(north, places[at + 1]);
  }
  return [[west, south], [east, north]];
}
