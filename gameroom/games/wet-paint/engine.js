// @ts-check
/**
 * Wet Paint, the simulation: who is where, and whose paint is on which tile.
 *
 * Deterministic: 32-bit integers only, one generator seeded by the room, no clock, no drawing, nothing from outside.
 * The arena is a torus: whoever leaves it on the right comes in on the left.
 * A painter walks from tile to tile; `progress` counts 256ths of the way from (x, y) to the next tile in `heading`.
 */
import { Random, StateHash } from "/static/gameroom.js";

export const SIZE = 22;
export const RATE = 60;
export const COUNTDOWN = 3 * RATE;
export const RUSH = 10 * RATE;
export const WALL = 255;
export const BARE = 0;

/** Headings, and what they do to x and y. */
export const RIGHT = 0, DOWN = 1, LEFT = 2, UP = 3;
const DX = [1, 0, -1, 0];
const DY = [0, 1, 0, -1];

/** Commands: a heading, or this. */
export const DASH = 4;

/** What lies on the floor. */
export const BOLT = 0, ROLLER = 1, BUCKET = 2;

export const ARENAS = ["open", "pillars", "rooms", "rubble"];
export const DEFAULTS = { seconds: 60, arena: "pillars", bots: 1 };

const STEP = 256;
const PACE = { bare: 22, own: 26, other: 18, bolt: 10, rush: 4, dash: 66 };
const DASH_TILES = 5;
const DASH_REST = 4 * RATE;
const BOLT_LASTS = 4 * RATE;
const ROLLER_LASTS = 5 * RATE;
const DIZZY_RAMMED = 75;
const DIZZY_BUMPED = 14;
const SAFE_AFTER = 45;
const LARGEST_FILL = 64;
const ITEM_EVERY = 140;
const MOST_ITEMS = 5;
/** What is hashed and saved of a painter, in this order. The name is the room's, and where it was is for drawing. */
const COUNTERS = /** @type {const} */ (["x", "y", "heading", "wish", "progress", "dizzy", "safe", "rest", "bolt", "roller", "dash", "tiles"]);
const STARTS = [[3, 3], [14, 14], [14, 3], [3, 14], [8, 8], [19, 19], [19, 8], [8, 19], [19, 3]];

/**
 * @typedef {object} Painter
 * @property {number} seat a player's seat; −1, −2, … for bots
 * @property {string} name
 * @property {boolean} auto whether the engine steers: bots, and players who are away
 * @property {number} x
 * @property {number} y
 * @property {number} heading
 * @property {number} wish where the player wants to go
 * @property {boolean} moving
 * @property {number} progress
 * @property {number} dizzy iterations left, as are the next four
 * @property {number} safe
 * @property {number} rest until the next dash
 * @property {number} bolt
 * @property {number} roller
 * @property {number} dash tiles left
 * @property {number} tiles score
 * @property {number} fromX where it was before the newest iteration, in 256ths of a tile; for drawing
 * @property {number} fromY
 */

/** @param {number} n */
const wrap = (n) => (n + SIZE) % SIZE;

/** @param {number} x @param {number} y */
const at = (x, y) => wrap(y) * SIZE + wrap(x);

/** An integer of the configuration inside its bounds. @param {any} value @param {number} least @param {number} most @param {number} otherwise */
const bounded = (value, least, most, otherwise) => (Number.isInteger(value) ? Math.max(least, Math.min(most, value)) : otherwise);

/** The set-up as the engine takes it, whatever was sent. @param {any} configuration */
export function settings(configuration) {
  return {
    seconds: bounded(configuration?.seconds, 10, 120, DEFAULTS.seconds),
    arena: ARENAS.includes(configuration?.arena) ? configuration.arena : DEFAULTS.arena,
    bots: bounded(configuration?.bots, 0, 3, DEFAULTS.bots),
  };
}

