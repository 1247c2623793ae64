"""Stitching: halves, closed forms on known copies, what is frozen, the sign of the penalty."""

import copy
import dataclasses
import itertools

import numpy as np
import pytest
import torch
from torch import nn

from dlcore.models import network
from dlcore.stitching import (
    Search,
    StitchOptions,
    activations,
    connectivity,
    curves,
    penalty_curve,
    random_bottom,
    stage_names,
    stitch,
)
from dlcore.stitching.fitting import stitch_all, stitch_subjects
from dlcore.stitching.subject import StitchData, Subject
from dlcore.training import TrainConfig, fit

SHORT = TrainConfig(epochs=2, batch_size=32, learning_rate=1e-2, optimizer="adam", precision="float32")
LONG = TrainConfig(epochs=15, batch_size=32, learning_rate=1e-2, optimizer="adam", precision="float32")


def _blobs(n, seed, classes=4):
    generator = torch.Generator().manual_seed(seed)
    y = torch.randint(classes, (n,), generator=generator)
    centres = torch.randn(classes, 1, 8, 8, generator=torch.Generator().manual_seed(7))
    return centres[y] + 2.2 * torch.randn(n, 1, 8, 8, generator=generator), y


@pytest.fixture(scope="module")
def data():
    return (*_blobs(300, 0), *_blobs(200, 1))


def _trained(name, data, seed, epochs=12, **sizes):
    net = network(name, (1, 8, 8), 4, seed=seed, **sizes)
    config = TrainConfig(epochs=epochs, batch_size=32, learning_rate=3e-3, optimizer="adam", seed=seed)
    fit(net, data[:2], config, device="cpu")
    return net


@pytest.fixture(scope="module")
def mlps(data):
    return [_trained("mlp", data, seed, width=16, depth=2) for seed in (0, 1)]


@pytest.fixture(scope="module")
def convs(data):
    return [_trained("convnet", data, seed, epochs=6, width=6, depth=2) for seed in (0, 1)]


def _permuted(net, order):
    """The network with the units of its first hidden layer in another order: the same function until the classifier."""
    other = copy.deepcopy(net)
    with torch.no_grad():
        other.hidden1[0].weight.copy_(net.hidden1[0].weight[order])
        other.hidden1[0].bias.copy_(net.hidden1[0].bias[order])
        other.hidden2[0].weight.copy_(net.hidden2[0].weight[:, order])
    return other


@pytest.mark.parametrize("stage", ["hidden1", "hidden2"])
def test_self_stitch_by_least_squares_costs_nothing(mlps, data, stage):
    found = stitch(mlps[0], mlps[0], stage, family="least_squares", data=data, device="cpu")
    assert found.penalty == 0.0
    assert 0 < found.top_error < 0.5
    assert np.array_equal(found.wrong, found.top_wrong)


def test_self_stitch_of_a_convnet(convs, data):
    for stage in stage_names(convs[0], data[0][:2]):
        found = stitch(convs[0], convs[0], stage, family="least_squares", data=data, device="cpu")
        assert found.penalty == 0.0, stage


def test_a_permuted_copy_is_recovered(mlps, data):
    order = torch.randperm(16, generator=torch.Generator().manual_seed(3))
    copy_ = _permuted(mlps[0], order)
    found = stitch(copy_, mlps[0], "hidden1", family="permutation", data=data, device="cpu")
    assert found.penalty == 0.0
    picked = found.model.stitcher.core.index
    seen = activations(copy_, data[2], ["hidden1"])["hidden1"][:, picked]
    assert torch.equal(seen, activations(mlps[0], data[2], ["hidden1"])["hidden1"])
    # the same units in another order: not matched, chance is 0.75
    assert stitch(copy_, mlps[0], "hidden1", family="identity", data=data, device="cpu").error > 0.3


