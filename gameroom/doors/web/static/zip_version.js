// @ts-check
/** What version a bundle says that it is: `version` of the table `[game]` in its game.toml. */

const [END, ENTRY, LOCAL] = [0x06054b50, 0x02014b50, 0x04034b50];
const END_BYTES = 22;
const LONGEST_COMMENT = 0xffff;
const MANIFEST = "game.toml";
/** A manifest is short; what says that it is longer is not worth unpacking. */
const LARGEST = 1 << 18;

/** @param {Blob} file @param {number} from @param {number} to */
const view = async (file, from, to) => new DataView(await file.slice(from, to).arrayBuffer());

/**
 * @param {Blob} file @returns {Promise<string>} empty where it says nothing of it, or is no ZIP that can be read here; the server finds out more
 */
export async function bundleVersion(file) {
  try {
    return versionIn(await manifest(file));
  } catch {
    return "";
  }
}

/** `version` of `[game]`. @param {string} toml */
export function versionIn(toml) {
  const table = /^[ \t]*\[[ \t]*game[ \t]*\][^\n]*\n((?:(?![ \t]*\[)[^\n]*(?:\n|$))*)/m.exec(toml)?.[1] ?? "";
  return /^[ \t]*version[ \t]*=[ \t]*(?:"([^"\\\n]{1,64})"|'([^'\n]{1,64})')/m.exec(table)?.slice(1).find(Boolean) ?? "";
}

/** The text of game.toml, or nothing. @param {Blob} file */
async function manifest(file) {
  const entry = await found(file);
  if (!entry || entry.size > LARGEST) return "";
  const head = await view(file, entry.at, entry.at + 30);
  if (head.getUint32(0, true) !== LOCAL) return "";
  const from = entry.at + 30 + head.getUint16(26, true) + head.getUint16(28, true);
  const packed = file.slice(from, from + entry.packed);
  if (entry.method === 0) return packed.text();
  return entry.method === 8 ? new Response(packed.stream().pipeThrough(new DecompressionStream("deflate-raw"))).text() : "";
}

/** Where game.toml is, by the directory at the end. @param {Blob} file */
async function found(file) {
  const tail = await view(file, Math.max(0, file.size - END_BYTES - LONGEST_COMMENT), file.size);
  let end = tail.byteLength - END_BYTES;
  while (end >= 0 && tail.getUint32(end, true) !== END) end--;
  if (end < 0) return null;
  const start = tail.getUint32(end + 16, true);
  const entries = await view(file, start, start + tail.getUint32(end + 12, true));
  for (let at = 0; at + 46 <= entries.byteLength && entries.getUint32(at, true) === ENTRY; ) {
    const [name, extra, comment] = [28, 30, 32].map((place) => entries.getUint16(at + place, true));
    if (new TextDecoder().decode(new Uint8Array(entries.buffer, at + 46, name)) === MANIFEST) {
      const [packed, size, place] = [20, 24, 42].map((place) => entries.getUint32(at + place, true));
      return { method: entries.getUint16(at + 10, true), packed, size, at: place };
    }
    at += 46 + name + extra + comment;
  }
  return null;
}
