"""The live lab without a browser: settings, a run, a stop that leaves nothing, errors that the reader sees."""

import time

import pytest

from dlcore import lab, runtime
from dlcore.records import RecordStore


@pytest.fixture
def store(tmp_path):
    return RecordStore(tmp_path)


def _wait_for(condition, seconds=60.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.02)


def test_a_run_joins_the_store_and_the_chart(store):
    panel = lab.panel("distributional", store, architecture="knn", noise=0.4, seed=777)
    before = len(panel.comparison.chart.layer)
    panel.run()
    assert panel.wait(60)
    assert "Done in" in panel.status.value
    record = store.load(panel.config())
    assert (record.config["noise"], record.config["architecture"], record.config["seed"]) == (0.4, "knn", 777)
    assert f"test error {record.metrics['test_error']:.3f}" in panel.status.value
    assert len(panel.comparison.chart.layer) == before + 1  # the diamonds
    own = panel.comparison.chart.layer[-1].data
    assert own.flip_rate_test.tolist() == pytest.approx([record.metrics["flip_rate_test"]])
    panel.run()
    assert panel.wait(60)
    assert "was in the store" in panel.status.value


def test_a_stopped_run_leaves_no_record_and_goes_on_to_the_same_end(store, tmp_path):
    panel = lab.panel("distributional", store, architecture="mlp", width=16, seed=777)
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


def test_settings_that_contradict_are_shown_and_nothing_runs(store, tmp_path):
    panel = lab.panel("distributional", store, architecture="knn", width=16)
    panel.run()
    assert "width applies to" in panel.status.value
    assert not list(tmp_path.rglob("*.json"))
    assert not panel.run_button.disabled


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


@pytest.mark.parametrize("study", lab.FINDINGS)
def test_every_panel_offers_valid_settings_and_recorded_runs(store, study, monkeypatch):
    panel = lab.panel(study, store)
    panel.config()
    assert len(panel.comparison.chart.layer) >= 2
    monkeypatch.setenv("DLCORE_BOOK", "1")
    chart = lab.panel(study, store).to_dict()
    assert chart["usermeta"]["csv"].count("\n") > 10


def test_only_the_listening_thread_hears():
    heard = []
    with runtime.listening(lambda *event: heard.append(event)):
        runtime.report("a", 1, 2, loss=0.5)
    runtime.report("a", 2, 2, loss=0.4)
    assert heard == [("a", 1, 2, {"loss": 0.5})]
