// @ts-check
/** The board of Connect Four, drawn: seven by six, and a row above it for the disc that is to be dropped. */
import { COLUMNS, ROWS } from "./connect_four.js";

/** @typedef {import("./connect_four.js").ConnectFour} ConnectFour */

const SVG = "http://www.w3.org/2000/svg";
const EDGE = 0.12;

/** @param {string} tag @param {Record<string, any>} attributes @param {Element[]} children @returns {any} */
function drawn(tag, attributes = {}, ...children) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value));
  made.append(...children);
  return made;
}

/** The front of the board: a plate with holes, behind which the discs fall. @returns {string} */
function plate() {
  const [width, height, round] = [COLUMNS + 2 * EDGE, ROWS + 2 * EDGE, 0.34];
  const frame = `M${round - EDGE} ${1 - EDGE}h${width - 2 * round}a${round} ${round} 0 0 1 ${round} ${round}v${height - 2 * round}a${round} ${round} 0 0 1 ${-round} ${round}h${2 * round - width}a${round} ${round} 0 0 1 ${-round} ${-round}v${2 * round - height}a${round} ${round} 0 0 1 ${round} ${-round}z`;
  const hole = (/** @type {number} */ x, /** @type {number} */ y) => `M${x + 0.1} ${y + 0.5}a0.4 0.4 0 1 0 0.8 0a0.4 0.4 0 1 0 -0.8 0z`;
  const holes = [...Array(COLUMNS * ROWS).keys()].map((i) => hole(i % COLUMNS, 1 + Math.floor(i / COLUMNS)));
  return frame + holes.join("");
}

/** A disc has a mark as well as a colour: a ring for red, a diamond for yellow. @param {number} player */
function disc(player) {
  const mark = player === 1 ? drawn("circle", { r: 0.21, class: "mark" }) : drawn("path", { d: "M0 -0.24L0.24 0L0 0.24L-0.24 0z", class: "mark" });
  return drawn("g", { class: "disc", "data-player": player }, drawn("circle", { r: 0.45 }), mark);
}

export class ConnectFourBoard {
  constructor() {
    this.discs = drawn("g");
    this.cursor = drawn("g", { class: "cursor" });
    this.lane = drawn("rect", { class: "lane", y: 1, width: 1, height: ROWS });
    this.line = drawn("g", { class: "line" });
    const well = drawn("rect", { class: "well", y: 1, width: COLUMNS, height: ROWS });
    const front = drawn("path", { class: "plate", d: plate(), "fill-rule": "evenodd" });
    /** @type {any} */
    this.element = drawn("svg", { class: "four", viewBox: `${-EDGE - 0.03} 0 ${COLUMNS + 2 * EDGE + 0.06} ${ROWS + 1 + EDGE + 0.03}`, role: "img" }, well, this.lane, this.discs, front, this.line, this.cursor);
    /** Each disc that is drawn, by "column,row". @type {Map<string, Element>} */
    this.places = new Map();
    /** Who the disc above the board belongs to. @type {number | null} */
    this.mover = null;
  }

  /** @param {ConnectFour} game @param {import("./connect_four.js").Seen} seen */
  draw(game, seen) {
    this.drawDiscs(game);
    this.drawCursor(game, seen);
    this.line.replaceChildren(...(game.line ?? []).map(([column, row]) => drawn("circle", { cx: column + 0.5, cy: ROWS - row + 0.5, r: 0.4 })));
    for (const [place, way] of this.places) way.classList.toggle("won", !!game.line?.some((cell) => cell.join() === place));
    this.element.toggleAttribute("data-over", !!game.line);
    this.element.setAttribute("aria-label", game.described());
  }

  /** @param {ConnectFour} game */
  drawDiscs(game) {
    const wanted = new Map(game.board.flatMap((column, x) => [...column].map((player, row) => [`${x},${row}`, Number(player)])));
    for (const [place, old] of this.places) {
      if (wanted.get(place) === Number(old.getAttribute("data-player"))) continue;
      old.remove();
      this.places.delete(place);
    }
    const added = [...wanted].filter(([place]) => !this.places.has(place));
    for (const [place, player] of added) {
      const [x, row] = place.split(",").map(Number);
      const made = disc(player);
      // One that was dropped just now falls; a board that comes as a whole is there.
      if (added.length === 1 && game.last?.column === x && game.last.row === row) made.classList.add("falling");
      const way = drawn("g", { transform: `translate(${x + 0.5} ${ROWS - row + 0.5})` }, made);
      made.style.setProperty("--from", `${row - ROWS}px`);
      made.style.setProperty("--row", String(row));
      way.setAttribute("data-player", player);
      this.places.set(place, way);
      this.discs.append(way);
    }
  }

  /** @param {ConnectFour} game @param {import("./connect_four.js").Seen} seen */
  drawCursor(game, { own, asked }) {
    const mover = game.mover;
    if (mover !== this.mover) this.cursor.replaceChildren(...(mover ? [disc(mover)] : []));
    this.mover = mover;
    this.cursor.style.setProperty("--x", `${game.cursor + 0.5}px`);
    this.lane.style.setProperty("--x", `${game.cursor}px`);
    this.lane.toggleAttribute("hidden", !(asked && mover === own));
    this.element.toggleAttribute("data-own", asked);
  }
}
