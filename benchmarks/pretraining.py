"""SimCLR on a small ResNet: dlcore.pretraining against lightly's transform, loss and head in the loop of its examples.

    python benchmarks/pretraining.py     # pip install torchvision lightly

CIFAR-10 where DLCORE_DATA has it, else images of the same shape from a generator. All ways have the same encoder with the
same first weights, AdamW, schedule, batch size, number of epochs, widths of the head and strengths of the views.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import harness
import numpy as np
import torch
from torch import nn
from training import Arrays, compared_rows, generated, images, installed, limits, native

from dlcore import optimization, pretraining
from dlcore.training import TrainConfig
from dlcore.training_config import PRETRAINING

SEEDS, WIDTH, PROJECTION = 5, 16, 256


def ours(pixels: np.ndarray, config: TrainConfig, device: str) -> nn.Module:
    """dlcore: the views of a whole batch at once, on its device."""
    options = {"epochs": config.epochs, "batch_size": config.batch_size, "seed": config.seed, "device": device}
    return pretraining.pretrain(pixels, "simclr", "resnet", width=WIDTH, **options)[0]


class Views(torch.utils.data.Dataset):
    """Two views of each PIL image by lightly's transform, at the strengths that `pretraining.view` has."""

    def __init__(self, pixels: np.ndarray) -> None:
        from lightly.transforms import SimCLRTransform

        self.pixels = np.ascontiguousarray(pixels.transpose(0, 2, 3, 1))
        # strength 0.5 and these widths of the blur: those of Chen et al. for CIFAR-10; the encoder standardises
        self.transform = SimCLRTransform(
            32, cj_strength=0.5, min_scale=0.2, gaussian_blur=0.3, sigmas=(0.1, 1.0), normalize=None
        )

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, index: int) -> list[torch.Tensor]:
        from PIL import Image

        return self.transform(Image.fromarray(self.pixels[index]))


def loop(pixels: np.ndarray, config: TrainConfig, device: str, low: bool = False) -> nn.Module:
    """The loop of lightly's examples; `low` adds channels-last and, where the hardware has it, bfloat16 to it."""
    from lightly.loss import NTXentLoss
    from lightly.models.modules import SimCLRProjectionHead

    torch.manual_seed(config.seed)
    layout = torch.channels_last if low else torch.contiguous_format
    net, dimension = pretraining.encoder("resnet", pixels, seed=config.seed, width=WIDTH)
    model = nn.Sequential(net, SimCLRProjectionHead(dimension, PROJECTION, PROJECTION)).to(device, memory_format=layout)
    criterion = NTXentLoss(temperature=0.5)
    batches = torch.utils.data.DataLoader(Views(pixels), config.batch_size, shuffle=True, drop_last=True)
    optimizer = optimization.optimizer(model, config)
    total = config.epochs * len(batches)
    schedule = optimization.schedule(optimizer, config.schedule, total, max(1, total // 20))
    for _ in range(config.epochs):
        for views in batches:
            first, second = (view.to(device, memory_format=layout) for view in views)
            with torch.autocast(device, dtype=torch.bfloat16, enabled=low and native(device)):
                z0, z1 = model(first), model(second)
            loss = criterion(z0.float(), z1.float())
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            schedule.step()
    return net.eval()


def trial(
    run: Callable[..., nn.Module], train: Arrays, test: Arrays, config: TrainConfig, device: str, weigh: bool
) -> tuple[harness.Cost, float]:
    """Returns what a run costs, and the accuracy of a linear probe on its features."""
    from sklearn.linear_model import RidgeClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    def work() -> Any:
        return run(train[0], config, device)

    cost = harness.measure(work, 1) if weigh else harness.clocked(work)
    fitting, testing = (pretraining.features(cost.value, pixels) for pixels in (train[0], test[0]))
    probe = make_pipeline(StandardScaler(), RidgeClassifier(10.0)).fit(fitting, train[1])
    return cost._replace(value=None), float(probe.score(testing, test[1]))


def tables(quick: bool = False) -> list[harness.Table]:
    """Returns the table of this benchmark."""
    n_train, n_test, seeds = (64, 64, 2) if quick else (512, 1000, SEEDS)
    source, train, test = (
        ("generated", generated(n_train, 1), generated(n_test, 2)) if quick else images(n_train, n_test)
    )
    configs = [
        TrainConfig(epochs=1 if quick else 2, batch_size=32 if quick else 128, seed=seed, **PRETRAINING)
        for seed in range(seeds)
    ]
    low = "bfloat16" if any(map(native, harness.devices())) else "float32"
    found = {
        f"dlcore, as it comes ({low})": ours,
        "lightly, 0 workers": loop,
        f"lightly, 0 workers, {low}, channels last": functools.partial(loop, low=True),
    }
    if not (installed("torchvision") and installed("lightly")):
        found = {way: run if run is ours else None for way, run in found.items()}
    net, _ = pretraining.encoder("resnet", train[0], width=WIDTH)
    # two views of every image; the head's products are a hundredth
    work = harness.flops(lambda: net(torch.zeros(2, 3, 32, 32)).sum().backward())
    rows = []
    for device in harness.devices():
        runs = {way: functools.partial(trial, run) for way, run in found.items() if run is not None}
        # the first warms up and gives the memory
        rounds = [(train, test, config, device, not k) for k, config in enumerate((configs[0], *configs))]
        rows += compared_rows(found, harness.apart(runs, rounds, quick), n_train * configs[0].epochs, work, device)
    note = (
        f"Residual network of width {WIDTH} and a head of two layers of {PROJECTION} on {n_train:,} images ({source}, "
        f"32 x 32), batches of {configs[0].batch_size}, {configs[0].epochs} epochs; the medians of {seeds} seeds, which take "
        "turns in a process each, and ratios within a seed; one thread. lightly's loop takes PIL images through its "
        "SimCLRTransform with the same crop, colours and blur, and its NTXentLoss; float32 and the usual memory format, if "
        "not said otherwise. An image has two views and is counted once. The accuracy is that of a ridge probe on the "
        f"features of {n_test:,} test images, with the deviation over seeds. "
        + limits(lambda: ours(train[0], configs[0], "cpu"), work)
    )
    return [
        harness.Table(
            "SimCLR's pretraining",
            note,
            rows,
            ("Wall time / dlcore's", "CPU time / dlcore's"),
            harness.versions("torch", "torchvision", "lightly"),
        )
    ]


if __name__ == "__main__":
    harness.main(tables, __doc__)
