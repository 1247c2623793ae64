"""What the page's own experiments must reproduce, computed by the Python: tests/browser/golden.json.

python book/golden.py        write the file anew, after a change of what it holds

A test in Chromium compares every mechanism of _static/lab with it, and another one this file with what it says today.
"""

from __future__ import annotations

import itertools
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import stats

from dlcore import data, noise
from dlcore.cache import write_atomically
from dlcore.data import mnist1d
from dlcore.metrics import distributional as dg
from dlcore.metrics import rationality as rr
from dlcore.metrics import scaling
from dlcore.metrics.similarity import linear_cka
from dlcore.metrics.statistics import wilson_interval
from dlcore.models import network as made
from dlcore.models.classical import classical
from dlcore.probing import noisy_draws, probe
from dlcore.stitching import stitch
from dlcore.studies.distributional.tasks import flip_rate, make_task
from dlcore.translation.counting import SMOOTHING

FILE = Path(__file__).parents[1] / "tests" / "browser" / "golden.json"
STEPS, BATCH = 50, 8
SEEDS = 20


def _text(labels: np.ndarray) -> str:
    return "".join(map(str, labels))


def random_numbers() -> dict[str, Any]:
    """Returns NumPy's numbers for some seeds."""
    rng = np.random.default_rng([3, 5])
    return {
        "doubles": rng.random(5).tolist(),
        "below9": rng.integers(0, 9, 7).tolist(),
        "after": rng.random(2).tolist(),
        "large": np.random.default_rng([1, 2, 3, 4, 5, 6]).integers(0, 2**31, 4).tolist(),
        "permutation": np.random.default_rng([7, 5]).permutation(100).tolist(),
    }


def labels() -> dict[str, Any]:
    """Returns a split, and labels under each noise of the study."""
    source = data.load("digits", n_train=200, seed=3)
    found = {"clean": _text(source.train_labels), "test": _text(source.test_labels)}
    found["pixels"] = (np.rint(source.train_inputs.reshape(200, -1) * 16) @ np.arange(1, 65)).astype(int).tolist()
    for name in ("cyclic", "pair", "subgroup", "sparse"):
        found[name] = _text(make_task(source, name, 0.3, 3).labels)
    found["flipped"] = _text(noise.flip_labels(source.train_labels, 10, 0.3, 11).labels)
    return found


def classifiers(seeds: int = SEEDS) -> dict[str, Any]:
    """Returns the answers of the study's classifiers on new images, and of trees their distribution over seeds."""
    task = make_task(data.load("digits", seed=0), "cyclic", 0.3, 0)
    x, t = data.to_float(task.inputs, task.inputs), data.to_float(task.test_inputs, task.inputs)
    found: dict[str, Any] = {}
    for name, family, settings in (
        ("1-NN", "knn", {"neighbours": 1}),
        ("15-NN", "knn", {"neighbours": 15}),
        ("laplace", "kernel_laplace", {"bandwidth": 0.33}),
        ("gaussian", "kernel_gaussian", {"bandwidth": 0.66}),
    ):
        answers = classical(family, **settings).fit(x, task.labels).predict(t)
        counts = np.zeros(task.shape, int)
        np.add.at(counts, (task.test_feature, answers), 1)
        found[name] = {"answers": _text(answers), "moved": flip_rate(counts, task.flips)[0]}
    few = make_task(data.load("digits", n_train=200, seed=0), "cyclic", 0.3, 0)
    x, t = few.inputs.reshape(200, -1), few.test_inputs.reshape(len(few.test_inputs), -1)
    for name in ("tree", "forest"):
        answers = [classical(name, seed=s).fit(x, few.labels).predict(t) for s in range(seeds)]
        moved = [float(np.mean(a == (few.test_feature + 1) % 10)) for a in answers]
        right = [float(np.mean(a == few.test_feature)) for a in answers]
        found[name] = {"moved": moved, "right": right}
    return found


