"""Training a small ResNet with augmentation: dlcore.training.fit, the loop one would write, and Lightning.

    python benchmarks/training.py     # pip install torchvision lightning

CIFAR-10 where DLCORE_DATA has it, else images of the same shape from a generator. All ways start from the same weights
and have the same optimizer, schedule, batch size and number of epochs.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import logging
import tempfile
import warnings
from collections.abc import Callable
from statistics import mean, stdev
from typing import Any

import harness
import numpy as np
import torch
from torch import nn
from torch.nn import functional

from dlcore import augment, data, optimization, runtime
from dlcore.models import network
from dlcore.training import TrainConfig, fit, predict

SEEDS, WIDTH = 5, 16
CONFIG = TrainConfig(epochs=2, batch_size=64, learning_rate=0.1, weight_decay=5e-4)
Arrays = tuple[np.ndarray, np.ndarray]


def generated(n: int, seed: int) -> Arrays:
    """Returns uint8 images (n, 3, 32, 32) of ten smooth patterns, moved and in noise, and their labels."""
    patterns = np.random.default_rng(0).normal(size=(10, 3, 8, 8)).repeat(4, 2).repeat(4, 3)
    rng = np.random.default_rng([seed, 1])
    labels = rng.integers(0, 10, n)
    moved = np.stack([np.roll(patterns[k], rng.integers(-4, 5, 2), (1, 2)) for k in labels])
    return np.clip(128 + 25 * moved + 60 * rng.normal(size=moved.shape), 0, 255).astype(np.uint8), labels


def images(n_train: int, n_test: int) -> tuple[str, Arrays, Arrays]:
    """Returns a name, and training and test images (n, 3, 32, 32) uint8 with labels."""
    try:
        found = data.load("cifar10", n_train=n_train, n_test=n_test)
    except FileNotFoundError:
        return "generated", generated(n_train, 1), generated(n_test, 2)
    return "CIFAR-10", (found.train_inputs, found.train_labels), (found.test_inputs, found.test_labels)


class Pictures(torch.utils.data.Dataset):
    """Images one by one, as torchvision's own data sets give them: a PIL image through the transforms."""

    def __init__(self, pixels: np.ndarray, labels: np.ndarray) -> None:
        from torchvision import transforms

        self.pixels, self.labels = np.ascontiguousarray(pixels.transpose(0, 2, 3, 1)), labels
        channels = self.pixels.reshape(-1, 3) / np.float32(255)
        # the border is of the mean colour, as dlcore's zeros after standardising; a black one costs some points of accuracy
        border = tuple(int(v) for v in 255 * channels.mean(0))
        self.transform = transforms.Compose(
            [
                transforms.RandomCrop(32, padding=4, fill=border),
                transforms.RandomHorizontalFlip(),
                transforms.ToTensor(),
                transforms.Normalize(channels.mean(0).tolist(), channels.std(0).tolist()),
            ]
        )

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        from PIL import Image

        return self.transform(Image.fromarray(self.pixels[index])), int(self.labels[index])


def loader(train: Arrays, config: TrainConfig, device: str, workers: int) -> torch.utils.data.DataLoader:
    """Returns the usual loader; its order and crops follow from torch's global seed."""
    return torch.utils.data.DataLoader(
        Pictures(*train),
        config.batch_size,
        shuffle=True,
        num_workers=workers,
        persistent_workers=workers > 0,
        pin_memory=device == "cuda",
    )


def ours(
    model: nn.Module, train: Arrays, config: TrainConfig, device: str, threads: int = 0, precision: str = ""
) -> None:
    """dlcore: data resident as floats, augmentation of whole batches."""
    config = dataclasses.replace(config, precision=precision or config.precision)
    before = torch.get_num_threads()
    torch.set_num_threads(threads or before)
    inputs = torch.from_numpy(data.to_float(train[0]))
    fit(model, (inputs, torch.from_numpy(train[1])), config, augment=augment.crop_flip, device=device)
    torch.set_num_threads(before)


def native(device: str) -> bool:
    """Whether a device has bfloat16 in hardware; where it is emulated, a rival that used it would be held back."""
    return runtime.fast_bfloat16(torch.device(device))


