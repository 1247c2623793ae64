"""Charts are complete: a finding as title, a description, their rows, valid specifications, honest emptiness."""

import functools
import io
import itertools
import json
import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import vl_convert

from dlcore import figures, studies
from dlcore.charts import theme
from dlcore.metrics.statistics import mean_interval
from dlcore.records import PACKAGED, RecordStore
from dlcore.studies.scaling.comparisons import beside_counting
from dlcore.studies.scaling.table import LAWS, PUBLISHED, published_scaling, scaling_fits
from dlcore.studies.stitching.table import by_stage
from dlcore.translation.task import Transduction

sys.path.append(str(Path(__file__).parent))

from colours import BACKGROUNDS, contrast, over, thin_marks


@pytest.fixture(scope="module")
def shipped():
    store = RecordStore(PACKAGED)
    table = studies.table("distributional", store.table("distributional"))
    return table, {r.key: r for r in store.records("distributional")}


def _charts(table, records):
    arrays = {k: r.arrays for k, r in records.items()}
    names = {k: "x" for k in table[(table.experiment == "sparse") & (table.noise > 0) & table.epochs.notna()].key}
    return {
        "joint-density": lambda: figures.joint_density(table, arrays),
        "spectrum": lambda: figures.spectrum(table, {"noise": 0.4, "family": "forest"}),
        "tv-against-epsilon": lambda: figures.tv_against_epsilon(table),
        "tv-by-size": lambda: figures.tv_by_size(table),
        "marginals": lambda: figures.marginals(table),
        "agreement": lambda: figures.agreement(table),
        "knn-law": lambda: figures.knn_law(table),
        "kernel-path": lambda: figures.kernel_path(table),
        "training-time": lambda: figures.training_time(figures.long_curves(records.values(), names)),
        "human-noise": lambda: figures.human_noise(figures.human_cells(table, records)),
    }


@pytest.mark.parametrize("chart", ["agreement", "noise_sweep", "penalty_by_depth", "data_and_size"])
def test_a_foreign_table_is_told_which_columns_it_lacks(chart):
    foreign = pd.DataFrame({"noise": [0.1], "value": [1.0]})
    with pytest.raises(ValueError, match=rf"{chart}: the table has no .* of which it lacks .*seed"):
        getattr(figures, chart)(foreign)


@pytest.mark.parametrize("chart", ["agreement", "noise_sweep", "penalty_by_depth", "learning_curves"])
@pytest.mark.parametrize("given", [mean_interval([0.1, 0.2, 0.4]), np.array([0.1, 0.2]), torch.zeros(2)])
def test_what_is_no_table_is_told_how_to_be_drawn(chart, given):
    with pytest.raises(ValueError, match=rf"{chart} draws runs of .* not of type {type(given).__name__}: .*plot\(\)"):
        getattr(figures, chart)(given)


NAMES = (
    "joint-density",
    "spectrum",
    "tv-against-epsilon",
    "tv-by-size",
    "marginals",
    "agreement",
    "knn-law",
    "kernel-path",
    "training-time",
    "human-noise",
)


@pytest.fixture(scope="module")
def rationality():
    return studies.table("rationality", RecordStore(PACKAGED).table("rationality"))


RATIONALITY = {
    "gap-decomposition": lambda t: figures.gap_decomposition(t, {"dataset": "mnist1d", "noise": 0.4}),
    "noise-sweep": lambda t: figures.noise_sweep(t, {"method": "VICReg"}),
    "leverage": lambda t: figures.leverage(t),
    "bound-by-size": lambda t: figures.bound_by_size(t),
    "table-procedure": lambda t: figures.table_procedure(t),
}


@pytest.fixture(scope="module")
def stitching():
    store = RecordStore(PACKAGED)
    records = {r.key: r for r in store.records("stitching")}
    table = studies.table("stitching", store.table("stitching"), records=records)
    return (
        table,
        {k: r.arrays for k, r in records.items()},
        by_stage(table, {k: r.curves for k, r in records.items()}),
    )


