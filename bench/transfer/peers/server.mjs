// What a Node developer would write: net, JSON lines, crypto and fs, and nothing besides. `node server.mjs PORT FOLDER`
//
// It does the same work on the wire and on the disk: a chunk is checked, decoded, hashed and written before it is answered.
// It keeps no offsets, so it could not tell after a crash what was answered; it knows no accounts but one token, and no limits.
import { createHash, randomUUID } from "node:crypto";
import { closeSync, fsyncSync, openSync, readSync, renameSync, writeSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";

const [port, folder] = [Number(process.argv[2]), process.argv[3]];
const TOKEN = "bench";
const OK = '{"status":"ok","code":0,"message":"ok","payload":{}}\n';
const uploads = new Map();
const games = new Map();

class Refused extends Error {
  constructor(code, message, payload = {}) {
    super(message);
    this.answer = { status: "error", code, message, payload };
  }
}

const ok = (payload) => JSON.stringify({ status: "ok", code: 0, message: "ok", payload }) + "\n";

const handlers = {
  UPLOAD_BEGIN(peer, { game_id, size_bytes, checksum }) {
    const upload_id = randomUUID();
    const path = join(folder, upload_id);
    uploads.set(upload_id, { game_id, size_bytes, checksum, path, fd: openSync(path, "w+"), next: 0, received: 0, hash: createHash("sha256") });
    return ok({ upload_id, chunk_size: 65536 });
  },
  UPLOAD_CHUNK(peer, { upload_id, seq, data_b64 }) {
    const upload = uploads.get(upload_id);
    if (upload === undefined) throw new Refused(105, "no such upload");
    if (typeof data_b64 !== "string") throw new Refused(100, "data_b64 must be a string");
    const data = Buffer.from(data_b64, "base64");
    // Node skips what is no base64: the length tells, which is much quicker than a regular expression.
    if (data.length !== (data_b64.length / 4) * 3 - (data_b64.endsWith("==") ? 2 : data_b64.endsWith("=") ? 1 : 0)) throw new Refused(100, "no base64");
    if (seq !== upload.next) throw new Refused(120, "out of order", { expected_seq: upload.next });
    if (upload.received + data.length > upload.size_bytes) throw new Refused(105, "too many bytes");
    writeSync(upload.fd, data, 0, data.length, upload.received);
    upload.hash.update(data);
    upload.received += data.length;
    upload.next += 1;
    return OK;
  },
  UPLOAD_STATUS(peer, { upload_id }) {
    const upload = uploads.get(upload_id);
    if (upload === undefined) throw new Refused(105, "no such upload");
    return ok({ next_seq: upload.next, received_bytes: upload.received, size_bytes: upload.size_bytes });
  },
  UPLOAD_END(peer, { upload_id }) {
    const upload = uploads.get(upload_id);
    if (upload === undefined || upload.received !== upload.size_bytes) throw new Refused(105, "not all is here");
    uploads.delete(upload_id);
    const checksum = upload.hash.digest("hex");
    if (upload.checksum !== undefined && upload.checksum !== checksum) throw new Refused(121, "another checksum");
    fsyncSync(upload.fd);
    closeSync(upload.fd);
    const path = join(folder, "game-" + upload.game_id);
    renameSync(upload.path, path);
    games.set(upload.game_id, { path, checksum, size_bytes: upload.size_bytes });
    return ok({ version: "1.0.0", is_latest: true });
  },
  DOWNLOAD_BEGIN(peer, { game_id, chunk_size }) {
    const game = games.get(game_id);
    if (game === undefined) throw new Refused(103, "no such game");
    const download_id = randomUUID();
    peer.downloads.push({ game, chunk_size, download_id, fd: openSync(game.path, "r"), seq: 0, buffer: Buffer.allocUnsafe(chunk_size) });
    setImmediate(() => peer.pump());
    return ok({ download_id, version: "1.0.0", size_bytes: game.size_bytes, chunk_size });
  },
};

class Peer {
  constructor(socket) {
    this.socket = socket;
    this.pieces = [];
    this.downloads = [];
    socket.on("data", (data) => this.received(data));
    socket.on("drain", () => this.pump());
    socket.on("error", () => socket.destroy());
  }

  received(data) {
    let from = 0;
    let answers = "";
    for (let end = data.indexOf(10); end >= 0; end = data.indexOf(10, from)) {
      this.pieces.push(data.subarray(from, end));
      const line = this.pieces.length === 1 ? this.pieces[0] : Buffer.concat(this.pieces);
      this.pieces = [];
      answers += this.answer(line);
      from = end + 1;
    }
    if (from < data.length) this.pieces.push(from === 0 ? data : data.subarray(from));
    if (answers) this.socket.write(answers, "latin1");
  }

  answer(line) {
    try {
      const { type, token, payload } = JSON.parse(line.toString("utf8"));
      if (token !== TOKEN) throw new Refused(101, "log in");
      const handler = handlers[type];
      if (handler === undefined) throw new Refused(100, "no such command");
      return handler(this, payload);
    } catch (problem) {
      return JSON.stringify(problem.answer ?? { status: "error", code: 100, message: String(problem), payload: {} }) + "\n";
    }
  }

  // As much as the socket takes, and on when it has drained.
  pump() {
    while (this.downloads.length > 0) {
      const download = this.downloads[0];
      const { download_id, buffer, game } = download;
      const length = readSync(download.fd, buffer, 0, buffer.length, download.seq * buffer.length);
      if (length === 0) {
        closeSync(download.fd);
        this.downloads.shift();
        const payload = { download_id, version: "1.0.0", checksum: game.checksum };
        this.socket.write(JSON.stringify({ type: "DOWNLOAD_END", payload }) + "\n");
        continue;
      }
      const data = buffer.toString("base64", 0, length);
      const line = `{"type":"DOWNLOAD_CHUNK","payload":{"download_id":"${download_id}","seq":${download.seq},"data_b64":"${data}"}}\n`;
      download.seq += 1;
      if (!this.socket.write(line, "latin1")) return;
    }
  }
}

createServer({ noDelay: true }, (socket) => new Peer(socket)).listen(port, "127.0.0.1", () => console.log("ready"));
