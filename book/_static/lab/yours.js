// The reader's own model: calibration of its answers with the null, agreement, and the alignment of two tables of features.
dlLab.part(function (lab) {
  "use strict";
  const REPLICATES = 500;

  lab.jobs.answers = function* ({ feature, prediction, label, features, classes }) {
    const n = prediction.length, random = lab.fast(0, 95), counts = lab.tally(feature, prediction, features, classes), found = { counts: counts, n: n };
    yield;
    if (!label) return found;
    const given = lab.tally(feature, label, features, classes), law = Float64Array.from(given), agreed = lab.share(prediction, label);
    for (let r = 0; r < features; r++) {
      let total = 0;
      for (let k = 0; k < classes; k++) total += given[r * classes + k];
      if (total) for (let k = 0; k < classes; k++) law[r * classes + k] /= total;
    }
    // what an exact sampler of the labels' law would score against them: independent given the feature
    let sampled = 0;
    for (let i = 0; i < given.length; i++) sampled += given[i] / n * law[i];
    return Object.assign(found, { given: given, agreement: agreed, interval: lab.wilson(Math.round(agreed * n), n), sampler: sampled, tv: lab.calibration(counts, law, features, classes, REPLICATES, random) });
  };
  lab.jobs.alignment = function* ({ one, two, n, p, q }) {
    yield;
    return lab.cka(one, two, n, p, q);
  };
});

