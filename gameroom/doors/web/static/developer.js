// @ts-check
/** The developer page: log in, my games, and one of them: upload, versions, what it says of itself, logs. */
import { pageAccount } from "./account.js";
import { $, element } from "./dom.js";
import { RoomError, api } from "./gameroom.js";
import { kept } from "./kept.js";
import { nextVersion, size } from "./store_words.js";
import { UploadForm } from "./upload_form.js";

const account = pageAccount("developer", () => enter());

/** @type {any[]} */
let games = [];
/** The game that is shown. */
let gameId = "";
/** As players see it. @type {any} */
let game = null;

/**
 * One request as this developer. Whoever is logged out logs in and is back where they were.
 * @param {string} method @param {string} path @param {any} [body] @returns {Promise<any>}
 */
async function ask(method, path, body) {
  try {
    return await api(method, `/developer${path}`, { token: kept.developer?.token, body });
  } catch (error) {
    const { code } = /** @type {RoomError} */ (error);
    if (await kept.loggedOut(code, "developer")) {
      account.show();
      enter();
      account.ask("Log in again", "You were logged out, perhaps by logging in elsewhere.", null, "login");
    }
    throw error;
  }
}

/** Say what went wrong in the place for it, and nothing where nothing has. @param {string} place @param {Promise<any>} deed */
const saying = (place, deed) => {
  $(place).textContent = "";
  return deed.then(
    (answer) => answer ?? true,
    (error) => {
      $(place).textContent = error.message;
      return null;
    },
  );
};

// --- my games

async function enter() {
  const inside = !!kept.developer;
  $("stranger").hidden = inside;
  $("inside").hidden = !inside;
  if (!inside) {
    games = [];
    $("my-games").replaceChildren();
    form.leave();
    return;
  }
  await showGames();
}

async function showGames() {
  const answer = await saying("games-problem", ask("GET", "/games"));
  if (!answer) return;
  games = answer.games;
  $("no-games").hidden = games.length > 0;
  const wanted = location.hash.slice(1);
  gameId = (games.find(({ game_id }) => game_id === wanted) ?? games[0])?.game_id ?? "";
  listGames();
  $("game").hidden = !gameId;
  if (gameId) await showGame();
}

function listGames() {
  $("my-games").replaceChildren(
    ...games.map((one) => {
      const link = element("a", { href: `#${one.game_id}` }, element("strong", { textContent: one.name }), element("span", { className: "quiet", textContent: one.latest_version ?? "no version yet" }));
      if (one.game_id === gameId) link.setAttribute("aria-current", "true");
      return element("li", {}, link, element("span", { className: "pill", textContent: one.status === "ONLINE" ? "Online" : "Offline" }));
    }),
  );
}

addEventListener("hashchange", () => {
  const wanted = location.hash.slice(1);
  if (!games.some(({ game_id }) => game_id === wanted)) return;
  gameId = wanted;
  listGames();
  showGame().then(() => $("game-name").focus());
});

// --- a new game

$("new-game").addEventListener("click", () => {
  $("new-problem").textContent = "";
  $("new").showModal();
});
$("new-cancel").addEventListener("click", () => $("new").close());
$("new-form").addEventListener("submit", async (/** @type {SubmitEvent} */ event) => {
  event.preventDefault();
  const body = { name: $("new-name").value.trim(), description: $("new-description").value, game_type: $("new-type").value, max_players: Number($("new-players").value) };
  const made = await saying("new-problem", ask("POST", "/games", body));
  if (!made) return;
  $("new").close();
  $("new-form").reset();
  history.replaceState(null, "", `#${made.game_id}`);
  await showGames();
  $("game-name").focus();
});

// --- one game

async function showGame() {
  const shown = gameId;
  const found = await saying("game-problem", ask("GET", `/games/${shown}`));
  if (!found || shown !== gameId) return;
  game = found;
  $("game-name").textContent = game.name;
  $("store-link").href = `/games/${gameId}`;
  showStatus();
  $("description").value = game.description;
  fillTypes($("type"), game.game_type);
  $("players").value = game.max_players;
  $("about-say").textContent = "";
  form.show({ gameId, token: kept.developer?.token ?? "", version: nextVersion(game.latest_version) });
  await Promise.all([showVersions(), showLogs()]);
}

