// Multilayer perceptrons: ReLU, cross-entropy, Adam. Layers may be fixed or linear, so that halves can be stitched.
dlLab.part(function (lab) {
  "use strict";

  // Returns a network with layers of the given sizes; weights and biases uniform in +-1/sqrt(inputs), as torch starts.
  function make(sizes, random) {
    const net = { sizes: sizes, weights: [], biases: [], linear: [], fixed: [] };
    for (let l = 0; l + 1 < sizes.length; l++) {
      const bound = 1 / Math.sqrt(sizes[l]), draw = () => (2 * random() - 1) * bound;
      net.weights.push(new Float64Array(sizes[l] * sizes[l + 1]).map(draw));
      net.biases.push(new Float64Array(sizes[l + 1]).map(draw));
      net.linear.push(l + 2 === sizes.length);
      net.fixed.push(false);
    }
    return net;
  }

  // Adds `count` rows of `from`, which begin at `places`, each times its factor, to the q numbers of `to` from `at` on.
  // Four at a time: the sums are read and written a fourth as often, which halves the time of training.
  function add(to, at, q, from, places, factors, count) {
    let c = 0;
    for (; c + 3 < count; c += 4) {
      const a = places[c] - at, b = places[c + 1] - at, d = places[c + 2] - at, e = places[c + 3] - at;
      const f = factors[c], g = factors[c + 1], h = factors[c + 2], i = factors[c + 3];
      for (let j = at; j < at + q; j++) to[j] += f * from[a + j] + g * from[b + j] + h * from[d + j] + i * from[e + j];
    }
    for (; c < count; c++) {
      const a = places[c] - at, f = factors[c];
      for (let j = at; j < at + q; j++) to[j] += f * from[a + j];
    }
  }
  const places = new Int32Array(4096), factors = new Float64Array(4096);

  // Computes layer l for `rows` rows of `from`, of which row r begins at place(r); zeros, half of all after ReLU, cost nothing.
  function layer(net, l, from, place, rows, to) {
    const p = net.sizes[l], q = net.sizes[l + 1];
    for (let r = 0; r < rows; r++) {
      let count = 0;
      for (let k = 0, at = place(r); k < p; k++)
        if (from[at + k] !== 0) { places[count] = k * q; factors[count++] = from[at + k]; }
      to.set(net.biases[l], r * q);
      add(to, r * q, q, net.weights[l], places, factors, count);
      if (!net.linear[l]) for (let j = r * q; j < (r + 1) * q; j++) if (to[j] < 0) to[j] = 0;
    }
  }

  // Returns what comes out of layer `last` for the n rows of x that go into layer `first`.
  function outputs(net, x, n, first = 0, last = net.weights.length) {
    for (let l = first; l < last; l++) {
      const to = new Float64Array(n * net.sizes[l + 1]), p = net.sizes[l];
      layer(net, l, x, (r) => r * p, n, to);
      x = to;
    }
    return x;
  }

  function predict(net, x, n) {
    const out = outputs(net, x, n), q = net.sizes[net.sizes.length - 1];
    return Uint8Array.from({ length: n }, (_, i) => lab.largest(out, i * q, q));
  }

  // Replaces the outputs of one row by the gradient of its cross-entropy; returns whether its answer was wrong.
  function softmax(out, at, classes, label) {
    const most = out[at + lab.largest(out, at, classes)], wrong = out[at + label] < most;
    let sum = 0;
    for (let c = at; c < at + classes; c++) sum += out[c] = Math.exp(out[c] - most);
    for (let c = at; c < at + classes; c++) out[c] /= sum;
    out[at + label] -= 1;
    return wrong;
  }

  function adam(net, rate) {
    const all = net.weights.concat(net.biases), zeros = () => all.map((p) => new Float64Array(p.length));
    return { rate: rate, steps: 0, all: all, gradient: zeros(), mean: zeros(), square: zeros(), a: [], d: [] };
  }

  // One step of Adam on rows order[start..end]; returns how many of them were wrong before it.
  function step(net, state, x, y, order, start, end) {
    const depth = net.weights.length, rows = end - start, classes = net.sizes[depth], { a, d, gradient } = state, lowest = net.fixed.indexOf(false);
    const from = (l) => (l ? a[l - 1] : x), place = (l) => (l ? (r) => r * net.sizes[l] : (r) => order[start + r] * net.sizes[0]);
    let wrong = 0;
    for (let l = 0; l < depth; l++) {
      const size = rows * net.sizes[l + 1];
      if (!a[l] || a[l].length < size) { a[l] = new Float64Array(size); d[l] = new Float64Array(size); }
      layer(net, l, from(l), place(l), rows, a[l]);
    }
    for (let r = 0; r < rows; r++) {
      const out = a[depth - 1], last = d[depth - 1], at = r * classes;
      for (let c = at; c < at + classes; c++) last[c] = out[c];
      if (softmax(last, at, classes, y[order[start + r]])) wrong++;
      for (let c = at; c < at + classes; c++) last[c] /= rows;
    }
    for (let l = depth - 1; l >= lowest; l--) {
      const p = net.sizes[l], q = net.sizes[l + 1], w = net.weights[l], up = d[l], inputs = from(l), at = place(l);
      if (!net.fixed[l]) {
        const own = gradient[l].fill(0), bias = gradient[depth + l].fill(0);
        for (let r = 0; r < rows; r++) for (let j = 0; j < q; j++) bias[j] += up[r * q + j];
        for (let k = 0; k < p; k++) {
          let count = 0;
          for (let r = 0; r < rows; r++) {
            const f = inputs[at(r) + k];
            if (f !== 0) { places[count] = r * q; factors[count++] = f; }
          }
          add(own, k * q, q, up, places, factors, count);
        }
      }
      if (l === lowest) continue;
      for (let r = 0; r < rows; r++)
        for (let k = 0; k < p; k++) {
          let back = 0;
          if (inputs[r * p + k] > 0 || net.linear[l - 1]) for (let j = 0; j < q; j++) back += w[k * q + j] * up[r * q + j];
          d[l - 1][r * p + k] = back;
        }
    }
    state.steps++;
    // Adam with its corrections of the start moved out of the loop
    const root = Math.sqrt(1 - Math.pow(0.999, state.steps)), rate = state.rate * root / (1 - Math.pow(0.9, state.steps)), tiny = 1e-8 * root;
    state.all.forEach(function (p, which) {
      if (net.fixed[which % depth]) return;
      const g = gradient[which], m = state.mean[which], v = state.square[which];
      for (let k = 0; k < p.length; k++) {
        m[k] += 0.1 * (g[k] - m[k]);
        v[k] += 0.001 * (g[k] * g[k] - v[k]);
        p[k] -= rate * m[k] / (Math.sqrt(v[k]) + tiny);
      }
    });
    return wrong;
  }

  // Trains on rows x (n, .) with classes y; yields after every step, and {epoch, error} after every epoch, the error
  // that its steps met. Ends after `epochs`, or, with `untilZero`, when the error on all rows is 0.
  function* train(net, x, y, n, options) {
    const state = adam(net, options.rate), order = Int32Array.from({ length: n }, (_, i) => i), batch = options.batch;
    for (let epoch = 1; epoch <= options.epochs; epoch++) {
      let wrong = 0;
      options.random.shuffle(order);
      if (options.cosine) state.rate = options.rate * 0.5 * (1 + Math.cos(Math.PI * (epoch - 1) / options.epochs));
      for (let start = 0; start < n; start += batch) {
        wrong += step(net, state, x, y, order, start, Math.min(n, start + batch));
        yield;
      }
      let zero = false;
      if (options.untilZero && wrong < 0.05 * n) {
        const now = predict(net, x, n);
        wrong = 0;
        for (let i = 0; i < n; i++) if (now[i] !== y[i]) wrong++;
        zero = wrong === 0;
      }
      yield { epoch: epoch, error: wrong / n };
      if (zero) return epoch;
    }
    return options.epochs;
  }

  // Trains a new network until it repeats every label; yields {net, epoch, error} a few times a second and at the end.
  function* memorise(sizes, x, labels, n, random) {
    const net = make(sizes, random);
    let last = 0, now;
    for (const told of train(net, x, labels, n, { epochs: 400, rate: 8e-3, batch: 64, random: random, untilZero: true })) {
      if (told) now = { net: net, epoch: told.epoch, error: told.error };
      if (told && performance.now() - last > 150) {
        yield now;
        last = performance.now();
      } else yield;
    }
    yield now;
  }

  lab.network = { make, outputs, predict, softmax, adam, step, train, memorise };
});
