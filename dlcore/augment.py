"""Batched augmentation: each function takes a whole batch on its device and treats every sample differently."""

from __future__ import annotations

import torch


def crop_flip(images: torch.Tensor, generator: torch.Generator, *, padding: int = 4, flip: bool = True) -> torch.Tensor:
    """Returns each image shifted by up to `padding` pixels (zeros move in) and mirrored with probability one half.

    The usual augmentation of CIFAR-10, as one gather for the batch instead of a Python call for each image. Pass
    it to `training.fit(..., augment=crop_flip)`.

    Shapes: images (n, C, H, W) float; the result has the same shape, device and memory format.
    Args: generator: on the device of the images.
    Raises: ValueError for inputs that are not images, or a padding outside 0..min(H, W).

    >>> g = torch.Generator().manual_seed(0)
    >>> crop_flip(torch.ones(2, 1, 4, 4), g, padding=0).sum()
    tensor(32.)
    """
    if images.ndim != 4:
        raise ValueError(f"images (n, C, H, W) are needed, not {tuple(images.shape)}")
    n, _, height, width = images.shape
    if not 0 <= padding <= min(height, width):
        raise ValueError(f"padding = {padding} is outside 0..{min(height, width)}")
    where = {"device": images.device, "generator": generator}
    up, left = torch.randint(-padding, padding + 1, (2, n, 1), **where)
    rows = torch.arange(height, device=images.device) + up
    columns = torch.arange(width, device=images.device) + left
    if flip:
        mirrored = torch.rand((n, 1), **where) < 0.5
        columns = torch.where(mirrored, columns.flip(1), columns)
    inside = ((rows >= 0) & (rows < height))[:, :, None] & ((columns >= 0) & (columns < width))[:, None, :]
    index = (rows.clamp(0, height - 1) * width)[:, :, None] + columns.clamp(0, width - 1)[:, None, :]
    # gathered with the channels last, which is how images lie in memory during training
    flat = images.permute(0, 2, 3, 1).reshape(n, height * width, -1)
    out = flat.gather(1, index.reshape(n, -1, 1).expand(-1, -1, flat.shape[2]))
    out = (out * inside.reshape(n, -1, 1)).view(n, height, width, -1).permute(0, 3, 1, 2)
    last = images.is_contiguous(memory_format=torch.channels_last)
    return out.contiguous(memory_format=torch.channels_last if last else torch.contiguous_format)
