// @ts-check
/** Controller rooms: a turn game that runs in the server, and three buttons. */
import { Emitter } from "./base.js";

/** @typedef {import("./room.js").RoomConnection} RoomConnection */
/** @typedef {"left" | "right" | "drop"} Move */

/**
 * One controller, or one screen that shows the game.
 *
 * What is asked of the room here is answered once and done once, also over lost connections; what the room says is acknowledged
 * by the connection below. Emits `welcome` (connected, the first time and each time after a loss; `game` holds the present game or
 * null, `last` how the one before has ended, where none is on), `members`, each event of the game under its name (`game_start`, `request_move`, `cursor`, `board`, `game_over`, and what
 * a game has of its own), `move_received` (the answer to our own move), and `over` {reason, results, play_id}.
 */
export class ControllerClient extends Emitter {
  /** @param {{room: RoomConnection}} options */
  constructor({ room }) {
    super();
    this.room = room;
    /** Whether a game is on. */
    this.playing = false;
    /** Whether the room has asked us for a move, and waits for it. */
    this.asked = false;
    /** The turn that the room has asked us for last, and the one that we have made last. */
    this.turn = this.done = 0;
    room.on("welcome", (message) => this.welcomed(message));
    room.on("players", (message) => this.emit("members", message.players));
    // Answers come by themselves, to whoever asked.
    room.on("game", (message) => message.reply_to === undefined && this.happened(message.body ?? {}));
    room.on("over", (message) => this.ended(message));
  }

  get you() {
    return this.room.you;
  }

  get members() {
    return this.room.players;
  }

  /** Our number in the game, seat + 1; null for who watches. @returns {number | null} */
  get player() {
    return !this.you || this.you.viewer || this.you.seat === null ? null : this.you.seat + 1;
  }

  /** Whether a button would do something now. */
  get live() {
    return this.asked && this.room.state === "welcomed";
  }

  /** Take part. @returns {Promise<{player?: number, full?: boolean}>} our number, and we are ready by that; or `full` */
  join() {
    return this.say({ do: "join" });
  }

  /** Be ready for the next game. @returns {Promise<any>} */
  ready() {
    return this.say({ do: "ready" });
  }

  /** Out of the game that is on. @returns {Promise<any>} */
  leave() {
    return this.say({ do: "leave" });
  }

  /** Press a button. @param {Move} move @returns {Promise<any>} rejects with a `RoomError` 105 where this cannot be done; it is still our turn then */
  async press(move) {
    const { turn } = this;
    const answer = await this.say({ do: move });
    if (move === "drop") this.made(turn);
    this.emit("move_received", { ...answer, do: move });
    return answer;
  }

  /** The host gives a free seat to a computer player. @param {number} [level] from 1 @returns {Promise<any>} */
  addBot(level = 1) {
    return this.room.perform({ type: "add_bot", level });
  }

  /** @param {Record<string, any>} body @returns {Promise<any>} the body of the answer */
  async say(body) {
    const answer = await this.room.perform({ type: "game", body });
    return answer.body ?? answer;
  }

  /** @param {number} turn */
  made(turn) {
    this.done = Math.max(this.done, turn);
    if (this.turn === turn) this.asked = false;
  }

  /** @param {any} message */
  welcomed({ you, game, last_game, room }) {
    this.playing = !!game;
    // The room asks again, with what follows.
    this.asked = false;
    this.emit("welcome", { game: game ?? null, last: last_game ?? null, room, you });
  }

  /** @param {Record<string, any>} body */
  happened(body) {
    if (body.event === "game_start") this.playing = true;
    if (body.event === "game_over") this.playing = false;
    if (body.event === "game_start" || body.event === "game_over") this.asked = false;
    if (body.event === "game_over") this.turn = this.done = 0;
    if (body.event === "request_move") {
      // After a new connection the room may ask for what we have just done: our move and its question have met on the way.
      if (body.turn <= this.done) return;
      this.turn = body.turn;
      this.asked = true;
    }
    if (typeof body.event === "string") this.emit(body.event, body);
  }

  /** @param {any} message */
  ended(message) {
    this.playing = this.asked = false;
    this.turn = this.done = 0;
    this.emit("over", message);
  }
}
