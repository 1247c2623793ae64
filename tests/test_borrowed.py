"""A network of the caller's: given back as it was, right in whatever wraps it, run on copies of what the caller owns."""

import copy
import functools
import inspect
import random
import re
import threading
import warnings

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from dlcore import borrowed, pretraining, runtime, similarity, stitching, training
from dlcore.models import network
from dlcore.probing import probe
from dlcore.stitching import activations, connectivity, penalty_curve, random_bottom, stage_names, stitch
from dlcore.training import TrainConfig, fit, fit_many, predict
from dlcore.translation import decoding
from dlcore.translation import training as sequences
from dlcore.translation.decoding import translate
from dlcore.translation.models import Shape, seq2seq
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


def _data(n=66):
    generator = torch.Generator().manual_seed(5)
    x = torch.randn(n, 1, 8, 8, generator=generator)
    return x, torch.randint(4, (n,), generator=generator)


def _four(x, y):
    return x, y, x, y


@torch.inference_mode(False)
def _twin(net):
    return copy.deepcopy(net)


# every public function that takes a network; each returns something that can be compared
FUNCTIONS = {
    "predict": lambda n, x, y: predict(n, x, batch_size=50).tolist(),
    "activations": lambda n, x, y: activations(n, x, ["conv1", "conv2", "norm", "fc1"], batch_size=50),
    "stage_names": lambda n, x, y: stage_names(n, x[:2]),
    "features": lambda n, x, y: pretraining.features(n, x, batch_size=50).tolist(),
    "fit": lambda n, x, y: fit(n, (x, y), ONE, device="cpu").train_loss,
    "fit_many": lambda n, x, y: [c.train_loss for c in fit_many([n, _twin(n)], (x, y), ONE, device="cpu")],
    "random_bottom": lambda n, x, y: [p.sum().item() for p in random_bottom(n).parameters()],
    "stitch": lambda n, x, y: stitch(n, n, "conv2", data=_four(x, y), **QUICK).loss,
    "stitch, identity": lambda n, x, y: (
        stitch(n, n, "conv2", data=_four(x, y), family="identity", device="cpu", bn_mode="recalibrate").loss
    ),
    "stitch, trained": lambda n, x, y: stitch(n, n, "conv1", data=_four(x, y), device="cpu", training=ONE).loss,
    "stitch, features": lambda n, x, y: (
        stitch(
            n, n, "conv1", data=_four(x, y), device="cpu", training=ONE, objective="features", match_stage="fc1"
        ).curves.train_loss
    ),
    "penalty_curve": lambda n, x, y: [
        (r.penalty, r.self_penalty, r.random_penalty) for r in penalty_curve(n, n, _four(x, y), **QUICK)
    ],
    "connectivity": lambda n, x, y: connectivity(n, n, _four(x, y), **QUICK)[:5],
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
    net, (x, y) = _odd_modes(Net(inplace=True)).to(memory_format=layout), _data()
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
    x, y = _data()
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
    net, (x, _) = Remembers(inplace), _data()
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


@pytest.mark.parametrize("train", [fit, lambda n, *rest, **how: fit_many([n, _twin(n)], *rest, **how)[0]])
def test_weights_taken_from_the_first_batch_are_those_of_a_plain_loop(train):
    with runtime.seeded(0):
        net = nn.Sequential(nn.Flatten(), nn.Linear(64, 12), FirstBatch(), nn.ReLU(), nn.Linear(12, 4))
    twin, (x, y) = copy.deepcopy(net), _data()
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
    x, y = _data()
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
    rows = penalty_curve(one, two, _four(x, y), pairs, family="identity", device="cpu", random=False)
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
    x, y = _data()
    x.requires_grad_(True)
    FUNCTIONS[name](Net(), x, y)
    assert x.grad is None


def test_a_view_after_convolutions_is_the_flattened_network():
    x, y = _data()
    for name, function in FUNCTIONS.items():
        assert _equal(*(function(Net(how=how), x, y) for how in ("flatten", "view"))) or name in TRAINS, name
    for family in ("permutation", "identity", "auto", "linear"):
        found = penalty_curve(
            Net(0, how="view"), Net(1, how="view"), _four(x, y), family=family, device="cpu", training=ONE
        )
        assert [row.top_stage for row in found] == ["conv1", "conv2", "norm", "fc1", "act2"]


@pytest.mark.parametrize("name", TRAINS)
def test_training_with_a_view_is_training_without(name):
    x, y = _data()
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
    x, y = _data()
    expected = FUNCTIONS[name](Net(), x, y)
    net = Net()
    with _settings(kind):
        own, labels = x.clone(), y.clone()
        found = FUNCTIONS[name](net, own, labels)
    assert _equal(found, expected)


@pytest.mark.parametrize("name", [n for n in FUNCTIONS if n not in TRAINS])
def test_a_network_made_under_inference_mode_can_be_stitched(name):
    x, y = _data()
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
        FUNCTIONS[name](net, *_data())


def test_a_lazy_network_is_run_once_before_it_is_trained():
    lazy = nn.Sequential(nn.Flatten(), nn.LazyLinear(4))
    with pytest.raises(ValueError, match=r"1\.weight.*run the network once"):
        fit(lazy, _data(), ONE, device="cpu")


@pytest.mark.parametrize("name", ["stitch", "random_bottom"])
def test_a_lazy_network_is_run_once_before_it_is_copied(name):
    with pytest.raises(ValueError, match="without a shape: run the network once"):
        FUNCTIONS[name](nn.Sequential(nn.Flatten(), nn.LazyLinear(4)), *_data())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_network_of_another_precision(name, dtype):
    """It is computed with as it is, or refused by name."""
    net, (x, y) = nn.Sequential(nn.Flatten(), nn.Linear(64, 12), nn.ReLU(), nn.Linear(12, 4)).to(dtype), _data()
    calls = {
        "activations": lambda: activations(net, x, ["1"])["1"].float(),
        "features": lambda: torch.tensor(pretraining.features(net, x)),
        "predict": lambda: predict(net, x),
        "fit": lambda: fit(net, (x, y), ONE, device="cpu"),
        "fit_many": lambda: fit_many([net, _twin(net)], (x, y), ONE, device="cpu"),
        "stage_names": lambda: stage_names(net, x),
        "random_bottom": lambda: random_bottom(net)[1].weight.dtype,
    }
    if name not in calls or (name in TRAINS and dtype != torch.float64):
        with pytest.raises(ValueError, match=f"{dtype}.*model.float"):
            calls.get(name, lambda: stitch(net, net, "1", data=_four(x, y), **QUICK))()
        return
    found = calls[name]()
    with torch.no_grad():
        wanted = {"activations": net[1](net[0](x.to(dtype))).float(), "features": net(x.to(dtype)).float()}
        wanted |= {"predict": net(x.to(dtype)).argmax(1)}
    assert name not in wanted or torch.equal(found, wanted[name])


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
    x, y = _data()
    net = nn.Sequential(nn.Linear(8, 4), nn.Flatten(), nn.Linear(32, 4))
    call = FUNCTIONS[name] if name != "stage_names" else lambda n, x, y: stage_names(n, x)
    if name == "activations":
        call = lambda n, x, y: activations(n, x, ["0"])  # noqa: E731
    if name not in ("predict", "features", "fit", "fit_many", "stage_names", "activations"):
        call = lambda n, x, y: stitch(n, n, "0", data=_four(x, y), **QUICK)  # noqa: E731
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
        FUNCTIONS[name](net() if isinstance(net, type) else net, *_data())


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
        FUNCTIONS[name](net, *_data())


@pytest.mark.parametrize(
    "what", [None, "mlp", Net, lambda x: x, functools.partial(Net())], ids=lambda w: type(w).__name__
)
@each_function
def test_what_is_no_network_is_refused(name, what):
    with pytest.raises(ValueError, match=r"must be an nn\.Module, not (NoneType|str|the class Net|function|partial)"):
        FUNCTIONS[name](what, *_data())


@pytest.mark.parametrize("name", TRAINS)
@pytest.mark.parametrize(
    "data", [_data()[0], torch.utils.data.TensorDataset(*_data()), {"x": 1}, (*_data(), 3)], ids=type
)
def test_training_data_are_a_pair(name, data):
    train, net = {"fit": (fit, Net()), "fit_many": (fit_many, [Net(), Net()])}[name]
    with pytest.raises(ValueError, match=r"data are \(inputs, targets\)"):
        train(net, data, ONE, device="cpu")


@pytest.mark.parametrize("found", [0.5, None, torch.ones(3, requires_grad=True)], ids=type)
def test_a_loss_is_one_number(found):
    with pytest.raises(ValueError, match="the loss must return one number as a tensor, the mean, not"):
        fit(Net(), _data(), ONE, loss=lambda *_: found, device="cpu")


@pytest.mark.parametrize("name", TRAINS)
def test_what_looks_on_may_return_nothing(name):
    seen, (x, y) = [], _data()
    if name == "fit":
        found = [fit(Net(), (x, y), ONE, evaluate=lambda _m, epoch: seen.append(epoch), device="cpu")]
    else:
        looks = [lambda _m, epoch: seen.append(epoch)] * 2
        found = fit_many([Net(), Net(1)], (x, y), ONE, evaluate=looks, device="cpu")
    assert seen == [1] * len(found)
    assert not any(curves.values for curves in found)


def test_a_layer_with_statistics_of_each_batch_can_be_trained():
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.BatchNorm1d(8, track_running_stats=False), nn.Linear(8, 4))
    assert fit(net, _data(64), ONE, device="cpu").epochs == 1


