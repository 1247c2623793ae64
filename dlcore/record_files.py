"""Reading the text of a record: all of it is checked, so that whatever comes out can be put into a table.

A folder holds records one a file, `<key>.json`, or one a line of `<group>.jsonl`, as the package ships them.
"""

from __future__ import annotations

import contextlib
import functools
import json
import lzma
import math
import os
import re
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from dlcore import cache, keys

FORMAT = 1
LARGEST = 4 * 2**20  # bytes; the largest shipped record has eleven thousand
LARGEST_GROUP = 64 * LARGEST
# a group's file, and the same compressed, as the wheel has it
GROUP, PACKED = ".jsonl", ".jsonl.xz"
FIELDS = frozenset(
    ("study", "config", "metrics", "curves", "arrays", "data", "environment", "seconds", "created", "key", "format")
)
_NEEDED = ("study", "config", "metrics", "key")
# metrics that are words; a number written as a word would turn its column into words
WORDS = frozenset(("stopped",))
# what may be read as an infinite number: an exponent of three digits, or hundreds of digits
_EXPONENTS = re.compile(rb"e\+?\d\d\d"), re.compile(rb"E\+?\d\d\d")  # one pattern for both takes thrice the time
_DIGITS = bytes.maketrans(b"123456789", b"000000000")
_WHOLE = {int, float, bool, type(None)}
_SCALAR = {*_WHOLE, str}


class DamagedError(ValueError):
    """The text is not whole: it may be written anew."""


class NotUnderstoodError(ValueError):
    """The text is whole, but not a record that this version can vouch for: it must not be overwritten."""


def parse(text: bytes, study: str, key: str) -> dict[str, Any]:
    """Returns the fields of the record of a study and a key; later fields of its configuration are filled in.

    Raises:
        DamagedError: not JSON, or not an object with study, config, metrics and key.
        NotUnderstoodError: of a later format, with an unknown field, twice the same name, a value of the wrong type, a
            number that is not finite, another study, or a key that is not the hash of the configuration.
    """
    try:
        raw = _decode(text.decode("utf8"))
    except RecursionError:
        raise NotUnderstoodError("it is nested too deeply") from None
    except NotUnderstoodError:
        raise
    except ValueError as error:  # UnicodeDecodeError and JSONDecodeError are among them
        raise DamagedError(str(error)) from None
    if type(raw) is not dict or not all(name in raw for name in _NEEDED):
        raise DamagedError("not a record: study, config, metrics and key are needed")
    version = raw.setdefault("format", FORMAT)
    if type(version) is not int or version > FORMAT:
        raise NotUnderstoodError(f"format {version!r} is newer than this package's {FORMAT}: update dlcore")
    if not raw.keys() <= FIELDS:
        raise NotUnderstoodError(f"unknown field {min(raw.keys() - FIELDS)!r}: of a later version?")
    _check(raw, text)
    if raw["study"] != study:
        raise NotUnderstoodError(f"it is of the study {raw['study']!r}, not {study!r}")
    if raw["key"] != key:
        raise NotUnderstoodError(f"it holds the record {raw['key']}")
    config = raw["config"]
    try:
        before = keys.earlier(study, config)
        right = keys.key(study, config, before)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise NotUnderstoodError(f"its configuration is not that of a run of {study}: {error!r}") from None
    if right != key:
        raise NotUnderstoodError(f"its key {key} is not that of its configuration, {right}")
    if not before.keys() <= config.keys():
        raw["config"] = {**config, **{name: value for name, value in before.items() if name not in config}}
    metrics = raw["metrics"]
    if None in metrics.values():
        raw["metrics"] = {name: math.nan if value is None else value for name, value in metrics.items()}
    return raw


_MAPPINGS = ("config", "metrics", "curves", "arrays", "data", "environment")
_KINDS = (
    ("config", _SCALAR, "a plain value"),
    ("curves", {list}, "a list"),
    ("arrays", {list}, "a list"),
    ("data", {str}, "a word"),
    ("environment", {str}, "a word"),
)
_MOST = 2.0**63


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise NotUnderstoodError(f"the name {next(n for n in names if names.count(n) > 1)!r} is there twice")
    return found


def _constant(name: str) -> Any:
    raise NotUnderstoodError(f"{name} is no number of JSON")


_decode = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_constant).decode