(function (lab) {
  "use strict";
  const { element, percent, many, heat, table, experiment, select } = lab.view;
  const CLASSES = 60, COLUMNS = 600;
  const fault = (words) => { throw new Error(words); };

  // Returns the settings of a job from pasted rows; every fault is one sentence.
  lab.answersOf = function (text) {
    const rows = lab.rows(text), width = rows.cells[0].length, column = (j) => rows.cells.map((r) => r[j]);
    if (width < 2 || width > 3) fault(width + (width > 1 ? " columns were" : " column was") + " found: a row needs a feature and a prediction, and may have a label.");
    if (rows.cells.length < 2) fault("One row is too few to estimate a law.");
    const feature = lab.categories([column(0)], rows.lines, CLASSES), answers = lab.categories([column(1)].concat(width > 2 ? [column(2)] : []), rows.lines, CLASSES);
    if (answers.names.length < 2) fault("All answers are “" + answers.names[0] + "”: with one class there is nothing to compare.");
    return { feature: feature.codes[0], prediction: answers.codes[0], label: answers.codes[1] || null, features: feature.names.length, classes: answers.names.length, names: answers.names, rows: feature.names };
  };
  const featureTable = function (text) {
    const found = lab.numbers(lab.rows(text), null);
    if (found[0].length > COLUMNS) fault("There are " + many(found[0].length) + " columns; at most " + COLUMNS + " are compared in the page.");
    return found;
  };
  lab.featuresOf = function (first, second) {
    const [one, two] = [[first, "first"], [second, "second"]].map(function ([text, which]) {
      try { return featureTable(text); } catch (error) { return fault("In the " + which + " table: " + error.message); }
    });
    if (one.length !== two.length) fault("The tables have " + many(one.length) + " and " + many(two.length) + " rows: a row of each belongs to the same input.");
    if (one.length < 4) fault(one.length + " rows are too few: 4 are needed.");
    return { one: Float64Array.from(one.flat()), two: Float64Array.from(two.flat()), n: one.length, p: one[0].length, q: two[0].length };
  };

  lab.experiments.yours = function (root) {
    let first, second;
    const map = element("div", { class: "dl-lab-maps" }), numbers = element("div", { class: "scroll" });
    const labels = { answers: "Your rows: feature, prediction and, if you have it, label", alignment: "Features of the first model: a row for each input" };
    experiment(root, {
      name: "yours", buttons: [["run", "Measure"]],
      controls: [select("what", "you have", [["answers", "answers of a classifier"], ["alignment", "features of two models"]], "answers")],
      extra: function (state, run, say) {
        const problem = function (words) {
          if (words) say(words, true);
          else if (state.what === "answers" || (first.text() && second.text())) run("run");
        };
        first = lab.field(labels[state.what], "cat, object, object\ncat, animal, animal\n…", (text) => (state.what === "answers" ? lab.answersOf : featureTable)(text), problem);
        second = lab.field("Features of the second model, the same inputs in the same order", "0.1, 2.3, -0.4\n…", featureTable, problem);
        second.box.hidden = state.what === "answers";
        return [first.box, second.box];
      },
      changed: function (s) {
        second.box.hidden = s.what === "answers";
        first.box.querySelector("label").firstChild.textContent = labels[s.what];
        first.box.querySelector("textarea").setAttribute("aria-label", labels[s.what]);
        map.replaceChildren();
        numbers.replaceChildren();
      },
      check: (s) => { if (s.what === "answers") lab.answersOf(first.text()); else lab.featuresOf(first.text(), second.text()); },
      job: (s) => s.what,
      settings: (s) => (s.what === "answers" ? lab.answersOf(first.text()) : lab.featuresOf(first.text(), second.text())),
      python: (s) => ({
        command: s.what === "answers" ? "from dlcore.metrics import distributional as dg\ndg.feature_calibration(feature, predictions, conditional)\ndg.agreement(predictions, labels)" : "from dlcore.metrics.similarity import linear_cka\nlinear_cka(x, y), linear_cka(x, y, debiased=True)",
        note: s.what === "answers" ? "`conditional` holds p(label | feature), a row for each feature; the page takes the frequencies of your labels." : "The same numbers."
      }),
      view: function (area) {
        area.append(map, numbers);
        const rows = (list) => numbers.replaceChildren(table(null, list));
        return {
          done: function (result, s) {
            if (result.plain !== undefined) {
              map.replaceChildren();
              rows([["linear CKA", result.plain.toFixed(4)], ["debiased", result.debiased.toFixed(4)], ["inputs, columns", many(s.n) + "; " + many(s.p) + " and " + many(s.q)]]);
              return "Linear CKA of the two tables: " + result.plain.toFixed(4) + ", debiased " + result.debiased.toFixed(4) + ". The plain value grows with the number of columns over rows; the debiased one does not.";
            }
            const box = element("div");
            map.replaceChildren(element("figure", {}, element("figcaption", {}, "Answers (columns: " + s.names.slice(0, 10).join(", ") + ") by feature (rows: " + s.rows.slice(0, 10).join(", ") + ")"), box));
            heat(box, result.counts, s.features, s.classes, "own", "Counts of answers by feature.");
            if (!result.tv) {
              rows([["rows", many(result.n)]]);
              return "The joint law of feature and prediction, of " + many(result.n) + " rows. With a third column, the label, its distance from the labels' law and the agreement would be known.";
            }
            const tv = result.tv;
            rows([["total variation (TV) from the labels' law", tv.tv.toFixed(4)], ["mean TV of an exact sampler", tv.nullMean.toFixed(4)], ["95\u00a0% of exact samplers show at most", tv.nullQ95.toFixed(4)], ["TV without the chance part", tv.debiased.toFixed(4)], ["its 95\u00a0% interval", tv.low.toFixed(4) + " to " + tv.high.toFixed(4)], ["agreement with the labels", percent(result.agreement) + " [" + result.interval.map((v) => percent(v)).join(", ") + "]"], ["agreement of a sampler that sees the feature only", percent(result.sampler)]]);
            return "Total variation from the labels' law: " + tv.tv.toFixed(3) + ", " + (tv.tv > tv.nullQ95 ? "more" : "no more") + " than an exact sampler of this law shows by chance (" + tv.nullMean.toFixed(3) + " in the mean, at most " + tv.nullQ95.toFixed(3) + " in 95 of 100 draws). Prediction and label agree on " + percent(result.agreement) + " of " + many(result.n) + " rows.";
          }
        };
      }
    });
  };
})(window.dlLab);
