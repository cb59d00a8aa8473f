// @ts-check
/** What all of the others need: a clock, an error, listeners by name. */

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
