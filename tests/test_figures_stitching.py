"""The charts of chapter 2: notes where nothing was run, words that follow the rows, the paper's curves."""

import io

import pandas as pd
import pytest

from dlcore import figures, published, tables
from dlcore.figures import stitching_shared as shared
from dlcore.records import PACKAGED, RecordStore


@pytest.fixture(scope="module")
def rows():
    store = RecordStore(PACKAGED)
    records = {r.key: r for r in store.records("stitching")}
    table = tables.stitching(store.table("stitching"), records=records)
    return table, tables.stages(table, {k: r.curves for k, r in records.items()})


def _csv(chart):
    return pd.read_csv(io.StringIO(chart.to_dict()["usermeta"]["csv"]))


CHARTS = {
    "penalty": (lambda t, s: figures.penalty_by_depth(s), ("pair", "setting", "map")),
    "path": (lambda t, s: figures.stitching_path(s, t), ("pair", "setting")),
    "cka": (lambda t, s: figures.similarity_by_depth(s), ("pair", "setting")),
    "more": (lambda t, s: figures.more_is_better(s), ("setting", "samples")),
}


@pytest.mark.parametrize("name", CHARTS)
def test_a_choice_without_a_run_has_a_note_and_the_others_have_none(rows, name):
    make, columns = CHARTS[name]
    chart = make(*rows)
    spec = chart.to_dict()
    menus = {p["name"]: p["bind"]["options"] for p in spec["params"] if p["name"].startswith("dl_")}
    options = [menus[f"dl_{column}"] for column in columns]

    def key(choice):
        found = 0
        for names, value in zip(options, choice, strict=True):
            found = found * len(names) + names.index(value)
        return found

    [note] = [one for one in spec["layer"] if isinstance(one.get("mark"), dict) and one["mark"]["type"] == "text"]
    noted = {row["key"] for row in spec["datasets"][note["data"]["name"]]}
    drawn = _csv(chart).dropna(subset=["setting"])
    drawn = drawn[drawn.setting != shared.PAPER][list(columns)].drop_duplicates()
    run = {key(choice) for choice in drawn.itertuples(index=False)}
    total = 1
    for names in options:
        total *= len(names)
    assert noted
    assert not noted & run
    assert noted | run == set(range(total))


def test_words_on_two_seeds_follow_the_rows(rows):
    _, stages = rows
    title = figures.penalty_by_depth(stages).to_dict()["title"]["text"]
    assert "than an untrained one at 23 of 24 stages" in title
    worse = figures.penalty_by_depth(stages.assign(random_penalty=stages.penalty - 0.01)).to_dict()
    assert "at 0 of 24 stages" in worse["title"]["text"]
    few = stages[stages.pair == "50 % random labels"]
    assert "seeds" not in figures.penalty_by_depth(few).to_dict()["title"]["text"]


def test_words_on_the_path_and_on_widths_follow_the_rows(rows):
    table, stages = rows
    seeds = table[table.usual & (table.pair == "two seeds")]
    means = seeds.groupby(["dataset", "architecture", "width"]).barrier.mean()
    title = figures.stitching_path(stages, table).to_dict()["title"]["text"]
    assert f"{means.min():.1%} to {means.max():.1%}" in title
    assert figures.barrier_by_width(table).to_dict()["title"]["text"] == "The widest networks have the lowest barrier"
    turned = table.assign(barrier=-table.barrier)
    assert "lowest" not in figures.barrier_by_width(turned).to_dict()["title"]["text"]


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
