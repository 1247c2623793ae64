"""Records are immutable, written atomically, and a damaged one is named and skipped."""

import gzip
import json
import lzma
import math
import os
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import psutil
import pytest

from dlcore import record_files, studies
from dlcore.records import PACKAGED, DamagedRecordWarning, Record, RecordStore, export
from dlcore.studies.distributional import Config
from dlcore.sweep import recorded


def _record(value=1.0):
    return Record("distributional", {}, {"tv": value, "missing": math.nan}, curves={"loss": [1.0, math.nan]})


def test_round_trip_keeps_numbers_and_nan(store):
    config = Config()
    store.save(config, _record(0.123456789))
    found = store.load(config)
    assert found.metrics["tv"] == pytest.approx(0.123456789, rel=1e-7)
    assert math.isnan(found.metrics["missing"])
    assert found.key == config.key


def test_a_record_is_never_overwritten(store):
    config = Config()
    store.save(config, _record(1.0))
    assert store.save(config, _record(2.0)).metrics["tv"] == 1.0


def test_load_or_run_runs_once(store):
    calls = []

    def run(config, checkpoint):
        calls.append(checkpoint)
        return _record()

    for _ in range(2):
        store.load_or_run(Config(), run=run)
    assert len(calls) == 1


def test_the_checkpoint_of_a_process_killed_after_saving_goes_with_the_next_call(store):
    config = Config()
    store.save(config, _record())
    checkpoint = store.checkpoint(config)
    checkpoint.parent.mkdir(parents=True)
    checkpoint.write_bytes(b"left behind")
    assert store.load_or_run(config, run=None).metrics["tv"] == 1.0
    assert not checkpoint.exists()


def test_truncated_record_is_named_skipped_and_made_anew(store):
    config = Config()
    store.save(config, _record())
    path = store.path / "distributional" / f"{config.key}.json"
    path.write_text(path.read_text()[:50])
    with pytest.warns(DamagedRecordWarning, match=config.key):
        assert store.load(config) is None
    with pytest.warns(DamagedRecordWarning, match=config.key):
        assert store.table("distributional").empty
    with pytest.warns(DamagedRecordWarning):
        store.load_or_run(config, run=lambda c, checkpoint: _record(5.0))
    assert store.load(config).metrics["tv"] == 5.0


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"study": 1}', "\x00\x01"])
def test_other_damage(store, text):
    folder = store.path / "distributional"
    folder.mkdir(parents=True)
    (folder / "abc.json").write_text(text)
    with pytest.warns(DamagedRecordWarning, match=r"abc\.json"):
        assert list(store.records("distributional")) == []


def test_a_renamed_record_is_refused(store):
    config = Config()
    store.save(config, _record())
    path = store.path / "distributional" / f"{config.key}.json"
    path.rename(path.with_name("0123456789abcdef.json"))
    with pytest.warns(DamagedRecordWarning, match="holds the record"):
        assert list(store.records("distributional")) == []


def test_a_later_format_is_refused(store):
    config = Config()
    store.save(config, _record())
    path = store.path / "distributional" / f"{config.key}.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 99}))
    with pytest.warns(DamagedRecordWarning, match="newer"):
        assert store.load(config) is None


def _group(store, *lines, name="few"):
    folder = store.path / "distributional"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.jsonl").write_text("".join(f"{line}\n" for line in lines))
    return folder / f"{name}.jsonl"


def _line(seed, tv=1.0):
    config = Config(seed=seed)
    return Record("distributional", config.to_dict(), {"tv": tv}, key=config.key).to_json().strip()


def test_a_group_is_read_line_by_line_and_damaged_lines_are_named(store):
    good, again = _line(1), _line(1, tv=2.0)
    file = _group(
        store, good, _line(2)[:-20], "not a record", "", again, _line(3), _line(4).replace('"seed":4', '"seed":5')
    )
    with pytest.warns(DamagedRecordWarning) as warned:
        table = store.table("distributional")
    assert sorted(table.seed) == [1, 3]
    assert table.set_index("seed").tv[1] == 1.0
    assert set(table.group) == {"few"}
    said = sorted(str(w.message).removeprefix(f"skipped the damaged record {file}:") for w in warned)
    assert [text[0] for text in said] == ["2", "3", "5", "7"]
    assert "is there twice" in said[2]
    assert "its key" in said[3]
    assert store.load(Config(seed=3)).metrics["tv"] == 1.0
    assert store.load(Config(seed=9)) is None


