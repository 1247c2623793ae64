"""Pairs of token sequences: ragged arrays, nested subsets, padding, and batches of similar length cut by tokens."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

PAD, BOS, EOS, UNK = 0, 1, 2, 3
SPECIAL = ("<pad>", "<bos>", "<eos>", "<unk>")


@dataclass(frozen=True, eq=False)
class Ragged:
    """Sequences of token numbers laid end to end; sequence i is `flat[offsets[i]:offsets[i + 1]]`.

    Shapes: flat (tokens,) int32; offsets (n + 1,) int64.

    >>> Ragged.of([[4, 5, 2], [6, 2]]).padded().tolist()
    [[4, 5, 2], [6, 2, 0]]
    """

    flat: np.ndarray
    offsets: np.ndarray

    @classmethod
    def of(cls, sequences: Iterable[Any]) -> Ragged:
        """Returns the sequences of an iterable of integer sequences, in order. Raises: ValueError for other sequences."""
        parts = [np.asarray(s) for s in sequences]
        for row, part in enumerate(parts):
            if part.ndim != 1 or (part.size and part.dtype.kind not in "iu"):
                raise ValueError(
                    f"sequence {row} must be a list of token numbers, not {part.dtype} of shape {part.shape}"
                )
        flat = np.concatenate(parts, dtype=np.int64, casting="unsafe") if parts else np.empty(0, np.int64)
        if flat.size and not -(2**31) <= flat.min() <= flat.max() < 2**31:
            raise ValueError(f"token {flat[np.argmax(np.abs(flat))]} has more than 32 bits")
        return cls.cut(flat, np.array([len(p) for p in parts], np.int64))

    @classmethod
    def cut(cls, flat: np.ndarray, lengths: np.ndarray) -> Ragged:
        """Returns the sequences of the given lengths, which must add up to the length of `flat`."""
        return cls(np.asarray(flat, np.int32), np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]))

    @classmethod
    def join(cls, parts: Sequence[Ragged]) -> Ragged:
        """Returns the sequences of several, one after the other."""
        return cls.cut(np.concatenate([p.flat for p in parts]), np.concatenate([p.lengths for p in parts]))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, row: int) -> np.ndarray:
        row = range(len(self))[row]
        return self.flat[self.offsets[row] : self.offsets[row + 1]]

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self[i] for i in range(len(self)))

    @property
    def lengths(self) -> np.ndarray:
        """The number of tokens of each sequence, (n,)."""
        return np.diff(self.offsets)

    @property
    def rows(self) -> np.ndarray:
        """The sequence that each token belongs to, (tokens,)."""
        return np.repeat(np.arange(len(self)), self.lengths)

    def take(self, rows: np.ndarray | slice) -> Ragged:
        """Returns the sequences `rows`: integers, a mask, or a slice."""
        rows = np.arange(len(self))[rows]
        lengths = self.lengths[rows]
        starts = np.repeat(self.offsets[rows] - np.cumsum(lengths) + lengths, lengths)
        return Ragged.cut(self.flat[starts + np.arange(lengths.sum())], lengths)

    def padded(self) -> np.ndarray:
        """Returns the sequences (n, longest) int64, filled with PAD on the right."""
        table = np.full((len(self), self.lengths.max(initial=0)), PAD, np.int64)
        table[np.arange(table.shape[1]) < self.lengths[:, None]] = self.flat
        return table

    def without_end(self) -> Ragged:
        """Returns the sequences without EOS tokens."""
        keep = self.flat != EOS
        return Ragged.cut(self.flat[keep], np.bincount(self.rows[keep], minlength=len(self)))

    def with_end(self) -> Ragged:
        """Returns the sequences with one EOS appended to each."""
        flat = np.insert(self.flat, self.offsets[1:], np.int32(EOS))
        return Ragged.cut(flat, self.lengths + 1)


def equal_rows(a: Ragged, b: Ragged) -> np.ndarray:
    """Returns for each sequence whether a and b, of the same number of sequences, agree in it, (n,)."""
    same = a.lengths == b.lengths
    rows = np.flatnonzero(same)
    left, right = a.take(rows), b.take(rows)
    wrong = np.bincount(left.rows[left.flat != right.flat], minlength=len(rows))
    same[rows] = wrong == 0
    return same


@dataclass(frozen=True, eq=False)
class Pairs:
    """Sentence pairs as token numbers. Sources have no end mark; every target ends with EOS.

    `changed` (n,) counts the words of a pair that noise replaced (1 for a misaligned pair): the ground truth of
    a filter.
    """

    source: Ragged
    target: Ragged
    changed: np.ndarray = field(default=None)  # type: ignore[assignment]

    def __post_init__(self) -> None:
        if len(self.source) != len(self.target):
            raise ValueError(f"{len(self.source)} sources and {len(self.target)} targets")
        if self.changed is None:
            object.__setattr__(self, "changed", np.zeros(len(self.source), np.int32))

    def __len__(self) -> int:
        return len(self.source)

    def take(self, rows: np.ndarray | slice) -> Pairs:
        """Returns the pairs `rows`: integers, a mask, or a slice."""
        return Pairs(self.source.take(rows), self.target.take(rows), self.changed[rows])

    def reversed(self) -> Pairs:
        """Returns the pairs with source and target exchanged: the data of a reverse model."""
        return Pairs(self.target.without_end(), self.source.with_end(), self.changed)

    @property
    def checksum(self) -> str:
        """The first 16 hex digits of the SHA-256 of both sides."""
        digest = hashlib.sha256()
        for side in (self.source, self.target):
            digest.update(side.offsets.astype("<i8").tobytes())
            digest.update(side.flat.astype("<i4").tobytes())
        return digest.hexdigest()[:16]


def back_translate(pairs: Pairs, reverse: Callable[[Ragged], Ragged]) -> Pairs:
    """Returns pairs of a machine-made source and the true target.

    Args: reverse: translates targets without EOS into sources, a trained model's
        `lambda targets: decoding.translate(model, targets)`; `Pairs.reversed` gives its training data.
    Raises: ValueError when it does not return one source for each target, or an empty one.
    Paper: Sennrich, Haddow, Birch 2016, section 3.

    The law of the target given such a source depends on the model, so there is no known floor.
    """
    source = reverse(pairs.target.without_end()).without_end()
    if len(source) != len(pairs) or (len(source) and source.lengths.min() == 0):
        raise ValueError(f"the reverse model gave {len(source)} sources, some of them empty, for {len(pairs)} targets")
    return replace(pairs, source=source)


def token_batches(pairs: Pairs, tokens: int, *, seed: Sequence[int] | None = None) -> list[np.ndarray]:
    """Returns batches of row numbers; each pair is in one, and no batch has more than `tokens` padded positions.

    A batch's size is its number of pairs times its longest sequence, on the longer side. Pairs of similar length
    come together (sorted within pools of about 50 batches), so that padding is a few per cent; with a seed the
    pairs are shuffled before and the batches after sorting, without one all are sorted by length.

    Raises: ValueError for no pairs, or `tokens` smaller than the longest sequence (the message says its length).
    """
    if len(pairs) == 0:
        raise ValueError("there are no pairs to batch")
    size = np.maximum(pairs.source.lengths, pairs.target.lengths)
    if size.max() > tokens:
        raise ValueError(f"batches of {tokens} tokens cannot hold a sequence of {size.max()}: take more, or drop it")
    rng = None if seed is None else np.random.default_rng(np.random.SeedSequence(list(seed)))
    order = np.arange(len(pairs)) if rng is None else rng.permutation(len(pairs))
    pool = len(pairs) if rng is None else max(1, int(50 * tokens / size.mean()))
    batches = []
    for start in range(0, len(pairs), pool):
        rows = order[start : start + pool]
        rows = rows[np.lexsort((pairs.source.lengths[rows], pairs.target.lengths[rows], size[rows]))]
        ordered, left = size[rows], 0
        while left < len(rows):
            # sizes ascend, so the right end grows while count * its own size fits
            reach = min(len(rows), left + tokens // ordered[left])
            count = np.arange(1, reach - left + 1)
            right = left + int(np.searchsorted(count * ordered[left:reach], tokens, side="right"))
            batches.append(rows[left:right])
            left = right
    if rng is not None:
        batches = [batches[i] for i in rng.permutation(len(batches))]
    return batches
