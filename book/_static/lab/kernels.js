// Kernel ridge regression on centred one-hot labels; the factor of the Gram matrix serves every noise.
dlLab.part(function (lab) {
  "use strict";
  const JITTER = 1e-9;

  // Returns the square roots' median of the pairs' squared distances, which are whole numbers.
  function median(x, n, d) {
    const counts = new Int32Array(1024 * d + 1), pairs = n * (n - 1) / 2, middle = [];
    for (let i = 1; i < n; i++)
      for (let j = 0; j < i; j++) counts[squared(x, i * d, x, j * d, d)]++;
    for (let v = 0, seen = 0; middle.length < 2; v++) {
      seen += counts[v];
      for (const rank of [pairs - 1 >> 1, pairs >> 1].slice(middle.length)) if (seen > rank) middle.push(Math.sqrt(v));
    }
    return (middle[0] + middle[1]) / 2;
  }
  function squared(x, a, t, b, d) {
    let sum = 0;
    for (let k = 0; k < d; k++) sum += (x[a + k] - t[b + k]) * (x[a + k] - t[b + k]);
    return sum;
  }

  // Returns {gram (m, n) of test and training rows, factor, train}: kernel "gaussian" exp(-(z/s)^2/2) or "laplace" exp(-z/s), with s = `bandwidth`
  // times the median distance of two training rows.
  lab.kernel = function* (kernel, bandwidth, ridge, { x, t, n, m, d }) {
    const scale = bandwidth * median(x, n, d), across = new Float64Array(m * n), own = new Float64Array(n * n);
    const value = kernel === "gaussian" ? (z) => Math.exp(-0.5 * z / scale / scale) : (z) => Math.exp(-Math.sqrt(z) / scale);
    for (let i = 0; i < n; i++) {
      for (let j = 0; j <= i; j++) own[i * n + j] = own[j * n + i] = value(squared(x, i * d, x, j * d, d));
      yield;
    }
    for (let i = 0; i < m; i++) {
      for (let j = 0; j < n; j++) across[i * n + j] = value(squared(t, i * d, x, j * d, d));
      yield;
    }
    const factor = own.slice();
    for (let i = 0; i < n; i++) factor[i * n + i] += ridge + JITTER;
    yield* lab.cholesky(factor, n);
    return { across: across, own: own, factor: factor, n: n, m: m };
  };

  // Returns the scores of training rows (n, classes) and test rows (m, classes) under labels.
  lab.kernelScores = function ({ across, own, factor, n, m }, labels, classes) {
    const weights = new Float64Array(n * classes).fill(-1 / classes);
    for (let i = 0; i < n; i++) weights[i * classes + labels[i]] += 1;
    lab.solve(factor, n, weights, classes);
    return { train: lab.times(own, weights, n, n, classes), test: lab.times(across, weights, m, n, classes) };
  };
});