def test_networks_of_two_precisions_are_no_stack():
    (x, y), nets = _flat(), [_mlp(0), _mlp(1).double()]
    alone = [fit(net, (x, y), ONE, device="cpu").train_loss for net in (_mlp(0), _mlp(1).double())]
    together = [curves.train_loss for curves in fit_many(nets, (x, y), ONE, device="cpu")]
    assert together == [pytest.approx(loss) for loss in alone]


def test_a_bottom_without_parameters_cannot_be_drawn_again():
    with pytest.raises(ValueError, match="no parameters that could be drawn again"):
        random_bottom(nn.Sequential(nn.Flatten()))


@pytest.mark.parametrize("stage", [None, 1, "conv9"])
def test_what_is_no_name_of_a_stage_is_refused(stage):
    with pytest.raises(ValueError, match=f"unknown stage {stage!r} of the bottom"):
        stitch(Net(), Net(), stage, data=_four(*_data()), **QUICK)


def test_seeds_and_stages_of_other_types():
    x, y = _data()
    rows = [
        penalty_curve(Net(0), Net(1), _four(x, y), stages, seeds=seeds, **QUICK)
        for stages, seeds in (("fc1", 2), (["fc1"], [2.0]), (np.array(["fc1"]), np.array([2])))
    ]
    assert rows[0] == rows[1] == rows[2]
    assert list(activations(Net(), x, "fc1")) == ["fc1"]
    with pytest.raises(ValueError, match="seeds = 0.5 must be an integer"):
        penalty_curve(Net(0), Net(1), _four(x, y), ["fc1"], seeds=[0.5], **QUICK)


