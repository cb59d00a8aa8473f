/** An upload against a made-up server that forgets nothing, and a line that fails. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { sdk, upload } from "./hooks.mjs";

const { RoomError } = sdk;
const { Upload } = upload;
const CHUNK = 256 << 10;
const bytes = (length) => Uint8Array.from({ length }, (_, i) => (i * 2654435761) >>> 13);
const turn = () => new Promise((resolve) => setImmediate(resolve));

/** Keeps what it has answered, as the real one does; `fails` may refuse a request. */
class Server {
  constructor(size) {
    this.size = size;
    this.data = new Uint8Array(0);
    this.seq = 0;
    this.begun = [];
    this.flying = this.most = 0;
    this.fails = () => null;
    this.published = null;
    this.gone = false;
    this.api = this.api.bind(this);
    this.put = this.put.bind(this);
  }

  async api(method, path, { body }) {
    await turn();
    const failure = this.fails(method, path);
    if (failure) throw failure;
    if (path.endsWith("/uploads")) {
      this.begun.push(body);
      return { upload_id: "u1", chunk_size: body.chunk_size };
    }
    if (path.endsWith("/versions")) return { versions: this.published ? [this.published] : [] };
    if (this.gone) throw new RoomError(105, "there is no such upload");
    if (method === "DELETE") return (this.gone = true), null;
    if (path.endsWith("/end")) {
      if (this.data.length !== this.size) throw new RoomError(105, "bytes are missing");
      this.gone = true;
      this.published = { version: this.begun[0].version, checksum: this.begun[0].checksum, is_latest: true };
      const lost = this.fails("LOST", path);
      if (lost) throw lost;
      return { version: this.published.version, is_latest: true };
    }
    return { next_seq: this.seq, received_bytes: this.data.length, size_bytes: this.size };
  }

  async put(path, piece, token, signal) {
    assert.equal(token, "secret");
    const seq = Number(path.split("/").at(-1));
    this.most = Math.max(this.most, ++this.flying);
    try {
      const data = new Uint8Array(await piece.arrayBuffer());
      await turn();
      const failure = this.fails("PUT", path, signal);
      if (failure) throw await failure;
      // As the real one with Prefer: a chunk waits for those before it.
      for (let i = 0; seq > this.seq && i < 50; i++) await turn();
      if (signal.aborted) throw new RoomError(0, "not reached");
      if (seq !== this.seq) throw new RoomError(120, "go on from there", { expected_seq: this.seq });
      this.take(data);
      if (this.fails("LOST", path)) throw new RoomError(0, "the answer was lost");
    } finally {
      this.flying--;
    }
  }

  take(data) {
    this.data = Buffer.concat([this.data, data]);
    this.seq++;
  }
}

/** A clock whose waits are over at once, and which notes them. */
function clock() {
  const waits = [];
  return { waits, now: () => 0, setTimeout: (run, ms) => (ms < 60_000 && (waits.push(ms), setImmediate(run)), 0), clearTimeout: () => {} };
}

function begin(server, data, more = {}) {
  const [told, time] = [[], clock()];
  const made = new Upload({ gameId: "g1", version: "1.0.0", file: new Blob([data]), token: "secret", told: (seen) => told.push(seen), server, clock: time, ...more });
  return { upload: made, told, waits: time.waits };
}

test("a file arrives whole, several chunks under way, and its checksum was declared", async () => {
  const data = bytes(7 * CHUNK + 5);
  const server = new Server(data.length);
  const { upload: one, told } = begin(server, data);
  assert.deepEqual(await one.run(), { version: "1.0.0", is_latest: true });
  assert.deepEqual(Buffer.compare(server.data, data), 0);
  assert.deepEqual(server.begun, [{ version: "1.0.0", size_bytes: data.length, checksum: createHash("sha256").update(data).digest("hex"), chunk_size: CHUNK }]);
  assert.ok(server.most > 1 && server.most <= 5, `${server.most} at a time`);
  const sending = told.filter(({ stage }) => stage === "sending").map(({ done }) => done);
  assert.deepEqual(sending, [...sending].sort((a, b) => a - b));
  assert.deepEqual(told.at(-1), { stage: "checking", done: data.length, all: data.length });
});

