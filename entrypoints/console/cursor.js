// The row that keys act on. The list has the focus, and names the row (aria-activedescendant).

/** Remembers an alarm and its place: when the alarm goes, the cursor is on the next one in that place. */
export class Cursor {
  /** The alarm's id; null: none. */
  id = null;
  #index = 0;
  #grid;
  #view;
  #list;

  constructor(grid, view, list) {
    this.#grid = grid;
    this.#view = view;
    this.#list = list;
  }

  /** Put the cursor on an alarm. */
  put(id) {
    this.id = id;
    this.settle();
  }

  /** Move the cursor by so many rows, and bring it into sight. */
  move(by) {
    const last = this.#view.rows.length - 1;
    const from = this.id === null && by > 0 ? -1 : this.#index;
    const index = Math.max(0, Math.min(last, from + by));
    this.put(this.#view.rows[index]?.id ?? null);
    this.#list.reveal(index);
    this.#list.draw();
    this.#grid.focus({ preventScroll: true });
  }

  /** Find the alarm again after the rows may have moved. */
  settle() {
    if (this.id === null) return;
    const index = this.#view.indexOf(this.id);
    if (index >= 0) this.#index = index;
    else this.id = this.#view.rows[Math.min(this.#index, this.#view.rows.length - 1)]?.id ?? null;
    if (this.id === null) this.#grid.removeAttribute("aria-activedescendant");
    else this.#grid.setAttribute("aria-activedescendant", `row-${this.id}`);
  }
}
