"""SimCLR's two views of 32 x 32 images: dlcore.augment on batches against torchvision's transforms.

    python benchmarks/augmentation.py     # pip install torchvision

The recipe is the same: a resized crop of 20 to 100 % of the area, a mirror, colour jitter at s = 0.5 with probability
0.8 and gray with 0.2 (Chen et al. 2020, CIFAR-10: no blur).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import harness
import numpy as np
import torch

from dlcore import augment

BATCHES = (64, 256, 1024)
ONE_DRAW = "torchvision v2, whole batch, one draw for all"


def batched(pixels: np.ndarray, device: str) -> Callable[[], torch.Tensor]:
    """Returns dlcore's two views of all images; those are floats on the device already, as in training."""
    inputs = torch.from_numpy(pixels).to(device).float() / 255
    view = augment.two_views(augment.chain(augment.resized_crop, augment.colour_jitter))
    generator = torch.Generator(device).manual_seed(0)
    return lambda: view(inputs, generator)


def recipe(transforms: Any, last: list[Any]) -> Callable[[Any], Any]:
    """Returns SimCLR's recipe in torchvision's transforms or transforms.v2."""
    jitter = transforms.ColorJitter(0.4, 0.4, 0.4, 0.1)
    return transforms.Compose(
        [
            transforms.RandomResizedCrop(32, scale=(0.2, 1.0)),
            transforms.RandomHorizontalFlip(),
            transforms.RandomApply([jitter], 0.8),
            transforms.RandomGrayscale(0.2),
            *last,
        ]
    )


def peers(pixels: np.ndarray, device: str) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Gives name and work of torchvision's ways. Raises ImportError where it is not installed."""
    from PIL import Image
    from torchvision import transforms
    from torchvision.transforms import v2

    pictures = [Image.fromarray(p) for p in pixels.transpose(0, 2, 3, 1)]
    tensors = list(torch.from_numpy(pixels).to(device))

    def each(view: Callable[[Any], torch.Tensor], things: list[Any]) -> Callable[[], torch.Tensor]:
        return lambda: torch.stack([view(thing) for _ in range(2) for thing in things])

    as_float = [v2.ToDtype(torch.float32, scale=True)]
    if device == "cpu":
        yield "torchvision v1, each PIL image", each(recipe(transforms, [transforms.ToTensor()]), pictures)
        yield "torchvision v2, each PIL image", each(recipe(v2, [v2.ToImage(), *as_float]), pictures)
    yield "torchvision v2, each tensor", each(recipe(v2, as_float), tensors)
    whole, view = torch.stack(tensors), recipe(v2, as_float)
    yield ONE_DRAW, lambda: torch.cat([view(whole), view(whole)])


def tables(quick: bool = False) -> list[harness.Table]:
    """Returns the table of this benchmark."""
    rng, rows, turns = np.random.default_rng(0), [], 1 if quick else 5
    torch.manual_seed(0)  # torchvision's draws
    for device in harness.devices():
        for place, batch in enumerate((8, 16) if quick else BATCHES):
            # smooth like photographs, so that nothing is special about the colours
            coarse = rng.integers(0, 256, (batch, 3, 8, 8), dtype=np.uint8)
            pixels = coarse.repeat(4, 2).repeat(4, 3)
            works: dict[str, Callable[[], Any]] = {"dlcore, whole batch, a draw for each": batched(pixels, device)}
            where = {"device": device} if len(harness.devices()) > 1 else {}
            try:
                # image by image, a larger batch is only more of the same
                works |= {n: work for n, work in peers(pixels, device) if not place or n == ONE_DRAW}
                missing = False
            except ImportError:
                missing = True
            spent = harness.turns(works, turns, least=0.0 if quick else 0.4)
            # the floats are read and written twice
            floor = 4 * 4 * pixels.size / harness.bandwidth(device)
            base = next(iter(spent.values()))
            for way, cost in spent.items():
                used = cost.cpu if device == "cpu" else cost.wall
                row = {**where, "method": way, "batch": batch, "images / s": batch / used}
                row |= harness.compared(cost, base, wall=device != "cpu")
                row |= {"share of bandwidth": f"{floor / used:.1%}", "extra MB": cost.memory}
                rows.append(row | ({"GPU MB": cost.gpu} if device != "cpu" else {}))
            if missing:
                rows.append(harness.remark("not installed", **where, method="torchvision", batch=batch))
    note = (
        "Two views of every image as float tensors; images a second (of CPU time; on a GPU, of wall time), each counted "
        f"once, the median of {turns} turns, one thread. The bandwidth is that of a copy of 512 MB; the least that two views "
        "can do is to read the floats twice and write them twice. Per image, torchvision draws for each image, as dlcore does "
        "for a whole batch. torchvision v2 also takes a batch, but then all of its images get the same crop and colours: it is "
        "here to show the cost, and is no substitute; a turn is many draws, because a batch whose draw leaves the colours "
        "alone takes a tenth of the time. dlcore's hue turns in YIQ, not HSV, and its order of colour steps "
        "is fixed."
    )
    versions = harness.versions("torch", "torchvision", "pillow")
    return [harness.Table("Two random views of 32 x 32 images", note, rows, ("time / dlcore's",), versions)]


if __name__ == "__main__":
    harness.main(tables, __doc__)
