import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";

import { events, FakeSocket, given, jwt, recorded, settled } from "./fakes.mjs";

let chance;

beforeEach(() => {
  mock.timers.enable({ apis: ["setTimeout", "Date"], now: 1_000_000 });
  chance = 1;
  mock.method(Math, "random", () => chance);
});

afterEach(() => {
  mock.timers.reset();
  mock.restoreAll();
});

async function live(options) {
  const made = given(options);
  made.client.open();
  await settled();
  FakeSocket.last.hello();
  return made;
}

const pauses = (states) => states.filter(([state]) => state === "waiting").map(([, detail]) => detail.retryInMs);

async function tick(ms) {
  mock.timers.tick(ms);
  await settled();
}

test("subscribes once it is greeted, with what was wished for", async () => {
  const { client } = given();
  client.subscribe({ filter: { min_severity: "major" }, conflate: true });
  client.open();
  await settled();
  assert.equal(FakeSocket.last.protocol, "tocsin.v1.json");
  FakeSocket.last.hello();
  const { id } = FakeSocket.last.said[0];
  assert.deepEqual(FakeSocket.last.said, [
    { op: "subscribe", id, filter: { min_severity: "major" }, conflate: true },
  ]);
});

test("resumes behind what it got, on the next url, and drops what it had", async () => {
  const { client } = await live({ url: ["ws://one", "ws://two"] });
  const { got, handlers } = recorded();
  const subscription = client.subscribe({}, handlers);
  const { wireId } = FakeSocket.last;
  FakeSocket.last
    .say({ op: "subscribed", id: wireId, position: 4 })
    .say({ op: "events", id: wireId, events: events(5, 7), position: 8 });
  FakeSocket.last.end(1006);
  await tick(500);
  assert.equal(FakeSocket.last.url, "ws://two");
  FakeSocket.last.hello("log-1", 9);
  const asked = FakeSocket.last.asked("subscribe")[0];
  assert.deepEqual([asked.after, asked.log, asked.id === wireId], [8, "log-1", false]);
  FakeSocket.last
    .say({ op: "subscribed", id: asked.id, position: 8 })
    .say({ op: "events", id: asked.id, events: events(7, 8, 9), position: 9 })
    .say({ op: "events", id: asked.id, events: events(9), position: 9 })
    .say({ op: "position", id: asked.id, position: 9 })
    .say({ op: "position", id: asked.id, position: 20 });
  assert.deepEqual(got, [
    ["subscribed", 4],
    ["events", [5, 7], 8],
    ["subscribed", 8],
    ["events", [9], 9],
    ["position", 20],
  ]);
  assert.deepEqual([subscription.position, subscription.log], [20, "log-1"]);
});

test("what arrives for an ended subscription or from an earlier socket goes nowhere", async () => {
  const { client } = await live();
  const [ended, kept] = [recorded(), recorded()];
  const subscription = client.subscribe({}, ended.handlers);
  const first = FakeSocket.last.wireId;
  subscription.end();
  assert.deepEqual(FakeSocket.last.asked("unsubscribe"), [{ op: "unsubscribe", id: first }]);
  client.subscribe({}, kept.handlers);
  FakeSocket.last.say({ op: "events", id: first, events: events(1), position: 1 });
  const old = FakeSocket.last;
  const { wireId } = old;
  old.end(1006);
  old.say({ op: "events", id: wireId, events: events(1), position: 1 });
  assert.deepEqual([ended.got, kept.got], [[], []]);
});

test("a handler that throws gets the same events no second time", async () => {
  const { client } = await live();
  const subscription = client.subscribe({}, { onEvents: () => assert.fail("mine") });
  const message = { op: "events", id: FakeSocket.last.wireId, events: events(1), position: 1 };
  assert.throws(() => FakeSocket.last.say(message), /mine/);
  assert.equal(subscription.position, 1);
  assert.equal(client.state, "live");
});

