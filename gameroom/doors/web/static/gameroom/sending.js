// @ts-check
/** The packets of our own seat: what is commanded goes out in them, and again until the room has mastered them. */
import { encodeCommands } from "./packets.js";

/** @typedef {import("./lockstep.js").LockstepClient} LockstepClient */
/** @typedef {import("./packets.js").Checksum} Checksum */
/** @typedef {import("./packets.js").Master} Master */

const PENDING_COMMANDS = 256;
const FIRST_RESEND = 500;
const LAST_RESEND = 4000;
/** What a packet may hold is 16 KiB, head and hashes included. */
const ROOM_FOR_COMMANDS = 15 << 10;

/** @param {any[]} commands */
export const encodeJson = (commands) => (commands.length ? new TextEncoder().encode(JSON.stringify(commands)) : new Uint8Array(0));

/** @param {Uint8Array} bytes @returns {any[]} */
export function decodeJson(bytes) {
  try {
    const commands = JSON.parse(new TextDecoder().decode(bytes));
    return Array.isArray(commands) ? commands : [];
  } catch {
    return [];
  }
}

export class OwnPackets {
  /** Packets below this one have been made. */
  made = 0;
  /** The next to be mastered when we came: packets below it are of no use. */
  live = 0;
  /** Those that are not mastered yet. @type {Map<number, any>} */
  window = new Map();
  /** What the next packet will carry. @type {any[]} */
  commands = [];
  /** The hash that the next packet will carry. @type {Checksum | null} */
  unreported = null;
  repeats = 0;
  asked = -Infinity;
  /** @type {any} */
  timer = null;

  /** @param {LockstepClient} client */
  constructor(client) {
    this.client = client;
  }

  /** A play begins, or we have no part in it any more. @param {number} live the next generation to be mastered */
  reset(live) {
    this.stop();
    this.live = this.made = live;
    this.window = new Map();
    this.commands = [];
    this.unreported = null;
    this.repeats = 0;
    this.asked = -Infinity;
  }

  stop() {
    this.client.clock.clearTimeout(this.timer);
  }

  /** @param {any} command */
  give(command) {
    if (this.commands.length < PENDING_COMMANDS) this.commands.push(command);
  }

  /** What goes into one packet; the rest waits for the next. @returns {any[]} */
  take() {
    const { encode = encodeJson } = this.client.engine;
    let most = this.commands.length;
    while (most > 1 && encode(this.commands.slice(0, most)).length > ROOM_FOR_COMMANDS) most >>= 1;
    return this.commands.splice(0, most);
  }

  /** Make our packet for a generation, and send it. @param {number} generation */
  make(generation) {
    if (this.client.seat === null || generation < this.made || generation < this.live) return;
    this.made = generation + 1;
    // The room has sealed that one without us: what was commanded waits for the next that it still takes.
    if (generation < this.client.received) return;
    const packet = {
      type: "commands",
      generation,
      latency: Math.min(65535, Math.round(this.client.room.latency ?? 0)),
      framerate: this.framerate,
      ...(this.unreported && { checksum: this.unreported }),
      commands: this.take(),
    };
    this.unreported = null;
    this.window.set(generation, packet);
    this.deliver(packet);
  }

  /** Make those of a range that are not made yet, and send the others again. @param {number} from @param {number} to inclusive */
  fill(from, to) {
    for (let g = Math.max(from, this.live); g <= to; g++) {
      if (g >= this.made) this.make(g);
      else this.again(g);
    }
  }

  get framerate() {
    return Math.max(1, Math.round(this.client.framerate));
  }

  /** @param {any} packet */
  deliver(packet) {
    const { room, engine, binaryRoom } = this.client;
    if (!binaryRoom) return room.send(packet);
    return room.sendBinary(encodeCommands({ ...packet, data: (engine.encode ?? encodeJson)(packet.commands) }));
  }

  /** The room misses a packet of ours. @param {number} generation */
  again(generation) {
    const packet = this.window.get(generation);
    if (packet) this.deliver(packet);
    else if (this.client.running && this.client.seat !== null && generation >= this.client.received && generation < this.made) {
      // Made before this page was loaded anew: what was commanded then is gone, and the others need not wait for it.
      this.deliver({ type: "commands", generation, latency: 0, framerate: this.framerate, commands: [] });
    }
  }

  /** After a lost connection: what the room may not have had. @param {number} live the next to be mastered */
  allAgain(live) {
    for (const [generation, packet] of this.window) if (generation >= live) this.deliver(packet);
  }

  /** A master is here. Where it was sealed without us, what we had commanded is given again. @param {Master} master */
  mastered({ generation, system }) {
    const packet = this.window.get(generation);
    this.window.delete(generation);
    this.repeats = 0;
    if (!packet || !system?.some((event) => event?.missed?.includes?.(this.client.seat))) return;
    this.commands = [...packet.commands, ...this.commands];
    this.unreported ??= packet.checksum ?? null;
  }

  /** Our state is the room's now: what we had found of our own is not to be reported any more. */
  forgetHashes() {
    this.unreported = null;
    for (const packet of this.window.values()) delete packet.checksum;
  }

  /** A master is missing: our packet for it, sent again, brings it again. @param {number} generation */
  ask(generation) {
    const packet = this.window.get(generation);
    const now = this.client.clock.now();
    if (!packet || now - this.asked < 200) return;
    this.asked = now;
    this.deliver(packet);
  }

  /** Packets or masters that got lost are noticed here when nothing else comes: the window goes out again, ever more rarely. */
  watch() {
    this.stop();
    const { client } = this;
    if (!client.running) return;
    const wait = Math.min(LAST_RESEND, FIRST_RESEND * 2 ** this.repeats) + 2 * (client.room.latency ?? 0);
    this.timer = client.clock.setTimeout(() => {
      this.repeats = Math.min(this.repeats + 1, 6);
      if (client.waiting !== null) for (const packet of this.window.values()) this.deliver(packet);
      if (client.early.size && this.repeats > 3) client.room.reopen();
      this.watch();
    }, wait);
  }
}
