// The console: puts its parts together.

import { AlarmList } from "./alarms.js";
import { announced } from "./announcing.js";
import { Api } from "./api.js";
import { Commander, COMMANDS, fitting } from "./commands.js";
import { Connection } from "./connection.js";
import { ServerCounts, counted, tell } from "./counts.js";
import { Cursor } from "./cursor.js";
import { Details } from "./details.js";
import { byId, make, say } from "./dom.js";
import { FilterBar, filterOf, matching, queryOf } from "./filters.js";
import { keys } from "./keys.js";
import { VirtualList } from "./list.js";
import { toast } from "./notices.js";
import { COLUMNS, fillRow, makeRow } from "./row.js";
import { Session } from "./session.js";
import { Sound } from "./sound.js";
import { themes } from "./theme.js";
import { Travel } from "./travel.js";
import { AlarmView, reversed } from "./view.js";
import { count } from "./words.js";

const COUNT_MS = 200;
const AGE_MS = 1_000;
const BLINK_MS = 600;

class Console {
  #params = new URLSearchParams(location.search);
  #session = new Session((token) => new Api(() => token, () => {}).get("/v1/alarms?limit=1"));
  #api = new Api(() => this.#session.token, (why) => this.#session.ask(why));
  #sound = new Sound();
  #live = new AlarmList((list, events) => this.#heard(list, events));
  #bar = new FilterBar(filterOf(this.#params), (filter) => this.#arrange(filter));
  #view = new AlarmView(matching(this.#bar.filter), this.#bar.filter.sort);
  #selected = new Set();
  #counting = null;
  #frame = null;
  #kpis = null;
  #grid = byId("grid");
  #list = new VirtualList(this.#grid, byId("grid-body"), {
    rows: () => this.#view.rows,
    make: makeRow,
    fill: (slot, alarm, index) => this.#fill(slot, alarm, index),
  });
  #cursor = new Cursor(this.#grid, this.#view, this.#list);
  #commander = new Commander(
    this.#api,
    () => this.#list.draw(),
    (id) => this.#list.offset(this.#view.indexOf(id)),
  );
  #details = new Details(this.#api, {
    onCommand: (name, alarm) => this.#commander.give(name, [alarm]),
    onClose: () => this.#closed(),
    past: () => this.#travel.active,
  });
  #travel = new Travel(this.#api, {
    onShow: (alarms) => this.#showPast(alarms),
    onEnd: () => this.#showLive(),
    remember: (moment) => this.#address({ as_of: moment }),
  });
  #server = new ServerCounts(this.#api, () => this.#count());

  async start() {
    themes(() => this.#kpis?.redraw());
    this.#headings();
    this.#listen();
    this.#bind();
    new Connection(this.#session, this.#api, this.#live, (lost) => this.#grid.classList.toggle("stale", lost)).open();
    setInterval(() => document.hidden || this.#list.draw(), AGE_MS);
    // All in one beat; the style sheet leaves it out for who wants no motion.
    setInterval(() => (this.#grid.dataset.blink = this.#grid.dataset.blink === "off" ? "on" : "off"), BLINK_MS);
    await this.#page();
    if (this.#params.has("as_of")) this.#travel.start(this.#params.get("as_of"));
  }

  // What came from the server. The list is drawn in the next frame, whatever the rate.
  #heard(list, events) {
    if (events === null) {
      if (!this.#travel.active) this.#view.take(list.rows);
      this.#openWanted();
    } else {
      this.#view.changed(events.map(({ alarm }) => alarm.id));
      this.#announce(events);
    }
    this.#server.stale();
    this.#later();
  }

  #announce(events) {
    const calls = announced(events);
    if (calls.severities.size > 0) this.#sound.call(calls.severities);
    if (calls.critical) byId("critical").textContent = calls.critical;
  }

  #later() {
    this.#counting ??= setTimeout(() => this.#count(), COUNT_MS);
    this.#frame ??= requestAnimationFrame(() => {
      this.#frame = null;
      if (!this.#travel.active) this.#view.update();
      this.#shown();
    });
  }

  #count() {
    clearTimeout(this.#counting);
    this.#counting = null;
    if (!this.#live.whole) return;
    const numbers = counted([...this.#live.rows.values()]);
    tell(numbers, this.#server.current);
    this.#bar.count(this.#travel.active ? counted(this.#travel.alarms).counts : numbers.counts);
    this.#hiddenCriticals();
  }

  // A filter, or a look into the past, never hides that a critical alarm waits.
  #hiddenCriticals() {
    let hidden = 0;
    for (const alarm of this.#live.rows.values()) {
      const waits = alarm.severity === "critical" && alarm.state === "unacked";
      if (waits && (this.#travel.active || !this.#view.get(alarm.id))) hidden += 1;
    }
    byId("hidden-criticals").hidden = hidden === 0;
    const why = this.#travel.active ? "now, not shown here" : "hidden by the filters";
    say(byId("hidden-criticals-text"), `${count(hidden, "unacknowledged critical alarm")} ${why}.`);
  }

  #shown() {
    const { rows } = this.#view;
    this.#cursor.settle();
    for (const id of this.#selected) if (!this.#view.get(id)) this.#selected.delete(id);
    this.#grid.setAttribute("aria-rowcount", rows.length + 1);
    say(byId("shown"), this.#bar.active ? `${rows.length.toLocaleString()} shown` : "");
    this.#emptiness();
    this.#pauseWord();
    this.#bulk();
    const alarm = this.#details.id && (this.#view.get(this.#details.id) ?? this.#live.rows.get(this.#details.id));
    if (alarm) this.#details.show(alarm);
    this.#list.draw();
  }

  #emptiness() {
    const ready = this.#live.whole || this.#travel.active;
    const text = this.#bar.active ? "No alarm matches the filters." : "No alarms: everything is normal.";
    say(byId("empty"), ready ? text : "Reading the alarms …");
    byId("empty").hidden = this.#view.rows.length > 0;
  }

  #pauseWord() {
    const { waiting, paused } = this.#view;
    say(byId("pause").lastElementChild, paused ? `Paused${waiting ? ` · ${waiting.toLocaleString()} wait` : ""}` : "Pause");
  }

  #fill(slot, alarm, index) {
    const { id } = alarm;
    fillRow(slot, alarm, index, {
      selected: this.#selected.has(id),
      cursor: this.#cursor.id === id,
      pending: this.#commander.pending.has(id),
      now: this.#travel.now ?? Date.now(),
      past: this.#travel.active,
    });
  }

  #arrange(filter) {
    this.#view.arrange(matching(filter), filter.sort);
    this.#address({});
    this.#sorted();
    this.#grid.scrollTop = 0;
    this.#count();
    this.#shown();
  }

  #address(parts) {
    const params = queryOf(this.#bar.filter);
    const kept = { as_of: this.#params.get("as_of"), alarm: this.#params.get("alarm"), page: this.#params.get("page"), ...parts };
    for (const [name, value] of Object.entries(kept)) if (value) params.set(name, value);
    this.#params = params;
    const query = params.toString();
    history.replaceState(null, "", query ? `?${query}` : location.pathname);
  }

  #headings() {
    const cells = COLUMNS.map(([name, word, sort]) => {
      const content = sort
        ? make("button", { type: "button", text: word, onclick: () => this.#sortBy(sort) })
        : make("span", { text: word, class: name === "select" || name === "action" ? "hidden-text" : null });
      return make("div", { role: "columnheader", class: `c-${name}`, "data-sort": sort }, content);
    });
    byId("grid-head").append(make("div", { role: "row", class: "row", "aria-rowindex": "1" }, ...cells));
    this.#sorted();
  }

  #sortBy(sort) {
    this.#bar.change({ sort: this.#bar.filter.sort === sort ? reversed(sort) : sort });
  }

  #sorted() {
    const { sort } = this.#bar.filter;
    for (const head of byId("grid-head").querySelectorAll("[data-sort]")) {
      const own = head.dataset.sort;
      if (own === sort || own === reversed(sort)) head.setAttribute("aria-sort", sort.startsWith("-") ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    }
  }

  #listen() {
    byId("grid-body").addEventListener("click", (event) => this.#clicked(event));
    byId("pause").addEventListener("click", () => this.#pause());
    byId("travel").addEventListener("click", () => this.#travel.toggle());
    byId("export").addEventListener("click", () => this.#export());
    byId("help").addEventListener("click", () => byId("keys").showModal());
    byId("show-criticals").addEventListener("click", () => this.#showCriticals());
    for (const button of document.querySelectorAll("[data-close]")) {
      button.addEventListener("click", () => button.closest("dialog").close());
    }
    for (const [id, page] of [["to-alarms", null], ["to-kpis", "kpis"]]) {
      byId(id).addEventListener("click", (event) => {
        event.preventDefault();
        this.#address({ page });
        this.#page();
      });
    }
  }

  #clicked(event) {
    const slot = this.#list.slotOf(event.target);
    if (!slot) return;
    const alarm = slot.row;
    this.#cursor.put(alarm.id);
    if (event.target.closest(".c-select")) this.#select(alarm.id, event.shiftKey);
    else if (event.target.closest(".row-action")) this.#commander.give("acknowledge", [alarm]);
    else if (!getSelection().toString()) this.#open(alarm);
    this.#shown();
  }

  #select(id, through = false) {
    if (through && this.#anchor !== null) {
      const [from, to] = [this.#view.indexOf(this.#anchor), this.#view.indexOf(id)].sort((a, b) => a - b);
      for (const alarm of this.#view.rows.slice(Math.max(0, from), to + 1)) this.#selected.add(alarm.id);
    } else if (!this.#selected.delete(id)) this.#selected.add(id);
    this.#anchor = id;
    this.#shown();
  }
  #anchor = null;

  #chosen() {
    if (this.#selected.size > 0) return this.#view.rows.filter(({ id }) => this.#selected.has(id));
    const alarm = this.#view.get(this.#cursor.id);
    return alarm ? [alarm] : [];
  }

  async #command(name) {
    if (this.#travel.active) return toast("This is the past: go back to live to act.", "problem");
    if (await this.#commander.give(name, this.#chosen())) this.#selected.clear();
    this.#grid.focus({ preventScroll: true });
    return this.#shown();
  }

  #bulk() {
    const node = byId("bulk");
    const alarms = this.#selected.size > 0 && !this.#travel.active ? this.#chosen() : [];
    node.hidden = alarms.length === 0;
    const names = fitting(alarms);
    const key = `${alarms.length} ${names}`;
    if (node.hidden || node.dataset.key === key) return;
    node.dataset.key = key;
    const focused = document.activeElement?.dataset?.bulk;
    const button = (name, text, onclick) => make("button", { type: "button", "data-bulk": name, text, onclick });
    node.replaceChildren(
      make("b", { text: `${count(alarms.length, "alarm")} selected` }),
      ...names.map((name) => button(name, COMMANDS[name].word, () => this.#command(name))),
      button("all", "Select all shown", () => this.#selectAll()),
      button("none", "Select none", () => this.#selectNone()),
    );
    if (focused) node.querySelector(`[data-bulk="${focused}"]`)?.focus();
  }

  #selectAll() {
    for (const { id } of this.#view.rows) this.#selected.add(id);
    this.#shown();
  }

  #selectNone() {
    this.#selected.clear();
    this.#shown();
  }

  #open(alarm) {
    this.#details.show(alarm);
    this.#address({ alarm: alarm.id });
  }

  #openAtCursor() {
    const alarm = this.#view.get(this.#cursor.id);
    if (!alarm) return;
    this.#open(alarm);
    this.#details.focus();
  }

  // The address names an alarm: show it, once there is a list.
  async #openWanted() {
    const id = this.#params.get("alarm");
    if (!id || this.#details.id === id) return;
    try {
      this.#details.show(this.#live.rows.get(id) ?? (await this.#api.get(`/v1/alarms/${encodeURIComponent(id)}`)));
    } catch (error) {
      toast(error.message, "problem");
    }
  }

  #closed() {
    this.#address({ alarm: null });
    this.#grid.focus({ preventScroll: true });
    this.#list.draw();
  }

  #escape() {
    if (this.#details.id) this.#details.close();
    else if (this.#selected.size > 0) this.#selectNone();
    else if (this.#travel.active) this.#travel.end();
  }

  #pause() {
    this.#view.paused = !this.#view.paused;
    byId("pause").setAttribute("aria-pressed", this.#view.paused);
    this.#later();
  }

  #showPast(alarms) {
    this.#grid.classList.add("past");
    this.#view.take(new Map(alarms.map((alarm) => [alarm.id, alarm])));
    this.#count();
    this.#shown();
  }

  #showLive() {
    this.#grid.classList.remove("past");
    this.#view.take(this.#live.rows);
    this.#count();
    this.#shown();
  }

  #showCriticals() {
    this.#travel.end();
    this.#bar.clear();
    this.#bar.change({ severity: new Set(["critical"]), state: new Set(["unacked"]) });
    this.#grid.focus();
  }

  async #export() {
    const query = queryOf(this.#bar.filter);
    if (this.#travel.active) query.set("as_of", this.#params.get("as_of"));
    try {
      const file = URL.createObjectURL(await this.#api.file(`/v1/alarms/export?${query}`));
      const link = make("a", { href: file, download: "alarms.csv" });
      link.click();
      setTimeout(() => URL.revokeObjectURL(file), 10_000);
    } catch (error) {
      toast(error.message, "problem");
    }
  }

  async #page() {
    const kpis = this.#params.get("page") === "kpis";
    byId("alarms-page").hidden = kpis;
    byId("kpis-page").hidden = !kpis;
    byId("to-kpis").toggleAttribute("aria-current", kpis);
    byId("to-alarms").toggleAttribute("aria-current", !kpis);
    if (kpis && this.#kpis === null) {
      try {
        const { KpiPage } = await import("./kpi.js");
        this.#kpis ??= new KpiPage(this.#api);
      } catch {
        toast("This page could not be loaded.", "problem");
      }
    }
    this.#kpis?.show(kpis);
    this.#list.draw();
  }

  #bind() {
    const on = (name) => () => this.#command(name);
    const move = (by) => () => this.#cursor.move(by);
    keys([
      [["j", "ArrowDown"], "Next alarm", move(1)],
      [["k", "ArrowUp"], "Previous alarm", move(-1)],
      [["PageDown"], "A page down", () => this.#cursor.move(this.#list.page)],
      [["PageUp"], "A page up", () => this.#cursor.move(-this.#list.page)],
      [["g", "Home"], "First alarm", () => this.#cursor.move(-Infinity)],
      [["G", "End"], "Last alarm", () => this.#cursor.move(Infinity)],
      [["Enter", "o"], "Details and history", () => this.#openAtCursor()],
      [["x", " "], "Select", () => this.#cursor.id && this.#select(this.#cursor.id)],
      [["Ctrl+a"], "Select all shown", () => this.#selectAll()],
      [["a"], "Acknowledge", on("acknowledge")],
      [["c"], "Clear", on("clear")],
      [["s"], "Shelve", on("shelve")],
      [["u"], "Unshelve", on("unshelve")],
      [["i"], "Assign", on("assign")],
      [["n"], "Comment", on("comment")],
      [["/"], "Search", () => byId("q").focus()],
      [["p"], "Pause, go on", () => this.#pause()],
      [["t"], "Time travel", () => this.#travel.toggle()],
      [["m"], "Sound on, off", () => this.#sound.toggle()],
      [["Escape"], "Close, select none, back to live", () => this.#escape()],
      [["?"], "This page", () => byId("keys").showModal()],
    ]);
  }
}

new Console().start();
