import assert from "node:assert/strict";
import { test } from "node:test";
import { Mixer, TestClock, TestRoom, member } from "./room.mjs";

/** Everyone gives a numbered command every `every` ms, so that none may be lost or doubled. */
function chatter(clock, members, every = 37) {
  let n = 0;
  const again = () => {
    for (const one of members) one.client.command(n);
    n++;
    clock.setTimeout(again, every);
  };
  clock.setTimeout(again, every);
}

/** Both went through the same generations to the same hashes, and the play ended by itself. */
function assertSame(room, members, length) {
  assert.equal(room.diverged, null);
  assert.equal(room.over?.reason, "finished");
  const [first] = members;
  assert.ok(first.hashes.size >= length);
  for (const one of members) {
    assert.deepEqual(one.diverged, []);
    for (const [generation, hash] of first.hashes) {
      if (one.hashes.has(generation)) assert.equal(one.hashes.get(generation), hash, `generation ${generation}`);
    }
  }
}

/** Both carried out the same commands, as far as both came before the play was over. */
function assertSameCommands(one, other) {
  const both = Math.min(one.engine.seen.length, other.engine.seen.length);
  assert.ok(both > 50);
  assert.deepEqual(one.engine.seen.slice(0, both), other.engine.seen.slice(0, both));
}

async function play({ inputDelay = 2, encoding = "json", length = 120, conditions, trouble, users = ["ann", "bob"] }) {
  const clock = new TestClock();
  const room = new TestRoom({ users, inputDelay, encoding });
  const members = users.map((user) => member(room, clock, user, { engine: new Mixer(length) }));
  if (conditions) for (const one of members) Object.assign(one.connection.conditions, conditions);
  await clock.run(200);
  room.begin();
  chatter(clock, members);
  trouble?.(clock, room, members);
  await clock.run(300_000, () => room.over && members.every((one) => !one.client.running));
  return { clock, room, members };
}

for (const inputDelay of [1, 2, 5]) {
  for (const encoding of ["json", "binary"]) {
    test(`two players end with equal hashes, input delay ${inputDelay}, ${encoding}`, async () => {
      const { room, members } = await play({ inputDelay, encoding });
      assertSame(room, members, 120);
      assert.equal(room.repeats + room.resends, 0, "a good network needs nothing twice");
    });
  }
}

for (const inputDelay of [1, 2, 4]) {
  test(`lost packets and masters are sent again, input delay ${inputDelay}`, async () => {
    const { room, members } = await play({ inputDelay, conditions: { latency: 80, jitter: 60, loss: 0.15 }, users: ["ann", "bob", "cyd"] });
    assertSame(room, members, 120);
    assert.ok(room.repeats > 0, "something was lost");
  });
}

test("every command is carried out once, in the order given, in spite of losses and cut connections", async () => {
  const { room, members } = await play({
    conditions: { latency: 40, jitter: 30, loss: 0.1 },
    trouble: (clock, room, [ann]) => {
      for (let at = 700; at < 6000; at += 900) clock.setTimeout(() => ann.transport.reopen(), at);
    },
  });
  assertSame(room, members, 120);
  assertSameCommands(members[0], members[1]);
  for (const seat of [0, 1]) {
    const given = members[0].engine.seen.filter((one) => one.startsWith(`${seat}:`)).map((one) => Number(one.slice(2)));
    assert.deepEqual(given, [...given.keys()].map((i) => i + given[0]), "none missing, none twice");
  }
});

test("the room goes down and comes back: both come back by themselves and no generation is missing", async () => {
  const { room, members } = await play({ trouble: (clock, room) => clock.setTimeout(() => room.crash(4000, clock), 1500) });
  assertSame(room, members, 120);
  for (const { hashes } of members) assert.deepEqual([...hashes.keys()], [...hashes.keys()].map((_, i) => i));
});

test("a room that has lost its newest generations in a power cut is played on from those that it has", async () => {
  let lost = 0;
  const { room, members } = await play({
    trouble: (clock, room) =>
      clock.setTimeout(() => {
        room.crash(2000, clock);
        lost = room.masters.length;
        room.forget(5);
      }, 1500),
  });
  assert.ok(lost > 10 && lost < 120);
  assertSame(room, members, 120);
});

