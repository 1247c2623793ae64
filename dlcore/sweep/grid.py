"""Grids: the values that a command line or a file names, as checked configurations, before anything runs."""

from __future__ import annotations

import ast
import functools
import itertools
import math
import reprlib
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from dlcore import cache, reading
from dlcore.config import Config, one_of

LARGEST = 100_000  # cells; a mistyped step should not fill the memory


@dataclass(frozen=True)
class Cell:
    """One run of a sweep: what was asked for (`given`) and the whole configuration that follows."""

    given: dict[str, Any]
    config: Config

    @functools.cached_property
    def key(self) -> str:
        """The name of the cell's record."""
        return self.config.key

    def __str__(self) -> str:
        return describe(self.given)


def describe(given: Mapping[str, Any]) -> str:
    """Returns the parameters as they are written on the command line."""
    return " ".join(f"{name}={entry}" for name, entry in given.items()) or "(defaults)"


def value(text: str) -> Any:
    """Returns a command-line value as Python sees it; a bare word is a string.

    >>> value("0.1"), value("mlp"), value("None")
    (0.1, 'mlp', None)
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd escapes in quotes
            return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):  # the latter two: thousands of brackets
        return text


def parameters(pairs: Iterable[str], read: Callable[[str], Any] = value) -> dict[str, Any]:
    """Returns what `name=text` words say, the text as `read` takes it.

    Raises: ValueError for other words, and for a name that is there twice.
    """
    found: dict[str, Any] = {}
    for word in pairs:
        name, sign, text = word.partition("=")
        if not sign or not name:
            raise ValueError(f"{word!r} is not a parameter; write name=value, for example noise=0.4")
        if name in found:
            raise ValueError(f"{name!r} is given twice, as {found[name]!r} and as {text}")
        found[name] = read(text)
    return found


def values(text: str) -> list[Any]:
    """Returns the values that a comma list with ranges names; start:stop:step includes the stop.

    Decimal arithmetic: the third value of a range is 0.3, not 0.30000000000000004.

    >>> values("0:0.4:0.1")
    [0.0, 0.1, 0.2, 0.3, 0.4]
    >>> values("1,4:8:2,mlp")
    [1, 4, 6, 8, 'mlp']
    """
    found: list[Any] = []
    for part in (p.strip() for p in text.split(",")):
        if not part:
            raise ValueError(f"{text!r} has an empty value; write values as 0.1,0.2 or 0:0.9:0.1")
        found += _range(part) if ":" in part else [value(part)]
    return found


def _range(text: str) -> list[float | int]:
    try:
        start, stop, step = (Decimal(part) for part in text.split(":"))
        if not all(number.is_finite() for number in (start, stop, step)):
            raise InvalidOperation
    except (InvalidOperation, ValueError):
        raise ValueError(f"{text!r} is not a range; write start:stop:step, for example 0:0.9:0.1") from None
    if step == 0 or (stop - start < 0 < step) or (stop - start > 0 > step):
        raise ValueError(f"the range {text!r} never gets from {start} to {stop} in steps of {step}")
    try:
        count = (stop - start) / step
    except ArithmeticError:
        count = Decimal(LARGEST)
    if count >= LARGEST:
        raise ValueError(f"the range {text!r} has more than {LARGEST:,} values")
    whole = all(number.as_tuple().exponent == 0 for number in (start, stop, step))
    numbers = (start + i * step for i in range(int(count) + 1))
    return [int(number) if whole else float(number) for number in numbers]


def read_file(path: str | Path) -> list[dict[str, Any]]:
    """Returns the cells of a grid file.

    YAML: a mapping of names to a value or values is a product; a list of mappings is the union of their products.
    CSV: a row is a cell, and an empty entry is the default.

    Raises:
        ValueError: neither; the message names the file and the line.
    """
    path = cache.expanded(path)
    if path.suffix.lower() == ".csv":
        names, body = reading.rows(path)
        if not body:
            raise ValueError(f"{path} has no rows")
        cells = []
        for line, row in body:
            cells.append({name: value(text) for name, text in zip(names, row, strict=True) if text})
            for name, text in zip(names, row, strict=True):
                if isinstance(cells[-1].get(name), tuple) and not text.startswith("("):
                    todo = "or has a decimal comma or one for thousands; write one number, with a decimal point"
                    raise ValueError(f"{path}, line {line}: {name} = {text} is several values, {todo}")
        return cells
    if path.suffix.lower() not in (".yml", ".yaml"):
        raise ValueError(f"{path}: a grid file is .yml, .yaml or .csv")
    import yaml

    try:
        raw = yaml.load(reading.read_text(path), Loader=_loader())
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(f"{path} is not YAML: {' '.join(str(error).split())}") from None
    products = raw if isinstance(raw, list) else [raw]
    if not products or not all(isinstance(p, dict) and p for p in products):
        raise ValueError(f"{path}: names with values are needed (a product), or a list of such mappings (their union)")
    return [cell for p in products for cell in product({str(k): _listed(path, k, v) for k, v in p.items()})]


def _loader() -> type:
    """Returns YAML's safe loader, which takes the second of two equal names without a word, made strict."""
    import yaml

    class Strict(yaml.SafeLoader):
        def construct_mapping(self, node: Any, deep: bool = False) -> dict:
            names = [self.construct_object(name, deep=True) for name, _ in node.value]
            for i, name in enumerate(names):
                if name in names[:i]:
                    raise yaml.constructor.ConstructorError(None, None, f"{name!r} is there twice", node.start_mark)
            return super().construct_mapping(node, deep)

    return Strict


