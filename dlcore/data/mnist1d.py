"""MNIST-1D: ten 1-D templates, randomly padded, scaled, shifted, sheared and made noisy; any number of samples."""

from __future__ import annotations

import numpy as np

LENGTH = 40
_BLOCK = 1000
_TEMPLATES = np.array(
    [
        [5, 6, 6.5, 6.75, 7, 7, 7, 7, 6.75, 6.5, 6, 5],
        [5, 3, 3, 3.4, 3.8, 4.2, 4.6, 5, 5.4, 5.8, 5, 5],
        [5, 6, 6.5, 6.5, 6, 5.25, 4.75, 4, 3.5, 3.5, 4, 5],
        [5, 6, 6.5, 6.5, 6, 5, 5, 6, 6.5, 6.5, 6, 5],
        [5, 4.4, 3.8, 3.2, 2.6, 2.6, 5, 5, 5, 5, 5, 5],
        [5, 3, 3, 3, 3, 5, 6, 6.5, 6.5, 6, 4.5, 5],
        [5, 4, 3.5, 3.25, 3, 3, 3, 3, 3.25, 3.5, 4, 5],
        [5, 7, 7, 6.6, 6.2, 5.8, 5.4, 5, 4.6, 4.2, 5, 5],
        [5, 4, 3.5, 3.5, 4, 5, 5, 4, 3.5, 3.5, 4, 5],
        [5, 4, 3.5, 3.5, 4, 5, 5, 5, 5, 4.7, 4.3, 5],
    ]
)


def templates() -> np.ndarray:
    """Returns the ten templates (10, 12), standardised, starting at zero, divided by six."""
    x = _TEMPLATES - _TEMPLATES.mean(1, keepdims=True)
    x = x / x.std(1, keepdims=True)
    return (x - x[:, :1]) / 6


def _resample(x: np.ndarray, lengths: np.ndarray, size: int) -> np.ndarray:
    """Returns rows resampled linearly to `size` points; row i counts as its first `lengths[i]` entries."""
    position = np.linspace(0, 1, size) * (lengths[:, None] - 1)
    left = np.minimum(position.astype(int), lengths[:, None] - 2)
    share = position - left
    rows = np.arange(len(x))[:, None]
    return x[rows, left] * (1 - share) + x[rows, left + 1] * share


def _block(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    from scipy.ndimage import gaussian_filter1d  # takes a second that a list of names does not need

    n, width = len(labels), 12 + 60
    x = np.zeros((n, width))
    x[:, :12] = templates()[labels] + 1e-8  # the offset keeps a template's zeros apart from the padding
    padding = rng.integers(36, 61, n)
    x = _resample(x, 12 + padding, width)
    x *= 1 + 0.4 * (rng.random((n, 1)) - 0.5)
    shift = rng.integers(0, 48, n)
    x = np.take_along_axis(x, (np.arange(width) - shift[:, None]) % width, axis=1)
    correlated = gaussian_filter1d(0.25 * rng.standard_normal((n, width)), 2, axis=1)
    x = np.where(x != 0, x, correlated) + 0.02 * rng.standard_normal((n, width))
    x -= 0.75 * (rng.random((n, 1)) - 0.5) * np.linspace(-0.5, 0.5, width)
    return _resample(x, np.full(n, width), LENGTH)


# Mean and standard deviation of the raw signals, from 200,000 samples; a constant, so that no sample depends on n.
MEAN, STD = -0.00587, 0.15468


def generate(n: int, *, seed: int = 0, stream: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Returns n signals and labels of MNIST-1D; sample i of a seed and stream does not depend on n.

    Shapes: signals (n, 1, 40) float32, of mean 0 and standard deviation 1; labels (n,) int64.
    Paper: Greydanus and Kobak 2024, "Scaling down deep learning with MNIST-1D", and their released generator,
        whose constants we use.
    Differs: labels are drawn at random instead of in equal numbers, the signals are standardised with constants
        instead of the sample's own mean and deviation, and samples are vectorised in blocks of 1,000 with their
        own random streams, so that any n gives nested sets. Our samples are not those of the released file.

    >>> generate(3, seed=1)[0].shape
    (3, 1, 40)
    """
    if n < 1:
        raise ValueError(f"n = {n} must be at least 1")
    signals, labels = [], []
    for block in range(-(-n // _BLOCK)):
        rng = np.random.default_rng(np.random.SeedSequence([seed, stream, block]))
        y = rng.integers(0, 10, _BLOCK)
        signals.append(_block(y, rng))
        labels.append(y)
    x = (np.concatenate(signals)[:n, None] - MEAN) / STD
    return x.astype(np.float32), np.concatenate(labels)[:n].astype(np.int64)
