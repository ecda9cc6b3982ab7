// The performance of the alarm system, by IEC 62682 and EEMUA 191: the numbers of GET /v1/stats.

import { byId, icon, make, say } from "./dom.js";
import { rateChart } from "./charts.js";
import { SEVERITIES, SEVERITY_WORDS, count, duration, moment } from "./words.js";

const PERIODS = [
  [8 * 3_600, "last 8 hours"],
  [24 * 3_600, "last 24 hours"],
  [7 * 24 * 3_600, "last 7 days"],
  [30 * 24 * 3_600, "last 30 days"],
];
const REFRESH_MS = 30_000;
const ROWS = 10;

/** The page; it asks again every half a minute while it is in sight. */
export class KpiPage {
  #node = byId("kpis-page");
  #api;
  #stats = null;
  #chart = null;
  #timer = null;
  #asking = null;

  constructor(api) {
    this.#api = api;
    this.period = make("select", {}, ...PERIODS.map(([seconds, word]) => make("option", { value: String(seconds), text: word })));
    this.period.value = "86400";
    this.period.addEventListener("change", () => this.#ask());
    this.said = make("span", { class: "soft", role: "status" });
    const head = make("div", { class: "kpis-head" }, make("h2", { text: "Alarm system performance" }), this.said, make("label", {}, "Over the", this.period));
    this.body = make("div", { class: "kpis-body" });
    this.#node.append(head, this.body);
  }

  /** Show the page or hide it. */
  show(visible) {
    clearInterval(this.#timer);
    if (!visible) return;
    this.#timer = setInterval(() => document.hidden || this.#ask(), REFRESH_MS);
    this.#ask();
  }

  /** Draw again, in other colours or sizes. */
  redraw() {
    if (this.#stats !== null) this.#draw();
  }

  async #ask() {
    this.#asking?.abort();
    const asking = (this.#asking = new AbortController());
    const now = Date.now();
    const from = new Date(now - Number(this.period.value) * 1000).toISOString();
    const query = new URLSearchParams({ from, to: new Date(now).toISOString() });
    try {
      this.#stats = await this.#api.get(`/v1/stats?${query}`, asking.signal);
      say(this.said, `Exact for position ${(this.#stats.position ?? 0).toLocaleString()}`);
      this.#draw();
    } catch (error) {
      if (!asking.signal.aborted) say(this.said, error.status === 404 ? "Not available: this server keeps no statistics." : error.message);
    }
  }

  #draw() {
    const stats = this.#stats;
    this.#chart?.destroy();
    const plot = make("div", { class: "plot" });
    this.body.replaceChildren(
      make("section", { class: "tiles", "aria-label": "Key figures" }, ...(stats.kpis ?? []).map(tile)),
      panel("Alarms raised per 10 minutes", legend(), plot, rateTable(stats.series ?? [])),
      panel("Top sources", bars(stats.top_sources ?? [], "Source", (each) => each.source, (each) => each.raised)),
      panel("Priorities", priorities(stats.priorities ?? [])),
      panel("Time to acknowledge", acknowledged(stats.acknowledge_seconds ?? {})),
      panel("Chattering and fleeting", nuisances(stats)),
      panel("Stale", stale(stats.stale ?? [])),
    );
    this.body.children[1].classList.add("wide");
    this.#chart = rateChart(plot, stats.series ?? []);
  }
}

function panel(title, ...content) {
  return make("section", { class: "panel", "aria-label": title }, make("h3", { text: title }), ...content);
}

function tile({ title, name, value, unit, target, limit, met }) {
  const judged = target != null || limit != null;
  const shown = number(value, unit);
  const bounds = [target != null && `target ${number(target, unit).text}`, limit != null && `limit ${number(limit, unit).text}`];
  const verdict = met == null ? "" : met ? "Met" : "Missed";
  return make(
    "div",
    { class: `tile ${judged && met === false ? "missed" : ""}` },
    make("h3", { text: title ?? name }),
    make("p", { class: "value" }, shown.text, " ", make("small", { text: shown.unit })),
    judged && make("p", { class: "verdict" }, met == null ? null : icon(met ? "acked" : "out_of_service"), [verdict, bounds.filter(Boolean).join(", ")].filter(Boolean).join(": ")),
  );
}

// Format a number in the server's unit for people.
function number(value, unit = "") {
  if (value == null) return { text: "–", unit: "" };
  if (unit === "share") return { text: `${round(value * 100)} %`, unit: "" };
  if (unit === "percent" || unit === "%") return { text: `${round(value)} %`, unit: "" };
  if (unit === "seconds" || unit === "s") return { text: duration(value), unit: "" };
  return { text: round(value), unit };
}

const round = (value) => Number(value).toLocaleString(undefined, { maximumFractionDigits: value < 10 ? 2 : value < 100 ? 1 : 0 });

function legend() {
  return make(
    "p",
    { class: "legend" },
    make("span", { class: "key-bars", text: "raised" }),
    make("span", { class: "key-target", text: "acceptable: 1" }),
    make("span", { class: "key-limit", text: "most that can be managed: 2" }),
  );
}

// The plot in words, for people who cannot see it.
function rateTable(series) {
  const most = series.reduce((best, each) => (each.raised > (best?.raised ?? -1) ? each : best), null);
  const all = series.reduce((sum, each) => sum + each.raised, 0);
  const text = most ? `${count(all, "alarm")} raised; most in the 10 minutes from ${moment(most.at)}: ${most.raised.toLocaleString()}.` : "Nothing was raised.";
  return make("p", { class: "soft", text });
}

function bars(rows, heading, name, value) {
  if (rows.length === 0) return make("p", { text: "None." });
  const most = Math.max(...rows.map(value));
  const lines = rows.slice(0, ROWS).map((each) => line(name(each), value(each) / most, value(each), each.share));
  return table([heading, "", "Raised", "Share"], lines);
}

function line(name, part, value, share, target = null) {
  const head = make("th", { scope: "row", title: typeof name === "string" ? name : null }, name);
  const shared = share == null ? "" : `${round(share * 100)} %`;
  return make("tr", {}, head, make("td", {}, meter(part, target)), make("td", { class: "number", text: value.toLocaleString() }), make("td", { class: "number", text: shared }));
}

function meter(part, target) {
  const bar = make("i");
  bar.style.width = `${Math.min(100, part * 100)}%`;
  const mark = target === null ? null : make("u");
  if (mark) mark.style.left = `${Math.min(100, target * 100)}%`;
  return make("div", { class: "meter", "aria-hidden": "true" }, bar, mark);
}

function table(headings, lines) {
  const heads = headings.map((text, index) => make("th", { scope: "col", class: index > 1 ? "number" : null, text }));
  return make("table", { class: "bars" }, make("thead", {}, make("tr", {}, ...heads)), make("tbody", {}, ...lines));
}

function priorities(rows) {
  if (rows.length === 0) return make("p", { text: "None." });
  const by = new Map(rows.map((each) => [each.severity, each]));
  const lines = SEVERITIES.filter((severity) => by.has(severity)).map((severity) => {
    const { count: number_ = 0, share = 0, target = null } = by.get(severity);
    const name = make("span", { class: `severity-${severity}` }, icon(severity, "icon severity-icon"), SEVERITY_WORDS[severity]);
    const cells = line(name, share, number_, share, target);
    cells.append(make("td", { class: "number soft", text: target === null ? "" : `${round(target * 100)} %` }));
    return cells;
  });
  return table(["Severity", "", "Raised", "Share", "Target"], lines);
}

function acknowledged({ median = null, p95 = null, count: number_ = 0 }) {
  return make(
    "dl",
    { class: "figures" },
    ...[["Median", median], ["95 % within", p95]].map(([name, value]) =>
      make("div", {}, make("dt", { text: name }), make("dd", { text: value === null ? "–" : duration(value) })),
    ),
    make("div", {}, make("dt", { text: "Acknowledgements" }), make("dd", { text: number_.toLocaleString() })),
  );
}

function nuisances({ chattering = [], fleeting = [] }) {
  const rows = [
    ...chattering.map((each) => ({ ...each, kind: "chattering" })),
    ...fleeting.map((each) => ({ ...each, kind: "fleeting" })),
  ];
  return alarmTable(rows, "Times", (each) => `${(each.count ?? 0).toLocaleString()} ${each.kind}`);
}

function stale(rows) {
  return alarmTable(rows, "Active for", (each) => duration((Date.now() - Date.parse(each.raised_at)) / 1000));
}

// Alarms that need somebody's work, with links to them.
function alarmTable(rows, heading, value) {
  if (rows.length === 0) return make("p", { text: "None." });
  const lines = rows.slice(0, ROWS).map((each) =>
    make(
      "tr",
      {},
      make("th", { scope: "row" }, make("a", { href: `?alarm=${encodeURIComponent(each.id)}`, text: each.source })),
      make("td", { text: each.type }),
      make("td", { class: "number", text: value(each) }),
    ),
  );
  return table(["Source", "Type", heading], lines);
}
