// @ts-check
/** The connection to a room: hello, requests, ping, made-up latency and loss. */
import { Emitter, RoomError, systemClock } from "./base.js";
import { MASTER, bytesOf } from "./packets.js";
import { viewRoom } from "./rest.js";
import { Repeats, Unanswered } from "./transactions.js";
import { FINAL, PortTransport, SocketTransport, socketUrls } from "./transports.js";

/** @typedef {import("./base.js").Clock} Clock */
/** @typedef {import("./rest.js").Seat} Seat */
/** @typedef {import("./transports.js").Transport} Transport */
/** @typedef {import("./transports.js").Gone} Gone */

/** Delivers things later, and in the order in which they came. */
class DelayLine {
  /** @param {Clock} clock */
  constructor(clock) {
    this.clock = clock;
    this.last = 0;
    this.timers = new Set();
  }

  /** @param {number} delay ms @param {() => void} deliver */
  after(delay, deliver) {
    if (delay <= 0 && this.timers.size === 0) return deliver();
    const due = Math.max(this.last, this.clock.now() + delay);
    this.last = due;
    const timer = this.clock.setTimeout(() => {
      this.timers.delete(timer);
      deliver();
    }, due - this.clock.now());
    this.timers.add(timer);
  }

  clear() {
    this.timers.forEach((timer) => this.clock.clearTimeout(timer));
    this.timers.clear();
    this.last = 0;
  }
}

const PING_EVERY = 1500;
const SILENCE = 12000;

/**
 * A member's connection to its room. Emits each room message under its `type`, binary frames as `binary`, and
 * `connection` with `{state, reason?, retryIn?}`, where `state` is `connecting`, `welcomed`, `away` (it comes back by
 * itself) or `closed` (for good).
 */
export class RoomConnection extends Emitter {
  /**
   * @param {Transport} transport
   * @param {{token?: string, clock?: Clock, random?: () => number}} [options]
   */
  constructor(transport, { token, clock = systemClock, random = Math.random } = {}) {
    super();
    this.transport = transport;
    this.token = token;
    this.clock = clock;
    this.random = random;
    /** @type {"connecting" | "welcomed" | "away" | "closed"} */
    this.state = "connecting";
    /** The room as `welcome` gave it. @type {any} */
    this.room = null;
    /** Who we are: {user_id, name, seat, viewer, host}. @type {any} */
    this.you = null;
    /** Everyone in the room, newest. @type {any[]} */
    this.players = [];
    /** The newest round trip in ms, null before the first. @type {number | null} */
    this.latency = null;
    /** A worse network, made up here: ms each way and there and back together, ms, and the part of packets lost. */
    this.conditions = { latency: 0, jitter: 0, loss: 0 };
    /** Fields for `hello`: {play_id, last_generation}. @type {() => (Record<string, any> | Promise<Record<string, any>>)} */
    this.helloFields = () => ({});
    /** Sees every frame that comes, before anyone else; for `FrameHost`. @type {((data: string | ArrayBuffer, message: any) => void) | null} */
    this.tap = null;
    /** @type {Map<number, {resolve: (answer: any) => void, reject: (error: Error) => void}>} */
    this.pending = new Map();
    /** What came with an id. */
    this.repeats = new Repeats();
    /** What was asked with `perform`. */
    this.unanswered = new Unanswered(this);
    this.nextId = 1;
    this.dials = 0;
    /** When the oldest ping without an answer went out. @type {number | null} */
    this.asked = null;
    /** @type {any} */
    this.pinger = null;
    this.outward = new DelayLine(clock);
    this.inward = new DelayLine(clock);
    transport.onopen = () => this.greet();
    transport.onmessage = (data) => this.incoming(data);
    transport.onclose = (gone) => this.gone(gone);
  }

  /** Dial. @returns {this} */
  open() {
    this.transport.open();
    return this;
  }

  /** Close for good; the seat stays, and can be taken up again with its token. */
  close() {
    this.transport.close();
    this.gone({ code: 1000, reason: "", final: true });
  }

  /** Drop the connection and dial at once. */
  reopen() {
    this.transport.reopen();
  }

  async greet() {
    const dial = ++this.dials;
    const fields = await this.helloFields();
    if (dial !== this.dials) return;
    this.transport.send(JSON.stringify({ type: "hello", ...(this.token && { token: this.token }), ...fields }));
  }

  /** @param {Gone} gone */
  gone({ code, reason, final, retryIn }) {
    this.dials++;
    this.asked = null;
    this.clock.clearTimeout(this.pinger);
    this.outward.clear();
    this.inward.clear();
    this.state = final ? "closed" : "away";
    const lost = new RoomError(0, reason || "The connection was lost; it comes back by itself.");
    for (const { reject } of this.pending.values()) reject(lost);
    this.pending.clear();
    this.unanswered.rest(final ? lost : null);
    this.emit("connection", { state: this.state, code, reason, retryIn });
  }

  /** Send a message without waiting for an answer. @param {Record<string, any>} message @returns {boolean} whether there is a connection */
  send(message) {
    if (this.state !== "welcomed") return false;
    this.outgoing(JSON.stringify(message), message.type === "commands");
    return true;
  }

  /** Send a binary frame. @param {ArrayBuffer | Uint8Array} data @param {boolean} [isPacket] one that `conditions.loss` may take @returns {boolean} whether there is a connection */
  sendBinary(data, isPacket = true) {
    if (this.state !== "welcomed") return false;
    this.outgoing(data, isPacket);
    return true;
  }

