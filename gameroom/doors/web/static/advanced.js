// @ts-check
/** What can be said of a lock-step room when it is made, beyond its game. */
import { element } from "./dom.js";

/** @type {{field: string, asks: string, choices: [string, any][]}[]} the first choice is what the game itself says */
const OPTIONS = [
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

/**
 * A disclosure with the options, for the card of a game.
 * @returns {{box: HTMLElement, fields: () => Record<string, any>}} `fields` for `/create`, without those that are the game's
 */
export function advanced() {
  const selects = OPTIONS.map(({ field, asks, choices }) => {
    const select = /** @type {HTMLSelectElement} */ (element("select", {}, ...choices.map(([text], i) => element("option", { value: String(i), textContent: text }))));
    return { field, select, choices, label: element("label", {}, asks, select) };
  });
  const note = element("p", { className: "quiet", textContent: "They concern games that are played in lock-step." });
  const box = element("details", { className: "advanced" }, element("summary", { textContent: "Advanced" }), note, ...selects.map(({ label }) => label));
  const chosen = () => selects.map(({ field, select, choices }) => [field, choices[select.selectedIndex][1]]).filter(([, value]) => value !== undefined);
  return { box, fields: () => Object.fromEntries(chosen()) };
}
