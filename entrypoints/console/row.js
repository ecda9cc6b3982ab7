// One row of the list. Its texts come from outside, so they are only ever set as text.

import { icon, make, say, setIcon } from "./dom.js";
import { age, moment, SEVERITY_WORDS, STATE_WORDS } from "./words.js";

/** The columns: class, heading, sort by a click on the heading. */
export const COLUMNS = [
  ["select", "Select", null],
  ["severity", "Severity", "-severity"],
  ["state", "State", "state"],
  ["source", "Source", "source"],
  ["type", "Type", "type"],
  ["text", "Text", null],
  ["occurrence", "Count", "-occurrence"],
  ["raised", "Raised", "-raised_at"],
  ["waiting", "Unacked for", null],
  ["acked_by", "Acked by", null],
  ["assignee", "Assignee", null],
  ["shelved", "Shelved until", null],
  ["action", "Action", null],
];

const cell = (name, ...children) => make("div", { role: "gridcell", class: `c-${name}` }, ...children);

/** Return an empty row. */
export function makeRow() {
  const slot = { row: null, index: null, drawn: null, seen: null };
  slot.check = make("input", { type: "checkbox", tabindex: "-1", class: "pick" });
  slot.shape = icon("indeterminate", "icon severity-icon");
  slot.mark = icon("normal", "icon state-icon");
  for (const name of ["severity", "state", "source", "type", "text", "occurrence", "raised"]) {
    slot[name] = make("span", { class: "clip" });
  }
  for (const name of ["waiting", "acked_by", "assignee", "shelved"]) slot[name] = make("span", { class: "clip" });
  slot.button = make("button", { type: "button", class: "row-action", tabindex: "-1", text: "Acknowledge" });
  slot.action = cell("action", slot.button);
  slot.element = make(
    "div",
    { role: "row", class: "row" },
    cell("select", slot.check),
    cell("severity", slot.shape, slot.severity),
    cell("state", slot.mark, slot.state),
    cell("source", slot.source),
    cell("type", slot.type),
    cell("text", slot.text),
    cell("occurrence", slot.occurrence),
    cell("raised", slot.raised),
    cell("waiting", slot.waiting),
    cell("acked_by", slot.acked_by),
    cell("assignee", slot.assignee),
    cell("shelved", slot.shelved),
    slot.action,
  );
  return slot;
}

/** Show an alarm; `look`: {selected, cursor, pending, now, past}. */
export function fillRow(slot, alarm, index, look) {
  const seen = `${index} ${look.selected} ${look.cursor} ${look.pending} ${look.past} ${Math.floor(look.now / 1000)}`;
  // Most rows stay as they are from one frame to the next.
  if (slot.drawn === alarm && slot.seen === seen) return;
  slot.seen = seen;
  if (slot.drawn !== alarm) fillTexts(slot, alarm);
  say(slot.raised, age(alarm.raised_at, look.now));
  const unacked = alarm.state === "unacked" || alarm.state === "rtn_unacked";
  say(slot.waiting, unacked ? age(alarm.raised_at, look.now) : "");
  const { element } = slot;
  element.id = `row-${alarm.id}`;
  element.setAttribute("aria-rowindex", index + 2);
  element.setAttribute("aria-selected", look.selected);
  element.classList.toggle("cursor", look.cursor);
  element.classList.toggle("pending", look.pending);
  slot.check.checked = look.selected;
  slot.button.hidden = !unacked || look.past;
  slot.button.disabled = look.pending;
}

function fillTexts(slot, alarm) {
  slot.drawn = alarm;
  slot.element.dataset.severity = alarm.severity;
  slot.element.dataset.state = alarm.state;
  setIcon(slot.shape, alarm.severity);
  setIcon(slot.mark, alarm.state);
  say(slot.severity, SEVERITY_WORDS[alarm.severity]);
  say(slot.state, STATE_WORDS[alarm.state] ?? alarm.state);
  say(slot.source, alarm.source);
  slot.source.title = alarm.source;
  say(slot.type, alarm.qualifier ? `${alarm.type} · ${alarm.qualifier}` : alarm.type);
  slot.type.title = slot.type.textContent;
  say(slot.text, alarm.text);
  slot.text.title = alarm.text;
  say(slot.occurrence, `×${alarm.occurrence}`);
  slot.raised.title = moment(alarm.raised_at);
  say(slot.acked_by, alarm.acked ? (alarm.acked_by ?? "") : "");
  say(slot.assignee, alarm.assignee ?? "");
  say(slot.shelved, shelvedUntil(alarm));
  slot.check.setAttribute("aria-label", `Select ${alarm.source} ${alarm.type}`);
  slot.button.setAttribute("aria-label", `Acknowledge ${alarm.source} ${alarm.type}`);
}

/** The end of an alarm's shelf, in words. */
export function shelvedUntil(alarm) {
  if (alarm.shelving === "timed") return moment(alarm.shelved_until);
  return alarm.shelving === "one_shot" ? "it clears" : "";
}
