// Chapter 4: the reader's own learning curve under four laws, and a learner of a Zipfian lexicon whose curve theory gives.
dlLab.part(function (lab) {
  "use strict";
  const DRAWS = 500, SMOOTHING = 0.1, WORDS = 6, AMBIGUOUS = 0.7;

  // scaling.report: every law that the sizes can carry, with the largest held out, the best law and the sentence.
  lab.jobs.fit = function* ({ sizes, losses, unit }) {
    const random = lab.fast(0, 90), levels = [...new Set(sizes)].sort((a, b) => a - b), largest = levels[levels.length - 1], laws = Object.keys(lab.laws).filter((name) => levels.length - 1 > lab.laws[name].parameters.length);
    const inside = sizes.map((d, i) => (d < largest ? i : -1)).filter((i) => i >= 0), outside = sizes.map((d, i) => (d === largest ? i : -1)).filter((i) => i >= 0), found = [];
    const grid = Array.from({ length: 40 }, (_, i) => levels[0] * Math.pow(4 * largest / levels[0], i / 39));
    for (const name of laws) {
      const held = lab.finish(lab.fit(inside.map((i) => sizes[i]), inside.map((i) => losses[i]), name, 0, random));
      const error = outside.reduce((s, i) => s + Math.abs(Math.log(held.predict(largest) / losses[i])), 0) / outside.length;
      const steps = lab.fit(sizes, losses, name, DRAWS, random);
      let step = steps.next();
      for (; !step.done; step = steps.next()) yield { share: (found.length + step.value) / laws.length };
      const { predict, band, ...rest } = step.value;
      found.push(Object.assign(rest, { error: error, curve: grid.map((d) => [d, predict(d)]), band: grid.map((d) => [d].concat(band(d))), doubling: predict(2 * largest) / predict(largest), next: predict(largest) - predict(largest + 1) }));
    }
    found.sort((a, b) => a.error.toPrecision(6) - b.error.toPrecision(6)); // rounding decides no order
    const best = found.find((f) => !Object.keys(f.flags).length) || found[0], e = best.exponent, [low, high] = best.intervals[e], others = found.filter((f) => f !== best), lost = Object.entries(best.flags);
    const number = (v) => String(Number(v.toPrecision(4)));
    let sentence = "On " + sizes.length + " runs of " + levels.length + " sizes (" + number(levels[0]) + " to " + number(largest) + " " + unit + ") the loss follows " + best.formula + " with " + e + " = " + best.parameters[e].toFixed(3);
    sentence += " [" + low.toFixed(3) + ", " + high.toFixed(3) + "] (95 % " + best.method + "; rmsle " + best.rmsle.toPrecision(2) + "); fitted without the largest size it misses that size by " + (100 * best.error).toFixed(1) + " %";
    sentence += others.length ? " (other laws: " + others.map((f) => f.law + " " + (100 * f.error).toFixed(1) + " %").join(", ") + ")." : ".";
    if (lost.length) sentence += " Not determined: " + lost.map(([k, v]) => k + " (" + v + ")").join("; ") + ".";
    return { laws: found, best: best.law, sentence: sentence + " The exponent belongs to this law and is not comparable with that of another." };
  };

  function poisson(mean, random) {
    if (mean > 30) return Math.max(0, Math.round(mean + Math.sqrt(mean) * random.normal()));
    const least = Math.exp(-mean);
    let n = 0;
    for (let product = random(); product > least; product *= random()) n++;
    return n;
  }
  function binomial(n, p, random) {
    if (p >= 1) return n;
    if (n > 100) return Math.min(n, Math.max(0, Math.round(n * p + Math.sqrt(n * p * (1 - p)) * random.normal())));
    let hits = 0;
    for (let i = 0; i < n; i++) if (random() < p) hits++;
    return hits;
  }

  // The loss above its floor, in nats per word, of a learner that counts how the words of one Zipfian list were translated:
  // 6 words a pair, every fourth with two translations, `rate` of them wrong.
  lab.jobs.lexicon = function* (s) {
    const p = Float64Array.from({ length: s.types }, (_, r) => Math.pow(r + 1, -s.exponent)), total = p.reduce((a, b) => a + b, 0), random = lab.fast(s.seed, 91), points = [];
    let share = 0;
    p.forEach((v, r) => { p[r] = v / total; if (r % 4 === 0) share += p[r]; });
    const floor = -share * (AMBIGUOUS * Math.log(AMBIGUOUS) + (1 - AMBIGUOUS) * Math.log(1 - AMBIGUOUS)) - Math.log(1 - s.rate);
    for (let power = 5; power <= 15; power++) {
      const size = Math.pow(2, power);
      let sum = 0, unseen = 0;
      for (let draw = 0; draw < s.draws; draw++)
        for (let r = 0; r < s.types; r++) {
          const seen = poisson(WORDS * size * p[r], random), good = binomial(seen, 1 - s.rate, random), two = r % 4 === 0, first = two ? binomial(good, AMBIGUOUS, random) : good;
          const nats = (count) => -Math.log((count + SMOOTHING / s.types) / (seen + SMOOTHING));
          sum += p[r] * (two ? AMBIGUOUS * nats(first) + (1 - AMBIGUOUS) * nats(good - first) : nats(first));
          if (r % 4096 === 4095) yield;
        }
      for (let r = 0; r < s.types; r++) unseen += p[r] * Math.exp(WORDS * size * Math.log1p(-p[r]));
      points.push([size, sum / s.draws - floor, unseen]);
      yield { points: points.slice(), floor: floor, share: (power - 4) / 11 };
    }
    return { points: points, floor: floor };
  };
});

