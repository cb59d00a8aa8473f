import assert from "node:assert/strict";
import { test } from "node:test";
import { sdk } from "./hooks.mjs";
import { TestClock, TestRoom, member, socketClass } from "./room.mjs";

const { FrameHost, RoomConnection, RoomError, SocketTransport, connect, socketUrl, socketUrls } = sdk;

/** A transport whose dials all fail; `dials` has their times. */
function failing(clock, code, random = () => 1) {
  const dials = [];
  class Refusing {
    constructor() {
      dials.push(clock.now());
      clock.setTimeout(() => this.onclose({ code, reason: "" }), 0);
    }
    close() {}
  }
  return { dials, transport: new SocketTransport("ws://nowhere/", { clock, random, WebSocket: Refusing }) };
}

test("a lost connection is dialled again after 250 ms, then twice as long each time, up to 5 s", async () => {
  const clock = new TestClock();
  const { dials, transport } = failing(clock, 1006);
  transport.open();
  await clock.run(20_000);
  const waits = dials.slice(1).map((time, i) => time - dials[i]);
  assert.deepEqual(waits.slice(0, 7), [250, 500, 1000, 2000, 4000, 5000, 5000]);
});

test("jitter takes up to half of a wait away", async () => {
  const clock = new TestClock();
  const { dials, transport } = failing(clock, 1001, () => 0);
  transport.open();
  await clock.run(400);
  assert.deepEqual(dials, [0, 125, 375]);
});

for (const code of [4101, 4102, 4103, 4105]) {
  test(`close code ${code} is the end, with a reason for a person`, async () => {
    const clock = new TestClock();
    const { dials, transport } = failing(clock, code);
    const gone = [];
    transport.onclose = (event) => gone.push(event);
    transport.open();
    await clock.run(20_000);
    assert.equal(dials.length, 1);
    assert.equal(gone[0].final, true);
    assert.match(gone[0].reason, /\.$/);
  });
}

test("a room that is gone is noticed although the browser does not say why a dial failed", async () => {
  const clock = new TestClock();
  const { dials, transport } = failing(clock, 1006);
  transport.exists = async () => false;
  const gone = [];
  transport.onclose = (event) => gone.push(event.code);
  transport.open();
  await clock.run(20_000);
  assert.equal(gone.at(-1), 4103);
  assert.equal(dials.length, 3);
});

test("requests are answered by reply_to, refused with code and message, and fail when the connection is lost", async () => {
  const clock = new TestClock();
  const room = new TestRoom({ users: ["ann"] });
  const take = room.take.bind(room);
  room.take = (socket, data) => {
    const message = JSON.parse(data);
    if (message.type === "start") room.tell(socket, { type: "error", code: 102, message: "only the host starts", reply_to: message.id });
    else if (message.type !== "chat") take(socket, data);
  };
  const { connection } = member(room, clock, "ann");
  await clock.run(100);
  const ready = connection.request({ type: "ready", ready: true });
  const start = assert.rejects(connection.request({ type: "start" }), (error) => error instanceof RoomError && error.code === 102);
  await clock.run(100);
  assert.equal((await ready).type, "ack");
  await start;
  const chat = assert.rejects(connection.request({ type: "chat", text: "hi" }), (error) => error.code === 0);
  room.crash(1000, clock);
  await clock.run(10);
  await chat;
});

test("a seat token that is void is the end, at once", async () => {
  const clock = new TestClock();
  const room = new TestRoom({ users: ["ann"] });
  room.take = (socket) => room.tell(socket, { type: "error", code: 101, message: "join again" });
  const { connection } = member(room, clock, "ann");
  const states = [];
  connection.on("connection", ({ state, code, reason }) => states.push({ state, code, reason }));
  await clock.run(20_000);
  assert.deepEqual(states, [{ state: "closed", code: 4101, reason: "This seat is no longer yours; join again." }]);
  assert.equal(room.sockets.size, 0);
});

