"use strict";
// Trails: a GameServer in Node, without a single dependency. It is the one of ../game-server-python in another language:
// its client plays with this one just as well, and what is said there of how gameroom runs a GameServer holds here.
const crypto = require("node:crypto");
const net = require("node:net");

const [CONTROL, TYPE, CLIENT_AUTH, CONNECTED, GAME_CONFIG, ERROR, PING, PONG, STATUS] = [1, 2, 4, 5, 6, 9, 10, 11, 13];
const TURN = 32, FIELD = 33; // ours: a player turns, and what the field looks like now
const JSON_TEXT = 1;
const GATHER_MS = 15_000, LAST_WORDS_MS = 1_000;
const QUEUE_BYTES = 65_536;

const WAYS = { up: [0, -1], down: [0, 1], left: [-1, 0], right: [1, 0] };
const STARTS = [[0.1, 0.5, "right"], [0.9, 0.5, "left"], [0.5, 0.1, "down"], [0.5, 0.9, "up"]];
const FREE = " ", HEADS = "ABCDEFGH"; // a trail is the digit of its seat, its head the letter

/** The rules: they know nothing of sockets. */
class Game {
  constructor(seats, width, height) {
    this.rows = Array.from({ length: height }, () => Array(width).fill(FREE));
    this.heads = new Map();
    this.way = new Map();
    this.nextWay = new Map();
    this.alone = seats.length === 1;
    seats.slice(0, STARTS.length).forEach((seat, index) => {
      const [x, y, way] = STARTS[index];
      this.way.set(seat, way);
      this.put(seat, [Math.trunc(width * x), Math.trunc(height * y)]);
    });
  }

  put(seat, [x, y]) {
    this.drop(seat);
    this.heads.set(seat, [x, y]);
    this.rows[y][x] = HEADS[seat];
  }

  turn(seat, way) {
    const [x, y] = WAYS[this.way.get(seat)] ?? [];
    // Turning back would be running into one's own trail, which nobody means.
    if (this.heads.has(seat) && Object.hasOwn(WAYS, way) && (WAYS[way][0] !== -x || WAYS[way][1] !== -y)) this.nextWay.set(seat, way);
  }

  /** Out: the trail stays. */
  drop(seat) {
    const [x, y] = this.heads.get(seat) ?? [];
    if (this.heads.delete(seat)) this.rows[y][x] = String(seat);
  }

  /** Everybody goes one place on, all at the same time. */
  step() {
    for (const [seat, way] of this.nextWay) this.way.set(seat, way);
    const places = new Map([...this.heads].map(([seat, [x, y]]) => [seat, [x + WAYS[this.way.get(seat)][0], y + WAYS[this.way.get(seat)][1]]]));
    for (const [seat, [x, y]] of places) {
      const meets = [...places.values()].filter((place) => place[0] === x && place[1] === y).length > 1;
      if (meets || this.rows[y]?.[x] !== FREE) this.drop(seat);
    }
    for (const seat of [...this.heads.keys()]) this.put(seat, places.get(seat));
  }

  get alive() {
    return [...this.heads.keys()].sort();
  }

  get over() {
    return this.heads.size <= (this.alone ? 0 : 1);
  }

  get winner() {
    return this.over ? this.alive[0] ?? null : null;
  }
}

function envelope(type, data, en = JSON_TEXT) {
  const body = Buffer.isBuffer(data) ? data : Buffer.from(JSON.stringify(data));
  return Buffer.concat([Buffer.from([1, (type << 2) | en, body.length >> 8, body.length & 255]), body]);
}

/** A socket, cut into envelopes: half of one may have come. What it is told goes out as it takes it; who never reads is cut off. */
class Connection {
  constructor(socket, hear) {
    Object.assign(this, { socket, kind: null, seat: null, came: Buffer.alloc(0) });
    socket.setNoDelay(true);
    socket.on("error", () => socket.destroy());
    socket.on("data", (data) => {
      this.came = Buffer.concat([this.came, data]);
      try {
        for (let whole; (whole = this.next()) && !socket.destroyed; ) hear(this, ...whole);
      } catch {
        socket.destroy(); // no envelope, or not what it has to say
      }
    });
  }

  next() {
    if (this.came.length < 4) return null;
    if (this.came[0] !== 1) throw new Error("not an envelope");
    const end = 4 + this.came.readUInt16BE(2);
    if (this.came.length < end) return null;
    const whole = [this.came[1] >> 2, this.came[1] & 3, this.came.subarray(4, end)];
    this.came = this.came.subarray(end);
    return whole;
  }

