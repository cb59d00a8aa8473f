/** A small lock-step room and a clock that only moves when told: what the SDK is tested against, without time or network. */
import { sdk } from "./hooks.mjs";

/** Timers in the order of their time; `run` moves the time on. */
export class TestClock {
  constructor() {
    this.time = 0;
    this.timers = [];
    this.serial = 0;
  }

  now() {
    return this.time;
  }

  setTimeout(run, ms) {
    const timer = { run, due: this.time + Math.max(0, ms), serial: this.serial++ };
    this.timers.push(timer);
    return timer;
  }

  clearTimeout(timer) {
    this.timers = this.timers.filter((one) => one !== timer);
  }

  /** Move on by `ms`, or until `done()`. Lets promises settle between timers. */
  async run(ms, done = () => false) {
    const end = this.time + ms;
    while (!done()) {
      this.timers.sort((a, b) => a.due - b.due || a.serial - b.serial);
      if (!this.timers.length || this.timers[0].due > end) break;
      const timer = this.timers.shift();
      this.time = Math.max(this.time, timer.due);
      timer.run();
      await null;
      await null;
      await null;
      await null;
    }
    if (!done()) this.time = Math.max(this.time, end);
  }
}

/** A WebSocket to a TestRoom with a way of `delay` ms in each direction. */
export function socketClass(room, clock, delay = 10) {
  return class TestSocket {
    constructor(url) {
      this.user = new URL(url).searchParams.get("user");
      this.readyState = 0;
      clock.setTimeout(() => {
        if (room.down) return this.end(1006);
        this.readyState = 1;
        room.sockets.add(this);
        this.onopen();
      }, delay);
    }

    send(data) {
      const copy = typeof data === "string" ? data : new Uint8Array(data).slice();
      clock.setTimeout(() => this.readyState === 1 && room.take(this, copy), delay);
    }

    push(data) {
      clock.setTimeout(() => this.readyState === 1 && this.onmessage({ data }), delay);
    }

    end(code) {
      this.readyState = 3;
      room.sockets.delete(this);
      clock.setTimeout(() => this.onclose?.({ code, reason: "" }), 0);
    }

    close() {
      this.end(1000);
    }
  };
}

/** Gathers, orders and compares, as docs/protocol/lockstep.md has it, for players who are all there. */
export class TestRoom {
  constructor({ users, inputDelay = 2, encoding = "json", seed = 7, configuration = {} }) {
    this.users = users;
    this.sockets = new Set();
    this.down = false;
    this.encoding = encoding;
    this.start = {
      type: "start",
      play_id: "play-1",
      seed,
      configuration,
      players: users.map((user_id, seat) => ({ seat, user_id, name: user_id })),
      input_delay: inputDelay,
      checksum_interval: 1,
      iterations_per_command: 3,
    };
    this.masters = [];
    this.open = new Map();
    this.reports = new Map();
    this.agreed = null;
    this.diverged = null;
    this.finishes = new Map();
    this.over = null;
    this.running = false;
    this.repeats = 0;
    this.resends = 0;
    this.system = [];
    /** Seats that nobody waits for, and from which generation on the packets of a seat count. */
    this.dropped = new Set();
    this.countsFrom = users.map(() => 0);
    /** Seats that watch from now on. */
    this.evicted = new Set();
    /** Seats whose packets are thrown away, as if they came too late for the room's patience. */
    this.slow = new Set();
    /** What clients gave when they were asked, and the newest that newcomers begin with. */
    this.given = [];
    this.snapshot = null;
    this.hellos = [];
    this.forbidden = 0;
  }

  /** The sockets of a user. */
  of(user) {
    return [...this.sockets].filter((socket) => socket.user === user && socket.proved);
  }

  /** Ask a user for its state after a generation. */
  request(type, user, generation) {
    for (const socket of this.of(user)) this.tell(socket, { type, generation });
  }

  /** The room's state instead of a user's own, and the masters that follow on it. */
  restore(user, snapshot) {
    for (const socket of this.of(user)) {
      this.tell(socket, { ...snapshot, type: "snapshot" });
      this.history(socket, snapshot.generation + 1);
    }
  }

  /** What a user is to begin with again: the play from its beginning. */
  restart(user) {
    for (const socket of this.of(user)) {
      this.tell(socket, { ...this.start, generation: this.masters.length });
      this.history(socket, 0);
    }
  }

  /** The seat watches from the next master on. */
  evict(seat) {
    this.evicted.add(seat);
    this.system.push({ evicted: seat });
    this.goOn();
  }

  /** After a divergence: what was reported so far is forgotten. */
  goOn() {
    this.diverged = null;
    this.reports.clear();
    this.seal();
  }

  drop(seat) {
    this.dropped.add(seat);
    this.system.push({ dropped: seat });
    this.seal();
  }

