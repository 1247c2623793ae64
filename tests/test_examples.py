"""The scripts of the page Bring your own: known answers, the outputs that the page shows, one line for what is wrong."""

import json
import os
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "book" / "examples"
SCRIPTS = sorted(path.stem for path in EXAMPLES.glob("*.py"))
PAGE = (ROOT / "book" / "own.md").read_text("utf8")
# how far a shown number may be off where another machine rounds otherwise: share of it, and in the unit of the output;
# networks trained elsewhere differ by a few of 597 test digits
TOLERANCE = {"stitch_two_models": (0.0, 2.0)}
NUMBER = re.compile(r"(?<![\w.])[+-]?\d[\d,]*\.?\d*(?:e[+-]?\d+)?")


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Runs a script in this process, from an empty folder; returns exit status, output and errors."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))

    def call(script, *args):
        monkeypatch.setattr(sys, "argv", [script, *map(str, args)])
        try:
            runpy.run_path(str(EXAMPLES / f"{script}.py"), run_name="__main__")
            status = 0
        except SystemExit as end:
            status = end.code or 0
        return status, *capsys.readouterr()

    yield call
    sys.modules.pop("mine", None)


@pytest.mark.table
@pytest.mark.parametrize("script", SCRIPTS)
def test_the_output_on_the_page_is_that_of_the_script(script, tmp_path):
    shutil.copy(EXAMPLES / f"{script}.py", tmp_path)
    command = [sys.executable, "-W", "error", f"{script}.py", "--demo", "--json", "out.json"]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    found = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    shown = (EXAMPLES / f"{script}.txt").read_text("utf8")
    assert NUMBER.sub("#", shown).split() == NUMBER.sub("#", found.stdout).split()
    numbers = [[float(v.replace(",", "")) for v in NUMBER.findall(text)] for text in (found.stdout, shown)]
    relative, absolute = TOLERANCE.get(script, (0.02, 0.001))
    np.testing.assert_allclose(*numbers, rtol=relative, atol=absolute)
    assert json.loads((tmp_path / "out.json").read_text(), parse_constant=pytest.fail)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([f"{script}.py", "out.json"])


def test_the_page_shows_every_script_and_its_output():
    for script in SCRIPTS:
        for kind in ("py", "txt"):
            assert f"```{{literalinclude}} examples/{script}.{kind}" in PAGE
        # what the column of text shows without scrolling
        assert max(map(len, (EXAMPLES / f"{script}.txt").read_text("utf8").splitlines())) <= 80
        assert f"python {script}.py --demo" in PAGE


@pytest.mark.parametrize("script", SCRIPTS)
def test_help(run, script):
    status, out, _ = run(script, "--help")
    assert status == 0
    assert "--demo" in out
    assert "--json" in out


def _curve(path, sizes, losses, **more):
    pd.DataFrame({"size": sizes, "loss": losses, **more}).to_csv(path, index=False)


def test_a_power_law_is_recovered(run, tmp_path):
    sizes = 1000 * 2.0 ** np.arange(9)
    _curve("mine.csv", sizes, 7 * sizes**-0.35 * np.exp(0.002 * np.random.default_rng(1).normal(size=9)))
    status, out, err = run("fit_law", "mine.csv", "--json", "out.json", "--bootstrap", 50, "--unit", "pages")
    assert (status, err) == (0, "")
    found = json.loads(Path("out.json").read_text())
    assert found["laws"]["power"]["parameters"]["c"] == pytest.approx(0.35, abs=0.003)
    assert found["doubling"] == pytest.approx(2**-0.35, abs=0.01)
    assert found["best"] == "power"
    assert found["sentence"] in " ".join(out.split())
    assert "pages" in found["sentence"]


def _world(points, seed=0):
    """Parts by name, p(y | part), and a draw from it for each point."""
    parts, law = np.array(["cat", "dog", "car"]), np.array([[0.7, 0.3], [0.9, 0.1], [0.2, 0.8]])
    rng = np.random.default_rng(seed)
    part = rng.integers(0, 3, points)
    return parts[part], law, lambda: np.array(["animal", "object"])[(rng.random(points) < law[part, 1]).astype(int)]


