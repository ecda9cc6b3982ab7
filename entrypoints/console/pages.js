// The pages: the alarms, and the KPIs, which are loaded on first use.

import { byId } from "./dom.js";
import { toast } from "./notices.js";

const LINKS = [
  ["to-alarms", null],
  ["to-kpis", "kpis"],
];

/** Shows one page at a time. */
export class Pages {
  #api;
  #kpis = null;
  #onShow;

  /** `onShow(page)`: a link was followed. */
  constructor(api, onShow) {
    this.#api = api;
    this.#onShow = onShow;
    for (const [id, page] of LINKS) byId(id).addEventListener("click", (event) => this.#follow(event, page));
  }

  async show(page) {
    const kpis = page === "kpis";
    byId("alarms-page").hidden = kpis;
    byId("kpis-page").hidden = !kpis;
    for (const [id, linked] of LINKS) {
      if ((linked === "kpis") === kpis) byId(id).setAttribute("aria-current", "page");
      else byId(id).removeAttribute("aria-current");
    }
    if (kpis) await this.#load();
    this.#kpis?.show(kpis);
  }

  /** Draw again, in other colours. */
  redraw() {
    this.#kpis?.redraw();
  }

  #follow(event, page) {
    event.preventDefault();
    this.#onShow(page);
    this.show(page);
  }

  async #load() {
    try {
      const { KpiPage } = await import("./kpi.js");
      this.#kpis ??= new KpiPage(this.#api);
    } catch {
      toast("This page could not be loaded.", "problem");
    }
  }
}
