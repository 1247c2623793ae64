"""Encoders, views and features of self-supervised learning."""

import numpy as np
import pytest
import torch

from dlcore import data, pretraining
from dlcore.models import network, stages
from dlcore.studies.distributional import Config, run


def test_an_encoder_is_the_network_without_its_head_on_standardised_inputs():
    x = torch.rand(30, 3, 12, 12)
    net, dimension = pretraining.encoder("resnet", x, width=4, depth=1)
    assert stages(net)[0] == "normalise"
    assert "classifier" not in stages(net)
    assert pretraining.features(net, x).shape == (30, dimension)
    inside = net.get_submodule("normalise")(x)
    torch.testing.assert_close(inside.mean((0, 2, 3)), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(inside.std((0, 2, 3)), torch.ones(3), atol=1e-4, rtol=0)


def test_uint8_images_become_unit_floats():
    images = np.array([[[[0, 255]]]], dtype=np.uint8)
    assert pretraining.to_unit(images).tolist() == [[[[0.0, 1.0]]]]
    signal = np.array([[[-1.5, 2.0]]], dtype=np.float32)
    assert pretraining.to_unit(signal).tolist() == signal.tolist()


@pytest.mark.parametrize("shape", [(1, 40), (1, 8, 8), (1, 28, 28), (3, 32, 32)])
def test_every_kind_of_input_has_a_view_that_keeps_its_shape(shape):
    x = torch.rand(6, *shape)
    out = pretraining.view(shape)(x, torch.Generator().manual_seed(0))
    assert out.shape == x.shape
    assert torch.isfinite(out).all()
    assert not torch.equal(out, x)


def test_features_beat_an_untrained_network_and_repeat():
    source = data.load("mnist1d", n_train=600, n_test=400)
    x, test = (pretraining.to_unit(v) for v in (source.train_inputs, source.test_inputs))

    def score(net):
        a, b = pretraining.features(net, x), pretraining.features(net, test)
        mean, std = a.mean(0), a.std(0) + 1e-6
        a, b = (np.c_[(v - mean) / std, np.ones(len(v))] for v in (a, b))
        w = np.linalg.solve(a.T @ a + 10 * np.eye(a.shape[1]), a.T @ np.eye(10)[source.train_labels])
        return np.mean((b @ w).argmax(1) == source.test_labels)

    settings = {"epochs": 15, "batch_size": 128, "width": 8, "depth": 3}
    net, curves = pretraining.pretrain(x, "vicreg", "convnet", **settings)
    again, _ = pretraining.pretrain(x, "vicreg", "convnet", **settings)
    assert curves.train_loss[-1] < curves.train_loss[0]
    np.testing.assert_array_equal(pretraining.features(net, test), pretraining.features(again, test))
    untrained, _ = pretraining.encoder("convnet", x, width=8, depth=3)
    assert score(net) > score(untrained) + 0.05


@pytest.fixture
def double():
    """What calls a function while torch's default precision is float64."""

    def call(function):
        torch.set_default_dtype(torch.float64)
        try:
            return function()
        finally:
            torch.set_default_dtype(torch.float32)

    return call


@pytest.mark.parametrize("objective", ["simclr", "vicreg", "barlow_twins", "rotation"])
@pytest.mark.parametrize("shape", [(1, 40), (1, 8, 8), (1, 28, 28), (3, 32, 32)])
def test_pretraining_is_the_same_in_every_default_precision(shape, objective, double):
    if objective == "rotation" and len(shape) == 2:
        pytest.skip("signals are not rotated")
    x = torch.rand(12, *shape, generator=torch.Generator().manual_seed(0))

    def trained():
        net, curves = pretraining.pretrain(x, objective, "convnet", epochs=1, width=4, depth=1, device="cpu")
        return curves.train_loss, pretraining.features(net, x)

    (loss, found), (again, same) = trained(), double(trained)
    assert loss == again
    np.testing.assert_array_equal(found, same)


@pytest.mark.parametrize("name", ["mlp", "convnet", "resnet"])
def test_a_seed_draws_one_network_in_every_default_precision(name, double):
    one, two = network(name, (1, 8, 8), 3, seed=4), double(lambda: network(name, (1, 8, 8), 3, seed=4))
    assert all(p.dtype == torch.float64 for p in two.parameters())
    assert all(torch.equal(p.double(), q) for p, q in zip(one.parameters(), two.parameters(), strict=True))


def test_a_study_is_the_same_in_every_default_precision(double):
    config = Config(preset="smoke", architecture="mlp", n_train=100, epochs=2)
    np.testing.assert_equal(double(lambda: run(config)).metrics, run(config).metrics)


def test_bad_input():
    with pytest.raises(ValueError, match="nothing to compare"):
        pretraining.pretrain(torch.zeros(1, 1, 40), "simclr", "mlp", epochs=1)
    with pytest.raises(ValueError, match="did you mean 'simclr'"):
        pretraining.pretrain(torch.zeros(4, 1, 40), "simclt", "mlp", epochs=1)
    with pytest.raises(ValueError, match="unknown network"):
        pretraining.encoder("resnet999", torch.zeros(4, 1, 40))
