// A client's alarm list: a snapshot, and the events after it.

/**
 * Keeps the rows of a subscription with `snapshot: true`: give `list.handlers` to subscribe().
 *
 *   const list = new AlarmList((list) => draw([...list.rows.values()]));
 *   client.subscribe({ snapshot: true, filter }, list.handlers);
 *
 * `onChange(list, events)` is called after each change; `events`: those that changed the list, or null: the
 * whole list was replaced. While a snapshot comes in, after a reconnection too, the old rows stay until it is
 * whole: no reader sees half of it.
 */
export class AlarmList {
  /** Alarms by id: all that match the filter and are not normal. */
  rows = new Map();
  /** Whether the rows are a whole list; false before the first snapshot and after a reset. */
  whole = false;
  #coming = new Map();
  #onChange;

  constructor(onChange = () => {}) {
    this.#onChange = onChange;
    this.handlers = {
      onSnapshot: (alarms, page) => this.#snapshot(alarms, page),
      onEvents: (events) => this.#events(events),
      onReset: () => this.#reset(),
    };
  }

  #snapshot(alarms, { first, done }) {
    if (first) this.#coming = new Map();
    // A scan that starts over brings rows again, some of them newer.
    for (const alarm of alarms) put(this.#coming, alarm);
    if (!done) return;
    this.rows = this.#coming;
    this.#coming = new Map();
    this.whole = true;
    this.#onChange(this, null);
  }

  #events(events) {
    const news = events.filter(({ alarm, left }) => {
      if (!put(this.rows, alarm)) return false;
      if (left || alarm.state === "normal") this.rows.delete(alarm.id);
      return true;
    });
    this.#onChange(this, news);
  }

  #reset() {
    this.rows = new Map();
    this.#coming = new Map();
    this.whole = false;
    this.#onChange(this, null);
  }
}

// The snapshot may be newer than the events that follow it: an older state never replaces a row.
function put(rows, alarm) {
  const row = rows.get(alarm.id);
  if (row !== undefined && alarm.position <= row.position) return false;
  rows.set(alarm.id, alarm);
  return true;
}
