// @ts-check
/** The page of one room: who is there, the invitation, chat, and the frame that the game is played in. */
import { ControllerPage, isController } from "./controller_page.js";
import { Bots } from "./controller_bots.js";
import { $, element } from "./dom.js";
import { Door } from "./door.js";
import { frameless, hasNoFrame, isForPrograms } from "./frameless.js";
import { gameFrame } from "./game_frame.js";
import { FrameHost, RoomConnection, SocketTransport, api, leaveRoom, shownName, socketUrls, viewRoom } from "./gameroom.js";
import { kept } from "./kept.js";
import { ServerRoom, isServer } from "./server_room.js";
import { ServiceRoom, isService } from "./service_room.js";
import { Trouble } from "./trouble.js";
import { list } from "./words.js";

/** @typedef {import("./gameroom.js").Seat} Seat @typedef {import("./gameroom.js").RoomError} RoomError */

const LOOK_EVERY = 2500;
const roomId = new URLSearchParams(location.search).get("game_id") ?? location.pathname.split("/")[2];

/** @type {RoomConnection | null} */
let room = null;
/** @type {Trouble | null} */
let trouble = null;
/** @type {FrameHost | null} */
let host = null;
/** The game of a controller room. @type {ControllerPage | null} */
let table = null;
/** @type {Bots | null} */
let bots = null;
/** What is said of the GameServer, in a server room, or of the service. @type {ServerRoom | ServiceRoom | null} */
let server = null;
/** @type {Seat | null} */
let seat = null;
/** What anyone may know of the room, newest. @type {any} */
let view = null;
let gameName = "Game";
let revision = 0;
/** The play that we saw begin and not end. @type {string | null} */
let playId = null;
const door = new Door({
  roomId,
  view: () => view,
  look: async () => (view = await viewRoom(roomId)),
  gameName: () => gameName,
  row: (player) => rosterRow(player, false),
  show: () => show("door"),
  gone,
  enter,
});

/** @param {"door" | "room" | "gone"} which */
function show(which) {
  const moved = $(which).hidden;
  for (const id of ["door", "room", "gone"]) $(id).hidden = id !== which;
  // What had the focus may be hidden now: the keyboard goes on from the top, and a screen reader reads why the room is gone.
  if (moved && which !== "door") $(which === "gone" ? "gone-title" : "main").focus({ preventScroll: true });
}

// --- before one has a seat

async function arrive() {
  try {
    view = await viewRoom(roomId);
  } catch (error) {
    const { code, message } = /** @type {RoomError} */ (error);
    if (code === 103 || code === 100) return gone("This room is gone", "It closed when its last player left. Open another, or ask for a new link.");
    show("door");
    $("join-problem").textContent = message;
    setTimeout(arrive, LOOK_EVERY);
    return;
  }
  await nameGame();
  const known = kept.seat(roomId);
  if (known) return enter(known);
  door.show();
  // Who opens a room of a game for controllers may have opened it for the screen on the wall: the door asks.
  if (kept.arriving === roomId && kept.account && !isController(view)) {
    kept.arriving = null;
    await door.join(false);
  } else {
    door.look();
  }
}

async function nameGame() {
  const id = view.engine?.game_id;
  if (id) gameName = await api("GET", `/games/${id}`).then((answer) => (answer.game ?? answer).name, () => gameName);
  $("game-name").textContent = gameName;
  title("");
}

/** @param {string} what */
const title = (what) => (document.title = [what, gameName, `room ${view?.party_code ?? ""}`, "gameroom"].filter(Boolean).join(" · "));

/** @param {string} heading @param {string} why @param {(() => void) | null} [retry] */
function gone(heading, why, retry = null) {
  show("gone");
  document.body.toggleAttribute("data-playing", false);
  $("gone-title").textContent = heading;
  $("gone-why").textContent = why;
  $("gone-retry").hidden = !retry;
  $("gone-retry").onclick = retry;
  title(heading);
}

// --- in the room

/** @param {Seat} taken @param {boolean} [wants] the person has just asked for a seat, and did not come back to it */
async function enter(taken, wants = false) {
  seat = taken;
  kept.keepSeat(roomId, seat);
  show("room");
  $("party").textContent = view.party_code;
  $("link").href = $("link").textContent = `${location.origin}/join/${roomId}`;
  $("qr").src = `/join/${roomId}/qr.svg`;
  const exists = () => viewRoom(roomId).then(() => true, (error) => error.code !== 103);
  room = new RoomConnection(new SocketTransport(socketUrls(seat), { exists }), { token: seat.token });
  Object.assign(globalThis, { room });
  if (isServer(view)) server = new ServerRoom(room, { view, began, missed, notice, changed: showRoom });
  else server = isService(view) ? new ServiceRoom(room, { began, ended, notice }) : null;
  listen(room);
  if (isController(view)) return enterTable(room, wants);
  const frame = hasNoFrame(view) ? null : await gameFrame(view.engine, gameName);
  if (frame) {
    host?.close();
    host = new FrameHost(frame, room);
    $("frame-place").replaceChildren(frame);
    await host.opened();
  } else {
    $("frame-place").replaceChildren(frameless(view, server));
    room.open();
  }
}

