// Stand-ins for the unit tests: a WebSocket that a test plays the server of, and a client on it.

import { TocsinClient } from "../../../entrypoints/console/tocsin.js";

export class FakeSocket {
  static all = [];
  static get last() {
    return FakeSocket.all.at(-1);
  }

  readyState = 0;
  said = [];
  closedWith = null;

  constructor(url, protocol) {
    Object.assign(this, { url, protocol });
    FakeSocket.all.push(this);
  }

  send(text) {
    this.said.push(JSON.parse(text));
  }

  close(code) {
    this.closedWith = code;
    this.readyState = 2;
  }

  // What the server does.
  accept() {
    this.readyState = 1;
    this.onopen();
    return this;
  }

  say(message) {
    this.onmessage({ data: JSON.stringify(message) });
    return this;
  }

  hello(log = "log-1", position = 0) {
    return this.accept().say({ op: "hello", log, position });
  }

  end(code, reason = "") {
    this.readyState = 3;
    this.onclose({ code, reason });
  }

  asked(op) {
    return this.said.filter((message) => message.op === op);
  }

  get wireId() {
    return this.asked("subscribe").at(-1).id;
  }
}

// A client whose states and deliveries are written down.
export function given(options = {}) {
  FakeSocket.all = [];
  const states = [];
  const onState = (state, detail) => states.push([state, detail]);
  const client = new TocsinClient({ url: "ws://one", WebSocket: FakeSocket, onState, ...options });
  return { client, states };
}

export function recorded() {
  const got = [];
  const handlers = {
    onSubscribed: (position) => got.push(["subscribed", position]),
    onEvents: (events, position) => got.push(["events", events.map((event) => event.position), position]),
    onSnapshot: (alarms, page) => got.push(["snapshot", alarms, page]),
    onPosition: (position) => got.push(["position", position]),
    onReset: (reason) => got.push(["reset", reason]),
    onError: (error) => got.push(["error", error.code]),
  };
  return { got, handlers };
}

export const events = (...positions) => positions.map((position) => ({ position }));

export function jwt(secondsLeft) {
  const part = (value) => btoa(JSON.stringify(value)).replaceAll("=", "");
  return `${part({ alg: "none" })}.${part({ exp: Date.now() / 1000 + secondsLeft })}.x`;
}

// Let what waits for promises go on.
export const settled = async () => {
  for (let turn = 0; turn < 10; turn += 1) await Promise.resolve();
};
