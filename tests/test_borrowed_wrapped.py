"""A module is more than its parts: hooks, wrappers, parametrized weights, skip connections, small batches."""

import copy
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from dlcore import borrowed, runtime, similarity
from dlcore.models import network
from dlcore.stitching import activations, connectivity, penalty_curve, random_bottom, stage_names, stitch
from dlcore.training import TrainConfig, fit, fit_many, predict

sys.path.append(str(Path(__file__).parent))

from lent import FUNCTIONS, ONE, QUICK, Net, four, images, small_mlp, vectors


# a module is more than its parts
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
    net, (x, y) = small_mlp(), vectors()
    HOOKS[hook](net)
    found = stitch(net, net, stage, data=four(x, y), family="identity", device="cpu")
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
    x, y = vectors()
    nets = [wrap(small_mlp(seed)) for seed in (0, 1)]
    for net in nets:
        net(x[:3])  # a compiled network ignores hooks from its first run on
    parts = [[id(m) for m in net.modules()] for net in nets]
    how = {"random": False, **QUICK}
    expected = penalty_curve(small_mlp(0), small_mlp(1), four(x, y), ["0.1"], **how)[0]
    row = penalty_curve(*nets, four(x, y), [stage], **how)[0]
    assert (row.penalty, row.self_penalty) == (expected.penalty, expected.self_penalty)
    assert torch.equal(activations(nets[0], x, [stage])[stage], activations(small_mlp(0), x, ["0.1"])["0.1"])
    assert torch.equal(predict(nets[0], x), predict(small_mlp(0), x))
    assert [[id(m) for m in net.modules()] for net in nets] == parts
    names = stage_names(nets[0], x[:2])
    assert names == stage_names(Outer(small_mlp(0)) if hasattr(nets[0], "head") else small_mlp(0), x[:2])
    assert penalty_curve(*nets, four(x, y), **how)[0].top_stage == names[0]


@pytest.mark.parametrize("name", [name for name in FUNCTIONS if name != "fit_many"])  # whose twin is a copy of torch's
@pytest.mark.parametrize("part", ["", "conv2"])
def test_a_compiled_forward_changes_no_number(part, name):
    """Torch's own copies of such a network run the parts of the first."""
    net, (x, y) = Net(), images()
    inner = net.get_submodule(part)
    inner.forward = compiled = torch.compile(inner.forward, backend="eager")
    found, wanted = FUNCTIONS[name](net, x, y), FUNCTIONS[name](Net(), x, y)
    if isinstance(wanted, dict):
        assert all(torch.equal(found[stage], wanted[stage]) for stage in wanted)
    else:
        np.testing.assert_array_equal(np.asarray(found), np.asarray(wanted))
    assert inner.forward is compiled


def test_a_network_that_runs_the_weights_of_another_is_not_trained():
    net, (x, y) = small_mlp(), vectors()
    net.forward = torch.compile(net.forward, backend="eager")
    with pytest.raises(ValueError, match="no gradient reaches a weight of this network: .* copied after net.forward"):
        fit(copy.deepcopy(net), (x, y), ONE, device="cpu")


@pytest.mark.filterwarnings("ignore:.*quanti", "ignore:.*reduce_range", "ignore:.*TypedStorage", "ignore:.*observer")
def test_quantised_networks():
    (x, y), kinds = images(), torch.ao.quantization
    dynamic = kinds.quantize_dynamic(Net().eval(), {nn.Linear})
    assert torch.equal(predict(dynamic, x), dynamic(x).argmax(1))
    assert stitch(dynamic, dynamic, "conv2", data=four(x, y), family="identity", device="cpu").penalty == 0
    for call in (
        lambda: random_bottom(dynamic),
        lambda: penalty_curve(dynamic, dynamic, four(x, y), ["conv2"], **QUICK),
    ):
        with pytest.raises(ValueError, match="fc1, fc2 cannot be re-initialised: quantised weights are no parameters"):
            call()
    with pytest.raises(ValueError, match="no gradient reaches a weight of this network: is a part of it quantised"):
        fit(dynamic, (x, y), ONE, device="cpu")
    static = nn.Sequential(kinds.QuantStub(), nn.Flatten(), nn.Linear(64, 4), kinds.DeQuantStub()).eval()
    static.qconfig = kinds.default_qconfig
    kinds.prepare(static, inplace=True)(x)
    kinds.convert(static, inplace=True)
    assert torch.equal(predict(static, x), static(x).argmax(1))
    for call in (
        lambda: activations(static, x, ["2"]),
        lambda: similarity.matrix(static, static, x, ["2"]),
        lambda: stitch(static, static, "1", data=four(x, y), **QUICK),
    ):
        with pytest.raises(
            ValueError, match="stage '[12]' of the .* returns quantised numbers .torch.quint8.: choose one"
        ):
            call()


