// @ts-check
/** What can be said of a room when it is made, beyond its game. */
import { element } from "./dom.js";

/** @type {{field: string, asks: string, choices: [string, any][]}[]} the first choice is what the game itself says */
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

/** @type {typeof LOCKSTEP} */
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

/**
 * A disclosure with the options, for the card of a game.
 * @returns {{box: HTMLElement, fields: () => Record<string, any>}} `fields` for `/create`, without those that are the game's
 */
export function advanced() {
  const selects = [...LOCKSTEP, ...TURNS].map(({ field, asks, choices }) => {
    const select = /** @type {HTMLSelectElement} */ (element("select", {}, ...choices.map(([text], i) => element("option", { value: String(i), textContent: text }))));
    return { field, select, choices, label: element("label", {}, asks, select) };
  });
  const note = (/** @type {string} */ textContent) => element("p", { className: "quiet", textContent });
  const labels = selects.map(({ label }) => label);
  const box = element("details", { className: "advanced" }, element("summary", { textContent: "Advanced" }));
  box.append(note("These concern games that are played in lock-step."), ...labels.slice(0, LOCKSTEP.length));
  box.append(note("And these games that are played by turns."), ...labels.slice(LOCKSTEP.length));
  const chosen = () => selects.map(({ field, select, choices }) => [field, choices[select.selectedIndex][1]]).filter(([, value]) => value !== undefined);
  return { box, fields: () => Object.fromEntries(chosen()) };
}
