/** What the store's pages say and compute. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { Sha256, fileName, storeWords } from "./hooks.mjs";

const { Speed, about, nextVersion, progress, score, size, span, stars } = storeWords;

test("SHA-256 is that of everybody, in whatever pieces the bytes come", () => {
  for (const length of [0, 1, 55, 56, 57, 63, 64, 65, 119, 120, 128, 1000, 70_000]) {
    const bytes = Uint8Array.from({ length }, (_, i) => (i * 7919) >> 3);
    for (const piece of [1 + (length >> 3), 64, 1 << 20]) {
      const hash = new Sha256();
      for (let at = 0; at < length; at += piece) hash.update(bytes.subarray(at, at + piece));
      assert.equal(hash.hex(), createHash("sha256").update(bytes).digest("hex"), `${length} bytes, ${piece} at a time`);
    }
  }
});

test("sizes and times are short, and never of two units", () => {
  assert.deepEqual([0, 999, 1000, 9949, 9950, 99_500, 999_499, 999_500, 3_400_000, 268_435_456].map(size), ["0 bytes", "999 bytes", "1.0 kB", "9.9 kB", "10 kB", "100 kB", "999 kB", "1.0 MB", "3.4 MB", "268 MB"]);
  assert.deepEqual([0.2, 59, 61, 3599, 7200].map(span), ["1 s", "59 s", "1 min", "60 min", "2.0 h"]);
});

test("a game is described by what is known of it", () => {
  assert.equal(about({ avg_score: 4.25, game_type: "cli", max_players: 4, latest_version: "1.2.0" }), "★ 4.3 · in a terminal · up to 4 players · version 1.2.0");
  assert.equal(about({ avg_score: null, game_type: "board", max_players: 1, latest_version: null }), "board · for one player");
  assert.equal(about({}), "");
  assert.deepEqual([score(null), score(5), stars(0), stars(3)], ["", "★ 5.0", "☆☆☆☆☆", "★★★☆☆"]);
});

test("the next version is the patch after the latest, and the release after its pre-release", () => {
  const cases = { "1.2.3": "1.2.4", "1.2": "1.2.1", 7: "7.0.1", "2.0.0-rc.1": "2.0.0", "2.0.0+build.5": "2.0.1", "1.0.99999999999999999999": "1.0.100000000000000000000", odd: "1.0.0" };
  for (const [latest, next] of Object.entries(cases)) assert.equal(nextVersion(latest), next);
  assert.equal(nextVersion(null), "1.0.0");
});

test("speed is that of the last seconds, and time is left only while something is", () => {
  const speed = new Speed(5);
  assert.equal(speed.at(0, 0), 0);
  assert.equal(speed.at(1000, 100), 100);
  for (let s = 2; s <= 20; s++) speed.at(1000 * s, 100 + 1000 * (s - 1));
  assert.equal(Math.round(speed.at(21_000, 20_100)), 1000);
  assert.equal(progress({ done: 250, all: 1000, speed: 250 }), "25% of 1.0 kB · 250 bytes/s · 3 s left");
  assert.equal(progress({ done: 1000, all: 1000, speed: 250 }), "100% of 1.0 kB");
  assert.equal(progress({ done: 0, all: 0, speed: 0 }), "0% of 0 bytes");
});

test("a download is called what the server calls it", () => {
  assert.equal(fileName("attachment; filename=\"P-1.0.0.zip\"; filename*=UTF-8''P%C3%B6ng-1.0.0.zip"), "Pöng-1.0.0.zip");
  assert.equal(fileName('attachment; filename="a.bin"'), "a.bin");
  assert.equal(fileName(null), "game");
});
