/** Dark or light: as the system, or as chosen in this browser. */

import { byId, icon } from "/page/dom.js";

const KEY = "rs2sam.theme";
const NAMES = { system: "as the system", light: "light", dark: "dark" };
const DRAWN = {
  system: "M2.5 3.5h11v7h-11zM6 13h4M8 10.5v2.5",
  light: "M8 5.2a2.8 2.8 0 1 0 0 5.6 2.8 2.8 0 1 0 0-5.6M8 1.5v1.5M8 13v1.5M1.5 8H3M13 8h1.5M3.4 3.4l1.1 1.1M11.5 11.5l1.1 1.1M3.4 12.6l1.1-1.1M11.5 4.5l1.1-1.1",
  dark: "M13 9.5A5.5 5.5 0 0 1 6.5 3a5.5 5.5 0 1 0 6.5 6.5z",
};

function show(theme) {
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  const button = byId("theme");
  button.replaceChildren(icon(DRAWN[theme]));
  button.title = `Colours: ${NAMES[theme]}`;
  button.setAttribute("aria-label", button.title);
}

export function startTheme() {
  const order = Object.keys(NAMES);
  let theme = "system";
  try {
    theme = localStorage.getItem(KEY) ?? theme;
  } catch { /* no storage in this browser: as the system */ }
  if (!order.includes(theme)) theme = "system";
  show(theme);
  byId("theme").addEventListener("click", () => {
    theme = order[(order.indexOf(theme) + 1) % order.length];
    show(theme);
    try {
      localStorage.setItem(KEY, theme);
    } catch { /* it lasts as long as the page */ }
  });
}
