"""Families of stitching maps: closed forms from second moments, trained maps, and their initialisations."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from scipy.optimize import linear_sum_assignment
from torch import nn

from dlcore.config import one_of
from dlcore.stitching import CLOSED, FAMILIES, TRAINED
from dlcore.stitching.layouts import Arrange, Layout

# second moments of more channels than this do not fit into memory
_MOST = 16384


@dataclass(frozen=True)
class Moments:
    """Means and second moments of paired activations, float64: rows are positions of inputs.

    Shapes: mean_in (C,), mean_out (D,), cov_in (C, C), cross (C, D), var_out (D,).
    """

    mean_in: torch.Tensor
    mean_out: torch.Tensor
    cov_in: torch.Tensor
    cross: torch.Tensor
    var_out: torch.Tensor


def moments(pairs: Iterable[tuple[torch.Tensor, torch.Tensor]]) -> Moments:
    """Returns the moments of (rows, C) and (rows, D) matrices that come in parts; row i of both is one input."""
    count, shift = 0, None
    sums: list[torch.Tensor] = []
    for source, target in pairs:
        if max(source.shape[1], target.shape[1]) > _MOST:
            raise ValueError(
                f"{source.shape[1]} and {target.shape[1]} channels: a closed form needs at most {_MOST}; "
                "choose a later stage, or a family that works position by position"
            )
        where = "cpu" if source.device.type == "mps" else source.device
        f, t = source.to(where).double(), target.to(where).double()
        if shift is None:
            # deviations from the first part's mean: nothing cancels when activations are far from zero
            shift = f.mean(0), t.mean(0)
        f, t = f - shift[0], t - shift[1]
        parts = [f.sum(0), t.sum(0), f.T @ f, f.T @ t, (t * t).sum(0)]
        sums = [total.add_(part) for total, part in zip(sums, parts, strict=True)] if sums else parts
        count += len(f)
    if shift is None:
        raise ValueError("no activations: a closed form needs some")
    sum_f, sum_t, cov, cross, squares = sums
    for name, total in (("bottom", sum_f), ("top", sum_t)):
        if not torch.isfinite(total).all():
            raise ValueError(f"the {name}'s activations contain NaN or infinity: does it work on these inputs?")
    a, b = sum_f / count, sum_t / count
    parts = (
        shift[0] + a,
        shift[1] + b,
        cov / count - torch.outer(a, a),
        cross / count - torch.outer(a, b),
        squares / count - b * b,
    )
    return Moments(*(part.cpu() for part in parts))


def least_squares(m: Moments, ridge: float = 0.0, rank: int | None = None) -> torch.Tensor:
    """Returns W (C, D) minimising ||F W - T||^2 / n + ridge ||W||^2, centred; of least norm where there are several.

    With `rank`, reduced-rank regression: W V V' with V the leading right singular vectors of F W.
    Directions of F below 1e-5 of the largest in size are rounding of float32 activations and are left out.
    """
    values, vectors = torch.linalg.eigh(m.cov_in)
    keep = values > 1e-10 * values[-1].clamp(min=1e-300)
    vectors, values = vectors[:, keep], values[keep]
    weight = vectors @ ((vectors.T @ m.cross) / (values + ridge)[:, None])
    if rank is not None:
        leading = torch.linalg.eigh(weight.T @ m.cov_in @ weight).eigenvectors[:, -rank:]
        weight = weight @ leading @ leading.T
    return weight


def orthogonal(m: Moments) -> torch.Tensor:
    """Returns U V' of F'T = U S V' (orthogonal Procrustes); with unequal widths, orthonormal rows or columns."""
    u, _, vh = torch.linalg.svd(m.cross, full_matrices=False)
    return u @ vh


