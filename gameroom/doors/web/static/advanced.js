// @ts-check
/** What can be said of a room when it is made, beyond its game. */
import { element } from "./dom.js";
import { api } from "./gameroom.js";

/** @typedef {{field: string, asks: string, choices: [string, any][]}} Choice the first choice is what the game itself says */

/** @type {Choice[]} */
const LOCKSTEP = [
  {
    field: "on_divergence",
    asks: "If a player's game comes out differently",
    choices: [["as the game has it", undefined], ["stop, and the host decides", "halt"], ["put it right", "resync"], ["go on without that player", "evict"]],
  },
  {
    field: "patience",
    asks: "A slow player holds the others up",
    choices: [["as the game has it", undefined], ["for 0.2 s a turn", 200], ["for 0.5 s a turn", 500], ["for 2 s a turn", 2000]],
  },
  {
    field: "viewer_delay",
    asks: "Who watches sees it",
    choices: [["as the game has it", undefined], ["at once", 0], ["100 turns later", 100], ["600 turns later", 600]],
  },
];

/** @type {Choice[]} */
const TURNS = [
  {
    field: "move_seconds",
    asks: "Time for a turn",
    choices: [["as the game has it", undefined], ["10 s", 10], ["30 s", 30], ["2 min", 120]],
  },
  {
    field: "total_seconds",
    asks: "Time for all turns of a player",
    choices: [["as the game has it", undefined], ["1 min", 60], ["3 min", 180], ["10 min", 600]],
  },
  {
    field: "on_timeout",
    asks: "Who runs out of time",
    choices: [["as the game has it", undefined], ["has lost", "lose"], ["is played on for by the computer", "bot"]],
  },
];

/** @type {Choice} */
const LISTED = { field: "public", asks: "Who can find the room", choices: [["everybody, in the lists of rooms", undefined], ["only who has its link or code", false]] };

/** What can be said of a room of this hosting kind. @param {string} hosting @returns {Choice[]} */
export const choicesOf = (hosting) => [LISTED, ...(hosting === "lockstep" ? LOCKSTEP : hosting === "controller" ? TURNS : [])];

/**
 * A disclosure with the options, for the card of a game. What there is to choose follows from how the game is played, and is asked for once it is opened.
 * @param {string} gameId
 * @returns {{box: HTMLElement, fields: () => Record<string, any>}} `fields` for `/create`, without those that are the game's
 */
export function advanced(gameId) {
  /** @type {{select: HTMLSelectElement, choice: Choice}[]} */
  let selects = [];
  const box = /** @type {HTMLDetailsElement} */ (element("details", { className: "advanced" }, element("summary", { textContent: "Advanced" })));
  const place = element("div", { className: "stack tight" });
  box.append(place);
  box.addEventListener("toggle", async () => {
    if (!box.open || selects.length) return;
    try {
      const { hosting } = await api("GET", `/games/${gameId}/versions/latest`);
      if (!selects.length) selects = choicesOf(hosting).map((choice) => ({ choice, select: selectOf(choice) }));
      place.replaceChildren(...selects.map(({ choice, select }) => element("label", {}, choice.asks, select)));
    } catch (error) {
      place.replaceChildren(element("p", { className: "problem", textContent: /** @type {Error} */ (error).message }));
    }
  });
  const chosen = () => selects.map(({ select, choice }) => [choice.field, choice.choices[select.selectedIndex][1]]).filter(([, value]) => value !== undefined);
  return { box, fields: () => Object.fromEntries(chosen()) };
}

/** @param {Choice} choice */
const selectOf = ({ choices }) =>
  /** @type {HTMLSelectElement} */ (element("select", {}, ...choices.map(([text], i) => element("option", { value: String(i), textContent: text }))));
