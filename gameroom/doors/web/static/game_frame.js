// @ts-check
/** The frame that a room's game is played in. */
import { element } from "./dom.js";

/**
 * The sandboxed frame of a game, or null where it cannot be played in a page.
 * @param {any} engine as a room or a recording names it @param {string} title @returns {Promise<HTMLIFrameElement | null>}
 */
export async function gameFrame(engine, title) {
  const { game_id, version, url, media_type } = engine ?? {};
  const frame = /** @type {HTMLIFrameElement} */ (element("iframe", { title }));
  frame.setAttribute("sandbox", "allow-scripts");
  frame.setAttribute("allow", "autoplay");
  if (game_id) {
    frame.src = `/play/${encodeURIComponent(game_id)}/${encodeURIComponent(version)}/`;
    return (await fetch(frame.src, { headers: { Accept: "text/html" } }).then((answer) => answer.ok, () => true)) ? frame : null;
  }
  if (!url) return null;
  const { href, pathname, origin } = new URL(url, location.href);
  const isModule = origin === location.origin ? !/html|xml/.test(media_type ?? "") : /\.m?js$/.test(pathname);
  // A module gets an empty page, which has a policy of its own; one made here would have ours.
  frame.src = isModule ? `/static/engine.html#${encodeURIComponent(href)}` : href;
  return frame;
}
