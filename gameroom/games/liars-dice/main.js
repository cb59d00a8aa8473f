// @ts-check
/** Liar's Dice's page: shows the table as the game tells it, and says what its player does. */
import { ServiceClient, connect, shownName } from "/static/gameroom.js";
import { FACES, ServerTime, lastBid, least, possible, suggestion } from "./bids.js";
import { cup, die, hidden } from "./dice.js";
import { dice, faces, list, status } from "./words.js";

/** @typedef {import("./bids.js").Table} Table @typedef {import("./bids.js").Player} Player */

/** @param {string} id @returns {any} */
const $ = (id) => document.getElementById(id);

/** @param {string} tag @param {Record<string, any>} [properties] @param {(Node | string)[]} children */
const element = (tag, properties = {}, ...children) => {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
};

const game = new ServiceClient({ room: connect() });
const time = new ServerTime();
/** @type {Table | null} */
let table = null;
/** Our own dice, and of which deal they are. */
let hand = { deal: 0, dice: /** @type {number[]} */ ([]) };
/** What we have chosen to bid. @type {{face: number, count: number} | null} */
let choice = null;
/** For which turn, and whether a person has: their face is kept while others are at it. */
let chosenIn = -1;
let chosen = false;
/** The turn in which we have done something that is not answered yet. */
/** @type {number | null} */
let doing = null;
let covered = false;

// For whoever opens the browser's console, and for the tests.
Object.assign(globalThis, { game, table: () => table, hand: () => hand });

// --- what comes

game.on("game", ({ body }) => {
  if (body?.hand) hand = body.hand;
  if (body?.table) {
    table = body.table;
    time.heard(body.table.now_ms, Date.now());
    if (doing !== null && doing !== body.table.turn) doing = null;
    problem("");
  }
  show();
});
game.on("start", () => {
  hand = { deal: 0, dice: [] };
  table = null;
  chosen = false;
  doing = null;
  problem("");
  show();
});
for (const name of ["welcome", "members", "paused", "resumed", "over"]) game.on(name, show);
game.room.on("connection", show);
// The person pressed Play again in the page around us.
game.room.on("again", () => {
  if (game.playing) return;
  table = null;
  show();
});

// --- who is who

/** Our seat, where we play. @returns {number | null} */
const mySeat = () => (game.you && !game.you.viewer ? game.you.seat : null);

/** @param {number} seat @returns {string} "" for ourselves */
function nameOf(seat) {
  if (seat === mySeat()) return "";
  const player = table?.players.find((one) => one.seat === seat);
  if (!player) return `seat ${seat + 1}`;
  const name = shownName({ user_id: player.id, name: player.name });
  // A name that is written from the right turns no sentence around.
  return /^[\u0000-\u02ff]*$/.test(name) ? name : `\u2068${name}\u2069`;
}

const mine = () => table?.players.find((player) => player.seat === mySeat()) ?? null;
const playing = () => (mine()?.dice ?? 0) > 0;
const myTurn = () => !!table && table.phase === "bidding" && table.at === mySeat() && playing();
const connected = () => game.room.state === "welcomed";

// --- what is shown

function show() {
  const { body } = document;
  body.dataset.phase = table && (game.playing || table.phase === "over") ? table.phase : "setup";
  body.toggleAttribute("data-mine", myTurn());
  body.toggleAttribute("data-watching", !playing());
  body.toggleAttribute("data-still", game.paused !== null || !connected());
  say(sentences());
  if (body.dataset.phase === "setup" || !table) return showSetup();
  showPlayers(table);
  showMiddle(table);
  showHand();
  showBidding();
  showAfter(table);
  tick();
}

/** What is going on. @returns {{said: string, shown: boolean}[]} */
function sentences() {
  const plain = (/** @type {string} */ said) => [{ said, shown: true }];
  if (!connected() && game.you) return plain("The connection is lost. It comes back by itself.");
  if (game.paused !== null) return plain(`${game.paused} The match goes on by itself, and nothing is lost.`);
  if (game.playing && !table) return plain("The dice are shaken.");
  if (document.body.dataset.phase === "setup" || !table) return [];
  return status(table, nameOf, playing());
}

/** Only where it is something else: it is read out. @param {{said: string, shown: boolean}[]} parts */
function say(parts) {
  const box = $("status");
  if (box.textContent === parts.map(({ said }) => said).join(" ")) return;
  box.replaceChildren(...parts.flatMap(({ said, shown }, i) => [...(i ? [" "] : []), element("span", { className: shown ? "" : "heard", textContent: said })]));
}