/** The walls of an arena. @param {string} arena @param {Random} random @returns {Uint8Array<ArrayBuffer>} */
export function floorOf(arena, random) {
  const tiles = new Uint8Array(SIZE * SIZE);
  for (let y = 0; y < SIZE; y++) {
    for (let x = 0; x < SIZE; x++) {
      const [u, v] = [x % 11, y % 11];
      const pillar = u <= 1 && v <= 1;
      const room = (u === 0 && (v < 4 || v > 7)) || (v === 0 && (u < 4 || u > 7));
      if ((arena === "pillars" && pillar) || (arena === "rooms" && room)) tiles[at(x, y)] = WALL;
    }
  }
  for (let i = 0; arena === "rubble" && i < 16; i++) {
    const [x, y, heading] = [random.below(SIZE), random.below(SIZE), random.below(2)];
    for (let k = 0; k < 2; k++) {
      const [u, v] = [x + k * DX[heading], y + k * DY[heading]];
      if (!STARTS.some(([a, b]) => Math.abs(a - wrap(u)) + Math.abs(b - wrap(v)) < 3)) tiles[at(u, v)] = WALL;
    }
  }
  return tiles;
}

/** A painter as integers. @param {Painter} painter @returns {number[]} */
const numbersOf = (painter) => [painter.seat, +painter.auto, +painter.moving, ...COUNTERS.map((name) => painter[name])];

/** The other way round. @param {number[]} saved @param {string} name @returns {Painter} */
function painterOf([seat, auto, moving, ...counted], name) {
  const counters = Object.fromEntries(COUNTERS.map((counter, i) => [counter, counted[i]]));
  return /** @type {Painter} */ ({ seat, name, auto: auto === 1, moving: moving === 1, ...counters, fromX: 0, fromY: 0 });
}

/** A list of so many integers, or it throws. @param {any} list @param {number} length @returns {number[]} */
function numbers(list, length) {
  if (Array.isArray(list) && list.length === length && list.every(Number.isSafeInteger)) return list;
  throw new TypeError("not a state of Wet Paint");
}

/** A list of at most so many such lists. @param {any} list @param {number} most @param {number} length @returns {number[][]} */
function lists(list, most, length) {
  if (Array.isArray(list) && list.length <= most) return list.map((one) => numbers(one, length));
  throw new TypeError("not a state of Wet Paint");
}

/** The engine; see `Engine` of gameroom.js for what each of its first methods is for. */
export class WetPaint {
  constructor() {
    this.random = new Random(0);
    this.tiles = new Uint8Array(SIZE * SIZE);
    /** @type {Painter[]} */
    this.painters = [];
    /** @type {{x: number, y: number, kind: number}[]} */
    this.items = [];
    this.tick = 0;
    this.lasts = COUNTDOWN;
    /** What happened, for the eye and the ear; whoever draws takes them out. @type {any[]} */
    this.events = [];
  }

  /** @param {{seed: number | string, configuration: any, players: {seat: number, name: string}[]}} start */
  init(start) {
    const { seconds, arena, bots } = settings(start.configuration);
    this.random = new Random(start.seed);
    this.tiles = floorOf(arena, this.random);
    this.tick = 0;
    this.lasts = COUNTDOWN + seconds * RATE;
    this.items = [];
    this.events = [];
    const places = this.random.shuffle(STARTS.map((place) => place));
    const players = [...start.players].sort((a, b) => a.seat - b.seat).map(({ seat, name }) => ({ seat, name, auto: false }));
    for (let i = 1; i <= bots; i++) players.push({ seat: -i, name: `Bot ${i}`, auto: true });
    this.painters = players.slice(0, STARTS.length).map((player, i) => this.painter(player, places[i]));
    this.painters.forEach((painter, i) => this.splash(i, painter.x, painter.y, 1));
  }

  /** @param {{seat: number, name: string, auto: boolean}} player @param {number[]} place @returns {Painter} */
  painter(player, [x, y]) {
    const heading = this.random.below(4);
    const counters = { dizzy: 0, safe: 0, rest: 0, bolt: 0, roller: 0, dash: 0, tiles: 0 };
    return { ...player, x, y, heading, wish: heading, moving: false, progress: 0, ...counters, fromX: x * STEP, fromY: y * STEP };
  }

  /** @param {Record<string, any[]>} commands @param {any[]} system */
  apply(commands, system) {
    for (const event of system) {
      this.steer(event?.dropped ?? event?.left ?? event?.evicted, true);
      this.steer(event?.rejoined, false);
    }
    for (const painter of this.painters) {
      const given = commands[painter.seat];
      if (painter.auto || !Array.isArray(given)) continue;
      for (const command of given) this.command(painter, command);
    }
  }

