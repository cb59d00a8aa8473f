// @ts-check
/** A controller room's game: three buttons for a player, a big board for a screen that everybody looks at. */
import { element } from "./dom.js";
import { ControllerClient, shownName } from "./gameroom.js";
import { Keys } from "./controller_keys.js";
import { Seats } from "./controller_seats.js";
import { TurnClock } from "./turn_games/clock.js";
import { tableOf } from "./turn_games/tables.js";
import { list } from "./words.js";

/** @typedef {import("./gameroom.js").RoomConnection} RoomConnection */
/** @typedef {{view: any, wants: boolean, began: () => void, ended: () => void, changed: () => void, notice: (text: string, bad?: boolean) => void}} Around */

/** @param {any} view the room, as `GET /join` shows it */
export const isController = (view) => view?.hosting === "controller" && !view.engine?.page;

const MOVES = /** @type {const} */ (["left", "drop", "right"]);
const NAMES = { left: "Left", drop: "Drop", right: "Right" };
const SHORTCUTS = { left: "ArrowLeft", drop: "Space ArrowDown", right: "ArrowRight" };
const ICONS = { left: "M15 4 7 12l8 8", drop: "M12 4v15M5 12l7 7 7-7", right: "M9 4l8 8-8 8" };
const LINES_KEPT = 6;
const TICK = 250;

/** @param {keyof typeof ICONS} move */
function icon(move) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", ICONS[move]);
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  svg.append(path);
  return svg;
}

export class ControllerPage {
  /**
   * @param {RoomConnection} room not dialled yet
   * @param {Around} around `wants`: the person has just asked for a seat; `view`: the room, as `GET /join` shows it
   */
  constructor(room, around) {
    this.room = room;
    this.around = around;
    this.client = new ControllerClient({ room });
    const { name, game, board } = tableOf(around.view);
    /** The game that is played, as `connect-four`. */
    this.name = name;
    this.game = game;
    this.board = board;
    this.clock = new TurnClock();
    this.seats = new Seats(this.clock);
    /** Names of the players of the game that is on, who may have left since. @type {Map<number, string>} */
    this.names = new Map();
    /** How the last game ended, until the next begins. @type {any} */
    this.over = null;
    /** Our number in the game that is on, or was; null for who only saw it. @type {number | null} */
    this.part = null;
    /** Whether the person has asked for another since. */
    this.more = false;
    /** Whether the game that is on was on when we came. */
    this.resumed = false;
    /** Whether the person asked for a seat, and has not been answered yet. */
    this.wants = around.wants;
    this.sentence = "";
    this.build();
    this.listen();
    this.keys = new Keys(this);
  }

  build() {
    this.turn = element("p", { className: "turn" });
    this.told = element("div", { className: "visually-hidden" });
    this.told.setAttribute("role", "log");
    this.told.setAttribute("aria-label", "Moves");
    this.told.setAttribute("aria-live", "polite");
    this.buttons = MOVES.map((move) => {
      const button = element("button", { type: "button", className: "pad-button", id: move, disabled: true }, icon(move), element("span", { textContent: NAMES[move] }));
      button.setAttribute("aria-keyshortcuts", SHORTCUTS[move]);
      // A press by hand leaves the keyboard where it is: space goes on dropping.
      button.addEventListener("pointerdown", (/** @type {Event} */ event) => event.preventDefault());
      button.addEventListener("mousedown", (/** @type {Event} */ event) => event.preventDefault());
      button.addEventListener("click", () => this.press(move));
      return button;
    });
    this.pad = element("div", { className: "pad" }, ...this.buttons);
    this.pad.setAttribute("role", "group");
    this.pad.setAttribute("aria-label", "Your controller");
    const place = element("div", { className: "board-place" }, this.board.element);
    this.element = element("div", { className: "table", id: "table", tabIndex: -1 }, this.seats.element, this.turn, place, this.pad, this.told);
  }