def gaps() -> dict[str, Any]:
    """Returns the gaps of probes on pixels, with the certificate."""
    source, draws = data.load("digits", n_train=300, seed=2), 20
    x, t = (v.reshape(len(v), -1) for v in (source.train_inputs, source.test_inputs))
    y = source.train_labels
    noisy = noisy_draws(y, 10, 0.2, 2, draws)
    found = {}
    for name, settings in (("ridge", {"strength": 1.0}), ("logistic", {"strength": 1.0}), ("knn", {"neighbours": 5})):
        told = probe(name, x, np.concatenate([y[None], noisy]), t, 10, **settings)
        e = rr.noisy_experiment(told.train[1:], noisy, y)
        g = rr.gaps(
            np.mean(told.train[0] == y), np.mean(told.test[0] == source.test_labels), e.train_noisy, e.noisy_train
        )
        certificate = rr.sharp_memorization_bound(
            rr.binary_deviation_complexity(told.train[1:], noisy, y), e.num_samples, e.rate
        )
        parts = ("train", "test", "robustness", "rationality", "memorization", "generalization", "bound")
        found[name] = {k: getattr(g, k) for k in parts} | {"rate": e.rate, "certificate": certificate}
        found[name] |= {"trainNoisy": g.train_noisy, "noisyTrain": g.noisy_train}
        found[name]["testAfter"] = float(np.mean(told.test[1:] == source.test_labels))
    return {name: {k: float(v) for k, v in values.items()} for name, values in found.items()}


def network() -> dict[str, Any]:
    """Returns a small network, its data, and its weights after some steps of torch's Adam."""
    rng = np.random.default_rng(0)
    sizes, x = (8, 6, 5, 3), np.round(rng.normal(size=(32, 8)), 3)
    y = rng.integers(0, 3, 32)
    net = torch.nn.Sequential()
    start = []
    for i, (p, q) in enumerate(itertools.pairwise(sizes)):
        layer = torch.nn.Linear(p, q, dtype=torch.float64)
        start.append((np.round(rng.normal(size=(p, q)) / np.sqrt(p), 3), np.round(0.1 * rng.normal(size=q), 3)))
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(start[-1][0].T))
            layer.bias.copy_(torch.from_numpy(start[-1][1]))
        net.append(layer)
        if i < len(sizes) - 2:
            net.append(torch.nn.ReLU())
    optimizer, loss = torch.optim.Adam(net.parameters(), lr=0.01), torch.nn.CrossEntropyLoss()
    inputs, targets = torch.from_numpy(x), torch.from_numpy(y)
    for step in range(STEPS):
        rows = [(step * BATCH + i) % 32 for i in range(BATCH)]
        optimizer.zero_grad()
        loss(net(inputs[rows]), targets[rows]).backward()
        optimizer.step()
    layers = [layer for layer in net if isinstance(layer, torch.nn.Linear)]
    end = [layer.weight.detach().numpy().T.ravel().tolist() for layer in layers]
    biases = [layer.bias.detach().numpy().tolist() for layer in layers]
    outputs = net(inputs).detach().numpy().ravel().tolist()
    return {
        "sizes": sizes,
        "x": x.ravel().tolist(),
        "y": y.tolist(),
        "weights": [w.ravel().tolist() for w, _ in start],
        "biases": [b.tolist() for _, b in start],
        "end_weights": end,
        "end_biases": biases,
        "outputs": outputs,
    }


def stitched() -> dict[str, Any]:
    """Returns two small networks, rows, and the penalty of least squares at both hidden layers of the second."""
    rng = np.random.default_rng(3)
    sizes, n = (8, 12, 12, 3), 60
    x, nets, weights = np.round(rng.normal(size=(100, 8)), 3), [], []
    for _ in range(2):
        net = made("mlp", (1, 8), 3, width=12)
        drawn = [np.round(rng.normal(size=shape) / np.sqrt(shape[0]), 3) for shape in itertools.pairwise(sizes)]
        for layer, w in zip((m for m in net.modules() if isinstance(m, torch.nn.Linear)), drawn, strict=True):
            with torch.no_grad():
                layer.weight.copy_(torch.from_numpy(w.T))
                layer.bias.zero_()
        nets.append(net.eval())
        weights.append([w.ravel().tolist() for w in drawn])
    inputs = torch.from_numpy(x).float()[:, None]
    with torch.no_grad():
        y = nets[1](inputs).argmax(1)
    given = (inputs[:n], y[:n], inputs[n:], y[n:])
    penalties = [
        stitch(nets[0], nets[1], f"hidden{at}", family="least_squares", data=given, device="cpu").penalty
        for at in (1, 2)
    ]
    return {
        "sizes": sizes,
        "x": x.ravel().tolist(),
        "y": y.tolist(),
        "n": n,
        "weights": weights,
        "penalties": penalties,
    }


