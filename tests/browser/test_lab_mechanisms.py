"""The page's own mechanisms in Chromium, from a file, against the golden vectors that the Python wrote."""

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "book" / "_static" / "lab"
sys.path.insert(0, str(ROOT / "book"))

import golden  # noqa: E402
import laboratory  # noqa: E402

PARTS = (
    "core",
    "random",
    "numpy",
    "bank",
    "signals",
    "linear",
    "neighbours",
    "trees",
    "network",
    "kernels",
    "measures",
    "gaps",
    "alignment",
    "laws",
    "views",
)
JOBS = ("samplers", "rationality", "stitching", "rows", "scaling", "yours")
GOLDEN = json.loads(golden.FILE.read_text("utf8"))


@pytest.fixture(scope="module")
def lab(chromium, tmp_path_factory):
    """A page opened from a file, with all scripts and the digits; returns what a function of (lab, golden) returns."""
    folder = tmp_path_factory.mktemp("lab")
    bank = json.dumps(laboratory.digits())
    (folder / "digits.js").write_text(f"dlLab.banks.digits={bank};", "utf8")
    names = [(SCRIPTS / f"{name}.js").as_uri() for name in (*PARTS, *JOBS)] + ["digits.js"]
    tags = "".join(f'<script src="{name}"></script>' for name in names)
    (folder / "page.html").write_text(f"<!doctype html><title>lab</title>{tags}", "utf8")
    page = chromium.new_page()
    errors = []
    page.on("pageerror", lambda e: errors.append(str(e)))
    page.goto((folder / "page.html").as_uri())
    yield lambda body, given=None: page.evaluate(f"(golden) => {{ const lab = window.dlLab; {body} }}", given or GOLDEN)
    page.close()
    assert not errors


def test_the_golden_vectors_are_what_the_python_says_today():
    """Numbers to 1e-6, for another machine's rounding; answers and labels as they are."""

    def same(kept, now, where):
        if isinstance(now, dict):
            assert kept.keys() == now.keys(), where
            for key in now:
                same(kept[key], now[key], f"{where}/{key}")
        elif isinstance(now, list | tuple) and any(isinstance(v, list | tuple | dict) for v in now):
            assert len(kept) == len(now), where
            for i, (a, b) in enumerate(zip(kept, now, strict=True)):
                same(a, b, f"{where}/{i}")
        elif isinstance(now, list | tuple | float) and None not in np.ravel(now).tolist():
            np.testing.assert_allclose(kept, now, rtol=1e-6, atol=1e-9, err_msg=f"{where}: run python book/golden.py")
        else:
            assert kept == now, f"{where}: run python book/golden.py"

    now = json.loads(json.dumps(golden.golden(seeds=2)))  # a forest takes half a second
    kept = json.loads(json.dumps(GOLDEN))
    for name in ("tree", "forest"):
        kept["classifiers"][name] = {k: v[:2] for k, v in kept["classifiers"][name].items()}
    same(kept, now, "golden")


def test_random_numbers_are_numpys(lab):
    found = lab("""
      const a = lab.numpy(3, 5), times = (n, f) => Array.from({ length: n }, f);
      return { doubles: times(5, a.double), below9: times(7, () => a.below(9)), after: times(2, a.double),
        large: (() => { const b = lab.numpy(1, 2, 3, 4, 5, 6); return times(4, () => b.below(2147483648)); })(),
        permutation: Array.from(lab.numpy(7, 5).permutation(100)) };""")
    assert found == GOLDEN["random"]


def test_the_fast_generator_is_uniform_and_normal(lab):
    u, z = map(
        np.array,
        lab("const r = lab.fast(1, 2), f = (g) => Array.from({ length: 20000 }, g); return [f(r), f(r.normal)];"),
    )
    counts = np.histogram(u, 20, (0, 1))[0]
    assert ((counts - 1000) ** 2 / 1000).sum() < 50  # chi-square with 19 degrees of freedom: p = 1e-4
    assert abs(z.mean()) < 4 / np.sqrt(len(z))
    assert abs(z.std() - 1) < 4 / np.sqrt(2 * len(z))
    assert abs(np.corrcoef(u[:-1], u[1:])[0, 1]) < 4 / np.sqrt(len(u))