  listen() {
    const { client } = this;
    client.on("welcome", ({ game, last }) => this.welcomed(game, last));
    client.on("members", () => this.draw());
    client.on("over", () => this.around.changed());
    for (const name of ["game_start", "request_move", "cursor", "board", "game_over", "move_received"]) client.on(name, (body) => this.happened(body));
    client.on("clock", (body) => {
      this.clock.heed(body, performance.now());
      this.draw();
    });
    client.on("bot", ({ player }) => this.tookOver(player));
    this.room.on("connection", () => this.draw());
    setInterval(() => this.clock.running && this.seats.tick(), TICK);
  }

  /** @param {any} game the one that is on, or null @param {any} last else how the one before has ended, or null */
  welcomed(game, last) {
    this.resumed = !!game;
    if (game) {
      this.game.restore(game);
      this.over = null;
      this.nameAll(game);
      this.part = game.player;
    } else if (last && !this.wants) {
      this.recall(last);
    }
    if (this.wants) this.join();
    this.draw();
  }

  /** A game that has ended, for who has come back since. @param {any} last */
  recall(last) {
    const known = !!this.over;
    const { user_id } = this.room.you;
    this.game.restore(last);
    // Whoever sits there by now may be somebody else.
    this.names = new Map(last.players.map((/** @type {any} */ { player, name }) => [player, shownName({ user_id: name, name })]));
    this.part = last.player;
    this.over = last.game_over;
    this.game.heed(this.over, this.seen);
    this.more ||= this.room.players.some((one) => one.user_id === user_id && !one.viewer && one.ready);
    if (!known && !this.more) this.around.ended();
  }

  async join() {
    this.wants = false;
    // Where more may come than must, each says when all are in.
    const { min_players, max_players } = this.around.view;
    const seated = () => this.room.players.filter(({ viewer }) => !viewer).length;
    if (this.client.player && min_players !== max_players) return;
    try {
      const { full } = await this.client.join();
      if (full) this.around.notice(seated() < max_players ? "A game is on: you are watching, and can take a seat when it is over." : "The game is full: you are watching.");
    } catch (error) {
      this.around.notice(/** @type {Error} */ (error).message, true);
    }
    this.around.changed();
  }

  /** Another game. @returns {Promise<void>} */
  async again() {
    this.more = true;
    try {
      await this.client.ready();
    } catch (error) {
      this.around.notice(/** @type {Error} */ (error).message, true);
    }
  }

  /** @param {any} body the names that the room tells with a game */
  nameAll({ players }) {
    this.names = new Map((Array.isArray(players) ? players : []).map((/** @type {any} */ one) => [one.player, one.name]));
    for (const member of this.room.players) if (!member.viewer && member.seat !== null) this.names.set(member.seat + 1, shownName(member));
  }

  /** @param {number} player @returns {string} */
  nameOf = (player) => {
    const member = this.room.players.find(({ seat, viewer }) => !viewer && seat === player - 1);
    return (this.client.playing || this.over ? this.names.get(player) : null) ?? (member ? shownName(member) : `Player ${player}`);
  };

  get seen() {
    return { own: this.client.player, asked: this.client.live, nameOf: this.nameOf };
  }

  /** @param {Record<string, any>} body */
  happened(body) {
    // Who has come back is told the end twice: by the welcome, and because it may not have been heard.
    if (body.event === "game_over" && this.over) return;
    // After a new connection the game that is on begins once more: it is known from the welcome.
    const known = body.event === "game_start" && this.resumed;
    if (body.event === "game_start") this.begin(body, known);
    if (!known) this.game.heed(body, this.seen);
    if (body.event === "game_over") this.end(body);
    this.draw();
    if (!known) this.say(this.game.told(body, this.seen));
    if (body.event === "request_move") this.called();
  }

  /** @param {Record<string, any>} body @param {boolean} known */
  begin(body, known) {
    this.nameAll(body);
    this.part = this.client.player;
    this.over = null;
    if (!known) this.around.began();
    this.around.changed();
  }

