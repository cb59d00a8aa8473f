// @ts-check
/** Everything that is said of a match, in sentences. No document in here. */
import { lastBid } from "./bids.js";

/** @typedef {import("./bids.js").Table} Table */
/** @typedef {(seat: number) => string} Names the name of who sits there; "" for one's own seat */

const ONE = ["", "one", "two", "three", "four", "five", "six"];
const MANY = ["", "ones", "twos", "threes", "fours", "fives", "sixes"];

/** @param {number} count @param {number} face @returns {string} "3 fives" */
export const dice = (count, face) => `${count} ${count === 1 ? ONE[face] : MANY[face]}`;

/** @param {number} face @returns {string} "fives" */
export const faces = (face) => MANY[face];

/** @param {string[]} names */
export const list = (names) => (names.length > 1 ? `${names.slice(0, -1).join(", ")} and ${names.at(-1)}` : names[0] ?? "");

/** @param {string} name @param {string} theirs what they do @param {string} [yours] what you do */
const does = (name, theirs, yours = theirs.replace(/s$/, "")) => (name ? `${name} ${theirs}` : `You ${yours}`);

/** @param {string} name */
const whose = (name) => (name ? `${name}’s` : "Your");

/** What has just happened. @param {Table} table @param {Names} nameOf @returns {string} */
export function happened(table, nameOf) {
  const { what, seat, late, count, face } = table.happened;
  const name = typeof seat === "number" ? nameOf(seat) : "";
  if (what === "bid" && late) return `${whose(name)} time ran out: the bid is ${dice(count, face)}.`;
  if (what === "bid") return `${does(name, "bids")} ${dice(count, face)}.`;
  if (what === "call") return late ? `${whose(name)} time ran out, so the bid is called.` : `${does(name, "calls")}.`;
  if (what === "dealt") return `Round ${table.round}.`;
  if (what === "away") return name ? `${name} is away.` : "";
  if (what === "back") return name ? `${name} is back.` : "";
  if (what === "left") return `${name} has left.${table.phase === "bidding" ? " Everybody has shaken again." : ""}`;
  return "";
}

/** Whether the bid was true, and what it costs. @param {Table} table @param {Names} nameOf @returns {{found: string, cost: string}} */
export function verdict(table, nameOf) {
  const { bid, actual, loser, out } = /** @type {NonNullable<Table["reveal"]>} */ (table.reveal);
  const found = `${does(nameOf(bid.seat), "bid", "bid")} ${dice(bid.count, bid.face)}. There ${actual === 1 ? "is" : "are"} ${actual}, so it was ${actual >= bid.count ? "true" : "a lie"}.`;
  return { found, cost: `${does(nameOf(loser), "loses", "lose")} ${out ? "the last die" : "a die"}${out ? (nameOf(loser) ? " and is out" : " and are out") : ""}.` };
}

/** What is to be done now, and by whom. @param {Table} table @param {Names} nameOf @param {boolean} playing whether we have dice @returns {string} */
export function prompt(table, nameOf, playing) {
  if (table.phase === "over") return `${does(nameOf(/** @type {number} */ (table.winner)), "has won", "have won")}!`;
  if (table.phase === "reveal") return "";
  const name = nameOf(/** @type {number} */ (table.at));
  if (name || !playing) return `${whose(name)} turn.`;
  const last = lastBid(table);
  if (!last) return "Your turn: make the first bid.";
  return last.count === table.total && last.face === 6 ? "Your turn: nothing is higher, so call." : "Your turn: bid higher, or call.";
}

/**
 * All of it, as it is read out. @param {Table} table @param {Names} nameOf @param {boolean} playing
 * @returns {{said: string, shown: boolean}[]} what is not `shown` is drawn elsewhere, for those who see it
 */
export function status(table, nameOf, playing) {
  const parts = [{ said: table.reveal && table.happened.what === "seen" ? "" : happened(table, nameOf), shown: true }];
  if (table.reveal) {
    const { found, cost } = verdict(table, nameOf);
    parts.push({ said: found, shown: false }, { said: cost, shown: true });
  }
  parts.push({ said: prompt(table, nameOf, playing), shown: table.phase !== "over" });
  return parts.filter(({ said }) => said);
}
