// Names for the theme's buttons, and a place among the tab stops for what scrolls sideways.
(function () {
  "use strict";
  function start() {
    document.querySelectorAll(".toggle-button").forEach(function (button) {
      const title = button.closest(".admonition-title, .proof-title");
      const words = title && title.textContent.trim();
      if (words) button.setAttribute("aria-label", "Show or hide: " + words);
    });
    document.querySelectorAll(".dl-scroll, .cell_output .text_html").forEach(function (box) {
      if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
    });
  }
  // after the theme's own scripts, which make the buttons
  if (document.readyState === "complete") start(); else window.addEventListener("load", start);
})();
