// Dark, light, or the system's theme.

import { byId } from "./dom.js";

const KEY = "tocsin.theme";
const THEMES = ["auto", "dark", "light"];

/** Let the button cycle through the themes; `onChange()` is called after each change. */
export function themes(onChange) {
  const show = () => {
    const theme = THEMES.includes(localStorage.getItem(KEY)) ? localStorage.getItem(KEY) : "auto";
    document.documentElement.dataset.theme = theme;
    byId("theme").lastElementChild.textContent = `Theme: ${theme}`;
    return theme;
  };
  byId("theme").addEventListener("click", () => {
    localStorage.setItem(KEY, THEMES[(THEMES.indexOf(show()) + 1) % THEMES.length]);
    show();
    onChange();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", onChange);
  show();
}
