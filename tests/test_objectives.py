"""Self-supervised losses against loops written from the papers, and against what they must not see."""

import functools
import math

import pytest
import torch

from dlcore import augment, objectives
from dlcore.models import network
from dlcore.objectives import SelfSupervised, barlow_twins, nt_xent, turn, vicreg
from dlcore.training import TrainConfig, fit


def _views(n=6, d=5, seed=0):
    return torch.randn(2, n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float32)


def _nt_xent_loops(first, second, temperature):
    """Equation 1 of Chen et al. 2020, one term at a time, in Python floats."""
    z = [[v / math.sqrt(sum(x * x for x in row)) for v in row] for row in first.tolist() + second.tolist()]
    n, total = len(first), 0.0
    for i in range(2 * n):
        j = (i + n) % (2 * n)
        score = [math.exp(sum(a * b for a, b in zip(z[i], z[k], strict=True)) / temperature) for k in range(2 * n)]
        total -= math.log(score[j] / sum(s for k, s in enumerate(score) if k != i))
    return total / (2 * n)


def _columns(z):
    return [list(c) for c in zip(*z.tolist(), strict=True)]


def _mean(values):
    return sum(values) / len(values)


def _vicreg_loops(first, second):
    n, d = first.shape
    pairs = zip(first.flatten().tolist(), second.flatten().tolist(), strict=True)
    total = 25 * sum((a - b) ** 2 for a, b in pairs) / (n * d)
    for z in (first, second):
        columns = [[v - _mean(c) for v in c] for c in _columns(z)]
        cov = [[sum(a * b for a, b in zip(p, q, strict=True)) / (n - 1) for q in columns] for p in columns]
        total += 25 * sum(max(0.0, 1 - math.sqrt(cov[i][i] + 1e-4)) for i in range(d)) / d / 2
        total += sum(cov[i][j] ** 2 for i in range(d) for j in range(d) if i != j) / d
    return total


def _barlow_loops(first, second, redundancy):
    def standard(c):
        deviation = math.sqrt(_mean([(v - _mean(c)) ** 2 for v in c]))
        return [(v - _mean(c)) / deviation for v in c]

    one, two = ([standard(c) for c in _columns(z)] for z in (first, second))
    total = 0.0
    for i, p in enumerate(one):
        for j, q in enumerate(two):
            c = _mean([a * b for a, b in zip(p, q, strict=True)])
            total += (1 - c) ** 2 if i == j else redundancy * c * c
    return total


@pytest.mark.parametrize("seed", range(5))
def test_losses_equal_the_papers_formulas(seed):
    a, b = _views(seed=seed)
    for ours, theirs in (
        (nt_xent(a, b, temperature=0.2), _nt_xent_loops(a, b, 0.2)),
        (nt_xent(a, b, temperature=1.0), _nt_xent_loops(a, b, 1.0)),
        (vicreg(a, b), _vicreg_loops(a, b)),
        (barlow_twins(a, b, redundancy=0.01), _barlow_loops(a, b, 0.01)),
    ):
        assert ours.item() == pytest.approx(theirs, rel=1e-6)


def test_symmetry_and_extremes():
    a, b = _views()
    assert nt_xent(a, b).item() == pytest.approx(nt_xent(b, a).item(), rel=1e-6)
    assert vicreg(a, b).item() == pytest.approx(vicreg(b, a).item(), rel=1e-6)
    # a collapsed representation cannot be told apart: NT-Xent is log(2n - 1), and VICReg pays for the variance
    flat = torch.ones(6, 5)
    assert nt_xent(flat, flat).item() == pytest.approx(math.log(11), rel=1e-6)
    assert vicreg(flat, flat).item() == pytest.approx(25 * (1 - 0.01), rel=1e-4)
    assert torch.isfinite(barlow_twins(flat, flat))


def test_bad_input():
    a, b = _views()
    for loss in (nt_xent, vicreg, barlow_twins):
        with pytest.raises(ValueError, match="needed"):
            loss(a, b[:, :2])
        with pytest.raises(ValueError, match="batch of one"):
            loss(a[:1], b[:1])
    with pytest.raises(ValueError, match="temperature = 0"):
        nt_xent(a, b, temperature=0)
    with pytest.raises(ValueError, match="did you mean 'simclr'"):
        SelfSupervised(torch.nn.Flatten(), 5, "simclrr")
    with pytest.raises(ValueError, match="square"):
        turn(torch.zeros(1, 1, 2, 3), torch.tensor([0]))


def test_turns_are_a_group():
    x = torch.rand(4, 3, 5, 5)
    kinds = torch.arange(4)
    back = turn(turn(x, kinds), (4 - kinds) % 4)
    assert torch.equal(back, x)
    assert len({tuple(v.flatten().tolist()) for v in turn(x[:1].expand(4, -1, -1, -1), kinds)}) == 4
    s = torch.rand(4, 1, 7)
    assert torch.equal(turn(turn(s, kinds), kinds), s)


@pytest.mark.parametrize("objective", objectives.OBJECTIVES)
def test_training_lowers_the_loss_and_never_sees_a_label(objective):
    # signals that look different backwards and upside down, or there is nothing for "rotation" to predict
    x = torch.linspace(0, 1, 16).square() + 0.2 * torch.randn(96, 1, 16, generator=torch.Generator().manual_seed(1))

    def train(targets):
        net = network("mlp", (1, 16), 4, width=32, depth=1)
        encoder = torch.nn.Sequential(*list(net.children())[:-1])
        with torch.random.fork_rng():
            torch.manual_seed(0)
            whole = SelfSupervised(encoder, 32, objective, projection=16)
        view = functools.partial(augment.warp_signal, shift=0.1)
        curves = fit(
            whole,
            (x, targets),
            TrainConfig(epochs=12, batch_size=40, optimizer="adam", learning_rate=3e-3, drop_last=True),
            loss=whole.loss,
            augment=view if objective == "rotation" else augment.two_views(view),
        )
        return curves, encoder(x)

    curves, features = train(torch.zeros(96))
    assert curves.train_loss[-1] < 0.97 * curves.train_loss[0]
    _, others = train(torch.arange(96.0))
    assert torch.equal(features, others)


def test_a_pair_needs_two_views():
    whole = SelfSupervised(torch.nn.Flatten(), 16, "vicreg", projection=8)
    with pytest.raises(ValueError, match="two views of 4 inputs"):
        whole.loss(whole, torch.zeros(4, 1, 16), torch.zeros(4))
