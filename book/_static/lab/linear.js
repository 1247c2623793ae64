// Linear algebra in doubles: what ridge regression, kernels and stitching need. Long loops are generators, row by row.
dlLab.part(function (lab) {
  "use strict";

  // Replaces the lower half of a symmetric positive definite matrix (n, n) by its Cholesky factor.
  lab.cholesky = function* (a, n) {
    for (let i = 0; i < n; i++) {
      const row = i * n;
      for (let j = 0; j <= i; j++) {
        const other = j * n;
        let sum = a[row + j];
        for (let k = 0; k < j; k++) sum -= a[row + k] * a[other + k];
        if (i > j) a[row + j] = sum / a[other + j];
        else if (sum > 0) a[row + i] = Math.sqrt(sum);
        else throw new Error("These settings give a matrix that cannot be inverted: choose a larger penalty.");
      }
      yield;
    }
    return a;
  };

  // Replaces b (n, width) by the solution of L L' x = b.
  lab.solve = function (l, n, b, width) {
    for (let i = 0; i < n; i++) {
      const own = i * width;
      for (let k = 0; k < i; k++) {
        const f = l[i * n + k], from = k * width;
        if (f) for (let j = 0; j < width; j++) b[own + j] -= f * b[from + j];
      }
      for (let j = 0; j < width; j++) b[own + j] /= l[i * n + i];
    }
    for (let i = n - 1; i >= 0; i--) {
      const own = i * width;
      for (let j = 0; j < width; j++) b[own + j] /= l[i * n + i];
      for (let k = 0; k < i; k++) {
        const f = l[i * n + k], to = k * width;
        if (f) for (let j = 0; j < width; j++) b[to + j] -= f * b[own + j];
      }
    }
    return b;
  };

  // Returns x (n, p) with a column of ones after its own.
  lab.withOnes = function (x, n, p) {
    const found = new Float64Array(n * (p + 1));
    for (let i = 0; i < n; i++) {
      for (let j = 0; j < p; j++) found[i * (p + 1) + j] = x[i * p + j];
      found[i * (p + 1) + p] = 1;
    }
    return found;
  };

  // Returns x'y for x (n, p), y (n, q).
  lab.products = function (x, y, n, p, q) {
    const found = new Float64Array(p * q);
    for (let i = 0; i < n; i++)
      for (let j = 0; j < p; j++) {
        const f = x[i * p + j];
        if (f) for (let k = 0, to = j * q, from = i * q; k < q; k++) found[to + k] += f * y[from + k];
      }
    return found;
  };

  // Returns the Cholesky factor of x'x + penalty.
  lab.normal = function (x, n, p, penalty) {
    const gram = lab.products(x, x, n, p, p);
    for (let j = 0; j < p; j++) gram[j * p + j] += penalty;
    return lab.finish(lab.cholesky(gram, p));
  };

  // Returns xw for x (n, p), w (p, q).
  lab.times = function (x, w, n, p, q) {
    const found = new Float64Array(n * q);
    for (let i = 0; i < n; i++)
      for (let j = 0, to = i * q; j < p; j++) {
        const f = x[i * p + j];
        if (f) for (let k = 0, from = j * q; k < q; k++) found[to + k] += f * w[from + k];
      }
    return found;
  };

  // Returns the place of the largest of `width` numbers from `from` on; the first of equals.
  lab.largest = function (a, from, width) {
    let best = 0;
    for (let k = 1; k < width; k++) if (a[from + k] > a[from + best]) best = k;
    return best;
  };
});
