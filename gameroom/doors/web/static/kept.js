// @ts-check
/**
 * What the pages remember.
 * The account's session token is the browser's (localStorage); a seat token belongs to one window (sessionStorage), so that
 * two windows can be two players, and a reload or a *back* finds its seat again.
 */

import { api } from "./gameroom.js";

const ACCOUNT = "gameroom.account";
const DEVELOPER = "gameroom.developer";
/** What tells, by its code, whether a token is good. */
const PROBES = { account: "/rooms?limit=1", developer: "/developer/games?limit=1" };
const NAME = "gameroom.name";
const SEAT = "gameroom.seat.";
const ARRIVING = "gameroom.arriving";

/** @param {Storage} storage @param {string} key @returns {any} */
function read(storage, key) {
  try {
    return JSON.parse(storage.getItem(key) ?? "null");
  } catch {
    return null;
  }
}

/** @param {Storage} storage @param {string} key @param {any} value null forgets it */
function write(storage, key, value) {
  try {
    if (value === null) storage.removeItem(key);
    else storage.setItem(key, JSON.stringify(value));
  } catch {
    // A browser that keeps nothing: this window's memory is all there is.
  }
}

export const kept = {
  /** @returns {{username: string, token: string} | null} */
  get account() {
    return read(localStorage, ACCOUNT);
  },
  set account(account) {
    write(localStorage, ACCOUNT, account);
  },
  /** The developer's account, which has nothing to do with the player's. @returns {{username: string, token: string} | null} */
  get developer() {
    return read(localStorage, DEVELOPER);
  },
  set developer(account) {
    write(localStorage, DEVELOPER, account);
  },
  /** The name last used as a guest in this window. @returns {string} */
  get name() {
    return read(sessionStorage, NAME) ?? "";
  },
  set name(name) {
    write(sessionStorage, NAME, name);
  },
  /** The room that this window has just opened: its creator need not press Join. @returns {string | null} */
  get arriving() {
    return read(sessionStorage, ARRIVING);
  },
  set arriving(roomId) {
    write(sessionStorage, ARRIVING, roomId);
  },
  /** @param {string} roomId @returns {import("./gameroom.js").Seat | null} */
  seat(roomId) {
    return read(sessionStorage, SEAT + roomId);
  },
  /** @param {string} roomId @param {import("./gameroom.js").Seat | null} seat */
  keepSeat(roomId, seat) {
    write(sessionStorage, SEAT + roomId, seat);
  },
  /** The rooms in which this window has a seat. @returns {string[]} */
  seats() {
    return Object.keys(sessionStorage).filter((key) => key.startsWith(SEAT)).map((key) => key.slice(SEAT.length));
  },
  /**
   * Whether a request failed because the account's session has ended; it is forgotten then.
   * A 105 alone does not say so: it is also that of a server that goes down, and of a seat in another room.
   * @param {number} code @param {"account" | "developer"} [role] @returns {Promise<boolean>}
   */
  async loggedOut(code, role = "account") {
    const account = this[role];
    if (!account || ![101, 102, 105].includes(code)) return false;
    const ended = await api("GET", PROBES[role], { token: account.token }).then(() => false, (error) => [101, 102, 105].includes(error.code));
    if (ended && this[role]?.token === account.token) this[role] = null;
    return ended;
  },
};
