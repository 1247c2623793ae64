"""What every result is: a frozen data class that prints, unpacks, converts and draws itself."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, dataclass_transform

if TYPE_CHECKING:
    import altair as alt
    import pandas as pd


@dataclass_transform(frozen_default=True, field_specifiers=(dataclasses.field,))
class Result:
    """A result: it prints in a few lines and unpacks as a tuple of its fields.

    A class that extends it is a data class, frozen unless `frozen=False`, and `plot="NAME"` names its chart in
    `dlcore.charts.results`.
    """

    _chart: ClassVar[str] = "numbers"

    def __init_subclass__(cls, plot: str | None = None, frozen: bool = True) -> None:
        cls._chart = plot or cls._chart
        dataclasses.dataclass(frozen=frozen)(cls)
        # IPython takes what a class has itself: else the `repr` of the data class
        cls._repr_pretty_ = Result._repr_pretty_

    def __iter__(self) -> Iterator[Any]:
        return (getattr(self, field.name) for field in dataclasses.fields(self))  # pyright: ignore[reportArgumentType]

    def __getitem__(self, place: Any) -> Any:
        return tuple(self)[place]

    def __str__(self) -> str:
        text = repr(self)
        return text if len(text) <= 1000 else f"{text[:700]} ... {text[-250:]}"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(str(self))  # what IPython and Jupyter show as the value of a cell; `repr` holds every number

    def to_dict(self) -> dict[str, Any]:
        """Returns the public fields as plain values that JSON takes: arrays as lists, results within as mappings."""
        return _plain(self)

    def to_frame(self) -> pd.DataFrame:
        """Returns the result as a data frame: a row, or for fields that are arrays of one length a row an entry."""
        import pandas as pd

        flat: dict[str, Any] = {}

        def walk(prefix: str, value: Any) -> None:
            if isinstance(value, Mapping):
                for name, inner in value.items():
                    walk(f"{prefix}_{name}" if prefix else str(name), inner)
            else:
                flat[prefix] = value

        walk("", self.to_dict())
        arrays = {f.name for f in dataclasses.fields(self) if not isinstance(getattr(self, f.name), tuple)}  # pyright: ignore
        lengths = {len(v) for k, v in flat.items() if isinstance(v, list) and k in arrays}
        if len(lengths) == 1 and lengths != {0}:
            return pd.DataFrame({name: pd.Series(v) if isinstance(v, list) else v for name, v in flat.items()})
        return pd.DataFrame([flat])

    def plot(self, **options: Any) -> alt.TopLevelMixin:
        """Returns the result as an Altair chart; several can share one, by name, where the chart's function says so."""
        return drawn(self, self._chart, **options)


def drawn(result: Any, chart: str, **options: Any) -> alt.TopLevelMixin:
    """Returns a result as the chart of this name in `dlcore.charts.results`."""
    from dlcore.charts import results

    return getattr(results, chart)(result, **options)


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
