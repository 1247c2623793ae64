// Draws every chart of a page with the vendored Vega; colours follow the theme through CSS variables.
(function () {
  "use strict";
  const text = "var(--pst-color-text-base)", muted = "var(--pst-color-text-muted)", line = "var(--pst-color-border)";
  const config = {
    background: "transparent",
    // a real family: Vega measures text with it, and "inherit" would be measured wrongly
    font: getComputedStyle(document.body).fontFamily,
    view: { stroke: line },
    axis: { labelColor: text, titleColor: text, tickColor: muted, domainColor: muted, gridColor: line,
            labelFontSize: 12, titleFontSize: 12, titleFontWeight: 500 },
    legend: { labelColor: text, titleColor: text, labelFontSize: 12, titleFontSize: 12, titleFontWeight: 500, labelLimit: 220 },
    title: { color: text, subtitleColor: muted, fontSize: 15, subtitleFontSize: 12, fontWeight: 600, anchor: "start", offset: 12 },
    header: { labelColor: text, titleColor: text, labelFontSize: 13 }
  };

  // Legends side by side need room.
  function settings(width) {
    if (width >= 600) return config;
    const legend = Object.assign({}, config.legend, { layout: { bottom: { anchor: "start", direction: "vertical", margin: 8 } } });
    return Object.assign({}, config, { legend: legend });
  }

  // A title does not wrap by itself; break it at about the width of the chart.
  function wrap(words, width, size) {
    const most = Math.max(18, Math.floor(width / (size * 0.62)));
    const lines = [""];
    String(words).split(" ").forEach(function (w) {
      const last = lines[lines.length - 1];
      if (last && (last + " " + w).length > most) lines.push(w); else lines[lines.length - 1] = last ? last + " " + w : w;
    });
    return lines;
  }

  // Concatenated charts cannot fill their container by themselves: set inner widths, stack where there is no room.
  function fit(spec, width) {
    const narrow = width < 600;
    const part = spec.hconcat || spec.concat;
    if (part) {
      const gap = spec.spacing || 24, each = narrow ? width - 96 : Math.floor((width - 150 - gap * (part.length - 1)) / part.length);
      part.forEach(function (p) { p.width = Math.max(160, each); });
      if (narrow) { spec.vconcat = part; delete spec.hconcat; delete spec.concat; }
    }
    const title = typeof spec.title === "string" ? { text: spec.title } : spec.title;
    if (title) {
      title.text = wrap([].concat(title.text).join(" "), width, 15);
      if (title.subtitle) title.subtitle = wrap([].concat(title.subtitle).join(" "), width, 12);
      spec.title = title;
    }
    if (narrow) slim(spec, width);
    return spec;
  }

  // On a phone: fewer legend columns, and axis titles that wrap.
  function slim(node, width) {
    if (!node || typeof node !== "object") return;
    if (node.legend) node.legend.columns = String(node.field) === "series" ? 1 : 2;
    if (node.type === "quantitative" && typeof node.title === "string" && !node.legend) node.title = wrap(node.title, width - 110, 12);
    Object.values(node).forEach(function (child) { slim(child, width); });
  }

  function label(box) {
    box.querySelectorAll(".vega-bind").forEach(function (bind) {
      const name = bind.querySelector(".vega-bind-name");
      bind.querySelectorAll("input,select").forEach(function (input) {
        if (input.type !== "radio" && name) input.setAttribute("aria-label", name.textContent.trim());
      });
    });
  }

  function draw(root) {
    const source = root.querySelector('script[type="application/vnd.vegalite+json"]');
    if (!source) return;
    let box = root.querySelector(".dl-embed");
    const state = root.dlView ? root.dlView.getState({ signals: function (n) { return /^dl_/.test(n); }, data: function () { return false; } }) : null;
    if (root.dlView) root.dlView.finalize();
    if (!box) {
      box = document.createElement("div");
      box.className = "dl-embed";
      root.insertBefore(box, root.querySelector(".dl-rows"));
    }
    root.dlWidth = root.clientWidth;
    const spec = fit(JSON.parse(source.textContent), root.dlWidth);
    window.vegaEmbed(box, spec, { mode: "vega-lite", renderer: "svg", config: settings(root.dlWidth), actions: false }).then(function (result) {
      root.dlView = result.view;
      if (state) { Object.entries(state.signals).forEach(function (s) { try { result.view.signal(s[0], s[1]); } catch (e) { /* gone */ } }); result.view.run(); }
      label(box);
      root.setAttribute("data-ready", "1");
    }).catch(function (error) {
      box.textContent = "This chart could not be drawn: " + error.message;
      root.setAttribute("data-ready", "error");
    });
  }

  function start() {
    document.querySelectorAll(".dl-chart").forEach(function (root) {
      draw(root);
      let timer = 0;
      new ResizeObserver(function () {
        if (Math.abs(root.clientWidth - root.dlWidth) < 8) return;
        clearTimeout(timer);
        timer = setTimeout(function () { draw(root); }, 150);
      }).observe(root);
    });
  }
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start); else start();
})();
