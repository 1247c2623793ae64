"""The live lab without a browser: settings, a run, a stop that leaves nothing, errors that the reader sees."""

import dataclasses
import re
import time

import altair as alt
import pandas as pd
import pytest

from dlcore import lab, notebook, runtime, studies
from dlcore.lab import PANELS, compare
from dlcore.lab import charts as live
from dlcore.records import RecordStore
from dlcore.stitching import curves
from dlcore.studies.scaling import Config as Scaling
from dlcore.studies.scaling import panel as scaling_panel
from dlcore.studies.scaling.config import steps_of
from dlcore.studies.stitching import Config as Stitching
from dlcore.studies.stitching import panel as stitching_panel

# the panels' own settings take up to a minute; these train real networks for a second or two
SMALL = {
    "rationality": {"objective": "supervised", "n_train": 50, "width": 8, "epochs": 8, "draws": 2},
    "stitching": {"n_train": 200, "bottom_width": 8, "width": 8, "epochs": 3, "stitch_epochs": 3},
    "distributional": {"n_train": 50, "width": 8, "epochs": 30},
    "scaling": {"pairs": 128, "width": 16, "noise": 0.4, "steps": 10, "batch_tokens": 256},
}
CONTRADICTIONS = {
    "rationality": ({"objective": "pixels", "width": 16}, "width does not apply"),
    "stitching": ({"disjoint": True}, "disjoint samples: top_share 1.0"),
    "distributional": ({"architecture": "knn", "width": 16}, "width applies to"),
    "scaling": ({"noise": 0.0, "noise_kind": "misaligned"}, "contradict each other"),
}


@pytest.fixture
def store(tmp_path):
    return RecordStore(tmp_path)


@pytest.fixture
def small(monkeypatch):
    """Adds controls with small values to the panels, and returns what sets them."""
    for study, values in SMALL.items():
        fields = {**PANELS[study].fields, **{n: (v,) for n, v in values.items()}}
        monkeypatch.setitem(PANELS, study, dataclasses.replace(PANELS[study], fields=fields))
    return lambda study, store: lab.panel(study, store, **SMALL[study], seed=777)


def _wait_for(condition, seconds=60.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.02)


def _diamonds(panel):
    """Returns the rows of the reader's own runs in the comparison chart."""
    layer = panel.comparison.chart.layer[-1]
    return layer.data if getattr(layer.mark, "shape", None) == "diamond" else pd.DataFrame(columns=["setting"])


@pytest.mark.parametrize("study", PANELS)
def test_a_run_grows_a_curve_and_joins_the_store_and_the_chart(study, store, small, monkeypatch):
    drawn = []
    draw = live.live_curve
    monkeypatch.setattr(live, "live_curve", lambda points, **more: drawn.append((len(points), more)) or draw(points))
    panel = small(study, store)
    spec = panel.spec
    drawn.clear()
    monkeypatch.setattr(lab, "REDRAW", 0.0)
    assert _diamonds(panel).empty
    panel.run()
    assert panel.wait(120)
    assert "Done in" in panel.status.value
    record = store.load(panel.config())
    assert record.config | SMALL[study] | {"seed": 777} == record.config
    for name in spec.shown:
        assert f"{name.replace('_', ' ')} {record.metrics[name]:.3f}" in panel.status.value
    counts = [n for n, _ in drawn]
    assert max(counts) > min(counts) > 0
    assert all(more["label"] and more["unit"] == spec.unit for _, more in drawn)
    own = _diamonds(panel)
    expected = record.curves["excess"] if study == "stitching" else [record.metrics[spec.y]]
    assert own[spec.y].tolist() == pytest.approx(expected)
    # far smaller than what is recorded, and said so
    assert own.other.all()
    assert "Hollow: no recorded run here has" in " ".join(panel.comparison.chart.title.subtitle)
    panel.run()
    assert panel.wait(60)
    assert "was in the store" in panel.status.value
    assert len(_diamonds(panel)) == len(own)