def test_a_file_of_its_own_comes_before_a_line_and_an_unreadable_group_before_nothing(store):
    _group(store, _line(1), _line(2))
    _group(store, _line(3), name="other")
    config = Config(seed=1)
    store.save(config, _record(5.0))
    (store.path / "distributional" / "folder.jsonl").mkdir()
    (store.path / "distributional" / "text.jsonl.xz").write_text("not compressed")
    (store.path / "distributional" / "nowhere.jsonl").symlink_to(store.path / "no such file")
    with pytest.warns(DamagedRecordWarning, match=r"folder\.jsonl|text\.jsonl|twice"):
        table = store.table("distributional").set_index("seed")
    assert sorted(table.index) == [1, 2, 3]
    assert table.tv[1] == store.load(config).metrics["tv"] == 5.0
    assert table.group.to_dict() == {1: "", 2: "few", 3: "other"}


def test_a_group_that_changes_is_read_again(store):
    file = _group(store, _line(1))
    assert store.load(Config(seed=2)) is None
    record_files.add(file, [_line(2), _line(3)])
    assert store.load(Config(seed=2)) is not None
    text = file.read_bytes()
    assert record_files._key_of(text.splitlines()[0]) < record_files._key_of(text.splitlines()[-1])
    file.with_suffix(".jsonl.xz").write_bytes(lzma.compress(text))
    file.unlink()
    assert set(store.table("distributional").group) == {"few"}
    assert sorted(store.table("distributional").seed) == [1, 2, 3]


def test_promotion_adds_to_the_groups_and_keeps_what_is_there(store, tmp_path, monkeypatch):
    groups = {"first": [Config(seed=s) for s in (1, 2)], "second": [Config(seed=s) for s in (2, 3)]}
    monkeypatch.setattr(recorded.studies, "recorded", lambda study: groups)
    monkeypatch.setattr(recorded, "PACKAGED", tmp_path / "package")
    monkeypatch.setattr(recorded.runtime, "commit", lambda: "0123456789ab")
    made = {"environment": {"commit": "0123456789ab"}}
    for seeds, new in (((1, 4), 1), ((1, 2, 3), 2), ((1, 2, 3), 0)):
        for seed in seeds:
            config = Config(seed=seed)
            store.save(config, Record("distributional", {}, {"tv": float(seed)}, **made))
        before = {p.name: p.read_text().splitlines() for p in (tmp_path / "package").rglob("*.jsonl")}
        assert recorded.promote("distributional", store) == new
        after = {p.name: p.read_text().splitlines() for p in (tmp_path / "package").rglob("*.jsonl")}
        assert all(set(lines) <= set(after[name]) for name, lines in before.items())
    found = RecordStore(tmp_path / "package", packaged=False).table("distributional").set_index("seed")
    assert found.group.to_dict() == {1: "first", 2: "first", 3: "second"}
    for lines in after.values():
        keys = [json.loads(line)["key"] for line in lines]
        assert keys == sorted(keys)


def test_table_is_tidy(store):
    for seed in range(3):
        config = Config(seed=seed)
        store.save(config, Record("distributional", config.to_dict(), {"tv": 0.1 * seed}))
    table = store.table("distributional", seed=[1, 2])
    assert sorted(table.seed) == [1, 2]
    assert {"key", "noise", "tv", "device", "commit"} <= set(table.columns)
    assert set(table.group) == {""}
    assert set(table.source) == {"local"}


