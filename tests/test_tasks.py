"""The eight scripts of the page Your study from outside: their outputs, and each value by a route of its own."""

import re
import runpy
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from sklearn.linear_model import RidgeClassifier
from sklearn.metrics import accuracy_score
from sklearn.neighbors import KNeighborsClassifier

from dlcore import config, noise
from dlcore.metrics.similarity import linear_cka
from dlcore.stitching import activations

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "book" / "examples" / "tasks"
PAGE = (ROOT / "book" / "outside.md").read_text("utf8")


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Runs a script in an empty folder; returns its names, after a look at its length, its place on the page and its chart."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(config, "_REGISTERED", {kind: {} for kind in config._REGISTERED})

    def call(name):
        assert len((FOLDER / f"{name}.py").read_text("utf8").splitlines()) <= 20
        found = runpy.run_path(str(FOLDER / f"{name}.py"), run_name="__main__")
        assert capsys.readouterr().out.strip()
        assert f"{{literalinclude}} examples/tasks/{name}.py" in PAGE
        assert ("chart" in found) == (f"examples/tasks/{name}.svg" in PAGE) == (FOLDER / f"{name}.svg").exists()
        if "chart" in found:
            assert found["chart"].to_dict()["$schema"]
        return found

    return call


def test_calibration(run):
    s = run("calibration")
    y, predicted = s["y"][900:], s["predicted"]
    law, tv = np.eye(10), 0.0
    law[3, 3], law[3, 5] = 0.7, 0.3
    for part in range(10):
        given = predicted[y == part]
        tv += 0.5 * len(given) / len(y) * sum(abs((given == k).mean() - law[part, k]) for k in range(10))
    assert s["found"].tv == pytest.approx(tv, abs=1e-12)
    assert 0.1 < s["passed_on"] < 0.5


def test_gaps(run):
    s = run("gaps")
    x, y, *_ = s["sets"]
    rng, right, wrong = np.random.default_rng(99), [], []
    for _ in range(10):  # flips of its own
        flipped = rng.random(len(y)) < 0.1
        noisy = np.where(flipped, (y + rng.integers(1, 10, len(y))) % 10, y)
        found = RidgeClassifier().fit(x, noisy).predict(x) == y
        right.append(found.mean())
        wrong.append(found[flipped].mean())
    gap = s["found"].intervals.memorization
    assert np.mean(right) - np.mean(wrong) == pytest.approx(gap.value, abs=2 * (gap.high - gap.low))


def test_layers(run):
    s = run("layers")
    one, two = (activations(net, s["images"], ["layer2.1", "layer3.1"]) for net in s["networks"])
    whole = linear_cka(one["layer2.1"].flatten(1), two["layer3.1"].flatten(1), debiased=True)
    low, high = (table.loc["layer2.1", "layer3.1"] for table in (s["found"].low, s["found"].high))
    assert low - 0.02 <= whole <= high + 0.02
    assert len(s["found"].to_frame()) == 64


def test_joint_law(run):
    s = run("joint_law")
    assert 0 in s["fit"].outliers
    kept = s["fit"].without or s["fit"]
    search = minimize_scalar(
        lambda log_n: float(kept.predict(N=np.exp(log_n), D=1e21 / 6 / np.exp(log_n))),
        bounds=(16, 28),
        method="bounded",
    )
    assert s["best"].N.value == pytest.approx(np.exp(search.x), rel=1e-3)
    assert kept.parameters["b"] == pytest.approx(0.37, abs=0.01)


def test_label_noise(run):
    s = run("label_noise")
    moved = np.isin(s["y"], [9, 2, 4, 3, 5]).mean()
    wanted = {"symmetric": 0.4, "uniform": 0.36, "pair": 0.4, "asymmetric": 0.4 * moved, "of instances": 0.4}
    wanted["annotator"] = (s["annotated"] != s["y"]).mean()
    for kind, share in s["shares"].items():
        assert share == pytest.approx(wanted[kind], abs=4 * np.sqrt(0.25 / len(s["y"])))


def test_own_sweep(run):
    s = run("own_sweep")
    (row,) = s["found"].table.query("neighbours == 5 and noise == 0.3 and seed == 1").itertuples()
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    model = KNeighborsClassifier(5).fit(x[:900], noise.flip_labels(y[:900], 10, 0.3, 1).labels)
    assert row.accuracy == pytest.approx(accuracy_score(y[900:], model.predict(x[900:])))
    assert len(s["found"].table) == 12


def test_own_data(run):
    s = run("own_data")
    counts, law = (np.array(s["record"].arrays[name]) for name in ("counts_test", "conditional"))
    shares = counts / counts.sum(1, keepdims=True)
    tv = 0.5 * (counts.sum(1) / counts.sum() * np.abs(shares - law).sum(1)).sum()
    assert s["record"].metrics["tv"] == pytest.approx(tv, abs=1e-7)
    assert (s["record"].metrics["train_error"], counts.sum()) == (0.0, 58)
    assert re.fullmatch(r"wine\.npz#[0-9a-f]{12}", s["record"].data["name"])


def test_shipped_runs(run):
    s = run("shipped_runs")
    (row,) = [line for line in (ROOT / "README.md").read_text("utf8").splitlines() if "`cats-become-objects`" in line]
    assert f"{s['value']:.2f} ({s['low']:.2f} to {s['high']:.2f})" in row
