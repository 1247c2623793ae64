// The ground of the laboratory: parts that run in the page and in a worker alike, and the worker itself.
(function () {
  "use strict";
  const parts = [];
  const lab = window.dlLab = { banks: {} };
  // A part is a function of `lab`. The worker is made of the parts' own text: from file:// nothing can be fetched.
  lab.part = function (make) { parts.push(make); make(lab); };

  // eslint-disable-next-line no-shadow -- the worker gives a `lab` of its own
  lab.part(function (lab) {
    const SLICE = 25; // ms that a job holds the worker before it looks for a message
    lab.jobs = {};
    // Runs a generator to its end.
    lab.finish = function (steps) {
      for (;;) {
        const step = steps.next();
        if (step.done) return step.value;
      }
    };
    // A job is a generator of settings: what it yields is told to the page, what it returns is the result.
    lab.serve = function (scope) {
      let now = null;
      function slice(job) {
        if (job !== now) return;
        const end = performance.now() + SLICE;
        let step, told;
        try {
          do {
            step = job.steps.next();
            if (step.value !== undefined) told = step.value;
          } while (!step.done && performance.now() < end);
        } catch (error) {
          now = null;
          scope.postMessage({ id: job.id, error: error.message });
          return;
        }
        scope.postMessage(step.done ? { id: job.id, done: step.value } : { id: job.id, told: told });
        if (!step.done) setTimeout(slice, 0, job); else now = null;
      }
      scope.onmessage = function (event) {
        const data = event.data;
        if (data.bank) lab.banks[data.bank] = data.content;
        else if (data.stop) { now = null; scope.postMessage({ stopped: true }); }
        else {
          now = { id: data.id, steps: lab.jobs[data.job](data.settings) };
          slice(now);
        }
      };
    };
  });

  // One experiment's worker: a new run replaces the one before, and what was computed for it is kept.
  lab.worker = function () {
    const PATIENCE = 70; // ms after which a worker that does not answer a stop is ended
    let worker = null, id = 0, on = null, given = new Set(), alarm = 0;
    function start() {
      const text = "const lab = { banks: {} };\n[" + parts.join(",\n") + "].forEach((make) => make(lab));\nlab.serve(self);";
      worker = new Worker(URL.createObjectURL(new Blob([text], { type: "text/javascript" })));
      given = new Set();
      worker.onerror = function (event) { if (on) { const fail = on.failed; on = null; fail("The run broke off (" + event.message + ")."); } };
      worker.onmessage = function (event) {
        const data = event.data;
        if (data.stopped) { clearTimeout(alarm); return; }
        if (data.id !== id || !on) return;
        if (data.error !== undefined) { const fail = on.failed; on = null; fail(data.error); }
        else if ("done" in data) { const end = on.done; on = null; end(data.done); }
        else if (data.told !== undefined) on.told(data.told);
      };
    }
    return {
      run: function (job, settings, banks, answers) {
        try { if (!worker) start(); } catch (error) { answers.failed("This browser cannot start a worker here (" + error.message + ")."); return; }
        clearTimeout(alarm);
        banks.forEach(function (name) {
          if (!given.has(name)) worker.postMessage({ bank: name, content: lab.banks[name] });
          given.add(name);
        });
        on = answers;
        worker.postMessage({ id: ++id, job: job, settings: settings });
      },
      stop: function () {
        on = null;
        if (!worker) return;
        worker.postMessage({ stop: true });
        alarm = setTimeout(function () { worker.terminate(); worker = null; }, PATIENCE);
      }
    };
  };
})();