def test_splits_and_noisy_labels_are_those_of_the_python(lab):
    found = lab("""
      const data = lab.digits(3, 200), text = (labels) => Array.from(labels).join(""), out = { clean: text(data.y), test: text(data.u) };
      out.pixels = Array.from({ length: 200 }, (_, i) => { let s = 0; for (let k = 0; k < 64; k++) s += (k + 1) * data.x[i * 64 + k]; return s; });
      for (const name of ["cyclic", "pair", "subgroup", "sparse"]) out[name] = text(lab.task(name, 0.3, data.y, 3).labels);
      out.flipped = text(lab.flip(data.y, 10, 0.3, 11));
      return out;""")
    assert found == GOLDEN["labels"]


def test_signals_have_the_law_of_the_pythons(lab):
    """The mean of each class and the deviation at every point, and what a neighbour tells: within 4.5 standard errors,
    and the step of rounding."""
    found = lab("""
      const { x, y, t, u, m, d } = lab.signals(3, 4000), near = lab.finish(lab.neighbours(x, 1000, t, m, d, 1));
      return [Array.from(x), Array.from(y), 1 - lab.share(lab.vote(near, m, 1, 1, y, 10), u)];""")
    x, y = np.array(found[0]).reshape(4000, 40) * 8 / 31 - 4, np.array(found[1])
    wanted = {k: np.array(v) for k, v in GOLDEN["signals"].items()}
    means = np.stack([x[y == c].mean(0) for c in range(10)])
    error = wanted["deviations"] / np.sqrt(np.bincount(y))[:, None]
    assert (np.abs(means - wanted["means"]) < 4.5 * error + 0.01).all()
    np.testing.assert_allclose((x - means[y]).std(0), wanted["deviations"], rtol=4.5 / np.sqrt(2 * 4000) + 0.02)
    assert found[2] == pytest.approx(wanted["error"], abs=4.5 * np.sqrt(0.25 / 2000))


def _answers(lab, settings):
    return lab(
        """
      const steps = lab.jobs.samplers(Object.assign({ experiment: "cyclic", rate: 0.3, n: 1200, seed: 0 }, golden.settings));
      const end = lab.finish(steps);
      return { answers: Array.from(end.answers).join(""), moved: end.moved, error: end.error };""",
        {"settings": settings},
    )


def test_neighbours_answer_as_the_python_does(lab):
    """All but those images whose k-th and next neighbours are equally far, for which no order is right."""
    one, many = (_answers(lab, {"rule": "knn", "k": k}) for k in (1, 15))
    wanted = GOLDEN["classifiers"]
    assert one["error"] == 0
    levels, labels = laboratory.images()
    order = np.random.default_rng([0, 5]).permutation(len(labels))
    x, t = levels[order[:1200]].astype(int), levels[order[1200:]].astype(int)
    far = np.sort(((t[:, None] - x[None]) ** 2).sum(-1), axis=1)
    for k, found, name in ((1, one, "1-NN"), (15, many, "15-NN")):
        apart = [i for i, (a, b) in enumerate(zip(found["answers"], wanted[name]["answers"], strict=True)) if a != b]
        assert all(far[i, k - 1] == far[i, k] for i in apart)
        assert len(apart) <= 2


@pytest.mark.parametrize(
    ("name", "rule", "bandwidth"), [("laplace", "kernel_laplace", 0.33), ("gaussian", "kernel_gaussian", 0.66)]
)
def test_kernels_answer_as_the_python_does(lab, name, rule, bandwidth):
    found = _answers(lab, {"rule": rule, "bandwidth": bandwidth})["answers"]
    assert found == GOLDEN["classifiers"][name]["answers"]