  /** @param {Record<string, any>} body */
  end(body) {
    this.more = false;
    this.clock.clear();
    this.resumed = false;
    this.over = body;
    this.around.ended();
  }

  /** A computer plays on for somebody whose time ran out. @param {number} player */
  tookOver(player) {
    const own = player === this.client.player;
    const text = own ? "Your time ran out: the computer plays on for you." : `The time of ${this.nameOf(player)} ran out: the computer plays on.`;
    if (own) this.around.notice(text);
    this.say(text);
  }

  /** It is our turn. */
  called() {
    const { activeElement: at, body } = document;
    if (!at || at === body || at.id === "main" || this.element.contains(at)) this.buttons[1].focus({ preventScroll: true });
    if (navigator.userActivation?.hasBeenActive && !matchMedia("(prefers-reduced-motion: reduce)").matches) navigator.vibrate?.(60);
  }

  /** @param {"left" | "drop" | "right"} move */
  async press(move) {
    if (!this.client.live) return;
    try {
      await this.client.press(move);
      this.around.notice("");
    } catch (error) {
      const { code, message } = /** @type {import("./gameroom.js").RoomError} */ (error);
      if (code) this.around.notice(`${message[0].toUpperCase()}${message.slice(1)}.`, true);
    }
  }

  // --- what is shown

  /** How it ended for us, in the words that everybody looks for. @returns {string} */
  outcome() {
    const body = this.over;
    if (!body) return "";
    const own = this.part;
    if (body.reason === "left" && !body.winner) return "The game was left";
    const shared = !body.winner && (!body.shared || body.shared.includes(own));
    if (own) return body.winner === own ? "You won" : shared ? "Draw" : "You lost";
    return this.game.ended(body, this.nameOf);
  }

  /** A sentence beside the outcome. @returns {string} */
  because() {
    const { over } = this;
    const isThere = (/** @type {number} */ player, /** @type {string} */ name) =>
      this.room.players.some((member) => !member.viewer && member.seat === player - 1 && shownName(member) === name);
    const gone = [...this.names].filter(([player, name]) => player !== this.part && !isThere(player, name));
    if (over?.reason === "left") return gone.length ? `${list(gone.map(([, name]) => name))} left.` : "";
    return over?.reason === "time" ? "The clock ran out." : "";
  }

  /** What the room's page says while nothing is played. @param {string} sentence */
  show(sentence) {
    this.sentence = sentence;
    this.draw();
  }

  draw() {
    const { seen, client, game, room } = this;
    const { live } = client;
    for (const button of this.buttons) button.disabled = !live;
    const own = client.player;
    document.body.dataset.table = own ? "player" : "screen";
    this.pad.hidden = !own || (!client.playing && !!this.over);
    this.element.toggleAttribute("data-live", live);
    this.element.toggleAttribute("data-idle", !client.playing && !this.over);
    const mover = client.playing ? (live ? own : game.movers[0]) : null;
    this.element.dataset.mover = game.together || !mover ? "" : String(mover);
    const away = client.playing ? room.players.filter(({ viewer, connected, seat }) => !viewer && !connected && seat !== null && game.movers.includes(seat + 1)) : [];
    const waits = away.length ? `${list(away.map(shownName))} ${away.length > 1 ? "are" : "is"} away. The game waits.` : "";
    this.turn.textContent = client.playing ? (live ? game.turnText(seen) : waits || game.turnText(seen)) : this.sentence;
    this.seats.draw({ room, game, least: this.around.view.min_players, playing: client.playing, over: !!this.over, own, nameOf: this.nameOf, names: this.names });
    this.board.draw(game, seen);
  }

  /** For those who hear the page. @param {string} text */
  say(text) {
    if (!text) return;
    this.told.append(element("p", { textContent: text }));
    while (this.told.childElementCount > LINES_KEPT) this.told.firstElementChild.remove();
  }
}
