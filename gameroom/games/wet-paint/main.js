// @ts-check
/** Wet Paint's page: puts the engine, the room, the view and the controls together. */
import { LockstepClient, connect, shownName } from "/static/gameroom.js";
import { listen } from "./controls.js";
import { ARENAS, COUNTDOWN, DASH, RATE, RUSH, WetPaint, settings } from "./engine.js";
import { Sound } from "./sound.js";
import { COLOURS, View } from "./view.js";

/** @param {string} id @returns {any} */
const $ = (id) => document.getElementById(id);

const room = connect();
const engine = new WetPaint();
const client = new LockstepClient({ room, engine, rate: RATE });
const view = new View($("canvas"));
const sound = new Sound();
const preview = new WetPaint();
const still = matchMedia("(prefers-reduced-motion: reduce)");
let touched = matchMedia("(any-pointer: coarse)").matches || (navigator.maxTouchPoints > 0 && innerWidth < 700);
addEventListener("pointerdown", (event) => (touched ||= event.pointerType === "touch"));

/** @typedef {"setup" | "play" | "end"} Phase */
/** @type {Phase} */
let phase = "setup";
/** @type {number | null} */
let wish = null;
let wishUntil = 0;
let steered = false;
let lastCount = 0;
let previewed = 0;
/** @type {string[]} */
let laggards = [];

// For whoever opens the browser's console, and for the tests.
Object.assign(globalThis, { client, engine });

// --- phases

/** @param {Phase} next */
function enter(next) {
  phase = next;
  document.body.dataset.phase = next;
  $("ending").hidden = next !== "end";
  if (next !== "play") say("");
}

/** @param {string} text @param {boolean} [small] */
function say(text, small = false) {
  if ($("banner").textContent !== text) $("banner").textContent = text;
  $("banner").toggleAttribute("data-small", small);
}

/** Our painter, where we have one. */
function mine() {
  const index = engine.painters.findIndex((painter) => painter.seat === client.seat);
  return client.seat === null || index < 0 ? null : index;
}

client.on("start", (start) => {
  enter("play");
  for (const player of start.players) for (const painter of engine.painters) if (painter.seat === player.seat) painter.name = shownName(player);
  delete $("net").dataset.diverged;
  laggards = [];
  // Whoever readied in the page around us has its focus there.
  globalThis.focus();
  $("canvas").focus({ preventScroll: true });
});

client.on("over", (over) => {
  sound.play("end");
  showEnding(over.results);
  enter("end");
});

client.on("setup", () => {
  showSetup();
  // The score stays until the person has seen it.
  if (!client.running && phase !== "end") enter("setup");
});

room.on("players", showSetup);
// The person pressed Play again in the page around us.
room.on("again", () => client.running || enter("setup"));
room.on("state", (message) => {
  laggards = message.state.startsWith("running.paused") ? (message.members ?? []).map(nameOf) : [];
  if (message.state.startsWith("setup") && !client.running && phase === "play") enter("setup");
});
room.on("connection", (event) => document.body.toggleAttribute("data-away", event.state === "away"));
client.on("diverged", (event) => {
  $("net").dataset.diverged = String(event.generation);
});
// The room has put us right, or we watch now: what was wrong is gone.
client.on("restored", () => delete $("net").dataset.diverged);

/** @param {string} userId */
const nameOf = (userId) => room.players.filter((player) => player.user_id === userId).map(shownName)[0] ?? "somebody";

// --- set-up

/**
 * A row of choices that everyone sees and any player may change.
 * @param {string} name the field of the configuration @param {HTMLElement} box @param {[any, string][]} choices
 */
function choices(name, box, choices) {
  for (const [value, label] of choices) {
    const input = Object.assign(document.createElement("input"), { type: "radio", name, value: String(value) });
    input.addEventListener("change", () => client.configure({ [name]: value }).catch((error) => say(error.message, true)));
    const row = document.createElement("label");
    row.append(input, label);
    box.append(row);
  }
}

