// Short notices of a command's outcome: beside the row, or at the edge of the page.

import { byId, icon, make } from "./dom.js";

const SECONDS = 8;
const TOASTS = 4;

/** Show a notice at the edge of the page; `kind`: "done" or "problem". */
export function toast(text, kind = "done") {
  const holder = byId("toasts");
  const close = make("button", { type: "button", class: "close", "aria-label": "Dismiss" }, icon("close"));
  const shown = make("div", { class: `toast ${kind}` }, make("span", { text }), close);
  close.addEventListener("click", () => shown.remove());
  holder.append(shown);
  while (holder.childElementCount > TOASTS) holder.firstElementChild.remove();
  setTimeout(() => shown.remove(), SECONDS * 1000);
}

/** Shows a notice right below a row, or at the edge if the row is out of sight. */
export class RowNotice {
  #node = byId("row-notice");
  #timer = null;
  #offset;

  /** `offset(id)`: how far below the list's top the row ends, in pixels, or null. */
  constructor(offset) {
    this.#offset = offset;
  }

  say(id, text) {
    const offset = this.#offset(id);
    if (offset === null) return toast(text, "problem");
    this.#node.textContent = text;
    this.#node.style.top = `${offset}px`;
    this.#node.hidden = false;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => (this.#node.hidden = true), SECONDS * 1000);
    return undefined;
  }

  clear() {
    this.#node.hidden = true;
  }
}