test("the first message is hello with the seat token", async () => {
  const clock = new TestClock();
  const room = new TestRoom({ users: ["ann"] });
  const said = [];
  const take = room.take.bind(room);
  room.take = (socket, data) => said.push(JSON.parse(data)) && take(socket, data);
  member(room, clock, "ann");
  await clock.run(100);
  assert.deepEqual(said[0], { type: "hello", token: "secret", snapshots: false }, "and that this engine can load no snapshot");
});

test("a socket on loopback is dialled at the page's own host; another's first as the server said, then at the page's own; a page of this machine the other way round", () => {
  const page = { protocol: "http:", host: "192.168.1.5:8080" };
  const here = { protocol: "http:", host: "localhost:8080" };
  const [elsewhere, own] = ["ws://two.example/socket/r", "ws://192.168.1.5:8080/socket/r"];
  assert.deepEqual(socketUrls({ socket: "ws://127.0.0.1:8080/socket/r" }, page), [own]);
  assert.deepEqual(socketUrls({ socket: elsewhere }, page), [elsewhere, own]);
  assert.deepEqual(socketUrls({ socket: elsewhere }, here), ["ws://localhost:8080/socket/r", elsewhere]);
  assert.deepEqual(socketUrls({ socket: "ws://two.example/socket/r" }, { protocol: "http:", host: "two.example" }), [elsewhere]);
  assert.equal(socketUrl({ socket: "ws://127.0.0.1/socket/r" }, { protocol: "https:", host: "play.example" }), "wss://play.example/socket/r");
  assert.equal(socketUrl({ socket: elsewhere }, undefined), elsewhere);
});

test("where one URL cannot be dialled the next is tried, and the one that was good is kept", async () => {
  const clock = new TestClock();
  const dials = [];
  class Sorting {
    constructor(url) {
      dials.push(url);
      this.good = url === "ws://good/";
      clock.setTimeout(() => (this.good ? this.onopen() : this.onclose({ code: 1006, reason: "" })), 5);
      if (this.good) clock.setTimeout(() => this.onclose({ code: 1006, reason: "" }), 500);
    }
    close() {}
  }
  const transport = new SocketTransport(["ws://refused/", "ws://good/"], { clock, random: () => 1, WebSocket: Sorting });
  transport.open();
  await clock.run(1400);
  assert.deepEqual(dials, ["ws://refused/", "ws://good/", "ws://good/"]);
});

test("a connection on which nothing is answered any more is given up and dialled anew; a quiet one is kept", async () => {
  const clock = new TestClock();
  const room = new TestRoom({ users: ["ann"] });
  const { connection } = member(room, clock, "ann");
  let welcomes = 0;
  connection.on("welcome", () => welcomes++);
  await clock.run(60_000);
  assert.equal(welcomes, 1);
  const [socket] = room.sockets;
  socket.send = () => {};
  await clock.run(20_000);
  assert.equal(welcomes, 2);
});

test("a guest without a name is not called by a UUID", () => {
  const uuid = "af2f1aa8-a3f4-4c11-8f3e-0123456789ab";
  assert.equal(sdk.shownName({ user_id: uuid, name: uuid }), "Guest af2f");
  assert.equal(sdk.shownName({ user_id: uuid, name: "Grace" }), "Grace");
  assert.equal(sdk.shownName({ user_id: "ada", name: "ada" }), "ada");
});

/** A page with a game in a frame: what the two exchange goes over a real MessagePort. */
function framed(clock, room) {
  const frame = { contentWindow: {} };
  const handlers = [];
  globalThis.addEventListener = (name, handler) => name === "message" && handlers.push(handler);
  globalThis.removeEventListener = () => {};
  const transport = new SocketTransport("ws://room/?user=ann", { clock, random: () => 1, WebSocket: socketClass(room, clock) });
  const page = new RoomConnection(transport, { token: "secret", clock });
  const host = new FrameHost(frame, page);
  globalThis.self = globalThis;
  globalThis.parent = { postMessage: (data, _target, ports) => handlers.forEach((handle) => handle({ source: frame.contentWindow, data, ports })) };
  return { host, page };
}

