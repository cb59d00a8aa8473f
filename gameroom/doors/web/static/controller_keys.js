// @ts-check
/** The keyboard of a controller: arrows move, space drops, wherever one is on the page but where one types. */

const MOVES = /** @type {Record<string, "left" | "drop" | "right">} */ ({ ArrowLeft: "left", ArrowRight: "right", ArrowDown: "drop", " ": "drop" });

export class Keys {
  /** @param {{client: {live: boolean}, press: (move: "left" | "drop" | "right") => void}} page */
  constructor(page) {
    this.page = page;
    addEventListener("keydown", (event) => this.pressed(event));
  }

  /** @param {KeyboardEvent} event */
  pressed(event) {
    const move = MOVES[event.key];
    if (!move || !this.page.client.live || event.ctrlKey || event.altKey || event.metaKey) return;
    const at = /** @type {HTMLElement | null} */ (event.target);
    if (at?.closest?.("input, textarea, select, [role=log]:not(.visually-hidden)")) return;
    // Space on a button or a link is that one's own.
    if (event.key === " " && at?.closest?.("button, a, summary")) return;
    event.preventDefault();
    // A disc is dropped once, however long the key is held.
    if (move === "drop" && event.repeat) return;
    this.page.press(move);
  }
}
