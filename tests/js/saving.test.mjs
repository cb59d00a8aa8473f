/** States that are asked for and given: newcomers, divergences put right, seats sent away, packets that came too late. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { sdk } from "./hooks.mjs";
import { Mixer, SavingMixer, TestClock, TestRoom, member } from "./room.mjs";

const MAKE = { json: () => new SavingMixer(1e9), binary: () => new SavingMixer(1e9, true), "binary, saved as JSON": () => new Plain(1e9), "binary, hashed in sections": () => new Sections(1e9) };

/** Of binary rooms, with a state that is no bytes. */
class Plain extends SavingMixer {
  hash() {
    return new sdk.StateHash().add(this.value).add(this.ticks).addAll(this.random.words).hex();
  }
}

/** As an engine hashes that was made for JSON rooms. */
class Sections extends Plain {
  hash() {
    return { value: new sdk.StateHash().add(this.value).hex(), rest: new sdk.StateHash().add(this.ticks).addAll(this.random.words).hex() };
  }
}

/** A room with a play on, in which everyone commands something now and then. */
async function table({ users = ["ann", "bob", "cyd"], kind = "json", make = MAKE[kind], inputDelay = 2, delay = 10 } = {}) {
  const clock = new TestClock();
  const room = new TestRoom({ users, encoding: kind.split(",")[0], inputDelay });
  const members = users.map((user) => member(room, clock, user, { engine: make(user), delay }));
  await clock.run(200);
  room.begin();
  let n = 0;
  const chatter = () => {
    for (const { client } of members) client.command(n++);
    clock.setTimeout(chatter, 70);
  };
  chatter();
  await clock.run(2000);
  return { clock, room, members, make };
}

const given = (room, type) => room.given.filter((message) => message.type === type);

/** From a generation on both have the same hashes, and there are some. */
function assertSameFrom(generation, one, other, least = 20) {
  const both = [...one.client.hashes.keys()].filter((g) => g >= generation && other.client.hashes.has(g));
  assert.ok(both.length >= least, `${both.length} generations from ${generation} on`);
  for (const g of both) assert.deepEqual(one.client.hashes.get(g), other.client.hashes.get(g), `generation ${g}`);
}

for (const kind of Object.keys(MAKE)) {
  test(`a state that was asked for is that of the generation that it says, and a viewer begins with it: ${kind}`, async () => {
    const { clock, room, members, make } = await table({ kind });
    const wanted = room.masters.length + 10;
    room.request("snapshot_request", "bob", wanted);
    await clock.run(30);
    assert.deepEqual(given(room, "snapshot"), [], "not before it is there");
    await clock.run(2000);
    const [snapshot] = given(room, "snapshot");
    assert.equal(snapshot.generation, wanted);
    assert.deepEqual(snapshot.checksum, members[0].client.hashes.get(wanted));
    assert.equal(typeof snapshot.state, kind === "json" ? "object" : "string");
    room.snapshot = snapshot;
    const late = member(room, clock, "eve", { engine: make() });
    const restored = [];
    late.client.on("restored", (event) => restored.push(event.generation));
    await clock.run(2000);
    assert.deepEqual(restored, [wanted]);
    assert.equal(Math.min(...late.client.hashes.keys()), wanted, "nothing before it was run");
    assertSameFrom(wanted, members[0], late);
    assert.deepEqual(late.diverged, []);
    assert.equal(late.client.seat, null);
  });
}

test("a state that is there already is given at once, and to each who asked", async () => {
  const { clock, room, members } = await table();
  room.request("snapshot_request", "ann", room.masters.length - 20);
  room.request("snapshot_request", "cyd", room.masters.length - 1);
  await clock.run(200);
  for (const snapshot of given(room, "snapshot")) assert.deepEqual(snapshot.checksum, members[1].client.hashes.get(snapshot.generation));
  assert.deepEqual(given(room, "snapshot").map(({ user }) => user), ["ann", "cyd"]);
});

for (const kind of ["json", "binary"]) {
  test(`an engine that cannot save says so at once, and one that cannot load says so in hello: ${kind}`, async () => {
    const { clock, room } = await table({ kind, make: () => new Mixer(1e9) });
    for (const type of ["snapshot_request", "dump_request"]) room.request(type, "ann", room.masters.length + 500);
    await clock.run(60);
    assert.deepEqual(given(room, "snapshot").map(({ checksum, state }) => [checksum, state]), [[null, null]]);
    assert.deepEqual(given(room, "dump").map(({ state }) => state), [null]);
    assert.ok(room.hellos.every(({ snapshots }) => snapshots === false));
    const other = await table({ kind });
    assert.ok(other.room.hellos.every(({ snapshots }) => snapshots === undefined));
  });
}

