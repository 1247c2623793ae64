"""What a live panel of one study offers and draws; the studies fill it in, `dlcore.lab` shows it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from dlcore.records import RecordStore

RATES = tuple(round(0.1 * i, 1) for i in range(10))  # noise rates that a panel offers


def _same_label(label: str, config: Any) -> str:
    return label


@dataclass(frozen=True)
class PanelSpec:
    """What a panel of one study offers and draws.

    fields: the study's parameters -> the values offered; None stands for the recipe's own value. `same`: parameters
    that recorded runs must share with the reader's to be drawn beside them. `rows`: the runs as the chart draws them,
    one row each or more; `usual`: which recorded rows are drawn; `free`: parameters that change nothing drawn.

    Where runs of several kinds are drawn in one chart, `kind` names that of a configuration; those with the `arm` of
    the reader's settings are drawn, and those with the arm of the settings `base`, of which beside another question only
    the rows that are `plain`, a column, where there is one. `colours` holds the kinds that have their own.
    `live` names what trains, from the label of its training loop.
    """

    config: type
    title: str
    fields: Mapping[str, tuple]
    start: Mapping[str, Any]
    fixed: Mapping[str, Any]
    same: tuple[str, ...]
    x: str
    y: str
    x_title: str
    y_title: str
    usual: Callable[[pd.DataFrame], pd.Series]
    rows: Callable[[RecordStore], pd.DataFrame]
    explorer: Callable[[RecordStore], Any]
    reference: Mapping[str, list] | None = None
    log: bool = False
    percent: bool = False
    unit: str = "epoch"
    loss: str = "loss, error"
    shown: tuple[str, ...] = ()
    free: tuple[str, ...] = ()
    kind: Callable[[Mapping[str, Any]], str] | None = None
    arm: Callable[[Mapping[str, Any]], str] | None = None
    base: Mapping[str, Any] = field(default_factory=dict)
    colours: Mapping[str, str] = field(default_factory=dict)
    live: Callable[[str, Any], str] = _same_label

    @property
    def study(self) -> str:
        """The name of the study."""
        return self.config.STUDY
