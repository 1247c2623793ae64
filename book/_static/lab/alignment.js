// Linear centred kernel alignment of two tables of features: dlcore.metrics.similarity.
dlLab.part(function (lab) {
  "use strict";
  const sum = (values) => values.reduce((a, b) => a + b, 0);

  // Linear CKA of x (n, p) and y (n, q), plain and debiased; throws where nothing varies.
  lab.cka = function (x, y, n, p, q) {
    const a = centred(x, n, p), b = centred(y, n, q), square = (v) => v.reduce((s, e) => s + e * e, 0);
    const products = [lab.products(a, b, n, p, q), lab.products(a, a, n, p, p), lab.products(b, b, n, q, q)].map(square);
    if (!(products[1] > 0) || !(products[2] > 0)) throw new Error("No column of one of the two tables varies, so there is nothing to align.");
    const norms = [[a, p], [b, q]].map(([v, width]) => Float64Array.from({ length: n }, (_, i) => square(v.subarray(i * width, (i + 1) * width))));
    const unbiased = [[0, 1], [0, 0], [1, 1]].map(function ([i, j], which) {
      const k = norms[i], m = norms[j];
      let both = 0;
      for (let r = 0; r < n; r++) both += k[r] * m[r];
      return products[which] - n / (n - 2) * both + sum(Array.from(k)) * sum(Array.from(m)) / ((n - 1) * (n - 2));
    });
    const aligned = (v) => v[0] / Math.sqrt(v[1]) / Math.sqrt(v[2]);
    return { plain: Math.min(1, aligned(products)), debiased: n > 3 ? aligned(unbiased) : NaN };
  };
  function centred(x, n, p) {
    const found = Float64Array.from(x);
    for (let j = 0; j < p; j++) {
      let mean = 0;
      for (let i = 0; i < n; i++) mean += found[i * p + j] / n;
      for (let i = 0; i < n; i++) found[i * p + j] -= mean;
      // a constant column is 0, not rounding
      if (!found.some((_, at) => at % p === j && Math.abs(found[at]) > 1e-12 * Math.abs(mean))) for (let i = 0; i < n; i++) found[i * p + j] = 0;
    }
    return found;
  }
});
