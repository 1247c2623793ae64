"""Noise of the synthetic translation task: how pairs are corrupted, the law it leaves, and its exact floor."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dlcore.config import Options, one_of, option
from dlcore.translation import grammar

KINDS = ("none", "target", "source_unigram", "source_uniform", "misaligned")
TESTS = ("clean", "noisy")


@dataclass(frozen=True)
class Noise(Options):
    """What corrupts the training pairs. Rates are fractions in [0, 1).

    kind: "target" replaces the target of a content word, with probability `rate`, by the first variant of a
        uniform type of its list; "source_unigram" and "source_uniform" replace the source word by a draw from its
        list's law, or by a uniform type; "misaligned" takes the target of another sentence.
    recall, false_alarm: a filter that drops a misaligned pair with probability `recall` and an intact one with
        probability `false_alarm`; any other filter works on the pairs and their `changed` counts.

    Raises: ValueError for an unknown kind, a rate outside [0, 1), a recall or false alarm outside [0, 1], and a filter of
        word noise: it prefers short sentences and frequent words, so that the law it leaves has no closed form.

    >>> Noise("target", 0.1)
    Noise(kind='target', rate=0.1, recall=0.0, false_alarm=0.0)
    """

    kind: str = option("none", choices=KINDS)
    rate: float = option(0.0, low=0, below=1)
    recall: float = option(0.0, low=0, high=1)
    false_alarm: float = option(0.0, low=0, below=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.filtered and self.kind not in ("none", "misaligned"):
            raise ValueError(f"{self}: a filter of word noise leaves a law without closed form; 'misaligned' has one")

    @property
    def filtered(self) -> bool:
        """Whether pairs are dropped."""
        return self.recall > 0 or self.false_alarm > 0

    @property
    def left(self) -> float:
        """The rate that the filter leaves."""
        if not self.filtered:
            return self.rate
        bad, good = self.rate * (1 - self.recall), (1 - self.rate) * (1 - self.false_alarm)
        return bad / (bad + good)


CLEAN = Noise()


def binary_entropy(p: float) -> float:
    """Returns the entropy in nats of a coin with probability p.

    >>> round(binary_entropy(0.7), 4)
    0.6109
    """
    return float(-sum(v * np.log(v) for v in (p, 1 - p) if v > 0))


def seen_given(noise: Noise, p: np.ndarray, seen: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Returns Pr[true word | seen word] under source noise, for types by rank and their law `p`.

    Differs: the specification's 1 - rate forgets that a draw from the law may be the word itself; the most
    frequent type has probability 0.38, so the difference shows.
    """
    same = seen == true
    if noise.kind == "source_unigram":
        return (1 - noise.rate) * same + noise.rate * p[true]
    spread = noise.rate / len(p)
    return ((1 - noise.rate) * p[seen] * same + spread * p[true]) / ((1 - noise.rate) * p[seen] + spread)


def variant_law(q: float, rank: np.ndarray, variant: np.ndarray, register: np.ndarray | int) -> np.ndarray:
    """Returns Pr[variant | type, register]: (q, 1 - q) for ranks 0, 4, ..; the register's for 2, 6, ..; else 0."""
    free = np.where(variant == 0, q, 1 - q)
    fixed = variant == np.where(rank % 4 == 2, register, 0)
    return np.where(rank % 4 == 0, free, fixed)


def word_law(
    noise: Noise,
    p: np.ndarray,
    q: float,
    seen: np.ndarray,
    true: np.ndarray,
    variant: np.ndarray,
    register: np.ndarray,
) -> np.ndarray:
    """Returns for each word Pr[target | seen].

    Shapes: seen: rank in the source; true, variant: the type and variant that the target's code stands for;
    register: 0 or 1; all (w,), as the result.
    """
    law = variant_law(q, true, variant, register)
    if noise.kind.startswith("source"):
        return seen_given(noise, p, seen, true) * law
    same = seen == true
    if noise.kind == "target":
        return (1 - noise.rate) * same * law + noise.rate / len(p) * (variant == 0)
    return same * law


