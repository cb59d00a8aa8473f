// @ts-check
/** What a screen knows of a game of Loners, and the words for it. No document in here. */
import { list } from "../words.js";

/** @typedef {import("./connect_four.js").Seen} Seen */
/** @typedef {{turn: number, picks: {player: number, pick: number}[], scorer: number | null, points: number}} Round */

export const GOAL = 15;
export const NUMBERS = [1, 2, 3, 4, 5, 6, 7];

export class Loners {
  colors = ["red", "yellow", "green", "blue", "orange", "purple", "white", "black"];
  /** Everyone chooses at the same time. */
  together = true;

  constructor() {
    this.clear();
  }

  clear() {
    /** @type {{player: number, score: number, locked: boolean}[]} */
    this.board = [];
    this.cursor = 3;
    this.round = 1;
    /** What we have locked in this round. @type {number | null} */
    this.pick = null;
    /** The round before. @type {Round | null} */
    this.last = null;
    this.over = false;
  }

  /** @param {any} game */
  restore(game) {
    this.clear();
    this.take(game);
    this.pick = game.pick ?? null;
  }

  /** @param {Record<string, any>} body @param {Seen} seen */
  heed(body, { own }) {
    if (body.event === "game_start") this.clear();
    if (body.event === "board" && this.isOld(body, own)) return;
    this.take(body);
    if (body.event === "move_received" && body.do === "drop") this.pick = this.board.find(({ player }) => player === own)?.locked ? body.cursor + 1 : null;
    if (body.event === "request_move") this.pick = null;
    if (body.event === "game_over") this.finish(body);
  }

  /** @param {Record<string, any>} body */
  take(body) {
    if (body.board) this.board = body.board;
    if (typeof body.cursor === "number") this.cursor = body.cursor;
    if (body.last) [this.last, this.round] = [body.last, body.last.turn + 1];
    if (body.turn) this.round = body.turn;
  }

  /** Whether a board was on its way when we moved. @param {Record<string, any>} body @param {number | null} own */
  isOld({ board, last }, own) {
    const round = last ? last.turn + 1 : 1;
    return round < this.round || (round === this.round && !!this.pick && board.some((/** @type {any} */ one) => one.player === own && !one.locked));
  }

  /** @param {Record<string, any>} body */
  finish(body) {
    this.over = true;
    if (body.scores) this.board = body.scores.map((/** @type {any} */ one) => ({ ...one, locked: false }));
  }

  /** @returns {number[]} who has not chosen yet */
  get movers() {
    return this.over ? [] : this.board.filter(({ locked }) => !locked).map(({ player }) => player);
  }

  /** @param {number} player */
  scoreOf(player) {
    return this.board.find((one) => one.player === player)?.score ?? 0;
  }

  /** @param {number} player */
  isLocked(player) {
    return this.board.some((one) => one.player === player && one.locked);
  }

  /** @param {Seen} seen @returns {string} */
  turnText({ own, asked, nameOf }) {
    if (asked) return `Round ${this.round}: pick a number`;
    const names = this.movers.filter((player) => player !== own).map(nameOf);
    const waiting = names.length > 3 ? `${names.length} players` : list(names);
    if (!names.length) return "";
    return this.pick ? `You picked ${this.pick}. Waiting for ${waiting}` : `Round ${this.round}: waiting for ${waiting}`;
  }

  /** @param {Record<string, any>} body @param {Seen} seen @returns {string} */
  told(body, { own, nameOf }) {
    if (body.event === "game_start") return "The game begins. Pick a number that nobody else picks: the lowest such number scores.";
    if (body.event === "request_move") return `Round ${body.turn}, pick a number. ${body.cursor + 1}.`;
    if (body.event === "board") return this.roundTold(body, nameOf);
    if (body.event !== "move_received") return "";
    if (body.do !== "drop") return String(body.cursor + 1);
    return [`You picked ${body.cursor + 1}.`, this.isLocked(own ?? 0) ? "" : this.roundTold(body, nameOf)].filter(Boolean).join(" ");
  }

  /** A round that has just ended. @param {Record<string, any>} body @param {(player: number) => string} nameOf */
  roundTold(body, nameOf) {
    const fresh = body.last && !(body.board ?? []).some((/** @type {any} */ one) => one.locked);
    return fresh ? this.lastText(nameOf) : "";
  }

  /** What came of the round before. @param {(player: number) => string} nameOf @returns {string} */
  lastText(nameOf) {
    if (!this.last) return "";
    const { picks, scorer, points } = this.last;
    const said = NUMBERS.filter((number) => picks.some(({ pick }) => pick === number));
    const who = said.map((number) => `${list(picks.filter(({ pick }) => pick === number).map(({ player }) => nameOf(player)))} ${number}`).join(", ");
    return `${scorer ? `${nameOf(scorer)}: ${points} ${points > 1 ? "points" : "point"}` : "Nobody scored"} (${who}).`;
  }

  /** @returns {string} */
  described() {
    return `Numbers 1 to 7, ${this.pick ? `you have picked ${this.pick}` : `the cursor is at ${this.cursor + 1}`}.`;
  }

  /** @param {any} body @param {(player: number) => string} nameOf @returns {string} */
  ended(body, nameOf) {
    if (body.winner) return `${nameOf(body.winner)} won`;
    return body.shared ? `Draw between ${list(body.shared.map(nameOf))}` : "Draw";
  }
}
