// Filters of the ledger. The choice stands in the address (#chapter=2&verdict=undecided), so that a view can be linked.
(function () {
  "use strict";
  function start() {
    const root = document.querySelector(".ledger");
    const form = root.querySelector("form"), told = root.querySelector("output");
    const rows = [...root.querySelectorAll("tr[id]")], names = ["chapter", "verdict", "scale", "kind", "timing"];
    const order = [...form.elements.verdict.options].map(function (o) { return o.value; }).filter(Boolean);
    const texts = rows.map(function (row) { return row.textContent.toLowerCase(); });

    function fits(row, i) {
      const words = form.elements.words.value.toLowerCase().split(/\s+/);
      return words.every(function (w) { return texts[i].includes(w); }) && names.every(function (name) {
        const asked = form.elements[name].value;
        return !asked || row.dataset[name] === asked || (name === "kind" && asked === "headline" && row.dataset.headline);
      });
    }

    function show() {
      const shown = rows.filter(function (row, i) { row.hidden = !fits(row, i); return !row.hidden; });
      root.querySelectorAll("tbody").forEach(function (part) { part.hidden = !part.querySelector("tr[id]:not([hidden])"); });
      const counts = order.map(function (v) {
        return [shown.filter(function (row) { return row.dataset.verdict === v; }).length, v];
      }).filter(function (c) { return c[0]; });
      told.textContent = (shown.length === rows.length ? rows.length : shown.length + " of " + rows.length) + " rows" +
        (counts.length ? ": " + counts.map(function (c) { return c.join(" "); }).join(", ") : "");
    }

    function write() {
      const found = new URLSearchParams();
      [...names, "words"].forEach(function (name) { if (form.elements[name].value) found.set(name, form.elements[name].value); });
      history.replaceState(null, "", "#" + found);
    }

    // an address without "=" names a row, which must then be there
    function read() {
      const asked = location.hash.slice(1), found = new URLSearchParams(asked.includes("=") ? asked : "");
      [...names, "words"].forEach(function (name) { form.elements[name].value = found.get(name) || ""; });
      show();
    }

    form.addEventListener("input", function () { show(); write(); });
    form.addEventListener("reset", function () { setTimeout(function () { show(); write(); }); });
    form.addEventListener("submit", function (event) { event.preventDefault(); });
    window.addEventListener("hashchange", read);
    form.hidden = false;
    // the theme's own bar stays at the top, too
    const bar = document.querySelector(".bd-header-article");
    if (bar && getComputedStyle(bar).position === "sticky") root.style.setProperty("--ledger-top", bar.offsetHeight + "px");
    read();
  }
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start); else start();
})();