STITCHING = {
    "stitching-penalty": lambda t, a, s: figures.penalty_by_depth(s, {"pair": "50 % random labels"}),
    "stitching-cross-stage": lambda t, a, s: figures.cross_stage(t, a),
    "stitching-similarity": lambda t, a, s: figures.similarity_against_penalty(s),
    "stitching-more-data": lambda t, a, s: figures.more_is_better(s),
    "stitching-path": lambda t, a, s: figures.stitching_path(s, t),
    "stitching-width": lambda t, a, s: figures.barrier_by_width(t),
    "freeze-training": lambda t, a, s: figures.freeze_training(s, t),
}


SYNTHESIS = {
    "memorising-and-sampling": lambda t, s: figures.memorising_and_sampling(t["rationality"]),
    "noise-in-four": lambda t, s: figures.noise_in_four(t["rationality"], s, t["distributional"], t["scaling"]),
    "what-similar-buys": lambda t, s: figures.what_similar_buys(s, t["stitching"]),
}


def _scaling_curves(own=True):
    rows = studies.table("scaling", RecordStore(PACKAGED).table("scaling")) if own else published_scaling()
    return rows, scaling_fits(pd.concat([rows, published_scaling()]) if own else rows, bootstrap=40)


@pytest.fixture(scope="module")
def curves():
    return _scaling_curves()


SCALING = {
    "learning-curves": lambda rows, fits: figures.learning_curves(rows, fits, {"noise": "target words 20 %"}),
    "exponents-constants": lambda rows, fits: figures.exponent_constants(fits),
    "marginal-value": lambda rows, fits: figures.marginal_value_of_data(fits),
    "published-points": lambda rows, fits: figures.published_points(fits),
    "extrapolation": lambda rows, fits: figures.extrapolation(fits),
    "size-by-size": lambda rows, fits: figures.size_by_size(
        {"6L6L": published_scaling(), "": rows if "architecture" in rows else rows[:0]}
    ),
}
OWN = {
    "beside-counting": lambda rows, fits: figures.beside_counting(beside_counting(rows, Transduction().unseen)),
    "data-and-size": lambda rows, fits: figures.data_and_size(rows),
}


@pytest.mark.parametrize("name", SCALING)
def test_chapter_4_can_be_read_without_a_run(name):
    """The published points alone are a page; missing settings are gaps."""
    assert SCALING[name](*_scaling_curves(own=False)).to_dict()["usermeta"]["csv"].count("\n") > 3


ALL = (*NAMES, *RATIONALITY, *STITCHING, *SCALING, *OWN, *SYNTHESIS)


@pytest.fixture(scope="module")
def spec(shipped, rationality, stitching, curves):
    """The specification of a chart by its name; each is made once."""
    tables = {
        "rationality": rationality,
        "distributional": shipped[0],
        "scaling": curves[0],
        "stitching": stitching[0],
    }

    @functools.cache
    def made(name):
        if name in STITCHING:
            chart = STITCHING[name](*stitching)
        elif name in SYNTHESIS:
            chart = SYNTHESIS[name](tables, stitching[2])
        elif name in SCALING | OWN:
            chart = (SCALING | OWN)[name](*curves)
        else:
            chart = RATIONALITY[name](rationality) if name in RATIONALITY else _charts(*shipped)[name]()
        return chart.to_dict()

    return made


# what makes a sentence of a title; a word that is a noun too stands with what follows it
VERBS = re.compile(
    r"\b(is|are|were|has|have|do|do not|go|goes|runs from|costs|changes?|differ|lie|exceeds|memorises?|fits|misses|removes|follow"
    r"|contain|come|gives|takes|leaves?)\b"
)


def _states(note):
    """Yields the places of all controls' options in every state that the page offers."""
    offered = [(s["of"], set(map(tuple, s["rows"]))) for s in note["states"]]
    for chosen in itertools.product(*(range(len(c["options"])) for c in note["controls"])):
        if all(tuple(chosen[c] for c in of) in rows for of, rows in offered):
            yield chosen