@pytest.mark.parametrize("name", ["tree", "forest"])
def test_trees_have_the_distribution_of_the_pythons(lab, name):
    """Over 20 seeds: the means differ by less than four of their standard errors."""
    found = lab(f"""
      const data = lab.digits(0, 200), task = lab.task("cyclic", 0.3, data.y, 0), moved = [], right = [];
      for (let s = 0; s < {golden.SEEDS}; s++) {{
        let votes;
        for (const now of lab.forest(data, task.labels, 10, {1 if name == "tree" else 100}, lab.fast(s))) votes = now.test;
        let hit = 0, same = 0;
        for (let i = 0; i < data.m; i++) {{
          const told = lab.largest(votes, i * 10, 10);
          if (told === (data.u[i] + 1) % 10) hit++;
          if (told === data.u[i]) same++;
        }}
        moved.push(hit / data.m);
        right.push(same / data.m);
      }}
      return {{ moved, right }};""")
    for key, values in found.items():
        ours, theirs = np.array(values), np.array(GOLDEN["classifiers"][name][key])
        error = np.sqrt(ours.var(ddof=1) / len(ours) + theirs.var(ddof=1) / len(theirs))
        assert abs(ours.mean() - theirs.mean()) < 4 * error + 1e-9, (ours.mean(), theirs.mean(), error)


@pytest.mark.parametrize(
    ("probe", "settings"), [("ridge", {"penalty": 1}), ("logistic", {"penalty": 1}), ("knn", {"k": 5})]
)
def test_gaps_are_those_of_the_python(lab, probe, settings):
    given = {"features": "pixels", "probe": probe, "rate": 0.2, "n": 300, "seed": 2, "draws": 20, **settings}
    found = lab("return lab.finish(lab.jobs.rationality(golden)).gaps;", given)
    wanted = GOLDEN["gaps"][probe]
    # of neighbours, images whose k-th and next are equally far; of an optimum found in steps, images on an edge
    tolerance = 1e-6 if probe == "ridge" else 2 / 597
    assert {k: found[k] for k in wanted} == pytest.approx(wanted, abs=tolerance)


def test_features_of_a_bank_are_read_in_their_order(lab):
    """A bank that holds the pixels of seed 0, in the place of SimCLR's features, gives the gaps of the pixels."""
    split = laboratory.data.load("digits", n_train=1000, seed=0)
    rows = [v.reshape(len(v), -1) * 16 for v in (split.train_inputs, split.test_inputs)]
    bank = {"dimension": 64, "low": 0, "step": 1 / 16, "levels": laboratory.packed(np.rint(np.concatenate(rows)))}
    given = {"probe": "ridge", "penalty": 1, "rate": 0.2, "n": 800, "seed": 0, "draws": 5}
    pixels, banked = lab(
        """
      lab.banks.simclr = golden.bank;
      return ["pixels", "simclr"].map((f) => lab.finish(lab.jobs.rationality(Object.assign({ features: f }, golden.given))).gaps);""",
        {"bank": bank, "given": given},
    )
    assert pixels == banked


def test_a_network_takes_the_steps_of_torch(lab):
    """Fifty steps of Adam from given weights, on given rows."""
    found = lab(f"""
      const g = golden.network, net = lab.network.make(g.sizes, () => 0), n = 32;
      g.weights.forEach((w, l) => {{ net.weights[l].set(w); net.biases[l].set(g.biases[l]); }});
      const state = lab.network.adam(net, 0.01), x = Float64Array.from(g.x), order = Array.from({{ length: n }}, (_, i) => i);
      for (let s = 0; s < {golden.STEPS}; s++) {{ const at = s * {golden.BATCH} % n; lab.network.step(net, state, x, g.y, order, at, at + {golden.BATCH}); }}
      return {{ weights: net.weights.map((w) => Array.from(w)), biases: net.biases.map((b) => Array.from(b)), outputs: Array.from(lab.network.outputs(net, x, n)) }};""")
    wanted = GOLDEN["network"]
    for ours, theirs in ((found["weights"], wanted["end_weights"]), (found["biases"], wanted["end_biases"])):
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-4)
    np.testing.assert_allclose(found["outputs"], wanted["outputs"], atol=1e-4)


