// @ts-check
/** The envelope of the game port (docs/protocol/game-port.md): four bytes, then data. */
import { bytesOf } from "./packets.js";

/**
 * @typedef {object} Envelope
 * @property {number} type 0 to 63; from 32 on the game's own
 * @property {number} en how the data is written: `RAW`, `JSON_TEXT` or `PROTOBUF`
 * @property {Uint8Array} data
 */

export const [RAW, JSON_TEXT, PROTOBUF] = [0, 1, 2];
/** The types that a page meets, and the first and last of those that are the game's own. */
export const CONNECTED = 5, GAME_CONFIG = 6, ERROR = 9, PING = 10, PONG = 11, FIRST_OF_GAME = 32, LAST_OF_GAME = 63;
/** Bytes of data that one envelope can carry. */
export const MOST_BYTES = 65535;

const VERSION = 1;
const HEADER = 4;
const utf8 = new TextEncoder();
const strict = new TextDecoder("utf-8", { fatal: true });

/** @param {any} value a JSON value @returns {Uint8Array} */
export function jsonBytes(value) {
  const text = JSON.stringify(value);
  if (text === undefined) throw new TypeError("what is sent must be a JSON value, or bytes");
  return utf8.encode(text);
}

/** What JSON data says. @param {Uint8Array} data @returns {any} throws where it is no JSON */
export const jsonOf = (data) => JSON.parse(strict.decode(data));

/**
 * @param {number} type @param {Uint8Array} data @param {number} [en]
 * @returns {Uint8Array} the whole envelope; throws a RangeError where the data is too long for one
 */
export function encodeEnvelope(type, data, en = JSON_TEXT) {
  if (data.length > MOST_BYTES) throw new RangeError(`one message carries up to ${MOST_BYTES} bytes, and this has ${data.length}; send it in parts`);
  const whole = new Uint8Array(HEADER + data.length);
  whole.set([VERSION, en | (type << 2), data.length >> 8, data.length & 255]);
  whole.set(data, HEADER);
  return whole;
}

/**
 * The envelopes of one frame, which holds whole ones; their data are views into it.
 * @param {ArrayBuffer | Uint8Array} frame
 * @returns {Generator<Envelope>} throws a RangeError at what is none
 */
export function* envelopesOf(frame) {
  const bytes = bytesOf(frame);
  for (let at = 0; at < bytes.length; ) {
    if (bytes[at] !== VERSION) throw new RangeError(`an envelope of version ${bytes[at]}; this page knows version ${VERSION}`);
    const begin = at + HEADER;
    const end = begin + ((bytes[at + 2] << 8) | bytes[at + 3]);
    if (begin > bytes.length || end > bytes.length) throw new RangeError("a frame that ends inside of an envelope");
    yield { type: bytes[at + 1] >> 2, en: bytes[at + 1] & 3, data: bytes.subarray(begin, end) };
    at = end;
  }
}
