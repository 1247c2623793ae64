"""Reading files that are not ours: sizes are looked at first, and a table is read right or refused with its line."""

from __future__ import annotations

import contextlib
import csv
import gzip
import io
import lzma
import math
import pickle
import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from dlcore import cache

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

LARGEST = 2**28  # bytes of a table, packed or not
LARGEST_ARRAYS = 2**33  # bytes of an npz file's arrays
# what reading a damaged file may raise, beside OSError
_DAMAGE = (
    *(ValueError, KeyError, EOFError, MemoryError, NotImplementedError),
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, pickle.UnpicklingError),
)
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_WHOLE = re.compile(r"[+-]?(?:0|[1-9]\d{0,17})")
_CODE = re.compile(r"0\d+")  # 007 is a name
_COMMA = re.compile(r"[+-]?\d+(?:,\d+)?")
_POINTS = re.compile(r"[+-]?[1-9]\d{0,2}(?:\.\d{3})*")
# 0.125, 1.25, and 1000, which is no 1.000
_DECIMAL = re.compile(r"[+-]?(?:\d{4,}(?:\.\d+)?|0?\.\d+|\d+\.(?:\d{0,2}|\d{4,}))")
_SURELY = re.compile(r"^[+-]?0,\d|,(?!\d{3}$)")  # 1,234 may be a thousand; 0,234 and 1,5 cannot


def read_bytes(path: str | Path, most: int = LARGEST) -> bytes:
    """Returns a regular file's bytes, unpacked when it is gzipped; `most` bytes before and after.

    Raises: FileNotFoundError; OSError for what is no regular file, too large, or damaged. The message names the file.
    """
    path = cache.expanded(path)
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing: No such file")
    if not path.is_file():  # reading a pipe would wait, a device might never end
        raise OSError(f"{path} is not a regular file")
    if (size := path.stat().st_size) > most:
        raise OSError(f"{path} has {size:,} bytes; at most {most:,} are read")
    raw = path.read_bytes()
    if raw[:2] != b"\x1f\x8b":
        return raw
    try:
        with gzip.open(io.BytesIO(raw)) as packed:
            raw = packed.read(most + 1)  # a bomb is noticed before it is large
    except (zlib.error, EOFError, gzip.BadGzipFile) as error:
        raise OSError(f"{path} is damaged: {error}") from error
    if len(raw) > most:
        raise OSError(f"{path} has more than {most:,} bytes when it is unpacked")
    return raw


@contextlib.contextmanager
def arrays(path: str | Path, most: int = LARGEST_ARRAYS) -> Iterator[Mapping[str, np.ndarray]]:
    """Yields the arrays of an npz file, which are read as they are asked for; `most` bytes, unpacked, together.

    Raises: OSError for more bytes, and where the file, or an array that is asked for, cannot be read; it names the file.
    """
    import numpy as np

    try:
        with open(cache.expanded(path), "rb") as file:
            with zipfile.ZipFile(file) as parts:  # no more is unpacked than the file says here
                if (size := sum(part.file_size for part in parts.infolist())) > most:
                    raise ValueError(f"its parts have {size:,} bytes, more than {most:,}")
            file.seek(0)
            with np.load(file) as found:
                yield found
    except _DAMAGE as error:
        raise OSError(f"{path} is damaged: {error}") from error


def read_text(path: str | Path, most: int = LARGEST) -> str:
    """Returns a text file: UTF-8, with a mark or without, or UTF-16 with one, as Excel writes it.

    Raises: OSError as `read_bytes`; ValueError for another encoding, with the line.
    """
    raw = read_bytes(path, most)
    coding = "utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        text = raw.decode(coding).lstrip("\ufeff")  # some programs put the mark twice
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ValueError(
            f"{path}, line {line} is not {coding.removesuffix('-sig').upper()}: {error.reason}; save it as UTF-8"
        ) from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise ValueError(f"{path}, line {line} holds a null character: UTF-16 without its mark? Save it as UTF-8")
    return text


