// What is shown, in the address: it survives a reload, can be sent to others, and Back leads to what was before.

import { queryOf } from "./filters.js";

const OWN = ["as_of", "alarm", "page"];

/** The page's query: the filter, under the names of the API, and `as_of`, `alarm`, `page`. */
export class Address {
  params = new URLSearchParams(location.search);
  // What goes on changing: its changes are one step of Back together.
  #moving = null;

  /** `onVisit()`: another address was gone to, by Back or Forward. */
  constructor(onVisit) {
    addEventListener("popstate", () => {
      this.params = new URLSearchParams(location.search);
      this.#moving = null;
      onVisit();
    });
  }

  get(name) {
    return this.params.get(name);
  }

  /**
   * Say what is shown: this filter, and `parts` of the rest; null: not any more.
   *
   * `moving` names what is changed bit by bit, a text while it is typed or the slider while it is moved.
   */
  show(filter, parts = {}, moving = null) {
    const params = queryOf(filter);
    for (const name of OWN) {
      const value = name in parts ? parts[name] : this.get(name);
      if (value) params.set(name, value);
    }
    const before = this.params.toString();
    const query = params.toString();
    if (query === before) return;
    this.params = params;
    const step = moving !== null && moving === this.#moving ? "replaceState" : "pushState";
    this.#moving = moving;
    history[step](null, "", query ? `?${query}` : location.pathname);
  }
}
