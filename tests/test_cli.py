"""The command line, as a user types it."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dlcore.__main__ import main


def test_run_then_look_up(tmp_path, capsys):
    args = ["run", "distributional", "--store", str(tmp_path), "noise=0.2", "n_train=300"]
    assert main(args) == 0
    first = capsys.readouterr().out
    assert "flip_rate_test" in first
    assert main(["run", "distributional", "noise=0.2", "n_train=300", "--store", str(tmp_path)]) == 0
    assert capsys.readouterr().out == first


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["noize=0.4"], "did you mean 'noise'"),
        (["noise=1.4"], "noise = 1.4 is outside [0.0, 1.0)"),
        (["architecture=resnet999"], "did you mean 'resnet'? choose from: mlp"),
        (["noise"], "write name=value"),
        (["dataset=fashion_mnist"], "DLCORE_DATA"),
        (["--recorded", "digit-noise"], "did you mean 'digits-noise'"),
    ],
)
def test_mistakes_are_one_clear_line(args, message, tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("DLCORE_DATA", raising=False)
    assert main(["run", "distributional", "--store", str(tmp_path), *args]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert message in error
    assert not list(tmp_path.rglob("*.json"))


def test_unknown_study(capsys):
    assert main(["run", "distribution"]) == 2
    assert "did you mean 'distributional'" in capsys.readouterr().err


def test_doctor_data_and_claims(capsys):
    for verb in ("doctor", "data", "claims"):
        assert main([verb]) == 0
        assert capsys.readouterr().out.strip()


def test_notebooks_are_copied_once(tmp_path, capsys):
    plain = sorted((Path(__file__).parents[1] / "notebooks" / "plain").glob("*.ipynb"))
    assert main(["notebooks", str(tmp_path / "new")]) == 0
    assert capsys.readouterr().out.split() == [str(tmp_path / "new" / p.name) for p in plain]
    assert [p.read_bytes() for p in sorted((tmp_path / "new").iterdir())] == [p.read_bytes() for p in plain]
    (tmp_path / "new" / plain[-1].name).write_text("mine")
    (tmp_path / "new" / plain[0].name).unlink()
    assert main(["notebooks", str(tmp_path / "new")]) == 2
    assert f"{plain[1].name} is there already" in capsys.readouterr().err
    assert not (tmp_path / "new" / plain[0].name).exists()
    assert (tmp_path / "new" / plain[-1].name).read_text() == "mine"


def test_as_a_module():
    done = subprocess.run([sys.executable, "-m", "dlcore", "--help"], capture_output=True, text=True, check=True)
    assert "doctor" in done.stdout


def test_recorded_groups_run_in_workers_and_skip_what_is_done(tmp_path, monkeypatch, capsys):
    from dlcore import studies
    from dlcore.records import RecordStore
    from dlcore.studies.distributional import Config
    from dlcore.sweep import recorded

    few = [Config(preset="laptop", seed=s, n_train=200) for s in range(3)]
    monkeypatch.setattr(studies, "recorded", lambda name: {"few": few})
    store = RecordStore(tmp_path, packaged=False)
    assert recorded.run_groups(["distributional"], ["few"], store, workers=2) == 0
    assert recorded.run_groups(["distributional"], [], store) == 0
    assert "3 done, 0 to run" in capsys.readouterr().out
    assert len(list(store.records("distributional"))) == 3


@pytest.mark.slow
def test_a_failing_run_is_listed_and_the_others_go_on(tmp_path, monkeypatch, capsys):
    from dlcore import studies
    from dlcore.records import RecordStore
    from dlcore.studies.distributional import Config
    from dlcore.sweep import recorded

    bad = Config(preset="laptop", n_train=1796, experiment="agreement", noise=0.0)
    monkeypatch.setattr(studies, "recorded", lambda name: {"few": [bad, Config(preset="laptop", n_train=200)]})
    store = RecordStore(tmp_path, packaged=False)
    assert recorded.run_groups(["distributional"], [], store) == 1
    assert "1797 rows" in capsys.readouterr().out
    assert len(list(store.records("distributional"))) == 1


def test_a_queue_takes_several_studies_in_turn(monkeypatch):
    from dlcore import studies
    from dlcore.studies.distributional import Config
    from dlcore.sweep import recorded

    runs = {"scaling": [Config(seed=s) for s in range(2)], "stitching": [Config(seed=s) for s in (7, 8, 9, 0)]}
    monkeypatch.setattr(studies, "recorded", lambda name: {"gpu": runs[name], name: [Config(seed=10)]})
    assert [c.seed for c in recorded.queue(["scaling", "stitching"], ["gpu"])] == [0, 7, 1, 8, 9]
    assert [c.seed for c in recorded.queue(["scaling", "stitching"], ["stitching"])] == [10]
    with pytest.raises(ValueError, match="did you mean 'scaling'"):
        recorded.queue(["scaling", "stitching"], ["scalin"])


def test_a_budget_ends_a_queue_that_another_machine_takes_up(tmp_path, monkeypatch, capsys):
    from dlcore import studies
    from dlcore.records import RecordStore
    from dlcore.studies import distributional, rationality
    from dlcore.sweep import recorded

    few = {
        "distributional": [distributional.Config(architecture="mlp", n_train=100, epochs=20, seed=s) for s in range(3)],
        "rationality": [rationality.Config(objective="pixels", n_train=100, seed=s) for s in range(3)],
    }
    # too narrow to learn the noise by heart: it would train for days
    long = distributional.Config(architecture="mlp", width=1, epochs=10_000_000, noise=0.5)
    monkeypatch.setattr(studies, "recorded", lambda name: {"few": few[name], "long": [long]})
    monkeypatch.setattr(recorded, "GRACE", 0.0)
    here = RecordStore(tmp_path / "here", packaged=False)
    assert recorded.run_groups(list(few), ["few", "long"], here, workers=0, budget=2) == 0
    made = {path.name: path.read_bytes() for path in here.path.rglob("*.json")}
    assert f"{long.key}.json" not in made
    assert f"stopped with {7 - len(made)} to run" in capsys.readouterr().out
    assert here.checkpoint(long).exists() or len(made) < 6  # a slow machine comes less far
    shutil.copytree(here.path, tmp_path / "there")
    there = RecordStore(tmp_path / "there", packaged=False)
    assert recorded.run_groups(list(few), ["few"], there, workers=0) == 0
    assert f"6 configurations, {len(made)} done" in capsys.readouterr().out
    found = {path.name: path.read_bytes() for path in there.path.rglob("*.json")}
    assert {name: found[name] for name in made} == made
    assert sorted(name.removesuffix(".json") for name in found) == sorted(c.key for each in few.values() for c in each)


def test_a_budget_is_for_recorded_runs(capsys):
    assert main(["run", "distributional", "--budget", "5"]) == 2
    assert "--recorded" in capsys.readouterr().err


def test_promotion_refuses_uncommitted_code(tmp_path, monkeypatch):
    from dlcore import runtime
    from dlcore.records import RecordStore
    from dlcore.sweep import recorded

    monkeypatch.setattr(runtime, "commit", lambda: "abc+changes")
    with pytest.raises(RuntimeError, match="commit first"):
        recorded.promote("distributional", RecordStore(tmp_path))