  /** @param {number | undefined} seat @param {boolean} auto */
  steer(seat, auto) {
    const painter = this.painters.find((one) => one.seat === seat);
    if (painter) painter.auto = auto;
  }

  /** @param {Painter} painter @param {any} command */
  command(painter, command) {
    if (command === DASH) this.dash(painter);
    else if (Number.isInteger(command) && command >= 0 && command < 4) painter.wish = command;
  }

  iterate() {
    for (const painter of this.painters) this.remember(painter);
    if (this.tick >= this.lasts) return;
    this.tick++;
    if (this.tick <= COUNTDOWN) return;
    if (this.tick % ITEM_EVERY === 0) this.drop();
    for (let i = 0; i < this.painters.length; i++) this.walk(i);
    this.meet();
  }

  /** Where it is, for drawing between two iterations. @param {Painter} painter */
  remember(painter) {
    painter.fromX = painter.x * STEP + DX[painter.heading] * painter.progress;
    painter.fromY = painter.y * STEP + DY[painter.heading] * painter.progress;
  }

  /** In sections, so that a divergence says where it is. */
  hash() {
    const clock = new StateHash().add(this.tick).add(this.lasts).addAll(this.random.words);
    const floor = new StateHash().addAll(this.tiles);
    const painters = new StateHash().add(this.painters.length);
    for (const painter of this.painters) painters.addAll(numbersOf(painter));
    const items = new StateHash();
    for (const item of this.items) items.add(item.x).add(item.y).add(item.kind);
    return { clock: clock.hex(), floor: floor.hex(), items: items.hex(), painters: painters.hex() };
  }

  /** Everything that is hashed, for those who come late. */
  save() {
    return {
      tick: this.tick,
      lasts: this.lasts,
      random: [...this.random.words],
      tiles: [...this.tiles],
      painters: this.painters.map(numbersOf),
      items: this.items.map(({ x, y, kind }) => [x, y, kind]),
    };
  }

  /** The other way round, after `init` of the same play. @param {any} state a stranger's: it throws where it is none of ours */
  load(state) {
    const painters = lists(state?.painters, STARTS.length, 3 + COUNTERS.length);
    const items = lists(state.items, MOST_ITEMS, 3);
    const [tiles, words, [tick, lasts]] = [numbers(state.tiles, SIZE * SIZE), numbers(state.random, 4), numbers([state.tick, state.lasts], 2)];
    const names = new Map(this.painters.map(({ seat, name }) => [seat, name]));
    this.painters = painters.map((saved) => painterOf(saved, names.get(saved[0]) ?? ""));
    for (const painter of this.painters) this.remember(painter);
    this.items = items.map(([x, y, kind]) => ({ x, y, kind }));
    this.tiles = Uint8Array.from(tiles);
    this.random.words.set(words);
    this.tick = tick;
    this.lasts = lasts;
    this.events = [];
  }

  /** Who has how much, once time is up: `winners` are seats, several in a draw, negative ones bots. */
  over() {
    if (this.tick < this.lasts) return null;
    const most = Math.max(...this.painters.map((painter) => painter.tiles));
    const winners = this.painters.filter((painter) => painter.tiles === most).map((painter) => painter.seat);
    return { winners, scores: Object.fromEntries(this.painters.map((painter) => [painter.seat, painter.tiles])) };
  }

  // --- walking

  /** @param {Painter} painter */
  dash(painter) {
    if (painter.rest > 0 || painter.dizzy > 0 || this.tick < COUNTDOWN || this.tick >= this.lasts) return;
    painter.dash = DASH_TILES;
    painter.rest = DASH_REST;
    this.note({ kind: "dash", painter: this.painters.indexOf(painter) });
  }

  /** Iterations of this painter's state that pass by themselves. @param {Painter} painter */
  age(painter) {
    if (painter.rest > 0) painter.rest--;
    if (painter.bolt > 0) painter.bolt--;
    if (painter.roller > 0) painter.roller--;
    if (painter.safe > 0) painter.safe--;
    if (painter.dizzy > 0 && --painter.dizzy === 0) painter.safe = SAFE_AFTER;
  }

