"""Networks have named stages and known sizes; the classical families agree with independent computations."""

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist

from dlcore.models import CLASSICAL, NETWORKS, network, stages
from dlcore.models.classical import classical

SHAPES = [(1, 40), (1, 8, 8), (3, 32, 32)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", sorted(set(NETWORKS) - {"resnet18"}))
def test_every_network_takes_every_shape_and_has_stages(name, shape):
    net = network(name, shape, 5, width=4, depth=2).eval()
    x = torch.randn(3, *shape)
    assert net(x).shape == (3, 5)
    assert stages(net)[-1] == "classifier"
    for stage in stages(net):
        assert net.get_submodule(stage) is not None


def test_parameter_counts():
    def count(net):
        return sum(p.numel() for p in net.parameters())

    assert count(network("mlp", (1, 40), 10, width=256, depth=2)) == 40 * 256 + 256 + 256 * 256 + 256 + 2570
    assert count(network("resnet18", (3, 32, 32), 10)) == 11_173_962
    assert count(network("resnet", (3, 32, 32), 2, width=16, depth=1)) == 464 + 4672 + 14_528 + 57_728 + 130


def test_seeds_make_the_weights_and_leave_the_global_stream_alone():
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    a, b, c = (network("mlp", (1, 40), 10, seed=s) for s in (1, 1, 2))
    assert torch.equal(torch.rand(1), expected)
    weights = [n.get_submodule("classifier").weight for n in (a, b, c)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_wrong_names_and_shapes():
    with pytest.raises(ValueError, match="did you mean 'resnet'"):
        network("resnt", (3, 8, 8), 2)
    with pytest.raises(ValueError, match="takes"):
        network("convnet", (10,), 2)
    with pytest.raises(ValueError, match="unknown classifier 'forrest'; did you mean 'forest'"):
        classical("forrest")


@pytest.fixture(scope="module")
def blobs():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 240)
    return rng.normal(size=(240, 5)) + 6 * np.eye(3, 5)[labels], labels + 4


@pytest.mark.parametrize("name", CLASSICAL)
def test_every_family_learns_blobs_and_keeps_the_label_names(name, blobs):
    x, y = blobs
    model = classical(name, bandwidth=1.0).fit(x[:160], y[:160])
    assert (model.predict(x[160:]) == y[160:]).mean() > (0.8 if name == "extra_tree" else 0.95)


@pytest.mark.parametrize("name", CLASSICAL)
def test_bad_input_is_refused(name):
    with pytest.raises(ValueError, match="NaN"):
        classical(name).fit(np.array([[np.nan], [1.0]]), np.array([0, 1]))
    with pytest.raises(ValueError, match="inputs and"):
        classical(name).fit(np.zeros((3, 2)), np.zeros(2, int))


@pytest.mark.parametrize("name", ["knn", "tree", "extra_tree", "kernel_gaussian", "kernel_laplace", "svm"])
def test_interpolating_families_interpolate_pure_noise(name):
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(150, 6)), rng.integers(0, 2, 150)
    model = classical(name, bandwidth=0.2).fit(x, y)
    assert (model.predict(x) == y).all()


def test_kernel_ridge_is_the_closed_form(blobs):
    x, y = blobs
    model = classical("kernel_gaussian", bandwidth=0.5, ridge=0.1).fit(x[:100], y[:100])
    scale = 0.5 * np.median(cdist(x[:100], x[:100])[np.triu_indices(100, 1)])
    gram = np.exp(-0.5 * (cdist(x[:100], x[:100]) / scale) ** 2)
    targets = (y[:100, None] == np.unique(y)) - 1 / 3
    weights = np.linalg.inv(gram + 0.1 * np.eye(100)) @ targets
    scores = np.exp(-0.5 * (cdist(x[100:], x[:100]) / scale) ** 2) @ weights
    assert np.array_equal(model.predict(x[100:]), np.unique(y)[scores.argmax(1)])
