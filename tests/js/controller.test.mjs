import assert from "node:assert/strict";
import { test } from "node:test";
import { sdk } from "./hooks.mjs";
import { TestClock } from "./room.mjs";

const { ControllerClient, Random, RoomConnection } = sdk;
const PLAYERS = [
  { user_id: "ann", name: "Ann", seat: 0, viewer: false, host: true, connected: true, ready: false },
  { user_id: "bob", name: "Bob", seat: 1, viewer: false, host: false, connected: true, ready: false },
];

/** A controller in a room that only notes what it is told: `said` without pings and hellos, `take` is what the room says. */
function controller({ last_id = 0, game = null } = {}) {
  const clock = new TestClock();
  const said = [];
  const transport = {
    open() {},
    send: (data) => said.push(JSON.parse(data)),
    settled() {},
    close() {},
    reopen() {},
  };
  const room = new RoomConnection(transport, { token: "secret", clock });
  const client = new ControllerClient({ room });
  const events = [];
  for (const name of ["welcome", "game_start", "request_move", "cursor", "board", "game_over", "move_received", "over"]) {
    client.on(name, (body) => events.push([name, body]));
  }
  const take = (message) => transport.onmessage(JSON.stringify(message));
  const welcome = (fields = {}) =>
    take({ type: "welcome", room: { state: "running", players: PLAYERS }, you: { user_id: "ann", seat: 0, viewer: false, host: true }, last_id, game, ...fields });
  const lose = (final = false) => transport.onclose({ code: 1006, reason: "", final });
  const deeds = () => said.filter(({ type }) => !["hello", "ping", "ack"].includes(type));
  const acks = () => said.filter(({ type }) => type === "ack").map(({ reply_to }) => reply_to);
  return { acks, client, clock, deeds, events, lose, room, said, take, welcome };
}

const event = (id, body) => ({ type: "game", body, id });
const MOVE = { event: "request_move", board: Array(7).fill(""), cursor: 3, turn: 1 };

test("what the room sends with an id is acknowledged each time, and acted on once", () => {
  const { acks, events, take, welcome, room } = controller();
  welcome();
  const chats = [];
  room.on("chat", ({ text }) => chats.push(text));
  for (let i = 0; i < 3; i++) take({ type: "chat", from: "bob", text: "hi", id: 7 });
  take(event(8, { event: "cursor", player: 2, cursor: 4 }));
  take(event(8, { event: "cursor", player: 2, cursor: 4 }));
  take({ type: "state", state: "running" });
  assert.deepEqual(acks(), [7, 7, 7, 8, 8]);
  assert.deepEqual(chats, ["hi"]);
  assert.deepEqual(events.filter(([name]) => name === "cursor").length, 1);
});

test("ids go on from the welcome's, and a message has one id however often it is sent", async () => {
  const { client, clock, deeds, take, welcome } = controller({ last_id: 41 });
  welcome();
  const pressed = client.press("left");
  const [first] = deeds();
  assert.ok(first.id > 41);
  assert.deepEqual(first.body, { do: "left" });
  await clock.run(4999);
  assert.equal(deeds().length, 1);
  await clock.run(2);
  assert.deepEqual(deeds().map(({ id }) => id), [first.id, first.id]);
  take({ type: "game", body: { event: "move_received", cursor: 2, board: [] }, reply_to: first.id });
  take({ type: "game", body: { event: "move_received", cursor: 2, board: [] }, reply_to: first.id });
  assert.equal((await pressed).cursor, 2);
  await clock.run(20000);
  assert.equal(deeds().length, 2);
});

test("after a lost connection the unanswered come first, in their order and before any newer id", async () => {
  const { client, clock, lose, said, take, welcome } = controller();
  welcome();
  take(event(1, MOVE));
  const left = client.press("left");
  const drop = client.press("drop");
  const ids = said.filter(({ type }) => type === "game").map(({ id }) => id);
  lose();
  await clock.run(60000);
  const right = client.press("right");
  said.length = 0;
  welcome({ last_id: ids[0] });
  const numbered = said.filter(({ type, id }) => type !== "hello" && id !== undefined);
  assert.deepEqual(numbered.slice(0, 3).map(({ id, body }) => [id, body?.do]), [[ids[0], "left"], [ids[1], "drop"], [numbered[2].id, "right"]]);
  assert.deepEqual(numbered.map(({ id }) => id), numbered.map(({ id }) => id).sort((a, b) => a - b));
  for (const { id } of numbered.slice(0, 3)) take({ type: "game", body: { event: "move_received", cursor: 3, board: [] }, reply_to: id });
  await Promise.all([left, drop, right]);
});

test("what was asked before the first welcome waits for it, and is refused when the connection is lost for good", async () => {
  const { client, deeds, lose, welcome } = controller({ last_id: 9 });
  const joined = client.join();
  assert.deepEqual(deeds(), []);
  welcome();
  assert.equal(deeds()[0].id, 10);
  lose(true);
  await assert.rejects(joined, (error) => error.code === 0);
});

