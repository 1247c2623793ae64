"""From outside: your data set, classifier and study in runs and sweeps, named in the record, on the command line too."""

import shlex
import sys
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_digits
from sklearn.neighbors import KNeighborsClassifier

from dlcore import config, data, register, runtime, studies
from dlcore.__main__ import main
from dlcore.records import RecordStore
from dlcore.studies.distributional import Config
from dlcore.sweep import recorded

PLUGIN = """
from dataclasses import dataclass
from typing import ClassVar

from sklearn.datasets import load_wine
from sklearn.neighbors import KNeighborsClassifier
from torch import nn

from dlcore import register
from dlcore.config import Config as Base, option
from dlcore.records import Record


def wine(seed):
    x, y = load_wine(return_X_y=True)
    return x[::2], y[::2], x[1::2], y[1::2]


def small(shape, num_classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(13, 8), nn.ReLU(), nn.Linear(8, num_classes))


@dataclass(frozen=True)
class Config(Base):
    STUDY: ClassVar[str] = "doubling"
    number: int = option(1, help="to be doubled", low=0)


def run(config, checkpoint=None, progress=False):
    return Record("doubling", config.to_dict(), {"twice": 2 * config.number}, environment={"commit": "abc"})


register.dataset("wine", wine, n_train=80)
register.architecture("nearest", lambda seed: KNeighborsClassifier(1))
register.architecture("small", small, epochs=3, batch_size=32, learning_rate=0.01, optimizer="adam", schedule="constant")
import sys
register.study(sys.modules[__name__])
"""


