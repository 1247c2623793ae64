"""IBM Model 1: which target tokens go with which source tokens, by counts alone, and how well a pair fits together."""

from __future__ import annotations

import numpy as np

from dlcore.translation.sentence_pairs import Pairs, Ragged

NULL = -1


class Model1:
    """A lexical alignment model, learnt by expectation maximisation from pairs that are trusted.

    Every target token is made by one source token, or by an empty one, each as likely: p(t | s) = mean over i of
    theta(t | s_i). It knows no order and no grammar. A token that the trusted pairs have not shown makes targets by their
    overall frequency, so that it says nothing for or against a pair.

    Args: iterations of EM; smoothing: weight of the overall frequencies of target tokens in every theta, in (0, 1).
    Paper: Brown et al. 1993, "The mathematics of statistical machine translation", model 1.
    Differs: theta is mixed with the overall frequencies when a pair is scored.
    Raises: ValueError for no iteration, or a smoothing outside (0, 1).

    >>> from dlcore.translation.task import Transduction
    >>> task = Transduction(list_size=40, alphabet=14)
    >>> model = Model1().fit(task.sample(500, stream="reverse"))
    >>> model.scores(task.sample(30)).shape
    (30,)
    """

    def __init__(self, iterations: int = 5, smoothing: float = 0.1) -> None:
        if iterations < 1 or not 0 < smoothing < 1:
            raise ValueError(f"iterations = {iterations} must be at least 1 and smoothing = {smoothing} in (0, 1)")
        self.iterations, self.smoothing = iterations, smoothing
        self.size, self.frequency = 0, np.empty(0)
        self.keys, self.theta = np.empty(0, np.int64), np.empty(0)

    def fit(self, pairs: Pairs) -> Model1:
        """Learns theta from trusted pairs and returns the model.

        Raises: ValueError without pairs.
        """
        if not len(pairs):
            raise ValueError("there are no pairs to learn an alignment from")
        self.size = int(pairs.target.flat.max()) + 2  # one more: every token that was not seen
        counts = np.bincount(pairs.target.flat, minlength=self.size) + 1.0
        self.frequency = counts / counts.sum()
        source, target, token = _links(pairs)
        self.keys, place = np.unique(self._key(source, target), return_inverse=True)
        maker = np.unique(self.keys // self.size, return_inverse=True)[1]
        self.theta = np.ones(len(self.keys))
        for _ in range(self.iterations):
            share = self.theta[place]
            share = share / np.bincount(token, share)[token]
            made = np.bincount(place, share, minlength=len(self.keys))
            self.theta = made / np.bincount(maker, made)[maker]
        return self

    def scores(self, pairs: Pairs) -> np.ndarray:
        """Returns how well each target fits its source, (n,): the mean over target tokens of log p(t | s) / p(t), in nats.

        About 0 for a pair of which nothing is known, negative where known source tokens do not explain the target.

        Raises: ValueError before `fit`.
        """
        if not self.size:
            raise ValueError("a Model1 scores pairs only after fit")
        source, target, token = _links(pairs)
        key = self._key(source, target)
        place = np.minimum(np.searchsorted(self.keys, key), len(self.keys) - 1)
        known = np.isin(source, self.keys // self.size - 1)
        theta = np.where(self.keys[place] == key, self.theta[place], 0.0)
        overall = self.frequency[np.minimum(target, self.size - 1)]
        mixed = np.where(known, (1 - self.smoothing) * theta + self.smoothing * overall, overall)
        gain = np.log(np.bincount(token, mixed / overall) / np.bincount(token))
        return np.bincount(pairs.target.rows, gain, minlength=len(pairs)) / np.maximum(pairs.target.lengths, 1)

    def _key(self, source: np.ndarray, target: np.ndarray) -> np.ndarray:
        return (source.astype(np.int64) + 1) * self.size + np.minimum(target, self.size - 1)


def _links(pairs: Pairs) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns every possible link: source token or NULL, target token, and the number of the target token's place."""
    source = Ragged.of([[NULL, *s] for s in pairs.source])
    rows = pairs.target.rows
    number = source.lengths[rows]
    token = np.repeat(np.arange(len(rows)), number)
    first = source.offsets[:-1][rows]
    inside = np.arange(len(token)) - np.repeat(np.cumsum(number) - number, number)
    return source.flat[np.repeat(first, number) + inside], np.repeat(pairs.target.flat, number), token


def best(scores: np.ndarray, share: float) -> np.ndarray:
    """Returns the mask (n,) of the `share` of pairs with the largest scores, rounded, at least one; ties go to the first.

    Raises: ValueError for a share outside (0, 1].

    >>> best(np.array([0.3, 0.1, 0.2, 0.1]), 0.75).tolist()
    [True, True, True, False]
    """
    if not 0 < share <= 1:
        raise ValueError(f"share = {share} is outside (0, 1]")
    kept = np.zeros(len(scores), bool)
    kept[np.argsort(-scores, kind="stable")[: max(1, round(share * len(scores)))]] = True
    return kept
