"""The eight scripts of the page Your study from outside: their outputs, and each value by a route of its own."""

import json
import re
import runpy
from pathlib import Path

import numpy as np
import pytest
import torch
import vl_convert
from scipy import stats
from scipy.optimize import least_squares
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.linear_model import RidgeClassifier
from sklearn.metrics import accuracy_score
from sklearn.neighbors import KNeighborsClassifier

from dlcore import config, data, noise
from dlcore.probing import noisy_draws
from dlcore.records import PACKAGED

NUMBER = re.compile(r"(?<![\w.])[-+−]?\d+\.?\d*(?:e[+-]?\d+)?")
ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "book" / "examples" / "tasks"
PAGE = (ROOT / "book" / "outside.md").read_text("utf8")


def _words(svg):
    """Returns the text in a picture: title, axes, legend."""
    return "\n".join(re.findall(r">([^<]+)</text>", svg))


def _same(found, shown):
    """Compares a text with what the page shows of it, up to the rounding of other machines."""
    again = "is it new? run: python book/examples/tasks"
    found, shown = (re.sub("#[0-9a-f]{12}", "", text) for text in (found, shown))
    assert NUMBER.sub("#", found).split() == NUMBER.sub("#", shown).split(), again
    numbers = [[float(v.replace("−", "-")) for v in NUMBER.findall(text)] for text in (found, shown)]
    np.testing.assert_allclose(*numbers, rtol=0.02, atol=0.002, err_msg=again)


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Runs a script in an empty folder; returns its names, after a look at its length, its place on the page, what the page shows."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(config, "_REGISTERED", {kind: {} for kind in config._REGISTERED})

    def call(name):
        assert len((FOLDER / f"{name}.py").read_text("utf8").splitlines()) <= 20
        found = runpy.run_path(str(FOLDER / f"{name}.py"), run_name="__main__")
        assert all(f"examples/tasks/{name}.{ending}" in PAGE for ending in ("py", "txt", "svg"))
        drawn = vl_convert.vegalite_to_svg(found["chart"].to_dict())
        _same(capsys.readouterr().out, (FOLDER / f"{name}.txt").read_text("utf8"))
        _same(_words(drawn), _words((FOLDER / f"{name}.svg").read_text("utf8")))
        return found

    return call


def _tv(y, predicted, law):
    """Returns the distance of (y, predicted) from y labelled by the law."""
    return 0.5 * sum(
        abs(np.mean((y == i) & (predicted == j)) - np.mean(y == i) * law[i, j]) for i, j in np.ndindex(law.shape)
    )


def test_calibration(run):
    s = run("calibration")
    law = np.eye(10)
    law[3, 3], law[3, 5] = 0.7, 0.3
    assert s["found"].tv == pytest.approx(_tv(s["y"][900:], s["predicted"], law), abs=1e-12)
    assert s["on_train"].tv == pytest.approx(_tv(s["y"][:900], s["train"], law), abs=1e-12)
    assert 0.1 < s["passed_on"] < 0.5
    shown = {row["set"]: row["TV"] for row in next(iter(s["chart"].to_dict()["datasets"].values()))}
    assert shown == pytest.approx({"test": s["found"].tv, "train": s["on_train"].tv})


def test_gaps(run):
    s = run("gaps")
    x, y, *_ = s["sets"]
    noisy = np.stack(noisy_draws(y, 10, 0.1, 0, 10))
    right = np.stack([RidgeClassifier().fit(x, labels).predict(x) for labels in noisy]) == y
    assert s["found"].intervals.memorization.value == pytest.approx(right.mean() - right[noisy != y].mean(), abs=1e-9)


def _products(x, y):
    """Returns the unbiased HSIC of two batches of features, by the sums of Song et al. 2012, equation 4."""
    k, m = (v @ v.T - np.diag((v**2).sum(1)) for v in (x, y))
    n = len(k)
    whole = k.sum() * m.sum() / ((n - 1) * (n - 2)) - 2 / (n - 2) * (k.sum(0) @ m.sum(0))
    return ((k * m).sum() + whole) / (n * (n - 3))


def test_layers(run):
    s = run("layers")
    seen = []
    for net, layer in zip(s["networks"], ("layer2.1", "layer3.1"), strict=True):
        handle = net.get_submodule(layer).register_forward_hook(
            lambda _, __, out: seen.append(out.flatten(1).double().numpy())
        )
        with torch.no_grad():
            net.eval()(s["images"])
        handle.remove()
    one, two = (v - v.mean(0) for v in seen)
    batches = np.array_split(np.random.default_rng(0).permutation(256), 4)
    sums = [np.sum([_products(a[rows], b[rows]) for rows in batches]) for a, b in ((one, two), (one, one), (two, two))]
    assert s["found"].value.loc["layer2.1", "layer3.1"] == pytest.approx(sums[0] / np.sqrt(sums[1] * sums[2]), abs=1e-4)
    assert len(s["found"].to_frame()) == 64


def test_joint_law(run):
    s = run("joint_law")
    assert 0 in s["fit"].outliers
    log_n, log_d = (np.log(np.delete(s[name], s["fit"].outliers)) for name in "ND")
    loss = np.log(np.delete(s["loss"], s["fit"].outliers))

    def residuals(at):  # log E, log A, a, log B, b
        return np.logaddexp(np.logaddexp(at[0], at[1] - at[2] * log_n), at[3] - at[4] * log_d) - loss

    log_e, *_, beta = least_squares(residuals, [0, 6, 0.3, 7, 0.3], loss="soft_l1", f_scale=1e-3, xtol=1e-12).x
    kept = s["fit"].without
    assert kept.parameters["E"] == pytest.approx(np.exp(log_e), rel=0.02)
    assert kept.parameters["b"] == pytest.approx(beta, abs=0.01)
    # Hoffmann et al. 2022, equation 4, of the fit's own numbers
    p = kept.parameters
    best = (p["a"] * p["A"] / p["b"] / p["B"]) ** (1 / (p["a"] + p["b"])) * (1e21 / 6) ** (p["b"] / (p["a"] + p["b"]))
    assert s["best"].N.value == pytest.approx(best, rel=1e-3)


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
    x, y, rows = s["x"], s["y"], data.load("wine.npz", n_train=120, seed=0).extra["train_index"]
    law = 0.7 * np.eye(3) + 0.3 * np.roll(np.eye(3), 1, axis=1)
    noisy = noise.apply_confusion(y[rows], law, 0).labels
    predicted = ExtraTreesClassifier(1, random_state=0).fit(x[rows], noisy).predict(x[120:])
    assert s["record"].metrics["tv"] == pytest.approx(_tv(y[120:], predicted, law), abs=1e-7)
    assert (s["record"].metrics["train_error"], s["record"].metrics["num_test"]) == (0.0, 58)
    assert re.fullmatch(r"wine\.npz#[0-9a-f]{12}", s["record"].data["name"])


def test_shipped_runs(run):
    s = run("shipped_runs")
    wanted = {**s["where"], "feature": False, "noise": 0.3, "n_train": 10000}
    lines = [
        line for path in (PACKAGED / "distributional").glob("*.jsonl") for line in path.read_text("utf8").splitlines()
    ]
    rates = [
        record["metrics"]["flip_rate_test"]
        for record in map(json.loads, lines)
        if all(record["config"].get(name) == value for name, value in wanted.items())
    ]
    low, high = stats.ttest_1samp(rates, 0).confidence_interval(0.95)
    assert (s["n"], s["value"], s["low"], s["high"]) == pytest.approx((len(rates), np.mean(rates), low, high))
