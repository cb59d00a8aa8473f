// @ts-check
/** Messages that are answered, and acted on once, whatever becomes of the connection (docs/protocol/controller.md). */
import { RoomError } from "./base.js";

/** @typedef {import("./room.js").RoomConnection} RoomConnection */
/** @typedef {{message: Record<string, any>, id: number | null, timer: any, resolve: (answer: any) => void, reject: (error: Error) => void}} Kept */

/** Without an answer for so long, in ms, a message is sent again with the same id. */
export const AGAIN_AFTER = 5000;
const REMEMBERED = 64;

/** The ids that came lately: what comes a second time is answered again, and not acted on. */
export class Repeats {
  constructor() {
    /** In the order in which they came. @type {Set<number>} */
    this.ids = new Set();
  }

  /** @param {number} id @returns {boolean} whether it came before */
  has(id) {
    if (this.ids.has(id)) return true;
    this.ids.add(id);
    if (this.ids.size > REMEMBERED) this.ids.delete(/** @type {number} */ (this.ids.values().next().value));
    return false;
  }
}

/** Our own messages that have no answer yet: sent again after 5 s, and first of all on a new connection, in their order. */
export class Unanswered {
  /** @param {RoomConnection} room */
  constructor(room) {
    this.room = room;
    /** @type {Kept[]} */
    this.kept = [];
  }

  /** @param {Record<string, any>} message @returns {Promise<any>} its answer; rejects with a `RoomError` */
  add(message) {
    return new Promise((resolve, reject) => {
      const kept = { message, id: null, timer: null, resolve, reject };
      this.kept.push(kept);
      if (this.room.state === "welcomed") this.send(kept);
    });
  }

  /** @param {Kept} kept */
  send(kept) {
    const { clock } = this.room;
    // Only now: a page that was just loaded learns from `welcome` which ids it has given out.
    kept.id ??= this.room.nextId++;
    clock.clearTimeout(kept.timer);
    kept.timer = clock.setTimeout(() => this.send(kept), AGAIN_AFTER);
    this.room.send({ ...kept.message, id: kept.id });
  }

  /** There is a new connection. */
  sendAll() {
    this.kept.forEach((kept) => this.send(kept));
  }

  /** The connection is lost. @param {RoomError | null} [error] given where it is lost for good */
  rest(error = null) {
    this.kept.forEach(({ timer }) => this.room.clock.clearTimeout(timer));
    if (!error) return;
    this.kept.splice(0).forEach(({ reject }) => reject(error));
  }

  /** @param {any} answer @returns {boolean} whether it is that of one of these */
  settle(answer) {
    const at = this.kept.findIndex(({ id }) => id !== null && id === answer.reply_to);
    if (at < 0) return false;
    const [{ resolve, reject, timer }] = this.kept.splice(at, 1);
    this.room.clock.clearTimeout(timer);
    if (answer.type === "error") reject(new RoomError(answer.code, answer.message, answer));
    else resolve(answer);
    return true;
  }
}
