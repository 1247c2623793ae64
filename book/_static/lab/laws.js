// Data-scaling laws fitted to a learning curve, as dlcore.metrics.scaling does: Huber loss of log residuals, many
// starts, Levenberg-Marquardt, a bootstrap, and flags where the curve does not tell.
dlLab.part(function (lab) {
  "use strict";
  const DELTA = 0.05, NEGLIGIBLE = 1e-4, STEEPEST = 5, FOLLOWED = 12, RANK = 1e-7, LOOSE = 1e-8, WIDE_AMOUNT = 1e6, WIDE_EXPONENT = 2;
  const both = (a, b) => { const m = Math.max(a, b); return m === -Infinity ? m : m + Math.log1p(Math.exp(-Math.abs(a - b))); };
  const expit = (v) => 1 / (1 + Math.exp(-v)), soft = (u) => both(0, u);
  const least = (v) => Math.min.apply(null, v), most = (v) => Math.max.apply(null, v), mean = (v) => v.reduce((a, b) => a + b, 0) / v.length;
  const range = (n, f) => Array.from({ length: n }, (_, i) => f(i)), between = (a, b, n) => range(n, (i) => a + (b - a) * i / (n - 1));

  // Each law: value(theta, x, out) returns the log loss at a log size and writes its derivatives; amounts are logarithms.
  const LAWS = {
    bansal: {
      formula: "α (1/D + C)^p", parameters: ["alpha", "C", "p"], amounts: [1, 1, 0], exponent: 2, vanishing: 1,
      value: function (t, x, out) {
        const a = t[0], c = t[1], p = t[2];
        const inner = both(-x, c);
        out[0] = 1; out[1] = p * expit(c + x); out[2] = inner;
        return a + p * inner;
      },
      bounds: (x) => [[-1e3, Math.log(NEGLIGIBLE) - most(x), 0], [1e3, Math.log(1e3) - least(x), STEEPEST]],
      starts: (x, y) => between(-most(x) - 4, -least(x) + 4, 32).map(function (c) {
        const [a, p] = regress(x, c, (v) => [1, both(-v, c)], y);
        return [a, c, p];
      }),
      shift: ([a, c, p], s) => [a + p * s, c - s, p]
    },
    power: {
      formula: "β D^−c", parameters: ["beta", "c"], amounts: [1, 0], exponent: 1, vanishing: -1,
      value: function (t, x, out) { out[0] = 1; out[1] = -x; return t[0] - t[1] * x; },
      bounds: () => [[-1e3, 0], [1e3, STEEPEST]],
      starts: (x, y) => [regress(x, "line", (v) => [1, -v], y)],
      shift: ([b, c], s) => [b + c * s, c]
    },
    floor: {
      formula: "L∞ + β D^−c", parameters: ["floor", "beta", "c"], amounts: [1, 1, 0], exponent: 2, vanishing: 0,
      value: function (t, x, out) {
        const e = t[0], b = t[1], c = t[2];
        const excess = b - c * x, share = expit(excess - e);
        out[0] = 1 - share; out[1] = share; out[2] = -share * x;
        return both(e, excess);
      },
      bounds: (x, y) => [[Math.log(NEGLIGIBLE) + least(y), -1e3, 0], [most(y), 1e3, STEEPEST]],
      starts: (x, y) => [1e-3, 0.2, 0.4, 0.55, 0.7, 0.8, 0.87, 0.92, 0.95, 0.97, 0.985, 0.995].map(function (share) {
        const [floor, excess, weights] = above(y, share);
        return [floor].concat(solved(x.map((v) => [1, -v]), weights.map((w) => w * w)).map((row) => row.reduce((s, v, i) => s + v * excess[i], 0)));
      }),
      shift: ([e, b, c], s) => [e, b + c * s, c]
    },
    broken: {
      formula: "a + b D^−c₀ (1 + (D/d₁)^(1/f₁))^(−c₁f₁)", parameters: ["a", "b", "c0", "c1", "d1", "f1"],
      amounts: [1, 1, 0, 0, 1, 1], exponent: 2, vanishing: 0,
      value: function (t, x, out) {
        const la = t[0], lb = t[1], c0 = t[2], c1 = t[3], d = t[4], lf = t[5];
        const f = Math.exp(lf), u = (x - d) / f, bend = soft(u), g = lb - c0 * x - c1 * f * bend, share = expit(g - la), turn = expit(u);
        out[0] = 1 - share; out[1] = share; out[2] = -share * x; out[3] = -share * f * bend;
        out[4] = share * c1 * turn; out[5] = -share * c1 * f * (bend - u * turn);
        return both(la, g);
      },
      bounds: (x, y) => [[Math.log(NEGLIGIBLE) + least(y), -1e3, -STEEPEST, -2 * STEEPEST, least(x), Math.log(0.1)],
        [most(y), 1e3, STEEPEST, 2 * STEEPEST, most(x), Math.log(5)]],
      starts: function (x, y, few) {
        const found = [];
        for (const share of few ? [0.3, 0.9] : [1e-3, 0.3, 0.55, 0.75, 0.9, 0.97]) {
          const [floor, excess] = above(y, share);
          for (const f of few ? [0.3, 1.5] : [0.12, 0.3, 0.7, 1.5, 3.5])
            for (const d of between(least(x), most(x), 14).slice(1, -1))
              found.push([floor].concat(regress(x, f + " " + d, (v) => [1, -v, -f * soft((v - d) / f)], excess), [d, Math.log(f)]));
        }
        return found;
      },
      shift: ([la, lb, c0, c1, d, lf], s) => [la, lb + c0 * s, c0, c1, d + s, lf]
    }
  };
  lab.laws = LAWS;

  function above(y, share) {
    const floor = Math.exp(least(y)) * share, excess = y.map((v) => Math.exp(v) - floor);
    return [Math.log(floor), excess.map(Math.log), excess.map((e, i) => e / Math.exp(y[i]))];
  }
  // Least squares of y on the rows that `design` makes of log sizes: (A'A + 1e-12)^-1 A' is kept for all draws of a curve.
  const inverses = new WeakMap();
  function regress(x, name, design, y) {
    if (!inverses.has(x)) inverses.set(x, new Map());
    const kept = inverses.get(x);
    if (!kept.has(name)) kept.set(name, solved(x.map(design), x.map(() => 1)));
    return kept.get(name).map((row) => row.reduce((s, v, i) => s + v * y[i], 0));
  }
  // Returns (A'WA + 1e-12)^-1 A'W, (k, n), by Gauss and Jordan's elimination.
  function solved(rows, weights) {
    const k = rows[0].length, a = range(k, (i) => range(k, (j) => rows.reduce((s, row, r) => s + weights[r] * row[i] * row[j], i === j ? 1e-12 : 0)));
    const b = range(k, (i) => rows.map((row, r) => weights[r] * row[i]));
    for (let i = 0; i < k; i++)
      for (let r = 0; r < k; r++) {
        const f = r === i ? 1 - 1 / a[i][i] : a[r][i] / a[i][i];
        const own = a[i].slice(), right = b[i].slice();
        a[r] = a[r].map((v, j) => v - f * own[j]);
        b[r] = b[r].map((v, j) => v - f * right[j]);
      }
    return b;
  }

  const huber = (size) => (size < DELTA ? size * size / 2 : DELTA * (size - DELTA / 2));
  function cost(law, theta, x, y, out) {
    let sum = 0;
    for (let i = 0; i < x.length; i++) sum += huber(Math.abs(law.value(theta, x[i], out) - y[i]));
    return sum;
  }
  // A local fit from `start` within bounds; `held` marks parameters that stay.
  function minimise(law, x, y, start, [lower, upper], held, iterations, tolerance) {
    const k = start.length, n = x.length, out = new Float64Array(k), step = new Float64Array(k), scale = new Float64Array(k);
    const gradient = new Float64Array(k), hessian = new Float64Array(k * k), pressed = new Uint8Array(k);
    const clip = (v, j) => (held[j] ? v : Math.min(upper[j], Math.max(lower[j], v)));
    let theta = Float64Array.from(start, clip), trial = new Float64Array(k), damping = 1e-3;
    let residual = new Float64Array(n), jacobian = new Float64Array(n * k), next = new Float64Array(n), ahead = new Float64Array(n * k);
    function evaluate(at, residuals, rows) {
      let sum = 0;
      for (let i = 0; i < n; i++) {
        const r = residuals[i] = law.value(at, x[i], out) - y[i];
        for (let j = 0; j < k; j++) rows[i * k + j] = out[j];
        sum += huber(Math.abs(r));
      }
      return sum;
    }
    let now = evaluate(theta, residual, jacobian);
    for (let round = 0; round < iterations; round++) {
      gradient.fill(0);
      hessian.fill(0);
      for (let i = 0; i < n; i++) {
        const r = residual[i], size = Math.abs(r), w = size > DELTA ? DELTA / size : 1;
        for (let a = 0; a < k; a++) {
          const f = w * jacobian[i * k + a];
          gradient[a] += f * r;
          for (let b = 0; b <= a; b++) hessian[a * k + b] += f * jacobian[i * k + b];
        }
      }
      for (let j = 0; j < k; j++) {
        // a bound that the gradient pushes against holds its parameter in this step
        pressed[j] = held[j] || (theta[j] <= lower[j] && gradient[j] > 0) || (theta[j] >= upper[j] && gradient[j] < 0) ? 1 : 0;
        scale[j] = pressed[j] || !(hessian[j * k + j] > 0) ? 1 : Math.sqrt(hessian[j * k + j]);
      }
      // Cholesky's factor of the damped matrix in its own place, then the step
      for (let a = 0; a < k; a++)
        for (let b = 0; b <= a; b++) {
          let sum = a === b ? 1 + damping : pressed[a] || pressed[b] ? 0 : hessian[a * k + b] / (scale[a] * scale[b]);
          for (let c = 0; c < b; c++) sum -= hessian[a * k + c] * hessian[b * k + c];
          hessian[a * k + b] = a === b ? Math.sqrt(Math.max(sum, 1e-16)) : sum / hessian[b * k + b];
        }
      for (let a = 0; a < k; a++) {
        let sum = pressed[a] ? 0 : -gradient[a] / scale[a];
        for (let c = 0; c < a; c++) sum -= hessian[a * k + c] * step[c];
        step[a] = sum / hessian[a * k + a];
      }
      for (let a = k - 1; a >= 0; a--) {
        for (let c = a + 1; c < k; c++) step[a] -= hessian[c * k + a] * step[c];
        step[a] /= hessian[a * k + a];
      }
      let promise = 0;
      for (let j = 0; j < k; j++) {
        step[j] /= scale[j];
        if (!pressed[j]) promise -= step[j] * gradient[j];
        trial[j] = clip(theta[j] + step[j], j);
      }
      const after = evaluate(trial, next, ahead), better = after <= now;
      if (better) {
        [theta, trial, residual, next, jacobian, ahead] = [trial, theta, next, residual, ahead, jacobian];
        now = after;
      }
      damping = Math.min(1e12, Math.max(1e-9, damping * (better ? 0.2 : 5)));
      const stuck = damping >= 1e12;
      if ((promise <= tolerance * now + 1e-26 && damping < 1e3) || stuck) break;
    }
    return { theta: Array.from(theta), cost: now };
  }
  // The best of many starts: all take some steps, the best go on to the end.
  function multistart(law, x, y, bounds, { top, extra, held, tolerance = 1e-13, rounds = 300 }) {
    const [lower, upper] = bounds, none = held || lower.map(() => false), out = new Float64Array(6);
    let grid = law.starts(x, y, rounds < 300).map((row) => row.map((v, j) => (none[j] ? extra[0][j] : Math.min(upper[j], Math.max(lower[j], v)))));
    const best = (rows, costs, number) => rows.map((_, i) => i).sort((a, b) => costs[a] - costs[b]).slice(0, number).map((i) => rows[i]);
    if (top) grid = best(grid, grid.map((row) => cost(law, row, x, y, out)), top);
    if (extra) grid = extra.concat(grid);
    const kept = Math.max(FOLLOWED, Math.floor(grid.length / 6));
    if (grid.length > kept) {
      const first = grid.map((row) => minimise(law, x, y, row, bounds, none, 15, tolerance));
      grid = best(first.map((f) => f.theta), first.map((f) => f.cost), kept);
    }
    return grid.map((row) => minimise(law, x, y, row, bounds, none, rounds, tolerance)).reduce((a, b) => (b.cost < a.cost ? b : a));
  }

  // The singular values and right vectors of a fit's Jacobian, columns at length one, by Hestenes' one-sided rotations,
  // which find small values to full precision. `weights` of the points, or null.
  function spectrum(law, x, theta, free, weights) {
    const k = free.length, columns = range(k, () => []), out = new Float64Array(6), dot = (a, b) => a.reduce((s, v, i) => s + v * b[i], 0);
    x.forEach((v, i) => { law.value(theta, v, out); free.forEach((j, c) => columns[c].push(out[j] * (weights ? Math.sqrt(weights[i]) : 1))); });
    const scale = columns.map((c) => Math.sqrt(dot(c, c)) || 1), u = columns.map((c, j) => c.map((v) => v / scale[j])), vectors = range(k, (i) => range(k, (j) => (i === j ? 1 : 0)));
    for (let sweep = 0, moved = 1; moved && sweep < 40; sweep++) {
      moved = 0;
      for (let i = 0; i < k; i++)
        for (let j = i + 1; j < k; j++) {
          const a = dot(u[i], u[i]), b = dot(u[j], u[j]), c = dot(u[i], u[j]);
          if (Math.abs(c) <= 1e-15 * Math.sqrt(a * b)) continue;
          moved++;
          const z = (b - a) / (2 * c), t = Math.sign(z || 1) / (Math.abs(z) + Math.sqrt(1 + z * z)), cos = 1 / Math.sqrt(1 + t * t), sin = cos * t;
          for (const m of [u, vectors])
            m[i].forEach((v, r) => { const w = m[j][r]; m[i][r] = cos * v - sin * w; m[j][r] = sin * v + cos * w; });
        }
    }
    // in the parameters' own order and unit
    const values = u.map((c) => Math.sqrt(dot(c, c))), own = vectors.map((v) => theta.map((_, j) => (free.includes(j) ? v[free.indexOf(j)] / scale[free.indexOf(j)] : 0)));
    return { values: values, vectors: own };
  }
  // Directions in which a fit may move and predict its points all the same.
  function openDirections(law, x, theta, free) {
    const { values, vectors } = spectrum(law, x, theta, free, null), limit = RANK * most(values);
    return vectors.filter((_, i) => values[i] <= limit).map(function (v) { const size = Math.hypot(...v); return v.map((e) => e / size); });
  }
  // How each parameter, in the user's unit, moves with theta: the change of unit is linear.
  function moves(law, direction, shift) {
    const still = law.shift(direction.map(() => 0), shift);
    return law.shift(direction, shift).map((v, j) => v - still[j]);
  }

  // Checks what was given; returns log sizes less their mean, log losses, and the run's size as a group.
  function curve(sizes, losses) {
    const logs = sizes.map(Math.log), shift = mean(logs), levels = [...new Set(logs)].sort((a, b) => a - b);
    return { x: logs.map((v) => v - shift), y: losses.map(Math.log), shift: shift, group: logs.map((v) => levels.indexOf(v)), groups: levels.length };
  }
  const atBound = (theta, [lower, upper]) => theta.map((v, j) => (v <= lower[j] + 1e-9 ? "lower" : v >= upper[j] - 1e-9 ? "upper" : ""));
  function without(law, { x, y }, bounds, theta) {
    const held = theta.map((_, j) => j === law.vanishing);
    return multistart(law, x, y, bounds, { top: 16, extra: [theta.map((v, j) => (held[j] ? -Infinity : v))], held: held });
  }
  const natural = (law, theta, shift) => law.shift(theta, shift).map((v, j) => (law.amounts[j] ? Math.exp(v) : v));

  // scaling.fit: parameters, intervals (from `draws` bootstrap curves), flags, rmsle, predict(sizes). A generator: it
  // yields the share done.
  lab.fit = function* (sizes, losses, name, draws, random) {
    const law = LAWS[name], c = curve(sizes, losses), { x, y, shift } = c, k = law.parameters.length, n = x.length, dof = n - k;
    const bounds = law.bounds(x, y), whole = multistart(law, x, y, bounds, {});
    let theta = whole.theta, now = whole.cost, at = atBound(theta, bounds);
    if (law.vanishing >= 0 && at[law.vanishing] === "lower") { const less = without(law, c, bounds, theta); theta = less.theta; now = less.cost; at = atBound(theta, bounds); }
    const out = new Float64Array(6), value = (t, v) => law.value(t, v, out), fitted = x.map((v) => value(theta, v));
    const values = natural(law, theta, shift), flags = {};
    law.parameters.forEach(function (parameter, j) {
      if (j === law.vanishing && at[j] === "lower") flags[parameter] = "at its bound 0: the sizes given show no sign of it";
      else if (j === law.exponent && at[j] === "lower" && bounds[0][j] === 0) { flags[parameter] = "at its bound 0: the losses do not fall with size"; values[j] = 0; }
      else if (at[j]) { flags[parameter] = "not identified: at the " + at[j] + " bound of its range"; values[j] = NaN; }
    });
    const cause = Object.keys(flags).join(" and "), [e, v] = [law.parameters[law.exponent], law.parameters[law.vanishing]];
    if (name !== "power" && (e in flags || (v in flags && at[law.vanishing] !== "lower")))
      law.parameters.forEach((parameter, j) => { if (!(parameter in flags)) { flags[parameter] = "not identified: " + cause + " at a bound"; values[j] = NaN; } });
    if (v && !(v in flags) && dof > 0) {
      const ratio = (without(law, c, bounds, theta).cost - now) / Math.max(now / dof, 1e-300), chance = 2 * lab.studentTail(Math.sqrt(Math.max(0, ratio)), dof);
      if (chance > 0.05) flags[v] = "not distinguishable from 0 (F test, p-value " + chance.toFixed(2) + ")";
    }
    // what other values fit as well
    const places = [[theta, at.map((b) => !b)]];
    if (v) {
      const inside = theta.slice(), starts = law.starts(x, y), j = law.vanishing;
      inside[j] = Math.min(bounds[1][j], Math.max(bounds[0][j], starts[starts.length >> 1][j]));
      places.push([inside, at.map((b, i) => !b || i === j)]);
    }
    const lost = new Set();
    places.forEach(([place, open]) => openDirections(law, x, place, open.map((o, j) => (o ? j : -1)).filter((j) => j >= 0)).forEach(function (direction) {
      moves(law, direction, shift).forEach((m, j) => { if (Math.abs(m) > 1e-4) lost.add(law.parameters[j]); });
    }));
    lost.forEach(function (parameter) {
      flags[parameter] = "not determined: other values of " + [...lost].join(", ") + " fit these " + n + " runs as well";
      values[law.parameters.indexOf(parameter)] = NaN;
    });
    // what a t interval by the curvature leaves open
    if (dof > 0) {
      const weights = fitted.map((f, i) => Math.min(1, DELTA / Math.max(Math.abs(f - y[i]), 1e-300))), { values: lengths, vectors } = spectrum(law, x, theta, at.map((b, j) => (b ? -1 : j)).filter((j) => j >= 0), weights);
      const rows = vectors.filter((_, i) => lengths[i] > RANK).map((d) => moves(law, d, shift)), told = lengths.filter((l) => l > RANK), centre = law.shift(theta, shift), t = lab.studentQuantile(0.025, dof);
      law.parameters.forEach(function (parameter, j) {
        if (parameter in flags || at[j]) return;
        const half = t * Math.sqrt(2 * now / dof * rows.reduce((s, r, i) => s + (r[j] / told[i]) ** 2, 0)), ends = [centre[j] - half, centre[j] + half].map((end) => (law.amounts[j] ? Math.exp(end) : end));
        if (law.amounts[j] ? 2 * half > Math.log(WIDE_AMOUNT) : 2 * half > WIDE_EXPONENT) flags[parameter] = "hardly determined: its 95 % interval by the curvature is [" + ends.map((end) => String(Number(end.toPrecision(3)))).join(", ") + "]";
      });
    }
    yield 0;

    // the bootstrap: of seeds where every size has two runs or more, else of residuals
    const runs = range(c.groups, (g) => c.group.filter((h) => h === g).length), seeds = least(runs) > 1, curves = [];
    if (draws && dof > 0) {
      const middle = mean(fitted.map((f, i) => y[i] - f)), stretch = Math.sqrt(n / dof);
      const residual = fitted.map((f, i) => (y[i] - f - middle) * stretch), members = range(c.groups, (g) => c.group.map((h, i) => (h === g ? i : -1)).filter((i) => i >= 0));
      const level = members.map((m) => mean(m.map((i) => y[i])));
      for (let b = 0; b < draws; b++) {
        const again = x.map(function (_, i) {
          const g = c.group[i], pick = seeds ? members[g][random.below(runs[g])] : random.below(n);
          return seeds ? level[g] + (y[pick] - level[g]) * Math.sqrt(runs[g] / (runs[g] - 1)) : fitted[i] + residual[pick];
        });
        const start = theta.map((t, j) => (isFinite(t) ? t : bounds[0][j])), next = multistart(law, x, again, bounds, { top: k > 3 ? 2 : 1, extra: [start], tolerance: LOOSE, rounds: 60 }).theta;
        if (v && next[law.vanishing] <= bounds[0][law.vanishing] + 1e-9) next[law.vanishing] = -Infinity;
        curves.push(next);
        yield (b + 1) / draws;
      }
    }
    const freedom = seeds ? n - c.groups : dof, tail = curves.length ? lab.normalTail(lab.studentQuantile(0.025, freedom)) : NaN;
    const drawn = curves.map((t) => natural(law, t, shift)), intervals = {}, parameters = {};
    law.parameters.forEach(function (parameter, j) {
      const known = drawn.length && !lost.has(parameter), column = drawn.map((d) => d[j]);
      parameters[parameter] = values[j];
      intervals[parameter] = known ? [lab.quantile(column, tail), lab.quantile(column, 1 - tail)] : [NaN, NaN];
    });
    const predict = (size) => Math.exp(value(theta, Math.log(size) - shift));
    return {
      law: name, formula: law.formula, parameters: parameters, intervals: intervals, flags: flags,
      exponent: e, method: drawn.length ? (seeds ? "seed bootstrap" : "residual bootstrap") : "", cost: now,
      rmsle: Math.sqrt(mean(fitted.map((f, i) => (f - y[i]) ** 2))), predict: predict,
      band: (size) => curves.length ? [tail, 1 - tail].map((q) => Math.exp(lab.quantile(curves.map((t) => value(t, Math.log(size) - shift)), q))) : [NaN, NaN]
    };
  };
});