test("a refusal is told to who asked, and it is still our turn", async () => {
  const { client, deeds, take, welcome } = controller();
  welcome();
  take(event(1, MOVE));
  const dropped = client.press("drop");
  take({ type: "error", code: 105, message: "column 4 is full", reply_to: deeds()[0].id });
  await assert.rejects(dropped, (error) => error.code === 105 && error.message === "column 4 is full");
  assert.equal(client.live, true);
});

test("buttons are live from the room's question until the drop is answered, and not without a connection", async () => {
  const { client, deeds, lose, take, welcome } = controller();
  welcome();
  assert.equal(client.live, false);
  take(event(1, { event: "game_start", color: "red", opponent: "Bob" }));
  assert.equal(client.live, false);
  take(event(2, MOVE));
  assert.equal(client.live, true);
  const dropped = client.press("drop");
  take({ type: "game", body: { event: "move_received", cursor: 3, board: [] }, reply_to: deeds()[0].id });
  await dropped;
  assert.equal(client.live, false);
  take(event(3, { ...MOVE, turn: 3 }));
  assert.equal(client.live, true);
  lose();
  assert.equal(client.live, false);
  welcome();
  assert.equal(client.live, false);
  take(event(4, { ...MOVE, turn: 3 }));
  assert.equal(client.live, true);
  take(event(5, { event: "game_over", reason: "left", winner: null }));
  assert.equal(client.live, false);
});

test("a question that has met its answer on the way is none", async () => {
  const { client, deeds, lose, take, welcome } = controller();
  welcome();
  take(event(1, MOVE));
  const dropped = client.press("drop");
  lose();
  welcome();
  take({ type: "game", body: { event: "move_received", cursor: 3, board: [] }, reply_to: deeds()[0].id });
  await dropped;
  take(event(2, MOVE));
  assert.equal(client.live, false);
  take(event(3, { event: "game_over", reason: "won", winner: 1 }));
  take(event(4, { ...MOVE, turn: 1 }));
  assert.equal(client.live, true);
});

test("who we are, the game that is on, a bot, and being told that it is full", async () => {
  const { client, deeds, events, take, welcome } = controller({ game: { player: 1, color: "red", opponent: "Bob", board: [], cursor: 2, turn: 3, to_move: 1 } });
  welcome();
  assert.deepEqual([client.player, client.playing, events[0][1].game.cursor], [1, true, 2]);
  const bot = client.addBot(3);
  const joined = client.join();
  const [asked, join] = deeds();
  assert.deepEqual([asked.type, asked.level, join.body], ["add_bot", 3, { do: "join" }]);
  take({ type: "ack", reply_to: asked.id });
  take({ type: "game", body: { full: true }, reply_to: join.id });
  await bot;
  assert.deepEqual(await joined, { full: true });
  take({ type: "over", reason: "won", play_id: "p", id: 5 });
  assert.equal(client.playing, false);
  welcome({ you: { user_id: "eve", seat: null, viewer: true, host: false }, game: null });
  assert.equal(client.player, null);
});

/** The room's side, as docs/protocol/controller.md has it, over a way that loses, repeats and breaks. */
class LossyRoom {
  constructor(dice) {
    this.dice = dice;
    this.last = 0;
    this.answers = new Map();
    this.acted = [];
  }

  /** @returns {any} the answer, which may get lost */
  take({ id, body }) {
    if (id > this.last) {
      this.last = id;
      this.acted.push(body.n);
      this.answers.set(id, { type: "game", body: { n: body.n }, reply_to: id });
    }
    return this.answers.get(id) ?? { type: "error", code: 105, message: "never heard of it", reply_to: id };
  }
}

test("whatever is lost with connections, each message acts once and in order", async () => {
  for (let seed = 0; seed < 60; seed++) {
    const dice = new Random(seed);
    const room = new LossyRoom(dice);
    const world = controller();
    const answered = [];
    let sent = 0;
    world.welcome({ last_id: 0 });
    for (let step = 0; step < 120; step++) {
      const what = dice.below(5);
      if (what < 2) {
        const n = sent++;
        world.client.say({ do: "left", n }).then((body) => answered.push(body.n));
      }
      // What is on the way arrives up to where the connection breaks, answers as well.
      const outgoing = world.said.splice(0).filter(({ type }) => type === "game");
      const breaks = what === 4;
      const arriving = outgoing.slice(0, breaks ? dice.below(outgoing.length + 1) : outgoing.length);
      const answers = arriving.map((message) => room.take(message));
      for (const answer of answers.slice(0, breaks ? dice.below(answers.length + 1) : answers.length)) world.take(answer);
      if (breaks) {
        world.lose();
        world.welcome({ last_id: room.last });
      }
      if (what === 3) await world.clock.run(dice.below(7000));
      await null;
    }
    for (let i = 0; i < 3; i++) {
      for (const message of world.said.splice(0).filter(({ type }) => type === "game")) world.take(room.take(message));
      await world.clock.run(6000);
    }
    const all = [...Array(sent).keys()];
    assert.deepEqual(room.acted, all);
    assert.deepEqual(answered, all);
  }
});