/** A controller room's game is a page of ours. @param {RoomConnection} room @param {boolean} wants */
function enterTable(room, wants) {
  const ended = () => {
    showOutcome({});
    showRoom();
  };
  table = new ControllerPage(room, { view, wants, notice, began: clearOutcome, ended, changed: showRoom });
  bots = new Bots(room, table, view, notice);
  $("where").hidden = false;
  $("frame-place").replaceChildren(table.element);
  room.open();
}

/** @param {RoomConnection} room */
function listen(room) {
  const waiting = (trouble = new Trouble(room, ask, showRoom));
  room.on("welcome", (message) => {
    revision = message.room.revision;
    notice("");
    waiting.show({ state: message.room.state });
    if (playId && message.room.state.startsWith("setup")) missedOver(playId);
    showRoom();
  });
  room.on("players", showRoom);
  room.on("setup", (message) => (revision = message.revision));
  room.on("state", (message) => {
    if (message.reason === "start_failed" && !server) notice("Not everyone came back in time, so the match did not start.");
    showRoom();
  });
  room.on("start", (message) => {
    playId = message.play_id;
    began();
  });
  // The end of a service's play is told by its client, which also knows of those that were missed.
  if (!isService(view)) room.on("over", ended);
  room.on("chat", (message) => chatLine(message));
  // What answers no request of ours is about the game's packets. That one came too late (105) is nobody's concern,
  // nor that those of somebody who only watches now do (102).
  room.on("error", (message) => message.reply_to === undefined && ![102, 105].includes(message.code) && notice(message.message, true));
  room.on("connection", connection);
}

/** @param {any} over */
function ended(over) {
  playId = null;
  // Who was quick has seen the outcome of a turn game before its play is over.
  if (!table?.more) showOutcome(over);
  showRoom();
}

function missed() {
  showOutcome({ reason: "missed" });
  showRoom();
}

function began() {
  clearOutcome();
  notice("");
  $("frame-place").firstElementChild?.focus();
  showRoom();
}

/** The play ended while our connection was lost: its recording says how. @param {string} id */
async function missedOver(id) {
  playId = null;
  if (view.hosting !== "lockstep") return showRoom();
  try {
    const answer = await fetch(`/plays/${id}`, { headers: { Authorization: `Bearer ${seat?.token}` } });
    const over = JSON.parse((await answer.text()).trim().split("\n").at(-1) ?? "null");
    if (answer.ok && over?.type === "over") showOutcome({ ...over, play_id: id });
  } catch {
    // Then it is not known here how it ended; the set-up is.
  }
  showRoom();
}

/** @param {any} event */
function connection({ state, code, reason }) {
  if (state === "away" && code !== 1000) notice("The connection was lost. It comes back by itself…", true);
  if (state !== "closed") return;
  // In a game that has no page it is the game's own program, most likely.
  if (code === 4105) return gone(server?.card ? "You play with the game's program" : "You play in another window", reason, () => location.reload());
  kept.keepSeat(roomId, null);
  if (code === 4101) {
    door.asGuest = false;
    return arrive().then(() => ($("join-problem").textContent = "Your seat was given up while you were away; join again."));
  }
  if (code === 4102) return gone("You were sent away", "The host asked you to leave this room.");
  if (code === 4103) gone("This room is gone", "It closed, or nobody was there for a while. Open another.");
}

const playing = () => (room?.room ?? view)?.state.startsWith("running") ?? false;

