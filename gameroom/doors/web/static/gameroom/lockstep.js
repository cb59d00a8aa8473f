// @ts-check
/** Lock-step: the pipeline of generations. */
import { Emitter, systemClock } from "./base.js";
import { MASTER, MASTERS, bytesOf, decodeMaster, decodeMasters } from "./packets.js";
import { Asked, hashOf, hashText, restore } from "./saving.js";
import { OwnPackets, decodeJson } from "./sending.js";

/** @typedef {import("./base.js").Clock} Clock */
/** @typedef {import("./room.js").RoomConnection} RoomConnection */
/** @typedef {import("./packets.js").Checksum} Checksum */
/** @typedef {import("./packets.js").Master} Master */
/** @typedef {import("./packets.js").BinaryMaster} BinaryMaster */

/**
 * What `start` says of a play.
 * @typedef {object} Start
 * @property {string} play_id
 * @property {number | string} seed
 * @property {any} configuration
 * @property {{seat: number, user_id: string, name: string}[]} players
 * @property {number} input_delay
 * @property {number} checksum_interval
 * @property {number} iterations_per_command
 * @property {number} [generation] the next to be mastered, where the play is under way
 */

/**
 * A deterministic game. It knows no clock, no drawing and no network: the same `start` and the same masters make the
 * same states everywhere. So: integers, a `Random` seeded from `start.seed`, and nothing from outside.
 * @typedef {object} Engine
 * @property {(start: Start) => void} init a play begins; forget the one before
 * @property {(commands: Record<string, any[]>, system: any[]) => void} apply the commands of one generation, by seat, lowest first.
 *   They come from the other players: check them. `system` tells of seats {dropped}, {rejoined}, {left}, {missed}, {evicted}
 * @property {() => void} iterate one step of the simulation
 * @property {() => any} hash of the whole state: 16 hex digits (`StateHash`), or an object of named sections; a binary room gets one hash of all of them
 * @property {() => any} [save] the whole state, as any JSON value, or in binary rooms as bytes: for those who come late, and to put somebody right
 * @property {(state: any) => void} [load] the other way round, after `init` of the same play; throws where it is none
 * @property {() => any} [dump] the state as a person can read it, for looking at a divergence; `save` where it is missing
 * @property {() => (any | null)} [over] the results, once the game has ended; states after that no longer change
 * @property {(commands: any[]) => Uint8Array} [encode] for binary rooms; JSON text where it is missing
 * @property {(bytes: Uint8Array) => any[]} [decode] the other way round
 */

const KEPT_HASHES = 1024;
const SLICE = 12;
const FAR_BEHIND = 8;
const LONGEST_DEBT = 250;

/**
 * The lock-step pipeline of one room: play after play, it runs the engine through the room's masters and sends this
 * player's packets. For each master g that it begins it sends its packet for g + D, so commands are carried out
 * D turns after they were given, and the turns in between hide the way to the room and back.
 *
 * Emits `setup` {configuration, revision, by}, `start` (a `Start`), `turn` {generation, hash}, `stall` (waiting for a
 * master), `state` {state, reason, members}, `diverged` {generation, own, agreed}, `divergence` (the room's),
 * `restored` {generation}, `evicted` {generation}, `over` {reason, results, play_id}.
 */
export class LockstepClient extends Emitter {
  // What belongs to one play; `reset` begins a new one.

  /** Masters below this one are here. */
  received = 0;
  /** Masters below this one have been begun. */
  begun = 0;
  /** The next to be mastered when we came. */
  live = 0;
  /** @type {number | null} */
  seat = null;
  dropped = false;
  /** Whether the room has sent us from our seat: we watch. */
  evicted = false;
  /** Whether the room has less than we do, after a power cut: then all there is comes anew. */
  anew = false;
  iterationsPerCommand = 3;
  /** Masters that have not been begun. @type {Master[]} */
  queue = [];
  /** Masters that came before an earlier one. @type {Map<number, Master>} */
  early = new Map();
  /** @type {{generation: number, left: number, of: number} | null} */
  turn = null;
  /** Our hashes by generation. @type {Map<number, any>} */
  hashes = new Map();
  /** The newest hash. @type {Checksum | null} */
  newest = null;
  /** @type {{generation: number, results: any} | null} */
  finished = null;
  /** Since when a master is waited for, ms, or null. @type {number | null} */
  waiting = null;
  /** When the next iteration is due. */
  due = 0;
  turnBegan = 0;
  /** Milliseconds that the newest turn took, waiting included. */
  turnLength = 0;

