// @ts-check
/** States as they travel: what the room asks of ours, and what it gives us for it. */
import { StateHash } from "./integers.js";

/** @typedef {import("./lockstep.js").LockstepClient} LockstepClient */
/** @typedef {import("./lockstep.js").Engine} Engine */

/** The longest state that a room takes, as JSON. */
const MOST = 700 << 10;
const MOST_ASKED = 8;
const CHUNK = 0x8000;

/** @param {Uint8Array} bytes @returns {string} */
export function toBase64(bytes) {
  let text = "";
  for (let at = 0; at < bytes.length; at += CHUNK) text += String.fromCharCode(...bytes.subarray(at, at + CHUNK));
  return btoa(text);
}

/** @param {string} text @returns {Uint8Array<ArrayBuffer>} */
export const fromBase64 = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));

/** A state for the wire: as it is, in binary rooms base64 of its bytes or else of its JSON text. @param {any} state @param {boolean} binary */
export function pack(state, binary) {
  if (!binary) return state;
  return toBase64(state instanceof Uint8Array ? state : new TextEncoder().encode(JSON.stringify(state)));
}

/** The other way round. @param {any} packed @param {boolean} binary @param {boolean} asBytes whether the engine's states are bytes */
export function unpack(packed, binary, asBytes) {
  if (!binary) return packed;
  const bytes = fromBase64(packed);
  return asBytes ? bytes : JSON.parse(new TextDecoder().decode(bytes));
}

/** A hash as text that compares: sections in the order of their names. @param {any} value @returns {string} */
export function hashText(value) {
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  return JSON.stringify(Object.keys(value).sort().map((name) => [name, value[name]]));
}

/**
 * The hash of an engine's state, as it travels: a binary packet has a place for one, so named sections are made one there.
 * @param {Engine} engine @param {boolean} binary @returns {any}
 */
export function hashOf(engine, binary) {
  const value = engine.hash();
  if (!binary || value === null || typeof value !== "object") return value;
  return new StateHash().addAll(new TextEncoder().encode(hashText(value))).hex();
}

/** What the room has asked of our state, and we have not answered: it is answered at the first turn's end that is late enough. */
export class Asked {
  /** @type {{type: "snapshot" | "dump", generation: number}[]} */
  waiting = [];

  /** @param {LockstepClient} client */
  constructor(client) {
    this.client = client;
  }

  forget() {
    this.waiting = [];
  }

  /** @param {"snapshot" | "dump"} type @param {number} generation the state is wanted after this one, or a later one */
  ask(type, generation) {
    const { client } = this;
    if (!client.running || !Number.isSafeInteger(generation)) return;
    if (!this.saver(type)) return this.answer({ type, generation, ...(type === "snapshot" && { checksum: null }), state: null });
    this.waiting = [...this.waiting, { type, generation }].slice(-MOST_ASKED);
    if (!client.turn) this.ended(client.begun - 1);
  }

  /** What gives our state. @param {"snapshot" | "dump"} type @returns {(() => any) | undefined} */
  saver(type) {
    const { engine } = this.client;
    if (type === "dump" && engine.dump) return () => engine.dump?.();
    return engine.save && (() => engine.save?.());
  }

  /** Our state is the one after this generation. @param {number} generation */
  ended(generation) {
    if (!this.waiting.length) return;
    const due = this.waiting.filter((one) => one.generation <= generation);
    this.waiting = this.waiting.filter((one) => one.generation > generation);
    for (const { type } of due) this.give(type, generation);
  }

  /** Our state is about to be replaced: a dump that is asked of it is given with what there is, after the turn that it is in. */
  flush() {
    const { client } = this;
    if (!this.waiting.splice(0).some(({ type }) => type === "dump")) return;
    for (let left = client.turn?.left ?? 0; left > 0; left--) client.engine.iterate();
    this.give("dump", client.begun - 1);
  }

  /** @param {"snapshot" | "dump"} type @param {number} generation */
  give(type, generation) {
    const state = this.state(type, generation);
    const checksum = state === null ? null : hashOf(this.client.engine, this.client.binaryRoom);
    this.answer({ type, generation, ...(type === "snapshot" && { checksum }), state });
  }

  /** Our state for the wire; null where there is none to give. @param {"snapshot" | "dump"} type @param {number} generation */
  state(type, generation) {
    const { finished, binaryRoom } = this.client;
    // Whoever began with a state from after the end would not know at which generation the end was.
    if (type === "snapshot" && finished && finished.generation < generation) return null;
    try {
      const saved = this.saver(type)?.() ?? null;
      const state = saved === null ? null : pack(saved, binaryRoom);
      return new TextEncoder().encode(JSON.stringify(state)).length <= MOST ? state : null;
    } catch (error) {
      console.error("the game's state cannot be saved", error);
      return null;
    }
  }

  /** @param {Record<string, any>} message */
  answer(message) {
    this.client.room.send(message);
  }
}

/**
 * Put an engine into a state that the room gave, and see whether it is the one that it says.
 * @param {Engine} engine @param {{checksum: any, state: any}} snapshot @param {boolean} binary
 * @returns {any} the state's hash, or null where the engine did not take it or has another hash with it
 */
export function restore(engine, { checksum, state }, binary) {
  if (!engine.load) return null;
  try {
    engine.load(unpack(state, binary, binary && engine.save?.() instanceof Uint8Array));
    const hash = hashOf(engine, binary);
    return hashText(hash) === hashText(checksum) ? hash : null;
  } catch (error) {
    console.error("a state of the room's cannot be loaded", error);
    return null;
  }
}
