// One alarm beside the list: all its fields, what can be done, and its history.

import { COMMANDS, fitting } from "./commands.js";
import { byId, icon, make } from "./dom.js";
import { shelvedUntil } from "./row.js";
import { Timeline } from "./timeline.js";
import { SEVERITY_WORDS, STATE_WORDS, age, moment } from "./words.js";

/** Shows one alarm at a time. */
export class Details {
  #node = byId("details");
  #api;
  #parts;
  #timeline = null;
  #drawn = null;
  /** The id of the alarm that is shown; null: none. */
  id = null;

  /** parts: {onCommand(name, alarm), onClose(), past()} */
  constructor(api, parts) {
    this.#api = api;
    this.#parts = parts;
  }

  /** Show an alarm, or bring its details up to date. */
  show(alarm) {
    if (this.id !== alarm.id) {
      this.id = alarm.id;
      this.#timeline = new Timeline(this.#api, alarm.id);
      this.#node.replaceChildren(make("div", { class: "details-head" }), make("div", { class: "details-facts" }), this.#timeline.root);
      this.#drawn = null;
    }
    this.#node.hidden = false;
    if (this.#drawn === alarm) return;
    this.#drawn = alarm;
    const [head, facts] = this.#node.children;
    const focused = document.activeElement?.dataset?.command;
    head.replaceChildren(...this.#head(alarm));
    facts.replaceChildren(factsOf(alarm));
    // The replaced button had the focus: keep it on the same command.
    if (focused) head.querySelector(`[data-command="${focused}"]`)?.focus();
    this.#timeline.reach(alarm.revision);
  }

  focus() {
    this.#node.focus();
  }

  close() {
    this.id = null;
    this.#node.hidden = true;
    this.#node.replaceChildren();
    this.#parts.onClose();
  }

  #head(alarm) {
    const close = make("button", { type: "button", class: "close", "aria-label": "Close", "data-command": "close" }, icon("close"));
    close.addEventListener("click", () => this.close());
    const buttons = this.#parts.past() ? [] : fitting([alarm]).map((name, index) => this.#button(name, index, alarm));
    return [
      make("div", { class: "details-title" }, make("h2", { text: alarm.source }), close),
      make("p", { class: "details-type", text: alarm.qualifier ? `${alarm.type} · ${alarm.qualifier}` : alarm.type }),
      make(
        "p",
        { class: "badges" },
        make("span", { class: `badge severity-${alarm.severity}` }, icon(alarm.severity, "icon severity-icon"), SEVERITY_WORDS[alarm.severity]),
        make("span", { class: `badge state-${alarm.state}` }, icon(alarm.state, "icon state-icon"), STATE_WORDS[alarm.state]),
      ),
      alarm.text ? make("p", { class: "details-text", text: alarm.text }) : null,
      make("div", { class: "actions" }, ...buttons),
    ].filter(Boolean);
  }

  #button(name, index, alarm) {
    const primary = name === "acknowledge" && index === 0;
    const button = make("button", { type: "button", class: primary ? "primary" : null, "data-command": name, text: COMMANDS[name].word });
    button.addEventListener("click", () => this.#parts.onCommand(name, alarm));
    return button;
  }
}

function factsOf(alarm) {
  const since = alarm.raised_at && `${moment(alarm.raised_at)} (${age(alarm.raised_at, Date.now())} ago)`;
  const facts = [
    ["Raised", since],
    ["Occurrence", alarm.occurrence],
    ["Cleared", moment(alarm.cleared_at)],
    ["Acknowledged", alarm.acked && alarm.acked_at ? `${moment(alarm.acked_at)} by ${alarm.acked_by}` : ""],
    ["Assignee", alarm.assignee],
    ["Shelved until", shelvedUntil(alarm)],
    ["Shelved by", alarm.shelved_by],
    ["Shelf's reason", alarm.shelf_reason],
    ["Latched", alarm.latched ? "stays active until it is reset" : ""],
    ["Event type", alarm.event_type],
    ["Probable cause", alarm.probable_cause],
    ["Reported by", Object.keys(alarm.origins ?? {}).filter(Boolean).join(", ")],
    ...Object.entries(alarm.labels ?? {}),
    ...Object.entries(alarm.details ?? {}).map(([name, value]) => [name, typeof value === "string" ? value : JSON.stringify(value)]),
    ["Revision", alarm.revision],
  ];
  const shown = facts.filter(([, value]) => value != null && value !== "");
  return make("dl", {}, ...shown.flatMap(([name, value]) => [make("dt", { text: name }), make("dd", { text: String(value) })]));
}
