// @ts-check
/** A recording, played back: to the game in its frame it is a room in which it watches. No page, no network: that is replay.js. */
import { Emitter, RoomError, encodeMasters, systemClock } from "./gameroom.js";
import { KeptStates } from "./replay_states.js";

/** @typedef {import("./replay_states.js").Kept} Kept */
/** @typedef {import("./gameroom.js").Clock} Clock */
/**
 * One line after the head: what the room said at `t` milliseconds.
 * @typedef {{t: number, message?: any, data?: Uint8Array, generation?: number}} Said `message` is JSON, `data` a binary master
 */

const TICK = 25;
const AT_ONCE = 4;
const BATCH = 1000;
/** The state in which every play begins. */
const BEGINS = "running.iterating";
/** How long a game may take to get to the end, ms: one that says nothing, and one that cannot say when it is there. */
const LONGEST = 30000;
const UNKNOWN = 3000;

/** Reads a recording (docs/protocol/lockstep.md); a last line that is not whole does not count. */
export class Recorded {
  /** @param {string} text */
  constructor(text) {
    const lines = text.split("\n").slice(0, -1).map((line) => JSON.parse(line));
    if (lines[0]?.type !== "play") throw new TypeError("this is no recording of a play");
    /** What was played: engine, seed, configuration, players, … @type {any} */
    this.head = lines[0];
    /** @type {Said[]} */
    this.said = lines.slice(1).filter(({ type }) => ["master", "state", "over"].includes(type)).map((line) => this.taken(line));
    /** How the play ended; null while it is on. @type {any} */
    this.over = lines.at(-1).type === "over" ? lines.at(-1) : null;
    /** Milliseconds from the start to the last line. */
    this.length = this.said.at(-1)?.t ?? 0;
  }

  get binary() {
    return this.head.encoding === "binary";
  }

  /** @param {any} line @returns {Said} */
  taken({ t, data, ...message }) {
    if (message.type !== "master") return { t, message };
    if (!this.binary) return { t, message, generation: message.generation };
    return { t, data: Uint8Array.from(atob(data), (character) => character.charCodeAt(0)), generation: message.generation };
  }
}

/**
 * What `FrameHost` needs of a `RoomConnection`, fed from a recording. Emits `position` whenever its place or what it does
 * has changed, and each message of the room under its type.
 */
export class ReplayRoom extends Emitter {
  /** @param {Recorded} recorded @param {Clock} [clock] */
  constructor(recorded, clock = systemClock) {
    super();
    this.recorded = recorded;
    this.clock = clock;
    /** @type {"connecting" | "welcomed" | "closed"} */
    this.state = "connecting";
    /** @type {() => (Record<string, any> | Promise<Record<string, any>>)} */
    this.helloFields = () => ({});
    /** @type {((data: string | ArrayBuffer, message: any) => void) | null} */
    this.tap = null;
    this.speed = 1;
    this.playing = false;
    /** Milliseconds since the start of the play. */
    this.position = 0;
    /** The line that comes next. */
    this.next = 0;
    /** How often the play has begun: the game is told another play each time. */
    this.begun = 0;
    this.looked = 0;
    this.states = new KeptStates();
    /** Whether the game can go on from a state that it gave earlier. */
    this.loads = false;
    /** After which generation its state is wanted next. */
    this.wanted = Infinity;
    /** @type {any} */
    this.timer = null;
    /** Runs until the game is told that it is over. @type {any} */
    this.ending = null;
  }

  get ended() {
    return this.position >= this.recorded.length;
  }

  get playId() {
    return this.begun > 1 ? `${this.recorded.head.play_id}#${this.begun}` : this.recorded.head.play_id;
  }

  // --- to the game: a room

  /** A game is there, or there anew: it is welcomed as a viewer, and gets the play up to the present place. */
  async open() {
    const { snapshots } = await this.helloFields();
    if (this.state === "closed") return;
    this.loads = snapshots !== false;
    this.state = "welcomed";
    const { players, configuration, seed, encoding, engine } = this.recorded.head;
    const roster = players.map((/** @type {any} */ player) => ({ ...player, viewer: false, host: player.seat === 0, connected: true, ready: true }));
    const you = { user_id: "", name: "", seat: null, viewer: true, host: false };
    const room = { room_id: "", engine, seed, configuration, revision: 1, state: BEGINS, hosting: "lockstep", players: roster, encoding };
    this.give({ type: "welcome", room, you });
    this.begin(this.nearest);
    this.feed();
  }

  reopen() {
    return this.open();
  }

  close() {
    this.pause();
    this.clock.clearTimeout(this.ending);
    this.state = "closed";
  }

  /** What a game sends has happened already, but for its states, and the word that it has come to the end. @param {Record<string, any>} message */
  send(message) {
    if (message.type === "snapshot") this.keep(message);
    if (message.type === "dump" && this.ending) this.endWithin(message.state === null ? UNKNOWN : 0);
    return false;
  }

  sendBinary() {
    return false;
  }

  /** @param {Record<string, any>} message @returns {Promise<any>} */
  request(message) {
    if (message.type === "ping") return Promise.resolve({ type: "pong", t: message.t });
    return Promise.reject(new RoomError(102, "This is a recording; nothing in it can be changed."));
  }