@legacy
def test_what_is_inside_torchscript_cannot_be_cut():
    scripted, (x, y) = torch.jit.script(Outer(small_mlp())), vectors()
    for call in (
        lambda: stitch(scripted, scripted, "body.1", data=four(x, y), **QUICK),
        lambda: activations(scripted, x, ["body"]),
        lambda: stage_names(scripted, x[:2]),
    ):
        with pytest.raises(ValueError, match=r"inside TorchScript.*from before torch.jit"):
            call()


def test_hooks_on_a_wrapper_are_refused():
    wrapped, (x, _) = nn.DataParallel(small_mlp()), vectors()
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
    x, y = vectors()
    normed = nn.Sequential(nn.utils.weight_norm(nn.Linear(20, 12)), nn.ReLU(), nn.Linear(12, 4))
    for net, stage in ((Keeps(), "a"), (normed, "1"), (normed, "0")):
        scores = net(x)  # leaves a graph in the network
        with pytest.raises(RuntimeError):
            copy.deepcopy(net)
        assert stitch(net, net, stage, data=four(x, y), **QUICK).penalty == pytest.approx(0, abs=0.05)
        rows = penalty_curve(net, net, four(x, y), [stage, stage], device="cpu", random=False, training=ONE)
        assert len(rows) == 2
        assert connectivity(net, net, four(x, y), [stage], family="identity", device="cpu").barrier == 0
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
    (x, y), net = vectors(), small_mlp().eval()
    net[1] = getattr(nn.utils.parametrizations, kind)(net[1]).eval()
    with torch.no_grad():
        scores = net(x)
    found = stitch(net.train(), net, "0", data=four(x, y), family="identity", device="cpu")
    assert found.penalty == 0
    assert torch.equal(predict(net, x), scores.argmax(1))
    with pytest.raises(ValueError, match=r"parametrizations.weight.* cannot be re-initialised"):
        random_bottom(net)


def test_a_network_that_cannot_be_copied_is_named():
    net, (x, y) = small_mlp(), vectors()
    net.lock = threading.Lock()
    for call in (lambda: stitch(net, net, "0.1", data=four(x, y), **QUICK), lambda: random_bottom(net)):
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
    net, (x, y) = Skips(what), vectors()
    if message is None:
        assert 0 <= stitch(net, net, "a", data=four(x, y), **QUICK).error <= 1
        return
    with pytest.raises(ValueError, match=message):
        stitch(net, net, "a", data=four(x, y), **QUICK)


@pytest.mark.parametrize("name", ["predict", "features", "fit", "fit_many"])
def test_a_network_that_returns_several_things_is_told_what_is_needed(name):
    class Pair(Net):
        def forward(self, x):
            return super().forward(x), x

    with pytest.raises(ValueError, match="a tuple"):
        FUNCTIONS[name](Pair(), *images())


# small batches
def _normed(seed=0):
    with runtime.seeded(seed):
        return nn.Sequential(nn.Linear(20, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 4))


def test_a_last_batch_of_one_takes_the_running_statistics():
    x, y = vectors(33)
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
    assert penalty_curve(net, net, four(x, y), ["2"], device="cpu", random=False, training=config)


def test_one_image_of_many_positions_has_a_variance():
    x, _ = images(33)
    one, two = (network("convnet", (1, 8, 8), 4, width=8, depth=1) for _ in range(2))
    with borrowed.batch_of(one, 1, 33, 32):
        assert torch.equal(one(x[:1]), two(x[:1]))
    assert torch.equal(one.conv1[1].running_mean, two.conv1[1].running_mean)
    assert float(one.conv1[1].num_batches_tracked) == 1


@pytest.mark.parametrize(("n", "batch_size"), [(1, 32), (5, 1)])
def test_batchnorm_of_nothing_but_single_samples_is_refused(n, batch_size):
    x, y = vectors(n)
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
    x, y = vectors()
    two = fit_many([Sloped(0.1), Sloped(0.9)], (x, y), ONE, device="cpu")
    assert [c.train_loss for c in two] == [fit(Sloped(s), (x, y), ONE, device="cpu").train_loss for s in (0.1, 0.9)]


def test_a_kept_control_is_that_of_the_same_function(tmp_path):
    x, y = vectors()
    found = [
        penalty_curve(Sloped(0.1), Sloped(s), four(x, y), ["a"], family="identity", device="cpu", keep=tmp_path)[0]
        for s in (0.1, -5.0)
    ]
    alone = penalty_curve(Sloped(0.1), Sloped(-5.0), four(x, y), ["a"], family="identity", device="cpu")[0]
    assert found[1] == alone
    assert found[0].random_penalty != alone.random_penalty
