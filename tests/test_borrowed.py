"""A network of the caller's is given back as it was, and where the caller stands changes no number."""

import copy
import inspect
import random
import re
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from dlcore import pretraining, runtime, similarity, stitching, training
from dlcore.probing import probe
from dlcore.stitching import activations, penalty_curve, random_bottom, stage_names, stitch
from dlcore.training import TrainConfig, fit, fit_many, predict
from dlcore.translation import decoding
from dlcore.translation import training as sequences
from dlcore.translation.models import Shape, seq2seq

sys.path.append(str(Path(__file__).parent))

from lent import FUNCTIONS, ONE, QUICK, TASK, TRAINS, TRANSLATION, Net, each_function, four, images, twin_of


def _equal(one, two):
    if isinstance(one, dict):
        return one.keys() == two.keys() and all(torch.equal(one[k], two[k]) for k in one)
    return one == two


def _odd_modes(net):
    """A network in training mode with frozen BatchNorm, as in fine-tuning."""
    net.train()
    net.norm.eval()
    net.act2.eval()
    return net


def _state(net, *arrays):
    return {
        "modes": [m.training for m in net.modules()],
        "strides": [t.stride() for t in (*net.parameters(), *net.buffers())],
        "trainable": [p.requires_grad for p in net.parameters()],
        "hooks": [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in net.modules()],
        "parts": [id(m) for m in net.modules()],
        "arrays": [a.tolist() for a in arrays],
        "gradients": torch.is_grad_enabled(),
        "inference": torch.is_inference_mode_enabled(),
        "dtype": torch.get_default_dtype(),
        "random": torch.random.get_rng_state().tolist(),
        "numpy": [str(part) for part in np.random.get_state()],  # noqa: NPY002
        "python": random.getstate(),
        "threads": torch.get_num_threads(),
        # the first import of sympy, by torch's optimizers, adds its own
        "filters": [f for f in warnings.filters if not f[2].__module__.startswith("sympy")],
    }


@each_function
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_all_is_as_it_was_when_it_returns(name, layout):
    net, (x, y) = _odd_modes(Net(inplace=True)).to(memory_format=layout), images()
    net.fc1.weight.requires_grad_(False)
    before, weights = _state(net, x, y), copy.deepcopy(net.state_dict())
    FUNCTIONS[name](net, x, y)
    assert _state(net, x, y) == before
    same = all(torch.equal(v, weights[k]) for k, v in net.state_dict().items())
    assert same == (name not in TRAINS)


@pytest.mark.parametrize("name", TRANSLATION)
def test_all_is_as_it_was_when_a_translation_returns(name):
    net = seq2seq(Shape(TASK.source_vocabulary, TASK.target_vocabulary, width=16, encoder_layers=1, decoder_layers=1))
    next(net.children()).eval()
    before, weights = _state(net), copy.deepcopy(net.state_dict())
    TRANSLATION[name](net)
    assert _state(net) == before
    assert all(torch.equal(v, weights[k]) for k, v in net.state_dict().items()) == (name != "fit_pairs")


def test_the_tables_have_every_public_function_of_a_network():
    known = {name.partition(",")[0] for name in (*FUNCTIONS, *TRANSLATION)}
    for module in (training, pretraining, similarity, stitching, sequences, decoding):
        own = [n for n, f in vars(module).items() if getattr(f, "__module__", "") == module.__name__]
        for name in getattr(module, "__all__", own):
            function = getattr(module, name)
            if name[0] == "_" or not inspect.isfunction(function):
                continue
            given = " ".join(str(p.annotation) for p in inspect.signature(function).parameters.values())
            # a loss is called by `fit`, which tests it; greedy decoding is that of `translate`
            if re.search("Module|Stages|Seq2Seq", given) and name not in ("cross_entropy", "greedy"):
                assert name in known, f"{module.__name__}.{name}"


class Breaks(nn.Module):
    """Fails on batches whose first value is that of a given row, so that checks on the first rows pass."""

    def __init__(self, at):
        super().__init__()
        self.at = at

    def forward(self, x):
        if (x[:, 0, 0, 0] == self.at).any() and len(x) > 2:
            raise ZeroDivisionError("this batch")
        return x