(function (lab) {
  "use strict";
  const { element, percent, short, many, compact, chart, band, table, csv, experiment, select, range, rate, seed } = lab.view;
  const EXAMPLE = "D,loss\n1000,0.2521\n2000,0.2075\n4000,0.1679\n8000,0.1398\n16000,0.1138\n32000,0.0972\n64000,0.0838\n128000,0.0745\n256000,0.0693\n512000,0.0659\n";
  const MOST = 400, OTHERS = ["", "dash", "dotted"];
  const SYMBOLS = { alpha: "α", beta: "β", floor: "L∞", c0: "c₀", c1: "c₁", d1: "d₁", f1: "f₁" };

  // Returns sizes and losses of pasted rows; every fault is one sentence.
  lab.curveOf = function (text) {
    const rows = lab.rows(text);
    if (rows.cells[0].length < 2) throw new Error("One column was found: a row needs a size and a loss, as in 1000, 2.31.");
    const found = lab.numbers(rows, [0, 1]), sizes = found.map((r) => r[0]), losses = found.map((r) => r[1]), seen = new Map();
    found.forEach(([d, loss], i) => { if (!(d > 0 && loss > 0)) throw new Error("Line " + rows.lines[i] + ": sizes and losses must be above 0, and " + (d > 0 ? loss : d) + " is not."); });
    if (found.length > MOST) throw new Error("There are " + many(found.length) + " rows; at most " + MOST + " runs are fitted in the page. In Python there is no such limit.");
    found.forEach((r) => seen.set(r.join(), (seen.get(r.join()) || 0) + 1));
    const distinct = new Set(sizes).size, copies = [...seen.entries()].filter(([, n]) => n > 1);
    if (copies.length && distinct === seen.size && 2 * copies.length < seen.size) throw new Error("Size " + copies[0][0].replace(",", " with loss ") + " occurs " + copies[0][1] + " times: a copied line? Most other sizes have one run.");
    if (distinct < 4) throw new Error(distinct + (distinct > 1 ? " distinct sizes are" : " size is") + " too few: 4 are needed to compare laws by the largest.");
    return { sizes: sizes, losses: losses };
  };

  function fitting(root) {
    let data = null;
    const plot = element("div"), fits = element("div", { class: "scroll", role: "region", tabindex: "0", "aria-label": "The fitted laws" }), quote = element("blockquote", {}), foot = element("p", { class: "dl-lab-foot" });
    const told = (f, k) => (SYMBOLS[k] || k) + (isFinite(f.parameters[k]) ? " = " + short(f.parameters[k]) + " [" + f.intervals[k].map(short).join(", ") + "]" : "") + (f.flags[k] ? " (" + f.flags[k] + ")" : "");
    experiment(root, {
      name: "scaling", controls: [select("unit", "unit of size", ["samples", "pairs", "tokens", "images"], "samples")], buttons: [["fit", "Fit my curve"]],
      extra: function (state, run, say) {
        data = lab.field("Your curve: a row for each run, size and loss", "1000, 0.252\n2000, 0.2075\n…", lab.curveOf, (problem) => { if (problem) say(problem, true); else run("fit"); });
        data.set(EXAMPLE);
        return [data.box];
      },
      check: () => lab.curveOf(data.text()),
      settings: (s) => ({ unit: s.unit, ...lab.curveOf(data.text()) }),
      python: () => ({ command: "from dlcore.metrics import scaling\nprint(scaling.report(sizes, losses).sentence)", note: "The same laws, bounds and starts; the bootstrap draws differ." }),
      view: function (area) {
        area.append(plot, fits, quote, foot);
        return {
          done: function (result, { sizes, losses, unit }) {
            const low = Math.min(...sizes), high = 4 * Math.max(...sizes), all = losses.concat(result.laws.flatMap((f) => f.curve.map((p) => p[1]))).filter((v) => v > 0 && isFinite(v)), best = result.laws.find((f) => f.law === result.best), others = result.laws.filter((f) => f !== best);
            chart(plot, { height: 320, label: "Your losses against size, on logarithmic axes, with the fitted laws.",
              marks: [{ kind: "band", role: "chosen", points: best.band }, ...others.map((f, i) => ({ kind: "line", role: "null", dash: OTHERS[i], thin: true, name: f.law, points: f.curve })), { kind: "line", role: "chosen", name: best.law + ", with its 95\u00a0% band", points: best.curve },
                { kind: "dots", role: "own", name: "yours", points: sizes.map((d, i) => [d, losses[i]]) }],
              x: { low: low / 1.1, high: high, log: true, label: "size D (" + unit + ")", format: compact }, y: { low: Math.min(...all) / 1.05, high: Math.max(...all) * 1.05, log: true, label: "loss" } });
            fits.replaceChildren(table(["law", "parameters, 95\u00a0% intervals", "error at the largest size, held out", "loss with twice the data", "loss that one more of the " + unit + " saves"], result.laws.map((f) => [f.law + ": " + f.formula,
              Object.keys(f.parameters).map((k) => told(f, k)).join("; "), percent(f.error), "× " + f.doubling.toFixed(3), short(f.next)])));
            quote.textContent = result.sentence;
            foot.replaceChildren(csv("laws", "Fits", ["law", "parameter", "value", "low", "high", "held_out_error"], () => result.laws.flatMap((f) => Object.keys(f.parameters).map((k) => [f.law, k, f.parameters[k], ...f.intervals[k], f.error]))));
            root.dataset.best = result.best;
            return "The best of the laws whose parameters your curve determines: " + result.best + ". For a paper:";
          }
        };
      }
    });
  }

  function lexicon(root) {
    const plot = element("div"), foot = element("p", { class: "dl-lab-foot" });
    experiment(root, {
      name: "lexicon", banks: ["recorded"], buttons: [["lexicon", "Run"]], live: () => true,
      controls: [
        range("exponent", "Zipf's exponent s", 1.1, 2.5, 0.1, 1.5, { show: (v) => v.toFixed(1) }),
        select("types", "words in the lexicon", [1024, 4096, 16384, 65536], 65536),
        rate("rate", "wrong translations", 0, 0.6, 0.05, 0),
        range("draws", "draws averaged", 1, 12, 1, 2),
        seed()
      ],
      python: (s) => ({
        command: "from dlcore.translation.counting import LexiconLearner\nfrom dlcore.translation.task import Transduction\ntask = Transduction(list_size=" + Math.floor(s.types / 3) + ", exponent=" + s.exponent + ")\nlearner = LexiconLearner(task).fit(task.sample(1024))\nprint(learner.sentence_losses(task.sample(500, stream=\"test\")).mean() - task.floor(unit=\"sentence\"))",
        note: "The whole synthetic language of the chapter: three such lists, and the grammar, which the learner knows."
      }),
      view: function (area) {
        area.append(plot, foot);
        function draw({ points }, s) {
          const known = lab.banks.recorded.counting[s.rate];
          const beta = 1 - 1 / s.exponent, middle = points[points.length >> 1], values = points.flatMap((p) => [p[1], p[2]]).concat(known ? known.low.concat(known.high) : []).filter((v) => v > 0);
          const low = Math.max(1e-6, Math.min(...values)) / 1.3, high = Math.max(...values) * 1.3, theory = [points[0], points[points.length - 1]].map(([d]) => [d, middle[1] * Math.pow(d / middle[0], -beta)]);
          chart(plot, { height: 300, label: "Loss above its floor against the number of sentence pairs, with the exponent that theory gives.",
            marks: [...(known ? band(known, known.of) : []), { kind: "line", role: "null", name: "unseen share of the words, exactly", points: points.map(([d, , u]) => [d, u]) }, { kind: "line", role: "bayes", dash: "dash", name: "slope of the theory, 1 − 1/s = " + beta.toFixed(3), points: theory },
              { kind: "line", role: "own", points: points }, { kind: "dots", role: "own", name: "the learner: yours, not recorded", points: points }],
            x: { low: 30, high: 36000, log: true, label: "sentence pairs D", format: compact }, y: { low: low, high: high, log: true, label: "loss above its floor, nats a word" } });
        }
        return {
          told: (now, s) => { if (now.points && now.points.length > 1) draw(now, s); },
          done: function (result, s) {
            draw(result, s);
            const half = result.points.slice(-6).filter((p) => p[1] > 0), x = half.map((p) => Math.log(p[0])), y = half.map((p) => Math.log(p[1])), mx = x.reduce((a, b) => a + b, 0) / x.length, my = y.reduce((a, b) => a + b, 0) / y.length;
            const slope = -x.reduce((t, v, i) => t + (v - mx) * (y[i] - my), 0) / x.reduce((t, v) => t + (v - mx) ** 2, 0);
            foot.replaceChildren(csv("lexicon", "Curve", ["pairs", "loss_above_floor", "unseen"], () => result.points));
            root.dataset.slope = slope;
            return "Over the larger half of the sizes the loss above its floor of " + result.floor.toFixed(3) + " falls with exponent " + slope.toFixed(3) + ". Theory gives " + (1 - 1 / s.exponent).toFixed(3) + " for an endless lexicon; with " + many(s.types) + " words it falls faster once nearly all were seen.";
          }
        };
      }
    });
  }

  lab.experiments.scaling = function (root) {
    const one = element("div", { class: "dl-lab-part" }), two = element("div", { class: "dl-lab-part" });
    root.append(one, element("p", { class: "dl-lab-title" }, "A learner of words, and the exponent that theory gives"), two);
    fitting(one);
    lexicon(two);
  };
})(window.dlLab);
