// Finds the events that call the operator: those that announce an alarm anew.

import { SEVERITY_WORDS } from "./words.js";

/** Remembers the last announcement of each alarm, so that a list that fell behind or reconnected calls just once. */
export class Caller {
  #known = new Map();

  /** Take the alarms of a new list as known: they call nobody. */
  know(alarms) {
    this.#known = new Map([...alarms].map((alarm) => [alarm.id, alarm.announced_revision]));
  }

  /** Return the severities that call, and the text for a critical alarm, or null. */
  calls(events) {
    const severities = new Set();
    let critical = null;
    for (const { alarm } of events) {
      if (!this.#isCall(alarm)) continue;
      severities.add(alarm.severity);
      if (alarm.severity === "critical") critical = `${SEVERITY_WORDS.critical}: ${alarm.source} ${alarm.type}. ${alarm.text}`;
    }
    return { severities, critical };
  }

  #isCall({ id, state, annunciate, announced_revision: announced }) {
    if (state === "normal") this.#known.delete(id);
    // A journal entry calls nobody; a shelved alarm calls when it is back.
    if (state !== "unacked" || !annunciate || announced <= (this.#known.get(id) ?? 0)) return false;
    this.#known.set(id, announced);
    return true;
  }
}
