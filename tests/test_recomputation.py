"""The ledger again, from the raw records: JSON, pandas and SciPy alone, nothing of dlcore but the rows that it must agree with.

What a row selects is written out here a second time, as a reader of `claims.yml` would do it.
"""

import functools
import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import dlcore
from dlcore import claims

RECORDS = Path(dlcore.__file__).parent / "records"


@functools.cache
def read(study):
    """One row a record: settings, metrics and what else it holds."""
    rows = []
    for path in sorted((RECORDS / study).glob("*.jsonl")):
        for record in map(json.loads, path.read_text("utf8").splitlines()):
            rows.append(
                {**record["config"], **record["metrics"], "curves": record["curves"], "arrays": record["arrays"]}
            )
    found = pd.DataFrame(rows).infer_objects()
    return found[found.preset != "smoke"]


def where(rows, **wanted):
    """Rows whose columns have these values, or one of them; None: missing."""
    for name, value in wanted.items():
        column = rows[name]
        if value is None:
            rows = rows[column.isna()]
        elif isinstance(value, list):
            rows = rows[column.isin(value)]
        else:
            rows = rows[np.isclose(column.astype(float), value) if isinstance(value, float) else column == value]
    return rows


def mean(values):
    """Mean and Student's 95 % interval, from SciPy's test of one sample."""
    values = np.asarray(values.dropna(), dtype=float)
    found = stats.ttest_1samp(values, 0).confidence_interval(0.95) if len(values) > 1 else (math.nan, math.nan)
    return values.mean() if len(values) else math.nan, *found


def largest(groups, absolute=False):
    """Largest mean; upper ends of 95 % each, lower ends with the error shared out."""
    groups = [np.asarray(g, dtype=float) for _, g in groups]
    share = 0.05 / len(groups) / (2 if absolute else 1)
    ends = []
    for values in groups:
        test = stats.ttest_1samp(values, 0)
        (low, _), (outer, high) = test.confidence_interval(1 - share), test.confidence_interval(0.95)
        upper = test.confidence_interval(1 - share).high
        m = values.mean()
        ends.append((abs(m), max(0, low, -upper), max(-outer, high)) if absolute else (m, low, high))
    return tuple(max(column) for column in zip(*ends, strict=True))


SSL = ["simclr", "vicreg", "barlow_twins"]


def gaps(**wanted):
    """Chapter 1's main comparison: no augmentation, no test inputs, ridge of strength 1, the longest pretraining."""
    rows = where(read("rationality"), experiment="gaps", augmented=False, transductive=False, preset="laptop", **wanted)
    rows = rows[rows.strength.isna() | (rows.strength == 1)]
    size = {"digits": 1000, "mnist1d": 4000, "fashion_mnist": 10000, "cifar10": 10000}
    rows = rows[rows.n_train == rows.dataset.map(size)]
    return rows[~((rows.dataset == "fashion_mnist") & rows.objective.isin(SSL) & (rows.epochs != 200))]


def large(**wanted):
    """ResNet-18 on CIFAR-10."""
    rows = where(read("rationality"), preset="gpu", dataset=["cifar10", "cifar10_full"], **wanted)
    return rows[rows.n_train >= 40000]


def separation(dataset, architecture):
    ended = where(gaps(dataset=dataset, noise=0.2), objective="supervised", architecture=architecture)
    probe = (
        where(gaps(dataset=dataset, noise=0.2), objective=SSL[:2], probe="ridge").groupby("seed").memorization.mean()
    )
    logs = np.log(ended.set_index("seed").memorization / probe)
    return tuple(np.exp(mean(logs)))


def lost(dataset, probe="ridge"):
    rows = where(gaps(dataset=dataset, noise=0.4), objective=SSL, probe=probe)
    return largest((rows.test - rows.test_after_noise).groupby(rows.objective))


def table():
    return where(read("rationality"), experiment="table", objective="neighbours")


