// @ts-check
/** The front page: games, open rooms, join by code, accounts. */
import { advanced } from "./advanced.js";
import { $, element } from "./dom.js";
import { RoomError, api, viewRoom } from "./gameroom.js";
import { kept } from "./kept.js";

const ROOMS_EVERY = 3000;
const MOST_DETAILS = 24;

// --- the account

/** What waits for somebody to be logged in. @type {(() => void) | null} */
let afterLogin = null;

function showAccount() {
  const account = kept.account;
  $("who").textContent = account ? account.username : "";
  $("log-in").hidden = !!account;
  $("log-out").hidden = !account;
}

/**
 * @param {string} title @param {string} why @param {(() => void) | null} then
 * @param {"login" | "register"} usual What Enter does: a mistyped name shall not become an account of somebody who has one.
 */
function askAccount(title, why, then, usual) {
  afterLogin = then;
  const buttons = [...$("account-form").querySelectorAll("button[value]")].sort((a) => (a.value === usual ? -1 : 1));
  for (const button of buttons) button.classList.toggle("main", button.value === usual);
  $("account-buttons").replaceChildren(...buttons);
  $("account-title").textContent = title;
  $("account-why").textContent = why;
  $("account-problem").textContent = "";
  $("account").showModal();
  $("username").focus();
}

$("log-in").addEventListener("click", () => askAccount("Log in", "No account yet? Choose a name and a password and press Create account; nothing else is asked.", null, "login"));
$("account-cancel").addEventListener("click", () => $("account").close());

$("account-form").addEventListener("submit", async (/** @type {SubmitEvent} */ event) => {
  event.preventDefault();
  const action = /** @type {HTMLButtonElement | null} */ (event.submitter)?.value ?? "register";
  const username = $("username").value;
  $("account-problem").textContent = "";
  try {
    const answer = await api("POST", `/${action}`, { body: { username, password: $("password").value } });
    kept.account = { username, token: answer.session_token };
  } catch (error) {
    const { code, message } = /** @type {RoomError} */ (error);
    $("account-problem").textContent = code === 104 ? "That name is taken. If it is yours, press Log in; else choose another." : message;
    return;
  }
  $("password").value = "";
  $("account").close();
  showAccount();
  if (afterLogin) afterLogin();
  // The button that had the focus is not there any more.
  else $("log-out").focus();
});

$("log-out").addEventListener("click", async () => {
  const token = kept.account?.token;
  kept.account = null;
  showAccount();
  $("log-in").focus();
  await api("POST", "/logout", { token }).catch(() => {});
});

// --- games

/** A picture for a game that has none: painted tiles, mirrored, always the same for the same name. @param {string} name */
function tile(name) {
  let dice = 2166136261;
  for (const letter of name) dice = Math.imul(dice ^ letter.charCodeAt(0), 16777619);
  const draw = (/** @type {number} */ n) => {
    dice = Math.imul(dice ^ (dice >>> 15), 0x2c1b3c6d) + 0x9e3779b9;
    return ((dice ^ (dice >>> 13)) >>> 0) % n;
  };
  const hue = draw(360);
  let cells = "";
  for (let i = 0; i < 18; i++) {
    const [x, y] = [i % 3, Math.floor(i / 3)];
    const colour = [`hsl(${hue} 40% 30%)`, `hsl(${hue} 40% 42%)`, `hsl(${(hue + 25) % 360} 45% 55%)`, `hsl(${(hue + 50) % 360} 60% 72%)`, `hsl(${hue} 40% 30%)`][draw(5)];
    for (const u of [x, 5 - x]) cells += `<rect x="${u}" y="${y}" width="1" height="1" fill="${colour}"/>`;
  }
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 6 6" shape-rendering="crispEdges">${cells}</svg>`;
  return element("img", { className: "tile", alt: "", src: "data:image/svg+xml," + encodeURIComponent(svg) });
}