  counts(seat, generation) {
    return !this.dropped.has(seat) && !this.evicted.has(seat) && generation >= this.countsFrom[seat];
  }

  tell(socket, message) {
    socket.push(JSON.stringify(message));
  }

  all(message) {
    for (const socket of this.sockets) if (socket.proved) this.tell(socket, message);
  }

  begin() {
    this.running = true;
    this.all(this.start);
  }

  /** Every connection is cut, and dials fail until `up`. */
  crash(ms, clock) {
    this.down = true;
    for (const socket of [...this.sockets]) socket.end(1006);
    clock.setTimeout(() => (this.down = false), ms);
  }

  take(socket, data) {
    const seat = this.users.indexOf(socket.user);
    if (typeof data !== "string") {
      const { data: bytes, ...packet } = sdk.decodeCommands(data);
      return this.packet(socket, seat, { ...packet, commands: bytes });
    }
    const message = JSON.parse(data);
    if (message.type === "hello") return this.hello(socket, seat, message);
    if (message.type === "commands") return this.packet(socket, seat, message);
    if (message.type === "finish") return this.finish(seat, message);
    if (message.type === "snapshot" || message.type === "dump") return void this.given.push({ user: socket.user, ...message });
    if (message.id !== undefined) this.tell(socket, { type: message.type === "ping" ? "pong" : "ack", t: message.t, reply_to: message.id });
  }

  /** A power cut has taken the newest generations. */
  forget(generations) {
    this.masters.length -= generations;
    this.open.clear();
    this.reports.clear();
    this.agreed = null;
  }

  hello(socket, seat, { play_id, last_generation, snapshots }) {
    this.hellos.push({ user: socket.user, play_id, last_generation, snapshots });
    if (play_id === this.start.play_id && last_generation >= this.masters.length) {
      return this.tell(socket, { type: "error", code: 105, message: "there is no such generation yet" });
    }
    socket.proved = true;
    const state = this.running && !this.over ? "running.iterating" : "setup";
    const room = { room_id: "r", state, encoding: this.encoding, configuration: this.start.configuration, revision: 0, players: [] };
    this.tell(socket, { type: "welcome", room, you: { user_id: socket.user, name: socket.user, seat: seat < 0 ? null : seat, viewer: seat < 0, host: seat === 0 }, last_id: 0, ...(this.evicted.has(seat) && { evicted: true }) });
    if (state === "setup") return;
    let from = play_id === this.start.play_id && last_generation !== undefined ? last_generation + 1 : 0;
    this.tell(socket, { ...this.start, generation: this.masters.length });
    if (this.snapshot && snapshots !== false && this.snapshot.generation > from) {
      this.tell(socket, { ...this.snapshot, type: "snapshot" });
      from = this.snapshot.generation + 1;
    }
    this.history(socket, from);
  }

  history(socket, from) {
    for (let g = from; g < this.masters.length; g += 100) {
      const batch = this.masters.slice(g, g + 100);
      if (this.encoding === "binary") socket.push(sdk.encodeMasters(g, batch).buffer);
      else this.tell(socket, { type: "masters", from: g, masters: batch });
    }
  }

  packet(socket, seat, packet) {
    if (seat < 0 || this.over) return;
    if (this.evicted.has(seat)) {
      this.forbidden++;
      return this.tell(socket, { type: "error", code: 102, message: "you only watch now" });
    }
    const { generation } = packet;
    if (generation < this.masters.length) {
      this.repeats++;
      return this.send(socket, this.masters[generation]);
    }
    if (generation > this.masters.length - 1 + this.start.input_delay) throw new Error(`too far ahead: ${generation} of ${this.masters.length}`);
    if (this.dropped.delete(seat)) {
      this.system.push({ rejoined: seat });
      this.countsFrom[seat] = this.masters.length + 1;
    }
    if (this.slow.has(seat)) return this.seal();
    const packets = this.open.get(generation) ?? new Map();
    if (packets.has(seat) || !this.counts(seat, generation)) return;
    this.open.set(generation, packets.set(seat, packet));
    const next = this.open.get(this.masters.length);
    if (generation > this.masters.length && !next?.has(seat) && this.counts(seat, this.masters.length)) {
      this.resends++;
      this.tell(socket, { type: "resend", generation: this.masters.length });
    }
    if (packet.checksum) this.report(seat, packet.checksum);
    this.seal();
  }

  report(seat, { generation, value }) {
    const values = this.reports.get(generation) ?? new Map();
    this.reports.set(generation, values.set(seat, value));
    if (this.evicted.has(seat)) return;
    if (new Set([...values.values()].map((one) => JSON.stringify(one))).size > 1) this.diverged = { generation, values };
    else if (values.size === this.users.length - this.evicted.size) this.agreed = { generation, value };
  }

