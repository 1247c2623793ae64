// Chapter 1: a simple classifier on features learns wrong labels. What do they cost it, and how many does it memorise?
dlLab.part(function (lab) {
  "use strict";
  const CLASSES = 10, KNOWN = 51, ENOUGH = 1e-7, DRAWS = 0x7e57; // the stream of the study's noise

  // Features of training and test images, with a column of ones: pixels in [0, 1], random ReLU of them, or those that an
  // encoder learnt from the 1,000 training images of seed 0, without a label, in 32 levels.
  function features(s, { x, t, n, m, d }) {
    const bank = lab.banks[s.features];
    if (bank) {
      const p = bank.dimension, all = Float64Array.from(lab.unpacked(bank.levels), (v) => bank.low + bank.step * v);
      return { x: lab.withOnes(all, n, p), t: lab.withOnes(all.subarray(1000 * p), m, p), p: p + 1 };
    }
    const [one, two] = lab.scaled({ x, t }, 16);
    if (s.features === "pixels") return { x: lab.withOnes(one, n, d), t: lab.withOnes(two, m, d), p: d + 1 };
    const random = lab.fast(s.seed, 74), w = s.width, weights = Float64Array.from({ length: d * w }, () => random.normal() / Math.sqrt(d));
    const offset = Float64Array.from({ length: w }, () => 0.5 * random.normal());
    const relu = (v, rows) => lab.withOnes(lab.times(v, weights, rows, d, w).map((e, i) => Math.max(0, e + offset[i % w])), rows, w);
    return { x: relu(one, n), t: relu(two, m), p: w + 1 };
  }

  // Each gives a generator of labels that ends with the predictions on training and test rows.
  function linear({ n, m }, { x, t, p }, w) {
    return [[x, n], [t, m]].map(function ([rows, number]) {
      const scores = lab.times(rows, w, number, p, CLASSES);
      return Uint8Array.from({ length: number }, (_, i) => lab.largest(scores, i * CLASSES, CLASSES));
    });
  }
  const PROBES = {
    ridge: function* (s, data) {
      const rows = features(s, data), { x, p } = rows, factor = lab.normal(x, data.n, p, s.penalty);
      return function* (labels) {
        const w = new Float64Array(p * CLASSES);
        for (let i = 0; i < data.n; i++) for (let j = 0; j < p; j++) w[j * CLASSES + labels[i]] += x[i * p + j];
        return linear(data, rows, lab.solve(factor, p, w, CLASSES));
      };
    },
    // Multinomial logistic regression to its optimum, the offset without a penalty: conjugate gradients against the bound
    // x'x / 2 of the curvature, the best step along each direction by Newton's method. A draw begins at the last one's end.
    logistic: function* (s, data) {
      const rows = features(s, data), { x, p } = rows, n = data.n, last = (p - 1) * CLASSES, factor = lab.normal(x, n, p, 2 * s.penalty);
      const w = new Float64Array(p * CLASSES), dot = (a, b, end) => { let sum = 0; for (let j = 0; j < end; j++) sum += a[j] * b[j]; return sum; };
      return function* (labels) {
        const direction = new Float64Array(w.length), scores = lab.times(x, w, n, p, CLASSES), rest = new Float64Array(scores.length);
        for (let round = 0, slope = 0, before = w; round < 500; round++) {
          rest.set(scores);
          for (let i = 0; i < n; i++) lab.network.softmax(rest, i * CLASSES, CLASSES, labels[i]);
          const gradient = lab.products(x, rest, n, p, CLASSES);
          for (let j = 0; j < last; j++) gradient[j] += s.penalty * w[j];
          const step = lab.solve(factor, p, gradient.slice(), CLASSES), now = dot(gradient, step, w.length);
          if (now < ENOUGH * n) break;
          const turn = slope ? Math.max(0, (now - dot(before, step, w.length)) / slope) : 0;
          for (let j = 0; j < w.length; j++) direction[j] = turn * direction[j] - step[j];
          const along = lab.times(x, direction, n, p, CLASSES), own = s.penalty * dot(direction, direction, last), pull = s.penalty * dot(w, direction, last);
          let far = 0;
          for (let newton = 0; newton < 4; newton++) {
            let rise = pull + far * own, bend = own;
            for (let i = 0; i < n; i++) {
              const at = i * CLASSES;
              let mean = 0, square = 0;
              for (let c = at; c < at + CLASSES; c++) rest[c] = scores[c] + far * along[c];
              lab.network.softmax(rest, at, CLASSES, labels[i]);
              rest[at + labels[i]] += 1;
              for (let c = at; c < at + CLASSES; c++) { mean += rest[c] * along[c]; square += rest[c] * along[c] * along[c]; }
              rise += mean - along[at + labels[i]];
              bend += square - mean * mean;
            }
            far -= rise / bend;
          }
          for (let j = 0; j < w.length; j++) w[j] += far * direction[j];
          for (let c = 0; c < scores.length; c++) scores[c] += far * along[c];
          before = gradient;
          slope = now;
          yield;
        }
        return linear(data, rows, w);
      };
    },
    knn: function* (s, data) {
      const { x, t, p } = features(s, data), near = [];
      for (const [rows, n] of [[x, data.n], [t, data.m]]) near.push([yield* lab.neighbours(x, data.n, rows, n, p, KNOWN), n]);
      return function* (labels) { return near.map(([rows, n]) => lab.vote(rows, n, KNOWN, s.k, labels, CLASSES)); };
    }
  };

  lab.jobs.rationality = function* (s) {
    const data = lab.digits(s.seed, s.n), probe = yield* PROBES[s.probe](s, data), sums = lab.noisyExperiment(data.n);
    const [own, fresh] = yield* probe(data.y), train = lab.share(own, data.y), test = lab.share(fresh, data.u), seeds = lab.numpy(s.seed, DRAWS);
    for (let draw = 1; draw <= s.draws; draw++) {
      const noisy = lab.flip(data.y, CLASSES, s.rate, seeds.below(2147483648)), [told, after] = yield* probe(noisy);
      sums.add(told, noisy, data.y, lab.share(after, data.u));
      yield { gaps: sums.gaps(train, test), share: draw / s.draws };
    }
    return { gaps: sums.gaps(train, test) };
  };

  // End to end: a network learns the clean labels, then, from new weights, the noisy ones; the gaps move as it memorises.
  lab.jobs.memorise = function* (s) {
    const data = lab.digits(s.seed, s.n), [x, t] = lab.scaled(data, 4);
    const noisy = lab.flip(data.y, CLASSES, s.rate, lab.numpy(s.seed, DRAWS).below(2147483648));
    let train = 0, test = 0, gaps = null;
    for (const labels of [data.y, noisy])
      for (const now of lab.network.memorise([data.d, s.width, CLASSES], x, labels, data.n, lab.fast(s.seed, labels === noisy ? 76 : 75))) {
        if (!now) { yield; continue; }
        const told = lab.network.predict(now.net, x, data.n), after = lab.share(lab.network.predict(now.net, t, data.m), data.u), sums = lab.noisyExperiment(data.n);
        if (labels === noisy) {
          sums.add(told, noisy, data.y, after);
          gaps = sums.gaps(train, test);
        } else [train, test] = [lab.share(told, data.y), after];
        yield { gaps: gaps, says: (gaps ? "Noisy labels" : "Clean labels first") + ": epoch " + now.epoch + ", training error " + (100 * now.error).toFixed(1) + "\u00a0%." };
      }
    return { gaps: gaps };
  };
});