  /** @param {Start} start */
  reset(start) {
    this.play = start;
    this.received = this.begun = 0;
    this.live = start.generation ?? 0;
    this.seat = null;
    this.dropped = this.evicted = this.anew = false;
    this.iterationsPerCommand = 3;
    this.queue = [];
    this.early = new Map();
    this.turn = this.newest = this.finished = this.waiting = null;
    this.hashes = new Map();
    this.due = this.turnBegan = this.clock.now();
    this.turnLength = 0;
    this.own.reset(this.live);
    this.asked.forget();
  }

  /**
   * @param {object} options
   * @param {RoomConnection} options.room
   * @param {Engine} options.engine
   * @param {number} [options.rate] iterations a second that the game is made for
   * @param {Clock} [options.clock]
   * @param {() => boolean} [options.hidden] whether nobody sees the page: browsers then hold timers back
   */
  constructor({ room, engine, rate = 60, clock = systemClock, hidden = () => globalThis.document?.hidden ?? false }) {
    super();
    this.room = room;
    this.engine = engine;
    this.rate = rate;
    this.clock = clock;
    this.hidden = hidden;
    this.configuration = {};
    this.revision = 0;
    /** The play under way, or the last one. @type {Start | null} */
    this.play = null;
    this.running = false;
    /** The room's answer to our hello, until a `start` has come that belongs to it. @type {any} */
    this.welcome = null;
    /** The room's state: "setup…", "running.iterating", "running.paused…". */
    this.state = "setup";
    /** The play whose snapshots did not fit here: the engine gets there by masters alone. @type {string | null} */
    this.mistrusted = null;
    this.own = new OwnPackets(this);
    this.asked = new Asked(this);
    /** @type {any} */
    this.timer = null;
    this.framerate = rate;
    room.helloFields = () => this.helloFields();
    room.on("refused", (message) => (this.anew = this.anew || message.code === 105));
    room.on("welcome", (message) => this.welcomed(message));
    room.on("setup", (message) => this.configured(message));
    room.on("start", (message) => this.started(message));
    room.on("master", (message) => this.master(message));
    room.on("masters", (message) => this.masters(message.masters));
    room.on("binary", (data) => this.binary(data));
    room.on("resend", (message) => this.own.again(message.generation));
    room.on("state", (message) => this.changed(message));
    room.on("snapshot", (message) => this.restored(message));
    room.on("snapshot_request", (message) => this.asked.ask("snapshot", message.generation));
    room.on("dump_request", (message) => this.asked.ask("dump", message.generation));
    room.on("divergence", (message) => this.emit("divergence", message));
    room.on("over", (message) => this.ended(message));
  }

  get binaryRoom() {
    return this.room.room?.encoding === "binary";
  }

  get interval() {
    return 1000 / this.rate;
  }

  /** Whether there is more to run than a live player would ever have: history, or a long absence. */
  get behind() {
    return this.queue.length > this.delay + FAR_BEHIND;
  }

  /**
   * Whoever nobody waits for may have masters lying about: a viewer lags a little less then, and who was dropped gets back.
   * Of a player that is waited for there are never more than a window of them, unless the room's patience was too short for it.
   */
  get hurry() {
    const usual = this.dropped ? 0 : this.seat === null ? 1 : this.delay;
    return this.queue.length > usual ? 0.7 : 1;
  }

  /** The play's input delay. */
  get delay() {
    return this.play?.input_delay ?? 1;
  }

  /** Whether no masters come at the moment because the room has paused: somebody lags, the games differ, or the game itself has. */
  get paused() {
    return this.running && this.state.startsWith("running.paused");
  }

  /** For drawing between two iterations: 0 right after one, 1 when the next is due. */
  get alpha() {
    return Math.max(0, Math.min(1, 1 - (this.due - this.clock.now()) / this.interval));
  }

  helloFields() {
    const cannotLoad = !this.engine.load || (this.mistrusted !== null && this.mistrusted === this.play?.play_id);
    const fields = cannotLoad ? { snapshots: false } : {};
    if (!this.play || !this.running || this.anew) return fields;
    return { ...fields, play_id: this.play.play_id, ...(this.received > 0 && { last_generation: this.received - 1 }) };
  }

  // --- setup

  /** Change the configuration by a JSON merge patch; everyone gets the whole of it. @param {any} patch @returns {Promise<any>} */
  configure(patch) {
    return this.room.request({ type: "setup", patch });
  }

  /** An event of the room's states, as their description names it; where all must agree it is a vote. @param {string} event @returns {Promise<any>} */
  transition(event) {
    return this.room.request({ type: "transition", event });
  }

  /** The host's word on a divergence. @param {"abort" | "evict" | "resync"} how @returns {Promise<any>} */
  resolve(how) {
    return this.room.request({ type: "resolve", how });
  }

  /** @param {any} message */
  changed(message) {
    this.state = message.state;
    this.emit("state", message);
  }

