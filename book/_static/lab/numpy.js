// NumPy's own random numbers (PCG64), so that a split and its noise are those of the Python to the last label.
dlLab.part(function (lab) {
  "use strict";
  const LIMB = 4194304; // 22 bits: products of two limbs, and sums of six of them, are exact in doubles
  const MULTIPLIER = 0x2360ed051fc65da44385df649fccf645n;
  const [m0, m1, m2, m3, m4, m5] = limbs(MULTIPLIER);

  function limbs(value) {
    return [0, 1, 2, 3, 4, 5].map((i) => Number((value >> BigInt(22 * i)) & 0x3fffffn));
  }

  // numpy.random.default_rng([...seeds]): double() is random(), below(n) is integers(n), n <= 2^32.
  lab.numpy = function () {
    const w = lab.seedWords(Array.from(arguments), 8), mask = (1n << 128n) - 1n;
    const wide = (i) => (BigInt(w[i + 1]) << 96n) | (BigInt(w[i]) << 64n) | (BigInt(w[i + 3]) << 32n) | BigInt(w[i + 2]);
    const odd = ((wide(4) << 1n) | 1n) & mask;
    const [i0, i1, i2, i3, i4, i5] = limbs(odd);
    const state = new Float64Array(limbs(((odd + wide(0)) * MULTIPLIER + odd) & mask)), out = new Uint32Array(2);
    let kept = -1;
    const over = (v) => Math.floor(v / LIMB);
    // state * multiplier + increment, modulo 2^128: written out, since a loop over limbs takes twice as long
    function step() {
      const s0 = state[0], s1 = state[1], s2 = state[2], s3 = state[3], s4 = state[4], s5 = state[5];
      const a = s0 * m0 + i0, ca = over(a);
      const b = s1 * m0 + s0 * m1 + i1 + ca, cb = over(b);
      const c = s2 * m0 + s1 * m1 + s0 * m2 + i2 + cb, cc = over(c);
      const d = s3 * m0 + s2 * m1 + s1 * m2 + s0 * m3 + i3 + cc, cd = over(d);
      const e = s4 * m0 + s3 * m1 + s2 * m2 + s1 * m3 + s0 * m4 + i4 + cd, ce = over(e);
      const f = s5 * m0 + s4 * m1 + s3 * m2 + s2 * m3 + s1 * m4 + s0 * m5 + i5 + ce;
      const t0 = a - ca * LIMB, t1 = b - cb * LIMB, t2 = c - cc * LIMB, t3 = d - cd * LIMB, t4 = e - ce * LIMB;
      const t5 = f - Math.floor(f / 262144) * 262144; // 128 bits are five limbs and 18 bits
      state[0] = t0; state[1] = t1; state[2] = t2; state[3] = t3; state[4] = t4; state[5] = t5;
      const top = t4 >>> 8 | t5 << 14, turn = top >>> 26, by = turn & 31;
      const x = (t0 | t1 << 22) ^ (t2 >>> 20 | t3 << 2 | t4 << 24), y = (t1 >>> 10 | t2 << 12) ^ top;
      const one = turn & 32 ? y : x, two = turn & 32 ? x : y;
      out[0] = by ? one >>> by | two << (32 - by) : one;
      out[1] = by ? two >>> by | one << (32 - by) : two;
    }
    function word() {
      if (kept >= 0) { const value = kept; kept = -1; return value; }
      step();
      kept = out[1];
      return out[0];
    }
    function below(n) {
      if (n < 2) return 0;
      for (;;) {
        // Lemire's method; the product is exact for n below 2^21 and for powers of two
        const product = word() * n, whole = Math.floor(product / 4294967296), rest = product - whole * 4294967296;
        if (rest >= n || rest >= (4294967296 - n) % n) return whole;
      }
    }
    return {
      double: function () { step(); return (out[1] * 2097152 + (out[0] >>> 11)) / 9007199254740992; },
      below: below,
      permutation: function (n) {
        const order = Int32Array.from({ length: n }, (_, i) => i);
        for (let i = n - 1; i > 0; i--) {
          const bits = 4294967295 >>> Math.clz32(i);
          let j = word() & bits;
          while (j > i) j = word() & bits;
          [order[i], order[j]] = [order[j], order[i]];
        }
        return order;
      }
    };
  };
});
