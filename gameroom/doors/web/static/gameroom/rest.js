// @ts-check
/** What is asked of the server without a socket: seats, rooms. */
import { RoomError } from "./base.js";

/**
 * One request to the server.
 * @param {string} method
 * @param {string} path
 * @param {{body?: any, token?: string | null, base?: string}} [options] `token`: a session or seat token, sent as Bearer
 * @returns {Promise<any>} the answer's JSON, or null where it has none; rejects with a `RoomError`
 */
export async function api(method, path, { body, token, base = "" } = {}) {
  /** @type {Record<string, string>} */
  const headers = { Accept: "application/json" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (token) headers.Authorization = `Bearer ${token}`;
  let response, answer;
  try {
    response = await fetch(base + path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
    const text = await response.text();
    answer = text ? JSON.parse(text) : null;
  } catch {
    throw new RoomError(0, "The server cannot be reached just now; try again in a moment.");
  }
  if (!response.ok) throw new RoomError(answer?.code ?? 199, answer?.detail ?? `The server answered ${response.status}.`, answer ?? {});
  return answer;
}

/**
 * A seat as the server gave it. `token` is a secret: it is all that is needed to take the seat up again.
 * @typedef {{room_id: string, user_id: string, name: string, seat: number | null, viewer: boolean, token: string, socket: string}} Seat
 */

/**
 * Take a seat in a room, or come to watch.
 * @param {string} roomId
 * @param {{name?: string, viewer?: boolean, session?: string | null, base?: string}} [options]
 *   `name`: shown to the others, for guests; `session`: an account's session token; `base`: the server's URL where it is not the page's
 * @returns {Promise<Seat>}
 */
export async function joinRoom(roomId, { name, viewer = false, session, base } = {}) {
  /** @type {Record<string, any>} */
  const body = {};
  if (name && !session) body.username = name;
  if (viewer) body.as = "viewer";
  const seat = await api("POST", `/join/${roomId}`, { body, token: session, base });
  return { room_id: roomId, ...seat };
}

/** What to call somebody: a guest who gave no name has a UUID for one. @param {{user_id: string, name: string}} member @returns {string} */
export const shownName = ({ user_id, name }) => (name === user_id && /^[0-9a-f]{8}-[0-9a-f]{4}-4/.test(name) ? `Guest ${name.slice(0, 4)}` : name);

/** What anyone may know of a room. @param {string} roomId @param {{base?: string}} [options] @returns {Promise<any>} */
export const viewRoom = (roomId, { base } = {}) => api("GET", `/join/${roomId}`, { base });

/** Give the seat back. @param {Seat} seat @param {{base?: string}} [options] @returns {Promise<void>} */
export const leaveRoom = (seat, { base } = {}) => api("DELETE", `/join/${seat.room_id}`, { token: seat.token, base });