  /** Send a message and wait for its answer. @param {Record<string, any>} message @returns {Promise<any>} rejects with a `RoomError` */
  request(message) {
    if (this.state !== "welcomed") return Promise.reject(new RoomError(0, "There is no connection just now; it comes back by itself."));
    const id = this.nextId++;
    return new Promise((resolve, reject) => {
      this.pending.set(id, { resolve, reject });
      this.outgoing(JSON.stringify({ ...message, id }), false);
    });
  }

  /**
   * Send a message until it is answered, with one and the same id, over lost connections too. Controller and service rooms act on it once.
   * @param {Record<string, any>} message @returns {Promise<any>} its answer; rejects with a `RoomError`
   */
  perform(message) {
    return this.unanswered.add(message);
  }

  delay() {
    const { latency, jitter } = this.conditions;
    return latency / 2 + (jitter ? (this.random() * jitter) / 2 : 0);
  }

  /** @param {string | ArrayBuffer | Uint8Array} data @param {boolean} isPacket */
  outgoing(data, isPacket) {
    if (isPacket && this.random() < this.conditions.loss) return;
    this.outward.after(this.delay(), () => this.transport.send(data));
  }

  /** @param {string | ArrayBuffer} data */
  incoming(data) {
    let message = null;
    if (typeof data === "string") {
      try {
        message = JSON.parse(data);
      } catch {
        return;
      }
    }
    this.tap?.(data, message);
    const isMaster = message ? message.type === "master" : bytesOf(/** @type {ArrayBuffer} */ (data))[0] === MASTER;
    if (isMaster && this.random() < this.conditions.loss) return;
    this.inward.after(this.delay(), () => (message ? this.dispatch(message) : this.emit("binary", data)));
  }

  /** @param {any} message */
  dispatch(message) {
    if (Number.isSafeInteger(message.id) && this.acknowledged(message.id)) return;
    if (message.type === "welcome") this.welcome(message);
    else if (message.type === "players") this.roster(message.players);
    else if (message.type === "state" && this.room) this.room.state = message.state;
    else if (message.type === "over" && this.room) this.room.state = "setup";
    else if (message.type === "error" && this.state !== "welcomed") this.refused(message);
    const settled = message.reply_to !== undefined && this.unanswered.settle(message);
    const waiting = this.pending.get(message.reply_to);
    if (waiting) {
      this.pending.delete(message.reply_to);
      if (message.type === "error") waiting.reject(new RoomError(message.code, message.message, message));
      else waiting.resolve(message);
    }
    if (message.type !== "error" || !(waiting || settled)) this.emit(message.type, message);
  }

  /** What the room sends with an id it wants to know to be here. @param {number} id @returns {boolean} whether it was here before */
  acknowledged(id) {
    this.outgoing(JSON.stringify({ type: "ack", reply_to: id }), false);
    return this.repeats.has(id);
  }

  /** @param {any} message */
  welcome(message) {
    this.room = message.room;
    this.you = message.you;
    this.nextId = Math.max(this.nextId, (message.last_id ?? 0) + 1);
    this.state = "welcomed";
    this.transport.settled();
    if (message.room?.players) this.roster(message.room.players);
    // Older ids before newer ones: the room takes no new message whose id is below one that it had.
    this.unanswered.sendAll();
    this.emit("connection", { state: "welcomed" });
    this.ping();
  }

  /** `hello` was refused: for good, too often lately, or with a generation that the room does not have. @param {any} message */
  refused(message) {
    if (message.code === 101) {
      // The server would wait for another token for a while; we have none.
      this.transport.close();
      return this.gone({ code: 4101, reason: FINAL[4101], final: true });
    }
    if (message.code !== 105 && message.code !== 106) return;
    const again = () => this.state !== "welcomed" && this.state !== "closed" && this.reopen();
    this.emit("refused", message);
    this.clock.setTimeout(again, 1000 * (message.retry_after ?? 1));
  }

  /** @param {any[]} players */
  roster(players) {
    this.players = players;
    const me = players.find((player) => player.user_id === this.you?.user_id);
    if (me) this.you = { ...this.you, seat: me.seat, viewer: me.viewer, host: me.host };
  }

  ping() {
    this.clock.clearTimeout(this.pinger);
    const sent = this.clock.now();
    if (this.asked !== null && sent - this.asked > SILENCE) return this.reopen();
    this.asked ??= sent;
    const answered = () => {
      this.asked = null;
      this.latency = Math.max(0, this.clock.now() - sent);
    };
    this.request({ type: "ping", t: Math.round(sent) }).then(answered, () => {});
    this.pinger = this.clock.setTimeout(() => this.ping(), PING_EVERY);
  }
}

/**
 * The connection for a game: inside a page's frame through that page; elsewhere by WebSocket, with a seat from `joinRoom`.
 * @param {{seat?: Seat, clock?: Clock, base?: string}} [options]
 * @returns {RoomConnection} dialling; its first event is `welcome`
 */
export function connect({ seat, clock, base } = {}) {
  if (seat) {
    const exists = () => viewRoom(seat.room_id, { base }).then(() => true, (error) => error.code !== 103);
    return new RoomConnection(new SocketTransport(socketUrls(seat), { clock, exists }), { token: seat.token, clock }).open();
  }
  if (globalThis.parent === globalThis.self) throw new Error("not in a room's page: join the room first and pass its seat");
  const channel = new MessageChannel();
  const room = new RoomConnection(new PortTransport(channel.port1), { clock }).open();
  globalThis.parent.postMessage({ gameroom: "attach", version: 1 }, "*", [channel.port2]);
  return room;
}
