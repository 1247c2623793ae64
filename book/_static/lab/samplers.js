// Chapter 3: a classifier learns noisy labels. With what law do its answers on new images come out?
dlLab.part(function (lab) {
  "use strict";
  const CLASSES = 10, REPLICATES = 200, KNOWN = 51, WRONG = 12;

  // The task of dlcore.studies.distributional: a law p(label | class) of `columns` labels, the labels drawn from it, the
  // clean label of each class, and which move counts as the noise's.
  lab.task = function (experiment, rate, y, seed) {
    const bank = lab.banks.digits, two = experiment === "subgroup", columns = two ? 2 : CLASSES, law = new Float64Array(CLASSES * columns);
    const clean = Array.from({ length: CLASSES }, (_, c) => (two ? Number(bank.binary[c]) : c)), flips = [];
    for (let c = 0; c < CLASSES; c++) {
      let to = -1;
      if (experiment === "cyclic") to = (c + 1) % CLASSES;
      else if (experiment === "pair" && c === 0) to = 1;
      else if (two && c === bank.noisy) to = 1 - clean[c];
      if (experiment === "sparse") {
        const moved = Math.min(rate * bank.sparse.moved[c], 0.95);
        for (let k = 0; k < CLASSES; k++) law[c * columns + k] = moved * bank.sparse.to[c][k];
        law[c * columns + c] = 1 - moved;
      } else law[c * columns + clean[c]] = to < 0 ? 1 : 1 - rate;
      if (to >= 0) { law[c * columns + to] = rate; flips.push([c, to]); }
    }
    return { law: law, columns: columns, clean: clean, flips: flips, labels: lab.confuse(y, law, columns, seed) };
  };

  // Returns the share of the noise's move in counts (classes, columns); of random sparse noise, of any move.
  lab.moved = function (counts, { columns, clean, flips }) {
    const pairs = flips.length ? flips : clean.map((c) => [c, -1]);
    let hit = 0, total = 0;
    for (const [from, to] of pairs)
      for (let k = 0; k < columns; k++) {
        const n = counts[from * columns + k];
        total += n;
        if (to < 0 ? k !== clean[from] : k === to) hit += n;
      }
    return total ? hit / total : NaN;
  };

  // What does not depend on the noise is kept: neighbours, and the factor of a kernel.
  const kept = new Map();
  function* once(name, make) {
    if (!kept.has(name)) {
      if (kept.size > 3) kept.clear();
      kept.set(name, yield* make());
    }
    return kept.get(name);
  }

  // Yields {train, test, note} as a classifier learns, and bare yields in between; the last is its answer.
  const LEARN = {
    knn: function* (s, data, labels, columns) {
      const near = yield* once("knn " + s.seed + " " + s.n, function* () {
        return {
          test: yield* lab.neighbours(data.x, data.n, data.t, data.m, data.d, KNOWN),
          train: yield* lab.neighbours(data.x, data.n, data.x, data.n, data.d, KNOWN)
        };
      });
      const vote = (rows, m) => lab.vote(rows, m, KNOWN, s.k, labels, columns);
      yield { train: vote(near.train, data.n), test: vote(near.test, data.m) };
    },
    forest: function* (s, data, labels, columns) {
      const random = lab.fast(s.seed, 71), trees = s.rule === "tree" ? 1 : s.trees;
      const told = (votes, m) => Uint8Array.from({ length: m }, (_, i) => lab.largest(votes, i * columns, columns));
      for (const now of lab.forest(data, labels, columns, trees, random))
        yield { train: told(now.train, data.n), test: told(now.test, data.m), note: now.trees + " of " + trees + " trees", share: now.trees / trees };
    },
    mlp: function* (s, data, labels, columns) {
      const random = lab.fast(s.seed, 72), net = lab.network.make([data.d, s.width, columns], random), spread = 4;
      const x = Float64Array.from(data.x, (v) => v / spread), t = Float64Array.from(data.t, (v) => v / spread), epochs = 400;
      const show = (note) => ({ train: lab.network.predict(net, x, data.n), test: lab.network.predict(net, t, data.m), note: note });
      let last = 0;
      for (const now of lab.network.train(net, x, labels, data.n, { epochs: epochs, rate: 8e-3, batch: 64, random: random, untilZero: true })) {
        if (now && performance.now() - last > 150) {
          yield show("epoch " + now.epoch + ", training error " + (100 * now.error).toFixed(1) + " %");
          last = performance.now();
        } else yield;
      }
      yield show("");
    },
    kernel: function* (s, data, labels, columns) {
      const kernel = s.rule.replace("kernel_", "");
      const made = yield* once([s.rule, s.seed, s.n, s.bandwidth].join(" "), () => lab.kernel(kernel, s.bandwidth, 0, data));
      const scores = lab.kernelScores(made, labels, columns), told = (v, m) => Uint8Array.from({ length: m }, (_, i) => lab.largest(v, i * columns, columns));
      yield { train: told(scores.train, data.n), test: told(scores.test, data.m) };
    }
  };
  LEARN.tree = LEARN.forest;
  LEARN.kernel_gaussian = LEARN.kernel_laplace = LEARN.kernel;

  function* learn(s) {
    const data = lab.digits(s.seed, s.n), task = lab.task(s.experiment, s.rate, data.y, s.seed);
    let last = null;
    for (const now of LEARN[s.rule](s, data, task.labels, task.columns)) {
      if (now) {
        last = summary(data, task, now);
        yield last;
      } else yield;
    }
    return { data: data, task: task, last: last };
  }
  function summary(data, task, now) {
    const counts = lab.tally(data.u, now.test, CLASSES, task.columns);
    return {
      columns: task.columns, train: lab.tally(data.y, now.train, CLASSES, task.columns), test: counts, note: now.note, share: now.share,
      error: 1 - lab.share(now.train, task.labels), given: lab.moved(lab.tally(data.y, task.labels, CLASSES, task.columns), task),
      moved: lab.moved(counts, task), answers: now.test
    };
  }

  // New images that got the noise's label, each with the training image that taught it: the nearest with that label.
  function taught({ data, task, last }) {
    const found = [], image = (from, i) => Array.from(from.subarray(i * data.d, i * data.d + data.d));
    for (let i = 0; i < data.m && found.length < WRONG; i++) {
      const own = data.u[i], said = last.answers[i];
      if (!(task.flips.length ? task.flips.some(([a, b]) => a === own && b === said) : said !== task.clean[own])) continue;
      const by = lab.nearest(data.x, data.n, data.t, i, data.d, (j) => task.labels[j] === said);
      if (by >= 0) found.push({ image: image(data.t, i), own: own, said: said, teacher: image(data.x, by), was: data.y[by] });
    }
    return found;
  }

  lab.jobs.samplers = function* (s) {
    const end = yield* learn(s);
    const tv = lab.calibration(end.last.test, end.task.law, CLASSES, end.task.columns, REPLICATES, lab.fast(s.seed, 73));
    return Object.assign(end.last, { tv: tv, pictures: taught(end), final: true });
  };
  lab.jobs.spectrum = function* (s) {
    const points = [], rates = s.experiment === "sparse" ? [0, 0.1, 0.2, 0.3, 0.4] : [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9];
    for (const rate of rates) {
      const steps = learn(Object.assign({}, s, { rate: rate }));
      let step = steps.next();
      for (; !step.done; step = steps.next()) yield;
      points.push([rate, step.value.last.moved]);
      yield { points: points.slice(), share: points.length / rates.length };
    }
    return { points: points };
  };
});