function showStatus() {
  const online = game.status === "ONLINE";
  $("status").setAttribute("aria-checked", String(online));
  const without = game.latest_version ? "" : " It goes online by itself with its first version.";
  $("status-say").textContent = online ? "Players find it in the store." : `Players do not see it in the store.${without}`;
}

$("status").addEventListener("click", async () => {
  const status = game.status === "ONLINE" ? "OFFLINE" : "ONLINE";
  if (await saying("game-problem", ask("PATCH", `/games/${gameId}`, { status }))) await refresh();
});

/** After something has changed: the list and the switch, not what is being typed. */
async function refresh() {
  const [list, one] = await Promise.all([ask("GET", "/games"), ask("GET", `/games/${gameId}`)]);
  games = list.games;
  game = one;
  listGames();
  showStatus();
  await showVersions();
}

/** The types, with one that only this game has. @param {HTMLSelectElement} select @param {string} own */
function fillTypes(select, own) {
  if (![...select.options].some(({ value }) => value === own)) select.append(element("option", { value: own, textContent: own }));
  select.value = own;
}

$("about-form").addEventListener("submit", async (/** @type {SubmitEvent} */ event) => {
  event.preventDefault();
  $("about-say").textContent = "";
  const body = { description: $("description").value, game_type: $("type").value, max_players: Number($("players").value) };
  if (await saying("about-problem", ask("PATCH", `/games/${gameId}`, body))) $("about-say").textContent = "Saved.";
});

// --- versions

async function showVersions() {
  const shown = gameId;
  const answer = await saying("versions-problem", ask("GET", `/games/${shown}/versions`));
  if (!answer || shown !== gameId) return;
  $("no-versions").hidden = answer.versions.length > 0;
  $("versions").replaceChildren(...answer.versions.map(versionRow));
}

/** @param {any} one */
function versionRow(one) {
  const when = element("time", { className: "quiet", dateTime: one.uploaded_at, textContent: new Date(one.uploaded_at).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" }) });
  const badge = one.yanked ? "yanked" : one.is_latest ? "latest" : "";
  const name = element("strong", { textContent: one.version });
  const what = element("span", { className: "who" }, element("span", {}, name, ...(badge ? [" ", element("span", { className: "pill", textContent: badge })] : [])), element("span", { className: "quiet" }, when, ` · ${size(one.size_bytes)}`));
  return element("li", { title: `SHA-256 ${one.checksum}` }, what, ...(one.yanked ? [] : [yankButton(one.version)]));
}

/** It cannot be taken back, so it is asked for twice. @param {string} version */
function yankButton(version) {
  const button = element("button", { type: "button", className: "small", textContent: "Yank" });
  button.setAttribute("aria-label", `Yank version ${version}`);
  let sure = false;
  button.addEventListener("click", async () => {
    if (!sure) {
      sure = true;
      button.textContent = "Yank for ever?";
      button.setAttribute("aria-label", `Yank version ${version} for ever?`);
      return;
    }
    if (await saying("versions-problem", ask("POST", `/games/${gameId}/versions/${encodeURIComponent(version)}/yank`))) await refresh();
  });
  button.addEventListener("blur", () => {
    sure = false;
    button.textContent = "Yank";
    button.setAttribute("aria-label", `Yank version ${version}`);
  });
  return button;
}

// --- logs

async function showLogs() {
  const shown = gameId;
  const answer = await saying("logs-problem", ask("GET", `/games/${shown}/logs?lines=500`));
  if (!answer || shown !== gameId) return;
  $("logs").textContent = answer.lines.join("\n");
  $("logs").hidden = !answer.lines.length;
  $("no-logs").hidden = answer.lines.length > 0;
  $("logs").scrollTop = $("logs").scrollHeight;
}
$("logs-refresh").addEventListener("click", showLogs);

const form = new UploadForm({
  done: () => refresh().then(() => form.propose(nextVersion(game.latest_version))),
  loggedOut: async (code) => {
    if (!(await kept.loggedOut(code, "developer"))) return;
    account.show();
    account.ask("Log in again", "You were logged out, perhaps by logging in elsewhere. Then press Upload: it goes on where it was.", null, "login");
  },
});

$("enter").addEventListener("click", () => account.ask("Become a developer, or log in", "A developer's account is another than a player's. A name and a password are all.", null, "register"));
addEventListener("pageshow", () => account.show());
enter();
