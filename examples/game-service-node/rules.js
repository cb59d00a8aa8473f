"use strict";
// Sealed Bids: the rules, as a function from the last state and what happened to the next. They know nothing of sockets.
// ../game-service-python plays the same game: what is said here and there is equal, message for message.
//
// In each round there is a prize of 1 to 10 points, and everybody bids coins in secret: {"bid": 3}. When all have bid, or the time
// is up (who has not bid bids nothing), the bids are shown. The highest pays its coins and gets the points; if two are the
// highest, nobody does. After the last round most points win, then most coins.
//
// Everybody is told the table: {"round", "rounds", "prize", "ends_ms", "over", "players": [{"seat", "name", "coins", "points", "bid": true where
// there is one, "connected"}], "last": {"prize", "bids": {"<seat>": coins}, "winner": seat or null} or null}, and each player alone:
// {"you": seat, "coins", "bid": coins or null}.
const crypto = require("node:crypto");

const USUAL = { rounds: 5, coins: 20, seconds: 30 };
const MOST = { rounds: 20, coins: 1000, seconds: 3600 };

/** What changes nothing and is told to the sender alone: 100 is a wrong message, 105 is not the time for it. */
class Rejected extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

/**
 * The next state, and what is to be said of it.
 * @param {object | null} state what came back from the last call; null at the start of a play
 * @param {object} update a GameUpdate: `update.event` names what happened, `update[update.event]` has it
 * @returns {{state: object, broadcast?: object, views?: {seat: number, body: object}[], timer_ms?: number, results?: object}}
 */
function next(state, update) {
  switch (update.event) {
    case "started":
      return started(update);
    case "message":
      return bid(state, update);
    case "timer":
      return closed(state, update);
    case "joined":
      return shown(there(state, update.joined.seat, true));
    case "left":
      return update.left.reason === "away" ? shown(there(state, update.left.seat, false)) : gone(state, update);
    default:
      return { state }; // a newer gameroom may tell of more
  }
}

function started(update) {
  const { rounds, coins, seconds } = configuration(update.started.config);
  const players = update.players.map(({ seat, name, connected }) => ({ seat, name, coins, points: 0, bid: null, connected }));
  // The seed is known to nobody else, so nobody can tell the prizes beforehand. It is all the chance that there is: a service draws none itself.
  return round({ seed: update.started.seed, rounds, seconds, round: 0, players, last: null }, update.now_ms);
}

/** What whoever made the room wished for, or what is usual. */
function configuration(bytes) {
  const wished = bytes.length > 0 ? JSON.parse(bytes.toString()) : {};
  return Object.fromEntries(Object.entries(USUAL).map(([key, usual]) => {
    const value = wished[key] ?? usual;
    if (!Number.isInteger(value) || value < 1 || value > MOST[key]) throw new Rejected(100, `configuration.${key} must be a whole number from 1 to ${MOST[key]}`);
    return [key, value];
  }));
}

/** The next round begins: all are told what it is for, and each what is left to bid. */
function round(before, now_ms) {
  const number = before.round + 1;
  const prize = 1 + (crypto.createHash("sha256").update(`${before.seed}:${number}`).digest()[0] % 10);
  const players = before.players.map((player) => ({ ...player, bid: null }));
  const state = { ...before, round: number, prize, ends_ms: now_ms + before.seconds * 1000, players };
  return { ...shown(state), views: players.map(view), timer_ms: before.seconds * 1000 };
}

function bid(state, update) {
  const { seat, text, data } = update.message;
  const coins = text ? JSON.parse(data.toString())?.bid : undefined;
  const player = state.players.find((each) => each.seat === seat);
  if (!Number.isInteger(coins) || coins < 0) throw new Rejected(100, 'say {"bid": coins}, a whole number');
  if (player.bid !== null) throw new Rejected(105, "you have bid already; wait for the others");
  if (coins > player.coins) throw new Rejected(105, `you have ${player.coins} coins`);
  const mine = { ...player, bid: coins };
  const after = { ...state, players: state.players.map((each) => (each === player ? mine : each)) };
  return allHaveBid(after) ? closed(after, update) : { ...shown(after), views: [view(mine)] };
}

const allHaveBid = (state) => state.players.every((player) => player.bid !== null);

/** The bids are shown, and the highest gets the prize. */
function closed(before, { now_ms }) {
  const bids = Object.fromEntries(before.players.map((player) => [player.seat, player.bid ?? 0]));
  const highest = Math.max(...Object.values(bids));
  const leaders = before.players.filter((player) => bids[player.seat] === highest);
  const winner = highest > 0 && leaders.length === 1 ? leaders[0] : null;
  const paid = { ...winner, coins: winner?.coins - highest, points: winner?.points + before.prize };
  const players = before.players.map((player) => ({ ...(player === winner ? paid : player), bid: null }));
  const state = { ...before, players, last: { prize: before.prize, bids, winner: winner?.seat ?? null } };
  return state.round < state.rounds ? round(state, now_ms) : over(state);
}

/** Somebody left for good: the others go on, and one alone has won. */
function gone(before, update) {
  const state = { ...before, players: before.players.filter((player) => player.seat !== update.left.seat) };
  if (state.players.length < 2) return over(state);
  return allHaveBid(state) ? closed(state, update) : shown(state);
}

/** A connection was lost, or is back. The bid stands, and the time runs on. */
function there(state, seat, connected) {
  return { ...state, players: state.players.map((player) => (player.seat === seat ? { ...player, connected } : player)) };
}

function over(state) {
  const scores = state.players.map(({ seat, name, points, coins }) => ({ seat, name, points, coins }));
  const [best, second] = [...scores].sort((a, b) => b.points - a.points || b.coins - a.coins);
  const won = best !== undefined && !(second && second.points === best.points && second.coins === best.coins);
  return { ...shown(state, true), timer_ms: 0, results: { scores, winner: won ? best.seat : null } };
}

const view = ({ seat, coins, bid }) => ({ seat, body: { you: seat, coins, bid } });

/** The table as everybody sees it: that there is a bid, and not what. */
function shown(state, over = false) {
  const { round, rounds, prize, ends_ms, last } = state;
  const players = state.players.map((player) => ({ ...player, bid: player.bid !== null }));
  return { state, broadcast: { round, rounds, prize, ends_ms, over, players, last } };
}

module.exports = { Rejected, next };