/** @param {string} text */
function problem(text) {
  $("problem").textContent = text;
}

function showSetup() {
  if (!$("picture").childElementCount) $("picture").append(...[5, 1, 3, 5, 6].map((value) => die(value)));
  $("clock").hidden = true;
}

/** @param {Table} table */
function showPlayers(table) {
  $("players").dataset.count = table.players.length;
  $("players").replaceChildren(...table.players.map((player) => playerBox(table, player)));
}

/** @param {Table} table @param {Player} player */
function playerBox(table, player) {
  const { seat } = player;
  const name = nameOf(seat) || "You";
  const made = table.bids.findLast((bid) => bid.seat === seat);
  const out = player.dice === 0 && !table.reveal?.hands[seat];
  const state = player.left ? "left" : out ? "out" : player.away ? "away" : "";
  const head = element("p", { className: "head" }, element("bdi", { className: "name", textContent: name, title: name }));
  if (state) head.append(element("span", { className: "state", textContent: state }));
  const box = element("li", {}, head, element("div", { className: "under" }, ...under(table, player)));
  if (made && table.phase === "bidding") box.lastElementChild?.append(bidChip(made));
  box.toggleAttribute("data-at", table.at === seat);
  box.toggleAttribute("data-out", out || player.left);
  box.toggleAttribute("data-away", player.away);
  box.toggleAttribute("data-loses", table.reveal?.loser === seat);
  box.toggleAttribute("data-won", table.winner === seat);
  if (table.at === seat) box.setAttribute("aria-current", "true");
  return box;
}

/** What lies under somebody's cup: only when it is lifted does anybody know. @param {Table} table @param {Player} player @returns {(Node | string)[]} */
function under(table, player) {
  const lifted = table.reveal?.hands[player.seat];
  if (lifted) {
    const face = /** @type {NonNullable<Table["reveal"]>} */ (table.reveal).bid.face;
    const row = element("span", { className: "row small" }, ...lifted.map((value) => die(value, value === face || value === 1 ? "counts" : "")));
    return [row, element("span", { className: "heard", textContent: lifted.join(", ") })];
  }
  if (!player.dice) return [];
  const row = element("span", { className: "row small" }, cup(), ...Array.from({ length: player.dice }, () => hidden()));
  return [row, element("span", { className: "heard", textContent: `${player.dice} ${player.dice === 1 ? "die" : "dice"}` })];
}

/** @param {import("./bids.js").Bid} bid */
const bidChip = ({ count, face }) => element("span", { className: "chip" }, element("span", { className: "heard", textContent: `bid ${dice(count, face)}` }), element("span", { ariaHidden: "true", textContent: `${count} ×` }), die(face));

/** @param {number} count @param {number} face */
const figure = (count, face) => element("p", { className: "big" }, element("span", { className: "heard", textContent: dice(count, face) }), element("span", { ariaHidden: "true", textContent: `${count} ×` }), die(face));

/** @param {Table} table */
function showMiddle(table) {
  const last = lastBid(table);
  const winner = table.winner === null ? null : nameOf(table.winner);
  const won = winner === null ? [] : [element("p", { className: "won" }, winner ? element("bdi", { textContent: winner }) : "You", winner ? " has won" : " have won")];
  if (table.reveal) {
    const { bid, actual } = table.reveal;
    $("middle").replaceChildren(...won, figure(actual, bid.face), element("p", { className: "found", textContent: `${bid.count} ${bid.count === 1 ? "was" : "were"} bid: ${actual >= bid.count ? "true" : "a lie"}` }));
  } else if (won.length) {
    $("middle").replaceChildren(...won);
  } else if (last) {
    const who = nameOf(last.seat) ? element("bdi", { textContent: nameOf(last.seat) }) : "you";
    $("middle").replaceChildren(
      figure(last.count, last.face),
      element("p", { className: "quiet" }, "bid by ", who, ` · ${table.total} dice in all · ones are wild`),
    );
  } else {
    $("middle").replaceChildren(element("p", { className: "none", textContent: "No bid yet" }), element("p", { className: "quiet", textContent: `Round ${table.round} · ${table.total} dice in all · ones are wild` }));
  }
}

