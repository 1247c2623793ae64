"""Similarity of representations: linear CKA, CKA of a Gaussian kernel and of minibatches, Procrustes and RSA beside packages.

    python benchmarks/similarity.py     # pip install ckatorch pytorch-cka repsim torch-cka

Each method runs in a process of its own, so that one that takes too long or too much memory ends alone.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from typing import Any

import harness
import numpy as np

REPEATS, LIMIT = 5, 10
SIZES = ((10_000, 512), (2_000, 8_192))
BATCH, TURNS = 100, 5
IMAGES, LOT = 3_000, 125  # of the layers: no batch is smaller than another, so that no method leaves one out
OTHERS = {
    "CKA, minibatches": ("pytorch-cka",),
    "CKA, Gaussian kernel": ("repsim",),
    "Procrustes": ("netrep", "scipy.linalg, float32", "scipy.linalg, float64", "scipy.spatial"),
    "RSA": ("scipy",),
}
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


def measured(name: str, files: list[str], repeats: int) -> harness.Cost:
    """Returns the cost of a method, and its answer."""
    work = method(name)
    work(*inputs(64, 8))
    # read from files: drawing them here would leave buffers of a random number generator
    x, y = (np.load(file) for file in files)
    runs: list[harness.Cost] = []
    while not runs or (len(runs) < repeats and runs[0].cpu < LIMIT / 10):  # a slow one is not run again
        runs.append(harness.measure(lambda: work(x, y), 1))
    return harness.together(runs)


def compared(quick: bool) -> harness.Table:
    """Returns the table against the packages."""
    sizes, repeats = (((100, 8), (20, 40)), 1) if quick else (SIZES, REPEATS)
    methods = METHODS[:4] if quick else METHODS
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for n, d in sizes:
            files = [f"{folder}/{side}.npy" for side in "xy"]
            truths = harness.alone(_prepare, n, d, files)
            if isinstance(truths, str):
                raise RuntimeError(f"the reference in float64 for {n} x {d}: {truths}")
            base = None
            for name in methods:
                where = {"n": n, "d": d, "method": name}
                found = harness.alone(measured, name, files, repeats, limit=LIMIT)
                if isinstance(found, str):
                    rows.append(harness.remark(found, **where))
                    continue
                base = base or found
                errors = [abs(found.value / truth - 1) for truth in truths]
                rows.append(
                    {**where, "CPU-s": found.cpu, **harness.compared(found, base), "extra MB": found.memory}
                    | {"error, biased": f"{errors[0]:.0e}", "error, unbiased": f"{errors[1]:.0e}"}
                )
    note = (
        "Two float32 representations (n, d) with offsets, as a ReLU gives them. CPU time, the median of "
        f"{repeats} runs, one thread; memory above the inputs and the imported package; the relative error against float64 "
        "arithmetic throughout, biased or unbiased as the method's own documentation says: the smaller of the two is "
        f"meant. A method that takes more than {LIMIT} s is stopped."
    )
    peers = harness.versions("numpy", "ckatorch", "pytorch-cka", "repsim")
    return harness.Table("Linear CKA against published packages", note, rows, ("time / dlcore's",), peers)


def _batched(x: np.ndarray) -> list[slice]:
    return [slice(start, start + BATCH) for start in range(0, len(x), BATCH)]


def _cosine(x: np.ndarray, y: np.ndarray) -> float:
    """Returns Procrustes' cosine with SciPy's rotation."""
    from scipy.linalg import orthogonal_procrustes

    x, y = x - x.mean(0), y - y.mean(0)
    return float(orthogonal_procrustes(x, y)[1] / np.linalg.norm(x) / np.linalg.norm(y))


def _minibatch_torch(x: np.ndarray, y: np.ndarray) -> float:
    """Returns the CKA of minibatches with pytorch-cka's estimator, as its own hooks call it."""
    import sys

    import cka  # noqa: F401
    import torch

    a, b, total = torch.from_numpy(x), torch.from_numpy(y), np.zeros(3)
    for rows in _batched(x):
        grams = [(part @ part.T)[None] for part in (a[rows], b[rows])]
        total += [float(value) for value in sys.modules["cka.hsic"].hsic(*grams)]
    return total[0] / np.sqrt(total[1] * total[2])


