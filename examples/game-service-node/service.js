"use strict";
// A micro game service in Node, with protobufjs and game.proto, which every gameroom serves at /game.proto.
// It keeps nothing: gameroom sends the last state and what happened, we answer the next state and what is to be said of it.
// So gameroom may send an update once more, end this program, or run several of them, and no game is lost.
//
// Each message, either way, follows its length: 4 bytes in network order. gameroom opens up to eight connections, has many
// updates of many rooms under way on each, and takes the answers in any order: `request` says what an answer belongs to.
const net = require("node:net");
const path = require("node:path");
const protobuf = require("protobufjs");
const { Rejected, next } = require("./rules.js");

const proto = new protobuf.Root().loadSync(path.join(__dirname, "game.proto"), { keepCase: true });
const [GameUpdate, GameState] = ["GameUpdate", "GameState"].map((name) => proto.lookupType(`gameroom.v1.${name}`));
// Numbers of 64 bits are never beyond what JavaScript counts exactly (2^53), so they may become plain numbers.
const PLAIN = { longs: Number, defaults: true, arrays: true, oneofs: true };
const MOST_BYTES = 16 << 20;

const json = (value) => Buffer.from(JSON.stringify(value));
const said = (body) => ({ data: json(body), text: true }); // text: clients get it as JSON, the `body` of a `game` message

/** The answer to one update. */
function answer(update) {
  const { request, sequence } = update;
  try {
    const before = update.state.length > 0 ? JSON.parse(update.state.toString()) : null;
    const { state, broadcast, views = [], timer_ms, results } = next(before, update);
    return {
      request,
      sequence,
      state: json(state),
      broadcast: broadcast ? [said(broadcast)] : [],
      views: views.map(({ seat, body }) => ({ seat, ...said(body) })),
      timer_ms, // left out, the one that runs goes on; 0 takes it back
      finished: results ? { results: json(results) } : null,
    };
  } catch (problem) {
    if (problem instanceof Rejected) return { request, sequence, rejected: { code: problem.code, message: problem.message } };
    // What fails once fails each time, as it is the same input: asked again and again, the room would stand still.
    console.error(problem);
    return { request, sequence, rejected: { code: 105, message: "the game's rules failed; nothing has changed" } };
  }
}

/** A connection of gameroom's: cut into frames, however they come; each is answered at once. */
function serve(socket) {
  const parts = []; // what has come of a frame: joined only when it is whole
  let have = 0, need = 4;
  socket.setNoDelay(true);
  socket.on("error", () => socket.destroy());
  socket.on("data", (data) => {
    parts.push(data);
    have += data.length;
    if (have < need) return;
    let rest = parts.length > 1 ? Buffer.concat(parts) : data;
    const answers = [];
    for (need = 4; rest.length >= 4; need = 4) {
      const length = rest.readUInt32BE();
      if (length === 0 || length > MOST_BYTES) return void socket.destroy(); // not gameroom
      need = 4 + length;
      if (rest.length < need) break;
      try {
        const update = GameUpdate.toObject(GameUpdate.decode(rest.subarray(4, need)), PLAIN);
        answers.push(framed(GameState.encode(answer(update)).finish()));
      } catch (problem) {
        console.error("what came is no GameUpdate:", problem.message);
        return void socket.destroy();
      }
      rest = rest.subarray(need);
    }
    parts.length = 0;
    parts.push(rest);
    have = rest.length;
    if (answers.length > 0 && !socket.write(Buffer.concat(answers))) {
      socket.pause(); // it does not read just now, so neither do we
      socket.once("drain", () => socket.resume());
    }
  });
}

function framed(data) {
  const frame = Buffer.alloc(4 + data.length);
  frame.writeUInt32BE(data.length);
  frame.set(data, 4);
  return frame;
}

// In a bundle gameroom hands over a socket that listens already, as descriptor 3. Elsewhere: node service.js HOST PORT
const [host, port] = process.argv.slice(2);
net.createServer(serve).listen(port ? { host, port: Number(port) } : { fd: 3 });
process.on("SIGTERM", () => process.exit());
