// The gaps of the noisy experiment and the bound on memorization: dlcore.metrics.rationality.
dlLab.part(function (lab) {
  "use strict";

  // Returns the mutual information, in nats, of a 2 x 2 table of counts.
  lab.information = function ([a, b, c, d]) {
    const x = (v) => (v > 0 ? v * Math.log(v) : 0), n = a + b + c + d;
    return Math.max(0, (x(a) + x(b) + x(c) + x(d) - x(a + b) - x(c + d) - x(a + c) - x(b + d) + x(n)) / n);
  };

  // Sums over noise draws of what the gaps are made of. `add` takes predictions, noisy and clean labels of one draw.
  lab.noisyExperiment = function (n) {
    const table = [0, 0, 0, 0]; // right and not flipped, right and flipped, wrong and not flipped, wrong and flipped
    let draws = 0, fitted = 0, after = 0;
    return {
      add: function (predictions, noisy, labels, test) {
        draws++;
        after += test;
        for (let i = 0; i < n; i++) {
          table[(predictions[i] === labels[i] ? 0 : 2) + (noisy[i] === labels[i] ? 0 : 1)]++;
          if (predictions[i] === noisy[i]) fitted++;
        }
      },
      // gaps, their bound, and sharp_memorization_bound of binary_deviation_complexity
      gaps: function (train, test) {
        const all = draws * n, flips = table[1] + table[3], rate = flips / all;
        const trainNoisy = (table[0] + table[1]) / all, noisyTrain = table[1] / flips, cut = (v) => Math.max(0, v);
        const found = {
          draws: draws, rate: rate, train: train, test: test, trainNoisy: trainNoisy, noisyTrain: noisyTrain,
          fitted: fitted / all, testAfter: after / draws, robustness: cut(train - trainNoisy),
          rationality: cut(noisyTrain - test), memorization: cut(trainNoisy - noisyTrain),
          generalization: cut(train - test),
          certificate: Math.sqrt(lab.information(table) / 2 * (1 - rate) / rate)
        };
        found.bound = found.robustness + found.rationality + found.memorization;
        return found;
      }
    };
  };
});