def changed(field):
    rows = where(
        read("rationality"),
        preset="laptop",
        objective="vicreg",
        dataset="mnist1d",
        probe="ridge",
        noise=0.2,
        n_train=4000,
    )
    rows = where(rows, experiment="gaps", strength=1.0)
    other = {"augmented": "transductive", "transductive": "augmented"}[field]
    rows = rows[~rows[other].astype(bool)].set_index(["seed", field]).generalization.unstack()
    return mean(rows[True] - rows[False])


def pairs(architecture="mlp", dataset="mnist1d", width=None, **different):
    """Chapter 2's pairs of the usual width whose bottom differs in nothing but what is named; the usual map."""
    usual = {"top_share": 1.0, "bottom_share": 1.0, "noise": 0.0, "bottom_labels": "classes", "bottom_time": 1.0}
    usual |= {"bottom_objective": "supervised", "top_objective": "supervised", "stitcher_data": "top", "family": "auto"}
    usual |= {"bn_mode": "recalibrate", "init": "random", "kernel_size": 1}
    rows = where(read("stitching"), architecture=architecture, dataset=dataset, **usual | different)
    if "converged" in rows:
        rows = rows[~rows.converged.fillna(False).astype(bool)]
    tops = {
        ("mnist1d", "mlp"): 128,
        ("mnist1d", "convnet"): 16,
        ("fashion_mnist", "resnet"): 8,
        ("cifar10", "resnet18"): 64,
    }
    top = tops[dataset, architecture] if width is None else width
    # every early record leaves the width of the main comparison out or has it
    rows = rows[rows.width == top] if width else rows[rows.width.isna() | (rows.width == top)]
    rows = rows[rows.freeze.isna() | ~rows.freeze.fillna(False).astype(bool)] if "freeze" in rows else rows
    if "bottom_width" not in different:
        rows = rows[rows.bottom_width.isna() | (rows.bottom_width == rows.width)]
    return rows.set_index("seed")


def barrier(rows):
    high = rows.curves.map(lambda c: max(c["penalty"]))
    return rows.top_error + high - np.maximum(rows.top_error, rows.bottom_error)


def by_seed(*parts):
    return mean(pd.concat(parts).groupby(level=0).mean())


HALVES = {"top_share": 0.5, "bottom_share": 0.5}


def laws(**wanted):
    """Chapter 3's classifiers in the settings of the main comparison; not the runs on a partition's own labels."""
    rows = where(read("distributional"), feature=False, preset="laptop", **wanted)
    width = {"kernel_gaussian": 0.66, "kernel_laplace": 0.33, "svm": 0.33}
    kernel = rows.architecture.map(width)
    rows = rows[(kernel.isna() | (rows.bandwidth == kernel)) & (rows.ridge == 0) & (rows.max_depth == 0)]
    return rows[(rows.architecture != "knn") | rows.neighbours.isin([1, 15])]


PREMISE = ["dataset", "architecture", "n_train", "seed", "neighbours", "bandwidth", "width", "epochs"]


def above_epsilon(rows):
    """TV minus epsilon, the error of the same procedure on clean labels, found by its settings, where the two tell something.

    Of interpolating runs with an epsilon of at most a fifth.
    """
    clean = where(read("distributional"), feature=False, preset="laptop", experiment="cyclic", noise=0.0)
    key = {name: -1 for name in PREMISE if rows[name].dtype != object}
    one = clean.fillna(key).drop_duplicates(PREMISE).set_index(PREMISE).test_error
    epsilon = one.reindex(pd.MultiIndex.from_frame(rows.fillna(key)[PREMISE])).to_numpy()
    return (rows.debiased - epsilon)[(rows.train_error <= 0.001) & (epsilon <= 0.2)]


def cats(architecture, **wanted):
    return laws(experiment="subgroup", dataset="cifar10", architecture=architecture, **wanted)


def slopes(rows, x, y):
    return pd.Series({seed: stats.linregress(g[x], g[y]).slope for seed, g in rows.groupby("seed")})


def welch(a, b):
    return a.mean() - b.mean(), *stats.ttest_ind(a, b, equal_var=False).confidence_interval(0.95)