test("a page loaded anew replays the play from the beginning and takes its seat up again", async () => {
  const late = [];
  const { room, members } = await play({
    trouble: (clock, room, members) =>
      clock.setTimeout(() => {
        const [ann] = members;
        ann.connection.close();
        late.push(member(room, clock, "ann", { engine: new Mixer(120), seed: "ann, again" }));
      }, 2000),
  });
  const [again] = late;
  assertSame(room, [again, members[1]], 120);
  assert.equal(again.client.seat, 0);
  assertSameCommands(again, members[1]);
});

test("a viewer follows, sends no packets, and gets there too when it comes late", async () => {
  const late = [];
  const { clock, room, members } = await play({
    trouble: (clock, room) => clock.setTimeout(() => late.push(member(room, clock, "eve", { engine: new Mixer(120) })), 3000),
  });
  await clock.run(2000);
  assertSame(room, [members[0], late[0]], 120);
  assert.equal(late[0].client.seat, null);
});

test("a client that computes otherwise is found at the first generation that differs", async () => {
  const { room } = await play({
    trouble: (clock, room, [ann]) => clock.setTimeout(() => (ann.engine.value ^= 1), 1500),
  }).catch((error) => assert.fail(error));
  assert.ok(room.diverged);
  assert.equal(room.over, null);
});

test("a player who was dropped while away comes back, catches up with a game that goes on, and plays to the end", async () => {
  const { room, members } = await play({
    length: 200,
    trouble: (clock, room, [, bob]) => {
      clock.setTimeout(() => bob.connection.close(), 1500);
      clock.setTimeout(() => room.drop(1), 2500);
      clock.setTimeout(() => bob.transport.reopen(), 4000);
    },
  });
  assertSame(room, members, 200);
  assert.deepEqual(members[1].engine.systems, [{ dropped: 1 }, { rejoined: 1 }]);
  assert.equal(members[1].client.dropped, false);
});

test("a viewer is at most two turns behind what it has", async () => {
  const clock = new TestClock();
  const room = new TestRoom({ users: ["ann"] });
  member(room, clock, "ann", { engine: new Mixer(1e9) });
  await clock.run(100);
  room.begin();
  await clock.run(5000);
  const { client } = member(room, clock, "eve", { engine: new Mixer(1e9) });
  await clock.run(4000);
  assert.ok(client.received - client.begun <= 2, `${client.received - client.begun} masters not begun`);
});

test("a turn takes iterations_per_command iterations at the game's rate", async () => {
  const clock = new TestClock();
  const room = new TestRoom({ users: ["ann"] });
  const { client, engine } = member(room, clock, "ann", { engine: new Mixer(1e9), delay: 1 });
  await clock.run(100);
  room.begin();
  await clock.run(10_000);
  assert.ok(Math.abs(engine.ticks - 600) < 10, `${engine.ticks} iterations in 10 s at 60 a second`);
  assert.equal(Math.round(client.framerate), 60);
});

test("made-up latency is reported as latency", async () => {
  const clock = new TestClock();
  const room = new TestRoom({ users: ["ann"] });
  const { connection } = member(room, clock, "ann", { delay: 5 });
  connection.conditions.latency = 180;
  await clock.run(4000);
  assert.ok(Math.abs(connection.latency - 190) < 3, `${connection.latency} ms`);
});

/** A clock whose timers come once a second, as in a page that nobody sees. */
const throttled = (clock) => ({
  now: () => clock.now(),
  setTimeout: (run, ms) => clock.setTimeout(run, Math.ceil((clock.now() + ms) / 1000) * 1000 - clock.now()),
  clearTimeout: (timer) => clock.clearTimeout(timer),
});

for (const [unseen, most] of [[1, 1.2], [2, 20]]) {
  test(`pages that nobody sees neither hold the others up nor run away: ${unseen} of 2`, async () => {
    const clock = new TestClock();
    const room = new TestRoom({ users: ["ann", "bob"] });
    const members = ["ann", "bob"].map((user) => member(room, clock, user));
    for (const { client } of members.slice(0, unseen)) Object.assign(client, { clock: throttled(clock), hidden: () => true });
    await clock.run(2000);
    room.begin();
    const began = clock.now();
    await clock.run(200_000, () => room.over);
    assertSame(room, members, 120);
    const nominal = 120 * 50;
    const took = clock.now() - began;
    assert.ok(took > nominal * 0.9 && took < nominal * most, `${took} ms for 120 turns of 50 ms`);
  });
}
