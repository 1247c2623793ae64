"""A function in the place of a study: its parameters are the settings, and the numbers that it returns the metrics."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from dlcore import keys
from dlcore.config import registered, unknown_choice
from dlcore.records import Record
from dlcore.studies import STUDIES
from dlcore.sweep.grid import Cell

PLAIN = (bool, int, float, str, type(None))


class Call:
    """The parameters of one call, in the place of a study's configuration: hashed, with the function's code, into a key."""

    def __init__(self, study: str, fields: Mapping[str, Any]) -> None:
        self.STUDY, self._fields = study, dict(fields)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name not in self._fields:
            raise AttributeError(name)
        return self._fields[name]

    @property
    def key(self) -> str:
        """The name of the record."""
        return keys.key(self.STUDY, self._fields, {})

    def to_dict(self) -> dict[str, Any]:
        """Returns the parameters, and the hash of the function's code."""
        return dict(self._fields)

    def check_constants(self) -> None:
        """A call has no other constants than the code, whose hash is a field."""


def name(function: Callable[..., Any]) -> str:
    """Returns what a function's records and results are filed under; a study's name is its own."""
    given = getattr(function, "__name__", type(function).__name__)
    found = re.sub(r"[^A-Za-z0-9_]+", "_", given).strip("_") or "function"
    return f"{found}_function" if found in STUDIES or found in registered("study") else found


def cells(function: Callable[..., Any], wanted: Iterable[Mapping[str, Any]]) -> tuple[list[Cell], int]:
    """Returns the cells of a function's sweep, each key once, and how many said the same as another.

    Raises: ValueError for a parameter that the function does not take, or lacks, and for values that are not plain.
    """
    signature, text, found = inspect.signature(function), keys.procedure(function), {}
    wanted = list(wanted)
    for given in wanted:
        plain = {key: value.item() if hasattr(value, "item") else value for key, value in given.items()}
        for key, value in plain.items():
            if not isinstance(value, PLAIN) or (isinstance(value, float) and not math.isfinite(value)):
                raise ValueError(f"{key} = {value!r} is not a plain value: a number, a word, True, False or None")
        try:
            bound = signature.bind(**plain)
        except TypeError as error:
            if unknown := [key for key in plain if key not in signature.parameters]:
                raise unknown_choice("parameter", unknown[0], signature.parameters) from None
            raise ValueError(f"{name(function)}: {error}") from None
        bound.apply_defaults()
        defaults = {k: v for k, v in bound.arguments.items() if isinstance(v, PLAIN)}
        call = Call(name(function), {**defaults, **plain, "code": text})
        found.setdefault(call.key, Cell(plain, call))
    return list(found.values()), len(wanted) - len(found)


def run(function: Callable[..., Any], call: Call, checkpoint: Any = None) -> Record:
    """Returns the record of a call: numbers are metrics, lists and arrays `arrays`.

    Raises: ValueError for anything but a mapping of names to these.
    """
    asked = {key: value for key, value in call.to_dict().items() if key != "code"}
    answer = function(**asked)
    if not isinstance(answer, Mapping) or not answer:
        raise ValueError(f"{call.STUDY} must return a mapping of names to numbers, not {answer!r:.60}")
    plain = {str(key): value.tolist() if hasattr(value, "tolist") else value for key, value in answer.items()}
    arrays = {key: list(value) for key, value in plain.items() if isinstance(value, (list, tuple))}
    metrics = {key: value for key, value in plain.items() if key not in arrays}
    for key, value in metrics.items():
        if not isinstance(value, (bool, int, float)):
            raise ValueError(f"{call.STUDY} returned {key} = {value!r:.40}, which is no number and no list of numbers")
    return Record(call.STUDY, call.to_dict(), metrics, arrays=arrays)