def _check(raw: dict[str, Any], text: bytes) -> None:
    """Raises NotUnderstoodError for a value of the wrong type, and for a number that is not finite.

    It is called for thousands of records at once: types are compared as sets, and values only where something is amiss.
    """
    if type(raw["study"]) is not str or type(raw.setdefault("created", "")) is not str:
        raise NotUnderstoodError("study and created must be words")
    if not keys.number(raw.setdefault("seconds", 0.0)) or raw["seconds"] < 0:
        raise NotUnderstoodError(f"seconds {_short(raw['seconds'])} is not a number from 0")
    for name in _MAPPINGS:
        if type(raw.setdefault(name, {})) is not dict:
            raise NotUnderstoodError(f"{name} is not a mapping of names to values")
    for name, allowed, what in _KINDS:
        if not set(map(type, raw[name].values())) <= allowed:
            wrong, value = next((n, v) for n, v in raw[name].items() if type(v) not in allowed)
            raise NotUnderstoodError(f"{name}: {wrong} = {_short(value)} is not {what}")
    metrics = raw["metrics"]
    if not set(map(type, metrics.values())) <= _WHOLE or not -_MOST < sum(filter(None, metrics.values())) < _MOST:
        for name, value in metrics.items():
            word = type(value) is str and name in WORDS
            if not (value is None or type(value) is bool or keys.number(value) or word):
                raise NotUnderstoodError(f"metrics: {name} = {_short(value)} is not a finite number")
    # the last digits of a checksum look like an exponent, too
    if any(kind.search(text) for kind in _EXPONENTS) or b"0" * 300 in text.translate(_DIGITS):
        for name in ("curves", "arrays"):
            if not all(map(_finite, raw[name].values())):
                raise NotUnderstoodError(f"{name} holds a number that is not finite")
    if b"\\u" in text:
        try:
            json.dumps(raw, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            raise NotUnderstoodError(f"it holds half a character: {error}") from None


def _finite(value: Any) -> bool:
    """Whether all numbers in nested lists and mappings are finite."""
    kind = type(value)
    if kind is list:
        try:
            # the sum of a row of numbers is the fast way, and fails at once for a row of rows
            return math.isfinite(sum(value)) or all(map(_finite, value))
        except (TypeError, OverflowError):
            return all(map(_finite, value))
    if kind is dict:
        return all(map(_finite, value.values()))
    return kind is not float or math.isfinite(value)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


class Entry(NamedTuple):
    """Where a folder holds what may be a record: a file of its own, or a line of a group, whose `text` it is.

    `key` is what the name of the file or the line itself says; whether it is right shows when the record is read.
    """

    key: str
    path: str
    group: str = ""
    line: int = 0
    text: bytes | None = None

    @property
    def place(self) -> str:
        """The file, and the line of a group."""
        return f"{self.path}:{self.line}" if self.line else self.path

    def read(self, study: str) -> dict[str, Any]:
        """Returns the fields of the record as `parse` does. Raises: as `parse`, and FileNotFoundError."""
        text = _bytes(self.path) if self.text is None else self.text
        _check_size(len(text), LARGEST)
        return parse(text, study, self.key)


def read(path: str | Path, study: str, key: str) -> dict[str, Any]:
    """Returns the fields of the record in a file, as `parse` does.

    Raises: FileNotFoundError; NotUnderstoodError also for what is no regular file, or too large for a record.
    """
    return Entry(key, str(path)).read(study)


def entries(folder: Path) -> list[Entry]:
    """Returns what may be records in a folder, sorted by key, one a line or one a file; half-written files are not."""
    alone = [Entry(file.name[:-5], file.path) for file in _files(folder, ".json")]
    return sorted([*alone, *(e for group in lines(folder).values() for e in group)])


def find(folder: Path, key: str) -> Entry | None:
    """Returns where a folder holds the record of a key, or None: a file of its own comes first."""
    if os.path.lexists(path := folder / f"{key}.json"):
        return Entry(key, str(path))
    return next(iter(lines(folder).get(key, ())), None)


def lines(folder: Path) -> dict[str, list[Entry]]:
    """Returns the lines of a folder's groups by key; those whose key cannot be told are under ""."""
    files = [(file.path, file.stat(follow_symlinks=False)) for file in _files(folder, GROUP, PACKED)]
    return _lines(tuple((path, about.st_mtime_ns, about.st_size) for path, about in sorted(files)))


def _files(folder: Path, *endings: str) -> list[os.DirEntry[str]]:
    """Returns the files of a folder with these endings, without half-written ones; none where there is no folder."""
    with contextlib.suppress(FileNotFoundError), os.scandir(folder) as found:
        return [file for file in found if file.name.endswith(endings) and file.name[0] != "."]
    return []


@functools.lru_cache(8)
def _lines(files: tuple[tuple[str, int, int], ...]) -> dict[str, list[Entry]]:
    """Returns the lines of files as they are now: the times and sizes are there to be told from those of other days."""
    found: dict[str, list[Entry]] = {}
    for path, _, _ in files:
        group = Path(path).name.removesuffix(PACKED).removesuffix(GROUP)
        try:
            text = _bytes(path, LARGEST_GROUP)
            text = lzma.decompress(text) if path.endswith(PACKED) else text
        except (OSError, ValueError, lzma.LZMAError):  # whoever reads the records is to hear of it
            found.setdefault("", []).append(Entry("", path, group))
            continue
        for number, line in enumerate(text.split(b"\n"), start=1):
            if line.strip():
                key = _key_of(line)
                found.setdefault(key, []).append(Entry(key, path, group, number, line))
    return found


def add(path: Path, records: Iterable[str]) -> None:
    """Adds records, a line of text each, to a group's file, which stays sorted by key; what is there keeps its bytes."""
    there = _bytes(str(path), LARGEST_GROUP) if path.exists() else b""
    every = [line for line in [*there.split(b"\n"), *(r.strip().encode() for r in records)] if line]
    cache.write_atomically(path, b"".join(line + b"\n" for line in sorted(every, key=_key_of)).decode())


def _key_of(line: bytes) -> str:
    told = _KEY.search(line, max(0, line.rfind(b'"key"')))
    return told[1].decode() if told else ""


_KEY = re.compile(rb'"key":\s*"([0-9a-f]{16})"')


def _bytes(path: str, most: int = LARGEST) -> bytes:
    """Returns the bytes of a regular file."""
    # without O_NONBLOCK, opening a pipe would wait for a writer
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with open(descriptor, "rb") as file:
        about = os.fstat(descriptor)
        if not stat.S_ISREG(about.st_mode):
            raise NotUnderstoodError("it is not a regular file")
        _check_size(about.st_size, most)
        return file.read()


def _check_size(size: int, most: int) -> None:
    if size > most:
        what = "record" if most == LARGEST else "group"
        raise NotUnderstoodError(f"it has {size:,} bytes; a {what} has at most {most:,}")
