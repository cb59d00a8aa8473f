/** Recordings, played back to a game as a room in which it watches. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { sdk } from "./hooks.mjs";
import { TestClock } from "./room.mjs";

const { Recorded, ReplayRoom } = await import(new URL("../../gameroom/doors/web/static/replay_room.js", import.meta.url).href);
const { KeptStates } = await import(new URL("../../gameroom/doors/web/static/replay_states.js", import.meta.url).href);
const PLAYERS = [{ seat: 0, user_id: "ann", name: "Ann" }, { seat: 1, user_id: "bob", name: "Bob" }];

/** A recording of `count` masters, 50 ms apart, the first at 100 ms. */
function recording(count, { binary = false, end = true, torn = "" } = {}) {
  const head = {
    type: "play", play_id: "p", engine: {}, seed: 7, configuration: { map: 1 }, players: PLAYERS, input_delay: 2, checksum_interval: 1,
    encoding: binary ? "binary" : "json",
  };
  const master = (generation) => {
    const t = 100 + 50 * generation;
    if (!binary) return { t, type: "master", generation, iterations_per_command: 3, commands: { 0: [generation] } };
    const data = sdk.encodeMaster({ generation, iterations_per_command: 3, seats: new Map([[0, new TextEncoder().encode(`[${generation}]`)]]) });
    return { t, type: "master", generation, data: Buffer.from(data).toString("base64") };
  };
  const lines = [head, ...Array.from({ length: count }, (_, generation) => master(generation))];
  lines.splice(3, 0, { t: 160, type: "divergence", generation: 0, groups: [] }, { t: 160, type: "dump", seat: 0, generation: 0, state: 1 });
  lines.splice(5, 0, { t: 170, type: "state", state: "running.iterating" });
  if (end) lines.push({ t: 100 + 50 * count, type: "over", reason: "finished", results: { winners: [0] } });
  return lines.map((line) => JSON.stringify(line) + "\n").join("") + torn;
}

/** A game in a frame: a lock-step client whose engine adds up what it is told. */
async function watching(text, { saves = true, loads = false, clock = new TestClock() } = {}) {
  const room = new ReplayRoom(new Recorded(text), clock);
  const kinds = [];
  const send = (data) => JSON.parse(data).id === undefined && room.send(JSON.parse(data));
  const transport = { open() {}, send, close() {}, reopen() {}, settled() {} };
  const inner = new sdk.RoomConnection(transport, { clock });
  room.tap = (data, message) => {
    kinds.push(message?.type ?? "binary");
    transport.onmessage(data);
  };
  const engine = {
    sum: 0, starts: 0, turns: 0,
    init() { this.sum = 0; this.starts++; },
    apply(commands) { this.turns++; for (const list of Object.values(commands)) for (const command of list) this.sum += command; },
    iterate() {},
    hash() { return String(this.sum); },
    ...(saves && { save() { return this.sum; } }),
    ...(loads && { load(state) { this.sum = state; } }),
  };
  const client = new sdk.LockstepClient({ room: inner, engine, clock, hidden: () => false });
  room.helloFields = () => client.helloFields();
  const overs = [];
  client.on("over", (over) => overs.push(over));
  await room.open();
  return { room, client, engine, clock, kinds, overs };
}

const sumTo = (last) => (last * (last + 1)) / 2;

test("a recording is read without its torn last line, and says how long it is", () => {
  const recorded = new Recorded(recording(10, { torn: '{"t":5,"type":"mas' }));
  assert.equal(recorded.length, 600);
  assert.equal(recorded.over.reason, "finished");
  assert.equal(recorded.said.filter(({ generation }) => generation !== undefined).length, 10);
  assert.equal(new Recorded(recording(10, { end: false })).over, null);
  assert.throws(() => new Recorded('{"type":"master"}\n'), TypeError);
  assert.throws(() => new Recorded(""), TypeError);
});

for (const binary of [false, true]) {
  test(`masters come when they came, and the play ends as it ended (${binary ? "binary" : "JSON"})`, async () => {
    const { room, client, engine, clock, kinds, overs } = await watching(recording(40, { binary }));
    assert.equal(client.seat, null);
    assert.equal(client.configuration.map, 1);
    room.play();
    await clock.run(590);
    assert.equal(client.received, 10);
    await clock.run(3000, () => overs.length);
    assert.equal(room.position, 2100);
    assert.equal(overs.length, 1);
    assert.deepEqual(overs[0].results, { winners: [0] });
    assert.ok(!kinds.includes("masters"));
    assert.ok(engine.sum > 0 && client.received === 40);
  });

  test(`going on and back (${binary ? "binary" : "JSON"})`, async () => {
    const { room, client, engine, clock } = await watching(recording(3000, { binary }));
    room.seek(100 + 50 * 2500);
    await clock.run(2000);
    assert.equal(client.begun, 2501);
    assert.equal(engine.sum, sumTo(2500));
    room.seek(100 + 50 * 20);
    await clock.run(500);
    assert.equal(engine.starts, 2);
    assert.equal(engine.sum, sumTo(20));
    room.seek(100 + 50 * 21);
    assert.equal(engine.starts, 2, "going on runs on");
  });
}