@pytest.mark.parametrize("study", PANELS)
def test_a_stopped_run_leaves_no_record(study, store, small, tmp_path):
    panel = small(study, store)
    heard = panel._heard

    def stop_at_second(*event):
        if len({p["step"] for p in panel._points}) == 2:
            panel.stop()
        heard(*event)

    panel._heard = stop_at_second
    panel.run()
    assert panel.wait(120)
    assert "Nothing was recorded" in panel.status.value
    assert not list(tmp_path.rglob("*.json"))
    assert not panel.run_button.disabled
    assert panel.stop_button.disabled
    assert _diamonds(panel).empty


@pytest.mark.parametrize("study", PANELS)
def test_settings_that_contradict_are_shown_and_nothing_runs(study, store, tmp_path):
    wrong, message = CONTRADICTIONS[study]
    panel = lab.panel(study, store, **wrong)
    assert message in panel.status.value  # before Run
    panel.run()
    assert panel.wait(5)
    assert message in panel.status.value
    assert not list(tmp_path.rglob("*.json"))
    assert not panel.run_button.disabled
    for name in wrong:
        panel.controls[name].value = lab.panel(study, store).controls[name].value
    assert "Ready" in panel.status.value


def test_a_stopped_run_leaves_no_record_and_goes_on_to_the_same_end(store, tmp_path):
    panel = lab.panel("distributional", store, architecture="mlp", width=8, n_train=250, seed=777)
    panel.run()
    _wait_for(lambda: len(panel._points) >= 6)
    assert panel.run_button.disabled
    assert not panel.stop_button.disabled
    panel.stop()
    assert panel.wait(60)
    assert "Nothing was recorded" in panel.status.value
    assert not list(tmp_path.rglob("*.json"))
    assert not panel.run_button.disabled
    assert list(tmp_path.rglob("unfinished/*.pt"))
    panel.run()
    assert panel.wait(120)
    resumed = store.load(panel.config())
    whole = RecordStore(tmp_path / "other").load_or_run(panel.config())
    for name in ("test_error", "train_error", "tv"):
        assert resumed.metrics[name] == pytest.approx(whole.metrics[name], abs=0.01), name


def test_an_error_inside_the_run_is_shown(store, monkeypatch):
    def fail(*_args, **_more):
        raise RuntimeError("<no> space left")

    monkeypatch.setattr(RecordStore, "load_or_run", fail)
    panel = lab.panel("distributional", store, architecture="knn")
    panel.run()
    assert panel.wait(60)
    assert "RuntimeError: &lt;no> space left" in panel.status.value
    assert not panel.run_button.disabled


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"study": "rationalty"}, "unknown study 'rationalty'; did you mean 'rationality'"),
        ({"study": "distributional", "noize": 0.1}, "unknown setting 'noize'; did you mean 'noise'"),
        ({"study": "distributional", "architecture": "resnet999"}, "unknown architecture 'resnet999'"),
    ],
)
def test_bad_arguments_are_refused(store, arguments, message):
    with pytest.raises(ValueError, match=message):
        lab.panel(store=store, **arguments)


@pytest.mark.parametrize("study", PANELS)
def test_every_panel_offers_valid_settings_and_recorded_runs(store, study, monkeypatch):
    panel = lab.panel(study, store)
    panel.config()
    assert len(panel.comparison.chart.layer) >= 2
    for name in panel.spec.fields:
        assert name in panel.config().names()
    monkeypatch.setenv("DLCORE_BOOK", "1")
    chart = lab.panel(study, store).to_dict()
    assert chart["usermeta"]["csv"].count("\n") > 10


def test_only_the_listening_thread_hears():
    heard = []
    with runtime.listening(lambda *event: heard.append(event)):
        runtime.report("a", 1, 2, loss=0.5)
    runtime.report("a", 2, 2, loss=0.4)
    assert heard == [("a", 1, 2, {"loss": 0.5})]


def test_each_finding_has_a_panel_with_the_controls_of_the_lab():
    for study, spec in PANELS.items():
        assert spec.study == study
        assert {"noise", "seed"} <= set(spec.fields)
        assert {"width", "bottom_width"} & set(spec.fields)
        assert {"n_train", "pairs"} & set(spec.fields)
        assert {"architecture", "objective"} & set(spec.fields)


