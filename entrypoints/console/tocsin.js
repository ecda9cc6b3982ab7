// A client of Tocsin's stream: connects, authenticates, subscribes, and resumes exactly where it was.
// No dependencies; runs in browsers and in Node (give a WebSocket class to a Node that has none).

const PROTOCOL = "tocsin.v1.json";
const OPEN = 1;

// The server's limits; exceeding one would end the whole connection.
const SUBSCRIPTIONS = 32;
const MESSAGE_BYTES = 64 * 1024;

// Close codes after which reconnecting would change nothing: bad message, forbidden, duplicate id.
const FINAL_CODES = new Set([4400, 4403, 4409]);
const UNAUTHENTICATED = 4401;

const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 15_000;
// After a connection that lasted this long, pauses begin at the shortest again.
const STABLE_MS = 10_000;

// How long the token function may take, and how long connecting may take until the server's hello.
const TOKEN_MS = 30_000;
const HELLO_MS = 15_000;

// A page cannot ping, and TCP takes many minutes to notice that the other side is gone. So after some quiet the
// client asks to end a subscription that never was, which the server answers with an error.
const QUIET_MS = 25_000;
const ANSWER_MS = 10_000;
const PROBE = JSON.stringify({ op: "unsubscribe", id: "probe" });

// How long before its end a token is replaced, and the shortest time between two tries.
const REFRESH_EARLY_MS = 30_000;
const REFRESH_EVERY_MS = 5_000;
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/**
 * One connection, which reconnects by itself until close().
 *
 * options:
 *   url          ws://host:port/v1/stream, or a list of such: after a failure the next one is tried
 *   token        optional: async ({refused}) => string; asked at every connection and before a token ends.
 *                `refused`: the server refused the last one, so a cached one is useless
 *   onState      optional: (state, detail) => void, with
 *                  "connecting"  {url}
 *                  "live"        {url, log, position}
 *                  "waiting"     {code, reason, retryInMs}
 *                  "closed"      {code, reason}; by close(), or because the server refuses this client for good
 *   WebSocket    optional: the class to use
 *
 * Nothing is queued here: messages go to the handlers at once. A handler's errors go to the error handling of
 * the page (or process); the connection goes on.
 */
export class TocsinClient {
  #urls;
  #options;
  #state = "closed";
  #log = null;
  #socket = null;
  // Counts the connections: work for an earlier one has no effect any more.
  #generation = 0;
  #failures = 0;
  #liveSince = null;
  #refused = false;
  #retryAfterMs = null;
  #timers = { retry: null, refresh: null, watch: null };
  #subscriptions = new Set();
  // By the id on the wire. Each request has a new id, so late messages for an earlier one are ignored.
  #requested = new Map();
  #lastId = 0;
  #onOnline = () => this.#online();

