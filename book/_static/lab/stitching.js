// Chapter 2: two networks from two seeds, the lower layers of one joined to the upper layers of the other.
dlLab.part(function (lab) {
  "use strict";
  const CLASSES = 10, JITTER = 1e-8;

  // Returns the network that is `top` from layer `at` on, below it a linear map of the bottom's activations there.
  lab.joined = function (top, at, map, bias) {
    const width = top.sizes[at];
    return {
      sizes: [map.length / width, width].concat(top.sizes.slice(at + 1)), weights: [map].concat(top.weights.slice(at)), biases: [bias].concat(top.biases.slice(at)),
      linear: [true].concat(top.linear.slice(at)), fixed: [false].concat(top.weights.slice(at).map(() => true))
    };
  };
  // Least squares of the top's activations (n, q) on the bottom's (n, p), with an intercept: {map (p, q), bias (q)}.
  lab.leastSquares = function (from, to, n, p, q) {
    const x = lab.withOnes(from, n, p), scale = lab.products(x, x, n, p + 1, p + 1).reduce((s, v, i) => (i % (p + 2) ? s : s + v), 0);
    const w = lab.solve(lab.normal(x, n, p + 1, JITTER * scale / (p + 1)), p + 1, lab.products(x, to, n, p + 1, q), q);
    return { map: w.slice(0, p * q), bias: w.slice(p * q) };
  };

  lab.jobs.stitching = function* (s) {
    const data = lab.sample({ ...s, n: s.dataset === "digits" ? 1200 : 4000 }), { n, m, d } = data, [x, t] = lab.scaled(data, 4);
    const sizes = [d].concat(new Array(s.depth).fill(s.width), CLASSES), error = (told) => 1 - lab.share(told, data.u);
    const recipe = (random, epochs, rate) => ({ epochs: epochs, rate: rate, batch: 64, random: random, cosine: true });
    const noise = lab.fast(s.seed, 80), taught = data.y.map((y) => (noise() < s.rate ? noise.below(CLASSES) : y));
    function* trained(which, labels, share) {
      const random = lab.fast(s.seed, which), net = lab.network.make(sizes, random);
      for (const now of lab.network.train(net, x, labels, n, recipe(random, s.epochs, 3e-3))) yield now && { share: share + 0.3 * now.epoch / s.epochs, says: now.epoch === 1 ? "Training the " + ["top", "bottom"][which - 81] + "." : "" };
      return net;
    }
    const top = yield* trained(81, data.y, 0), bottom = yield* trained(82, taught, 0.3), none = lab.network.make(sizes, lab.fast(s.seed, 83));
    const base = lab.network.predict(top, t, m), own = lab.network.predict(bottom, t, m);
    const result = { topError: error(base), bottomError: error(own), top: base, bottom: own, answers: [], curves: { pair: [], self: [], none: [] }, truth: data.u, rows: data.t, d: d };
    for (let at = 1; at <= s.depth; at++) {
      const target = lab.network.outputs(top, x, n, 0, at);
      for (const [name, net] of [["pair", bottom], ["self", top], ["none", none]]) {
        const from = lab.network.outputs(net, x, n, 0, at), test = lab.network.outputs(net, t, m, 0, at);
        let joined;
        if (s.map === "trained") {
          const random = lab.fast(s.seed, 84, at), start = lab.network.make([s.width, s.width], random);
          joined = lab.joined(top, at, start.weights[0], start.biases[0]);
          for (const now of lab.network.train(joined, from, data.y, n, recipe(random, 20, 1e-2))) yield now && undefined;
        } else {
          const { map, bias } = lab.leastSquares(from, target, n, s.width, s.width);
          joined = lab.joined(top, at, map, bias);
        }
        const told = lab.network.predict(joined, test, m);
        result.curves[name].push([at, error(told) - result.topError]);
        if (name === "pair") result.answers.push(told);
        yield { share: 0.6 + 0.4 * at / s.depth, curves: result.curves };
      }
    }
    return result;
  };
});

