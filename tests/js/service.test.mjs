import assert from "node:assert/strict";
import { test } from "node:test";
import { sdk } from "./hooks.mjs";
import { TestClock } from "./room.mjs";

const { RoomConnection, ServiceClient } = sdk;
const PLAYERS = [
  { user_id: "ann", name: "Ann", seat: 0, viewer: false, host: true, connected: true, ready: false },
  { user_id: "bob", name: "Bob", seat: 1, viewer: false, host: false, connected: true, ready: false },
];
const FIRST = { play_id: "p", reason: "finished", results: { winners: [1] } };

/** A client in a room that only notes what it is told: `said` without hellos and pings; `take` is what the room says. */
function service({ connected = true } = {}) {
  const clock = new TestClock();
  const heard = [];
  const transport = { open() {}, send: (data) => heard.push(typeof data === "string" ? JSON.parse(data) : data), settled() {}, close() {}, reopen() {} };
  const room = new RoomConnection(transport, { token: "secret", clock });
  const client = new ServiceClient({ room });
  const events = [];
  for (const name of ["game", "binary", "start", "paused", "resumed", "over", "members", "welcome"]) client.on(name, (event) => events.push([name, event]));
  const take = (message) => transport.onmessage(message instanceof Uint8Array ? message.buffer : JSON.stringify(message));
  const welcome = (state = "setup", fields = {}) =>
    take({ type: "welcome", room: { state, hosting: "service", players: PLAYERS }, you: { user_id: "ann", seat: 0, viewer: false, host: true }, last_id: 4, last_play: null, ...fields });
  const lose = (final = false) => transport.onclose({ code: 1006, reason: "", final });
  const said = () => heard.filter(({ type }) => !["hello", "ping"].includes(type));
  /** What the game was told, without what tells of the connection. */
  const told = () => events.filter(([name]) => !["members", "welcome"].includes(name));
  if (connected) welcome();
  events.length = 0;
  return { client, clock, events, lose, room, said, take, told, welcome };
}

test("what is done goes out with one id until it is answered, also over a lost connection, and its promise says so", async () => {
  const { client, clock, lose, said, take, welcome } = service();
  const done = client.send({ call: true });
  await clock.run(5001);
  lose();
  const later = client.send({ bid: [2, 6] });
  welcome("running", { last_id: 5 });
  const [first, second, third, fourth] = said();
  assert.deepEqual([first.type, first.body], ["game", { call: true }]);
  assert.ok(first.id > 4);
  assert.deepEqual([second.id, third.id], [first.id, first.id]);
  assert.ok(fourth.id > first.id);
  take({ type: "ack", reply_to: first.id });
  assert.equal((await done).type, "ack");
  take({ type: "error", code: 105, message: "it is not your turn", reply_to: fourth.id });
  await assert.rejects(later, (error) => error.code === 105 && error.message === "it is not your turn");
  await clock.run(20000);
  assert.equal(said().length, 4);
});

test("what waits is refused when the connection is closed for good", async () => {
  const { client, lose } = service();
  const waits = client.send(1);
  lose(true);
  await assert.rejects(waits, (error) => error.code === 0);
});

test("what the game says comes as JSON and as bytes; an answer of our own does not", () => {
  const { client, said, take, told } = service();
  take({ type: "game", body: { dice: [1, 2] } });
  take({ type: "game", body: null, reply_to: 99 });
  take(new Uint8Array([7, 8]));
  assert.deepEqual(told(), [["game", { body: { dice: [1, 2] } }], ["binary", { data: new Uint8Array([7, 8]) }]]);
  assert.equal(client.sendBinary(new Uint8Array([1])), true);
  assert.deepEqual(said(), [new Uint8Array([1])]);
});

test("a play begins, stands still while its service is silent, goes on and ends", () => {
  const { client, take, told } = service();
  take({ type: "state", state: "setup", reason: "start_failed", message: "no" });
  assert.deepEqual(told(), []);
  take({ type: "state", state: "running" });
  assert.deepEqual([client.playing, client.paused], [true, null]);
  take({ type: "state", state: "running.paused", reason: "service_silent", message: "It is started again." });
  assert.equal(client.paused, "It is started again.");
  take({ type: "state", state: "running.paused", reason: "service_silent", message: "It cannot be reached." });
  take({ type: "state", state: "running" });
  assert.equal(client.paused, null);
  take({ type: "state", state: "running" });
  take({ type: "over", ...FIRST });
  assert.deepEqual(told(), [
    ["start", undefined], ["paused", { message: "It is started again." }], ["paused", { message: "It cannot be reached." }], ["resumed", undefined], ["over", FIRST],
  ]);
  assert.deepEqual([client.playing, client.last], [false, FIRST]);
});

test("who comes into a paused play is told, with a sentence in any case", () => {
  const { client, told, welcome } = service({ connected: false });
  welcome("running.paused");
  assert.deepEqual(told().map(([name]) => name), ["start", "paused"]);
  assert.match(client.paused, /do not answer/);
  welcome("running");
  assert.deepEqual(told().at(-1), ["resumed", undefined]);
});

test("an end that was missed is told once with what the room knows of it, also where another play is on already", () => {
  const { client, told, welcome } = service();
  welcome("running");
  welcome("setup", { last_play: FIRST });
  welcome("setup", { last_play: FIRST });
  assert.deepEqual(told(), [["start", undefined], ["over", FIRST]]);
  welcome("running", { last_play: FIRST });
  welcome("running", { last_play: FIRST });
  const second = { ...FIRST, play_id: "q" };
  welcome("running", { last_play: second });
  assert.deepEqual(told().slice(2), [["start", undefined], ["over", second], ["start", undefined]]);
  welcome("setup", { last_play: second });
  assert.deepEqual(told().at(-1), ["over", { reason: "missed", results: undefined, play_id: undefined }]);
  assert.equal(client.playing, false);
});

test("who comes after the end knows how it was, and is told of no end", () => {
  const { client, told, welcome } = service({ connected: false });
  assert.deepEqual([client.you, client.members, client.last], [null, [], null]);
  welcome("setup", { last_play: FIRST });
  assert.deepEqual([client.last, told()], [FIRST, []]);
  assert.equal(client.at(1).name, "Bob");
});

test("ready and start are answered, and refused with the room's words", async () => {
  const { client, said, take } = service();
  const asked = [client.ready(), client.ready(false), client.start()];
  assert.deepEqual(said().map(({ id, ...message }) => message), [{ type: "ready", ready: true }, { type: "ready", ready: false }, { type: "start" }]);
  const [one, two, three] = said();
  take({ type: "ack", reply_to: one.id });
  take({ type: "ack", reply_to: two.id });
  take({ type: "error", code: 199, message: "The service ended.", reply_to: three.id });
  await Promise.all(asked.slice(0, 2));
  await assert.rejects(asked[2], (error) => error.code === 199);
});
