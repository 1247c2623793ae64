// The data: scikit-learn's digits, 1,797 images of 8 x 8 pixels in 17 levels, split and mislabelled as the Python does.
dlLab.part(function (lab) {
  "use strict";
  const DIGITS = 1797, PIXELS = 64, TRAIN = 1200;
  let images = null, kept = {};

  // A character a level, "0" for 0.
  lab.unpacked = (text) => Uint8Array.from(text, (c) => c.charCodeAt(0) - 48);

  // data.load("digits", n_train=n, seed=seed): x (n, d) and t (m, d) levels, y and u their classes.
  lab.digits = function (seed, n) {
    if (kept.seed === seed && kept.n === n) return kept;
    const bank = lab.banks.digits, d = PIXELS, m = DIGITS - TRAIN;
    if (!images) images = lab.unpacked(bank.pixels);
    const order = lab.numpy(seed, 5).permutation(DIGITS);
    kept = { seed: seed, n: n, m: m, d: d, classes: 10, x: new Float32Array(n * d), t: new Float32Array(m * d), y: new Uint8Array(n), u: new Uint8Array(m) };
    for (let i = 0; i < n; i++) {
      kept.x.set(images.subarray(order[i] * d, order[i] * d + d), i * d);
      kept.y[i] = Number(bank.labels[order[i]]);
    }
    for (let i = 0; i < m; i++) {
      const row = order[TRAIN + i];
      kept.t.set(images.subarray(row * d, row * d + d), i * d);
      kept.u[i] = Number(bank.labels[row]);
    }
    return kept;
  };

  // The levels of training and new rows in doubles, from their middle (0, where there is none) in units of `by`.
  lab.scaled = ({ x, t, middle = 0 }, by) => [x, t].map((rows) => Float64Array.from(rows, (v) => (v - middle) / by));

  // noise.apply_confusion: each label is drawn from its row of the law (rows of `width` numbers that sum to 1).
  lab.confuse = function (labels, law, width, seed) {
    const random = lab.numpy(seed), found = new Uint8Array(labels.length);
    for (let i = 0; i < labels.length; i++) {
      const draw = random.double(), row = labels[i] * width;
      let edge = 0, k = 0;
      for (; k < width - 1; k++) {
        edge += law[row + k];
        if (draw < edge) break;
      }
      found[i] = k;
    }
    return found;
  };

  // noise.flip_labels: to another class, uniformly, with probability `rate`.
  lab.flip = function (labels, classes, rate, seed) {
    const random = lab.numpy(seed), n = labels.length, found = Uint8Array.from(labels), mask = new Uint8Array(n);
    for (let i = 0; i < n; i++) mask[i] = random.double() < rate ? 1 : 0;
    for (let i = 0; i < n; i++) {
      const shift = 1 + random.below(classes - 1);
      if (mask[i]) found[i] = (labels[i] + shift) % classes;
    }
    return found;
  };
});