def _other(study, **settings):
    return studies.study(study).Config.from_parameters(**settings)


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """The name of a plugin in the current folder; what it registers is forgotten afterwards."""
    (tmp_path / "mine.py").write_text(PLUGIN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(config, "_REGISTERED", {kind: {} for kind in config._REGISTERED})
    monkeypatch.setenv("DLCORE_PLUGINS", "")
    monkeypatch.setenv("PYTHONPATH", "")
    yield "mine"
    sys.modules.pop("mine", None)


@pytest.fixture
def digits(tmp_path):
    """A file of four arrays."""
    x, y = load_digits(return_X_y=True)
    np.savez(
        tmp_path / "mine.npz", train_inputs=x[:900], train_labels=y[:900], test_inputs=x[900:], test_labels=y[900:]
    )
    return str(tmp_path / "mine.npz")


def test_a_file_of_arrays_is_a_data_set_named_by_its_content(digits, tmp_path):
    made = Config(dataset=digits, architecture="knn", noise=0.2)
    assert made.n_train == 900
    assert made.dataset.startswith(f"{digits}#")
    assert Config(**made.to_dict()) == made
    record = RecordStore(tmp_path / "s").load_or_run(made)
    # a nearest neighbour passes on the label that it was given: about the rate of the noise
    assert record.metrics["flip_rate_test"] == pytest.approx(0.2, abs=0.05)
    assert (record.metrics["num_test"], record.data["name"]) == (897, made.dataset)
    x, y = load_digits(return_X_y=True)
    np.savez(digits, train_inputs=x[:800], train_labels=y[:800], test_inputs=x[900:], test_labels=y[900:])
    assert Config(dataset=digits, architecture="knn", noise=0.2).key != made.key
    with pytest.raises(ValueError, match="has changed"):
        made.load()
    rows = data.load(digits, n_train=50, seed=1).extra["train_index"]
    assert set(rows) <= set(data.load(digits, n_train=90, seed=1).extra["train_index"])


@pytest.mark.parametrize(
    ("study", "settings", "told"),
    [
        # ridge on 64 pixels memorises some of the noise of 900 digits, and says how much
        ("rationality", {"objective": "pixels", "noise": 0.2, "draws": 20}, lambda m: 0 < m["memorization"] < 0.3),
        ("rationality", {"objective": "supervised", "architecture": "mlp", "epochs": 3, "draws": 2}, lambda m: True),
        # two networks that know little are stitched without loss of what they know
        (
            "stitching",
            {"architecture": "mlp", "width": 16, "depth": 2, "epochs": 15, "stitch_epochs": 5},
            lambda m: abs(m["penalty_mid"]) < 0.2 and m["random_excess_mid"] > m["excess_mid"],
        ),
    ],
)
def test_your_file_in_the_other_studies(study, settings, told, digits, tmp_path):
    made = _other(study, preset="laptop", dataset=digits, **settings)
    assert made.n_train == 900
    record = RecordStore(tmp_path / "s").load_or_run(made)
    assert record.data["name"] == made.dataset
    assert record.metrics["num_test"] == 897
    assert told(record.metrics), record.metrics
    runs = RecordStore(tmp_path / "s", packaged=False).table(study)
    assert len(studies.table(study, runs)) == 1


@pytest.mark.parametrize(
    ("study", "settings"),
    [
        ("rationality", {"objective": "pixels", "draws": 2}),
        ("stitching", {"architecture": "mlp", "width": 4, "depth": 2, "epochs": 1, "stitch_epochs": 1}),
    ],
)
def test_a_registered_set_in_the_other_studies_is_told_from_another_of_its_name(study, settings, plugin, tmp_path):
    register.plugins([plugin])
    store, sets = RecordStore(tmp_path / "s"), config.registered("dataset")
    made = _other(study, dataset="wine", **settings)
    store.load_or_run(made)
    assert store.load(made).data["name"] == "wine"
    load = sets["wine"].load
    sets["wine"] = sets["wine"]._replace(load=lambda seed: tuple(part[::-1].copy() for part in load(seed)))
    with pytest.raises(ValueError, match="checksum"):
        store.load(made)


def test_a_plugin_on_the_command_line(plugin, tmp_path, capsys):
    place = ["--store", str(tmp_path / "s")]
    assert main(["run", "distributional", "--plugin", plugin, "dataset=wine", "architecture=nearest", *place]) == 0
    (record,) = RecordStore(tmp_path / "s", packaged=False).records("distributional")
    assert (record.data["name"], record.metrics["num_train"], record.metrics["train_error"]) == ("wine", 80, 0.0)
    assert "code=" in record.config["constants"]
    assert main(["run", "distributional", "--plugin", plugin, "dataset=wine", "architecture=small", *place]) == 0
    assert main(["run", "doubling", "--plugin", plugin, "number=4", *place]) == 0
    assert "twice" in capsys.readouterr().out
    sweep = ["sweep", "doubling", "--plugin", plugin, "--direct", "--grid", "number=1,2,3", *place, "--workers", "1"]
    assert main([*sweep, "--out", str(tmp_path / "o")]) == 0
    assert RecordStore(tmp_path / "s").table("doubling").sort_values("number").twice.tolist() == [2, 4, 6, 8]


def test_a_study_from_outside_is_exported_and_recorded(plugin, tmp_path, monkeypatch, capsys):
    place = ["--store", str(tmp_path / "s"), "--plugin", plugin]
    monkeypatch.setattr(runtime, "commit", lambda: "abc")
    assert main(["run", "doubling", "number=4", *place]) == 0

    def forgotten():  # a command is a process of its own
        sys.modules.pop(plugin)
        config._REGISTERED["study"].clear()
        monkeypatch.setenv("DLCORE_PLUGINS", "")

    forgotten()
    assert main(["export", str(tmp_path / "runs.csv"), *place]) == 0
    rows = pd.read_csv(tmp_path / "runs.csv", low_memory=False)
    assert rows[rows.study == "doubling"].twice.tolist() == [8]
    forgotten()
    capsys.readouterr()
    assert main(["record", "doubling", *place]) == 2
    assert "study 'doubling' has no 'grid'" in capsys.readouterr().err
    mine = sys.modules[plugin]
    mine.grid = SimpleNamespace(recorded=lambda: {"few": [mine.Config(number=4), mine.Config(number=5)]})
    monkeypatch.setattr(recorded, "PACKAGED", tmp_path / "shipped")
    assert main(["record", "doubling", *place]) == 0
    assert capsys.readouterr().out == "promoted 1 records\n"
    assert '"twice":8' in (tmp_path / "shipped" / "doubling" / "few.jsonl").read_text()


def test_the_tasks_of_a_job_array_know_the_plugin(plugin, tmp_path, monkeypatch):
    sweep = [
        "sweep",
        "doubling",
        "--plugin",
        plugin,
        "--direct",
        "--grid",
        "number=1,2",
        "--store",
        str(tmp_path / "s"),
    ]
    assert main([*sweep, "--out", str(tmp_path / "o"), "--job-array", "array.sh"]) == 0
    command = shlex.split((tmp_path / "array.sh").read_text().splitlines()[-1])
    # a task starts on another machine, where nothing is registered
    sys.modules.pop(plugin)
    config._REGISTERED["study"].clear()
    monkeypatch.setenv("DLCORE_PLUGINS", "")
    assert command[:4] == ["exec", sys.executable, "-m", "dlcore"]
    assert main([*command[4:-1], "1"]) == 0
    assert RecordStore(tmp_path / "s").table("doubling").twice.tolist() == [4]


def test_another_text_of_the_same_classifier_is_another_run(plugin):
    register.architecture("near", lambda seed: KNeighborsClassifier(1))
    one = Config(architecture="near")
    register.architecture("near", lambda seed: KNeighborsClassifier(3))
    two = Config(architecture="near")
    assert one.key != two.key
    with pytest.raises(ValueError, match="leave constants out"):
        one.check_constants()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Config(dataset="missing.npz"), "missing.npz: No such file"),
        (lambda: Config(dataset="wyne"), "unknown dataset 'wyne'"),
        (lambda: _other("rationality", dataset="wyne"), "unknown dataset 'wyne'"),
        (lambda: _other("stitching", dataset="wyne"), "unknown dataset 'wyne'"),
        (lambda: _other("rationality", dataset="missing.npz"), "missing.npz: No such file"),
        (lambda: register.dataset("digits", None), "the name is taken"),
        (lambda: register.architecture("my net", None), "or is none"),
        (lambda: register.architecture("mine", None, epochs=3), "must name epochs, batch_size"),
        (lambda: register.study(sys), "needs Config"),
        (lambda: register.plugins(["no_such_module"]), "plugin 'no_such_module'"),
    ],
)
def test_mistakes_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
