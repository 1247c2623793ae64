"""One law in data and model size: it is recovered where it is true, and says when there are too few widths."""

import numpy as np
import pandas as pd
import pytest

from dlcore import claims, figures, studies
from dlcore.studies.scaling import sentences as prose
from dlcore.studies.scaling.config import budget, rate_of
from dlcore.studies.scaling.readings import filtering
from dlcore.studies.scaling.size import against_usual, joint_fit, widest_predicted
from dlcore.studies.scaling.table import scaling_fits

P, Q = 0.4, 0.6
SIZES = 2 ** np.arange(10, 16)


def made(widths, seeds=1, jitter=0.002, more=(), raw=False):
    """Runs whose excess follows the joint law, with log-normal noise."""
    rng, rows = np.random.default_rng(0), []
    for preset, width, sizes in [*(("laptop", w, SIZES) for w in widths), *more]:
        n = 70000 * width
        for pairs in sizes:
            for seed in range(seeds):
                above = 30 * (1 / pairs + 1.5 * n**-Q) ** P * np.exp(jitter * rng.normal())
                row = {"preset": preset, "dataset": "transduction", "architecture": "2L2L", "width": width}
                row |= {"noise": 0.0, "noise_kind": "none", "pairs": int(pairs), "seed": seed, "parameters": n}
                row |= {"loss": 0.1 + above, "oracle": 0.1, "floor": 0.1, "loss_word": 0.1, "dropout": 0.1}
                row |= {"test_pairs": 4000, "learning_rate": rate_of(width, preset), "stopped": "no gain"}
                row |= {"reverse_pairs": None, "reverse_width": None, "reverse_steps": None, "device": "cpu: one"}
                row |= {"loss_se": 0.001, "excess": above}
                rows.append(row | budget(preset, int(pairs))._asdict())
    return pd.DataFrame(rows) if raw else studies.table("scaling", pd.DataFrame(rows))


def test_the_law_is_recovered_and_its_interval_holds_it():
    rows = made([16, 32, 64, 128], seeds=2)
    found = joint_fit(rows, bootstrap=200)
    assert found.parameters["q"] == pytest.approx(Q, abs=0.03)
    assert found.parameters["p"] == pytest.approx(P, abs=0.02)
    low, high = found.intervals["q"]
    assert low < Q < high


def test_the_widest_is_predicted_by_the_law_and_not_by_the_next_width():
    found = widest_predicted(made([16, 32, 64, 128], jitter=0.0)).set_index("law")
    assert found.error["kaplan"] < 1e-4
    assert found.error["no size"] > 0.05
    assert set(found.index) == {"kaplan", "hoffmann", "no size"}
    assert (found.sizes == len(SIZES)).all()


def test_too_few_widths_have_no_law():
    assert joint_fit(made([32, 64])) is None
    assert widest_predicted(made([32, 64, 128])).empty
    empty = pd.DataFrame()
    assert joint_fit(empty) is None
    assert widest_predicted(empty).empty
    with pytest.raises(ValueError, match="three widths"):
        figures.data_and_size(made([32, 64]))


def test_other_settings_do_not_enter():
    rows = made([16, 32, 64, 128])
    other = rows.assign(setting="4L1L, clean", arm="architecture", above=9.0)
    late = rows.assign(usable=False, above=9.0)
    both = pd.concat([rows, other, late], ignore_index=True)
    assert joint_fit(both).parameters == pytest.approx(joint_fit(rows).parameters)


def test_the_chart_draws_a_width_it_was_not_fitted_to():
    rows = made([16, 32, 64, 128], more=[("gpu", 512, 2 ** np.arange(10, 21, 2))])
    chart = figures.data_and_size(rows).to_dict()
    assert {p["name"] for p in chart["params"]} >= {"dl_law", "dl_power"}
    sets = list(chart["datasets"].values())
    lines = next(d for d in sets if "law" in d[0] and "width" in d[0])
    assert {(r["width"], r["fitted"]) for r in lines} == {
        (16, "yes"),
        (32, "yes"),
        (64, "yes"),
        (128, "yes"),
        (512, "no"),
    }
    assert max(r["pairs"] for r in lines if r["width"] == 512) == 2**20
    without = joint_fit(made([16, 32, 64, 128])).parameters
    assert joint_fit(rows).parameters == pytest.approx(without)


def test_claims_of_size_follow_from_the_rows():
    measured = {
        name: claims.MEASURES[name](made([16, 32, 64, 128])) for name in claims.MEASURES if name.startswith("size-")
    }
    assert set(measured) == {"size-exponent", "size-misfit", "size-held-out"}
    assert measured["size-exponent"].value == pytest.approx(Q, abs=0.05)
    assert measured["size-misfit"].value < 0.01
    assert measured["size-held-out"].value < 0.01
    assert all(claims.MEASURES[name](made([32, 64])) is None for name in measured)


def filtered(ratio, seeds=1):
    """Misaligned pairs with and without a filter, whose losses have a ratio at each size."""
    noise = {"noise_kind": "misaligned", "noise": 0.2, "arm": "noise"}
    plain = made([64], seeds).assign(setting="2L2L, misaligned pairs 20 %", **noise)
    less = plain.assign(setting="2L2L, misaligned pairs 20 %, filtered by 1,024 pairs", filter_pairs=1024.0)
    less["loss"] = less.loss * [ratio(n) for n in less.pairs]
    return pd.concat([plain, less.assign(above=less.loss - less.asymptote)], ignore_index=True)


