// Random numbers that only have to be random: sfc32, seeded by NumPy's SeedSequence.
dlLab.part(function (lab) {
  "use strict";

  // Returns `count` 32-bit words of NumPy's SeedSequence for integers below 2^32.
  lab.seedWords = function (seeds, count) {
    let hash = 0x43b0d7e5;
    const xor = (v) => v ^ (v >>> 16);
    function hashed(value) {
      value ^= hash;
      hash = Math.imul(hash, 0x931e8875);
      return xor(Math.imul(value, hash));
    }
    const mix = (x, y) => xor(Math.imul(0xca01f9dd, x) - Math.imul(0x4973f715, y) | 0);
    const pool = [0, 1, 2, 3].map((i) => hashed(seeds[i] || 0));
    for (let from = 0; from < 4; from++)
      for (let to = 0; to < 4; to++) if (from !== to) pool[to] = mix(pool[to], hashed(pool[from]));
    for (let from = 4; from < seeds.length; from++)
      for (let to = 0; to < 4; to++) pool[to] = mix(pool[to], hashed(seeds[from]));
    const words = new Uint32Array(count);
    hash = 0x8b51f9dd;
    for (let i = 0; i < count; i++) {
      const value = pool[i % 4] ^ hash;
      hash = Math.imul(hash, 0x58f38ded);
      words[i] = xor(Math.imul(value, hash));
    }
    return words;
  };

  // A fast generator: the function returned gives numbers in [0, 1); .below(n) integers, .normal() normal numbers.
  lab.fast = function () {
    let [a, b, c] = lab.seedWords(Array.from(arguments), 3), count = 1, spare = null;
    function next() {
      const t = (a + b | 0) + count | 0;
      count = count + 1 | 0;
      a = b ^ b >>> 9;
      b = c + (c << 3) | 0;
      c = (c << 21 | c >>> 11) + t | 0;
      return (t >>> 0) / 4294967296;
    }
    for (let i = 0; i < 12; i++) next();
    next.below = (n) => Math.floor(next() * n);
    next.normal = function () {
      if (spare !== null) { const value = spare; spare = null; return value; }
      const size = Math.sqrt(-2 * Math.log(1 - next())), angle = 2 * Math.PI * next();
      spare = size * Math.sin(angle);
      return size * Math.cos(angle);
    };
    next.shuffle = function (order) {
      for (let i = order.length - 1; i > 0; i--) {
        const j = next.below(i + 1);
        [order[i], order[j]] = [order[j], order[i]];
      }
      return order;
    };
    return next;
  };
});
