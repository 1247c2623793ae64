"""Label noise and noise of sentence pairs: every function returns what it made together with what it changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy import stats

from dlcore.arrays import as_array, as_integers, as_reals, typed
from dlcore.config import one_of
from dlcore.results import Result

KINDS = ("symmetric", "uniform", "pair", "asymmetric")


class NoisyLabels(Result):
    """`labels` after the noise, and `mask`, true where they differ from the labels given. Both have the shape of these."""

    labels: np.ndarray
    mask: np.ndarray


@typed
def flip_labels(labels, num_classes: int, rate: float, seed: int) -> NoisyLabels:
    """Flips each label, independently with probability `rate`, to a *different* class, uniformly.

    Shapes: labels (n,) integers in 0..num_classes-1; both results (n,).
    Raises: ValueError for a rate outside [0, 1), a label out of range, fewer than two classes.
    Paper: Bansal, Kaplun, Barak 2021, the noise of the eta-noisy experiment as the released code draws it:
        Pr[y'=k | y] = 1 - eta for k = y, eta/(K-1) otherwise, so that Pr[y' != y] = eta exactly.
    Differs: redrawing from all K classes, another common convention, changes only eta (K-1)/K of the labels.

    >>> flip_labels([0, 1, 1, 0], num_classes=2, rate=0.0, seed=0).mask.any()
    np.False_
    """
    if num_classes < 2:
        raise ValueError(f"num_classes = {num_classes}: a flip needs at least two classes")
    _rates(rate)
    values = as_integers("labels", labels, num_classes, ndim=1)
    rng = np.random.default_rng(seed)
    # drawn for every label, so that a larger rate flips a superset: noise levels are then nested and comparable
    mask = rng.random(values.shape) < rate
    shift = rng.integers(1, num_classes, size=values.shape)
    return NoisyLabels(np.where(mask, (values + shift) % num_classes, values), mask)


def _rates(rate, count: int | None = None, of: str = "") -> np.ndarray:
    """Returns a rate, or one for each of `count`, as an array; raises ValueError for one outside [0, 1)."""
    rates = as_reals("rate", rate)
    if rates.shape not in ((), (count,)) or not ((rates >= 0) & (rates < 1)).all():
        many = f", or not one for each of the {count} {of}" if count else ""
        raise ValueError(f"rate = {rate} is outside [0, 1){many}")
    return rates


@typed
def apply_confusion(labels, confusion, seed: int) -> NoisyLabels:
    """Draws a noisy label for each label from its row of a row-stochastic matrix.

    The labels may be finer than the noisy labels: with M rows and K columns, row l is p(y | feature = l), and the mask,
    which compares numbers, says little. A matrix with a row for each *sample* is another thing: see
    `apply_probabilities`.

    Shapes: labels (n,) integers in 0..M-1; confusion (M, K); both results (n,).
    Raises: ValueError for rows that do not sum to 1, negative entries, a label out of range, or a row for each sample.
    Paper: Nakkiran and Bansal 2020, section 4: "labels passed through a confusion matrix".

    >>> apply_confusion([0, 1, 2], [[0, 1], [1, 0], [1, 0]], seed=0).labels.tolist()
    [1, 0, 0]
    """
    matrix = _laws("confusion", confusion)
    values = as_integers("labels", labels, len(matrix), ndim=1)
    rows, columns = matrix.shape
    # labels beyond the columns can only be finer classes
    if rows == len(values) and rows != columns and values.max() < columns:
        need = f"it needs a row for each class, ({columns}, {columns})"
        raise ValueError(f"confusion has a row for each label: {need}; for such laws use apply_probabilities")
    draws = np.random.default_rng(seed).random(len(values))
    drawn = np.empty_like(values)
    edges = _edges(matrix)
    for row in np.unique(values):
        there = values == row
        drawn[there] = np.searchsorted(edges[row], draws[there], side="right")
    return NoisyLabels(drawn, drawn != values)


@typed
def apply_probabilities(labels, probabilities, seed: int) -> NoisyLabels:
    """Draws a noisy label for each sample from probabilities of its own: noise that depends on the instance.

    Shapes: labels (n,) integers in 0..K-1; probabilities (n, K), row i the law of the noisy label of sample i.
    Raises: ValueError for rows that do not sum to 1, negative entries, a label out of range, lengths that disagree.

    >>> noisy = apply_probabilities([0, 0, 1], [[1, 0], [0, 1], [0, 1]], seed=0)
    >>> noisy.labels.tolist(), noisy.mask.tolist()
    ([0, 1, 1], [False, True, False])
    """
    matrix = _laws("probabilities", probabilities)
    values = as_integers("labels", labels, matrix.shape[1], ndim=1)
    if len(matrix) != len(values):
        raise ValueError(f"probabilities has {len(matrix)} rows for {len(values)} labels: each sample needs its own")
    draws = np.random.default_rng(seed).random(len(values))
    drawn = (draws[:, None] >= _edges(matrix)).sum(1)
    return NoisyLabels(drawn, drawn != values)


def _laws(name: str, rows) -> np.ndarray:
    matrix = as_reals(name, rows)
    if matrix.ndim != 2 or not np.isfinite(matrix).all() or (matrix < 0).any():
        raise ValueError(f"{name} must be a finite, non-negative matrix; its shape is {matrix.shape}")
    sums = matrix.sum(1)
    bad = np.flatnonzero(np.abs(sums - 1) > 1e-6)  # rows of a float32 tensor sum to 1 within 1e-7
    if bad.size:
        todo = ""
        if (matrix == np.floor(matrix)).all() and sums.min() > 0:
            todo = "; of counts make laws with confusion_from_counts"
        elif (np.abs(matrix.sum(0) - 1) < 1e-6).all():
            todo = "; its columns do: give the transpose, whose row l is the law of the labels of class l"
        raise ValueError(f"{name} row {bad[0]} sums to {sums[bad[0]]:.6g}, not to 1{todo}")
    return matrix


def _edges(matrix: np.ndarray) -> np.ndarray:
    edges = np.cumsum(matrix, axis=1)
    # what the sum lacks for rounding must not go to a class without a share behind the last that has one
    edges[edges >= edges[:, -1:]] = 1.0
    return edges


@typed
def confusion(kind: str, num_classes: int, rate, *, flips: Mapping[int, int] | None = None) -> np.ndarray:
    """Returns the K x K matrix of a kind of label noise by its name in the literature, for `apply_confusion`.

    | kind | Pr[y' = k given y] | Pr[y' != y] | as in |
    | --- | --- | --- | --- |
    | "symmetric" | rate / (K - 1) for each other class | rate | Patrini et al. 2017; `flip_labels` |
    | "uniform" | rate / K for every class, its own included | rate (K - 1) / K | Zhang et al. 2017 |
    | "pair" | rate for y + 1 modulo K | rate | Han et al. 2018, "pair flip"; `cyclic_confusion` |
    | "asymmetric" | rate for flips[y]; classes without a flip stay | rate where there is a flip | Patrini et al. 2017 |

    Shapes: rate a number, or (K,) a rate for each class; result (K, K), row y the law of the noisy label.
    Raises: ValueError for an unknown kind, a rate outside [0, 1), flips to the same or no class, flips of another kind.
    Differs: none; Patrini et al.'s flips of CIFAR-10 are {9: 1, 2: 0, 4: 7, 3: 5, 5: 3}.

    >>> confusion("asymmetric", 3, 0.25, flips={2: 0}).tolist()
    [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.25, 0.0, 0.75]]
    """
    one_of("kind of noise", kind, KINDS)
    if num_classes < 2:
        raise ValueError(f"num_classes = {num_classes}: noise needs at least two classes")
    rates = _rates(rate, num_classes, "classes")
    if (flips is None) == (kind == "asymmetric"):
        raise ValueError('flips, as {9: 1, 2: 0}, belong to "asymmetric", which needs them')
    eye = np.eye(num_classes)
    target = {"uniform": np.full_like(eye, 1 / num_classes), "pair": np.roll(eye, 1, axis=1), "asymmetric": eye.copy()}
    target["symmetric"] = (1 - eye) / (num_classes - 1)
    for old, new in (flips or {}).items():
        as_integers("flips", [old, new], num_classes)
        if old == new:
            raise ValueError(f"flips of {old} to {new} change nothing")
        target["asymmetric"][old] = eye[new]
    rates = np.broadcast_to(rates, num_classes)[:, None]
    return (1 - rates) * eye + rates * target[kind]


def confusion_from_counts(counts) -> np.ndarray:
    """Returns p(y' | y) from a table of counts: row y how often annotators gave each label to points of class y.

    Shapes: counts (M, K), as `sklearn.metrics.confusion_matrix(clean, given)` makes them; result (M, K).
    Raises: ValueError for negative or broken counts, or a class that was never annotated.

    >>> confusion_from_counts([[3, 1], [0, 2]]).tolist()
    [[0.75, 0.25], [0.0, 1.0]]
    """
    table = as_reals("counts", counts)
    if table.ndim != 2 or not (np.isfinite(table) & (table >= 0)).all():
        raise ValueError(f"counts must be a non-negative (M, K) table; the shape is {table.shape}")
    if (empty := np.flatnonzero(table.sum(1) == 0)).size:
        raise ValueError(f"counts row {empty[0]} is empty: class {empty[0]} was never annotated")
    return table / table.sum(1, keepdims=True)


@typed
def instance_probabilities(features, labels, num_classes: int, rate: float, seed: int) -> np.ndarray:
    """Returns probabilities of noisy labels that depend on the instance, for `apply_probabilities`.

    Each sample has a flip rate of its own, from N(rate, 0.1^2) cut to [0, 1], and flips to the other classes in proportions
    softmax(x W_y), W_y of standard normal entries. The mean of Pr[y' != y] is that of the cut normal: 0.300 at rate 0.3, 0.129
    at 0.1.

    Shapes: features (n, ...), flattened and standardised by the caller; labels (n,); result (n, K), rows sum to 1.
    Raises: ValueError for a rate outside [0, 1), labels out of range, lengths that disagree, NaN or infinity.
    Paper: Xia et al. 2020, "Part-dependent label noise", algorithm 2.

    >>> instance_probabilities([[1.0], [2.0]], [0, 1], 2, 0.0, seed=0).shape
    (2, 2)
    """
    _rates(rate)
    x, y = as_reals("features", features), as_integers("labels", labels, num_classes, ndim=1)
    if x.ndim < 2 or len(x) != len(y) or not np.isfinite(x).all():
        raise ValueError(f"finite features (n, ...) and labels (n,) are needed, not {x.shape} and {y.shape}")
    x, rng = x.reshape(len(x), -1), np.random.default_rng(seed)
    own = np.zeros(len(y))
    if rate:
        own += stats.truncnorm.rvs(-rate / 0.1, (1 - rate) / 0.1, rate, 0.1, size=len(y), random_state=rng)
    scores = np.full((len(y), num_classes), -np.inf)
    for label in range(num_classes):
        weights = rng.normal(size=(x.shape[1], num_classes))
        scores[y == label] = x[y == label] @ weights
    rows = np.arange(len(y))
    scores[rows, y] = -np.inf
    shares = np.exp(scores - scores.max(1, keepdims=True))
    found = own[:, None] * shares / shares.sum(1, keepdims=True)
    found[rows, y] = 1 - own
    return found


@typed
def subgroup_confusion(grouping, num_classes: int, flipped, target: int, rate: float) -> np.ndarray:
    """Returns p(label | fine class) when the labels are groups of fine classes and some fine classes are noisy.

    Shapes: grouping (M,) the clean label of each fine class; flipped: the noisy fine classes; result (M, K).
    Raises: ValueError for a rate outside [0, 1), a label or fine class that does not exist, a flip that changes nothing.
    Paper: Nakkiran and Bansal 2020, figure 1: animal or object, with 30 % of the cats labelled object.

    >>> subgroup_confusion([0, 1, 1], 2, flipped=[1], target=0, rate=0.25).tolist()
    [[1.0, 0.0], [0.25, 0.75], [0.0, 1.0]]
    """
    _rates(rate)
    matrix = np.eye(num_classes)[as_integers("grouping", grouping, num_classes, ndim=1)]
    as_integers("target", target, num_classes, ndim=0)
    noisy = as_array(flipped, "flipped").ravel()
    noisy = as_integers("flipped", noisy, len(matrix)) if noisy.size else noisy
    if len(np.unique(noisy)) < noisy.size:
        raise ValueError(
            f"flipped = {noisy.tolist()} names a fine class twice: it holds their numbers, not a mark for each"
        )
    for row in noisy:
        if matrix[row, target] == 1:
            raise ValueError(f"fine class {row} already has the label {target}: flipping it changes nothing")
        matrix[row] *= 1 - rate
        matrix[row, target] += rate
    return matrix


@typed
def cyclic_confusion(num_classes: int, rate: float) -> np.ndarray:
    """Returns the K x K matrix that moves class l to l + 1 (modulo K) with probability `rate`."""
    return confusion("pair", num_classes, rate)


@typed
def sparse_confusion(num_classes: int, rate: float, seed: int, *, targets: int = 2) -> np.ndarray:
    """Returns a random sparse K x K confusion matrix.

    Each class keeps 1 - r of its mass, r uniform on [0, 2 rate] capped at 0.95, and sends r to `targets` random
    other classes in random proportions; the mean off-diagonal mass is `rate`.

    Paper: Nakkiran and Bansal 2020, figure 2A ("random sparse confusion matrix"). The paper's own pattern was
    not found; this one is ours.
    """
    if not 0 <= rate < 0.475:
        raise ValueError(f"rate = {rate} is outside [0, 0.475)")
    if not 1 <= targets < num_classes:
        raise ValueError(
            f"targets = {targets} is outside 1..{num_classes - 1}, the other classes of num_classes = {num_classes}"
        )
    rng = np.random.default_rng(seed)
    moved = rng.uniform(0, 1, num_classes)
    moved = np.minimum(rate * moved / moved.mean(), 0.95)
    matrix = np.diag(1 - moved)
    for row in range(num_classes):
        others = rng.choice(np.delete(np.arange(num_classes), row), size=targets, replace=False)
        matrix[row, others] = moved[row] * rng.dirichlet(np.ones(targets))
    return matrix


class NoisyTexts(Result):
    """`texts`, pairs (source, target) after the noise, and `changed` (n,), the number of words replaced in each.

    A misaligned pair counts 1. The kinds of `confusion` for sentences: "symmetric" is `misalign(kind="symmetric")`; "uniform",
    whose draw may be the own, is `misalign`, and `replace_words` word by word, with frequencies for equal shares;
    "asymmetric" is `replace_words(swaps=...)`. "pair" has no meaning: words and sentences have no next one.
    """

    texts: list[tuple[str, str]]
    changed: np.ndarray


def _texts(texts: Sequence[tuple[str, str]], rate: float, reference: Sequence[tuple[str, str]] | None) -> Sequence:
    _rates(rate, len(texts), "pairs")
    if not len(texts):
        raise ValueError("there are no sentence pairs")
    return texts if reference is None else reference


@typed
def replace_words(
    texts: Sequence[tuple[str, str]],
    rate: float,
    seed: int,
    *,
    side: str = "target",
    reference: Sequence[tuple[str, str]] | None = None,
    swaps: Mapping[str, str] | None = None,
) -> NoisyTexts:
    """Replaces each word of one side, with probability `rate`, by a draw from the words of that side, or as `swaps` says.

    Words are split on whitespace; the draw is from the unigram law of `reference` (the texts themselves when None; give
    the whole training pool, so that subsets stay nested), and may be the same word: like "uniform" noise of labels, it changes fewer than
    `rate` of the words. With `swaps`, {"cat": "dog"}, the words in it become those, and the others stay, like "asymmetric"
    noise. A larger rate changes a superset. `rate` may be a rate for each pair, (n,): noise that depends on the instance.

    Raises: ValueError for a rate outside [0, 1), no pairs, or a side that is neither "source" nor "target".
    Paper: after Bansal et al. 2022, whose noise kinds are published only as "iid synthetic noise"; this one is ours.

    >>> replace_words([("a b", "c d")], 0.0, seed=0).texts
    [('a b', 'c d')]
    """
    pool = _texts(texts, rate, reference)
    at = ("source", "target").index(one_of("side", side, ("source", "target")))
    words = [word for pair in pool for word in pair[at].split()]
    lines = [pair[at].split() for pair in texts]
    # two streams, drawn to the end, so that neither the rate nor later sentences move the draws of earlier ones
    count = sum(map(len, lines))
    rates = np.repeat(np.broadcast_to(rate, len(texts)), [len(line) for line in lines])
    hits = np.random.default_rng([seed, 31]).random(count) < rates
    drawn = (np.random.default_rng([seed, 32]).random(count) * len(words)).astype(np.int64)
    result, changed, place = [], np.zeros(len(texts), np.int64), 0
    for row, line in enumerate(lines):
        pick = np.flatnonzero(hits[place : place + len(line)])
        new = list(line)
        for k in pick:
            new[k] = words[drawn[place + k]] if swaps is None else swaps.get(line[k], line[k])
        changed[row] = sum(a != b for a, b in zip(new, line, strict=True))
        place += len(line)
        pair = list(texts[row])
        pair[at] = " ".join(new) if len(pick) else pair[at]
        result.append(tuple(pair))
    return NoisyTexts(result, changed)


@typed
def misalign(
    texts: Sequence[tuple[str, str]],
    rate: float,
    seed: int,
    *,
    reference: Sequence[tuple[str, str]] | None = None,
    kind: str = "uniform",
) -> NoisyTexts:
    """Gives each pair, with probability `rate`, the target of a random pair of `reference` (the texts when None).

    `kind` as for labels, see `confusion`: the draw of "uniform" may be the own target; that of "symmetric" is from the pairs
    with another one, so that Pr[target changes] = rate. `rate` a number, or one for each pair, (n,).

    Raises: ValueError for a rate outside [0, 1), no pairs, one pair alone, an unknown kind, or no other target to draw.
    Paper: Khayrallah and Koehn 2018, "misaligned sentences", who shuffle one side of a clean corpus.

    >>> misalign([("a", "b"), ("c", "d")], 0.0, seed=0).changed.tolist()
    [0, 0]
    """
    pool = _texts(texts, rate, reference)
    if len(pool) < 2:
        raise ValueError("misaligning needs at least two pairs to take targets from")
    hits = np.random.default_rng([seed, 33]).random(len(texts)) < rate
    drawn = (np.random.default_rng([seed, 34]).random(len(texts)) * len(pool)).astype(np.int64)
    if one_of("kind of noise", kind, ("uniform", "symmetric")) == "symmetric":
        targets, own = (np.array([target for _, target in pairs], object) for pairs in (pool, texts))
        for row in np.flatnonzero(hits & (targets[drawn] == own)):
            if not (others := np.flatnonzero(targets != own[row])).size:
                raise ValueError(f"every target is {own[row]!r}: there is no other to draw")
            drawn[row] = np.random.default_rng([seed, 35, int(row)]).choice(others)
    result = [(s, pool[k][1]) if hit else (s, t) for (s, t), hit, k in zip(texts, hits, drawn, strict=True)]
    changed = [a[1] != b[1] for a, b in zip(result, texts, strict=True)]
    return NoisyTexts(result, np.array(changed, np.int64))
