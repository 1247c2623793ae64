"""The reader's own runs among the recorded ones: which are drawn, in what they differ, and the chart of both."""

from __future__ import annotations

import dataclasses
import tempfile
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from dlcore.config import Config
from dlcore.figures import live
from dlcore.lab.findings import FINDINGS, Finding
from dlcore.records import PACKAGED, Record, RecordStore


def table_of(finding: Finding, store: RecordStore) -> pd.DataFrame:
    """Returns the recorded and the local runs of a study that a panel may draw; `own` marks the local ones."""
    table = finding.rows(store)
    own = {p.stem for p in (store.path / finding.study).glob("*.json")} if store.path != Path(PACKAGED) else set()
    table = table.assign(own=table.key.isin(own))
    if "control" in table:
        table = table[~(table.own & table.control)]  # the reader's own run is drawn once
    for name, value in finding.fixed.items():
        table = table[(table[name] == value) | (name == "preset")]
    return table.reset_index(drop=True)


def asked(finding: Finding, row: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the settings of a run, without those that the recipe gives and those that do not matter to the chart."""
    given = {n: row[n] for n in finding.config.names() if n in row and pd.notna(row[n])}
    filled = {f.name for f in dataclasses.fields(finding.config) if f.default is None}
    try:
        recipe = finding.config(**{n: v for n, v in given.items() if n not in filled}).to_dict()
    except ValueError:  # some settings are complete only with the others
        recipe = {}
    ignored = {"preset", "seed", finding.x, *finding.free}
    return {n: v for n, v in given.items() if n not in ignored and not (n in filled and v == recipe.get(n))}


def differences(finding: Finding, own: pd.DataFrame, recorded: pd.DataFrame) -> list[dict[str, Any]]:
    """Returns for each of the reader's rows the settings, name -> value, that the most similar recorded run does not share."""
    known = [asked(finding, row) for row in recorded.drop_duplicates("key").to_dict("records")] if len(own) else []
    found = []
    for row in own.to_dict("records"):
        mine = asked(finding, row)
        others = [
            {n: row[n] for n in sorted({*mine, *theirs}) if mine.get(n) != theirs.get(n)} for theirs in known or [{}]
        ]
        found.append(min(others, key=len))
    return found


def asked_for(finding: Finding, settings: Mapping[str, Any], *, complete: bool = True) -> tuple[list[str], set[str]]:
    """Returns what a chart with these settings is headed by, and the arms that it draws."""
    heading, arms = [str(settings[name]) for name in finding.same], {finding.base}
    if finding.kind and complete:
        heading.append(finding.kind(settings))
        arms.add(finding.arm(settings))
    return heading, arms


def drawn(finding: Finding, rows: pd.DataFrame, settings: Mapping[str, Any], heading: list[str], arms: set[str]) -> Any:
    """Returns the chart of the recorded runs that share the settings' question, with the reader's own among them."""
    for name in finding.same:
        rows = rows[rows[name] == settings[name]]
    if finding.kind:
        asked = arms - {finding.base}
        # beside another question the base alone is drawn, without its variants
        base = (rows.arm == finding.base) & ((rows.kind == finding.base) | rows.control | (not asked))
        rows = rows[base | rows.arm.isin(asked)]
    rows = rows.dropna(subset=[finding.x, finding.y])
    others, own = rows[~rows.own & finding.usual(rows)], rows[rows.own]
    unlike = differences(finding, own, others)
    texts = [_setting(finding, row) for row in own.to_dict("records")]
    return live.among_recorded(
        others,
        own.assign(setting=texts, other=[bool(d) for d in unlike], line=own.key),
        x=finding.x,
        y=finding.y,
        x_title=finding.x_title,
        y_title=finding.y_title,
        title=" · ".join(heading) or finding.base,
        reference=None if finding.reference is None else pd.DataFrame(finding.reference),
        log=finding.log,
        percent=finding.percent,
        colours=live.kind_colours(set(others.kind), finding.colours) if finding.kind else None,
        notes=_notes(finding, others, own, unlike),
    )


def one_run(config: Config, record: Record) -> Any:
    """Returns the chart of the recorded runs with one run of any preset among them, as a diamond."""
    finding = FINDINGS[config.STUDY]
    # a smoke run is no finding: it is placed beside them, in a store that is gone when the table has been read
    unimportant = {f.name: f.default for f in dataclasses.fields(config) if f.name in finding.free}
    config = config.replace(preset=finding.fixed["preset"], **unimportant)
    with tempfile.TemporaryDirectory() as folder:
        store = RecordStore(folder)
        store.save(config, dataclasses.replace(record, config=config.to_dict()))
        rows = finding.rows(store)
    rows = rows.assign(own=rows.key == config.key)
    if "control" in rows:
        rows = rows[~(rows.own & rows.control)]
    settings = config.to_dict()
    for name in finding.fixed.keys() - {"preset"}:
        rows = rows[rows[name] == settings[name]]
    return drawn(finding, rows, settings, *asked_for(finding, settings))


def _setting(finding: Finding, row: Mapping[str, Any]) -> str:
    kind = [row["kind"]] if finding.kind else []
    return ", ".join([*kind, *(_valued(n, row[n]) for n in finding.fields if n in row and pd.notna(row[n]))])


def _valued(name: str, value: Any) -> str:
    # a column in which some rows have no width holds floats
    words = name.replace("_", " ")
    return f"{words} {value:g}" if isinstance(value, float) else f"{words} {value}"


def _notes(finding: Finding, recorded: pd.DataFrame, own: pd.DataFrame, unlike: list[dict[str, Any]]) -> list[str]:
    """Returns what a reader must know before comparing diamonds with dots, in lines that fit the chart."""
    if recorded.empty:
        return ["No run is recorded with these settings."]
    found = sorted({_valued(name, value) for each in unlike for name, value in each.items()})
    text = f"Hollow: no recorded run here has {', '.join(found)}." if found else ""
    missing = sorted({f"{v:g}" for v in own[finding.x] if not (abs(recorded[finding.x] - v) < 1e-9).any()}, key=float)
    if missing:
        text += f" Not recorded at {finding.x_title} {', '.join(missing)}."
    return textwrap.wrap(text.strip(), 88)