def _plogp(p: np.ndarray) -> np.ndarray:
    return p * np.log(np.where(p > 0, p, 1))


def word_floor(noise: Noise, p: np.ndarray, q: float, test: str) -> float:
    """Returns the cross-entropy in nats per content word of the law of the noisy pairs.

    `test` "clean": scored on clean pairs, no lower bound there; "noisy": on pairs with the same noise (the conditional
    entropy, the least). Exact, by summation over the types.
    """
    size, rate = len(p), noise.rate
    ambiguous, by_register = p[::4].sum(), p[2::4].sum()
    entropy = binary_entropy(q) * ambiguous
    if rate == 0 or noise.kind in ("none", "misaligned"):
        return float(entropy)
    if noise.kind == "target":
        spread, left = rate / size, 1 - rate
        classes = (
            (ambiguous, (q, 1 - q)),
            (by_register / 2, (0.0, 1.0)),
            (1 - ambiguous - by_register / 2, (1.0, 0.0)),
        )
        total = 0.0
        for weight, variants in classes:
            own = np.array([left * variants[0] + spread, left * variants[1]])
            if test == "clean":
                total -= weight * sum(a * np.log(b) for a, b in zip(variants, own, strict=True) if a > 0)
            else:
                total -= weight * (_plogp(own).sum() + (size - 1) * _plogp(np.array(spread)))
        return float(total)
    rank = np.arange(size)
    same = seen_given(noise, p, rank, rank)
    if test == "clean":
        return float(entropy - (p * np.log(same)).sum())
    seen = p if noise.kind == "source_unigram" else (1 - rate) * p + rate / size
    factor = np.full(size, rate) if noise.kind == "source_unigram" else rate / size / seen
    others = factor * ((1 - p) * np.log(factor) + _plogp(p).sum() - _plogp(p))
    return float(entropy - (seen * (_plogp(same) + others)).sum())


def target_entropy(p: np.ndarray, q: float) -> float:
    """Returns the entropy in nats of a whole target sentence without its source, from the grammar."""
    g = grammar
    chains = 1 + g.P_OBJECT + g.P_ADVERBIAL
    phrases = chains / (1 - g.P_NESTED)
    content = phrases * (1 + g.P_ADJECTIVE) + 1
    structure = chains * binary_entropy(g.P_NESTED) / (1 - g.P_NESTED)
    structure += binary_entropy(g.P_OBJECT) + binary_entropy(g.P_ADVERBIAL) + phrases * binary_entropy(g.P_ADJECTIVE)
    function = phrases * np.log(g.DETERMINERS) + (phrases - chains) * np.log(g.NESTED)
    function += g.P_ADVERBIAL * np.log(g.PREPOSITIONS - g.NESTED)
    words = content * (-_plogp(p).sum() + binary_entropy(q) * p[::4].sum())
    z = 1 - p[2::4].sum()  # without a word of variants by register, the target does not show the register
    simple = z * (1 - g.P_ADJECTIVE + g.P_ADJECTIVE * z)
    chain = (1 - g.P_NESTED) * simple / (1 - g.P_NESTED * simple)
    hidden = z * chain * (1 - g.P_OBJECT + g.P_OBJECT * chain) * (1 - g.P_ADVERBIAL + g.P_ADVERBIAL * chain)
    return float(structure + function + words + (1 - hidden) * np.log(2))


def sentence_floor(noise: Noise, p: np.ndarray, q: float, test: str, content: float) -> float:
    """Returns the cross-entropy in nats per sentence of the law of the noisy pairs; see `word_floor`.

    For misaligned pairs it takes for granted that an independent target never fits: on clean pairs it is too large by
    at most rate / (1 - rate) times the probability that one does, 4e-5 nats at rate 0.5 and the usual lists.
    """
    one_of("test", test, TESTS)
    clean = content * word_floor(noise, p, q, test)
    if noise.kind != "misaligned":
        return clean
    rate = noise.left
    if test == "clean":
        return float(clean - np.log1p(-rate))
    return float(binary_entropy(rate) + (1 - rate) * clean + rate * target_entropy(p, q))
