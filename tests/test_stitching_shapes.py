"""Stitching across shapes: tokens, mixed layouts, sizes that differ; names, labels and options that are wrong."""

import math

import pandas as pd
import pytest
import torch
from torch import nn

from dlcore.models import network
from dlcore.stitching import activations, penalty_curve, stage_names, stitch
from dlcore.stitching.layouts import Layout, layout_of
from dlcore.stitching.options import StitchOptions
from dlcore.training import TrainConfig

SHORT = TrainConfig(epochs=1, batch_size=32, learning_rate=1e-2, optimizer="adam", precision="float32")
X, Y = torch.randn(64, 1, 8, 8, generator=torch.Generator().manual_seed(0)), torch.arange(64) % 3
DATA = (X, Y, X, Y)


class Tiny(nn.Module):
    """A vision transformer: patches, a class token, two blocks, a head; not a chain."""

    def __init__(self, dim=8, patch=4, seed=0):
        super().__init__()
        torch.manual_seed(seed)
        self.patch = nn.Conv2d(1, dim, patch, patch)
        self.token = nn.Parameter(torch.randn(1, 1, dim))
        block = {"nhead": 2, "dim_feedforward": 16, "dropout": 0.1, "batch_first": True}
        self.block1 = nn.TransformerEncoderLayer(dim, **block)
        self.block2 = nn.TransformerEncoderLayer(dim, **block)
        self.head = nn.Linear(dim, 3)

    def forward(self, x):
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(len(x), -1, -1), x], 1)
        return self.head(self.block2(self.block1(x))[:, 0])


def _net(name, seed=0, **sizes):
    return network(name, (1, 8, 8), 3, seed=seed, **sizes)


def _stitch(bottom, top, *stages, **options):
    return stitch(bottom, top, *stages, data=DATA, device="cpu", training=SHORT, **options)


def test_tokens():
    a, b = Tiny(seed=0), Tiny(dim=12, seed=1)
    found = _stitch(a, b, "block1")
    assert found.family == "token_linear"
    assert found.parameters == 8 * 12 + 12
    assert found.model(X).shape == (64, 3)
    own = _stitch(a, a, "block1", family="least_squares")
    assert own.penalty == 0.0


def test_a_token_model_has_a_random_bottom_drawn_or_its_own():
    """Its class token belongs to no module that could reset it."""
    options = {"family": "least_squares", "device": "cpu"}
    drawn = penalty_curve(Tiny(), Tiny(seed=1), DATA, ["block1"], **options)
    own = penalty_curve(Tiny(), Tiny(seed=1), DATA, ["block1"], **options, random=lambda s: Tiny(seed=9 + s))
    assert all(math.isfinite(rows[0].random_penalty) for rows in (drawn, own))


def test_tokens_of_another_grid_ask_for_interpolation():
    with pytest.raises(ValueError, match="resize='bilinear'"):
        _stitch(Tiny(patch=4), Tiny(patch=2), "block1")
    assert _stitch(Tiny(patch=4), Tiny(patch=2), "block1", resize="bilinear").model(X).shape == (64, 3)


def test_another_spatial_size_offers_interpolation():
    a, b = _net("convnet", width=4, depth=2), _net("convnet", seed=1, width=6, depth=2)
    with pytest.raises(ValueError, match=r"positions differ.*resize='bilinear'.*family='linear'"):
        _stitch(a, b, "conv1", "conv2")
    for resize in ("nearest", "bilinear", "area"):
        assert _stitch(a, b, "conv1", "conv2", resize=resize).family == "conv1x1"
    assert _stitch(a, b, "conv1", "conv2", family="linear").parameters > 64 * 4 * 12 * 16
    with pytest.raises(ValueError, match="unknown resize 'cubic'"):
        _stitch(a, b, "conv1", "conv2", resize="cubic")


def test_mixed_shapes():
    conv, mlp, vit = _net("convnet", width=4, depth=2), _net("mlp", width=8, depth=2), Tiny()
    for bottom, top, low, high in (
        (conv, mlp, "conv2", "hidden1"),
        (mlp, conv, "hidden1", "conv2"),
        (conv, vit, "conv1", "block1"),
        (vit, mlp, "block1", "hidden2"),
    ):
        found = _stitch(bottom, top, low, high, resize="bilinear" if top is vit else None)
        assert found.model(X).shape == (64, 3)
        assert found.family == ("token_linear" if top is vit else "linear")
    with pytest.raises(ValueError, match="family='linear'"):
        _stitch(conv, mlp, "conv2", "hidden1", family="conv1x1")


