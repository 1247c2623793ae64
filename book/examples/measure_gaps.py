"""Measures robustness, memorization and rationality gaps of a probe on cached features, with intervals and a bound.

python measure_gaps.py features.npz --probe ridge --rate 0.1 --draws 20
python measure_gaps.py --demo                    # digits, made on the spot
python measure_gaps.py --demo features.npz       # the same, and keeps the example file

features.npz holds four arrays: `features` (n, d), `labels` (n,), `test_features` (m, d), `test_labels` (m,). Labels are
the clean ones, names or numbers; the noise is drawn here.
"""

import argparse
import json
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np

from dlcore.cache import write_atomically
from dlcore.probing import PROBES, probe_rationality

ARRAYS = ("features", "labels", "test_features", "test_labels")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="?", type=Path, help="npz file of the four arrays")
    parser.add_argument("--probe", choices=PROBES, default="ridge", help="the simple classifier (%(default)s)")
    parser.add_argument("--strength", type=float, default=1.0, help="penalty of ridge and logistic (%(default)s)")
    parser.add_argument("--neighbours", type=int, default=15, help="of knn (%(default)s)")
    parser.add_argument("--rate", type=float, default=0.1, help="share of labels that are flipped (%(default)s)")
    parser.add_argument("--draws", type=int, default=20, help="of the noise, each a new fit (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the noise (%(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the result here")
    parser.add_argument("--demo", action="store_true", help="make an example file, and measure on it")
    return parser.parse_args()


def example(path):
    """1,000 training and 797 test digits; the features are 200 random ones of the pixels."""
    from sklearn.datasets import load_digits

    if path.exists():
        raise ValueError(f"{path} exists; --demo does not overwrite it")
    x, y = load_digits(return_X_y=True)
    rng = np.random.default_rng(0)
    order = rng.permutation(len(x))
    x, y = np.maximum(x[order] / 16 @ rng.normal(size=(64, 200)) / 8, 0).astype(np.float32), y[order]
    np.savez(path, features=x[:1000], labels=y[:1000], test_features=x[1000:], test_labels=y[1000:])


def read(path):
    """Returns the four arrays, labels numbered 0..K-1 over both sets."""
    if path.exists() and not zipfile.is_zipfile(path):
        raise ValueError(f"{path} is no npz file; save the four arrays with np.savez")
    with np.load(path) as file:
        for name in ARRAYS:
            if name not in file.files:
                raise ValueError(f"{path} has no array {name!r}; its arrays are {', '.join(file.files)}")
        x, y, test, y_test = (file[name] for name in ARRAYS)
    for name, labels in (("labels", y), ("test_labels", y_test)):
        if labels.ndim != 1:
            raise ValueError(
                f"{path}: {name} has shape {labels.shape}; one class a point is needed (argmax of one-hot)"
            )
        if labels.dtype.kind == "f" and (labels != np.round(labels)).any():
            raise ValueError(f"{path}: {name} holds {labels[labels != np.round(labels)][0]}, which is no class")
    classes, codes = np.unique(np.concatenate([y, y_test]), return_inverse=True)
    return x, codes[: len(y)], test, codes[len(y) :], classes


def main(args):
    with tempfile.TemporaryDirectory() as folder:
        path = args.file or Path(folder) / "features.npz"
        if args.demo:
            example(path)
        elif args.file is None:
            raise ValueError("name an npz file, or try --demo")
        *arrays, classes = read(path)
    n, m = len(arrays[1]), len(arrays[3])
    found = probe_rationality(
        args.probe,
        *arrays,
        rate=args.rate,
        draws=args.draws,
        seed=args.seed,
        strength=args.strength,
        neighbours=args.neighbours,
    )

    flips = round(found.rate * n * args.draws)
    print(
        f"{args.probe} on {arrays[0].shape[1]} features: {n:,} training and {m:,} test points, {len(classes)} classes"
    )
    print(f"{args.draws} draws of noise, {flips:,} flipped labels in all\n")
    print(found)
    if flips < 2000:
        print("\nFew flipped labels: take more draws before you quote the bounds.")
    if missing := sorted(set(range(len(classes))) - set(arrays[1].tolist())):
        print(f"\nNot among the training labels: {', '.join(str(classes[k]) for k in missing)}.")
    if args.json:
        result = {"probe": args.probe, "n": n, "test": m, "classes": len(classes), "flipped": flips}
        result |= {"train": found.gaps.train, "test_accuracy": found.gaps.test, "rate": found.rate}
        result |= {name: interval.to_dict() for name, interval in vars(found.intervals).items()}
        result |= {"bound_sharp": found.bound_sharp, "bound_published": found.bound_published}
        write_atomically(args.json, json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    try:
        main(arguments())
    except (ValueError, OSError, zipfile.BadZipFile) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