@pytest.mark.parametrize("size", [0, -1])
def test_a_batch_has_a_row(size):
    for call in (predict, pretraining.features, lambda n, x, **how: activations(n, x, ["fc1"], **how)):
        with pytest.raises(ValueError, match=f"batch_size = {size} must be at least 1"):
            call(Net(), _data()[0], batch_size=size)


@pytest.mark.parametrize("bad", [{"width": 0}, {"width": -3}, {"depth": -1}, {"num_classes": 0}], ids=str)
def test_a_network_has_a_size(bad):
    (size,) = bad
    with pytest.raises(ValueError, match=f"{size} = .* must be at least"):
        network("mlp", (1, 8, 8), **{"num_classes": 3, **bad})


def test_a_network_is_trained_once_in_a_call():
    one, two = Net(0), Net(1)
    with pytest.raises(ValueError, match="one network is there several times"):
        fit_many([one, two, one], _data(), ONE, device="cpu")


@pytest.mark.parametrize("config", [{"epochs": 1}, "adam", TrainConfig, SEQUENCES], ids=str)
@pytest.mark.parametrize("name", TRAINS)
def test_a_configuration_is_one(name, config):
    train, net = {"fit": (fit, Net()), "fit_many": (fit_many, [Net(), Net()])}[name]
    for given in (config, [config, config]) if name == "fit_many" else (config,):
        with pytest.raises(TypeError, match=r"configs? must be TrainConfig\(...\)"):
            train(net, _data(), given, device="cpu")


