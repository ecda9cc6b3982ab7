// The selected alarms, and the bar that acts on them.

import { COMMANDS, fitting } from "./commands.js";
import { byId, make } from "./dom.js";
import { count } from "./words.js";

/** Selected alarms, by id; only alarms that are shown. */
export class Selection {
  #ids = new Set();
  #anchor = null;
  #view;
  #parts;

  /** parts: {onChange(), onCommand(name), past()} */
  constructor(view, parts) {
    this.#view = view;
    this.#parts = parts;
  }

  has(id) {
    return this.#ids.has(id);
  }

  /** The selected alarms, as they are shown. */
  get alarms() {
    return this.#ids.size > 0 ? this.#view.rows.filter(({ id }) => this.#ids.has(id)) : [];
  }

  /** Select an alarm, or deselect it; `through`: select all from the last one to it. */
  toggle(id, through = false) {
    if (through && this.#anchor !== null) this.#addThrough(id);
    else if (!this.#ids.delete(id)) this.#ids.add(id);
    this.#anchor = id;
    this.#parts.onChange();
  }

  all() {
    for (const { id } of this.#view.rows) this.#ids.add(id);
    this.#parts.onChange();
  }

  none() {
    this.#ids.clear();
    this.#parts.onChange();
  }

  /** Deselect alarms that are not shown any more: a command would reach them unseen. */
  settle() {
    for (const id of this.#ids) if (!this.#view.get(id)) this.#ids.delete(id);
    this.#bar();
  }

  #addThrough(id) {
    const [from, to] = [this.#view.indexOf(this.#anchor), this.#view.indexOf(id)].sort((a, b) => a - b);
    for (const alarm of this.#view.rows.slice(Math.max(0, from), to + 1)) this.#ids.add(alarm.id);
  }

  #bar() {
    const node = byId("bulk");
    const alarms = this.#parts.past() ? [] : this.alarms;
    node.hidden = alarms.length === 0;
    const names = fitting(alarms);
    const drawn = `${alarms.length} ${names}`;
    if (node.hidden || node.dataset.drawn === drawn) return;
    node.dataset.drawn = drawn;
    const focused = document.activeElement?.dataset?.bulk;
    node.replaceChildren(
      make("b", { text: `${count(alarms.length, "alarm")} selected` }),
      ...names.map((name) => button(name, COMMANDS[name].word, () => this.#parts.onCommand(name))),
      button("all", "Select all shown", () => this.all()),
      button("none", "Select none", () => this.none()),
    );
    if (focused) node.querySelector(`[data-bulk="${focused}"]`)?.focus();
  }
}

const button = (name, text, onclick) => make("button", { type: "button", "data-bulk": name, text, onclick });
