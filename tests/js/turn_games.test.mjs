import assert from "node:assert/strict";
import { test } from "node:test";
import { ConnectFour, Loners, TurnClock } from "./hooks.mjs";

const NAMES = { 1: "Ann", 2: "Bob", 3: "Cy", 4: "Dee", 5: "Eve" };
const seen = (own, asked = false) => ({ own, asked, nameOf: (player) => NAMES[player] });
const EMPTY = Array(7).fill("");

/** A game that has heard all of these, and what was said of each. */
function heard(game, own, ...bodies) {
  const said = bodies.map((body) => {
    game.heed(body, seen(own));
    return game.told(body, seen(own));
  });
  return { game, said };
}

test("Connect Four: a player hears the colour, each move, and where the cursor is", () => {
  const board = ["", "", "", "1", "", "", ""];
  const { game, said } = heard(
    new ConnectFour(), 1,
    { event: "game_start", color: "red", opponent: "Bob" },
    { event: "request_move", board: EMPTY, cursor: 3, turn: 1 },
    { event: "move_received", do: "left", cursor: 2, board: EMPTY },
    { event: "move_received", do: "right", cursor: 3, board: EMPTY },
    { event: "move_received", do: "drop", cursor: 3, board },
    { event: "cursor", player: 2, cursor: 4 },
    { event: "board", board: ["", "", "", "1", "2", "", ""], last: { player: 2, column: 4, row: 0 } },
  );
  assert.deepEqual(said, [
    "The game begins. You are red, against Bob.", "Your turn, column 4.", "Column 3", "Column 4", "You dropped in column 4, row 1.", "", "Bob dropped in column 5, row 1.",
  ]);
  assert.equal(game.described(), "Board, columns from the bottom. 4: red. 5: yellow.");
});

test("Connect Four: whose turn it is, for a player and for who watches", () => {
  const start = { event: "game_start", players: [{ player: 1 }, { player: 2 }] };
  const { game } = heard(new ConnectFour(), null, { ...start, to_move: 2 });
  assert.deepEqual(game.movers, [2]);
  assert.equal(game.turnText(seen(null)), "Bob's turn");
  game.heed({ event: "board", board: EMPTY, last: { player: 2, column: 0, row: 0 } }, seen(null));
  assert.equal(game.turnText(seen(null)), "Ann's turn");
  game.heed({ event: "game_over", reason: "draw", winner: null }, seen(null));
  assert.deepEqual([game.movers, game.turnText(seen(null))], [[], ""]);
  game.heed(start, seen(null));
  assert.deepEqual(game.movers, [1]);
  const own = heard(new ConnectFour(), 2, { event: "game_start", color: "yellow", opponent: "Ann" }).game;
  assert.equal(own.turnText(seen(2)), "Ann's turn");
  own.heed({ event: "request_move", board: EMPTY, cursor: 3, turn: 2 }, seen(2));
  assert.equal(own.turnText(seen(2, true)), "Your turn");
});

test("Connect Four: what the welcome gives is taken up, and its first player is known from the number of the turn", () => {
  const game = new ConnectFour();
  game.restore({ board: ["1", ...EMPTY.slice(1)], cursor: 5, turn: 2, to_move: 2 });
  assert.deepEqual([game.cursor, game.movers, game.first], [5, [2], 1]);
  game.restore({ board: EMPTY, cursor: 3, turn: 3, to_move: 2 });
  assert.equal(game.first, 2);
});

test("Connect Four: a full column is said to be full, and the end is told to who watches", () => {
  const board = ["121212", ...EMPTY.slice(1)];
  const { said, game } = heard(new ConnectFour(), 1, { event: "move_received", do: "left", cursor: 0, board });
  assert.deepEqual(said, ["Column 1, full"]);
  const nameOf = (player) => NAMES[player];
  assert.equal(game.ended({ winner: 2 }, nameOf), "Bob won");
  assert.equal(game.ended({ winner: null }, nameOf), "Draw");
});

test("Connect Four: a board that was on its way when we moved takes no disc away", () => {
  const { game } = heard(
    new ConnectFour(), 2,
    { event: "game_start", color: "yellow", opponent: "Ann" },
    { event: "move_received", do: "drop", cursor: 0, board: ["12", ...EMPTY.slice(1)] },
    { event: "board", board: ["1", ...EMPTY.slice(1)], last: { player: 1, column: 0, row: 0 } },
  );
  assert.deepEqual([game.board[0], game.movers], ["12", [1]]);
  game.heed({ event: "game_start", color: "yellow", opponent: "Ann" }, seen(2));
  game.heed({ event: "board", board: EMPTY, last: null }, seen(2));
  assert.equal(game.described(), "The board is empty.");
});

