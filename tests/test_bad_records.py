"""Every bad record is skipped by name, disables nothing, and is never overwritten while there is something in it."""

import gzip
import json
import os
import resource
import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from dlcore import cache, record_files
from dlcore.records import DamagedRecordWarning, Record, RecordStore
from dlcore.studies.distributional import Config

BAD = yaml.safe_load(Path(__file__).with_name("bad").joinpath("records.yml").read_text("utf8"))
CONFIG = Config(noise=0.2)
OTHER = Config(noise=0.3)
LONG = {"LONG": "1" * 5000, "HUGE": "1" * 400, "DEEP": "[" * 200_000 + "]" * 200_000, "LARGE": " " * 2**22}


def good(config=CONFIG) -> Record:
    """A record as a run leaves it."""
    return Record(
        "distributional",
        config.to_dict(),
        {"tv": 0.25, "missing": float("nan"), "stopped": "at once"},
        {"loss": [1.0, 0.5]},
        {"counts": [[1, 2], [3, 4]]},
        {"name": "digits", "checksum": "0123456789abcdef"},
        {"commit": "abc"},
        1.5,
        "2024-01-01T00:00:00+00:00",
    )


def spoilt(how: dict, text: str) -> bytes:
    """The text of a good record after what an entry of the file does to it."""
    if "bytes" in how:
        return bytes.fromhex(how["bytes"])
    if "text" in how:
        return how["text"].encode()
    raw = json.loads(text)
    for path, value in how.get("set", {}).items():
        *above, last = path.split(".")
        (raw[above[0]] if above else raw)[last] = value
    if "drop" in how:
        *above, last = how["drop"].split(".")
        del (raw[above[0]] if above else raw)[last]
    text = json.dumps(raw, separators=(",", ":"))
    if "replace" in how:
        old, new = how["replace"]
        assert text.count(old) == 1, f"{old} is not in {text}"
        for word, stands_for in LONG.items():
            new = new.replace(word, stands_for)
        text = text.replace(old, new)
    text = text[: how.get("cut")] * (1 + how.get("twice", False))
    return (text + LONG.get(how.get("append", ""), how.get("append", ""))).encode()


@pytest.fixture
def file(store):
    """The file of a good record, beside another good one."""
    for config in (CONFIG, OTHER):
        store.save(config, good(config))
    return store.path / "distributional" / f"{CONFIG.key}.json"


def test_the_list_is_long_and_every_name_is_there_once():
    assert len({entry["name"] for entry in BAD}) == len(BAD) >= 60


@pytest.mark.parametrize("how", BAD, ids=lambda how: how["name"])
def test_a_bad_record_is_skipped_by_name_and_kept(how, store, file):
    raw = spoilt(how, file.read_text())
    file.write_bytes(raw)
    start, held = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.warns(DamagedRecordWarning) as told:
        table = store.table("distributional")
    (warning,) = told
    assert str(file) in str(warning.message)
    assert how["says"] in str(warning.message)
    assert list(table["key"]) == [OTHER.key], "one bad file disables nothing"
    runs = []

    def run(config, checkpoint):
        runs.append(config)
        return good()

    if how.get("again"):
        with pytest.warns(DamagedRecordWarning):
            store.load_or_run(CONFIG, run=run)
        assert store.load(CONFIG).metrics["tv"] == 0.25
    else:
        with pytest.warns(DamagedRecordWarning), pytest.raises(ValueError, match=f"{file.name} is not replaced"):
            store.load_or_run(CONFIG, run=run)
        assert not runs, "refused before anything runs"
        with pytest.raises(ValueError, match="is not replaced"):
            store.save(CONFIG, good())
        assert file.read_bytes() == raw
    assert time.process_time() - start < 5
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - held < 2**20, "in kB"


def a_pipe(path):
    os.mkfifo(path)


def a_folder(path):
    path.mkdir()


def an_endless_device(path):
    path.symlink_to("/dev/zero")


def a_link_to_itself(path):
    path.symlink_to(path.name)


def a_large_file(path):
    with open(path, "wb") as hole:
        hole.truncate(2**40)


@pytest.mark.parametrize("make", [a_pipe, a_folder, an_endless_device, a_link_to_itself, a_large_file])
def test_what_is_no_regular_file_is_skipped_at_once(make, store, file):
    file.unlink()
    make(file)
    with pytest.warns(DamagedRecordWarning, match=file.name):
        assert list(store.table("distributional")["key"]) == [OTHER.key]
    with pytest.warns(DamagedRecordWarning), pytest.raises(ValueError, match="is not replaced"):
        store.load_or_run(CONFIG, run=lambda *_, **__: good())
    assert file.is_symlink() or file.exists()


def test_a_dangling_link_is_no_record(store, file):
    file.unlink()
    file.symlink_to("nowhere")
    assert list(store.table("distributional")["key"]) == [OTHER.key]