def _titles(note):
    """Returns the titles of all states by the places of the options that they follow, None where a state has none."""
    if "says" not in note:
        return {(): note["title"]}
    says, found = note["says"], {}
    for key in {tuple(chosen[c] for c in says["of"]) for chosen in _states(note)}:
        text, *numbers = says["states"].get("|".join(map(str, key)), [None])
        found[key] = says["texts"][text].format(*numbers) if text is not None else None
    return found


@pytest.mark.parametrize("name", ALL)
def test_the_title_of_every_state_is_a_sentence(spec, name):
    """It states what that state shows: where there is a choice it follows it, and no state falls back to what the chart is of."""
    note = spec(name)["usermeta"]
    assert ("says" in note) == bool(note["controls"])
    titles = _titles(note)
    assert titles
    assert [key for key, title in titles.items() if not title] == []
    assert [title for title in titles.values() if not VERBS.search(title) or re.search(r"\bnan\b", title)] == []


# which series have a role that stands for something; the others of a chart are grey, or of the chart's own subject
MEANT = {
    "train": r"train|noise|robustness",
    "test": r"test|rationality",
    "sampler": r"sampler",
    "bayes": r"bound|epsilon|certificate|counting|unseen",
    "paper": r"paper|printed|Theorem",
}


def _series(spec):
    """Yields each series of a specification that a colour is given to, with its role."""
    names = {colour: role for role, colour in theme.ROLES.items()}
    for part in _layers(spec):
        scale = part.get("encoding", {}).get("color", {}).get("scale", {})
        yield from (
            (s, names[c]) for s, c in zip(scale.get("domain", []), scale.get("range", []), strict="range" in scale)
        )


@pytest.mark.parametrize("name", ALL)
def test_a_colour_is_a_role(spec, name):
    """No role stands in for the next free colour: one that has a meaning is given to series of that meaning alone."""
    wrong = {(s, role) for s, role in _series(spec(name)) if role in MEANT and not re.search(MEANT[role], s)}
    assert not wrong


@pytest.mark.parametrize("scheme", BACKGROUNDS)
@pytest.mark.parametrize("name", ALL)
def test_thin_marks_can_be_seen(spec, name, scheme):
    """Rules, lines and ticks in all their states; what is not chosen is thinner, not fainter."""
    page = BACKGROUNDS[scheme]
    found = {(c, o): contrast(over(c, page, o), page) for c, o in thin_marks(spec(name))}
    assert {mark: ratio for mark, ratio in found.items() if ratio < 3} == {}


@pytest.mark.parametrize("name", ALL)
def test_chart_is_complete_and_compiles(spec, name):
    spec = spec(name)
    assert len(spec["description"]) > 60
    assert spec["title"]
    assert spec["usermeta"]["name"] == name
    assert spec["usermeta"]["csv"].count("\n") > 3
    size = len(json.dumps(spec))
    assert size < 1_000_000, f"{size} bytes would make a heavy notebook; the page has them in columns"
    assert vl_convert.vegalite_to_svg({**spec, "width": 500} if spec.get("width") == "container" else spec)


def test_the_value_of_more_pairs_is_counted_beside_the_law():
    """The subtitle counts curves past their knee whose last step brought more than the law says; the rows hold the steps."""
    rows, fits = _scaling_curves(own=False)
    spec = figures.marginal_value_of_data(fits).to_dict()
    assert spec["usermeta"]["subtitle"].startswith("In 0 of 5 curves")
    drawn = pd.read_csv(io.StringIO(spec["usermeta"]["csv"]))
    one = drawn[(drawn.law == "measured") & (drawn.setting == "6L6L")].sort_values("pairs").iloc[-1]
    two = rows[rows.setting == "6L6L"].sort_values("pairs").loss.to_numpy()[-2:]
    assert one.saving == pytest.approx(1 - two[1] / two[0], rel=1e-3)
    assert one.pairs == pytest.approx(256e6 * 2**0.5, rel=1e-3)