(function (lab) {
  "use strict";
  const { element, percent, chart, band, atRate, table, csv, experiment, select, range, rate, seed } = lab.view;
  const learnt = (s) => s.features === "simclr" || s.features === "vicreg";
  const CONTROLS = [
    select("features", "features", ["pixels", ["random_relu", "random ReLU"], ["simclr", "SimCLR (seed 0)"], ["vicreg", "VICReg (seed 0)"]], "pixels"),
    select("probe", "probe", ["ridge", "logistic", ["knn", "nearest neighbours"]], "ridge"),
    select("penalty", "penalty", [0.001, 0.01, 0.1, 1, 10, 100, 1000], 1, (s) => s.probe !== "knn"),
    range("k", "neighbours", 1, 51, 2, 15, { when: (s) => s.probe === "knn" }),
    range("width", "units of ReLU or network", 20, 500, 20, 200),
    rate("rate", "noise rate η", 0.05, 0.9, 0.05, 0.2),
    range("n", "training images", 100, 1000, 50, 1000),
    range("draws", "noise draws", 5, 200, 5, 100),
    seed((s) => !learnt(s))
  ];
  const PARTS = [["robustness", "robustness gap"], ["rationality", "rationality gap"], ["memorization", "memorization gap"], ["bound", "sum of the three"], ["generalization", "generalization gap, at most the sum"], ["certificate", "limit of the memorization gap (theory)"]];
  const ROLES = { generalization: "null", certificate: "bayes" };
  const NAMES = { pixels: "pixels", random_relu: "500 random ReLU", simclr: "SimCLR", vicreg: "VICReg", ridge: "ridge", logistic: "logistic regression", knn: "15 neighbours" };

  lab.experiments.rationality = function (root) {
    let own = [];
    const bars = element("div", { class: "scroll" }), plot = element("div"), foot = element("p", { class: "dl-lab-foot" });
    const known = (s) => lab.banks.recorded.rationality[s.job === "memorise" ? "supervised network" : s.features + " " + s.probe];
    const usual = (s) => s.job !== "memorise" && s.n === 1000 && (s.probe === "knn" ? s.k === 15 : s.penalty === 1) && (s.features !== "random_relu" || s.width === 500);
    function show(gaps, s) {
      const most = Math.max(0.05, ...PARTS.map(([key]) => gaps[key])), record = usual(s) && known(s), at = atRate(record, s.rate);
      bars.replaceChildren(table(["gap", "size", "yours", "recorded, all seeds"], PARTS.map(function ([key, words]) {
        const bar = element("i", { class: "role-" + (ROLES[key] || "own"), "data-gap": key, "data-value": String(gaps[key]) });
        bar.style.width = Math.round(100 * gaps[key] / most) + "%";
        return [words, bar, percent(gaps[key]), at >= 0 && record[key] ? percent(record[key].low[at]) + " to " + percent(record[key].high[at]) : "–"];
      })));
      bars.firstChild.className = "dl-lab-bars";
    }
    function line(s) {
      const record = known(s), marks = record ? band(record.memorization, s.job === "memorise" ? "a network, end to end" : NAMES[s.probe] + " on " + NAMES[s.features]) : [];
      marks.push({ kind: "dots", role: "own", name: "yours, not recorded", points: own });
      const high = Math.max(0.2, ...own.map((p) => p[1]), ...(record ? record.memorization.high : [])) * 1.05;
      chart(plot, { height: 240, label: "Memorization gap against the noise rate: your runs over the recorded ones.", marks: marks,
        x: { low: 0, high: 0.95, label: "noise rate η", format: (v) => percent(v, 0) }, y: { low: 0, high: Math.min(1, high), label: "memorization gap", format: (v) => percent(v, 0) } });
    }
    experiment(root, {
      name: "rationality", controls: CONTROLS, banks: (s) => ["digits", "recorded"].concat(learnt(s) ? s.features : []), buttons: [["rationality", "Run"], ["memorise", "A network, end to end"]],
      settings: (s) => (learnt(s) ? { ...s, seed: 0 } : s),
      live: (s) => root.dataset.job !== "memorise" && s.probe !== "logistic",
      changed: function (s, name) {
        if (name !== "rate") own = [];
        if (name === "probe") s.draws = s.probe === "logistic" ? 20 : 100; // a tenth of a second a draw
      },
      python: function (s, job) {
        if (job === "memorise") return { command: "python -m dlcore run rationality dataset=digits objective=supervised architecture=mlp width=" + s.width + " noise=" + s.rate + " n_train=" + s.n + " draws=2 seed=" + s.seed, note: "The same images and the very same noisy labels; the Python's network has two layers, other weights at first, and a second draw of noise." };
        const extra = s.probe === "knn" ? " neighbours=" + s.k : " strength=" + s.penalty, width = s.features === "random_relu" ? " dimension=" + s.width : "";
        return {
          command: "python -m dlcore run rationality dataset=digits objective=" + s.features + width + " probe=" + s.probe + extra + " noise=" + s.rate + " n_train=" + s.n + " draws=" + s.draws + " seed=" + (learnt(s) ? 0 : s.seed),
          note: "The same images and the very same noisy labels" + (learnt(s) ? "; the page has the features rounded to 32 levels, learnt from all 1,000 images." : s.features === "pixels" ? ": the gaps are the same." : "; the random weights differ.")
        };
      },
      view: function (area) {
        area.append(bars, plot, foot);
        return {
          told: function (now, s, job) { if (now.gaps) show(now.gaps, { job, ...s }); },
          done: function ({ gaps }, s, job) {
            s = { job, ...s };
            root.dataset.job = job;
            show(gaps, s);
            own = own.filter(([r]) => r !== s.rate).concat([[s.rate, gaps.memorization, "yours: " + percent(gaps.memorization)]]);
            line(s);
            foot.replaceChildren(csv("rationality", "Gaps", ["gap", "value"], () => Object.entries(gaps)));
            return (job === "memorise" ? "A network of " + s.width + " units, end to end" : gaps.draws + " draws of noise") + ": accuracy " + percent(gaps.train) + " on clean training labels and " + percent(gaps.test) + " on new images. Of the mislabelled images it still gives " + percent(gaps.noisyTrain) + " their true class; it repeats " + percent(gaps.fitted) + " of the noisy labels. Memorization gap " + percent(gaps.memorization) + "; " + (gaps.certificate < 1 ? "theory allows at most " + percent(gaps.certificate) + "." : "theory sets no limit below 100\u00a0% here.");
          }
        };
      }
    });
  };
})(window.dlLab);
