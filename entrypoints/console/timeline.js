// The events of one alarm, the newest first.

import { make } from "./dom.js";
import { EVENT_WORDS, SEVERITY_WORDS, duration, moment } from "./words.js";

const PAGE = 100;

/** Reads an alarm's events and shows them; `reach` adds newer ones. */
export class Timeline {
  element = make("ol", { class: "timeline" });
  #api;
  #id;
  #newest = 0;
  #oldest = null;
  #reading = null;
  #more = make("button", { type: "button", class: "quiet", text: "Show earlier" });
  #problem = make("p", { class: "problem", role: "status" });

  constructor(api, id) {
    this.#api = api;
    this.#id = id;
    this.root = make("section", { class: "history" }, make("h3", { text: "History" }), this.#problem, this.element, this.#more);
    this.#more.hidden = true;
    this.#more.addEventListener("click", () => this.#earlier());
  }

  /** Read the events up to a revision; calls that overlap wait for each other. */
  async reach(revision) {
    if (revision <= this.#newest) return;
    if (this.#reading) await this.#reading;
    this.#reading = this.#guarded(() => this.#read(revision));
    await this.#reading;
    this.#reading = null;
  }

  async #read(revision) {
    if (revision <= this.#newest) return;
    // The first call reads the newest page only.
    const after = this.#oldest === null ? Math.max(0, revision - PAGE) : this.#newest;
    const { events } = await this.#api.history(this.#id, after, PAGE);
    this.#oldest ??= after;
    this.#more.hidden = this.#oldest === 0;
    for (const event of events) {
      if (event.revision <= this.#newest) continue;
      this.element.prepend(entry(event));
      this.#newest = event.revision;
    }
  }

  #earlier() {
    return this.#guarded(async () => {
      const after = Math.max(0, this.#oldest - PAGE);
      const { events } = await this.#api.history(this.#id, after, this.#oldest - after);
      this.#oldest = after;
      this.#more.hidden = after === 0;
      for (const event of events.reverse()) this.element.append(entry(event));
    });
  }

  async #guarded(read) {
    try {
      await read();
      this.#problem.textContent = "";
    } catch (error) {
      this.#problem.textContent = error.message;
    }
  }
}

function entry(event) {
  const what = event.data?.reannounced ? "Called again" : (EVENT_WORDS[event.type] ?? event.type);
  const who = event.actor.kind === "system" ? "by itself" : `by ${event.actor.id}`;
  return make(
    "li",
    { class: `event ${event.type.replace("alarm.", "event-")}` },
    make("div", {}, make("b", { text: what }), make("span", { class: "soft", text: ` ${who}` })),
    make("time", { datetime: event.at, title: event.at, text: `${moment(event.at)} · event ${event.position.toLocaleString()}` }),
    describe(event).map((text) => make("p", { text })),
  );
}

// The lines that describe an event to an operator.
function describe({ type, data = {}, occurred_at: occurred, at }) {
  const lines = [];
  if (data.severity) {
    const before = data.previous?.severity;
    lines.push(before ? `${SEVERITY_WORDS[before]} → ${SEVERITY_WORDS[data.severity]}` : SEVERITY_WORDS[data.severity]);
  }
  if (data.text) lines.push(data.text);
  if (data.reason) lines.push(data.reason);
  if (data.assignee) lines.push(`to ${data.assignee}`);
  if (data.until) lines.push(`until ${moment(data.until)}`);
  if (type === "alarm.shelved" && data.shelving === "one_shot") lines.push("until it clears");
  if (data.cause === "expired") lines.push("its time ran out");
  if (data.unshelved) lines.push("its shelf ended too");
  const late = (Date.parse(at) - Date.parse(occurred)) / 1000;
  if (late >= 5) lines.push(`reported ${duration(late)} after it happened`);
  return lines;
}
