"""What every result can do: a short text, plain values for JSON, a data frame, a chart."""

import json

import numpy as np
import pytest
import torch
from torch import nn

from dlcore import results
from dlcore.metrics import distributional as dg
from dlcore.metrics import scaling
from dlcore.probing import probe_rationality
from dlcore.stitching import penalty_curve

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


N, D = (v.ravel() for v in np.meshgrid(np.geomspace(1e7, 1e10, 5), np.geomspace(1e8, 1e11, 5)))
RESULTS = {
    "Calibration": lambda: dg.feature_calibration([0, 0, 1, 1], [0, 1, 1, 1], [[0.5, 0.5], [0, 1]]),
    "TwoSample": lambda: dg.train_test_tv([0, 0, 1], [0, 1, 1], [0, 0, 1], [1, 1, 1], 2, 2),
    "AgreementGap": lambda: dg.agreement_gap([0, 1, 1], [0, 1, 0], [0, 1, 1]),
    "Rationality": _rationality,
    "Penalties": _penalties,
    "Fit": lambda: scaling.fit(SIZES, LOSSES, bootstrap=20),
    "LawReport": lambda: scaling.report(SIZES, LOSSES, bootstrap=0),
    "JointFit": lambda: scaling.fit_joint(N=N, D=D, loss=1 + 480 * N**-0.35 + 2100 * D**-0.37, law="hoffmann"),
}


@pytest.mark.parametrize("kind", RESULTS)
def test_a_result_prints_short_and_becomes_plain_values_a_frame_and_a_chart(kind):
    found = RESULTS[kind]()
    assert type(found).__name__ == kind
    assert len(str(found)) < 1200
    assert json.loads(json.dumps(found.to_dict())) == json.loads(json.dumps(results.to_dict(found)))
    assert len(found.to_frame()) >= 1
    assert found.plot().to_dict()["$schema"]


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