def memorised() -> dict[str, float]:
    """Returns the gaps of whatever makes no error in training, on clean labels and on the first noisy draw of `gaps`."""
    y = data.load("digits", n_train=300, seed=2).train_labels
    noisy = noisy_draws(y, 10, 0.2, 2, 1)
    e = rr.noisy_experiment(noisy, noisy, y)
    found = rr.gaps(1.0, 1.0, e.train_noisy, e.noisy_train)
    return {"rate": e.rate, "robustness": found.robustness, "memorization": found.memorization}


def answers() -> dict[str, Any]:
    """Returns answers of a classifier with the labels' law, and what the page says of them."""
    rng = np.random.default_rng(4)
    feature = rng.integers(0, 3, 90)
    label, prediction = (np.where(rng.random(90) < 0.7, feature, rng.integers(0, 3, 90)) for _ in range(2))
    counts = np.zeros((3, 3))
    np.add.at(counts, (feature, label), 1)
    law = counts / counts.sum(1, keepdims=True)
    return {
        "feature": feature.tolist(),
        "prediction": prediction.tolist(),
        "label": label.tolist(),
        "tv": dg.feature_calibration(feature, prediction, law).tv,
        "agreement": dg.agreement(prediction, label),
        "interval": list(wilson_interval(int(np.sum(prediction == label)), 90)[1:3]),
        "sampler": dg.sampler_agreement(law, counts.sum(1) / 90),
    }


def measures() -> dict[str, Any]:
    """Returns distances with their null, alignment, intervals and least squares of given tables."""
    rng = np.random.default_rng(1)
    law = np.array([[0.7, 0.3, 0.0], [0.1, 0.8, 0.1], [1.0, 0.0, 0.0]])
    counts = np.array([[30, 25, 5], [4, 50, 6], [0, 0, 0]])
    close = dg.calibration_from_counts(counts, law, replicates=20_000)
    x = np.round(rng.normal(size=(40, 4)), 3)
    y = np.round(x[:, :2] @ rng.normal(size=(2, 3)) + rng.normal(size=(40, 3)), 3)
    map_, *_ = np.linalg.lstsq(np.column_stack([x, np.ones(40)]), y, rcond=None)
    tails = [(2.0, 1), (1.5, 2), (0.7, 7), (2.3, 30)]
    return {
        "law": law.ravel().tolist(),
        "counts": counts.ravel().tolist(),
        "tv": {k: getattr(close, k) for k in ("tv", "null_mean", "null_q95", "debiased", "low", "high")},
        "null_bias": dg.null_bias(law, counts.sum(1)),
        "x": x.ravel().tolist(),
        "y": y.ravel().tolist(),
        "cka": linear_cka(x, y),
        "cka_debiased": linear_cka(x, y, debiased=True),
        "map": map_.ravel().tolist(),
        "wilson": list(wilson_interval(17, 60)[1:3]),
        "tails": [[t, dof, float(stats.t.sf(t, dof))] for t, dof in tails],
        "quantile": float(stats.t.ppf(0.975, 7)),
    }