test("an engine whose saving fails, or is too long, gives nothing; the game goes on", async () => {
  const failing = Object.assign(new SavingMixer(1e9), { save: () => assert.fail("no") });
  const long = Object.assign(new SavingMixer(1e9), { save: () => "x".repeat(700 << 10) });
  const { clock, room } = await table({ make: (user) => ({ ann: failing, bob: long })[user] ?? new SavingMixer(1e9) });
  const complaints = [];
  const { error } = console;
  console.error = (...said) => complaints.push(said);
  room.request("snapshot_request", "ann", 1);
  room.request("snapshot_request", "bob", 1);
  const before = room.masters.length;
  await clock.run(1000);
  console.error = error;
  assert.deepEqual(given(room, "snapshot").map(({ checksum, state }) => [checksum, state]), [[null, null], [null, null]]);
  assert.equal(complaints.length, 1);
  assert.ok(room.masters.length > before + 10);
});

test("a dump is the engine's own where it has one, and is given of the newest master", async () => {
  const { clock, room } = await table({ make: (user) => Object.assign(new SavingMixer(1e9), user === "ann" ? { dump: () => "as a person reads it" } : {}) });
  const newest = room.masters.length - 1;
  for (const user of ["ann", "bob"]) room.request("dump_request", user, newest);
  await clock.run(500);
  const [ann, bob] = given(room, "dump");
  assert.deepEqual([ann.state, ann.checksum], ["as a person reads it", undefined]);
  assert.ok(ann.generation >= newest && bob.generation >= newest);
  assert.equal(bob.state.words.length, 4);
});

/** One tile is changed behind an engine's back, and the room stops. */
async function diverge(options) {
  const all = await table(options);
  const { clock, room, members } = all;
  members[2].engine.value ^= 1;
  await clock.run(2000, () => room.diverged);
  assert.ok(room.diverged);
  await clock.run(500);
  return all;
}

for (const kind of Object.keys(MAKE)) {
  for (const inputDelay of [1, 2, 5]) {
    test(`who has gone wrong is put right, and plays on: ${kind}, input delay ${inputDelay}`, async () => {
      const { clock, room, members } = await diverge({ kind, inputDelay });
      const [ann, , cyd] = members;
      const newest = room.masters.length - 1;
      room.request("dump_request", "cyd", newest);
      room.request("snapshot_request", "ann", newest);
      await clock.run(100);
      const [snapshot] = given(room, "snapshot");
      assert.equal(snapshot.generation, newest);
      room.restore("cyd", snapshot);
      room.goOn();
      await clock.run(3000);
      assert.equal(room.diverged, null);
      assert.equal(Math.min(...cyd.client.hashes.keys()), newest, "its own hashes from before are forgotten");
      assertSameFrom(newest, ann, cyd);
      assert.equal(cyd.client.seat, 2);
      const commanded = ann.engine.seen.slice(-12).filter((one) => one.startsWith("2:"));
      assert.ok(commanded.length > 0, "its commands are carried out again");
      assert.deepEqual([ann.diverged, given(room, "dump").length], [[], 1]);
    });
  }
}

test("a slow one that is put right in the middle of what it has still to run gives its dump first", async () => {
  const { clock, room, members } = await diverge();
  const [, , cyd] = members;
  const newest = room.masters.length - 1;
  room.request("snapshot_request", "ann", newest);
  await clock.run(100);
  // As if its machine had stood still for two turns.
  cyd.client.begun -= 2;
  cyd.client.turn = { generation: cyd.client.begun - 1, left: 2, of: 3 };
  const ticks = cyd.engine.ticks;
  cyd.client.waiting = null;
  cyd.client.asked.waiting.push({ type: "dump", generation: newest }, { type: "snapshot", generation: newest });
  cyd.client.restored(given(room, "snapshot")[0]);
  await clock.run(100);
  const [dump] = given(room, "dump");
  assert.deepEqual([dump.generation, dump.state.ticks], [newest - 2, ticks + 2]);
  assert.equal(given(room, "snapshot").length, 1, "what is wrong is given to nobody");
});