def other(index: str, name: str) -> Callable[[np.ndarray, np.ndarray], float]:
    """Returns a package's function of two arrays for an index, as a similarity. Raises ImportError where it is absent."""
    from scipy import spatial, stats
    from scipy.spatial.distance import pdist

    from dlcore.metrics import similarity as ours

    if name == "netrep":
        from netrep.metrics import LinearMetric

        return lambda x, y: float(np.cos(LinearMetric(alpha=1.0).fit(x, y).score(x, y)))
    if name == "repsim":
        import repsim

        return lambda x, y: float(repsim.cka([x, y], "rbf", "gretton")[0, 1])

    def minibatch(x: np.ndarray, y: np.ndarray) -> float:
        found = ours.MinibatchCKA()
        for rows in _batched(x):
            found.update(x[rows], y[rows])
        return found.compute().value

    return {
        ("CKA, minibatches", "dlcore"): minibatch,
        ("CKA, minibatches", "pytorch-cka"): _minibatch_torch,
        ("CKA, Gaussian kernel", "dlcore"): ours.rbf_cka,
        ("Procrustes", "dlcore"): ours.procrustes,
        ("Procrustes", "scipy.linalg, float32"): _cosine,
        ("Procrustes", "scipy.linalg, float64"): lambda x, y: _cosine(x.astype(float), y.astype(float)),
        ("Procrustes", "scipy.spatial"): lambda x, y: float(np.sqrt(1 - spatial.procrustes(x, y)[2])),
        ("RSA", "dlcore"): ours.rsa,
        ("RSA", "scipy"): lambda x, y: float(
            stats.spearmanr(pdist(x, "correlation"), pdist(y, "correlation")).statistic
        ),
    }[index, name]


def reference(index: str, x: np.ndarray, y: np.ndarray) -> float:
    """Returns an index from its definition, in float64 throughout."""
    from scipy import stats

    x, y = x.astype(float), y.astype(float)
    if index == "Procrustes":
        x, y = x - x.mean(0), y - y.mean(0)
        return float(np.linalg.norm(x.T @ y, "nuc") / np.linalg.norm(x) / np.linalg.norm(y))
    if index == "RSA":
        upper = np.triu_indices(len(x), 1)
        return float(stats.spearmanr(*(-np.corrcoef(v)[upper] for v in (x, y))).statistic)
    if index == "CKA, minibatches":

        def song(k: np.ndarray, m: np.ndarray) -> float:
            n = len(k)
            both = np.vdot(k, m) + k.sum() * m.sum() / ((n - 1) * (n - 2))
            return (both - 2 / (n - 2) * k.sum(0) @ m.sum(0)) / (n * (n - 3))

        total = np.zeros(3)
        for rows in _batched(x):
            k, m = ((v[rows] @ v[rows].T) * (1 - np.eye(len(v[rows]))) for v in (x, y))
            total += [len(k) * song(*pair) for pair in ((k, m), (k, k), (m, m))]
        return float(total[0] / np.sqrt(total[1] * total[2]))
    grams = []
    for v in (x, y):
        squares = np.maximum((v * v).sum(1)[:, None] + (v * v).sum(1) - 2 * v @ v.T, 0)
        median = np.median(np.sqrt(squares[np.triu_indices(len(v), 1)]))
        k = np.exp(-squares / (2 * (0.8 * median) ** 2))
        grams.append(k - k.mean(0) - k.mean(1)[:, None] + k.mean())
    return float(np.vdot(*grams) / np.linalg.norm(grams[0]) / np.linalg.norm(grams[1]))


def _other(index: str, name: str, n: int, d: int) -> harness.Cost:
    x, y = inputs(n, d)
    work = other(index, name)
    work(x[: 2 * BATCH, :8], y[: 2 * BATCH, :8])
    first = harness.measure(lambda: work(x, y), 1)
    runs = [harness.measure(lambda: work(x, y), 1) for _ in range(TURNS if first.cpu < 5 else 0)]
    return harness.together(runs or [first], first)._replace(value=(first.value, reference(index, x, y)))


def others(quick: bool) -> harness.Table:
    """Returns the table of the other indices."""
    n, d = (2 * BATCH, 8) if quick else (2_000, 512)
    rows = []
    for index, peers in OTHERS.items():
        base = None
        for name in ("dlcore", *(peers if not quick else peers[-1:])):
            found = harness.alone(_other, index, name, n, d, limit=LIMIT)
            if isinstance(found, str):
                rows.append(harness.remark(found, index=index, method=name))
                continue
            base = base or found
            value, truth = found.value
            error = "another width" if name == "repsim" else f"{abs(value / truth - 1):.0e}"
            row = {"index": index, "method": name, "CPU-s": found.cpu, **harness.compared(found, base)}
            rows.append({**row, "extra MB": found.memory, "error": error})
    note = (
        f"Two float32 representations of {n:,} inputs and {d} features. CPU time, one thread, the median of {TURNS} runs (one, of what "
        f"takes more than 5 s); the error is relative to the definition in float64. Minibatches are of {BATCH}; "
        "ours also checks each batch, centres it and gives an interval. repsim's Gaussian has a width of its own, so its value is "
        "another one. netrep is not on PyPI; it is measured where it is installed."
    )
    peers = harness.versions("scipy", "pytorch-cka", "repsim", "netrep")
    return harness.Table("Other indices against published packages", note, rows, ("time / dlcore's",), peers)


def _pair(quick: bool) -> tuple[Any, Any, Any, list[str]]:
    """Returns two vision transformers, their inputs, and the names of their blocks."""
    import torch
    from torchvision.models.vision_transformer import VisionTransformer

    torch.manual_seed(0)
    torch.set_num_threads(1)
    blocks, images, width = (2, 40, 12) if quick else (12, IMAGES, 192)
    nets = [VisionTransformer(32, 8, blocks, 3, width, 4 * width, num_classes=10).eval() for _ in range(2)]
    names = [f"encoder.layers.encoder_layer_{i}" for i in range(blocks)]
    return *nets, torch.randn(images, 3, 32, 32), names


