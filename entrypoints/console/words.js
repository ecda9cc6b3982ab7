// The console's words for things, and how it writes times.

/** Most severe first, in the order of the numbers in their shapes. */
export const SEVERITIES = ["critical", "major", "minor", "warning", "indeterminate"];

/** In the order of the list (the server's sort `state`). */
export const STATES = ["unacked", "rtn_unacked", "acked", "shelved", "suppressed", "out_of_service", "normal"];

export const STATE_WORDS = {
  unacked: "Unacked",
  rtn_unacked: "Returned, unacked",
  acked: "Acked",
  shelved: "Shelved",
  suppressed: "Suppressed",
  out_of_service: "Out of service",
  normal: "Normal",
};

export const SEVERITY_WORDS = {
  critical: "Critical",
  major: "Major",
  minor: "Minor",
  warning: "Warning",
  indeterminate: "Indeterminate",
};

/** The console's words for event types. */
export const EVENT_WORDS = {
  "alarm.raised": "Raised",
  "alarm.updated": "Updated",
  "alarm.cleared": "Returned to normal",
  "alarm.acknowledged": "Acknowledged",
  "alarm.confirmed": "Confirmed",
  "alarm.reset": "Reset",
  "alarm.shelved": "Shelved",
  "alarm.unshelved": "Unshelved",
  "alarm.suppressed": "Suppressed by design",
  "alarm.unsuppressed": "No longer suppressed",
  "alarm.removed_from_service": "Removed from service",
  "alarm.placed_in_service": "Placed in service",
  "alarm.assigned": "Assigned",
  "alarm.unassigned": "Unassigned",
  "alarm.commented": "Comment",
};

const UNITS = [
  [86_400, "d"],
  [3_600, "h"],
  [60, "m"],
  [1, "s"],
];

/** A duration in at most two units: "3h 12m". */
export function duration(seconds) {
  let left = Math.max(0, Math.floor(seconds));
  const parts = [];
  for (const [size, unit] of UNITS) {
    if (left >= size || (unit === "s" && parts.length === 0)) parts.push(`${Math.floor(left / size)}${unit}`);
    left %= size;
    if (parts.length === 2) break;
  }
  return parts.join(" ");
}

/** The time since a time of the server, or "" without one. */
export function age(time, now) {
  return time ? duration((now - Date.parse(time)) / 1000) : "";
}

const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
const full = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

/** A time as people write it, with the day unless it is today. */
export function moment(time) {
  if (!time) return "";
  const date = new Date(time);
  return date.toDateString() === new Date().toDateString() ? clock.format(date) : full.format(date);
}

/** A number with its noun: count(2, "alarm") is "2 alarms". */
export function count(number, noun) {
  return `${number.toLocaleString()} ${noun}${number === 1 ? "" : "s"}`;
}
