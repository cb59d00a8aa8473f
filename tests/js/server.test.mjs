import assert from "node:assert/strict";
import { test } from "node:test";
import { sdk } from "./hooks.mjs";
import { TestClock, socketClass } from "./room.mjs";

const { FRAME_MAY_SEND, RoomConnection, ServerClient, SocketTransport, encodeEnvelope, envelopesOf } = sdk;
const utf8 = new TextEncoder();
const CONNECTED = { room_id: "r", game_id: "g", version: "1.0.0", hosting: "server", status: "PLAYING", seat: 0, players: [{ seat: 0, name: "ann" }], max_players: 2, party_code: "BCDFGH" };
const EVENTS = ["connected", "config", "message", "error", "away", "over"];

/** An envelope with JSON in it. */
const said = (type, value) => encodeEnvelope(type, utf8.encode(JSON.stringify(value)));

/** A server room as the web door shows it: text frames are room messages, binary frames envelopes of a GameServer that echoes. */
class ServerRoom {
  constructor({ details } = {}) {
    this.sockets = new Set();
    this.down = false;
    this.playing = true;
    this.details = details;
    this.came = [];
    this.texts = [];
    this.silent = false;
  }

  take(socket, data) {
    if (typeof data !== "string") return this.envelopes(socket, data);
    const message = JSON.parse(data);
    this.texts.push(message);
    if (message.type !== "hello") return void socket.push(JSON.stringify({ type: message.type === "ping" ? "pong" : "ack", reply_to: message.id }));
    const you = { user_id: socket.user, name: socket.user, seat: 0, viewer: false, host: true };
    const players = [{ ...you, connected: true, ready: false }];
    socket.push(JSON.stringify({ type: "welcome", room: { room_id: "r", hosting: "server", state: this.playing ? "running" : "setup", players }, you, last_id: 0 }));
    if (this.owes) socket.push(JSON.stringify(this.owes));
    if (this.refuses) this.push(socket, said(9, { code: this.refuses, message: "not now" }));
    else if (this.playing && !this.silent) this.join(socket);
  }

  /** AuthProxy has opened the way: CONNECTED first, then what the GameServer says. */
  join(socket) {
    this.push(socket, said(5, { ...CONNECTED, ...(this.details && { details: this.details }) }));
    this.push(socket, said(6, { width: 10 }));
  }

  push(socket, bytes) {
    socket.push(bytes.slice().buffer);
  }

  envelopes(socket, data) {
    for (const { type, en, data: bytes } of envelopesOf(data)) {
      this.came.push({ type, en, data: bytes.slice() });
      if (type >= 32) this.push(socket, encodeEnvelope(type, bytes, en));
    }
  }

  all(bytes) {
    for (const socket of this.sockets) typeof bytes === "string" ? socket.push(bytes) : this.push(socket, bytes);
  }
}

/** A page's client in that room, and what it has been told. */
function client(room, clock) {
  const transport = new SocketTransport("ws://room/socket/r?user=ann", { clock, random: () => 0.5, WebSocket: socketClass(room, clock) });
  const connection = new RoomConnection(transport, { token: "secret", clock, random: () => 0.5 });
  const client = new ServerClient({ room: connection });
  const events = [];
  for (const name of EVENTS) client.on(name, (event) => events.push([name, event]));
  connection.open();
  return { client, connection, events };
}

test("the envelope is that of the game port, byte for byte", () => {
  assert.deepEqual(encodeEnvelope(1, utf8.encode("{}")), Uint8Array.of(1, 5, 0, 2, 0x7b, 0x7d));
  assert.deepEqual(encodeEnvelope(63, new Uint8Array(258), 0).subarray(0, 4), Uint8Array.of(1, 252, 1, 2));
  assert.deepEqual(encodeEnvelope(33, new Uint8Array(0), 2), Uint8Array.of(1, 134, 0, 0));
  assert.throws(() => encodeEnvelope(32, new Uint8Array(65536)), RangeError);
});

test("whatever is put into envelopes comes out of them, several to a frame too", () => {
  const dice = new sdk.Random(5);
  for (let round = 0; round < 50; round++) {
    const all = Array.from({ length: dice.below(4) }, () => ({ type: dice.below(64), en: dice.below(4), data: Uint8Array.from({ length: dice.below(600) }, () => dice.below(256)) }));
    const frame = Uint8Array.from(all.flatMap(({ type, en, data }) => [...encodeEnvelope(type, data, en)]));
    assert.deepEqual([...envelopesOf(frame)].map((one) => ({ ...one, data: one.data.slice() })), all);
  }
});

