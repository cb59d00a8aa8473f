// @ts-check
/** A game's page: what it is, play it, take it home, its rooms, what players say. */
import { pageAccount } from "./account.js";
import { advanced } from "./advanced.js";
import { $, element } from "./dom.js";
import { fetchBundle } from "./download.js";
import { PAGELESS } from "./frameless.js";
import { RoomError, api } from "./gameroom.js";
import { kept } from "./kept.js";
import { logInAgain, openRoom } from "./opening.js";
import { keepRooms } from "./room_list.js";
import { about, progress, size, stars } from "./store_words.js";
import { tile } from "./tile.js";

const AT_A_TIME = 20;
const gameId = location.pathname.split("/")[2];
const path = `/games/${gameId}`;
/** @type {any} */
let game = { game_id: gameId, name: "" };

const account = pageAccount("account", () => showReviews());

// --- what it is

async function showGame() {
  game = await api("GET", path);
  document.title = `${game.name} · gameroom`;
  $("name").textContent = game.name;
  $("tile").replaceChildren(tile(game.name));
  $("about").textContent = about({ ...game, latest_version: null });
  $("description").textContent = game.description;
  const online = game.status === "ONLINE";
  $("offline").hidden = online;
  $("play").disabled = $("download").disabled = !online || !game.latest_version;
  $("version").textContent = game.latest_version ? "" : "There is no version yet.";
  if (game.latest_version) await showVersion();
}

async function showVersion() {
  const latest = await api("GET", `${path}/versions/latest`);
  $("version").textContent = `Version ${latest.version}, ${size(latest.size_bytes)}`;
  $("how").hidden = latest.page || !PAGELESS.has(latest.hosting);
  $("how").textContent = "It is played with its own program and not in the browser. Play opens a room, where you meet and get a party code; the program joins by that. gameroom play, in a terminal, does all of this.";
  $("checksum").textContent = latest.checksum;
  $("checksum-box").hidden = false;
}

const problem = (/** @type {string} */ text) => ($("game-problem").textContent = text);
const failed = (/** @type {unknown} */ error) => problem(/** @type {Error} */ (error).message);

const options = advanced(gameId);
$("play-options").append(options.box);
$("play").addEventListener("click", () => openRoom(game, { account, button: $("play"), options: options.fields(), problem }));

// --- take it home

/** @type {AbortController | null} */
let fetching = null;

async function download() {
  if (fetching) return fetching.abort();
  problem("");
  const token = kept.account?.token;
  if (!token) return account.ask(`Download ${game.name}`, "Who downloads a game needs an account. A name and a password are all.", download, "register");
  fetching = new AbortController();
  $("download").textContent = "Cancel download";
  $("download-progress").hidden = $("download-say").hidden = false;
  try {
    await fetchBundle(`${path}/bundle`, token, fetching.signal, (seen) => {
      $("download-progress").value = seen.all ? seen.done / seen.all : 0;
      $("download-say").textContent = progress(seen);
    });
  } catch (error) {
    if (/** @type {Error} */ (error).name !== "AbortError") {
      if (error instanceof RoomError && error.code !== 102 && (await kept.loggedOut(error.code))) logInAgain(account, download);
      else failed(error);
    }
  } finally {
    fetching = null;
    $("download").textContent = "Download";
    $("download-progress").hidden = $("download-say").hidden = true;
  }
}
$("download").addEventListener("click", download);

// --- what players say

/** The newest of them, and where the list goes on. @type {any[]} */
let reviews = [];

async function showReviews() {
  reviews = [];
  $("reviews").replaceChildren();
  await moreReviews();
}

async function moreReviews() {
  const before = reviews.at(-1)?.created_at;
  const more = (await api("GET", `${path}/reviews?limit=${AT_A_TIME}${before ? `&before=${encodeURIComponent(before)}` : ""}`)).reviews;
  reviews.push(...more);
  const rows = more.map(reviewRow);
  $("reviews").append(...rows);
  $("no-reviews").hidden = reviews.length > 0;
  $("more-reviews").hidden = more.length < AT_A_TIME;
  if (before) rows[0]?.focus();
  const own = reviews.find((review) => review.player === kept.account?.username);
  $("review-button").textContent = own ? "Replace your review" : "Post review";
  if (own && !$("comment").value) fill(own);
}

/** @param {any} review */
function reviewRow({ player, score, comment, created_at }) {
  const given = element("span", { className: "stars", textContent: stars(score) });
  given.setAttribute("role", "img");
  given.setAttribute("aria-label", `${score} of 5`);
  const when = element("time", { className: "quiet", dateTime: created_at, textContent: new Date(created_at).toLocaleDateString(undefined, { dateStyle: "medium" }) });
  const head = element("p", { className: "review-head" }, element("strong", { textContent: player }), given, when);
  return element("li", { tabIndex: -1 }, head, ...(comment ? [element("p", { className: "said", textContent: comment })] : []));
}

/** @type {HTMLInputElement[]} */
const scores = [...document.querySelectorAll('#review-form input[name="score"]')].map((input) => /** @type {HTMLInputElement} */ (input));
const chosen = () => Number(scores.find((input) => input.checked)?.value ?? 0);
/** All stars up to the chosen one shine. */
function shine() {
  for (const input of scores) {
    const on = Number(input.value) <= chosen();
    const label = /** @type {HTMLElement} */ (input.parentElement);
    label.toggleAttribute("data-on", on);
    /** @type {HTMLElement} */ (label.querySelector("span")).textContent = on ? "★" : "☆";
  }
}
$("review-form").addEventListener("change", shine);

/** @param {any} review */
function fill({ score, comment }) {
  scores[score - 1].checked = true;
  $("comment").value = comment;
  shine();
}

async function review() {
  const say = (/** @type {string} */ text) => ($("review-problem").textContent = text);
  say("");
  $("review-say").textContent = "";
  const token = kept.account?.token;
  if (!token) return account.ask("Log in to review", "Who reviews a game needs an account. A name and a password are all.", review, "login");
  try {
    await api("POST", `${path}/reviews`, { token, body: { score: chosen(), comment: $("comment").value.trim() } });
    await showReviews();
    $("review-say").textContent = "Your review is there. Thank you!";
    await showGame();
  } catch (error) {
    const { code, message } = /** @type {RoomError} */ (error);
    if (code !== 102 && (await kept.loggedOut(code))) logInAgain(account, review);
    else say(message);
  }
}
$("review-form").addEventListener("submit", (/** @type {SubmitEvent} */ event) => {
  event.preventDefault();
  review();
});
$("more-reviews").addEventListener("click", () => moreReviews().catch(failed));

addEventListener("pageshow", () => account.show());
showGame().catch(failed);
showReviews().catch(failed);
keepRooms({ account, gameId });
