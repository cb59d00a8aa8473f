// @ts-check
/** What may be bid, and how much time is left. No document in here. */

/** @typedef {{seat: number, count: number, face: number}} Bid */
/** @typedef {{seat: number, id: string, name: string, dice: number, away: boolean, left: boolean}} Player */
/** @typedef {{by: number, bid: Bid, actual: number, loser: number, out: boolean, hands: Record<string, number[]>}} Reveal */
/**
 * What the game tells everybody (service.py).
 * @typedef {object} Table
 * @property {number} round
 * @property {number} deal
 * @property {number} turn
 * @property {"bidding" | "reveal" | "over"} phase
 * @property {number | null} at
 * @property {Bid[]} bids
 * @property {Player[]} players
 * @property {number} total
 * @property {Reveal | null} reveal
 * @property {number[]} seen
 * @property {number | null} winner
 * @property {any} happened
 * @property {number | null} until_ms
 * @property {number} allowed_ms
 * @property {number} now_ms
 */

export const FACES = [2, 3, 4, 5, 6];

/** The bid to go over. @param {Table} table @returns {Bid | null} */
export const lastBid = (table) => table.bids.at(-1) ?? null;

/** So many of this face are the fewest that can be bid. @param {Table} table @param {number} face */
export function least(table, face) {
  const last = lastBid(table);
  return last ? last.count + Number(face <= last.face) : 1;
}

/** Whether anything can be bid on this face. @param {Table} table @param {number} face */
export const possible = (table, face) => least(table, face) <= table.total;

/** What there is most of in a hand, ones aside. @param {number[]} hand */
export function favourite(hand) {
  const counts = FACES.map((face) => hand.filter((die) => die === face).length);
  return FACES[counts.indexOf(Math.max(...counts))];
}

/**
 * What is chosen for a start: the face that was chosen before, or is most in the hand, or of the last bid, where it can be bid on; as few as can be.
 * @param {Table} table @param {number[]} hand @param {number | null} [chosen] @returns {{face: number, count: number} | null} null where nothing can be bid
 */
export function suggestion(table, hand, chosen = null) {
  const wished = [chosen, lastBid(table)?.face, favourite(hand), ...FACES];
  const face = wished.find((one) => typeof one === "number" && possible(table, one));
  return typeof face === "number" ? { face, count: least(table, face) } : null;
}

/** Knows the server's time by what it has said: the later something comes, the less it tells, so the best word counts. */
export class ServerTime {
  constructor() {
    this.ahead = -Infinity;
  }

  /** @param {number} theirs ms @param {number} ours ms */
  heard(theirs, ours) {
    this.ahead = Math.max(this.ahead, theirs - ours);
  }

  /** How long until then, in ms: no less than nothing and no more than all that was allowed. @param {Table} table @param {number} ours */
  left(table, ours) {
    if (table.until_ms === null) return null;
    const ahead = Number.isFinite(this.ahead) ? this.ahead : 0;
    return Math.min(table.allowed_ms, Math.max(0, table.until_ms - ours - ahead));
  }
}
