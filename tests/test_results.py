"""What every result can do: a short text, plain values for JSON, a data frame, a chart."""

import dataclasses
import inspect
import json
import sys
import typing
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from dlcore import noise, probing, similarity, stitching, training, translation
from dlcore.metrics import distributional as dg
from dlcore.metrics import rationality, scaling, statistics
from dlcore.metrics import similarity as similarity_of_arrays
from dlcore.metrics.nearest import nearest_neighbour_bound
from dlcore.metrics.similarity import permutation_null
from dlcore.probing import probe, probe_rationality
from dlcore.records import Record
from dlcore.stitching import connectivity, penalty_curve
from dlcore.sweep import Sweep
from dlcore.translation.bleu import bleu
from dlcore.translation.training import SequenceCurves

RNG = np.random.default_rng(0)
SIZES = 1000.0 * 2 ** np.arange(8)
LOSSES = 3 * (1 / SIZES + 1e-4) ** 0.28


def _rationality():
    x = RNG.normal(size=(80, 2))
    y = (x[:, 0] > 0).astype(int)
    return probe_rationality("knn", x[:40], y[:40], x[40:], y[40:], rate=0.2, draws=5, neighbours=1)


def _penalties():
    torch.manual_seed(0)
    one, two = (nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2)) for _ in range(2))
    x, y = torch.randn(64, 4), torch.randint(2, (64,))
    return penalty_curve(one, two, (x, y, x, y), ["0", "1"], family="least_squares", device="cpu")


def _path():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    x, y = torch.randn(64, 4), torch.randint(2, (64,))
    return connectivity(net, net, (x, y, x, y), family="identity", device="cpu")


def _curves(epochs):
    x, y = torch.randn(64, 4), torch.randint(2, (64,))
    return training.fit(nn.Linear(4, 2), (x, y), training.TrainConfig(epochs=epochs), device="cpu")


def _matrix():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    return similarity.matrix(net, net, torch.randn(64, 4), ["0", "1"], batch_size=16)


N, D = (v.ravel() for v in np.meshgrid(np.geomspace(1e7, 1e10, 5), np.geomspace(1e8, 1e11, 5)))
RESULTS = {
    "Calibration": lambda: dg.feature_calibration([0, 0, 1, 1], [0, 1, 1, 1], [[0.5, 0.5], [0, 1]]),
    "TwoSample": lambda: dg.train_test_tv([0, 0, 1], [0, 1, 1], [0, 0, 1], [1, 1, 1], 2, 2),
    "AgreementGap": lambda: dg.agreement_gap([0, 1, 1], [0, 1, 0], [0, 1, 1]),
    "Rationality": _rationality,
    "Penalties": _penalties,
    "Fit": lambda: scaling.fit(SIZES, LOSSES, bootstrap=20),
    "LawReport": lambda: scaling.report(SIZES, LOSSES, bootstrap=0),
    "Holdout": lambda: scaling.compare_laws(SIZES, LOSSES, laws=["bansal"])["bansal"],
    "Path": _path,
    "Curves": lambda: _curves(2),
    "SequenceCurves": lambda: SequenceCurves(
        steps=[5, 10], tokens=[50, 100], train_loss=[2.0, 1.0], dev_loss=[2.1, 1.5]
    ),
    "JointFit": lambda: scaling.fit_joint(N=N, D=D, loss=1 + 480 * N**-0.35 + 2100 * D**-0.37, law="hoffmann"),
}


@pytest.mark.parametrize("kind", RESULTS)
def test_a_result_prints_short_and_becomes_plain_values_a_frame_and_a_chart(kind):
    found = RESULTS[kind]()
    assert type(found).__name__ == kind
    assert len(str(found)) < 1200
    json.dumps(found.to_dict(), allow_nan=True)
    assert len(found.to_frame()) >= 1
    assert found.plot().to_dict()["$schema"]