function showRoom() {
  if (!room?.you) return;
  const players = room.players.filter((player) => !player.viewer);
  const me = room.players.find((player) => player.user_id === room?.you.user_id);
  const on = playing();
  const ended = $("result").hasAttribute("data-shown");
  document.body.toggleAttribute("data-playing", on);
  // Where it takes just so many, to join is to be ready.
  const busy = !!server && !on && (server.starting || (!!me?.ready && allReady(players)));
  const in_ = table && me?.ready && view.min_players === view.max_players;
  $("ready").hidden = on || ended || room.you.viewer || in_;
  $("ready").disabled = $("start").disabled = busy;
  $("ready").setAttribute("aria-pressed", String(!!me?.ready));
  $("ready").classList.toggle("main", !me?.ready);
  $("finish").hidden = !on || view.hosting !== "relay" || !room.you.host;
  $("start").hidden = on || ended || !room.you.host || players.length < (view.min_players ?? 1);
  $("full-screen").hidden = !table || !room.you.viewer || !document.fullscreenEnabled || !!document.fullscreenElement;
  $("invite-title").textContent = table && room.you.viewer ? "Join with your phone" : "Invite";
  $("where").textContent = `${room.you.viewer ? "or enter" : "Scan it, or enter"} the code at ${location.host}`;
  // A guest's seat is this page's, and no program could play at it.
  const useless = isForPrograms(view) && room.you.user_id !== kept.account?.username;
  $("sit").hidden = on || !room.you.viewer || players.length >= view.max_players || useless;
  const because = (ended && (table ?? server)?.because()) || "";
  if ($("because").textContent !== because) $("because").textContent = because;
  $("because").hidden = !because;
  const text = busy ? server?.busy : ended ? "" : sentence(players, me, on);
  $("say").toggleAttribute("data-busy", busy);
  $("say").textContent = table ? "" : text;
  table?.show(text);
  server?.show();
  bots?.show(on);
  $("roster").replaceChildren(...room.players.map((player) => rosterRow(player, !!room?.you.host && player.user_id !== room.you.user_id)));
  title(on ? "Playing" : me?.ready ? "Ready" : "");
}

/** What is to be done now, in a sentence. @param {any[]} players @param {any} me @param {boolean} on */
function sentence(players, me, on) {
  const missing = (view.min_players ?? 1) - players.length;
  if (on && server) return server.during(!!room?.you.viewer);
  if (on) return room?.you.viewer || trouble?.evicted ? "You are watching." : "";
  if (table && room?.you.viewer && missing > 0) return "Scan the code to join";
  if (missing > 0) return table ? `Waiting for ${missing} more ${missing > 1 ? "players" : "player"}` : `${missing} more ${missing > 1 ? "players are" : "player is"} needed: send the ${isForPrograms(view) ? "party code" : "link"}.`;
  const slow = players.filter((player) => !player.ready || !player.connected).filter((player) => player !== me).map(shownName);
  if (room?.you.viewer && table) return onScreen(players, slow);
  if (room?.you.viewer) return "You are watching until you take a seat.";
  if (!me?.ready) return slow.length || players.length === 1 ? "Press Ready when you are." : "Everyone else is ready.";
  return slow.length ? `Waiting for ${list(slow)} to be ready.` : "Here we go.";
}

/** @param {any[]} players */
const allReady = (players) => players.length >= (view.min_players ?? 1) && players.every((player) => player.ready && player.connected);

/** The same for everybody before a big screen, once there are enough. @param {any[]} players @param {string[]} slow */
function onScreen(players, slow) {
  if (!slow.length) return "Here we go.";
  if (slow.length === players.length && players.length < view.max_players) return "Scan the code to join, or be ready";
  return `Waiting for ${list(slow)} to be ready.`;
}

/** @param {(player: any) => boolean} is @returns {string | undefined} */
const nameOf = (is) => room?.players.filter(is).map(shownName)[0];

/** @param {any} player @param {boolean} mayKick */
function rosterRow(player, mayKick) {
  const own = player.user_id === room?.you?.user_id;
  const state = element("span", { className: "state" });
  const say = [player.host && "host", player.viewer && "watching", !player.connected && "away"].filter(Boolean).join(", ");
  state.append(say);
  if (player.ready && !playing()) state.append(element("span", { className: "yes", textContent: "ready" }));
  if (mayKick) {
    const kick = element("button", { type: "button", className: "link", textContent: "Kick" });
    kick.setAttribute("aria-label", `Kick ${shownName(player)}`);
    kick.addEventListener("click", () => ask({ type: "kick", user_id: player.user_id }));
    state.append(kick);
  }
  const row = element("li", {}, element("span", { className: "dot" }), element("span", { className: "name", textContent: own ? `${shownName(player)} (you)` : shownName(player), title: player.name }), state);
  row.toggleAttribute("data-connected", player.connected);
  return row;
}

/** @param {string} text @param {boolean} [bad] */
function notice(text, bad = false) {
  $("notice").hidden = !text;
  $("notice").textContent = text;
  $("notice").toggleAttribute("data-bad", bad);
}

