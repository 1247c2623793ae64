"""Tables of benchmarks: what they must hold, and how they look in Markdown and on a terminal."""

from __future__ import annotations

import math
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any


@dataclass(frozen=True)
class Table:
    """One table: a title, a note that says what is compared and how, and rows of column -> value.

    `ratios` names the columns that hold ratios, which must be positive and finite; each row has one of them at least. A
    row without a measurement says why under "remark" (see `remark`) and leaves the other columns out. `versions` names the peers and their versions.
    """

    title: str
    note: str
    rows: list[dict[str, Any]]
    ratios: tuple[str, ...] = ()
    versions: str = ""

    def __post_init__(self) -> None:
        for row in self.rows:
            found = {name: row[name] for name in self.ratios if name in row}
            if not found and "remark" not in row:
                raise ValueError(f"{self.title}: no ratio in {row}")
            for name, value in found.items():
                if not (isinstance(value, float | int) and 0 < value < math.inf):
                    raise ValueError(f"{self.title}: {name} = {value!r} in {row} is not a positive number")

    def columns(self) -> list[str]:
        """Returns the names of the columns in order, the remarks last."""
        names = list(dict.fromkeys(name for row in self.rows for name in row))
        return [n for n in names if n != "remark"] + ["remark"] * ("remark" in names)

    def cells(self) -> list[list[str]]:
        """Returns the rows as text."""
        return [[cell(row.get(name)) for name in self.columns()] for row in self.rows]

    def numeric(self) -> list[bool]:
        """Returns for each column whether it holds numbers, which stand on the right."""
        return [any(isinstance(row.get(name), float | int) for row in self.rows) for name in self.columns()]

    def markdown(self) -> str:
        """Returns the table in Markdown, without title and note."""
        lines = [self.columns(), *self.cells()]
        first, *rest = ["| " + " | ".join(escaped(c) for c in line) + " |" for line in lines]
        rule = "| " + " | ".join("---:" if right else "---" for right in self.numeric()) + " |"
        return "\n".join([first, rule, *rest])

    def text(self) -> str:
        """Returns title, note and table for a terminal."""
        lines = [self.columns(), *self.cells()]
        widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
        ways = [str.rjust if right else str.ljust for right in self.numeric()]
        rows = ["  ".join(way(c, w) for way, c, w in zip(ways, line, widths, strict=True)).rstrip() for line in lines]
        return "\n".join([f"\n{self.title}", "=" * len(self.title), self.note, *filter(None, [self.versions]), *rows])


def cell(value: Any) -> str:
    """Returns a value as it stands in a table: three digits; a dash for nothing.

    >>> [cell(v) for v in (None, 12345, 1234.5, 0.123456, 2e-10, "slow")]
    ['–', '12,345', '1,234', '0.123', '2e-10', 'slow']
    """
    if value is None:
        return "–"
    if isinstance(value, str):
        return value
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


# marks that would start Markdown, mathematics or HTML inside a cell
_ESCAPES = str.maketrans({mark: "\\" + mark for mark in "\\|$*_`[]"} | {"<": "&lt;", ">": "&gt;"})


def escaped(text: str) -> str:
    """Returns text in which nothing is Markdown, mathematics or HTML."""
    return text.translate(_ESCAPES)


def remark(reason: str, **names: Any) -> dict[str, Any]:
    """Returns the row of what could not be measured; `names` are its other columns.

    >>> remark("not installed", method="Lightning")
    {'method': 'Lightning', 'remark': 'not installed'}
    """
    return {**names, "remark": reason}


def versions(*packages: str) -> str:
    """Returns "name version" of packages by their names on PyPI, or "name not installed".

    >>> versions("surely-no-package")
    'surely-no-package not installed'
    """
    found = []
    for name in packages:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            found.append(f"{name} not installed")
    return ", ".join(found)
