// Opens the details of the alarm that the address names.

import { toast } from "./notices.js";

/** Opens alarms, by hand and by address. */
export class DeepLink {
  #api;
  #details;
  #parts;

  /** parts: {wanted(), find(id), remember(id)}; `wanted()`: the address's id, `find`: among the alarms here. */
  constructor(api, details, parts) {
    this.#api = api;
    this.#details = details;
    this.#parts = parts;
  }

  /** Show an alarm, and put it into the address. */
  open(alarm) {
    this.#details.show(alarm);
    this.#parts.remember(alarm.id);
  }

  /** Show the alarm that the address names, once there is a list; without one, close the details. */
  async visit() {
    const id = this.#parts.wanted();
    if (!id && this.#details.id) this.#details.close();
    if (!id || this.#details.id === id) return;
    try {
      const alarm = this.#parts.find(id) ?? (await this.#api.get(`/v1/alarms/${encodeURIComponent(id)}`));
      if (this.#parts.wanted() === id) this.#details.show(alarm);
    } catch (error) {
      toast(error.message, "problem");
    }
  }
}
