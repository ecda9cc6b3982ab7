// Normal alarms. They are not in the live list, but read when a filter wants them.

const PAGES = 1;
const MOST = 2_000;
const PAUSE_MS = 200;

/** The wanted normal alarms that changed last, kept up to date by the events. */
export class NormalAlarms {
  /** By id, the latest changed at the end. */
  rows = new Map();
  /** Whether these are all of them. */
  whole = true;
  #api;
  #live;
  #onChange;
  #query = null;
  #timer = null;
  #asking = null;

  /** `live`: the live list. `onChange()` is called when the alarms were read anew. */
  constructor(api, live, onChange) {
    this.#api = api;
    this.#live = live;
    this.#onChange = onChange;
  }

  /** Read the normal alarms of a query of GET /v1/alarms; null: none are wanted. */
  want(query) {
    if (query?.toString() === this.#query?.toString()) return;
    this.#query = query;
    if (query === null) this.#take([], true);
    this.again();
  }

  /** Read them again: changes may have been missed. */
  again() {
    clearTimeout(this.#timer);
    this.#asking?.abort();
    if (this.#query !== null) this.#timer = setTimeout(() => this.#read(), PAUSE_MS);
  }

  /** Bring them up to date by these events. */
  heard(events) {
    if (this.#query === null) return;
    for (const { alarm } of events) {
      if ((this.rows.get(alarm.id)?.position ?? 0) >= alarm.position) continue;
      this.rows.delete(alarm.id);
      if (alarm.state === "normal") this.rows.set(alarm.id, alarm);
    }
    for (const id of this.rows.keys()) {
      if (this.rows.size <= MOST) break;
      this.rows.delete(id);
      this.whole = false;
    }
  }

  /** Return the alarm of an id, from the live list or these. */
  get(id) {
    return this.#live.rows.get(id) ?? this.rows.get(id);
  }

  /** Yield all alarms of the live list and of these. */
  *values() {
    yield* this.#live.rows.values();
    yield* this.rows.values();
  }

  async #read() {
    const asking = (this.#asking = new AbortController());
    const query = new URLSearchParams(this.#query);
    query.set("state", "normal");
    query.set("sort", "-updated_at");
    try {
      const { alarms, whole } = await this.#api.list(query, PAGES, asking.signal);
      this.#take(alarms, whole);
    } catch {
      // The connection is lost or the query refused: both show elsewhere, and a new one reads again.
    }
  }

  // Alarms that events brought meanwhile are newer; those in the live list will leave it by an event.
  #take(alarms, whole) {
    const news = this.#query === null ? [] : [...this.rows.values()];
    this.rows = new Map(alarms.toReversed().map((alarm) => [alarm.id, alarm]));
    this.whole = whole;
    this.heard(news.map((alarm) => ({ alarm })));
    for (const id of this.rows.keys()) if (this.#live.rows.has(id)) this.rows.delete(id);
    this.#onChange();
  }
}