@pytest.mark.parametrize("family", ["orthogonal", "least_squares"])
def test_a_rotated_copy_is_recovered(mlps, data, family):
    q, _ = torch.linalg.qr(torch.randn(16, 16, generator=torch.Generator().manual_seed(0), dtype=torch.float64))
    net = mlps[0]
    rotate = nn.Linear(16, 16)
    with torch.no_grad():
        rotate.weight.copy_(q)
        rotate.bias.fill_(1e2)
    bottom = nn.Sequential(net.flatten, net.hidden1, rotate, nn.Linear(16, 4))
    found = stitch(bottom, net, "2", "hidden1", family=family, data=data, device="cpu")
    assert found.penalty == 0.0


def test_low_rank_of_full_rank_is_least_squares(mlps, data):
    full = stitch(*mlps, "hidden1", family="least_squares", data=data, device="cpu")
    same = stitch(*mlps, "hidden1", family="low_rank", rank=16, data=data, device="cpu")
    one = stitch(*mlps, "hidden1", family="low_rank", rank=1, data=data, device="cpu")
    assert torch.allclose(full.model.stitcher.core.weight, same.model.stitcher.core.weight, atol=1e-5)
    assert torch.linalg.matrix_rank(one.model.stitcher.core.weight, rtol=1e-4) == 1
    assert one.penalty > full.penalty + 0.1


def test_identity_is_at_chance_and_least_squares_succeeds_across_seeds(mlps, data):
    nets = [*mlps, *(_trained("mlp", data, seed, width=16, depth=2) for seed in (2, 3))]
    errors = {
        family: [
            stitch(one, other, "hidden2", family=family, data=data, device="cpu").error
            for one, other in itertools.permutations(nets, 2)
        ]
        for family in ("identity", "least_squares")
    }
    # four classes: 0.75; a single pair sends classes to classes by luck and is anywhere from .4 to 1
    assert np.mean(errors["identity"]) == pytest.approx(0.75, abs=0.1)
    assert max(errors["least_squares"]) < 0.15


def _by_stage(half, stages):
    """The state of a half by the names of the whole network; a half of a chain numbers its stages."""
    found = {}
    for key, value in half.state_dict().items():
        place, rest = key.removeprefix("model.").split(".", 1)
        found[f"{stages[int(place)] if place.isdigit() else place}.{rest}"] = value
    return found


@pytest.mark.parametrize("mode", ["frozen", "recalibrate"])
def test_what_is_frozen_stays_bit_identical(convs, data, mode):
    a, b = convs
    before = [{k: v.clone() for k, v in net.state_dict().items()} for net in convs]
    found = stitch(a, b, "conv1", data=data, bn_mode=mode, training=SHORT, device="cpu")
    for net, old in zip(convs, before, strict=True):
        state = net.state_dict()
        assert state.keys() == old.keys()
        assert all(torch.equal(v, old[k]) for k, v in state.items())
        assert all(p.requires_grad for p in net.parameters())
    # every parameter and buffer of both halves is the original's, but the statistics that recalibration moves
    halves = {"head": (before[0], ["conv1"]), "tail": (before[1], ["conv2", "pool", "classifier"])}
    for name, (old, stages) in halves.items():
        state = _by_stage(getattr(found.model, name), stages)
        assert state.keys() == {k for k in old if k.split(".")[0] in stages}
        changed = {k for k, v in state.items() if not torch.equal(v, old[k])}
        statistics = {k for k in state if k.rsplit(".", 1)[1] in ("running_mean", "running_var", "num_batches_tracked")}
        assert statistics
        assert changed == (statistics if mode == "recalibrate" else set()), name
    assert found.cached == (mode == "frozen")


def test_a_closed_form_can_recalibrate_the_top(convs, data):
    old = convs[1].conv2[1].running_mean.clone()
    found = stitch(*convs, "conv1", family="least_squares", data=data, bn_mode="recalibrate", device="cpu")
    assert not torch.equal(found.model.tail.norms[0].running_mean, old)
    assert torch.equal(convs[1].conv2[1].running_mean, old)


