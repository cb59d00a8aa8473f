import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { paint, sdk } from "./hooks.mjs";

const { ARENAS, COUNTDOWN, DASH, RATE, SIZE, WALL, WetPaint, settings } = paint;

const start = (seed = "golden", configuration = { seconds: 120, arena: "rubble", bots: 2 }, players = 4) => ({
  seed,
  configuration,
  players: [...Array(players).keys()].map((seat) => ({ seat, name: `p${seat}` })),
});

/** The same masters for whoever asks: commands that make sense and some that do not, drops and returns. */
function* masters(seed, turns) {
  const random = new sdk.Random(seed);
  for (let g = 0; g < turns; g++) {
    const commands = {};
    for (let seat = 0; seat < 4; seat++) if (random.below(5) === 0) commands[seat] = [random.below(6), "left", null, { d: 1 }].slice(0, 1 + random.below(4));
    const system = random.below(200) === 0 ? [{ [random.below(2) ? "dropped" : "rejoined"]: random.below(4) }] : [];
    yield { commands, system, iterations: 1 + random.below(4) };
  }
}

function turn(engine, { commands, system, iterations }) {
  engine.apply(commands, system);
  for (let i = 0; i < iterations; i++) engine.iterate();
}

function run(engine, from, turns, each = () => {}) {
  engine.init(from);
  for (const master of masters("masters", turns)) {
    turn(engine, master);
    each(hashOf(engine));
  }
  return engine;
}

/** The hash of a state as one string. */
const hashOf = (engine) => JSON.stringify(engine.hash());

test("two engines given the same masters have the same hash after each of 5,000 turns", () => {
  const hashes = [];
  run(new WetPaint(), start(), 5000, (hash) => hashes.push(hash));
  let g = 0;
  run(new WetPaint(), start(), 5000, (hash) => assert.equal(hash, hashes[g], `generation ${g++}`));
  assert.ok(new Set(hashes).size > 2000, "the hash moves with the game");
});

const GOLDEN = { clock: "bac685157d42faa9", floor: "7d36f16efaf367ed", items: "5b1a7a5dd88a6c74", painters: "09e9273e87692048" };

test("golden hash: a change of the rules is noticed, and asks for a new version of the bundle", () => {
  assert.deepEqual(run(new WetPaint(), start(), 2000).hash(), GOLDEN);
});

test("an engine that has played before begins a play like a new one", () => {
  const used = run(new WetPaint(), start("other"), 500);
  used.init(start());
  const fresh = new WetPaint();
  fresh.init(start());
  assert.deepEqual(used.hash(), fresh.hash());
});

test("saved at any generation and loaded in another engine, the game goes on to the same hashes", () => {
  const random = new sdk.Random("any generation");
  for (let i = 0; i < 40; i++) {
    const configuration = { seconds: 10 + random.below(60), arena: ARENAS[random.below(4)], bots: random.below(4) };
    const from = start(`play ${i}`, configuration, 1 + random.below(6));
    const [all, saved] = [[...masters(`masters ${i}`, 1200)], random.below(900)];
    const [one, other] = [new WetPaint(), run(new WetPaint(), start("another play"), random.below(50))];
    one.init(from);
    for (const master of all.slice(0, saved)) turn(one, master);
    const state = JSON.parse(JSON.stringify(one.save()));
    other.init(from);
    other.load(state);
    assert.deepEqual(other.hash(), one.hash(), `play ${i}, loaded after ${saved}`);
    assert.deepEqual(other.painters.map(({ name }) => name), one.painters.map(({ name }) => name));
    for (const [n, master] of all.slice(saved).entries()) {
      for (const engine of [one, other]) turn(engine, master);
      assert.deepEqual(other.hash(), one.hash(), `play ${i}, ${n} turns after ${saved}`);
    }
    assert.deepEqual(other.over(), one.over());
  }
});

test("every number of a saved state is hashed: another one there is another hash, or no state at all", () => {
  const engine = run(new WetPaint(), start(), 700);
  assert.ok(engine.items.length > 0);
  const [state, hash] = [engine.save(), hashOf(engine)];
  const places = (value, path) => (typeof value === "object" ? Object.entries(value).flatMap(([key, inner]) => places(inner, [...path, key])) : [path]);
  for (const path of places(state, [])) {
    const changed = structuredClone(state);
    const inner = path.slice(0, -1).reduce((at, key) => at[key], changed);
    inner[path.at(-1)] ^= 1;
    engine.load(changed);
    assert.notEqual(hashOf(engine), hash, path.join("."));
  }
  engine.load(state);
  assert.equal(hashOf(engine), hash);
});

test("a divergence is in the section in which it is", () => {
  const differing = (change) => {
    const [one, other] = [run(new WetPaint(), start(), 300), run(new WetPaint(), start(), 300)];
    change(other);
    const [ours, theirs] = [one.hash(), other.hash()];
    return Object.keys(ours).filter((name) => ours[name] !== theirs[name]);
  };
  assert.deepEqual(differing((engine) => engine.tick++), ["clock"]);
  assert.deepEqual(differing((engine) => engine.random.next()), ["clock"]);
  assert.deepEqual(differing((engine) => (engine.tiles[5] ^= 1)), ["floor"]);
  assert.deepEqual(differing((engine) => engine.painters[1].rest++), ["painters"]);
  assert.deepEqual(differing((engine) => engine.items.push({ x: 1, y: 1, kind: 0 })), ["items"]);
});

