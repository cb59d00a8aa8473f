// @ts-check
/** The seven numbers of Loners: where our cursor is, and who picked what in the round before. */
import { element } from "../dom.js";
import { NUMBERS } from "./loners.js";

/** @typedef {import("./loners.js").Loners} Loners */

export class LonersBoard {
  constructor() {
    this.tiles = NUMBERS.map((number) => {
      const picks = element("span", { className: "picks" });
      const tile = element("div", { className: "number" }, element("span", { className: "digit", textContent: String(number) }), picks);
      return { tile, picks };
    });
    this.row = element("div", { className: "numbers" }, ...this.tiles.map(({ tile }) => tile));
    this.row.setAttribute("role", "img");
    this.said = element("p", { className: "round" });
    this.element = element("div", { className: "loners" }, this.row, this.said);
  }

  /** @param {Loners} game @param {import("./connect_four.js").Seen} seen */
  draw(game, { own, asked, nameOf }) {
    this.row.setAttribute("aria-label", game.described());
    const { last } = game;
    this.tiles.forEach(({ tile, picks }, i) => {
      const number = i + 1;
      tile.toggleAttribute("data-cursor", own !== null && asked && game.cursor === i);
      tile.toggleAttribute("data-picked", game.pick === number);
      const by = last?.picks.filter(({ pick }) => pick === number) ?? [];
      tile.toggleAttribute("data-scored", by.length === 1 && by[0].player === last?.scorer);
      picks.replaceChildren(...by.map(({ player }) => this.dot(player, nameOf(player))));
    });
    this.said.textContent = last ? `Round ${last.turn}. ${game.lastText(nameOf)}` : "The lowest number that nobody else picks scores as many points as it is. First to 15 wins.";
  }

  /** @param {number} player @param {string} name */
  dot(player, name) {
    const dot = element("span", { className: "color", title: name, textContent: name.slice(0, 1).toUpperCase() });
    dot.dataset.player = String(player);
    return dot;
  }
}
