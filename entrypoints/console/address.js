// What is shown, in the address: it survives a reload, and can be sent to others.

import { queryOf } from "./filters.js";

const OWN = ["as_of", "alarm", "page"];

/** The page's query: the filter, under the names of the API, and `as_of`, `alarm`, `page`. */
export class Address {
  params = new URLSearchParams(location.search);

  get(name) {
    return this.params.get(name);
  }

  /** Say what is shown: this filter, and `parts` of the rest; null: not any more. */
  show(filter, parts = {}) {
    const params = queryOf(filter);
    for (const name of OWN) {
      const value = name in parts ? parts[name] : this.get(name);
      if (value) params.set(name, value);
    }
    this.params = params;
    const query = params.toString();
    history.replaceState(null, "", query ? `?${query}` : location.pathname);
  }
}
