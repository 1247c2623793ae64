"""The controls that charts share: sliders and menus bound to Vega-Lite parameters, with the reader's choice as start."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt

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


def menu(options: Sequence[str], value: str, label: str, name: str) -> alt.Parameter:
    """Returns a drop-down menu."""
    return alt.param(name=name, value=value, bind=alt.binding_select(options=list(options), name=f"{label} "))


def near(field: str, name: str = "dl_noise") -> str:
    """Returns the Vega expression that a field equals a slider's value."""
    return f"abs(datum.{field} - {name}) < 1e-6"


def ordered(families: Sequence[str]) -> list[str]:
    """Returns model families in the book's order."""
    known = list(FAMILY_COLOURS)
    return sorted(set(families), key=lambda f: (known.index(f) if f in known else len(known), f))