# the others look at two inputs at most
@pytest.mark.parametrize("name", [n for n in FUNCTIONS if n not in ("random_bottom", "stage_names")])
def test_all_is_as_it_was_when_it_fails(name):
    x, y = images()
    net = _odd_modes(Net())
    net.conv1 = nn.Sequential(Breaks(((x - 0.5) / 2.0)[-1, 0, 0, 0].item()), net.conv1)
    before = _state(net, x, y)
    with pytest.raises((ZeroDivisionError, RuntimeError)):  # a stack cannot look at values at all
        FUNCTIONS[name](net, x, y)
    assert _state(net, x, y) == before


class Remembers(nn.Module):
    """Writes into a buffer whenever it runs, in place or by another tensor, and computes with it."""

    def __init__(self, inplace):
        super().__init__()
        self.a, self.b, self.inplace = nn.Linear(64, 12), nn.Linear(12, 4), inplace
        self.register_buffer("mean", torch.zeros(12))

    def forward(self, x):
        x = self.a(x.flatten(1))
        if self.inplace:
            self.mean.mul_(0.5).add_(x.detach().mean(0))
        else:
            self.mean = self.mean / 2 + x.detach().mean(0)
        return self.b(x - self.mean)


@pytest.mark.parametrize("inplace", [True, False])
@pytest.mark.parametrize(
    "function",
    [
        lambda n, x: predict(n, x),
        lambda n, x: torch.tensor(pretraining.features(n, x)).argmax(1),
        lambda n, x: activations(n, x, ["a", "b"])["b"].argmax(1),
        lambda n, x: similarity.matrix(n, n, x, ["a", "b"], batch_size=66) and predict(n, x),
        lambda n, x: stage_names(n, x) and predict(n, x),
    ],
    ids=["predict", "features", "activations", "matrix", "stage_names"],
)
def test_a_pass_leaves_no_trace_in_buffers(function, inplace):
    net, (x, _) = Remembers(inplace), images()
    held = net.mean
    found = function(net, x)
    assert net.mean is held
    assert not held.any()
    with torch.no_grad():
        assert torch.equal(found, net(x).argmax(1))


class FirstBatch(nn.Module):
    """Takes its weights from the first batch that it sees, as ActNorm of Glow does."""

    def __init__(self):
        super().__init__()
        self.shift, self.scale = nn.Parameter(torch.zeros(12)), nn.Parameter(torch.ones(12))
        self.register_buffer("ready", torch.tensor(False))

    def forward(self, x):
        if not self.ready:
            with torch.no_grad():
                self.shift.copy_(-x.mean(0))
                self.scale.copy_(1 / x.std(0, correction=0))
                self.ready.fill_(True)
        return (x + self.shift) * self.scale


@pytest.mark.parametrize("train", [fit, lambda n, *rest, **how: fit_many([n, twin_of(n)], *rest, **how)[0]])
def test_weights_taken_from_the_first_batch_are_those_of_a_plain_loop(train):
    with runtime.seeded(0):
        net = nn.Sequential(nn.Flatten(), nn.Linear(64, 12), FirstBatch(), nn.ReLU(), nn.Linear(12, 4))
    twin, (x, y) = copy.deepcopy(net), images()
    loss = train(net, (x, y), TrainConfig(epochs=1, batch_size=66, precision="float32"), device="cpu").train_loss[0]
    with torch.no_grad():
        assert loss == pytest.approx(functional.cross_entropy(twin(x), y).item(), rel=1e-5)


# neither is the same when it is done twice
ACTIVATIONS = {
    "leaky": lambda inplace: nn.LeakyReLU(0.3, inplace),
    "hardswish": lambda inplace: nn.Hardswish(inplace=inplace),
}


@each_function
@pytest.mark.parametrize("act", ACTIVATIONS)
def test_working_in_place_changes_no_number(name, act):
    x, y = images()
    found = [FUNCTIONS[name](Net(inplace=inplace, act=ACTIVATIONS[act]), x, y) for inplace in (False, True)]
    assert _equal(*found)


