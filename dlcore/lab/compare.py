"""The reader's own runs among the recorded ones: which are drawn, in what they differ, and the chart of both."""

from __future__ import annotations

import dataclasses
import tempfile
import textwrap
from collections.abc import Mapping
from typing import Any

import pandas as pd

from dlcore import studies
from dlcore.charts.panel import PanelSpec
from dlcore.config import Config
from dlcore.lab import charts as live
from dlcore.records import Record, RecordStore

PANELS = {name: studies.part(name, "panel").PANEL for name in studies.STUDIES}


def table_of(spec: PanelSpec, store: RecordStore) -> pd.DataFrame:
    """Returns the recorded and the local runs of a study that a panel may draw; `own` marks the local ones."""
    table = spec.rows(store)
    return _marked(spec, table, table.source == "local", spec.fixed).reset_index(drop=True)


def _marked(spec: PanelSpec, table: pd.DataFrame, own: pd.Series, settings: Mapping[str, Any]) -> pd.DataFrame:
    """Returns the runs with these settings of those that the panel fixes, of any preset; `own` marks the reader's."""
    table = table.assign(own=own)
    if "control" in table:
        table = table[~(table.own & table.control)]  # the reader's own run is drawn once
    for name in spec.fixed.keys() - {"preset"}:
        table = table[table[name] == settings[name]]
    return table


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


def asked_for(spec: PanelSpec, settings: Mapping[str, Any], *, complete: bool = True) -> tuple[list[str], set[str]]:
    """Returns what a chart with these settings is headed by, and the arms that it draws."""
    heading, arms = [str(settings[name]) for name in spec.same], {spec.arm(spec.base)} if spec.arm else set[str]()
    if spec.kind and complete:
        heading.append(spec.kind(settings))
        arms.add(spec.arm(settings))
    return heading, arms


def drawn(spec: PanelSpec, rows: pd.DataFrame, settings: Mapping[str, Any], heading: list[str], arms: set[str]) -> Any:
    """Returns the chart of the recorded runs that share the settings' question, with the reader's own among them."""
    for name in spec.same:
        rows = rows[rows[name] == settings[name]]
    if spec.kind and spec.arm:
        asked = arms - {spec.arm(spec.base)}
        # beside another question the base alone is drawn, without its variants
        base = (rows.arm == spec.arm(spec.base)) & (rows.get("plain", True) | rows.control | (not asked))
        rows = rows[base | rows.arm.isin(asked)]
    rows = rows.dropna(subset=[spec.x, spec.y])
    others, own = rows[~rows.own & spec.usual(rows)], rows[rows.own]
    unlike = differences(spec, own, others)
    texts = [_setting(spec, row) for row in own.to_dict("records")]
    own = own.assign(setting=texts, other=[bool(d) for d in unlike], line=own.key)
    title = " · ".join(heading) or (spec.kind(spec.base) if spec.kind else "")
    return live.among_recorded(spec, others, own, title=title, notes=_notes(spec, others, own, unlike))


def one_run(config: Config, record: Record) -> Any:
    """Returns the chart of the recorded runs with one run of any preset among them, as a diamond."""
    spec = PANELS[config.STUDY]
    # a smoke run is no spec: it is placed beside them, in a store that is gone when the table has been read
    unimportant = {f.name: f.default for f in dataclasses.fields(config) if f.name in spec.free}
    config = config.replace(preset=spec.fixed["preset"], **unimportant)
    with tempfile.TemporaryDirectory() as folder:
        store = RecordStore(folder)
        store.save(config, dataclasses.replace(record, config=config.to_dict()))
        rows = spec.rows(store)
    settings = config.to_dict()
    rows = _marked(spec, rows, rows.key == config.key, settings)
    return drawn(spec, rows, settings, *asked_for(spec, settings))


def _setting(spec: PanelSpec, row: Mapping[str, Any]) -> str:
    kind = [row["kind"]] if spec.kind else []
    return ", ".join([*kind, *(_valued(n, row[n]) for n in spec.fields if n in row and pd.notna(row[n]))])


def _valued(name: str, value: Any) -> str:
    # a column in which some rows have no width holds floats
    words = name.replace("_", " ")
    return f"{words} {value:g}" if isinstance(value, float) else f"{words} {value}"


def _notes(spec: PanelSpec, recorded: pd.DataFrame, own: pd.DataFrame, unlike: list[dict[str, Any]]) -> list[str]:
    """Returns what a reader must know before comparing diamonds with dots, in lines that fit the chart."""
    if recorded.empty:
        return ["No run is recorded with these settings."]
    found = sorted({_valued(name, value) for each in unlike for name, value in each.items()})
    text = f"Hollow: no recorded run here has {', '.join(found)}." if found else ""
    missing = sorted({f"{v:g}" for v in own[spec.x] if not (abs(recorded[spec.x] - v) < 1e-9).any()}, key=float)
    if missing:
        text += f" Not recorded at {spec.x_title} {', '.join(missing)}."
    return textwrap.wrap(text.strip(), 88)