choices("arena", $("arenas"), ARENAS.map((arena) => [arena, arena[0].toUpperCase() + arena.slice(1)]));
choices("bots", $("bots"), [0, 1, 2, 3].map((bots) => [bots, bots ? String(bots) : "None"]));
choices("seconds", $("lengths"), [30, 60, 90, 120].map((seconds) => [seconds, `${seconds} s`]));

function showSetup() {
  const chosen = /** @type {Record<string, any>} */ (settings(client.configuration));
  for (const input of $("setup").querySelectorAll("input")) {
    input.checked = input.value === String(chosen[input.name]);
    input.disabled = room.you?.viewer ?? true;
  }
  const seats = room.players.filter((player) => !player.viewer);
  const players = seats.length ? seats.map((player) => ({ seat: player.seat, name: shownName(player) })) : [{ seat: 0, name: "You" }];
  preview.init({ seed: `preview ${chosen.arena}`, configuration: { ...chosen, seconds: 120 }, players });
  preview.apply({}, players.map(({ seat }) => ({ dropped: seat })));
  preview.tick = COUNTDOWN;
}

/** Behind the set-up the arena plays by itself, slowly. @param {number} now */
function showPreview(now) {
  if (!still.matches && now - previewed > 2000 / RATE) {
    previewed = now;
    preview.iterate();
    if (preview.over()) showSetup();
  }
  preview.events.length = 0;
  view.draw(preview, 1, null, now, null);
}

// --- score and time

/** @param {number} i @param {string} tag */
function swatch(i, tag = "span") {
  const box = document.createElement(tag);
  box.className = "swatch";
  box.style.background = COLOURS[i];
  return box;
}

function showScores() {
  const list = $("scores");
  const bar = $("bar");
  if (list.childElementCount !== engine.painters.length) {
    list.replaceChildren(...engine.painters.map((_, i) => {
      const row = document.createElement("li");
      const name = Object.assign(document.createElement("span"), { className: "name" });
      const count = Object.assign(document.createElement("span"), { className: "count" });
      row.append(swatch(i), name, count);
      return row;
    }));
    bar.replaceChildren(...engine.painters.map((_, i) => Object.assign(swatch(i, "i"), { className: "" })));
  }
  engine.painters.forEach((painter, i) => {
    const row = list.children[i];
    row.toggleAttribute("data-me", i === mine());
    row.children[1].textContent = i === mine() ? "You" : painter.name;
    row.children[2].textContent = String(painter.tiles);
    bar.children[i].style.flexGrow = String(painter.tiles);
  });
}

function showClock() {
  const left = Math.max(0, engine.lasts - Math.max(engine.tick, COUNTDOWN));
  const seconds = Math.ceil(left / RATE);
  $("clock").textContent = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
  $("clock").toggleAttribute("data-late", left < RUSH);
}

function showBanner() {
  const { tick } = engine;
  if ($("net").dataset.diverged) return say(`This game differs from the others' since generation ${$("net").dataset.diverged}`, true);
  if (client.paused && !laggards.length) return say("Paused", true);
  if (client.behind) return say(`Catching up: ${Math.floor((100 * client.begun) / Math.max(1, client.received))} %`, true);
  if (room.state === "away") return say("Reconnecting…", true);
  if (laggards.length) return say(`Waiting for ${laggards.join(", ")}`, true);
  const count = tick < COUNTDOWN ? Math.ceil((COUNTDOWN - tick) / RATE) : 0;
  if (count !== lastCount) sound.play(count ? "count" : "go");
  lastCount = count;
  if (count) return say(String(count));
  if (tick < COUNTDOWN + RATE / 2) return say("Paint!");
  const left = engine.lasts - tick;
  say(left < RUSH && left > RUSH - RATE ? "Ten seconds!" : "");
}

