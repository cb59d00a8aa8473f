/** Lets Node find what browsers find at /static/ and in a game's folder. */
import { register } from "node:module";

const resolver = `
const STATIC = ${JSON.stringify(new URL("../../gameroom/doors/web/static/", import.meta.url).href)};
const GAMES = ${JSON.stringify(new URL("../../gameroom/games/", import.meta.url).href)};
const ours = (url) => url.startsWith(STATIC) || url.startsWith(GAMES);
export const resolve = (specifier, context, next) =>
  next(specifier.startsWith("/static/") ? STATIC + specifier.slice(8) : specifier, context);
// These folders have no package.json of their own: what they hold are modules.
export const load = (url, context, next) => next(url, ours(url) && url.endsWith(".js") ? { ...context, format: "module" } : context);
`;
register("data:text/javascript," + encodeURIComponent(resolver));

const root = new URL("../../gameroom/", import.meta.url).href;
export const sdk = await import(root + "doors/web/static/gameroom.js");
export const paint = await import(root + "games/wet-paint/engine.js");
export const liarsDice = { ...(await import(root + "games/liars-dice/bids.js")), ...(await import(root + "games/liars-dice/words.js")) };
export const words = await import(root + "doors/web/static/words.js");
export const upload = await import(root + "doors/web/static/upload.js");
export const { Sha256 } = await import(root + "doors/web/static/sha256.js");
export const storeWords = await import(root + "doors/web/static/store_words.js");
export const { fileName } = await import(root + "doors/web/static/download.js");
export const { ConnectFour } = await import(root + "doors/web/static/turn_games/connect_four.js");
export const { Loners } = await import(root + "doors/web/static/turn_games/loners.js");
export const { TurnClock } = await import(root + "doors/web/static/turn_games/clock.js");
export const zipVersion = await import(root + "doors/web/static/zip_version.js");