def _listed(path: Path, name: Any, entry: Any) -> list[Any]:
    found: list[Any] = []
    for one in entry if isinstance(entry, list) else [entry]:
        if isinstance(one, str):
            found += values(one)  # YAML takes 1e-3 and 0:0.9:0.1 for strings
        elif one is None or isinstance(one, (bool, int, float)):
            found.append(one)
        else:
            # of a list of lists of lists by reference, the whole text may fill the memory
            raise ValueError(f"{path}: {name} = {reprlib.repr(one)} is not a plain value")
    if not found:
        raise ValueError(f"{path}: {name} has no value")
    return found


def product(grid: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Returns every combination, the last name varying fastest.

    >>> product({"noise": [0.1, 0.2], "seed": [0, 1]})[1]
    {'noise': 0.1, 'seed': 1}
    """
    if (count := math.prod(map(len, grid.values()))) > LARGEST:
        raise ValueError(f"the grid has {count:,} cells; at most {LARGEST:,}")
    return [dict(zip(grid, entries, strict=True)) for entries in itertools.product(*grid.values())]


def _several(entry: Any) -> bool:
    """Whether a value is a collection: a list, an array, a column of a table, a generator, and no word."""
    return hasattr(entry, "__iter__") and not isinstance(entry, (str, bytes)) and getattr(entry, "ndim", 1) > 0


def _entries(name: str, given: Any) -> list[Any]:
    """Returns the values that a grid has for a name: those of any collection, or the one value."""
    if isinstance(given, Mapping):
        raise ValueError(f"the grid's values of {name} are a mapping, {given!r}; a list of values is needed")
    found = list(itertools.islice(given, LARGEST + 1)) if _several(given) else [given]
    if len(found) > LARGEST:
        raise ValueError(f"the grid has more than {LARGEST:,} values of {name}")
    if isinstance(given, (set, frozenset)):  # its order is another in each process
        found.sort(key=lambda entry: (str(type(entry)), entry))
    for entry in found:
        if _several(entry):
            raise ValueError(f"the grid's values of {name} hold {entry!r}; plain values are needed")
    return found


def _rows(given: Any) -> list[dict[str, Any]]:
    """Returns the rows of a table or of any collection of mappings; an empty entry of a table is the default."""
    if given is None:
        return [{}]
    if isinstance(given, Mapping):
        raise ValueError("rows is one mapping; a list of mappings or a data frame is needed (or pass it as the grid)")
    if hasattr(given, "to_dict") and hasattr(given, "columns"):
        missing = given.isna().to_dict("records")
        table = given.to_dict("records")
        return [{str(n): v for n, v in row.items() if not empty[n]} for row, empty in zip(table, missing, strict=True)]
    found = list(given)
    for row in found:
        if not (isinstance(row, Mapping) or hasattr(row, "to_dict")):
            raise ValueError(f"rows hold {row!r}; each must name its fields: {{'noise': 0.1}}")
    return [dict(row) for row in found]


def expand(
    grid: Mapping[str, Any],
    rows: Any = None,
    seeds: int | None = None,
    fixed: Mapping[str, Any] | None = None,
) -> list[dict[str, Any]]:
    """Returns the parameters of every cell: the fixed ones, a file's rows times the grid times seeds 0 to `seeds` - 1.

    Raises:
        ValueError: a name that is given in two places, no seed, a list for a fixed parameter.
    """
    rows, fixed = _rows(rows), dict(fixed or {})
    grid = {name: _entries(name, entry) for name, entry in grid.items()}
    for name, entry in fixed.items():
        if _several(entry):
            raise ValueError(f"{name} has several values; write --grid {name}={','.join(map(str, entry))}")
    if seeds is not None:
        if isinstance(seeds, bool) or _several(seeds) or seeds != int(seeds):
            raise ValueError(f"--seeds {seeds}: a number of seeds is needed; a grid names seeds of your own")
        seeds = int(seeds)
        if not 1 <= seeds <= LARGEST:
            raise ValueError(f"--seeds {seeds:,}: at least one is needed, and at most {LARGEST:,}")
        if "seed" in grid:
            raise ValueError("'seed' is given twice: by --seeds and by --grid")
        grid["seed"] = list(range(seeds))
    places = {"the grid": set(grid), "the grid file": set().union(*rows), "the fixed parameters": set(fixed)}
    for (one, a), (two, b) in itertools.combinations(places.items(), 2):
        if a & b:
            raise ValueError(f"{min(a & b)!r} is given twice: by {one} and by {two}")
    if len(rows) * len(many := product(grid)) > LARGEST:
        raise ValueError(f"the grid has {len(rows) * len(many):,} cells; at most {LARGEST:,}")
    return [{**fixed, **row, **cell} for row in rows for cell in many]


def cells(config: type[Config], wanted: Iterable[Mapping[str, Any]], base: Mapping[str, Any]) -> tuple[list[Cell], int]:
    """Returns the checked cells, each key once, and how many said the same as another.

    Args:
        base: parameters under those of a cell: what a notebook's parameters cell says, or nothing.
    Raises:
        ValueError: cells that are not valid: how many, the first of them, its mistake and the close match.
    """
    wanted = list(wanted)
    for name in dict.fromkeys(name for given in wanted for name in given):
        one_of("parameter", name, config.names())
    found: dict[str, Cell] = {}
    bad: list[tuple[dict[str, Any], str]] = []
    for given in wanted:
        asked = {name: entry for name, entry in given.items() if entry is not None}
        try:
            made = config.from_parameters(**{**base, **asked})
        except ValueError as error:
            bad.append((asked, str(error)))
            continue
        # the configuration's own types: papermill writes them into the notebook
        found.setdefault(made.key, Cell({name: getattr(made, name) for name in asked}, made))
    if bad:
        many = f"{len(bad)} of {len(wanted)} cells are not valid; the first, " if len(wanted) > 1 else ""
        # values that are good apart but not together
        good = [pair for cell in found.values() for pair in cell.given.items()]
        hint = "; a grid file can hold several products" if all(pair in good for pair in bad[0][0].items()) else ""
        raise ValueError(f"{many}{describe(bad[0][0])}: {bad[0][1]}{hint}")
    if not found:
        raise ValueError("the sweep has no cells")
    return list(found.values()), len(wanted) - len(found)
