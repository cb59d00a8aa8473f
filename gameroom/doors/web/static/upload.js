// @ts-check
/**
 * Brings a file to the server as a version of a game: in chunks, several under way at a time, and on from where it was after whatever
 * went wrong. No document in here.
 *
 * The server keeps the bytes of every chunk that it has answered. So whatever fails, the same is done: ask how far it is, go on there.
 */
import { RoomError, api, systemClock } from "./gameroom.js";
import { Sha256 } from "./sha256.js";

/**
 * @typedef {"reading" | "sending" | "waiting" | "checking"} Stage
 * @typedef {{stage: Stage, done: number, all: number, problem?: string}} Progress `problem`: why it waits
 * @typedef {{version: string, is_latest: boolean}} Published
 */

/** A browser has six connections to a server, and other requests want one too. */
const MOST_FLYING = 5;
const SLICE = 1 << 20;
/**
 * The most that the server takes. All are of one size: a chunk that was given up may land all the same, and then the next one must
 * begin where it ends, whichever of the two came first.
 */
const CHUNK = 256 << 10;
/** A chunk that takes longer is lost. */
const TOO_LONG = 60_000;
const WAITS = [500, 1000, 2000, 4000, 8000, 15_000];
/** What passes by itself: no answer, chunks in the wrong order, too many requests, the server's own trouble. */
const PASSES = [0, 106, 120, 199];
/** A chunk that is there before the one before it waits for it so long (docs/protocol/rooms.md). */
const PATIENCE = "wait=10";

/** The file's SHA-256. @param {Blob} file @param {(done: number) => void} told @param {AbortSignal} signal @returns {Promise<string>} */
export async function checksum(file, told, signal) {
  const hash = new Sha256();
  for (let at = 0; at < file.size; at += SLICE) {
    signal.throwIfAborted();
    hash.update(new Uint8Array(await file.slice(at, at + SLICE).arrayBuffer()));
    told(Math.min(at + SLICE, file.size));
  }
  return hash.hex();
}

/** Send a chunk as it is. @param {string} path @param {Blob} piece @param {string} token @param {AbortSignal} signal */
export async function put(path, piece, token, signal) {
  let response, answer;
  try {
    const headers = { Accept: "application/json", Authorization: `Bearer ${token}`, "Content-Type": "application/octet-stream", Prefer: PATIENCE };
    response = await fetch(path, { method: "PUT", headers, body: piece, signal });
    if (!response.ok) answer = await response.json();
  } catch {
    throw new RoomError(0, "The server cannot be reached just now.");
  }
  if (!response.ok) throw new RoomError(answer.code ?? 199, answer.detail ?? `The server answered ${response.status}.`, answer);
}

export class Upload {
  /**
   * @param {{gameId: string, version: string, file: Blob, token: string, told?: (progress: Progress) => void,
   *   server?: {api: typeof api, put: typeof put}, clock?: import("./gameroom.js").Clock}} options `told` hears how far it is
   */
  constructor({ gameId, version, file, token, told = () => {}, server = { api, put }, clock = systemClock }) {
    this.gameId = gameId;
    this.version = version;
    this.file = file;
    this.token = token;
    this.told = told;
    this.server = server;
    this.clock = clock;
    this.checksum = "";
    /** Bytes that the server has. */
    this.done = 0;
    this.uploadId = "";
    /** So many chunks may be under way: fewer on a slow line, where each would take too long. */
    this.window = 2;
    this.failures = 0;
    this.hurry = () => {};
    this.stopping = new AbortController();
    this.cancelled = false;
  }

  /** Until the version is there. Rejects with a `RoomError`, or with an AbortError after `stop` or `cancel`. @returns {Promise<Published>} */
  async run() {
    const { signal } = this.stopping;
    this.checksum ||= await checksum(this.file, (done) => this.#tell("reading", done), signal);
    const body = { version: this.version, size_bytes: this.file.size, checksum: this.checksum, chunk_size: CHUNK };
    const begun = await this.#surely(() => this.#ask("POST", `/developer/games/${this.gameId}/uploads`, body));
    this.uploadId = begun.upload_id;
    if (this.cancelled) await this.#ask("DELETE", this.#path());
    this.stopping.signal.throwIfAborted();
    await this.#surely(() => this.#send());
    this.#tell("checking", this.file.size);
    return await this.#surely(() => this.#end());
  }

  /** Stop here; it can be gone on with later. */
  stop() {
    this.stopping.abort();
  }

  /** Give it up, on the server too. */
  async cancel() {
    this.cancelled = true;
    this.stop();
    if (this.uploadId) await this.#ask("DELETE", this.#path());
  }

  /** Carry out `deed` until it succeeds, as often as what went wrong passes by itself. @template T @param {() => Promise<T>} deed @returns {Promise<T>} */
  async #surely(deed) {
    for (;;) {
      this.stopping.signal.throwIfAborted();
      try {
        return await deed();
      } catch (error) {
        this.stopping.signal.throwIfAborted();
        if (!(error instanceof RoomError) || !PASSES.includes(error.code)) throw error;
        await this.#rest(error);
      }
    }
  }

