// Chapter 1: a simple classifier on features learns wrong labels. What do they cost it, and how many does it memorise?
dlLab.part(function (lab) {
  "use strict";
  const CLASSES = 10, KNOWN = 51, DRAWS = 0x7e57; // the stream of the study's noise

  // Features of training and test images, with a column of ones: pixels in [0, 1], random ReLU of them, or those that
  // SimCLR learnt from the 1,000 training images of seed 0, without a label, in 32 levels.
  function features(s, { x, t, n, m, d }) {
    if (s.features === "simclr") {
      const { dimension: p, low, step, levels } = lab.banks.simclr, all = Float64Array.from(lab.unpacked(levels, (1000 + m) * p), (v) => low + step * v);
      return { x: lab.withOnes(all, n, p), t: lab.withOnes(all.subarray(1000 * p), m, p), p: p + 1 };
    }
    const one = Float64Array.from(x, (v) => v / 16), two = Float64Array.from(t, (v) => v / 16);
    if (s.features === "pixels") return { x: lab.withOnes(one, n, d), t: lab.withOnes(two, m, d), p: d + 1 };
    const random = lab.fast(s.seed, 74), w = s.width, weights = Float64Array.from({ length: d * w }, () => random.normal() / Math.sqrt(d));
    const offset = Float64Array.from({ length: w }, () => 0.5 * random.normal());
    const relu = (v, rows) => lab.withOnes(lab.times(v, weights, rows, d, w).map((e, i) => Math.max(0, e + offset[i % w])), rows, w);
    return { x: relu(one, n), t: relu(two, m), p: w + 1 };
  }

  // Returns a function of labels that gives the predictions on training and test rows.
  const PROBES = {
    ridge: function* (s, data) {
      const { x, t, p } = features(s, data), factor = lab.normal(x, data.n, p, s.penalty);
      yield;
      return function (labels) {
        const w = new Float64Array(p * CLASSES);
        for (let i = 0; i < data.n; i++) for (let j = 0; j < p; j++) w[j * CLASSES + labels[i]] += x[i * p + j];
        lab.solve(factor, p, w, CLASSES);
        const told = function (rows, n) {
          const scores = lab.times(rows, w, n, p, CLASSES);
          return Uint8Array.from({ length: n }, (_, i) => lab.largest(scores, i * CLASSES, CLASSES));
        };
        return [told(x, data.n), told(t, data.m)];
      };
    },
    knn: function* (s, data) {
      const { x, t, p } = features(s, data), rows = yield* lab.neighbours(x, data.n, x, data.n, p, KNOWN), test = yield* lab.neighbours(x, data.n, t, data.m, p, KNOWN);
      return (labels) => [lab.vote(rows, data.n, KNOWN, s.k, labels, CLASSES), lab.vote(test, data.m, KNOWN, s.k, labels, CLASSES)];
    }
  };

  lab.jobs.rationality = function* (s) {
    const data = lab.digits(s.seed, s.n), probe = yield* PROBES[s.probe](s, data), sums = lab.noisyExperiment(data.n);
    const [own, fresh] = probe(data.y), train = lab.share(own, data.y), test = lab.share(fresh, data.u), seeds = lab.numpy(s.seed, DRAWS);
    for (let draw = 1; draw <= s.draws; draw++) {
      const noisy = lab.flip(data.y, CLASSES, s.rate, seeds.below(2147483648)), [told, after] = probe(noisy);
      sums.add(told, noisy, data.y, lab.share(after, data.u));
      yield { gaps: sums.gaps(train, test), share: draw / s.draws };
    }
    return { gaps: sums.gaps(train, test) };
  };

  // End to end: a network learns the clean labels, then, from new weights, the noisy ones; the gaps move as it memorises.
  lab.jobs.memorise = function* (s) {
    const data = lab.digits(s.seed, s.n), x = Float64Array.from(data.x, (v) => v / 4), t = Float64Array.from(data.t, (v) => v / 4);
    const noisy = lab.flip(data.y, CLASSES, s.rate, lab.numpy(s.seed, DRAWS).below(2147483648));
    let train = 0, test = 0, last = 0, gaps = null;
    function show(net) {
      const told = lab.network.predict(net, x, data.n), after = lab.share(lab.network.predict(net, t, data.m), data.u), sums = lab.noisyExperiment(data.n);
      sums.add(told, noisy, data.y, after);
      return gaps = sums.gaps(train, test);
    }
    for (const labels of [data.y, noisy]) {
      const random = lab.fast(s.seed, labels === noisy ? 76 : 75), net = lab.network.make([data.d, s.width, CLASSES], random);
      for (const now of lab.network.train(net, x, labels, data.n, { epochs: 400, rate: 8e-3, batch: 64, random: random, untilZero: true })) {
        if (now && labels === noisy && performance.now() - last > 150) {
          yield { gaps: show(net), epoch: now.epoch };
          last = performance.now();
        } else yield;
      }
      if (labels === noisy) show(net);
      else { train = lab.share(lab.network.predict(net, x, data.n), data.y); test = lab.share(lab.network.predict(net, t, data.m), data.u); }
    }
    return { gaps: gaps };
  };
});