def steps(model: nn.Module, train: Arrays, config: TrainConfig) -> tuple[Any, Any]:
    """Returns optimizer and schedule, those of dlcore."""
    total = config.epochs * -(-len(train[1]) // config.batch_size)
    optimizer = optimization.optimizer(model, config)
    return optimizer, optimization.schedule(optimizer, config.schedule, total, max(1, total // 20))


def loop(
    model: nn.Module, train: Arrays, config: TrainConfig, device: str, workers: int = 0, low: bool = False
) -> None:
    """What one writes without a framework; `low` adds channels-last and, where the hardware has it, bfloat16 to it."""
    torch.manual_seed(config.seed)
    layout = torch.channels_last if low else torch.contiguous_format
    model.to(device, memory_format=layout).train()
    batches = loader(train, config, device, workers)
    optimizer, schedule = steps(model, train, config)
    for _ in range(config.epochs):
        for inputs, labels in batches:
            inputs = inputs.to(device, non_blocking=True, memory_format=layout)
            with torch.autocast(device, dtype=torch.bfloat16, enabled=low and native(device)):
                loss = functional.cross_entropy(model(inputs).float(), labels.to(device, non_blocking=True))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()


def lightning_fit(model: nn.Module, train: Arrays, config: TrainConfig, device: str) -> None:
    """The same loader and model through Lightning's Trainer, with what it writes and prints turned off."""
    import lightning

    class Module(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def training_step(self, batch: list[torch.Tensor], index: int) -> torch.Tensor:
            return functional.cross_entropy(self.model(batch[0]), batch[1])

        def configure_optimizers(self) -> dict[str, Any]:
            optimizer, schedule = steps(model, train, config)
            return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    torch.manual_seed(config.seed)
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that there are few workers, which is meant
        lightning.Trainer(
            max_epochs=config.epochs,
            accelerator="gpu" if device == "cuda" else "cpu",
            devices=1,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            default_root_dir=folder,
        ).fit(Module(), loader(train, config, device, 0))


def ways(quick: bool) -> dict[str, Callable[..., None] | None]:
    """Returns by name each way's function of (model, train, config, device); None where it is not installed."""
    low = "bfloat16" if any(map(native, harness.devices())) else "float32"
    found: dict[str, Callable[..., None] | None] = {
        f"dlcore, as it comes ({low})": ours,
        "dlcore, float32": functools.partial(ours, precision="float32"),
    }
    if not quick:  # two threads that wait for a busy core take seconds
        found[f"dlcore, as it comes ({low}), 2 threads"] = functools.partial(ours, threads=2)
    for name, package, run in (
        ("DataLoader loop, 0 workers", "torchvision", loop),
        ("DataLoader loop, 1 worker", "torchvision", functools.partial(loop, workers=1)),
        (f"DataLoader loop, {low}, channels last", "torchvision", functools.partial(loop, low=True)),
        ("Lightning, 0 workers", "lightning", lightning_fit),
    ):
        found[name] = run if installed("torchvision") and installed(package) else None
    return found


def installed(package: str) -> bool:
    """Whether a package can be imported."""
    try:
        importlib.import_module(package)
    except ImportError:
        return False
    return True


def trial(
    run: Callable[..., None], train: Arrays, test: Arrays, config: TrainConfig, device: str, weigh: bool
) -> tuple[harness.Cost, float]:
    """Returns what a run costs, and its accuracy on test images."""
    model = network("resnet", (3, 32, 32), 10, seed=config.seed, width=WIDTH)

    # looking at memory gives what is kept back to the system: a short run would pay for that anew
    def work() -> Any:
        return run(model, train, config, device)

    cost = harness.measure(work, 1) if weigh else harness.clocked(work)
    predicted = predict(model, torch.from_numpy(data.to_float(test[0], train[0]))).cpu()
    return cost._replace(value=None), float((predicted == torch.from_numpy(test[1])).double().mean())


def compared_rows(
    found: dict[str, Any], trials: dict[str, list[tuple[harness.Cost, float]]], seen: int, work: float, device: str
) -> list[dict[str, Any]]:
    """Returns a row for each way: images/s, ratios to the first way within a turn, the share of the peak, accuracy.

    Args:
        trials: of each way, the first for its memory.
        seen: images of a run.
        work: FLOPs an image. A way's name says bfloat16 or two threads where it has them.
    """
    rows: list[dict[str, Any]] = []
    spent = {way: harness.together([c for c, _ in each[1:]], each[0][0]) for way, each in trials.items()}
    base = next(iter(spent.values()))
    for way, run in found.items():
        if run is None:
            rows.append(harness.remark("not installed", method=way))
            continue
        one, accuracy = spent[way], [share for _, share in trials[way][1:]]
        peak = harness.peak(torch.bfloat16 if "bfloat16" in way else torch.float32, device) * (1 + ("2 threads" in way))
        rows.append(
            {
                **({"device": device} if len(harness.devices()) > 1 else {}),
                "method": way,
                "images / s": seen / one.wall,
                "images / CPU-s": seen / one.cpu,
                "share of peak": f"{work * seen / one.wall / peak:.1%}",
                "CPU time / dlcore's": harness.compared(one, base)["time / dlcore's"],
                **harness.compared(one, base, "Wall time / dlcore's", wall=True),
                "extra MB": one.memory,
                **({} if one.gpu is None or device == "cpu" else {"GPU MB": one.gpu}),
                "test accuracy": f"{mean(accuracy):.1%} ± {stdev(accuracy):.1%}",
            }
        )
    return rows


def limits(work: Callable[[], Any], flops: float) -> str:
    """Returns a sentence on what bounds training on a CPU; `work` is dlcore's, an image needs `flops`."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as found:
        work()
    spent = {event.key: event.self_cpu_time_total for event in found.key_averages()}
    total, kinds = sum(spent.values()), {"convolution": 0.0, "batch_norm": 0.0, "clamp_min threshold": 0.0}
    for kind in kinds:
        kinds[kind] = sum(t for key, t in spent.items() if any(word in key for word in kind.split())) / total
    conv, norm, relu = kinds.values()
    return (
        f"The peak is that of a matrix product in the same precision; an image needs {flops / 1e6:.0f} million FLOPs. On a "
        f"CPU, torch's convolutions take {conv:.0%} of dlcore's time, BatchNorm {norm:.0%} and ReLU {relu:.0%}: a loop that "
        f"did the same convolutions and nothing else would be {1 / conv:.1f} times as fast."
    )


def compared(quick: bool) -> harness.Table:
    """Returns the table of all ways, which take turns seed by seed."""
    n_train, n_test, seeds = (64, 64, 2) if quick else (1024, 1000, SEEDS)
    config = dataclasses.replace(CONFIG, epochs=1, batch_size=32) if quick else CONFIG
    if quick:
        source, train, test = "generated", generated(n_train, 1), generated(n_test, 2)
    else:
        source, train, test = images(n_train, n_test)
    model, rows = network("resnet", (3, 32, 32), 10, width=WIDTH), []
    work = harness.flops(lambda: model(torch.zeros(2, 3, 32, 32)).sum().backward()) / 2
    found = ways(quick)
    for device in harness.devices():
        # the first warms up (kernels are chosen at a shape's first batch) and gives the memory
        rounds = [(train, test, dataclasses.replace(config, epochs=1), device, True)]
        rounds += [(train, test, dataclasses.replace(config, seed=seed), device, False) for seed in range(seeds)]
        runs = {way: functools.partial(trial, run) for way, run in found.items() if run is not None}
        rows += compared_rows(found, harness.apart(runs, rounds, quick), n_train * config.epochs, work, device)
    note = (
        f"Residual network of width {WIDTH} ({sum(p.numel() for p in model.parameters()):,} parameters) on {n_train:,} "
        f"images ({source}, 32 x 32), crop and flip, batches of {config.batch_size}, {config.epochs} epochs; the medians of "
        f"{seeds} seeds, which take turns in a process each, and ratios within a seed. One thread, but where two are named; "
        "a worker is a second process, whose CPU time is counted and whose memory is not. The plain loop takes PIL images "
        "through RandomCrop, RandomHorizontalFlip, ToTensor and Normalize; float32 and the usual memory format, if not said "
        "otherwise. dlcore always has channels last. Borders of a crop are of the mean colour for all. "
        f"Accuracy on {n_test:,} test images with the deviation over seeds. "
        + limits(lambda: ours(model, train, dataclasses.replace(config, epochs=1), "cpu"), work)
    )
    return harness.Table(
        "A training loop with augmentation",
        note,
        rows,
        ("Wall time / dlcore's", "CPU time / dlcore's"),
        harness.versions("torch", "torchvision", "lightning"),
    )


def grown(quick: bool) -> harness.Table:
    """Returns the table of costs as sizes double."""
    batches, widths, sides = (
        ((8, 16), (4, 8), (8, 16)) if quick else ((32, 64, 128, 256), (8, 16, 32, 64), (16, 32, 64))
    )

    def work(batch: int, width: int, side: int) -> Callable[[], Any]:
        g = torch.Generator().manual_seed(0)
        x, y = torch.randn(2 * batch, 3, side, side, generator=g), torch.randint(0, 10, (2 * batch,), generator=g)
        model = network("resnet", (3, side, side), 10, width=width)
        config = dataclasses.replace(CONFIG, epochs=1, batch_size=batch)
        return lambda: fit(model, (x, y), config, augment=augment.crop_flip, device="cpu")

    few = batches[0]
    axes = [
        harness.Axis("images in a batch", batches, lambda b: work(b, widths[1], sides[-1] // 2), "2"),
        harness.Axis("width", widths, lambda w: work(few, w, sides[-1] // 2), "4; 2 while memory is the limit"),
        harness.Axis("side of an image", sides, lambda s: work(few, widths[1], s), "4"),
    ]
    note = (
        f"Two steps of dlcore.training.fit on a CPU, precision as it comes; elsewhere batches of {few}, width "
        f"{widths[1]}, side {sides[-1] // 2}."
    )
    return harness.growth("Training as its size doubles", note, axes, 1 if quick else 3, least=0.0 if quick else 0.1)


def tables(quick: bool = False) -> list[harness.Table]:
    """Returns the tables of this benchmark."""
    return [compared(quick), grown(quick)]


if __name__ == "__main__":
    harness.main(tables, __doc__)
