// @ts-check
/** What the room's page says while a play does not go on, and what one can do about it. */
import { $, element } from "./dom.js";
import { MASTER, decodeMaster, shownName } from "./gameroom.js";
import { choices, differing, duration, list, ownState, sides } from "./words.js";

/** @typedef {import("./gameroom.js").RoomConnection} RoomConnection */
/** @typedef {import("./words.js").Divergence} Divergence */

const NOTICE_STAYS = 12_000;
/** A room with a policy of its own needs nobody's word; only one that still stands after this asks for it. */
const ASK_AFTER = 700;
const OUT = "Your game had come out differently, so the others go on without you. You are watching.";

export class Trouble {
  /**
   * @param {RoomConnection} room
   * @param {(message: Record<string, any>) => Promise<any>} ask says what is refused
   * @param {() => void} changed who plays may be others now
   */
  constructor(room, ask, changed) {
    this.room = room;
    /** @type {string | null} */
    this.play = null;
    /** The room's answer to our hello, until the play's start has come. @type {any} */
    this.welcome = null;
    this.ask = ask;
    this.changed = changed;
    /** @type {Divergence | null} */
    this.divergence = null;
    /** Whether the next master tells what has become of the divergence. */
    this.curious = false;
    /** Whether we were sent from our seat in this play. */
    this.evicted = false;
    /** Since when whom is waited for, ms. @type {Map<string, number>} */
    this.since = new Map();
    /** Without whom we want to go on. @type {Set<string>} */
    this.given = new Set();
    /** The button of ours that somebody is at, or was when it went away. @type {string | null} */
    this.at = null;
    $("waiting").onclick = (/** @type {any} */ event) => (this.at = event.target.closest("button")?.textContent ?? this.at);
    /** @type {any} */
    this.timer = null;
    /** @type {any} */
    this.quiet = null;
    /** @type {any} */
    this.asking = null;
    room.on("divergence", (message) => this.diverged(message));
    room.on("state", (message) => this.show(message));
    room.on("master", (message) => this.heed(message.system));
    room.on("binary", (data) => this.curious && new Uint8Array(data)[0] === MASTER && this.heed(decodeMaster(data).system));
    room.on("welcome", (message) => (this.welcome = message));
    room.on("start", (message) => this.begun(message.play_id));
    room.on("over", () => this.ended());
  }

  /** @param {string} play */
  begun(play) {
    if (play !== this.play) this.reset(play);
    if (this.welcome?.evicted) this.out();
    this.welcome = null;
  }

  ended() {
    this.reset(null);
    clearInterval(this.timer);
    clearTimeout(this.asking);
    this.say([]);
  }

  /** A play begins or is over. @param {string | null} play */
  reset(play) {
    this.play = play;
    this.divergence = null;
    this.curious = this.evicted = false;
    this.since.clear();
    this.given.clear();
    this.tell("");
  }

  get own() {
    return this.room.you?.viewer || this.evicted ? null : this.room.you?.seat ?? null;
  }

  get host() {
    return this.room.players.find((player) => player.host);
  }

  /** @param {number} seat */
  nameOf(seat) {
    const player = this.room.players.find((one) => one.seat === seat);
    if (player && player.user_id === this.room.you?.user_id) return "you";
    return player ? shownName(player) : `seat ${seat}`;
  }

  /** @param {{state: string, members?: string[], message?: string}} now `message`: why, where the room has a sentence for it */
  show({ state, members = [], message }) {
    clearInterval(this.timer);
    clearTimeout(this.asking);
    if (state !== "running.paused.lagging") this.since.clear();
    if (state !== "running.paused.lagging") this.given.clear();
    if (state === "running.paused.diverged") return this.showDiverged();
    this.resolved();
    if (state === "running.paused.lagging") this.showLagging(members);
    else if (state.startsWith("running.paused")) this.say([element("span", { textContent: message ? `The game is paused. ${message}` : `The game is paused${ownState(state) && `: ${ownState(state)}`}.` })]);
    else this.say([]);
  }

  // --- somebody is waited for

  /** @param {string[]} members */
  showLagging(members) {
    const others = this.room.players.filter((player) => members.includes(player.user_id) && player.user_id !== this.room.you?.user_id);
    const now = performance.now();
    this.since = new Map(others.map(({ user_id }) => [user_id, this.since.get(user_id) ?? now]));
    if (!others.length) return this.say([]);
    this.say(others.map((player) => this.lagging(player)));
    this.timer = setInterval(() => this.count(), 1000);
  }

  /** @param {any} player */
  lagging(player) {
    const name = shownName(player);
    // A timer: what changes every second is not read out every second.
    const since = element("span", { className: "quiet" });
    since.setAttribute("role", "timer");
    since.dataset.since = player.user_id;
    const row = element("div", { className: "choice" }, element("span", {}, `Waiting for ${name} `, since));
    if (this.own === null) return row;
    const also = this.also(player);
    const button = element("button", { type: "button", className: "small", textContent: `Go on without ${name}` });
    const does = element("span", { className: "quiet", textContent: also.length ? this.needed(player, also) : "" });
    button.toggleAttribute("disabled", this.given.has(player.user_id));
    button.addEventListener("click", async () => {
      button.toggleAttribute("disabled", true);
      if (!(await this.ask({ type: "drop", seat: player.seat }))) return button.toggleAttribute("disabled", false);
      this.given.add(player.user_id);
      does.textContent = also.length ? this.needed(player, also) : "";
    });
    row.append(button, does);
    return row;
  }

