// Node with `ws`: node ws_server.mjs PORT. A WebSocket is at /<room>/<seat>/<players>/<input delay>.

import { WebSocketServer } from 'ws';
import { Gathering } from './gathering.mjs';

const WELCOME = JSON.stringify({ type: 'welcome' });
const rooms = new Map();

class Room {
  constructor(players, delay) {
    this.delay = delay;
    this.players = players;
    this.ready = 0;
    this.members = new Set();
    this.gathering = new Gathering(players, delay, (master) => {
      for (const member of this.members) member.send(master);
    });
  }

  takeText(member, text) {
    const message = JSON.parse(text);
    if (message.type === 'hello') {
      member.send(WELCOME);
    } else if (message.type === 'ready' && ++this.ready === this.players) {
      const start = JSON.stringify({ type: 'start', input_delay: this.delay });
      for (const each of this.members) each.send(start);
    }
  }
}

const server = new WebSocketServer({
  host: '127.0.0.1',
  port: Number(process.argv[2]),
  backlog: 4096,
  perMessageDeflate: false,
  clientTracking: false,
  handleProtocols: () => 'gameroom.v1',
});

server.on('connection', (member, request) => {
  const [number, seat, players, delay] = request.url.slice(1).split('/').map(Number);
  if (!rooms.has(number)) rooms.set(number, new Room(players, delay));
  const room = rooms.get(number);
  room.members.add(member);
  member.on('message', (data, isBinary) => {
    if (isBinary) room.gathering.take(seat, data);
    else room.takeText(member, data.toString());
  });
  member.on('close', () => room.members.delete(member));
  member.on('error', () => member.terminate());
});
