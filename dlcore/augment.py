"""Batched augmentation: each function takes a whole batch on its device and treats every sample differently.

Everything here is `f(inputs, generator, ...)`, so it can be passed to `training.fit(..., augment=f)`; `chain` puts
several into one, `two_views` makes the pairs of self-supervised learning.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import torch
from torch.nn import functional

Augment = Callable[[torch.Tensor, torch.Generator], torch.Tensor]
_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, as torchvision's rgb_to_grayscale
# RGB -> YIQ; a rotation of (I, Q) turns the hue and leaves the luma alone
_YIQ = ((0.299, 0.587, 0.114), (0.5959, -0.2746, -0.3213), (0.2115, -0.5227, 0.3112))


@functools.lru_cache(maxsize=8)
def _colours(where: torch.device, kind: torch.dtype) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Returns luma weights, RGB -> YIQ and back, on a device: made in every step, they make the CPU wait for the GPU."""
    luma, to_yiq = torch.tensor(_LUMA, dtype=kind), torch.tensor(_YIQ, dtype=kind)
    return luma.to(where), to_yiq.to(where), torch.linalg.inv(to_yiq).to(where)


def _images(images: torch.Tensor) -> None:
    if not isinstance(images, torch.Tensor):
        raise ValueError(f"a tensor of images is needed, not {type(images).__name__}")
    if images.ndim != 4 or not images.numel():
        raise ValueError(f"images (n, C, H, W) are needed, not {tuple(images.shape)}")