  /** Who must want to go on without somebody beside ourselves. @param {any} player @returns {string[]} */
  also(player) {
    const others = this.room.players.filter((one) => !one.viewer && one.connected && one.user_id !== player.user_id && one.user_id !== this.room.you?.user_id);
    return others.filter((one) => !this.since.has(one.user_id)).map(shownName);
  }

  /** @param {any} player @param {string[]} also */
  needed(player, also) {
    if (this.given.has(player.user_id)) return `You want it; ${list(also)} must want it too.`;
    return also.length > 1 ? `All ${also.length + 1} of you must want it.` : "Both of you must want it.";
  }

  count() {
    const now = performance.now();
    for (const box of $("waiting").querySelectorAll("[data-since]")) {
      box.textContent = `for ${duration(now - (this.since.get(box.dataset.since) ?? now))}`;
    }
  }

  // --- the games differ

  /** @param {Divergence} divergence */
  diverged(divergence) {
    this.divergence = divergence;
    this.showDiverged();
  }

  showDiverged() {
    clearTimeout(this.asking);
    const { divergence } = this;
    const what = divergence ? differing(divergence, (seat) => this.nameOf(seat)) : "The players' games have come out differently.";
    const text = element("p", { className: "what", textContent: `${what} The match has stopped.` });
    this.say([text]);
    this.asking = setTimeout(() => this.say([text, ...this.whatNow(divergence)]), ASK_AFTER);
  }

  /** @param {Divergence | null} divergence */
  whatNow(divergence) {
    if (this.room.you?.host && divergence) return this.hostsChoice(divergence);
    const host = this.host ? `, ${shownName(this.host)},` : "";
    return [element("p", { className: "quiet", textContent: `Waiting for the host${host} to say what shall be done.` })];
  }

  /** @param {Divergence} divergence */
  hostsChoice(divergence) {
    const host = this.own;
    const rows = choices(divergence, host, (seat) => this.nameOf(seat)).map(({ name, how, does }, i) => {
      const button = element("button", { type: "button", className: "small", textContent: name });
      const about = element("span", { id: `choice-${i}`, className: "quiet", textContent: does });
      button.setAttribute("aria-describedby", about.id);
      button.addEventListener("click", () => this.ask({ type: "resolve", how }));
      return element("div", { className: "choice" }, button, about);
    });
    const found = sides(divergence, host);
    const why = found?.byMajority ? "You are the host:" : found ? "You are the host, and no game is that of most of you, so yours counts:" : "You are the host; no game is that of most of you, so it can only be ended:";
    return [element("p", { className: "quiet", textContent: why }), ...rows];
  }

  /** The play goes on after a divergence; the next master says how. */
  resolved() {
    if (this.divergence) this.curious = true;
  }

  /** We have come back to a play that goes on without us. */
  out() {
    this.evicted = true;
    this.tell(OUT);
    this.changed();
  }

  /** What a master tells of seats. @param {any[] | undefined} system */
  heed(system) {
    const out = (system ?? []).map((event) => event?.evicted).filter((seat) => typeof seat === "number");
    if (out.includes(this.own)) this.evicted = true;
    if (!this.curious && !out.length) return;
    const wrong = this.divergence ? sides(this.divergence, this.host?.seat ?? null)?.wrong ?? [] : [];
    this.curious = false;
    this.divergence = null;
    this.say([]);
    this.tell(this.became(out, wrong));
    this.changed();
  }

  /** @param {number[]} out who was sent from their seats @param {number[]} wrong whose games were not the others' */
  became(out, wrong) {
    const names = list((out.length ? out : wrong).map((seat) => this.nameOf(seat)));
    if (out.length) return this.evicted ? OUT : `${names} had another game than the others, and only watch${out.length > 1 ? "" : "es"} from now on.`;
    if (!names) return "The games agree again.";
    return names === "you" ? "Your game had come out differently. It has been put right: play on." : `The games agree again: ${names} ${wrong.length > 1 ? "were" : "was"} put right.`;
  }

  // --- the boxes

  /** @param {Node[]} rows */
  say(rows) {
    const box = $("waiting");
    const { activeElement } = document;
    if (box.contains(activeElement)) this.at = activeElement?.textContent ?? null;
    else if (activeElement !== document.body) this.at = null;
    box.hidden = !rows.length;
    box.replaceChildren(...rows);
    this.count();
    if (this.at !== null) this.focus(this.at);
  }

  /** Whoever was at a button here is at the same one again, or back in the game once nothing is asked, so that its keys steer it. @param {string} name */
  focus(name) {
    const box = $("waiting");
    const same = [...box.querySelectorAll("button")].find((button) => button.textContent === name && !button.disabled);
    if (same) return same.focus({ preventScroll: true });
    if (!box.hidden) return;
    this.at = null;
    $("frame-place").firstElementChild?.focus({ preventScroll: true });
  }

  /** Something that has happened; it stays for a while, or, where it is about one's own seat, until the play is over. @param {string} text */
  tell(text) {
    clearTimeout(this.quiet);
    $("happened").hidden = !text;
    $("happened").textContent = text;
    if (text && !this.evicted) this.quiet = setTimeout(() => this.tell(""), NOTICE_STAYS);
  }
}
