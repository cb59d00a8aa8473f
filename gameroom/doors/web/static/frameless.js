// @ts-check
/** What stands where the game would, for games that have no page. */
import { element } from "./dom.js";

/** Hosting kinds whose games need not have a page. */
export const PAGELESS = new Set(["relay", "server", "service"]);

/** Whether it is played by a GameServer and with programs alone. @param {any} view the room, as `GET /join` shows it */
export const isForPrograms = (view) => view?.hosting === "server" && !view.engine?.page;

/** Whether it is known that nothing of the game can be shown here. @param {any} view the room, as `GET /join` shows it */
export const hasNoFrame = (view) => PAGELESS.has(view.hosting) && !view.engine?.page;

/** What is said first. @type {Record<string, string>} */
const ABOUT = {
  relay: "This game has no page of its own: it is played with its own program. This page shows who is there; the host starts and ends the match here or there.",
  service: "This game has no page of its own: it is played with a program, or by hand. This page shows who is there, and the host starts the match here or there.",
};

/** @param {string} text */
const code = (text) => element("code", { textContent: text });

/**
 * @param {any} view the room, as `GET /join` shows it
 * @param {{card: HTMLElement | null, lines?: Node[], show: () => void} | null} [around] what shows its own words of the room in the card
 * @returns {HTMLElement}
 */
export function frameless(view, around) {
  const card = element("div", { className: "card stack" });
  const lines = howPlayed(view);
  if (!around) card.append(...lines);
  else Object.assign(around, { card, lines }).show();
  return card;
}

/** @param {any} view */
function howPlayed(view) {
  const speaks = view.hosting === "service" ? [" speaks to this room, and ", code(`{"type": "game", "body": …}`), " in it to the game."] : [" speaks to this room."];
  return [
    element("p", { textContent: ABOUT[view.hosting] ?? ABOUT.relay }),
    element(
      "ul",
      { className: "stack tight" },
      element("li", {}, code("gameroom play"), ` downloads it and starts it; the party code is ${view.party_code}.`),
      element("li", {}, "By hand at the lobby, which is port 7000 unless the operator chose another: ", code(`telnet ${location.hostname} 7000`), ", then ", code(`{"type": "HELP"}`), "; ", code("ROOM_MESSAGE"), ...speaks),
      element("li", {}, "A program of your own takes a seat with ", code(`POST /join/${view.room_id}`), " and connects to the socket that it is told."),
    ),
  ];
}
