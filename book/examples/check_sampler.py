"""Asks whether a classifier behaves like a sampler of its training labels, from a table of its predictions.

python check_sampler.py test.csv --law law.csv                  # p(y | feature) of the training labels is known
python check_sampler.py test.csv --train train.csv              # or it is taken from the training labels
python check_sampler.py test.csv --second prediction_b          # and how often do two classifiers agree?
python check_sampler.py --demo                                  # example tables made on the spot
python check_sampler.py --demo test.csv                         # the same, and keeps the example file

test.csv (or .npz) has a row for each test point: `feature`, the part of any partition that the point belongs to;
`prediction`, the class that the classifier gives it; `label`, optional: a label drawn from the law of the *training*
labels, noise included (not the clean label). train.csv has `feature` and `label` of the training points. law.csv
has a column `feature` and a column for each class, a row for each part. Names and numbers are both welcome.
"""

import argparse
import json
import sys
import tempfile
import zipfile
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd

from dlcore.cache import write_atomically
from dlcore.metrics.distributional import agreement_gap, feature_calibration, joint_density, train_test_tv
from dlcore.reading import read_table


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", nargs="?", type=Path, help="CSV or npz file of the test points")
    parser.add_argument("--law", type=Path, help="CSV file of p(y | feature)")
    parser.add_argument("--train", type=Path, help="CSV or npz file of the training points")
    for name in ("feature", "prediction", "label"):
        parser.add_argument(f"--{name}", default=name, metavar="COLUMN", help="its column (%(default)s)")
    parser.add_argument("--second", metavar="COLUMN", help="column of another classifier's predictions")
    parser.add_argument("--seed", type=int, default=0, help="of the null and the intervals (%(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the result here")
    parser.add_argument("--demo", action="store_true", help="make example tables of two exact samplers, and check them")
    return parser.parse_args()


def example(path, law_path):
    """Two exact samplers of a law in which 30 % of the cats are labelled object; a known law and noisy labels."""
    if path.exists():
        raise ValueError(f"{path} exists; --demo does not overwrite it")
    names, classes = np.array(["cat", "dog", "car"]), np.array(["animal", "object"])
    law = np.array([[0.7, 0.3], [1.0, 0.0], [0.0, 1.0]])
    rng = np.random.default_rng(0)
    part = rng.integers(0, 3, 3000)
    drawn = {name: classes[(rng.random(3000) < law[part, 1]).astype(int)] for name in ("prediction", "second", "label")}
    pd.DataFrame({"feature": names[part], **drawn}).to_csv(path, index=False)
    pd.DataFrame(law, columns=classes).assign(feature=names).to_csv(law_path, index=False)


def read(path, names):
    """Returns columns of a CSV or npz file by name."""
    if path.suffix == ".npz":
        if path.exists() and not zipfile.is_zipfile(path):
            raise ValueError(f"{path} is no npz file; save the columns with np.savez")
        with np.load(path) as arrays:
            found = {name: arrays[name] for name in arrays.files}
        if wide := [name for name in names if name in found and found[name].ndim != 1]:
            raise ValueError(f"{path}: {wide[0]} has shape {found[wide[0]].shape}; one value a point is needed")
        if len({len(found[name]) for name in names if name in found}) > 1:
            raise ValueError(f"{path}: {', '.join(f'{n} has {len(found[n])} entries' for n in names if n in found)}")
    else:
        table = read_table(path)
        found = {name: table[name].to_numpy() for name in table}
    for name in names:
        if name not in found:
            raise ValueError(f"{path} has no column {name!r}; its columns are {', '.join(found)}")
        if len(found[name]) == 0:
            raise ValueError(f"{path} has no rows")
        missing = np.flatnonzero(pd.isna(found[name]))
        if missing.size:
            raise ValueError(f"{path}, row {missing[0] + 1}: {name} is missing")
    return found


def numbered(path, name, values, choices):
    """Returns the places of the values among the choices."""
    values = [text(v) for v in values]
    place = {choice: k for k, choice in enumerate(choices)}
    if unknown := sorted(set(values) - set(choices)):
        known = ", ".join(choices[:10]) + (", ..." if len(choices) > 10 else "")
        raise ValueError(f"{path}: {name} {unknown[0]!r} is not among {known}")
    return np.array([place[v] for v in values])


def text(value):
    """3, 3.0 and "3" are one class."""
    return str(int(value)) if isinstance(value, float | np.floating) and value.is_integer() else str(value)


def ordered(*columns):
    """Returns the distinct values of all columns; numbers in their own order."""
    found = {text(v) for column in columns for v in column}
    return sorted(found, key=lambda v: (not v.isdigit(), int(v) if v.isdigit() else 0, v))


