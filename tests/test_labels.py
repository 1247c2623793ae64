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
from dlcore.studies.stitching import sentences as stitching_sentences
from dlcore.studies.stitching import table as stitching
from dlcore.studies.stitching.figures import penalty


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
    charts = {
        "gaps": figures.gap_decomposition(ours),
        "sweep": figures.noise_sweep(ours),
        "leverage": figures.leverage(ours),
        "bound": figures.bound_by_size(ours),
        "spectrum": figures.spectrum(own),
        "density": figures.joint_density(own, {k: r.arrays for k, r in records.items()}),
        "epsilon": figures.tv_against_epsilon(own),
        "human": figures.human_noise(figures.human_cells(own, records)),
        "agreement": figures.agreement(own),
        "penalty": figures.penalty_by_depth(stages),
        "similarity": figures.similarity_against_penalty(stages),
        "more": figures.more_is_better(stages),
        "path": figures.stitching_path(stages, pairs),
        "width": figures.barrier_by_width(pairs),
        "freeze": figures.freeze_training(stages, pairs),
        "curves": figures.learning_curves(found["scaling"][0], scaling.scaling_fits(found["scaling"][0], bootstrap=20)),
    }
    return measured, said, {name: shown(chart) for name, chart in charts.items()}


def shown(chart):
    rows = [row for data in chart.to_dict()["datasets"].values() for row in data]
    cells = [v for row in rows for v in row.values() if isinstance(v, numbers.Real) and not pd.isna(v)]
    return len(rows), sorted(map(float, cells))


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