@pytest.mark.parametrize("against", ["law", "train", "labels"])
@pytest.mark.parametrize("kind", ["csv", "npz"])
def test_a_sampler_lies_within_its_null_and_a_bayes_rule_does_not(run, against, kind):
    feature, law, draw = _world(3000)
    best = np.where(feature == "car", "object", "animal")
    columns = {"feature": feature, "prediction": draw(), "bayes": best, "label": draw(), "other": draw()}
    if kind == "csv":
        pd.DataFrame(columns).to_csv("test.csv", index=False)
    else:
        np.savez("test.npz", **columns)
    known = pd.DataFrame(law, columns=["animal", "object"]).assign(feature=["cat", "dog", "car"])
    known.to_csv("law.csv", index=False)
    train, _, again = _world(6000, seed=5)
    pd.DataFrame({"feature": train, "label": again()}).to_csv("train.csv", index=False)
    options = {"law": ["--law", "law.csv"], "train": ["--train", "train.csv"], "labels": []}[against]

    def check(*more):
        status, _, err = run("check_sampler", f"test.{kind}", *options, "--json", "out.json", *more)
        assert (status, err) == (0, "")
        return json.loads(Path("out.json").read_text())

    found = check("--second", "other")
    assert found["tv"] < found["null_q95"]
    assert found["low"] == 0
    assert found["p_value"] > 0.05
    assert found["agreement"]["low"] < 0 < found["agreement"]["high"]
    # the likeliest label instead of a draw: off by 0.3, 0.1 and 0.2 in a third of the points each
    found = check("--prediction", "bayes")
    assert found["p_value"] < 0.01
    assert found["low"] > 0.15
    assert found["debiased"] == pytest.approx(0.2, abs=0.02)


def test_numbers_are_classes_whatever_their_type(run):
    """A column with a gap elsewhere is read as floats; 3, 3.0 and "3" are one class, and 10 comes after 9."""
    rows = np.arange(400)
    pd.DataFrame(
        {"feature": (rows % 2) * 1.0, "prediction": np.where(rows % 2, "10", "9"), "label": 9 + rows % 2}
    ).to_csv("test.csv", index=False)
    status, out, err = run("check_sampler", "test.csv", "--json", "out.json")
    assert (status, err) == (0, "")
    found = json.loads(Path("out.json").read_text())
    assert (found["classes"], found["parts"], found["tv"]) == (2, 2, 0.0)
    assert re.search(r"^1 +200 +10 +1\.000 +1\.000", out, re.M)


def _features(path, **change):
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 240)
    x = rng.normal(size=(240, 6)) + np.eye(6)[y] * 3
    given = {"features": x[:160], "labels": y[:160], "test_features": x[160:], "test_labels": y[160:]}
    np.savez(path, **{k: v for k, v in {**given, **change}.items() if v is not None})
    return given


@pytest.mark.parametrize("names", [None, ["cat", "dog", "owl"], [3, 7, 90]])
def test_one_neighbour_memorizes_everything(run, names):
    given = _features("f.npz")
    if names:
        coded = {k: np.array(names)[given[k]] for k in ("labels", "test_labels")}
        _features("f.npz", **coded, features=given["features"].astype(np.float16))
    status, _, err = run(
        "measure_gaps", "f.npz", "--probe", "knn", "--neighbours", 1, "--rate", 0.2, "--json", "out.json"
    )
    assert (status, err) == (0, "")
    found = json.loads(Path("out.json").read_text())
    # its own label, always: right on what is clean, wrong on what was flipped
    assert found["train"] == 1
    assert found["noisy_train"]["value"] == 0
    assert found["memorization"]["value"] == pytest.approx(1 - found["rate"])
    assert found["bound"]["value"] >= found["generalization"]["value"] > 0
    assert found["memorization"]["value"] <= found["bound_sharp"] + 0.01
    assert found["classes"] == 3


MODELS = """
import torch
from torch import nn

def trained():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 12), nn.ReLU(), nn.Linear(12, 12), nn.ReLU(), nn.Linear(12, 3)).train()

def permuted():
    net, order = trained(), torch.randperm(12, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        net[1].weight.copy_(net[1].weight[order])
        net[1].bias.copy_(net[1].bias[order])
        net[3].weight.copy_(net[3].weight[:, order])
    return net

def narrow():
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 3))

def answers_twice():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = trained()
        def forward(self, x):
            return self.net(x), None
    return Twice()

def number():
    return 3
"""


