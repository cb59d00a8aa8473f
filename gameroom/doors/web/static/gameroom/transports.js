// @ts-check
/** Transports: they carry text and bytes, and come back by themselves. */
import { systemClock } from "./base.js";

/** @typedef {import("./base.js").Clock} Clock */
/** @typedef {import("./rest.js").Seat} Seat */

const LOOPBACK = ["127.0.0.1", "localhost", "[::1]"];

/**
 * The URLs to dial for a seat, the most promising first: what the server said, and the page's own host.
 * The server may be known to its operator by a name that the page was not opened by, and then takes no page of another origin;
 * and one that was not told its name calls itself 127.0.0.1, which from another machine is somebody else.
 * A page on this very machine is best served by where it came from.
 * @param {Seat} seat
 * @param {{protocol: string, host: string, hostname?: string} | undefined} [page] the page's `location`
 * @returns {string[]}
 */
export function socketUrls(seat, page = globalThis.location) {
  const url = new URL(seat.socket);
  if (!page?.host || !page.protocol.startsWith("http") || page.host === url.host) return [seat.socket];
  const own = `${page.protocol === "https:" ? "wss" : "ws"}://${page.host}${url.pathname}`;
  if (LOOPBACK.includes(url.hostname)) return [own];
  return LOOPBACK.includes(new URL(own).hostname) ? [own, seat.socket] : [seat.socket, own];
}

/** The one of them that is dialled first. @param {Seat} seat @param {{protocol: string, host: string} | undefined} [page] @returns {string} */
export const socketUrl = (seat, page = globalThis.location) => socketUrls(seat, page)[0];

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
   * @param {string | string[]} url where there are several, the next is tried when one cannot be dialled
   * @param {{clock?: Clock, random?: () => number, WebSocket?: any, exists?: () => Promise<boolean>}} [options]
   *   `exists`: asked after failed dials whether the room is still there, since a browser does not tell a page why a dial failed
   */
  constructor(url, { clock = systemClock, random = Math.random, WebSocket = globalThis.WebSocket, exists } = {}) {
    this.urls = [url].flat();
    this.clock = clock;
    this.random = random;
    this.WebSocket = WebSocket;
    this.exists = exists;
    /** @type {any} */
    this.socket = null;
    /** @type {any} */
    this.timer = null;
    this.failures = 0;
    this.opened = false;
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
    const socket = new this.WebSocket(this.urls[0], [SUBPROTOCOL]);
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    this.opened = false;
    socket.onopen = () => socket === this.socket && this.greeted();
    socket.onmessage = (/** @type {{data: any}} */ event) => socket === this.socket && this.onmessage(event.data);
    socket.onclose = (/** @type {{code: number, reason: string}} */ event) => socket === this.socket && this.gone(event.code, event.reason);
  }

  greeted() {
    this.opened = true;
    this.onopen();
  }

  /** @param {number} code @param {string} reason */
  gone(code, reason) {
    this.socket = null;
    if (this.closed) return;
    if (!this.opened) this.urls.push(/** @type {string} */ (this.urls.shift()));
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
