// Keeps the page's state in the address: it survives a reload, can be shared, and Back returns to the last one.

import { queryOf } from "./filters.js";

const OWN = ["as_of", "alarm", "page"];

/** The page's query: the filter, under the names of the API, and `as_of`, `alarm`, `page`. */
export class Address {
  params = new URLSearchParams(location.search);
  // The part under continuous change: its changes together are one step of Back.
  #moving = null;

  /** `onVisit()`: Back or Forward led to another address. */
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
   * Put this filter and `parts` of the rest into the address; a null part is removed.
   *
   * `moving` names a part under continuous change: a text while it is typed, the slider while it is moved.
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
