// The operator's token, kept for as long as the tab is open.

import { byId } from "./dom.js";

const KEY = "tocsin.token";

/** Asks for a token if the server wants one. */
export class Session {
  #dialog = byId("sign-in");
  #signedIn = null;

  /** `check(token)` resolves if the server accepts the token. */
  constructor(check) {
    byId("sign-in-form").addEventListener("submit", async (event) => {
      event.preventDefault();
      const token = byId("token").value.trim();
      try {
        await check(token);
        this.#take(token);
      } catch (error) {
        this.#explain(error.message);
      }
    });
    // Without a token there is nothing to see.
    this.#dialog.addEventListener("cancel", (event) => event.preventDefault());
    byId("sign-out").addEventListener("click", () => this.signOut());
    this.#show();
  }

  /** The token, or null. */
  get token() {
    return sessionStorage.getItem(KEY);
  }

  /** The token's subject, if it can be read. */
  get name() {
    try {
      const payload = this.token.split(".")[1].replace(/-/g, "+").replace(/_/g, "/");
      return JSON.parse(atob(payload)).sub ?? "signed in";
    } catch {
      return "signed in";
    }
  }

  /** Ask for a token, and resolve to it; `why`: the fault of the last one. */
  ask(why = "") {
    if (!this.#dialog.open) {
      this.#explain(why);
      this.#dialog.showModal();
    }
    if (this.#signedIn === null) {
      let resolve;
      const promise = new Promise((done) => (resolve = done));
      this.#signedIn = { promise, resolve };
    }
    return this.#signedIn.promise;
  }

  /** Forget the token. */
  signOut() {
    sessionStorage.removeItem(KEY);
    location.reload();
  }

  #take(token) {
    sessionStorage.setItem(KEY, token);
    byId("token").value = "";
    this.#dialog.close();
    this.#show();
    this.#signedIn?.resolve(token);
    this.#signedIn = null;
  }

  #explain(why) {
    byId("sign-in-problem").textContent = why;
  }

  #show() {
    byId("account").hidden = this.token === null;
    byId("who").textContent = this.token === null ? "" : this.name;
  }
}