test("whatever fails on the way, it goes on from where the server is", async () => {
  for (const kind of ["PUT", "LOST", "GET", "POST"]) {
    const data = bytes(5 * CHUNK + 1);
    const server = new Server(data.length);
    let count = 0;
    server.fails = (method) => (method === kind && ++count % 3 === 0 ? new RoomError(0, "The server cannot be reached just now.") : null);
    const { upload: one, told } = begin(server, data);
    await one.run();
    assert.equal(Buffer.compare(server.data, data), 0, kind);
    if (kind === "PUT") assert.ok(told.some(({ stage, problem }) => stage === "waiting" && problem?.includes("reached")));
  }
});

test("a chunk that was given up and lands all the same does no harm", async () => {
  const data = bytes(6 * CHUNK);
  const server = new Server(data.length);
  let once = true;
  server.fails = (method, path) => {
    if (method !== "PUT" || !path.endsWith("/2") || !once) return null;
    once = false;
    // It was lost for us, and comes in when we have asked how far the server is.
    setTimeout(() => server.seq === 2 && server.take(data.subarray(2 * CHUNK, 3 * CHUNK)), 1);
    return new RoomError(0, "not reached");
  };
  await begin(server, data).upload.run();
  assert.equal(Buffer.compare(server.data, data), 0);
});

test("what was begun earlier is taken up, not sent again", async () => {
  const data = bytes(4 * CHUNK);
  const server = new Server(data.length);
  server.take(data.subarray(0, 1000));
  const { upload: one, told } = begin(server, data);
  await one.run();
  assert.equal(Buffer.compare(server.data, data), 0);
  assert.equal(told.find(({ stage }) => stage === "sending").done, 1000);
});

test("waits grow while nothing comes through, and keep to what the server asks for", async () => {
  const data = bytes(10);
  const server = new Server(data.length);
  const answers = [new RoomError(106, "slower", { retry_after: 7 }), new RoomError(0, ""), new RoomError(199, ""), new RoomError(0, "")];
  server.fails = (method) => (method === "PUT" ? answers.shift() : null);
  const { upload: one, waits } = begin(server, data);
  await one.run();
  assert.deepEqual(waits, [7000, 1000, 2000, 4000]);
});

test("what does not pass by itself ends it, with the server's words", async () => {
  const data = bytes(10);
  const server = new Server(data.length);
  server.fails = (method, path) => (path.endsWith("/end") ? ((server.gone = true), new RoomError(100, "game.toml: hosting.kind is missing")) : null);
  const { upload: one } = begin(server, data);
  await assert.rejects(one.run(), { code: 100, message: "game.toml: hosting.kind is missing" });
  const other = begin(new Server(10), data);
  other.upload.server.fails = (method) => (method === "PUT" ? new RoomError(105, "log in again") : null);
  await assert.rejects(other.upload.run(), { code: 105 });
});

test("an end whose answer was lost is an end", async () => {
  const data = bytes(10);
  const server = new Server(data.length);
  let lost = 0;
  server.fails = (method, path) => (method === "LOST" && path.endsWith("/end") && !lost++ ? new RoomError(0, "") : null);
  assert.deepEqual(await begin(server, data).upload.run(), { version: "1.0.0", is_latest: true });
});

test("what is cancelled while it is being begun is gone too", async () => {
  const server = new Server(10);
  const { upload: one } = begin(server, bytes(10));
  server.fails = (method, path) => (path.endsWith("/uploads") && one.cancel(), null);
  await assert.rejects(one.run(), { name: "AbortError" });
  assert.deepEqual([server.gone, server.begun.length], [true, 1]);
});

test("stop leaves it there to go on with, cancel does not", async () => {
  const data = bytes(20 * CHUNK);
  for (const how of ["stop", "cancel"]) {
    const server = new Server(data.length);
    let over;
    const { upload: one } = begin(server, data, { told: ({ stage, done }) => stage === "sending" && done > 3 * CHUNK && (over ??= one[how]()) });
    await assert.rejects(one.run(), { name: "AbortError" });
    await over;
    assert.equal(server.gone, how === "cancel");
    assert.ok(server.data.length < data.length);
  }
});