def test_fixed_layers_stay_and_pass_the_gradient_on(lab):
    """Training a map below fixed layers changes the map alone, and lowers the error."""
    found = lab("""
      const random = lab.fast(5), top = lab.network.make([4, 6, 3], () => (random() - 0.5) * 9 + 0.5), rows = 60;
      const x = Float64Array.from({ length: rows * 4 }, () => random.normal()), y = lab.network.predict(top, x, rows);
      const map = lab.network.make([4, 4], random), joined = lab.joined(top, 0, map.weights[0], map.biases[0]), before = Array.from(top.weights[0]);
      const wrong = () => 1 - lab.share(lab.network.predict(joined, x, rows), y), first = wrong();
      lab.finish(lab.network.train(joined, x, y, rows, { epochs: 80, rate: 0.02, batch: 16, random: random }));
      return { first, last: wrong(), same: before.every((v, i) => v === top.weights[0][i]) };""")
    assert found["same"]
    assert found["last"] < 0.1 < found["first"]


def test_penalties_of_given_networks_are_those_of_the_python(lab):
    found = lab("""
      const g = golden.stitched, { sizes, n } = g, x = Float64Array.from(g.x), m = g.y.length - n, truth = Uint8Array.from(g.y.slice(n));
      const [bottom, top] = g.weights.map((all) => { const net = lab.network.make(sizes, () => 0.5); all.forEach((w, l) => { net.weights[l].set(w); net.biases[l].fill(0); }); return net; });
      const rows = x.slice(0, 8 * n), fresh = x.slice(8 * n), error = (net, from) => 1 - lab.share(lab.network.predict(net, from, m), truth);
      return [1, 2].map((at) => {
        const { map, bias } = lab.leastSquares(lab.network.outputs(bottom, rows, n, 0, at), lab.network.outputs(top, rows, n, 0, at), n, sizes[at], sizes[at]);
        return error(lab.joined(top, at, map, bias), lab.network.outputs(bottom, fresh, m, 0, at)) - error(top, fresh);
      });""")
    assert min(found) > 0
    assert found == pytest.approx(GOLDEN["stitched"]["penalties"], abs=1e-9)


def test_a_network_that_makes_no_error_memorises_as_the_python_says(lab):
    found = lab("return lab.finish(lab.jobs.memorise({ n: 300, seed: 2, rate: 0.2, width: 64 })).gaps;")
    assert found["fitted"] == found["train"] == 1
    wanted = GOLDEN["memorised"]
    assert {k: found[k] for k in wanted} == pytest.approx(wanted, abs=1e-9)


def test_a_readers_answers_are_measured_as_the_python_does(lab):
    found = lab("return lab.finish(lab.jobs.answers(Object.assign({ features: 3, classes: 3 }, golden.answers)));")
    wanted = GOLDEN["answers"]
    assert found["tv"]["tv"] == pytest.approx(wanted["tv"], abs=1e-9)
    for name in ("agreement", "sampler", "interval"):
        assert found[name] == pytest.approx(wanted[name], abs=1e-9)


def test_total_variation_with_its_null(lab):
    wanted = GOLDEN["measures"]
    found = lab(
        "return lab.calibration(Int32Array.from(golden.measures.counts), golden.measures.law, 3, 3, 20000, lab.fast(1));"
    )
    assert found["tv"] == pytest.approx(wanted["tv"]["tv"], abs=1e-9)
    assert found["nullFormula"] == pytest.approx(wanted["null_bias"], abs=1e-9)
    assert found["nullMean"] == pytest.approx(wanted["tv"]["null_mean"], abs=1e-3)
    assert found["nullQ95"] == pytest.approx(wanted["tv"]["null_q95"], abs=2e-3)
    assert [found["low"], found["high"]] == pytest.approx([wanted["tv"][k] for k in ("low", "high")], abs=3e-3)


