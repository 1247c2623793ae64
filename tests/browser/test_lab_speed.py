"""The experiments are as fast as the page promises, on a page opened from a file."""

import os

# the limits hold on two idle cores; where others work, too, a run takes as many times longer
SLACK = float(os.environ.get("DLCORE_SLACK", "8"))
TIMES = """
async (settings) => {
  const lab = window.dlLab, now = () => performance.now(), found = {};
  await new Promise((done, failed) => lab.need(["digits", "recorded"], done, failed));
  const timed = (name, f) => { const start = now(); f(); found[name] = (now() - start) / 1000; };
  const sampler = (more) => lab.finish(lab.jobs.samplers(Object.assign({ experiment: "cyclic", rate: 0.3, n: 1200, seed: 0, k: 1, trees: 30, width: 128, bandwidth: 0.33 }, more)));
  sampler({ rule: "knn" });
  const again = [0.4, 0.5, 0.6].map((rate) => { timed("knn", () => sampler({ rule: "knn", rate: rate, k: 15 })); return found.knn; });
  found.knn = Math.min(...again); // others' work lengthens one of them by more than its own time
  const data = lab.digits(0, 1200), labels = lab.task("cyclic", 0.3, data.y, 0).labels;
  timed("forest", () => { for (const now of lab.forest(data, labels, 10, 30, lab.fast(1))) now; });
  const steps = lab.jobs.samplers({ experiment: "cyclic", rate: 0.3, n: 1200, seed: 0, rule: "mlp", width: 128 });
  timed("first", () => { while (!steps.next().value); });
  timed("zero", () => lab.finish(steps));
  return found;
}
"""
LIMITS = {"knn": 0.02, "forest": 0.5, "first": 0.3, "zero": 5.0}


def test_training_is_as_fast_as_promised(show):
    found = show("samplers").evaluate(TIMES)
    assert all(found[k] < LIMITS[k] * SLACK for k in LIMITS), found


def test_probes_stitching_and_laws_are_as_fast_as_promised(show):
    page = show("rationality", "stitching", "scaling")
    found = page.evaluate("""async () => {
      const lab = window.dlLab, found = {}, timed = (name, f) => { const start = performance.now(); f(); found[name] = (performance.now() - start) / 1000; };
      await new Promise((done, failed) => lab.need(["digits", "recorded"], done, failed));
      timed("ridge", () => lab.finish(lab.jobs.rationality({ features: "pixels", probe: "ridge", penalty: 1, rate: 0.2, n: 1000, draws: 100, seed: 0 })));
      timed("stitching", () => lab.finish(lab.jobs.stitching({ depth: 3, width: 32, epochs: 20, map: "least_squares", rate: 0, seed: 0 })));
      const sizes = Array.from({ length: 10 }, (_, i) => 1000 * 2 ** i), random = lab.fast(1), losses = sizes.map((d) => 2 * (1 / d + 1e-5) ** 0.3 * Math.exp(0.01 * random.normal()));
      for (const law of ["bansal", "power", "floor"]) timed(law, () => lab.finish(lab.fit(sizes, losses, law, 500, random)));
      return found;
    }""")
    limits = {"ridge": 0.5, "stitching": 10, "bansal": 1, "power": 1, "floor": 1}
    assert all(found[k] < limits[k] * SLACK for k in limits), found
