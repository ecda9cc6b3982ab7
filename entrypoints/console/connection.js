// The live connection: shows its state, and unmistakably when it is lost.

import { byId, say } from "./dom.js";
import { TocsinClient } from "./tocsin.js";
import { moment } from "./words.js";

const WORDS = { live: "Live", connecting: "Connecting", lost: "Not connected" };
// Clients of a restarting process are back in less than this: no reason to alarm anybody.
const PATIENCE_MS = 700;
const ASK_AGAIN_MS = 2_000;

/** Keeps a list up to date, and tells `onLost(lost)` when it can't. */
export class Connection {
  #session;
  #api;
  #list;
  #onLost;
  #since = null;
  #retryAt = null;
  #timer = null;
  #reason = "";

  constructor(session, api, list, onLost) {
    this.#session = session;
    this.#api = api;
    this.#list = list;
    this.#onLost = onLost;
  }

  /** Connect; if the server wants a token, ask for it first. */
  async open() {
    const needed = await this.#needsToken();
    const client = new TocsinClient({
      url: `${location.protocol === "https:" ? "wss:" : "ws:"}//${location.host}/v1/stream`,
      token: needed ? ({ refused }) => this.#token(refused) : undefined,
      onState: (state, detail) => this.#state(state, detail),
    });
    client.subscribe({ snapshot: true, conflate: true }, this.#list.handlers);
    client.open();
  }

  async #needsToken() {
    if (this.#session.token !== null) return true;
    for (;;) {
      try {
        await this.#api.get("/v1/alarms?limit=1");
        return false;
      } catch (error) {
        // Without an answer it stays unknown.
        if (error.status !== 0) return error.status === 401;
      }
      await new Promise((resolve) => setTimeout(resolve, ASK_AGAIN_MS));
    }
  }

  #token(refused) {
    const { token } = this.#session;
    return token === null || refused ? this.#session.ask(refused ? "The token is not valid any more." : "") : token;
  }

  #state(state, { retryInMs, reason }) {
    if (state === "live") return this.#back();
    if (state === "connecting" && this.#since === null) return this.#show("connecting");
    if (reason) this.#reason = reason;
    this.#since ??= Date.now();
    this.#retryAt = state === "waiting" ? Date.now() + retryInMs : null;
    if (state === "closed") this.#retryAt = Infinity;
    this.#timer ??= setTimeout(() => this.#lost(), PATIENCE_MS);
    return undefined;
  }

  #back() {
    clearTimeout(this.#timer);
    this.#timer = null;
    this.#since = null;
    byId("lost").hidden = true;
    this.#onLost(false);
    this.#show("live");
  }

  // Show the loss until the connection is back, with the seconds that are left.
  #lost() {
    this.#timer = setTimeout(() => this.#lost(), 1000);
    byId("lost").hidden = false;
    this.#onLost(true);
    this.#show("lost");
    const shown = `The list shows how it stood at ${moment(this.#since)}.`;
    say(byId("lost-text"), `${shown} ${this.#next()}`);
  }

  #next() {
    if (this.#retryAt === Infinity) return `The server refuses this page: ${this.#reason || "reload the page"}.`;
    const seconds = this.#retryAt === null ? 0 : Math.ceil((this.#retryAt - Date.now()) / 1000);
    return seconds > 0 ? `Trying again in ${seconds} s.` : "Trying again …";
  }

  #show(state) {
    byId("connection").dataset.state = state;
    say(byId("connection-word"), WORDS[state]);
  }
}
