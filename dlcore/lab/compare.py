"""The recorded and the reader's own runs that a panel may draw, and in what the reader's differ from the recorded."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from dlcore.charts.panel import PanelSpec
from dlcore.records import PACKAGED, RecordStore


def table_of(spec: PanelSpec, store: RecordStore) -> pd.DataFrame:
    """Returns the recorded and the local runs of a study that a panel may draw; `own` marks the local ones."""
    table = spec.rows(store)
    own = {p.stem for p in (store.path / spec.study).glob("*.json")} if store.path != Path(PACKAGED) else set()
    table = table.assign(own=table.key.isin(own))
    if "control" in table:
        table = table[~(table.own & table.control)]  # the reader's own run is drawn once
    for name, value in spec.fixed.items():
        table = table[(table[name] == value) | (name == "preset")]
    return table.reset_index(drop=True)


def asked(spec: PanelSpec, row: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the settings of a run, without those that the recipe gives and those that do not matter to the chart."""
    given = {n: row[n] for n in spec.config.names() if n in row and pd.notna(row[n])}
    filled = {f.name for f in dataclasses.fields(spec.config) if f.default is None}
    try:
        recipe = spec.config(**{n: v for n, v in given.items() if n not in filled}).to_dict()
    except ValueError:  # some settings are complete only with the others
        recipe = {}
    ignored = {"preset", "seed", spec.x, *spec.free}
    return {n: v for n, v in given.items() if n not in ignored and not (n in filled and v == recipe.get(n))}


def differences(spec: PanelSpec, own: pd.DataFrame, recorded: pd.DataFrame) -> list[dict[str, Any]]:
    """Returns for each of the reader's rows the settings, name -> value, that the most similar recorded run does not share."""
    known = [asked(spec, row) for row in recorded.drop_duplicates("key").to_dict("records")] if len(own) else []
    found = []
    for row in own.to_dict("records"):
        mine = asked(spec, row)
        others = [
            {n: row[n] for n in sorted({*mine, *theirs}) if mine.get(n) != theirs.get(n)} for theirs in known or [{}]
        ]
        found.append(min(others, key=len))
    return found
