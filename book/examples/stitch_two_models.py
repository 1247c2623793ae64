"""Stitches two of your networks at every stage: the penalty with its controls, and CKA beside it.

python stitch_two_models.py --bottom mymodels:wide --top mymodels:narrow --data images.npz --stages layer2 layer3=block3
python stitch_two_models.py --demo               # two small networks, trained on digits on the spot

--bottom and --top name functions without arguments that return a trained nn.Module, which maps inputs to class scores;
they are looked for in the current folder first. images.npz holds `train_inputs`, `train_labels`, `test_inputs`,
`test_labels`, inputs as both networks take them. A stage is a name that named_modules() lists, for both networks,
or bottom's=top's.
"""

import argparse
import dataclasses
import importlib
import json
import sys
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch
from torch import nn

from dlcore.cache import write_atomically
from dlcore.metrics.similarity import linear_cka
from dlcore.stitching import FAMILIES, activations, penalty_curve
from dlcore.training import TrainConfig, fit

ARRAYS = ("train_inputs", "train_labels", "test_inputs", "test_labels")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for role, part in (("bottom", "first"), ("top", "last")):
        parser.add_argument(f"--{role}", metavar="MODULE:FUNCTION", help=f"the network that gives the {part} layers")
    parser.add_argument("--data", type=Path, help="npz file of the four arrays")
    parser.add_argument("--stages", nargs="+", metavar="STAGE", help="where to stitch; all common children by default")
    parser.add_argument("--family", choices=("auto", *FAMILIES), default="auto", help="of maps (%(default)s: trained)")
    parser.add_argument("--rank", type=int, help="of low_rank")
    parser.add_argument("--resize", choices=("nearest", "bilinear", "area"), help="where spatial sizes differ")
    parser.add_argument("--epochs", type=int, default=30, help="of a trained map (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the map and the untrained bottom (%(default)s)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda (%(default)s)")
    parser.add_argument("--no-random", action="store_true", help="leave out the untrained bottom")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows here")
    parser.add_argument("--demo", action="store_true", help="train two example networks, and stitch them")
    return parser.parse_args()


def example(device):
    """Two networks of one kind from different seeds, and the digits they were trained on."""
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(x))
    x, y = torch.tensor(x[order] / 16, dtype=torch.float32), torch.tensor(y[order])
    found = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        parts = OrderedDict(
            hidden1=nn.Sequential(nn.Linear(64, 48), nn.ReLU()),
            hidden2=nn.Sequential(nn.Linear(48, 48), nn.ReLU()),
            classifier=nn.Linear(48, 10),
        )
        found.append(nn.Sequential(parts))
        how = TrainConfig(epochs=30, optimizer="adam", learning_rate=3e-3, seed=seed)
        fit(found[-1], (x[:1200], y[:1200]), how, device=device)
    return *found, (x[:1200], y[:1200], x[1200:], y[1200:])


def network(role, name):
    """Returns what the function module:function builds."""
    module, _, function = (name or "").partition(":")
    if not module or not function:
        raise ValueError(f"--{role} must be module:function, not {name!r}")
    sys.path.insert(0, str(Path.cwd()))
    try:
        found = getattr(importlib.import_module(module), function)()
    except (ImportError, AttributeError, TypeError) as error:
        raise ValueError(f"--{role} {name}: {error}") from error
    if not isinstance(found, nn.Module):
        raise ValueError(f"--{role} {name} returned {type(found).__name__}, not an nn.Module")
    return found


def read(path):
    """Returns the four arrays; float64 images become float32, as networks take them."""
    if path is None:
        raise ValueError("name the npz file with --data, or try --demo")
    if path.exists() and not zipfile.is_zipfile(path):
        raise ValueError(f"{path} is no npz file; save the four arrays with np.savez")
    with np.load(path) as file:
        for name in ARRAYS:
            if name not in file.files:
                raise ValueError(f"{path} has no array {name!r}; its arrays are {', '.join(file.files)}")
        found = [file[name] for name in ARRAYS]
    return [v.astype(np.float32) if v.dtype in (np.float16, np.float64) and v.ndim > 1 else v for v in found]


def main(args):
    if args.demo:
        bottom, top, data = example(args.device)
    else:
        bottom, top, data = network("bottom", args.bottom), network("top", args.top), read(args.data)
    data = [torch.as_tensor(v) for v in data]
    stages = args.stages and [tuple(s.split("=")) if "=" in s else s for s in args.stages]
    rows = penalty_curve(
        bottom,
        top,
        data,
        stages,
        family=args.family,
        random=not args.no_random,
        seeds=(args.seed,),
        rank=args.rank,
        resize=args.resize,
        device=args.device,
        training=TrainConfig(epochs=args.epochs, optimizer="adam", learning_rate=1e-3, precision="float32"),
    )

    few = data[2][:2000]  # the Gram matrix of CKA grows with the square of the inputs
    low = activations(bottom, few, [row.bottom_stage for row in rows])
    high = activations(top, few, [row.top_stage for row in rows])
    print(f"{len(data[0]):,} training and {len(data[2]):,} test inputs, family {rows[0].family}")
    print(f"error of the top {100 * rows[0].top_error:.2f}; all but CKA in per cent\n")
    print(
        f"{'stage':24} {'penalty':>7} {'s.e.':>5} {'itself':>7} {'excess':>7} {'s.e.':>5} {'untrained':>9} {'CKA':>6}"
    )
    result = []
    for row in rows:
        cka = linear_cka(low[row.bottom_stage].flatten(1), high[row.top_stage].flatten(1), debiased=True)
        stage = row.top_stage if row.top_stage == row.bottom_stage else f"{row.bottom_stage} -> {row.top_stage}"
        print(
            f"{stage:24} {100 * row.penalty:+7.2f} {100 * row.penalty_se:5.2f} {100 * row.self_penalty:+7.2f} "
            f"{100 * row.excess:+7.2f} {100 * row.excess_se:5.2f} {100 * row.random_penalty:+9.2f} {cka:6.3f}"
        )
        result.append({**dataclasses.asdict(row), "cka": cka})
    print("\npenalty: error of the stitched network less the top's own; itself: the top")
    print("stitched to itself; excess: their difference; s.e.: one standard error, over")
    print("test inputs; untrained: an untrained bottom; CKA: linear, debiased")
    if args.json:
        # JSON has no NaN: a control that was left out is null
        result = json.loads(json.dumps(result), parse_constant=lambda _: None)
        write_atomically(args.json, json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    try:
        main(arguments())
    except (ValueError, OSError, zipfile.BadZipFile) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
