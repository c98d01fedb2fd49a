/** The page: an image, sentences about it, and what was found. */

import * as api from "/page/api.js";
import { byId, clearError, fail, make, say } from "/page/dom.js";
import * as format from "/page/format.js";
import { History } from "/page/history.js";
import { COLOURS, decodeProbability, Layer } from "/page/layers.js";
import { LayerList } from "/page/panel.js";
import { editedGeoJson, fileLinks, layersOf, runScene, watch } from "/page/scene.js";
import * as snippets from "/page/snippets.js";
import { startTheme } from "/page/theme.js";
import { Viewer } from "/page/viewer.js";

const FORMATS = { geotiff: "GeoTIFF", gpkg: "GeoPackage", geojson: "GeoJSON", png: "PNG" };

/** What a click or a box was answered by. */
const FOUND_BY = { model: "seen as one object", probability: "half believed to be it", colour: "of like colour" };

/** What the page knows; `undo` holds the layers of changes in order. */
const state = { service: null, image: null, layers: [], active: null, job: null, undo: [], isAsking: false };

const viewer = new Viewer();
const list = new LayerList({ change: changed, show: (region) => viewer.show(region), remove, drop, activate });
const history = new History((entry) => attempt(() => reopen(entry)));

/** Run what may fail; its error becomes the one line. */
async function attempt(action) {
  clearError();
  try {
    return await action();
  } catch (error) {
    fail(error);
    return null;
  }
}

// --- Service ------------------------------------------------------------------------------------------------------------

/** Settles once the service has said what it is; an image that is opened before waits for it. */
let connected = Promise.resolve();

async function start() {
  startTheme();
  const token = /^#token=(.+)$/.exec(location.hash)?.[1];
  if (token) {
    globalThis.history.replaceState(null, "", location.pathname);
    await attempt(() => api.signIn(decodeURIComponent(token)));
  }
  await attempt(connect);
}

async function connect() {
  const service = (state.service = await api.service());
  const needsToken = service.auth !== "none" && !service.signed_in;
  byId("sign-in").hidden = !needsToken;
  byId("choose").disabled = needsToken;
  byId("from-root").hidden = needsToken || !service.has_root;
  byId("model").textContent = service.model ? `${service.model.name} (${service.model.backend}) · rs2sam ${service.version}` : `rs2sam ${service.version}`;
  byId("limits").textContent = `up to ${format.bytes(service.limits.upload_bytes)}, ${format.whole(service.limits.pixels / 1e6)} megapixels; or take an example`;
  byId("examples").replaceChildren(
    ...(needsToken ? [] : service.examples ?? []).map((example) =>
      make("button", { type: "button", onclick: () => open("Opening the example", () => api.openExample(example.id), example.sentences) }, example.title)),
  );
  const [, id] = /^#image=([\w-]+)$/.exec(location.hash) ?? [];
  if (id && !needsToken) await show(await api.image(id));
}

// --- Image --------------------------------------------------------------------------------------------------------------

/** Get an image by `load` and show it. */
async function open(text, load, sentences = []) {
  if (state.isAsking) return;
  busy(text);
  await attempt(async () => {
    await connected;
    if (!state.service) await connect();
    await show(await load(), sentences);
  });
  busy(null);
}

const openFile = (chosen) =>
  open(`Reading ${chosen.name}`, () => api.upload(chosen, state.service.limits, (share) => busy(`Sending ${chosen.name}`, share)));

async function show(image, sentences = []) {
  Object.assign(state, { image, layers: [], active: null, job: null, undo: [] });
  document.body.dataset.state = "image";
  byId("welcome").hidden = true;
  byId("open").hidden = false;
  globalThis.history.replaceState(null, "", `#image=${image.id}`);
  document.title = `${image.name} - rs2sam`;
  byId("image-facts").replaceChildren(make("b", {}, image.name), make("span", {}, factsOf(image)));
  byId("scene-options").hidden = image.is_interactive;
  suggest(sentences);
  render();
  await viewer.open(image, state.service.base_map);
  byId("find").disabled = false;
  say([`${image.name} is open, ${factsOf(image)}.`, ...image.warnings].join(" "));
  byId("sentence").focus();
}

function factsOf(image) {
  const size = `${format.whole(image.width)} × ${format.whole(image.height)} px`;
  const pixel = image.pixel_size_m ? `${Number(image.pixel_size_m[0].toPrecision(3))} m/px` : null;
  return [size, image.crs, pixel].filter(Boolean).join(" · ");
}