/** Ask the room for something, and say what it refused. @param {Record<string, any>} message */
async function ask(message) {
  try {
    const answer = await /** @type {RoomConnection} */ (room).request(message);
    notice("");
    return answer;
  } catch (error) {
    notice(/** @type {Error} */ (error).message, true);
  }
}

// --- the outcome

/** How it ended for us: results name the winners' seats (docs/gameroom-js.md). @param {any} over @returns {string} */
function outcome({ reason, results }) {
  const winners = results?.winners ?? (typeof results?.winner === "number" ? [server ? results.winner : results.winner - 1] : null);
  if (reason === "draw") return "Draw";
  if (reason === "missed") return "The match is over";
  if (server && results?.winner === null) return "Nobody won";
  if (!Array.isArray(winners)) return reason === "finished" ? "The match is over" : "The match was ended";
  const mine = room?.you.seat;
  if (mine !== null && mine !== undefined && !room?.you.viewer) return winners.includes(mine) ? (winners.length > 1 ? "Draw" : "You won") : "You lost";
  const names = winners.map((seat) => nameOf((player) => player.seat === seat) ?? "A bot");
  return winners.length > 1 ? `Draw between ${list(names)}` : `${names[0] ?? "Nobody"} won`;
}

/** @param {any} over */
function showOutcome(over) {
  $("outcome").textContent = table?.outcome() || outcome(over);
  $("again").hidden = !!table && !!room?.you.viewer;
  $("watch-again").hidden = !over.play_id || view.hosting !== "lockstep";
  $("watch-again").href = `/replay/${over.play_id}#${roomId}`;
  $("result").toggleAttribute("data-shown", true);
  $("again").focus({ preventScroll: true });
}

function clearOutcome() {
  $("outcome").textContent = "";
  $("again").hidden = $("watch-again").hidden = true;
  $("result").toggleAttribute("data-shown", false);
}

$("again").addEventListener("click", () => {
  clearOutcome();
  host?.tell({ type: "again" });
  if (table) table.again().then(showRoom);
  showRoom();
  $(table ? "table" : "ready").focus({ preventScroll: true });
});
$("ready").addEventListener("click", () => {
  const ready = $("ready").getAttribute("aria-pressed") !== "true";
  ask(ready ? { type: "ready", ready, revision } : { type: "ready", ready });
});
$("start").addEventListener("click", async () => {
  // The host's start is the host's readiness too.
  if ($("ready").getAttribute("aria-pressed") !== "true") await ask({ type: "ready", ready: true, revision });
  if (playing()) return;
  if (!server) return ask({ type: "start" });
  const started = server.start(() => ask({ type: "start" }));
  showRoom();
  await started;
  showRoom();
});
$("finish").addEventListener("click", () => ask({ type: "finish" }));
$("sit").addEventListener("click", () => ask({ type: "sit" }));
$("full-screen").addEventListener("click", () => document.documentElement.requestFullscreen());
document.addEventListener("fullscreenchange", showRoom);
$("leave").addEventListener("click", async () => {
  if (playing() && !room?.you.viewer && !confirm(view.hosting === "lockstep" ? "Leave the match? A bot takes your place." : "Leave the match? Your seat is given up.")) return;
  room?.close();
  kept.keepSeat(roomId, null);
  if (seat) await leaveRoom(seat).catch(() => {});
  location.assign("/");
});

// --- invitation and chat

$("copy").addEventListener("click", async () => {
  const link = $("link").textContent;
  try {
    await navigator.clipboard.writeText(link);
  } catch {
    // Browsers give no clipboard to a page without TLS: the old way.
    const field = /** @type {HTMLInputElement} */ (element("input", { value: link }));
    document.body.append(field);
    field.select();
    document.execCommand("copy");
    field.remove();
  }
  $("copy").textContent = "Link copied";
  setTimeout(() => ($("copy").textContent = "Copy link"), 2000);
});

/** @param {any} message */
function chatLine(message) {
  const name = nameOf((player) => player.user_id === message.from) ?? message.from;
  const log = $("chat-log");
  log.append(element("li", {}, element("b", { textContent: `${name}: ` }), message.text));
  while (log.childElementCount > 200) log.firstElementChild.remove();
  log.scrollTop = log.scrollHeight;
}

$("chat-form").addEventListener("submit", async (/** @type {Event} */ event) => {
  event.preventDefault();
  const text = $("chat-text").value.trim();
  if (text && (await ask({ type: "chat", text }))) $("chat-text").value = "";
});

// A page that comes back out of the browser's memory has lost its socket.
addEventListener("pageshow", (event) => event.persisted && room && room.state !== "closed" && room.reopen());
arrive();
