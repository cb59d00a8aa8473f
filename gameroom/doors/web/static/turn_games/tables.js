// @ts-check
/** The turn games that pages know: what is known of one, and how it is drawn. */
import { ConnectFour } from "./connect_four.js";
import { ConnectFourBoard } from "./connect_four_board.js";
import { Loners } from "./loners.js";
import { LonersBoard } from "./loners_board.js";

/** @type {Record<string, {game: () => ConnectFour | Loners, board: () => ConnectFourBoard | LonersBoard}>} */
const TABLES = {
  "connect-four": { game: () => new ConnectFour(), board: () => new ConnectFourBoard() },
  loners: { game: () => new Loners(), board: () => new LonersBoard() },
};

/** The name of the game that is played in a room. @param {any} view the room, as `GET /join` shows it @returns {string} */
export const gameOf = (view) => view.engine?.controller ?? "connect-four";

/** @param {any} view @returns {{name: string, game: any, board: any}} */
export function tableOf(view) {
  const name = gameOf(view);
  const { game, board } = TABLES[name] ?? TABLES["connect-four"];
  return { name, game: game(), board: board() };
}
