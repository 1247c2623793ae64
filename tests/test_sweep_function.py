"""Any function in a sweep: the same table, failures and resume as a study, and its code in the name of a run."""

import functools
import json
import math

import numpy as np
import pandas as pd
import pytest

from dlcore.records import Record, RecordStore
from dlcore.studies import STUDIES
from dlcore.studies.distributional import Config
from dlcore.sweep import plan, sweep


def area(width, height=2.0, seed=0):
    if width == 3:
        raise ArithmeticError("three is unlucky")
    return {"area": width * height, "sides": np.array([width, height]), "nothing": math.nan}


def test_a_function_has_the_table_of_a_study(tmp_path):
    places = {"store": tmp_path / "s", "out": tmp_path / "o", "workers": 2, "progress": False}
    found = sweep(area, {"width": [1, np.int64(2), 3]}, seeds=2, **places)
    assert found.table.columns[:2].tolist() == ["width", "seed"]
    assert found.table.status.tolist() == ["done"] * 4 + ["failed"] * 2
    assert found.table.area.tolist()[:4] == [2, 2, 4, 4]
    assert (found.table.height == 2.0).all()
    assert [f["parameters"]["width"] for f in found.failures] == [3, 3]
    assert "ArithmeticError: three is unlucky" in found.failures[0]["error"]
    assert pd.read_csv(found.file).key.tolist() == found.table.key.tolist()
    (record, *_) = RecordStore(tmp_path / "s").records("area")
    assert record.arrays["sides"][1] == 2.0
    again = sweep(area, {"width": [1]}, height=5.0, **places | {"workers": 0})
    assert again.file != found.file
    assert again.table.area.tolist() == [5.0]


CALLS = []


def test_what_is_done_is_skipped_until_the_code_changes(tmp_path, monkeypatch):
    CALLS.clear()

    def counted(x):
        CALLS.append(x)
        return {"twice": 2 * x}

    options = {"store": tmp_path / "s", "out": tmp_path / "o", "workers": 0, "progress": False}
    for _ in range(2):
        assert sweep(counted, {"x": [1, 2]}, **options).table.twice.tolist() == [2, 4]
    assert CALLS == [1, 2]
    monkeypatch.setattr("dlcore.keys.code", lambda function: "another")
    sweep(counted, {"x": [1, 2]}, **options)
    assert CALLS == [1, 2, 1, 2]
    assert sweep(functools.partial(area, height=1.0), {"width": [4]}, **options).table.area.tolist() == [4.0]


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        ({"widht": [1]}, "did you mean 'width'"),
        ({"height": [1.0]}, "missing a required argument: 'width'"),
        ({"width": [math.inf]}, "is not a plain value"),
    ],
)
def test_what_a_function_does_not_take_is_refused_before_it_runs(grid, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        sweep(area, grid, store=tmp_path / "s", out=tmp_path / "o")


def test_a_function_must_return_numbers(tmp_path):
    options = {"store": tmp_path / "s", "out": tmp_path / "o", "workers": 0, "progress": False}
    found = sweep(lambda x: {"word": "yes"}, {"x": [1]}, **options)
    assert "word = 'yes', which is no number" in found.failures[0]["error"]
    assert json.loads(next((tmp_path / "o").rglob("*.failed.json")).read_text())["parameters"] == {"x": 1}


def test_the_table_says_where_each_run_is_from(tmp_path):
    store = RecordStore(tmp_path / "s")
    shipped = next(r for r in store.records("distributional") if r.config["architecture"] == "knn")
    mine = Config(noise=0.123)
    store.save(mine, Record("distributional", mine.to_dict(), {"tv": 0.1}))
    wanted = [shipped.config, mine.to_dict(), Config(noise=0.321).to_dict()]
    table = plan.make("distributional", wanted, store=tmp_path / "s", out=tmp_path / "o", direct=True).table()
    assert table.source.tolist() == ["shipped", "local", ""]


@pytest.mark.parametrize("study", STUDIES)
def test_a_study_without_its_notebook_starts_from_the_same_parameters(study):
    from dlcore import notebook, studies

    cell = notebook.defaults(plan.find_notebook(study))
    config = studies.study(study).Config
    usual = config.from_parameters().to_dict()
    differ = {name: value for name, value in cell.items() if name in usual and usual[name] != value}
    assert getattr(studies.study(study), "CHAPTER", {}) == differ


def power(exponent, x):
    return {"power": x**exponent}


class Power:
    def __init__(self, exponent):
        self.exponent = exponent

    def __call__(self, x):
        return power(self.exponent, x)

    def method(self, x):
        return power(self.exponent, x)


def closure(exponent):
    def raised(x):
        return power(exponent, x)

    return raised


@pytest.mark.parametrize(
    "made",
    [lambda e: functools.partial(power, e), closure, Power, lambda e: Power(e).method],
    ids=["partial", "closure", "object", "method"],
)
def test_functions_that_differ_in_what_they_hold_are_not_taken_for_one_another(made, tmp_path):
    options = {"store": tmp_path / "s", "out": tmp_path / "o", "workers": 0, "progress": False}
    assert [sweep(made(e), {"x": [3]}, **options).table.power.tolist() for e in (1, 2, 1)] == [[3], [9], [3]]


def test_a_function_with_the_name_of_a_study_has_a_place_of_its_own(tmp_path):
    def distributional(x):
        return {"twice": 2 * x}

    options = {"store": tmp_path / "s", "out": tmp_path / "o", "workers": 0, "progress": False}
    assert sweep(distributional, {"x": [3]}, **options).table.twice.tolist() == [6]
    assert RecordStore(tmp_path / "s", packaged=False).table("distributional").empty


def test_two_stores_have_two_tables_in_one_folder(tmp_path):
    files = [
        sweep(area, {"width": [1]}, store=tmp_path / s, out=tmp_path / "o", workers=0, progress=False).file
        for s in ("a", "b")
    ]
    assert files[0] != files[1]
    assert all(len(pd.read_csv(file)) == 1 for file in files)
