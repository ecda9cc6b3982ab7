// Puts the parts of the console together.

import { Address } from "./address.js";
import { AlarmList } from "./alarms.js";
import { Api } from "./api.js";
import { bindings } from "./bindings.js";
import { Caller } from "./calls.js";
import { Commander } from "./commands.js";
import { Connection } from "./connection.js";
import { ServerCounts, counted, tell } from "./counts.js";
import { tellHidden } from "./criticals.js";
import { Cursor } from "./cursor.js";
import { DeepLink } from "./deeplink.js";
import { Details } from "./details.js";
import { byId } from "./dom.js";
import { exports } from "./export.js";
import { FilterBar, filterOf, matching, normalsOf, queryOf } from "./filters.js";
import { Headings } from "./headings.js";
import { keys } from "./keys.js";
import { VirtualList } from "./list.js";
import { NormalAlarms } from "./normal-alarms.js";
import { toast } from "./notices.js";
import { Pages } from "./pages.js";
import { fillRow, makeRow } from "./row.js";
import { Selection } from "./selection.js";
import { Session } from "./session.js";
import { Sound } from "./sound.js";
import { tellShown } from "./status.js";
import { themes } from "./theme.js";
import { Travel } from "./travel.js";
import { AlarmView } from "./view.js";
import { STATES } from "./words.js";

const COUNT_MS = 200;
const AGE_MS = 1_000;
const BLINK_MS = 600;