OTHERS = {
    "Record": lambda: Record("distributional", {"noise": 0.1}, {"tv": 0.2}, {"tv": [0.3, 0.2]}),
    "Sweep": lambda: Sweep(pd.DataFrame({"noise": [0.1, 0.2], "tv": [0.3, 0.4]}), [], Path("table.csv")),
    "StagePenalty": lambda: _penalties()[0],
    "Interval": lambda: statistics.mean_interval(LOSSES),
    "Equivalence": lambda: scaling.paired_equivalence(SIZES, LOSSES, SIZES, 2 * LOSSES),
    "SharedExponent": lambda: scaling.shared_exponent({"a": (SIZES, LOSSES), "b": (SIZES, 2 * LOSSES)}),
    "Alternating": lambda: scaling.alternating_fit(SIZES, LOSSES),
    "NearestNeighbourBound": lambda: nearest_neighbour_bound([0.5, 0.5], np.eye(2), [0, 1], 3, draws=9),
    "PermutationNull": lambda: permutation_null(
        "procrustes", RNG.normal(size=(20, 3)), RNG.normal(size=(20, 3)), permutations=9
    ),
    "Probed": lambda: probe("ridge", RNG.normal(size=(40, 3)), np.arange(40) % 2, RNG.normal(size=(9, 3)), 2),
    "NoisyLabels": lambda: noise.flip_labels(np.arange(5000) % 3, 3, 0.2, 0),
    "NoisyTexts": lambda: noise.misalign([(f"source {i}", f"target {i}") for i in range(5000)], 0.5, 0),
    "Score": lambda: bleu(["a b c d"], ["a b c d"]),
    "SimilarityMatrix": _matrix,
    "ComputeOptimal": lambda: scaling.compute_optimal(RESULTS["JointFit"](), 1e20),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_every_other_result_is_of_the_same_kind(kind):
    found = OTHERS[kind]()
    assert type(found).__name__ == kind
    assert len(str(found)) < 1200
    json.dumps(found.to_dict(), allow_nan=True)
    assert len(found.to_frame()) >= 1
    assert found.plot().to_dict()["$schema"]


@pytest.mark.parametrize("kind", RESULTS | OTHERS)
def test_a_cell_of_a_notebook_shows_what_print_does(kind):
    pretty = pytest.importorskip("IPython.lib.pretty", reason="IPython is not installed: there are no cells").pretty
    found = (RESULTS | OTHERS)[kind]()
    assert pretty(found) == str(found)
    assert pretty([found]).startswith(f"[{str(found)[:40]}")


def _drawn(chart):
    """Returns the rows of a chart's first data set, and its title."""
    whole = chart.to_dict()
    return pd.DataFrame(next(iter(whole["datasets"].values()))), json.dumps(whole["title"])


def test_a_chart_of_any_result_has_its_numbers():
    interval = statistics.mean_interval(LOSSES)
    rows, _ = _drawn(interval.plot())
    row = rows.set_index(rows.field.str.split(" ").str[0]).loc["Interval"]
    assert [row.value, row.low, row.high] == [interval.value, interval.low, interval.high]
    rows, _ = _drawn(OTHERS["NoisyLabels"]().plot())
    assert rows.field.unique().tolist() == ["labels, 5,000 values", "mask, 5,000 values"]
    assert set(rows.value[rows.field.str.startswith("labels")]) == {0, 1, 2}


def test_arrays_are_drawn_as_the_api_page_says():
    """The page's code is run; each chart has the numbers that follow from its arrays by another route."""
    page = (Path(__file__).parents[1] / "book" / "api.md").read_text("utf8")
    (code,) = (part.split("```")[0] for part in page.split("```python\n")[1:])
    exec(code, s := {})

    def drawn(name, column):
        found = map(pd.DataFrame, s[name].to_dict()["datasets"].values())
        return next(rows for rows in found if column in rows)

    one, two, labels = (s[name] for name in ("one", "two", "labels"))
    joint = np.histogram2d(labels, one, 3)[0] / 500
    assert drawn("calibration", "TV").TV[0] == pytest.approx(1 - np.trace(joint), abs=1e-12)
    assert drawn("agreement", "agreement").agreement[0] == pytest.approx(np.mean(one == two))
    noisy = np.array(s["noisy"])
    right = noisy[::-1] == labels
    memorized = right.mean() - right[noisy != labels].mean()
    assert drawn("gaps", "gap").set_index("gap").value["memorization"] == pytest.approx(memorized, abs=1e-9)
    band = drawn("law", "high")
    assert ((band.low < band.loss) & (band.loss < band.high)).all()
    rows, title = _drawn(s["penalties"])
    assert rows.set_index("top_stage").value.to_dict() == {"layer1": 0.01, "layer2": 0.04}
    assert "largest penalty is 4.0%" in title


def test_a_sweep_draws_a_metric_over_the_swept_field_of_cells_that_are_done():
    table = pd.DataFrame(
        {"noise": [0.1, 0.2, 0.3], "status": ["done", "done", "failed"], "seconds": 1.0, "tv": [0.3, 0.4, np.nan]}
    )
    rows, title = _drawn(Sweep(table, [], Path("table.csv")).plot())
    assert rows.noise.tolist() == [0.1, 0.2]
    assert rows.tv.tolist() == [0.3, 0.4]
    assert "tv by noise" in title
    rows, title = _drawn(Sweep(table, [], Path("table.csv")).plot(y="seconds"))
    assert "seconds by noise" in title
    with pytest.raises(KeyError, match="width"):
        Sweep(table, [], Path("table.csv")).plot(x="width")


def test_a_shared_exponent_draws_each_curve_and_an_equivalence_its_band():
    rows, title = _drawn(OTHERS["SharedExponent"]().plot())
    assert "0.280" in title
    assert rows.groupby("curve")["size"].count().tolist() in ([8, 8], [40, 40])
    found = OTHERS["Equivalence"]()
    rows, title = _drawn(found.plot())
    assert [rows.below[0], rows.band[0]] == [-found.band, found.band]
    assert found.verdict.capitalize() in title


def test_every_public_result_can_be_used():
    """A tuple or a data class that a public function returns, by its annotation, is a result."""
    places = (dg, rationality, scaling, statistics, similarity_of_arrays, noise, probing, stitching, similarity)
    places += (training, translation.training)
    lacking = set()
    for function in (f for place in places for f in vars(place).values() if inspect.isfunction(f)):
        kind = typing.get_type_hints(function, vars(sys.modules[function.__module__])).get("return")
        made = dataclasses.is_dataclass(kind) or hasattr(kind, "_fields")
        usable = hasattr(kind, "to_dict") and dataclasses.is_dataclass(kind)
        if made and not usable and not function.__name__.startswith("_"):
            lacking.add((function.__name__, kind.__name__))
    assert lacking == set()


def test_a_result_unpacks_and_cannot_be_changed():
    value, low, *_ = found = statistics.mean_interval(LOSSES)
    assert (value, low) == (found.value, found.low) == found[:2]
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.value = 0.0
    joint = RESULTS["JointFit"]()
    assert joint.to_frame().parameter.tolist() == list(joint.parameters)


def test_values_arrive_whole():
    found = RESULTS["Calibration"]()
    assert found.to_frame().iloc[0].to_dict() == found.to_dict()
    assert found.to_dict()["tv"] == found.tv
    law = RESULTS["Fit"]()
    frame = law.to_frame().set_index("parameter")
    assert frame.value.to_dict() == law.parameters
    assert tuple(frame.loc["p", ["low", "high"]]) == law.intervals["p"]
    rows = RESULTS["Penalties"]()
    assert rows.to_frame().penalty.tolist() == [row.penalty for row in rows]
