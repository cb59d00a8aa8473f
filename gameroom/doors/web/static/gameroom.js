// @ts-check
/**
 * gameroom.js: play in a room of a gameroom server. ES modules without dependencies; this one is the door to the others.
 *
 * From the bottom to the top:
 *
 * - integers:     `Random` (seeded generator), `StateHash` (64-bit hash of a game's state)
 * - packets:      `encodeCommands`, `decodeMaster`, … the binary encoding of docs/protocol/lockstep.md
 * - rest:         `joinRoom`, `viewRoom`, `leaveRoom`, `api`
 * - transports:   `SocketTransport` (a WebSocket that comes back by itself), `PortTransport` (inside a sandboxed frame)
 * - room:         `RoomConnection` (hello, requests, ping, made-up latency and loss), `connect`
 * - frame:        `FrameHost` (the page's side of a sandboxed game)
 * - relay:        `RelayClient` (what one member sends the others get)
 * - server:       `ServerClient` (the game's own GameServer), over `envelopes`
 * - service:      `ServiceClient` (the rules are a micro game service, and the server keeps the state)
 * - controller:   `ControllerClient` (three buttons of a turn game that runs in the server), over `transactions`
 * - lockstep:     `LockstepClient` (the pipeline of generations), with `sending` (our own packets) and `saving` (snapshots, dumps)
 *
 * docs/gameroom-js.md tells how to make a game with it.
 * The paths below are from the root, since this module has two URLs: /gameroom.js and /static/gameroom.js.
 */
export { Random, StateHash, seedWords } from "/static/gameroom/integers.js";
export {
  COMMANDS, MASTER, MASTERS, decodeCommands, decodeMaster, decodeMasters, encodeCommands, encodeMaster, encodeMasters,
} from "/static/gameroom/packets.js";
export { Emitter, RoomError, systemClock } from "/static/gameroom/base.js";
export { api, joinRoom, leaveRoom, shownName, viewRoom } from "/static/gameroom/rest.js";
export { FINAL, PortTransport, SUBPROTOCOL, SocketTransport, socketUrl, socketUrls } from "/static/gameroom/transports.js";
export { RoomConnection, connect } from "/static/gameroom/room.js";
export { FRAME_MAY_SEND, FrameHost } from "/static/gameroom/frame.js";
export { RelayClient } from "/static/gameroom/relay.js";
export { encodeEnvelope, envelopesOf } from "/static/gameroom/envelopes.js";
export { ServerClient } from "/static/gameroom/server.js";
export { ServiceClient } from "/static/gameroom/service.js";
export { ControllerClient } from "/static/gameroom/controller.js";
export { LockstepClient } from "/static/gameroom/lockstep.js";

/** @typedef {import("/static/gameroom/base.js").Clock} Clock */
/** @typedef {import("/static/gameroom/rest.js").Seat} Seat */
/** @typedef {import("/static/gameroom/transports.js").Transport} Transport */
/** @typedef {import("/static/gameroom/transports.js").Gone} Gone */
/** @typedef {import("/static/gameroom/packets.js").Checksum} Checksum */
/** @typedef {import("/static/gameroom/packets.js").Master} Master */
/** @typedef {import("/static/gameroom/packets.js").BinaryMaster} BinaryMaster */
/** @typedef {import("/static/gameroom/packets.js").BinaryCommands} BinaryCommands */
/** @typedef {import("/static/gameroom/relay.js").RelayStart} RelayStart */
/** @typedef {import("/static/gameroom/server.js").Connected} Connected */
/** @typedef {import("/static/gameroom/server.js").GameMessage} GameMessage */
/** @typedef {import("/static/gameroom/service.js").Over} Over */
/** @typedef {import("/static/gameroom/lockstep.js").Start} Start */
/** @typedef {import("/static/gameroom/lockstep.js").Engine} Engine */
