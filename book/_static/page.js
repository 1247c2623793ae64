// Names for the theme's buttons, a place among the tab stops for what scrolls sideways, details that open for a link and
// on paper, and what a reader has read.
(function () {
  "use strict";
  // Opens whatever is folded around an element.
  window.dlReveal = function (element) {
    for (let e = element.parentElement; e; e = e.parentElement) if (e.tagName === "DETAILS") e.open = true;
  };
  function follow() {
    const target = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    const own = target.querySelector(":scope > details.dl-fold");
    if (own) own.open = true;
    window.dlReveal(target);
    if (own || target.closest("details")) target.scrollIntoView();
  }
  // Paper is light and shows what is folded; afterwards all is as it was.
  let theme = null, closed = [];
  window.addEventListener("beforeprint", function () {
    if (theme !== null) return;
    theme = document.documentElement.dataset.theme || "";
    document.documentElement.dataset.theme = "light";
    closed = [...document.querySelectorAll("article details:not([open])")];
    closed.forEach(function (d) { d.open = true; });
  }, true);
  window.addEventListener("afterprint", function () {
    if (theme === null) return;
    document.documentElement.dataset.theme = theme;
    closed.forEach(function (d) { d.open = false; });
    theme = null;
  });
  // Chapters and their parts that were read to the end get a mark in the lists of contents; it stays in this browser.
  function progress() {
    const key = "dl-read", end = document.querySelector("article .prev-next-footer, .prev-next-footer, footer");
    let read = [];
    try { read = JSON.parse(localStorage.getItem(key)) || []; } catch { return; }
    const name = function (url) { const u = new URL(url, location.href); return u.pathname.split("/").slice(-2).join("/") + u.hash; };
    const own = name(location.pathname), parts = document.querySelectorAll(".bd-sidebar-secondary a.nav-link");
    const mark = function () {
      [...document.querySelectorAll(".bd-sidebar-primary a.reference.internal"), ...parts].forEach(function (a) {
        if (!read.includes(name(a.href)) || a.querySelector(".dl-read")) return;
        const tick = document.createElement("span");
        tick.className = "dl-read";
        tick.textContent = " ✓";
        tick.title = "read to the end";
        a.appendChild(tick);
      });
    };
    mark();
    if (!end || !/notebooks/.test(own)) return;
    // the chapter ends with its footer, a part of it with its last element
    const ends = [[end, own]];
    parts.forEach(function (a) {
      let e = document.getElementById(decodeURIComponent(a.hash.slice(1)));
      while (e && e.lastElementChild && /^(SECTION|DETAILS)$/.test(e.tagName)) e = e.lastElementChild;
      if (e) ends.push([e, name(a.href)]);
    });
    const watch = new IntersectionObserver(function (seen) {
      const met = new Set(seen.filter(function (s) { return s.isIntersecting; }).map(function (s) { watch.unobserve(s.target); return s.target; }));
      const done = ends.filter(function (pair) { return met.has(pair[0]); }).map(function (pair) { return pair[1]; });
      if (!done.length) return;
      read = [...new Set(read.concat(done))];
      try { localStorage.setItem(key, JSON.stringify(read)); } catch { /* a browser that keeps nothing */ }
      mark();
    });
    ends.forEach(function (pair) { watch.observe(pair[0]); });
  }
  function start() {
    document.querySelectorAll(".toggle-button").forEach(function (button) {
      const title = button.closest(".admonition-title, .proof-title");
      const words = title && title.textContent.trim();
      if (words) button.setAttribute("aria-label", "Show or hide: " + words);
    });
    document.querySelectorAll(".dl-scroll, .cell_output .text_html").forEach(function (box) {
      if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
    });
    progress();
    follow();
    window.addEventListener("hashchange", follow);
  }
  // after the theme's own scripts, which make the buttons
  if (document.readyState === "complete") start(); else window.addEventListener("load", start);
})();
