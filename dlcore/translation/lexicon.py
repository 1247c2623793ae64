"""The Zipfian lexicon of the synthetic translation task: types, genders, codes, and readable names of tokens."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from dlcore.config import Options, one_of, option
from dlcore.translation import grammar
from dlcore.translation.sentence_pairs import SPECIAL

_CONSONANTS, _VOWELS, _CODAS = "bdfghjklmnprstvz", "aeiou", ("", "n", "r", "s")


@dataclass(frozen=True)
class Lexicon(Options):
    """Three content lists, each with a truncated Zipf law, and their codes in the target language.

    The fields are those of `transduction.Transduction`, which also has the documentation.
    """

    list_size: int = option(21845, low=4)
    exponent: float = option(1.5, above=1)
    q: float = option(0.7, above=0, below=1)
    alphabet: int = option(320, low=3)
    seed: int = option(0, low=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        needed = 3 * (self.list_size + (self.list_size + 3) // 4 + (self.list_size + 1) // 4)
        # a tenth more than needed is not asked for: only that variants can differ in the first symbol
        if self.alphabet**2 < needed:
            least = int(np.ceil(np.sqrt(needed)))
            raise ValueError(f"alphabet = {self.alphabet} gives {self.alphabet**2} codes, not {needed}: take {least}")

    @functools.cached_property
    def law(self) -> np.ndarray:
        """Probability of each rank, (list_size,), the same for the three lists."""
        p = np.arange(1, self.list_size + 1) ** -float(self.exponent)
        return p / p.sum()

    @functools.cached_property
    def gender(self) -> np.ndarray:
        """Gender 0 or 1 of each noun, (list_size,)."""
        return np.random.default_rng([self.seed, 11]).integers(0, 2, self.list_size)

    @functools.cached_property
    def codes(self) -> np.ndarray:
        """Code of each (list, rank, variant), (3, list_size, 2), -1 where there is no second variant.

        All codes differ, and the two variants of a type differ in the first symbol.
        """
        rng = np.random.default_rng([self.seed, 12])
        double = np.tile(np.arange(self.list_size) % 2 == 0, 3)
        drawn = rng.permutation(self.alphabet**2)[: len(double) + double.sum()]
        code = np.full((len(double), 2), -1)
        code[:, 0], second = drawn[: len(double)], drawn[len(double) :].copy()
        first = code[double, 0] // self.alphabet
        while (bad := np.flatnonzero(second // self.alphabet == first)).size:
            swap = rng.integers(0, len(second), bad.size)
            for i, j in zip(bad, swap, strict=True):
                second[i], second[j] = second[j], second[i]
        code[double, 1] = second
        return code.reshape(3, self.list_size, 2)

    @functools.cached_property
    def _meaning(self) -> np.ndarray:
        """Code -> (list * list_size + rank) * 2 + variant, or -1."""
        table = np.full(self.alphabet**2, -1)
        flat = self.codes.ravel()
        table[flat[flat >= 0]] = np.flatnonzero(flat >= 0)
        return table

    def draw_ranks(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """Returns independent ranks (count,) from the law of a list."""
        return np.minimum(np.searchsorted(self._cumulative, rng.random(count), side="right"), self.list_size - 1)

    @functools.cached_property
    def _cumulative(self) -> np.ndarray:
        return np.cumsum(self.law)

    def types(self, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Returns list (-1 unknown), rank and variant of codes."""
        meaning = np.where(codes >= 0, self._meaning[codes], -1)
        return np.where(meaning >= 0, meaning // 2 // self.list_size, -1), meaning // 2 % self.list_size, meaning % 2

    @property
    def source_vocabulary(self) -> int:
        """Number of source tokens: 4 special, 12 function words, 3 * list_size content words."""
        return grammar.CONTENT + 3 * self.list_size

    @property
    def target_vocabulary(self) -> int:
        """Number of target tokens: 4 special, 8 determiners, 6 postpositions, `alphabet` symbols."""
        return grammar.SYMBOL + self.alphabet

    def text(self, tokens: Iterable[int], side: str = "target") -> str:
        """Returns a sentence in letters: source types by list and rank, target words as two syllables each.

        Raises: ValueError for an unknown side or a token that is not of its vocabulary.

        >>> Lexicon().text([4, 6, 16, 21861, 2], "source")
        '<formal> det0 noun0 verb0'
        """
        one_of("side", side, ("source", "target"))
        words, half = [], ""
        for token in map(int, tokens):
            if not 0 <= token < (self.source_vocabulary if side == "source" else self.target_vocabulary):
                raise ValueError(f"token {token} is not in the {side} vocabulary")
            if token == 2:
                break
            if side == "target" and token >= grammar.SYMBOL:
                half += _syllable(token - grammar.SYMBOL)
                if len(words) and words[-1] is None:
                    words[-1], half = half, ""
                else:
                    words.append(None)
                continue
            if half:  # a lone symbol
                words[-1], half = half + "-", ""
            words.append(self._name(token, side))
        return " ".join(half + "-" if w is None else w for w in words)

    def _name(self, token: int, side: str) -> str:
        if token < len(SPECIAL):
            return SPECIAL[token]
        if side == "target":
            if token < grammar.POST:
                return f"det{(token - grammar.TARGET_DET) // 2}{'mf'[token % 2]}"
            return f"post{token - grammar.POST}"
        if token < grammar.DET:
            return ("<formal>", "<informal>")[token - grammar.REGISTER]
        if token < grammar.CONTENT:
            return f"det{token - grammar.DET}" if token < grammar.PREP else f"prep{token - grammar.PREP}"
        kind, rank = divmod(token - grammar.CONTENT, self.list_size)
        return f"{('noun', 'verb', 'adj')[kind]}{rank}"


def _syllable(symbol: int) -> str:
    symbol, onset = divmod(symbol, len(_CONSONANTS))
    symbol, vowel = divmod(symbol, len(_VOWELS))
    more, coda = divmod(symbol, len(_CODAS))
    return f"{_CONSONANTS[onset]}{_VOWELS[vowel]}{_CODAS[coda]}{more or ''}"