function suggest(sentences) {
  byId("suggestions").hidden = sentences.length === 0;
  byId("suggestions").replaceChildren(
    ...sentences.map((sentence) => make("button", { type: "button", className: "chip", onclick: () => ask([sentence]) }, sentence)),
  );
}

function busy(text, share = null) {
  byId("busy").hidden = text == null;
  byId("busy-text").textContent = text ?? "";
  byId("busy-progress").hidden = share == null;
  byId("busy-progress").value = share ?? 0;
}

// --- Sentences ----------------------------------------------------------------------------------------------------------

async function ask(sentences) {
  if (!state.image || !sentences.length || state.isAsking) return;
  waiting(true);
  const { image } = state, from = performance.now();
  await attempt(async () => {
    if (!image.is_interactive) {
      const started = (job) => history.add({ image: image.id, name: image.name, sentences, job: job.id });
      return finish(await runScene(image, sentences, viewer, started));
    }
    const answer = await api.segment(image.id, sentences);
    await addLayers(answer);
    history.add({ image: image.id, name: image.name, sentences, answer: answer.id });
    report(answer.results.length, (performance.now() - from) / 1000, answer.warnings);
    clearSentence();
  });
  waiting(false);
}

function waiting(isAsking) {
  state.isAsking = isAsking;
  byId("find").disabled = isAsking;
  byId("find").setAttribute("aria-busy", String(isAsking));
  for (const chip of document.querySelectorAll(".chip")) chip.disabled = isAsking;
}

/** Layers of an answer; a sentence that was asked before is answered anew in its place. */
async function addLayers(answer) {
  const made = await Promise.all(
    answer.results.map(async (result) => new Layer({ image: state.image, answer, result, probability: await decodeProbability(result.probability), colour: null })),
  );
  for (const layer of made) {
    const old = state.layers.find((other) => other.sentence === layer.sentence);
    layer.colour = old?.colour ?? freeColour();
    state.layers = [...state.layers.filter((other) => other !== old), layer];
    state.active = layer;
  }
  state.undo = state.undo.filter((layer) => state.layers.includes(layer));
  render();
}

function freeColour() {
  const taken = state.layers.map(({ colour }) => colour);
  return COLOURS.find((colour) => !taken.includes(colour)) ?? COLOURS[state.layers.length % COLOURS.length];
}

function report(asked, seconds, warnings = []) {
  const said = state.layers.slice(-asked).map((layer) => {
    const { regions } = layer;
    const confident = regions.length ? format.count(regions.length, "region") : "nothing found";
    return `${layer.sentence}: ${confident}`;
  });
  say([`${said.join("; ")} (${format.duration(seconds)}).`, ...warnings].join(" "));
}

/** What a job came to. */
async function finish(job) {
  if (job.state !== "done") history.forget((entry) => entry.job === job.id);
  if (job.state === "failed") throw new api.ApiError(job.error, job.error?.status);
  if (job.state !== "done") {
    await viewer.showPreview(null);
    return say("Cancelled.");
  }
  state.job = job;
  state.layers = await layersOf(job, state.image);
  state.active = state.layers[0] ?? null;
  state.undo = [];
  if (!state.layers.length && job.links.preview) await viewer.showPreview(job.links.preview);
  render();
  clearSentence();
  report(state.layers.length, job.progress.elapsed_s ?? (new Date(job.finished) - new Date(job.started)) / 1000);
}

async function reopen(entry) {
  busy(`Opening ${entry.name}`);
  try {
    await connected;
    if (!state.service) await connect();
    if (state.image?.id !== entry.image) await show(await api.image(entry.image));
    if (entry.answer) await addLayers(await api.answer(entry.answer));
    else {
      const job = await api.job(entry.job);
      busy(null);
      await finish(["queued", "running"].includes(job.state) ? await watch(job, viewer) : job);
    }
  } catch (error) {
    if (![404, 410].includes(error.status)) throw error;
    history.forget((other) => other.when === entry.when);
    throw new Error(`The service no longer keeps ${entry.name} or this answer about it. Open the image again.`);
  } finally {
    busy(null);
  }
}

// --- Layers -------------------------------------------------------------------------------------------------------------

