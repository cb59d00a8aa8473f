// @ts-check
/** The front page: games, open rooms, join by code, accounts. */
import { pageAccount } from "./account.js";
import { advanced } from "./advanced.js";
import { $, element } from "./dom.js";
import { RoomError, api, viewRoom } from "./gameroom.js";
import { kept } from "./kept.js";
import { openRoom } from "./opening.js";
import { keepRooms } from "./room_list.js";
import { about } from "./store_words.js";
import { tile } from "./tile.js";

const TRY_AGAIN = 3000;
const AT_A_TIME = 24;

const account = pageAccount("account");

// --- games

/** What games are called, and null for one that is being asked about. @type {Map<string, string | null>} */
const names = new Map();
/** The last game of the list so far. */
let last = "";

async function showGames() {
  $("more-games").disabled = true;
  try {
    const listed = (await api("GET", `/games?limit=${AT_A_TIME}${last && `&before=${last}`}`)).games;
    const games = await Promise.all(listed.map(detailed));
    $("games-problem").textContent = "";
    for (const game of games) names.set(game.game_id, game.name);
    const cards = games.map(gameCard);
    $("games").append(...cards);
    if (!last && !games.length) $("games").append(element("li", { className: "card quiet", textContent: "No game is in the store yet." }));
    // The button may go away under the keyboard.
    if (last) cards[0]?.querySelector("a")?.focus();
    last = games.at(-1)?.game_id ?? last;
    $("more-games").hidden = games.length < AT_A_TIME;
  } catch (error) {
    $("games-problem").textContent = /** @type {Error} */ (error).message;
    if (!last) setTimeout(showGames, TRY_AGAIN);
  } finally {
    $("more-games").disabled = false;
  }
}

/** What the list does not say: description, players. @param {any} game @returns {Promise<any>} */
const detailed = (game) => api("GET", `/games/${game.game_id}`).then((answer) => ({ ...game, ...answer }), () => game);

/** @param {any} game */
function gameCard(game) {
  const play = element("button", { type: "button", className: "main", textContent: "Play" });
  play.setAttribute("aria-label", `Play ${game.name}`);
  const options = advanced(game.game_id);
  const problem = (/** @type {string} */ text) => {
    $("games-problem").textContent = text;
    $("games-problem").scrollIntoView({ block: "nearest" });
  };
  play.addEventListener("click", () => openRoom(game, { account, button: /** @type {HTMLButtonElement} */ (play), options: options.fields(), problem }));
  const name = element("h3", {}, element("a", { href: `/games/${game.game_id}`, textContent: game.name }));
  const text = element("div", {}, name, element("p", { className: "about", textContent: game.description ?? "" }), element("p", { className: "meta", textContent: about(game) }));
  return element("li", { className: "card game" }, tile(game.name), text, play, options.box);
}

/** The name of a game that a room is of; the next look at the rooms knows one that was not known yet. @param {string} gameId */
function nameOf(gameId) {
  if (!gameId) return "A game of its own";
  if (!names.has(gameId)) {
    names.set(gameId, null);
    api("GET", `/games/${gameId}`).then((game) => names.set(gameId, game.name), () => {});
  }
  return names.get(gameId) ?? "A game of the store";
}

$("more-games").addEventListener("click", showGames);

// --- rooms

$("by-code").addEventListener("submit", async (/** @type {SubmitEvent} */ event) => {
  event.preventDefault();
  $("code-problem").textContent = "";
  const code = $("code").value.trim().toUpperCase();
  try {
    // The server answers 303 to the room, which the browser follows.
    const room = await api("GET", `/party/${encodeURIComponent(code)}`);
    location.assign(`/join/${room.room_id}`);
  } catch (error) {
    const { code: status, message } = /** @type {RoomError} */ (error);
    $("code-problem").textContent = status === 103 ? "No room has that code. Look at it again; there are no vowels in it." : message;
  }
});

/** After an accidental *back*: the seat is still there. */
async function showSeat() {
  $("back").hidden = true;
  for (const roomId of kept.seats()) {
    try {
      await viewRoom(roomId);
      $("back-link").href = `/join/${roomId}`;
      $("back").hidden = false;
      return;
    } catch (error) {
      if (/** @type {RoomError} */ (error).code === 103) kept.keepSeat(roomId, null);
    }
  }
}

addEventListener("pageshow", () => {
  account.show();
  showSeat();
});
showGames();
keepRooms({ account, nameOf });