def test_the_cache_is_exact_where_it_is_the_default(convs, data):
    runs = [
        stitch(*convs, "conv1", data=data, bn_mode="frozen", cache=cache, training=SHORT, device="cpu")
        for cache in (None, False)
    ]
    assert [r.cached for r in runs] == [True, False]
    assert np.array_equal(runs[0].wrong, runs[1].wrong)
    for one, two in zip(*(r.model.stitcher.parameters() for r in runs), strict=True):
        assert torch.allclose(one, two, atol=1e-5)
    with pytest.raises(ValueError, match="cache_bytes"):
        stitch(*convs, "conv1", data=data, cache=True, cache_bytes=10, device="cpu")


def test_the_stitched_model_takes_inputs(convs, data):
    found = stitch(*convs, "conv1", data=data, bn_mode="frozen", training=SHORT, device="cpu")
    assert np.array_equal(found.model(data[2]).argmax(1).numpy() != data[3].numpy(), found.wrong)


def test_a_better_bottom_has_a_negative_penalty(mlps, data):
    damaged = copy.deepcopy(mlps[0])
    with torch.no_grad():
        damaged.hidden1[0].weight += 0.25 * torch.randn(16, 64, generator=torch.Generator().manual_seed(1))
    found = stitch(
        mlps[0], damaged, "hidden1", family="linear", init="identity", data=data, training=LONG, device="cpu"
    )
    assert found.top_error > 0.1
    assert found.penalty < -0.05
    assert found.penalty == pytest.approx(found.error - found.top_error)


def test_a_random_bottom_shares_nothing(convs):
    fresh = random_bottom(convs[0], seed=5)
    theirs = {t.untyped_storage().data_ptr() for net in convs for t in net.state_dict().values()}
    for name, value in fresh.state_dict().items():
        assert value.untyped_storage().data_ptr() not in theirs, name
    assert not torch.equal(fresh.conv2[0].weight, convs[0].conv2[0].weight)
    assert torch.equal(fresh.conv1[1].running_mean, torch.zeros(6))
    again = random_bottom(convs[0], seed=5)
    assert all(torch.equal(a, b) for a, b in zip(fresh.parameters(), again.parameters(), strict=True))


def test_a_parameter_of_no_module_is_drawn_anew():
    net = nn.Sequential(nn.Linear(2, 2))
    net.register_parameter("token", nn.Parameter(torch.randn(3)))
    fresh = random_bottom(net)
    assert not torch.isclose(fresh.token, net.token).any()
    assert torch.equal(fresh.token, random_bottom(net).token)


def test_a_parameter_that_cannot_be_drawn_anew_is_an_error():
    class Scaled(nn.Linear):
        def __init__(self):
            super().__init__(2, 2)
            self.scale = nn.Parameter(torch.randn(3))

    with pytest.raises(ValueError, match="scale"):
        random_bottom(nn.Sequential(Scaled()))


def test_the_curve_has_its_controls(mlps, data):
    rows = penalty_curve(*mlps, data, family="least_squares", seeds=(0, 1), device="cpu")
    assert [(r.top_stage, r.seed) for r in rows] == [(s, k) for k in (0, 1) for s in ("hidden1", "hidden2")]
    for row in rows:
        assert row.self_penalty == 0.0
        assert row.excess == row.penalty
        assert row.random_penalty > row.penalty
        assert row.penalty_se < 0.05
    assert rows[0].penalty == rows[2].penalty
    assert rows[0].random_penalty != rows[2].random_penalty
    bare = penalty_curve(
        *mlps, data, ["hidden2"], self_stitch=False, random=False, family="least_squares", device="cpu"
    )
    assert np.isnan(bare[0].excess)
    assert np.isnan(bare[0].random_penalty)
    assert bare[0].penalty == rows[1].penalty


