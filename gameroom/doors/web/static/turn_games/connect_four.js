// @ts-check
/** What a screen knows of a game of Connect Four, and the words for it. No document in here. */

/** @typedef {{player: number, column: number, row: number}} Disc */
/** @typedef {{own: number | null, asked: boolean, nameOf: (player: number) => string}} Seen */

export const COLUMNS = 7;
export const ROWS = 6;
export const COLORS = ["red", "yellow"];

/** @param {string[]} board */
const discs = (board) => board.join("").length;

export class ConnectFour {
  colors = COLORS;
  /** Everyone takes their turns one after the other. */
  together = false;

  constructor() {
    /** Who began, as far as that is known; the other one begins the next. @type {number | null} */
    this.first = null;
    this.clear();
  }

  clear() {
    /** A string for each column, bottom first. @type {string[]} */
    this.board = Array(COLUMNS).fill("");
    /** Where each player's disc hangs above the board. */
    this.cursors = [3, 3];
    /** Whose turn it is. @type {number | null} */
    this.mover = null;
    /** The newest disc. @type {Disc | null} */
    this.last = null;
    /** Four in a row. @type {number[][] | null} */
    this.line = null;
  }

  /** The present game, as `welcome` gives it. @param {any} game */
  restore(game) {
    this.clear();
    this.board = game.board;
    this.mover = game.to_move;
    this.hang(game.player ?? game.to_move, game.cursor);
    this.first = game.to_move && (game.turn % 2 ? game.to_move : 3 - game.to_move);
  }

  /** @param {Record<string, any>} body an event, or the answer to our own move @param {Seen} seen */
  heed(body, { own }) {
    if (body.event === "game_start") this.begin(body, own);
    // A board that was on its way when we moved: discs never go away in a game.
    if (body.event === "board" && discs(body.board) < discs(this.board)) return;
    if (body.board) this.board = body.board;
    if (body.last) this.dropped(body.last);
    if (body.event === "request_move") this.mover = own;
    if (body.event === "cursor") this.mover = body.player;
    if (body.cursor !== undefined) this.hang(body.event === "cursor" ? body.player : own, body.cursor);
    if (body.event === "move_received" && body.do === "drop" && own) this.dropped({ player: own, column: body.cursor, row: this.board[body.cursor].length - 1 });
    if (body.event === "game_over") [this.line, this.mover] = [body.line ?? null, null];
  }

  /** @param {any} body @param {number | null} own */
  begin(body, own) {
    const known = body.to_move ?? (this.first ? 3 - this.first : 1);
    this.clear();
    this.first = known;
    // A player is asked when it is its turn; until then it is the other's.
    this.mover = own === null ? known : 3 - own;
  }

  /** @param {Disc} disc */
  dropped(disc) {
    this.last = disc;
    this.mover = 3 - disc.player;
    this.hang(disc.player, disc.column);
  }

  /** @param {number | null} player @param {number} column */
  hang(player, column) {
    if (player) this.cursors[player - 1] = column;
  }

  /** The column above which the disc hangs that is dropped next. */
  get cursor() {
    return this.cursors[(this.mover ?? 1) - 1];
  }

  /** @returns {number[]} whose turn it is */
  get movers() {
    return this.mover ? [this.mover] : [];
  }

  /** @param {number} column */
  isFull(column) {
    return this.board[column].length === ROWS;
  }

  /** Whose turn it is, in a few words. @param {Seen} seen @returns {string} */
  turnText({ own, asked, nameOf }) {
    if (asked) return "Your turn";
    if (!this.mover) return "";
    return this.mover === own ? "Your turn comes" : `${nameOf(this.mover)}'s turn`;
  }

  /** What a screen reader says when this has happened. @param {Record<string, any>} body @param {Seen} seen @returns {string} */
  told(body, { own, nameOf }) {
    if (body.event === "game_start") return own ? `The game begins. You are ${body.color}, against ${body.opponent}.` : "The game begins.";
    if (body.event === "request_move") return `Your turn, column ${body.cursor + 1}.`;
    if (body.event === "board" && body.last) return `${nameOf(body.last.player)} dropped in column ${body.last.column + 1}, row ${body.last.row + 1}.`;
    if (body.event !== "move_received") return "";
    if (body.do === "drop") return `You dropped in column ${body.cursor + 1}, row ${body.board[body.cursor].length}.`;
    return `Column ${body.cursor + 1}${this.isFull(body.cursor) ? ", full" : ""}`;
  }

  /** The board, column by column. @returns {string} */
  described() {
    const columns = this.board.map((column, i) => column && `${i + 1}: ${[...column].map((disc) => COLORS[Number(disc) - 1]).join(", ")}`).filter(Boolean);
    return columns.length ? `Board, columns from the bottom. ${columns.join(". ")}.` : "The board is empty.";
  }

  /** The end for who watches. @param {any} body `game_over` @param {(player: number) => string} nameOf @returns {string} */
  ended(body, nameOf) {
    return body.winner ? `${nameOf(body.winner)} won` : "Draw";
  }
}
