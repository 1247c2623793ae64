"""Networks, data and every public function that takes a network: what the tests of a caller's networks share."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional

from dlcore import pretraining, runtime, similarity
from dlcore.stitching import activations, connectivity, penalty_curve, random_bottom, stage_names, stitch
from dlcore.training import TrainConfig, fit, fit_many, predict
from dlcore.translation.decoding import translate
from dlcore.translation.task import Transduction
from dlcore.translation.training import SequenceConfig, fit_pairs, sentence_losses, token_loss

ONE = TrainConfig(epochs=1, batch_size=32, learning_rate=1e-2, optimizer="adam", precision="float32")
QUICK = {"family": "least_squares", "device": "cpu"}


class Net(nn.Module):
    """Two convolutions and two linear layers, with everything that writes in place or asks for rows in memory."""

    def __init__(self, seed=0, inplace=False, how="flatten", act=None):
        super().__init__()
        with runtime.seeded(seed):
            self.conv1, self.conv2 = nn.Conv2d(1, 8, 3, padding=1), nn.Conv2d(8, 16, 3, padding=1)
            self.norm = nn.BatchNorm2d(16)
            self.fc1, self.fc2 = nn.Linear(256, 12), nn.Linear(12, 4)
        act = act or (lambda inplace: nn.LeakyReLU(0.3, inplace))
        self.act1, self.act2 = act(inplace), act(inplace)
        self.inplace, self.how = inplace, how

    def forward(self, x):
        if self.inplace:
            x -= 0.5
            x /= 2.0
        else:
            x = (x - 0.5) / 2.0
        x = self.act1(self.norm(self.conv2(self.act1(self.conv1(x)))))
        x = functional.max_pool2d(x, 2)
        x = x.view(len(x), -1) if self.how == "view" else x.flatten(1)
        return self.fc2(self.act2(self.fc1(x)))


def images(n=66):
    generator = torch.Generator().manual_seed(5)
    x = torch.randn(n, 1, 8, 8, generator=generator)
    return x, torch.randint(4, (n,), generator=generator)


def four(x, y):
    return x, y, x, y


@torch.inference_mode(False)
def twin_of(net):
    return copy.deepcopy(net)


# every public function that takes a network; each returns something that can be compared
FUNCTIONS = {
    "predict": lambda n, x, y: predict(n, x, batch_size=50).tolist(),
    "activations": lambda n, x, y: activations(n, x, ["conv1", "conv2", "norm", "fc1"], batch_size=50),
    "stage_names": lambda n, x, y: stage_names(n, x[:2]),
    "features": lambda n, x, y: pretraining.features(n, x, batch_size=50).tolist(),
    "fit": lambda n, x, y: fit(n, (x, y), ONE, device="cpu").train_loss,
    "fit_many": lambda n, x, y: [c.train_loss for c in fit_many([n, twin_of(n)], (x, y), ONE, device="cpu")],
    "random_bottom": lambda n, x, y: [p.sum().item() for p in random_bottom(n).parameters()],
    "stitch": lambda n, x, y: stitch(n, n, "conv2", data=four(x, y), **QUICK).loss,
    "stitch, identity": lambda n, x, y: (
        stitch(n, n, "conv2", data=four(x, y), family="identity", device="cpu", bn_mode="recalibrate").loss
    ),
    "stitch, trained": lambda n, x, y: stitch(n, n, "conv1", data=four(x, y), device="cpu", training=ONE).loss,
    "stitch, features": lambda n, x, y: (
        stitch(
            n, n, "conv1", data=four(x, y), device="cpu", training=ONE, objective="features", match_stage="fc1"
        ).curves.train_loss
    ),
    "penalty_curve": lambda n, x, y: [
        (r.penalty, r.self_penalty, r.random_penalty) for r in penalty_curve(n, n, four(x, y), **QUICK)
    ],
    "connectivity": lambda n, x, y: connectivity(n, n, four(x, y), **QUICK)[:5],
    "matrix": lambda n, x, y: similarity.matrix(n, n, x, ["conv1", "fc1"], batch_size=33).value.to_numpy().tolist(),
}
TASK = Transduction(list_size=40, alphabet=14)
PAIRS = TASK.sample(12)
SEQUENCES = SequenceConfig(steps=2, evaluate_every=1, batch_tokens=256)
# of a translation model
TRANSLATION = {
    "fit_pairs": lambda n: fit_pairs(n, PAIRS, PAIRS, SEQUENCES, device="cpu").dev_loss,
    "token_loss": lambda n: token_loss(n, PAIRS),
    "sentence_losses": lambda n: sentence_losses(n, PAIRS).tolist(),
    "translate": lambda n: [list(t) for t in translate(n, PAIRS.source)],
}
TRAINS = ("fit", "fit_many")
each_function = pytest.mark.parametrize("name", FUNCTIONS)


def small_mlp(seed=0):
    with runtime.seeded(seed):
        inner = nn.Sequential(nn.Linear(20, 12), nn.ReLU(), nn.Linear(12, 12), nn.ReLU())
        return nn.Sequential(inner, nn.Linear(12, 4))


def vectors(n=80):
    generator = torch.Generator().manual_seed(3)
    return torch.randn(n, 20, generator=generator), torch.randint(4, (n,), generator=generator)
