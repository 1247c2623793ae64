"""Fits data-scaling laws to a table of (training set size, loss) and writes the sentence for a paper.

python fit_law.py curve.csv --size pairs --loss dev_loss
python fit_law.py --demo                 # a curve made on the spot
python fit_law.py --demo curve.csv       # the same, and keeps the example file

The table is a CSV with a header and one row a run; several seeds of one size are several rows.
"""

import argparse
import json
import sys
import tempfile
import textwrap
from pathlib import Path

import numpy as np
import pandas as pd

from dlcore.cache import write_atomically
from dlcore.metrics.scaling import marginal_value, report
from dlcore.reading import read_table


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", nargs="?", type=Path, help="CSV file with a header")
    parser.add_argument("--size", default="size", metavar="COLUMN", help="column of training set sizes (%(default)s)")
    parser.add_argument("--loss", default="loss", metavar="COLUMN", help="column of losses (%(default)s)")
    parser.add_argument("--unit", default="samples", help="what a size counts, for the sentence (%(default)s)")
    parser.add_argument(
        "--bootstrap", type=int, default=500, help="draws of the intervals; 0: t intervals (%(default)s)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the bootstrap (%(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the result here")
    parser.add_argument("--demo", action="store_true", help="make an example table, and fit it")
    return parser.parse_args()


def example(path):
    """A curve with a known law, 2 (1/D + 1e-5)^0.3: two seeds of each of ten sizes, 1 % of noise."""
    if path.exists():
        raise ValueError(f"{path} exists; --demo does not overwrite it")
    sizes = np.repeat(1000 * 2 ** np.arange(10), 2)
    noise = np.exp(0.01 * np.random.default_rng(0).normal(size=sizes.size))
    losses = 2 * (1 / sizes + 1e-5) ** 0.3 * noise
    pd.DataFrame({"size": sizes, "loss": losses.round(5)}).to_csv(path, index=False)


def read(path, names):
    """Returns columns of numbers; an error names the line of the file."""
    table = read_table(path)
    found = []
    for name in names:
        if name not in table:
            raise ValueError(f"{path} has no column {name!r}; its columns are {', '.join(table)}")
        column = pd.to_numeric(table[name], errors="coerce")
        bad = np.flatnonzero(~(np.isfinite(column) & (column > 0)))
        if bad.size:
            given = table[name].iloc[bad[0]]
            raise ValueError(f"{path}, row {bad[0] + 1}: {name} is {given!s}, not a positive finite number")
        found.append(column.to_numpy(float))
    return found


def main(args):
    with tempfile.TemporaryDirectory() as folder:
        path = args.table or Path(folder) / "curve.csv"
        if args.demo:
            example(path)
        elif args.table is None:
            raise ValueError("name a CSV file, or try --demo")
        sizes, losses = read(path, (args.size, args.loss))
    found = report(sizes, losses, bootstrap=args.bootstrap, seed=args.seed, unit=args.unit)

    print(f"{'law':8} {'exponent':>8} {'interval':^16} {'rmsle':>7} {'error at the largest size':>26}")
    for law, held in found.held_out.items():  # the best at the held-out size first
        fitted = found.fits[law]
        low, high = fitted.intervals[fitted.curve.law.exponent]
        print(f"{law:8} {fitted.exponent:8.4f} [{low:.4f}, {high:.4f}] {fitted.rmsle:7.4f} {held.error:26.1%}")
        for name, why in fitted.flags.items():
            print(textwrap.fill(f"{name}: {why}", 78, initial_indent=" " * 9, subsequent_indent=" " * 13))
    value = marginal_value(found.fits[found.best], sizes.max())
    print(f"\nTwice the data of the largest run: {value.doubling:.1%} of its loss, under {found.best}.")
    print(f"\nFor a paper:\n{textwrap.fill(found.sentence, 78)}")
    if args.json:
        laws = {
            law: {
                "parameters": found.fits[law].parameters,
                "intervals": found.fits[law].intervals,
                "flags": found.fits[law].flags,
                "rmsle": found.fits[law].rmsle,
                "held_out_error": held.error,
            }
            for law, held in found.held_out.items()
        }
        result = {"best": found.best, "sentence": found.sentence, "doubling": value.doubling, "laws": laws}
        # JSON has no NaN: what the curve does not determine is null
        result = json.loads(json.dumps(result), parse_constant=lambda _: None)
        write_atomically(args.json, json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    try:
        main(arguments())
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
