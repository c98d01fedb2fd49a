/** Scenes too large to be answered at once: a job is started, watched, cancelled, and its files are shown. */

import * as api from "/page/api.js";
import { byId, make, say } from "/page/dom.js";
import * as format from "/page/format.js";
import { COLOURS, SceneLayer } from "/page/layers.js";

/** Polygons of larger files are left to a GIS. */
const MOST_SHOWN_BYTES = 40_000_000;

/** Ask about a scene, tell of the job, and follow it to its end; its last state. */
export async function runScene(image, sentences, viewer, started) {
  const job = await api.startJob({ image: image.id, sentences, outputs: { format: byId("scene-format").value } }, crypto.randomUUID?.() ?? String(Math.random()));
  started(job);
  return watch(job, viewer);
}

/** Follow a job that runs. */
export async function watch(job, viewer) {
  const section = byId("job"), bar = byId("job-progress");
  byId("job-title").textContent = job.sentences.join("; ");
  byId("job-text").textContent = "Waiting";
  bar.removeAttribute("value");
  byId("job-cancel").disabled = false;
  byId("job-cancel").onclick = () => {
    byId("job-cancel").disabled = true;
    byId("job-text").textContent = "Cancelling";
    api.cancelJob(job.id).catch(() => {});  // its last state says what became of it
  };
  section.hidden = false;
  try {
    return await api.follow(job, {
      state: (now) => {
        if (now.state === "queued") byId("job-text").textContent = now.queue_position ? `${format.count(now.queue_position, "run")} before this one` : "Starts soon";
        if (now.state === "running") say(`Reading the scene for ${now.sentences.join("; ")}.`);
      },
      progress: ({ done, total, fraction, remaining_s: left }) => {
        if (total == null) return;
        bar.value = fraction;
        byId("job-text").textContent = `${format.whole(done)} of ${format.whole(total)} tiles${left == null || fraction === 0 ? "" : `, about ${format.duration(left)} left`}`;
      },
      preview: ({ href }) => viewer.showPreview(href).catch(() => {}),  // the next one comes
    });
  } finally {
    section.hidden = true;
  }
}

/** Layers from a job's polygons, where they are GeoJSON and not too many. */
export async function layersOf(job, image) {
  const file = job.files.find(({ kind, media_type: type }) => kind === "polygons" && type.includes("json"));
  if (!file || file.bytes > MOST_SHOWN_BYTES) return [];
  const { features } = await api.polygons(file.href);
  return job.sentences.map((sentence, at) => {
    const own = features.filter(({ properties }) => (properties.sentence_id == null ? properties.sentence === sentence : properties.sentence_id === at + 1));
    return new SceneLayer({ image, sentence, features: own, colour: COLOURS[at % COLOURS.length] });
  });
}

/** A link to each file of a job. */
export function fileLinks(job) {
  const names = { mask: "GeoTIFF", mask_png: "PNG", classes: "Classes", polygons: job.files.some(({ name }) => name.endsWith(".gpkg")) ? "GeoPackage" : "GeoJSON", preview: "Preview", result: "JSON" };
  return job.files.map((file) =>
    make("a", { className: "button", href: file.href, download: file.name, title: `${file.name}, ${format.bytes(file.bytes)}` }, names[file.kind] ?? file.name),
  );
}

/** The polygons that are still shown, as GeoJSON. */
export function editedGeoJson(layers) {
  const features = layers.flatMap((layer) => layer.regions.map((region) => region.feature));
  return new Blob([JSON.stringify({ type: "FeatureCollection", features })], { type: "application/geo+json" });
}