  seal() {
    for (;;) {
      const generation = this.masters.length;
      const packets = this.open.get(generation);
      const late = this.users.map((_, seat) => seat).filter((seat) => this.slow.has(seat) && this.counts(seat, generation) && !packets?.has(seat));
      const missing = this.users.some((_, seat) => this.counts(seat, generation) && !packets?.has(seat) && !late.includes(seat));
      if (!packets || missing || this.diverged) return;
      this.open.delete(generation);
      const seats = [...packets].sort(([a], [b]) => a - b).filter(([, packet]) => packet.commands.length);
      if (late.length) this.system.push({ missed: late });
      const head = { generation, iterations_per_command: 3, ...(this.agreed && { checksum: this.agreed }), ...(this.system.length && { system: this.system }) };
      this.system = [];
      const master =
        this.encoding === "binary"
          ? sdk.encodeMaster({ ...head, seats: new Map(seats.map(([seat, packet]) => [seat, packet.commands])) })
          : { type: "master", ...head, commands: Object.fromEntries(seats.map(([seat, packet]) => [seat, packet.commands])) };
      this.masters.push(master);
      for (const socket of this.sockets) if (socket.proved) this.send(socket, master);
    }
  }

  send(socket, master) {
    if (this.encoding === "binary") socket.push(master.buffer);
    else this.tell(socket, master);
  }

  finish(seat, { generation, results }) {
    this.finishes.set(seat, JSON.stringify([generation, results]));
    if (this.finishes.size < this.users.length - this.evicted.size || new Set(this.finishes.values()).size > 1) return;
    this.over = { type: "over", reason: "finished", results, play_id: this.start.play_id };
    this.all(this.over);
  }
}

/** A game whose state depends on every command, its order, and the number of iterations before it. */
export class Mixer {
  constructor(length = 120) {
    this.length = length;
  }

  init(start) {
    this.random = new sdk.Random(start.seed);
    this.value = 1;
    this.ticks = 0;
    this.turns = 0;
    this.seen = [];
    this.systems = [];
  }

  apply(commands, system) {
    this.turns++;
    this.systems.push(...system);
    for (const [seat, given] of Object.entries(commands)) {
      for (const command of given) {
        this.value = Math.imul(this.value ^ (command + Number(seat) * 1000), 0x9e3779b1);
        this.seen.push(`${seat}:${command}`);
      }
    }
  }

  iterate() {
    this.ticks++;
    this.value = (Math.imul(this.value, 3) + this.random.next()) | 0;
  }

  hash() {
    return new sdk.StateHash().add(this.value).add(this.ticks).add(this.turns).addAll(this.random.words).hex();
  }

  over() {
    return this.turns >= this.length ? { winners: [this.value & 1] } : null;
  }
}

/** The same, able to leave and to begin anywhere; `asBytes` for binary rooms. */
export class SavingMixer extends Mixer {
  constructor(length, asBytes = false) {
    super(length);
    this.asBytes = asBytes;
    this.loads = 0;
  }

  save() {
    const state = { value: this.value, ticks: this.ticks, turns: this.turns, words: [...this.random.words] };
    return this.asBytes ? new Uint8Array(Int32Array.of(state.value, state.ticks, state.turns, ...state.words).buffer) : state;
  }

  load(state) {
    this.loads++;
    const [value, ticks, turns, ...words] = state instanceof Uint8Array ? new Int32Array(state.buffer) : [state.value, state.ticks, state.turns, ...state.words];
    Object.assign(this, { value, ticks, turns });
    this.random.words.set(words);
  }

  /** In sections: the hash of a JSON room may have them. */
  hash() {
    if (this.asBytes) return super.hash();
    return { value: new sdk.StateHash().add(this.value).hex(), rest: new sdk.StateHash().add(this.ticks).add(this.turns).addAll(this.random.words).hex() };
  }
}

/** One member: transport, connection, engine and pipeline on the test's clock. */
export function member(room, clock, user, { engine = new Mixer(), delay = 10, seed = user } = {}) {
  const dice = new sdk.Random(seed);
  const random = () => dice.next() / 2 ** 32;
  const transport = new sdk.SocketTransport(`ws://room/socket/r?user=${user}`, { clock, random, WebSocket: socketClass(room, clock, delay) });
  const connection = new sdk.RoomConnection(transport, { token: "secret", clock, random });
  const client = new sdk.LockstepClient({ room: connection, engine, clock, hidden: () => false });
  const hashes = new Map();
  client.on("turn", ({ generation, hash }) => hashes.set(generation, hash));
  const diverged = [];
  client.on("diverged", (event) => diverged.push(event));
  connection.open();
  return { client, connection, transport, engine, hashes, diverged };
}