test("a state that has another hash here than it says is not believed: all masters from the beginning instead, and no snapshot again", async () => {
  const { clock, room, members } = await table();
  room.request("snapshot_request", "ann", 20);
  await clock.run(200);
  room.snapshot = { ...given(room, "snapshot")[0], checksum: { value: "0", rest: "0" } };
  const late = member(room, clock, "eve", { engine: new SavingMixer(1e9) });
  await clock.run(3000);
  assert.equal(late.engine.loads, 1);
  assert.deepEqual(room.hellos.filter(({ user }) => user === "eve").map(({ play_id, snapshots }) => [play_id, snapshots]), [[undefined, undefined], [undefined, false]]);
  assertSameFrom(0, members[0], late);
  late.transport.reopen();
  await clock.run(1000);
  assert.deepEqual(room.hellos.at(-1).snapshots, false, "nor after the next lost connection");
  assertSameFrom(60, members[0], late);
});

test("a state that the engine throws at is not believed either", async () => {
  const { clock, room, members } = await table();
  room.request("snapshot_request", "ann", 20);
  await clock.run(200);
  room.snapshot = { ...given(room, "snapshot")[0], state: null };
  const { error } = console;
  console.error = () => {};
  const late = member(room, clock, "eve", { engine: new SavingMixer(1e9) });
  await clock.run(3000);
  console.error = error;
  assertSameFrom(0, members[0], late);
});

test("a player whose page is loaded anew begins with a state, and sends at once what it is waited for", async () => {
  for (const behind of [0, 1, 5]) {
    const { clock, room, members } = await table();
    const [, bob] = members;
    bob.connection.close();
    await clock.run(1000);
    const stopped = room.masters.length;
    room.request("snapshot_request", "ann", stopped - 1 - behind);
    await clock.run(100);
    room.snapshot = given(room, "snapshot")[0];
    const again = member(room, clock, "bob", { engine: new SavingMixer(1e9), seed: "again" });
    await clock.run(2000);
    assert.ok(room.masters.length > stopped + 20, "the room goes on");
    assert.equal(again.client.seat, 1);
    assertSameFrom(stopped, members[0], again);
  }
});

for (const [name, make] of [["begins with a state", () => new SavingMixer(1e9)], ["runs everything again", () => new Mixer(1e9)]]) {
  test(`whoever is sent from its seat is told, sends nothing more, and watches on: one that ${name}`, async () => {
    const { clock, room, members } = await diverge({ make });
    const [ann, , cyd] = members;
    const told = [];
    cyd.client.on("evicted", (event) => told.push(event.generation));
    const newest = room.masters.length - 1;
    room.request("snapshot_request", "ann", newest);
    await clock.run(100);
    const [snapshot] = given(room, "snapshot");
    room.evict(2);
    // Its packets of the window may be on their way.
    await clock.run(100);
    room.forbidden = 0;
    if (snapshot.state) room.restore("cyd", snapshot);
    else room.restart("cyd");
    await clock.run(3000);
    assert.equal(told[0], newest + 1);
    assert.equal(room.forbidden, 0);
    assert.deepEqual([cyd.client.seat, cyd.client.evicted, cyd.client.running], [null, true, true]);
    assert.ok(room.masters.length > newest + 30, "the others play on");
    assertSameFrom(newest + 1, ann, cyd);
    cyd.client.command("nothing");
    assert.equal(cyd.client.own.commands.length, 0);
    const hellos = room.hellos.length;
    cyd.transport.reopen();
    await clock.run(1500);
    assert.equal(room.hellos.length, hellos + 1, "and stays there");
    assert.equal(cyd.client.seat, null);
  });
}

test("whoever was sent from its seat and loads the page anew is told at once", async () => {
  const { clock, room, members } = await table();
  room.evict(2);
  await clock.run(1000);
  room.request("snapshot_request", "ann", 1);
  await clock.run(200);
  [room.snapshot] = given(room, "snapshot");
  room.forbidden = 0;
  members[2].connection.close();
  const again = member(room, clock, "cyd", { engine: new SavingMixer(1e9), seed: "again" });
  await clock.run(3000);
  assert.deepEqual([again.client.seat, again.client.evicted], [null, true]);
  assert.equal(room.forbidden, 0);
  assertSameFrom(room.snapshot.generation, members[0], again);
});

test("a start that nobody asked for is the play from its beginning: who has gone wrong and can load nothing is put right by it, and plays on", async () => {
  const { clock, room, members } = await diverge({ make: () => new Mixer(1e9) });
  const newest = room.masters.length - 1;
  room.restart("cyd");
  room.goOn();
  await clock.run(6000);
  assert.equal(room.diverged, null);
  assert.equal(members[2].client.seat, 2);
  assertSameFrom(0, members[0], members[2]);
  assert.ok(room.masters.length > newest + 30);
});

