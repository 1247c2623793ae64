"""Grids of a sweep: what is written is what is run, and every mistake is found before anything runs."""

import itertools
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dlcore.records import Record
from dlcore.studies.distributional import Config
from dlcore.sweep import cluster, grid, plan


@settings(max_examples=200, deadline=None)
@given(start=st.integers(-50, 50), count=st.integers(0, 60), step=st.integers(1, 30), places=st.integers(0, 3))
def test_a_range_includes_its_stop_and_does_not_drift(start, count, step, places):
    """Every value is the double nearest to its decimal, as if it had been typed."""
    unit = Decimal(1).scaleb(-places)
    first, by = start * unit, step * unit
    found = grid.values(f"{first}:{first + count * by}:{by}")
    assert found == [float(str(first + i * by)) for i in range(count + 1)]
    assert all(isinstance(v, int if places == 0 else float) for v in found)


@given(st.lists(st.one_of(st.integers(-99, 99), st.floats(-9, 9), st.sampled_from(["mlp", "knn"])), min_size=1))
def test_a_list_is_read_as_it_is_written(entries):
    assert grid.values(",".join(str(e) for e in entries)) == entries


def test_a_range_may_go_down_and_stop_before_its_stop():
    assert grid.values("1:0:-0.5") == [1.0, 0.5, 0.0]
    assert grid.values("0:0.95:0.3") == [0.0, 0.3, 0.6, 0.9]
    assert grid.values("0:0.2:0.1,0.9") == [0.0, 0.1, 0.2, 0.9]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0:1", "is not a range; write start:stop:step"),
        ("0:nan:1", "is not a range"),
        ("0:inf:1", "is not a range"),
        ("a:b:c", "is not a range"),
        ("0:1:0", "never gets from 0 to 1"),
        ("0:1:-0.1", "never gets from 0 to 1"),
        ("0:1:1e-9", "more than 100,000 values"),
        ("0.1,,0.2", "empty value"),
        ("", "empty value"),
    ],
)
def test_a_wrong_range_says_what_is_wrong(text, message):
    with pytest.raises(ValueError, match=message):
        grid.values(text)


def _cells(wanted, **base):
    return grid.cells(Config, wanted, base)


def test_product_seeds_rows_and_fixed_parameters_are_combined():
    rows = [{"dataset": "digits"}, {"dataset": "mnist1d"}]
    found = grid.expand({"noise": [0.1, 0.2]}, rows, 3, {"n_train": 200})
    assert len(found) == 12
    assert found[1] == {"n_train": 200, "dataset": "digits", "noise": 0.1, "seed": 1}


def _frame():
    return pd.DataFrame({"noise": [0.1, 0.2], "architecture": ["knn", None], "n_train": [np.nan, 200.0]})


GIVEN = {
    "a list": lambda: [0.1, 0.2],
    "a tuple": lambda: (0.1, 0.2),
    "an array": lambda: np.array([0.1, 0.2]),
    "an array of float32": lambda: np.array([0.1, 0.2], np.float32),
    "an array, backwards twice": lambda: np.array([0.1, 0.2])[::-1][::-1],
    "a tensor": lambda: torch.tensor([0.1, 0.2]),
    "a column": lambda: pd.Series([0.1, 0.2], index=[7, 3]),
    "an index": lambda: pd.Index([0.1, 0.2]),
    "a generator": lambda: (v / 10 for v in (1, 2)),
    "a map": lambda: map(float, ("0.1", "0.2")),
    "a set": lambda: {0.2, 0.1},
    "the keys of a mapping": lambda: {0.1: "a", 0.2: "b"}.keys(),
    "words": lambda: ["0.1", "0.2"],
}


@pytest.mark.parametrize("kind", GIVEN)
def test_the_values_of_a_grid_may_be_any_collection(kind):
    found, _ = _cells(grid.expand({"noise": GIVEN[kind]()}))
    assert [cell.given for cell in found] == [{"noise": 0.1}, {"noise": 0.2}]
    assert [cell.key for cell in found] == [Config(noise=v).key for v in (0.1, 0.2)]


@pytest.mark.parametrize(
    ("name", "value", "meant"),
    [
        ("noise", 0.1, 0.1),
        ("noise", np.float32(0.1), 0.1),
        ("noise", np.float16(0.1), 0.1),
        ("noise", torch.tensor(0.1), 0.1),
        ("noise", np.array(0.1), 0.1),
        ("noise", -0.0, 0.0),
        ("noise", "0.1", 0.1),
        ("architecture", "knn", "knn"),
        ("architecture", np.str_("knn"), "knn"),
        ("n_train", 1e3, 1000),
        ("n_train", np.float64(1e3), 1000),
        ("n_train", np.int32(1000), 1000),
        ("n_train", "1e3", 1000),
        ("n_train", torch.tensor(1000), 1000),
        ("n_train", None, 1200),
        ("seed", 2**64, 2**64),
        ("seed", "123456789012345678901", 123456789012345678901),
        ("feature", np.bool_(False), False),
    ],
)
def test_one_value_is_itself(name, value, meant):
    (found,), _ = _cells(grid.expand({name: value}))
    assert getattr(found.config, name) == meant
    assert type(getattr(found.config, name)) is type(meant)
    assert found.key == Config(**{name: meant}).key