  /** 256ths of a tile in one iteration: own paint is fast, others' is slow. @param {Painter} painter @param {number} i */
  pace(painter, i) {
    if (painter.dash > 0) return PACE.dash;
    const under = this.tiles[at(painter.x, painter.y)];
    const pace = under === BARE ? PACE.bare : under === i + 1 ? PACE.own : PACE.other;
    return pace + (painter.bolt > 0 ? PACE.bolt : 0) + (this.lasts - this.tick < RUSH ? PACE.rush : 0);
  }

  /** @param {number} i */
  walk(i) {
    const painter = this.painters[i];
    this.age(painter);
    if (painter.dizzy > 0) return;
    if (painter.auto && painter.progress === 0 && !painter.moving) this.decide(i);
    if (!painter.moving) this.setOff(painter);
    else if (painter.wish === (painter.heading + 2) % 4) this.turnBack(painter);
    if (!painter.moving) return;
    painter.progress += this.pace(painter, i);
    if (painter.progress >= STEP) this.arrive(i);
  }

  /** @param {Painter} painter @param {number} heading */
  free(painter, heading) {
    return this.tiles[at(painter.x + DX[heading], painter.y + DY[heading])] !== WALL;
  }

  /** Leave the middle of a tile, where the player wants to go if that way is free. @param {Painter} painter */
  setOff(painter) {
    if (this.free(painter, painter.wish)) painter.heading = painter.wish;
    painter.moving = this.free(painter, painter.heading);
    if (!painter.moving) painter.progress = painter.dash = 0;
  }

  /** @param {Painter} painter */
  turnBack(painter) {
    painter.x = wrap(painter.x + DX[painter.heading]);
    painter.y = wrap(painter.y + DY[painter.heading]);
    painter.heading = (painter.heading + 2) % 4;
    painter.progress = STEP - painter.progress;
  }

  /** @param {number} i */
  arrive(i) {
    const painter = this.painters[i];
    painter.x = wrap(painter.x + DX[painter.heading]);
    painter.y = wrap(painter.y + DY[painter.heading]);
    painter.progress -= STEP;
    if (painter.dash > 0) painter.dash--;
    this.brush(i);
    this.pick(i);
    if (painter.auto) this.decide(i);
    this.setOff(painter);
  }

  /** Two on one tile: who dashes rams the other; else both bounce off. */
  meet() {
    for (let i = 0; i < this.painters.length; i++) {
      for (let j = i + 1; j < this.painters.length; j++) {
        const [one, other] = [this.painters[i], this.painters[j]];
        if (one.dizzy || other.dizzy || one.safe || other.safe || this.cell(one) !== this.cell(other)) continue;
        if (one.dash > 0 === other.dash > 0) this.bounce(one, other);
        else if (one.dash > 0) this.ram(i, other);
        else this.ram(j, one);
      }
    }
  }

  /** The tile that it is nearest to. @param {Painter} painter */
  cell(painter) {
    const over = painter.progress >= STEP / 2 ? 1 : 0;
    return at(painter.x + DX[painter.heading] * over, painter.y + DY[painter.heading] * over);
  }

  /** @param {Painter} one @param {Painter} other */
  bounce(one, other) {
    for (const painter of [one, other]) {
      if (painter.moving && painter.progress > 0) this.turnBack(painter);
      painter.wish = painter.heading;
      painter.dizzy = DIZZY_BUMPED;
      painter.dash = 0;
    }
    this.note({ kind: "bump", x: one.x, y: one.y });
  }

  /** @param {number} i @param {Painter} other */
  ram(i, other) {
    other.dizzy = DIZZY_RAMMED;
    const cell = this.cell(other);
    this.splash(i, cell % SIZE, Math.floor(cell / SIZE), 2);
    this.note({ kind: "ram", painter: i, x: cell % SIZE, y: Math.floor(cell / SIZE) });
  }

  // --- paint

  /** @param {number} i @param {number} x @param {number} y @returns {boolean} whether the tile changed hands */
  paint(i, x, y) {
    const tile = at(x, y);
    const before = this.tiles[tile];
    if (before === WALL || before === i + 1) return false;
    if (before !== BARE) this.painters[before - 1].tiles--;
    this.tiles[tile] = i + 1;
    this.painters[i].tiles++;
    return true;
  }

  /** @param {number} i */
  brush(i) {
    const { x, y, heading, roller } = this.painters[i];
    let changed = this.paint(i, x, y);
    if (roller > 0) {
      for (const side of [(heading + 1) % 4, (heading + 3) % 4]) changed = this.paint(i, x + DX[side], y + DY[side]) || changed;
    }
    if (changed) this.enclose(i, x, y);
  }