def layer_by_layer(name: str, quick: bool) -> harness.Cost:
    """Returns the cost of all pairs of layers by a method. Raises ImportError where the package is absent."""
    import torch

    one, two, images, layers = _pair(quick)
    batch = 20 if quick else LOT

    @torch.no_grad()
    def work() -> Any:
        if name == "dlcore":
            from dlcore.similarity import matrix

            return float(matrix(one, two, images, layers, batch_size=batch).value.iloc[0, -1])
        if name == "two forward passes":
            return [len(net(part)) for net in (one, two) for part in images.split(batch)]
        if name == "the products":  # of each batch and layer with itself, then of all pairs of layers
            rows = torch.randn(batch, 17 * (12 if quick else 192))
            for _ in images.split(batch):
                grams = torch.stack([rows @ rows.T for _ in 2 * layers]).double().flatten(1)
                grams[: len(layers)] @ grams[len(layers) :].T
            return None
        loader = torch.utils.data.DataLoader(images, batch_size=batch, shuffle=True)
        if name == "torch-cka":
            from torch_cka import CKA

            found = CKA(one, two, model1_layers=layers, model2_layers=layers, device="cpu")
            pairs = torch.utils.data.TensorDataset(images, torch.zeros(len(images)))
            found.compare(torch.utils.data.DataLoader(pairs, batch_size=batch, shuffle=True))
            return float(found.export()["CKA"][0, -1])
        if name == "ckatorch":
            from ckatorch import CKA

            return float(CKA(one, two, layers)(loader, epochs=1)[0, -1])
        from cka import compute_cka

        return float(compute_cka(one, two, loader, layers=layers, device="cpu", progress=False)[0][0, -1])

    one(images[:4])
    return harness.measure(work, 1)  # one run of 3,000 images takes as long as five of the other tables


def layers(quick: bool) -> harness.Table:
    """Returns the table of all pairs of layers of two networks."""
    rows, base, cpu = [], None, {}
    needed = ("dlcore", "two forward passes", "the products")
    for name in (*needed, *(() if quick else ("ckatorch", "pytorch-cka", "torch-cka"))):
        found = harness.alone(layer_by_layer, name, quick, limit=90)
        if isinstance(found, str):
            rows.append(harness.remark(found, method=name))
            continue
        base, cpu[name] = base or found, found.cpu
        row = {"method": name, "CPU-s": found.cpu, **harness.compared(found, base), "extra MB": found.memory}
        rows.append(row)
    told = ""
    if base is not None and cpu.keys() >= {*needed}:
        share = cpu["dlcore"] / (2 * cpu["two forward passes"] + cpu["the products"])
        told = f" Ours takes {share:.2f} of twice the two passes plus the products, and {base.memory:.0f} MB."
    note = (
        f"Linear CKA, minibatches of {LOT}, of all pairs of 12 layers of two vision transformers of width 192, 17 tokens of {IMAGES:,} "
        "images of 32 x 32, one thread. What the forward passes take is in every row; memory is above the models and inputs. Ours "
        f"also gives intervals, by a jackknife.{told}"
    )
    peers = harness.versions("torch", "ckatorch", "pytorch-cka", "torch-cka")
    return harness.Table("All pairs of layers of two networks", note, rows, ("time / dlcore's",), peers)


def grown(quick: bool) -> harness.Table:
    """Returns the table of costs as sizes double."""
    linear = method("dlcore")
    many, few = ((64, 128), (8, 16)) if quick else ((4_000, 8_000, 16_000), (256, 512, 1_024))

    def work(n: int, d: int) -> Callable[[], Any]:
        x, y = inputs(n, d)
        return lambda: linear(x, y)

    axes = [
        harness.Axis(f"n, at d = {few[0]}", many, lambda n: work(n, few[0]), "2"),
        harness.Axis(f"d, at n = {many[0]:,}", few, lambda d: work(many[0], d), "2 to 4"),
        harness.Axis(f"n, at d = {many[0]:,}", few, lambda n: work(n, many[0]), "2 to 4"),
        harness.Axis(f"d, at n = {few[0]}", many, lambda d: work(few[0], d), "2"),
    ]
    note = (
        "dlcore.metrics.similarity.linear_cka takes products of features (n d²) or of samples (n² d), whichever cost less; "
        "centring and checks cost n d, which is what doubles while the smaller side is small."
    )
    return harness.growth("Linear CKA as its size doubles", note, axes, 1 if quick else 3, least=0.0 if quick else 0.05)


def tables(quick: bool = False) -> list[harness.Table]:
    """Returns the tables of this benchmark."""
    return [compared(quick), others(quick), layers(quick), grown(quick)]


if __name__ == "__main__":
    harness.main(tables, __doc__)
