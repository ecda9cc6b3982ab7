// What stands beside the list: how much of it is shown, and why there is nothing or nothing new.

import { byId, say } from "./dom.js";

/** Tell how many alarms are shown; `ready`: whether there is a list, `whole`: whether all that match are here. */
export function tellShown({ rows, waiting, paused }, filtered, ready, whole) {
  const newest = whole ? "" : ", of the normal ones the newest";
  say(byId("shown"), filtered ? `${rows.length.toLocaleString()} shown${newest}` : "");
  const nothing = filtered ? "No alarm matches the filters." : "No alarms: everything is normal.";
  say(byId("empty"), ready ? nothing : "Reading the alarms …");
  byId("empty").hidden = rows.length > 0;
  say(byId("pause").lastElementChild, paused ? `Paused${waiting ? ` · ${waiting.toLocaleString()} wait` : ""}` : "Pause");
}