test("a frame that is no envelope, or ends inside of one, is a RangeError", () => {
  for (const bytes of [[2, 5, 0, 0], [1], [1, 5, 0], [1, 5, 0, 2, 0x7b], [1, 5, 0, 0, 1]]) {
    assert.throws(() => [...envelopesOf(Uint8Array.from(bytes))], RangeError, String(bytes));
  }
});

test("the GameServer has us, says its config, and messages go both ways", async () => {
  const [room, clock] = [new ServerRoom({ details: { map: "lake" } }), new TestClock()];
  const { client: game, events } = client(room, clock);
  await clock.run(100);
  assert.deepEqual(events, [["connected", { ...CONNECTED, details: { map: "lake" } }], ["config", { width: 10 }]]);
  assert.deepEqual([game.playing, game.connected.seat, game.config, game.you.user_id, game.at(0).name], [true, 0, { width: 10 }, "ann", "ann"]);
  events.length = 0;
  assert.equal(game.send(32, { column: 3 }), true);
  assert.equal(game.send(40), true);
  assert.equal(game.send(63, Uint8Array.of(9, 8, 7).subarray(1)), true);
  assert.equal(game.send(33, Uint16Array.of(0x0201).buffer), true);
  await clock.run(100);
  assert.deepEqual(room.came.map(({ type, en, data }) => [type, en, [...data]]), [
    [32, 1, [...utf8.encode('{"column":3}')]], [40, 1, [0x7b, 0x7d]], [63, 0, [8, 7]], [33, 0, [1, 2]],
  ]);
  assert.deepEqual(events.map(([name, { type, value, data }]) => [name, type, value, [...data].length]), [
    ["message", 32, { column: 3 }, 12], ["message", 40, {}, 2], ["message", 63, undefined, 2], ["message", 33, undefined, 2],
  ]);
});

test("without a way to the GameServer nothing is sent, and that is told", async () => {
  const [room, clock] = [new ServerRoom(), new TestClock()];
  room.silent = true;
  const { client: game } = client(room, clock);
  assert.equal(game.send(32), false);
  await clock.run(100);
  assert.deepEqual([game.playing, game.send(32)], [true, false], "CONNECTED has not come yet");
  room.join([...room.sockets][0]);
  await clock.run(100);
  assert.equal(game.send(32), true);
});

test("types of others, and what is no message, are mistakes of the program and are thrown", () => {
  const { client: game } = client(new ServerRoom(), new TestClock());
  for (const type of [5, 31, 64, 32.5, "32", undefined]) assert.throws(() => game.send(type), RangeError, String(type));
  assert.throws(() => game.send(32, "x".repeat(65534)), /65535 bytes/);
  assert.throws(() => game.send(32, () => {}), TypeError);
});

test("what the GameServer refuses or garbles is told, its pings are answered, and what nobody knows is passed over", async () => {
  const [room, clock] = [new ServerRoom(), new TestClock()];
  const { events } = client(room, clock);
  await clock.run(100);
  events.length = 0;
  room.all(said(9, { code: 105, message: "it is not your turn" }));
  room.all(said(9, null));
  room.all(encodeEnvelope(32, utf8.encode("{broken")));
  room.all(encodeEnvelope(32, Uint8Array.of(0x22, 0xff, 0x22)));
  room.all(Uint8Array.of(7, 0, 0, 0));
  room.all(encodeEnvelope(10, utf8.encode("hi"), 0));
  room.all(said(20, { of: "the future" }));
  room.all(said(32, "still there"));
  await clock.run(100);
  assert.deepEqual(events.map(([name, event]) => [name, event.code ?? event.value]), [
    ["error", 105], ["error", 199], ["error", 100], ["error", 100], ["error", 100], ["message", "still there"],
  ]);
  assert.equal(events[0][1].message, "it is not your turn");
  assert.deepEqual(room.came, [{ type: 11, en: 0, data: utf8.encode("hi") }]);
});

test("a lost connection says hello again and is joined anew", async () => {
  const [room, clock] = [new ServerRoom(), new TestClock()];
  const { client: game, events } = client(room, clock);
  await clock.run(100);
  for (const socket of [...room.sockets]) socket.end(1006);
  await clock.run(1);
  assert.deepEqual([events.at(-1), game.connected, game.playing, game.send(32)], [["away", undefined], null, true, false]);
  await clock.run(1000);
  assert.deepEqual(events.map(([name]) => name), ["connected", "config", "away", "connected", "config"]);
  assert.equal(room.texts.filter(({ type }) => type === "hello").length, 2);
  assert.equal(game.send(32), true);
});