def _images(**change):
    Path("mine.py").write_text(MODELS)
    rng = np.random.default_rng(0)
    given = {"train_inputs": rng.normal(size=(200, 4, 4)), "train_labels": rng.integers(0, 3, 200)}
    given |= {"test_inputs": rng.normal(size=(100, 4, 4)), "test_labels": rng.integers(0, 3, 100)}
    np.savez("i.npz", **{k: v for k, v in {**given, **change}.items() if v is not None})


def test_a_permuted_copy_costs_nothing_under_permutation(run):
    _images()
    pair = ["--bottom", "mine:permuted", "--top", "mine:trained", "--data", "i.npz", "--device", "cpu"]
    for family, stages in (("permutation", ["2"]), ("identity", ["2"]), ("least_squares", ["2=4"])):
        status, _, err = run("stitch_two_models", *pair, "--family", family, "--json", "out.json", "--stages", *stages)
        assert (status, err) == (0, "")
        (row,) = json.loads(Path("out.json").read_text())
        if family == "permutation":
            assert row["penalty"] == row["excess"] == 0
            assert row["random_excess"] is not None
        assert (
            row["cka"] == pytest.approx(1.0, abs=1e-5) if row["bottom_stage"] == row["top_stage"] else row["cka"] < 0.99
        )
        if family == "identity":
            assert row["penalty_se"] > 0


def test_a_demo_keeps_its_example_and_overwrites_nothing(run):
    assert run("check_sampler", "--demo", "kept.csv")[0] == 0
    before = Path("kept.csv").read_text()
    assert list(pd.read_csv("kept.csv")) == ["feature", "prediction", "second", "label"]
    status, _, err = run("check_sampler", "--demo", "kept.csv")
    assert (status, err) == (2, "error: kept.csv exists; --demo does not overwrite it\n")
    assert Path("kept.csv").read_text() == before


SIZES, LOSSES = [1000, 2000, 4000, 8000], [4.0, 3.0, 2.5, 2.0]
PREDICTIONS = {"feature": ["a", "b"], "prediction": ["x", "y"]}
GAPS, STITCH = ["f.npz"], ["--data", "i.npz", "--device", "cpu", "--family", "least_squares", "--stages", "2"]
PAIR = ["--bottom", "mine:permuted", "--top", "mine:trained", *STITCH]


def _table(name="test.csv", **columns):
    pd.DataFrame(columns).to_csv(name, index=False)


