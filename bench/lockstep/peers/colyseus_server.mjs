// Colyseus, with its own matchmaking and messages: node colyseus_server.mjs PORT.
// The options of `create` are {players, delay, seat}, those of `joinById` {seat}.
// Messages are bytes: of type 1 command packets and masters, of type 2 `ready` from each player and then `start` with the input delay.

import { Room, Server } from '@colyseus/core';
import { WebSocketTransport } from '@colyseus/ws-transport';
import { Gathering } from './gathering.mjs';

const PLAY = 1;
const BEGIN = 2;
const noop = () => {};
const quiet = { debug: noop, trace: noop, info: noop, log: noop, warn: console.warn, error: console.error };

class Lockstep extends Room {
  // There is no state to be synchronized, and no seat is taken away while a thousand others are reserved.
  patchRate = null;
  seatReservationTimeout = 120;

  onCreate({ players, delay }) {
    this.maxClients = players;
    this.ready = 0;
    this.gathering = new Gathering(players, delay, (master) => this.broadcastBytes(PLAY, master, {}));
    this.onMessageBytes(PLAY, (client, packet) => this.gathering.take(client.userData.seat, packet));
    this.onMessageBytes(BEGIN, () => {
      this.ready += 1;
      if (this.ready === players) this.broadcastBytes(BEGIN, Buffer.from([delay]), {});
    });
  }

  onJoin(client, { seat }) {
    client.userData = { seat };
  }
}

const server = new Server({ greet: false, logger: quiet, transport: new WebSocketTransport({ perMessageDeflate: false }) });
server.define('lockstep', Lockstep);
await server.listen(Number(process.argv[2]), '127.0.0.1', 4096);