function render() {
  list.render(state.layers, state.active);
  viewer.closeCard();
  viewer.refresh(state.layers);
  renderSave();
  byId("undo").disabled = state.undo.length === 0;
  const found = state.layers.map((layer) => `${layer.sentence}: ${format.count(layer.regions.length, "region")}`).join("; ");
  byId("canvas").setAttribute("aria-label", state.image ? `${state.image.name}. ${found || "Nothing asked yet."}` : "No image");
}

/** A layer's sliders or toggle moved. */
function changed(layer) {
  viewer.closeCard();
  list.update(layer, layer === state.active);
  viewer.refresh();
  if (state.job) renderSave();
}

function activate(layer) {
  state.active = state.active === layer ? null : layer;
  render();
}

function drop(layer) {
  state.layers = state.layers.filter((other) => other !== layer);
  state.undo = state.undo.filter((other) => other !== layer);
  if (state.active === layer) state.active = state.layers.at(-1) ?? null;
  render();
  say(`${layer.sentence} is closed.`);
  byId("sentence").focus();
}

function remove(region) {
  region.layer.remove(region);
  state.undo.push(region.layer);
  render();
  say(`Removed ${format.area(region.area, region.areaM2)} of ${region.layer.sentence}. Ctrl+Z takes it back.`);
}

function undo() {
  const layer = state.undo.pop();
  if (!layer) return;
  const edit = layer.undo();
  render();
  say(edit.added ? "What was added is gone again." : "The removed region is back.");
}

/** Add what lies under a click or in a box to the layer that is open. */
async function add({ point, box }) {
  const layer = state.active ?? state.layers.at(-1);
  if (!layer) return say("Ask for something first; a click then adds to what was found.");
  if (layer.isScene) return say("Nothing was found here. Regions can be added on images that are answered at once.");
  return attempt(async () => {
    const asked = { answer: layer.answer, index: layer.index, points: point ? [point] : [], boxes: box ? [box] : [], threshold: layer.threshold / 256 };
    const { regions, source, why } = await api.regions(state.image.id, asked);
    const by = FOUND_BY[source[0]];
    const added = layer.add(regions.features, by);
    if (!added.length) return say(why[0] ?? "What lies here is found already.");
    state.undo.push(layer);
    render();
    const total = (name) => added.reduce((sum, region) => (region[name] == null ? null : sum + region[name]), 0);
    return say(`Added ${format.area(total("area"), total("areaM2"))} ${by} to ${layer.sentence}. Ctrl+Z takes it back.`);
  });
}

// --- Saving -------------------------------------------------------------------------------------------------------------

const visible = () => state.layers.filter((layer) => layer.isVisible);

function renderSave() {
  byId("save-section").hidden = state.layers.length === 0 && !state.job;
  byId("snippet")?.remove();
  if (state.job) {
    const links = fileLinks(state.job);
    if (state.layers.some((layer) => layer.isEdited || !layer.isVisible)) {
      links.push(make("button", { type: "button", onclick: () => save(editedGeoJson(visible()), "shown.geojson") }, "GeoJSON as shown"));
    }
    byId("downloads").replaceChildren(...links);
    return;
  }
  byId("downloads").replaceChildren(
    ...Object.entries(FORMATS).map(([name, title]) => make("button", { type: "button", dataset: { format: name }, onclick: () => attempt(() => download(name)) }, title)),
  );
}

async function download(name) {
  const layers = visible();
  if (!layers.length) throw new Error("No layer is shown, so there is nothing to save. Tick one.");
  const { blob, name: file } = await api.exportFile(state.image.id, { format: name, layers: layers.map((layer) => layer.exported()) });
  save(blob, file);
  say(`${file} is saved, ${format.bytes(blob.size)}.`);
}

