// Which events call the operator: those after which an alarm was announced later than it was known to be.

import { SEVERITY_WORDS } from "./words.js";

/** Remembers up to where operators were called, so that a list that fell behind or came back calls, too, and once. */
export class Caller {
  #known = new Map();

  /** A list is there: what stands in it calls nobody any more. */
  know(alarms) {
    this.#known = new Map([...alarms].map((alarm) => [alarm.id, alarm.announced_revision]));
  }

  /** Return the severities that call, and what to say of a critical one, or null. */
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
    // A journal entry calls nobody; what is shelved calls when it is back.
    if (state !== "unacked" || !annunciate || announced <= (this.#known.get(id) ?? 0)) return false;
    this.#known.set(id, announced);
    return true;
  }
}
