// SPDX-License-Identifier: Apache-2.0
//
// Seeded random numbers for tests: the seed is the bug report. (splitmix64 for seeding, xorshift128 for the stream.)

const mask64 = (1n << 64n) - 1n;

export class Random {
  #a;
  #b;
  #c;
  #d;

  // `seed` is any integer; equal seeds give equal streams.
  constructor(seed) {
    let state = BigInt(seed) & mask64;
    const next = () => {
      state = (state + 0x9e3779b97f4a7c15n) & mask64;
      let z = state;
      z = ((z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n) & mask64;
      z = ((z ^ (z >> 27n)) * 0x94d049bb133111ebn) & mask64;
      return z ^ (z >> 31n);
    };
    const [x, y] = [next(), next()];
    this.#a = Number(x & 0xffffffffn) | 1;
    this.#b = Number(x >> 32n) | 0;
    this.#c = Number(y & 0xffffffffn) | 0;
    this.#d = Number(y >> 32n) | 0;
  }

  uint32() {
    const t = this.#a ^ (this.#a << 11);
    this.#a = this.#b;
    this.#b = this.#c;
    this.#c = this.#d;
    this.#d = this.#d ^ (this.#d >>> 19) ^ t ^ (t >>> 8);
    return this.#d >>> 0;
  }

  // An integer in [0, bound).
  below(bound) {
    return this.uint32() % bound;
  }

  // An integer in [low, high].
  between(low, high) {
    return low + this.below(high - low + 1);
  }

  chance(probability) {
    return this.uint32() < probability * 2 ** 32;
  }

  pick(items) {
    return items[this.below(items.length)];
  }

  uint64() {
    return (BigInt(this.uint32()) << 32n) | BigInt(this.uint32());
  }

  bytes(length) {
    return Uint8Array.from({ length }, () => this.uint32() & 0xff);
  }
}

// The seed that a test run starts from: MERROW_SEED to replay, otherwise `fallback`.
export function seedFromEnvironment(fallback) {
  const text = process.env.MERROW_SEED;
  if (text === undefined || text === "") return fallback;
  if (!/^\d+$/.test(text))
    throw new Error(`MERROW_SEED is not an integer: ${text}`);
  return Number(text);
}