/** @param {any} results */
function showEnding(results) {
  const painters = engine.painters.map((painter, i) => ({ painter, i, tiles: results?.scores?.[painter.seat] ?? painter.tiles }));
  painters.sort((a, b) => b.tiles - a.tiles);
  const most = Math.max(1, ...painters.map(({ tiles }) => tiles));
  const winners = painters.filter(({ tiles }) => tiles === most).map(({ painter }) => painter.name);
  const title = document.createElement("h2");
  title.textContent = !results ? "The match was ended" : winners.length > 1 ? `${winners.join(" and ")} drew` : `${winners[0]} painted the most`;
  const list = document.createElement("ol");
  for (const { painter, i, tiles } of painters) {
    const row = document.createElement("li");
    row.toggleAttribute("data-me", i === mine());
    const track = Object.assign(document.createElement("span"), { className: "track" });
    const fill = Object.assign(swatch(i, "i"), { className: "" });
    fill.style.width = `${(100 * tiles) / most}%`;
    track.append(fill);
    row.append(Object.assign(document.createElement("span"), { textContent: painter.name }), Object.assign(document.createElement("span"), { textContent: `${tiles} tiles` }), track);
    list.append(row);
  }
  $("ending").replaceChildren(title, list);
}

// --- the corner

/** A hash, or the beginnings of its sections', in groups of four. @param {any} value @returns {string} */
const briefly = (value) => (typeof value === "string" ? value.match(/.{1,4}/g) ?? [] : Object.values(value).map((section) => section.slice(0, 4))).join(" ");

function showNet(/** @type {number} */ now) {
  $("generation").textContent = client.newest ? String(client.newest.generation) : "–";
  $("hash").textContent = client.newest ? briefly(client.newest.value) : "–";
  $("turn").textContent = client.running ? `${Math.round((1000 * client.iterationsPerCommand) / RATE)} ms` : "–";
  $("iterations").textContent = client.running ? String(client.iterationsPerCommand) : "–";
  $("latency").textContent = room.latency === null ? "–" : `${Math.round(room.latency)} ms`;
  const stalled = client.running && client.waiting !== null && now - client.waiting > 250;
  $("net").toggleAttribute("data-stalled", stalled);
  $("waiting").textContent = laggards.length ? laggards.join(", ") : stalled ? "the others" : "nobody";
}

$("net").open = innerWidth >= 740;
$("latency-slider").addEventListener("input", () => {
  const latency = Number($("latency-slider").value);
  Object.assign(room.conditions, { latency, jitter: latency / 4 });
  $("latency-value").textContent = `${latency} ms`;
});
$("loss-slider").addEventListener("input", () => {
  room.conditions.loss = Number($("loss-slider").value) / 100;
  $("loss-value").textContent = `${$("loss-slider").value} %`;
});
$("sound").addEventListener("change", () => sound.turn($("sound").checked));

// --- every frame

listen($("floor"), $("dash"), (command) => {
  if (!client.running || client.seat === null) return false;
  client.command(command);
  steered = true;
  if (command !== DASH) {
    wish = command;
    wishUntil = performance.now() + 350;
  }
  return true;
});

let slow = 0;
function frame(/** @type {number} */ now) {
  requestAnimationFrame(frame);
  client.pump();
  if (phase === "setup") showPreview(now);
  else {
    for (const event of engine.events.splice(0)) {
      if (client.behind) continue;
      view.see(event, now);
      if (event.kind !== "splash" && (event.painter === undefined || event.painter === mine() || event.kind === "ram")) sound.play(event.kind);
    }
    view.draw(engine, client.running ? client.alpha : 1, mine(), now, now < wishUntil ? wish : null);
  }
  if (now - slow < 100) return;
  slow = now;
  showNet(performance.now());
  if (phase === "setup") return;
  showScores();
  showClock();
  if (phase === "play") showBanner();
  const idle = touched ? !steered : !document.hasFocus();
  $("hint").textContent = touched ? "Swipe anywhere to steer" : "Click the floor to steer";
  $("hint").hidden = !(phase === "play" && client.seat !== null && idle);
  $("dash").hidden = !(phase === "play" && touched && client.seat !== null);
  $("dash").toggleAttribute("data-resting", (engine.painters[mine() ?? -1]?.rest ?? 0) > 0);
}
requestAnimationFrame(frame);