async function showGames() {
  try {
    const listed = (await api("GET", "/games")).games;
    const games = await Promise.all(listed.slice(0, MOST_DETAILS).map(detailed));
    $("games-problem").textContent = "";
    $("games").replaceChildren(...games.map(gameCard));
    if (!games.length) $("games").replaceChildren(element("li", { className: "card quiet", textContent: "No game is in the store yet." }));
    for (const game of games) names.set(game.game_id, game.name);
  } catch (error) {
    $("games-problem").textContent = /** @type {Error} */ (error).message;
    setTimeout(showGames, ROOMS_EVERY);
  }
}

/** What the list does not say: description, players. @param {any} game @returns {Promise<any>} */
const detailed = (game) => api("GET", `/games/${game.game_id}`).then((answer) => ({ ...game, ...(answer.game ?? answer) }), () => game);

/** @param {any} game */
function gameCard(game) {
  const play = element("button", { type: "button", className: "main", textContent: "Play" });
  play.setAttribute("aria-label", `Play ${game.name}`);
  const options = advanced();
  play.addEventListener("click", () => open(game, /** @type {HTMLButtonElement} */ (play), options.fields()));
  const people = game.max_players > 1 ? `up to ${game.max_players} players` : "";
  const meta = [game.developer && `by ${game.developer}`, people, game.avg_score ? `${game.avg_score} of 5` : ""].filter(Boolean).join(" · ");
  const text = element("div", {}, element("h3", { textContent: game.name }), element("p", { textContent: game.description ?? "" }), element("p", { className: "meta", textContent: meta }));
  return element("li", { className: "card game" }, tile(game.name), text, play, options.box);
}

/** Make a room of a game, and go there. @param {any} game @param {HTMLButtonElement} button @param {Record<string, any>} options */
async function open(game, button, options) {
  const token = kept.account?.token;
  if (!token) {
    askAccount(`Open a room of ${game.name}`, "Who opens a room needs an account. A name and a password are all; your friends need none.", () => open(game, button, options), "register");
    return;
  }
  button.disabled = true;
  try {
    const room = await api("POST", "/create", { token, body: { engine: { game_id: game.game_id }, ...options } });
    kept.arriving = room.room_id;
    location.assign(`/join/${room.room_id}`);
  } catch (error) {
    const { code, message } = /** @type {RoomError} */ (error);
    if (code !== 102 && (await kept.loggedOut(code))) {
      showAccount();
      askAccount("Log in again", "You were logged out, perhaps by logging in elsewhere.", () => open(game, button, options), "login");
    } else {
      $("games-problem").textContent = message;
    }
  } finally {
    button.disabled = false;
  }
}

// --- rooms

/** @type {Map<string, string>} */
const names = new Map();
let shown = "";

async function showRooms() {
  if (!document.hidden) {
    try {
      const { rooms } = await api("GET", "/rooms", { token: kept.account?.token });
      const now = JSON.stringify([rooms, [...names]]);
      if (now !== shown) {
        shown = now;
        $("rooms").replaceChildren(...rooms.map(roomRow));
        $("no-rooms").hidden = rooms.length > 0;
      }
    } catch (error) {
      // The list stays as it was and the next look will tell, but a session that has ended would spoil every look.
      if ([101, 102, 105].includes(/** @type {RoomError} */ (error).code)) {
        kept.account = null;
        showAccount();
      }
    }
  }
  setTimeout(showRooms, ROOMS_EVERY);
}

/** @param {any} room */
function roomRow(room) {
  const playing = room.status === "PLAYING";
  const game = names.get(room.game_id) ?? "A game of its own";
  const people = room.players.length ? room.players.join(", ") : "nobody yet";
  const who = element("span", { className: "who" }, element("strong", { textContent: game }), element("span", { className: "quiet", textContent: playing ? `playing: ${people}` : people }));
  const join = element("a", { className: "button", href: `/join/${room.room_id}`, textContent: playing ? "Watch" : "Join" });
  join.setAttribute("aria-label", `${playing ? "Watch" : "Join"} the room of ${people}`);
  return element("li", {}, who, join);
}

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
  showAccount();
  showSeat();
});
showGames();
showRooms();
