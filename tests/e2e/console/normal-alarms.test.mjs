import assert from "node:assert/strict";
import { test } from "node:test";

import { NormalAlarms } from "../../../entrypoints/console/normal-alarms.js";

const row = (id, position, state = "normal") => ({ id, position, state });
const event = (alarm) => ({ position: alarm.position, alarm });

/** Give normals over a live list, and what answers the reads, in order. */
function given(...live) {
  const list = { rows: new Map(live.map((alarm) => [alarm.id, alarm])) };
  const reads = [];
  const changes = [];
  const read = (query) => new Promise((resolve) => reads.push({ query: query.toString(), resolve }));
  const normals = new NormalAlarms({ list: read }, list, () => changes.push(1));
  return { list, normals, reads, changes };
}

const shown = ({ rows }) => Object.fromEntries([...rows].map(([id, alarm]) => [id, alarm.position]));

async function answered({ reads, changes }, ...alarms) {
  while (reads.length === 0) await new Promise((resolve) => setTimeout(resolve, 10));
  const before = changes.length;
  const { query, resolve } = reads.shift();
  resolve({ alarms, whole: false });
  while (changes.length === before) await new Promise((resolve) => setTimeout(resolve));
  return query;
}

test("what events brought while it was read is newer", async () => {
  const here = given(row("raised", 12, "unacked"), row("ending", 8, "acked"));
  here.normals.want(new URLSearchParams("source=a"));
  here.normals.heard([event(row("again", 14)), event(row("new", 15))]);
  const query = await answered(here, row("again", 9), row("raised", 10), row("ending", 11), row("old", 3));
  assert.equal(query, "source=a&state=normal&sort=-updated_at");
  // One was raised since; the event by which the other one ended is under way.
  assert.deepEqual(shown(here.normals), { old: 3, again: 14, new: 15 });
  assert.equal(here.normals.whole, false);
  here.normals.heard([event(row("ending", 11)), event(row("old", 16, "unacked"))]);
  assert.deepEqual(shown(here.normals), { again: 14, new: 15, ending: 11 });
});

test("nothing is kept that nobody wants", async () => {
  const here = given();
  here.normals.heard([event(row("a", 1))]);
  here.normals.want(new URLSearchParams());
  await answered(here, row("b", 2));
  here.normals.want(null);
  assert.deepEqual([shown(here.normals), here.normals.whole], [{}, true]);
});

test("of many, those that changed last are kept", () => {
  const here = given();
  here.normals.want(new URLSearchParams());
  here.normals.heard(Array.from({ length: 2_100 }, (_, number) => event(row(`a-${number}`, number + 1))));
  assert.deepEqual([here.normals.rows.size, here.normals.rows.has("a-99"), here.normals.rows.has("a-100")], [2_000, false, true]);
  assert.equal(here.normals.whole, false);
  here.normals.want(null);
});
