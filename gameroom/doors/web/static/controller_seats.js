// @ts-check
/** Who plays, with colour, whose turn it is, score and clock: a strip above the board. */
import { element } from "./dom.js";
import { shownName } from "./gameroom.js";

/** @typedef {{room: import("./gameroom.js").RoomConnection, game: any, least: number, playing: boolean, over: boolean, own: number | null, nameOf: (player: number) => string, names: Map<number, string>}} Drawn */

export class Seats {
  /** @param {import("./turn_games/clock.js").TurnClock} clock */
  constructor(clock) {
    this.clock = clock;
    this.element = element("ul", { className: "seats" });
    this.element.setAttribute("aria-label", "Who plays");
    this.drawn = "";
  }

  /** @param {Drawn} about */
  draw(about) {
    const { room, playing, over, names } = about;
    const sitting = room.players.filter(({ viewer, seat }) => !viewer && seat !== null).map(({ seat }) => seat + 1);
    const players = playing ? [...names.keys()] : over ? [...new Set([...names.keys(), ...sitting])] : sitting;
    const rows = players.sort((one, other) => one - other).map((player) => this.row(player, about));
    while (rows.length < about.least) rows.push(this.free());
    const html = rows.map((row) => row.outerHTML).join("");
    // What has not changed stays, and nobody who reads it is interrupted.
    if (html === this.drawn) return;
    this.drawn = html;
    this.element.replaceChildren(...rows);
    this.tick();
  }

  /** The time goes on. */
  tick() {
    const now = performance.now();
    for (const place of this.element.querySelectorAll(".clock")) {
      const shown = this.clock.shown(Number(place.dataset.of), now);
      place.textContent = shown?.text ?? "";
      place.toggleAttribute("data-low", !!shown?.low);
    }
  }

  free() {
    const row = element("li", {}, element("span", { className: "color" }), element("span", { className: "who" }, element("span", { className: "name", textContent: "Free" })));
    row.toggleAttribute("data-free", true);
    return row;
  }

  /** @param {number} player @param {Drawn} about */
  row(player, about) {
    const { room, game, playing, own, nameOf } = about;
    const member = room.players.find(({ seat, viewer }) => !viewer && seat === player - 1);
    // A seat that was left may have been taken since by somebody who did not play.
    const there = playing || !member ? nameOf(player) : shownName(member);
    const color = element("span", { className: "color", textContent: game.together ? there.slice(0, 1).toUpperCase() : "" });
    color.setAttribute("aria-hidden", "true");
    color.dataset.player = String(player);
    const say = [player === own && "you", !member ? "gone" : !member.connected && "away", !playing && member?.ready && "ready"].filter(Boolean);
    const name = element("span", { className: "name", textContent: there });
    const state = element("span", { className: "state", textContent: say.join(", ") });
    const row = element("li", {}, color, element("span", { className: "who" }, name, state));
    row.toggleAttribute("data-turn", playing && game.movers.includes(player) && !game.together);
    row.toggleAttribute("data-away", !!member && !member.connected);
    if (playing && this.clock.hands.has(player)) row.append(this.timer(player));
    if (game.together && (playing || about.over)) this.score(row, player, about);
    const hidden = element("span", { className: "visually-hidden", textContent: `, ${game.colors[player - 1]}` });
    name.append(hidden);
    return row;
  }

  /** What changes every second is not read out every second. @param {number} player */
  timer(player) {
    const place = element("span", { className: "clock" });
    place.setAttribute("role", "timer");
    place.dataset.of = String(player);
    return place;
  }

  /** @param {HTMLElement} row @param {number} player @param {Drawn} about */
  score(row, player, { game, playing }) {
    const score = element("span", { className: "score", textContent: String(game.scoreOf(player)) });
    score.append(element("span", { className: "visually-hidden", textContent: " points" }));
    const locked = playing && game.isLocked(player);
    row.toggleAttribute("data-locked", locked);
    if (locked) row.append(element("span", { className: "locked", textContent: "✓" }, element("span", { className: "visually-hidden", textContent: " has picked" })));
    row.append(score);
  }
}
