// @ts-check
/** Relay rooms: what one member sends the others get. */
import { Emitter } from "./base.js";
import { bytesOf } from "./packets.js";

/** @typedef {import("./room.js").RoomConnection} RoomConnection */
/** @typedef {{seat: number, user_id: string, name: string}} Player */
/** @typedef {{play_id: string, seed: number | string, configuration: any, players: Player[]}} RelayStart */

/**
 * A game in a relay room: the server passes on what members send, and keeps and checks nothing.
 *
 * Emits `game` {body, from}, `binary` {seat, from, data: Uint8Array}, `members` (everyone, at every change),
 * `welcome` (connected, and again after each lost connection: what was said meanwhile is lost), `start` (a `RelayStart`),
 * `over` {reason, results, play_id}.
 */
export class RelayClient extends Emitter {
  /** @param {{room: RoomConnection}} options */
  constructor({ room }) {
    super();
    this.room = room;
    /** The play that is on, or null. @type {RelayStart | null} */
    this.play = null;
    room.on("game", (message) => this.emit("game", { body: message.body, from: message.from }));
    room.on("binary", (data) => this.binary(data));
    room.on("players", (message) => this.emit("members", message.players));
    room.on("welcome", (message) => this.welcomed(message));
    room.on("start", (message) => this.started(message));
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

  get playing() {
    return this.play !== null;
  }

  /** Who sits there now. @param {number} seat */
  at(seat) {
    return this.members.find((member) => member.seat === seat);
  }

  /**
   * Say something to all the others, or to those named.
   * @param {any} body any JSON value, up to 64 KiB @param {string[]} [to] user_ids
   * @returns {boolean} whether there is a connection
   */
  send(body, to) {
    return this.room.send({ type: "game", body, ...(to && { to }) });
  }

  /** Send bytes to all the others, up to 64 KiB; viewers may not. @param {ArrayBuffer | Uint8Array} data @returns {boolean} whether there is a connection */
  sendBinary(data) {
    return this.room.sendBinary(data);
  }

  /** Be ready, or no longer; when all are, the play begins. @param {boolean} [ready] @returns {Promise<any>} */
  ready(ready = true) {
    return this.room.request({ type: "ready", ready });
  }

  /** The host starts the play. In a room's page that is the person's to do: a frame is refused with 102. @returns {Promise<any>} */
  start() {
    return this.room.request({ type: "start" });
  }

  /** The host ends the play. @param {any} [results] an object; `winners` in it are seats @returns {Promise<any>} rejects with 102 for anybody else */
  finish(results) {
    return this.room.request({ type: "finish", ...(results && { results }) });
  }

  /** @param {ArrayBuffer | Uint8Array} data */
  binary(data) {
    const bytes = bytesOf(data);
    if (bytes.length < 2) return;
    const seat = (bytes[0] << 8) | bytes[1];
    this.emit("binary", { seat, from: this.at(seat)?.user_id ?? null, data: bytes.subarray(2) });
  }

  /** @param {any} message */
  welcomed(message) {
    this.emit("welcome", message);
    this.emit("members", this.members);
    // Where the play is still on its start follows.
    if (this.play && message.room?.state?.startsWith("setup")) this.ended({ reason: "missed", play_id: this.play.play_id });
  }

  /** @param {RelayStart} message */
  started(message) {
    const known = this.play?.play_id === message.play_id;
    this.play = message;
    if (!known) this.emit("start", message);
  }

  /** @param {any} message */
  ended(message) {
    this.play = null;
    this.emit("over", message);
  }
}