def permutation(m: Moments) -> torch.Tensor:
    """Returns for each output channel the input channel assigned to it: most correlated in sum (Hungarian).

    Two channels that never vary count as correlated when their values are equal.
    """
    spread_in, spread_out = m.cov_in.diagonal().clamp(min=0).sqrt(), m.var_out.clamp(min=0).sqrt()
    still_in, still_out = (s <= 1e-6 * s.max() for s in (spread_in, spread_out))
    correlation = m.cross / torch.where(still_in, torch.inf, spread_in)[:, None]
    correlation = correlation / torch.where(still_out, torch.inf, spread_out)[None]
    close = torch.isclose(m.mean_in[:, None], m.mean_out[None], rtol=1e-5, atol=1e-6)
    correlation[still_in[:, None] & still_out[None] & close] = 1.0
    rows, columns = linear_sum_assignment(-correlation.numpy())
    index = torch.empty(len(columns), dtype=torch.long, device="cpu")
    index[torch.from_numpy(columns)] = torch.from_numpy(rows)
    return index


class Pick(nn.Module):
    """Takes channels by their numbers, bit by bit."""

    index: torch.Tensor

    def __init__(self, index: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("index", index)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Returns the chosen channels of (rows, C)."""
        return x[:, self.index]


class Affine(nn.Module):
    """(x - mean_in) W + mean_out, frozen."""

    weight: torch.Tensor
    mean_in: torch.Tensor
    mean_out: torch.Tensor

    def __init__(self, weight: torch.Tensor, mean_in: torch.Tensor, mean_out: torch.Tensor) -> None:
        super().__init__()
        for name, value in (("weight", weight), ("mean_in", mean_in), ("mean_out", mean_out)):
            self.register_buffer(name, value.float())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Returns the map of (rows, C)."""
        return (x - self.mean_in) @ self.weight + self.mean_out


class Window(nn.Module):
    """A k-wide convolution over the positions, of rows (n x positions, C) and back."""

    def __init__(self, source: int, target: int, grid: tuple[int, ...], kernel_size: int) -> None:
        super().__init__()
        kind = nn.Conv1d if len(grid) == 1 else nn.Conv2d
        self.grid, self.conv = grid, kind(source, target, kernel_size, padding="same")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Returns (n x positions, C')."""
        n = len(x) // math.prod(self.grid)
        images = x.reshape(n, *self.grid, -1).movedim(-1, 1)
        return self.conv(images).movedim(1, -1).flatten(0, -2)


class Stitcher(nn.Module):
    """Activations of the bottom's layout -> rows of channels -> norm, map, norm -> the top's layout.

    A 1x1 convolution is a linear map of the channels at each position, and BatchNorm over images and positions is
    BatchNorm over rows; so one core serves convolutions, flat activations and tokens.
    """

    def __init__(self, arrange: Arrange, norm_in: nn.Module, core: nn.Module, norm_out: nn.Module) -> None:
        super().__init__()
        self.arrange, self.norm_in, self.core, self.norm_out = arrange, norm_in, core, norm_out

    def rows(self, x: torch.Tensor) -> torch.Tensor:
        """Returns the activations as (n x positions of the top, C)."""
        return self.arrange(self.arrange.source.to_matrix(x)).flatten(0, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Returns activations as the top expects them."""
        target = self.arrange.target
        out = self.norm_out(self.core(self.norm_in(self.rows(x))))
        return target.from_matrix(out.reshape(len(x), target.positions, -1))

    def size(self) -> torch.Tensor:
        """Returns the sum of the absolute weights of the map, for an L1 penalty."""
        return torch.stack([p.abs().sum() for p in self.core.parameters() if p.ndim > 1]).sum()


def arrangement(family: str, source: Layout, target: Layout, resize: str | None) -> tuple[str, Arrange]:
    """Returns the family ("auto" decided) and how the activations are arranged for it.

    Raises: ValueError for an unknown family, or one that does not fit the shapes; it says which does.
    """
    one_of("family", family, ("auto", *FAMILIES))
    mixed = (source.kind == "flat") != (target.kind == "flat")
    flat = source.kind == target.kind == "flat"
    if family == "auto":
        tokens = "channels_last" in (source.kind, target.kind)
        family = "linear" if mixed or flat else "token_linear" if tokens else "conv1x1"
    if family in ("conv1x1", "token_linear") and (mixed or flat):
        raise ValueError(
            f"family {family!r} works position by position; the bottom's activation is {source} and the top's "
            f"{target}: use family='linear'"
        )
    if family == "linear" or mixed:
        source, target = source.flattened, target.flattened
    return family, Arrange(source, target, resize)


def build(
    family: str, arrange: Arrange, m: Moments | None, init: str, kernel_size: int, rank: int | None, ridge: float
) -> Stitcher:
    """Returns a stitcher, fitted (closed forms) or initialised (trained families)."""
    source, target = arrange.source.channels, arrange.target.channels
    none = nn.Identity()
    unit_by_unit = family in ("identity", "permutation") or (family in TRAINED and init == "identity")
    if unit_by_unit and source != target:
        what = family if family in CLOSED else "init 'identity'"
        raise ValueError(f"{what} needs equal widths; the bottom has {source} channels and the top {target}")
    if rank is not None and not 1 <= rank <= min(source, target):
        raise ValueError(f"rank = {rank} is outside 1..{min(source, target)}, the smaller number of channels")
    if family == "identity":
        return Stitcher(arrange, none, none, none)
    if m is None and (family in CLOSED or init != "random"):
        raise ValueError("a closed form, and a start that is not random, need the moments of the activations")
    if m is not None and family == "permutation":
        return Stitcher(arrange, none, Pick(permutation(m)), none)
    if m is not None and family in CLOSED:
        weight = orthogonal(m) if family == "orthogonal" else least_squares(m, ridge, rank)
        return Stitcher(arrange, none, Affine(weight, m.mean_in, m.mean_out), none)
    if source * target > 2**28:
        raise ValueError(
            f"a linear map of {source} to {target} numbers has {source * target:,} weights; choose a later stage"
        )
    if kernel_size > 1:
        core: nn.Module = Window(source, target, arrange.target.axes, kernel_size)
    elif rank is not None:
        factors = nn.Linear(source, rank, bias=False), nn.Linear(rank, target)
        for layer in factors:
            nn.init.orthogonal_(layer.weight)
        core = nn.Sequential(*factors)
    else:
        core = nn.Linear(source, target)
    norms = (none, none) if family == "token_linear" else (nn.BatchNorm1d(source), nn.BatchNorm1d(target))
    stitcher = Stitcher(arrange, norms[0], core, norms[1])
    if m is not None and init == "least_squares":
        _start(stitcher, least_squares(m, ridge, rank), m.mean_out, m)
    elif m is not None and init == "identity":
        _start(stitcher, torch.eye(source, dtype=torch.float64), m.mean_in, m)
    return stitcher


@torch.no_grad()
def _start(stitcher: Stitcher, weight: torch.Tensor, mean_out: torch.Tensor, m: Moments) -> None:
    """Sets a trained stitcher to x -> (x - mean_in) W + mean_out: exactly in evaluation, nearly on a batch."""
    norm_in, norm_out = stitcher.norm_in, stitcher.norm_out
    bias = mean_out - m.mean_in @ weight
    if isinstance(norm_in, nn.BatchNorm1d) and isinstance(norm_out, nn.BatchNorm1d):
        variance = m.cov_in.diagonal().clamp(min=0)
        _set(norm_in, running_mean=m.mean_in, running_var=variance)
        out = (weight * (m.cov_in @ weight)).sum(0).clamp(min=0)
        scale = (out + norm_out.eps).sqrt()
        _set(norm_out, running_mean=torch.zeros_like(out), running_var=out, weight=scale, bias=mean_out)
        weight, bias = weight * (variance + norm_in.eps).sqrt()[:, None], torch.zeros_like(mean_out)
    core = stitcher.core
    if isinstance(core, Window):
        kernel = torch.zeros_like(core.conv.weight)
        centre = tuple((k - 1) // 2 for k in core.conv.kernel_size)
        kernel[(slice(None), slice(None), *centre)] = weight.T.to(kernel)
        _set(core.conv, weight=kernel, bias=bias)
    elif isinstance(core, nn.Sequential):
        u, s, vh = torch.linalg.svd(weight, full_matrices=False)
        k = len(core.get_parameter("0.weight"))
        _set(core[0], weight=(u[:, :k] * s[:k].sqrt()).T)
        _set(core[1], weight=(s[:k, None].sqrt() * vh[:k]).T, bias=bias)
    else:
        _set(core, weight=weight.T, bias=bias)


def _set(module: nn.Module, **values: torch.Tensor) -> None:
    """Copies values into the parameters and buffers of these names; the others stay."""
    own = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    for name, value in values.items():
        own[name].copy_(value)
