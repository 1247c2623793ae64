"""The controls that charts share: sliders and menus bound to Vega-Lite parameters, with the reader's choice as start."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import pandas as pd

from dlcore.figures.theme import FAMILY_COLOURS


def pick(highlight: Mapping[str, Any] | None, name: str, options: Sequence[Any], default: Any) -> Any:
    """Returns the highlighted value when the chart has it, else the default when it has that, else the first."""
    wanted = (highlight or {}).get(name)
    if wanted in options:
        return wanted
    return default if default in options else options[0]


def slider(options: Sequence[float], value: float, label: str = "noise rate", name: str = "dl_noise") -> alt.Parameter:
    """Returns a slider over evenly spaced values; compare with `near`, floats are not exact."""
    steps = [round(b - a, 6) for a, b in itertools.pairwise(options)]
    bind = alt.binding_range(min=min(options), max=max(options), step=min(steps, default=0.1), name=f"{label} ")
    return alt.param(name=name, value=value, bind=bind)


def menu(
    options: Sequence[str], value: str, label: str, name: str, shown: Sequence[str] | None = None
) -> alt.Parameter:
    """Returns a drop-down menu; `shown` are the options' names for the reader."""
    more = {"labels": list(shown)} if shown else {}
    return alt.param(name=name, value=value, bind=alt.binding_select(options=list(options), name=f"{label} ", **more))


def coded(rows: pd.DataFrame, menus: Mapping[str, tuple[str, Sequence[str]]]) -> tuple[pd.DataFrame, str]:
    """Returns the rows with the columns of menus as one number, `key`, and the Vega expression that keeps what is chosen.

    A chart carries every row in the page: names of 30 letters in thousands of rows are most of its weight. Rows that no
    menu offers are left out.
    Args: menus: column -> (name of the menu's parameter, the menu's options).
    """
    key, chosen = pd.Series(0, rows.index), "0"
    for column, (name, options) in menus.items():
        key = key * len(options) + rows[column].map({o: i for i, o in enumerate(options)})
        chosen = f"({chosen}) * {len(options)} + indexof({json.dumps(list(options))}, {name})"
    rows = rows.drop(columns=list(menus)).assign(key=key)[key.notna()]
    return rows.astype({"key": int}), f"datum.key === {chosen}"


def abbreviated(rows: pd.DataFrame, *columns: str) -> tuple[pd.DataFrame, dict[str, str]]:
    """Returns the rows with columns of repeated words as small numbers, and the Vega expressions that undo it, by column."""
    words = {column: list(dict.fromkeys(rows[column].fillna(""))) for column in columns}
    codes = {c: rows[c].fillna("").map({w: i for i, w in enumerate(found)}) for c, found in words.items()}
    return rows.assign(**codes), {c: f"{json.dumps(found)}[datum.{c}]" for c, found in words.items()}


def near(field: str, name: str = "dl_noise") -> str:
    """Returns the Vega expression that a field equals a slider's value."""
    return f"abs(datum.{field} - {name}) < 1e-6"


def nearest(rows: pd.DataFrame, by: str, field: str = "noise") -> pd.DataFrame:
    """Returns the rows with `least` and `most`: where on a slider a row's value is the nearest one that its group has.

    So a slider draws something at every step, whatever values a group was run at; keep the rows with `held()`, and
    say which value is shown.
    """
    limits = []
    for group, own in rows.groupby(by, sort=False)[field]:
        values = sorted(own.unique())
        middle = [(a + b) / 2 for a, b in itertools.pairwise(values)]
        ends = zip(values, [-1.0, *middle], [*middle, 2.0], strict=True)
        limits += [{by: group, field: v, "least": round(low, 4), "most": round(high, 4)} for v, low, high in ends]
    return rows.merge(pd.DataFrame(limits, columns=[by, field, "least", "most"]), on=[by, field])


def held(name: str = "dl_noise") -> str:
    """Returns the Vega expression that a slider stands nearest to the row's value; see `nearest`."""
    return f"{name} > datum.least - 1e-6 && {name} < datum.most - 1e-6"


def ordered(families: Sequence[str]) -> list[str]:
    """Returns model families in the book's order."""
    known = list(FAMILY_COLOURS)
    return sorted(set(families), key=lambda f: (known.index(f) if f in known else len(known), f))