/** Real ports need real turns of the event loop. */
async function settle(clock, rounds = 30) {
  for (let i = 0; i < rounds; i++) {
    await clock.run(20);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

test("a game in a frame is welcomed through its page, never sees the token, and may not chat, leave or kick", async () => {
  const clock = new TestClock();
  const room = new TestRoom({ users: ["ann"] });
  const { host, page } = framed(clock, room);
  const frames = [];
  const post = host.post.bind(host);
  host.post = (data) => frames.push(JSON.stringify(data)) && post(data);
  const game = connect({ clock });
  await host.opened();
  await settle(clock);
  assert.equal(page.state, "welcomed");
  assert.equal(game.state, "welcomed");
  assert.equal(game.you.user_id, "ann");
  for (const type of ["chat", "leave", "kick", "start", "sit"]) {
    const refused = assert.rejects(game.request({ type }), (error) => error.code === 102);
    await settle(clock, 3);
    await refused;
  }
  const ready = game.request({ type: "ready", ready: true });
  await settle(clock, 5);
  assert.equal((await ready).type, "ack");
  assert.ok(game.latency > 0 && page.latency > 0);
  assert.ok(!frames.join().includes("secret"));
  game.close();
  page.close();
  host.close();
});

test("a game in a frame may give its state and move the room's, and says through its page that it can load none", async () => {
  const clock = new TestClock();
  const room = new TestRoom({ users: ["ann"] });
  const { host, page } = framed(clock, room);
  const game = connect({ clock });
  game.helloFields = () => ({ snapshots: false, token: "another", as: "host" });
  await host.opened();
  await settle(clock);
  const took = [];
  room.take = (_, data) => took.push(JSON.parse(data));
  for (const type of ["transition", "snapshot", "dump", "token", "hello", "kick"]) game.send({ type });
  await settle(clock, 3);
  assert.deepEqual(took.map(({ type }) => type).filter((type) => type !== "ping"), ["transition", "snapshot", "dump"]);
  assert.deepEqual(room.hellos, [{ user: "ann", play_id: undefined, last_generation: undefined, snapshots: false }]);
  game.close();
  page.close();
  host.close();
});

test("a frame that is loaded anew gets welcome and start again", async () => {
  const clock = new TestClock();
  const room = new TestRoom({ users: ["ann"] });
  const { host, page } = framed(clock, room);
  const first = connect({ clock });
  await host.opened();
  await settle(clock);
  room.begin();
  const second = connect({ clock });
  const starts = [];
  second.on("start", (start) => starts.push(start.play_id));
  await settle(clock);
  assert.equal(second.state, "welcomed");
  assert.deepEqual(starts, ["play-1"]);
  first.close();
  second.close();
  page.close();
  host.close();
});

for (const hosting of ["controller", "service"]) test(`in a ${hosting} room a frame's move goes out once, however often the frame repeats it, and over lost connections`, async () => {
  const clock = new TestClock();
  const room = new TestRoom({ users: ["ann"] });
  const { host, page } = framed(clock, room);
  const asked = [];
  const take = room.take.bind(room);
  room.take = (socket, data) => {
    const message = JSON.parse(data);
    if (message.type === "game") return asked.push(message);
    return take(socket, data);
  };
  const game = connect({ clock });
  await host.opened();
  await settle(clock);
  page.room.hosting = hosting;
  const moved = game.perform({ type: "game", body: { do: "left" } });
  await settle(clock, 3);
  await clock.run(5100);
  await settle(clock, 3);
  assert.equal(new Set(asked.map(({ id }) => id)).size, 1);
  room.crash(100, clock);
  await settle(clock, 60);
  assert.ok(asked.length > 1);
  assert.equal(new Set(asked.map(({ id }) => id)).size, 1);
  room.tell(room.of("ann")[0], { type: "ack", reply_to: asked[0].id });
  await settle(clock, 5);
  assert.equal((await moved).type, "ack");
  page.close();
  host.close();
});