def test_a_run_of_recorded_settings_is_filled_and_another_is_hollow(store):
    spec = PANELS["distributional"]
    recorded = compare.table_of(spec, store)
    recorded = recorded[(recorded.dataset == "digits") & (recorded.architecture == "mlp") & spec.usual(recorded)]
    alike = recorded.iloc[[0]].assign(seed=777)
    assert compare.differences(spec, alike, recorded) == [{}]
    assert compare.differences(spec, alike.assign(width=8), recorded) == [{"width": 8}]
    assert compare.differences(spec, alike.assign(width=8, n_train=99), recorded) == [{"width": 8, "n_train": 99}]
    # a noise rate of one's own has its own place on the axis
    assert compare.differences(spec, alike.assign(noise=0.35), recorded) == [{}]
    # a recipe's own steps follow from the size; others are another setting
    spec = PANELS["scaling"]
    recorded = compare.table_of(spec, store)
    own = pd.DataFrame([{**Scaling(preset="laptop", pairs=777, seed=7).to_dict(), "key": "own"}])
    assert compare.differences(spec, own, recorded) == [{}]
    assert compare.differences(spec, own.assign(steps=3), recorded) == [{"steps": 3}]


def test_a_run_of_twice_the_recorded_steps_is_drawn_hollow(store):
    """Recorded ones of that length are another experiment and stay out; the reader's own is drawn all the same."""
    longer = next(
        r
        for r in store.records("scaling")
        if r.config["preset"] == "laptop" and r.config["steps"] == 2 * steps_of(r.config["pairs"])
    )
    config = Scaling(**{**longer.config, "seed": 777})
    store.save(config, dataclasses.replace(longer, config=config.to_dict(), created=""))
    panel = lab.panel("scaling", store, noise=0.0)
    assert _diamonds(panel).line.tolist() == [config.key]
    assert _diamonds(panel).other.all()


def test_the_kinds_that_answer_the_readers_question_are_drawn(store):
    panel = lab.panel("stitching", store, noise=0.0)
    legend = lambda: list(panel.comparison.chart.to_dict()["layer"][0]["encoding"]["color"]["scale"]["domain"])  # noqa: E731
    assert legend() == ["two seeds", stitching_panel.UNTRAINED]
    panel.controls["noise"].value = 0.3
    assert legend() == [
        *("two seeds", "10 % random labels", "50 % random labels", "100 % random labels"),
        stitching_panel.UNTRAINED,
    ]
    assert panel.comparison.chart.title.text == "mlp \u00b7 30 % random labels"
    panel.controls["noise"].value = 0.0
    panel.controls["bottom_width"].value = 64
    assert legend()[1:-1] == ["width x 0.25", "width x 0.5", "width x 2"]
    panel = lab.panel("scaling", store, noise=0.0)
    # widths of one architecture and noise are drawn beside each other
    assert legend() == [
        scaling_panel.translation(scaling_panel.BASE),
        *(f"2L2L, clean, width {w}" for w in (16, 32, 128)),
        scaling_panel.COUNTING,
    ]
    panel.controls["noise"].value = 0.4
    assert legend() == [
        scaling_panel.translation(scaling_panel.BASE),
        "2L2L, target words 40 %",
        scaling_panel.COUNTING,
    ]
    panel.controls["width"].value = 32  # the recorded runs of this noise stay
    assert "2L2L, target words 40 %" in legend()


@pytest.mark.parametrize(
    ("settings", "name", "arm"),
    [
        ({}, "two seeds", "seeds"),
        ({"noise": 0.3, "bottom_width": 8}, "30 % random labels", "noise"),
        ({"bottom_share": 0.25}, "bottom 25 % of the data", "less data"),
        ({"top_share": 0.25, "bottom_share": 0.25}, "the same 25 % of the data", "top 0.25"),
        ({"top_share": 0.5, "bottom_share": 0.5, "disjoint": True}, "disjoint halves", "top 0.5"),
        ({"top_share": 0.5, "bottom_share": 0.05}, "bottom 5 % of the data, top 50 %", "top 0.5"),
        ({"top_share": 0.25}, "bottom all data, top a quarter", "top 0.25"),
        ({"bottom_labels": "coarse"}, "two superclasses", "other"),
    ],
)
def test_a_pair_is_named_by_what_it_is(settings, name, arm):
    config = Stitching(preset="laptop", dataset="mnist1d", architecture="mlp", **settings).to_dict()
    assert (stitching_panel.bottom(config), stitching_panel.bottom_arm(config)) == (name, arm)


