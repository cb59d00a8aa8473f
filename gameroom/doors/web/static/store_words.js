// @ts-check
/** What the store's pages say: sizes, times, scores, versions. No document in here. */

/** @param {number} bytes @returns {string} "3.4 MB" */
export function size(bytes) {
  if (bytes < 1000) return `${bytes} bytes`;
  const units = ["kB", "MB", "GB", "TB"];
  let value = bytes / 1000;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) [value, unit] = [value / 1000, unit + 1];
  return `${value < 9.95 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}

/** @param {number} seconds @returns {string} "2 min" */
export function span(seconds) {
  if (seconds < 60) return `${Math.max(1, Math.round(seconds))} s`;
  if (seconds < 3600) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}

/** @param {number | null | undefined} average @returns {string} "★ 4.3", and nothing where nobody has scored */
export const score = (average) => (average ? `★ ${Number(average).toFixed(1)}` : "");

/** Five stars, so many of them full. @param {number} full @returns {string} */
export const stars = (full) => "★".repeat(full) + "☆".repeat(5 - full);

const TYPES = /** @type {Record<string, string>} */ ({ cli: "in a terminal", gui: "in a window", multi: "multiplayer" });

/** What a list says of a game beside its name. @param {any} game @returns {string} */
export function about(game) {
  const people = game.max_players > 1 ? `up to ${game.max_players} players` : game.max_players === 1 ? "for one player" : "";
  const version = game.latest_version ? `version ${game.latest_version}` : "";
  return [score(game.avg_score), TYPES[game.game_type] ?? game.game_type, people, version].filter(Boolean).join(" · ");
}

/** The version that most likely comes next. @param {string | null} latest @returns {string} */
export function nextVersion(latest) {
  const found = /^(\d+)(?:\.(\d+))?(?:\.(\d+))?([-+].*)?$/.exec(latest ?? "");
  if (!found) return "1.0.0";
  const [, major, minor = "0", patch = "0", rest = ""] = found;
  // What follows a pre-release is its release.
  return `${major}.${minor}.${rest.startsWith("-") ? patch : BigInt(patch) + 1n}`;
}

/** How far and how fast. @param {{done: number, all: number, speed: number}} progress bytes, and bytes a second */
export function progress({ done, all, speed }) {
  const percent = all ? Math.floor((100 * done) / all) : 0;
  const rest = speed > 0 && done < all ? ` · ${size(speed)}/s · ${span((all - done) / speed)} left` : "";
  return `${percent}% of ${size(all)}${rest}`;
}

/** Bytes a second over the last seconds. */
export class Speed {
  /** @param {number} [seconds] over how many */
  constructor(seconds = 5) {
    this.ms = seconds * 1000;
    /** @type {[number, number][]} */
    this.seen = [];
  }

  /** @param {number} now milliseconds @param {number} done bytes so far @returns {number} */
  at(now, done) {
    this.seen.push([now, done]);
    while (this.seen.length > 2 && this.seen[0][0] < now - this.ms) this.seen.shift();
    const [then, before] = this.seen[0];
    return now > then ? Math.max(0, (1000 * (done - before)) / (now - then)) : 0;
  }
}