  /** @param {any} message */
  welcomed(message) {
    this.asked.forget();
    this.welcome = message;
    if (message.room?.state) this.state = message.room.state;
    this.configured({ configuration: message.room?.configuration ?? {}, revision: message.room?.revision ?? 0 });
    const { play_id, state } = message.room ?? {};
    if (this.running && (state?.startsWith("setup") || (play_id && play_id !== this.play?.play_id))) {
      this.ended({ reason: "missed", results: this.finished?.results, play_id: this.play?.play_id });
    }
  }

  /** @param {any} message */
  configured(message) {
    this.configuration = message.configuration;
    this.revision = message.revision;
    this.emit("setup", message);
  }

  // --- the play

  /** @param {Start} start */
  started(start) {
    // One that nobody asked for is the room's word that our state is not the play's: begin anew.
    const { welcome } = this;
    const again = this.running && this.play?.play_id === start.play_id;
    if (welcome && again && !this.anew) return this.resumed(start);
    const evicted = welcome ? welcome.evicted === true : again && this.evicted;
    this.reset(start);
    this.welcome = null;
    this.running = true;
    this.iterationsPerCommand = start.iterations_per_command;
    this.seat = start.players.find((player) => player.user_id === this.room.you?.user_id)?.seat ?? null;
    this.engine.init(start);
    this.emit("start", start);
    if (evicted) this.leaveSeat(this.begun);
    this.own.fill(0, start.input_delay - 1);
    this.own.watch();
    this.pump();
  }

  /** Back after a lost connection: what the room may not have had goes out again. @param {Start} start */
  resumed(start) {
    this.welcome = null;
    this.own.allAgain(start.generation ?? 0);
    if (this.finished) this.sendFinish();
    this.own.watch();
  }

  /** Give a command; it travels in the next packet. @param {any} command */
  command(command) {
    if (this.running && this.seat !== null) this.own.give(command);
  }

  // --- states that come ready-made

  /** The room's state instead of ours: for those who come late, and those whose own has gone wrong. @param {{generation: number, checksum: any, state: any}} snapshot */
  restored(snapshot) {
    if (!this.running) return;
    const { generation } = snapshot;
    this.asked.flush();
    this.own.forgetHashes();
    this.queue = [];
    this.turn = this.finished = null;
    this.hashes.clear();
    this.received = this.begun = generation + 1;
    const value = restore(this.engine, snapshot, this.binaryRoom);
    if (value === null) return this.comeAnew();
    this.newest = { generation, value };
    this.hashes.set(generation, value);
    this.due = this.clock.now();
    this.emit("restored", { generation });
    this.look(generation);
    this.own.fill(generation + 1, generation + this.delay);
    this.advance();
    this.own.watch();
    this.pump();
  }

  /** A state that we cannot get ready-made is got by all the masters from the beginning. */
  comeAnew() {
    this.mistrusted = this.play?.play_id ?? null;
    this.anew = true;
    this.room.reopen();
  }

  // --- masters

  /** @param {ArrayBuffer} data */
  binary(data) {
    const kind = bytesOf(data)[0];
    if (kind === MASTER) this.master(this.fromBinary(decodeMaster(data)));
    else if (kind === MASTERS) this.masters(decodeMasters(data).map((master) => this.fromBinary(master)));
  }

  /** @param {BinaryMaster} master @returns {Master} */
  fromBinary({ seats, ...master }) {
    const decode = this.engine.decode ?? decodeJson;
    return { ...master, commands: Object.fromEntries([...seats].map(([seat, bytes]) => [seat, decode(bytes)])) };
  }

  /** @param {Master[]} masters */
  masters(masters) {
    for (const master of masters) this.accept(master);
    this.pump();
  }

  /** @param {Master} master */
  master(master) {
    this.accept(master);
    this.pump();
  }

  /** @param {Master} master */
  accept(master) {
    if (!this.running || this.anew || master.generation < this.received) return;
    this.early.set(master.generation, master);
    this.advance();
    if (this.early.size) this.own.ask(this.received);
    else this.own.watch();
  }

  /** Those that follow on what we have. */
  advance() {
    for (const generation of this.early.keys()) if (generation < this.received) this.early.delete(generation);
    let next;
    while ((next = this.early.get(this.received))) {
      this.early.delete(this.received);
      this.own.mastered(next);
      this.received++;
      this.queue.push(next);
    }
  }

  /** Run what is due. Called by a timer, by each master, and by whoever draws. */
  pump() {
    if (!this.running) return;
    this.clock.clearTimeout(this.timer);
    const sliceEnds = this.clock.now() + (this.hidden() ? 10 * SLICE : SLICE);
    for (;;) {
      const now = this.clock.now();
      if (!this.turn) {
        const master = this.queue.shift();
        if (!master) return this.stall(now);
        this.begin(master, now);
        if (!this.running) return;
      }
      if (!this.behind && now + this.leeway() < this.due) return this.wake(this.due - now);
      if (this.behind && now > sliceEnds) return this.wake(0);
      this.step(now);
      if (!this.running) return;
    }
  }

