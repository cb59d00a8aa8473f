// @ts-check
/** Keys, swipes and the dash button, as headings and dashes. */
import { DASH, DOWN, LEFT, RIGHT, UP } from "./engine.js";

/** @type {Record<string, number>} */
const KEYS = {
  ArrowRight: RIGHT, ArrowDown: DOWN, ArrowLeft: LEFT, ArrowUp: UP,
  KeyD: RIGHT, KeyS: DOWN, KeyA: LEFT, KeyW: UP,
  Space: DASH,
};
const SWIPE = 16;

/**
 * @param {HTMLElement} floor
 * @param {HTMLElement} dash
 * @param {(command: number) => boolean} give whether it was of use: then the browser does nothing else with it
 */
export function listen(floor, dash, give) {
  addEventListener("keydown", (event) => {
    const command = KEYS[event.code];
    const elsewhere = event.target instanceof Element && event.target.closest("input, button, summary");
    if (command === undefined || event.ctrlKey || event.metaKey || event.altKey || elsewhere) return;
    if (event.repeat ? true : give(command)) event.preventDefault();
  });

  // A finger is a stick whose middle follows it: turning needs a few pixels, not a lift.
  /** @type {Map<number, {x: number, y: number, moved: boolean}>} */
  const fingers = new Map();
  floor.addEventListener("pointerdown", (event) => {
    if (event.target === dash) return;
    floor.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, { x: event.clientX, y: event.clientY, moved: false });
  });
  floor.addEventListener("pointermove", (event) => {
    const finger = fingers.get(event.pointerId);
    if (!finger) return;
    const [dx, dy] = [event.clientX - finger.x, event.clientY - finger.y];
    if (Math.max(Math.abs(dx), Math.abs(dy)) < SWIPE) return;
    Object.assign(finger, { x: event.clientX, y: event.clientY, moved: true });
    give(Math.abs(dx) > Math.abs(dy) ? (dx > 0 ? RIGHT : LEFT) : dy > 0 ? DOWN : UP);
  });
  floor.addEventListener("pointerup", (event) => fingers.delete(event.pointerId));
  floor.addEventListener("pointercancel", (event) => fingers.delete(event.pointerId));
  dash.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    give(DASH);
  });
  // A keyboard's or a screen reader's press has no pointer.
  dash.addEventListener("click", (event) => event.detail === 0 && give(DASH));
}