test("pauses double, are jittered and bounded, and begin anew after a stable connection", async () => {
  const { client, states } = given();
  client.open();
  await settled();
  for (let failure = 0; failure < 9; failure += 1) {
    FakeSocket.last.end(1006);
    await tick(15_000);
  }
  assert.deepEqual(pauses(states), [500, 1000, 2000, 4000, 8000, 15000, 15000, 15000, 15000]);
  chance = 0.25;
  // Greeted and sent away at once is no success.
  FakeSocket.last.hello().end(4429);
  await tick(15_000);
  FakeSocket.last.hello();
  await tick(10_000);
  FakeSocket.last.end(4408);
  assert.deepEqual(pauses(states).slice(-2), [3750, 125]);
});

test("goodbye says when to come back, and is believed within bounds", async () => {
  const { states } = await live();
  FakeSocket.last.say({ op: "goodbye", reason: "restart", retry_after_ms: 830 }).end(1012);
  await tick(829);
  assert.equal(FakeSocket.all.length, 1);
  await tick(1);
  assert.equal(FakeSocket.all.length, 2);
  FakeSocket.last.hello().say({ op: "goodbye", reason: "restart", retry_after_ms: 1e9 }).end(1012);
  await tick(15_000);
  FakeSocket.last.end(1006);
  assert.deepEqual(pauses(states), [830, 15_000, 1500 + 500]);
});

for (const code of [4400, 4403, 4409]) {
  test(`${code} ends it, until it is opened again`, async () => {
    const { client, states } = await live();
    FakeSocket.last.end(code, "why");
    await tick(60_000);
    assert.deepEqual(states.at(-1), ["closed", { code, reason: "why" }]);
    assert.equal(FakeSocket.all.length, 1);
    client.open();
    await settled();
    assert.equal(FakeSocket.all.length, 2);
  });
}

test("4401 without a token ends it; with one another is asked for, and told that it was refused", async () => {
  const { client } = await live();
  FakeSocket.last.end(4401);
  assert.equal(client.state, "closed");

  const asked = [];
  await live({ token: async (hint) => asked.push(hint.refused) && `t${asked.length}` });
  assert.deepEqual(FakeSocket.last.said[0], { op: "auth", token: "t1" });
  FakeSocket.last.end(4401);
  await tick(500);
  FakeSocket.last.hello();
  assert.deepEqual(asked, [false, true]);
  assert.deepEqual(FakeSocket.last.said[0], { op: "auth", token: "t2" });
});

test("a token that is not to be had is asked for again", async () => {
  let broken = true;
  const { client } = given({ token: async () => (broken ? Promise.reject(new Error("no")) : "t") });
  client.open();
  await settled();
  assert.equal(client.state, "waiting");
  broken = false;
  await tick(500);
  assert.equal(FakeSocket.all.length, 1);
});

test("a token is replaced in-band before it expires, and a failure to get one is tried again", async () => {
  const tokens = [jwt(100), null, jwt(100)];
  const said = [...tokens];
  await live({ token: async () => tokens.shift() });
  await tick(69_999);
  assert.equal(FakeSocket.last.asked("auth").length, 1);
  await tick(1);
  await tick(5_000);
  assert.deepEqual(FakeSocket.last.asked("auth").map(({ token }) => token), [said[0], said[2]]);
  assert.equal(FakeSocket.all.length, 1);
});

test("expired tokens are not asked for without end", async () => {
  let count = 0;
  await live({ token: async () => ((count += 1), jwt(-100)) });
  for (let second = 0; second < 20; second += 1) await tick(1_000);
  assert.equal(count, 5);
});

