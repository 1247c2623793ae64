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

  // Yields {train, test} as a classifier learns, and bare yields in between; the last is its answer.
  const LEARN = {
    knn: function* (s, data, labels, columns) {
      const near = yield* once(["knn", s.dataset, s.seed, s.n].join(" "), function* () {
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
        yield { train: told(now.train, data.n), test: told(now.test, data.m), share: now.trees / trees };
    },
    mlp: function* (s, data, labels, columns) {
      const [x, t] = lab.scaled(data, 4);
      for (const now of lab.network.memorise([data.d, s.width, columns], x, labels, data.n, lab.fast(s.seed, 72)))
        yield now && { train: lab.network.predict(now.net, x, data.n), test: lab.network.predict(now.net, t, data.m), says: "Epoch " + now.epoch + ", training error " + (100 * now.error).toFixed(1) + "\u00a0%." };
    },
    kernel: function* (s, data, labels, columns) {
      const kernel = s.rule.replace("kernel_", "");
      const made = yield* once([s.rule, s.dataset, s.seed, s.n, s.bandwidth].join(" "), () => lab.kernel(kernel, s.bandwidth, 0, data));
      const scores = lab.kernelScores(made, labels, columns), told = (v, m) => Uint8Array.from({ length: m }, (_, i) => lab.largest(v, i * columns, columns));
      yield { train: told(scores.train, data.n), test: told(scores.test, data.m) };
    }
  };
  LEARN.tree = LEARN.forest;
  LEARN.kernel_gaussian = LEARN.kernel_laplace = LEARN.kernel;

  function* learn(s) {
    const data = lab.sample(s), task = lab.task(s.experiment, s.rate, data.y, s.seed);
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
      columns: task.columns, train: lab.tally(data.y, now.train, CLASSES, task.columns), test: counts, says: now.says, share: now.share,
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
  const { element, percent, points, short, many, chart, band, atRate, heat, picture, csv, experiment, select, range, rate, seed } = lab.view;
  // of each rule: its name in the chapter and, where it has one, the control and value that the recorded runs have
  const RULES = { knn: ["nearest neighbours"], tree: ["tree"], forest: ["forest", "trees", 100], mlp: ["MLP", "width", 256], kernel_gaussian: ["Gaussian kernel", "bandwidth", 0.66], kernel_laplace: ["Laplace kernel", "bandwidth", 0.33] };
  const is = (...rules) => (s) => rules.includes(s.rule);
  const KERNELS = ["kernel_gaussian", "kernel_laplace"];
  const CONTROLS = [
    select("dataset", "data", ["digits", ["mnist1d", "MNIST-1D signals"]], "digits"),
    select("rule", "classifier", [["knn", "nearest neighbours"], ["tree", "decision tree"], "forest", ["mlp", "network (MLP)"], ["kernel_gaussian", "Gaussian kernel"], ["kernel_laplace", "Laplace kernel"]], "knn"),
    range("k", "neighbours", 1, 51, 2, 1, { when: is("knn") }),
    range("trees", "trees", 2, 100, 1, 100, { when: is("forest") }),
    select("width", "units", [16, 32, 64, 128, 256], 128, is("mlp")),
    range("bandwidth", "bandwidth (of the median distance)", 0.03, 1.65, 0.03, 0.66, { show: short, when: is(...KERNELS) }),
    select("experiment", "noise", [["cyclic", "every class, to the next"], ["pair", "one class: 0 to 1"], ["subgroup", "a subgroup: 3 among 0–4"], ["sparse", "random sparse"]], "cyclic"),
    rate("rate", "noise rate", 0, 0.9, 0.05, 0.3),
    range("n", "training images", 100, 1200, 50, 1200, { when: (s) => s.dataset === "digits" }),
    range("signals", "training signals", 500, 4000, 500, 4000, { when: (s) => s.dataset !== "digits" }),
    seed()
  ];
  const sized = (s) => (s.dataset === "digits" ? s : { ...s, n: s.signals });
  const family = (s) => (s.rule === "knn" ? s.k + "-NN" : RULES[s.rule][0]);
  function recorded(s) {
    const [, control, value] = RULES[s.rule];
    return s.n === (s.dataset === "digits" ? 1200 : 4000) && (!control || s[control] === value) && runs(s)[family(s)];
  }
  // The recorded runs of a noise, by family; of MNIST-1D those of networks with another depth are left out.
  function runs(s) {
    const { MLP, ...others } = lab.banks.recorded.samplers[(s.dataset === "digits" ? "" : s.dataset + " ") + s.experiment] || {};
    return MLP && s.dataset === "digits" ? { MLP, ...others } : others;
  }
  // Returns by how much a value lies outside of what was recorded at a rate: below 0 under it, 0 inside, NaN where none was.
  function outside(known, value, at) {
    const i = atRate(known, at), rounding = 5e-4;
    if (i < 0) return NaN;
    return value < known.low[i] - rounding ? value - known.low[i] : value > known.high[i] + rounding ? value - known.high[i] : 0;
  }
  const away = (off) => points(Math.abs(off)) + (off < 0 ? " below" : " above");
  function beside(known, value, at) {
    const i = atRate(known, at), off = outside(known, value, at);
    if (i < 0) return " No run was recorded with these settings.";
    return " Recorded over " + known.seeds[i] + " seeds: " + percent(known.low[i]) + " to " + percent(known.high[i]) + "; yours lies " + (off ? away(off) : "inside") + ".";
  }

  lab.experiments.samplers = function (root) {
    let own = [], line = [];
    const maps = element("div", { class: "dl-lab-maps" }), plot = element("div"), pictures = element("div", { class: "dl-lab-pictures" }), foot = element("p", { class: "dl-lab-foot" });

    function spectrum(s) {
      const known = runs(s), mine = family(s), sparse = s.experiment === "sparse", high = sparse ? 0.45 : 0.95, [, control, value] = RULES[s.rule];
      const marks = Object.entries(known).filter(([name]) => name !== mine).map(([name, k], i) => ({ kind: "line", role: "null", thin: true, name: i ? "" : "recorded: other classifiers", title: name, points: k.rates.map((r, j) => [r, k.mean[j]]) }));
      marks.push({ kind: "line", role: "sampler", dash: "dash", name: "a sampler of the training law", points: [[0, 0], [high, high]] });
      if (!sparse) marks.push({ kind: "line", role: "bayes", dash: "dash", name: "the Bayes rule", points: [[0, 0], [0.5, 0], [0.5, 1], [high, 1]] });
      if (known[mine]) marks.push(...band(known[mine], mine + (control ? ", " + control + " " + value : "")));
      if (line.length) marks.push({ kind: "line", role: "own", points: line });
      marks.push({ kind: "dots", role: "own", name: "yours, not recorded", points: own.concat(line.map(([a, b]) => [a, b, mine + ", yours: " + percent(b)])) });
      chart(plot, {
        height: 300, label: "Share of new data that get the noise's label, against the noise rate: your runs over the recorded ones.", marks: marks,
        x: { low: 0, high: high, label: "noise rate in the training labels", format: (v) => percent(v, 0) },
        y: { low: 0, high: sparse ? 0.6 : 1, label: "new data given " + (sparse ? "a wrong label" : "the noise's label"), format: (v) => percent(v, 0) }
      });
    }
    function confusion(now) {
      if (!maps.firstChild) maps.replaceChildren(...["training", "new"].map((which) => element("figure", {}, element("figcaption", {}, "Its answers (columns) on " + which + " data, by true class (rows)"), element("div"))));
      maps.querySelectorAll("div").forEach((box, i) => heat(box, i ? now.test : now.train, 10, now.columns, i ? "test" : "train", "Counts of true class by label given, on " + (i ? "new" : "training") + " data; the noise's label has " + percent(i ? now.moved : now.given) + "."));
    }

    experiment(root, {
      name: "samplers", controls: CONTROLS, banks: ["digits", "recorded"], settings: sized, buttons: [["samplers", "Run"], ["spectrum", "All noise rates"]],
      live: is("knn", "tree", ...KERNELS),
      changed: function (s, name) {
        if (name === "rule" && KERNELS.includes(s.rule)) s.bandwidth = RULES[s.rule][2];
        if (name !== "rate") { own = []; line = []; }
        if (plot.firstChild) spectrum(sized(s));
      },
      check: function (s) {
        if (s.dataset !== "digits" && (s.experiment === "subgroup" || s.experiment === "sparse")) throw new Error("On MNIST-1D the noise moves every class or one class; subgroups and random sparse noise are of the digits.");
        if (KERNELS.includes(s.rule) && sized(s).n > 1500) throw new Error("A kernel on more than 1,500 signals takes minutes in the page: choose fewer.");
        if (s.experiment === "sparse" && s.rate >= 0.475) throw new Error("Random sparse noise has a rate below 47.5 %: a class cannot lose more than 95 % of its labels.");
      },
      python: function (s, job) {
        const { n, dataset } = sized(s), extra = { knn: " neighbours=" + s.k, mlp: " width=" + s.width }[s.rule] || (KERNELS.includes(s.rule) ? " bandwidth=" + s.bandwidth : "");
        const note = { tree: "Trees differ by chance, in which of equal splits they take.", forest: "The Python's forest has 100 trees; trees differ by chance.", mlp: "The Python's network starts from other weights and takes smaller steps." }[s.rule] || "The answers are the same, too.";
        const begin = job === "spectrum" ? "sweep distributional --direct --grid noise=0:" + (s.experiment === "sparse" ? 0.4 : 0.9) + ":0.1" : "run distributional noise=" + s.rate;
        return { command: "python -m dlcore " + begin + " dataset=" + dataset + " experiment=" + s.experiment + " architecture=" + s.rule + extra + " n_train=" + n + " seed=" + s.seed, note: dataset === "digits" ? "The same images and the very same noisy labels. " + note : "Signals of the same law, drawn anew; the page rounds them to 32 levels and has 2,000 new ones." };
      },
      view: function (area) {
        area.append(maps, plot, pictures, foot);
        return {
          told: function (now, s, job) {
            if (job === "spectrum") { line = now.points; spectrum(s); } else confusion(now);
          },
          done: function (result, s, job) {
            const known = recorded(s);
            if (job === "spectrum") {
              line = result.points;
              spectrum(s);
              const off = line.map(([r, v]) => [r, outside(known, v, r)]).filter(([, d]) => d);
              root.dataset.outside = off.length;
              return family(s) + " over " + line.length + " noise rates. " + (!known ? "No run was recorded with these settings." : off.length ? "Outside the range of the recorded seeds: " + off.map(([r, d]) => away(d) + " at " + percent(r, 0)).join(", ") + "." : "All lie within the range of the recorded seeds.");
            }
            confusion(result);
            own = own.filter(([r]) => r !== s.rate).concat([[s.rate, result.moved, family(s) + ", yours: " + percent(result.moved)]]);
            spectrum(s);
            pictures.replaceChildren(...(result.pictures.length ? [element("p", {}, "New data that got the noise's label, and the training " + (s.dataset === "digits" ? "image" : "signal") + " that taught it, the nearest one with that label:")] : []), ...result.pictures.map((p) => element("figure", {}, picture(p.image, "a new " + p.own), element("span", {}, "→"), picture(p.teacher, "a training example of a " + p.was + " labelled " + p.said), element("figcaption", {}, "a " + p.own + ", called " + p.said + "; taught by a " + p.was + " labelled " + p.said))));
            foot.replaceChildren(csv("samplers", "Counts", ["set", "class", "label", "count"], () => ["train", "test"].flatMap((which) => Array.from(result[which], (n, i) => [which, Math.floor(i / result.columns), i % result.columns, n]))));
            root.dataset.moved = result.moved;
            const { tv, nullMean, low, high } = result.tv;
            return family(s) + ", " + many(s.n) + (s.dataset === "digits" ? " images" : " signals") + ": training error " + percent(result.error) + ". The noise's label: " + percent(result.given) + " of the training labels, " + percent(result.moved) + " of the answers on new data." + beside(known, result.moved, s.rate)
              + " Total variation between these answers and the law of the training labels: " + tv.toFixed(3) + ", where an exact sampler would show " + nullMean.toFixed(3) + " by chance (95\u00a0% interval of the true distance " + low.toFixed(3) + " to " + high.toFixed(3) + ").";
          }
        };
      }
    });
  };
})(window.dlLab);