function save(blob, name) {
  const link = make("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

async function copy(kind) {
  const layers = visible();
  if (!layers.length) throw new Error("No layer is shown, so there is nothing to copy. Tick one.");
  const write = { command: snippets.command, python: snippets.asPython, curl: snippets.curl }[kind];
  const text = write(state.image, layers, { model: state.service.model?.name ?? "compact", origin: location.origin });
  byId("snippet")?.remove();
  byId("copies").after(make("pre", { id: "snippet", tabIndex: 0, role: "region", "aria-label": "What was copied" }, text));
  try {
    await navigator.clipboard.writeText(text);
    say("Copied.");
  } catch {  // no permission, or no secure context
    getSelection().selectAllChildren(byId("snippet"));
    say("Selected: press Ctrl+C to copy.");
  }
}

// --- Wiring -------------------------------------------------------------------------------------------------------------

function clearSentence() {
  byId("sentence").value = "";
  fitSentence();
}

function fitSentence() {
  const field = byId("sentence");
  field.rows = Math.min(6, field.value.split("\n").length);
}

function submit(event) {
  event.preventDefault();
  const sentences = [...new Set(byId("sentence").value.split("\n").map((line) => line.trim()).filter(Boolean))];
  if (state.image && !sentences.length) fail(new Error("Write what to find, for example: the storage tanks."));
  else if (!state.image) fail(new Error("Open an image first."));
  else ask(sentences);
}

function wireForms() {
  byId("ask").addEventListener("submit", submit);
  byId("sentence").addEventListener("input", fitSentence);
  byId("sentence").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) submit(event);
  });
  byId("from-root").addEventListener("submit", (event) => {
    event.preventDefault();
    const path = byId("root-path").value.trim();
    open(`Reading ${path}`, () => api.openPath(path));
  });
  byId("sign-in").addEventListener("submit", (event) => {
    event.preventDefault();
    attempt(async () => {
      await api.signIn(byId("token").value.trim());
      byId("token").value = "";
      await connect();
    });
  });
  byId("opacity").addEventListener("input", (event) => {
    byId("opacity-value").textContent = `${event.target.value} %`;
    viewer.refresh(state.layers, event.target.value / 100);
  });
  byId("copies").addEventListener("click", ({ target }) => target.dataset.copy && attempt(() => copy(target.dataset.copy)));
}

function wireFiles() {
  for (const id of ["choose", "open"]) byId(id).addEventListener("click", () => byId("file").click());
  byId("file").addEventListener("change", ({ target }) => {
    if (target.files[0]) openFile(target.files[0]);
    target.value = "";
  });
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    document.body.classList.add("dropping");
  });
  document.addEventListener("dragleave", (event) => event.relatedTarget ?? document.body.classList.remove("dropping"));
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    document.body.classList.remove("dropping");
    const [chosen] = event.dataTransfer.files;
    if (chosen) openFile(chosen);
  });
  document.addEventListener("paste", (event) => {
    const [chosen] = event.clipboardData.files;
    if (chosen) openFile(chosen);
  });
}

function wireViewer() {
  viewer.addEventListener("add", ({ detail }) => add(detail));
  viewer.addEventListener("remove", ({ detail }) => remove(detail.region));
  viewer.addEventListener("hover", ({ detail }) => {
    const { x, y, place } = detail ?? {};
    const isInside = state.image && x >= 0 && y >= 0 && x < state.image.width && y < state.image.height;
    byId("where").textContent = isInside ? `${Math.floor(x)}, ${Math.floor(y)} px${place ? ` · ${format.degrees(place)}` : ""}` : "";
  });
  byId("zoom-in").addEventListener("click", () => viewer.active.zoomIn());
  byId("zoom-out").addEventListener("click", () => viewer.active.zoomOut());
  byId("fit").addEventListener("click", () => viewer.active.fit());
  byId("undo").addEventListener("click", undo);
  byId("box").addEventListener("click", ({ currentTarget }) => {
    const isBox = currentTarget.getAttribute("aria-pressed") !== "true";
    currentTarget.setAttribute("aria-pressed", String(isBox));
    byId("stage").classList.toggle("boxing", isBox);
    viewer.stage.isBox = isBox;
    if (viewer.map) viewer.map.isBox = isBox;
  });
  byId("views").addEventListener("click", ({ target }) => target.dataset.view && attempt(() => viewer.setKind(target.dataset.view)));
  byId("base-map").addEventListener("change", () => viewer.baseMapChanged());
}

function wireKeys() {
  document.addEventListener("keydown", (event) => {
    const isTyping = event.target.matches("textarea, input:not([type=range], [type=checkbox]), select");
    if (event.key === "Escape") {
      viewer.closeCard(byId("card").contains(document.activeElement));
      clearError();
    } else if (isTyping || event.altKey) return;
    else if (event.key === "z" && (event.ctrlKey || event.metaKey)) undo();
    else if (event.key === "Delete" && viewer.selected) remove(viewer.selected);
    else if (event.key === "/") byId("sentence").focus();
    else return;
    if (event.key !== "Escape") event.preventDefault();
  });
  byId("error-close").addEventListener("click", clearError);
}

wireForms();
wireFiles();
wireViewer();
wireKeys();
connected = start();
