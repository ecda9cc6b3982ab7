// A list of any length: only the rows in sight have elements. It draws at most once a frame.

// Rows above and below those in sight, so that scrolling shows no gap before the next frame.
const SPARE = 8;

/**
 * rows()             gives the rows, in order
 * make()             makes an empty slot: {element, ...}; its `drawn` is null when it shows nothing
 * fill(slot, row, index)   shows a row in a slot
 */
export class VirtualList {
  #scroller;
  #body;
  #parts;
  #slots = [];
  #frame = null;
  #height = 40;

  constructor(scroller, body, parts) {
    this.#scroller = scroller;
    this.#body = body;
    this.#parts = parts;
    scroller.addEventListener("scroll", () => this.draw(), { passive: true });
    new ResizeObserver(() => this.#measure()).observe(scroller);
    this.#measure();
  }

  /** Draw in the next frame. */
  draw() {
    this.#frame ??= requestAnimationFrame(() => {
      this.#frame = null;
      this.#draw();
    });
  }

  /** Bring a row into sight. */
  reveal(index) {
    const top = index * this.#height;
    const { scrollTop } = this.#scroller;
    const space = this.#space();
    if (top < scrollTop) this.#scroller.scrollTop = top;
    else if (top + this.#height > scrollTop + space) this.#scroller.scrollTop = top + this.#height - space;
  }

  /** How many rows fit. */
  get page() {
    return Math.max(1, Math.floor(this.#space() / this.#height));
  }

  /** How far below the list's upper edge the row ends, in pixels; null: out of sight. */
  offset(index) {
    const top = index * this.#height - this.#scroller.scrollTop;
    return index < 0 || top < 0 || top > this.#space() ? null : this.#body.offsetTop + top + this.#height;
  }

  /** The slot that an element is part of, with its `row` and `index`; undefined: none. */
  slotOf(element) {
    const found = element.closest?.("[role=row]");
    return this.#slots.find((slot) => slot.element === found && slot.row !== null);
  }

  #space() {
    return this.#scroller.clientHeight - this.#body.offsetTop;
  }

  #measure() {
    this.#height = parseFloat(getComputedStyle(this.#body).getPropertyValue("--row-px")) || 40;
    this.draw();
  }

  #draw() {
    const rows = this.#parts.rows();
    this.#body.style.height = `${rows.length * this.#height}px`;
    const first = Math.max(0, Math.floor(this.#scroller.scrollTop / this.#height) - SPARE);
    const last = Math.min(rows.length, first + this.page + 2 * SPARE + 1);
    this.#provide(this.page + 2 * SPARE + 1);
    const size = this.#slots.length;
    const used = new Set();
    for (let index = first; index < last; index += 1) {
      const slot = this.#slots[index % size];
      used.add(slot);
      if (slot.index !== index) {
        slot.index = index;
        slot.element.style.transform = `translateY(${index * this.#height}px)`;
      }
      slot.row = rows[index];
      slot.element.hidden = false;
      this.#parts.fill(slot, rows[index], index);
    }
    for (const slot of this.#slots) if (!used.has(slot)) vacate(slot);
  }

  #provide(number) {
    if (this.#slots.length === number) return;
    while (this.#slots.length < number) {
      const slot = this.#parts.make();
      vacate(slot);
      this.#slots.push(slot);
      this.#body.append(slot.element);
    }
    for (const slot of this.#slots.splice(number)) slot.element.remove();
    // The rows of slots depend on how many slots there are.
    for (const slot of this.#slots) slot.index = null;
  }
}

function vacate(slot) {
  slot.row = null;
  slot.index = null;
  slot.drawn = null;
  slot.element.hidden = true;
  // Another slot may show its row.
  slot.element.removeAttribute("id");
}