def laws() -> list[dict[str, Any]]:
    """Returns fits of the four laws to learning curves: one run a size, three seeds a size, a pure power law, a flat one."""
    rng = np.random.default_rng(2)
    sizes = 1000.0 * 2 ** np.arange(10)
    curves = [
        (sizes, 2 * (1 / sizes + 1e-5) ** 0.3 * np.exp(0.01 * rng.normal(size=10))),
        (np.repeat(sizes[:8], 3), 0.5 + 9 * np.repeat(sizes[:8], 3) ** -0.35 * np.exp(0.01 * rng.normal(size=24))),
        (sizes[:6], 3 * sizes[:6] ** -0.4 * np.exp(0.005 * rng.normal(size=6))),
        (sizes[:7], 1.0 + 0.002 * rng.normal(size=7)),
    ]
    found = []
    for d, loss in curves:
        loss = np.round(loss, 6)
        told = scaling.report(d, loss, bootstrap=120)
        fits = {
            name: {
                "parameters": {k: None if np.isnan(v) else v for k, v in f.parameters.items()},
                "flags": f.flags,
                "rmsle": f.rmsle,
                "interval": list(f.intervals[f.curve.law.exponent]),
                "held_out": told.held_out[name].error,
                "doubling": float(f.predict(2 * d.max()) / f.predict(d.max())),
                "next": float(f.predict(d.max()) - f.predict(d.max() + 1)),
            }
            for name, f in told.fits.items()
        }
        found.append(
            {"sizes": d.tolist(), "losses": loss.tolist(), "fits": fits, "best": told.best, "sentence": told.sentence}
        )
    return found


def signals() -> dict[str, Any]:
    """Returns the mean of MNIST-1D's signals of each class, (10, 40), the deviation of all from these at each point, and
    the error of 1-NN on 1,000 of them."""
    x, y = mnist1d.generate(20_000, seed=1)
    errors = [
        np.mean(classical("knn", neighbours=1).fit(x[a:b, 0], y[a:b]).predict(x[10_000:, 0]) != y[10_000:])
        for a, b in itertools.pairwise(range(0, 6_000, 1_000))
    ]
    means = np.stack([x[y == c, 0].mean(0) for c in range(10)])
    return {
        "means": means.round(4).tolist(),
        "deviations": (x[:, 0] - means[y]).std(0).round(4).tolist(),
        "error": float(np.mean(errors)),
    }


def lexicon() -> dict[str, Any]:
    """Returns the excess of a learner that counts the words of one Zipfian list over its floor, in nats per word.

    Poisson counts of 6 words a pair; every fourth type has two translations, 7 to 3; a fifth of them is replaced.
    """
    types, exponent, rate, q, draws = 1024, 1.5, 0.2, 0.7, 200
    rng = np.random.default_rng(0)
    p = np.arange(1, types + 1) ** -exponent
    p /= p.sum()
    share = np.where(np.arange(types) % 4 == 0, q, 1.0)
    excess = []
    for power in range(5, 16):
        seen = rng.poisson(6 * 2**power * p, size=(draws, types))
        good = rng.binomial(seen, 1 - rate)
        first = rng.binomial(good, share)
        one, two = (np.log((c + SMOOTHING / types) / (seen + SMOOTHING)) for c in (first, good - first))
        excess.append(-(p * (share * one + (1 - share) * two)).sum(1).mean())
    entropy = p[::4].sum() * -(q * np.log(q) + (1 - q) * np.log(1 - q))
    settings = {"types": types, "exponent": exponent, "rate": rate}
    return {"settings": settings, "excess": (np.array(excess) - entropy + np.log1p(-rate)).tolist()}


def golden(seeds: int = SEEDS) -> dict[str, Any]:
    """Returns all that the page is compared with; of trees the first seeds."""
    return {
        "random": random_numbers(),
        "labels": labels(),
        "classifiers": classifiers(seeds),
        "gaps": gaps(),
        "network": network(),
        "stitched": stitched(),
        "memorised": memorised(),
        "answers": answers(),
        "measures": measures(),
        "laws": laws(),
        "signals": signals(),
        "lexicon": lexicon(),
    }


if __name__ == "__main__":
    write_atomically(FILE, json.dumps(golden(), indent=1) + "\n")
    print(f"wrote {FILE.relative_to(Path.cwd())}", file=sys.stderr)