  send(type, data, en) {
    if (this.socket.destroyed) return;
    this.socket.write(envelope(type, data, en));
    if (this.socket.writableLength > QUEUE_BYTES) this.socket.destroy();
  }
}

/** Guests who said no name in a browser have a long id for one; all other names have at most 24 characters. */
const shown = (name) => (name.length <= 24 ? name : `Guest ${name.slice(0, 4)}`);

const seated = new Map(); // the connection of each seat
let players = new Map(); // who plays, by seat
let names = {}; // of all who began, by seat
let control = null, token = null, game = null, state = "gathering", until = 0, countdown = 3000;

function hear(connection, type, en, body) {
  const said = () => JSON.parse(body.toString());
  if (type === PING) connection.send(PONG, body, en); // gameroom asks whether we are alive; a client may ask, too
  else if (type === TYPE && connection.kind === null) connection.kind = connection === control ? "control" : said().type;
  else if (type === CONTROL && connection === control) told(said());
  else if (type === CLIENT_AUTH && connection.kind === "client" && connection.seat === null) enter(connection, said());
  else if (type === TURN && connection.seat !== null) game.turn(connection.seat, said().to);
  // All else we do not know: newer gamerooms may say more, and it is none of our business.
}

/** CONTROL: who plays. It comes again whenever somebody has left for good. */
function told({ token: ours, options }) {
  players = new Map(options.players.map((player) => [player.seat, player]));
  if (players.size === 0) process.exit(); // nobody is left
  if (game === null) {
    const { width = 36, height = 16, steps_per_second = 8, countdown_seconds = 3 } = options.config ?? {};
    token = ours;
    names = Object.fromEntries(options.players.map(({ seat, name }) => [seat, shown(name)]));
    countdown = countdown_seconds * 1000;
    game = new Game([...players.keys()], width, height);
    until = Date.now() + GATHER_MS;
    setInterval(tick, 1000 / steps_per_second);
    control.send(STATUS, { state: "ready" });
  }
  for (const seat of game.alive) if (!players.has(seat)) game.drop(seat);
}

/** CLIENT_AUTH: a player is here, for the first time or once more. The token says that gameroom vouches for it. */
function enter(connection, { seat, token: theirs }) {
  const digest = (text) => crypto.createHash("sha256").update(text).digest();
  if (!crypto.timingSafeEqual(digest(theirs), digest(token)) || !players.has(seat)) {
    connection.socket.end(envelope(ERROR, { code: 102, message: "you are not a player of this game" }));
    return;
  }
  seated.get(seat)?.socket.destroy(); // the newer one counts
  seated.set(seat, connection);
  connection.seat = seat;
  connection.socket.on("close", () => seated.get(seat) === connection && seated.delete(seat));
  connection.send(CONNECTED, { details: { game: "trails" } });
  connection.send(GAME_CONFIG, { you: seat, names, width: game.rows[0].length, height: game.rows.length });
  show(connection);
}

/** The whole field each time: so who was away knows all, and who is slow just misses a picture. */
function show(connection) {
  if (connection.socket.writableLength > 0) return;
  const starts_in = state === "countdown" ? Math.max(1, Math.ceil((until - Date.now()) / 1000)) : 0;
  connection.send(FIELD, { state, starts_in, rows: game.rows.map((row) => row.join("")), alive: game.alive, winner: game.winner });
}

/** Eight times a second. */
function tick() {
  const now = Date.now();
  if (state === "over") {
    if (now > until) process.exit(); // the last words are said
  } else if (state === "gathering" && (seated.size >= players.size || now > until)) {
    [state, until] = ["countdown", now + countdown];
  } else if (state === "countdown" && now > until) {
    state = "playing";
  } else if (state === "playing") {
    game.step();
  }
  if (state !== "over" && game.over) {
    [state, until] = ["over", now + LAST_WORDS_MS];
    control.send(STATUS, { state: "finished", results: { winner: game.winner, name: names[game.winner] ?? null } });
  }
  for (const connection of [...seated.values()]) show(connection);
}

// gameroom connects for control before it starts us, so the first connection is surely gameroom's.
net.createServer((socket) => {
  const connection = new Connection(socket, hear);
  if (control === null) {
    control = connection;
    socket.on("close", () => process.exit(1)); // gameroom has gone
  }
}).listen({ fd: 3 });
process.on("SIGTERM", () => process.exit());
