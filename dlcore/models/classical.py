"""Nearest neighbours, trees, forests, linear and kernel classifiers behind one fit/predict."""

from __future__ import annotations

import warnings
from typing import Any, Protocol

import numpy as np
from scipy.linalg import LinAlgWarning, solve
from scipy.spatial.distance import cdist, pdist

from dlcore.arrays import LARGEST, as_array, as_integers, typed
from dlcore.config import one_of, registered
from dlcore.models import CLASSICAL, FAMILIES


class Classifier(Protocol):
    """What every family offers: `fit(inputs, labels)` returns itself, `predict(inputs)` hard labels."""

    def fit(self, inputs: np.ndarray, labels: np.ndarray, /) -> Any: ...

    def predict(self, inputs: np.ndarray, /) -> Any: ...


class KernelRidge:
    """Kernel ridge regression on centred one-hot labels; `ridge=0` interpolates (a 1e-9 jitter is added).

    Kernels: "gaussian" exp(-(z/s)^2/2) and "laplace" exp(-z/s), z the Euclidean distance, s = `bandwidth` times
    the median distance between training inputs. The prediction is the class of the largest score.
    """

    def __init__(self, kernel: str, bandwidth: float, ridge: float) -> None:
        one_of("kernel", kernel, ("gaussian", "laplace"))
        self.kernel, self.bandwidth, self.ridge = kernel, bandwidth, ridge

    def _gram(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        z = cdist(a, b) / self._scale
        return np.exp(-0.5 * z**2) if self.kernel == "gaussian" else np.exp(-z)

    def fit(self, inputs: np.ndarray, labels: np.ndarray) -> KernelRidge:
        self._inputs = np.asarray(inputs, dtype=np.float64)
        self._classes, codes = np.unique(labels, return_inverse=True)
        self._scale = self.bandwidth * _median_distance(self._inputs, FAMILIES["kernel"]["inputs"])
        targets = np.eye(len(self._classes))[codes] - 1 / len(self._classes)
        gram = self._gram(self._inputs, self._inputs)
        gram[np.diag_indices_from(gram)] += self.ridge + FAMILIES["kernel"]["jitter"]
        with warnings.catch_warnings():
            # a wide Gaussian's Gram matrix is ill-conditioned by nature; the jitter bounds the damage
            warnings.simplefilter("ignore", LinAlgWarning)
            self._weights = solve(gram, targets, assume_a="pos")
        return self

    def predict(self, inputs: np.ndarray) -> np.ndarray:
        parts = np.array_split(np.asarray(inputs, dtype=np.float64), max(1, len(inputs) // 2000))
        scores = [self._gram(part, self._inputs) @ self._weights for part in parts]
        return self._classes[np.concatenate(scores).argmax(1)]


def _median_distance(rows: np.ndarray, most: int) -> float:
    """Returns the median distance of pairs of rows. Raises ValueError where it is 0, or there is no pair."""
    found = pdist(rows[:: max(1, len(rows) // most)])
    if not found.size or not (median := float(np.median(found))):
        raise ValueError(
            f"half of the pairs of {len(rows)} inputs are equal, or there are none: nothing sets a bandwidth"
        )
    return median


def _sklearn(name: str, seed: int, neighbours: int, max_depth: int, ridge: float) -> Classifier:
    from sklearn import ensemble, linear_model, neighbors, svm, tree

    own: dict[str, Any] = FAMILIES.get(name, {})
    grown: dict[str, Any] = {"max_depth": max_depth or None, "random_state": seed % 2**32}
    if name == "knn":
        return neighbors.KNeighborsClassifier(neighbours, algorithm="brute")
    if name == "tree":
        return tree.DecisionTreeClassifier(**grown)
    if name == "extra_tree":
        return ensemble.ExtraTreesClassifier(1, **grown)
    if name == "forest":
        return ensemble.RandomForestClassifier(own["trees"], **grown)
    strength = 1 / ridge if ridge else own["C"]
    if name == "logistic":
        return linear_model.LogisticRegression(C=strength, max_iter=own["steps"])
    # gamma follows from the bandwidth when it is fitted; without a seed it takes one, of no use, from NumPy's own generator
    return svm.SVC(C=strength, random_state=0)


class _Flat:
    """Flattens inputs of any shape for a family that takes rows; brings inputs far from 0, or of sizes near the ends
    of floating point, to where the families' own arithmetic (float32 in trees, products in distances) is exact.
    """

    def __init__(self, inner: Classifier, svm_bandwidth: float | None = None) -> None:
        self.inner: Any = inner
        self._bandwidth = svm_bandwidth
        # of logistic regression: its penalty is on the weights of the inputs as given
        self._strength = getattr(inner, "C", None) if svm_bandwidth is None else None

    def _rows(self, inputs: np.ndarray) -> np.ndarray:
        array = as_array(inputs, "inputs")
        if array.dtype.kind not in "biuf" or array.ndim == 0 or array.size == 0:
            raise ValueError(f"inputs must be rows of numbers, not of shape {array.shape} and {array.dtype}")
        rows = array.reshape(len(array), -1)
        if not np.isfinite(rows).all():
            raise ValueError("inputs contain NaN or infinity")
        return rows

    def _place(self, rows: np.ndarray) -> tuple[np.ndarray, float] | None:
        """Returns the offset and the power of two that inputs need, or None for ordinary ones, which stay as they are."""
        low, high = rows.min(0).astype(np.float64), rows.max(0).astype(np.float64)
        largest = max(float(high.max()), -float(low.min()))
        if largest > LARGEST:
            raise ValueError(f"inputs hold numbers beyond {LARGEST:.2g}, whose differences may overflow")
        span, middle = high - low, low / 2 + high / 2
        widest = float(span.max())
        far = (np.abs(middle) > 1000 * span) & (span > 0)
        if widest == 0 or not (far.any() or largest > 1e30 or widest < 1e-30):
            return None
        return middle, 2.0 ** -int(np.clip(np.frexp(widest)[1], -1000, 1000))

    def _moved(self, rows: np.ndarray) -> np.ndarray:
        return rows if self._moving is None else (rows - self._moving[0]) * self._moving[1]

    def fit(self, inputs: np.ndarray, labels: np.ndarray) -> _Flat:
        rows, labels = self._rows(inputs), as_array(labels, "labels")
        if labels.ndim != 1:  # a column, or one-hot rows, which are refused
            labels = as_integers("labels", labels, ndim=1)
        if len(rows) != len(labels):
            raise ValueError(f"{len(rows)} inputs and {len(labels)} labels")
        self._moving = self._place(rows)
        rows = self._moved(rows)
        if self._strength is not None:
            scale = 1.0 if self._moving is None else float(np.clip(self._moving[1], 1e-50, 1e50))
            self.inner.C = self._strength / scale**2
        if self._bandwidth is not None:
            self.inner.gamma = 1 / (2 * (self._bandwidth * _median_distance(rows, FAMILIES["svm"]["inputs"])) ** 2)
        self.inner.fit(rows, labels)
        return self

    def predict(self, inputs: np.ndarray) -> np.ndarray:
        return np.asarray(self.inner.predict(self._moved(self._rows(inputs))))


@typed
def classical(
    name: str,
    *,
    seed: int = 0,
    neighbours: int = 1,
    max_depth: int = 0,
    bandwidth: float = 0.66,
    ridge: float = 0.0,
) -> Classifier:
    """Returns an unfitted classifier of a family.

    Args:
        neighbours: k of "knn".
        max_depth: of the tree families; 0 grows to pure leaves.
        bandwidth: of "kernel_gaussian", "kernel_laplace" and "svm" (Gaussian), in units of the median distance
            between training inputs.
        ridge: of the kernel families (added to the diagonal of the Gram matrix, whose entries are at most 1), of
            "logistic" and of "svm" (1/C; 0 means C = 1 and C = 1e6).
    Raises: ValueError for an unknown family, a bandwidth that is not positive, a negative ridge, empty or NaN inputs.

    >>> classical("knn").fit(np.array([[0.0], [1.0]]), np.array([0, 1])).predict(np.array([[0.9]])).tolist()
    [1]
    """
    if (own := registered("architecture").get(name)) is not None:
        return own.build(seed)
    one_of("classifier", name, CLASSICAL)
    if not (0 < bandwidth < np.inf and 0 <= ridge < np.inf):
        raise ValueError(f"bandwidth = {bandwidth} must be positive and ridge = {ridge} at least 0, both finite")
    if name.startswith("kernel_"):
        return _Flat(KernelRidge(name.removeprefix("kernel_"), bandwidth, ridge))
    inner = _sklearn(name, seed, neighbours, max_depth, ridge)
    return _Flat(inner, svm_bandwidth=bandwidth if name == "svm" else None)
