// The keys, and the page that lists them.

import { byId, make } from "./dom.js";

const KEY = "tocsin.keys";
const WRITING = "input:not([type=checkbox]), textarea, select";

/**
 * Let keys act. bindings: [[keys], words, action][]; a key is as in KeyboardEvent.key, `Ctrl+a` with Ctrl or Cmd.
 *
 * `active()`: whether the list is there for them to act on; `?`, the page of keys, always acts.
 * Single characters can be turned off (WCAG 2.2, 2.1.4), and never act in a text field.
 */
export function keys(bindings, active) {
  const actions = new Map(bindings.flatMap(([names, , action]) => names.map((name) => [name, action])));
  const list = byId("key-list");
  for (const [names, words] of bindings) {
    list.append(make("dt", {}, ...names.map((name) => make("kbd", { text: shown(name) }))), make("dd", { text: words }));
  }
  const box = byId("keys-on");
  box.checked = localStorage.getItem(KEY) !== "off";
  box.addEventListener("change", () => localStorage.setItem(KEY, box.checked ? "on" : "off"));
  addEventListener("keydown", (event) => {
    const name = event.ctrlKey || event.metaKey ? `Ctrl+${event.key}` : event.key;
    const action = actions.get(name);
    if (!action || event.altKey || (name !== "?" && !active()) || document.querySelector("dialog[open]")) return;
    if (event.target.matches(WRITING)) return name === "Escape" && event.target.blur();
    // Enter and Space on a button press the button.
    if ((name === "Enter" || name === " ") && !event.target.matches("[role=grid], body")) return;
    if (name.length === 1 && !box.checked) return;
    if (action(event) !== false) event.preventDefault();
  });
}

const SHOWN = { ArrowDown: "↓", ArrowUp: "↑", Escape: "Esc", " ": "Space", PageDown: "Page ↓", PageUp: "Page ↑" };
const shown = (name) => SHOWN[name] ?? name;
