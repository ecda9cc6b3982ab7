// A client of Tocsin's stream: connects, authenticates, subscribes, and resumes exactly where it was.
// No dependencies; runs in browsers and in Node (give a WebSocket class to older Nodes).

const PROTOCOL = "tocsin.v1.json";

// Close codes after which coming back would change nothing.
const FINAL_CODES = new Set([4400, 4403, 4409]);

const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 15_000;

// How long before a token expires it is replaced.
const REFRESH_EARLY_MS = 30_000;

/**
 * One connection for as long as it is wanted, whatever becomes of the sockets under it.
 *
 * options:
 *   url          ws://host:port/v1/stream, or a list of such: the next one is tried after a failure
 *   token        optional: async () => string, asked at every connection and before a token expires
 *   onState      optional: (state, detail) => void; "connecting" | "live" | "lost" | "closed"
 *   WebSocket    optional: the class to use
 */
export class TocsinClient {
  #urls;
  #options;
  #subscriptions = new Map();
  #socket = null;
  #log = null;
  #failures = 0;
  #retryAfterMs = null;
  #timers = { retry: null, refresh: null };
  #wanted = false;

  constructor(options) {
    this.#options = options;
    this.#urls = [options.url].flat();
  }

  /** The identity of the log that positions belong to; null before the first hello. */
  get log() {
    return this.#log;
  }

  /** Connect, and stay connected until close(). */
  open() {
    this.#wanted = true;
    this.#connect();
    return this;
  }

