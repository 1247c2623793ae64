"""Linear CKA: ours against three published packages, and against the formula as one would type it in float32.

    OMP_NUM_THREADS=1 python benchmarks/similarity.py     # pip install ckatorch pytorch-cka repsim

Float32 activations with offsets, as a ReLU gives them. Each method runs in a process of its own: CPU seconds, the median
of REPEATS, extra peak memory above the inputs and the imported package, and the relative error against float64
arithmetic throughout, biased or unbiased as the method's own documentation says. A package that is not installed is
printed as absent, one that takes more than LIMIT seconds as too slow.
"""

from __future__ import annotations

import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from statistics import median

import numpy as np

REPEATS, LIMIT = 3, 60
SIZES = ((10_000, 512), (2_000, 8_192))
METHODS = ("dlcore", "dlcore, debiased", "typed in float32", "ckatorch", "pytorch-cka", "repsim")


def inputs(n: int, d: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns two related representations (n, d), float32."""
    rng = np.random.default_rng(0)
    shared = rng.normal(size=(n, 16))
    return tuple(
        np.maximum(shared @ rng.normal(size=(16, d)) / 4 + rng.normal(size=(n, d)) + 0.5, 0).astype(np.float32)
        for _ in range(2)
    )


def exact(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Returns the biased and the unbiased alignment from float64 Gram matrices."""
    grams = []
    for values in (x, y):
        values = values.astype(np.float64)
        grams.append(values @ values.T)
    n = len(x)

    def song(k: np.ndarray, m: np.ndarray) -> float:
        # Song et al. 2012, equation 4, with zero diagonals
        rows = k.sum(0) @ m.sum(0)
        return np.vdot(k, m) + k.sum() * m.sum() / ((n - 1) * (n - 2)) - 2 / (n - 2) * rows

    centred = [k - k.mean(0) - k.mean(1)[:, None] + k.mean() for k in grams]
    biased = np.vdot(*centred) / np.linalg.norm(centred[0]) / np.linalg.norm(centred[1])
    del centred
    for k in grams:
        np.fill_diagonal(k, 0)
    return float(biased), float(song(*grams) / np.sqrt(song(grams[0], grams[0]) * song(grams[1], grams[1])))


def _prepare(n: int, d: int, files: list[str]) -> tuple[float, float]:
    drawn = inputs(n, d)
    for file, values in zip(files, drawn, strict=True):
        np.save(file, values)
    return exact(*drawn)


def _typed(x: np.ndarray, y: np.ndarray) -> float:
    x, y = x - x.mean(0), y - y.mean(0)
    return float(np.linalg.norm(x.T @ y) ** 2 / (np.linalg.norm(x.T @ x) * np.linalg.norm(y.T @ y)))


def method(name: str) -> Callable[[np.ndarray, np.ndarray], float]:
    """Returns a function of two arrays. Raises ImportError where the package is absent."""
    if name.startswith("dlcore"):
        from dlcore.metrics.similarity import linear_cka

        return lambda x, y: linear_cka(x, y, debiased="debiased" in name)
    if name == "typed in float32":
        return _typed
    if name == "repsim":
        import repsim

        return lambda x, y: float(repsim.cka([x, y], "linear", "gretton")[0, 1])
    import torch

    torch.set_num_threads(1)
    if name == "ckatorch":
        from ckatorch.core import cka_base as function
    else:
        from cka import cka_from_features as function

    return lambda x, y: float(function(torch.from_numpy(x), torch.from_numpy(y)))


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def _measure(name: str, files: list[str], answer) -> None:
    try:
        work = method(name)
    except ImportError as error:
        answer.send(f"absent ({error.name})")
        return
    work(*inputs(64, 8))
    # read from files: drawing them here would leave a peak that hides the method's own
    x, y = (np.load(file) for file in files)
    before, spent = _peak(), []
    try:
        for _ in range(REPEATS):
            start = time.process_time()
            value = work(x, y)
            spent.append(time.process_time() - start)
            if spent[0] > LIMIT / (2 * REPEATS):
                break
    except Exception as error:
        answer.send(f"failed: {type(error).__name__}: {str(error)[:60]}")
        return
    answer.send((value, median(spent), _peak() - before))


def main() -> None:
    """Prints the table."""
    context = multiprocessing.get_context("spawn")
    packages = []
    for name in METHODS[3:]:
        try:
            packages.append(f"{name} {version(name)}")
        except ImportError:
            packages.append(f"{name} absent")
    print(", ".join(packages))
    print(f"{'n x d':>14}  {'method':18} {'CPU-s':>8} {'extra MB':>9} {'error, biased':>14} {'error, unbiased':>16}")
    folder = tempfile.TemporaryDirectory()
    for n, d in SIZES:
        files = [f"{folder.name}/{side}.npy" for side in "xy"]
        # in a process of its own: on Linux a child's peak starts at its parent's
        with context.Pool(1) as pool:
            truths = pool.apply(_prepare, (n, d, files))
        for name in METHODS:
            mine, theirs = context.Pipe(duplex=False)
            process = context.Process(target=_measure, args=(name, files, theirs))
            process.start()
            theirs.close()
            try:
                result = mine.recv() if mine.poll(LIMIT) else f"too slow: more than {LIMIT} s"
            except EOFError:
                result = "ended without an answer: out of memory?"
            process.kill()
            process.join()
            if isinstance(result, str):
                print(f"{n:>6} x {d:<5}  {name:18} {result}", flush=True)
                continue
            value, seconds, memory = result
            errors = [abs(value / truth - 1) for truth in truths]
            cells = f"{seconds:8.2f} {memory:9.0f} {errors[0]:14.1e} {errors[1]:16.1e}"
            print(f"{n:>6} x {d:<5}  {name:18} {cells}", flush=True)


if __name__ == "__main__":
    main()