def test_the_kinds_are_named_as_in_the_chapters(store):
    table = studies.table("scaling", store.table("scaling", preset="laptop", dataset="transduction"))
    table = table[
        ~table.setting.str.contains("twice the steps")
    ]  # of another number of steps, which the panel names beside the kind
    assert [scaling_panel.translation(row) for row in table.to_dict("records")] == table.setting.tolist()
    table = studies.table("stitching", store.table("stitching"))
    assert [stitching_panel.bottom(row) for row in table.to_dict("records")] == table.pair.tolist()


def test_the_live_curve_names_what_trains_in_a_run_of_stitching(store, small, monkeypatch):
    roles, stitch = [], curves.stitch_subjects

    def noted(one, *rest):
        roles.append(one.role)
        return stitch(one, *rest)

    monkeypatch.setattr(curves, "stitch_subjects", noted)
    panel = small("stitching", store)
    said, say = [], panel._say
    monkeypatch.setattr(panel, "_say", lambda text, **more: said.append(text) or say(text, **more))
    panel.run()
    assert panel.wait(120)
    trains = [text.partition("Trains: ")[2] for text in said if "Trains: " in text]
    assert trains[:2] == ["the top network", "the bottom network"]
    words = {
        **{"the bottom": "the bottom", "the top": "the top itself (control)"},
        "the random bottom": "an untrained bottom (control)",
    }
    assert [t.partition(" into ")[0] for t in trains[2:]] == [f"the map from {words[role]}" for role in roles]
    assert trains[2].endswith("after hidden1")
    assert len(roles) == 3 * 4


@pytest.mark.parametrize(
    ("study", "parameters", "recorded", "note"),
    [
        ("distributional", {"experiment": "subgroup", "noise": 0.3}, True, ""),
        (
            "distributional",
            {"experiment": "cyclic", "noise": 0.35},
            True,
            "Not recorded at noise rate in training 0.35.",
        ),
        (
            "distributional",
            {"experiment": "cyclic", "noise": 0.3, "neighbours": 7},
            True,
            "Hollow: no recorded run here has",
        ),
        ("rationality", {"objective": "pixels", "noise": 0.23}, True, "Not recorded at noise rate 0.23."),
        ("stitching", {"architecture": "mlp", "epochs": 1, "stitch_epochs": 1}, False, "No run is recorded with these"),
        ("scaling", {"noise": 0.2, "steps": 3, "test_pairs": 20}, True, "Hollow: no recorded run here has"),
    ],
    ids=str,
)
def test_the_live_run_of_a_chapter_is_a_diamond_among_the_recorded(study, parameters, recorded, note, store):
    """Also a smoke run, which is no spec; what was never recorded is said, not passed over."""
    config = studies.study(study).Config.from_parameters(preset="smoke", **parameters)
    record, spec = store.load_or_run(config), PANELS[study]
    chart = compare.one_run(config, record)
    count = re.search(r"(\d+) recorded values and (\d+) of yours", chart.description)
    assert (int(count[1]) > 0) == recorded
    assert int(count[2]) == (len(record.curves["excess"]) if study == "stitching" else 1)
    assert note in chart.description
    diamonds = [la for la in chart.layer if not isinstance(la.mark, str) and la.mark["shape"] == "diamond"]
    assert len(diamonds) == 1
    rows = (diamonds[0] if diamonds[0].data is not alt.Undefined else chart).data
    wanted = record.curves["excess"] if study == "stitching" else [record.metrics[spec.y]]
    assert rows[spec.y].tolist() == pytest.approx(wanted, abs=1e-6)


def test_a_chapters_live_run_is_in_no_chart_of_the_book(monkeypatch):
    monkeypatch.setenv("DLCORE_BOOK", "1")
    assert notebook.live(None, None) is None
