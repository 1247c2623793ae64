// What all experiments show alike: controls, a run that can be stopped, charts, pictures, the same run in Python, and
// the state in the address.
(function (lab) {
  "use strict";
  const SVG = "http://www.w3.org/2000/svg";

  const DRAWN = new Set(["svg", "path", "rect", "circle", "line", "text", "title"]);
  function element(tag, attributes, ...children) {
    const drawn = DRAWN.has(tag), e = drawn ? document.createElementNS(SVG, tag) : document.createElement(tag);
    Object.entries(attributes || {}).forEach(function ([key, value]) {
      if (value === null || value === undefined) return;
      if (!drawn && key in e && typeof value !== "string") e[key] = value;
      else e.setAttribute(key, value);
    });
    e.append(...children.filter((c) => c !== null && c !== undefined));
    return e;
  }
  // the space before % and points does not break
  const percent = (v, digits = 1) => (isFinite(v) ? (100 * v).toFixed(digits) + "\u00a0%" : "–");
  const points = (v) => (100 * v).toFixed(1) + "\u00a0percentage points";
  const short = (v) => (!isFinite(v) ? "–" : v && Math.abs(v) < 1e-3 ? v.toExponential(2) : String(Number(v.toPrecision(3))));
  const many = (v) => v.toLocaleString("en");
  const compact = (v) => v.toLocaleString("en", { notation: "compact" });

  // ---- controls: {name, label, kind: "select" | "range" | "number", options | min, max, step, value, show, when}; what is
  // read has the type of the first value
  const select = (name, label, options, value, when) => ({ name, label, kind: "select", options: options.map((o) => (Array.isArray(o) ? o : [o, typeof o === "string" ? o : many(o)])), value, when });
  const range = (name, label, min, max, step, value, more) => ({ name, label, kind: "range", min, max, step, value, ...more });
  const rate = (name, label, min, max, step, value) => range(name, label, min, max, step, value, { show: (v) => percent(v, 0) });
  const seed = (when) => ({ name: "seed", label: "seed", kind: "number", min: 0, max: 9999, step: 1, value: 0, when });
  const typed = (c, text) => (typeof c.value === "number" ? Number(text) : text);

  function controls(list, state, changed) {
    const row = element("div", { class: "dl-lab-controls" });
    const shown = list.map(function (c) {
      const text = element("span", {}, c.label), output = element("output"), worded = c.show || many;
      let input;
      if (c.kind === "select") input = element("select", {}, ...c.options.map(([value, words]) => element("option", { value: String(value) }, words)));
      else input = element("input", { type: c.kind, min: String(c.min), max: String(c.max), step: String(c.step) });
      input.setAttribute("aria-label", c.label);
      input.dataset.name = c.name;
      function read() {
        const value = typed(c, input.value);
        if (c.kind === "number" && (input.value.trim() === "" || !input.checkValidity()))
          throw new Error(c.label + " must be a whole number from " + many(c.min) + " to " + many(c.max) + ".");
        return value;
      }
      function write() {
        if (document.activeElement !== input || c.kind !== "number") input.value = String(state[c.name]);
        if (c.kind === "range") { output.textContent = worded(state[c.name]); input.setAttribute("aria-valuetext", worded(state[c.name])); }
      }
      input.addEventListener(c.kind === "range" ? "input" : "change", function () {
        try { state[c.name] = read(); changed(null, c.name); } catch (error) { changed(error.message, c.name); }
      });
      const label = element("label", { class: "dl-lab-control" }, text, input, c.kind === "range" ? output : null);
      row.append(label);
      return { label: label, write: write, when: c.when };
    });
    function refresh() {
      shown.forEach(function (one) { one.label.hidden = Boolean(one.when && !one.when(state)); one.write(); });
    }
    refresh();
    return { row: row, refresh: refresh };
  }

  // ---- state in the address: #lab=NAME&key=value, read once, written after every change
  function fromAddress(name, list, state) {
    const given = new URLSearchParams(location.hash.slice(1));
    if (given.get("lab") !== name) return false;
    list.forEach(function (c) {
      const text = given.get(c.name), value = typed(c, text);
      if (!text) return;
      if (c.kind === "select" ? c.options.some(([v]) => String(v) === text) : value >= c.min && value <= c.max) state[c.name] = value;
    });
    return true;
  }
  function toAddress(name, list, state) {
    const found = new URLSearchParams({ lab: name });
    list.forEach((c) => { if (!c.when || c.when(state)) found.set(c.name, state[c.name]); });
    history.replaceState(null, "", "#" + found);
  }

  // ---- charts: axes, bands, lines and dots in the colours of the roles
  function ticks(low, high, log) {
    if (log) {
      const found = [], decades = Math.log10(high / low), factors = decades > 3 ? [1] : decades > 1 ? [1, 3] : [1, 2, 5];
      for (let p = Math.floor(Math.log10(low)); p <= Math.log10(high); p++)
        factors.forEach((f) => { const v = f * Math.pow(10, p); if (v >= low * 0.999 && v <= high * 1.001) found.push(v); });
      return found.length > 1 ? found : [low, high];
    }
    const rough = (high - low) / 5, unit = Math.pow(10, Math.floor(Math.log10(rough))), step = unit * [1, 2, 5, 10].find((f) => f * unit >= rough);
    const found = [];
    for (let i = Math.ceil(low / step - 1e-9); i * step <= high + 1e-9 * step; i++) found.push(Number((i * step).toPrecision(10)));
    return found;
  }
  // x, y: {label, low, high, log, whole, format}; marks: {kind: "band" | "line" | "dots", points, role, name, dash: "dash" | "dotted", thin}
  function chart(box, spec) {
    const width = Math.max(260, box.clientWidth || 600), height = spec.height || 280, left = 56, right = width - 12, top = 10, bottom = height - 44;
    const place = ({ low, high, log }, from, to) => (v) => from + (to - from) * (log ? Math.log(v / low) / Math.log(high / low) : (v - low) / (high - low));
    const x = place(spec.x, left, right), y = place(spec.y, bottom, top), path = (corners) => corners.map(([a, b], i) => (i ? "L" : "M") + x(a).toFixed(1) + " " + y(b).toFixed(1)).join("");
    const drawing = element("svg", { viewBox: "0 0 " + width + " " + height, width: width, height: height, role: "img", "aria-label": spec.label });
    [["x", spec.x, x], ["y", spec.y, y]].forEach(function ([axis, { low, high, log, whole, format, label }, at]) {
      let marks = ticks(low, high, log).filter((v) => !whole || v % 1 === 0);
      if (axis === "x") marks = marks.filter((_, i) => i % Math.ceil(marks.length * 46 / (right - left)) === 0);
      marks.forEach(function (v) {
        const words = (format || short)(v), p = at(v);
        drawing.append(axis === "x" ? element("line", { class: "grid", x1: p, x2: p, y1: top, y2: bottom }) : element("line", { class: "grid", x1: left, x2: right, y1: p, y2: p }));
        drawing.append(axis === "x" ? element("text", { x: p, y: bottom + 16, "text-anchor": "middle" }, words) : element("text", { x: left - 6, y: p + 4, "text-anchor": "end" }, words));
      });
      drawing.append(axis === "x" ? element("text", { class: "axis", x: (left + right) / 2, y: height - 8, "text-anchor": "middle" }, label)
        : element("text", { class: "axis", transform: "translate(14 " + (top + bottom) / 2 + ") rotate(-90)", "text-anchor": "middle" }, label));
    });
    const inside = ([a, b]) => isFinite(x(a)) && isFinite(y(b));
    spec.marks.forEach(function (mark) {
      const own = "role-" + mark.role;
      if (mark.kind === "band") {
        const drawn = mark.points.filter(([a, b, c]) => inside([a, b]) && inside([a, c])), clip = (v) => Math.min(spec.y.high, Math.max(spec.y.low, v));
        if (drawn.length) drawing.append(element("path", { class: own + " band", d: path(drawn.map(([a, b]) => [a, clip(b)])) + path(drawn.map(([a, , c]) => [a, clip(c)]).reverse()).replace("M", "L") + "Z" }));
      } else if (mark.kind === "line") {
        drawing.append(element("path", { class: own + " line" + (mark.dash ? " " + mark.dash : "") + (mark.thin ? " thin" : ""), d: path(mark.points.filter(inside)) }, element("title", {}, mark.title || mark.name || "")));
      } else mark.points.filter(inside).forEach(function ([a, b, words]) {
        const dot = mark.role === "own" ? element("path", { class: own + " dot", d: "M" + x(a) + " " + (y(b) - 7) + "l7 7l-7 7l-7 -7Z" }) : element("circle", { class: own + " dot", cx: x(a), cy: y(b), r: "4" });
        dot.append(element("title", {}, words || (mark.name || "") + " " + short(a) + ": " + short(b)));
        drawing.append(dot);
      });
    });
    const keys = spec.marks.filter((m) => m.name).map((m) => element("li", {}, element("i", { class: "role-" + m.role + " key-" + m.kind + (m.dash ? " " + m.dash : "") + (m.role === "own" && m.kind === "dots" ? " own" : "") }), m.name));
    box.replaceChildren(drawing, element("ul", { class: "dl-lab-key" }, ...keys));
    box.dlSpec = spec;
    if (!box.dlWatch) {
      let wide = box.clientWidth;
      box.dlWatch = new ResizeObserver(function () {
        if (Math.abs(box.clientWidth - wide) < 8 || !box.dlSpec) return;
        wide = box.clientWidth;
        chart(box, box.dlSpec);
      });
      box.dlWatch.observe(box);
    }
  }

  // A table of counts, each row in shades of its own total.
  function heat(box, counts, rows, columns, role, label) {
    const cell = Math.min(24, Math.floor((Math.max(180, box.clientWidth || 260) - 24) / Math.max(rows, columns))), width = 24 + columns * cell, height = 20 + rows * cell;
    const drawing = element("svg", { viewBox: "0 0 " + width + " " + height, width: width, height: height, role: "img", "aria-label": label });
    for (let k = 0; k < columns; k++) drawing.append(element("text", { x: 24 + (k + 0.5) * cell, y: "14", "text-anchor": "middle" }, String(k)));
    for (let r = 0; r < rows; r++) {
      let total = 0;
      for (let k = 0; k < columns; k++) total += counts[r * columns + k];
      drawing.append(element("text", { x: "16", y: 20 + (r + 0.5) * cell + 4, "text-anchor": "end" }, String(r)));
      for (let k = 0; k < columns; k++) {
        const n = counts[r * columns + k], square = element("rect", { class: "role-" + role + " cell", x: 24 + k * cell, y: 20 + r * cell, width: cell - 1, height: cell - 1, "fill-opacity": (total ? Math.sqrt(n / total) : 0).toFixed(3) });
        square.append(element("title", {}, r + " as " + k + ": " + n + " of " + total));
        drawing.append(square);
      }
    }
    box.replaceChildren(drawing);
  }

  // A digit's 64 levels, or a signal's 40, as a small picture.
  function picture(levels, words) {
    if (levels.length !== 64) return element("svg", { viewBox: "0 0 40 40", class: "dl-lab-digit role-own", role: "img", "aria-label": words }, element("path", { class: "line", d: "M" + Array.from(levels, (v, i) => i + " " + (36 - v)).join("L") }));
    const canvas = element("canvas", { width: 8, height: 8, role: "img", "aria-label": words, class: "dl-lab-digit" }), pen = canvas.getContext("2d"), image = pen.createImageData(8, 8);
    levels.forEach(function (v, i) {
      const grey = 255 - Math.round(v * 255 / 16);
      image.data.set([grey, grey, grey, 255], 4 * i);
    });
    pen.putImageData(image, 0, 0);
    return canvas;
  }

  // A recorded interval {rates, low, mean, high} as a band with its mean; what a value is beside it at one rate, in words.
  const band = (known, name) => [{ kind: "band", role: "chosen", name: "recorded: " + name + ", all its seeds", points: known.rates.map((r, i) => [r, known.low[i], known.high[i]]) }, { kind: "line", role: "chosen", title: name, points: known.rates.map((r, i) => [r, known.mean[i]]) }];
  const atRate = (known, at) => (known ? known.rates.findIndex((r) => Math.abs(r - at) < 1e-6) : -1);

  // A table: each row begins with its header; `head`, where there is one, has the columns'. Cells are words or elements.
  function table(head, rows) {
    const cells = (tag, scope, list) => list.map((c) => element(tag, { scope: scope }, c));
    return element("table", {}, head && element("tr", {}, ...cells("th", "col", head)), ...rows.map(([first, ...rest]) => element("tr", {}, ...cells("th", "row", [first]), ...cells("td", null, rest))));
  }
  function csv(name, words, head, rows) {
    const link = element("a", { href: "#", download: name + ".csv" }, words + " (CSV)");
    link.addEventListener("click", function () { link.href = URL.createObjectURL(new Blob([[head].concat(rows()).map((r) => r.join(",") + "\n").join("")], { type: "text/csv" })); });
    return link;
  }

  // ---- one experiment: spec has name, controls, buttons [[job, words]], banks, view(area) -> {told, done}, python(state),
  // live(state) whether a change runs it again by itself, check(state), and extra elements before the buttons
  function experiment(root, spec) {
    const state = {}, worker = lab.worker();
    spec.controls.forEach((c) => { state[c.name] = c.value; });
    const addressed = fromAddress(spec.name, spec.controls, state);
    const area = element("div", { class: "dl-lab-area" }), says = element("p", { class: "dl-lab-says", "aria-live": "polite" });
    const bar = element("progress", { max: "1", value: "0", "aria-label": "share done", hidden: true });
    const doing = element("span", { "aria-hidden": "true" }); // not read out: it changes several times a second
    const stop = element("button", { type: "button", class: "dl-lab-stop", disabled: true }, "Stop");
    let job = "", running = false, timer = 0, once = false;
    const list = controls(spec.controls, state, function (problem, name) {
      if (problem) { finish(); say(problem, true); return; }
      if (spec.changed) spec.changed(state, name);
      list.refresh();
      toAddress(spec.name, spec.controls, state);
      python();
      clearTimeout(timer);
      if (once && spec.live && spec.live(state)) timer = setTimeout(run, 30, job);
      else if (running) finish();
    });
    const buttons = spec.buttons.map(function ([which, words]) {
      const button = element("button", { type: "button", class: "dl-lab-run" }, words);
      button.addEventListener("click", function () { run(which); });
      return button;
    });
    stop.addEventListener("click", function () { finish(); say("Stopped. Run starts again."); });
    root.append(list.row, ...(spec.extra ? spec.extra(state, run, say) : []), element("p", { class: "dl-lab-buttons" }, ...buttons, stop, bar, doing), says, area);
    const code = element("pre", { tabindex: "0" }), cell = element("pre", { tabindex: "0" }), note = element("p", {});
    const colab = document.querySelector("a[href*='colab.research.google.com']");
    if (spec.python) root.append(element("details", { class: "dl-lab-python" }, element("summary", {}, "This run in Python"), code, note, cell, element("p", {}, element("a", { href: lab.folder + "source/" + root.closest("[data-lab]").dataset.lab + ".js" }, "The script, to read")),
      colab ? element("p", {}, element("a", { href: colab.getAttribute("href") }, "Its notebook in Colab")) : null));
    const view = spec.view(area, state);
    python();

    function say(words, wrong) { says.classList.toggle("wrong", Boolean(wrong)); says.textContent = words; root.dataset.state = wrong ? "wrong" : running ? "running" : "ready"; }
    function python() {
      if (!spec.python) return;
      const found = spec.python(state, job);
      code.textContent = found.command;
      note.textContent = found.note;
      const set = found.command.startsWith("python") ? found.command.match(/\w+=[^\s:]+(?!\S)/g) : [];
      cell.hidden = !set.length;
      cell.textContent = ["# in the notebook's cell of parameters", ...set.map((w) => w.replace(/=(\D.*)/, '="$1"').replace("=", " = "))].join("\n");
    }
    function finish() {
      if (running) worker.stop();
      running = false;
      stop.disabled = true;
      bar.hidden = true;
      doing.textContent = "";
    }
    function run(which) {
      job = which;
      python();
      if (running) worker.stop();
      try { if (spec.check) spec.check(state); } catch (error) { finish(); say(error.message, true); return; }
      running = once = true;
      stop.disabled = false;
      root.dataset.state = "running";
      bar.hidden = false;
      bar.removeAttribute("value");
      const banks = typeof spec.banks === "function" ? spec.banks(state) : spec.banks || [];
      lab.need(banks, function () {
        if (!running) return;
        const settings = Object.assign({}, spec.settings ? spec.settings(state) : state);
        worker.run(spec.job ? spec.job(state) : job, settings, banks, {
          told: function (update) {
            if (update.share !== undefined) bar.value = update.share;
            if (update.says) doing.textContent = update.says;
            if (view.told) view.told(update, settings, job);
          },
          done: function (result) { running = false; finish(); say(view.done(result, settings, job)); },
          failed: function (words) { running = false; finish(); say(words, true); }
        });
      }, function (name) { finish(); say("The data of this experiment were not found beside the page (" + name + ")."); });
    }
    if (addressed) {
      if (window.dlReveal) window.dlReveal(root); // a chapter's details are folded
      root.scrollIntoView();
    }
  }

  // Loads banks that are not there yet, then goes on.
  lab.need = function (names, then, missing) {
    const left = names.filter((n) => !lab.banks[n]);
    if (!left.length) { then(); return; }
    let waiting = left.length;
    left.forEach(function (name) {
      const script = element("script", { src: lab.folder + "banks/" + name + ".js" });
      script.addEventListener("load", function () { if (!--waiting) then(); });
      script.addEventListener("error", function () { missing(name); });
      document.head.append(script);
    });
  };

  lab.view = { element, percent, points, short, many, compact, select, range, rate, seed, chart, band, atRate, heat, picture, table, csv, experiment };
  lab.experiments = {};
})(window.dlLab);