def test_rows_may_be_a_data_frame_whose_gaps_are_defaults():
    found = grid.expand({}, _frame())
    assert found == [{"noise": 0.1, "architecture": "knn"}, {"noise": 0.2, "n_train": 200.0}]
    same = [row.dropna() for _, row in _frame().iterrows()]
    assert grid.expand({}, same) == found
    assert grid.expand({}, (dict(row) for row in found)) == found
    assert len(grid.expand({}, _frame().astype({"noise": "Float64", "architecture": "category"}))) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (({"noise": {"rate": 0.1}},), "values of noise are a mapping"),
        (({"noise": [[0.1, 0.2]]},), "plain values are needed"),
        (({"noise": np.zeros((2, 2))},), "plain values are needed"),
        (({"noise": itertools.count()},), "more than 100,000 values of noise"),
        (({}, {"noise": 0.1}), "rows is one mapping"),
        (({}, ["noise"]), "each must name its fields"),
        (({}, [0.1]), "each must name its fields"),
        (({}, None, [0, 1]), "a grid names seeds of your own"),
        (({}, None, 1.5), "a number of seeds is needed"),
        (({}, None, True), "a number of seeds is needed"),
        (({}, None, None, {"noise": np.array([0.1, 0.2])}), "write --grid noise=0.1,0.2"),
        (({"seed": [1]}, None, 2), "'seed' is given twice: by --seeds and by --grid"),
        (({"noise": [0.1]}, [{"noise": 0.2}]), "'noise' is given twice: by the grid and by the grid file"),
        (({"noise": [0.1]}, None, None, {"noise": 0.2}), "by the grid and by the fixed parameters"),
        (({}, None, 0), "at least one"),
        (({}, None, None, {"noise": (0.1, 0.2)}), "write --grid noise=0.1,0.2"),
        (({n: list(range(400)) for n in "ab"},), "160,000 cells"),
        (({"a": list(range(400))}, [{"b": 1}] * 400), "160,000 cells"),
    ],
)
def test_contradictions_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        grid.expand(*arguments)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ([{"noize": 0.1}], "unknown parameter 'noize'; did you mean 'noise'"),
        (
            [{"noise": 0.1}, {"noise": 1.1}, {"noise": 1.2}],
            "2 of 3 cells are not valid; the first, noise=1.1: noise = 1.1",
        ),
        ([{"architecture": "treee"}], "^architecture=treee: unknown architecture 'treee'; did you mean 'tree'"),
        ([{"n_train": "many"}], "n_train = 'many' is not a valid int"),
        ([{"noise": [0.1]}], r"noise = \[0.1\] is not a valid float"),
        ([{"seed": float("nan")}], "seed = nan is not a valid int"),
        ([{"seed": float("inf")}], "seed = inf is not a valid int"),
        ([{"noise": 10**400}], "noise = 1000.* is not a valid float"),
        ([], "no cells"),
    ],
)
def test_a_bad_cell_is_named(wanted, message):
    with pytest.raises(ValueError, match=message) as caught:
        _cells(wanted)
    assert "grid file" not in str(caught.value)


def test_values_that_are_good_apart_but_not_together_lead_to_a_grid_file():
    wanted = grid.product({"neighbours": [1, 3], "architecture": ["knn", "tree"]})
    with pytest.raises(ValueError, match="1 of 4 cells.*neighbours applies to knn.*a grid file can hold several"):
        _cells(wanted)


def test_cells_that_say_the_same_run_once():
    found, repeated = _cells([{"noise": 0.3}, {}, {"noise": 0.1 + 0.2}, {"noise": None}, {"noise": 0.1}])
    assert [str(cell) for cell in found] == ["noise=0.3", "noise=0.1"]
    assert repeated == 3


def test_parameters_reach_a_notebook_in_the_configuration_s_own_types():
    found, _ = _cells([{"n_train": 300.0, "feature": "true", "noise": 0}])
    assert found[0].given == {"n_train": 300, "feature": True, "noise": 0.0}
    assert isinstance(found[0].given["n_train"], int)


def test_a_notebook_s_own_values_lie_under_those_of_a_cell():
    found, _ = _cells([{"noise": 0.1}], experiment="subgroup", noise=0.4)
    assert (found[0].config.experiment, found[0].config.noise) == ("subgroup", 0.1)
    assert found[0].given == {"noise": 0.1}