def _says(chart, *options):
    """The title of a chart in the state in which its controls have these options."""
    note = chart.to_dict()["usermeta"]
    controls = [note["controls"][i] for i in note["says"]["of"]]
    key = "|".join(str(c["options"].index(o)) for c, o in zip(controls, options, strict=True))
    text, *numbers = note["says"]["states"][key]
    return note["says"]["texts"][text].format(*numbers)


def test_titles_of_chapter_3_follow_the_rows(shipped):
    table, records = shipped
    pairs = table[(table.experiment == "agreement") & table.usual & (table.noise == 0) & (table.dataset == "digits")]
    worst = (pairs.agreement - pairs.test_accuracy_noisy).groupby(pairs.family).mean().min()
    for shift in (0, 0.3):
        moved = table.assign(agreement=table.agreement + shift)
        said = _says(figures.agreement(moved), 0.0, "digits (8 x 8)")
        assert f"from {100 * (worst + shift):+.1f} points" in said
    title = figures.knn_law(table).to_dict()["usermeta"]["title"]
    assert "up to k = 15" in title
    away = table.assign(flip_rate_test=table.flip_rate_test + 0.02 * (table.neighbours >= 9))
    assert "up to k = 5" in figures.knn_law(away).to_dict()["usermeta"]["title"]
    above = _says(figures.tv_against_epsilon(table), "one class of ten", 0.3)
    assert above.endswith("1 of 17 points lie above the line with their whole bar (logistic)")
    assert "17 of 17" in _says(figures.tv_against_epsilon(table.assign(low=1.0)), "one class of ten", 0.3)
    # the label that the noise gave, also where the classifier prefers another
    flipped = _says(
        figures.joint_density(table, {k: r.arrays for k, r in records.items()}), "digits (8 x 8): logistic", 0.4
    )
    assert "40 % of class 3 were labelled 5 to 9" in flipped


def test_titles_of_chapters_1_and_4_and_of_the_synthesis_follow_the_rows(rationality, stitching, shipped, curves):
    assert "larger" in _says(figures.leverage(rationality), 0.2)
    assert "loosely" in _says(figures.leverage(rationality.assign(leverage=1 - rationality.leverage)), 0.2)
    fits = [f for f in curves[1] if f.curve == PUBLISHED]
    for part, most in ((fits, "to 0.33"), ([f for f in fits if f.setting != "Dec-only"], "to 0.27")):
        assert most in _says(figures.published_points(part), LAWS["bansal"])
    told = _says(figures.extrapolation(fits), "Bansal et al., published")
    assert "misses the largest by 1.3 %; the best law, one break" in told
    noisy = _says(figures.noise_in_four(rationality, stitching[2], shipped[0], curves[0]), "1 memorization gap")
    assert noisy.startswith("The memorization gap on MNIST-1D at 40 % noise is 0.6 (end to end), ")


