// Which key does what.

import { byId } from "./dom.js";

/** Return the bindings for keys(). parts: {cursor, list, selection, travel, sound, open(), command(name), pause(), escape()} */
export function bindings({ cursor, list, selection, travel, sound, open, command, pause, escape }) {
  return [
    [["j", "ArrowDown"], "Next alarm", () => cursor.move(1)],
    [["k", "ArrowUp"], "Previous alarm", () => cursor.move(-1)],
    [["PageDown"], "A page down", () => cursor.move(list.page)],
    [["PageUp"], "A page up", () => cursor.move(-list.page)],
    [["g", "Home"], "First alarm", () => cursor.move(-Infinity)],
    [["G", "End"], "Last alarm", () => cursor.move(Infinity)],
    [["Enter", "o"], "Details and history", open],
    [["x", " "], "Select", () => cursor.id && selection.toggle(cursor.id)],
    [["Ctrl+a"], "Select all shown", () => selection.all()],
    [["a"], "Acknowledge", () => command("acknowledge")],
    [["c"], "Clear", () => command("clear")],
    [["s"], "Shelve", () => command("shelve")],
    [["u"], "Unshelve", () => command("unshelve")],
    [["i"], "Assign", () => command("assign")],
    [["n"], "Comment", () => command("comment")],
    [["/"], "Search", () => byId("q").focus()],
    [["p"], "Pause, go on", pause],
    [["t"], "Time travel", () => travel.toggle()],
    [["m"], "Sound on, off", () => sound.toggle()],
    [["Escape"], "Close, select none, back to live", escape],
    [["?"], "This page", () => byId("keys").showModal()],
  ];
}
