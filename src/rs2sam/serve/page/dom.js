/** Shorthands for the document. */

export const byId = (id) => document.getElementById(id);

/** A new element with properties (or attributes, where the name has a dash or is `role`), and what it holds. */
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "dataset") Object.assign(element.dataset, value);
    else if (name === "role" || name === "for" || name.includes("-")) element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children.filter((child) => child != null));
  return element;
}

/** Say something to everyone, those who do not see the page too. */
export function say(text) {
  byId("status").textContent = text;
}

/** The one line that an error is. */
export function fail(error) {
  if (error?.name === "AbortError") return;
  byId("error-text").textContent = error?.message ?? String(error);
  byId("error").hidden = false;
}

export function clearError() {
  byId("error").hidden = true;
}

const SVG = "http://www.w3.org/2000/svg";

export function icon(path) {
  const svg = document.createElementNS(SVG, "svg"), drawn = document.createElementNS(SVG, "path");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("aria-hidden", "true");
  drawn.setAttribute("d", path);
  svg.append(drawn);
  return svg;
}
