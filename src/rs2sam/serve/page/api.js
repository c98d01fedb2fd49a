/** The service, as functions. Every failure is an Error whose message is one line for a person. */

const SMALL_UPLOAD_BYTES = 8_000_000;

export class ApiError extends Error {
  constructor(problem, status) {
    const wait = problem?.retry_after ? ` Try again in ${problem.retry_after} s.` : "";
    const listed = (problem?.errors ?? []).map((error) => error.detail).join("; ");
    const said = listed || problem?.detail || problem?.title || `The service answered with status ${status}.`;
    super(said + wait);
    this.name = "ApiError";
    this.status = status;
    this.problem = problem;
  }
}

async function request(url, options = {}) {
  let response;
  try {
    response = await fetch(url, { credentials: "same-origin", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError({ detail: "The service does not answer. Is `rs2sam serve` still running?" }, 0);
  }
  if (response.ok) return response;
  throw new ApiError(await response.json().catch(() => null), response.status);
}

const json = async (url, options) => (await request(url, options)).json();
const post = (url, body, headers = {}) =>
  request(url, { method: "POST", headers: { "Content-Type": "application/json", ...headers }, body: JSON.stringify(body) });
const postJson = async (url, body, headers) => (await post(url, body, headers)).json();

export const service = () => json("/v1/service");
export const signIn = (token) => request("/v1/session", { method: "POST", headers: { Authorization: `Bearer ${token}` } });
export const image = (id) => json(`/v1/images/${id}`);
export const answer = (id) => json(`/v1/answers/${id}`);
export const segment = (id, sentences) => postJson(`/v1/images/${id}/segment`, { sentences });
export const regions = (id, body) => postJson(`/v1/images/${id}/regions`, body);
export const startJob = (body, key) => postJson("/v1/jobs", body, { "Idempotency-Key": key });
export const job = (id) => json(`/v1/jobs/${id}`);
export const jobs = async () => (await json("/v1/jobs")).jobs;
export const cancelJob = (id) => request(`/v1/jobs/${id}`, { method: "DELETE" });
export const openExample = async (id) => ready(await postJson("/v1/images", { example: id }));
export const openPath = async (path) => ready(await postJson("/v1/images", { path }));
export const file = async (url) => (await request(url)).blob();
export const polygons = (url) => json(url);

/** A file from what is shown: its bytes and the name that the service gives it. */
export async function exportFile(id, body) {
  const response = await post(`/v1/images/${id}/export`, body);
  const name = /filename="([^"]+)"/.exec(response.headers.get("Content-Disposition") ?? "")?.[1];
  return { blob: await response.blob(), name: name ?? `result.${body.format}` };
}

/** Send a file, in pieces where it is large, and wait until it can be asked.
 * @param {File} chosen
 * @param {(share: number) => void} progress */
export async function upload(chosen, limits, progress) {
  if (chosen.size > limits.upload_bytes) {
    throw new ApiError({ detail: `A file may have ${limits.upload_bytes / 1e6} MB here, ${chosen.name} has ${Math.ceil(chosen.size / 1e6)} MB.` }, 413);
  }
  if (chosen.size <= Math.min(SMALL_UPLOAD_BYTES, limits.chunk_bytes)) {
    const form = new FormData();
    form.append("file", chosen, chosen.name);
    return ready(await json("/v1/images", { method: "POST", body: form }));
  }
  const { id } = await postJson("/v1/images", { upload: { name: chosen.name, size: chosen.size } });
  let at = 0, current;
  while (at < chosen.size) {
    const piece = chosen.slice(at, at + limits.chunk_bytes);
    current = await json(`/v1/images/${id}/content`, {
      method: "PATCH",
      headers: { "Upload-Offset": String(at), "Content-Type": "application/offset+octet-stream" },
      body: piece,
    });
    at += piece.size;
    progress(at / chosen.size);
  }
  return ready(current);
}

/** The image, once the model has seen it. */
async function ready(current) {
  while (current.state === "uploading" || current.state === "encoding") current = await json(`/v1/images/${current.id}?wait=10`);
  if (current.state === "failed") throw new ApiError(current.error, current.error?.status ?? 422);
  return current;
}

/** Follow a job; resolves with its last state.
 * @param {{state: Function, progress: Function, preview: Function}} on */
export function follow(job, on) {
  return new Promise((resolve) => {
    const source = new EventSource(job.links.events);
    source.addEventListener("state", (event) => {
      const now = JSON.parse(event.data);
      on.state(now);
      if (now.state === "queued" || now.state === "running") return;
      source.close();
      resolve(now);
    });
    source.addEventListener("progress", (event) => on.progress(JSON.parse(event.data)));
    source.addEventListener("preview", (event) => on.preview(JSON.parse(event.data)));
  });
}