@pytest.mark.parametrize("inplace", [False, True])
def test_identity_stitches_of_one_call_by_hand(inplace):
    def net(seed):
        with runtime.seeded(seed):
            layers = [
                nn.Linear(20, 16),
                *(m for _ in range(2) for m in (nn.LeakyReLU(0.3, inplace), nn.Linear(16, 16))),
            ]
            return nn.Sequential(*layers, nn.LeakyReLU(0.3, inplace), nn.Linear(16, 4))

    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(200, 20, generator=generator), torch.randint(4, (200,), generator=generator)
    one, two = net(0), net(1)
    pairs = [(str(low), str(high)) for low in (0, 2, 4) for high in (0, 2, 4)]
    rows = penalty_curve(one, two, four(x, y), pairs, family="identity", device="cpu", random=False)
    for (low, high), row in zip(pairs, rows, strict=True):
        with torch.no_grad():
            wrong = two[int(high) + 1 :](one[: int(low) + 1](x.clone())).argmax(1) != y
            own = two(x.clone()).argmax(1) != y
        assert row.penalty == pytest.approx(float(wrong.float().mean() - own.float().mean()), abs=1e-6)


def test_a_network_that_returns_one_buffer_again_and_again():
    class Buffered(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear, self.out = nn.Linear(3, 2), torch.empty(10, 2)

        def forward(self, x):
            with torch.no_grad():
                return self.out[: len(x)].copy_(self.linear(x))

    net, x = Buffered(), torch.randn(40, 3)
    with torch.no_grad():
        expected = net.linear(x)
    assert torch.allclose(activations(net, x, ["linear"], batch_size=10)["linear"], expected)
    assert np.allclose(pretraining.features(net, x, batch_size=10), expected)
    assert torch.equal(predict(net, x, batch_size=10), expected.argmax(1))


@pytest.mark.parametrize("name", TRAINS)
def test_gradients_stay_in_the_network(name):
    x, y = images()
    x.requires_grad_(True)
    FUNCTIONS[name](Net(), x, y)
    assert x.grad is None


def test_a_view_after_convolutions_is_the_flattened_network():
    x, y = images()
    for name, function in FUNCTIONS.items():
        assert _equal(*(function(Net(how=how), x, y) for how in ("flatten", "view"))) or name in TRAINS, name
    for family in ("permutation", "identity", "auto", "linear"):
        found = penalty_curve(
            Net(0, how="view"), Net(1, how="view"), four(x, y), family=family, device="cpu", training=ONE
        )
        assert [row.top_stage for row in found] == ["conv1", "conv2", "norm", "fc1", "act2"]


@pytest.mark.parametrize("name", TRAINS)
def test_training_with_a_view_is_training_without(name):
    x, y = images()
    flat, viewed = (np.array(FUNCTIONS[name](Net(how=how), x, y)) for how in ("flatten", "view"))
    assert flat == pytest.approx(viewed, rel=1e-4)


# callers: where the caller stands changes no number
def _settings(kind):
    if kind == "autocast":
        return torch.autocast("cpu", torch.bfloat16)
    if kind == "default device":  # as a GPU would be: what lands there cannot be mixed with the rest
        return torch.device("meta")
    return {"no_grad": torch.no_grad, "inference_mode": torch.inference_mode}[kind]()


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        *((kind, name) for kind in ("no_grad", "inference_mode", "default device") for name in FUNCTIONS),
        # the others are one plain pass, in the precision that the caller wants
        *(("autocast", name) for name in FUNCTIONS if name not in ("activations", "features", "matrix", "stage_names")),
    ],
)
def test_where_the_caller_stands_changes_no_number(kind, name):
    x, y = images()
    expected = FUNCTIONS[name](Net(), x, y)
    net = Net()
    with _settings(kind):
        own, labels = x.clone(), y.clone()
        found = FUNCTIONS[name](net, own, labels)
    assert _equal(found, expected)


@pytest.mark.parametrize("name", [n for n in FUNCTIONS if n not in TRAINS])
def test_a_network_made_under_inference_mode_can_be_stitched(name):
    x, y = images()
    expected = FUNCTIONS[name](Net(), x, y)
    with torch.inference_mode():
        net = Net()
        inside = FUNCTIONS[name](net, x, y)
    assert _equal(inside, expected)
    assert _equal(FUNCTIONS[name](net, x, y), expected)


@pytest.mark.parametrize("name", TRAINS)
def test_a_network_made_under_inference_mode_cannot_be_trained(name):
    with torch.inference_mode():
        net = Net()
    with pytest.raises(ValueError, match="conv1.weight' was made under torch.inference_mode"):
        FUNCTIONS[name](net, *images())