def filtered(pairs):
    rows = where(
        read("scaling"),
        preset="laptop",
        dataset="transduction",
        architecture="2L2L",
        noise_kind="misaligned",
        pairs=pairs,
    )
    rows = where(rows, noise=0.2, width=64, dropout=0.1, test_pairs=4000, learning_rate=0.003)
    rows = rows[rows.steps == {1024: 800, 32768: 4525}[pairs]]
    logs = np.log(rows.set_index("seed").loss)
    used = rows.set_index("seed").filter_pairs
    return mean((logs[used == 1024] - logs[used.isna()]).dropna())


def translated(dataset="transduction", noise_kind="none", architecture="2L2L", **wanted):
    """Chapter 4's fitted runs of 64 units, at the sizes at which words are known; on text of 128 units, at all sizes."""
    rows = where(read("scaling"), preset="laptop", dataset=dataset, noise_kind=noise_kind, architecture=architecture)
    rows = where(rows, learning_rate=0.003, dropout=0.1, test_pairs=4000, **wanted)
    if dataset != "transduction":
        return where(rows, width=128)
    rows = where(rows, width=64)
    rows = rows[np.isclose(rows.steps, 25 * np.sqrt(rows.pairs), rtol=0.01)]
    return rows[rows.groupby("pairs").loss_word.transform("mean") <= 0.5 * np.log(21845)]


def ratio_slope(a, b, one="loss", two="loss", floor=0.0):
    """The exponent of b minus that of a: minus the slope of the logarithm of their ratio over that of the size."""
    means = [np.log(r[c] - floor).groupby(r.pairs).mean() for r, c in ((a, one), (b, two))]
    difference = (means[1] - means[0]).dropna()
    line = stats.linregress(np.log(difference.index), difference)
    half = stats.t.ppf(0.975, len(difference) - 2) * line.stderr
    return -line.slope, -line.slope - half, -line.slope + half


def beside_clean(architecture):
    clean = translated()
    return ratio_slope(clean, translated(architecture=architecture), floor=clean.oracle.mean())


def on_text(**wanted):
    dataset = "tatoeba_eng-deu"
    return ratio_slope(translated(dataset), translated(dataset, **wanted))


