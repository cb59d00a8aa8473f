// @ts-check
/** Server rooms: the game is played by a GameServer, a program of the game's own beside gameroom. */
import { Emitter } from "./base.js";
import {
  CONNECTED, ERROR, FIRST_OF_GAME, GAME_CONFIG, JSON_TEXT, LAST_OF_GAME, PING, PONG, RAW, encodeEnvelope, envelopesOf, jsonBytes, jsonOf,
} from "./envelopes.js";

/** @typedef {import("./room.js").RoomConnection} RoomConnection */
/** @typedef {import("./envelopes.js").Envelope} Envelope */

/**
 * What the GameServer was joined with: the fields of CONNECTED (docs/protocol/game-port.md). `details` is the GameServer's own word.
 * @typedef {object} Connected
 * @property {string} room_id
 * @property {string} game_id
 * @property {string} version
 * @property {string} status
 * @property {number} seat
 * @property {{seat: number, name: string}[]} players
 * @property {number} max_players
 * @property {string} party_code
 * @property {any} [details]
 */

const FIRST_RETRY = 1000;
const LAST_RETRY = 8000;
const BAD_STATE = 105;
const RATE_LIMITED = 106;

/** @typedef {{type: number, value: any, data: Uint8Array}} GameMessage `value`: what it says as JSON, undefined where it is bytes */

/**
 * A game whose GameServer holds its state: messages of the game's own go to it and come from it, numbered 32 to 63.
 *
 * Emits `connected` (a `Connected`: the GameServer has us, at the beginning of a play, and anew after each lost connection or reload),
 * `config` (what it says with GAME_CONFIG), `message` (a `GameMessage`), `error` {code, message} (the GameServer refuses something,
 * or has hung up), `away` (the way to it is lost, and comes back by itself), `over` {reason, results, play_id}, and as the other clients
 * `welcome` and `members`.
 */
