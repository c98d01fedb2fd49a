/** What was asked in this browser, newest first; kept in its own storage, the answers on the service. */

import { byId, make } from "/page/dom.js";
import { clockTime } from "/page/format.js";

const KEY = "rs2sam.history";
const MOST = 40;

export class History {
  /** @param reopen  called with an entry {image, name, sentences, answer?, job?, when} */
  constructor(reopen) {
    this.reopen = reopen;
    byId("history-clear").addEventListener("click", () => this.#keep([]));
    this.render();
  }

  get entries() {
    try {
      return JSON.parse(localStorage.getItem(KEY)) ?? [];
    } catch {
      return [];
    }
  }

  add(entry) {
    const same = (other) => other.image === entry.image && String(other.sentences) === String(entry.sentences);
    this.#keep([{ ...entry, when: new Date().toISOString() }, ...this.entries.filter((other) => !same(other))].slice(0, MOST));
  }

  /** Forget the entries that a test is true of. */
  forget(isGone) {
    this.#keep(this.entries.filter((entry) => !isGone(entry)));
  }

  #keep(entries) {
    try {
      localStorage.setItem(KEY, JSON.stringify(entries));
    } catch { /* no storage in this browser: the list lasts as long as the page */ }
    this.render();
  }

  render() {
    const { entries } = this;
    byId("history-section").hidden = entries.length === 0;
    byId("history-count").textContent = entries.length;
    byId("history").replaceChildren(
      ...entries.map((entry) =>
        make("li", {}, make("button", { type: "button", className: "past", onclick: () => this.reopen(entry) },
          make("span", { className: "past-what" }, entry.sentences.join("; ")),
          make("span", { className: "past-where" }, `${entry.name}, ${clockTime(entry.when)}`)))),
    );
  }
}
