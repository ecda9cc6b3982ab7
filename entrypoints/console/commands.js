// The commands an operator gives to one alarm or to many; dialogs ask for what they need.

import { byId, make } from "./dom.js";
import { RowNotice, toast } from "./notices.js";
import { count } from "./words.js";

const SHELVES = [
  ["900", "15 minutes"],
  ["3600", "1 hour"],
  ["14400", "4 hours"],
  ["28800", "8 hours"],
  ["86400", "24 hours"],
  ["", "Until it clears"],
];

const reason = { name: "reason", label: "Reason", required: true, long: true };
const reported = (alarm) => Object.keys(alarm.origins).length > 0;

/**
 * By name: `word`, on its button; `done`, the alarm's new state in words; `fits`, whether an alarm takes it;
 * `ask`, its dialog; `more`, what is sent beside command and alarm_id.
 */
export const COMMANDS = {
  acknowledge: {
    word: "Acknowledge",
    done: "acknowledged",
    fits: (alarm) => !alarm.acked,
    more: (alarm) => ({ revision: alarm.revision }),
  },
  clear: {
    word: "Clear",
    done: "cleared",
    fits: (alarm) => reported(alarm),
    ask: { text: "For alarms whose source will not report that the condition is gone." },
  },
  reset: { word: "Reset", done: "reset", fits: (alarm) => alarm.latched && !reported(alarm) },
  confirm: { word: "Confirm", done: "confirmed", fits: (alarm) => alarm.acked && !alarm.confirmed && alarm.occurrence > 0 },
  shelve: {
    word: "Shelve",
    done: "shelved",
    fits: (alarm) => alarm.shelving === "unshelved",
    ask: {
      text: "Out of sight for a while; it is recorded all the same.",
      fields: [{ name: "seconds", label: "For", choices: SHELVES }, reason],
    },
    more: (_, { seconds, reason: why }) => ({ ...(seconds && { seconds: Number(seconds) }), reason: why }),
  },
  unshelve: { word: "Unshelve", done: "unshelved", fits: (alarm) => alarm.shelving !== "unshelved" },
  assign: {
    word: "Assign",
    done: "assigned",
    fits: () => true,
    ask: { fields: [{ name: "assignee", label: "To whom", required: true }] },
    more: (_, { assignee }) => ({ assignee }),
  },
  unassign: { word: "Unassign", done: "unassigned", fits: (alarm) => alarm.assignee !== null },
  comment: {
    word: "Comment",
    done: "commented on",
    fits: () => true,
    ask: { fields: [{ name: "text", label: "Comment", required: true, long: true }] },
    more: (_, { text }) => ({ text }),
  },
  remove_from_service: {
    word: "Out of service",
    done: "removed from service",
    fits: (alarm) => !alarm.out_of_service,
    ask: { text: "For maintenance: it stays out until it is placed in service.", fields: [reason] },
    more: (_, { reason: why }) => ({ reason: why }),
  },
  place_in_service: {
    word: "Place in service",
    done: "placed in service",
    fits: (alarm) => alarm.out_of_service,
    ask: { fields: [reason] },
    more: (_, { reason: why }) => ({ reason: why }),
  },
};

/** The names of the commands that at least one of the alarms takes. */
export function fitting(alarms) {
  return Object.keys(COMMANDS).filter((name) => alarms.some(COMMANDS[name].fits));
}

/** Asks for what a command needs, sends it, and shows its outcome. */
export class Commander {
  /** Ids of alarms with a command under way. */
  pending = new Set();
  #api;
  #onChange;
  #notice;

  /** `onChange()`: `pending` has changed. `offset`: see RowNotice. */
  constructor(api, onChange, offset) {
    this.#api = api;
    this.#onChange = onChange;
    this.#notice = new RowNotice(offset);
  }

  /** Give a command to those of the alarms that take it; resolve to whether it was given. */
  async give(name, alarms) {
    const { fits, ask, more = () => ({}), word } = COMMANDS[name];
    const fit = alarms.filter(fits);
    if (fit.length === 0) {
      if (alarms.length > 0) toast(`${word}: ${alarms.length === 1 ? "the alarm does" : "these alarms do"} not take it now.`, "problem");
      return false;
    }
    const values = ask ? await askFor(word, ask, fit) : {};
    if (values === null) return false;
    const items = fit.map((alarm) => ({ command: name, alarm_id: alarm.id, ...more(alarm, values) }));
    await this.#send(name, items, fit);
    return true;
  }

  async #send(name, items, alarms) {
    this.#notice.clear();
    for (const { id } of alarms) this.pending.add(id);
    this.#onChange();
    try {
      this.#tell(name, await this.#api.command(items), alarms);
    } catch (error) {
      this.#refused(alarms, error.message, alarms.length);
    } finally {
      for (const { id } of alarms) this.pending.delete(id);
      this.#onChange();
    }
  }

  #tell(name, answers, alarms) {
    const refused = answers.map((answer, index) => ({ answer, alarm: alarms[index] })).filter(({ answer }) => answer.code);
    const done = answers.length - refused.length;
    if (alarms.length > 1 && done > 0) toast(`${count(done, "alarm")} ${COMMANDS[name].done}.`);
    if (refused.length > 0) {
      this.#refused(refused.map(({ alarm }) => alarm), refused[0].answer.detail, alarms.length);
    }
  }

  #refused(alarms, detail, of) {
    const [{ id, source, type }] = alarms;
    if (of === 1) this.#notice.say(id, `${source} ${type}: ${detail}`);
    else toast(`${count(alarms.length, "alarm")} refused; the first, ${source} ${type}: ${detail}`, "problem");
  }
}

// Ask in a dialog; resolve to the values by name, or null if it was cancelled.
function askFor(word, { text = "", fields = [] }, alarms) {
  const dialog = byId("asking");
  const [{ source, type }] = alarms;
  byId("asking-title").textContent = alarms.length === 1 ? `${word}: ${source} ${type}` : `${word}: ${count(alarms.length, "alarm")}`;
  byId("asking-text").textContent = text;
  byId("asking-ok").textContent = word;
  const inputs = fields.map(field);
  byId("asking-fields").replaceChildren(...inputs.map(({ label }) => label));
  return new Promise((resolve) => {
    let values = null;
    byId("asking-form").onsubmit = (event) => {
      event.preventDefault();
      values = Object.fromEntries(inputs.map(({ name, input }) => [name, input.value.trim()]));
      dialog.close();
    };
    byId("asking-cancel").onclick = () => dialog.close();
    dialog.onclose = () => resolve(values);
    dialog.showModal();
    (inputs[0]?.input ?? byId("asking-ok")).focus();
  });
}

function field({ name, label, choices, required = false, long = false }) {
  const input = choices
    ? make("select", { name }, ...choices.map(([value, text]) => make("option", { value, text })))
    : make(long ? "textarea" : "input", { name, required, rows: long ? "3" : null, maxlength: "1000" });
  return { name, input, label: make("label", { class: "field" }, make("span", { text: label }), input) };
}
