// @ts-check
/** What a room's page says where the rules are a micro game service: that it gets ready, how the last match ended, also one that ended while we were away. */
import { element } from "./dom.js";
import { ServiceClient } from "./gameroom.js";

/** @typedef {import("./gameroom.js").RoomConnection} RoomConnection @typedef {import("./gameroom.js").Over} Over */

/** @param {any} view the room, as `GET /join` shows it */
export const isService = (view) => view?.hosting === "service";

const NOT_READY = "The game's rules did not get ready, so the match did not start.";
/** Why a play is over that nobody has finished. @type {Record<string, string>} */
const BECAUSE = {
  abandoned: "Everybody has left.",
  lost: "The server was restarted, and what it kept of the match is gone.",
  missed: "The match ended while the connection was lost.",
};

/** The card of results that nothing else shows. @param {any} results @returns {HTMLElement[]} */
export function lastResult(results) {
  if (results === undefined || results === null) return [];
  const text = typeof results === "string" ? results : JSON.stringify(results, null, 2);
  return [element("h2", { textContent: "Result of the last match" }), element("pre", { className: "results", textContent: text, tabIndex: 0 })];
}

export class ServiceRoom {
  /**
   * @param {RoomConnection} room
   * @param {{began: () => void, ended: (over: Over) => void, notice: (text: string, bad?: boolean) => void}} around `ended` is told of each end once
   */
  constructor(room, { began, ended, notice }) {
    this.game = new ServiceClient({ room });
    /** The host has asked for a start, and has no answer yet. */
    this.starting = false;
    this.busy = "The game is getting ready…";
    /** What stands where the game would, where it has no page, and what it always says. @type {HTMLElement | null} */
    this.card = null;
    /** @type {Node[]} */
    this.lines = [];
    this.game.on("start", began);
    this.game.on("over", ended);
    room.on("state", (message) => message.reason === "start_failed" && notice(message.message ?? NOT_READY, true));
  }

  /** The host's start: its program may not run yet. @param {() => Promise<any>} ask */
  async start(ask) {
    this.starting = true;
    try {
      await ask();
    } finally {
      this.starting = false;
    }
  }

  /** What is to be said while it plays. @param {boolean} watching */
  during(watching) {
    return watching ? "You are watching." : "";
  }

  /** Why the last play ended, where there is more to say than who has won. */
  because() {
    return BECAUSE[this.game.last?.reason ?? ""] ?? "";
  }

  /** Fill the card of a game that has no page. */
  show() {
    this.card?.replaceChildren(...this.lines, ...(this.game.playing ? [] : lastResult(this.game.last?.results)));
  }
}
