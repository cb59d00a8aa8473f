// @ts-check
/**
 * gameroom.js: play in a room of a gameroom server. One ES module, no dependencies.
 *
 * From the bottom to the top:
 *
 * - integers:     `Random` (seeded generator), `StateHash` (64-bit hash of a game's state)
 * - packets:      `encodeCommands`, `decodeMaster`, … the binary encoding of docs/protocol/lockstep.md
 * - REST:         `joinRoom`, `viewRoom`, `leaveRoom`, `api`
 * - transports:   `SocketTransport` (a WebSocket that comes back by itself), `PortTransport` (inside a sandboxed frame)
 * - the room:     `RoomConnection` (hello, requests, ping, made-up latency and loss), `connect`
 * - the frame:    `FrameHost` (the page's side of a sandboxed game)
 * - lock-step:    `LockstepClient` (the pipeline of generations)
 *
 * docs/gameroom-js.md tells how to make a game with it.
 */

// ---------------------------------------------------------------------------------------------------------------------
// Integers. Whatever a lock-step engine computes has to come out the same in every browser: 32-bit integers do.

/** @param {number} x @param {number} k */
const rotate = (x, k) => (x << k) | (x >>> (32 - k));

/** The finishing mix of MurmurHash3: every input bit reaches every output bit. @param {number} h */
function finish32(h) {
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** A 64-bit hash over integers: two independent 32-bit lanes in the manner of MurmurHash3. Order matters. */
export class StateHash {
  constructor() {
    this.a = 0x2f6e2b1;
    this.b = 0x51ed270b;
    this.count = 0;
  }

  /** Add one integer (taken modulo 2^32). @param {number} value @returns {this} */
  add(value) {
    const mixed = Math.imul(rotate(Math.imul(value | 0, 0xcc9e2d51), 15), 0x1b873593);
    this.a = (Math.imul(rotate(this.a ^ mixed, 13), 5) + 0xe6546b64) | 0;
    this.b = (Math.imul(rotate(this.b ^ Math.imul(value | 0, 0x9e3779b1), 17), 9) + 0x38495ab5) | 0;
    this.count++;
    return this;
  }

  /** Add many. @param {ArrayLike<number>} values @returns {this} */
  addAll(values) {
    for (let i = 0; i < values.length; i++) this.add(values[i]);
    return this;
  }

  /** The hash so far: 16 lower-case hex digits. @returns {string} */
  hex() {
    const a = finish32(this.a ^ this.count);
    const b = finish32(this.b ^ a);
    return a.toString(16).padStart(8, "0") + b.toString(16).padStart(8, "0");
  }
}

/**
 * Four words of state from a room's seed: an integer from 0 to 2^53 − 1, or a string.
 * `7` and `"7"` are different seeds.
 * @param {number | string} seed
 * @returns {Uint32Array}
 */
export function seedWords(seed) {
  const hash = new StateHash();
  if (typeof seed === "number") {
    if (!Number.isSafeInteger(seed) || seed < 0) throw new RangeError("a seed is an integer from 0 to 2^53 - 1, or a string");
    hash.add(1).add(seed % 0x100000000).add(Math.floor(seed / 0x100000000));
  } else {
    hash.add(2).addAll(new TextEncoder().encode(seed));
  }
  const words = new Uint32Array(4);
  for (let i = 0; i < 4; i++) words[i] = parseInt(hash.add(i).hex().slice(0, 8), 16);
  if ((words[0] | words[1] | words[2] | words[3]) === 0) words[0] = 1;
  return words;
}

/** A seeded generator of integers (xoshiro128**). Its whole state is `words`, so it can be hashed and copied. */
export class Random {
  /** @param {number | string} seed */
  constructor(seed) {
    this.words = seedWords(seed);
  }

  /** @returns {number} the next 32 bits, unsigned */
  next() {
    const s = this.words;
    const result = Math.imul(rotate(Math.imul(s[1], 5), 7), 9) >>> 0;
    const t = s[1] << 9;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 11);
    return result;
  }

  /** An integer from 0 to n − 1, all equally likely. @param {number} n from 1 to 2^32 @returns {number} */
  below(n) {
    const limit = 0x100000000 - (0x100000000 % n);
    let drawn = this.next();
    while (drawn >= limit) drawn = this.next();
    return drawn % n;
  }

  /** Shuffle in place. @template T @param {T[]} list @returns {T[]} */
  shuffle(list) {
    for (let i = list.length - 1; i > 0; i--) {
      const j = this.below(i + 1);
      [list[i], list[j]] = [list[j], list[i]];
    }
    return list;
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// Packets of binary rooms. All numbers in network order.

/**
 * @typedef {{generation: number, value: any}} Checksum `value`: a string, or named sections; 16 hex digits in binary rooms
 * @typedef {{generation: number, latency: number, framerate: number, checksum?: Checksum, data: Uint8Array}} BinaryCommands
 * @typedef {{generation: number, iterations_per_command: number, checksum?: Checksum, seats: Map<number, Uint8Array>, system?: any[]}} BinaryMaster
 * @typedef {{generation: number, iterations_per_command: number, checksum?: Checksum, commands: Record<string, any[]>, system?: any[]}} Master
 */

const HEADER = 22;
const SYSTEM_SEAT = 65535;
export const COMMANDS = 1;
export const MASTER = 2;
export const MASTERS = 3;

/** @param {DataView} view @param {number} at @param {Checksum | undefined} checksum */
function putChecksum(view, at, checksum) {
  if (!checksum) return;
  view.setUint8(1, 1);
  view.setUint32(at, checksum.generation);
  view.setBigUint64(at + 4, BigInt("0x" + checksum.value));
}

/** @param {DataView} view @param {number} at @returns {Checksum | undefined} */
function getChecksum(view, at) {
  if (!(view.getUint8(1) & 1)) return undefined;
  return { generation: view.getUint32(at), value: view.getBigUint64(at + 4).toString(16).padStart(16, "0") };
}

/** @param {ArrayBuffer | Uint8Array} data @returns {Uint8Array} */
const bytesOf = (data) => (data instanceof Uint8Array ? data : new Uint8Array(data));

/** @param {Uint8Array} bytes */
const viewOf = (bytes) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** @param {Uint8Array} bytes @param {number} kind @param {number} least @returns {DataView} */
function packetView(bytes, kind, least) {
  if (bytes.length < least || bytes[0] !== kind) throw new RangeError(`not a packet of kind ${kind}`);
  return viewOf(bytes);
}

/** A command packet. @param {BinaryCommands} packet @returns {Uint8Array<ArrayBuffer>} */
export function encodeCommands(packet) {
  const bytes = new Uint8Array(HEADER + packet.data.length);
  const view = viewOf(bytes);
  view.setUint8(0, COMMANDS);
  view.setUint32(2, packet.generation);
  view.setUint16(6, Math.min(65535, packet.latency));
  view.setUint16(8, Math.min(65535, packet.framerate));
  putChecksum(view, 10, packet.checksum);
  bytes.set(packet.data, HEADER);
  return bytes;
}

/** @param {ArrayBuffer | Uint8Array} data @returns {BinaryCommands} */
export function decodeCommands(data) {
  const bytes = bytesOf(data);
  const view = packetView(bytes, COMMANDS, HEADER);
  const checksum = getChecksum(view, 10);
  return {
    generation: view.getUint32(2),
    latency: view.getUint16(6),
    framerate: view.getUint16(8),
    ...(checksum && { checksum }),
    data: bytes.slice(HEADER),
  };
}

/** A master packet (what the room sends; here for tests and tools). @param {BinaryMaster} master @returns {Uint8Array<ArrayBuffer>} */
export function encodeMaster(master) {
  const entries = [...master.seats].sort(([a], [b]) => a - b);
  if (master.system?.length) entries.push([SYSTEM_SEAT, new TextEncoder().encode(JSON.stringify(master.system))]);
  const bytes = new Uint8Array(entries.reduce((size, [, data]) => size + 4 + data.length, HEADER));
  const view = viewOf(bytes);
  view.setUint8(0, MASTER);
  view.setUint32(2, master.generation);
  view.setUint16(6, master.iterations_per_command);
  putChecksum(view, 8, master.checksum);
  view.setUint16(20, entries.length);
  let at = HEADER;
  for (const [seat, data] of entries) {
    view.setUint16(at, seat);
    view.setUint16(at + 2, data.length);
    bytes.set(data, at + 4);
    at += 4 + data.length;
  }
  return bytes;
}

/** @param {ArrayBuffer | Uint8Array} data @returns {BinaryMaster} */
export function decodeMaster(data) {
  const bytes = bytesOf(data);
  const view = packetView(bytes, MASTER, HEADER);
  /** @type {Map<number, Uint8Array>} */
  const seats = new Map();
  /** @type {any[] | undefined} */
  let system;
  let at = HEADER;
  for (let left = view.getUint16(20); left > 0; left--) {
    const seat = view.getUint16(at);
    const end = at + 4 + view.getUint16(at + 2);
    if (end > bytes.length) throw new RangeError("a master packet that ends too early");
    const entry = bytes.slice(at + 4, end);
    if (seat === SYSTEM_SEAT) system = JSON.parse(new TextDecoder().decode(entry));
    else seats.set(seat, entry);
    at = end;
  }
  const checksum = getChecksum(view, 8);
  return {
    generation: view.getUint32(2),
    iterations_per_command: view.getUint16(6),
    ...(checksum && { checksum }),
    seats,
    ...(system && { system }),
  };
}

/** A batch of history. @param {number} from @param {Uint8Array[]} masters @returns {Uint8Array<ArrayBuffer>} */
export function encodeMasters(from, masters) {
  const bytes = new Uint8Array(masters.reduce((size, master) => size + 4 + master.length, 9));
  const view = viewOf(bytes);
  view.setUint8(0, MASTERS);
  view.setUint32(1, from);
  view.setUint32(5, masters.length);
  let at = 9;
  for (const master of masters) {
    view.setUint32(at, master.length);
    bytes.set(master, at + 4);
    at += 4 + master.length;
  }
  return bytes;
}

/** @param {ArrayBuffer | Uint8Array} data @returns {BinaryMaster[]} */
export function decodeMasters(data) {
  const bytes = bytesOf(data);
  const view = packetView(bytes, MASTERS, 9);
  const masters = [];
  let at = 9;
  for (let left = view.getUint32(5); left > 0; left--) {
    const end = at + 4 + view.getUint32(at);
    if (end > bytes.length) throw new RangeError("a batch of masters that ends too early");
    masters.push(decodeMaster(bytes.subarray(at + 4, end)));
    at = end;
  }
  return masters;
}

// ---------------------------------------------------------------------------------------------------------------------
// Small things.

/**
 * @typedef {{now(): number, setTimeout(run: () => void, ms: number): any, clearTimeout(timer: any): void}} Clock milliseconds
 */

/** @type {Clock} */
export const systemClock = {
  now: () => performance.now(),
  setTimeout: (run, ms) => setTimeout(run, ms),
  clearTimeout: (timer) => clearTimeout(timer),
};

/** What the server refused, with its status code, or code 0 where it could not be asked. */
export class RoomError extends Error {
  /** @param {number} code @param {string} message @param {Record<string, any>} [details] `pointer`, `retry_after`, `incident` */
  constructor(code, message, details = {}) {
    super(message);
    this.name = "RoomError";
    this.code = code;
    this.details = details;
  }
}

/** Listeners by name. */
export class Emitter {
  constructor() {
    /** @type {Map<string, Set<(event: any) => void>>} */
    this.listeners = new Map();
  }

  /** Call `listener` at each event of that name. @param {string} name @param {(event: any) => void} listener @returns {() => void} stops it */
  on(name, listener) {
    const set = this.listeners.get(name) ?? new Set();
    this.listeners.set(name, set.add(listener));
    return () => set.delete(listener);
  }

  /** @param {string} name @param {any} [event] */
  emit(name, event) {
    for (const listener of [...(this.listeners.get(name) ?? [])]) listener(event);
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// REST.

/**
 * One request to the server.
 * @param {string} method
 * @param {string} path
 * @param {{body?: any, token?: string | null, base?: string}} [options] `token`: a session or seat token, sent as Bearer
 * @returns {Promise<any>} the answer's JSON, or null where it has none; rejects with a `RoomError`
 */
export async function api(method, path, { body, token, base = "" } = {}) {
  /** @type {Record<string, string>} */
  const headers = { Accept: "application/json" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (token) headers.Authorization = `Bearer ${token}`;
  let response, answer;
  try {
    response = await fetch(base + path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
    const text = await response.text();
    answer = text ? JSON.parse(text) : null;
  } catch {
    throw new RoomError(0, "The server cannot be reached just now; try again in a moment.");
  }
  if (!response.ok) throw new RoomError(answer?.code ?? 199, answer?.detail ?? `The server answered ${response.status}.`, answer ?? {});
  return answer;
}

/**
 * A seat as the server gave it. `token` is a secret: it is all that is needed to take the seat up again.
 * @typedef {{room_id: string, user_id: string, name: string, seat: number | null, viewer: boolean, token: string, socket: string}} Seat
 */

/**
 * Take a seat in a room, or come to watch.
 * @param {string} roomId
 * @param {{name?: string, viewer?: boolean, session?: string | null, base?: string}} [options]
 *   `name`: shown to the others, for guests; `session`: an account's session token; `base`: the server's URL where it is not the page's
 * @returns {Promise<Seat>}
 */
export async function joinRoom(roomId, { name, viewer = false, session, base } = {}) {
  /** @type {Record<string, any>} */
  const body = {};
  if (name && !session) body.username = name;
  if (viewer) body.as = "viewer";
  const seat = await api("POST", `/join/${roomId}`, { body, token: session, base });
  return { room_id: roomId, ...seat };
}

/** What to call somebody: a guest who gave no name has a UUID for one. @param {{user_id: string, name: string}} member @returns {string} */
export const shownName = ({ user_id, name }) => (name === user_id && /^[0-9a-f]{8}-[0-9a-f]{4}-4/.test(name) ? `Guest ${name.slice(0, 4)}` : name);

/** What anyone may know of a room. @param {string} roomId @param {{base?: string}} [options] @returns {Promise<any>} */
export const viewRoom = (roomId, { base } = {}) => api("GET", `/join/${roomId}`, { base });

/** Give the seat back. @param {Seat} seat @param {{base?: string}} [options] @returns {Promise<void>} */
export const leaveRoom = (seat, { base } = {}) => api("DELETE", `/join/${seat.room_id}`, { token: seat.token, base });

/**
 * The URL to dial for a seat.
 * A server that was not told its public name calls itself 127.0.0.1, which from another machine is somebody else,
 * and from `localhost` is another origin: the page's own host is right then.
 * @param {Seat} seat
 * @param {{protocol: string, host: string} | undefined} [page] the page's `location`
 * @returns {string}
 */
export function socketUrl(seat, page = globalThis.location) {
  const url = new URL(seat.socket);
  const loopback = ["127.0.0.1", "localhost", "[::1]"].includes(url.hostname);
  if (!page?.host || !page.protocol.startsWith("http") || !loopback) return seat.socket;
  return `${page.protocol === "https:" ? "wss" : "ws"}://${page.host}${url.pathname}`;
}

// ---------------------------------------------------------------------------------------------------------------------
// Transports: they carry text and bytes, and come back by themselves.

/**
 * What a room connection needs of the thing below it.
 * @typedef {object} Transport
 * @property {() => void} open
 * @property {(data: string | ArrayBuffer | Uint8Array) => void} send
 * @property {() => void} reopen close what is open, and dial anew at once
 * @property {() => void} settled the room has welcomed us: the next back-off begins small again
 * @property {() => void} close for good
 * @property {() => void} onopen
 * @property {(data: string | ArrayBuffer) => void} onmessage
 * @property {(gone: Gone) => void} onclose
 */

/** @typedef {{code: number, reason: string, final: boolean, retryIn?: number}} Gone `final`: it will not come back; `retryIn` in ms */

export const SUBPROTOCOL = "gameroom.v1";
const FIRST_RETRY = 250;
const LAST_RETRY = 5000;

/** Close codes after which dialling again is of no use, in words for a person. @type {Record<number, string>} */
export const FINAL = {
  4101: "This seat is no longer yours; join again.",
  4102: "You were sent away from this room.",
  4103: "This room is gone.",
  4105: "Your seat was taken over by a newer window.",
};

/** A WebSocket that comes back by itself: after 250 ms at first, then ever later up to 5 s, with jitter. @implements {Transport} */
export class SocketTransport {
  /**
   * @param {string} url
   * @param {{clock?: Clock, random?: () => number, WebSocket?: any, exists?: () => Promise<boolean>}} [options]
   *   `exists`: asked after failed dials whether the room is still there, since a browser does not tell a page why a dial failed
   */
  constructor(url, { clock = systemClock, random = Math.random, WebSocket = globalThis.WebSocket, exists } = {}) {
    this.url = url;
    this.clock = clock;
    this.random = random;
    this.WebSocket = WebSocket;
    this.exists = exists;
    /** @type {any} */
    this.socket = null;
    /** @type {any} */
    this.timer = null;
    this.failures = 0;
    this.closed = false;
    this.onopen = () => {};
    /** @type {(data: string | ArrayBuffer) => void} */
    this.onmessage = () => {};
    /** @type {(gone: Gone) => void} */
    this.onclose = () => {};
    globalThis.addEventListener?.("online", () => this.timer !== null && this.open());
  }

  open() {
    if (this.closed) return;
    this.clock.clearTimeout(this.timer);
    this.timer = null;
    const socket = new this.WebSocket(this.url, [SUBPROTOCOL]);
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    socket.onopen = () => socket === this.socket && this.onopen();
    socket.onmessage = (/** @type {{data: any}} */ event) => socket === this.socket && this.onmessage(event.data);
    socket.onclose = (/** @type {{code: number, reason: string}} */ event) => socket === this.socket && this.gone(event.code, event.reason);
  }

  /** @param {number} code @param {string} reason */
  gone(code, reason) {
    this.socket = null;
    if (this.closed) return;
    if (code in FINAL) {
      this.closed = true;
      this.onclose({ code, reason: reason || FINAL[code], final: true });
      return;
    }
    const delay = Math.min(LAST_RETRY, FIRST_RETRY * 2 ** Math.min(this.failures++, 10)) * (0.5 + this.random() / 2);
    this.timer = this.clock.setTimeout(() => this.open(), delay);
    this.onclose({ code, reason, final: false, retryIn: delay });
    if (this.failures > 2 && this.exists) this.exists().then((there) => there || this.vanish(), () => {});
  }

  vanish() {
    if (this.closed || this.socket?.readyState === 1) return;
    this.close();
    this.onclose({ code: 4103, reason: FINAL[4103], final: true });
  }

  settled() {
    this.failures = 0;
  }

  /** @param {string | ArrayBuffer | Uint8Array} data */
  send(data) {
    if (this.socket?.readyState === 1) this.socket.send(data);
  }

  reopen() {
    this.closed = false;
    this.hangUp();
    this.onclose({ code: 1000, reason: "", final: false, retryIn: 0 });
    this.open();
  }

  hangUp() {
    const socket = this.socket;
    this.socket = null;
    this.clock.clearTimeout(this.timer);
    this.timer = null;
    socket?.close(1000);
  }

  close() {
    this.closed = true;
    this.hangUp();
  }
}

/**
 * The way out of a sandboxed frame: the page around it holds the WebSocket and the seat token.
 * The page sends `{kind: "open"}`, `{kind: "text", text}`, `{kind: "binary", data}`, `{kind: "closed", code, reason, final}`;
 * the frame sends `text` and `binary`. The page dials again by itself, so there is nothing to do here.
 * @implements {Transport}
 */
export class PortTransport {
  /** @param {MessagePort} port */
  constructor(port) {
    this.port = port;
    this.onopen = () => {};
    /** @type {(data: string | ArrayBuffer) => void} */
    this.onmessage = () => {};
    /** @type {(gone: Gone) => void} */
    this.onclose = () => {};
  }

  open() {
    this.port.onmessage = ({ data }) => {
      if (data?.kind === "text") this.onmessage(data.text);
      else if (data?.kind === "binary") this.onmessage(data.data);
      else if (data?.kind === "open") this.onopen();
      else if (data?.kind === "closed") this.onclose(data);
    };
    this.port.start();
  }

  /** @param {string | ArrayBuffer | Uint8Array} data */
  send(data) {
    if (typeof data === "string") this.port.postMessage({ kind: "text", text: data });
    else this.port.postMessage({ kind: "binary", data: data instanceof Uint8Array ? data.slice().buffer : data });
  }

  settled() {}

  reopen() {
    this.port.postMessage({ kind: "reopen" });
  }

  close() {
    this.port.close();
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// The connection to a room.

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
    this.emit("connection", { state: this.state, code, reason, retryIn });
  }

  /** Send a message without waiting for an answer. @param {Record<string, any>} message @returns {boolean} whether there is a connection */
  send(message) {
    if (this.state !== "welcomed") return false;
    this.outgoing(JSON.stringify(message), message.type === "commands");
    return true;
  }

  /** Send a binary packet. @param {ArrayBuffer | Uint8Array} data @returns {boolean} whether there is a connection */
  sendBinary(data) {
    if (this.state !== "welcomed") return false;
    this.outgoing(data, true);
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
    if (message.type === "welcome") this.welcome(message);
    else if (message.type === "players") this.roster(message.players);
    else if (message.type === "state" && this.room) this.room.state = message.state;
    else if (message.type === "error" && this.state !== "welcomed") this.refused(message);
    const waiting = this.pending.get(message.reply_to);
    if (waiting) {
      this.pending.delete(message.reply_to);
      if (message.type === "error") waiting.reject(new RoomError(message.code, message.message, message));
      else waiting.resolve(message);
    }
    if (message.type !== "error" || !waiting) this.emit(message.type, message);
  }

  /** @param {any} message */
  welcome(message) {
    this.room = message.room;
    this.you = message.you;
    this.nextId = Math.max(this.nextId, (message.last_id ?? 0) + 1);
    this.state = "welcomed";
    this.transport.settled();
    if (message.room?.players) this.roster(message.room.players);
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
    return new RoomConnection(new SocketTransport(socketUrl(seat), { clock, exists }), { token: seat.token, clock }).open();
  }
  if (globalThis.parent === globalThis.self) throw new Error("not in a room's page: join the room first and pass its seat");
  const channel = new MessageChannel();
  const room = new RoomConnection(new PortTransport(channel.port1), { clock }).open();
  globalThis.parent.postMessage({ gameroom: "attach", version: 1 }, "*", [channel.port2]);
  return room;
}

// ---------------------------------------------------------------------------------------------------------------------
// The page's side of a sandboxed game.

/** What a game in a frame may say to the room. Who may leave, chat or send somebody away is the person at the page. */
export const FRAME_MAY_SEND = new Set(["setup", "ready", "commands", "finish", "drop", "resolve", "game", "ping"]);

const ATTACH_WITHIN = 5000;

/** Lets the game in an `<iframe sandbox="allow-scripts">` take part in the page's room, without ever seeing the seat token. */
export class FrameHost {
  /**
   * @param {HTMLIFrameElement} frame
   * @param {RoomConnection} room the page's connection, not dialled yet: see `opened`
   */
  constructor(frame, room) {
    this.frame = frame;
    this.room = room;
    /** @type {MessagePort | null} */
    this.port = null;
    /** @type {((fields: Record<string, any>) => void) | null} */
    this.awaitingHello = null;
    this.dialled = false;
    this.onattach = () => {};
    room.helloFields = () => this.hello();
    room.tap = (data, message) => this.forward(data, message);
    room.on("connection", (event) => {
      if (event.state !== "welcomed") this.post({ kind: "closed", code: event.code ?? 1006, reason: event.reason ?? "", final: event.state === "closed" });
    });
    this.listener = (/** @type {MessageEvent} */ event) => {
      if (event.source === frame.contentWindow && event.data?.gameroom === "attach" && event.ports.length) this.attach(event.ports[0]);
    };
    globalThis.addEventListener("message", this.listener);
  }

  /** Dial the room once the game has attached itself, or after 5 s without one. @returns {Promise<void>} */
  async opened() {
    if (!this.port) {
      await new Promise((resolve) => {
        this.onattach = () => resolve(undefined);
        setTimeout(() => resolve(undefined), ATTACH_WITHIN);
      });
    }
    this.dialled = true;
    this.room.open();
  }

  /** @param {MessagePort} port */
  attach(port) {
    this.port?.close();
    this.port = port;
    port.onmessage = ({ data }) => this.take(data);
    this.onattach();
    // A game that came later, or anew, needs `welcome`, `start` and the masters from the beginning.
    if (this.dialled && this.room.state !== "closed") this.room.reopen();
  }

  /** @param {any} data */
  post(data) {
    this.port?.postMessage(data);
  }

  /** A word from the page itself: `{type: "again"}` when the person wants another play. @param {Record<string, any>} message */
  tell(message) {
    this.post({ kind: "text", text: JSON.stringify(message) });
  }

  /** The game's own part of `hello`; it knows which generations it has. @returns {Promise<Record<string, any>>} */
  hello() {
    return new Promise((resolve) => {
      if (!this.port) return resolve({});
      this.awaitingHello = resolve;
      setTimeout(() => resolve({}), ATTACH_WITHIN);
      this.post({ kind: "open" });
    });
  }

  /** What the game sends. @param {any} data */
  take(data) {
    if (data?.kind === "binary" && data.data instanceof ArrayBuffer) this.room.sendBinary(data.data);
    else if (data?.kind === "reopen" && this.dialled) this.room.reopen();
    else if (data?.kind === "text" && typeof data.text === "string") this.takeText(data.text);
  }

  /** @param {string} text */
  takeText(text) {
    let message;
    try {
      message = JSON.parse(text);
    } catch {
      return;
    }
    if (message?.type === "hello") {
      const { play_id, last_generation } = message;
      this.awaitingHello?.({ ...(play_id !== undefined && { play_id }), ...(last_generation !== undefined && { last_generation }) });
      this.awaitingHello = null;
    } else if (!FRAME_MAY_SEND.has(message?.type)) {
      this.answer(message?.id, { type: "error", code: 102, message: `a game in a frame may not send ${message?.type}` });
    } else if (message.id === undefined) {
      this.room.send(message);
    } else {
      // Ids belong to the connection, which the page and the game share: the page gives them out.
      const { id, ...rest } = message;
      this.room.request(rest).then(
        (answer) => this.answer(id, answer),
        (error) => this.answer(id, { type: "error", code: error.code ?? 0, message: error.message }),
      );
    }
  }

  /** @param {number | undefined} id @param {any} answer */
  answer(id, answer) {
    if (id !== undefined) this.post({ kind: "text", text: JSON.stringify({ ...answer, reply_to: id }) });
  }

  /** What the room sends; chat is between people. @param {string | ArrayBuffer} data @param {any} message */
  forward(data, message) {
    if (typeof data !== "string") this.post({ kind: "binary", data: data.slice(0) });
    else if (message.reply_to === undefined && message.type !== "chat") this.post({ kind: "text", text: data });
  }

  close() {
    globalThis.removeEventListener("message", this.listener);
    this.port?.close();
    this.port = null;
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// Lock-step.

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
 * @property {() => any} hash of the whole state: 16 hex digits (`StateHash`), or in JSON rooms also an object of named sections
 * @property {() => (any | null)} [over] the results, once the game has ended; states after that no longer change
 * @property {(commands: any[]) => Uint8Array} [encode] for binary rooms; JSON text where it is missing
 * @property {(bytes: Uint8Array) => any[]} [decode] the other way round
 */

const KEPT_HASHES = 1024;
const SLICE = 12;
const FAR_BEHIND = 8;
const LONGEST_DEBT = 250;
const FIRST_RESEND = 500;
const LAST_RESEND = 4000;
const PENDING_COMMANDS = 256;

/** @param {any[]} commands */
const encodeJson = (commands) => (commands.length ? new TextEncoder().encode(JSON.stringify(commands)) : new Uint8Array(0));

/** @param {Uint8Array} bytes @returns {any[]} */
function decodeJson(bytes) {
  try {
    const commands = JSON.parse(new TextDecoder().decode(bytes));
    return Array.isArray(commands) ? commands : [];
  } catch {
    return [];
  }
}

/**
 * The lock-step pipeline of one room: play after play, it runs the engine through the room's masters and sends this
 * player's packets. For each master g that it begins it sends its packet for g + D, so commands are carried out
 * D turns after they were given, and the turns in between hide the way to the room and back.
 *
 * Emits `setup` {configuration, revision, by}, `start` (a `Start`), `turn` {generation, hash}, `stall` (waiting for a
 * master), `diverged` {generation, own, agreed}, `divergence` (the room's), `over` {reason, results, play_id}.
 */
export class LockstepClient extends Emitter {
  // What belongs to one play; `reset` begins a new one.

  /** Masters below this one are here. */
  received = 0;
  /** Masters below this one have been begun. */
  begun = 0;
  /** The next to be mastered when we came: packets below it are of no use. */
  live = 0;
  /** Packets below this one have been made. */
  made = 0;
  /** @type {number | null} */
  seat = null;
  dropped = false;
  /** Whether the room has less than we do, after a power cut: then all there is comes anew. */
  anew = false;
  iterationsPerCommand = 3;
  /** Masters that have not been begun. @type {Master[]} */
  queue = [];
  /** Masters that came before an earlier one. @type {Map<number, Master>} */
  early = new Map();
  /** Our packets that are not mastered yet. @type {Map<number, any>} */
  window = new Map();
  /** What the next packet will carry. @type {any[]} */
  commands = [];
  /** @type {{generation: number, left: number, of: number} | null} */
  turn = null;
  /** Our hashes by generation, as JSON text. @type {Map<number, string>} */
  hashes = new Map();
  /** The newest hash. @type {Checksum | null} */
  newest = null;
  /** @type {Checksum | null} */
  unreported = null;
  /** @type {{generation: number, results: any} | null} */
  finished = null;
  /** Since when a master is waited for, ms, or null. @type {number | null} */
  waiting = null;
  /** When the next iteration is due. */
  due = 0;
  turnBegan = 0;
  /** Milliseconds that the newest turn took, waiting included. */
  turnLength = 0;
  repeats = 0;
  askedRepeat = -Infinity;

  reset() {
    this.received = this.begun = this.live = this.made = 0;
    this.seat = null;
    this.dropped = this.anew = false;
    this.iterationsPerCommand = 3;
    this.queue = [];
    this.early = new Map();
    this.window = new Map();
    this.commands = [];
    this.turn = this.newest = this.unreported = this.finished = this.waiting = null;
    this.hashes = new Map();
    this.due = this.turnBegan = this.clock.now();
    this.turnLength = this.repeats = 0;
    this.askedRepeat = -Infinity;
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
    /** @type {any} */
    this.timer = null;
    /** @type {any} */
    this.resender = null;
    this.framerate = rate;
    room.helloFields = () => this.helloFields();
    room.on("refused", (message) => (this.anew = this.anew || message.code === 105));
    room.on("welcome", (message) => this.welcomed(message));
    room.on("setup", (message) => this.configured(message));
    room.on("start", (message) => this.started(message));
    room.on("master", (message) => this.master(message));
    room.on("masters", (message) => this.masters(message.masters));
    room.on("binary", (data) => this.binary(data));
    room.on("resend", (message) => this.resend(message.generation));
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
    return this.queue.length > (this.play?.input_delay ?? 0) + FAR_BEHIND;
  }

  /** Whoever nobody waits for may have masters lying about: a viewer lags a little less then, and who was dropped gets back. */
  get hurry() {
    const waitedFor = this.seat !== null && !this.dropped;
    return !waitedFor && this.queue.length > (this.dropped ? 0 : 1) ? 0.7 : 1;
  }

  /** For drawing between two iterations: 0 right after one, 1 when the next is due. */
  get alpha() {
    return Math.max(0, Math.min(1, 1 - (this.due - this.clock.now()) / this.interval));
  }

  helloFields() {
    if (!this.play || !this.running || this.anew) return {};
    return { play_id: this.play.play_id, ...(this.received > 0 && { last_generation: this.received - 1 }) };
  }

  // --- setup

  /** Change the configuration by a JSON merge patch; everyone gets the whole of it. @param {any} patch @returns {Promise<any>} */
  configure(patch) {
    return this.room.request({ type: "setup", patch });
  }

  /** @param {any} message */
  welcomed(message) {
    this.configured({ configuration: message.room?.configuration ?? {}, revision: message.room?.revision ?? 0 });
    const { play_id, state } = message.room ?? {};
    if (this.running && (state === "setup" || (play_id && play_id !== this.play?.play_id))) {
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
    if (this.running && this.play?.play_id === start.play_id && !this.anew) return this.resumed(start);
    this.reset();
    this.play = start;
    this.running = true;
    this.live = this.made = start.generation ?? 0;
    this.iterationsPerCommand = start.iterations_per_command;
    this.seat = start.players.find((player) => player.user_id === this.room.you?.user_id)?.seat ?? null;
    this.engine.init(start);
    this.emit("start", start);
    for (let g = 0; g < start.input_delay; g++) this.sendPacket(g);
    this.watchWindow();
    this.pump();
  }

  /** Back after a lost connection: what the room may not have had goes out again. @param {Start} start */
  resumed(start) {
    for (const [generation, packet] of this.window) if (generation >= (start.generation ?? 0)) this.deliver(packet);
    if (this.finished) this.sendFinish();
    this.watchWindow();
  }

  /** Give a command; it travels in the next packet. @param {any} command */
  command(command) {
    if (this.running && this.seat !== null && this.commands.length < PENDING_COMMANDS) this.commands.push(command);
  }

  /** @param {number} generation */
  sendPacket(generation) {
    if (this.seat === null || generation < this.made || generation < this.live) return;
    const packet = {
      type: "commands",
      generation,
      latency: Math.min(65535, Math.round(this.room.latency ?? 0)),
      framerate: Math.max(1, Math.round(this.framerate)),
      ...(this.unreported && { checksum: this.unreported }),
      commands: this.commands,
    };
    this.made = generation + 1;
    this.commands = [];
    this.unreported = null;
    this.window.set(generation, packet);
    this.deliver(packet);
  }

  /** @param {any} packet */
  deliver(packet) {
    if (!this.binaryRoom) return this.room.send(packet);
    return this.room.sendBinary(encodeCommands({ ...packet, data: (this.engine.encode ?? encodeJson)(packet.commands) }));
  }

  /** The room misses a packet of ours. @param {number} generation */
  resend(generation) {
    const packet = this.window.get(generation);
    if (packet) this.deliver(packet);
    else if (this.running && this.seat !== null && generation >= this.received && generation < this.made) {
      // Made before this page was loaded anew: what was commanded then is gone, and the others need not wait for it.
      this.deliver({ type: "commands", generation, latency: 0, framerate: Math.round(this.framerate), commands: [] });
    }
  }

  /** Packets or masters that got lost are noticed here when nothing else comes: the window goes out again, ever more rarely. */
  watchWindow() {
    this.clock.clearTimeout(this.resender);
    if (!this.running) return;
    const wait = Math.min(LAST_RESEND, FIRST_RESEND * 2 ** this.repeats) + 2 * (this.room.latency ?? 0);
    this.resender = this.clock.setTimeout(() => {
      this.repeats = Math.min(this.repeats + 1, 6);
      if (this.waiting !== null) for (const packet of this.window.values()) this.deliver(packet);
      if (this.early.size && this.repeats > 3) this.room.reopen();
      this.watchWindow();
    }, wait);
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
    if (!this.running || master.generation < this.received) return;
    this.early.set(master.generation, master);
    let next;
    while ((next = this.early.get(this.received))) {
      this.early.delete(this.received);
      this.window.delete(this.received);
      this.received++;
      this.queue.push(next);
      this.repeats = 0;
    }
    if (this.early.size) this.askAgain();
    else this.watchWindow();
  }

  /** A master is missing: our packet for it, sent again, brings it again. */
  askAgain() {
    const packet = this.window.get(this.received);
    if (!packet || this.clock.now() - this.askedRepeat < 200) return;
    this.askedRepeat = this.clock.now();
    this.deliver(packet);
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
    return this.hidden() && this.turn ? this.interval * this.turn.of * ((this.play?.input_delay ?? 1) + 1) : 0;
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
    if (!this.dropped || this.queue.length === 0) this.sendPacket(generation + (this.play?.input_delay ?? 1));
  }

  /** What a master tells of our own seat. @param {any[]} system @param {number} generation */
  heed(system, generation) {
    if (this.seat === null) return;
    for (const event of system) {
      if (event?.dropped === this.seat) this.dropped = true;
      if (event?.evicted === this.seat) this.seat = null;
      if (event?.rejoined === this.seat) {
        this.dropped = false;
        this.sendWindow(generation);
      }
    }
  }

  /** After a rejoin our packets count from the next generation on: the room needs all of the window. @param {number} generation */
  sendWindow(generation) {
    for (let g = generation + 1; g < generation + (this.play?.input_delay ?? 1); g++) {
      if (g >= this.made) this.sendPacket(g);
      else this.resend(g);
    }
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
    if (generation % (this.play?.checksum_interval ?? 1) === 0) {
      const value = this.engine.hash();
      this.newest = this.unreported = { generation, value };
      this.hashes.set(generation, JSON.stringify(value));
      this.hashes.delete(generation - KEPT_HASHES * (this.play?.checksum_interval ?? 1));
    }
    this.emit("turn", { generation, hash: this.newest?.value });
    const results = this.finished ? null : this.engine.over?.();
    if (results) {
      this.finished = { generation, results };
      this.sendFinish();
    }
  }

  sendFinish() {
    if (this.seat !== null) this.room.send({ type: "finish", ...this.finished });
  }

  /** The hash that the others agreed on against our own. @param {Checksum | undefined} checksum */
  compare(checksum) {
    const own = checksum && this.hashes.get(checksum.generation);
    if (!own || own === JSON.stringify(checksum.value)) return;
    this.emit("diverged", { generation: checksum.generation, own: JSON.parse(own), agreed: checksum.value });
  }

  /** @param {any} message */
  ended(message) {
    if (!this.running) return;
    this.running = false;
    this.clock.clearTimeout(this.timer);
    this.clock.clearTimeout(this.resender);
    this.emit("over", message);
  }
}
