// Synthesizes a sound for each severity. Off until the operator turns it on.

import { byId, icon, make, setIcon } from "./dom.js";
import { SEVERITIES, SEVERITY_WORDS } from "./words.js";

const KEY = "tocsin.sound";
const AT_ONCE = { on: false, critical: true, major: true, minor: false, warning: false, indeterminate: false };
// Tones of each severity: [Hz, seconds] in turn; more and higher ones are more urgent.
const TONES = {
  critical: [[988, 0.12], [784, 0.12], [988, 0.12], [784, 0.12], [988, 0.2]],
  major: [[784, 0.15], [659, 0.15], [784, 0.2]],
  minor: [[587, 0.18], [523, 0.2]],
  warning: [[523, 0.2]],
  indeterminate: [[392, 0.15]],
};
const LOUDNESS = 0.12;
// In a flood, one sound in this time instead of hundreds.
const PAUSE_MS = 2_500;

/** Plays the sounds that the operator chose when alarms call. */
export class Sound {
  #choice = { ...AT_ONCE, ...stored() };
  #context = null;
  #quietUntil = 0;
  /** How many sounds were played, for tests. */
  played = 0;

  constructor() {
    byId("sound").addEventListener("click", () => byId("sound-settings").showModal());
    byId("sound-choices").append(
      this.#box("on", "Sound on"),
      ...SEVERITIES.map((severity) => this.#box(severity, SEVERITY_WORDS[severity], severity)),
    );
    // Browsers let a page make sounds only after somebody used it.
    for (const type of ["pointerdown", "keydown"]) addEventListener(type, () => this.#wake(), { capture: true });
    this.#show();
  }

  /** Turn sound on or off: the alarms stay as they are. */
  toggle() {
    this.#choose("on", !this.#choice.on);
  }

  /** Play a sound for alarms of these severities. */
  call(severities) {
    const loudest = SEVERITIES.find((severity) => severities.has(severity) && this.#choice[severity]);
    const now = performance.now();
    if (!this.#choice.on || loudest === undefined || now < this.#quietUntil) return;
    this.#quietUntil = now + PAUSE_MS;
    this.#play(loudest);
  }

  #wake() {
    if (!this.#choice.on) return;
    this.#context ??= new AudioContext();
    if (this.#context.state === "suspended") this.#context.resume();
  }

  #play(severity) {
    this.played += 1;
    this.#wake();
    let at = this.#context.currentTime + 0.02;
    for (const [pitch, seconds] of TONES[severity]) {
      const tone = new OscillatorNode(this.#context, { frequency: pitch, type: "triangle" });
      const gain = new GainNode(this.#context, { gain: 0 });
      gain.gain.linearRampToValueAtTime(LOUDNESS, at + 0.01);
      gain.gain.setValueAtTime(LOUDNESS, at + seconds - 0.03);
      gain.gain.linearRampToValueAtTime(0, at + seconds);
      tone.connect(gain).connect(this.#context.destination);
      tone.start(at);
      tone.stop(at + seconds);
      at += seconds;
    }
  }

  #choose(name, value) {
    this.#choice[name] = value;
    localStorage.setItem(KEY, JSON.stringify(this.#choice));
    this.#wake();
    this.#show();
  }

  #box(name, word, severity) {
    const box = make("input", { type: "checkbox", "data-choice": name });
    box.addEventListener("change", () => this.#choose(name, box.checked));
    const listen = make("button", { type: "button", class: "quiet", text: "Listen" });
    listen.addEventListener("click", () => {
      this.#context ??= new AudioContext();
      this.#play(severity);
    });
    const shape = severity && icon(severity, "icon severity-icon");
    const label = make("label", { class: `choice severity-${severity ?? "none"}` }, box, shape, make("span", { text: word }));
    return make("div", { class: "sound-choice" }, label, severity && listen);
  }

  #show() {
    for (const box of byId("sound-choices").querySelectorAll("input")) box.checked = this.#choice[box.dataset.choice];
    const { firstElementChild: shape, lastElementChild: word } = byId("sound");
    setIcon(shape, this.#choice.on ? "bell" : "bell-off");
    word.textContent = this.#choice.on ? "Sound on" : "Sound off";
  }
}

function stored() {
  try {
    return JSON.parse(localStorage.getItem(KEY)) ?? {};
  } catch {
    return {};
  }
}
