// @ts-check
/** The page of a recorded play: the game in its frame, and what a player of films has. */
import { $, element } from "./dom.js";
import { gameFrame } from "./game_frame.js";
import { FrameHost, api, shownName } from "./gameroom.js";
import { kept } from "./kept.js";
import { Recorded, ReplayRoom } from "./replay_room.js";
import { list } from "./words.js";

const STEP = 5000;
const playId = location.pathname.split("/")[2];
/** The room that it was played in, where the link says so. */
const roomId = location.hash.slice(1);

/** @type {ReplayRoom | null} */
let room = null;

/** @param {number} ms */
const clock = (ms) => `${Math.floor(ms / 60000)}:${String(Math.floor(ms / 1000) % 60).padStart(2, "0")}`;

/** @param {string} text */
const say = (text) => ($("say").textContent = text);

/** What shows that we were there: the account, and the seats of this window, that of the link's room first. @returns {string[]} */
function tokens() {
  const seats = [roomId, ...kept.seats()].map((id) => kept.seat(id)?.token);
  return [...new Set([kept.account?.token, ...seats])].filter((token) => typeof token === "string");
}

/** @returns {Promise<Recorded | string>} the recording, or why there is none */
async function fetched() {
  for (const token of tokens()) {
    const answer = await fetch(`/plays/${encodeURIComponent(playId)}`, { headers: { Authorization: `Bearer ${token}` } });
    if (answer.ok) return new Recorded(await answer.text());
    if (answer.status === 404) return "There is no such recording; they are not kept for ever.";
  }
  return "Only those who played can watch this match again. Log in, or open it from the room in which you played it.";
}

async function arrive() {
  say("The recording is on its way…");
  const recorded = await fetched().catch(() => "The recording could not be read. Try again in a moment.");
  if (typeof recorded === "string") return say(recorded);
  const { engine, players } = recorded.head;
  const name = engine?.game_id ? await api("GET", `/games/${engine.game_id}`).then((answer) => (answer.game ?? answer).name, () => "Game") : "Game";
  $("title").textContent = `${name}, played by ${list(players.map(shownName))}`;
  document.title = `${name}, played back · gameroom`;
  const submitted = engine?.source !== undefined && `/join/${encodeURIComponent(roomId)}/engine`;
  if (submitted && !(await fetch(submitted, { method: "HEAD" }).then((answer) => answer.ok, () => false))) {
    return say("This game was made for its room alone, and went when the room closed. The recording is kept; it can no longer be watched here.");
  }
  const frame = await gameFrame(submitted ? { url: submitted, media_type: engine.media_type } : engine, name);
  if (!frame) return say("This game has no page of its own, so it cannot be watched here.");
  await stage(recorded, frame);
}

/** @param {Recorded} recorded @param {HTMLIFrameElement} frame */
async function stage(recorded, frame) {
  room = new ReplayRoom(recorded);
  Object.assign(globalThis, { room });
  const host = new FrameHost(frame, /** @type {any} */ (room));
  $("frame-place").replaceChildren(frame);
  room.on("position", show);
  // In whole steps of the bar, so that its end is the end.
  $("seek").max = String(100 * Math.ceil(recorded.length / 100));
  await host.opened();
  for (const id of ["toggle", "seek", "speed"]) $(id).disabled = false;
  say(recorded.over ? "" : "This match is not over; here it is as far as it has come.");
  room.play();
}

function show() {
  if (!room) return;
  const { position, playing, recorded } = room;
  $("toggle").textContent = playing ? "Pause" : room.ended ? "Play again" : "Play";
  $("seek").value = String(Math.round(position));
  tell(position);
  if (recorded.over) say(room.ended ? outcome(recorded) : "");
}

/** The place in words. @param {number} position */
function tell(position) {
  const text = `${clock(position)} of ${clock(room?.recorded.length ?? 0)}`;
  if ($("time").textContent === text) return;
  $("time").textContent = text;
  $("seek").setAttribute("aria-valuetext", text);
}

/** @param {Recorded} recorded @returns {string} */
function outcome({ over, head }) {
  const winners = over.results?.winners;
  if (!Array.isArray(winners)) return over.reason === "finished" ? "The match is over" : "The match was ended";
  const names = winners.map((seat) => head.players.filter((/** @type {any} */ player) => player.seat === seat).map(shownName)[0] ?? "A bot");
  return winners.length > 1 ? `Draw between ${list(names)}` : `${names[0] ?? "Nobody"} won`;
}

const toggle = () => (room?.playing ? room.pause() : room?.play());
$("toggle").addEventListener("click", toggle);
$("speed").addEventListener("change", () => room && (room.speed = Number($("speed").value)));
// While it is dragged only the time moves: the game has to run to each place that it is sent to.
$("seek").addEventListener("input", () => tell(Number($("seek").value)));
$("seek").addEventListener("change", () => room?.seek(Number($("seek").value)));
for (const speed of [0.5, 1, 2, 4, 8]) $("speed").append(element("option", { value: String(speed), textContent: `${speed} ×`, selected: speed === 1 }));

addEventListener("keydown", (event) => {
  const { target, key } = event;
  if (!room || event.altKey || event.ctrlKey || event.metaKey) return;
  // The bar's own steps are a tenth of a second.
  const bar = target === $("seek");
  if (!bar && target instanceof Element && target.matches("button, input, select, a")) return;
  if (key === " ") toggle();
  else if (key === "ArrowLeft" || key === "ArrowRight") room.seek(room.position + (key === "ArrowLeft" ? -STEP : STEP));
  else return;
  event.preventDefault();
});

arrive();
