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
  }

  drop(seat) {
    this.dropped.add(seat);
    this.system.push({ dropped: seat });
    this.seal();
  }

  counts(seat, generation) {
    return !this.dropped.has(seat) && generation >= this.countsFrom[seat];
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
    if (message.id !== undefined) this.tell(socket, { type: message.type === "ping" ? "pong" : "ack", t: message.t, reply_to: message.id });
  }

  /** A power cut has taken the newest generations. */
  forget(generations) {
    this.masters.length -= generations;
    this.open.clear();
    this.reports.clear();
    this.agreed = null;
  }

  hello(socket, seat, { play_id, last_generation }) {
    if (play_id === this.start.play_id && last_generation >= this.masters.length) {
      return this.tell(socket, { type: "error", code: 105, message: "there is no such generation yet" });
    }
    socket.proved = true;
    const state = this.running && !this.over ? "running.iterating" : "setup";
    const room = { room_id: "r", state, encoding: this.encoding, configuration: this.start.configuration, revision: 0, players: [] };
    this.tell(socket, { type: "welcome", room, you: { user_id: socket.user, name: socket.user, seat: seat < 0 ? null : seat, viewer: seat < 0, host: seat === 0 }, last_id: 0 });
    if (state === "setup") return;
    const from = play_id === this.start.play_id && last_generation !== undefined ? last_generation + 1 : 0;
    this.tell(socket, { ...this.start, generation: this.masters.length });
    for (let g = from; g < this.masters.length; g += 100) {
      const batch = this.masters.slice(g, g + 100);
      if (this.encoding === "binary") socket.push(sdk.encodeMasters(g, batch).buffer);
      else this.tell(socket, { type: "masters", from: g, masters: batch });
    }
  }

  packet(socket, seat, packet) {
    if (seat < 0 || this.over) return;
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
    if (new Set(values.values()).size > 1) this.diverged = { generation, values };
    else if (values.size === this.users.length) this.agreed = { generation, value };
  }

  seal() {
    for (;;) {
      const generation = this.masters.length;
      const packets = this.open.get(generation);
      const missing = this.users.some((_, seat) => this.counts(seat, generation) && !packets?.has(seat));
      if (!packets || missing || this.diverged) return;
      this.open.delete(generation);
      const seats = [...packets].sort(([a], [b]) => a - b).filter(([, packet]) => packet.commands.length);
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
    if (this.finishes.size < this.users.length || new Set(this.finishes.values()).size > 1) return;
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
