// Finds the experiments of a page and loads their scripts, in order, when a reader comes near.
(function () {
  "use strict";
  if (window.dlLabLoader) return; // a page has the tag once for each experiment
  window.dlLabLoader = true;
  const folder = document.currentScript.src.replace(/[^/]*$/, "");
  const ground = ["core", "random", "views"];
  const needed = {
    samplers: ["numpy", "bank", "signals", "linear", "neighbours", "trees", "network", "kernels", "measures", "samplers"],
    rationality: ["numpy", "bank", "linear", "neighbours", "network", "measures", "gaps", "rationality"],
    stitching: ["numpy", "bank", "signals", "linear", "network", "measures", "stitching"],
    scaling: ["measures", "rows", "laws", "scaling"],
    yours: ["linear", "measures", "alignment", "rows", "yours"]
  };
  const asked = new Map();
  let last = Promise.resolve();
  function script(name) {
    if (!asked.has(name)) {
      last = last.then(() => new Promise(function (done, failed) {
        const tag = document.createElement("script");
        tag.src = folder + name + ".js";
        tag.onload = done;
        tag.onerror = function () { failed(new Error(name)); };
        document.head.append(tag);
      }));
      asked.set(name, last);
    }
    return asked.get(name);
  }
  function begin(root) {
    const name = root.dataset.lab;
    Promise.all(ground.concat(needed[name]).map(script)).then(function () {
      window.dlLab.folder = folder;
      window.dlLab.experiments[name](root);
      root.dataset.state = "ready";
    }).catch(function (error) {
      root.dataset.state = "wrong";
      root.append("A script of this experiment did not load (" + error.message + "). Reload the page.");
    });
  }
  function start() {
    const style = document.createElement("link");
    style.rel = "stylesheet";
    style.href = folder + "lab.css";
    document.head.append(style);
    const near = new IntersectionObserver(function (seen) {
      seen.filter((one) => one.isIntersecting).forEach(function (one) { near.unobserve(one.target); begin(one.target); });
    }, { rootMargin: "600px 0px" });
    const wanted = new URLSearchParams(location.hash.slice(1)).get("lab"), named = wanted === "lexicon" ? "scaling" : wanted;
    document.querySelectorAll(".dl-lab[data-lab]").forEach(function (root) {
      if (root.dataset.lab === named) begin(root); else near.observe(root);
    });
  }
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start); else start();
})();