  constructor(options) {
    this.#options = options;
    this.#urls = [options.url].flat();
    if (this.#urls.length === 0) throw new TypeError("give at least one url");
  }

  /** "connecting", "live", "waiting" or "closed". */
  get state() {
    return this.#state;
  }

  /** The identity of the log that positions belong to; null before the first hello. */
  get log() {
    return this.#log;
  }

  /** Connect, and stay connected until close(). Returns the client. */
  open() {
    if (this.#state !== "closed") return this;
    globalThis.addEventListener?.("online", this.#onOnline);
    this.#failures = 0;
    this.#connect();
    return this;
  }

  /** End the connection; open() resumes the same subscriptions where they were. */
  close() {
    if (this.#state !== "closed") this.#finish({ code: 1000, reason: "closed here" });
  }

  /**
   * Subscribe now and after every reconnection.
   *
   * wish:     {filter, after, log, snapshot, conflate}, all optional; `after` is a position of `log`, and
   *           excludes `snapshot`
   * handlers, all optional:
   *   onSubscribed(position)    no event after it will be missed
   *   onSnapshot(alarms, {position, first, done})    a page of the list; `first`: forget the pages before
   *   onEvents(events, position)    each event once, positions strictly increasing
   *   onPosition(position)      no more matching events up to here
   *   onReset(reason)           everything received is void; with `snapshot` a new one follows by itself,
   *                             without it events go on from now
   *   onError({code, detail})   the server refused the subscription, which is over
   * Returns a subscription: {position, log, end()}; its `position` and `log` are `after` and `log` of a later one.
   */
  subscribe(wish = {}, handlers = {}) {
    if (wish.snapshot && wish.after != null) throw new TypeError("a snapshot starts over: leave `after` out");
    if (this.#subscriptions.size >= SUBSCRIPTIONS) {
      throw new RangeError(`a connection has at most ${SUBSCRIPTIONS} subscriptions`);
    }
    const subscription = new Subscription(wish, handlers, (ended) => this.#end(ended));
    const size = new TextEncoder().encode(JSON.stringify(subscription.request("x".repeat(16)))).length;
    if (size > MESSAGE_BYTES - 256) throw new RangeError(`the filter is too large: ${size} bytes`);
    this.#subscriptions.add(subscription);
    if (this.#state === "live") this.#ask(subscription);
    return subscription;
  }

  async #connect() {
    clearTimeout(this.#timers.retry);
    const generation = ++this.#generation;
    const url = this.#urls[0];
    this.#retryAfterMs = null;
    this.#tell("connecting", { url });
    let token = null;
    try {
      if (this.#options.token) token = await this.#token();
    } catch (error) {
      if (generation === this.#generation) this.#lost(null, `no token: ${error?.message ?? error}`);
      return;
    }
    if (generation === this.#generation) this.#openSocket(url, token);
  }

  #openSocket(url, token) {
    const Socket = this.#options.WebSocket ?? globalThis.WebSocket;
    let socket;
    try {
      socket = new Socket(url, PROTOCOL);
    } catch (error) {
      // The URL is not a WebSocket's: trying again would not help.
      return this.#finish({ code: null, reason: error.message });
    }
    this.#socket = socket;
    const isCurrent = () => socket === this.#socket;
    this.#watch(HELLO_MS, () => this.#lost(null, "no hello in time"));
    socket.onopen = () => {
      if (isCurrent() && token !== null) this.#authenticate(token);
    };
    socket.onmessage = ({ data }) => {
      if (isCurrent()) this.#receive(url, JSON.parse(data));
    };
    // A close event follows, with all that a page may know.
    socket.onerror = () => {};
    socket.onclose = ({ code, reason }) => {
      if (isCurrent()) this.#lost(code, reason);
    };
    return undefined;
  }

  // Ask for a token, in bounded time.
  async #token() {
    let timer;
    const late = new Promise((_, reject) => {
      timer = setTimeout(() => reject(new Error("it took too long")), TOKEN_MS);
    });
    try {
      const token = await Promise.race([this.#options.token({ refused: this.#refused }), late]);
      if (typeof token !== "string") throw new TypeError("the token function gave no string");
      return token;
    } finally {
      clearTimeout(timer);
    }
  }

  #authenticate(token) {
    this.#send({ op: "auth", token });
    const left = lifetimeMs(token);
    if (left === null) return;
    this.#refreshIn(Math.max(left - REFRESH_EARLY_MS, left / 2));
  }

  #refreshIn(ms) {
    clearTimeout(this.#timers.refresh);
    // The lower bound keeps a wrong clock or an old token from causing endless requests.
    const wait = Math.min(Math.max(ms, REFRESH_EVERY_MS), LONGEST_TIMER_MS);
    this.#timers.refresh = setTimeout(() => this.#refresh(), wait);
  }

  async #refresh() {
    const generation = this.#generation;
    try {
      const token = await this.#token();
      if (generation === this.#generation) this.#authenticate(token);
    } catch {
      // The old token is valid for a while; then the server closes with 4401.
      if (generation === this.#generation) this.#refreshIn(REFRESH_EVERY_MS);
    }
  }

  #receive(url, message) {
    if (this.#state === "live") this.#watchQuiet();
    if (message.op === "hello") return this.#hello(url, message);
    if (message.op === "goodbye") {
      this.#retryAfterMs = message.retry_after_ms;
      return undefined;
    }
    const subscription = this.#requested.get(message.id);
    if (subscription === undefined) return undefined;
    switch (message.op) {
      case "reset":
        return this.#reset(subscription, message);
      case "error":
        return this.#refuse(subscription, message);
      default:
        return subscription.receive(message, this.#log);
    }
  }

  #hello(url, { log, position }) {
    // Hello comes again after a refreshed token, and after the log was replaced: then resets follow.
    this.#log = log;
    if (this.#state === "live") return;
    this.#liveSince = Date.now();
    this.#refused = false;
    this.#watchQuiet();
    this.#requested.clear();
    // Taken before `onState` is called: subscriptions made there are requested at once.
    const waiting = [...this.#subscriptions];
    this.#tell("live", { url, log, position }, () => waiting.forEach((each) => this.#ask(each)));
  }

  #ask(subscription) {
    this.#forget(subscription);
    subscription.wireId = `s${++this.#lastId}`;
    this.#requested.set(subscription.wireId, subscription);
    this.#send(subscription.request(subscription.wireId));
  }

  #forget(subscription) {
    clearTimeout(subscription.retry);
    this.#requested.delete(subscription.wireId);
  }

  #end(subscription) {
    if (!this.#subscriptions.delete(subscription)) return;
    const isRequested = this.#requested.has(subscription.wireId);
    this.#forget(subscription);
    if (isRequested && this.#state === "live") this.#send({ op: "unsubscribe", id: subscription.wireId });
  }

  #reset(subscription, { reason }) {
    this.#forget(subscription);
    subscription.startOver();
    this.#ask(subscription);
    subscription.handlers.onReset?.(reason);
  }

  #refuse(subscription, { code, detail }) {
    this.#forget(subscription);
    if (code === "unavailable") {
      subscription.failures += 1;
      subscription.retry = setTimeout(() => this.#ask(subscription), pauseMs(subscription.failures));
      return;
    }
    this.#subscriptions.delete(subscription);
    subscription.handlers.onError?.({ code, detail });
  }

  #watch(ms, then) {
    clearTimeout(this.#timers.watch);
    this.#timers.watch = setTimeout(then, ms);
  }

  #watchQuiet() {
    this.#watch(QUIET_MS, () => this.#probe());
  }

  #probe() {
    this.#watch(ANSWER_MS, () => this.#lost(null, "the server went silent"));
    if (this.#socket?.readyState === OPEN) this.#socket.send(PROBE);
  }

  // The network is back: end the pause early, and probe a socket that may be dead.
  #online() {
    if (this.#state === "waiting" && this.#retryAfterMs === null) {
      clearTimeout(this.#timers.retry);
      this.#timers.retry = setTimeout(() => this.#connect(), Math.random() * FIRST_PAUSE_MS);
    } else if (this.#state === "live") {
      this.#probe();
    }
  }

  #lost(code, reason) {
    if (FINAL_CODES.has(code) || (code === UNAUTHENTICATED && !this.#options.token)) {
      return this.#finish({ code, reason });
    }
    this.#drop();
    if (this.#liveSince !== null && Date.now() - this.#liveSince >= STABLE_MS) this.#failures = 0;
    this.#liveSince = null;
    this.#failures += 1;
    this.#refused = code === UNAUTHENTICATED;
    this.#urls.push(this.#urls.shift());
    const retryInMs = isWait(this.#retryAfterMs)
      ? Math.min(this.#retryAfterMs, LONGEST_PAUSE_MS)
      : pauseMs(this.#failures);
    this.#timers.retry = setTimeout(() => this.#connect(), retryInMs);
    return this.#tell("waiting", { code, reason, retryInMs });
  }

  #finish(detail) {
    globalThis.removeEventListener?.("online", this.#onOnline);
    this.#drop();
    this.#liveSince = null;
    this.#tell("closed", detail);
  }

  // Let go of the socket, which may take long to close.
  #drop() {
    this.#generation += 1;
    for (const timer of Object.values(this.#timers)) clearTimeout(timer);
    for (const subscription of this.#subscriptions) this.#forget(subscription);
    this.#requested.clear();
    const socket = this.#socket;
    this.#socket = null;
    socket?.close(1000);
  }

  #send(message) {
    if (this.#socket?.readyState === OPEN) this.#socket.send(JSON.stringify(message));
  }

  #tell(state, detail, before = () => {}) {
    this.#state = state;
    before();
    try {
      this.#options.onState?.(state, detail);
    } catch (error) {
      // An error of the page must not keep the connection from coming back.
      queueMicrotask(() => {
        throw error;
      });
    }
  }
}

/** A subscription's wish, and the position up to which it was received. */
class Subscription {
  #wish;
  #end;
  #position;
  #log;
  // `#first`: the next page of a snapshot is its first; `#whole`: the snapshot's last page is there.
  #first = true;
  #whole;

  constructor(wish, handlers, end) {
    this.#wish = wish;
    this.handlers = handlers;
    this.#end = end;
    this.#position = wish.after ?? null;
    this.#log = wish.log ?? null;
    this.#whole = !wish.snapshot;
    this.wireId = null;
    this.failures = 0;
    this.retry = null;
  }

  /** Every matching event up to here was received; null: not known yet. */
  get position() {
    return this.#whole ? this.#position : null;
  }

  /** The identity of the log that `position` belongs to; null: not known yet. */
  get log() {
    return this.#log;
  }

  /** Receive nothing more. */
  end() {
    this.#end(this);
  }

  request(id) {
    const { filter, snapshot, conflate } = this.#wish;
    const message = { op: "subscribe", id };
    if (filter) message.filter = filter;
    if (conflate) message.conflate = true;
    this.#first = true;
    if (this.#whole && this.#position !== null) {
      message.after = this.#position;
      if (this.#log !== null) message.log = this.#log;
    } else if (snapshot) {
      message.snapshot = true;
    }
    return message;
  }

  startOver() {
    this.#position = null;
    this.#log = null;
    this.#whole = !this.#wish.snapshot;
  }

  receive(message, log) {
    this.failures = 0;
    switch (message.op) {
      case "subscribed":
        this.#log = log;
        if (this.#whole) this.#advance(message.position);
        return this.handlers.onSubscribed?.(message.position);
      case "snapshot":
        return this.#snapshot(message);
      case "events":
        return this.#events(message);
      case "position":
        if (this.#advance(message.position)) this.handlers.onPosition?.(message.position);
    }
    return undefined;
  }

  #snapshot({ alarms, position, done }) {
    const first = this.#first;
    this.#first = false;
    if (done) {
      this.#whole = true;
      this.#position = position;
    }
    this.handlers.onSnapshot?.(alarms, { position, first, done });
  }

  #events({ events, position }) {
    const known = this.#position ?? -1;
    const news = events[0]?.position > known ? events : events.filter((event) => event.position > known);
    if (this.#advance(position) && news.length > 0) this.handlers.onEvents?.(news, position);
  }

  // Called before the handlers: their errors must not bring the same events again.
  #advance(position) {
    if (this.#position !== null && position <= this.#position) return false;
    this.#position = position;
    return true;
  }
}

// Full jitter: clients cut off together do not come back together.
function pauseMs(failures) {
  return Math.random() * Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(failures, 16));
}

function isWait(ms) {
  return Number.isFinite(ms) && ms >= 0;
}

// The ms until a JWT expires; null if it does not say.
function lifetimeMs(token) {
  try {
    const { exp } = JSON.parse(atob(token.split(".")[1].replace(/-/g, "+").replace(/_/g, "/")));
    return Number.isFinite(exp) ? exp * 1000 - Date.now() : null;
  } catch {
    return null;
  }
}
