"""The runs as data: a table for each study, the meaning of every column, and the runs behind a claim."""

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import dlcore
from dlcore import claims, records, studies
from dlcore.__main__ import main
from dlcore.studies import meanings
from dlcore.studies.scaling.table import published_scaling
from dlcore.studies.stitching.table import by_stage

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("study", studies.STUDIES)
def test_every_column_of_the_runs_has_a_meaning(study):
    known = set(dlcore.columns(study).column)
    found = dlcore.load(study)
    assert (found.source == "shipped").all()
    columns = {*found.columns, *studies.table(study, found).columns}
    plain = {name.removesuffix("_low").removesuffix("_high") for name in columns if name not in known}
    assert plain <= known
    assert {*studies.part(study, "columns").DERIVED} == {*columns} - {*found.columns} - LATER


# metrics of chapter 2's population, of which no runs are shipped yet: its table has the columns all the same
LATER = {"flip_rate", "bottom_train_error", "memorization", "fitted_wrong", "agreement", "accuracy_noisy"}


def test_every_table_says_where_its_rows_are_from(monkeypatch, tmp_path):
    own = records.Record("stitching", {}, {"top_error": 0.1, "bottom_error": 0.1}, {"depth": [0.5, 1.0]})
    config = studies.study("stitching").Config(preset="laptop")
    monkeypatch.setenv("DLCORE_RECORDS", str(tmp_path))
    records.RecordStore().save(config, own)
    stitched = dlcore.load("stitching", width=config.width, architecture=config.architecture)
    curves = {r.key: r.curves for r in records.RecordStore().records("stitching")}
    stages = by_stage(studies.table("stitching", stitched), curves)
    assert set(stages.source) == {"shipped", "local"}
    assert stages[stages.key == config.key].source.tolist() == ["local", "local"]
    assert set(published_scaling().source) == {"published"}


def test_the_page_of_columns_is_the_table():
    assert (ROOT / "book" / "columns.md").read_text("utf8") == meanings.markdown(), "write meanings.markdown() into it"


def test_the_runs_behind_a_claim_give_its_value(capsys):
    assert main(["claims", "nn-is-a-sampler", "--records"]) == 0
    runs = pd.read_csv(io.StringIO(capsys.readouterr().out))
    (row,) = (c for c in claims.evaluate(chapter=3) if c.id == "nn-is-a-sampler")
    assert len(runs) == row.measured.runs
    # from the runs alone: at each noise rate the mean over seeds of what is flipped beyond the noise
    gaps = (runs.flip_rate_test - runs.noise).groupby(runs.noise).mean()
    assert np.abs(gaps).max() == pytest.approx(row.measured.value, abs=1e-12)
    assert main(["claims", "nn-is-a-sampler"]) == 0
    assert capsys.readouterr().out.count("\n") == 1
    assert main(["claims", "nn-is-a-samplr"]) == 2
    assert "did you mean 'nn-is-a-sampler'" in capsys.readouterr().err
