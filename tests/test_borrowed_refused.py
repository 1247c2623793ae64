"""What is no network, no inputs, no data or no configuration of one is refused by name."""

import functools
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from dlcore import pretraining
from dlcore.models import network
from dlcore.stitching import activations, penalty_curve, random_bottom, stage_names, stitch
from dlcore.training import TrainConfig, fit, fit_many, predict

sys.path.append(str(Path(__file__).parent))

from lent import FUNCTIONS, ONE, QUICK, SEQUENCES, TRAINS, Net, each_function, four, images, small_mlp, vectors

WRONG_INPUTS = {
    "a column too few": (lambda x: x[..., 1:], r"does not run on inputs of shape \("),
    "bytes": (lambda x: x.to(torch.uint8), "does not run on inputs of shape .* torch.uint8"),
    "a number": (lambda x: x.ravel()[0], "a row for each sample, not be one number"),
}


@pytest.mark.parametrize(
    ("name", "wrong"),
    # bytes are images in [0, 1] to `features`
    [(n, w) for n in FUNCTIONS for w in WRONG_INPUTS if n != "random_bottom" and (n, w) != ("features", "bytes")],
)
def test_inputs_that_a_network_does_not_take_are_named(name, wrong):
    form, message = WRONG_INPUTS[wrong]
    x, y = images()
    net = nn.Sequential(nn.Linear(8, 4), nn.Flatten(), nn.Linear(32, 4))
    call = FUNCTIONS[name] if name != "stage_names" else lambda n, x, y: stage_names(n, x)
    if name == "activations":
        call = lambda n, x, y: activations(n, x, ["0"])  # noqa: E731
    if name not in ("predict", "features", "fit", "fit_many", "stage_names", "activations"):
        call = lambda n, x, y: stitch(n, n, "0", data=four(x, y), **QUICK)  # noqa: E731
    with pytest.raises(ValueError, match=message):
        call(net, form(x), y)


@pytest.mark.parametrize(
    ("net", "message"),
    [
        (nn.Sequential(nn.Flatten(), nn.Linear(64, 4).requires_grad_(False)), "no weights to train, or all are frozen"),
        (nn.Flatten(), "no weights to train"),
        (Unlearning := type("Unlearning", (Net,), {"forward": torch.no_grad()(Net.forward)}), "under no_grad"),
    ],
    ids=["frozen", "none", "no_grad"],
)
@pytest.mark.parametrize("name", TRAINS)
def test_a_network_that_cannot_learn_is_told_why(net, message, name):
    with pytest.raises(ValueError, match=message):
        FUNCTIONS[name](net() if isinstance(net, type) else net, *images())


def test_a_score_that_is_no_number_is_no_class():
    net = nn.Linear(4, 3)
    rows = torch.zeros(5, 4)
    rows[2, 0] = torch.nan
    with pytest.raises(ValueError, match="NaN for 1 inputs"):
        predict(net, rows)


def test_one_score_is_no_choice_between_classes():
    with pytest.raises(ValueError, match="returns 1 score an input, of which class 0 is the largest always"):
        predict(nn.Linear(4, 1), torch.randn(5, 4))


@each_function
def test_a_network_without_numbers_is_refused(name):
    with torch.device("meta"):
        net = Net()
    with pytest.raises(ValueError, match="meta device, which holds no numbers"):
        FUNCTIONS[name](net, *images())


@pytest.mark.parametrize(
    "what", [None, "mlp", Net, lambda x: x, functools.partial(Net())], ids=lambda w: type(w).__name__
)
@each_function
def test_what_is_no_network_is_refused(name, what):
    with pytest.raises(ValueError, match=r"must be an nn\.Module, not (NoneType|str|the class Net|function|partial)"):
        FUNCTIONS[name](what, *images())


@pytest.mark.parametrize("name", TRAINS)
@pytest.mark.parametrize(
    "data", [images()[0], torch.utils.data.TensorDataset(*images()), {"x": 1}, (*images(), 3)], ids=type
)
def test_training_data_are_a_pair(name, data):
    train, net = {"fit": (fit, Net()), "fit_many": (fit_many, [Net(), Net()])}[name]
    with pytest.raises(ValueError, match=r"data are \(inputs, targets\)"):
        train(net, data, ONE, device="cpu")


@pytest.mark.parametrize("found", [0.5, None, torch.ones(3, requires_grad=True)], ids=type)
def test_a_loss_is_one_number(found):
    with pytest.raises(ValueError, match="the loss must return one number as a tensor, the mean, not"):
        fit(Net(), images(), ONE, loss=lambda *_: found, device="cpu")


