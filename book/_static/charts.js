// Draws the charts of a page with the vendored Vega when they come into view, with controls of our own: these offer only
// what was run, and say what they show. The rows of a page come once, in columns, in its own script (window.dlRows).
(function () {
  "use strict";
  const text = "var(--pst-color-text-base)", muted = "var(--pst-color-text-muted)", line = "var(--pst-color-border)";
  const SIZE = 12, NARROW = 600, LEAST = 120;
  const family = getComputedStyle(document.body).fontFamily;
  const config = {
    background: "transparent", aria: false, padding: 4,
    autosize: { type: "pad", resize: true },
    // a real family: Vega measures text with it, and "inherit" would be measured wrongly
    font: family,
    view: { stroke: line },
    axis: { labelColor: text, titleColor: text, tickColor: muted, domainColor: muted, gridColor: line, gridOpacity: 0.45,
            labelFontSize: SIZE, titleFontSize: SIZE, titleFontWeight: 500, labelLimit: 240 },
    legend: { labelColor: text, titleColor: text, labelFontSize: SIZE, titleFontSize: SIZE, titleFontWeight: 500, labelLimit: 0,
              symbolOpacity: 1, columnPadding: 14 },
    title: { color: text, fontSize: 13, fontWeight: 600, anchor: "start" },
    header: { labelColor: text, titleColor: text, labelFontSize: 13 },
    text: { fontSize: SIZE }
  };

  // ---- rows: columns -> what Vega takes, and CSV
  const columns = new Map();
  function column(at) {
    if (!columns.has(at)) {
      const c = window.dlRows.pool[at];
      if (Array.isArray(c)) columns.set(at, c);
      else {
        const place = {};
        const letters = window.dlRows.letters, many = c.of.length > letters.length, found = [];
        for (let i = 0; i < letters.length; i++) place[letters[i]] = i;
        for (let i = 0; i < c.at.length; i += many ? 2 : 1)
          found.push(c.of[many ? place[c.at[i]] * letters.length + place[c.at[i + 1]] : place[c.at[i]]]);
        columns.set(at, found);
      }
    }
    return columns.get(at);
  }
  function table(chart, name) {
    const found = window.dlRows.charts[chart][name];
    return { n: found.n, names: Object.keys(found.columns), columns: Object.values(found.columns).map(column) };
  }
  function rows(chart, name) {
    const t = table(chart, name), found = new Array(t.n);
    for (let i = 0; i < t.n; i++) {
      const row = {};
      for (let k = 0; k < t.names.length; k++) row[t.names[k]] = t.columns[k][i];
      found[i] = row;
    }
    return found;
  }
  function csv(chart) {
    const t = table(chart, "rows");
    function cell(v) { return v === null ? "" : /[",\n]/.test(String(v)) ? '"' + String(v).replace(/"/g, '""') + '"' : String(v); }
    const lines = [t.names.map(cell).join(",")];
    for (let i = 0; i < t.n; i++) lines.push(t.columns.map(function (c) { return cell(c[i]); }).join(","));
    return lines.join("\n") + "\n";
  }

  // ---- text that must fit
  const pen = document.createElement("canvas").getContext("2d");
  function wide(words, size) { pen.font = "500 " + size + "px " + family; return pen.measureText(words).width; }
  function wrap(words, width, size) {
    const lines = [""];
    [].concat(words).join(" ").split(" ").forEach(function (w) {
      const last = lines[lines.length - 1], longer = last ? last + " " + w : w;
      if (last && wide(longer, size) > width) lines.push(w); else lines[lines.length - 1] = longer;
    });
    return lines.length > 1 ? lines : lines[0];
  }
  // Axis titles wrap, and a legend has as many columns as its labels leave room for.
  function shape(node, width, height) {
    if (!node || typeof node !== "object") return;
    Object.entries(node).forEach(function (entry) {
      const channel = entry[0], child = entry[1];
      if (child && typeof child === "object" && child.title && (channel === "x" || channel === "y"))
        child.title = wrap(child.title, channel === "x" ? width : height, SIZE);
      shape(child, width, height);
    });
    const legend = node.legend, domain = node.scale && node.scale.domain;
    if (legend && Array.isArray(domain) && typeof domain[0] !== "undefined" && node.type === "nominal") {
      const each = Math.max.apply(null, domain.map(function (d) { return wide(String(d), SIZE); })) + 40;
      legend.columns = Math.max(1, Math.min(legend.columns || 8, domain.length, Math.floor(width / each)));
    }
  }

  // ---- one chart
  function Chart(root) {
    const name = root.dataset.name;
    const note = JSON.parse(root.querySelector('script[type="application/vnd.dlcore.chart+json"]').textContent);
    const wish = note.controls.map(function (c) { return c.value; });
    let now = settle(), view = null, drawn = 0, inner = 0, base = 0, names = [], drawing = Promise.resolve();

    // The first control offers all that was run; the next, what was run with the first; and so on. What a reader wished
    // for comes back with the choice that it belongs to.
    function offered(at, chosen) {
      return note.controls[at].options.map(function (_, option) {
        return note.states.every(function (s) {
          const mine = s.of.indexOf(at);
          return mine < 0 || s.rows.some(function (row) {
            return row[mine] === option && s.of.every(function (c, k) { return c >= at || row[k] === chosen[c]; });
          });
        });
      });
    }
    function settle() {
      const chosen = [];
      note.controls.forEach(function (c, at) {
        const open = offered(at, chosen);
        let pick = wish[at];
        if (!open[pick] && open.includes(true)) {
          const left = c.options.map(function (_, i) { return i; }).filter(function (i) { return open[i]; });
          const far = function (i) { return Math.abs(c.options[i] - c.options[wish[at]]); };
          if (c.kind === "slider") pick = left.reduce(function (a, b) { return far(b) < far(a) ? b : a; });
          else pick = open[c.value] ? c.value : left[0];
        }
        chosen.push(pick);
      });
      return chosen;
    }

    function said() {
      if (!note.says) return note.title;
      const key = note.says.of.map(function (c) { return now[c]; }).join("|");
      const state = note.says.states[key];
      if (!state) return note.says.other;
      let at = 0;
      return note.says.texts[state[0]].replace(/\{\}/g, function () { return state[++at]; });
    }

    // -- the page's own elements
    const title = root.querySelector(".dl-title");
    const row = element("div", "dl-controls"), box = element("div", "dl-embed"), live = element("p", "dl-live");
    live.setAttribute("aria-live", "polite");
    const inputs = note.controls.map(control);
    if (inputs.some(Boolean)) root.appendChild(row);
    root.append(box, live);
    foot();
    show();

    function element(tag, kind, words) {
      const e = document.createElement(tag);
      if (kind) e.className = kind;
      if (words !== undefined) e.textContent = words;
      return e;
    }
    function control(c, at) {
      if (c.options.length < 2) return null;
      const id = "dl-" + name + "-" + c.column;
      if (c.kind === "menu" && c.options.length === 2) {
        const group = element("fieldset", "dl-control");
        group.appendChild(element("legend", "", c.label));
        const radios = c.shown.map(function (words, option) {
          const label = element("label"), radio = element("input");
          radio.type = "radio"; radio.name = id; radio.value = option;
          radio.addEventListener("change", function () { set(at, option); });
          label.append(radio, words);
          group.appendChild(label);
          return radio;
        });
        row.appendChild(group);
        return { box: group, refresh: function (open) {
          radios.forEach(function (r, option) { r.checked = now[at] === option; r.disabled = !open[option]; });
        } };
      }
      const label = element("label", "dl-control"), words = element("span", "", c.label);
      label.appendChild(words);
      row.appendChild(label);
      if (c.kind === "slider") {
        const input = element("input"), output = element("output");
        let steps = [];
        input.type = "range"; input.step = 1; input.min = 0; input.id = id;
        input.setAttribute("aria-label", c.label);
        input.addEventListener("input", function () { set(at, steps[Number(input.value)]); });
        label.append(input, output);
        return { box: label, refresh: function (open) {
          steps = c.options.map(function (_, i) { return i; }).filter(function (i) { return open[i]; });
          input.max = steps.length - 1;
          input.value = steps.indexOf(now[at]);
          input.disabled = steps.length < 2;
          output.textContent = c.shown[now[at]];
          input.setAttribute("aria-valuetext", c.shown[now[at]]);
        } };
      }
      const select = element("select");
      select.id = id;
      select.setAttribute("aria-label", c.label);
      select.addEventListener("change", function () { set(at, Number(select.value)); });
      label.appendChild(select);
      return { box: label, refresh: function (open) {
        // what was not run is absent: a hidden option can still be reached by keyboard in some browsers
        select.replaceChildren.apply(select, c.shown.map(function (shown, option) {
          const item = element("option", "", shown);
          item.value = option;
          return open[option] ? item : "";
        }).filter(Boolean));
        select.value = now[at];
      } };
    }
    function foot() {
      const offers = element("p", "dl-rows");
      function offer(words, act) {
        const e = element("a", "", words);
        e.href = "#fig-" + name;
        e.addEventListener("click", act);
        offers.append(e, " ");
        return e;
      }
      // a file is made when it is asked for: the first click waits for it, and the second, by script, takes it
      function file(words, ending, make) {
        const e = offer(words, function (event) {
          if (e.dataset.made) { delete e.dataset.made; return; }
          event.preventDefault();
          begin();
          drawing.then(make).then(function (blob) {
            e.href = URL.createObjectURL(blob);
            e.dataset.made = "1";
            e.click();
            e.href = "#fig-" + name;
          });
        });
        e.download = name + ending;
      }
      file("Rows (CSV, " + table(name, "rows").n.toLocaleString("en") + ")", ".csv", function () { return new Blob([csv(name)], { type: "text/csv" }); });
      file("SVG", ".svg", function () { return new Blob([picture()], { type: "image/svg+xml" }); });
      file("PNG", ".png", function () { return window.dlPixels(picture()); });
      const link = offer("Link to this view", function (event) {
        event.preventDefault();
        history.replaceState(null, "", address());
        if (navigator.clipboard) navigator.clipboard.writeText(location.href).catch(function () {});
        live.textContent = "The page's address now leads to this view.";
        link.textContent = "Link is in the address";
        setTimeout(function () { link.textContent = "Link to this view"; }, 2500);
      });
      const code = root.closest(".cell") && root.closest(".cell").querySelector("details.hide");
      if (code) {
        code.classList.add("dl-coded");
        const button = element("button", "", "Code");
        button.type = "button";
        button.setAttribute("aria-expanded", "false");
        button.addEventListener("click", function () {
          code.open = !code.open;
          button.setAttribute("aria-expanded", String(code.open));
        });
        offers.append(button);
      }
      root.appendChild(offers);
    }
    // the present state, to be linked to: every choice that there is
    function address() {
      const chosen = note.controls.map(function (c, i) { return c.column + "=" + encodeURIComponent(c.options[now[i]]); });
      return "#fig-" + name + (chosen.length ? "?" + chosen.join("&") : "");
    }
    function picture() { return window.dlPicture(box.querySelector("svg"), [said(), note.subtitle], family); }

    function heard() {
      box.setAttribute("role", "img");
      box.setAttribute("aria-label", said() + ". " + root.getAttribute("aria-label"));
    }
    function show() {
      title.textContent = said();
      heard();
      inputs.forEach(function (input, at) {
        if (!input) return;
        const open = offered(at, now);
        input.box.hidden = !open.includes(true);
        if (!input.box.hidden) input.refresh(open);
      });
    }
    let waiting = 0;
    function set(at, option) {
      wish[at] = option;
      clearTimeout(waiting);
      waiting = setTimeout(function () { history.replaceState(null, "", address()); }, 300);
      change();
    }
    // What an address or the words of a sentence ask for, by the names of columns.
    function ask(choices) {
      note.controls.forEach(function (c, at) {
        if (!(c.column in choices)) return;
        const option = c.options.findIndex(function (o, i) { return String(o) === choices[c.column] || c.shown[i] === choices[c.column]; });
        if (option >= 0) wish[at] = option;
      });
      change();
    }
    function change() {
      const before = now;
      now = settle();
      show();
      live.textContent = note.controls.map(function (c, i) { return c.label + ": " + c.shown[now[i]]; }).join("; ") + ". " + said();
      if (!view) return;
      note.controls.forEach(function (c, i) { if (now[i] !== before[i]) view.signal(c.name, c.options[now[i]]); });
      // the width follows from the state alone, not from the states before
      size(base);
      drawing = drawing.then(function () { return view.resize().runAsync(); }).then(fit).then(quiet);
    }

    // -- drawing
    function parts(spec) { return spec.hconcat || spec.vconcat || [spec]; }
    function beside() { return note.spec.hconcat && drawn >= NARROW; }
    // Two plots share the width as their own widths do.
    const weights = parts(note.spec).map(function (p) { return typeof p.width === "number" ? p.width : 300; });
    const whole = weights.reduce(function (a, b) { return a + b; });
    function share(total, i) {
      if (!beside()) return total;
      const own = function (k) { return Math.max(LEAST, Math.floor(total * weights[k] / whole)); };
      if (i < weights.length - 1) return own(i);
      return weights.slice(0, -1).reduce(function (left, _, k) { return left - own(k); }, total);
    }
    function prepared(total) {
      const spec = JSON.parse(JSON.stringify(note.spec));
      if (spec.hconcat && !beside()) { spec.vconcat = spec.hconcat; delete spec.hconcat; }
      // by a pixel they differ here, or Vega would make one size of all
      parts(spec).forEach(function (p, i) { p.width = share(total, i) + i; shape(p, p.width, p.height || 300); if (p.title) p.title = wrap(p.title, p.width, 13); });
      (spec.params || []).forEach(function (p) {
        const at = note.controls.findIndex(function (c) { return c.name === p.name; });
        if (at >= 0) p.value = note.controls[at].options[now[at]];
      });
      spec.datasets = {};
      Object.keys(window.dlRows.charts[name]).forEach(function (t) { if (t !== "rows") spec.datasets[t] = rows(name, t); });
      return spec;
    }
    function size(total) {
      let moved = false;
      inner = Math.max(LEAST, total);
      names.forEach(function (signal, i) {
        const width = share(inner, i);
        if (width !== view.signal(signal)) { view.signal(signal, width); moved = true; }
      });
      return moved;
    }
    // To a screen reader a chart is one picture with a description: its marks, hundreds of them, are not read one by one.
    function quiet() {
      box.removeAttribute("aria-roledescription");
      heard(); // Vega calls every chart "Vega visualization"
      box.querySelectorAll("svg [role]").forEach(function (e) {
        e.removeAttribute("role");
        e.removeAttribute("aria-roledescription");
        e.removeAttribute("aria-label");
        e.setAttribute("aria-hidden", "true");
      });
    }
    // The plots take what axes and legends leave: these differ with the state, so the width is set after each step.
    function fit() {
      let again = 6;
      function step() {
        const spare = drawn - Number(box.querySelector("svg").getAttribute("width"));
        if (!spare || !again--) return null;
        return size(inner + spare) ? view.runAsync().then(step) : null;
      }
      return Promise.resolve(step());
    }
    function tooltip(value, clean) {
      const lines = Object.entries(value).filter(function (e) { return !/^(null|NaN|undefined|)$/.test(String(e[1])); });
      return "<table>" + lines.map(function (e) {
        return '<tr><td class="key">' + clean(e[0]) + '</td><td class="value">' + clean(e[1]) + "</td></tr>";
      }).join("") + "</table>";
    }
    function embed() {
      const options = { mode: "vega-lite", renderer: "svg", config: config, actions: false, tooltip: { formatTooltip: tooltip } };
      if (view) view.finalize();
      return window.vegaEmbed(box, prepared(inner), options).then(function (result) {
        view = result.view;
        const known = Object.keys(view.getState({ signals: function () { return true; }, data: function () { return false; } }).signals);
        names = known.filter(function (s) { return /^(childWidth|concat_\d+_width)$/.test(s); }).sort();
        if (!names.length) names = ["width"];
        // the pixels by which the plots were told apart go again
        size(inner);
        return view.runAsync().then(fit);
      });
    }
    function draw() {
      drawn = Math.floor(box.clientWidth);
      const guess = inner = Math.max(LEAST, drawn - 64 * (beside() ? weights.length : 1) - (beside() ? 24 : 0));
      drawing = embed().then(function () {
        // titles were broken and legends laid out for the guess
        return Math.abs(inner - guess) > 24 ? embed() : null;
      }).then(function () {
        base = inner;
        quiet();
        root.setAttribute("data-ready", "1");
      }).catch(function (error) {
        box.textContent = "This chart could not be drawn: " + error.message;
        root.setAttribute("data-ready", "error");
      });
    }
    root.dlView = function () { return view; };
    root.dlDone = function () { return drawing; };
    function begin() { if (!root.hasAttribute("data-ready")) { root.dataset.ready = ""; draw(); } }
    return {
      begin: begin,
      ask: ask,
      resize: function () { if (root.hasAttribute("data-ready") && Math.abs(box.clientWidth - drawn) >= 8) draw(); }
    };
  }

  function start() {
    const charts = new Map();
    const near = new IntersectionObserver(function (seen) {
      seen.forEach(function (one) {
        if (!one.isIntersecting) return;
        near.unobserve(one.target);
        charts.get(one.target).begin();
      });
    }, { rootMargin: "500px 0px" });
    const timers = new Map();
    const sizes = new ResizeObserver(function (changed) {
      changed.forEach(function (one) {
        clearTimeout(timers.get(one.target));
        timers.set(one.target, setTimeout(function () { charts.get(one.target).resize(); }, 150));
      });
    });
    document.querySelectorAll(".dl-chart").forEach(function (root) {
      charts.set(root, Chart(root));
      near.observe(root);
      sizes.observe(root);
    });
    // paper shows all of a page
    window.addEventListener("beforeprint", function () { charts.forEach(function (c) { c.begin(); }); });
    // an address, of the page or of a link in its text, that names a figure and choices
    function obey(hash) {
      const found = /^#fig-([\w-]+)(?:\?(.*))?$/.exec(hash), root = found && document.getElementById("fig-" + found[1]);
      if (!root || !charts.has(root)) return false;
      window.dlReveal(root);
      charts.get(root).ask(Object.fromEntries(new URLSearchParams(found[2] || "")));
      const where = root.getBoundingClientRect();
      if (where.top < 0 || where.bottom > innerHeight) root.scrollIntoView({ block: where.height < innerHeight - 80 ? "center" : "start" });
      return true;
    }
    document.addEventListener("click", function (event) {
      const link = event.target.closest("a.dl-drive");
      if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
      if (obey(link.hash)) { event.preventDefault(); if (location.hash !== link.hash) history.pushState(null, "", link.hash); }
    });
    window.addEventListener("popstate", function () { obey(location.hash); });
    obey(location.hash);
  }
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start); else start();
})();