def known_law(path, feature):
    """Returns the parts, the classes and p(y | feature) of a table."""
    table = read(path, [feature])
    parts = [text(v) for v in table.pop(feature)]
    if len(set(parts)) < len(parts):
        raise ValueError(f"{path}: {feature} {next(p for p in parts if parts.count(p) > 1)!r} has two rows")
    try:
        return parts, list(table), np.stack([column.astype(float) for column in table.values()], axis=1)
    except ValueError as error:
        raise ValueError(f"{path}: every column but {feature!r} must hold the shares of a class: {error}") from error


def main(args):
    with tempfile.TemporaryDirectory() as folder:
        if args.demo:
            args.table, args.law = args.table or Path(folder) / "test.csv", Path(folder) / "law.csv"
            args.second = "second"
            example(args.table, args.law)
        if args.table is None:
            raise ValueError("name a CSV or npz file of predictions, or try --demo")
        test = read(args.table, [args.feature, args.prediction, *([args.second] if args.second else [])])
        law = known_law(args.law, args.feature) if args.law else None
    # clean labels may be there too; they are read only where they are used
    labels = test.get(args.label) if args.second or not (args.law or args.train) else None
    if labels is not None and pd.isna(labels).any():
        raise ValueError(f"{args.table}: {args.label} has missing values")
    if law is None and args.train is None and labels is None:
        raise ValueError(f"give --law, --train, or a column {args.label!r} of labels drawn from the training law")
    if args.second and labels is None:
        raise ValueError(f"agreement is compared with accuracy: {args.table} needs a column {args.label!r}")
    source = args.table if args.train is None else args.train
    given = test if args.train is None else read(source, [args.feature, args.label])
    predicted = [test[name] for name in (args.prediction, args.second) if name]
    if law is None:
        parts = ordered(given[args.feature], test[args.feature])
        classes = ordered(given[args.label], *predicted, *([] if labels is None else [labels]))
    else:
        parts, classes, conditional = law
    feature = numbered(args.table, args.feature, test[args.feature], parts)
    f = numbered(args.table, args.prediction, test[args.prediction], classes)

    result = {"points": len(f), "parts": len(parts), "classes": len(classes)}
    if law is not None:
        found = feature_calibration(feature, f, conditional, seed=args.seed)
        how = "exact law"
    else:
        rows = numbered(source, args.feature, given[args.feature], parts)
        y = numbered(source, args.label, given[args.label], classes)
        found = train_test_tv(rows, y, feature, f, len(parts), len(classes), seed=args.seed)
        joint = joint_density(rows, y, len(parts), len(classes))
        with np.errstate(invalid="ignore"):
            conditional = joint / joint.sum(1, keepdims=True)
        how = f"{len(y):,} labels of {source.name}"
    names = ("tv", "null_mean", "null_q95", "debiased", "low", "high", "p_value")
    result |= {"law": how, **{name: getattr(found, name) for name in names}}

    sizes = np.bincount(feature, minlength=len(parts))
    print(
        f"{len(f):,} points, {len(parts)} parts of {sizes.min():,} to {sizes.max():,}, {len(classes)} classes; {how}\n"
    )
    print(f"{args.feature:14} {'points':>7} {'likeliest label':>16} {'its share':>10} {'predicted':>10}")
    for part in np.argsort(-sizes)[:12]:
        if sizes[part] and np.isfinite(conditional[part]).all():
            top = int(conditional[part].argmax())
            share = np.mean(f[feature == part] == top)
            print(f"{parts[part]:14} {sizes[part]:7,} {classes[top]:>16} {conditional[part, top]:10.3f} {share:10.3f}")
    if len(parts) > 12:
        print(f"... and {len(parts) - 12} smaller parts")
    print(f"\nTV {found.tv:.4f}, interval [{found.low:.4f}, {found.high:.4f}]")
    print(f"an exact sampler would show {found.null_mean:.4f} on average, at most {found.null_q95:.4f} in 95 of 100")
    print(f"TV without that bias {found.debiased:.4f}; p-value of TV = 0: {found.p_value:.3f}")
    if args.second:
        g = numbered(args.table, args.second, test[args.second], classes)
        gap = agreement_gap(f, g, numbered(args.table, args.label, labels, classes), seed=args.seed)
        print(f"\nagreement {gap.agreement:.4f}, accuracy {gap.accuracy_a:.4f} and {gap.accuracy_b:.4f}")
        print(f"agreement - mean accuracy {gap.gap:+.4f} [{gap.low:+.4f}, {gap.high:+.4f}]")
        result["agreement"] = asdict(gap)
    if args.json:
        write_atomically(args.json, json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    try:
        main(arguments())
    except (ValueError, OSError, zipfile.BadZipFile) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
