"""Shapes of activations, and how those of one network are brought into the shape that another expects."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from dlcore.config import one_of

KINDS = ("auto", "channels_first", "channels_last")
RESIZE = ("nearest", "bilinear", "area")


@dataclass(frozen=True)
class Layout:
    """The shape of one activation as positions x channels.

    `kind` is "flat" (D,), "channels_first" (C, L) or (C, H, W), or "channels_last": tokens (T, D) or (H, W, D).
    `unrolled` is the shape that a flattened activation has in its network.
    """

    kind: str
    shape: tuple[int, ...]
    unrolled: tuple[int, ...] | None = None

    @property
    def channels(self) -> int:
        """The number of channels."""
        return self.shape[-1] if self.kind == "channels_last" else self.shape[0]

    @property
    def axes(self) -> tuple[int, ...]:
        """The sizes of the axes of positions; none for a flat activation."""
        return self.shape[:-1] if self.kind == "channels_last" else self.shape[1:]

    @property
    def positions(self) -> int:
        """The number of positions."""
        return math.prod(self.axes)

    @property
    def prefix(self) -> int:
        """1 where a sequence of tokens is a square grid and one more, as with the class token of a ViT."""
        if self.kind != "channels_last" or len(self.axes) != 1:
            return 0
        count = self.axes[0]
        return int(count > 1 and math.isqrt(count) ** 2 != count and math.isqrt(count - 1) ** 2 == count - 1)

    @property
    def grid(self) -> tuple[int, ...]:
        """The axes of positions; a sequence of tokens of square length (less its class token) is a square."""
        if self.kind != "channels_last" or len(self.axes) != 1:
            return self.axes
        count = self.axes[0] - self.prefix
        side = math.isqrt(count)
        return (side, side) if side * side == count else (count,)

    @property
    def flattened(self) -> Layout:
        """The same numbers as one flat activation."""
        return Layout("flat", (math.prod(self.shape),), self.shape)

    def to_matrix(self, x: torch.Tensor) -> torch.Tensor:
        """Returns (n, positions, channels) of a batch."""
        if self.kind == "channels_first":
            return x.reshape(len(x), self.channels, -1).transpose(1, 2)
        return x.reshape(len(x), -1, self.channels)

    def from_matrix(self, x: torch.Tensor) -> torch.Tensor:
        """Returns the batch of activations of a (n, positions, channels) array."""
        if self.kind == "channels_first":
            x = x.transpose(1, 2)
        return x.reshape(len(x), *(self.unrolled or self.shape))

    def __str__(self) -> str:
        sizes = "x".join(map(str, self.shape))
        return f"{sizes} ({self.kind.replace('_', ' ')})"


def layout_of(shape: tuple[int, ...], model: nn.Module, kind: str = "auto") -> Layout:
    """Returns the layout of an activation of a network.

    "auto": one axis is flat; several have the channels first, unless the network normalises or attends over vectors
    of the length of the last axis, as transformers do.
    Raises: ValueError for an unknown kind.
    """
    one_of("layout", kind, KINDS)
    if len(shape) == 1:
        return Layout("flat", shape)
    if kind == "auto":
        tokens = any(
            (isinstance(m, nn.LayerNorm) and tuple(m.normalized_shape) == shape[-1:])
            or (isinstance(m, nn.MultiheadAttention) and m.embed_dim == shape[-1])
            for m in model.modules()
        )
        kind = "channels_last" if tokens else "channels_first"
    return Layout(kind, shape)


class Arrange(nn.Module):
    """Brings (n, positions, channels) of one layout to the positions of another, by interpolation where asked."""

    def __init__(self, source: Layout, target: Layout, resize: str | None) -> None:
        super().__init__()
        if resize is not None:
            one_of("resize", resize, RESIZE)
        self.source, self.target, self.resize = source, target, resize
        sequence = any(one.kind == "channels_last" and len(one.axes) == 1 for one in (source, target))
        same = source.positions == target.positions and (sequence or source.axes == target.axes)
        self.changes = not (same or source.axes == target.axes)
        if self.changes and resize is None:
            raise ValueError(
                f"the bottom's activation is {source} and the top's {target}: their positions differ. "
                f"Interpolate with resize='bilinear' (or {', '.join(repr(r) for r in RESIZE if r != 'bilinear')}), or map "
                "all at once with family='linear'"
            )
        if self.changes and len(source.grid) != len(target.grid):
            raise ValueError(
                f"{len(source.grid)} axes of positions cannot be interpolated to {len(target.grid)} "
                f"(the bottom's activation is {source}, the top's {target}); use family='linear'"
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Returns (n, positions of the target, channels)."""
        if not self.changes:
            return x
        source, target = self.source, self.target
        body = x[:, source.prefix :].transpose(1, 2).reshape(len(x), -1, *source.grid)
        mode = "linear" if self.resize == "bilinear" and len(source.grid) == 1 else self.resize or "nearest"
        smooth = {"align_corners": False} if mode in ("linear", "bilinear") else {}
        out = functional.interpolate(body, size=target.grid, mode=mode, **smooth).flatten(2).transpose(1, 2)
        if target.prefix:
            # a class token has no place; where the bottom has none, the mean over places stands for it
            first = x[:, :1] if source.prefix else out.mean(1, keepdim=True)
            out = torch.cat([first, out], dim=1)
        return out
