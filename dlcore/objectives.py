"""Losses of self-supervised learning. None of them sees a label; all are in nats or squared units, mean over the batch.

Where several processes train one model, those that compare samples take the rows of all: the batch is the whole batch.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from dlcore import parallel
from dlcore.config import one_of

OBJECTIVES = ("simclr", "vicreg", "barlow_twins", "rotation")


def _pair(first: torch.Tensor, second: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    if first.shape != second.shape or first.ndim != 2:
        raise ValueError(f"two (n, d) tensors are needed, not {tuple(first.shape)} and {tuple(second.shape)}")
    # in float32: squared sums of bfloat16 lose the small differences that these losses are made of
    first, second = (parallel.gather(z.float()) for z in (first, second))
    if len(first) < 2:
        raise ValueError("a batch of one has nothing to compare with; two samples at least")
    return first, second


def nt_xent(first: torch.Tensor, second: torch.Tensor, *, temperature: float = 0.5) -> torch.Tensor:
    """Returns SimCLR's loss, in nats: each view should find its partner among the other 2n - 1 views.

    Shapes: first, second (n, d), rows i are two views of one input; result a scalar.
    Raises: ValueError for shapes that differ, fewer than two rows, a temperature that is not positive.
    Paper: Chen et al. 2020 (arXiv 2002.05709), equation 1, averaged over all 2n views.

    >>> z = torch.eye(4)
    >>> round(nt_xent(z, z, temperature=1.0).item(), 4)  # log(1 + 6/e)
    1.1654
    """
    first, second = _pair(first, second)
    if not temperature > 0:
        raise ValueError(f"temperature = {temperature} must be positive")
    z = functional.normalize(torch.cat([first, second]), dim=1)
    similar = z @ z.T / temperature
    similar.fill_diagonal_(-torch.inf)
    partner = torch.arange(len(z), device=z.device).roll(len(first))
    return functional.cross_entropy(similar, partner)


def vicreg(
    first: torch.Tensor,
    second: torch.Tensor,
    *,
    invariance: float = 25.0,
    variance: float = 25.0,
    covariance: float = 1.0,
    floor: float = 1e-4,
) -> torch.Tensor:
    """Returns VICReg's loss: views alike, every coordinate's deviation at least 1, coordinates uncorrelated.

    Shapes: first, second (n, d); result a scalar.
    Raises: ValueError for shapes that differ or fewer than two rows.
    Paper: Bardes et al. 2022 (arXiv 2105.04906), equations 1 to 6; the invariance term is the mean over n and d,
        as in the released code (equation 5 sums over d).

    >>> z = torch.tensor([[1.0, -1.0], [-1.0, 1.0], [1.0, 1.0], [-1.0, -1.0]])
    >>> vicreg(z, z).item()
    0.0
    """
    first, second = _pair(first, second)
    n, d = first.shape
    loss = invariance * functional.mse_loss(first, second)
    for z in (first, second):
        z = z - z.mean(0)
        spread = torch.sqrt(z.square().sum(0) / (n - 1) + floor)
        loss = loss + variance * functional.relu(1 - spread).mean() / 2
        square = (z.T @ z / (n - 1)).square()
        loss = loss + covariance * (square.sum() - square.diagonal().sum()) / d
    return loss


def barlow_twins(first: torch.Tensor, second: torch.Tensor, *, redundancy: float = 5e-3) -> torch.Tensor:
    """Returns the Barlow Twins loss: the cross-correlation of the two views' coordinates should be the identity.

    Shapes: first, second (n, d); result a scalar.
    Raises: ValueError for shapes that differ or fewer than two rows.
    Paper: Zbontar et al. 2021 (arXiv 2103.03230), equations 1 and 2.

    >>> z = torch.tensor([[1.0, -1.0], [-1.0, 1.0], [1.0, 1.0], [-1.0, -1.0]])
    >>> round(barlow_twins(z, z).item(), 6)
    0.0
    """
    first, second = _pair(first, second)
    n, d = first.shape
    one, two = ((z - z.mean(0)) / z.var(0, unbiased=False).clamp(min=1e-10).sqrt() for z in (first, second))
    square = (one.T @ two / n - torch.eye(d, device=first.device)).square()
    diagonal = square.diagonal().sum()
    return diagonal + redundancy * (square.sum() - diagonal)


def turn(inputs: torch.Tensor, kinds: torch.Tensor) -> torch.Tensor:
    """Returns images turned by `kinds` quarter turns; signals as they are, reversed, negated, or both.

    Shapes: inputs (n, C, H, W) with H = W, or (n, C, L); kinds (n,) in 0..3; result as inputs.
    Raises: ValueError for images that are not square.
    Paper: Gidaris et al. 2018 (arXiv 1803.07728) for images; the four symmetries of a signal are our analogue.

    >>> turn(torch.tensor([[[1.0, 2.0]]]), torch.tensor([3])).tolist()
    [[[-2.0, -1.0]]]
    """
    if inputs.ndim == 4:
        if inputs.shape[2] != inputs.shape[3]:
            raise ValueError(f"square images are needed, not {tuple(inputs.shape)}")
        options = [torch.rot90(inputs, k, (2, 3)) for k in range(4)]
    else:
        options = [inputs, inputs.flip(-1), -inputs, -inputs.flip(-1)]
    out = options[0]
    for k in (1, 2, 3):
        out = torch.where((kinds == k).view(-1, *[1] * (inputs.ndim - 1)), options[k], out)
    return out


class SelfSupervised(nn.Module):
    """An encoder with the head that its objective needs; `loss` is what `training.fit` takes.

    "simclr", "vicreg" and "barlow_twins" take batches from `augment.two_views` and have a projector of two
    layers; "rotation" takes plain batches, turns each input at random and predicts the turn.

    Args:
        encoder: module (n, ...) -> (n, d).
        dimension: d.
        projection: width of the projector's layers.
        weights: arguments of the objective, as `temperature` of "simclr".
    """

    def __init__(
        self, encoder: nn.Module, dimension: int, objective: str, projection: int = 256, **weights: float
    ) -> None:
        super().__init__()
        one_of("objective", objective, OBJECTIVES)
        self.encoder, self.objective, self.weights = encoder, objective, weights
        if objective == "rotation":
            self.head: nn.Module = nn.Linear(dimension, 4)
        else:
            self.head = nn.Sequential(
                nn.Linear(dimension, projection, bias=False),
                nn.BatchNorm1d(projection),
                nn.ReLU(),
                nn.Linear(projection, projection, bias=False),
            )

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Returns the head's outputs: projections (n, projection), or the logits of the four turns."""
        return self.head(self.encoder(inputs))

    def loss(self, model: nn.Module, inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Returns the objective on a batch; the targets are not looked at."""
        if self.objective == "rotation":
            # torch's global generator: the training loop seeds it for each epoch
            kinds = parallel.randint(4, len(inputs), inputs.device)
            return functional.cross_entropy(model(turn(inputs, kinds)).float(), kinds)
        if len(inputs) != 2 * len(targets):
            raise ValueError(f"{self.objective} needs two views of {len(targets)} inputs, not {len(inputs)} rows")
        first, second = model(inputs).chunk(2)
        compare = {"simclr": nt_xent, "vicreg": vicreg, "barlow_twins": barlow_twins}[self.objective]
        return compare(first, second, **self.weights)
