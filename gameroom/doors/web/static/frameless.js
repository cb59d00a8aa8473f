// @ts-check
/** What stands where the game would, for games that have no page or cannot be run on this server. */
import { element } from "./dom.js";

/** Hosting kinds that the server takes bundles of and cannot run yet. */
const UNHOSTED = new Set(["service"]);
/** Hosting kinds whose games need not have a page. */
export const PAGELESS = new Set(["relay", "server"]);

/** @param {any} view the room, as `GET /join` shows it */
export const isUnhosted = (view) => UNHOSTED.has(view?.hosting);

/** Whether it is played by a GameServer and with programs alone. @param {any} view the room, as `GET /join` shows it */
export const isForPrograms = (view) => view?.hosting === "server" && !view.engine?.page;

/** Whether it is known that nothing of the game can be shown here. @param {any} view the room, as `GET /join` shows it */
export const hasNoFrame = (view) => isUnhosted(view) || (PAGELESS.has(view.hosting) && !view.engine?.page);

/** @param {any} view @returns {string} */
export const unhosted = (view) => `This server cannot run games of kind ${view.hosting} yet. You can meet and chat here, but not play.`;

/** @param {string} text */
const code = (text) => element("code", { textContent: text });

/** @param {any} view the room, as `GET /join` shows it @param {import("./server_room.js").ServerRoom | null} [server] where a GameServer plays it @returns {HTMLElement} */
export function frameless(view, server) {
  const card = element("div", { className: "card stack" });
  if (isUnhosted(view)) {
    card.append(element("p", { textContent: unhosted(view) }));
    return card;
  }
  if (server) {
    server.card = card;
    server.show();
    return card;
  }
  card.append(
    element("p", { textContent: "This game has no page of its own: it is played with its own program. This page shows who is there; the host starts and ends the match here or there." }),
    element(
      "ul",
      { className: "stack tight" },
      element("li", {}, code("gameroom play"), ` downloads it and starts it; the party code is ${view.party_code}.`),
      element("li", {}, "By hand at the lobby, which is port 7000 unless the operator chose another: ", code(`telnet ${location.hostname} 7000`), ", then ", code(`{"type": "HELP"}`), "; ", code("ROOM_MESSAGE"), " speaks to this room."),
      element("li", {}, "A program of your own takes a seat with ", code(`POST /join/${view.room_id}`), " and connects to the socket that it is told."),
    ),
  );
  return card;
}
