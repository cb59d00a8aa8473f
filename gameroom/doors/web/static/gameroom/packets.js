// @ts-check
/** Packets of binary rooms: the encoding of docs/protocol/lockstep.md. All numbers in network order. */

/**
 * @typedef {{generation: number, value: any}} Checksum `value`: a string, or named sections; 16 hex digits in binary rooms
 * @typedef {{generation: number, latency: number, framerate: number, checksum?: Checksum, data: Uint8Array}} BinaryCommands
 * @typedef {{generation: number, iterations_per_command: number, checksum?: Checksum, seats: Map<number, Uint8Array>, system?: any[]}} BinaryMaster
 * @typedef {{generation: number, iterations_per_command: number, checksum?: Checksum, commands: Record<string, any[]>, system?: any[]}} Master
 */

const HEADER = 22;
const SYSTEM_SEAT = 65535;
export const COMMANDS = 1;
export const MASTER = 2;
export const MASTERS = 3;

/** @param {DataView} view @param {number} at @param {Checksum | undefined} checksum */
function putChecksum(view, at, checksum) {
  if (!checksum) return;
  view.setUint8(1, 1);
  view.setUint32(at, checksum.generation);
  view.setBigUint64(at + 4, BigInt("0x" + checksum.value));
}

/** @param {DataView} view @param {number} at @returns {Checksum | undefined} */
function getChecksum(view, at) {
  if (!(view.getUint8(1) & 1)) return undefined;
  return { generation: view.getUint32(at), value: view.getBigUint64(at + 4).toString(16).padStart(16, "0") };
}

/** @param {ArrayBuffer | Uint8Array} data @returns {Uint8Array} */
export const bytesOf = (data) => (data instanceof Uint8Array ? data : new Uint8Array(data));

/** @param {Uint8Array} bytes */
const viewOf = (bytes) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** @param {Uint8Array} bytes @param {number} kind @param {number} least @returns {DataView} */
function packetView(bytes, kind, least) {
  if (bytes.length < least || bytes[0] !== kind) throw new RangeError(`not a packet of kind ${kind}`);
  return viewOf(bytes);
}

/** A command packet. @param {BinaryCommands} packet @returns {Uint8Array<ArrayBuffer>} */
export function encodeCommands(packet) {
  const bytes = new Uint8Array(HEADER + packet.data.length);
  const view = viewOf(bytes);
  view.setUint8(0, COMMANDS);
  view.setUint32(2, packet.generation);
  view.setUint16(6, Math.min(65535, packet.latency));
  view.setUint16(8, Math.min(65535, packet.framerate));
  putChecksum(view, 10, packet.checksum);
  bytes.set(packet.data, HEADER);
  return bytes;
}

/** @param {ArrayBuffer | Uint8Array} data @returns {BinaryCommands} */
export function decodeCommands(data) {
  const bytes = bytesOf(data);
  const view = packetView(bytes, COMMANDS, HEADER);
  const checksum = getChecksum(view, 10);
  return {
    generation: view.getUint32(2),
    latency: view.getUint16(6),
    framerate: view.getUint16(8),
    ...(checksum && { checksum }),
    data: bytes.slice(HEADER),
  };
}

/** A master packet (what the room sends; here for tests and tools). @param {BinaryMaster} master @returns {Uint8Array<ArrayBuffer>} */
export function encodeMaster(master) {
  const entries = [...master.seats].sort(([a], [b]) => a - b);
  if (master.system?.length) entries.push([SYSTEM_SEAT, new TextEncoder().encode(JSON.stringify(master.system))]);
  const bytes = new Uint8Array(entries.reduce((size, [, data]) => size + 4 + data.length, HEADER));
  const view = viewOf(bytes);
  view.setUint8(0, MASTER);
  view.setUint32(2, master.generation);
  view.setUint16(6, master.iterations_per_command);
  putChecksum(view, 8, master.checksum);
  view.setUint16(20, entries.length);
  let at = HEADER;
  for (const [seat, data] of entries) {
    view.setUint16(at, seat);
    view.setUint16(at + 2, data.length);
    bytes.set(data, at + 4);
    at += 4 + data.length;
  }
  return bytes;
}

/** @param {ArrayBuffer | Uint8Array} data @returns {BinaryMaster} */
export function decodeMaster(data) {
  const bytes = bytesOf(data);
  const view = packetView(bytes, MASTER, HEADER);
  /** @type {Map<number, Uint8Array>} */
  const seats = new Map();
  /** @type {any[] | undefined} */
  let system;
  let at = HEADER;
  for (let left = view.getUint16(20); left > 0; left--) {
    const seat = view.getUint16(at);
    const end = at + 4 + view.getUint16(at + 2);
    if (end > bytes.length) throw new RangeError("a master packet that ends too early");
    const entry = bytes.slice(at + 4, end);
    if (seat === SYSTEM_SEAT) system = JSON.parse(new TextDecoder().decode(entry));
    else seats.set(seat, entry);
    at = end;
  }
  const checksum = getChecksum(view, 8);
  return {
    generation: view.getUint32(2),
    iterations_per_command: view.getUint16(6),
    ...(checksum && { checksum }),
    seats,
    ...(system && { system }),
  };
}

/** A batch of history. @param {number} from @param {Uint8Array[]} masters @returns {Uint8Array<ArrayBuffer>} */
export function encodeMasters(from, masters) {
  const bytes = new Uint8Array(masters.reduce((size, master) => size + 4 + master.length, 9));
  const view = viewOf(bytes);
  view.setUint8(0, MASTERS);
  view.setUint32(1, from);
  view.setUint32(5, masters.length);
  let at = 9;
  for (const master of masters) {
    view.setUint32(at, master.length);
    bytes.set(master, at + 4);
    at += 4 + master.length;
  }
  return bytes;
}

/** @param {ArrayBuffer | Uint8Array} data @returns {BinaryMaster[]} */
export function decodeMasters(data) {
  const bytes = bytesOf(data);
  const view = packetView(bytes, MASTERS, 9);
  const masters = [];
  let at = 9;
  for (let left = view.getUint32(5); left > 0; left--) {
    const end = at + 4 + view.getUint32(at);
    if (end > bytes.length) throw new RangeError("a batch of masters that ends too early");
    masters.push(decodeMaster(bytes.subarray(at + 4, end)));
    at = end;
  }
  return masters;
}
