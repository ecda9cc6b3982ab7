// The headings of the list, which sort it.

import { make } from "./dom.js";
import { COLUMNS } from "./row.js";
import { reversed } from "./view.js";

const UNNAMED = new Set(["select", "action"]);

/** Shows by which column the list is sorted. */
export class Headings {
  #node;

  /** `onSort(sort)`: a heading was clicked. */
  constructor(node, onSort) {
    this.#node = node;
    const cells = COLUMNS.map(([name, word, sort]) => {
      const content = sort
        ? make("button", { type: "button", text: word, onclick: () => onSort(this.#sort === sort ? reversed(sort) : sort) })
        : make("span", { text: word, class: UNNAMED.has(name) ? "hidden-text" : null });
      return make("div", { role: "columnheader", class: `c-${name}`, "data-sort": sort }, content);
    });
    node.append(make("div", { role: "row", class: "row", "aria-rowindex": "1" }, ...cells));
  }
  #sort = null;

  show(sort) {
    this.#sort = sort;
    for (const head of this.#node.querySelectorAll("[data-sort]")) {
      const column = head.dataset.sort;
      if (column !== sort && column !== reversed(sort)) head.removeAttribute("aria-sort");
      else head.setAttribute("aria-sort", sort.startsWith("-") ? "descending" : "ascending");
    }
  }
}