export class ServerClient extends Emitter {
  /** @param {{room: RoomConnection}} options */
  constructor({ room }) {
    super();
    this.room = room;
    /** What we were joined with; null while there is no way to the GameServer. @type {Connected | null} */
    this.connected = null;
    /** What it has said with GAME_CONFIG. @type {any} */
    this.config = null;
    /** Where the GameServer of this play is itself, in direct mode: pages cannot dial it, but they can say so. @type {{host: string, port: number} | null} */
    this.address = null;
    this.playing = false;
    /** A play of ours has ended while we were away, and the room has not said how. */
    this.unsaid = false;
    this.retry = FIRST_RETRY;
    /** @type {any} */
    this.timer = null;
    room.on("binary", (frame) => this.frame(frame));
    room.on("players", (message) => this.emit("members", message.players));
    room.on("welcome", (message) => this.welcomed(message));
    room.on("state", (message) => this.state(message));
    room.on("over", (message) => this.ended(message));
    room.on("error", (message) => this.refused(message));
    // The answer to the ping behind our hello: whatever the room had to say of the last play was said before it.
    room.on("pong", () => this.unsaid && this.ended({ reason: "missed" }));
    room.on("connection", ({ state }) => state === "welcomed" || this.lost());
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
   * Say something to the GameServer.
   * @param {number} type 32 to 63, whatever the game means by it
   * @param {any} [value] any JSON value; an ArrayBuffer or a view of one goes as the bytes that it is. Up to 65,535 bytes
   * @returns {boolean} whether there is a way to it; what was said without one is not kept
   */
  send(type, value = {}) {
    if (!Number.isInteger(type) || type < FIRST_OF_GAME || type > LAST_OF_GAME) throw new RangeError(`a game's messages have types ${FIRST_OF_GAME} to ${LAST_OF_GAME}, not ${type}`);
    const raw = rawBytes(value);
    const whole = encodeEnvelope(type, raw ?? jsonBytes(value), raw ? RAW : JSON_TEXT);
    return this.connected !== null && this.room.sendBinary(whole, false);
  }

  /** Be ready, or no longer; when all are, the play begins. @param {boolean} [ready] @returns {Promise<any>} */
  ready(ready = true) {
    return this.room.request({ type: "ready", ready });
  }

  /** The host starts the play. In a room's page that is the person's to do: a frame is refused with 102. @returns {Promise<any>} answered once the GameServer is ready */
  start() {
    return this.room.request({ type: "start" });
  }

  // What comes.

  /** @param {ArrayBuffer | Uint8Array} frame */
  frame(frame) {
    for (const envelope of this.understood(() => [...envelopesOf(frame)]) ?? []) this.take(envelope);
  }

  /** @param {Envelope} envelope */
  take({ type, en, data }) {
    if (type === PING) return void this.room.sendBinary(encodeEnvelope(PONG, data, en), false);
    const known = type >= FIRST_OF_GAME || type === CONNECTED || type === GAME_CONFIG || type === ERROR;
    const value = known && en === JSON_TEXT ? this.understood(() => jsonOf(data)) : undefined;
    if (!known || (en === JSON_TEXT && value === undefined)) return;
    if (type >= FIRST_OF_GAME) this.emit("message", { type, value, data });
    else if (type === ERROR) this.erred({ code: value?.code ?? 199, message: value?.message ?? "The game's server refused something.", ...value });
    else if (type === GAME_CONFIG) this.emit("config", (this.config = en === JSON_TEXT ? value : data));
    else this.joined(value);
  }

  /**
   * What a GameServer says is its developer's concern, and what nobody can read is told as any other error.
   * @template T @param {() => T} read @returns {T | undefined}
   */
  understood(read) {
    try {
      return read();
    } catch (error) {
      this.emit("error", { code: 100, message: `The game's server said what cannot be read: ${/** @type {Error} */ (error).message}` });
    }
  }

  /** @param {Connected} connected */
  joined(connected) {
    this.playing = true;
    this.connected = connected;
    this.retry = FIRST_RETRY;
    this.emit("connected", connected);
  }

  /** Without CONNECTED an error says that we are not let in, now or ever. @param {{code: number, message: string, retry_after?: number}} error */
  erred(error) {
    this.emit("error", error);
    if (this.connected === null && [BAD_STATE, RATE_LIMITED].includes(error.code)) this.rejoin(error.retry_after);
  }

  /** The room could do nothing with a frame of ours: the GameServer has hung up. @param {any} message */
  refused({ code, reply_to }) {
    if (code !== BAD_STATE || reply_to !== undefined || this.connected === null) return;
    this.lost();
    this.rejoin();
  }

  /** Who says hello anew is joined anew. @param {number} [seconds] */
  rejoin(seconds = 0) {
    const { clock } = this.room;
    clock.clearTimeout(this.timer);
    this.timer = clock.setTimeout(() => this.playing && this.connected === null && this.room.state === "welcomed" && this.room.reopen(), Math.max(this.retry, 1000 * seconds));
    this.retry = Math.min(2 * this.retry, LAST_RETRY);
  }

  lost() {
    const had = this.connected !== null;
    this.connected = null;
    if (had) this.emit("away");
  }

  /** @param {any} message */
  welcomed(message) {
    const on = !!message.room?.state?.startsWith("running");
    this.locate(message);
    this.emit("welcome", message);
    this.emit("members", this.members);
    this.unsaid = this.playing && !on;
    this.playing = on;
  }

  /** @param {any} message */
  state(message) {
    this.playing = message.state.startsWith("running");
    this.locate(message);
  }

  /** @param {any} message */
  locate({ game_host: host, game_port: port }) {
    this.address = host ? { host, port } : null;
  }

  /** @param {any} message */
  ended(message) {
    this.playing = this.unsaid = false;
    this.connected = this.address = null;
    this.emit("over", message);
  }
}

/** @param {any} value @returns {Uint8Array | null} the bytes that it is, if it is any */
function rawBytes(value) {
  if (value instanceof ArrayBuffer) return new Uint8Array(value);
  return ArrayBuffer.isView(value) ? new Uint8Array(value.buffer, value.byteOffset, value.byteLength) : null;
}