def test_a_stage_has_the_penalties_of_its_record(stitching):
    table, _, stages = stitching
    row = table[table.usual].iloc[0]
    own = stages[stages.key == row.key]
    assert own.excess.tolist()[len(own) // 2] == row.excess_mid
    assert own.depth.tolist() == sorted(own.depth)
    assert (own.pair == row.pair).all()


def test_the_paper_s_curve_is_drawn_in_fractions(stitching):
    rows = pd.read_csv(io.StringIO(figures.penalty_by_depth(stitching[2]).to_dict()["usermeta"]["csv"]))
    theirs = rows[(rows.line == "the paper, CIFAR-10") & (rows.pair == "two seeds")]
    assert theirs.value.max() == pytest.approx(0.032)


def _layers(part):
    """Yields all plots of a specification that have a mark."""
    if "mark" in part:
        yield part
    for name in ("layer", "hconcat", "vconcat"):
        for one in part.get(name, []):
            yield from _layers(one)


def test_intervals_end_where_they_were_estimated(rationality, stitching, curves):
    """A mean lies in the middle of its t interval, which an end that was pushed to an axis would not leave it; and the
    published curves' intervals are those of their fits."""
    charts = [STITCHING[name](*stitching) for name in ("stitching-path", "stitching-penalty", "stitching-width")]
    compared = 0
    for chart in [*charts, RATIONALITY["bound-by-size"](rationality)]:
        for rows in map(pd.DataFrame, chart.to_dict()["datasets"].values()):
            if {"value", "low", "high"} <= set(rows):
                known = rows[["value", "low", "high"]].dropna()
                assert ((known.low + known.high - 2 * known.value).abs() < 2.5e-4).all()
                compared += len(known)
    assert compared > 300
    spec = SCALING["published-points"](*curves).to_dict()
    [bars] = [p for p in _layers(spec) if p["mark"].get("type") == "rule" and "x2" in p["encoding"]]
    assert (bars["encoding"]["x"]["field"], bars["encoding"]["x2"]["field"]) == ("low", "high")
    rows = pd.DataFrame(next(d for d in spec["datasets"].values() if "who" in d[0])).set_index(["who", "law"])
    for f in (f for f in curves[1] if f.curve == PUBLISHED):
        wanted = f.fit.intervals[f.fit.curve.law.exponent]
        assert rows.loc[(f.setting, LAWS[f.law]), ["low", "high"]].tolist() == pytest.approx(wanted, abs=1e-4)


def test_highlight_sets_the_start(shipped):
    spec = figures.spectrum(shipped[0], {"noise": 0.7, "family": "forest"}).to_dict()
    starts = {p["name"]: p["value"] for p in spec["params"] if "bind" in p}
    assert starts["dl_noise"] == 0.7
    assert "forest" in starts.values()


@pytest.mark.parametrize("name", ALL)
def test_a_chart_begins_where_something_was_run(spec, name):
    note = spec(name)["usermeta"]
    assert tuple(c["value"] for c in note["controls"]) in set(_states(note))
    assert "Not recorded" not in note["subtitle"]


ASKED = {
    "a rate": ({"noise": 0.65}, "Not recorded at noise 65 %: shown at 30 %."),
    "a family and a set": (
        {"noise": 0.7, "family": "forest", "dataset": "cifar10"},
        "Not recorded at data CIFAR-10: shown at digits (8 x 8).",
    ),
    "what is there": ({"noise": 0.7, "family": "forest"}, "Labels move"),
    "nothing": (None, "Labels move"),
}


@pytest.mark.parametrize("case", ASKED)
def test_a_start_that_was_not_recorded_is_told(shipped, case):
    asked, told = ASKED[case]
    assert figures.spectrum(shipped[0], asked).to_dict()["usermeta"]["subtitle"].startswith(told)


def test_a_chart_without_rows_is_an_error():
    with pytest.raises(ValueError, match="no rows"):
        theme.finish(None, name="x", title="t", description="d", rows=pd.DataFrame())


def test_smoke_runs_are_no_findings(store):
    from dlcore.studies.distributional import Config

    store.load_or_run(Config(preset="smoke"))
    assert len(store.table("distributional")) == 1
    assert studies.table("distributional", store.table("distributional")).empty


def test_epsilon_is_joined_by_procedure_size_and_seed(store):
    from dlcore.studies.distributional import Config, epsilon_config

    noisy = Config(preset="laptop", noise=0.3, seed=4)
    store.load_or_run(noisy)
    table = studies.table("distributional", store.table("distributional"))
    assert table.epsilon.isna().all()
    clean = store.load_or_run(epsilon_config(noisy))
    table = studies.table("distributional", store.table("distributional")).set_index("noise")
    assert table.epsilon[0.3] == pytest.approx(clean.metrics["test_error"])