@pytest.mark.parametrize(
    "study", [pytest.param(s, marks=[pytest.mark.slow] * (s != "distributional")) for s in studies.STUDIES]
)
def test_runs_survive_a_kill_and_give_the_same_record(study):
    """A few of the kills of tests/kills.py, which takes --count 300."""
    script = Path(__file__).with_name("kills.py")
    command = [sys.executable, str(script), "--count", "2", "--seed", "1", "--cases", study]
    done = subprocess.run(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert ", 0 faults" in done.stdout


@pytest.mark.slow
def test_workers_end_with_a_killed_parent(tmp_path):
    """kill -9 of the command alone: the worker of its pool must not go on in the background."""
    code = (
        "import sys; from dlcore import studies; from dlcore.sweep import recorded; from dlcore.records import RecordStore\n"
        "from dlcore.studies.distributional import Config\n"
        "if __name__ == '__main__':\n"
        "    runs = [Config(preset='laptop', architecture='mlp', noise=0.4, seed=s) for s in range(99)]\n"
        "    studies.recorded = lambda name: {'x': runs}\n"
        "    recorded.run_groups(['distributional'], [], RecordStore(sys.argv[1], packaged=False))\n"
    )
    script = tmp_path / "runs.py"
    script.write_text(code)
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(script), str(tmp_path / "store")]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, env=env)
    folder = tmp_path / "store" / "distributional"
    deadline = time.monotonic() + 300
    while not list(folder.glob("*.json")):
        assert process.poll() is None
        assert time.monotonic() < deadline, "nothing happened"
        time.sleep(0.2)
    workers = psutil.Process(process.pid).children(recursive=True)
    assert workers
    process.kill()
    process.wait()
    _, alive = psutil.wait_procs(workers, timeout=60)
    assert not alive, [worker.cmdline() for worker in alive]


def test_shipped_records_are_intact():
    """A shipped record that cannot be read would be a warning, and warnings are errors here."""
    store = RecordStore(PACKAGED)
    found = list(store.records("distributional"))
    assert len(found) == sum(len(group.read_bytes().splitlines()) for group in (PACKAGED / "distributional").iterdir())
    for record in found:
        assert Config(**record.config).key == record.key, record.key
        assert record.environment["commit"] not in ("", "unknown")
        assert not record.environment["commit"].endswith("+changes")
        assert record.data["checksum"]
        assert record.config["preset"] in ("laptop", "gpu")


def test_all_runs_are_exported_as_one_table(store, tmp_path):
    for seed in (1, 2):
        store.save(Config(seed=seed), Record("distributional", {}, {"tv": seed / 3}, environment={"commit": "abc"}))
    own = RecordStore(store.path, packaged=False)
    texts = []
    for name in ("runs.csv", "runs.csv.gz", "again.csv.gz"):
        assert export(tmp_path / name, ["distributional", "scaling"], store=own) == 2
        texts.append((tmp_path / name).read_bytes())
    assert gzip.decompress(texts[1]) == texts[0]
    assert texts[1] == texts[2]
    rows = pd.read_csv(tmp_path / "runs.csv").set_index("seed")
    assert rows.study.unique().tolist() == ["distributional"]
    assert rows.tv.to_dict() == pytest.approx({1: 1 / 3, 2: 2 / 3}, rel=1e-7)
    assert rows.key[1] == Config(seed=1).key
    assert {*Config.names(), "group", "source", "commit", "created", "device"} <= set(rows.reset_index())
    with pytest.raises(ValueError, match="must end in"):
        export(tmp_path / "runs.xlsx", ["distributional"], store=own)


def test_an_exported_table_for_parquet_has_one_type_a_column(store, tmp_path, monkeypatch):
    store.save(Config(), Record("distributional", {}, {"tv": 0.5, "stopped": "early"}))
    written = []
    monkeypatch.setattr(pd.DataFrame, "to_parquet", lambda self, file, index: written.append(self))
    export(tmp_path / "runs.parquet", ["distributional"], store=RecordStore(store.path, packaged=False))
    assert object not in set(written[0].dtypes)

    def missing(*_, **__):
        raise ImportError("a long text")

    monkeypatch.setattr(pd.DataFrame, "to_parquet", missing)
    with pytest.raises(ImportError, match="pip install pyarrow"):
        export(tmp_path / "none.parquet", ["distributional"], store=RecordStore(store.path, packaged=False))
    assert not (tmp_path / "none.parquet").exists()


@pytest.mark.parametrize("done", [False, True], ids=["runs", "finds its record"])
def test_a_finished_run_leaves_no_checkpoint_of_its_parts(tmp_path, done):
    from dlcore.studies.distributional import Config

    store, config = RecordStore(tmp_path, packaged=False), Config.from_parameters(preset="smoke")
    if done:
        store.load_or_run(config)
    part = store.checkpoint(config).with_suffix(".0.pt")
    for path in (part, store.checkpoint(config)):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"of a killed process")
    other = part.with_name("0123456789abcdef.0.pt")
    other.write_bytes(b"of another run")
    store.load_or_run(config)
    assert list(part.parent.iterdir()) == [other]
