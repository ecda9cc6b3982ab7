// Time travel: the list as it stood at any moment of the log, and from event to event.

import { byId, make, say } from "./dom.js";
import { EVENT_WORDS, moment } from "./words.js";

const SPANS = [
  [3_600, "hour"],
  [8 * 3_600, "8 hours"],
  [24 * 3_600, "day"],
  [7 * 24 * 3_600, "week"],
  [30 * 24 * 3_600, "30 days"],
];
const STEPS = 1_000;
const PAUSE_MS = 120;
const PAGES = 20;

/** Shows the list of an earlier moment. */
export class Travel {
  /** Whether an earlier moment is shown; `alarms`: its list, `now`: that moment in ms, null when live. */
  active = false;
  alarms = [];
  now = null;
  #api;
  #parts;
  #position = null;
  #asking = null;
  #timer = null;
  #at = null;
  #states = "";
  #end = Date.now();
  #made = false;

  /** parts: {onShow(alarms), onEnd(), remember(moment), states()}; `states()`: the wanted ones, "": not normal. */
  constructor(api, parts) {
    this.#api = api;
    this.#parts = parts;
  }

  toggle() {
    if (this.active) this.end();
    else {
      this.start();
      this.#slider.focus();
    }
  }

  /** Go to the address's moment; without one, to live. */
  visit(at) {
    if (!at) this.end();
    else if (!this.active) this.start(at);
    else if (at !== this.#at) this.#go(at);
  }

  /** Read again if other states are wanted now. */
  again() {
    if (this.active && this.#parts.states() !== this.#states) this.#go(this.#at);
  }

  /** Begin at a position or a time; without one, now. */
  start(at = null) {
    this.active = true;
    this.#end = Date.now();
    this.#make();
    this.#show(true);
    this.#slider.value = STEPS;
    this.#go(at ?? new Date(this.#end).toISOString());
  }

  /** Back to live. */
  end() {
    if (!this.active) return;
    this.active = false;
    this.now = null;
    clearTimeout(this.#timer);
    this.#asking?.abort();
    this.#show(false);
    this.#parts.remember(null);
    this.#parts.onEnd();
  }

  #show(on) {
    byId("travel-bar").hidden = !on;
    byId("travel").setAttribute("aria-pressed", on);
  }

  // Wait a little while the slider moves: only the last moment is requested.
  #later(at) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#go(at), PAUSE_MS);
  }

  async #go(at) {
    this.#asking?.abort();
    const asking = (this.#asking = new AbortController());
    this.#at = at;
    this.#states = this.#parts.states();
    this.#parts.remember(at);
    try {
      const query = { as_of: at, ...(this.#states && { state: this.#states }) };
      const { alarms, position, whole } = await this.#api.list(query, PAGES, asking.signal);
      await this.#arrived(at, position, asking.signal);
      this.alarms = alarms;
      if (!whole) this.#say("Only the first alarms of that moment are shown.");
      this.#parts.onShow(alarms);
    } catch (error) {
      if (!asking.signal.aborted) this.#say(error.message);
    }
  }

  async #arrived(at, position, signal) {
    this.#position = position;
    const event = position ? await this.#event(position, signal) : null;
    const byTime = !/^\d+$/.test(at);
    this.now = Date.parse(byTime ? at : (event?.at ?? this.#end));
    say(this.#when, moment(this.now));
    const { min, max } = this.#range();
    if (!byTime) this.#slider.value = Math.round(((this.now - min) / (max - min)) * STEPS);
    this.#slider.setAttribute("aria-valuetext", moment(this.now));
    this.#back.disabled = !position;
    this.#say(event ? newestEvent(event) : "Nothing had been recorded by then.");
  }

  async #event(position, signal) {
    const { events } = await this.#api.get(`/v1/events?after=${position - 1}&limit=1`, signal);
    return events[0]?.position === position ? events[0] : null;
  }

  #range() {
    return { min: this.#end - Number(this.#span.value) * 1000, max: this.#end };
  }

  #slid() {
    const { min, max } = this.#range();
    const at = min + ((max - min) * Number(this.#slider.value)) / STEPS;
    say(this.#when, moment(at));
    this.#later(new Date(at).toISOString());
  }

  #step(by) {
    if (this.#position !== null) this.#go(String(Math.max(0, this.#position + by)));
  }

  #say(text) {
    say(this.#status, text);
  }

  #slider;
  #span;
  #when;
  #status;
  #back;

  #make() {
    if (this.#made) return;
    this.#made = true;
    this.#slider = make("input", { type: "range", min: "0", max: String(STEPS), value: String(STEPS), "aria-label": "Moment", oninput: () => this.#slid() });
    this.#span = make("select", { onchange: () => this.#slid() }, ...SPANS.map(([seconds, word]) => make("option", { value: String(seconds), text: word })));
    this.#when = make("span", { class: "travel-when" });
    this.#status = make("p", { class: "travel-event", role: "status" });
    this.#back = make("button", { type: "button", text: "◀ Event", onclick: () => this.#step(-1) });
    byId("travel-bar").append(
      make("span", { text: "As of" }),
      this.#when,
      this.#slider,
      make("label", {}, "over the last", this.#span),
      this.#back,
      make("button", { type: "button", text: "Event ▶", onclick: () => this.#step(1) }),
      make("button", { type: "button", class: "primary", text: "Back to live", onclick: () => this.end() }),
      this.#status,
    );
  }
}

function newestEvent({ position, type, alarm, actor, at }) {
  const what = EVENT_WORDS[type] ?? type;
  return `Newest event by then: ${position.toLocaleString()}, ${moment(at)}: ${alarm.source} ${alarm.type}, ${what.toLowerCase()}${actor.kind === "system" ? "" : ` by ${actor.id}`}.`;
}