def test_a_link_to_a_good_record_is_one(store, file):
    file.rename(store.path / "elsewhere")
    file.symlink_to(store.path / "elsewhere")
    assert store.load(CONFIG).metrics["tv"] == 0.25


def test_all_digits_of_a_configuration_survive(store):
    """Metrics are cut to eight digits; the configuration is not, for its hash is the name."""
    config = Config(noise=0.123456789012)
    store.save(config, good(config))
    assert store.load(config).config["noise"] == 0.123456789012


def test_the_record_of_another_configuration_is_not_saved(store):
    with pytest.raises(ValueError, match="returned the record of another"):
        store.save(OTHER, good(CONFIG))
    assert store.load(OTHER) is None


def test_a_record_from_before_a_field_has_what_was_then_the_case(store, file):
    raw = json.loads(file.read_text())
    for name in ("constants", "optimizer", "schedule"):
        del raw["config"][name]
    file.write_text(json.dumps(raw))
    assert store.load(CONFIG).config == CONFIG.to_dict()


# Other data under the same name


@pytest.fixture
def changing(monkeypatch):
    """The checksum of the data that is here now, to be set."""
    here = {"checksum": "0123456789abcdef"}
    monkeypatch.setattr(Config, "data_checksum", lambda self: here["checksum"])
    return here


def test_a_record_of_other_data_is_refused_and_both_are_named(store, file, changing):
    assert store.load(CONFIG) is not None
    changing["checksum"] = "fedcba9876543210"
    with pytest.raises(ValueError, match="checksum 0123456789abcdef, but .* has fedcba9876543210"):
        store.load_or_run(CONFIG, run=lambda *_, **__: good())
    changing["checksum"] = None  # the data is not here: there is nothing to compare
    assert store.load(CONFIG) is not None


def test_a_shipped_record_of_other_data_is_run_again(tmp_path, store, file, changing, monkeypatch):
    monkeypatch.setattr("dlcore.records.PACKAGED", store.path)
    own = RecordStore(tmp_path / "own")
    assert own.load(CONFIG) is not None
    changing["checksum"] = "fedcba9876543210"
    assert own.load(CONFIG) is None
    new = {"checksum": "fedcba9876543210"}
    made = own.load_or_run(CONFIG, run=lambda *_, **__: Record("distributional", {}, {"tv": 0.5}, data=new))
    assert made.metrics["tv"] == own.load(CONFIG).metrics["tv"] == 0.5


def _vowel(folder, seed):
    """A table of the shape of vowel, with other rows for each seed."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(rng.normal(size=(990, 10)).round(3), columns=[f"x{i}" for i in range(10)])
    frame["class"] = np.arange(990) % 11
    (folder / "uci").mkdir(exist_ok=True)
    (folder / "uci" / "vowel.csv.gz").write_bytes(gzip.compress(frame.to_csv(index=False).encode()))


@pytest.mark.filterwarnings("ignore:.* differs from the table behind the recorded runs")
def test_another_table_of_the_same_name_is_noticed(tmp_path, store, monkeypatch):
    monkeypatch.setenv("DLCORE_DATA", str(tmp_path))
    config = Config(dataset="vowel", n_train=60)
    _vowel(tmp_path, 0)
    first = store.load_or_run(config)
    assert store.load_or_run(config) == first
    _vowel(tmp_path, 1)
    with pytest.raises(
        ValueError, match=rf"vowel of checksum {first.data['checksum']}, but the file that is here now has"
    ):
        store.load_or_run(config)
    # in another folder both can be kept
    second = RecordStore(tmp_path / "other", packaged=False).load_or_run(config)
    assert second.data["checksum"] != first.data["checksum"]
    _vowel(tmp_path, 0)
    assert store.load_or_run(config) == first
    monkeypatch.delenv("DLCORE_DATA")
    assert store.load_or_run(config) == first, "without the table there is nothing to compare"


# Writing


def test_two_threads_that_save_one_record_do_not_disturb_each_other(store, monkeypatch):
    both = threading.Barrier(2, timeout=120)
    errors = []
    sync = os.fsync

    def slow(descriptor):
        both.wait()  # both files are open now
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", slow)

    def save():
        try:
            store.save(CONFIG, good())
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=save) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert [p.name for p in (store.path / "distributional").iterdir()] == [f"{CONFIG.key}.json"]


def test_reading_checks_what_writing_wrote(store, file):
    fields = record_files.read(file, "distributional", CONFIG.key)
    assert fields.keys() == record_files.FIELDS
    with pytest.raises(FileNotFoundError):
        record_files.read(file.with_name("no.json"), "distributional", "no")


def test_a_record_goes_nowhere_but_its_folder(store):
    (store.path / "folder").mkdir(parents=True)
    with pytest.raises(IsADirectoryError, match="folder"):
        cache.write_atomically(store.path / "folder", "x")
