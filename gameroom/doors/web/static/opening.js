// @ts-check
/** Opens a room of a game, from whichever page. */
import { RoomError, api } from "./gameroom.js";
import { kept } from "./kept.js";

/**
 * Make a room of a game, and go there.
 * @param {{game_id: string, name: string}} game
 * @param {{account: import("./account.js").Account, button: HTMLButtonElement, options: Record<string, any>, problem: (text: string) => void}} how
 *   `options` are fields of `/create`
 */
export async function openRoom(game, how) {
  const { account, button, options, problem } = how;
  const token = kept.account?.token;
  if (!token) {
    account.ask(`Open a room of ${game.name}`, "Who opens a room needs an account. A name and a password are all; your friends need none.", () => openRoom(game, how), "register");
    return;
  }
  button.disabled = true;
  try {
    const room = await api("POST", "/create", { token, body: { engine: { game_id: game.game_id }, ...options } });
    kept.arriving = room.room_id;
    location.assign(`/join/${room.room_id}`);
  } catch (error) {
    const { code, message } = /** @type {RoomError} */ (error);
    if (code !== 102 && (await kept.loggedOut(code))) logInAgain(account, () => openRoom(game, how));
    else problem(message);
  } finally {
    button.disabled = false;
  }
}

/** @param {import("./account.js").Account} account @param {() => void} then */
export function logInAgain(account, then) {
  account.show();
  account.ask("Log in again", "You were logged out, perhaps by logging in elsewhere.", then, "login");
}