def _probability(name: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise ValueError(f"{name} = {value} is outside [0, 1]")


def _uniform(like: torch.Tensor, generator: torch.Generator, low: float, high: float) -> torch.Tensor:
    """Returns one number per sample, (n,), uniform in [low, high]; in float32, of which a seed draws the same everywhere."""
    return low + (high - low) * torch.rand(len(like), device=like.device, generator=generator, dtype=torch.float32)


def _resample(images: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
    """Returns images read at positions (n, H, W, 2), x before y in [-1, 1], bilinearly, zero outside."""
    return functional.grid_sample(images, positions, padding_mode="zeros", align_corners=False)


def crop_flip(images: torch.Tensor, generator: torch.Generator, *, padding: int = 4, flip: bool = True) -> torch.Tensor:
    """Returns each image shifted by up to `padding` pixels (zeros move in) and mirrored with probability one half.

    The usual augmentation of CIFAR-10, as one gather for the batch instead of a Python call for each image.

    Shapes: images (n, C, H, W) float; the result has the same shape, device and memory format.
    Args: generator: on the device of the images.
    Raises: ValueError for inputs that are not images, or a padding outside 0..min(H, W).

    >>> g = torch.Generator().manual_seed(0)
    >>> crop_flip(torch.ones(2, 1, 4, 4), g, padding=0).sum()
    tensor(32.)
    """
    _images(images)
    n, _, height, width = images.shape
    if not 0 <= padding <= min(height, width):
        raise ValueError(f"padding = {padding} is outside 0..{min(height, width)}")
    where = {"device": images.device, "generator": generator}
    up, left = torch.randint(-padding, padding + 1, (2, n, 1), **where)
    rows = torch.arange(height, device=images.device) + up
    columns = torch.arange(width, device=images.device) + left
    if flip:
        mirrored = torch.rand((n, 1), dtype=torch.float32, **where) < 0.5
        columns = torch.where(mirrored, columns.flip(1), columns)
    inside = ((rows >= 0) & (rows < height))[:, :, None] & ((columns >= 0) & (columns < width))[:, None, :]
    index = (rows.clamp(0, height - 1) * width)[:, :, None] + columns.clamp(0, width - 1)[:, None, :]
    # gathered with the channels last, which is how images lie in memory during training
    flat = images.permute(0, 2, 3, 1).reshape(n, height * width, -1)
    out = flat.gather(1, index.reshape(n, -1, 1).expand(-1, -1, flat.shape[2]))
    out = (out * inside.reshape(n, -1, 1)).view(n, height, width, -1).permute(0, 3, 1, 2)
    last = images.is_contiguous(memory_format=torch.channels_last)
    return out.contiguous(memory_format=torch.channels_last if last else torch.contiguous_format)


def resized_crop(
    images: torch.Tensor,
    generator: torch.Generator,
    *,
    scale: tuple[float, float] = (0.2, 1.0),
    ratio: tuple[float, float] = (3 / 4, 4 / 3),
    flip: bool = True,
) -> torch.Tensor:
    """Returns a random crop of each image, resized to the whole, mirrored with probability one half when `flip`.

    The crop's share of the area is uniform in `scale`, its aspect ratio log-uniform in `ratio`; a side longer than
    the image is cut to it. One bilinear resampling for the batch.

    Shapes: images (n, C, H, W) float; result alike.
    Raises: ValueError for inputs that are not images, or a scale outside 0 < low <= high <= 1.
    Differs: torchvision's RandomResizedCrop tries again when a crop does not fit, and smooths when it shrinks.

    >>> resized_crop(torch.ones(2, 1, 4, 4), torch.Generator().manual_seed(0)).shape
    torch.Size([2, 1, 4, 4])
    """
    _images(images)
    if not 0 < scale[0] <= scale[1] <= 1:
        raise ValueError(f"scale = {scale} must hold 0 < low <= high <= 1")
    area = _uniform(images, generator, *scale)
    aspect = torch.exp(_uniform(images, generator, math.log(ratio[0]), math.log(ratio[1])))
    wide, high = (area * aspect).sqrt().clamp(max=1), (area / aspect).sqrt().clamp(max=1)
    x, y = (_uniform(images, generator, -1, 1) * (1 - side) for side in (wide, high))
    if flip:
        wide = torch.where(_uniform(images, generator, 0, 1) < 0.5, -wide, wide)
    # a crop's columns are the same in all its rows: affine_grid would multiply a matrix for every pixel, 2.6 times as slow
    n, _, height, width = images.shape
    middles = (
        (2 * torch.arange(side, device=images.device, dtype=torch.float32) + 1) / side - 1 for side in (width, height)
    )
    columns, rows = (a[:, None] * m + b[:, None] for a, m, b in zip((wide, high), middles, (x, y), strict=True))
    positions = columns[:, None].expand(n, height, width), rows[:, :, None].expand(n, height, width)
    return _resample(images, torch.stack(positions, 3).to(images.dtype))


def affine(
    images: torch.Tensor,
    generator: torch.Generator,
    *,
    degrees: float = 15.0,
    scale: tuple[float, float] = (0.85, 1.15),
    shift: float = 0.1,
) -> torch.Tensor:
    """Returns each image turned by up to `degrees`, enlarged within `scale` and shifted by up to `shift` of its side.

    Shapes: images (n, C, H, W) float; result alike; zeros move in.
    Raises: ValueError for inputs that are not images, or a scale that is not positive.
    """
    _images(images)
    if not 0 < scale[0] <= scale[1]:
        raise ValueError(f"scale = {scale} must hold 0 < low <= high")
    angle = _uniform(images, generator, -math.radians(degrees), math.radians(degrees))
    size = 1 / _uniform(images, generator, *scale)
    matrices = images.new_zeros(len(images), 2, 3)
    matrices[:, 0, 0] = matrices[:, 1, 1] = size * angle.cos()
    matrices[:, 0, 1], matrices[:, 1, 0] = -size * angle.sin(), size * angle.sin()
    for axis in (0, 1):
        matrices[:, axis, 2] = _uniform(images, generator, -2 * shift, 2 * shift)
    return _resample(images, functional.affine_grid(matrices, list(images.shape), align_corners=False))


def colour_jitter(
    images: torch.Tensor,
    generator: torch.Generator,
    *,
    brightness: float = 0.4,
    contrast: float = 0.4,
    saturation: float = 0.4,
    hue: float = 0.1,
    probability: float = 0.8,
    gray: float = 0.2,
) -> torch.Tensor:
    """Returns images with their colours changed; with probability `gray`, without colour. SimCLR's jitter at s = 0.5.

    Each factor is uniform in [1 - b, 1 + b]; the hue turns by up to `hue` of the circle. All steps are linear in
    the colour of a pixel, so a batch is one 3 x 3 product per image. Images of one channel have no saturation or hue.

    Shapes: images (n, 1 or 3, H, W) float in [0, 1]; result alike, cut to [0, 1].
    Raises: ValueError for other shapes, or a probability outside [0, 1].
    Paper: Chen et al. 2020 (arXiv 2002.05709), appendix A.
    Differs: the order is fixed (brightness, contrast, saturation, hue), the range is cut once at the end, and the
        hue turns in YIQ instead of HSV.
    """
    _images(images)
    channels = images.shape[1]
    if channels not in (1, 3):
        raise ValueError(f"images of 1 or 3 channels are needed, not {channels}")
    _probability("probability", probability)
    _probability("gray", gray)
    light, factor, colour = (
        _uniform(images, generator, max(0.0, 1 - b), 1 + b) for b in (brightness, contrast, saturation)
    )
    turn = _uniform(images, generator, -2 * math.pi * hue, 2 * math.pi * hue)
    untouched = _uniform(images, generator, 0, 1) >= probability
    drop = _uniform(images, generator, 0, 1) < gray
    light, factor, colour = (torch.where(untouched, 1.0, v) for v in (light, factor, colour))
    turn = torch.where(untouched, 0.0, turn)
    if channels == 1:
        mean = images.mean((2, 3), keepdim=True)
        light, factor = light.view(-1, 1, 1, 1), factor.view(-1, 1, 1, 1)
        return ((images * factor + mean * (1 - factor)) * light).clamp(0, 1)
    luma, to_yiq, from_yiq = _colours(images.device, images.dtype)
    eye = torch.eye(3, device=images.device, dtype=images.dtype)
    to_gray = luma.expand(3, 3)
    saturate = colour.view(-1, 1, 1) * eye + (1 - colour).view(-1, 1, 1) * to_gray
    spin = eye.repeat(len(images), 1, 1)
    spin[:, 1, 1] = spin[:, 2, 2] = turn.cos()
    spin[:, 1, 2], spin[:, 2, 1] = -turn.sin(), turn.sin()
    colours = from_yiq @ spin @ to_yiq @ saturate
    colours = torch.where(drop.view(-1, 1, 1), to_gray @ colours, colours)
    # contrast mixes with the mean luma of the image, a constant per image; colour steps keep gray as it is
    mean = (images.mean((2, 3)) @ luma).view(-1, 1)
    linear = colours * (light * factor).view(-1, 1, 1)
    offset = ((1 - factor) * light).view(-1, 1) * mean
    # the matrix from the left, so that the long side of the product is its inner loop: 4 times as fast as from the right
    return torch.baddbmm(offset[:, :, None], linear, images.flatten(2)).clamp_(0, 1).view(images.shape)


def blur(
    images: torch.Tensor,
    generator: torch.Generator,
    *,
    sigma: tuple[float, float] = (0.1, 1.0),
    probability: float = 0.5,
) -> torch.Tensor:
    """Returns images smoothed by a Gaussian of a random width in pixels, five taps a side, with a probability.

    Shapes: images (n, C, H, W) float; result alike; the border is reflected.
    Raises: ValueError for inputs that are not images, a width that is not positive, a probability outside [0, 1].
    """
    _images(images)
    _probability("probability", probability)
    if not 0 < sigma[0] <= sigma[1]:
        raise ValueError(f"sigma = {sigma} must hold 0 < low <= high")
    width = _uniform(images, generator, *sigma)
    width = torch.where(_uniform(images, generator, 0, 1) < probability, width, 1e-3)
    taps = torch.exp(-0.5 * (torch.arange(3, device=images.device) / width[:, None]) ** 2)
    taps = taps / (taps[:, :1] + 2 * taps[:, 1:].sum(1, keepdim=True))

    def bands(size: int) -> torch.Tensor:
        """Returns the smoothing along an axis as matrices (n, 1, size, size): a third of the time of five shifted sums."""
        at = functional.pad(
            torch.eye(size, device=images.device, dtype=torch.float32)[None], (0, 0, 2, 2), mode="reflect"
        )[0]
        near = torch.stack([at[2:-2], at[1:-3] + at[3:-1], at[:-4] + at[4:]])
        return (taps @ near.flatten(1)).view(-1, 1, size, size).to(images.dtype)

    return bands(images.shape[2]) @ images @ bands(images.shape[3]).transpose(2, 3)


def warp_signal(
    signals: torch.Tensor,
    generator: torch.Generator,
    *,
    shift: float = 1.0,
    stretch: float = 0.15,
    amplitude: float = 0.2,
    slope: float = 0.5,
    noise: float = 0.1,
) -> torch.Tensor:
    """Returns signals shifted around, stretched, scaled, sheared and with smooth noise added: MNIST-1D's nuisances.

    Args:
        shift: largest shift as a share of the length, circular; 1 is any shift.
        stretch, amplitude: relative; the factors are uniform in [1 - v, 1 + v].
        slope: largest difference between the two ends of the added ramp.
        noise: standard deviation of the noise before it is smoothed over three points.
    Shapes: signals (n, C, L) float; result alike.
    Raises: ValueError for inputs that are not signals.

    >>> warp_signal(torch.zeros(2, 1, 8), torch.Generator().manual_seed(0), slope=0, noise=0).sum()
    tensor(0.)
    """
    if signals.ndim != 3:
        raise ValueError(f"signals (n, C, L) are needed, not {tuple(signals.shape)}")
    length = signals.shape[2]
    time = torch.arange(length, device=signals.device, dtype=signals.dtype)
    speed = _uniform(signals, generator, 1 - stretch, 1 + stretch)[:, None]
    start = _uniform(signals, generator, -shift * length / 2, shift * length / 2)[:, None]
    position = (time - length / 2) * speed + length / 2 + start
    left = position.floor()
    share = (position - left)[:, None]
    index = left.long()[:, None].expand(-1, signals.shape[1], -1)
    out = signals.gather(2, index % length) * (1 - share) + signals.gather(2, (index + 1) % length) * share
    out = out * _uniform(signals, generator, 1 - amplitude, 1 + amplitude)[:, None, None]
    ramp = _uniform(signals, generator, -slope, slope)[:, None, None]
    out = out + ramp * (time / max(1, length - 1) - 0.5)
    rough = torch.randn(
        (*signals.shape[:2], length + 2), device=signals.device, generator=generator, dtype=torch.float32
    )
    return out + noise * functional.avg_pool1d(rough, 3, 1)


def chain(*steps: Augment) -> Augment:
    """Returns the augmentation that applies the steps one after the other."""

    def apply(inputs: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        for step in steps:
            inputs = step(inputs, generator)
        return inputs

    return apply


def two_views(view: Augment) -> Augment:
    """Returns the augmentation that makes a batch of 2n inputs from n: rows i and n + i are two views of input i."""
    return lambda inputs, generator: view(torch.cat([inputs, inputs]), generator)