  /** End it for good. */
  close() {
    this.#wanted = false;
    clearTimeout(this.#timers.retry);
    clearTimeout(this.#timers.refresh);
    this.#socket?.close(1000);
    this.#socket = null;
    this.#tell("closed");
  }

  /**
   * Subscribe now and after every reconnection.
   *
   * wish:     {filter, after, snapshot, conflate}, all optional; `after` belongs to `log`
   * handlers: {onEvents(events, position), onSnapshot(alarms, position, done), onPosition(position),
   *            onReset(reason), onSubscribed(position), onError(code, detail)}, all optional
   * Returns a subscription: {position, end()}. After onReset everything held is void: with `snapshot` a
   * new one follows by itself, without it events go on from now.
   */
  subscribe(id, wish = {}, handlers = {}) {
    if (this.#subscriptions.has(id)) throw new Error(`there is a subscription ${id} already`);
    const subscription = {
      id,
      wish,
      handlers,
      position: wish.after ?? null,
      // A snapshot counts only when its last page is there.
      whole: !wish.snapshot,
      end: () => this.#end(subscription),
    };
    if (wish.log) this.#log ??= wish.log;
    this.#subscriptions.set(id, subscription);
    if (this.#isLive) this.#ask(subscription);
    return subscription;
  }

  get #isLive() {
    return this.#socket?.live === true;
  }

  #end(subscription) {
    if (!this.#subscriptions.delete(subscription.id)) return;
    if (this.#isLive) this.#send({ op: "unsubscribe", id: subscription.id });
  }

  #connect() {
    this.#tell("connecting");
    const url = this.#urls[this.#failures % this.#urls.length];
    const Socket = this.#options.WebSocket ?? globalThis.WebSocket;
    const socket = new Socket(url, PROTOCOL);
    this.#socket = socket;
    socket.onopen = () => this.#authenticate(socket);
    socket.onmessage = (message) => {
      if (socket === this.#socket) this.#receive(socket, JSON.parse(message.data));
    };
    socket.onerror = () => {};
    socket.onclose = (event) => {
      if (socket === this.#socket) this.#lost(event.code, event.reason);
    };
  }

  async #authenticate(socket) {
    if (!this.#options.token) return;
    let token;
    try {
      token = await this.#options.token();
    } catch (error) {
      this.#tell("lost", `no token: ${error.message}`);
      socket.close(1000);
      return;
    }
    if (socket !== this.#socket || socket.readyState !== 1) return;
    socket.send(JSON.stringify({ op: "auth", token }));
    clearTimeout(this.#timers.refresh);
    const left = lifetimeMs(token);
    if (left !== null) {
      const wait = Math.min(Math.max(left - REFRESH_EARLY_MS, left / 2), 2 ** 31 - 1);
      this.#timers.refresh = setTimeout(() => this.#authenticate(socket), wait);
    }
  }

  #receive(socket, message) {
    switch (message.op) {
      case "hello":
        return this.#hello(socket, message);
      case "goodbye":
        this.#retryAfterMs = message.retry_after_ms;
        return;
      default: {
        const subscription = this.#subscriptions.get(message.id);
        if (subscription) this.#deliver(subscription, message);
        else if (message.op === "error") this.#tell("live", `${message.code}: ${message.detail}`);
      }
    }
  }

  #hello(socket, message) {
    const replaced = this.#log !== null && this.#log !== message.log;
    this.#log ??= message.log;
    const first = socket.live !== true;
    socket.live = true;
    this.#failures = 0;
    this.#retryAfterMs = null;
    if (!first) {
      // The log was replaced under a live connection; a reset of each subscription follows.
      this.#log = message.log;
      return;
    }
    this.#tell("live");
    // With the old log's name the server answers `reset`, which tells the handlers to start over.
    for (const subscription of this.#subscriptions.values()) this.#ask(subscription);
    if (replaced) this.#log = message.log;
  }

  #ask({ id, wish, position, whole }) {
    const message = { op: "subscribe", id };
    if (wish.filter) message.filter = wish.filter;
    if (wish.conflate) message.conflate = true;
    if (position !== null && whole) Object.assign(message, { after: position, log: this.#log });
    else if (wish.snapshot) message.snapshot = true;
    this.#send(message);
  }

  #deliver(subscription, message) {
    const { handlers } = subscription;
    switch (message.op) {
      case "subscribed":
        if (subscription.whole) subscription.position = message.position;
        return handlers.onSubscribed?.(message.position);
      case "events":
        subscription.position = message.position;
        return handlers.onEvents?.(message.events, message.position);
      case "position":
        subscription.position = message.position;
        return handlers.onPosition?.(message.position);
      case "snapshot":
        subscription.position = message.position;
        subscription.whole = message.done;
        return handlers.onSnapshot?.(message.alarms, message.position, message.done);
      case "reset":
        return this.#reset(subscription, message.reason);
      case "error":
        return handlers.onError?.(message.code, message.detail);
    }
  }

  #reset(subscription, reason) {
    subscription.position = null;
    subscription.whole = !subscription.wish.snapshot;
    subscription.handlers.onReset?.(reason);
    this.#ask(subscription);
  }

  #lost(code, reason) {
    this.#socket = null;
    clearTimeout(this.#timers.refresh);
    if (!this.#wanted) return;
    if (FINAL_CODES.has(code)) {
      this.#wanted = false;
      return this.#tell("closed", `${code} ${reason}`);
    }
    this.#failures += 1;
    const pause = this.#retryAfterMs ?? pauseMs(this.#failures);
    this.#retryAfterMs = null;
    this.#tell("lost", `${code} ${reason}`);
    this.#timers.retry = setTimeout(() => this.#connect(), pause);
  }

  #send(message) {
    this.#socket?.send(JSON.stringify(message));
  }

  #tell(state, detail = "") {
    this.#options.onState?.(state, detail);
  }
}

// Full jitter: clients that were cut off together do not come back together.
function pauseMs(failures) {
  return Math.random() * Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** failures);
}

// How long a JWT is still good, in ms; null if it does not say.
function lifetimeMs(token) {
  try {
    const claims = JSON.parse(atob(token.split(".")[1].replace(/-/g, "+").replace(/_/g, "/")));
    return claims.exp * 1000 - Date.now() || null;
  } catch {
    return null;
  }
}