const round = (turn, ...picks) => ({ turn, picks: picks.map((pick, i) => ({ player: i + 1, pick })), scorer: 3, points: picks[2] });
const scores = (locked, ...all) => all.map((score, i) => ({ player: i + 1, score, locked: locked.includes(i + 1) }));

test("Loners: one's own pick is kept until the next round, and what came of a round is said once", () => {
  const last = round(1, 2, 2, 6);
  const { game, said } = heard(
    new Loners(), 1,
    { event: "game_start" },
    { event: "request_move", board: scores([], 0, 0, 0), cursor: 3, turn: 1 },
    { event: "move_received", do: "left", cursor: 2, board: scores([], 0, 0, 0) },
    { event: "move_received", do: "drop", cursor: 2, board: scores([1], 0, 0, 0) },
  );
  assert.deepEqual([game.pick, game.movers], [3, [2, 3]]);
  assert.equal(game.turnText(seen(1)), "You picked 3. Waiting for Bob and Cy");
  assert.deepEqual(said.slice(1), ["Round 1, pick a number. 4.", "3", "You picked 3."]);
  const later = heard(
    game, 1,
    { event: "board", board: scores([1, 2], 0, 0, 0), last: null },
    { event: "board", board: scores([], 0, 0, 6), last },
    { event: "request_move", board: scores([], 0, 0, 6), cursor: 2, turn: 2 },
    { event: "board", board: scores([2], 0, 0, 6), last },
  );
  assert.deepEqual(later.said, ["", "Cy: 6 points (Ann and Bob 2, Cy 6).", "Round 2, pick a number. 3.", ""]);
  assert.deepEqual([game.pick, game.round, game.scoreOf(3), game.isLocked(2)], [null, 2, 6, true]);
});

test("Loners: a board that was on its way when we picked does not take the pick back", () => {
  const { game } = heard(
    new Loners(), 1,
    { event: "request_move", board: scores([], 0, 0, 6), cursor: 2, turn: 2 },
    { event: "move_received", do: "drop", cursor: 2, board: scores([1], 0, 0, 6) },
    { event: "board", board: scores([2], 0, 0, 6), last: round(1, 2, 2, 6) },
  );
  assert.deepEqual([game.pick, game.isLocked(1), game.movers], [3, true, [2, 3]]);
  game.heed({ event: "board", board: scores([1], 0, 0, 0), last: null }, seen(1));
  assert.equal(game.scoreOf(3), 6);
  game.heed({ event: "board", board: scores([], 0, 5, 6), last: round(2, 3, 5, 3) }, seen(1));
  assert.equal(game.scoreOf(2), 5);
});

test("Loners: who watches reads who is waited for, and how it ended", () => {
  const { game } = heard(new Loners(), null, { event: "board", board: scores([1], 0, 0, 0, 0, 0), last: null });
  assert.equal(game.turnText(seen(null)), "Round 1: waiting for 4 players");
  game.restore({ board: scores([1], 0, 0, 0), cursor: null, turn: 4, to_move: [2, 3], pick: null, last: round(3, 1, 1, 1) });
  assert.deepEqual([game.round, game.cursor], [4, 3]);
  const nameOf = (player) => NAMES[player];
  game.last = { turn: 3, picks: [{ player: 1, pick: 1 }, { player: 2, pick: 1 }], scorer: null, points: 0 };
  assert.equal(game.lastText(nameOf), "Nobody scored (Ann and Bob 1).");
  game.heed({ event: "game_over", reason: "draw", winner: null, shared: [1, 2], scores: [{ player: 1, score: 9 }] }, seen(null));
  assert.deepEqual([game.movers, game.scoreOf(1)], [[], 9]);
  assert.equal(game.ended({ winner: null, shared: [1, 2] }, nameOf), "Draw between Ann and Bob");
});

test("a clock runs between two words of the room, and not below nothing", () => {
  const clock = new TurnClock();
  assert.equal(clock.shown(1, 0), null);
  clock.heed({ players: [{ player: 1, running: true, move_seconds: 12, total_seconds: 90.5 }, { player: 2, running: false, total_seconds: 65 }] }, 1000);
  assert.deepEqual(clock.shown(1, 1000), { text: "0:12 · 1:31", low: false });
  assert.deepEqual(clock.shown(1, 3600), { text: "0:10 · 1:28", low: true });
  assert.deepEqual(clock.shown(1, 99000), { text: "0:00 · 0:00", low: true });
  assert.deepEqual(clock.shown(2, 99000), { text: "1:05", low: false });
  assert.equal(clock.running, true);
  clock.clear();
  assert.equal(clock.running, false);
});
