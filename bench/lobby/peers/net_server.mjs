// A lobby on Node's `net` that knows PING and LIST_ROOMS, and the same envelope, checks and answers as ours.
//
//     node net_server.mjs PORT ROOMS HOW
//
// ROOMS is a file with {"tokens": {token: username}, "rooms": [entry, …]}, the rooms newest first.
// HOW is "stringify": the list is made and written for each request, or "kept": each room keeps its entry as text until it changes.
import { createServer } from "node:net";
import { readFileSync } from "node:fs";

const [port, file, how] = process.argv.slice(2);
const known = JSON.parse(readFileSync(file, "utf8"));
const sessions = new Map(Object.entries(known.tokens).map(([token, username]) => [token, { username }]));
const rooms = new Map(known.rooms.toReversed().map((entry) => [entry.room_id, { entry, public: true, members: new Set(entry.players), text: JSON.stringify(entry) }]));
const PAGE = 200;

class Refused extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

/** Public rooms and the caller's own, newest first. */
const visible = (username) => [...rooms.values()].reverse().filter((room) => room.public || room.members.has(username)).slice(0, PAGE);

const COMMANDS = {
  PING: { token: false, fields: {}, run: () => ({}) },
  LIST_ROOMS: {
    token: true,
    fields: { limit: "number", before: "string" },
    run: (session) => ({ rooms: visible(session.username).map((room) => room.entry) }),
    kept: (session) => `{"rooms":[${visible(session.username).map((room) => room.text).join()}]}`,
  },
};

function answer(line) {
  try {
    let request;
    try {
      request = JSON.parse(line);
    } catch {
      throw new Refused(100, "a line is one JSON object");
    }
    const { type, token = null, payload = {}, ...rest } = request;
    const command = Object.hasOwn(COMMANDS, type) ? COMMANDS[type] : undefined;
    if (!command || Object.keys(rest).length) throw new Refused(100, "no such command");
    const session = command.token ? sessions.get(token) : null;
    if (session === undefined) throw new Refused(101, "log in first");
    for (const name in payload) if (typeof payload[name] !== command.fields[name]) throw new Refused(100, `no field ${name}`);
    if (how === "kept" && command.kept) return `{"status":"ok","code":0,"message":"ok","payload":${command.kept(session)}}\n`;
    return JSON.stringify({ status: "ok", code: 0, message: "ok", payload: command.run(session, payload) }) + "\n";
  } catch (error) {
    return JSON.stringify({ status: "error", code: error.code ?? 199, message: error.message, payload: {} }) + "\n";
  }
}

const server = createServer({ noDelay: true }, (socket) => {
  let partial = "";
  socket.setEncoding("utf8");
  socket.on("error", () => socket.destroy());
  socket.on("data", (data) => {
    const lines = (partial + data).split("\n");
    partial = lines.pop();
    // All answers of one read in one write, as we do.
    let answers = "";
    for (const line of lines) if (line) answers += answer(line);
    if (answers) socket.write(answers);
  });
});
server.listen(Number(port), "127.0.0.1", () => console.log("ready"));