@pytest.mark.parametrize("name", TRAINS)
def test_what_looks_on_may_return_nothing(name):
    seen, (x, y) = [], images()
    if name == "fit":
        found = [fit(Net(), (x, y), ONE, evaluate=lambda _m, epoch: seen.append(epoch), device="cpu")]
    else:
        looks = [lambda _m, epoch: seen.append(epoch)] * 2
        found = fit_many([Net(), Net(1)], (x, y), ONE, evaluate=looks, device="cpu")
    assert seen == [1] * len(found)
    assert not any(curves.values for curves in found)


def test_a_layer_with_statistics_of_each_batch_can_be_trained():
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.BatchNorm1d(8, track_running_stats=False), nn.Linear(8, 4))
    assert fit(net, images(64), ONE, device="cpu").epochs == 1


def test_networks_of_two_precisions_are_no_stack():
    (x, y), nets = vectors(), [small_mlp(0), small_mlp(1).double()]
    alone = [fit(net, (x, y), ONE, device="cpu").train_loss for net in (small_mlp(0), small_mlp(1).double())]
    together = [curves.train_loss for curves in fit_many(nets, (x, y), ONE, device="cpu")]
    assert together == [pytest.approx(loss) for loss in alone]


def test_a_bottom_without_parameters_cannot_be_drawn_again():
    with pytest.raises(ValueError, match="no parameters that could be drawn again"):
        random_bottom(nn.Sequential(nn.Flatten()))


@pytest.mark.parametrize("stage", [None, 1, "conv9"])
def test_what_is_no_name_of_a_stage_is_refused(stage):
    with pytest.raises(ValueError, match=f"unknown stage {stage!r} of the bottom"):
        stitch(Net(), Net(), stage, data=four(*images()), **QUICK)


def test_seeds_and_stages_of_other_types():
    x, y = images()
    rows = [
        penalty_curve(Net(0), Net(1), four(x, y), stages, seeds=seeds, **QUICK)
        for stages, seeds in (("fc1", 2), (["fc1"], [2.0]), (np.array(["fc1"]), np.array([2])))
    ]
    assert rows[0] == rows[1] == rows[2]
    assert penalty_curve(Net(0), Net(1), four(x, y), ["fc1"], seeds=[2**64], **QUICK)[0].seed == 2**64
    assert list(activations(Net(), x, "fc1")) == ["fc1"]
    with pytest.raises(ValueError, match="seeds = 0.5 must be an integer"):
        penalty_curve(Net(0), Net(1), four(x, y), ["fc1"], seeds=[0.5], **QUICK)


@pytest.mark.parametrize("size", [0, -1])
def test_a_batch_has_a_row(size):
    for call in (predict, pretraining.features, lambda n, x, **how: activations(n, x, ["fc1"], **how)):
        with pytest.raises(ValueError, match=f"batch_size = {size} must be at least 1"):
            call(Net(), images()[0], batch_size=size)


@pytest.mark.parametrize("bad", [{"width": 0}, {"width": -3}, {"depth": -1}, {"num_classes": 0}], ids=str)
def test_a_network_has_a_size(bad):
    (size,) = bad
    with pytest.raises(ValueError, match=f"{size} = .* must be at least"):
        network("mlp", (1, 8, 8), **{"num_classes": 3, **bad})


def test_a_network_is_trained_once_in_a_call():
    one, two = Net(0), Net(1)
    with pytest.raises(ValueError, match="one network is there several times"):
        fit_many([one, two, one], images(), ONE, device="cpu")


@pytest.mark.parametrize("config", [{"epochs": 1}, "adam", TrainConfig, SEQUENCES], ids=str)
@pytest.mark.parametrize("name", TRAINS)
def test_a_configuration_is_one(name, config):
    train, net = {"fit": (fit, Net()), "fit_many": (fit_many, [Net(), Net()])}[name]
    for given in (config, [config, config]) if name == "fit_many" else (config,):
        with pytest.raises(TypeError, match=r"configs? must be TrainConfig\(...\)"):
            train(net, images(), given, device="cpu")


def _spread_out(x):
    return x.double() + 1e9 * torch.arange(1, 9, dtype=torch.float64)


@pytest.mark.parametrize("name", [n for n in FUNCTIONS if n != "random_bottom"])
@pytest.mark.parametrize("change", [_spread_out, lambda x: x.double() * 1e200, lambda x: x.double() * 1e-60])
def test_inputs_that_single_precision_cannot_tell_apart_are_refused(name, change):
    x, y = images()
    with pytest.raises(ValueError, match=": input .* varies by .*, and float32"):
        FUNCTIONS[name](Net(), change(x).numpy(), y)
