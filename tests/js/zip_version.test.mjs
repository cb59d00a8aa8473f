/** The version that a bundle says of itself. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { crc32, deflateRawSync } from "node:zlib";
import { zipVersion } from "./hooks.mjs";

const { bundleVersion, versionIn } = zipVersion;
const TOML = '[hosting]\nkind = "relay"\n\n[game]\nname = "Dots"\nversion = "2.1.0"\n';

/** A ZIP of these files. @param {Record<string, string>} files */
function zip(files, { packed = true, comment = "" } = {}) {
  const [bodies, entries] = [[], []];
  let at = 0;
  for (const [name, text] of Object.entries(files)) {
    const data = Buffer.from(text);
    const body = packed ? deflateRawSync(data) : data;
    const common = Buffer.alloc(26);
    common.writeUInt16LE(20, 0);
    common.writeUInt16LE(packed ? 8 : 0, 4);
    common.writeUInt32LE(crc32?.(data) ?? 0, 10);
    common.writeUInt32LE(body.length, 14);
    common.writeUInt32LE(data.length, 18);
    common.writeUInt16LE(name.length, 22);
    const head = Buffer.concat([Buffer.from("PK\x03\x04"), common, Buffer.from(name)]);
    const rest = Buffer.alloc(14);
    rest.writeUInt32LE(at, 10);
    entries.push(Buffer.concat([Buffer.from("PK\x01\x02\x14\x00", "latin1"), common, rest, Buffer.from(name)]));
    bodies.push(head, body);
    at += head.length + body.length;
  }
  const directory = Buffer.concat(entries);
  const end = Buffer.alloc(22);
  end.write("PK\x05\x06", 0, "latin1");
  end.writeUInt16LE(entries.length, 10);
  end.writeUInt32LE(directory.length, 12);
  end.writeUInt32LE(at, 16);
  end.writeUInt16LE(comment.length, 20);
  return new Blob([...bodies, directory, end, comment]);
}

test("it is found in a ZIP, packed or not, with a comment behind it", async () => {
  for (const how of [{}, { packed: false }, { comment: "made by hand" }]) {
    assert.equal(await bundleVersion(zip({ "engine.js": "x".repeat(1000), "game.toml": TOML, "sub/game.toml": "" }, how)), "2.1.0");
  }
});

test("what says nothing of it has none, and nothing is thrown", async () => {
  const whole = new Uint8Array(await zip({ "game.toml": TOML }).arrayBuffer());
  assert.equal(await bundleVersion(zip({ "sub/game.toml": TOML })), "");
  assert.equal(await bundleVersion(new Blob([])), "");
  assert.equal(await bundleVersion(new Blob(["no ZIP at all, but longer than its end would be"])), "");
  for (let length = 0; length < whole.length; length++) assert.equal(await bundleVersion(new Blob([whole.slice(0, length)])), "", `${length} bytes`);
  for (let at = 0; at < whole.length; at++) {
    const broken = whole.slice();
    broken[at] ^= 0xff;
    assert.equal(typeof (await bundleVersion(new Blob([broken]))), "string");
  }
});

test("only the version of [game] counts", () => {
  assert.equal(versionIn(TOML), "2.1.0");
  assert.equal(versionIn("[ game ] # what it is\nversion='1.0'\n"), "1.0");
  assert.equal(versionIn('version = "9"\n[gamepad]\nversion = "8"\n[game]\nname = "x"\n[client]\nversion = "7"\n'), "");
  assert.equal(versionIn('[game]\n# version = "6"\n  version = "5.0.0"'), "5.0.0");
  assert.equal(versionIn(""), "");
});
