"""Layer by layer: the same numbers as one pair at a time, in less memory, with intervals and a null that hold."""

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torchvision.models import resnet18, vit_b_16

from dlcore import similarity
from dlcore.metrics.similarity import MinibatchCKA, linear_cka
from dlcore.stitching import activations, random_bottom, stage_names


def _network(seed=0, width=6):
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(1, width, 3), nn.ReLU(), nn.Conv2d(width, width, 3), nn.ReLU(), nn.Flatten(), nn.LazyLinear(3)
    )


@pytest.fixture(scope="module")
def pair():
    one, two, x = _network(0), _network(1, 5), torch.randn(90, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    for net in (one, two):
        net(x[:2])
    return one, two, x


LAYERS = ["0", "1", "3"]


def test_one_batch_is_the_debiased_cka_of_each_pair(pair):
    one, two, x = pair
    found = similarity.matrix(one, two, x, (LAYERS, ["2", "4"]), batch_size=90)
    a, b = activations(one, x, LAYERS), activations(two, x, ["2", "4"])
    for low, row in a.items():
        for high, column in b.items():
            exact = linear_cka(row.flatten(1).double(), column.flatten(1).double(), debiased=True)
            assert found.value.loc[low, high] == pytest.approx(exact, abs=1e-6)
    assert np.isnan(found.low.to_numpy()).all()
    assert found.batches == 1


def test_batches_give_what_batches_of_one_pair_give(pair):
    one, two, x = pair
    found = similarity.matrix(one, two, x, LAYERS, batch_size=20, seed=3)
    rows = np.array_split(np.random.default_rng(3).permutation(90), 4)
    a, b = activations(one, x, LAYERS), activations(two, x, LAYERS)
    cka = MinibatchCKA()
    for batch in rows:
        cka.update(a["1"].flatten(1)[batch], b["3"].flatten(1)[batch])
    wanted = cka.compute()
    cell = [table.loc["1", "3"] for table in (found.value, found.low, found.high)]
    assert cell == pytest.approx(list(wanted[:3]), abs=1e-6)


def test_a_network_runs_once_a_batch_and_is_looked_at_once_a_pass(pair):
    one, two, x = pair

    def runs(other, layers, batch_size):
        seen = []
        handle = one.register_forward_hook(lambda *_: seen.append(1))
        found = similarity.matrix(one, other, x, layers, batch_size=batch_size)
        handle.remove()
        return len(seen), found

    for other, layers in ((two, LAYERS), (one, LAYERS), (one, (LAYERS, ["0", "2"]))):
        few, many = (runs(other, layers, size)[0] for size in (90, 10))
        assert many - few == 8
    own = runs(one, (LAYERS, ["0", "2"]), 20)[1].value
    apart = similarity.matrix(one, copy.deepcopy(one), x, (LAYERS, ["0", "2"]), batch_size=20).value
    assert np.abs(own - apart).to_numpy().max() < 1e-12
    assert own.loc["0", "0"] == pytest.approx(1)


def test_means_over_positions(pair):
    one, two, x = pair
    found = similarity.matrix(one, two, x, LAYERS, batch_size=90, spatial="mean")
    a, b = (activations(net, x, ["1"])["1"].mean((2, 3)) for net in (one, two))
    assert found.value.loc["1", "1"] == pytest.approx(linear_cka(a.double(), b.double(), debiased=True), abs=1e-6)
    with pytest.raises(ValueError, match="did you mean 'mean'"):
        similarity.matrix(one, two, x, LAYERS, spatial="means")


class _Pick(nn.Module):
    """Shows some columns of the input, as a layer of its own."""

    def __init__(self, columns):
        super().__init__()
        self.columns, self.seen = columns, nn.Identity()

    def forward(self, x):
        return self.seen(x[:, self.columns])


def test_the_null_is_that_of_unrelated_layers():
    """Independent columns: p-values are uniform, and the interval covers 0."""
    p_values, covered = [], []
    for seed in range(60):
        x = torch.randn(64, 10, generator=torch.Generator().manual_seed(seed))
        found = similarity.matrix(
            _Pick(slice(0, 5)), _Pick(slice(5, 10)), x, ["seen"], batch_size=8, permutations=39, seed=seed
        )
        p_values.append(found.p_value.iloc[0, 0])
        covered.append(found.low.iloc[0, 0] <= 0 <= found.high.iloc[0, 0])
    assert 0 <= np.mean(np.array(p_values) <= 0.1) <= 0.22
    assert 0.35 <= np.mean(p_values) <= 0.65
    assert np.mean(covered) >= 0.85
    same = similarity.matrix(_Pick(slice(0, 5)), _Pick(slice(0, 5)), x, ["seen"], batch_size=8, permutations=39)
    assert same.p_value.iloc[0, 0] == 1 / 40
    assert same.value.iloc[0, 0] == pytest.approx(1)


def test_a_frame_a_chart_and_a_short_text(pair):
    one, two, x = pair
    found = similarity.matrix(one, two, x, LAYERS, batch_size=30)
    frame = found.to_frame()
    assert list(frame.columns) == ["layer_a", "layer_b", "cka", "low", "high", "p_value"]
    assert frame.set_index(["layer_a", "layer_b"]).cka["0", "3"] == found.value.loc["0", "3"]
    assert len(str(found).splitlines()) == 5
    assert found.plot().to_dict()["mark"]["type"] == "rect"


def test_blocks_are_opened():
    x = torch.zeros(2, 3, 32, 32)
    assert stage_names(resnet18(weights=None), x, depth=2)[4:6] == ["layer1.0", "layer1.1"]
    transformer = vit_b_16(weights=None, image_size=32)
    blocks = [f"encoder.layers.encoder_layer_{i}" for i in range(12)]
    assert [name for name in stage_names(transformer, x, depth=3) if "layer_" in name] == blocks
    fresh = random_bottom(transformer)
    assert (fresh.encoder.pos_embedding != transformer.encoder.pos_embedding).all()
    assert float(fresh.class_token.detach().std()) == pytest.approx(0.02, rel=0.2)


def test_bad_input_is_refused(pair):
    one, two, x = pair
    for call, message in (
        (lambda: similarity.matrix(one, two, x, ["9"]), "unknown stage '9'"),
        (lambda: similarity.matrix(one, two, x[:3], LAYERS), "3 inputs"),
        (lambda: similarity.matrix(one, two, x * np.inf, LAYERS), "layer '0' gives NaN or infinity"),
    ):
        with pytest.raises(ValueError, match=message):
            call()


@pytest.mark.parametrize("scale", [2.0**-90, 2.0**-60, 2.0**60, 2.0**90])
def test_a_scale_changes_no_cell(scale):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(6, 8, bias=False), nn.ReLU(), nn.Linear(8, 3, bias=False))
    x = torch.randn(64, 6)
    ordinary, scaled = (similarity.matrix(net, net, v, ["0", "1"], batch_size=16) for v in (x, x * scale))
    np.testing.assert_array_equal(ordinary.value, scaled.value)
