// Which rows are shown, in which order, and what calls the operator.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Caller } from "../../../entrypoints/console/calls.js";
import { filterOf, matching, queryOf } from "../../../entrypoints/console/filters.js";
import { AlarmView, SORTS, comparing, reversed } from "../../../entrypoints/console/view.js";
import { SEVERITIES, STATES } from "../../../entrypoints/console/words.js";

const pick = (values) => values[Math.floor(Math.random() * values.length)];

function alarm(id, parts = {}) {
  return {
    id: String(id),
    source: `plant/pump-${id % 7}`,
    type: pick(["hot", "cold"]),
    qualifier: "",
    text: "8.2 bar",
    labels: {},
    assignee: null,
    severity: pick(SEVERITIES),
    state: pick(STATES),
    occurrence: id % 5,
    raised_at: `2026-01-01T00:00:0${id % 10}Z`,
    updated_at: `2026-01-01T00:00:0${id % 3}Z`,
    ...parts,
  };
}

const filter = (query) => matching(filterOf(new URLSearchParams(query)));
const everything = filter("");

test("rows kept up to date one by one are those sorted at once", () => {
  for (const sort of [...SORTS, ...SORTS.map(reversed)]) {
    const all = new Map();
    const view = new AlarmView(filter("severity=critical,major,minor"), sort);
    view.take(all);
    for (let step = 0; step < 300; step += 1) {
      const id = Math.floor(Math.random() * 60);
      if (Math.random() < 0.3) all.delete(String(id));
      else all.set(String(id), alarm(id));
      view.changed([String(id)]);
      if (Math.random() < 0.5) view.update();
    }
    view.update();
    const wanted = [...all.values()].filter(filter("severity=critical,major,minor")).sort(comparing(sort));
    assert.deepEqual(view.rows, wanted);
    for (const [index, { id }] of wanted.entries()) assert.equal(view.indexOf(id), index);
  }
});

test("a pause holds changes back, but no unacknowledged critical", () => {
  const all = new Map([["1", alarm(1, { severity: "minor", state: "unacked" })]]);
  const view = new AlarmView(everything, "state");
  view.take(all);
  view.paused = true;
  all.set("1", alarm(1, { severity: "minor", state: "acked" }));
  all.set("2", alarm(2, { severity: "critical", state: "unacked" }));
  view.changed(["1", "2"]);
  view.update();
  assert.deepEqual(view.rows.map(({ id, state }) => [id, state]), [["2", "unacked"], ["1", "unacked"]]);
  assert.equal(view.waiting, 1);
  view.paused = false;
  view.update();
  assert.equal(view.get("1").state, "acked");
});

test("the filter means what it means in the API", () => {
  const boiler = alarm(1, { source: "boiler/7", type: "p,high", text: "Pressure 12 bar", labels: { area: "north" } });
  for (const query of ["q=press+12", "q=BOILER", "source=boiler/*", "source=x,boiler/7", "type=p\\,high", "label.area=north"]) {
    assert.ok(filter(query)(boiler), query);
  }
  for (const query of ["q=ressure", "q=-", "source=boil*", "type=p", "label.area=south", "assignee=ann"]) {
    assert.ok(!filter(query)(boiler), query);
  }
});

test("the address says the filter, and nothing that it does not know", () => {
  const query = "severity=critical&state=unacked%2Cacked&q=pump&label.area=north&sort=-raised_at";
  assert.equal(queryOf(filterOf(new URLSearchParams(query))).toString(), query);
  assert.equal(queryOf(filterOf(new URLSearchParams("severity=loud&sort=colour&nothing=1"))).toString(), "");
});

test("an alarm calls once each time it is announced, also when events in between were left out", () => {
  const caller = new Caller();
  const event = (parts) => ({ alarm: alarm(1, { severity: "critical", annunciate: true, ...parts }) });
  const calls = (parts) => caller.calls([event(parts)]).severities.size;
  caller.know([event({ state: "unacked", announced_revision: 1 }).alarm]);
  assert.equal(calls({ state: "unacked", announced_revision: 1 }), 0);
  assert.equal(calls({ state: "unacked", announced_revision: 4 }), 1);
  assert.equal(calls({ state: "unacked", announced_revision: 4 }), 0);
  assert.equal(calls({ state: "shelved", announced_revision: 6 }), 0);
  assert.equal(calls({ state: "unacked", announced_revision: 6 }), 1);
  assert.equal(calls({ state: "unacked", announced_revision: 8, annunciate: false }), 0);
});
