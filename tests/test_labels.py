"""Claims, sentences and charts select runs by their fields: other words for every label change no number."""

import numbers
import re

import pandas as pd
import pytest

from dlcore import claims, figures, studies, summaries
from dlcore.records import PACKAGED, RecordStore
from dlcore.studies.distributional import sentences as distributional_sentences
from dlcore.studies.distributional import table as distributional
from dlcore.studies.scaling import table as scaling
from dlcore.studies.scaling.comparisons import beside_counting
from dlcore.studies.stitching import sentences as stitching_sentences
from dlcore.studies.stitching import table as stitching
from dlcore.studies.stitching.figures import penalty
from dlcore.translation.task import Transduction


def other(label):
    """The label in other words, with the same digits."""
    return f"<{label.upper().replace(' ', '_')}>"


def reword(monkeypatch):
    """Puts other words for all that is shown of a run's settings."""
    for names in (summaries._FAMILY, summaries.OBJECTIVES, summaries.PROBES):
        for key, label in names.items():
            monkeypatch.setitem(names, key, other(label))
    for key, label in stitching._PAIRS.items():
        monkeypatch.setitem(stitching._PAIRS, key, lambda *how, label=label: other(label(*how)))
    map_name = stitching.map_name
    for module in (stitching, stitching_sentences, penalty):
        monkeypatch.setattr(module, "map_name", lambda config: other(map_name(config)))
    monkeypatch.setattr(distributional, "family", lambda *what: other(summaries.family(*what)))
    for name in ("architecture_name", "noise_name", "rate_name"):
        label = getattr(scaling, name)
        monkeypatch.setattr(scaling, name, lambda *of, label=label: other(label(*of)))
    monkeypatch.setattr(scaling, "HELD_OUT", other(scaling.HELD_OUT))


def tables():
    store, found = RecordStore(PACKAGED), {}
    for study in studies.STUDIES:
        records = {r.key: r for r in store.records(study)} if study in ("stitching", "distributional") else {}
        found[study] = studies.table(study, store.table(study), **({"records": records} if records else {})), records
    return found


def values(found):
    """All that is said in numbers, by place: measures, sentences, and the rows of charts in any order."""
    measured = {c.id: c.measured for c in claims.evaluate({study: table for study, (table, _) in found.items()})}
    (ours, _), (own, records), (pairs, curves) = (found[s] for s in ("rationality", "distributional", "stitching"))
    stages = stitching.by_stage(pairs, {k: r.curves for k, r in curves.items()})
    said = {
        **distributional_sentences.numbers(own),
        **stitching_sentences.numbers(pairs, stages),
    }
    said = {name: re.findall(r"[\d.]+", v) if isinstance(v, str) else v for name, v in said.items()}
    arrays = {k: r.arrays for k, r in curves.items()}
    points = pd.concat([found["scaling"][0], scaling.published_scaling()], ignore_index=True)
    fits, sparse = scaling.scaling_fits(points, bootstrap=20), own[(own.experiment == "sparse") & own.epochs.notna()]
    drawn = {
        "agreement": [own],
        "barrier_by_width": [pairs],
        "beside_counting": [beside_counting(found["scaling"][0], Transduction().unseen)],
        "bound_by_size": [ours],
        "cross_stage": [pairs, arrays],
        "data_and_size": [found["scaling"][0]],
        "exponent_constants": [fits],
        "extrapolation": [fits],
        "freeze_training": [stages, pairs],
        "gap_decomposition": [ours],
        "human_noise": [figures.human_cells(own, records)],
        "joint_density": [own, {k: r.arrays for k, r in records.items()}],
        "kernel_path": [own],
        "knn_law": [own],
        "learning_curves": [points, fits],
        "leverage": [ours],
        "marginal_value_of_data": [fits],
        "marginals": [own],
        "memorising_and_sampling": [ours],
        "more_is_better": [stages],
        "noise_in_four": [ours, stages, own, found["scaling"][0]],
        "noise_sweep": [ours],
        "penalty_by_depth": [stages],
        "published_points": [fits],
        "similarity_against_penalty": [stages],
        "size_by_size": [{"": found["scaling"][0], "6L6L": scaling.published_scaling()}],
        "spectrum": [own],
        "stitching_path": [stages, pairs],
        "table_procedure": [ours],
        "training_time": [figures.long_curves(records.values(), dict(zip(sparse.key, sparse.family, strict=True)))],
        "tv_against_epsilon": [own],
        "tv_by_size": [own],
        "what_similar_buys": [stages, pairs],
    }
    made = {name for name in figures.__all__ if callable(getattr(figures, name))}
    assert made == {*drawn, "setup", "long_curves", "human_cells"}, "a chart is not looked at"
    charts = {name: getattr(figures, name)(*given) for name, given in drawn.items()}
    return measured, said, {name: shown(chart) for name, chart in charts.items()}


def shown(chart):
    rows = [row for data in chart.to_dict()["datasets"].values() for row in data]
    cells = [v for row in rows for v in row.values() if isinstance(v, numbers.Real) and not pd.isna(v)]
    return len(rows), sorted(map(float, cells))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning:altair")
def test_no_number_depends_on_the_words_for_it(monkeypatch):
    before = tables()
    assert "MLP" in set(before["distributional"][0].family)
    plain = values(before)
    reword(monkeypatch)
    after = tables()
    for study, column in {
        **{"rationality": "method", "distributional": "family", "stitching": "pair", "scaling": "setting"}
    }.items():
        old, new = set(before[study][0][column]), set(after[study][0][column])
        assert len(old) == len(new), f"two labels of {study} have become one"
        assert not old & new
    assert not set(before["stitching"][0]["map"]) & set(after["stitching"][0]["map"])
    measured, said, drawn = values(after)
    assert repr(measured) == repr(plain[0])
    assert said == plain[1]
    for name, found in drawn.items():
        assert found == plain[2][name], name