def _spread_out(x):
    return x.double() + 1e9 * torch.arange(1, 9, dtype=torch.float64)


@pytest.mark.parametrize("name", [n for n in FUNCTIONS if n != "random_bottom"])
@pytest.mark.parametrize("change", [_spread_out, lambda x: x.double() * 1e200, lambda x: x.double() * 1e-60])
def test_inputs_that_single_precision_cannot_tell_apart_are_refused(name, change):
    x, y = _data()
    with pytest.raises(ValueError, match=": input .* varies by .*, and float32"):
        FUNCTIONS[name](Net(), change(x).numpy(), y)


@pytest.mark.parametrize("kind", ["no_grad", "inference_mode"])
def test_what_builds_a_network_inside_trains_it_there(kind):
    x, y = _data()
    with _settings(kind):
        flat = x.flatten(1)
        probed = probe("mlp", flat, y, flat, 4, epochs=2, device="cpu")
        net, curves = pretraining.pretrain(x, "vicreg", "mlp", epochs=2, width=8, depth=1, device="cpu")
    assert probed.train.shape == (1, 66)
    assert curves.epochs == 2
    assert not net.training


def test_another_default_dtype_is_the_callers():
    x, y = _data()
    nets = Net(0), Net(1)
    torch.set_default_dtype(torch.float64)
    try:
        rows = penalty_curve(*nets, _four(x, y), ["conv1", "fc1"], device="cpu", training=ONE)
        flat = x.flatten(1)
        assert probe("mlp", flat, y, flat, 4, epochs=2, device="cpu").train.shape == (1, 66)
        loss = fit(nets[0], (x, y), ONE, device="cpu").train_loss
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)
    assert len(rows) == 2
    assert loss == fit(Net(0), (x, y), ONE, device="cpu").train_loss


# a module is more than its parts
def _mlp(seed=0):
    with runtime.seeded(seed):
        inner = nn.Sequential(nn.Linear(20, 12), nn.ReLU(), nn.Linear(12, 12), nn.ReLU())
        return nn.Sequential(inner, nn.Linear(12, 4))


def _flat(n=80):
    generator = torch.Generator().manual_seed(3)
    return torch.randn(n, 20, generator=generator), torch.randint(4, (n,), generator=generator)


def _patched(net, how="caught"):
    inner = net[0].forward
    if how == "caught":
        net[0].forward = lambda x: 2 * inner(x)
    else:
        net[0].forward = lambda x, inner=inner: 2 * inner(x)


def _patched_twice(net):
    _patched(net)
    _patched(net, "default")


HOOKS = {
    "pre-hook of the whole": lambda n: n.register_forward_pre_hook(lambda _m, args: (3 * args[0],)),
    "hook of the whole": lambda n: n.register_forward_hook(lambda _m, _a, out: -out),
    "pre-hook of a container": lambda n: n[0].register_forward_pre_hook(lambda _m, args: (3 * args[0],)),
    "hook of a container": lambda n: n[0].register_forward_hook(lambda _m, _a, out: -2 * out),
    "hook of the stage": lambda n: n[0][1].register_forward_hook(lambda _m, _a, out: -out),
    "hook of the next": lambda n: n[0][2].register_forward_hook(lambda _m, _a, out: -out),
    "a forward of its own": _patched,
    "patched twice": _patched_twice,
    "a hook that calls a part": lambda n: n[0].register_forward_hook(lambda _m, _a, out: out * n[1](out).mean()),
}


