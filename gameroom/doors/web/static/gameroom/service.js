// @ts-check
/** Service rooms: the server keeps the game's state, a stateless program computes the next one from what members do. */
import { Emitter } from "./base.js";
import { bytesOf } from "./packets.js";

/** @typedef {import("./room.js").RoomConnection} RoomConnection */
/** @typedef {{play_id?: string, reason: string, results?: any}} Over */

const SILENT = "The game's rules do not answer just now.";

/**
 * A game whose rules are a micro game service (docs/protocol/game-service.md).
 *
 * What is said with `send` acts once and is in the kept state when its promise is kept, also over lost connections.
 * Emits `game` {body} and `binary` {data: Uint8Array} (what the game says to everybody, or to our seat alone), `start` (a play is on),
 * `paused` {message} and `resumed` (the service does not answer, and answers again), `over` {reason, results, play_id}, `members`
 * (everyone, at every change) and `welcome` (connected, and again after each lost connection: what the game has said last follows).
 */
export class ServiceClient extends Emitter {
  /** @param {{room: RoomConnection}} options */
  constructor({ room }) {
    super();
    this.room = room;
    this.playing = false;
    /** Why the play stands still, a sentence for a person; null where it does not. @type {string | null} */
    this.paused = null;
    /** How the last play ended, null before the first. @type {Over | null} */
    this.last = null;
    room.on("game", (message) => message.reply_to === undefined && this.emit("game", { body: message.body }));
    room.on("binary", (data) => this.emit("binary", { data: bytesOf(data) }));
    room.on("players", (message) => this.emit("members", message.players));
    room.on("welcome", (message) => this.welcomed(message));
    room.on("state", (message) => this.state(message));
    room.on("over", (message) => this.ended(message));
  }

  /** Who we are: {user_id, name, seat, viewer, host}; null before the welcome. */
  get you() {
    return this.room.you;
  }

  /** Everyone in the room: [{user_id, name, seat, viewer, host, connected, ready}]. */
  get members() {
    return this.room.players;
  }

  /** Who sits there now. @param {number} seat */
  at(seat) {
    return this.members.find((member) => member.seat === seat);
  }

  /**
   * Do something in the game. It is sent until it is answered, over lost connections too, and acts once.
   * @param {any} body any JSON value, up to 64 KiB
   * @returns {Promise<any>} kept when what came of it is stored; rejects with a `RoomError`: the game's own word (100, 102 to 105), 105 where nothing is played,
   *   106 where too much waits already, 0 where the connection is closed for good
   */
  send(body) {
    return this.room.perform({ type: "game", body });
  }

  /** Send bytes to the game, up to 64 KiB. They are not repeated, and what refuses them comes as an `error` of the room. @param {ArrayBuffer | Uint8Array} data @returns {boolean} whether there is a connection */
  sendBinary(data) {
    return this.room.sendBinary(data, false);
  }

  /** Be ready, or no longer; when all are, the play begins. @param {boolean} [ready] @returns {Promise<any>} */
  ready(ready = true) {
    return this.room.request({ type: "ready", ready });
  }

  /** The host starts the play. In a room's page that is the person's to do: a frame is refused with 102. @returns {Promise<any>} answered when the play is on */
  start() {
    return this.room.request({ type: "start" });
  }

  // What comes.

  /** @param {any} message */
  welcomed(message) {
    const last = message.last_play ?? null;
    const on = !!message.room?.state?.startsWith("running");
    const other = last !== null && last.play_id !== this.last?.play_id;
    // Ours has ended meanwhile, whether or not another is on already.
    const missed = this.playing && (!on || other);
    if (other) this.last = last;
    this.emit("welcome", message);
    this.emit("members", this.members);
    if (missed) this.ended(other ? last : { reason: "missed" });
    this.now(message.room?.state ?? "setup", message.message);
  }

  /** @param {any} message */
  state({ state, message }) {
    this.now(state, message);
  }

  /** The room's state is this now. @param {string} state @param {string} [message] */
  now(state, message) {
    const was = this.playing;
    this.playing = state.startsWith("running");
    if (this.playing && !was) this.emit("start");
    const paused = state.startsWith("running.paused") ? message ?? this.paused ?? SILENT : null;
    const changed = paused !== this.paused;
    this.paused = paused;
    if (paused !== null && changed) this.emit("paused", { message: paused });
    else if (paused === null && changed && this.playing) this.emit("resumed");
  }

  /** @param {any} message */
  ended(message) {
    this.playing = false;
    this.paused = null;
    const { reason, results, play_id } = message;
    this.last = { reason, results, play_id };
    this.emit("over", this.last);
  }
}