def test_signals():
    x = torch.randn(64, 1, 40)
    a, b = (network("convnet", (1, 40), 3, seed=s, width=4, depth=2) for s in (0, 1))
    found = stitch(a, b, "conv1", data=(x, Y, x, Y), device="cpu", training=SHORT, kernel_size=3)
    assert found.parameters == 4 * 4 * 3 + 4 + 16


def test_residual_networks_are_cut_between_blocks():
    a, b = (_net("resnet", seed=s, width=4) for s in (0, 1))
    assert stage_names(a, X[:2]) == ["stem", "group1_block1", "group2_block1", "group3_block1", "pool"]
    assert _stitch(a, b, "group1_block1").model(X).shape == (64, 3)

    class Wrapped(nn.Module):
        def __init__(self, net):
            super().__init__()
            self.net = net

        def forward(self, x):
            return self.net(x)

    with pytest.raises(ValueError, match="skip connection goes around it"):
        _stitch(Wrapped(a), Wrapped(b), "net.group1_block1.norm1", family="least_squares")
    assert _stitch(Wrapped(a), Wrapped(a), "net.group1_block1", family="least_squares").penalty == 0.0


def test_a_wrong_name_lists_the_right_ones():
    a, b = _net("mlp", width=8), _net("mlp", seed=1, width=8)
    with pytest.raises(ValueError, match=r"'hiden1' of the bottom; did you mean 'hidden1'.*flatten, hidden1, hidden2"):
        _stitch(a, b, "hiden1", "hidden1")
    with pytest.raises(ValueError, match="of the top"):
        _stitch(a, b, "hidden1", "layer3")
    with pytest.raises(ValueError, match="no part of the same name"):
        penalty_curve(a, _net("convnet"), DATA, device="cpu")


def test_a_stage_that_runs_twice_or_never():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.flat, self.fc, self.out, self.spare = nn.Flatten(), nn.Linear(64, 64), nn.Linear(64, 3), nn.ReLU()

        def forward(self, x):
            return self.out(self.fc(self.fc(self.flat(x))))

    for stage, times in (("fc", "runs 2 times"), ("spare", "does not run")):
        with pytest.raises(ValueError, match=times):
            _stitch(Twice(), Twice(), stage)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ((X, Y, X), "not 3 arrays"),
        ((X, Y + 5, X, Y), "train labels run from 5 to 7"),
        ((X, Y.float(), X, Y), "train labels must hold integers"),
        ((X, Y[:5], X, Y), "64 inputs"),
        ((X * torch.nan, Y, X, Y), "NaN"),
        ((X, Y, X[..., :4], Y), "differ in shape"),
        ((X[..., :4], Y, X[..., :4], Y), r"the bottom does not run on inputs of shape \(2, 1, 8, 4\)"),
        ((X, ["cat"] * 64, X, Y), "number the classes 0, 1, 2"),
    ],
)
def test_wrong_data(data, message):
    net = _net("mlp", width=8)
    with pytest.raises(ValueError, match=message):
        stitch(net, net, "hidden1", data=data, device="cpu")


def _broken(value):
    net = _net("mlp", width=8)
    next(net.parameters()).data.fill_(value)
    return net


class Answer(nn.Module):
    """Returns scores the way other libraries do."""

    def __init__(self, kind):
        super().__init__()
        self.net, self.kind = _net("mlp", width=8), kind

    def forward(self, x):
        scores = self.net(x)
        return {"logits": scores} if self.kind is dict else (scores, None)


@pytest.mark.parametrize(
    ("bottom", "top", "stages", "message"),
    [
        (lambda: _broken(torch.nan), lambda: _net("mlp", width=8), ["hidden1"], "bottom's activations contain NaN"),
        (lambda: _net("mlp", width=8), lambda: _broken(torch.nan), ["hidden2"], "top.* NaN"),
        (lambda: _net("mlp", width=8), lambda: Answer(dict), ["hidden1", "net.hidden1"], "not a dict; wrap it"),
        (lambda: _net("mlp", width=8), lambda: Answer(tuple), ["hidden1", "net.hidden1"], "not a tuple; wrap it"),
        (lambda: _net("mlp", width=8).half(), lambda: _net("mlp", width=8), ["hidden1"], "float16.*model.float"),
        (lambda: torch.relu, lambda: _net("mlp", width=8), ["hidden1"], "nn.Module"),
    ],
)
def test_networks_that_cannot_be_stitched(bottom, top, stages, message):
    with pytest.raises(ValueError, match=message):
        _stitch(bottom(), top(), *stages, family="least_squares")


def test_a_top_that_returns_nan_has_no_error_rate():
    top = _net("mlp", width=8)
    list(top.parameters())[-1].data.fill_(torch.nan)
    with pytest.raises(ValueError, match="the top returns NaN or infinity for 64 of 64"):
        _stitch(_net("mlp", width=8), top, "hidden1", family="identity")