test("a play begins when the GameServer has us, ends with its results, and the next one begins anew", async () => {
  const [room, clock] = [new ServerRoom(), new TestClock()];
  room.playing = false;
  const { client: game, connection, events } = client(room, clock);
  await clock.run(100);
  assert.deepEqual([game.playing, game.connected, events], [false, null, []]);
  room.all(JSON.stringify({ type: "state", state: "running" }));
  room.join([...room.sockets][0]);
  await clock.run(100);
  assert.deepEqual([game.playing, connection.room.state], [true, "running"]);
  const over = { type: "over", reason: "finished", play_id: "p", results: { winners: [0] } };
  room.all(JSON.stringify(over));
  room.all(said(32, "the last word"));
  await clock.run(100);
  assert.deepEqual(events.slice(2).map(([name, event]) => [name, event.results ?? event.value]), [["over", { winners: [0] }], ["message", "the last word"]]);
  assert.deepEqual([game.playing, game.connected, game.send(32)], [false, null, false]);
  room.join([...room.sockets][0]);
  await clock.run(100);
  assert.equal(game.playing, true);
});

test("who was away at the end is told of it once, by the room where it knows", async () => {
  const [room, clock] = [new ServerRoom(), new TestClock()];
  const { events } = client(room, clock);
  await clock.run(100);
  room.playing = false;
  room.owes = { type: "over", reason: "finished", play_id: "p", results: { winners: [1] } };
  for (const socket of [...room.sockets]) socket.end(1006);
  await clock.run(1000);
  assert.deepEqual(events.slice(3), [["over", room.owes]]);
});

test("a GameServer that cannot be reached just now is tried again, ever more rarely; another refusal is final", async () => {
  const [room, clock] = [new ServerRoom(), new TestClock()];
  room.refuses = 105;
  const { client: game, events } = client(room, clock);
  await clock.run(60_000);
  const hellos = room.texts.filter(({ type }) => type === "hello").length;
  assert.ok(hellos > 5 && hellos < 12, `${hellos}`);
  assert.equal(events.length, hellos);
  room.refuses = 0;
  await clock.run(10_000);
  assert.equal(game.connected?.seat, 0);
  room.refuses = 102;
  for (const socket of [...room.sockets]) socket.end(1006);
  await clock.run(60_000);
  assert.equal(room.texts.filter(({ type }) => type === "hello").length, hellos + 2);
});

test("a GameServer that has hung up is gone to anew", async () => {
  const [room, clock] = [new ServerRoom(), new TestClock()];
  const { client: game, events } = client(room, clock);
  await clock.run(100);
  room.all(JSON.stringify({ type: "error", code: 106, message: "slower" }));
  await clock.run(100);
  assert.notEqual(game.connected, null, "another error is another thing");
  room.all(JSON.stringify({ type: "error", code: 105, message: "the game's server has ended your connection" }));
  await clock.run(100);
  assert.deepEqual([game.connected, game.playing], [null, true]);
  await clock.run(2000);
  assert.deepEqual(events.map(([name]) => name), ["connected", "config", "away", "connected", "config"]);
});

test("an end that was missed is known at the next welcome", async () => {
  const [room, clock] = [new ServerRoom(), new TestClock()];
  const { client: game, events } = client(room, clock);
  await clock.run(100);
  room.playing = false;
  for (const socket of [...room.sockets]) socket.end(1006);
  await clock.run(1000);
  assert.deepEqual([events.at(-1), game.playing], [["over", { reason: "missed" }], false]);
});

test("in direct mode the room says where the GameServer is", async () => {
  const [room, clock] = [new ServerRoom(), new TestClock()];
  room.silent = true;
  const { client: game } = client(room, clock);
  await clock.run(100);
  assert.equal(game.address, null);
  room.all(JSON.stringify({ type: "state", state: "running", game_host: "play.example", game_port: 20001 }));
  await clock.run(100);
  assert.deepEqual(game.address, { host: "play.example", port: 20001 });
  room.all(JSON.stringify({ type: "over", reason: "server_ended", play_id: "p" }));
  await clock.run(100);
  assert.equal(game.address, null);
});

test("made-up loss takes nothing from a GameServer's stream", async () => {
  const [room, clock] = [new ServerRoom(), new TestClock()];
  const { client: game, connection } = client(room, clock);
  await clock.run(100);
  connection.conditions.loss = 1;
  for (let n = 0; n < 5; n++) game.send(32, n);
  await clock.run(100);
  assert.equal(room.came.length, 5);
});

test("ready and start are the room's, and a frame may not start", async () => {
  const [room, clock] = [new ServerRoom(), new TestClock()];
  room.playing = false;
  const { client: game } = client(room, clock);
  await clock.run(100);
  const asked = Promise.all([game.ready(), game.start()]);
  await clock.run(100);
  await asked;
  assert.deepEqual(room.texts.filter(({ type }) => type !== "ping").map(({ type }) => type), ["hello", "ready", "start"]);
  assert.ok(FRAME_MAY_SEND.has("ready") && !FRAME_MAY_SEND.has("start"));
});
