// @ts-check
/** What a room's page says where the game is played by a GameServer: that it gets ready, where it is, how its last match ended. */
import { element } from "./dom.js";
import { kept } from "./kept.js";
import { lastResult } from "./service_room.js";

/** @typedef {import("./gameroom.js").RoomConnection} RoomConnection */

/** @param {any} view the room, as `GET /join` shows it */
export const isServer = (view) => view?.hosting === "server";

const NOT_READY = "The game's server did not get ready, so the match did not start.";
/** Why a play is over that nobody has finished. @type {Record<string, string>} */
const BECAUSE = {
  abandoned: "Everybody has left.",
  lost: "The server was restarted, and the match ended with it.",
  missed: "The match ended while the connection was lost.",
  server_ended: "The game's server ended without saying who won.",
  server_crashed: "The game's server crashed.",
  server_silent: "The game's server stopped answering.",
  server_misbehaved: "The game's server said something that makes no sense, and was stopped.",
};
const LOOPBACK = ["127.0.0.1", "localhost", "::1"];

/** A host that was not told its name calls itself loopback; from here it is the page's own. @param {string} host */
const reachable = (host) => (LOOPBACK.includes(host) ? location.hostname : host);

/** @param {string} text */
const code = (text) => element("code", { textContent: text });

export class ServerRoom {
  /**
   * @param {RoomConnection} room
   * @param {{view: any, began: () => void, missed: () => void, notice: (text: string, bad?: boolean) => void, changed: () => void}} around
   *   `view`: what anyone may know of the room; `missed`: the play that was on has ended meanwhile
   */
  constructor(room, { view, began, missed, notice, changed }) {
    this.room = room;
    this.view = view;
    /** The host has asked for a start, and has no answer yet. */
    this.starting = false;
    this.busy = "The game's server is getting ready…";
    this.playing = false;
    /** Where the GameServer itself is, in direct mode. @type {string} */
    this.address = "";
    /** How the last play ended. @type {any} */
    this.last = null;
    /** The play that was on has ended while we were away, and the room has not said how. */
    this.unsaid = false;
    /** What stands where the game would, where it has no page. @type {HTMLElement | null} */
    this.card = null;
    room.on("welcome", (message) => {
      const was = this.playing;
      this.heard(message, message.room.state);
      this.unsaid = was && !this.playing;
    });
    // The answer to the ping behind our hello: how the last play ended was said before it, if it is known.
    room.on("pong", () => {
      if (!this.unsaid) return;
      this.unsaid = false;
      this.last = { reason: "missed" };
      missed();
    });
    room.on("state", (message) => {
      const was = this.playing;
      this.heard(message, message.state);
      if (this.playing && !was) began();
      if (message.reason === "start_failed") notice(message.message ?? NOT_READY, true);
      changed();
    });
    room.on("over", (message) => {
      this.playing = this.unsaid = false;
      this.address = "";
      this.last = message;
    });
  }

  /** @param {any} message @param {string} state */
  heard({ game_host: host, game_port: port }, state) {
    this.playing = state.startsWith("running");
    this.address = host ? `${reachable(host)}:${port}` : "";
  }

  /** The host's start: it may take the GameServer some seconds. @param {() => Promise<any>} ask */
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
    if (this.address) return `The game's server is at ${this.address}.`;
    return watching ? "The match is on. Only its players see it." : "";
  }

  /** Why the last play ended, where there is more to say than who has won. */
  because() {
    return BECAUSE[this.last?.reason] ?? "";
  }

  /** Fill the card of a game that has no page. */
  show() {
    if (!this.card) return;
    const { view } = this;
    const me = this.room.you;
    const account = kept.account?.username;
    const host = LOOPBACK.includes(location.hostname) ? "" : ` --server ${location.hostname}`;
    const door = view.game_port ? `${reachable(view.game_host)}:${view.game_port}` : "";
    const steps = [element("li", {}, code(`gameroom play${host}`), " in a terminal downloads it and starts it; the party code is ", code(view.party_code), ".")];
    if (this.address) steps.push(element("li", {}, "Its program, started by hand, connects to the game's server: ", code(this.address), "."));
    else if (door) steps.push(element("li", {}, "Its program, started by hand, connects to the game port ", code(door), " and joins by the party code."));
    const seat = !me || me.viewer ? "" : me.user_id === account ? `You have a seat: the program, logged in as ${account}, takes it over from this page.` : "You have a guest's seat here, which no program can take over: leave, and join with the program.";
    this.card.replaceChildren(
      element("h2", { textContent: "Played with its own program" }),
      element("p", { textContent: "This game has no page: each player starts its program. Here you see who is there, and the host starts the match." }),
      element("ul", { className: "stack tight bullets" }, ...steps),
      ...(seat ? [element("p", { className: "quiet", textContent: seat })] : []),
      ...(this.playing ? [] : lastResult(this.last?.results)),
    );
  }
}
