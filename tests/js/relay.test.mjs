import assert from "node:assert/strict";
import { test } from "node:test";
import { sdk } from "./hooks.mjs";
import { TestClock } from "./room.mjs";

const { FRAME_MAY_SEND, RelayClient, RoomConnection } = sdk;
const PLAYERS = [
  { user_id: "ann", name: "Ann", seat: 0, viewer: false, host: true, connected: true, ready: false },
  { user_id: "bob", name: "Bob", seat: 300, viewer: false, host: false, connected: true, ready: false },
];

/** A client in a room that only notes what it is told; `take` is what the room says. */
function relay({ state = "setup", connected = true } = {}) {
  const said = [];
  const transport = { open() {}, send: (data) => said.push(typeof data === "string" ? JSON.parse(data) : data), settled() {}, close() {}, reopen() {} };
  const room = new RoomConnection(transport, { token: "secret", clock: new TestClock() });
  const client = new RelayClient({ room });
  const events = [];
  for (const name of ["game", "binary", "members", "start", "over"]) client.on(name, (event) => events.push([name, event]));
  const take = (message) => transport.onmessage(message instanceof Uint8Array ? message.buffer : JSON.stringify(message));
  const welcome = (now = state) => take({ type: "welcome", room: { state: now, players: PLAYERS }, you: { user_id: "ann", seat: 0, viewer: false, host: true }, last_id: 4 });
  if (connected) welcome();
  events.length = said.length = 0;
  return { client, events, room, said, take, welcome };
}

test("what is sent is a game message, to all the others or to those named", () => {
  const { client, said } = relay();
  assert.equal(client.send({ move: "e4" }), true);
  client.send(null, ["bob"]);
  client.sendBinary(new Uint8Array([1, 2]));
  assert.deepEqual(said, [{ type: "game", body: { move: "e4" } }, { type: "game", body: null, to: ["bob"] }, new Uint8Array([1, 2])]);
});

test("without a connection nothing is sent, and that is told", () => {
  const { client, said } = relay({ connected: false });
  assert.equal(client.send(1), false);
  assert.equal(client.sendBinary(new Uint8Array(1)), false);
  assert.deepEqual(said, []);
});

test("what comes has its sender, by name and by seat", () => {
  const { events, take } = relay();
  take({ type: "game", body: 0, from: "bob" });
  take(new Uint8Array([1, 44, 9, 8]));
  take(new Uint8Array([0, 7]));
  take(new Uint8Array([5]));
  assert.deepEqual(events, [
    ["game", { body: 0, from: "bob" }],
    ["binary", { seat: 300, from: "bob", data: new Uint8Array([9, 8]) }],
    ["binary", { seat: 7, from: null, data: new Uint8Array([]) }],
  ]);
});

test("members and who we are follow the roster", () => {
  const { client, events, take } = relay();
  assert.deepEqual([client.you.user_id, client.members.length, client.at(300).name], ["ann", 2, "Bob"]);
  take({ type: "players", players: [PLAYERS[0]] });
  assert.deepEqual(events, [["members", [PLAYERS[0]]]]);
  assert.equal(client.at(300), undefined);
});

test("a play begins once, also after a lost connection, and its end is known when it was missed", () => {
  const { client, events, take, welcome } = relay();
  const start = { type: "start", play_id: "p", seed: 5, configuration: {}, players: [] };
  take(start);
  welcome("running");
  take(start);
  assert.equal(client.playing, true);
  assert.deepEqual(events.filter(([name]) => name !== "members"), [["start", start]]);
  welcome("setup");
  assert.equal(client.playing, false);
  assert.deepEqual(events.at(-1), ["over", { reason: "missed", play_id: "p" }]);
  take({ ...start, play_id: "q" });
  take({ type: "over", reason: "finished", play_id: "q", results: { winners: [0] } });
  assert.deepEqual(events.at(-1)[1].results, { winners: [0] });
});

test("ready, start and finish are answered, and refused with the room's words", async () => {
  const { client, said, take } = relay();
  const asked = [client.ready(), client.start(), client.finish({ winners: [0] }), client.finish()];
  assert.deepEqual(said.map(({ id, ...message }) => message), [
    { type: "ready", ready: true }, { type: "start" }, { type: "finish", results: { winners: [0] } }, { type: "finish" },
  ]);
  for (const { id } of said.slice(0, 3)) take({ type: "ack", reply_to: id });
  take({ type: "error", code: 102, message: "only the host may finish the play", reply_to: said[3].id });
  await Promise.all(asked.slice(0, 3));
  await assert.rejects(asked[3], (error) => error.code === 102);
});

test("a frame may say what a relay game says, and not start", () => {
  for (const type of ["game", "finish", "ready"]) assert.ok(FRAME_MAY_SEND.has(type));
  assert.ok(!FRAME_MAY_SEND.has("start"));
});