for (const binary of [false, true]) {
  test(`going back begins at a state that the game gave on its way, and so does going on again (${binary ? "binary" : "JSON"})`, async () => {
    const { room, client, engine, clock, kinds } = await watching(recording(3000, { binary }), { loads: true });
    const at = (generation) => 100 + 50 * generation;
    const reach = async (generation) => {
      engine.turns = 0;
      room.seek(at(generation));
      await clock.run(1000);
      assert.equal(client.begun, generation + 1);
      assert.equal(engine.sum, sumTo(generation));
      return engine.turns;
    };
    assert.equal(await reach(2500), 2501);
    assert.equal(await reach(20), 21);
    assert.ok((await reach(1234)) < 250, "on, to where it has been");
    assert.ok((await reach(1234 - 300)) < 250, "back");
    assert.ok((await reach(2999)) < 750, "to the end, from where it had come to");
    assert.ok(engine.starts <= 4 && kinds.filter((kind) => kind === "snapshot").length === 3);
    assert.ok(room.states.kept.length > 10 && room.states.kept.length <= 64);
  });
}

test("a state that the game does not take is not used again", async () => {
  const { room, client, engine, clock } = await watching(recording(1000), { loads: true });
  room.seek(100 + 50 * 900);
  await clock.run(1000);
  engine.load = () => {
    throw new TypeError("not of mine");
  };
  // In a frame this is FrameHost's to pass on.
  client.room.reopen = () => room.reopen();
  room.seek(100 + 50 * 500);
  await clock.run(2000);
  assert.equal(engine.sum, sumTo(500));
  assert.equal(room.loads, false);
});

test("there are never too many states, and they stay spread over the whole", () => {
  const states = new KeptStates();
  for (let generation = 0; (generation = states.wanted(generation)) < 100_000; ) states.keep({ generation, checksum: "", state: "x" });
  assert.ok(states.kept.length > 16 && states.kept.length <= 64);
  assert.ok(states.kept[0].generation < 10_000);
  for (let i = 1; i < states.kept.length; i++) assert.ok(states.kept[i].generation - states.kept[i - 1].generation <= 2 * states.every);
  const large = new KeptStates();
  for (let generation = 0; (generation = large.wanted(generation)) < 10_000; ) large.keep({ generation, checksum: "", state: "x".repeat(4 << 20) });
  assert.ok(large.characters <= 32 << 20 && large.kept.length > 2);
});

test("the engine's own states are told as they were at the place", async () => {
  const { room, client, clock } = await watching(recording(400).replace('"t":170,"type":"state","state":"running.iterating"', '"t":170,"type":"state","state":"running.night"'), { loads: true });
  room.seek(1e9);
  await clock.run(20);
  assert.equal(client.state, "running.night");
  await clock.run(500);
  room.seek(100);
  assert.equal(client.state, "running.iterating");
  room.seek(100 + 50 * 300);
  assert.equal(client.state, "running.night");
});

test("speed and pause", async () => {
  const { room, client, clock } = await watching(recording(400));
  room.speed = 8;
  room.play();
  await clock.run(1000);
  assert.equal(client.received, 159);
  room.pause();
  await clock.run(1000);
  assert.equal(client.received, 159);
  room.speed = 0.5;
  room.play();
  await clock.run(1000);
  assert.equal(client.received, 169);
});

test("at the end it plays again from the beginning", async () => {
  const { room, client, engine, clock, overs } = await watching(recording(10));
  room.seek(1e9);
  await clock.run(1000);
  assert.ok(room.ended && overs.length === 1 && !client.running);
  room.play();
  await clock.run(5000, () => overs.length === 2);
  assert.equal(engine.starts, 2);
  assert.equal(overs.length, 2);
});

test("a game is told the end when it has got there, however far it had to run", async () => {
  for (const saves of [true, false]) {
    const { room, engine, clock, overs } = await watching(recording(600), { saves });
    room.seek(1e9);
    await clock.run(20000, () => overs.length);
    assert.equal(overs.length, 1);
    assert.equal(engine.sum, sumTo(599));
    assert.equal(overs[0].play_id, "p");
  }
  const { room, clock, overs } = await watching(recording(600));
  room.seek(1e9);
  room.seek(200);
  await clock.run(60000);
  assert.equal(overs.length, 0, "who went back in time is not at the end");
});

test("a game that comes anew gets the play up to the present place", async () => {
  const { room, client, engine, clock } = await watching(recording(100));
  room.seek(100 + 50 * 49);
  await clock.run(1500);
  await room.reopen();
  await clock.run(1500);
  assert.equal(engine.sum, sumTo(49));
  assert.equal(client.begun, 50);
});

test("nothing can be changed, and nothing is sent", async () => {
  const { room } = await watching(recording(3));
  await assert.rejects(room.request({ type: "setup", patch: {} }), { code: 102 });
  assert.equal((await room.request({ type: "ping", t: 3 })).type, "pong");
  assert.equal(room.send({ type: "finish" }), false);
  room.close();
  assert.equal(room.state, "closed");
});
