// @ts-check
/** The host gives a free seat to a computer player. */
import { $, element } from "./dom.js";

/** @typedef {import("./gameroom.js").RoomConnection} RoomConnection */

/** What the levels of a game are called, from 1. @type {Record<string, string[]>} */
const LEVELS = { "connect-four": ["Beginner", "Easy", "Medium", "Strong", "Stronger", "Strongest"], loners: ["Easy", "Hard"] };
const FIRST = { "connect-four": 2, loners: 1 };

export class Bots {
  /**
   * @param {RoomConnection} room @param {import("./controller_page.js").ControllerPage} table
   * @param {any} view the room, as `GET /join` shows it @param {(text: string, bad?: boolean) => void} notice
   */
  constructor(room, table, view, notice) {
    this.room = room;
    this.table = table;
    this.view = view;
    this.notice = notice;
    const names = LEVELS[table.name] ?? ["Easy"];
    $("bot-level").replaceChildren(...names.map((name, i) => element("option", { value: String(i + 1), textContent: name })));
    $("bot-level").value = String(FIRST[/** @type {keyof typeof FIRST} */ (table.name)] ?? 1);
    $("bots").onsubmit = (/** @type {Event} */ event) => {
      event.preventDefault();
      this.add();
    };
  }

  /** @param {boolean} on whether a game is on */
  show(on) {
    const { room, view } = this;
    const free = room.players.filter(({ viewer }) => !viewer).length < view.max_players;
    $("bots").hidden = !room.you?.host || on || !free;
  }

  async add() {
    $("add-bot").disabled = true;
    try {
      await this.table.client.addBot(Number($("bot-level").value));
      this.notice("");
    } catch (error) {
      this.notice(/** @type {Error} */ (error).message, true);
    } finally {
      $("add-bot").disabled = false;
    }
  }
}