  /** Wait a little longer each time that nothing has come through since the last. @param {RoomError} error */
  async #rest(error) {
    if (error.code === 0) this.window = 1;
    const least = 1000 * Number(error.details.retry_after ?? 0);
    const pause = Math.max(least, WAITS[Math.min(this.failures++, WAITS.length - 1)]);
    const problem = error.code === 0 ? "The server cannot be reached just now." : error.message;
    this.told({ stage: "waiting", done: this.done, all: this.file.size, problem });
    /** @type {any} */
    let timer;
    await new Promise((resolve) => {
      this.hurry = () => resolve(undefined);
      timer = this.clock.setTimeout(this.hurry, pause);
      this.stopping.signal.addEventListener("abort", this.hurry, { once: true });
    });
    this.clock.clearTimeout(timer);
  }

  /** From where the server is to the file's end. */
  async #send() {
    const { next_seq, received_bytes } = await this.#ask("GET", this.#path());
    let [seq, at] = [next_seq, received_bytes];
    /** @type {Set<Promise<void>>} */
    const flying = new Set();
    /** @type {unknown} */
    let problem = null;
    // What is under way is called back when one has failed: the others would come in the wrong order.
    const together = new AbortController();
    const stop = () => together.abort();
    this.stopping.signal.addEventListener("abort", stop, { once: true });
    this.#tell("sending", at);
    while (flying.size || (at < this.file.size && !problem)) {
      while (!problem && at < this.file.size && flying.size < Math.floor(this.window)) {
        const piece = this.file.slice(at, at + CHUNK);
        at += piece.size;
        const flight = this.#fly(seq++, piece, together.signal)
          .catch((error) => {
            problem ??= error;
            together.abort();
          })
          .finally(() => flying.delete(flight));
        flying.add(flight);
      }
      await Promise.race(flying);
    }
    this.stopping.signal.removeEventListener("abort", stop);
    if (problem) throw problem;
  }

  /** @param {number} seq @param {Blob} piece @param {AbortSignal} signal */
  async #fly(seq, piece, signal) {
    const began = this.clock.now();
    const own = new AbortController();
    const give_up = () => own.abort();
    const timer = this.clock.setTimeout(give_up, TOO_LONG);
    signal.addEventListener("abort", give_up, { once: true });
    try {
      await this.server.put(`${this.#path()}/chunks/${seq}`, piece, this.token, own.signal);
    } finally {
      this.clock.clearTimeout(timer);
      signal.removeEventListener("abort", give_up);
    }
    const took = this.clock.now() - began;
    if (took < 1500) this.window = Math.min(MOST_FLYING, this.window + 0.5);
    else if (took > 8000) this.window = Math.max(1, this.window - 1);
    this.failures = 0;
    this.#tell("sending", this.done + piece.size);
  }

  /** @returns {Promise<Published>} */
  async #end() {
    try {
      return await this.#ask("POST", `${this.#path()}/end`);
    } catch (error) {
      // An answer that was lost: has it been published?
      if (error instanceof RoomError && error.code === 105) {
        const { versions } = await this.#ask("GET", `/developer/games/${this.gameId}/versions`);
        const found = versions.find((/** @type {any} */ one) => one.version === this.version && one.checksum === this.checksum);
        if (found) return { version: found.version, is_latest: found.is_latest };
      }
      throw error;
    }
  }

  #path() {
    return `/developer/uploads/${this.uploadId}`;
  }

  /** @param {string} method @param {string} path @param {any} [body] */
  #ask(method, path, body) {
    return this.server.api(method, path, { body, token: this.token });
  }

  /** @param {Stage} stage @param {number} done */
  #tell(stage, done) {
    this.done = stage === "reading" ? 0 : done;
    this.told({ stage, done, all: this.file.size });
  }
}
