"""Count-based learners of the synthetic translation task: what a learner that knows the grammar could reach."""

from __future__ import annotations

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