def test_cross_stage_pairs(mlps, data):
    rows = penalty_curve(
        *mlps,
        data,
        [("hidden2", "hidden1"), ("hidden1", "hidden2")],
        family="least_squares",
        random=False,
        device="cpu",
    )
    assert [(r.bottom_stage, r.top_stage) for r in rows] == [("hidden2", "hidden1"), ("hidden1", "hidden2")]


def test_options_are_checked():
    with pytest.raises(ValueError, match="did you mean 'training'"):
        StitchOptions.of({"trainin": SHORT})
    for wrong in ({"kernel_size": 2}, {"ridge": -1.0}, {"objective": "features"}, {"bn_mode": "forzen"}):
        with pytest.raises(ValueError, match=next(iter(wrong.values())) if "bn_mode" in wrong else "."):
            StitchOptions(**wrong)


def test_the_path_leads_from_the_top_to_the_bottom(mlps, data):
    bottom, top = mlps
    path = connectivity(bottom, top, data, family="least_squares", device="cpu")
    rows = penalty_curve(bottom, top, data, family="least_squares", random=False, device="cpu")
    assert path.stage == ["", "hidden1", "hidden2", "the whole bottom"]
    assert path.share == pytest.approx([0, 1 / 3, 2 / 3, 1])
    wrong = [float((net(data[2]).argmax(1) != data[3]).double().mean()) for net in (top, bottom)]
    assert [path.error[0], path.error[-1]] == pytest.approx(wrong)
    assert path.error[1:-1] == pytest.approx([wrong[0] + row.penalty for row in rows])
    assert path.barrier == pytest.approx(max(path.error[1:-1]) - max(wrong))
    losses = [nn.functional.cross_entropy(net(data[2]), data[3]).item() for net in (top, bottom)]
    assert [path.loss[0], path.loss[-1]] == pytest.approx(losses, rel=1e-5)
    # the other way round the ends change places
    assert connectivity(top, bottom, data, family="least_squares", device="cpu").error[0] == path.error[-1]


def test_an_untrained_bottom_is_at_the_end_of_a_rising_path(mlps, data):
    path = connectivity(random_bottom(mlps[0]), mlps[1], data, family="least_squares", device="cpu")
    assert path.error[-1] > 0.5
    assert path.error[0] < path.error[1] < path.error[-1]
    assert path.loss[0] < path.loss[1] < path.loss[-1]


def test_a_path_needs_one_task(mlps, data):
    coarse = network("mlp", (1, 8, 8), 7, width=16, depth=2)
    with pytest.raises(ValueError, match="7 classes, the top 4"):
        connectivity(coarse, mlps[1], data, device="cpu")


def test_linear_maps_fold_into_the_next_layer_and_padded_convolutions_do_not(mlps, convs, data):
    """S_i has the architecture of the top: exact for linear layers; zero padding sees a map's constant at the border."""
    found = stitch(*mlps, "hidden1", family="least_squares", data=data, device="cpu")
    weight, bias = _affine(found.model.stitcher, 16)
    folded = copy.deepcopy(mlps[1])
    with torch.no_grad():
        layer = folded.hidden2[0]
        layer.bias.add_(layer.weight @ bias)
        layer.weight.copy_(layer.weight @ weight)
    below = activations(mlps[0], data[2], ["hidden1"])["hidden1"]
    assert torch.allclose(folded.classifier(folded.hidden2(below)), found.model(data[2]), atol=1e-4)

    found = stitch(*convs, "conv1", family="least_squares", data=data, device="cpu")
    below = activations(convs[0], data[2], ["conv1"])["conv1"]
    probe = torch.zeros(1, *below.shape[1:])
    bias = found.model.stitcher(probe)[0, :, 0, 0]
    weight = (found.model.stitcher(probe + torch.eye(below.shape[1])[:, :, None, None]) - bias[:, None, None])[
        :, :, 0, 0
    ].T
    conv = convs[1].conv2[0]
    mixed = torch.einsum("oihw,ij->ojhw", conv.weight, weight)
    constant = (conv.weight.sum((2, 3)) @ bias)[:, None, None]
    one = conv(found.model.stitcher(below))
    other = nn.functional.conv2d(below, mixed, None, conv.stride, conv.padding) + constant
    assert torch.allclose(one[:, :, 1:, 1:], other[:, :, 1:, 1:], atol=1e-4)
    assert not torch.allclose(one[:, :, 0], other[:, :, 0], atol=1e-3)


