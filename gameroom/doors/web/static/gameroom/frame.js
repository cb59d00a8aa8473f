// @ts-check
/** The page's side of a sandboxed game. */

/** @typedef {import("./room.js").RoomConnection} RoomConnection */

/** The kinds of rooms that act once on a `game` with an id, however often it comes. */
const ONCE = new Set(["controller", "service"]);
/** What a game in a frame may say to the room. Who may leave, chat or send somebody away is the person at the page. */
export const FRAME_MAY_SEND = new Set([
  "setup", "ready", "commands", "finish", "drop", "resolve", "transition", "snapshot", "dump", "game", "ping",
]);

const ATTACH_WITHIN = 5000;

/**
 * Wait for a word of the game, for 5 s and no longer.
 * @template T
 * @param {(heard: (value: T) => void) => void} ask is given what has to be called with the word
 * @param {T} otherwise what is taken for it where none comes
 * @returns {Promise<T>}
 */
function fromGame(ask, otherwise) {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(otherwise), ATTACH_WITHIN);
    ask((value) => {
      clearTimeout(timer);
      resolve(value);
    });
  });
}

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
    /** The ids under which the game in the frame waits for answers. @type {Set<number>} */
    this.asked = new Set();
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
    if (!this.port) await fromGame((heard) => (this.onattach = () => heard(undefined)), undefined);
    this.dialled = true;
    this.room.open();
  }

  /** @param {MessagePort} port */
  attach(port) {
    this.port?.close();
    this.port = port;
    this.asked = new Set();
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
  async hello() {
    // Where nothing is played, nothing can be loaded.
    if (!this.port) return { snapshots: false };
    return fromGame((heard) => {
      this.awaitingHello = heard;
      this.post({ kind: "open" });
    }, { snapshots: false });
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
      const { play_id, last_generation, snapshots } = message;
      this.awaitingHello?.({
        ...(play_id !== undefined && { play_id }),
        ...(last_generation !== undefined && { last_generation }),
        ...(snapshots !== undefined && { snapshots }),
      });
      this.awaitingHello = null;
    } else if (!FRAME_MAY_SEND.has(message?.type)) {
      this.answer(message?.id, { type: "error", code: 102, message: `a game in a frame may not send ${message?.type}` });
    } else if (message.id === undefined) {
      this.room.send(message);
    } else {
      // Ids belong to the connection, which the page and the game share: the page gives them out.
      this.ask(message);
    }
  }

  /** @param {any} message */
  ask({ id, ...rest }) {
    const { asked, room } = this;
    // A game repeats what is not answered yet; the page repeats it towards the room already.
    if (asked.has(id)) return;
    asked.add(id);
    const answered = (/** @type {any} */ answer) => {
      if (asked.delete(id) && asked === this.asked) this.answer(id, answer);
    };
    const answer = ONCE.has(room.room?.hosting) && rest.type === "game" ? room.perform(rest) : room.request(rest);
    answer.then(answered, (error) => answered({ type: "error", code: error.code ?? 0, message: error.message }));
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
