// @ts-check
/** What a game was like on its way through a recording: going back begins there, and not at the beginning. No page, no network. */

/**
 * A state as the game gave it: after which generation, its hash, and what its engine loads.
 * @typedef {{generation: number, checksum: any, state: any}} Kept
 */

const EVERY = 100;
const MOST = 64;
const MOST_CHARACTERS = 32 << 20;

export class KeptStates {
  /** So many generations lie between two of them; more of them where there would be too many. */
  every = EVERY;
  /** By generation. @type {(Kept & {size: number})[]} */
  kept = [];

  /** Keep one, if there is none near it. @param {Kept} state */
  keep({ generation, checksum, state }) {
    if (this.kept.some((one) => Math.abs(one.generation - generation) < this.every / 2)) return;
    this.kept.push({ generation, checksum, state, size: JSON.stringify(state).length });
    this.kept.sort((one, other) => one.generation - other.generation);
    while (this.kept.length > MOST || this.characters > MOST_CHARACTERS) {
      this.kept = this.kept.filter((_, place) => place % 2 === 1);
      this.every *= 2;
    }
  }

  get characters() {
    return this.kept.reduce((sum, { size }) => sum + size, 0);
  }

  /** The newest that is not after a generation. @param {number} generation @returns {Kept | undefined} */
  before(generation) {
    return this.kept.findLast((one) => one.generation <= generation);
  }

  /** The next generation whose state is worth having, for a game that is at this one. @param {number} generation @returns {number} */
  wanted(generation) {
    let from = generation;
    for (const one of this.kept) if (one.generation > from && one.generation <= from + 2 * this.every) from = one.generation;
    return from + this.every;
  }
}