(function (lab) {
  "use strict";
  const { element, percent, short, many, chart, download, experiment } = lab.view;
  const CONTROLS = [
    { name: "features", label: "features", kind: "select", options: [["pixels", "pixels"], ["random_relu", "random ReLU"], ["simclr", "SimCLR, seed 0"]], value: "pixels" },
    { name: "probe", label: "probe", kind: "select", options: [["ridge", "ridge"], ["knn", "nearest neighbours"]], value: "ridge" },
    { name: "penalty", label: "penalty", kind: "select", options: [0.001, 0.01, 0.1, 1, 10, 100, 1000].map((v) => [String(v), String(v)]), value: "1", when: (s) => s.probe === "ridge" },
    { name: "k", label: "neighbours", kind: "range", min: 1, max: 51, step: 2, value: 15, when: (s) => s.probe === "knn" },
    { name: "width", label: "width of ReLU or network", kind: "range", min: 20, max: 500, step: 20, value: 200, show: (v) => many(v) },
    { name: "rate", label: "noise rate η", kind: "range", min: 0.05, max: 0.9, step: 0.05, value: 0.2, show: (v) => percent(v, 0) },
    { name: "n", label: "training images", kind: "range", min: 100, max: 1000, step: 50, value: 1000 },
    { name: "draws", label: "noise draws", kind: "range", min: 5, max: 200, step: 5, value: 100 },
    { name: "seed", label: "seed", kind: "number", min: 0, max: 9999, value: 0, when: (s) => s.features !== "simclr" }
  ];
  const PARTS = [["robustness", "robustness"], ["rationality", "rationality"], ["memorization", "memorization"], ["bound", "their sum, which bounds"], ["generalization", "the generalization gap"], ["certificate", "certificate on memorization"]];

  lab.experiments.rationality = function (root) {
    let own = [];
    const bars = element("div", { class: "scroll" }), plot = element("div"), foot = element("p", { class: "dl-lab-foot" });
    const known = (s) => (lab.banks.recorded ? lab.banks.recorded.rationality : {})[s.job === "memorise" ? "supervised" : s.features] || null;
    const usual = (s) => s.job !== "memorise" && s.probe === "ridge" && Number(s.penalty) === 1 && s.n === 1000 && (s.features !== "random_relu" || s.width === 500);
    function show(gaps, s) {
      const most = Math.max(0.05, ...PARTS.map(([key]) => gaps[key])), record = usual(s) && known(s), at = record ? record.rates.findIndex((r) => Math.abs(r - s.rate) < 1e-6) : -1;
      bars.replaceChildren(element("table", { class: "dl-lab-bars" }, element("tr", {}, ...["gap", "", "yours", "recorded, all seeds"].map((w) => element("th", { scope: "col" }, w))), ...PARTS.map(function ([key, words]) {
        const range = at >= 0 && record[key] ? percent(record[key].low[at]) + " to " + percent(record[key].high[at]) : "–";
        const bar = element("i", { class: "role-" + (key === "generalization" ? "test" : key === "certificate" ? "bayes" : "own") });
        bar.style.width = Math.round(100 * gaps[key] / most) + "%";
        return element("tr", { "data-gap": key, "data-value": String(gaps[key]) }, element("th", { scope: "row" }, words), element("td", { class: "bar" }, bar), element("td", {}, percent(gaps[key])), element("td", {}, range));
      })));
    }
    function line(s) {
      const record = known(s), marks = [];
      if (record) {
        const name = { pixels: "ridge on pixels", random_relu: "ridge on 500 random ReLU", simclr: "ridge on SimCLR", supervised: "a network end to end" }[s.job === "memorise" ? "supervised" : s.features];
        marks.push({ kind: "band", role: "chosen", name: "recorded: " + name + ", all its seeds", points: record.rates.map((r, i) => [r, record.memorization.low[i], record.memorization.high[i]]) });
        marks.push({ kind: "line", role: "chosen", points: record.rates.map((r, i) => [r, record.memorization.mean[i]]) });
      }
      marks.push({ kind: "dots", role: "own", name: "yours, not recorded", points: own });
      const high = Math.max(0.2, ...own.map((p) => p[1]), ...(record ? record.memorization.high : [])) * 1.05;
      chart(plot, { height: 240, label: "Memorization gap against the noise rate: your runs over the recorded ones.", marks: marks,
        x: { low: 0, high: 0.95, label: "noise rate η", format: (v) => percent(v, 0) }, y: { low: 0, high: Math.min(1, high), label: "memorization", format: (v) => percent(v, 0) } });
    }
    experiment(root, {
      name: "rationality", controls: CONTROLS, banks: (s) => ["digits", "recorded"].concat(s.features === "simclr" ? "simclr" : []), buttons: [["rationality", "Run"], ["memorise", "A network, end to end"]],
      settings: (s) => Object.assign({}, s, { penalty: Number(s.penalty), seed: s.features === "simclr" ? 0 : s.seed }),
      live: () => root.dataset.job !== "memorise",
      changed: (s, name) => { if (name !== "rate") own = []; },
      python: function (s) {
        const extra = s.probe === "ridge" ? " strength=" + s.penalty : " neighbours=" + s.k, width = s.features === "random_relu" ? " dimension=" + s.width : "";
        return {
          command: "python -m dlcore run rationality dataset=digits objective=" + s.features + width + " probe=" + s.probe + extra + " noise=" + s.rate + " n_train=" + s.n + " draws=" + s.draws + " seed=" + (s.features === "simclr" ? 0 : s.seed),
          note: s.features === "pixels" ? "The same images and the very same noisy labels: the gaps are the same." : s.features === "simclr" ? "The same images and the very same noisy labels; the page has the features rounded to 32 levels, of all 1,000 images." : "The same images and the very same noisy labels; the random weights differ."
        };
      },
      view: function (area) {
        area.append(bars, plot, foot);
        return {
          told: function (now, s, job) { if (now.gaps) show(now.gaps, Object.assign({ job: job }, s)); },
          done: function ({ gaps }, s, job) {
            s = Object.assign({ job: job }, s);
            root.dataset.job = job;
            show(gaps, s);
            own = own.filter(([r]) => r !== s.rate).concat([[s.rate, gaps.memorization, "yours: " + percent(gaps.memorization)]]);
            line(s);
            foot.replaceChildren(download("rationality.csv", "Gaps (CSV)", () => Object.entries(gaps).map((pair) => pair.join(",")).join("\n") + "\n"));
            return (job === "memorise" ? "A network of " + s.width + " units, end to end" : gaps.draws + " noise draws") + ": accuracy " + percent(gaps.train) + " on clean training labels and " + percent(gaps.test) + " on new images; " + percent(gaps.noisyTrain) + " of the mislabelled images are still called by their true class, and " + percent(gaps.fitted) + " of all noisy labels are repeated. Memorization " + percent(gaps.memorization) + ", at most " + percent(gaps.certificate) + " by the certificate.";
          }
        };
      }
    });
  };
})(window.dlLab);