@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.parametrize("stage", ["0.0", "0.1", "0.2", "0"])
def test_hooks_are_part_of_a_network(hook, stage):
    net, (x, y) = _mlp(), _flat()
    HOOKS[hook](net)
    found = stitch(net, net, stage, data=_four(x, y), family="identity", device="cpu")
    with torch.no_grad():
        scores = net(x)
        assert torch.allclose(found.model(x), scores, atol=1e-5)
    assert found.penalty == 0
    assert found.loss == pytest.approx(float(functional.cross_entropy(scores, y)), rel=1e-5)


class Outer(nn.Module):
    """A network with its body as one part."""

    def __init__(self, net):
        super().__init__()
        self.body, self.head = net[0], net[1]

    def forward(self, x):
        return self.head(self.body(x))


def _compiled(net):
    return torch.compile(net, backend="eager")


def _compiled_in_place(net):
    net.compile(backend="eager")
    return net


def _part(wrap):
    def wrapped(net):
        net[0] = wrap(net[0])
        return net

    return wrapped


def _inside_outer(wrap):
    def wrapped(net):
        outer = Outer(net)
        outer.body = wrap(outer.body)
        return outer

    return wrapped


WRAPPED = {
    "compiled": (_compiled, "0.1"),
    "compiled, name of torch": (_compiled, "_orig_mod.0.1"),
    "compiled part": (_part(_compiled), "0.1"),
    "compiled part, name of torch": (_part(_compiled), "0._orig_mod.1"),
    "compiled part of a class": (_inside_outer(_compiled), "body.1"),
    "compiled in place": (_compiled_in_place, "0.1"),
    "parts compiled in place": (_part(_compiled_in_place), "0.1"),
    "DataParallel": (nn.DataParallel, "0.1"),
    "DataParallel, name of torch": (nn.DataParallel, "module.0.1"),
    "DataParallel of a part": (_part(nn.DataParallel), "0.1"),
    "compiled DataParallel": (lambda net: _compiled(nn.DataParallel(net)), "0.1"),
    "TorchScript": (torch.jit.script, "0.1"),
    "TorchScript part": (_inside_outer(torch.jit.script), "body.1"),
    "traced": (lambda net: torch.jit.trace(net, torch.zeros(2, 20)), "0.1"),
}
legacy = pytest.mark.filterwarnings("ignore:.*torch.jit.*", "ignore:Online softmax", "ignore::FutureWarning")


@legacy
@pytest.mark.parametrize("wrapped", WRAPPED)
def test_what_wraps_a_network_changes_no_number(wrapped):
    wrap, stage = WRAPPED[wrapped]
    x, y = _flat()
    nets = [wrap(_mlp(seed)) for seed in (0, 1)]
    for net in nets:
        net(x[:3])  # a compiled network ignores hooks from its first run on
    parts = [[id(m) for m in net.modules()] for net in nets]
    how = {"random": False, **QUICK}
    expected = penalty_curve(_mlp(0), _mlp(1), _four(x, y), ["0.1"], **how)[0]
    row = penalty_curve(*nets, _four(x, y), [stage], **how)[0]
    assert (row.penalty, row.self_penalty) == (expected.penalty, expected.self_penalty)
    assert torch.equal(activations(nets[0], x, [stage])[stage], activations(_mlp(0), x, ["0.1"])["0.1"])
    assert torch.equal(predict(nets[0], x), predict(_mlp(0), x))
    assert [[id(m) for m in net.modules()] for net in nets] == parts
    names = stage_names(nets[0], x[:2])
    assert names == stage_names(Outer(_mlp(0)) if hasattr(nets[0], "head") else _mlp(0), x[:2])
    assert penalty_curve(*nets, _four(x, y), **how)[0].top_stage == names[0]


@legacy
def test_what_is_inside_torchscript_cannot_be_cut():
    scripted, (x, y) = torch.jit.script(Outer(_mlp())), _flat()
    for call in (
        lambda: stitch(scripted, scripted, "body.1", data=_four(x, y), **QUICK),
        lambda: activations(scripted, x, ["body"]),
        lambda: stage_names(scripted, x[:2]),
    ):
        with pytest.raises(ValueError, match=r"inside TorchScript.*from before torch.jit"):
            call()