ROWS = {
    "architecture-exponent-4l1l-paired": lambda: beside_clean("4L1L"),
    "architecture-exponent-1l4l-paired": lambda: beside_clean("1L4L"),
    "architecture-exponent-decoder-only-paired": lambda: beside_clean("decoder_only"),
    "architecture-exponent-lstm-paired": lambda: beside_clean("transformer_lstm"),
    "counting-difference": lambda: ratio_slope(
        (clean := translated()), clean, "reference", "loss", floor=clean.oracle.mean()
    ),
    "tatoeba-p-decoder-only-paired": lambda: on_text(architecture="decoder_only"),
    "tatoeba-p-lstm-paired": lambda: on_text(architecture="transformer_lstm"),
    "tatoeba-p-noise-paired": lambda: on_text(noise_kind="target", noise=0.2),
    "tatoeba-p-misaligned-paired": lambda: on_text(noise_kind="misaligned", noise=0.2),
    "rrm-bound": lambda: 3 * ((read("rationality").generalization - read("rationality").bound).max(),),
    "separation-mnist1d": lambda: separation("mnist1d", "convnet"),
    "separation-digits": lambda: separation("digits", "mlp"),
    "separation-cifar10": lambda: separation("cifar10", "resnet"),
    "separation-fashion": lambda: separation("fashion_mnist", "resnet"),
    "memorization-cifar10": lambda: largest(
        where(gaps(dataset="cifar10", noise=0.05), objective=SSL[:2], probe="ridge").groupby("objective").memorization
    ),
    "gap-cifar10": lambda: mean(
        where(gaps(dataset="cifar10", noise=0.05), objective="simclr", probe="ridge").generalization
    ),
    "flat-mnist1d": lambda: lost("mnist1d"),
    "flat-cifar10": lambda: lost("cifar10"),
    "flat-digits": lambda: lost("digits"),
    "flat-mnist1d-logistic": lambda: lost("mnist1d", "logistic"),
    "flat-digits-logistic": lambda: lost("digits", "logistic"),
    "probe-leaves-noise": lambda: largest(
        where(gaps(dataset="mnist1d", noise=0.5), objective=SSL, probe="ridge")
        .groupby("objective")
        .train_on_noisy_labels
    ),
    "rationality-small": lambda: largest(
        where(gaps(dataset="mnist1d", noise=0.05), objective=SSL, probe="ridge").groupby("objective").rationality
    ),
    "table-identity": lambda: mean(table().table_measured - table().table_predicted),
    "table-gain": lambda: mean(table().table_measured - table().test),
    "augmented-gap": lambda: changed("augmented"),
    "transductive-gap": lambda: changed("transductive"),
    "gap-at-paper-scale": lambda: mean(large(objective="simclr", noise=0.05).generalization),
    "memorization-at-paper-scale": lambda: mean(large(objective="simclr", noise=0.05).memorization),
    "stitching-connectivity-convnet": lambda: mean(pairs("convnet").excess_mid / pairs("convnet").random_excess_mid),
    "stitching-connectivity-mlp": lambda: mean(pairs().excess_mid / pairs().random_excess_mid),
    "stitching-excess": lambda: by_seed(pairs().excess_mid, pairs("convnet").excess_mid),
    "stitching-random": lambda: by_seed(pairs().random_excess_last, pairs("convnet").random_excess_last),
    "stitching-halves": lambda: mean(pairs(**HALVES).excess_mid),
    "stitching-more-data": lambda: mean(pairs(top_share=0.25).excess_last),
    "stitching-less-data": lambda: mean(pairs(top_share=0.25, bottom_share=0.05).excess_last),
    "stitching-random-labels": lambda: mean(pairs(noise=1.0).excess_mid),
    "stitching-noisy-labels": lambda: mean(pairs(noise=0.5).excess_last - pairs(noise=0.5).excess_first),
    "stitching-identity": lambda: mean(pairs(family="identity").penalty_mid),
    "stitching-path": lambda: by_seed(barrier(pairs("convnet")), barrier(pairs("convnet", **HALVES))),
    "stitching-path-mlp": lambda: by_seed(barrier(pairs()), barrier(pairs(**HALVES))),
    "stitching-path-fashion": lambda: by_seed(
        barrier(pairs("resnet", "fashion_mnist")), barrier(pairs("resnet", "fashion_mnist", **HALVES))
    ),
    "stitching-path-least-squares": lambda: mean(barrier(pairs("convnet", init="least_squares"))),
    "stitching-self-supervised": lambda: mean(pairs("convnet", bottom_objective="simclr").excess_mid),
    "stitching-width-connects": lambda: mean(barrier(pairs("convnet", width=4)) - barrier(pairs("convnet", width=32))),
    "stitching-kernel": lambda: mean(pairs("convnet", kernel_size=3).excess_mid - pairs("convnet").excess_mid),
    "stitching-random-cifar10": lambda: mean(pairs("resnet18", "cifar10").random_excess_last),
    "nn-is-a-sampler": lambda: largest(
        (
            (r := laws(experiment="cyclic", dataset="digits", architecture="knn", neighbours=1)).flip_rate_test
            - r.noise
        ).groupby(r.noise),
        absolute=True,
    ),
    "knn-binomial": lambda: largest(
        (
            (
                r := where(
                    read("distributional"),
                    feature=False,
                    experiment="cyclic",
                    dataset="digits",
                    architecture="knn",
                    noise=0.3,
                    neighbours=[1, 3, 5, 7, 9, 11, 13, 15],
                )
            ).flip_rate_test
            - stats.binom.sf(r.neighbours // 2, r.neighbours, 0.3)
        ).groupby(r.neighbours),
        absolute=True,
    ),
    "cats-become-objects": lambda: mean(cats("resnet", noise=0.3).flip_rate_test),
    "cats-slope": lambda: mean(slopes(cats("resnet"), "noise", "flip_rate_test")),
    "cats-excess": lambda: mean(
        cats("resnet", noise=0.3).set_index("seed").flip_rate_test
        - cats("resnet", noise=0.0).set_index("seed").flip_rate_test
    ),
    "other-animals-slope": lambda: mean(slopes(cats("resnet"), "noise", "other_same_error")),
    "mlp-slope": lambda: welch(
        *(
            slopes(where(cats(a), noise=[0.0, 0.3, 0.5]), "flip_rate_test", "other_same_error")
            for a in ("mlp", "resnet")
        )
    ),
    "cats-calibrated": lambda: mean(above_epsilon(cats("resnet", noise=0.3))),
    "fashion-subgroup-calibrated": lambda: mean(
        above_epsilon(laws(experiment="subgroup", dataset="fashion_mnist", architecture="convnet", noise=0.3))
    ),
    "laplace-kernel-calibrated": lambda: mean(
        above_epsilon(laws(experiment="cyclic", dataset="digits", architecture="kernel_laplace", noise=0.3))
    ),
    "forest-calibrated": lambda: mean(
        above_epsilon(laws(experiment="cyclic", dataset="digits", architecture="forest", noise=0.3))
    ),
    "fashion-subgroup-convnet": lambda: mean(
        laws(experiment="subgroup", dataset="fashion_mnist", architecture="convnet", noise=0.3).flip_rate_test
    ),
    "digits-subgroup-mlp": lambda: mean(
        laws(experiment="subgroup", dataset="digits", architecture="mlp", noise=0.3).flip_rate_test
    ),
    "mlp-noise-on-all-classes": lambda: mean(
        laws(experiment="cyclic", dataset="digits", architecture="mlp", noise=0.3).flip_rate_test
    ),
    "agreement-networks": lambda: mean(
        (
            (
                r := laws(
                    experiment="agreement",
                    architecture=["mlp", "convnet"],
                    dataset=["digits", "fashion_mnist"],
                    noise=0.0,
                )
            ).agreement
            - r.test_accuracy_noisy
        )
        .abs()
        .groupby(r.seed)
        .mean()
    ),
    "human-noise": lambda: mean(
        above_epsilon(laws(experiment="human", dataset="cifar10", architecture="resnet", annotator="worse"))
    ),
    "filter-small": lambda: filtered(1024),
    "filter-large": lambda: filtered(32768),
}


@pytest.fixture(scope="module")
def ledger():
    return {c.id: c for c in claims.evaluate()}


@pytest.mark.parametrize("name", ROWS)
def test_a_row_of_the_ledger_follows_from_the_raw_records(name, ledger):
    value, low, high = ROWS[name]()
    measured = ledger[name].measured
    assert measured.value == pytest.approx(value, rel=1e-6, abs=1e-9, nan_ok=True)
    if math.isnan(low):
        assert math.isnan(measured.low)
    else:
        assert measured[1:3] == pytest.approx((low, high), rel=1e-5, abs=1e-8)


def test_the_exponents_are_near_those_of_a_straight_line_over_the_sizes(ledger):
    """Least squares of the mean log excess over log size, in place of Huber's loss and a bootstrap of residuals."""
    rows = where(read("scaling"), preset="laptop", dataset="transduction", architecture="2L2L", noise_kind="none")
    rows = where(rows, width=64, dropout=0.1, test_pairs=4000, learning_rate=0.003)
    rows = rows[np.isclose(rows.steps, 25 * np.sqrt(rows.pairs), rtol=0.01)]
    rows = rows[rows.groupby("pairs").loss_word.transform("mean") <= 0.5 * np.log(21845)]
    for name, column in (("excess-exponent", "loss"), ("reference-exponent", "reference")):
        means = np.log(rows[column] - rows.oracle.mean()).groupby(rows.pairs).mean()
        line = stats.linregress(np.log(means.index), means)
        half = stats.t.ppf(0.975, len(means) - 2) * line.stderr
        measured = ledger[name].measured
        assert measured.value == pytest.approx(-line.slope, abs=0.005), name
        assert measured[1:3] == pytest.approx((-line.slope - half, -line.slope + half), abs=0.01), name


def test_forty_rows_are_recomputed_in_every_verdict():
    assert len(ROWS) >= 40
    verdicts = {c.verdict for c in claims.evaluate() if c.id in ROWS}
    assert {"reproduced", "undecided", "not reproduced", "identity"} <= verdicts
