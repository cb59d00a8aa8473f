// @ts-check
/** A list of open rooms that keeps itself up to date. The page has #rooms and #no-rooms. */
import { $, element } from "./dom.js";
import { RoomError, api } from "./gameroom.js";
import { kept } from "./kept.js";

const EVERY = 3000;

/**
 * @param {{account: import("./account.js").Account, gameId?: string, nameOf?: (gameId: string) => string}} options
 *   `gameId`: only rooms of this game; `nameOf`: what a game is called, where the list shall say it
 */
export function keepRooms({ account, gameId, nameOf }) {
  let shown = "";
  const look = async () => {
    if (!document.hidden) {
      try {
        const rooms = (await api("GET", "/rooms", { token: kept.account?.token })).rooms.filter((/** @type {any} */ room) => !gameId || room.game_id === gameId);
        const now = JSON.stringify(rooms.map((/** @type {any} */ room) => [room, nameOf?.(room.game_id)]));
        if (now !== shown) {
          shown = now;
          $("rooms").replaceChildren(...rooms.map((/** @type {any} */ room) => row(room, nameOf)));
          $("no-rooms").hidden = rooms.length > 0;
        }
      } catch (error) {
        // The list stays as it was and the next look will tell, but a session that has ended would spoil every look.
        if ([101, 102, 105].includes(/** @type {RoomError} */ (error).code)) {
          kept.account = null;
          account.show();
        }
      }
    }
    setTimeout(look, EVERY);
  };
  look();
}

/** @param {any} room @param {((gameId: string) => string) | undefined} nameOf */
function row(room, nameOf) {
  const playing = room.status === "PLAYING";
  const people = room.players.length ? room.players.join(", ") : "nobody yet";
  const doing = playing ? `playing: ${people}` : people;
  const who = element("span", { className: "who" }, ...(nameOf ? [element("strong", { textContent: nameOf(room.game_id) })] : []), element("span", { className: "quiet", textContent: doing }));
  const join = element("a", { className: "button", href: `/join/${room.room_id}`, textContent: playing ? "Watch" : "Join" });
  join.setAttribute("aria-label", `${playing ? "Watch" : "Join"} the room of ${people}`);
  return element("li", {}, who, join);
}