def _affine(stitcher, size):
    bias = stitcher(torch.zeros(1, size))[0]
    return (stitcher(torch.eye(size)) - bias).T, bias


@pytest.mark.parametrize(
    ("name", "shape", "options"),
    [
        ("mlp", (1, 40), {"l1": 0.01}),
        ("convnet", (1, 40), {"cache": True}),
        ("resnet", (1, 40), {"cache": True}),
        ("convnet", (1, 8, 8), {"cache": True, "init": "least_squares"}),
        ("convnet", (1, 8, 8), {"bn_mode": "frozen"}),
    ],
)
def test_maps_trained_together_are_those_trained_alone(name, shape, options):
    """Maps, statistics of BatchNorm and outputs, after steps that are too few for rounding to grow; a last batch of one row too."""
    torch.manual_seed(0)
    given = StitchData(
        torch.randn(65, *shape), torch.randint(4, (65,)), torch.randn(50, *shape), torch.randint(4, (50,))
    )
    nets = [network(name, shape, 4, seed=seed, width=8, depth=2) for seed in range(3)]
    fit(nets[0], given[:2], SHORT)
    # where a bias has no effect, Adam makes steps of its gradient's rounding, SGD none; the residual network's BatchNorm
    # of a batch of one row makes much of the rounding of large steps
    rate = 1e-3 if name == "resnet" else 1e-2
    training = TrainConfig(epochs=2, batch_size=32, precision="float32", optimizer="sgd", learning_rate=rate)
    chosen = StitchOptions(training=training, device="cpu", **options)
    top, *others = [Subject(net, "a network", given, torch.device("cpu"), 2**30) for net in nets]
    stage = stage_names(nets[0], given.train_inputs[:2])[0]
    bottoms = [(one, stage) for one in (top, *others)]
    together = stitch_all(bottoms, top, stage, "auto", given, chosen)
    assert all(one.curves is together[0].curves for one in together), "they were trained together"
    alone = [stitch_subjects(one, top, stage, stage, "auto", given, chosen) for one, _ in bottoms]
    for a, b in zip(together, alone, strict=True):
        assert a.parameters == b.parameters
        assert a.curves is not b.curves
        states = a.model.state_dict(), b.model.state_dict()
        assert states[0].keys() == states[1].keys()
        for key, value in states[1].items():
            torch.testing.assert_close(
                states[0][key], value, rtol=1e-3, atol=2e-4, msg=lambda m, key=key: f"{key}: {m}"
            )
        torch.testing.assert_close(a.model(given.test_inputs), b.model(given.test_inputs), rtol=1e-3, atol=1e-3)
    still = dataclasses.replace(chosen, training=dataclasses.replace(training, learning_rate=1e-9))
    start = stitch_subjects(others[0], top, stage, stage, "auto", given, still)
    begun, one, other = (found.model.stitcher.core.weight for found in (start, together[1], alone[1]))
    assert float((begun - other).abs().max()) > 5 * float((one - other).abs().max())
    assert float((begun - other).abs().max()) > 1e-4