(function (lab) {
  "use strict";
  const { element, percent, short, many, chart, heat, picture, download, experiment } = lab.view;
  const RULES = [["knn", "nearest neighbours"], ["tree", "decision tree"], ["forest", "forest"], ["mlp", "network (MLP)"], ["kernel_gaussian", "Gaussian kernel"], ["kernel_laplace", "Laplace kernel"]];
  const NOISES = [["cyclic", "every class, to the next"], ["pair", "one class: 0 to 1"], ["subgroup", "a subgroup: 3 among 0–4"], ["sparse", "random sparse"]];
  const CONTROLS = [
    { name: "rule", label: "classifier", kind: "select", options: RULES, value: "knn" },
    { name: "k", label: "neighbours", kind: "range", min: 1, max: 51, step: 2, value: 1, when: (s) => s.rule === "knn" },
    { name: "trees", label: "trees", kind: "range", min: 2, max: 100, step: 1, value: 100, when: (s) => s.rule === "forest" },
    { name: "width", label: "width", kind: "select", options: [16, 32, 64, 128, 256].map((w) => [String(w), String(w)]), value: "128", when: (s) => s.rule === "mlp" },
    { name: "bandwidth", label: "bandwidth (medians)", kind: "range", min: 0.03, max: 1.65, step: 0.03, value: 0.66, show: short, when: (s) => s.rule.startsWith("kernel") },
    { name: "experiment", label: "noise", kind: "select", options: NOISES, value: "cyclic" },
    { name: "rate", label: "rate", kind: "range", min: 0, max: 0.9, step: 0.05, value: 0.3, show: (v) => percent(v, 0) },
    { name: "n", label: "training images", kind: "range", min: 100, max: 1200, step: 50, value: 1200 },
    { name: "seed", label: "seed", kind: "number", min: 0, max: 9999, value: 0 }
  ];

  // The family whose recorded runs a setting belongs to, as the chapter names it.
  function family(s) {
    if (s.rule === "knn") return s.k + "-NN";
    return { tree: "tree", forest: "forest", mlp: "MLP", kernel_gaussian: "Gaussian kernel", kernel_laplace: "Laplace kernel" }[s.rule];
  }
  const USUAL = { forest: (s) => s.trees === 100, mlp: (s) => s.width === 256, kernel_gaussian: (s) => s.bandwidth === 0.66, kernel_laplace: (s) => s.bandwidth === 0.33 };
  function recorded(s) {
    const usual = s.n === 1200 && (USUAL[s.rule] || (() => true))(s);
    return (usual && (lab.banks.recorded.samplers[s.experiment] || {})[family(s)]) || null;
  }
  function beside(s, value, at) {
    const known = recorded(s), i = known ? known.rates.findIndex((r) => Math.abs(r - at) < 1e-6) : -1;
    if (i < 0) return " No run was recorded with these settings.";
    const [low, high] = [known.low[i], known.high[i]], place = value < low - 5e-4 ? percent(low - value) + " below" : value > high + 5e-4 ? percent(value - high) + " above" : "inside";
    return " Recorded over " + known.seeds[i] + " seeds: " + percent(low) + " to " + percent(high) + "; yours lies " + place + ".";
  }

  lab.experiments.samplers = function (root) {
    let own = [], line = [];
    const maps = element("div", { class: "dl-lab-maps" }), plot = element("div"), pictures = element("div", { class: "dl-lab-pictures" }), foot = element("p", { class: "dl-lab-foot" });
    let boxes = [];

    function spectrum(s) {
      const known = lab.banks.recorded ? lab.banks.recorded.samplers[s.experiment] || {} : {}, mine = family(s), sparse = s.experiment === "sparse", high = sparse ? 0.45 : 0.95;
      const marks = Object.entries(known).filter(([name]) => name !== mine).map(([, k], i) => ({ kind: "line", role: "null", thin: true, name: i ? "" : "recorded: other families", points: k.rates.map((r, j) => [r, k.mean[j]]) }));
      marks.push({ kind: "line", role: "sampler", dash: true, name: "a sampler of the training law", points: [[0, 0], [high, high]] });
      if (!sparse) marks.push({ kind: "line", role: "bayes", dash: true, name: "the Bayes rule", points: [[0, 0], [0.5, 0], [0.5, 1], [high, 1]] });
      if (known[mine]) {
        const k = known[mine], about = mine + (s.rule === "forest" ? " of 100 trees" : s.rule === "mlp" ? " of 256 units" : "");
        marks.push({ kind: "band", role: "chosen", name: "recorded: " + about + ", all its seeds", points: k.rates.map((r, j) => [r, k.low[j], k.high[j]]) });
        marks.push({ kind: "line", role: "chosen", points: k.rates.map((r, j) => [r, k.mean[j]]) });
      }
      if (line.length) marks.push({ kind: "line", role: "own", points: line });
      marks.push({ kind: "dots", role: "own", name: "yours, not recorded", points: own.concat(line.map(([a, b]) => [a, b, family(s) + ", yours: " + percent(b)])) });
      chart(plot, {
        height: 300, label: "Share of new images that get the noise's label, against the noise rate: your runs over the recorded ones.", marks: marks,
        x: { low: 0, high: high, label: "noise rate in the training labels", format: (v) => percent(v, 0) },
        y: { low: 0, high: sparse ? 0.6 : 1, label: sparse ? "moved, of new images" : "noise's label, of new images", format: (v) => percent(v, 0) }
      });
    }
    function confusion(now) {
      if (!boxes.length) {
        boxes = ["on the training images", "on new images"].map((words) => element("div"));
        maps.replaceChildren(...boxes.map((box, i) => element("figure", {}, element("figcaption", {}, ["What it says of the training images", "What it says of new images"][i]), box)));
      }
      [["train", "train"], ["test", "test"]].forEach(([which, role], i) => heat(boxes[i], now[which], 10, now.columns, role, "Counts of true class by label given, on " + (i ? "new" : "training") + " images; the noise's label has " + percent(i ? now.moved : now.given) + "."));
    }

    experiment(root, {
      name: "samplers", controls: CONTROLS, banks: ["digits", "recorded"], buttons: [["samplers", "Run"], ["spectrum", "All noise rates"]],
      settings: (s) => Object.assign({}, s, { width: Number(s.width) }),
      live: (s) => s.rule === "knn" || s.rule === "tree" || s.rule.startsWith("kernel"),
      changed: function (s, name) {
        if (name === "rule" && s.rule.startsWith("kernel")) s.bandwidth = s.rule === "kernel_laplace" ? 0.33 : 0.66;
        if (name !== "rate") { own = []; line = []; }
        if (boxes.length || plot.firstChild) spectrum(s);
      },
      check: function (s) {
        if (s.experiment === "sparse" && s.rate >= 0.475) throw new Error("Random sparse noise has a rate below 47.5 %: a class cannot lose more than 95 % of its labels.");
      },
      python: function (s) {
        const extra = { knn: " neighbours=" + s.k, mlp: " width=" + s.width, kernel_gaussian: " bandwidth=" + s.bandwidth, kernel_laplace: " bandwidth=" + s.bandwidth }[s.rule] || "";
        const same = s.rule === "knn" || s.rule.startsWith("kernel");
        return {
          command: "python -m dlcore run distributional dataset=digits experiment=" + s.experiment + " architecture=" + s.rule + extra + " noise=" + s.rate + " n_train=" + s.n + " seed=" + s.seed,
          note: "The same images and the very same noisy labels. " + (same ? "The answers are the same, too." : s.rule === "forest" ? "The Python's forest has 100 trees; trees differ by chance." : s.rule === "mlp" ? "The Python's network starts from other weights and takes smaller steps." : "Trees differ by chance, in which of equal splits they take.")
        };
      },
      view: function (area) {
        area.append(maps, plot, pictures, foot);
        return {
          told: function (now, s, job) {
            if (job === "spectrum") { line = now.points; spectrum(s); return; }
            confusion(now);
          },
          done: function (result, s, job) {
            if (job === "spectrum") {
              line = result.points;
              spectrum(s);
              const known = recorded(s), off = known ? line.filter(([r, v]) => { const i = known.rates.findIndex((q) => Math.abs(q - r) < 1e-6); return i >= 0 && (v < known.low[i] - 5e-4 || v > known.high[i] + 5e-4); }) : [];
              const far = off.map(([r, v]) => { const i = known.rates.findIndex((q) => Math.abs(q - r) < 1e-6); return percent(Math.max(known.low[i] - v, v - known.high[i])) + " at " + percent(r, 0); });
              root.dataset.outside = far.length;
              return family(s) + " over " + line.length + " noise rates. " + (!known ? "No run was recorded with these settings." : far.length ? "Outside the range of the recorded seeds: by " + far.join(", ") + "." : "All lie within the range of the recorded seeds.");
            }
            confusion(result);
            own = own.filter(([r]) => r !== s.rate).concat([[s.rate, result.moved, family(s) + ", yours: " + percent(result.moved)]]);
            spectrum(s);
            pictures.replaceChildren(...(result.pictures.length ? [element("p", {}, "New images that got the noise's label, and the training image that taught it, the nearest one with that label:")] : []), ...result.pictures.map((p) => element("figure", {}, picture(p.image, "a new " + p.own), element("span", {}, "→"), picture(p.teacher, "a training image of a " + p.was + " labelled " + p.said), element("figcaption", {}, "a " + p.own + ", called " + p.said + "; taught by a " + p.was))));
            foot.replaceChildren(download("samplers.csv", "Counts (CSV)", () => ["set,class,label,count"].concat(...["train", "test"].map((which) => Array.from(result[which], (n, i) => [which, Math.floor(i / result.columns), i % result.columns, n].join(",")))).join("\n") + "\n"));
            root.dataset.moved = result.moved;
            return family(s) + ", " + many(s.n) + " images: training error " + percent(result.error) + ". The noise's label: " + percent(result.given) + " of the training labels, " + percent(result.moved) + " of the answers on new images. TV " + result.tv.tv.toFixed(3) + ", of which " + result.tv.nullMean.toFixed(3) + " is bias; interval " + result.tv.low.toFixed(3) + " to " + result.tv.high.toFixed(3) + "." + beside(s, result.moved, s.rate);
          }
        };
      }
    });
  };
})(window.dlLab);