function showHand() {
  const own = table && hand.deal === table.deal ? hand.dice : [];
  $("mine").hidden = !own.length || table?.phase !== "bidding";
  const said = covered ? "Your dice are covered." : own.length ? `Your dice: ${own.join(", ")}.` : "";
  $("hand").setAttribute("aria-label", said);
  const face = lastBid(/** @type {Table} */ (table))?.face;
  $("hand").replaceChildren(...own.map((value) => (covered ? hidden() : die(value, value === face || (face && value === 1) ? "counts" : ""))));
  $("cup").setAttribute("aria-pressed", String(covered));
}

$("cup").addEventListener("click", () => {
  covered = !covered;
  showHand();
});

// --- our move

for (const face of FACES) {
  const input = element("input", { type: "radio", name: "face", value: String(face), ariaLabel: faces(face) });
  input.addEventListener("change", () => choose(face));
  $("faces").append(element("label", {}, input, die(face)));
}

/** @param {number} face @param {number} [count] */
function choose(face, count) {
  if (!table) return;
  chosen = true;
  choice = { face, count: Math.min(table.total, Math.max(least(table, face), count ?? choice?.count ?? 1)) };
  showBidding();
}

function showBidding() {
  if (!table || table.phase !== "bidding") return;
  if (!table.bids.length && chosenIn !== table.turn) chosen = false;
  // The hand may come behind the table.
  if (!chosen || chosenIn !== table.turn) choice = suggestion(table, hand.deal === table.deal ? hand.dice : [], chosen ? choice?.face : null);
  chosenIn = table.turn;
  const can = myTurn() && doing === null && game.paused === null && connected();
  for (const input of $("faces").querySelectorAll("input")) {
    input.checked = Number(input.value) === choice?.face;
    input.disabled = !playing() || !possible(table, Number(input.value));
  }
  $("count").textContent = choice ? String(choice.count) : "–";
  $("fewer").disabled = !choice || choice.count <= least(table, choice.face);
  $("more").disabled = !choice || choice.count >= table.total;
  $("bid").disabled = !can || !choice;
  $("bid").replaceChildren(...(choice ? [`Bid ${dice(choice.count, choice.face)}`] : ["Nothing is higher"]));
  const last = lastBid(table);
  $("call").disabled = !can || !last;
}

$("fewer").addEventListener("click", () => choice && choose(choice.face, choice.count - 1));
$("more").addEventListener("click", () => choice && choose(choice.face, choice.count + 1));
// No form: frames in a sandbox may submit none.
$("bid").addEventListener("click", () => choice && myTurn() && act({ do: "bid", ...choice }));
$("call").addEventListener("click", () => myTurn() && act({ do: "call" }));
$("next").addEventListener("click", () => act({ do: "next" }));

/** It acts once, and in this turn alone, however long it is on its way. @param {Record<string, any>} deed */
async function act(deed) {
  if (!table || doing !== null) return;
  const { turn } = table;
  doing = turn;
  problem("");
  show();
  try {
    await game.send({ ...deed, turn });
  } catch (error) {
    problem(/** @type {Error} */ (error).message);
  }
  // The table that came of it has come before the answer, or comes behind it.
  if (doing === turn && deed.do !== "next") setTimeout(() => doing === turn && ((doing = null), show()), 1000);
  else if (doing === turn) doing = null;
  show();
}

// --- the cups are lifted

/** @param {Table} table */
function showAfter(table) {
  const seen = table.seen.includes(mySeat() ?? -1);
  $("after").hidden = table.phase !== "reveal";
  $("next").hidden = !playing();
  $("next").disabled = seen || doing !== null || !connected() || game.paused !== null;
  const missing = table.players.filter((player) => player.dice && !player.away && player.seat !== mySeat() && !table.seen.includes(player.seat)).map((player) => nameOf(player.seat));
  $("waits").textContent = missing.length && (seen || !playing()) ? `Waiting for ${list(missing)}.` : "";
}

function tick() {
  const left = table && table.phase !== "over" && game.paused === null && connected() ? time.left(table, Date.now()) : null;
  $("clock").hidden = left === null || document.body.dataset.phase === "setup";
  if (left === null || !table) return;
  $("clock").textContent = String(Math.ceil(left / 1000));
  $("bar").style.width = `${(100 * left) / table.allowed_ms}%`;
  document.body.toggleAttribute("data-late", left < 10_000 && table.phase === "bidding");
}
setInterval(tick, 250);
show();