def test_hooks_on_a_wrapper_are_refused():
    wrapped, (x, _) = nn.DataParallel(_mlp()), _flat()
    wrapped.register_forward_hook(lambda _m, _a, out: -out)
    with pytest.raises(ValueError, match="hooks are registered on the DataParallel"):
        activations(wrapped, x, ["0.1"])


class Keeps(nn.Module):
    """Keeps what it computed, as an attribute, in a list and in a dictionary."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.last, self.all, self.named = nn.Linear(20, 12), nn.Linear(12, 4), None, [], {}

    def forward(self, x):
        self.last = torch.relu(self.a(x))
        self.all = [self.last]
        self.named = {"last": self.last}
        return self.b(self.last)


@pytest.mark.filterwarnings("ignore:.*weight_norm.*")
def test_networks_that_deepcopy_refuses():
    x, y = _flat()
    normed = nn.Sequential(nn.utils.weight_norm(nn.Linear(20, 12)), nn.ReLU(), nn.Linear(12, 4))
    for net, stage in ((Keeps(), "a"), (normed, "1"), (normed, "0")):
        scores = net(x)  # leaves a graph in the network
        with pytest.raises(RuntimeError):
            copy.deepcopy(net)
        assert stitch(net, net, stage, data=_four(x, y), **QUICK).penalty == pytest.approx(0, abs=0.05)
        rows = penalty_curve(net, net, _four(x, y), [stage, stage], device="cpu", random=False, training=ONE)
        assert len(rows) == 2
        assert connectivity(net, net, _four(x, y), [stage], family="identity", device="cpu").barrier == 0
        assert scores.requires_grad
    net = Keeps()
    net(x)
    fresh = random_bottom(net)
    assert not torch.equal(fresh.a.weight, net.a.weight)
    assert fresh.all[0] is fresh.last
    assert net.last.grad_fn is not None
    with pytest.raises(ValueError, match="weight_g, 0.weight_v cannot be re-initialised"):
        random_bottom(normed)


@pytest.mark.parametrize("kind", ["weight_norm", "spectral_norm", "orthogonal"])
def test_parametrized_weights(kind):
    """They are cut and trained as any; drawing again what they are computed from would make another network."""
    (x, y), net = _flat(), _mlp().eval()
    net[1] = getattr(nn.utils.parametrizations, kind)(net[1]).eval()
    with torch.no_grad():
        scores = net(x)
    found = stitch(net.train(), net, "0", data=_four(x, y), family="identity", device="cpu")
    assert found.penalty == 0
    assert torch.equal(predict(net, x), scores.argmax(1))
    with pytest.raises(ValueError, match=r"parametrizations.weight.* cannot be re-initialised"):
        random_bottom(net)


def test_a_network_that_cannot_be_copied_is_named():
    net, (x, y) = _mlp(), _flat()
    net.lock = threading.Lock()
    for call in (lambda: stitch(net, net, "0.1", data=_four(x, y), **QUICK), lambda: random_bottom(net)):
        with pytest.raises(ValueError, match="the bottom cannot be copied.*lock"):
            call()
    assert predict(net, x).shape == (80,)


class Skips(nn.Module):
    """A skip connection around its stages, or random numbers, or a count that changes its outputs."""

    def __init__(self, what):
        super().__init__()
        self.a, self.b, self.what, self.count = nn.Linear(20, 20), nn.Linear(20, 4), what, 0

    def forward(self, x):
        out = torch.relu(self.a(functional.dropout(x, 0.2) if self.what == "random" else x))
        if self.what == "skip":
            out = out + x
        if self.what == "random":
            out = functional.dropout(out, 0.5)
        self.count += self.what == "state"
        scale = 1e-7 if self.what == "small skip" else 1.0
        return self.b(out + x if self.what == "small skip" else out) * scale + self.count


@pytest.mark.parametrize(
    ("what", "message"),
    [("skip", "skip connection"), ("small skip", "skip connection"), ("state", "keeps a state"), ("random", None)],
)
def test_a_skip_connection_is_told_from_other_differences(what, message):
    net, (x, y) = Skips(what), _flat()
    if message is None:
        assert 0 <= stitch(net, net, "a", data=_four(x, y), **QUICK).error <= 1
        return
    with pytest.raises(ValueError, match=message):
        stitch(net, net, "a", data=_four(x, y), **QUICK)


@pytest.mark.parametrize("name", ["predict", "features", "fit", "fit_many"])
def test_a_network_that_returns_several_things_is_told_what_is_needed(name):
    class Pair(Net):
        def forward(self, x):
            return super().forward(x), x

    with pytest.raises(ValueError, match="a tuple"):
        FUNCTIONS[name](Pair(), *_data())


# small batches
def _normed(seed=0):
    with runtime.seeded(seed):
        return nn.Sequential(nn.Linear(20, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 4))


def test_a_last_batch_of_one_takes_the_running_statistics():
    x, y = _flat(33)
    net, other, several = _normed(), _normed(), [_normed(), _normed(1)]
    config = TrainConfig(epochs=1, batch_size=32, learning_rate=0.1, momentum=0.0, schedule="constant")
    loss = fit(net, (x, y), config, device="cpu").train_loss[0]
    # the same by hand
    order = torch.randperm(33, generator=torch.Generator().manual_seed(runtime.mix(config.seed, 0)))
    total = 0.0
    for rows in order.split(32):
        other[1].train(len(rows) > 1)
        value = functional.cross_entropy(other(x[rows]), y[rows])
        other.zero_grad()
        value.backward()
        with torch.no_grad():
            for p in other.parameters():
                p -= 0.1 * p.grad
        total += value.item() * len(rows)
    assert loss == pytest.approx(total / 33, rel=1e-6)
    for k, v in net.state_dict().items():
        assert torch.allclose(v, other.state_dict()[k], atol=1e-6), k
    curves = fit_many(several, (x, y), config, device="cpu")
    assert curves[0].train_loss[0] == pytest.approx(loss, rel=1e-5)
    assert penalty_curve(net, net, _four(x, y), ["2"], device="cpu", random=False, training=config)


def test_one_image_of_many_positions_has_a_variance():
    x, _ = _data(33)
    one, two = (network("convnet", (1, 8, 8), 4, width=8, depth=1) for _ in range(2))
    with borrowed.batch_of(one, 1, 33, 32):
        assert torch.equal(one(x[:1]), two(x[:1]))
    assert torch.equal(one.conv1[1].running_mean, two.conv1[1].running_mean)
    assert float(one.conv1[1].num_batches_tracked) == 1


@pytest.mark.parametrize(("n", "batch_size"), [(1, 32), (5, 1)])
def test_batchnorm_of_nothing_but_single_samples_is_refused(n, batch_size):
    x, y = _flat(n)
    config = TrainConfig(epochs=1, batch_size=batch_size)
    with pytest.raises(ValueError, match="1 sample in a batch.*drop_last=True.*batch_size"):
        fit_many([_normed(), _normed(1)], (x, y), config, device="cpu")


# networks that differ in more than their weights
class Sloped(nn.Module):
    """The slope is neither a weight nor printed."""

    def __init__(self, slope):
        super().__init__()
        with runtime.seeded(0):
            self.a, self.b = nn.Linear(20, 12), nn.Linear(12, 4)
        self.slope = slope

    def forward(self, x):
        return self.b(functional.leaky_relu(self.a(x), self.slope))


def test_networks_that_differ_in_an_attribute_are_no_stack():
    x, y = _flat()
    two = fit_many([Sloped(0.1), Sloped(0.9)], (x, y), ONE, device="cpu")
    assert [c.train_loss for c in two] == [fit(Sloped(s), (x, y), ONE, device="cpu").train_loss for s in (0.1, 0.9)]


def test_a_kept_control_is_that_of_the_same_function(tmp_path):
    x, y = _flat()
    found = [
        penalty_curve(Sloped(0.1), Sloped(s), _four(x, y), ["a"], family="identity", device="cpu", keep=tmp_path)[0]
        for s in (0.1, -5.0)
    ]
    alone = penalty_curve(Sloped(0.1), Sloped(-5.0), _four(x, y), ["a"], family="identity", device="cpu")[0]
    assert found[1] == alone
    assert found[0].random_penalty != alone.random_penalty
