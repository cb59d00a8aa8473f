// @ts-check
/** Integers. Whatever a lock-step engine computes has to come out the same in every browser: 32-bit integers do. */

/** @param {number} x @param {number} k */
const rotate = (x, k) => (x << k) | (x >>> (32 - k));

/** The finishing mix of MurmurHash3: every input bit reaches every output bit. @param {number} h */
function finish32(h) {
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** A 64-bit hash over integers: two independent 32-bit lanes in the manner of MurmurHash3. Order matters. */
export class StateHash {
  constructor() {
    this.a = 0x2f6e2b1;
    this.b = 0x51ed270b;
    this.count = 0;
  }

  /** Add one integer (taken modulo 2^32). @param {number} value @returns {this} */
  add(value) {
    const mixed = Math.imul(rotate(Math.imul(value | 0, 0xcc9e2d51), 15), 0x1b873593);
    this.a = (Math.imul(rotate(this.a ^ mixed, 13), 5) + 0xe6546b64) | 0;
    this.b = (Math.imul(rotate(this.b ^ Math.imul(value | 0, 0x9e3779b1), 17), 9) + 0x38495ab5) | 0;
    this.count++;
    return this;
  }

  /** Add many. @param {ArrayLike<number>} values @returns {this} */
  addAll(values) {
    for (let i = 0; i < values.length; i++) this.add(values[i]);
    return this;
  }

  /** The hash so far: 16 lower-case hex digits. @returns {string} */
  hex() {
    const a = finish32(this.a ^ this.count);
    const b = finish32(this.b ^ a);
    return a.toString(16).padStart(8, "0") + b.toString(16).padStart(8, "0");
  }
}

/**
 * Four words of state from a room's seed: an integer from 0 to 2^53 − 1, or a string.
 * `7` and `"7"` are different seeds.
 * @param {number | string} seed
 * @returns {Uint32Array}
 */
export function seedWords(seed) {
  const hash = new StateHash();
  if (typeof seed === "number") {
    if (!Number.isSafeInteger(seed) || seed < 0) throw new RangeError("a seed is an integer from 0 to 2^53 - 1, or a string");
    hash.add(1).add(seed % 0x100000000).add(Math.floor(seed / 0x100000000));
  } else {
    hash.add(2).addAll(new TextEncoder().encode(seed));
  }
  const words = new Uint32Array(4);
  for (let i = 0; i < 4; i++) words[i] = parseInt(hash.add(i).hex().slice(0, 8), 16);
  if ((words[0] | words[1] | words[2] | words[3]) === 0) words[0] = 1;
  return words;
}

/** A seeded generator of integers (xoshiro128**). Its whole state is `words`, so it can be hashed and copied. */
export class Random {
  /** @param {number | string} seed */
  constructor(seed) {
    this.words = seedWords(seed);
  }

  /** @returns {number} the next 32 bits, unsigned */
  next() {
    const s = this.words;
    const result = Math.imul(rotate(Math.imul(s[1], 5), 7), 9) >>> 0;
    const t = s[1] << 9;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 11);
    return result;
  }

  /** An integer from 0 to n − 1, all equally likely. @param {number} n from 1 to 2^32 @returns {number} */
  below(n) {
    const limit = 0x100000000 - (0x100000000 % n);
    let drawn = this.next();
    while (drawn >= limit) drawn = this.next();
    return drawn % n;
  }

  /** Shuffle in place. @template T @param {T[]} list @returns {T[]} */
  shuffle(list) {
    for (let i = list.length - 1; i > 0; i--) {
      const j = this.below(i + 1);
      [list[i], list[j]] = [list[j], list[i]];
    }
    return list;
  }
}
