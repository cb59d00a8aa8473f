// @ts-check
/** Fetches a bundle with a token, which a plain link cannot carry, and hands it to the browser as a download. */
import { element } from "./dom.js";
import { RoomError } from "./gameroom.js";
import { Speed } from "./store_words.js";

/** What `Content-Disposition` calls the file. @param {string | null} header @returns {string} */
export function fileName(header) {
  const found = /filename\*=UTF-8''([^;]+)/.exec(header ?? "");
  return found ? decodeURIComponent(found[1]) : /filename="([^"]+)"/.exec(header ?? "")?.[1] ?? "game";
}

/**
 * @param {string} path @param {string} token @param {AbortSignal} signal
 * @param {(seen: {done: number, all: number, speed: number}) => void} told
 */
export async function fetchBundle(path, token, signal, told) {
  const { name, blob } = await fetched(path, token, signal, told).catch((error) => {
    if (error instanceof RoomError || signal.aborted) throw error;
    throw new RoomError(0, "The connection was lost; press Download again.");
  });
  const link = element("a", { href: URL.createObjectURL(blob), download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/** @param {string} path @param {string} token @param {AbortSignal} signal @param {(seen: any) => void} told */
async function fetched(path, token, signal, told) {
  const response = await fetch(path, { headers: { Accept: "application/json, */*", Authorization: `Bearer ${token}` }, signal });
  if (!response.ok) {
    const answer = await response.json();
    throw new RoomError(answer.code ?? 199, answer.detail ?? `The server answered ${response.status}.`, answer);
  }
  const all = Number(response.headers.get("Content-Length"));
  const speed = new Speed();
  let done = 0;
  const counted = new TransformStream({
    transform(piece, controller) {
      done += piece.length;
      told({ done, all, speed: speed.at(performance.now(), done) });
      controller.enqueue(piece);
    },
  });
  // As a response again, so that the browser may keep a large file out of its memory.
  const blob = await new Response(/** @type {ReadableStream} */ (response.body).pipeThrough(counted)).blob();
  return { name: fileName(response.headers.get("Content-Disposition")), blob };
}