def test_a_lazy_network_is_run_once_before_it_is_trained():
    lazy = nn.Sequential(nn.Flatten(), nn.LazyLinear(4))
    with pytest.raises(ValueError, match=r"1\.weight.*run the network once"):
        fit(lazy, images(), ONE, device="cpu")


@pytest.mark.parametrize("name", ["stitch", "random_bottom"])
def test_a_lazy_network_is_run_once_before_it_is_copied(name):
    with pytest.raises(ValueError, match="without a shape: run the network once"):
        FUNCTIONS[name](nn.Sequential(nn.Flatten(), nn.LazyLinear(4)), *images())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_network_of_another_precision(name, dtype):
    """It is computed with as it is, or refused by name."""
    net, (x, y) = nn.Sequential(nn.Flatten(), nn.Linear(64, 12), nn.ReLU(), nn.Linear(12, 4)).to(dtype), images()
    calls = {
        "activations": lambda: activations(net, x, ["1"])["1"].float(),
        "features": lambda: torch.tensor(pretraining.features(net, x)),
        "predict": lambda: predict(net, x),
        "fit": lambda: fit(net, (x, y), ONE, device="cpu"),
        "fit_many": lambda: fit_many([net, twin_of(net)], (x, y), ONE, device="cpu"),
        "stage_names": lambda: stage_names(net, x),
        "random_bottom": lambda: random_bottom(net)[1].weight.dtype,
    }
    if name not in calls or (name in TRAINS and dtype != torch.float64):
        with pytest.raises(ValueError, match=f"{dtype}.*model.float"):
            calls.get(name, lambda: stitch(net, net, "1", data=four(x, y), **QUICK))()
        return
    found = calls[name]()
    with torch.no_grad():
        wanted = {"activations": net[1](net[0](x.to(dtype))).float(), "features": net(x.to(dtype)).float()}
        wanted |= {"predict": net(x.to(dtype)).argmax(1)}
    assert name not in wanted or torch.equal(found, wanted[name])


@pytest.mark.parametrize("kind", ["no_grad", "inference_mode"])
def test_what_builds_a_network_inside_trains_it_there(kind):
    x, y = images()
    with _settings(kind):
        flat = x.flatten(1)
        probed = probe("mlp", flat, y, flat, 4, epochs=2, device="cpu")
        net, curves = pretraining.pretrain(x, "vicreg", "mlp", epochs=2, width=8, depth=1, device="cpu")
    assert probed.train.shape == (1, 66)
    assert curves.epochs == 2
    assert not net.training


def test_another_default_dtype_is_the_callers():
    x, y = images()
    nets = Net(0), Net(1)
    torch.set_default_dtype(torch.float64)
    try:
        rows = penalty_curve(*nets, four(x, y), ["conv1", "fc1"], device="cpu", training=ONE)
        flat = x.flatten(1)
        assert probe("mlp", flat, y, flat, 4, epochs=2, device="cpu").train.shape == (1, 66)
        loss = fit(nets[0], (x, y), ONE, device="cpu").train_loss
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)
    assert len(rows) == 2
    assert loss == fit(Net(0), (x, y), ONE, device="cpu").train_loss


@each_function
def test_a_network_gives_the_same_numbers_in_another_default_precision(name):
    (x, y), net, call = images(), Net(), FUNCTIONS[name]
    wanted = call(Net(), x, y)
    torch.set_default_dtype(torch.float64)
    try:
        found = call(net, x, y)
    finally:
        torch.set_default_dtype(torch.float32)
    if isinstance(wanted, dict):
        assert all(torch.equal(found[stage], wanted[stage]) for stage in wanted)
    else:
        np.testing.assert_array_equal(np.asarray(found), np.asarray(wanted))


@pytest.mark.parametrize("name", TRANSLATION)
def test_a_translation_model_gives_the_same_numbers_in_another_default_precision(name):
    shape = Shape(TASK.source_vocabulary, TASK.target_vocabulary, width=16, encoder_layers=1, decoder_layers=1)
    one, two = seq2seq(shape), seq2seq(shape)
    wanted = TRANSLATION[name](one)
    torch.set_default_dtype(torch.float64)
    try:
        found = TRANSLATION[name](two)
    finally:
        torch.set_default_dtype(torch.float32)
    assert found == wanted
