"""Chapter 1's tables: probes, sizes, the paper's row; and the sliders' nearest recorded rate."""

import numpy as np
import pandas as pd
import pytest

from dlcore import figures, studies
from dlcore.charts import controls
from dlcore.metrics import rationality as rr
from dlcore.records import PACKAGED, RecordStore
from dlcore.studies.rationality.table import beside_the_paper, probes, slopes_in_n


@pytest.fixture(scope="module")
def table():
    return studies.table("rationality", RecordStore(PACKAGED).table("rationality"))


def test_a_method_is_named_with_its_probe_where_it_is_not_the_usual_one(table):
    for preset, usual in (("laptop", "ridge"), ("gpu", "logistic")):
        rows = table[(table.preset == preset) & table.probe.notna()]
        assert (rows.method.str.contains(" + ", regex=False) == (rows.probe != usual)).all()
    assert "VICReg + logistic" in set(table.method)


def test_no_record_violates_the_sharp_bound_and_it_is_at_least_twice_as_close_at_five_per_cent(table):
    rows = table[table.bound_sharp.notna()]
    assert len(rows) > 1400
    # the certificate again, from the pooled table of the record and not from the bound that it holds
    for record in list(RecordStore(PACKAGED).records("rationality"))[::97]:
        pooled = np.array(record.arrays["draw_sums"], dtype=float).sum(0)
        n, draws = record.metrics["num_train"], len(record.arrays["draw_sums"])
        right, flipped, both = pooled[:3]
        cells = np.array([[both, flipped - both], [right - both, n * draws - right - flipped + both]])
        shares = cells / cells.sum()
        nats = n * sum(
            p * np.log(p / (shares.sum(1)[i] * shares.sum(0)[j])) for (i, j), p in np.ndenumerate(shares) if p > 0
        )
        found = rows[rows.key == record.key].certificate.item()
        # the information of a tiny gap is what is left of two numbers near 1
        assert found == pytest.approx(rr.sharp_memorization_bound(nats, n, flipped / n / draws), rel=1e-3, abs=1e-6)
    assert (rows.memorization.abs() <= rows.certificate).all()
    low = rows[np.isclose(rows.noise, 0.05) & (rows.memorization.abs() > 0)]
    assert (low.certificate / low.memorization.abs()).median() < 0.5 * (
        low.bound_sharp / low.memorization.abs()
    ).median()


def test_every_usual_run_is_in_the_charts(table):
    """No probe is left out because it looks bad."""
    rows = table[table.usual & (table.noise > 0)]
    for chart in (figures.gap_decomposition(table), figures.noise_sweep(table)):
        drawn = str(chart.to_dict())
        assert all(method in drawn for method in rows.method.unique())


def test_probes_are_means_over_seeds(table):
    found = probes(table).set_index(["data", "probe"])
    own = table[table.usual & (table.objective == "vicreg") & (table.dataset == "digits") & (table.probe == "logistic")]
    worst = own[np.isclose(own.noise, 0.4)]
    assert found.loc[("digits", "logistic"), "lost"] == pytest.approx((worst.test - worst.test_after_noise).mean())
    assert found.loc[("digits", "logistic"), "memorized, 5%"] > 4 * found.loc[("digits", "ridge"), "memorized, 5%"]


def test_the_papers_row_and_the_ratios():
    row = {"preset": "gpu", "objective": "simclr", "noise": 0.05, "train": 0.8, "test": 0.75, "generalization": 0.0286}
    row |= {"robustness": 0.0028, "memorization": 0.0158, "rationality": 0.0, "bound_miller_madow": 0.2}
    found = beside_the_paper(pd.DataFrame([row])).set_index("quantity")
    assert found.paper["generalization gap"] == pytest.approx(1.43)
    assert found.ratio["generalization gap"] == pytest.approx(2, abs=0.01)
    assert found.ratio["memorization"] == pytest.approx(2, abs=0.01)
    assert found.paper["Theorem II"] == pytest.approx(13.35 * np.log(2) ** 0.5, abs=0.01)
    # 11.1 points become 2.4, of which 0.79 were measured
    assert found.paper["the sharper bound"] == pytest.approx(2.42, abs=0.01)
    assert found.ours["the sharper bound"] == pytest.approx(
        100 * rr.sharp_memorization_bound(0.02, 100, 0.05), abs=0.01
    )
    assert np.isnan(found.ratio["test accuracy"])
    assert beside_the_paper(pd.DataFrame()).empty


def test_slopes_are_those_of_the_rows_they_are_fitted_to():
    rows = [
        {"dataset": "d", "objective": "random", "method": "m", "probe": "ridge", "experiment": "gaps", "noise": 0.2}
        | {"augmented": False, "transductive": False, "strength": 1.0, "dimension": np.nan, "seed": seed}
        | {"n_train": n, "memorization": (2 + seed) * n**-0.75}
        for seed in range(3)
        for n in (100, 200, 400)
    ]
    found = slopes_in_n(pd.DataFrame(rows))
    assert found.slope.tolist() == pytest.approx([-0.75])
    assert found.seeds.tolist() == [3]


def test_a_slider_stands_nearest_to_exactly_one_rate_of_every_group():
    rows = pd.DataFrame({"source": list("aaab"), "noise": [0.05, 0.2, 0.4, 0.05]})
    found = controls.nearest(rows, "source")
    for at in np.round(np.arange(0.05, 0.951, 0.05), 2):
        held = found[(at > found.least - 1e-6) & (at < found.most - 1e-6)]
        assert held.source.tolist() == ["a", "b"]
        near = held[held.source == "a"].noise.item()
        assert abs(at - near) == pytest.approx(min(abs(at - v) for v in (0.05, 0.2, 0.4)), abs=1e-6)
