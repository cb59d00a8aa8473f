import assert from "node:assert/strict";
import { test } from "node:test";
import { liarsDice } from "./hooks.mjs";

const { ServerTime, dice, favourite, least, list, possible, status, suggestion } = liarsDice;
const bid = (seat, count, face) => ({ seat, count, face });

/** What the game tells of a match of Ada, seat 0, and Bob, seat 1. */
const table = (fields = {}) => ({
  round: 2, deal: 2, turn: 5, phase: "bidding", at: 0, bids: [], total: 9, reveal: null, seen: [], winner: null, happened: { what: "dealt" },
  players: [], until_ms: 20_000, allowed_ms: 45_000, now_ms: 1000, ...fields,
});

/** What Ada reads, or what is only drawn for her too where `drawn`. */
function read(fields, { seat = 0, playing = true, drawn = true } = {}) {
  const nameOf = (one) => (one === seat ? "" : ["Ada", "Bob"][one]);
  return status(table(fields), nameOf, playing).filter(({ shown }) => shown || drawn).map(({ said }) => said).join(" ");
}

test("the fewest dice of each face that are higher than the last bid", () => {
  assert.deepEqual([2, 3, 4, 5, 6].map((face) => least(table(), face)), [1, 1, 1, 1, 1]);
  const after = table({ bids: [bid(1, 3, 4)] });
  assert.deepEqual([2, 3, 4, 5, 6].map((face) => least(after, face)), [4, 4, 4, 3, 3]);
  const all = table({ bids: [bid(1, 9, 5)] });
  assert.deepEqual([2, 3, 4, 5, 6].map((face) => possible(all, face)), [false, false, false, false, true]);
});

test("what is chosen for a start can always be bid, where anything can", () => {
  assert.equal(favourite([1, 1, 1, 4, 5, 5]), 5);
  assert.deepEqual(suggestion(table(), [2, 4, 4]), { face: 4, count: 1 });
  assert.deepEqual(suggestion(table({ bids: [bid(1, 3, 4)] }), [2, 2]), { face: 4, count: 4 });
  assert.deepEqual(suggestion(table({ bids: [bid(1, 3, 4)] }), [2, 2], 6), { face: 6, count: 3 });
  assert.deepEqual(suggestion(table({ bids: [bid(1, 9, 4)] }), [2], 3), { face: 5, count: 9 });
  assert.equal(suggestion(table({ bids: [bid(1, 9, 6)] }), [2], 3), null);
});

test("the time that is left is the server's, by the best of its words, and never more than was allowed", () => {
  const time = new ServerTime();
  assert.equal(time.left(table(), 5000), 15_000);
  time.heard(1000, 61_000);
  assert.equal(time.left(table(), 61_500), 18_500);
  time.heard(2000, 100_000);
  assert.equal(time.left(table(), 61_500), 18_500);
  assert.equal(time.left(table(), 90_000), 0);
  assert.equal(time.left(table({ until_ms: 99_000_000 }), 0), 45_000);
  assert.equal(time.left(table({ until_ms: null }), 0), null);
});

test("who bids and whose turn it is", () => {
  assert.equal(read({}), "Round 2. Your turn: make the first bid.");
  assert.equal(read({}, { seat: 1 }), "Round 2. Ada’s turn.");
  const one = { bids: [bid(1, 1, 6)], happened: { what: "bid", ...bid(1, 1, 6), late: false } };
  assert.equal(read(one), "Bob bids 1 six. Your turn: bid higher, or call.");
  assert.equal(read({ ...one, at: 1, happened: { what: "bid", ...bid(0, 3, 5) } }), "You bid 3 fives. Bob’s turn.");
  assert.equal(read({ ...one, bids: [bid(1, 9, 6)], happened: { what: "back", seat: 1 } }), "Bob is back. Your turn: nothing is higher, so call.");
  assert.equal(read({ ...one, happened: { ...one.happened, late: true } }), "Bob’s time ran out: the bid is 1 six. Your turn: bid higher, or call.");
});

test("what lay under the cups, and what it costs; for those who see it, it is drawn", () => {
  const reveal = { by: 1, bid: bid(0, 4, 3), actual: 4, loser: 1, out: false, hands: {} };
  const called = { phase: "reveal", at: null, reveal, happened: { what: "call", seat: 1, late: false } };
  assert.equal(read(called), "Bob calls. You bid 4 threes. There are 4, so it was true. Bob loses a die.");
  assert.equal(read(called, { drawn: false }), "Bob calls. Bob loses a die.");
  const lie = { ...reveal, by: 0, bid: bid(1, 2, 2), actual: 1, loser: 1, out: true };
  assert.equal(
    read({ ...called, phase: "over", winner: 0, reveal: lie, happened: { what: "call", seat: 0, late: true } }),
    "Your time ran out, so the bid is called. Bob bid 2 twos. There is 1, so it was a lie. Bob loses the last die and is out. You have won!",
  );
  assert.equal(read({ ...called, reveal: { ...lie, loser: 0 }, happened: { what: "seen", seat: 1 } }), "Bob bid 2 twos. There is 1, so it was a lie. You lose the last die and are out.");
});

test("who comes and goes", () => {
  assert.equal(read({ happened: { what: "left", seat: 1 } }), "Bob has left. Everybody has shaken again. Your turn: make the first bid.");
  assert.equal(read({ happened: { what: "away", seat: 1 } }, { playing: false, seat: null }), "Bob is away. Ada’s turn.");
  assert.equal(read({ phase: "over", at: null, winner: 0, happened: { what: "left", seat: 1 } }), "Bob has left. You have won!");
  assert.equal([dice(1, 2), dice(2, 6), list(["a", "b", "c"]), list([])].join("; "), "1 two; 2 sixes; a, b and c; ");
});
