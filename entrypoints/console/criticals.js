// A filter, or a look into the past, never hides that a critical alarm waits.

import { byId, say } from "./dom.js";
import { count } from "./words.js";

/** Tell of the unacknowledged critical ones among `alarms` that are not shown; `past`: none of them are. */
export function tellHidden(alarms, view, past) {
  let hidden = 0;
  for (const { id, severity, state } of alarms) {
    if (severity === "critical" && state === "unacked" && (past || !view.get(id))) hidden += 1;
  }
  byId("hidden-criticals").hidden = hidden === 0;
  const why = past ? "now, not shown here" : "hidden by the filters";
  say(byId("hidden-criticals-text"), `${count(hidden, "unacknowledged critical alarm")} ${why}.`);
}