def test_yaml_holds_products_and_their_union(tmp_path):
    file = tmp_path / "grid.yml"
    file.write_text("noise: 0:0.2:0.1\nneighbours: [1, 3]\nridge: 1e-3\nannotator:\n")
    assert len(grid.read_file(file)) == 6
    assert grid.read_file(file)[-1] == {"noise": 0.2, "neighbours": 3, "ridge": 0.001, "annotator": None}
    file.write_text("- {architecture: knn, neighbours: [1, 3]}\n- {architecture: [tree, forest]}\n")
    assert [c.get("neighbours") for c in grid.read_file(file)] == [1, 3, None, None]
    assert len(_cells(grid.read_file(file))[0]) == 4


def test_csv_is_a_row_a_cell_and_an_empty_entry_the_default(tmp_path):
    file = tmp_path / "cells.csv"
    file.write_text("\ufeffnoise, architecture,neighbours\n0.1,knn,3\n0.2,tree,\n\n", encoding="utf8")
    assert grid.read_file(file) == [
        {"noise": 0.1, "architecture": "knn", "neighbours": 3},
        {"noise": 0.2, "architecture": "tree"},
    ]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("g.csv", "noise,seed\n0.1\n", "line 2: 1 entries for 2 names"),
        ("g.csv", "noise,noise\n0.1,2\n", "name each column once"),
        ("g.csv", "", "No columns"),
        ("g.csv", "noise\n", "has no rows"),
        ("g.yml", "noise: [", "is not YAML"),
        ("g.yml", "0.1", "names with values are needed"),
        ("g.yml", "noise: {a: 1}", "not a plain value"),
        ("g.yml", "noise: []", "noise has no value"),
        ("g.toml", "noise = 1", ".yml, .yaml or .csv"),
    ],
)
def test_a_wrong_file_says_what_is_wrong(name, text, message, tmp_path):
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=message):
        grid.read_file(tmp_path / name)


def _record(seconds, device="cpu: x", **fields):
    return Record("distributional", Config(**fields).to_dict(), {}, environment={"device": device}, seconds=seconds)


def test_the_estimate_is_the_median_of_the_most_alike_records():
    records = [
        _record(1.0, seed=1, n_train=200),
        _record(3.0, seed=2, n_train=200, noise=0.1),
        _record(50.0, n_train=900),
        _record(70.0, n_train=200, neighbours=3),
        _record(900.0, n_train=200, architecture="tree"),
    ]

    def estimate(**asked):
        fields = Config(**asked).to_dict()
        return plan.estimate(records, {name: entry for name, entry in fields.items() if name not in plan.TIMELESS})

    assert estimate(n_train=200, noise=0.2) == (2.0, ())
    # both others differ in one field; 900 samples are the nearer number
    assert estimate(n_train=1000) == (50.0, ("n_train",))
    assert estimate(architecture="forest") is None
    assert plan.estimate([], Config().to_dict()) is None


def test_records_of_another_kind_of_device_do_not_count(tmp_path, monkeypatch):
    records = [_record(1.0, "cuda: x", n_train=201), _record(9.0, "cpu: x", n_train=301)]
    monkeypatch.setattr(plan.RecordStore, "records", lambda self, study: records)
    made = plan.make("distributional", [{"n_train": 201, "seed": 7}], store=tmp_path, out=tmp_path, direct=True)
    for device, told in (("cpu:", "9 s"), ("mps:", "no record")):
        assert told in plan.describe_time(made, made.todo(), 1, device)[0]


def test_each_worker_has_a_gpu_of_its_own_where_there_are_several(monkeypatch):
    assert cluster.gpus({"CUDA_VISIBLE_DEVICES": "3, 5"}) == ["3", "5"]
    assert cluster.gpus({"CUDA_VISIBLE_DEVICES": "3,-1,5"}) == ["3"]
    assert cluster.gpus({"CUDA_VISIBLE_DEVICES": ""}) == []
    assert [e["CUDA_VISIBLE_DEVICES"] for e in cluster.share(4, ["3", "5"])] == ["3", "5", "3", "5"]
    assert cluster.default_workers(9, ["3", "5"]) == 2
    monkeypatch.setattr(cluster.machine, "cores", lambda: 8)
    assert cluster.default_workers(99, []) == 8
    assert cluster.default_workers(99, [], threads=4) == 2
    assert cluster.default_workers(3, []) == 3


def test_gpus_are_listed_by_nvidia_smi(tmp_path, monkeypatch):
    smi = tmp_path / "nvidia-smi"
    smi.write_text("#!/bin/sh\necho 'GPU 0: A (UUID: x)'\necho 'GPU 1: A (UUID: y)'\n")
    smi.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    assert cluster.gpus({}) == ["0", "1"]
    smi.unlink()
    assert cluster.gpus({}) == []


def test_threads_are_the_share_of_the_cores(monkeypatch):
    monkeypatch.setattr(cluster.machine, "cores", lambda: 8)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert [cluster.threads_each(n) for n in (0, 1, 2, 3, 16)] == [8, 8, 4, 2, 1]
    assert cluster.threads_each(2, 3) == 3
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    assert cluster.threads_each(2) == 5
