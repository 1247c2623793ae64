// Nearest neighbours: found once, then a vote of any k of them under any labels takes milliseconds.
dlLab.part(function (lab) {
  "use strict";
  const BLOCK = 8;

  // Returns the `k` rows of x (n, d) nearest to each row of t (m, d), the nearest first, of equals the first.
  lab.neighbours = function* (x, n, t, m, d, k) {
    const found = new Int32Array(m * k), far = new Float64Array(k), which = new Int32Array(k);
    for (let i = 0; i < m; i++) {
      far.fill(Infinity);
      for (let j = 0; j < n; j++) {
        let sum = 0;
        // what is too far after some columns needs no more of them: this halves the time
        for (let a = i * d, b = j * d, end = a + d; a < end && sum < far[k - 1];)
          for (const stop = Math.min(end, a + BLOCK); a < stop; a++, b++) sum += (t[a] - x[b]) * (t[a] - x[b]);
        if (sum >= far[k - 1]) continue;
        let at = k - 1;
        for (; at > 0 && far[at - 1] > sum; at--) { far[at] = far[at - 1]; which[at] = which[at - 1]; }
        far[at] = sum;
        which[at] = j;
      }
      found.set(which, i * k);
      yield;
    }
    return found;
  };

  // Returns the majority of the first k of `known` neighbours of m rows; of equals the smallest class.
  lab.vote = function (neighbours, m, known, k, labels, classes) {
    const found = new Uint8Array(m), votes = new Int32Array(classes);
    for (let i = 0; i < m; i++) {
      votes.fill(0);
      for (let j = 0; j < k; j++) votes[labels[neighbours[i * known + j]]]++;
      found[i] = lab.largest(votes, 0, classes);
    }
    return found;
  };

  // Returns the row of x nearest to row i of t among those that `wanted` accepts, or -1.
  lab.nearest = function (x, n, t, i, d, wanted) {
    let best = -1, least = Infinity;
    for (let j = 0; j < n; j++) {
      if (!wanted(j)) continue;
      let sum = 0;
      for (let a = i * d, b = j * d, end = a + d; a < end; a++, b++) sum += (t[a] - x[b]) * (t[a] - x[b]);
      if (sum < least) { least = sum; best = j; }
    }
    return best;
  };
});
