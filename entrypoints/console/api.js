// Tocsin's HTTP API: commands, lists of earlier moments, histories, statistics.

// A command whose outcome is unknown is sent again under the same key, for long enough that a process can restart.
const TRIES = 6;
const FIRST_PAUSE_MS = 300;
// The most commands of one POST /v1/commands.
const COMMANDS = 1_000;
const PAGE = 1_000;
const CALL_MS = 20_000;

/** A refusal or an error: `code` and `detail` of application/problem+json (RFC 9457). */
export class Problem extends Error {
  constructor(status, { code = "unreachable", detail = "" } = {}) {
    super(detail || `the server answered ${status}`);
    this.status = status;
    this.code = code;
  }
}

/** Calls the server that the page came from; `token()` gives the token to send, or null. */
export class Api {
  #token;
  #onRefused;

  /** `onRefused(detail)` is called when the server wants a token, or another one. */
  constructor(token, onRefused) {
    this.#token = token;
    this.#onRefused = onRefused;
  }

  /**
   * Send these commands; return an answer for each, in order: an item of POST /v1/commands, or a problem.
   *
   * Without an answer they are sent again, a few times, under the same Idempotency-Key. Raises Problem when
   * that did not help.
   */
  async command(commands) {
    const answers = [];
    for (let start = 0; start < commands.length; start += COMMANDS) {
      answers.push(...(await this.#send(commands.slice(start, start + COMMANDS))));
    }
    return answers;
  }

  /** Return at most `pages` pages of GET /v1/alarms: {alarms, position, whole}. */
  async list(query, pages, signal) {
    const params = new URLSearchParams(query);
    params.set("limit", PAGE);
    const alarms = [];
    for (let page = 0; page < pages; page += 1) {
      const answer = await this.get(`/v1/alarms?${params}`, signal);
      alarms.push(...answer.alarms);
      if (answer.next === null) return { alarms, position: answer.position, whole: true };
      params.set("cursor", answer.next);
    }
    return { alarms, position: null, whole: false };
  }

  /** Return a page of an alarm's events after a revision. */
  history(id, after, limit) {
    return this.get(`/v1/alarms/${encodeURIComponent(id)}/events?after=${after}&limit=${limit}`);
  }

  /** Return the answer to a GET. Raises Problem, or AbortError. */
  async get(path, signal) {
    return this.#json(await this.#fetch(path, { signal: bounded(signal) }));
  }

  /** Return the file that a GET answers. Raises Problem. */
  async file(path) {
    const answer = await this.#fetch(path, {});
    if (!answer.ok) throw await problem(answer);
    return answer.blob();
  }

  async #send(commands) {
    const body = JSON.stringify(commands);
    const headers = { "Content-Type": "application/json", "Idempotency-Key": newKey() };
    for (let attempt = 1; ; attempt += 1) {
      try {
        const answers = await this.#json(
          await this.#fetch("/v1/commands", { method: "POST", body, headers, signal: bounded() }),
        );
        if (attempt === TRIES || !answers.some(isUnknown)) return answers;
      } catch (error) {
        if (attempt === TRIES || !isWorthRetrying(error)) throw error;
      }
      await new Promise((resolve) => setTimeout(resolve, FIRST_PAUSE_MS * 2 ** attempt));
    }
  }

  async #fetch(path, { headers = {}, ...options }) {
    const token = this.#token();
    if (token) headers.Authorization = `Bearer ${token}`;
    try {
      return await fetch(path, { ...options, headers, cache: "no-store" });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Problem(0, { detail: "the server cannot be reached" });
    }
  }

  async #json(answer) {
    if (answer.ok) return answer.json();
    const found = await problem(answer);
    if (found.status === 401) this.#onRefused(found.message);
    throw found;
  }
}

async function problem(answer) {
  const body = await answer.json().catch(() => ({}));
  return new Problem(answer.status, body);
}

const isUnknown = (answer) => answer.code === "outcome_unknown";
const isWorthRetrying = (error) => error.status === 0 || error.status === 503;

function bounded(signal) {
  const late = AbortSignal.timeout(CALL_MS);
  return signal ? AbortSignal.any([signal, late]) : late;
}

// crypto.randomUUID needs a secure context; this also serves plain HTTP inside a plant.
function newKey() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
