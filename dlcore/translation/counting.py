"""Count-based learners of the synthetic translation task: what a learner that knows the grammar could reach."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

SMOOTHING = 0.1


class LexiconLearner:
    """Counts the codes of every source word, knowing grammar, alignment and which types show the register.

    A word's law is (count of the code + a / K) / (count of the word + a), with smoothing a and K = 3 * list_size codes
    (Dirichlet with a uniform base); words of rank 2, 6, ... are counted per register. Function words cost
    nothing. It is the lower line under trained models: what is left is the price of unseen words.

    >>> from dlcore.translation.task import Transduction
    >>> task = Transduction(list_size=40, alphabet=14)
    >>> learner = LexiconLearner(task).fit(task.sample(500))
    >>> learner.sentence_losses(task.sample(20, stream="test")).shape
    (20,)
    """

    def __init__(self, task: Any, smoothing: float = SMOOTHING) -> None:
        if not smoothing > 0:
            raise ValueError(f"smoothing = {smoothing} must be above 0")
        self.task, self.smoothing = task, smoothing
        self.words = np.zeros((3, task.list_size, 2))
        self.codes = np.empty(0, np.int64)
        self.counts = np.empty(0, np.int64)

    def _keys(self, pairs: Any) -> tuple[Any, np.ndarray, np.ndarray]:
        found = self.task.align(pairs)
        register = np.where(found.seen % 4 == 2, found.register, 0)
        word = (found.list * self.task.list_size + found.seen) * 2 + register
        return found, word, word * self.task.alphabet**2 + found.code

    def fit(self, pairs: Any) -> LexiconLearner:
        """Counts the words of pairs whose target has the form of its source, and returns itself.

        So most misaligned pairs are recognised, and pairs with a source that no sentence of the task is are left out.
        """
        found, word, key = self._keys(pairs)
        use = found.fits & (found.code >= 0)
        self.words = np.bincount(word[use], minlength=self.words.size).reshape(self.words.shape)
        self.codes, self.counts = np.unique(key[use], return_counts=True)
        return self

    def sentence_losses(self, pairs: Any) -> np.ndarray:
        """Returns nats per sentence (n,); infinite where the target has another form than its source."""
        found, word, key = self._keys(pairs)
        place = np.minimum(np.searchsorted(self.codes, key), max(0, len(self.codes) - 1))
        count = np.zeros(len(key))
        if len(self.codes):
            count = np.where(self.codes[place] == key, self.counts[place], 0)
        base = self.smoothing / (3 * self.task.list_size)
        nats = -np.log((count + base) / (self.words.ravel()[word] + self.smoothing))
        nats[~found.fits] = np.inf
        result = np.bincount(found.sentence, nats, minlength=len(pairs))
        result[np.setdiff1d(np.arange(len(pairs)), found.sentence)] = np.inf
        return result


def reference_curve(
    sizes: Sequence[int],
    *,
    types: int = 65_536,
    exponent: float = 1.5,
    q: float = 0.7,
    rate: float = 0.0,
    reverse_pairs: int | None = None,
    draws: int = 12,
    seed: int = 0,
) -> tuple[np.ndarray, float]:
    """Returns the expected clean loss of an ideal count learner at each number of pairs, and the floor; nats per word.

    One Zipf list with Poisson counts and 6 words a pair: no sentences are made, so a million pairs cost what a
    hundred cost. The excess over floor - log(1 - rate) falls as sizes ** -(1 - 1 / exponent), a little faster for
    a finite list (0.36 instead of 0.333 with the defaults).

    Args: rate: target-word noise; reverse_pairs: sources are back-translations of a lexicon learnt from so many pairs,
        whose unknown words tell nothing.
    Paper: Hutter 2021, "Learning curve theory", for the law of the unseen words.
    Raises: ValueError for sizes below 1, exponent <= 1, a rate outside [0, 1).
    """
    if not len(sizes) or min(sizes) < 1 or not exponent > 1 or not 0 <= rate < 1:
        raise ValueError(f"sizes {sizes} must be at least 1, exponent {exponent} above 1, rate {rate} in [0, 1)")
    p = np.arange(1, types + 1) ** -float(exponent)
    p /= p.sum()
    ambiguous = np.arange(types) % 4 == 0
    first_share = np.where(ambiguous, q, 1.0)
    result = np.full(len(sizes), np.nan)
    for row, size in enumerate(sizes):
        rng = np.random.default_rng(np.random.SeedSequence([seed, row]))
        losses = np.full(draws, np.nan)
        for k in range(draws):
            mean = 6.0 * size * p
            if reverse_pairs is not None:
                mean = mean * (rng.poisson(6.0 * reverse_pairs * p) > 0)
            seen = rng.poisson(mean)
            good = rng.binomial(seen, 1 - rate)
            first = rng.binomial(good, first_share)
            one, two = ((c + SMOOTHING / types) / (seen + SMOOTHING) for c in (first, good - first))
            losses[k] = -np.sum(p * (first_share * np.log(one) + np.where(ambiguous, (1 - q) * np.log(two), 0.0)))
        result[row] = losses.mean()
    entropy = -(q * np.log(q) + (1 - q) * np.log(1 - q))
    return result, float(entropy * p[ambiguous].sum())
