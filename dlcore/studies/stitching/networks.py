"""The networks of chapter 2: how a bottom or a top is trained, and the copies that pairs share."""

from __future__ import annotations

import functools
import json
from collections import OrderedDict
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from dlcore import augment, cache, pretraining, runtime, training
from dlcore.models import network
from dlcore.models.networks import Stages
from dlcore.stitching import activations
from dlcore.stitching.halves import Tail
from dlcore.studies.stitching.config import CROP, PRETRAINING, PROBE, SCHEDULE, SMALL, Role

# bird, cat, deer, dog, frog, horse of CIFAR-10; the rest are objects
ANIMALS = (2, 3, 4, 5, 6, 7)


class Inputs(NamedTuple):
    """Tensors of one data set; labels int64."""

    x: torch.Tensor
    y: torch.Tensor
    x_test: torch.Tensor
    y_test: torch.Tensor
    classes: int
    checksum: str = ""


def rows_of(role: Role, n: int) -> slice:
    count = max(2, round(role.share * n))
    return slice(n - count, n) if role.other_half else slice(0, count)


def labels_of(role: Role, source: Inputs) -> tuple[torch.Tensor, int]:
    """Returns the labels that a network is taught, and how many classes they have."""
    if role.labels == "coarse":
        return (source.y >= source.classes // 2).long(), 2
    if role.labels == "objects":
        return torch.isin(source.y, torch.tensor(ANIMALS)).long(), 2
    labels = source.y.clone()
    if role.noise:
        rng = runtime.rng(role.seed, 0x57)
        wrong = torch.from_numpy(rng.random(len(labels)) < role.noise)
        labels[wrong] = torch.from_numpy(rng.integers(source.classes, size=int(wrong.sum())))
    return labels, source.classes


def built(config: Any, role: Role, source: Inputs, seed: int, classes: int | None = None) -> Stages:
    """Returns an untrained network of a role, with the normalisation of the inputs as its first part."""
    shape, classes = source.x.shape[1:], classes or source.classes
    net = network(config.architecture, shape, classes, seed=seed, width=role.width, depth=config.depth)
    return Stages(OrderedDict(normalise=pretraining.Normalise(source.x), **OrderedDict(net.named_children())))


def _training(config: Any, role: Role, own: int, all_samples: int) -> dict[str, Any]:
    """Returns how a supervised network of a role is trained, as arguments of `training.fit`."""
    large = config.architecture == "resnet18"
    # steps, not epochs, are what small shares lack: they keep the number of updates of the whole set
    epochs = max(1, round(role.epochs * all_samples / own))
    own = {name: getattr(config, name) for name in SMALL}
    settings = training.TrainConfig(epochs=epochs, schedule=SCHEDULE, seed=role.seed, **own)
    return {"config": settings, "augment": functools.partial(augment.crop_flip, **CROP) if large else None}


def trained(config: Any, role: Role, source: Inputs, options: dict[str, Any]) -> nn.Module:
    """Returns a trained network, from the cache where another pair has trained it; `config` is that of the study."""
    path: Path | None = options["checkpoint"]
    made = [config.dataset, config.architecture, config.n_train, config.depth, config.seed, *role]
    made += [source.checksum, config.constants, *(getattr(config, name) for name in SMALL)]
    kept = cache.beside(path, "networks", json.dumps(made), ".pt")
    rows = rows_of(role, len(source.x))
    x, (labels, classes) = source.x[rows], labels_of(role, source)
    labels = labels[rows]
    whole = built(config, role, source, role.seed, classes)
    if cache.kept(kept, lambda p: whole.load_state_dict(torch.load(p, map_location="cpu", weights_only=True))):
        return whole.eval()
    own = {**options, "checkpoint": path.with_suffix(f".{kept.stem}.pt") if path else None}
    how = _training(config, role, len(x), len(source.x))
    if role.objective == "supervised":
        name = f"{config.dataset} {config.architecture} seed {role.seed}"
        training.fit(whole, (x, labels), label=name, **how, **own)
    else:
        encoder, _ = pretraining.pretrain(
            x,
            role.objective,
            config.architecture,
            epochs=PRETRAINING["epochs"] * how["config"].epochs,
            batch_size=max(PRETRAINING["batch"], how["config"].batch_size),
            seed=role.seed,
            width=role.width,
            depth=config.depth,
            **own,
        )
        features = torch.from_numpy(pretraining.features(encoder, x))
        probe = training.TrainConfig(seed=role.seed, **PROBE)
        with runtime.seeded(role.seed, 0x4EAD):
            head = nn.Linear(features.shape[1], classes)
        training.fit(head, (features, labels), probe, device=options["device"])
        whole = Stages(OrderedDict(**OrderedDict(encoder.named_children()), classifier=head))
    whole = whole.to("cpu").eval()
    if kept is not None and cache.keep(kept, lambda file: torch.save(whole.state_dict(), file)):
        own["checkpoint"].unlink(missing_ok=True)
    return whole


def population(
    config: Any, source: Inputs, nets: tuple[nn.Module, nn.Module], roles: tuple[Role, Role]
) -> dict[str, float]:
    """Returns what chapters 1 and 3 measure of two networks of equally noisy labels, on disjoint samples; fractions.

    Of the first: `flip_rate`, the share of its labels that are wrong; `bottom_train_error` against its own labels;
    `train_noisy` and `noisy_train`, its accuracy against the clean labels on all of its samples and on those with a wrong
    label (NaN without any), whose difference is `memorization`; `fitted_wrong`, the share of its samples whose wrong label it gives. Of
    both: `agreement` on the test inputs, and beside it `accuracy_noisy`, against fresh labels of the same law, in expectation.
    """
    role, rows = roles[0], rows_of(roles[0], len(source.x))
    given, truth = (labels[rows] for labels in (labels_of(role, source)[0], source.y))
    found = training.predict(nets[0], source.x[rows]).cpu()
    right, wrong = found == truth, given != truth
    tests = [training.predict(net, source.x_test).cpu() for net in nets]
    accuracy = sum(float((f == source.y_test).double().mean()) for f in tests) / 2
    on_all = float(right.double().mean())
    on_wrong = float(right[wrong].double().mean()) if wrong.any() else float("nan")
    return {
        "flip_rate": float(wrong.double().mean()),
        "bottom_train_error": float((found != given).double().mean()),
        "train_noisy": on_all,
        "noisy_train": on_wrong,
        "memorization": on_all - on_wrong,
        "fitted_wrong": float(((found == given) & wrong).double().mean()),
        "agreement": float((tests[0] == tests[1]).double().mean()),
        "accuracy_noisy": (1 - role.noise) * accuracy + role.noise / source.classes,
    }


def freeze_trained(
    config: Any, role: Role, source: Inputs, below: nn.Module, stages: list[str], options: dict[str, Any]
) -> list[float]:
    """Returns, for every stage, the test error of a role's network trained above the frozen layers of another.

    Until the stage the layers are those of `below`, as they are; after it they are drawn again, with the seed of the
    role, and trained on the role's own samples. The frozen part is run once, over all inputs.
    """
    rows = rows_of(role, len(source.x))
    labels = labels_of(role, source)[0][rows]
    inputs = (activations(below, part, stages) for part in (source.x[rows], source.x_test))
    train, test = inputs
    found = []
    for stage in stages:
        net = built(config, role, source, role.seed)
        tail = Tail(net, stage, source.x[:2])
        how = _training(config, role, len(labels), len(source.x)) | {"augment": None}  # activations are no images
        training.fit(tail, (train[stage], labels), label=f"above {stage}", device=options["device"], **how)
        wrong = training.predict(tail, test[stage]).cpu() != source.y_test
        found.append(float(wrong.double().mean()))
    return found