test("a log that was replaced resets the subscription, and a new snapshot is asked for", async () => {
  const { client } = await live();
  const { got, handlers } = recorded();
  const subscription = client.subscribe({ snapshot: true }, handlers);
  const socket = FakeSocket.last;
  const id = socket.wireId;
  socket
    .say({ op: "subscribed", id, position: 5 })
    .say({ op: "snapshot", id, alarms: ["x"], position: 5, done: false })
    .say({ op: "snapshot", id, alarms: [], position: 4, done: true })
    .say({ op: "events", id, events: events(5), position: 5 })
    .say({ op: "hello", log: "log-2", position: 0 })
    .say({ op: "reset", id, reason: "log_changed" });
  assert.equal(subscription.position, null);
  assert.deepEqual(socket.asked("subscribe").at(-1), { op: "subscribe", id: socket.wireId, snapshot: true });
  socket
    .say({ op: "subscribed", id: socket.wireId, position: 0 })
    .say({ op: "snapshot", id: socket.wireId, alarms: [], position: 0, done: true });
  assert.deepEqual(got, [
    ["subscribed", 5],
    ["snapshot", ["x"], { position: 5, first: true, done: false }],
    ["snapshot", [], { position: 4, first: false, done: true }],
    ["events", [5], 5],
    ["reset", "log_changed"],
    ["subscribed", 0],
    ["snapshot", [], { position: 0, first: true, done: true }],
  ]);
  assert.deepEqual([subscription.position, subscription.log], [0, "log-2"]);
});

test("a snapshot that was cut off begins again; a whole one is resumed behind", async () => {
  const { client } = await live();
  const { got, handlers } = recorded();
  client.subscribe({ snapshot: true }, handlers);
  FakeSocket.last.say({ op: "snapshot", id: FakeSocket.last.wireId, alarms: [], position: 3, done: false });
  FakeSocket.last.end(1006);
  await tick(500);
  const again = FakeSocket.last.hello();
  assert.equal(again.asked("subscribe")[0].snapshot, true);
  again.say({ op: "snapshot", id: again.wireId, alarms: [], position: 6, done: true });
  assert.equal(got.at(-1)[2].first, true);
  again.end(1006);
  await tick(1_000);
  const { after, snapshot } = FakeSocket.last.hello().asked("subscribe")[0];
  assert.deepEqual([after, snapshot], [6, undefined]);
});

test("unavailable is asked again later; other errors are the end of the subscription", async () => {
  const { client } = await live();
  const { got, handlers } = recorded();
  client.subscribe({}, handlers);
  const socket = FakeSocket.last;
  socket.say({ op: "error", id: socket.wireId, code: "unavailable", detail: "" });
  await tick(499);
  assert.equal(socket.asked("subscribe").length, 1);
  await tick(1);
  assert.equal(socket.asked("subscribe").length, 2);
  socket.say({ op: "error", id: socket.wireId, code: "invalid", detail: "" }).end(1006);
  await tick(500);
  assert.deepEqual(FakeSocket.last.hello().said, []);
  assert.deepEqual(got, [["error", "invalid"]]);
});

test("a server that went silent is noticed, and one that only has nothing to say is kept", async () => {
  const { client, states } = await live();
  await tick(25_000);
  assert.deepEqual(FakeSocket.last.said, [{ op: "unsubscribe", id: "probe" }]);
  FakeSocket.last.say({ op: "error", id: "probe", code: "unknown_subscription", detail: "" });
  await tick(25_000);
  assert.equal(client.state, "live");
  await tick(10_000);
  assert.equal(states.at(-1)[1].reason, "the server went silent");
  assert.equal(FakeSocket.last.closedWith, 1000);
  await tick(500);
  // The next one accepts and says nothing at all.
  FakeSocket.last.accept();
  await tick(15_000);
  assert.equal(states.at(-1)[1].reason, "no hello in time");
});

test("closing means closed: no timer, no socket, no more handlers", async () => {
  const { client, states } = await live({ token: async () => jwt(100) });
  const { got, handlers } = recorded();
  client.subscribe({}, handlers);
  const socket = FakeSocket.last;
  client.close();
  socket.say({ op: "events", id: socket.wireId, events: events(1), position: 1 });
  await tick(1_000_000);
  assert.deepEqual([FakeSocket.all.length, socket.closedWith, got], [1, 1000, []]);
  assert.equal(states.at(-1)[0], "closed");
});

test("what the server would end the connection for is refused here", async () => {
  const { client } = given();
  assert.throws(() => client.subscribe({ snapshot: true, after: 1 }), TypeError);
  assert.throws(() => client.subscribe({ filter: { sources: ["x".repeat(70_000)] } }), RangeError);
  for (let count = 0; count < 32; count += 1) client.subscribe();
  assert.throws(() => client.subscribe(), RangeError);
});
