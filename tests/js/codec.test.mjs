import assert from "node:assert/strict";
import { test } from "node:test";
import { sdk } from "./hooks.mjs";

const { Random, StateHash, decodeCommands, decodeMaster, decodeMasters, encodeCommands, encodeMaster, encodeMasters, seedWords } = sdk;

const hex = (bytes) => Buffer.from(bytes).toString("hex");

function drawn(random) {
  const bytes = (n) => Uint8Array.from({ length: random.below(n) }, () => random.below(256));
  const checksum = () => (random.below(2) ? { checksum: { generation: random.next(), value: new StateHash().add(random.next()).hex() } } : {});
  return {
    command: () => ({ generation: random.next(), latency: random.below(65536), framerate: random.below(65536), ...checksum(), data: bytes(40) }),
    master: () => ({
      generation: random.next(),
      iterations_per_command: random.below(65536),
      ...checksum(),
      seats: new Map([...Array(random.below(5)).keys()].map((seat) => [seat * 3, bytes(30)])),
      ...(random.below(2) ? { system: [{ dropped: random.below(9) }] } : {}),
    }),
  };
}

test("packets come out of their bytes as they went in", () => {
  const random = new Random("codec");
  const draw = drawn(random);
  for (let i = 0; i < 500; i++) {
    const command = draw.command();
    assert.deepEqual(decodeCommands(encodeCommands(command)), command);
    const masters = [...Array(random.below(4))].map(() => draw.master());
    for (const master of masters) assert.deepEqual(decodeMaster(encodeMaster(master)), master);
    assert.deepEqual(decodeMasters(encodeMasters(5, masters.map(encodeMaster))), masters);
  }
});

test("golden bytes: the layout of the protocol page", () => {
  const checksum = { generation: 6, value: "0123456789abcdef" };
  const command = { generation: 7, latency: 30, framerate: 60, checksum, data: new Uint8Array([0xaa]) };
  assert.equal(hex(encodeCommands(command)), "0101" + "00000007" + "001e" + "003c" + "00000006" + "0123456789abcdef" + "aa");
  const master = { generation: 7, iterations_per_command: 3, seats: new Map([[2, new Uint8Array([0xbb, 0xcc])]]), system: [] };
  assert.equal(hex(encodeMaster(master)), "0200" + "00000007" + "0003" + "00000000" + "0000000000000000" + "0001" + "0002" + "0002" + "bbcc");
});

test("cut packets raise RangeError and nothing else", () => {
  const draw = drawn(new Random("cut"));
  for (let i = 0; i < 100; i++) {
    const bytes = encodeMaster(draw.master());
    for (let n = 0; n < bytes.length; n++) assert.throws(() => decodeMaster(bytes.slice(0, n)), RangeError);
  }
});

const GOLDEN = { strings: [2933550148, 773106021, 2391742841], integers: [976716125, 2220780033, 2], hash: "6095fa447837704d", empty: "5b1a7a5dd88a6c74" };

test("golden numbers: the generator and the hash are the same for ever, so that old recordings replay", () => {
  const random = new Random("gameroom");
  assert.deepEqual([random.next(), random.next(), random.next()], GOLDEN.strings);
  const other = new Random(2 ** 53 - 1);
  assert.deepEqual([other.next(), other.next(), other.below(6)], GOLDEN.integers);
  assert.equal(new StateHash().addAll([1, -1, 2 ** 31, 0]).hex(), GOLDEN.hash);
  assert.equal(new StateHash().hex(), GOLDEN.empty);
});

test("seeds: an integer and its text differ, high bits count, and wrong ones are refused", () => {
  const words = (seed) => [...seedWords(seed)].join();
  assert.notEqual(words(7), words("7"));
  assert.notEqual(words(1), words(1 + 2 ** 32));
  assert.notEqual(words("\u00e9"), words("e\u0301"));
  for (const wrong of [-1, 1.5, 2 ** 53, NaN]) assert.throws(() => seedWords(wrong), RangeError);
});

test("below(n) gives each number about equally often", () => {
  const random = new Random(1);
  const counts = [0, 0, 0, 0, 0, 0];
  for (let i = 0; i < 60_000; i++) counts[random.below(6)]++;
  for (const count of counts) assert.ok(Math.abs(count - 10_000) < 500, String(counts));
});

test("one changed bit changes about half of the hash", () => {
  const base = BigInt("0x" + new StateHash().addAll([5, 6, 7]).hex());
  let changed = 0;
  for (let bit = 0; bit < 32; bit++) {
    let differs = base ^ BigInt("0x" + new StateHash().addAll([5, 6 ^ (1 << bit), 7]).hex());
    for (; differs; differs >>= 1n) changed += Number(differs & 1n);
  }
  assert.ok(Math.abs(changed / 32 - 32) < 4, `${changed / 32} of 64 bits`);
});
