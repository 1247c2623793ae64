// The figure of the landing page: the slider steps over the recorded noise rates; squares and sentence follow.
(function () {
  "use strict";
  function start() {
    const root = document.querySelector(".try");
    const states = JSON.parse(root.querySelector("script").textContent), input = root.querySelector("input");
    function show() {
      const now = states[input.value];
      root.querySelectorAll("figure").forEach(function (figure) {
        const taught = now[figure.dataset.name + "_taught"], known = taught + now[figure.dataset.name + "_true"];
        figure.querySelectorAll("i").forEach(function (square, i) {
          square.className = i < taught ? "taught" : i < known ? "true" : "other";
        });
      });
      root.querySelectorAll("[data-of]").forEach(function (word) { word.textContent = now[word.dataset.of]; });
      root.querySelector("output").textContent = now.noise + " %";
      input.setAttribute("aria-valuetext", now.noise + " %");
    }
    input.addEventListener("input", function () {
      show();
      history.replaceState(null, "", "#noise=" + states[input.value].noise);
    });
    const given = new URLSearchParams(location.hash.slice(1)).get("noise"), named = states.findIndex((s) => String(s.noise) === given);
    if (named >= 0) input.value = named;
    root.querySelector("label").hidden = false;
    show();  // a browser keeps the slider's place when a page is reloaded
  }
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start); else start();
})();