def rows(path: str | Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Returns the names of a table's header line, and its rows, each with the number of its line.

    Commas, semicolons or tabs separate entries, as the header has it; spaces around an entry do not count. Empty lines
    are left out, and so are a last column without a name or an entry (lines that end in a comma), and a first column
    without a name that numbers the rows.

    Raises: OSError, ValueError as `read_text`; ValueError for names that are missing or there twice, for a row of another
        length (with its line), for an unbalanced quote.
    """
    return _rows(path)[1:]


def _rows(path: str | Path) -> tuple[str, list[str], list[tuple[int, list[str]]]]:
    """Returns what separates the entries of a table, and its `rows`."""
    text = read_text(path)
    header = next((line for line in io.StringIO(text, newline="") if line.strip()), "")
    if not header:
        raise ValueError(f"No columns: {path} is empty")
    mark = max(",;\t", key=lambda sign: len(next(csv.reader([header], delimiter=sign))))
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=mark, strict=True, skipinitialspace=mark != "\t")
    found = []
    try:
        for row in lines:
            if any(entry.strip() for entry in row):
                found.append((lines.line_num, [entry.strip() for entry in row]))
    except csv.Error as error:
        raise ValueError(f"{path}, line {lines.line_num}: {error}") from None
    (_, names), *body = found
    if names[-1] and body and all(len(row) == len(names) + 1 and not row[-1] for _, row in body):
        names = [*names, ""]  # only the rows end in a comma
    for number, row in body:
        if len(row) != len(names):
            raise ValueError(f"{path}, line {number}: {len(row)} entries for {len(names)} names")
    if not names[-1] and len(names) > 1 and not any(row[-1] for _, row in body):
        names, body = names[:-1], [(number, row[:-1]) for number, row in body]
    if not names[0] and len(names) > 1 and len({row[0] for _, row in body}) == len(body):
        names, body = names[1:], [(number, row[1:]) for number, row in body]
    if not all(names) or len(set(names)) < len(names):
        raise ValueError(f"{path}: the first line must name each column once, not {mark.join(names)!r}")
    return mark, names, body


def read_table(path: str | Path) -> pd.DataFrame:
    """Returns a table of words and numbers; a column is numbers when all its entries are, and an empty entry is missing.

    None, NA, null and nan are words like others: a class may have such a name. So are 007, 5 %, $5 and 1 000. 0,5 is a
    number, like 0.5, in a column of which some entry cannot be a thousand; in other columns 1,234 is a word.

    Raises: as `rows`; ValueError, with the line, for 1.234 in a column of what may be thousands, beside a column of decimal
        commas or between semicolons where nothing shows that the point is a decimal one.
    """
    import pandas as pd

    mark, names, body = _rows(path)
    entries = {name: [row[i] for _, row in body] for i, name in enumerate(names)}
    why = "Other columns have decimal commas" if any(map(_has_commas, entries.values())) else ""
    if mark == ";" and not any(_DECIMAL.fullmatch(entry) for column in entries.values() for entry in column):
        why = why or "Semicolons come with decimal commas"
    for name, column in entries.items() if why else ():
        if (at := _thousand(column)) is not None:
            said = f"{path}, line {body[at][0]}: is {name} = {column[at]} a thousand? {why}"
            raise ValueError(f"{said}; write {column[at].replace('.', '')}, or a decimal comma")
    return pd.DataFrame({name: _column(column) for name, column in entries.items()}, index=range(len(body)))


def _thousand(entries: list[str]) -> int | None:
    """Returns the place of the first entry with a point in a column of what may all be thousands, or None."""
    if not all(_POINTS.fullmatch(entry) for entry in entries if entry):
        return None
    return next((at for at, entry in enumerate(entries) if "." in entry), None)


def _has_commas(entries: list[str]) -> bool:
    """Whether a column holds numbers with decimal commas."""
    given = [entry for entry in entries if entry]
    return any(_SURELY.search(entry) for entry in given) and all(_COMMA.fullmatch(entry) for entry in given)


def _column(entries: list[str]) -> list:
    given = [entry for entry in entries if entry]
    if not given:
        return [math.nan] * len(entries)
    if _has_commas(entries):
        entries = [entry.replace(",", ".") for entry in entries]
        given = [entry for entry in entries if entry]
    if not all(_NUMBER.fullmatch(entry) for entry in given) or any(_CODE.fullmatch(entry) for entry in given):
        return [entry or None for entry in entries]
    if len(given) == len(entries) and all(_WHOLE.fullmatch(entry) for entry in given):
        return [int(entry) for entry in entries]
    return [float(entry) if entry else math.nan for entry in entries]
