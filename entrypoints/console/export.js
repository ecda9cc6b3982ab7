// Saves the list as a file.

import { byId, make } from "./dom.js";
import { toast } from "./notices.js";

// How long the browser may take to begin saving the file.
const KEPT_MS = 10_000;

/** Let the button save GET /v1/alarms/export of the query that `query()` returns. */
export function exports(api, query) {
  byId("export").addEventListener("click", async () => {
    try {
      const file = URL.createObjectURL(await api.file(`/v1/alarms/export?${query()}`));
      make("a", { href: file, download: "alarms.csv" }).click();
      setTimeout(() => URL.revokeObjectURL(file), KEPT_MS);
    } catch (error) {
      toast(error.message, "problem");
    }
  });
}
