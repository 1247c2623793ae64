// MNIST-1D: ten templates, randomly padded, scaled, shifted, sheared and made noisy. dlcore.data.mnist1d draws from the
// same law by other random numbers. The signals are rounded to 32 levels, from -4 to 4 deviations.
dlLab.part(function (lab) {
  "use strict";
  const POINTS = 12, WIDTH = 72, LENGTH = 40, TEST = 2000, MEAN = -0.00587, DEVIATION = 0.15468, RADIUS = 8;
  const TEMPLATES = [
    [5, 6, 6.5, 6.75, 7, 7, 7, 7, 6.75, 6.5, 6, 5],
    [5, 3, 3, 3.4, 3.8, 4.2, 4.6, 5, 5.4, 5.8, 5, 5],
    [5, 6, 6.5, 6.5, 6, 5.25, 4.75, 4, 3.5, 3.5, 4, 5],
    [5, 6, 6.5, 6.5, 6, 5, 5, 6, 6.5, 6.5, 6, 5],
    [5, 4.4, 3.8, 3.2, 2.6, 2.6, 5, 5, 5, 5, 5, 5],
    [5, 3, 3, 3, 3, 5, 6, 6.5, 6.5, 6, 4.5, 5],
    [5, 4, 3.5, 3.25, 3, 3, 3, 3, 3.25, 3.5, 4, 5],
    [5, 7, 7, 6.6, 6.2, 5.8, 5.4, 5, 4.6, 4.2, 5, 5],
    [5, 4, 3.5, 3.5, 4, 5, 5, 4, 3.5, 3.5, 4, 5],
    [5, 4, 3.5, 3.5, 4, 5, 5, 5, 5, 4.7, 4.3, 5]
  ].map(function (row) {
    const mean = row.reduce((a, b) => a + b) / POINTS, deviation = Math.sqrt(row.reduce((s, v) => s + (v - mean) ** 2, 0) / POINTS);
    return row.map((v) => (v - row[0]) / deviation / 6);
  });
  const BLUR = Array.from({ length: 2 * RADIUS + 1 }, (_, k) => Math.exp(-((k - RADIUS) ** 2) / 8)), TOTAL = BLUR.reduce((a, b) => a + b);
  let kept = {};

  // The first `length` entries of a row, linearly, at `size` places.
  const resampled = (row, length, size) => Array.from({ length: size }, function (_, i) {
    const at = i * (length - 1) / (size - 1), left = Math.min(Math.floor(at), length - 2);
    return row[left] * (1 - at + left) + row[left + 1] * (at - left);
  });
  function draw(label, random) {
    const row = new Float64Array(WIDTH);
    TEMPLATES[label].forEach((v, i) => { row[i] = v + 1e-8; }); // which keeps a template's zeros apart from the padding
    const padded = resampled(row, POINTS + 36 + random.below(25), WIDTH), size = 1 + 0.4 * (random() - 0.5), shift = random.below(48), shear = 0.75 * (random() - 0.5);
    const noise = Array.from({ length: WIDTH }, () => 0.25 * random.normal()), mirrored = (i) => noise[i < 0 ? -1 - i : i < WIDTH ? i : 2 * WIDTH - 1 - i];
    const signal = noise.map(function (_, i) {
      const own = size * padded[(i - shift + WIDTH) % WIDTH], smooth = () => BLUR.reduce((s, w, k) => s + w / TOTAL * mirrored(i + k - RADIUS), 0);
      return (own || smooth()) + 0.02 * random.normal() - shear * (i / (WIDTH - 1) - 0.5);
    });
    return resampled(signal, WIDTH, LENGTH).map((v) => Math.min(31, Math.max(0, Math.round(((v - MEAN) / DEVIATION + 4) * 31 / 8))));
  }

  // n training and 2,000 new signals, in the form of lab.digits.
  lab.signals = function (seed, n) {
    if (kept.seed === seed && kept.n === n) return kept;
    function drawn(number, random) {
      const rows = new Float32Array(number * LENGTH), labels = Uint8Array.from({ length: number }, () => random.below(10));
      labels.forEach((label, i) => rows.set(draw(label, random), i * LENGTH));
      return [rows, labels];
    }
    const [x, y] = drawn(n, lab.fast(seed, 92)), [t, u] = drawn(TEST, lab.fast(seed, 93));
    kept = { seed, n, m: TEST, d: LENGTH, middle: 15.5, x, y, t, u };
    return kept;
  };
  lab.sample = (s) => (s.dataset === "mnist1d" ? lab.signals : lab.digits)(s.seed, s.n);
});