WRONG = [
    ("fit_law", lambda: None, [], "name a CSV file, or try --demo"),
    ("fit_law", lambda: None, ["none.csv"], "No such file"),
    ("fit_law", lambda: Path("c.csv").touch(), ["c.csv"], "No columns"),
    (
        "fit_law",
        lambda: _curve("c.csv", SIZES, LOSSES),
        ["c.csv", "--loss", "los"],
        "no column 'los'; its columns are size, loss",
    ),
    ("fit_law", lambda: _curve("c.csv", SIZES, [4, 3, None, 2]), ["c.csv"], "row 3: loss is nan"),
    ("fit_law", lambda: _curve("c.csv", ["1k", 2, 3, 4], LOSSES), ["c.csv"], "row 1: size is 1k"),
    ("fit_law", lambda: _curve("c.csv", SIZES, [4, 3, 0, 2]), ["c.csv"], "row 3: loss is 0"),
    ("fit_law", lambda: _curve("c.csv", SIZES[:3], LOSSES[:3]), ["c.csv"], "3 distinct sizes are too few"),
    ("fit_law", lambda: _curve("c.csv", [*SIZES, 8000], [*LOSSES, 2.0]), ["c.csv"], "a copied line"),
    ("check_sampler", lambda: _table(**PREDICTIONS), ["test.csv"], "give --law, --train, or a column 'label'"),
    ("check_sampler", lambda: _table(feature=[1]), ["test.csv"], "no column 'prediction'; its columns are feature"),
    ("check_sampler", lambda: _table(feature=[1, None], prediction=[1, 1]), ["test.csv"], "row 2: feature is missing"),
    ("check_sampler", lambda: _table(**PREDICTIONS, label=["x", None]), ["test.csv"], "label has missing values"),
    (
        "check_sampler",
        lambda: _table(**PREDICTIONS),
        ["test.csv", "--law", "test.csv"],
        "must hold the shares of a class",
    ),
    (
        "check_sampler",
        lambda: (_table(**PREDICTIONS), _table("law.csv", feature=["a", "b"], x=[0.5, 0.5], z=[0.5, 0.5])),
        ["test.csv", "--law", "law.csv"],
        "prediction 'y' is not among x, z",
    ),
    (
        "check_sampler",
        lambda: (_table(**PREDICTIONS), _table("law.csv", feature=["a", "b"], x=[0.5, 0.5], y=[0.5, 0.6])),
        ["test.csv", "--law", "law.csv"],
        "row 1 is not a law",
    ),
    (
        "check_sampler",
        lambda: (_table(**PREDICTIONS), _table("law.csv", feature=["a", "a"], x=[0.5, 0.5], y=[0.5, 0.5])),
        ["test.csv", "--law", "law.csv"],
        "feature 'a' has two rows",
    ),
    (
        "check_sampler",
        lambda: (_table(**PREDICTIONS), _table("law.csv", feature=["a", "b"], x=[0.5, 0.5], y=[0.5, 0.5])),
        ["test.csv", "--law", "law.csv", "--second", "prediction"],
        "needs a column 'label'",
    ),
    (
        "check_sampler",
        lambda: np.savez("t.npz", feature=[0, 1], prediction=[[0, 1]]),
        ["t.npz"],
        r"prediction has shape \(1, 2\)",
    ),
    (
        "check_sampler",
        lambda: np.savez("t.npz", feature=[0, 1], prediction=[0]),
        ["t.npz"],
        "feature has 2 entries, prediction",
    ),
    ("measure_gaps", lambda: _features("f.npz", test_labels=None), GAPS, "no array 'test_labels'; its arrays are"),
    ("measure_gaps", lambda: _features("f.npz", features=np.full((160, 6), np.nan)), GAPS, "NaN"),
    ("measure_gaps", lambda: _features("f.npz", labels=np.zeros((160, 3))), GAPS, r"labels has shape \(160, 3\)"),
    ("measure_gaps", lambda: _features("f.npz", labels=np.full(160, 0.5)), GAPS, "holds 0.5, which is no class"),
    ("measure_gaps", lambda: _features("f.npz", labels=np.zeros(9, int)), GAPS, "features has 160 rows"),
    ("measure_gaps", lambda: _features("f.npz"), [*GAPS, "--rate", 1], "rate = 1"),
    ("measure_gaps", lambda: _features("f.npz"), [*GAPS, "--draws", 1], "draws = 1"),
    ("measure_gaps", lambda: None, ["none.npz"], "No such file"),
    ("measure_gaps", lambda: Path("f.npz").write_bytes(b"PK\x03\x04no zip file"), GAPS, "no npz file"),
    ("measure_gaps", lambda: np.save("f.npy", np.ones(3)), ["f.npy"], "no npz file; save the four arrays"),
    ("stitch_two_models", _images, [*PAIR, "--bottom", "mine"], "--bottom must be module:function, not 'mine'"),
    ("stitch_two_models", _images, [*PAIR, "--bottom", "mine:none"], "--bottom mine:none: .*no attribute 'none'"),
    ("stitch_two_models", _images, [*PAIR, "--top", "nowhere:net"], "--top nowhere:net: No module named 'nowhere'"),
    ("stitch_two_models", _images, [*PAIR, "--top", "mine:number"], "returned int, not an nn.Module"),
    (
        "stitch_two_models",
        _images,
        [*PAIR, "--top", "mine:answers_twice", "--stages", "2=net.2"],
        "not a tuple; wrap it",
    ),
    ("stitch_two_models", _images, [*PAIR, "--bottom", "mine:narrow", "--family", "permutation"], "needs equal widths"),
    ("stitch_two_models", _images, [*PAIR, "--stages", "22"], "unknown stage '22' of the bottom"),
    ("stitch_two_models", lambda: _images(train_labels=np.full(200, 3)), PAIR, "train labels run from 3 to 3"),
    ("stitch_two_models", lambda: _images(train_inputs=np.full((200, 4, 4), np.nan)), PAIR, "train inputs contain NaN"),
    ("stitch_two_models", lambda: _images(test_labels=None), PAIR, "no array 'test_labels'"),
    ("stitch_two_models", _images, PAIR[:4], "name the npz file with --data"),
]


@pytest.mark.parametrize(("script", "prepare", "args", "message"), WRONG, ids=[f"{w[0]}-{w[3]}" for w in WRONG])
def test_what_is_wrong_is_said_in_one_line(run, script, prepare, args, message):
    prepare()
    status, out, err = run(script, *args)
    assert status == 2
    assert out == ""
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert re.search(message, err), err
