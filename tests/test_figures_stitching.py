"""The charts of chapter 2: notes where nothing was run, words that follow the rows, the paper's curves."""

import html
import io

import pandas as pd
import pytest
import vl_convert

from dlcore import figures, published, studies
from dlcore.records import PACKAGED, RecordStore
from dlcore.studies.stitching.figures import shared
from dlcore.studies.stitching.table import by_stage


@pytest.fixture(scope="module")
def rows():
    store = RecordStore(PACKAGED)
    records = {r.key: r for r in store.records("stitching")}
    table = studies.table("stitching", store.table("stitching"), records=records)
    return table, by_stage(table, {k: r.curves for k, r in records.items()})


def _csv(chart):
    return pd.read_csv(io.StringIO(chart.to_dict()["usermeta"]["csv"]))


CHARTS = {
    "penalty": (lambda t, s: figures.penalty_by_depth(s), ("setting", "pair", "map")),
    "path": (lambda t, s: figures.stitching_path(s, t), ("pair", "setting")),
    "similarity": (lambda t, s: figures.similarity_against_penalty(s), ("setting", "pair")),
}


@pytest.mark.parametrize("name", CHARTS)
def test_every_state_that_is_offered_has_rows_and_every_row_is_offered(rows, name):
    """The first control offers all that was run, each next one what was run with those before it."""
    make, columns = CHARTS[name]
    chart = make(*rows)
    note = chart.to_dict()["usermeta"]
    places = {c["column"]: i for i, c in enumerate(note["controls"])}
    assert [c["column"] for c in note["controls"]][: len(columns)] == list(columns)
    [offered] = note["states"]
    assert [places[c] for c in columns] == offered["of"]
    named = {
        tuple(note["controls"][at]["options"][o] for at, o in zip(offered["of"], row, strict=True))
        for row in offered["rows"]
    }
    drawn = _csv(chart).dropna(subset=["setting"])
    drawn = drawn[drawn.setting != shared.PAPER]
    assert named == set(drawn[list(columns)].drop_duplicates().itertuples(index=False, name=None))


def _drawn(chart, **values):
    """Returns the texts of a chart's picture with other values of its parameters."""
    spec = chart.to_dict()
    for one in spec["params"]:
        one["value"] = values.get(one["name"], one.get("value"))
    return vl_convert.vegalite_to_svg(spec)


def test_in_a_notebook_a_choice_without_a_run_has_a_note(rows):
    """Vega's own menus offer every option."""
    chart = figures.stitching_path(rows[1], rows[0])
    note = "No pair of this kind is recorded"
    assert note not in _drawn(chart)
    assert note in _drawn(chart, dl_pair="epochs x 2", dl_setting="MNIST-1D, convnet of width 2")


def test_words_follow_the_rows_and_the_controls(rows):
    _, stages = rows
    chart = figures.penalty_by_depth(stages)
    note = chart.to_dict()["usermeta"]
    own = shared.setting(stages[(stages.stitcher_data == "top") & (stages.pair == "two seeds")])
    own = own[(own.setting == "MNIST-1D, convnet") & (own["map"] == "the paper's")]
    most = own.groupby("depth")[["excess", "random_penalty"]].mean().max()
    key = "|".join(
        str(c["options"].index(v))
        for c, v in zip(note["controls"], ("MNIST-1D, convnet", "two seeds", "the paper's"), strict=True)
    )

    def told(says):
        text, *numbers = says["states"][key]
        return says["texts"][text].format(*numbers)

    said = told(note["says"])
    assert f"at most {100 * most.excess:.1f} points" in said
    assert f"up to {100 * most.random_penalty:.0f}" in said
    # in a notebook Vega finds the same words
    svg = _drawn(chart, dl_setting="MNIST-1D, convnet")
    assert said[:30] in html.unescape(svg)
    worse = figures.penalty_by_depth(stages.assign(excess=stages.excess + 0.1)).to_dict()["usermeta"]
    assert f"at most {100 * most.excess + 10:.1f} points" in told(worse["says"])
    assert "at 23 of 24 stages" in chart.to_dict()["description"]


def test_words_on_the_path_and_on_widths_follow_the_rows(rows):
    table, stages = rows
    seeds = table[table.usual & table.usual_width & (table.pair == "two seeds")]
    means = seeds.groupby("architecture").barrier.mean()
    title = figures.stitching_path(stages, table).to_dict()["usermeta"]["title"]
    assert title.startswith("Two seeds: the barrier on the path is ")
    for value in means:
        assert f"{100 * value:.1f} points" in title
    best = table[table.converged & (table.pair == "two seeds") & (table.architecture == "convnet") & table.usual_width]
    assert f"({100 * best.barrier.mean():.1f} with the best maps found)" in title
    assert (
        figures.barrier_by_width(table).to_dict()["usermeta"]["title"] == "The widest networks have the lowest barrier"
    )
    said = figures.similarity_against_penalty(stages).to_dict()["usermeta"]["title"]
    assert "linear CKA and the excess have a rank correlation of 0." in said
    turned = figures.similarity_against_penalty(stages.assign(excess=-stages.excess))
    assert turned.to_dict()["usermeta"]["title"] == said.replace("correlation of ", "correlation of -")
    turned = table.assign(barrier=-table.barrier)
    assert figures.barrier_by_width(turned).to_dict()["usermeta"]["title"].startswith("In 0 of ")


def test_the_paper_s_curves_are_those_of_the_same_kind(rows):
    source = published.read("bansal2021_stitching")
    assert set(shared.PUBLISHED.values()) <= set(source.curve)
    # objects and animals are another task than the first half of the classes against the second
    assert "two superclasses" not in shared.PUBLISHED
    drawn = _csv(figures.penalty_by_depth(rows[1]))
    drawn = drawn[drawn.line == shared.PAPER]
    # full width into a quarter, and half of the top's width, at the end and at most
    assert drawn[drawn.pair == "width x 4"].value.iloc[-1] == pytest.approx(-0.003)
    assert drawn[drawn.pair == "width x 4"].value.max() == pytest.approx(0.029)
    assert drawn[drawn.pair == "width x 0.5"].value.max() == pytest.approx(0.065)
    assert not set(drawn.pair) & {"two superclasses", "epochs x 0.25", "width x 2", "width x 0.25"}