  /**
   * A page that nobody sees gets its timers seconds late, but its messages at once. So there a turn is run as soon as its
   * master is there, early by a window of turns at most: the others set the pace, and where nobody looks it does not run away.
   */
  leeway() {
    return this.hidden() && this.turn ? this.interval * this.turn.of * (this.delay + 1) : 0;
  }

  /** @param {number} delay */
  wake(delay) {
    this.timer = this.clock.setTimeout(() => this.pump(), delay);
  }

  /** @param {number} now */
  stall(now) {
    if (this.waiting !== null) return;
    this.waiting = now;
    this.emit("stall", { generation: this.begun });
  }

  /** @param {Master} master @param {number} now */
  begin(master, now) {
    const { generation } = master;
    const stalled = this.waiting !== null;
    this.measure(now, stalled);
    // After a wait the turn begins one iteration later than it could: masters that come unevenly then come in time.
    this.due = Math.max(this.due, stalled ? now + this.interval : now - LONGEST_DEBT);
    this.waiting = null;
    this.begun = generation + 1;
    this.iterationsPerCommand = Math.max(1, master.iterations_per_command);
    this.turn = { generation, left: this.iterationsPerCommand, of: this.iterationsPerCommand };
    this.compare(master.checksum);
    const system = master.system ?? [];
    this.engine.apply(master.commands ?? {}, system);
    this.heed(system, generation);
    // A player that was dropped speaks again only when it has caught up: that is how the room knows.
    if (!this.dropped || this.queue.length === 0) this.own.make(generation + this.delay);
  }

  /** What a master tells of our own seat. @param {any[]} system @param {number} generation */
  heed(system, generation) {
    if (this.seat === null) return;
    for (const event of system) {
      if (event?.dropped === this.seat) this.dropped = true;
      if (event?.evicted === this.seat) this.leaveSeat(generation);
      if (event?.rejoined === this.seat) {
        this.dropped = false;
        // Our packets count from the next generation on: the room needs all of the window.
        this.own.fill(generation + 1, generation + this.delay - 1);
      }
    }
  }

  /** The room has sent us from our seat: from now on we watch, with the state that it sends. @param {number} generation */
  leaveSeat(generation) {
    if (!this.running || this.seat === null) return;
    this.seat = null;
    this.evicted = true;
    this.own.reset(this.live);
    this.emit("evicted", { generation });
  }

  /** The rate that this machine holds: iterations of turns that did not wait for anyone. @param {number} now @param {boolean} stalled */
  measure(now, stalled) {
    const length = now - this.turnBegan;
    this.turnBegan = now;
    this.turnLength = length;
    if (stalled || this.behind || this.hidden() || length <= 0) return;
    const held = Math.min(this.rate, (this.iterationsPerCommand * 1000) / length);
    this.framerate += ((held > this.rate * 0.9 ? this.rate : held) - this.framerate) / 8;
  }

  /** One iteration. @param {number} now */
  step(now) {
    const turn = /** @type {{generation: number, left: number, of: number}} */ (this.turn);
    this.engine.iterate();
    this.due = this.behind ? now : this.due + this.interval * this.hurry;
    if (--turn.left === 0) this.end(turn.generation);
  }

  /** @param {number} generation */
  end(generation) {
    this.turn = null;
    const every = this.play?.checksum_interval ?? 1;
    if (generation % every === 0) {
      const value = hashOf(this.engine, this.binaryRoom);
      this.newest = this.own.unreported = { generation, value };
      this.hashes.set(generation, value);
      this.hashes.delete(generation - KEPT_HASHES * every);
    }
    this.emit("turn", { generation, hash: this.newest?.value });
    this.look(generation);
    this.asked.ended(generation);
  }

  /** Whether the game has ended. @param {number} generation */
  look(generation) {
    const results = this.finished ? null : this.engine.over?.();
    if (!results) return;
    this.finished = { generation, results };
    this.sendFinish();
  }

  sendFinish() {
    if (this.seat !== null) this.room.send({ type: "finish", ...this.finished });
  }

  /** The hash that the others agreed on against our own. @param {Checksum | undefined} checksum */
  compare(checksum) {
    const own = checksum && this.hashes.get(checksum.generation);
    if (own === undefined || hashText(own) === hashText(checksum?.value)) return;
    this.emit("diverged", { generation: checksum?.generation, own, agreed: checksum?.value });
  }

  /** @param {any} message */
  ended(message) {
    if (!this.running) return;
    this.running = false;
    this.clock.clearTimeout(this.timer);
    this.own.stop();
    this.asked.forget();
    this.emit("over", message);
  }
}
