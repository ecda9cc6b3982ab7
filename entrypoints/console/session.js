// Who is signed in: a token, kept for as long as the tab is open.

import { byId } from "./dom.js";

const KEY = "tocsin.token";

/** Asks for a token where the server wants one. */
export class Session {
  #dialog = byId("sign-in");
  #signedIn = null;

  /** `check(token)` resolves if the server takes it. */
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
    // There is nothing to see without it.
    this.#dialog.addEventListener("cancel", (event) => event.preventDefault());
    byId("sign-out").addEventListener("click", () => this.signOut());
    this.#show();
  }

  /** The token, or null. */
  get token() {
    return sessionStorage.getItem(KEY);
  }

  /** Whose it is, as far as the token tells. */
  get name() {
    try {
      const payload = this.token.split(".")[1].replace(/-/g, "+").replace(/_/g, "/");
      return JSON.parse(atob(payload)).sub ?? "signed in";
    } catch {
      return "signed in";
    }
  }

  /** Ask for a token, and resolve to it; `why`: what was wrong with the last one. */
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
