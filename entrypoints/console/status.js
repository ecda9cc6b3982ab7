// The texts beside the list: how many alarms are shown, and why there are none or no new ones.

import { byId, say } from "./dom.js";

/** Tell how many alarms are shown; `ready`: whether there is a list, `whole`: whether all matching alarms are here. */
export function tellShown({ rows, waiting, paused }, filtered, ready, whole) {
  const newest = whole ? "" : ", only the newest normal ones";
  say(byId("shown"), filtered ? `${rows.length.toLocaleString()} shown${newest}` : "");
  const nothing = filtered ? "No alarm matches the filters." : "No alarms: everything is normal.";
  say(byId("empty"), ready ? nothing : "Reading the alarms …");
  byId("empty").hidden = rows.length > 0;
  say(byId("pause").lastElementChild, paused ? `Paused${waiting ? ` · ${waiting.toLocaleString()} wait` : ""}` : "Pause");
}
