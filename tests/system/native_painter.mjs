/**
 * A program that plays Wet Paint at the game port: a TCP socket and envelopes below, the SDK's lock-step client and the game's engine on top.
 *
 *     node native_painter.mjs PORT PARTY_CODE
 *
 * It says a line of JSON for whatever happens. A line on its standard input cuts its connection, and it comes back by its seat token.
 */
import { Buffer } from "node:buffer";
import { connect } from "node:net";
import { createInterface } from "node:readline";
import { paint, sdk } from "../js/hooks.mjs";

const [AUTH, CONNECTED, JOIN, ERROR, PING, PONG, ROOM_PART, ROOM] = [3, 5, 8, 9, 10, 11, 14, 15];
const [RAW, JSON_TEXT] = [0, 1];
const MOST = 65535;
const say = (what) => process.stdout.write(`${JSON.stringify(what)}\n`);

/** What a RoomConnection dials through. The game port greets by itself: CONNECTED, then `welcome`; so `hello` is not said. */
class GamePortTransport {
  constructor(port, first) {
    Object.assign(this, { port, first, socket: null, parts: [], came: Buffer.alloc(0) });
  }

  open() {
    this.came = Buffer.alloc(0);
    this.parts = [];
    const socket = (this.socket = connect(this.port, "127.0.0.1", () => this.envelope(...this.first)));
    socket.setNoDelay();
    socket.on("data", (data) => socket === this.socket && this.read(data));
    socket.on("close", () => socket === this.socket && this.lost());
    socket.on("error", () => {});
  }

  lost() {
    this.onclose({ code: 1006, reason: "", final: false, retryIn: 100 });
    setTimeout(() => this.open(), 100);
  }

  read(data) {
    this.came = Buffer.concat([this.came, data]);
    while (this.came.length >= 4 && this.came.length >= 4 + this.came.readUInt16BE(2)) {
      const end = 4 + this.came.readUInt16BE(2);
      const [type, en, body] = [this.came[1] >> 2, this.came[1] & 3, this.came.subarray(4, end)];
      this.came = this.came.subarray(end);
      this.take(type, en, body);
    }
  }

  take(type, en, body) {
    if (type === PING) this.envelope(PONG, body, en);
    else if (type === ERROR) say({ error: JSON.parse(body) });
    else if (type === CONNECTED) this.connected(JSON.parse(body));
    else if (type === ROOM_PART) this.parts.push(body);
    else if (type === ROOM) {
      const whole = Buffer.concat([...this.parts.splice(0), body]);
      this.onmessage(en === RAW ? new Uint8Array(whole).buffer : whole.toString());
    }
  }

  connected({ seat_token, hosting, seat }) {
    if (seat_token) this.first = [AUTH, { id: seat_token }];
    say({ connected: hosting, seat });
  }

  envelope(type, value, en = JSON_TEXT) {
    const body = Buffer.isBuffer(value) ? value : Buffer.from(JSON.stringify(value));
    this.socket.write(Buffer.concat([Buffer.of(1, en | (type << 2), body.length >> 8, body.length & 255), body]));
  }

  send(data) {
    if (typeof data === "string" && JSON.parse(data).type === "hello") return;
    const [body, en] = typeof data === "string" ? [Buffer.from(data), JSON_TEXT] : [Buffer.from(data), RAW];
    let at = 0;
    for (; body.length - at > MOST; at += MOST) this.envelope(ROOM_PART, body.subarray(at, at + MOST), en);
    this.envelope(ROOM, body.subarray(at), en);
  }

  settled() {}

  reopen() {
    this.socket.destroy();
  }

  close() {
    this.socket.destroy();
  }
}

const [port, code] = process.argv.slice(2);
const transport = new GamePortTransport(Number(port), [JOIN, { party_code: code, name: "Native" }]);
const room = new sdk.RoomConnection(transport);
const engine = new paint.WetPaint();
const client = new sdk.LockstepClient({ room, engine, rate: paint.RATE, hidden: () => false });
// It paints as fast as it can: a match of the shortest length takes a second or two.
Object.assign(client, { rate: 1000, measure: () => {}, framerate: 60 });
setInterval(() => client.pump(), 2);

const ways = [0, 1, 2, 3];
client.on("turn", ({ generation, hash }) => {
  say({ generation, hash: hash ?? client.hashes.get(generation) });
  if (generation % 16 === 0) client.command(ways[(generation / 16) % 4]);
});
client.on("diverged", (event) => say({ diverged: event }));
client.on("over", ({ reason, results }) => say({ over: reason, results }));
// Whatever the set-up is, it is ready for it. A set-up that has changed again meanwhile comes by itself.
const ready = (revision) => room.state === "welcomed" && room.room.state === "setup" && room.request({ type: "ready", ready: true, revision }).catch(() => {});
room.on("welcome", () => ready(room.room.revision));
room.on("setup", ({ revision }) => ready(revision));
createInterface({ input: process.stdin }).on("line", () => transport.socket.destroy());
room.open();