class Console {
  #address = new Address(() => this.#visit());
  #session = new Session((token) => new Api(() => token, () => {}).get("/v1/alarms?limit=1"));
  #api = new Api(() => this.#session.token, (why) => this.#session.ask(why));
  #sound = new Sound();
  #caller = new Caller();
  #live = new AlarmList((list, events) => this.#heard(list, events));
  #normals = new NormalAlarms(this.#api, this.#live, () => this.#others());
  #bar = new FilterBar(filterOf(this.#address.params), (filter, moving) => {
    this.#show({}, moving);
    this.#arrange(filter);
  });
  #view = new AlarmView(matching(this.#bar.filter), this.#bar.filter.sort);
  #selection = new Selection(this.#view, {
    onChange: () => this.#shown(),
    onCommand: (name) => this.#command(name),
    past: () => this.#travel.active,
  });
  #headings = new Headings(byId("grid-head"), (sort) => this.#bar.change({ sort }));
  #counting = null;
  #frame = null;
  #pages = new Pages(this.#api, (page) => this.#show({ page }));
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
    remember: (moment) => this.#show({ as_of: moment }, moment && "as_of"),
    states: () => (this.#bar.filter.state.has("normal") ? STATES.join() : ""),
  });
  #opening = new DeepLink(this.#api, this.#details, {
    wanted: () => this.#address.get("alarm"),
    find: (id) => this.#normals.get(id),
    remember: (id) => this.#show({ alarm: id }, "alarm"),
  });
  #server = new ServerCounts(this.#api, () => this.#count());

  async start() {
    themes(() => this.#pages.redraw());
    this.#headings.show(this.#bar.filter.sort);
    this.#normals.want(normalsOf(this.#bar.filter));
    this.#listen();
    keys(
      bindings({
        cursor: this.#cursor,
        list: this.#list,
        selection: this.#selection,
        travel: this.#travel,
        sound: this.#sound,
        open: () => this.#openAtCursor(),
        command: (name) => this.#command(name),
        pause: () => this.#pause(),
        escape: () => this.#escape(),
      }),
      () => !byId("alarms-page").hidden,
    );
    new Connection(this.#session, this.#api, this.#live, (lost) => this.#grid.classList.toggle("stale", lost)).open();
    setInterval(() => document.hidden || this.#list.draw(), AGE_MS);
    // All rows blink together; the style sheet stops it for people who prefer no motion.
    setInterval(() => (this.#grid.dataset.blink = this.#grid.dataset.blink === "off" ? "on" : "off"), BLINK_MS);
    await this.#pages.show(this.#address.get("page"));
    this.#travel.visit(this.#address.get("as_of"));
  }

  // Back or Forward: show what the address says.
  #visit() {
    this.#bar.take(filterOf(this.#address.params));
    this.#arrange(this.#bar.filter);
    this.#pages.show(this.#address.get("page"));
    this.#travel.visit(this.#address.get("as_of"));
    this.#opening.visit();
  }

  // Take changes from the server. The list is drawn in the next frame, whatever the rate.
  #heard(list, events) {
    if (events === null) {
      this.#others();
      this.#normals.again();
      this.#caller.know(list.rows.values());
      this.#opening.visit();
    } else {
      this.#normals.heard(events);
      this.#view.changed(events.map(({ alarm }) => alarm.id));
      this.#announce(events);
      const opened = events.findLast(({ alarm }) => alarm.id === this.#details.id);
      // Also when the alarm became normal and left the list.
      if (opened && !this.#travel.active) this.#details.show(opened.alarm);
    }
    this.#server.stale();
    this.#later();
  }

  // Show a list that was replaced.
  #others() {
    if (!this.#travel.active) this.#view.take(this.#normals);
    this.#later();
  }

  #announce(events) {
    const { severities, critical } = this.#caller.calls(events);
    if (severities.size > 0) this.#sound.call(severities);
    if (critical) byId("critical").textContent = critical;
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
    numbers.counts.set("state:normal", this.#server.current?.by_state.normal ?? this.#normals.rows.size);
    this.#bar.count(this.#travel.active ? counted(this.#travel.alarms).counts : numbers.counts);
    tellHidden(this.#live.rows.values(), this.#view, this.#travel.active);
  }

  #shown() {
    const { rows } = this.#view;
    this.#cursor.settle();
    this.#selection.settle();
    this.#grid.setAttribute("aria-rowcount", rows.length + 1);
    const past = this.#travel.active;
    tellShown(this.#view, this.#bar.active, this.#live.whole || past, past || this.#normals.whole);
    const alarm = this.#details.id && (this.#view.get(this.#details.id) ?? this.#normals.get(this.#details.id));
    if (alarm) this.#details.show(alarm);
    this.#list.draw();
  }

  #fill(slot, alarm, index) {
    const { id } = alarm;
    fillRow(slot, alarm, index, {
      selected: this.#selection.has(id),
      cursor: this.#cursor.id === id,
      pending: this.#commander.pending.has(id),
      now: this.#travel.now ?? Date.now(),
      past: this.#travel.active,
    });
  }

  #arrange(filter) {
    this.#view.arrange(matching(filter), filter.sort);
    this.#normals.want(normalsOf(filter));
    this.#travel.again();
    this.#headings.show(filter.sort);
    this.#grid.scrollTop = 0;
    this.#count();
    this.#shown();
  }

  #show(parts, moving = null) {
    this.#address.show(this.#bar.filter, parts, moving);
  }

  #listen() {
    byId("grid-body").addEventListener("click", (event) => this.#clicked(event));
    byId("pause").addEventListener("click", () => this.#pause());
    byId("travel").addEventListener("click", () => this.#travel.toggle());
    exports(this.#api, () => this.#exported());
    byId("help").addEventListener("click", () => byId("keys").showModal());
    byId("show-criticals").addEventListener("click", () => this.#showCriticals());
    for (const button of document.querySelectorAll("[data-close]")) {
      button.addEventListener("click", () => button.closest("dialog").close());
    }
  }

  #clicked(event) {
    const slot = this.#list.slotOf(event.target);
    if (!slot) return;
    const alarm = slot.row;
    this.#cursor.put(alarm.id);
    if (event.target.closest(".c-select")) this.#selection.toggle(alarm.id, event.shiftKey);
    else if (event.target.closest(".row-action")) this.#commander.give("acknowledge", [alarm]);
    else if (!getSelection().toString()) this.#opening.open(alarm);
    this.#shown();
  }

  #chosen() {
    const { alarms } = this.#selection;
    if (alarms.length > 0) return alarms;
    const alarm = this.#view.get(this.#cursor.id);
    return alarm ? [alarm] : [];
  }

  async #command(name) {
    if (this.#travel.active) return toast("This is the past: go back to live to act.", "problem");
    if (await this.#commander.give(name, this.#chosen())) this.#selection.none();
    this.#grid.focus({ preventScroll: true });
    return this.#shown();
  }

  #openAtCursor() {
    const alarm = this.#view.get(this.#cursor.id);
    if (!alarm) return;
    this.#opening.open(alarm);
    this.#details.focus();
  }

  #closed() {
    this.#show({ alarm: null });
    this.#grid.focus({ preventScroll: true });
    this.#list.draw();
  }

  #escape() {
    if (this.#details.id) this.#details.close();
    else if (this.#selection.alarms.length > 0) this.#selection.none();
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
    this.#view.take(this.#normals);
    this.#count();
    this.#shown();
  }

  #showCriticals() {
    this.#travel.end();
    this.#bar.clear();
    this.#bar.change({ severity: new Set(["critical"]), state: new Set(["unacked"]) });
    this.#grid.focus();
  }

  #exported() {
    const query = queryOf(this.#bar.filter);
    if (this.#travel.active) query.set("as_of", this.#address.get("as_of"));
    return query;
  }

}

new Console().start();