test("what a turn was sealed without is commanded again, once, and after it the seat counts as before", async () => {
  const { clock, room, members } = await table({ users: ["ann", "bob"] });
  const [ann, bob] = members;
  room.slow.add(1);
  await clock.run(700);
  room.slow.delete(1);
  await clock.run(2000);
  assert.ok(ann.engine.systems.some((event) => event.missed?.[0] === 1));
  const carriedOut = ann.engine.seen.filter((one) => one.startsWith("1:")).map((one) => Number(one.slice(2))).sort((a, b) => a - b);
  assert.deepEqual(carriedOut, carriedOut.map((_, i) => carriedOut[0] + 2 * i), "none missing, none twice");
  assert.ok(carriedOut.length > 40);
  assertSameFrom(0, ann, bob, 50);
});

test("a machine that stood still while the others went on without it catches up, and what it commanded meanwhile is carried out", async () => {
  const { clock, room, members } = await table({ users: ["ann", "bob"] });
  const [ann, bob] = members;
  const { pump } = bob.client;
  bob.client.pump = () => {};
  room.slow.add(1);
  bob.client.command(90_001);
  await clock.run(400);
  bob.client.command(90_003);
  bob.client.pump = pump;
  const packets = room.repeats;
  bob.client.pump();
  await clock.run(300);
  room.slow.delete(1);
  await clock.run(2000);
  assert.ok(bob.client.received - bob.client.begun <= 2, `${bob.client.received - bob.client.begun} masters not begun`);
  for (const command of ["1:90001", "1:90003"]) assert.equal(ann.engine.seen.filter((one) => one === command).length, 1, command);
  assert.equal(room.repeats, packets, "no packet is sent for what is mastered already");
  assertSameFrom(0, ann, bob, 50);
});

test("commands that are more than a packet holds go with several", async () => {
  const { clock, room, members } = await table({ users: ["ann", "bob"] });
  const sizes = [];
  const { send } = members[0].connection;
  members[0].connection.send = (message) => {
    if (message.type === "commands") sizes.push(JSON.stringify(message).length);
    return send.call(members[0].connection, message);
  };
  const text = "x".repeat(1000);
  const before = members[1].engine.seen.length;
  for (let i = 0; i < 40; i++) members[0].client.command(text + i);
  await clock.run(2000);
  assert.ok(Math.max(...sizes) > 8000 && Math.max(...sizes) <= 16384, `${sizes}`);
  const seen = members[1].engine.seen.slice(before).filter((one) => one.includes(text)).map((one) => Number(one.slice(1002)));
  assert.deepEqual(seen, [...Array(40).keys()]);
});

test("a state of the room's own is shown as paused, and events and the host's word are asked of the room", async () => {
  const { clock, room, members } = await table({ users: ["ann", "bob"] });
  const [{ client, connection }] = members;
  const states = [];
  client.on("state", ({ state }) => states.push([state, client.paused]));
  for (const state of ["running.paused.menu", "running.iterating"]) room.all({ type: "state", state });
  const asked = [];
  connection.request = async (message) => asked.push(message);
  await clock.run(100);
  assert.deepEqual(states, [["running.paused.menu", true], ["running.iterating", false]]);
  await client.transition("resume");
  await client.resolve("resync");
  assert.deepEqual(asked, [{ type: "transition", event: "resume" }, { type: "resolve", how: "resync" }]);
});

test("hashes are the same whatever the order of their sections, and differ in any of them", async () => {
  const { clock, room, members } = await table();
  const [ann] = members;
  const [generation, value] = [...ann.client.hashes].at(-1);
  ann.client.compare({ generation, value: { rest: value.rest, value: value.value } });
  assert.deepEqual(ann.diverged, []);
  const agreed = { ...value, rest: "0" };
  ann.client.compare({ generation, value: agreed });
  assert.deepEqual(ann.diverged, [{ generation, own: value, agreed }]);
  await clock.run(100);
  assert.equal(room.diverged, null);
});

test("after its end a game gives no state: whoever began with it would not know when the end was", async () => {
  const { clock, room, members } = await table({ make: () => new SavingMixer(60) });
  room.finish = () => {};
  await clock.run(3000);
  assert.equal(members[0].client.finished.generation, 59);
  room.request("snapshot_request", "ann", 5);
  room.request("dump_request", "ann", 5);
  await clock.run(200);
  assert.deepEqual(given(room, "snapshot").map(({ state }) => state), [null]);
  const [dump] = given(room, "dump");
  assert.equal(dump.state.turns, dump.generation + 1);
});
