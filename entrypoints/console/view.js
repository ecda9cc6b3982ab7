// The alarms that are shown, in order: kept sorted while they change, one by one.

import { SEVERITIES, STATES } from "./words.js";

const STATE_RANK = new Map(STATES.map((state, rank) => [state, rank]));
const SEVERITY_RANK = new Map(SEVERITIES.map((severity, rank) => [severity, rank]));
// Beyond so many changes at once, sorting anew is cheaper.
const MANY = 500;

const text = (a, b) => (a < b ? -1 : a > b ? 1 : 0);
const newest = (name) => (a, b) => text(b[name] ?? "", a[name] ?? "");
const bySeverity = (a, b) => SEVERITY_RANK.get(a.severity) - SEVERITY_RANK.get(b.severity);
const byRaised = newest("raised_at");
const byState = (a, b) =>
  (STATE_RANK.get(a.state) ?? 9) - (STATE_RANK.get(b.state) ?? 9) || bySeverity(a, b) || byRaised(a, b);

/** The orders, by their names in the API; a `-` in front reverses the others. */
const ORDERS = {
  state: byState,
  "-severity": (a, b) => bySeverity(a, b) || byRaised(a, b),
  "-raised_at": byRaised,
  "-updated_at": newest("updated_at"),
  source: (a, b) => text(a.source, b.source) || byState(a, b),
  type: (a, b) => text(a.type, b.type) || byState(a, b),
  "-occurrence": (a, b) => b.occurrence - a.occurrence || byRaised(a, b),
};

export const SORTS = Object.keys(ORDERS);

/** The reverse of a sort, by name. */
export const reversed = (sort) => (sort.startsWith("-") ? sort.slice(1) : `-${sort}`);

/** Return a function that compares two alarms for this sort; no two are equal. */
export function comparing(sort) {
  const order = ORDERS[sort];
  if (order) return (a, b) => order(a, b) || text(a.id, b.id);
  const opposite = ORDERS[reversed(sort)] ?? byState;
  return (a, b) => -(opposite(a, b) || text(a.id, b.id));
}

/**
 * The alarms that a filter matches, in order.
 *
 * While paused, changes wait, except those to an unacknowledged critical alarm.
 */
export class AlarmView {
  /** The shown alarms, in order. */
  rows = [];
  paused = false;
  #all = new Map();
  #shown = new Map();
  // Ids of alarms that changed since the last update.
  #changed = new Set();
  #matches;
  #compare;

  constructor(matches, sort) {
    this.#matches = matches;
    this.#compare = comparing(sort);
  }

  /** How many alarms have changes that wait for the end of the pause. */
  get waiting() {
    return this.paused ? this.#changed.size : 0;
  }

  /** Show these alarms from now on: a Map by id, whose later changes `changed` reports. */
  take(all) {
    this.#all = all;
    this.#rebuild();
  }

  /** Show the alarms that this filter matches, in this order. */
  arrange(matches, sort) {
    this.#matches = matches;
    this.#compare = comparing(sort);
    this.#rebuild();
  }

  /** Note that these alarms changed, or are gone. */
  changed(ids) {
    for (const id of ids) this.#changed.add(id);
  }

  /** Bring the rows up to date, as far as a pause allows; tell whether anything moved. */
  update() {
    const due = this.paused ? [...this.#changed].filter((id) => this.#calls(id)) : [...this.#changed];
    for (const id of due) this.#changed.delete(id);
    if (!this.paused && due.length > MANY) this.#rebuild();
    else for (const id of due) this.#move(id);
    return due.length > 0;
  }

  /** The alarm as it is shown, or undefined. */
  get(id) {
    return this.#shown.get(id);
  }

  /** The alarm's index in the rows; -1: it is not shown. */
  indexOf(id) {
    const shown = this.#shown.get(id);
    return shown === undefined ? -1 : this.#place(shown);
  }

  #calls(id) {
    const alarm = this.#all.get(id);
    return alarm?.severity === "critical" && alarm.state === "unacked";
  }

  #rebuild() {
    this.#changed.clear();
    this.rows = [...this.#all.values()].filter(this.#matches).sort(this.#compare);
    this.#shown = new Map(this.rows.map((alarm) => [alarm.id, alarm]));
  }

  #move(id) {
    const shown = this.#shown.get(id);
    const alarm = this.#all.get(id);
    if (shown !== undefined) {
      this.rows.splice(this.#place(shown), 1);
      this.#shown.delete(id);
    }
    if (alarm === undefined || !this.#matches(alarm)) return;
    this.rows.splice(this.#place(alarm), 0, alarm);
    this.#shown.set(id, alarm);
  }

  // The alarm's index, or where it would go, by binary search.
  #place(alarm) {
    let low = 0;
    let high = this.rows.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#compare(this.rows[middle], alarm) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
