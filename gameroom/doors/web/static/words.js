// @ts-check
/** Sentences about a play that is in trouble: who is waited for, whose game came out differently. No document in here. */

/** @typedef {{generation: number, groups: {value: any, seats: number[]}[], sections?: string[], last_agreed?: number | null}} Divergence */

/** @param {string[]} names */
export const list = (names) => (names.length > 1 ? `${names.slice(0, -1).join(", ")} and ${names.at(-1)}` : names[0] ?? "");

/** @param {string} text */
const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

/** @param {string[]} names */
const yoursFirst = (names) => [...names].sort((one, other) => Number(other === "you") - Number(one === "you"));

/** @param {string} name */
const possessive = (name) => (name === "you" ? "your" : `${name}'s`);

/**
 * Whose game counts, and whose does not: that of more than half of those who have said anything, else the host's.
 * @param {Divergence} divergence @param {number | null} host the host's seat
 * @returns {{right: number[], wrong: number[], byMajority: boolean} | null} null where nobody can tell
 */
export function sides({ groups }, host) {
  const all = groups.flatMap(({ seats }) => seats);
  const most = groups.find(({ seats, value }) => value !== null && 2 * seats.length > all.length);
  const right = (most ?? groups.find(({ seats }) => host !== null && seats.includes(host)))?.seats;
  return right ? { right, wrong: all.filter((seat) => !right.includes(seat)), byMajority: !!most } : null;
}

/**
 * What has come out differently, in a sentence or two.
 * @param {Divergence} divergence @param {(seat: number) => string} nameOf "you" for one's own
 * @returns {string}
 */
export function differing(divergence, nameOf) {
  const { groups, sections, generation, last_agreed } = divergence;
  const found = sides(divergence, null);
  const odd = (found?.wrong ?? groups.flatMap(({ seats }) => seats)).map(nameOf);
  const whose = capital(list((odd.length ? yoursFirst(odd) : ["somebody"]).map(possessive)));
  const games = `${whose} ${odd.length > 1 ? "games have" : "game has"}`;
  const where = sections?.length ? `, in ${list(sections.map((name) => `“${name}”`))}` : "";
  const before = typeof last_agreed === "number" ? ` Up to generation ${last_agreed} all agreed.` : "";
  return `${games} come out differently since generation ${generation}${where}.${before}`;
}

/**
 * What the host may do about it: the names of the buttons, what is asked of the room, and what it does.
 * @param {Divergence} divergence @param {number | null} host @param {(seat: number) => string} nameOf
 * @returns {{name: string, how: "evict" | "resync" | "abort", does: string}[]}
 */
export function choices(divergence, host, nameOf) {
  const found = sides(divergence, host);
  const end = { name: "End the game", how: /** @type {const} */ ("abort"), does: "It is over for everyone, and nobody has won." };
  if (!found?.wrong.length) return [end];
  const [they, theirs] = [list(found.wrong.map(nameOf)), list(found.right.map((seat) => possessive(nameOf(seat))))];
  const one = found.wrong.length === 1 && nameOf(found.wrong[0]) !== "you";
  return [
    { name: "Put them right", how: "resync", does: `${capital(they)} ${one ? "gets" : "get"} ${theirs} game as it is now, and ${one ? "plays" : "play"} on.` },
    { name: "Go on without them", how: "evict", does: `${capital(they)} only ${one ? "watches" : "watch"} from now on; the others play on.` },
    end,
  ];
}

/** What a room's own state is called. @param {string} state "running.paused.menu" @returns {string} "menu" */
export const ownState = (state) => state.split(".").slice(2).join(", ").replaceAll("_", " ");

/** For how long. @param {number} ms @returns {string} */
export function duration(ms) {
  const seconds = Math.floor(ms / 1000);
  return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}
