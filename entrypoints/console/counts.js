// The numbers of the whole list, whatever the filters hide.

import { byId, make, say } from "./dom.js";
import { count } from "./words.js";

const TITLE = document.title;
const UNACKED = new Set(["unacked", "rtn_unacked"]);
const STATS_MS = 5_000;
const SAID_MS = 5_000;
// A server without statistics is not asked again before this.
const ABSENT_MS = 60_000;

/** Count rows by "severity:major" and "state:acked"; `criticals`: the unacknowledged critical ones. */
export function counted(rows) {
  const counts = new Map();
  let criticals = 0;
  for (const { severity, state } of rows) {
    add(counts, `severity:${severity}`);
    add(counts, `state:${state}`);
    if (severity === "critical" && UNACKED.has(state)) criticals += 1;
  }
  return { counts, criticals, total: rows.length };
}

const add = (counts, key) => counts.set(key, (counts.get(key) ?? 0) + 1);

/** Show the numbers in the header and in the tab's title. */
export function tell({ counts, criticals, total }, current) {
  const unacked = (counts.get("state:unacked") ?? 0) + (counts.get("state:rtn_unacked") ?? 0);
  const parts = [count(total, "alarm"), `${unacked.toLocaleString()} unacknowledged`];
  if (criticals) parts.push(`${criticals.toLocaleString()} of them critical`);
  if (current?.stale) parts.push(`${current.stale.toLocaleString()} stale`);
  const text = parts.join(" · ");
  const node = byId("counts");
  if (node.dataset.text !== text) {
    node.dataset.text = text;
    node.replaceChildren(...parts.map((part) => numbered(part)));
    later(text);
  }
  say(document.querySelector("title"), unacked ? `(${unacked}) ${TITLE}` : TITLE);
}

// Screen readers get the text only now and then: in a flood they would read every number aloud.
let saying = null;
function later(text) {
  byId("counts").dataset.text = text;
  saying ??= setTimeout(() => {
    saying = null;
    say(byId("counts-said"), byId("counts").dataset.text);
  }, SAID_MS);
}

function numbered(part) {
  const space = part.indexOf(" ");
  return make("span", { class: "count" }, make("b", { text: part.slice(0, space) }), part.slice(space));
}

/** The server's counts (GET /v1/stats), asked for at most once in five seconds. */
export class ServerCounts {
  /** `current` of the answer; null: there is none. */
  current = null;
  #api;
  #onChange;
  #asking = false;
  #notBefore = 0;
  #timer = null;

  constructor(api, onChange) {
    this.#api = api;
    this.#onChange = onChange;
  }

  /** Ask again soon: the counts may have changed. */
  stale() {
    if (this.#timer !== null || document.hidden) return;
    const wait = Math.max(this.current ? STATS_MS : 0, this.#notBefore - performance.now());
    this.#timer = setTimeout(() => this.#ask(), wait);
  }

  async #ask() {
    this.#timer = null;
    if (this.#asking) return;
    this.#asking = true;
    try {
      this.current = (await this.#api.get("/v1/stats")).current ?? null;
      this.#onChange();
    } catch {
      this.#notBefore = performance.now() + ABSENT_MS;
    } finally {
      this.#asking = false;
    }
  }
}
