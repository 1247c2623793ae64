// Counts, shares and their intervals, Student's t, and total variation with its null: dlcore.metrics.distributional.
dlLab.part(function (lab) {
  "use strict";
  const sum = (values) => values.reduce((a, b) => a + b, 0);

  // Returns the q-quantile of numbers, interpolated as NumPy does.
  lab.quantile = function (values, q) {
    const sorted = Float64Array.from(values).sort(), at = q * (sorted.length - 1), low = Math.floor(at);
    return sorted[low] + (at - low) * (sorted[Math.min(low + 1, sorted.length - 1)] - sorted[low]);
  };

  // Returns Pr[T > t] of Student's t with a whole number of degrees of freedom (Abramowitz and Stegun 26.7.3 and 4).
  lab.studentTail = function (t, dof) {
    const angle = Math.atan(t / Math.sqrt(dof)), c = Math.cos(angle) ** 2;
    let term = 1, total = 0;
    if (dof % 2) {
      term = Math.cos(angle);
      for (let k = 1; k <= dof - 2; k += 2) { total += term; term *= c * (k + 1) / (k + 2); }
      return 0.5 - (angle + Math.sin(angle) * total) / Math.PI;
    }
    for (let k = 0; k <= dof - 2; k += 2) { total += term; term *= c * (k + 1) / (k + 2); }
    return 0.5 - Math.sin(angle) * total / 2;
  };
  lab.studentQuantile = function (tail, dof) {
    let low = 0, high = 1e6;
    for (let i = 0; i < 80; i++) {
      const t = (low + high) / 2;
      if (lab.studentTail(t, dof) > tail) low = t; else high = t;
    }
    return low;
  };
  // Pr[Z > z] of the normal: Student's with so many degrees of freedom differs by less than 1e-6.
  lab.normalTail = (z) => lab.studentTail(z, 1e6);

  // Returns the table of counts (rows, columns) of two lists of integers.
  lab.tally = function (feature, predictions, rows, columns) {
    const counts = new Int32Array(rows * columns);
    for (let i = 0; i < feature.length; i++) counts[feature[i] * columns + predictions[i]]++;
    return counts;
  };

  lab.share = function (a, b) {
    let same = 0;
    for (let i = 0; i < a.length; i++) if (a[i] === b[i]) same++;
    return same / a.length;
  };

  // Returns Wilson's interval of a share.
  lab.wilson = function (hits, n) {
    const z = 1.959963984540054, p = hits / n, wide = 1 + z * z / n;
    const middle = (p + z * z / (2 * n)) / wide, half = z * Math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / wide;
    return [Math.max(0, middle - half), Math.min(1, middle + half)];
  };

  // Total variation between counts (rows, columns) and a law with the same rows, with its bias: what an exact sampler
  // would show (mean and 95 % quantile of the null), and an interval that leaves room for it.
  lab.calibration = function (counts, law, rows, columns, replicates, random) {
    const sizes = [], there = [];
    for (let r = 0; r < rows; r++) {
      const size = sum(Array.from(counts.subarray(r * columns, (r + 1) * columns)));
      if (size) { sizes.push(size); there.push(r); }
    }
    const total = sum(sizes), drawn = new Int32Array(columns);
    function apart(row, row0, size) {
      let found = 0;
      for (let k = 0; k < columns; k++) found += Math.abs(row[k] / size - law[row0 + k]);
      return 0.5 * size / total * found;
    }
    const value = sum(there.map((r, i) => apart(counts.subarray(r * columns), r * columns, sizes[i])));
    // tables drawn from `source`, row by row
    function again(source) {
      const edges = there.map((r, i) => {
        let edge = 0;
        return Array.from({ length: columns }, (_, k) => edge += source(r * columns + k, i));
      });
      return Array.from({ length: replicates }, () => sum(there.map((r, i) => {
        drawn.fill(0);
        for (let j = 0; j < sizes[i]; j++) {
          const u = random();
          let k = 0;
          while (k < columns - 1 && u >= edges[i][k]) k++;
          drawn[k]++;
        }
        return apart(drawn, r * columns, sizes[i]);
      })));
    }
    const none = again((at) => law[at]), own = again((at, i) => counts[at] / sizes[i]);
    const mean = sum(none) / replicates, centre = sum(own) / replicates;
    const half = 1.959963984540054 * Math.sqrt(sum(own.map((v) => (v - centre) ** 2)) / replicates);
    let formula = 0;
    there.forEach((r, i) => {
      for (let k = 0; k < columns; k++) { const p = law[r * columns + k]; formula += Math.sqrt(2 * p * (1 - p) / Math.PI * sizes[i]); }
    });
    return {
      tv: value, nullMean: mean, nullQ95: lab.quantile(none, 0.95), nullFormula: formula / (2 * total),
      debiased: Math.max(0, value - mean), low: Math.max(0, value - mean - half), high: Math.min(1, value + half),
      samples: total
    };
  };
});