(function (lab) {
  "use strict";
  const { element, percent, points, chart, band, picture, table, csv, experiment, select, range, rate, seed } = lab.view;
  const CONTROLS = [
    select("dataset", "data", ["digits", ["mnist1d", "MNIST-1D signals"]], "digits"),
    range("depth", "hidden layers", 1, 5, 1, 3),
    select("width", "units a layer", [8, 16, 32, 64], 32),
    range("epochs", "epochs", 1, 60, 1, 20),
    select("map", "joined by", [["least_squares", "least squares"], ["trained", "a map trained on the labels"]], "least_squares"),
    rate("rate", "random labels of the bottom", 0, 1, 0.1, 0),
    seed()
  ];

  lab.experiments.stitching = function (root) {
    const plot = element("div"), look = element("div", { class: "dl-lab-pictures" }), foot = element("p", { class: "dl-lab-foot" });
    function draw(curves, s) {
      // recorded MLPs are deeper and wider: the same share of the stages stands at the same place
      const known = s.dataset === "mnist1d" && lab.banks.recorded.stitching[s.map + " " + s.rate], rates = known ? known.rates.map((share) => share * s.depth) : [];
      const all = Object.values(curves).flat().map((p) => p[1]).concat(known ? known.low.concat(known.high) : []), high = Math.max(0.05, ...all) * 1.1, low = Math.min(-0.02, ...all) * 1.1;
      const line = (name, role, words, dash) => [{ kind: "line", role: role, dash: dash, name: words, points: curves[name] }, { kind: "dots", role: role, points: curves[name] }];
      chart(plot, { height: 260, label: "Stitching penalty against the layer at which two networks are joined.",
        marks: [...(known ? band({ ...known, rates }, known.of) : []), ...line("none", "null", "an untrained bottom", "dash"), ...line("self", "null", "the top's own bottom", true), ...line("pair", "own", "the other seed's bottom: yours, not recorded")],
        x: { low: Math.min(0.8, ...rates), high: s.depth + 0.2, whole: true, label: "hidden layer at which they are joined" },
        y: { low: low, high: high, label: "penalty: error above the top's", format: (v) => percent(v, 0) } });
    }
    function chooser(result, s) {
      const noun = s.dataset === "digits" ? "image" : "signal";
      let at = result.answers[0].findIndex((told, i) => told !== result.top[i] || result.bottom[i] !== result.top[i]);
      const shown = element("div"), input = element("input", { type: "number", min: "0", max: String(result.truth.length - 1), value: String(Math.max(0, at)), "aria-label": "number of a new " + noun });
      const next = element("button", { type: "button" }, "Next where they differ");
      function show() {
        at = Math.min(result.truth.length - 1, Math.max(0, Math.floor(Number(input.value)) || 0));
        const truth = result.truth[at], rows = [["the bottom's network", result.bottom[at]], ["the top's network", result.top[at]], ...result.answers.map((told, l) => ["joined at layer " + (l + 1), told[at]])];
        shown.replaceChildren(picture(Array.from(result.rows.subarray(result.d * at, result.d * at + result.d)), "a " + truth), table(["of this " + truth, "says"], rows.map(([who, what]) => [who, what + (what === truth ? "" : " (wrong)")])));
      }
      input.addEventListener("change", show);
      next.addEventListener("click", function () {
        for (let i = 1; i <= result.truth.length; i++) {
          const j = (at + i) % result.truth.length;
          if (result.bottom[j] !== result.top[j] || result.answers.some((told) => told[j] !== result.top[j])) { input.value = String(j); show(); return; }
        }
      });
      look.replaceChildren(element("p", {}, element("label", {}, "What do they say of new " + noun + " ", input), " ", next), shown);
      show();
    }
    experiment(root, {
      name: "stitching", controls: CONTROLS, banks: ["digits", "recorded"], buttons: [["stitching", "Run"]],
      python: (s) => ({
        command: "python -m dlcore run stitching dataset=" + s.dataset + " architecture=mlp width=" + s.width + " depth=" + s.depth + " epochs=" + s.epochs + " family=" + (s.map === "trained" ? "linear" : "least_squares") + " noise=" + s.rate + " seed=" + s.seed,
        note: (s.dataset === "digits" ? "The same images" : "Signals of the same law") + "; the Python's networks start from other weights. The recorded ones, of signals, are larger."
      }),
      view: function (area) {
        area.append(plot, look, foot);
        return {
          told: function (now, s) { if (now.curves && now.curves.none.length) draw(now.curves, s); },
          done: function (result, s) {
            draw(result.curves, s);
            chooser(result, s);
            foot.replaceChildren(csv("stitching", "Penalties", ["bottom", "layer", "penalty"], () => Object.entries(result.curves).flatMap(([name, curve]) => curve.map((p) => [name, ...p]))));
            const middle = result.curves.pair[s.depth >> 1], bare = result.curves.none[s.depth >> 1];
            return "Errors on new data: " + percent(result.topError) + " by the top's network, " + percent(result.bottomError) + " by the bottom's. Joined at layer " + middle[0] + ", the other seed's bottom costs " + points(middle[1]) + " over the top alone; an untrained bottom costs " + points(bare[1]) + ".";
          }
        };
      }
    });
  };
})(window.dlLab);
