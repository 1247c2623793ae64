"""Parallel text: Tatoeba, a verse-aligned Bible, any two-column file; splits that do not leak."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dlcore import cache, reading
from dlcore.config import unknown_choice

# name -> pairs, SHA-256 of the uncompressed file. Tatoeba (tatoeba.org): CC BY 2.0 FR, as packaged by manythings.org/anki;
# Berean Standard Bible: CC0, Elberfelder Bible of 1905: public domain
SETS = {
    "tatoeba_eng-deu": (169_813, "a79c90b3cd3102decffa49cc00fb6f20023974f2ae5c4782515bebe133fcc07b"),
    "tatoeba_eng-fra": (167_130, "0bb85dbaa1c896844649094d7eaf2e34bee34e84fe362b26ce7e8f2e12aae104"),
    "bible_eng-deu": (31_086, "fbeef7a67d517bab351e704f1a8d80f06399e8922c4330fb51dd60741c8a0564"),
}
# bytes, unpacked: of a set that we know (Tatoeba has 14 million), of a corpus of one's own
LARGEST, OWN = 2**26, 2**34
DEV_SHARE, TEST_SHARE = 0.02, 0.04
_VERSE = re.compile(r"^(?P<chapter>.+\d+):\d+$")
Texts = list[tuple[str, str]]


@dataclass(frozen=True, eq=False)
class ParallelText:
    """Sentence pairs (source, target), split; `split` is an honest sentence on what is held out.

    `groups` counts the units that were kept together.
    """

    name: str
    train: Texts
    dev: Texts
    test: Texts
    split: str
    groups: int


def layouts(name: str) -> dict[str, tuple[str, ...]]:
    """Returns where a set lies in a data folder: sub-folder -> files.

    >>> layouts("bible_eng-deu")
    {'parallel': ('bible_eng-deu.tsv.gz',)}
    """
    return {"parallel": (f"{name}.tsv.gz",)}


def read_tsv(path: str | Path, columns: tuple[int, int] | None = None, sha256: str | None = None) -> list[list[str]]:
    """Returns the columns of a tab-separated file (gzipped or not, no quoting) as lists of equal length.

    Without `columns` a file has two, source and target, or three, of which the first is a reference such as
    "Genesis 3:16" and the result's last. With `columns`, 0-based, there may be any number.

    Raises: FileNotFoundError; OSError for a file that is damaged, is not UTF-8, or is not the one whose SHA-256 was
        given; ValueError for a line with other columns or an empty side (the message names file and line), or
        for an empty file.
    """
    file = cache.expanded(path)
    raw = reading.read_bytes(file, LARGEST if sha256 else OWN)
    if sha256 is not None and hashlib.sha256(raw).hexdigest() != sha256:
        raise OSError(f"{file} has the wrong SHA-256: damaged, or not the file that results were recorded with")
    try:
        text = raw.decode("utf8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise OSError(f"{file}, line {line} is not UTF-8: {error.reason}") from None
    # not splitlines, which also cuts at characters that sentences contain
    lines = text.replace("\r\n", "\n").removesuffix("\n").split("\n")
    if not text.strip():
        raise ValueError(f"{file} is empty")
    rows = [line.split("\t") for line in lines]
    width = len(rows[0])
    if columns is None and width not in (2, 3):
        raise ValueError(f"{file}, line 1 has {width} columns, not 2 or 3 (reference first); say which with columns=")
    chosen = columns or ((0, 1) if width == 2 else (1, 2, 0))
    for number, row in enumerate(rows, 1):
        if len(row) <= max(chosen) or (columns is None and len(row) != width):
            raise ValueError(f"{file}, line {number} has {len(row)} columns; line 1 has {width}")
        if not all(row[c].strip() for c in chosen):
            raise ValueError(f"{file}, line {number} has an empty column: {row}")
    return [[row[c].strip() for row in rows] for c in chosen]


def components(sources: Sequence[str], targets: Sequence[str]) -> np.ndarray:
    """Returns the connected component (n,) of each pair in the graph that joins pairs sharing a sentence.

    >>> components(["Hi", "Hi", "Go", "Run"], ["Hallo", "Tag", "Geh", "Geh"]).tolist()
    [0, 0, 1, 1]
    """
    import pandas as pd  # with scipy half a second that a list of names does not need
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    left, right = (pd.factorize(np.array(side, dtype=object))[0] for side in (sources, targets))
    size = left.max() + 1 + right.max() + 1
    graph = coo_array((np.ones(len(left)), (left, left.max() + 1 + right)), shape=(size, size))
    _, label = connected_components(graph, directed=False)
    _, first, number = np.unique(label[left], return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[number]


def _chapters(references: Sequence[str], name: str) -> np.ndarray:
    found = [_VERSE.match(r) for r in references]
    if None in found:
        row = found.index(None)
        raise ValueError(f"{name}: the reference {references[row]!r} of pair {row + 1} is not 'book chapter:verse'")
    return np.unique([m["chapter"] for m in found if m], return_inverse=True)[1]


def split(
    name: str,
    sources: Sequence[str],
    targets: Sequence[str],
    groups: np.ndarray,
    what: str,
) -> ParallelText:
    """Returns pairs split into training, development and test by whole groups, each part shuffled: its first n are a sample.

    About 4 % and 2 % of the pairs are for test and development. Training pairs that share a sentence with a held-out
    pair are dropped.

    Raises: ValueError for fewer than three groups.
    """
    count = np.bincount(groups)
    order = np.random.default_rng([20220601, len(count)]).permutation(len(count))
    reached = np.cumsum(count[order])
    cut_test = int(np.searchsorted(reached, TEST_SHARE * len(groups))) + 1
    cut_dev = max(cut_test + 1, int(np.searchsorted(reached, (TEST_SHARE + DEV_SHARE) * len(groups))) + 1)
    if cut_dev >= len(count):
        raise ValueError(f"{name}: {len(count)} groups of pairs that belong together cannot be split in three")
    pools = np.split(order, [cut_test, cut_dev])
    role = np.empty(len(count), int)
    for number, pool in enumerate(pools):
        role[pool] = number
    rows_test, rows_dev, rows_train = (np.flatnonzero(role[groups] == k) for k in range(3))
    held = [{side[i] for part in (rows_test, rows_dev) for i in part.tolist()} for side in (sources, targets)]
    rows_train = np.array(
        [i for i in rows_train.tolist() if sources[i] not in held[0] and targets[i] not in held[1]], int
    )
    held_out, learnt = np.random.default_rng(20220602), np.random.default_rng([0, 17])
    shuffled = held_out.permutation(rows_test), held_out.permutation(rows_dev), learnt.permutation(rows_train)
    test, dev, train = ([(sources[i], targets[i]) for i in map(int, rows)] for rows in shuffled)
    sizes = f"{len(rows_train):,} train, {len(rows_dev):,} development, {len(rows_test):,} test"
    sentence = f"{len(groups):,} pairs split by {what}: {sizes}"
    return ParallelText(name, train, dev, test, sentence, len(count))


def load(name: str | Path, *, root: str | Path | None = None, columns: tuple[int, int] | None = None) -> ParallelText:
    """Returns a parallel corpus by name (a key of SETS), or from a tab-separated file by its path.

    Tatoeba and two-column files are split by connected component of the sentence graph (one English sentence has
    several translations, which may in turn translate others), files with a reference column by chapter.

    Args:
        root: data folder; default $DLCORE_DATA.
        columns: of a file with other columns than two or three, which are source and target.
    Raises: ValueError for an unknown name; FileNotFoundError for a set that was not found;
        OSError for a damaged file.
    """
    known = str(name) in SETS
    if not known and not isinstance(name, Path) and "." not in name and os.sep not in name:
        raise unknown_choice("corpus", name, SETS)
    file = _locate(str(name), root) if known else cache.expanded(name)
    rows, sha256 = SETS[str(name)] if known else (None, None)
    source, target, *rest = read_tsv(file, columns, sha256)
    if rows is not None and len(source) != rows:
        raise OSError(f"{file} has {len(source):,} pairs, not {rows:,}")
    groups = _chapters(rest[0], file.name) if rest else components(source, target)
    what = "chapter" if rest else "connected component of the sentence graph"
    return split(str(name), source, target, groups, what)


def _locate(name: str, root: str | Path | None) -> Path:
    place = cache.expanded(root) if root else cache.path_of("DLCORE_DATA")
    ((folder, (file,)),) = layouts(name).items()
    if not place:
        raise FileNotFoundError(
            f"{name} was not found: DLCORE_DATA is not set; set it to the folder with {folder}/{file}"
        )
    if not place.is_dir():
        raise FileNotFoundError(f"the data folder {place} does not exist")
    path = place / folder / file
    if not path.is_file():
        raise FileNotFoundError(f"{name} was not found: no {folder}/{file} in {place}; a corpus of your own is a path")
    return path
