// Which events call the operator.

import { SEVERITY_WORDS } from "./words.js";

/** Return the severities that called, and what to say of a critical one, or null. */
export function announced(events) {
  const severities = new Set();
  let critical = null;
  for (const { type, data, alarm } of events) {
    const calls = type === "alarm.raised" || (type === "alarm.updated" && data?.reannounced);
    // A journal entry, or one that is shelved, is recorded and calls nobody.
    if (!calls || alarm.state !== "unacked" || !alarm.annunciate) continue;
    severities.add(alarm.severity);
    if (alarm.severity === "critical") {
      critical = `${SEVERITY_WORDS.critical}: ${alarm.source} ${alarm.type}. ${alarm.text}`;
    }
  }
  return { severities, critical };
}