def test_alignment_least_squares_and_intervals(lab):
    wanted = GOLDEN["measures"]
    found = lab("""
      const g = golden.measures, x = Float64Array.from(g.x), y = Float64Array.from(g.y), { map, bias } = lab.leastSquares(x, y, 40, 4, 3);
      return { cka: lab.cka(x, y, 40, 4, 3), map: Array.from(map).concat(Array.from(bias)), wilson: lab.wilson(17, 60),
        tails: g.tails.map(([t, dof]) => lab.studentTail(t, dof)), quantile: lab.studentQuantile(0.025, 7), normal: lab.normalTail(1.959963984540054) };""")
    assert found["cka"] == pytest.approx({"plain": wanted["cka"], "debiased": wanted["cka_debiased"]}, abs=1e-9)
    np.testing.assert_allclose(found["map"], wanted["map"], atol=1e-6)
    assert found["wilson"] == pytest.approx(wanted["wilson"], abs=1e-9)
    assert found["tails"] == pytest.approx([p for _, _, p in wanted["tails"]], abs=1e-9)
    assert found["quantile"] == pytest.approx(wanted["quantile"], abs=1e-9)
    assert found["normal"] == pytest.approx(0.025, abs=1e-6)


@pytest.mark.parametrize("at", range(len(GOLDEN["laws"])), ids=["one run", "seeds", "power", "flat"])
def test_laws_are_fitted_as_the_python_does(lab, at):
    """Values and flags; the intervals come from other draws, and agree to a quarter of their width."""
    wanted = GOLDEN["laws"][at]
    found = lab(
        "const { sizes, losses } = golden; return lab.finish(lab.jobs.fit({ sizes, losses, unit: 'samples' }));", wanted
    )
    assert {f["law"] for f in found["laws"]} == wanted["fits"].keys()
    # the same sentence; the intervals come from other draws, and a page has Greek letters
    said, told = (
        re.sub(r"\[[^]]*\]|(?<=sizes )\([^)]*\)|(?<=follows ).*(?= with)", "", t["sentence"]) for t in (found, wanted)
    )
    assert said == told
    assert found["best"] == wanted["best"]
    for fit in found["laws"]:
        other = wanted["fits"][fit["law"]]
        ours = {k: None if v is None or np.isnan(v) else v for k, v in fit["parameters"].items()}
        assert {k: v is None for k, v in ours.items()} == {k: v is None for k, v in other["parameters"].items()}
        assert {k: v for k, v in ours.items() if v is not None} == pytest.approx(
            {k: v for k, v in other["parameters"].items() if v is not None}, rel=1e-6, abs=1e-9
        )
        assert fit["rmsle"] == pytest.approx(other["rmsle"], rel=1e-6, abs=1e-9)
        assert fit["error"] == pytest.approx(other["held_out"], rel=1e-6, abs=1e-9)
        for name in ("doubling", "next"):
            assert fit[name] == pytest.approx(other[name], rel=1e-6, abs=1e-12)
        assert {k: v.split("[")[0] for k, v in fit["flags"].items()} == {
            k: v.split("[")[0] for k, v in other["flags"].items()
        }
        low, high = other["interval"]
        if fit["law"] != "broken" and np.isfinite([low, high]).all():
            assert fit["intervals"][fit["exponent"]] == pytest.approx([low, high], abs=0.25 * (high - low) + 1e-3)


def test_the_learner_of_words_has_the_pythons_curve(lab):
    given = {**GOLDEN["lexicon"]["settings"], "draws": 60, "seed": 0}
    found = lab("return lab.finish(lab.jobs.lexicon(golden)).points.map((p) => p[1]);", given)
    wanted = np.array(GOLDEN["lexicon"]["excess"])
    np.testing.assert_allclose(found, wanted, rtol=0.03, atol=0.004)