test("what is no state is not loaded", () => {
  const good = run(new WetPaint(), start(), 300).save();
  const painters = (change) => ({ ...good, painters: good.painters.map((one) => change([...one])) });
  const bad = [
    null, 7, "state", [], {}, { ...good, tiles: good.tiles.slice(1) }, { ...good, tiles: { length: 484 } }, { ...good, random: [1, 2, 3, 0.5] },
    { ...good, tick: "7" }, { ...good, items: Array(99).fill([1, 1, 0]) }, { ...good, painters: Array(10).fill(good.painters[0]) },
    painters((one) => one.slice(1)), painters((one) => one.map(String)), { ...good, items: undefined },
  ];
  for (const state of bad) assert.throws(() => new WetPaint().load(state), TypeError, JSON.stringify(state)?.slice(0, 80));
});

test("seeds may be strings and integers, and different ones make different games", () => {
  const hashes = ["a", "b", 0, 1, 2 ** 53 - 1].map((seed) => hashOf(run(new WetPaint(), start(seed), 50)));
  assert.equal(new Set(hashes).size, hashes.length);
});

test("the counted tiles are the painted tiles, always, and walls stay walls", () => {
  for (const arena of ARENAS) {
    const engine = new WetPaint();
    const walls = (tiles) => tiles.reduce((sum, tile) => sum + (tile === WALL ? 1 : 0), 0);
    engine.init(start("count", { arena, bots: 3, seconds: 30 }));
    const before = walls(engine.tiles);
    for (let i = 0; i < 1500; i++) {
      if (i % 200 === 0) for (const painter of engine.painters) engine.apply({ [painter.seat]: [DASH] }, []);
      engine.iterate();
      engine.painters.forEach((painter, k) => {
        assert.equal(painter.tiles, engine.tiles.filter((tile) => tile === k + 1).length);
        assert.notEqual(engine.tiles[painter.y * SIZE + painter.x], WALL);
      });
    }
    assert.equal(walls(engine.tiles), before);
  }
});

test("time runs out once: results name everyone's tiles and the winners, and nothing changes afterwards", () => {
  const engine = new WetPaint();
  engine.init(start("end", { seconds: 30, bots: 1, arena: "open" }, 2));
  let ticks = 0;
  while (!engine.over()) {
    engine.iterate();
    ticks++;
  }
  assert.equal(ticks, COUNTDOWN + 30 * RATE);
  const { winners, scores } = engine.over();
  assert.deepEqual(Object.keys(scores).sort(), ["-1", "0", "1"]);
  const most = Math.max(...Object.values(scores));
  assert.deepEqual(winners.map((seat) => scores[seat]), winners.map(() => most));
  const hash = hashOf(engine);
  engine.apply({ 0: [DASH] }, []);
  engine.iterate();
  engine.events.length = 0;
  assert.deepEqual([engine.over().scores, engine.painters[0].dash], [scores, 0]);
  assert.equal(hashOf(engine), hash);
});

test("a closed ring is filled, an open one is not", () => {
  const engine = new WetPaint();
  engine.init(start("ring", { arena: "open", bots: 0 }, 1));
  engine.tiles.fill(0);
  engine.painters[0].tiles = 0;
  const ring = [[5, 5], [6, 5], [7, 5], [8, 5], [8, 6], [8, 7], [7, 7], [6, 7], [5, 7]];
  for (const [x, y] of ring) engine.paint(0, x, y);
  Object.assign(engine.painters[0], { x: 5, y: 7 });
  engine.enclose(0, 5, 7);
  assert.equal(engine.painters[0].tiles, ring.length);
  engine.painters[0].y = 6;
  engine.brush(0);
  assert.equal(engine.painters[0].tiles, 12, "the ring, its last tile and the two inside");
});

test("who is dashed into is dizzy, and the dasher's paint is around it", () => {
  const engine = new WetPaint();
  engine.init(start("ram", { arena: "open", bots: 0 }, 2));
  engine.tick = COUNTDOWN;
  const [one, other] = engine.painters;
  Object.assign(one, { x: 5, y: 5, heading: 0, wish: 0, auto: false });
  Object.assign(other, { x: 8, y: 5, heading: 0, wish: 0, auto: false });
  engine.apply({ 0: [DASH] }, []);
  for (let i = 0; i < 30 && !other.dizzy; i++) engine.iterate();
  assert.ok(other.dizzy > 0);
  assert.ok(engine.tiles.filter((tile) => tile === 1).length > 10);
});

test("a seat that is dropped is steered by the engine until it is back", () => {
  const engine = new WetPaint();
  engine.init(start());
  engine.apply({}, [{ dropped: 2 }]);
  assert.equal(engine.painters[2].auto, true);
  engine.apply({}, [{ rejoined: 2 }]);
  assert.equal(engine.painters[2].auto, false);
});

test("whatever stands in the configuration, the engine takes something sensible", () => {
  assert.deepEqual(settings({ seconds: "x", arena: 3, bots: 99 }), { seconds: 60, arena: "pillars", bots: 3 });
  assert.deepEqual(settings(null), { seconds: 60, arena: "pillars", bots: 1 });
});

test("the engine uses nothing that could differ between two browsers", async () => {
  const source = await readFile(new URL("../../gameroom/games/wet-paint/engine.js", import.meta.url), "utf8");
  const code = source.replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, "");
  assert.doesNotMatch(code, /Math\.(random|sin|cos|sqrt|pow|exp|log|tan|atan2?|hypot)|Date|performance|\d\.\d|localStorage|document|window|setTimeout/);
});
