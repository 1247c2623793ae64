"""What every result is: a frozen data class with `to_dict`, `to_frame` and `plot`, by one decorator."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True, field_specifiers=(dataclasses.field,))
def usable(plot: str = "numbers", *, frozen: bool = True) -> Callable[[type[T]], type[T]]:
    """Returns a decorator that makes a class a data class with `to_dict()`, `to_frame()`, and `plot()` by a chart's name.

    It prints in a few lines and unpacks as a tuple of its fields. Methods that a class has already stay. Charts are those of
    `dlcore.charts.results`, loaded when one is drawn.
    """

    def draw(self: Any, **options: Any) -> Any:
        """Returns the result as an Altair chart."""
        from dlcore.charts import results

        return getattr(results, plot)(self, **options)

    def extended(kind: type[T]) -> type[T]:
        given: dict[str, Any] = {"to_dict": to_dict, "to_frame": to_frame}
        if not issubclass(kind, list):
            kind = dataclasses.dataclass(frozen=frozen)(kind)
            given |= {"__iter__": _values, "__getitem__": lambda self, place: tuple(self)[place]}
        given = {name: method for name, method in given.items() if not hasattr(kind, name)}
        if kind.__str__ is object.__str__:  # a class, or the one it extends, may say it better
            given["__str__"] = _short
        if plot != "numbers" or not hasattr(kind, "plot"):
            given["plot"] = draw
        for name, method in given.items():
            setattr(kind, name, method)
        return kind

    return extended


def _values(result: Any) -> Iterator[Any]:
    return (getattr(result, field.name) for field in dataclasses.fields(result))


def _short(result: Any) -> str:
    text = repr(result)
    return text if len(text) <= 1000 else f"{text[:700]} ... {text[-250:]}"


def to_dict(result: Any) -> dict[str, Any]:
    """Returns the public fields as plain values that JSON takes: arrays as lists, results within as mappings."""
    return _plain(result)


def to_frame(result: Any):
    """Returns the result as a data frame: a row, or for fields that are arrays of one length a row an entry."""
    import pandas as pd

    flat: dict[str, Any] = {}

    def walk(prefix: str, value: Any) -> None:
        if isinstance(value, Mapping):
            for name, inner in value.items():
                walk(f"{prefix}_{name}" if prefix else str(name), inner)
        else:
            flat[prefix] = value

    walk("", to_dict(result))
    lengths = {len(v) for v in flat.values() if isinstance(v, list)}
    if len(lengths) == 1 and lengths != {0}:
        return pd.DataFrame({name: pd.Series(v) if isinstance(v, list) else v for name, v in flat.items()})
    return pd.DataFrame([flat])


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        fields = {f.name: getattr(value, f.name) for f in dataclasses.fields(value) if f.repr and f.name[0] != "_"}
        return _plain(fields)
    if isinstance(value, Mapping):
        return {str(name): _plain(entry) for name, entry in value.items() if not callable(entry)}  # a network, say
    if hasattr(value, "columns") and hasattr(value, "to_dict"):
        return value.to_dict()
    if hasattr(value, "detach"):
        value = value.detach().cpu()
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    if isinstance(value, os.PathLike):
        return str(value)
    return value