def test_controls_are_kept_for_the_next_pair(mlps, data, tmp_path, monkeypatch):
    made = []
    original = curves.stitch_subjects
    monkeypatch.setattr(curves, "stitch_subjects", lambda *a: made.append(a[2]) or original(*a))
    how = {"stages": ["hidden1"], "device": "cpu", "training": SHORT, "keep": tmp_path}
    random = random_bottom(mlps[0])
    first = penalty_curve(*mlps, data, random=random, **how)
    assert len(made) == 3
    assert len(list(tmp_path.glob("*.pt"))) == 2
    # another bottom, the same top: only its own stitch is made, and nothing else changes
    other = penalty_curve(mlps[1], mlps[1], data, random=random, **how)
    assert len(made) == 4
    assert other == penalty_curve(mlps[1], mlps[1], data, random=random, **{**how, "keep": None}, together=False)
    assert other[0].penalty == other[0].self_penalty == first[0].self_penalty
    # whatever a control depends on is in its name
    made.clear()
    longer = {**how, "training": TrainConfig(epochs=3, batch_size=32, optimizer="adam", precision="float32")}
    fewer = (data[0][:-1], data[1][:-1], *data[2:])
    for tops, given, options in ((mlps[::-1], data, how), (mlps, fewer, how), (mlps, data, longer)):
        penalty_curve(*tops, given, random=random, **options)
    assert len(made) == 9
    for path in tmp_path.glob("*.pt"):
        path.write_bytes(b"nothing")
    assert penalty_curve(*mlps, data, random=random, **how) == first
    with pytest.raises(ValueError, match="augment"):
        penalty_curve(*mlps, data, random=random, augment=lambda x, g: x, **how)


def test_search_keeps_what_the_validation_samples_prefer():
    """Both starts, then more steps from the better one until they gain nothing; the returned stitch is the best trial's."""
    torch.manual_seed(0)
    x, y = torch.randn(400, 12), torch.randint(3, (400,))
    x[:, :3] += 2.0 * torch.eye(3)[y]
    bottom, top = (network("mlp", (12,), 3, width=16, depth=2, seed=s) for s in (0, 1))
    for net in (bottom, top):
        fit(net, (x[:200], y[:200]), TrainConfig(epochs=20, optimizer="adam", learning_rate=1e-2))
    validation = (x[300:], y[300:])
    how = TrainConfig(batch_size=50, optimizer="adam", learning_rate=5e-3, precision="float32")
    given = (x[:200], y[:200], x[200:300], y[200:300])
    options = {"seeds": (3,), "training": how, "device": "cpu"}
    search = Search(validation, steps=(4, 16, 64), gain=-1.0)  # never content: every number is tried
    rows = penalty_curve(bottom, top, given, fit=search, **options)
    assert {role for role, *_ in search.tried} == {"the bottom", "the top", "the random bottom"}
    for (role, *_), trials in search.tried.items():
        assert [t.start for t in trials[:2]] == ["least_squares", "random"]
        assert [t.steps for t in trials[1:]] == ([4, 16] if role == "the random bottom" else [4, 16, 64])
        assert {t.start for t in trials[2:]} == {min(trials[:2], key=lambda t: t.error).start}
    for row in rows:
        best = search.chosen("the bottom", row.bottom_stage, row.top_stage)
        again = stitch(
            bottom,
            top,
            row.bottom_stage,
            data=given,
            device="cpu",
            init=best.start,
            training=dataclasses.replace(how, epochs=best.steps // 4, seed=3),
        )
        assert again.penalty == pytest.approx(row.penalty)
        wrong = (again.model(validation[0]).argmax(1) != validation[1]).double().mean()
        assert best.error == pytest.approx(float(wrong))
        assert row.self_penalty <= 0.01 + 1e-9  # from least squares a network fits itself
    content = Search(validation, steps=(4, 16, 64), gain=1.0)
    penalty_curve(bottom, top, given, ["hidden1"], fit=content, self_stitch=False, random=False, **options)
    assert len(content.tried["the bottom", "hidden1", "hidden1"]) == 3
    with pytest.raises(ValueError, match="usual fit"):
        penalty_curve(bottom, top, given, fit=content, keep="nowhere", **options)