  /** @param {number} i @param {number} x @param {number} y @param {number} reach */
  splash(i, x, y, reach) {
    for (let v = -reach; v <= reach; v++) {
      for (let u = -reach; u <= reach; u++) if (Math.abs(u) + Math.abs(v) <= reach) this.paint(i, x + u, y + v);
    }
    this.note({ kind: "splash", painter: i, x, y, reach });
  }

  /** A patch beside the new tile that one's own paint shuts in is filled. @param {number} i @param {number} x @param {number} y */
  enclose(i, x, y) {
    const reach = this.painters[i].roller > 0 ? 2 : 1;
    for (let heading = 0; heading < 4; heading++) {
      const patch = this.patch(i, at(x + DX[heading] * reach, y + DY[heading] * reach));
      for (const tile of patch) this.paint(i, tile % SIZE, Math.floor(tile / SIZE));
      if (patch.length > 1) this.note({ kind: "fill", painter: i, patch });
    }
  }

  /** The tiles around `tile` up to one's own paint and walls; none where they are too many. @param {number} i @param {number} tile @returns {number[]} */
  patch(i, tile) {
    const inside = (/** @type {number} */ one) => this.tiles[one] !== WALL && this.tiles[one] !== i + 1;
    if (!inside(tile)) return [];
    const found = [tile];
    const seen = new Set(found);
    for (let k = 0; k < found.length; k++) {
      for (let heading = 0; heading < 4; heading++) {
        const next = at((found[k] % SIZE) + DX[heading], Math.floor(found[k] / SIZE) + DY[heading]);
        if (!inside(next) || seen.has(next)) continue;
        if (found.length === LARGEST_FILL) return [];
        seen.add(next);
        found.push(next);
      }
    }
    return found;
  }

  // --- things on the floor

  drop() {
    if (this.items.length >= MOST_ITEMS) return;
    const kind = this.random.below(3);
    for (let tries = 0; tries < 8; tries++) {
      const [x, y] = [this.random.below(SIZE), this.random.below(SIZE)];
      const taken = this.tiles[at(x, y)] === WALL || this.items.some((item) => item.x === x && item.y === y);
      if (taken) continue;
      this.items.push({ x, y, kind });
      return;
    }
  }

  /** @param {number} i */
  pick(i) {
    const painter = this.painters[i];
    const found = this.items.findIndex((item) => item.x === painter.x && item.y === painter.y);
    if (found < 0) return;
    const [item] = this.items.splice(found, 1);
    if (item.kind === BOLT) painter.bolt = BOLT_LASTS;
    else if (item.kind === ROLLER) painter.roller = ROLLER_LASTS;
    else this.splash(i, item.x, item.y, 3);
    this.note({ kind: "pick", painter: i, x: item.x, y: item.y, item: item.kind });
  }

  // --- bots

  /** @param {number} i */
  decide(i) {
    const painter = this.painters[i];
    let best = -1;
    for (let heading = 0; heading < 4; heading++) {
      if (!this.free(painter, heading)) continue;
      let worth = 1 + this.outlook(i, heading) + this.random.below(6) + (heading === painter.heading ? 2 : 0);
      if (heading === (painter.heading + 2) % 4) worth = 0;
      if (worth > best) {
        best = worth;
        painter.wish = heading;
      }
    }
    if (painter.rest === 0 && best > 18 && this.random.below(6) === 0) this.dash(painter);
  }

  /** What the next tiles that way are worth. @param {number} i @param {number} heading */
  outlook(i, heading) {
    const painter = this.painters[i];
    let worth = 0;
    for (let far = 1; far <= 6; far++) {
      const [x, y] = [wrap(painter.x + DX[heading] * far), wrap(painter.y + DY[heading] * far)];
      const tile = this.tiles[at(x, y)];
      if (tile === WALL) break;
      if (tile !== i + 1) worth += tile === BARE ? 2 : 3;
      if (this.items.some((item) => item.x === x && item.y === y)) worth += 9;
    }
    return worth;
  }

  /** @param {any} event */
  note(event) {
    if (this.events.length < 64) this.events.push(event);
  }
}

export default () => new WetPaint();
