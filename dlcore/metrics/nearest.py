"""Theorem 1 of chapter 3 in numbers: feature calibration of 1-NN on a finite space, every term by simulation."""

from __future__ import annotations

import numpy as np

from dlcore.arrays import as_integers, as_reals, as_whole, typed
from dlcore.metrics.checks import as_law
from dlcore.metrics.distributional import total_variation
from dlcore.results import Result


class NearestNeighbourBound(Result):
    """`distance` TV((y, L), (NN's y, L)); `epsilon` Pr[L(NN(x)) != L(x)]; `delta` TV(NN(x), x)."""

    distance: float
    epsilon: float
    delta: float


@typed
def nearest_neighbour_bound(
    input_law, label_laws, feature, n: int, *, draws: int = 2000, seed: int = 0
) -> NearestNeighbourBound:
    """Returns the three terms of distance <= epsilon + delta for 1-NN on the points 0, 1, ..., P-1 of a line.

    The law of the nearest training point is averaged over `draws` training sets of n points; labels enter exactly.
    The inequality holds for every finite number of draws too: the proof needs only the joint law of (x, NN(x)).

    Shapes: input_law (P,), label_laws (P, K) rows p(y | x), feature (P,) integers.
    Raises: ValueError for a law that is not one, lengths that disagree, n < 1.
    Paper: Nakkiran and Bansal 2020, theorem 1.

    >>> nearest_neighbour_bound([1.0], [[0.5, 0.5]], [0], n=3, draws=5)
    NearestNeighbourBound(distance=0.0, epsilon=0.0, delta=0.0)
    """
    x_law, y_laws = as_law("input_law", as_reals("input_law", input_law)[None])[0], as_law("label_laws", label_laws)
    groups = as_integers("feature", feature, ndim=1)
    if not len(x_law) == len(y_laws) == groups.size:
        raise ValueError(f"{len(x_law)} points, {len(y_laws)} label laws, {groups.size} features")
    n, draws = as_whole("n", n, 1), as_whole("draws", draws, 1)
    rng = np.random.default_rng(seed)
    places = np.arange(len(x_law))
    joint = np.zeros((len(x_law), len(x_law)))
    for _ in range(draws):
        sample = rng.choice(len(x_law), size=n, p=x_law)
        # the first of equally near points: a tie is broken without a look at labels
        nearest = sample[np.abs(places[:, None] - sample[None]).argmin(1)]
        joint[places, nearest] += x_law / draws
    one_hot = np.eye(groups.max() + 1)[groups]
    given = one_hot.T @ (x_law[:, None] * y_laws)
    returned = one_hot.T @ (joint @ y_laws)
    return NearestNeighbourBound(
        distance=total_variation(given, returned),
        epsilon=float(joint[groups[:, None] != groups[None, :]].sum()),
        delta=total_variation(joint.sum(0), x_law),
    )
