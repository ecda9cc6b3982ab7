import assert from "node:assert/strict";
import { test } from "node:test";

import { AlarmList } from "../../../entrypoints/console/alarms.js";

const row = (id, position, state = "unacked") => ({ id, position, state });
const event = (alarm, left) => ({ position: alarm.position, alarm, left });

function given(...alarms) {
  const list = new AlarmList();
  list.handlers.onSnapshot(alarms, { first: true, done: true });
  return list;
}

const shown = (list) => Object.fromEntries([...list.rows].map(([id, alarm]) => [id, alarm.position]));

test("an event at or below its row's position is in the row already", () => {
  const list = given(row("a", 7));
  list.handlers.onEvents([event(row("a", 6, "normal")), event(row("b", 7)), event(row("a", 8, "acked"))]);
  assert.deepEqual(shown(list), { a: 8, b: 7 });
});

test("an alarm that is normal again, or left the filter, goes", () => {
  const list = given(row("a", 1), row("b", 2), row("c", 3));
  list.handlers.onEvents([event(row("a", 4, "normal")), event(row("b", 5), true)]);
  assert.deepEqual(shown(list), { c: 3 });
});

test("a new snapshot replaces the rows when it is whole, and not before", () => {
  const list = given(row("gone", 1));
  list.handlers.onSnapshot([row("a", 5)], { first: true, done: false });
  assert.deepEqual(shown(list), { gone: 1 });
  list.handlers.onSnapshot([row("a", 6)], { first: true, done: false });
  // The scan started over, and may bring a row again.
  list.handlers.onSnapshot([row("b", 3), row("a", 5)], { first: false, done: true });
  assert.deepEqual([shown(list), list.whole], [{ a: 6, b: 3 }, true]);
});

test("after a reset there is nothing, until there is a list again", () => {
  let changes = 0;
  const list = new AlarmList(() => (changes += 1));
  list.handlers.onSnapshot([row("a", 1)], { first: true, done: true });
  list.handlers.onReset();
  assert.deepEqual([shown(list), list.whole, changes], [{}, false, 2]);
});
