// @ts-check
/** How long players may still think, between two words of the room. No document in here. */

/** @typedef {{player: number, running: boolean, move_seconds?: number, total_seconds?: number}} Hand */

/** Below so many seconds it is time to hurry. */
const LOW = 10;

/** @param {number} seconds @returns {string} "1:05" */
const minutes = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;

export class TurnClock {
  constructor() {
    /** @type {Map<number, Hand>} */
    this.hands = new Map();
    /** When the room told them, in ms. */
    this.told = 0;
  }

  /** @param {{players: Hand[]}} body the event `clock` @param {number} now ms */
  heed({ players }, now) {
    this.hands = new Map(players.map((hand) => [hand.player, hand]));
    this.told = now;
  }

  clear() {
    this.hands.clear();
  }

  /** What is left of a player's time, for people. @param {number} player @param {number} now ms @returns {{text: string, low: boolean} | null} */
  shown(player, now) {
    const hand = this.hands.get(player);
    if (!hand) return null;
    const gone = hand.running ? (now - this.told) / 1000 : 0;
    const left = [hand.move_seconds, hand.total_seconds].filter((seconds) => seconds !== undefined).map((seconds) => Math.max(0, Math.ceil(seconds - gone)));
    return { text: left.map(minutes).join(" · "), low: hand.running && Math.min(...left) <= LOW };
  }

  get running() {
    return [...this.hands.values()].some(({ running }) => running);
  }
}
