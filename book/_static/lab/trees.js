// Decision trees (CART, Gini, grown to purity) on inputs in 17 levels, and forests of them.
dlLab.part(function (lab) {
  "use strict";
  const LEVELS = 32;

  // Grows a tree on the rows `rows` (repeats count); `tries` features that vary are looked at in each node.
  function grow(x, d, labels, classes, rows, tries, random) {
    const tree = { feature: [], level: [], left: [], right: [], label: [] };
    const table = new Int32Array(LEVELS * classes), total = new Int32Array(LEVELS), below = new Int32Array(classes), all = new Int32Array(classes);
    const order = Int32Array.from({ length: d }, (_, i) => i);

    // Returns the best split of rows a..b: the smallest weighted impurity, halfway between two levels that occur.
    function split(a, b) {
      let best = { score: -Infinity, feature: -1, level: 0 }, seen = 0;
      for (let f = 0; f < d && seen < tries; f++) {
        const pick = f + random.below(d - f), feature = order[pick];
        order[pick] = order[f];
        order[f] = feature;
        table.fill(0);
        total.fill(0);
        for (let i = a; i < b; i++) {
          const v = x[rows[i] * d + feature];
          table[v * classes + labels[rows[i]]]++;
          total[v]++;
        }
        below.fill(0);
        let low = 0, last = -1;
        for (let v = 0; v < LEVELS; v++) {
          if (!total[v]) continue;
          if (last >= 0) {
            let one = 0, two = 0;
            for (let c = 0; c < classes; c++) {
              const rest = all[c] - below[c];
              one += below[c] * below[c];
              two += rest * rest;
            }
            const score = one / low + two / (b - a - low);
            if (score > best.score) best = { score: score, feature: feature, level: (last + v) / 2 };
          }
          low += total[v];
          for (let c = 0; c < classes; c++) below[c] += table[v * classes + c];
          last = v;
        }
        if (total[last] < b - a) seen++;
      }
      return best;
    }
    function node(a, b) {
      const id = tree.feature.length;
      all.fill(0);
      for (let i = a; i < b; i++) all[labels[rows[i]]]++;
      const label = lab.largest(all, 0, classes), best = all[label] < b - a ? split(a, b) : null;
      tree.feature.push(best ? best.feature : -1);
      tree.level.push(best ? best.level : 0);
      tree.left.push(0);
      tree.right.push(0);
      tree.label.push(label);
      if (!best || best.feature < 0) return id;
      let i = a, j = b - 1;
      while (i <= j) {
        if (x[rows[i] * d + best.feature] <= best.level) i++;
        else { [rows[i], rows[j]] = [rows[j], rows[i]]; j--; }
      }
      tree.left[id] = node(a, i);
      tree.right[id] = node(i, b);
      return id;
    }
    node(0, rows.length);
    return tree;
  }

  function told(tree, x, at) {
    let id = 0;
    while (tree.feature[id] >= 0) id = x[at + tree.feature[id]] <= tree.level[id] ? tree.left[id] : tree.right[id];
    return tree.label[id];
  }

  // Yields, after each tree, the votes of the trees so far: {trees, train (n, classes), test (m, classes)}.
  // A single tree looks at all features and at all rows; those of a forest at sqrt(d) features, and rows drawn again.
  lab.forest = function* (data, labels, classes, number, random) {
    const { x, t, n, m, d } = data, train = new Int32Array(n * classes), test = new Int32Array(m * classes);
    for (let trees = 1; trees <= number; trees++) {
      const rows = Int32Array.from({ length: n }, (_, i) => (number > 1 ? random.below(n) : i));
      const tree = grow(x, d, labels, classes, rows, number > 1 ? Math.floor(Math.sqrt(d)) : d, random);
      for (let i = 0; i < n; i++) train[i * classes + told(tree, x, i * d)]++;
      for (let i = 0; i < m; i++) test[i * classes + told(tree, t, i * d)]++;
      yield { trees: trees, train: train, test: test };
    }
  };
});