def test_the_gain_of_a_filter_has_an_interval_over_seeds_or_over_sentences():
    rows = filtered(lambda n: 0.8 if n == 1024 else 1.01, seeds=3)
    small = claims.MEASURES["filter-small"](rows)
    assert small[:3] == pytest.approx((np.log(0.8),) * 3)
    assert small.runs == 3
    large = claims.MEASURES["filter-large"](rows[rows.seed == 0])
    assert large.low < np.log(1.01) < large.high
    assert claims.MEASURES["filter-large"](rows[rows.filter_pairs.isna()]) is None


def test_the_exponent_of_filtered_pairs_is_beside_the_unfiltered_one():
    rows = filtered(lambda n: 1.0)
    assert claims.MEASURES["filter-exponent"](rows).value == pytest.approx(0.0, abs=1e-9)
    assert claims.MEASURES["filter-exponent"](made([64])) is None


def test_twice_the_steps_are_compared_run_by_run():
    rows = made([32, 64], seeds=2)
    longer = rows[(rows.pairs == 4096) & (rows.seed == 1)]
    longer = longer.assign(
        setting=longer.setting + ", twice the steps", longer=True, arm="other", above=0.9 * longer.above
    )
    found = against_usual(pd.concat([rows, longer], ignore_index=True), longer=True)
    assert found.to_dict("list") == {
        "width": [32, 64],
        "pairs": [4096] * 2,
        "seed": [1] * 2,
        "ratio": pytest.approx([0.9] * 2),
    }
    assert against_usual(rows, longer=True).empty
    assert against_usual(pd.DataFrame(), longer=True).empty


def test_narrow_models_with_the_rate_of_wide_ones_stay_apart():
    rows = made([16, 32, 64, 128])
    raw = made([16, 32, 64, 128], raw=True)
    untuned = raw[raw.width < 64].assign(learning_rate=3e-3, loss=raw.loss + 0.5)
    found = studies.table("scaling", pd.concat([raw, untuned], ignore_index=True))
    extra = found[found.setting.str.contains("rate")]
    assert sorted(extra.setting.unique()) == ["2L2L, clean, width 16, rate 0.003", "2L2L, clean, width 32, rate 0.003"]
    assert set(extra.arm) == {"other"}
    assert joint_fit(found).parameters == pytest.approx(joint_fit(rows).parameters)
    assert len(found) == len(raw) + len(untuned)
    said = prose._size(found)
    assert prose.NONE not in (said["size-untuned-16"], said["size-untuned-32"])
    assert studies.table("scaling", raw.assign(learning_rate=0.1)).empty
    half = raw[(raw.width == 128) & (raw.pairs == 2048)].assign(learning_rate=1.5e-3)
    half["loss"] = 0.1 + 0.5 * (half.loss - 0.1)
    both = studies.table("scaling", pd.concat([raw, untuned, half], ignore_index=True))
    assert against_usual(both, learning_rate=0.0015).ratio.tolist() == pytest.approx([0.5])
    assert prose._size(both)["size-half-rate"] == "0.50 at 2,048 pairs"


def test_what_a_filter_does_is_read_off_the_seeds_that_both_have():
    rows = filtered(lambda n: 0.9, seeds=2)
    after = rows.setting.str.contains("filtered")
    rows = rows.assign(
        filter_pairs=np.where(after, 1024.0, np.nan), num_train=np.where(after, 0.8 * rows.pairs, rows.pairs)
    )
    rows = rows.assign(filter_recall=np.where(after, 0.95, np.nan), filter_false_alarm=np.where(after, 0.01, np.nan))
    rows = rows[~(after & (rows.seed == 1) & (rows.pairs > 1024))]
    clean = made([64])
    found = filtering(pd.concat([rows, clean], ignore_index=True)).set_index("pairs")
    assert found.seeds.to_dict() == {n: 2 if n == 1024 else 1 for n in SIZES}
    assert found.ratio.to_numpy() == pytest.approx(0.9)
    assert found.recall.to_numpy() == pytest.approx(0.95)
    law = scaling_fits(clean, ("known",), bootstrap=0)[0]
    assert found.left.to_numpy() == pytest.approx(law.predict(0.8 * found.index))
    assert filtering(clean).empty
    assert filtering(pd.DataFrame()).empty


def test_sentences_on_size_and_filter_follow_from_the_rows():
    rows = made([16, 32, 64, 128])
    said = prose._size(rows)
    assert float(said["size-hoffmann"]) == pytest.approx(joint_fit(rows, "hoffmann").rmsle, rel=0.05)
    assert float(said["size-misfit-wider"]) == pytest.approx(joint_fit(rows[rows.width > 16]).rmsle, rel=0.05)
    assert prose._size(rows)["size-steps"] == prose.NONE
    assert prose._size(rows)["size-ratio"].endswith("at 32,768")
    assert set(prose._size(made([64])).values()) == {prose.NONE}
    assert set(prose._filter(rows).values()) == {prose.NONE}
    longer = rows[(rows.pairs == 16384) & (rows.width < 64)]
    longer = longer.assign(
        setting=longer.setting + ", twice the steps", longer=True, arm="other", above=0.8 * longer.above
    )
    said = prose._size(pd.concat([rows, longer], ignore_index=True))["size-steps"]
    assert said == "0.80 of it with 16 units and 0.80 of it with 32 units"