  /** @param {any} message */
  give(message) {
    this.tap?.(JSON.stringify(message), message);
    this.emit(message.type, message);
  }

  /** The play anew: from its beginning, or from a state. @param {Kept} [kept] */
  begin(kept) {
    this.begun++;
    this.next = 0;
    this.clock.clearTimeout(this.ending);
    this.ending = null;
    const { seed, configuration, players, input_delay, checksum_interval } = this.recorded.head;
    this.give({ type: "state", state: BEGINS });
    this.give({ type: "start", play_id: this.playId, seed, configuration, players, input_delay, checksum_interval, iterations_per_command: 3 });
    if (kept) this.restore(kept);
    else this.want(-1);
  }

  /** The game goes on from a state that it gave earlier. @param {Kept} kept */
  restore({ generation, checksum, state }) {
    const { said } = this.recorded;
    this.next = said.findIndex((one) => one.generation === generation) + 1;
    const own = said.slice(0, this.next).findLast(({ message }) => message?.type === "state");
    this.give(own?.message ?? { type: "state", state: BEGINS });
    this.give({ type: "snapshot", generation, checksum, state });
    this.want(generation);
  }

  /** Ask the game for its next state that is worth keeping. @param {number} generation where it is */
  want(generation) {
    if (!this.loads) return;
    this.wanted = this.states.wanted(generation);
    this.give({ type: "snapshot_request", generation: this.wanted });
  }

  /** A state of the game's; one that it cannot give is asked for no more. @param {any} message */
  keep(message) {
    if (message.state === null) return;
    this.states.keep(message);
    if (message.generation >= this.wanted) this.want(message.generation);
  }

  /** What of the game's states lies just before the present place. @returns {Kept | undefined} */
  get nearest() {
    const here = this.recorded.said.findLast(({ t, generation }) => generation !== undefined && t <= this.position);
    return this.loads && here?.generation !== undefined ? this.states.before(here.generation) : undefined;
  }

  /** Whether the way to a state is long enough to begin there. @param {Kept} kept */
  saves(kept) {
    const ahead = this.recorded.said.slice(this.next).find(({ generation }) => generation !== undefined)?.generation;
    return ahead !== undefined && kept.generation > ahead + AT_ONCE;
  }

  /** Whatever has been said up to the present place. */
  feed() {
    const { said } = this.recorded;
    let end = this.next;
    while (end < said.length && said[end].t <= this.position) end++;
    while (this.next < end) {
      const from = this.next;
      while (this.next < end && this.next - from < BATCH && said[this.next].generation !== undefined) this.next++;
      if (this.next > from) this.masters(said.slice(from, this.next));
      else this.other(said[this.next++].message);
    }
  }

  /** @param {Said[]} masters one after the other */
  masters(masters) {
    const from = /** @type {number} */ (masters[0].generation);
    const few = masters.length <= AT_ONCE;
    if (!this.recorded.binary) {
      const messages = masters.map(({ message }) => message);
      for (const message of few ? messages : [{ type: "masters", from, masters: messages }]) this.give(message);
      return;
    }
    const packets = masters.map(({ data }) => /** @type {Uint8Array<ArrayBuffer>} */ (data));
    for (const packet of few ? packets : [encodeMasters(from, packets)]) this.tap?.(packet.slice().buffer, null);
  }

  /** @param {any} message */
  other(message) {
    if (message.type !== "over") return this.give(message);
    // A game stops at `over`, and may have much to run before it: asked for its state after the last generation, it says when it is there.
    this.endWithin(LONGEST);
    const last = this.recorded.said.findLast(({ generation }) => generation !== undefined)?.generation;
    if (last !== undefined) this.give({ type: "dump_request", generation: last });
    else this.endWithin(0);
  }

  /** Tell the game that it is over, in a while. @param {number} ms */
  endWithin(ms) {
    this.clock.clearTimeout(this.ending);
    this.ending = this.clock.setTimeout(() => {
      this.ending = null;
      this.give({ ...this.recorded.over, play_id: this.playId });
    }, ms);
  }

  // --- to the page: a player

  play() {
    if (this.playing) return;
    if (this.ended) this.seek(0);
    this.playing = true;
    this.looked = this.clock.now();
    this.tick();
  }

  pause() {
    this.playing = false;
    this.clock.clearTimeout(this.timer);
    this.emit("position");
  }

  tick() {
    const now = this.clock.now();
    this.position = Math.min(this.recorded.length, this.position + (now - this.looked) * this.speed);
    this.looked = now;
    this.feed();
    if (this.ended) return this.pause();
    this.timer = this.clock.setTimeout(() => this.tick(), TICK);
    this.emit("position");
  }

  /** Go to a place: the game begins at its nearest state before it, and runs from there as fast as it can. @param {number} position ms */
  seek(position) {
    const back = position < this.position;
    this.position = Math.max(0, Math.min(this.recorded.length, position));
    if (this.state === "welcomed") {
      const { nearest } = this;
      if (back) this.begin(nearest);
      else if (nearest && this.saves(nearest)) this.restore(nearest);
      this.feed();
    }
    this.emit("position");
  }
}
