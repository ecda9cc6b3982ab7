// Builds elements. Text only ever becomes text: nothing in the console parses markup.

const SVG = "http://www.w3.org/2000/svg";

/**
 * Return a new element.
 *
 * props: `class`, `text`, `onclick` and other handlers, boolean properties (`hidden`, `checked`) and
 *        attributes; null and undefined are left out
 */
export function make(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) set(element, name, value);
  element.append(...children.flat().filter((child) => child != null && child !== false));
  return element;
}

function set(element, name, value) {
  if (value == null) return;
  if (name === "class") element.className = value;
  else if (name === "text") element.textContent = value;
  else if (typeof value === "function" || typeof value === "boolean") element[name] = value;
  else element.setAttribute(name, value);
}

/** Return an icon of the sprite in index.html, hidden from screen readers. */
export function icon(name, className = "icon") {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", className);
  svg.setAttribute("aria-hidden", "true");
  svg.append(document.createElementNS(SVG, "use"));
  setIcon(svg, name);
  return svg;
}

/** Change an icon. */
export function setIcon(svg, name) {
  svg.firstChild.setAttribute("href", `#i-${name}`);
}

/** Set a node's text if it differs: writing the same text would cost a layout. */
export function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export const byId = (id) => document.getElementById(id);
