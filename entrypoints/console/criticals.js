// Warns of critical alarms that a filter or a look into the past would hide.

import { byId, say } from "./dom.js";
import { count } from "./words.js";

/** Tell how many unacknowledged critical alarms of `alarms` are not shown; `past`: none of them is. */
export function tellHidden(alarms, view, past) {
  let hidden = 0;
  for (const { id, severity, state } of alarms) {
    if (severity === "critical" && state === "unacked" && (past || !view.get(id))) hidden += 1;
  }
  byId("hidden-criticals").hidden = hidden === 0;
  const why = past ? "now, not shown here" : "hidden by the filters";
  say(byId("hidden-criticals-text"), `${count(hidden, "unacknowledged critical alarm")} ${why}.`);
}