def test_a_bottom_that_fails_on_test_inputs_only():
    tests = X * 1e20  # overflows in the second product; the top works on these inputs
    big = _net("mlp", width=8)
    with torch.no_grad():
        for p in big.parameters():
            p.mul_(1e12)
    with pytest.raises(ValueError, match="the stitched network returns NaN or infinity for 6. of 64 test inputs"):
        stitch(big, _net("mlp", width=8), "hidden2", family="identity", data=(X, Y, tests, Y), device="cpu")


def test_arrays_tables_and_compiled_networks_give_the_same_stitch():
    a, b = _net("mlp", width=8), _net("mlp", seed=1, width=8)
    wanted = _stitch(a, b, "hidden1", family="least_squares")
    arrays = (X.numpy(), pd.Series(Y.numpy()), X.numpy(), Y.tolist())
    found = stitch(a, b, "hidden1", family="least_squares", data=arrays, device="cpu")
    assert found.error == wanted.error
    compiled = torch.compile(b, backend="eager")
    compiled(X)  # from here on it ignores hooks
    found = _stitch(a, compiled, "hidden1", family="least_squares")
    assert found.error == wanted.error
    assert torch.equal(
        activations(compiled, X.numpy(), ["hidden1"])["hidden1"], activations(b, X, ["hidden1"])["hidden1"]
    )


@pytest.mark.parametrize(
    ("family", "options", "message"),
    [
        ("conv3", {}, "unknown family 'conv3'"),
        ("low_rank", {}, "needs rank"),
        ("low_rank", {"rank": 9}, "outside 1..8"),
        ("least_squares", {"init": "identity"}, "closed form"),
        ("linear", {"kernel_size": 3}, "conv1x1"),
        ("linear", {"objective": "features", "match_stage": "hidden1"}, "does not run after|choose a later stage"),
    ],
)
def test_wrong_options(family, options, message):
    net = _net("mlp", width=8)
    with pytest.raises(ValueError, match=message):
        _stitch(net, net, "hidden2", family=family, **options)


@pytest.mark.parametrize("family", ["identity", "permutation"])
def test_unequal_widths(family):
    with pytest.raises(ValueError, match="equal widths; the bottom has 8 channels and the top 6"):
        _stitch(_net("mlp", width=8), _net("mlp", width=6), "hidden1", family=family)


@pytest.mark.parametrize("options", [{"objective": "soft_labels"}, {"objective": "features", "match_stage": "hidden2"}])
def test_other_objectives_lower_their_loss(options):
    a, b = _net("mlp", width=8), _net("mlp", seed=1, width=8)
    more = TrainConfig(epochs=8, batch_size=16, learning_rate=1e-2, optimizer="adam", precision="float32")
    found = stitch(a, b, "hidden1", data=DATA, device="cpu", training=more, **options)
    assert found.curves.train_loss[-1] < found.curves.train_loss[0]


@pytest.mark.parametrize("options", [{}, {"kernel_size": 3}, {"rank": 4}])
def test_a_trained_map_starts_at_least_squares(options):
    a, b = (_net("convnet", seed=s, width=4, depth=2) for s in (0, 1))
    none = TrainConfig(epochs=0, precision="float32")
    start = stitch(
        a, b, "conv1", init="least_squares", bn_mode="frozen", data=DATA, device="cpu", training=none, **options
    )
    closed = stitch(a, b, "conv1", family="least_squares", data=DATA, device="cpu")
    assert torch.allclose(start.model(X), closed.model(X), atol=2e-3)


def test_layouts():
    assert layout_of((5,), nn.ReLU()).kind == "flat"
    assert layout_of((4, 8, 8), nn.ReLU()).channels == 4
    tokens = layout_of((17, 8), Tiny())
    assert (tokens.kind, tokens.channels, tokens.grid, tokens.prefix) == ("channels_last", 8, (4, 4), 1)
    x = torch.randn(2, 4, 3, 3)
    layout = Layout("channels_first", (4, 3, 3))
    assert torch.equal(layout.from_matrix(layout.to_matrix(x)), x)


@pytest.mark.parametrize("name", ["lr", "learning_rate", "epochs"])
def test_how_the_map_is_trained_is_said_by_its_configuration(name):
    with pytest.raises(ValueError, match=rf"training=TrainConfig\({name.replace('lr', 'learning_rate')}="):
        StitchOptions.of({name: 1})
    with pytest.raises(TypeError, match=rf"training=TrainConfig\({name.replace('lr', 'learning_rate')}="):
        StitchOptions(**{name: 1})
