/**
 * The game: who runs where, where the coins lie, who has how many.
 *
 * Every player's browser runs this for itself, with the same seed and the same commands, and all must come to the same state.
 * So it knows no clock, no Math.random() and nothing of the page: only whole numbers, and the room's own random numbers.
 */
import { Random, StateHash } from "/static/gameroom.js";

export const WIDTH = 20;
export const HEIGHT = 12;
export const RATE = 20; // iterations a second
const STEP_EVERY = 3; // iterations from tile to tile
const COINS = 4;
export const ENOUGH = 10; // so many coins win
const LONGEST = 90 * RATE; // after so many iterations it is over anyway

/** What a player may command. */
const HEADINGS = { left: [-1, 0], right: [1, 0], up: [0, -1], down: [0, 1] };

export class Game {
  ticks = 0;
  random = new Random(0);
  /** @type {{seat: number, x: number, y: number, dx: number, dy: number, coins: number}[]} */
  runners = [];
  /** @type {{x: number, y: number}[]} */
  coins = [];

  /** A play begins. @param {any} start */
  init(start) {
    this.ticks = 0;
    this.random = new Random(start.seed);
    this.runners = start.players.map(({ seat }) => ({ seat, x: 2 + 3 * seat, y: HEIGHT >> 1, dx: 0, dy: 0, coins: 0 }));
    this.coins = [];
    while (this.coins.length < COINS) this.coins.push(this.somewhere());
  }

  /** One turn's commands, by seat. They come from strangers: what is no heading is ignored. @param {Record<string, any[]>} commands */
  apply(commands) {
    for (const runner of this.runners) {
      for (const command of commands[runner.seat] ?? []) {
        if (Object.hasOwn(HEADINGS, command)) [runner.dx, runner.dy] = HEADINGS[command];
      }
    }
  }

  /** One step of the simulation. */
  iterate() {
    this.ticks++;
    if (this.ticks % STEP_EVERY) return;
    for (const runner of this.runners) {
      // Whoever leaves the field on the right comes in on the left.
      runner.x = (runner.x + runner.dx + WIDTH) % WIDTH;
      runner.y = (runner.y + runner.dy + HEIGHT) % HEIGHT;
      const found = this.coins.findIndex(({ x, y }) => x === runner.x && y === runner.y);
      if (found < 0) continue;
      runner.coins++;
      this.coins[found] = this.somewhere();
    }
  }

  somewhere() {
    return { x: this.random.below(WIDTH), y: this.random.below(HEIGHT) };
  }

  /** The results once it is over, else null. `winners` are seats. */
  over() {
    const most = Math.max(0, ...this.runners.map(({ coins }) => coins));
    if (most < ENOUGH && this.ticks < LONGEST) return null;
    return { winners: this.runners.filter(({ coins }) => coins === most).map(({ seat }) => seat) };
  }

  /** All of the state in one number: the room compares it. What is not hashed goes wrong unseen. */
  hash() {
    const hash = new StateHash().add(this.ticks).addAll(this.random.words);
    for (const { x, y, dx, dy, coins } of this.runners) hash.addAll([x, y, dx, dy, coins]);
    for (const { x, y } of this.coins) hash.addAll([x, y]);
    return hash.hex();
  }

  /** The whole state, for those who come late or load the page anew. */
  save() {
    return { ticks: this.ticks, words: [...this.random.words], runners: this.runners, coins: this.coins };
  }

  /** What `save` gave on another machine. @param {any} state */
  load({ ticks, words, runners, coins }) {
    if (!Number.isSafeInteger(ticks) || words.length !== 4) throw new TypeError("no state of this game");
    this.ticks = ticks;
    this.random.words.set(words);
    this.runners = runners.map((runner) => ({ ...runner }));
    this.coins = coins.map((coin) => ({ ...coin }));
  }
}
