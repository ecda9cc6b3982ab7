// The filter and the order of the list. The address holds them, under the names and values of GET /v1/alarms.

import { byId, make, icon } from "./dom.js";
import { SORTS, reversed } from "./view.js";
import { SEVERITIES, SEVERITY_WORDS, STATES, STATE_WORDS } from "./words.js";

const SETS = { severity: SEVERITIES, state: STATES };
const TEXTS = ["q", "source", "type", "assignee"];
const WORD = /[\p{L}\p{N}]+/gu;

/** Return the filter in an address's query: {severity, state: Set, q, source, type, assignee, labels, sort}. */
export function filterOf(params) {
  const filter = { labels: [] };
  for (const [name, known] of Object.entries(SETS)) {
    filter[name] = new Set(params.getAll(name).flatMap(parted).filter((value) => known.includes(value)));
  }
  for (const name of TEXTS) filter[name] = params.get(name) ?? "";
  for (const [name, value] of params) {
    if (name.startsWith("label.")) filter.labels.push([name.slice("label.".length), value]);
  }
  const sort = params.get("sort") ?? "state";
  filter.sort = SORTS.includes(sort) || SORTS.includes(reversed(sort)) ? sort : "state";
  return filter;
}

/** Return the filter as a query of GET /v1/alarmsand of the address. */
export function queryOf(filter) {
  const params = new URLSearchParams();
  for (const name of Object.keys(SETS)) if (filter[name].size > 0) params.set(name, [...filter[name]].join(","));
  for (const name of TEXTS) if (filter[name].trim()) params.set(name, filter[name].trim());
  for (const [name, value] of filter.labels) params.append(`label.${name}`, value);
  if (filter.sort !== "state") params.set("sort", filter.sort);
  return params;
}

/** Return a function that tells whether an alarm matches, as the server would. */
export function matching(filter) {
  const conditions = filter.state.size > 0 ? [] : [(alarm) => alarm.state !== "normal"];
  for (const name of Object.keys(SETS)) {
    if (filter[name].size > 0) conditions.push((alarm) => filter[name].has(alarm[name]));
  }
  for (const name of ["source", "type", "assignee"]) {
    const values = parted(filter[name].trim()).map((value) => value.trim()).filter(Boolean);
    if (values.length > 0) conditions.push(one(name, values));
  }
  for (const [name, value] of filter.labels) conditions.push((alarm) => alarm.labels[name] === value);
  if (filter.q.trim()) conditions.push(search(filter.q));
  return (alarm) => conditions.every((holds) => holds(alarm));
}

// A comma separates values; `\,` is a comma in a value.
function parted(value) {
  return value.replaceAll("\\,", "\0").split(",").map((part) => part.replaceAll("\0", ",")).filter(Boolean);
}

function one(name, values) {
  const exact = new Set(values);
  const prefixes = name === "source" ? values.filter((v) => v.endsWith("/*")).map((v) => v.slice(0, -1)) : [];
  return (alarm) => exact.has(alarm[name]) || prefixes.some((prefix) => alarm[name].startsWith(prefix));
}

// Matches when each word of the text begins a word of the alarm.
function search(text) {
  const sought = words(text);
  const known = new WeakMap();
  return (alarm) => {
    let found = known.get(alarm);
    if (found === undefined) {
      found = words([alarm.source, alarm.type, alarm.qualifier, alarm.assignee ?? "", alarm.text].join(" "));
      known.set(alarm, found);
    }
    return sought.length > 0 && sought.every((word) => found.some((each) => each.startsWith(word)));
  };
}

// By way of capitals, so that STRASSE finds Straße.
const words = (text) => text.toUpperCase().toLowerCase().match(WORD) ?? [];

/** Return the query of the normal alarms that a filter wants; null: it wants none. */
export function normalsOf(filter) {
  return filter.state.has("normal") ? queryOf({ ...filter, state: new Set(["normal"]), sort: "state" }) : null;
}

/** The bar above the list: shows the filter, and changes it. */
export class FilterBar {
  #onChange;
  #chips = new Map();

  /** `onChange(filter, moving)` is called with each new filter; `moving`: the field being typed in, or null. */
  constructor(filter, onChange) {
    this.filter = filter;
    this.#onChange = onChange;
    for (const [name, holder, wordsOf] of [
      ["severity", "severity-chips", SEVERITY_WORDS],
      ["state", "state-chips", STATE_WORDS],
    ]) {
      for (const value of SETS[name]) byId(holder).append(this.#chip(name, value, wordsOf[value]));
    }
    for (const name of TEXTS) {
      byId(name).addEventListener("input", (event) => this.change({ [name]: event.target.value }, name));
    }
    byId("clear-filters").addEventListener("click", () => this.clear());
    this.show();
  }

  /** Change parts of the filter. */
  change(parts, moving = null) {
    this.filter = { ...this.filter, ...parts };
    this.show();
    this.#onChange(this.filter, moving);
  }

  /** Take another filter, as from the address, without calling `onChange`. */
  take(filter) {
    this.filter = filter;
    this.show();
  }

  /** Show every alarm. */
  clear() {
    this.change({ ...filterOf(new URLSearchParams()), sort: this.filter.sort });
  }

  /** Whether the filter hides anything. */
  get active() {
    return [...queryOf(this.filter).keys()].some((name) => name !== "sort");
  }

  /** Show the numbers of alarms on the chips. */
  count(counts) {
    for (const [key, { number }] of this.#chips) {
      const text = (counts.get(key) ?? 0).toLocaleString();
      if (number.textContent !== text) number.textContent = text;
    }
  }

  toggle(name, value) {
    const values = new Set(this.filter[name]);
    if (!values.delete(value)) values.add(value);
    this.change({ [name]: values });
  }

  show() {
    for (const [key, { button }] of this.#chips) {
      const [name, value] = key.split(":");
      button.setAttribute("aria-pressed", this.filter[name].has(value));
    }
    for (const name of TEXTS) if (byId(name).value !== this.filter[name]) byId(name).value = this.filter[name];
    const labels = this.filter.labels.map(([name, value]) => `${name}=${value}`).join(", ");
    byId("label-filter").textContent = labels && `label ${labels}`;
    byId("clear-filters").hidden = !this.active;
  }

  #chip(name, value, word) {
    const number = make("b", { class: "chip-count", text: "0" });
    const button = make(
      "button",
      { type: "button", class: `chip ${name}-${value}`, onclick: () => this.toggle(name, value) },
      icon(value, `icon ${name}-icon`),
      make("span", { text: word }),
      number,
    );
    this.#chips.set(`${name}:${value}`, { button, number });
    return button;
  }
}
