"""The training loop: learns, repeats itself, and resumes to the curve of an uninterrupted run."""

import copy
import dataclasses
import subprocess
import sys

import pytest
import torch
from torch import nn

from dlcore.models import network
from dlcore.training import Curves, TrainConfig, fit, predict


def _data(n=200, shape=(1, 40), classes=3, seed=0):
    g = torch.Generator().manual_seed(seed)
    y = torch.randint(0, classes, (n,), generator=g)
    x = torch.randn(n, *shape, generator=g)
    x[torch.arange(n), ..., y] += 3
    return x, y


def _net(seed=0, name="mlp", shape=(1, 40)):
    return network(name, shape, 3, seed=seed, width=8, depth=2)


CONFIG = TrainConfig(epochs=6, batch_size=32, learning_rate=0.05)


@pytest.mark.parametrize(("name", "shape"), [("mlp", (1, 40)), ("convnet", (1, 40)), ("resnet", (1, 8, 8))])
def test_it_learns(name, shape):
    data, net = _data(shape=shape), _net(name=name, shape=shape)
    curves = fit(net, data, dataclasses.replace(CONFIG, epochs=15))
    assert curves.train_loss[-1] < 0.5 * curves.train_loss[0]
    assert (predict(net, data[0]) == data[1]).float().mean() > 0.8
    assert net.training  # as it was


def test_the_same_seed_repeats_and_another_does_not():
    runs = [fit(_net(), _data(), dataclasses.replace(CONFIG, seed=s)).train_loss for s in (0, 0, 1)]
    assert runs[0] == runs[1] != runs[2]


def test_the_global_random_stream_is_left_alone():
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    fit(_net(), _data(), CONFIG)
    assert torch.equal(torch.rand(1), expected)


class _Killed(BaseException):
    pass


class _Noisy(nn.Module):
    """A network with dropout and BatchNorm: what a sloppy resume gets wrong."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(
            nn.Flatten(), nn.Linear(40, 16), nn.BatchNorm1d(16), nn.Dropout(0.5), nn.Linear(16, 3)
        )

    def forward(self, x):
        return self.body(x)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("dies_after", [1, 3, 5])
def test_a_killed_run_resumes_to_the_same_curve(tmp_path, dies_after, optimizer):
    config = dataclasses.replace(CONFIG, optimizer=optimizer, learning_rate=0.01)

    def augment(x, generator):
        return x + 0.1 * torch.randn(x.shape, generator=generator)

    def evaluate(model, epoch):
        return {"norm": float(sum(p.norm() for p in model.parameters()))}

    whole_net = _Noisy()
    whole = fit(whole_net, _data(), config, augment=augment, evaluate=evaluate)

    def dies(model, epoch):
        if epoch > dies_after:
            raise _Killed
        return evaluate(model, epoch)

    path = tmp_path / "run.pt"
    options = {"augment": augment, "checkpoint": path, "checkpoint_seconds": 0.0}
    with pytest.raises(_Killed):
        fit(_Noisy(), _data(), config, evaluate=dies, **options)
    net = _Noisy()
    resumed = fit(net, _data(), config, evaluate=evaluate, **options)
    assert resumed.resumed == 1
    assert resumed.train_loss == whole.train_loss
    assert resumed.values == whole.values
    for a, b in zip(net.state_dict().values(), whole_net.state_dict().values(), strict=True):
        assert torch.equal(a, b)


def test_a_checkpoint_of_another_run_or_a_damaged_one_is_named_and_ignored(tmp_path):
    path = tmp_path / "run.pt"
    fit(_net(), _data(), CONFIG, checkpoint=path)
    with pytest.warns(UserWarning, match="belongs to another run"):
        curves = fit(_net(), _data(), dataclasses.replace(CONFIG, learning_rate=0.01), checkpoint=path)
    assert curves.resumed == 0
    inputs, labels = _data()
    for other in ((inputs, labels.flip(0)), (inputs + 1, labels)):
        path.unlink()
        fit(_net(), _data(), CONFIG, checkpoint=path)
        with pytest.warns(UserWarning, match="belongs to another run"):
            curves = fit(_net(), other, CONFIG, checkpoint=path)
        assert curves.train_loss == fit(_net(), other, CONFIG).train_loss
    path.write_bytes(path.read_bytes()[:100])
    with pytest.warns(UserWarning, match=r"run\.pt cannot be used"):
        fit(_net(), _data(), CONFIG, checkpoint=path)


def test_a_checkpoint_of_another_network_leaves_no_weight_behind(tmp_path):
    path, (inputs, labels) = tmp_path / "run.pt", _data()
    nets = [nn.Sequential(nn.Flatten(), nn.Linear(inputs[0].numel(), 8), nn.ReLU(), nn.Linear(8, k)) for k in (10, 11)]
    config = dataclasses.replace(CONFIG, epochs=1)
    fresh = copy.deepcopy(nets[1])
    fit(nets[0], (inputs, labels), config, checkpoint=path)
    with pytest.warns(UserWarning, match="belongs to another network"):
        curves = fit(nets[1], (inputs, labels), config, checkpoint=path)
    assert curves.train_loss == fit(fresh, (inputs, labels), config).train_loss


def test_stop_at_zero_training_error():
    config = dataclasses.replace(CONFIG, epochs=200, optimizer="adam", learning_rate=0.01, schedule="constant")
    data, net = _data(), _net()
    curves = fit(net, data, dataclasses.replace(config, stop_at_zero_error=True))
    assert curves.stopped == "zero training error"
    assert curves.epochs < 200
    assert (predict(net, data[0]) == data[1]).all()


def test_curves_know_their_length():
    assert Curves(train_loss=[1.0, 0.5]).epochs == 2
    assert fit(_net(), _data(), dataclasses.replace(CONFIG, epochs=0)).epochs == 0


def test_frozen_parameters_stay():
    net = _net()
    net.get_submodule("hidden1").requires_grad_(False)
    before = net.get_submodule("hidden1")[0].weight.clone()
    fit(net, _data(), dataclasses.replace(CONFIG, weight_decay=0.1))
    assert torch.equal(net.get_submodule("hidden1")[0].weight, before)


def test_bfloat16_keeps_float32_weights():
    data, net = _data(shape=(1, 8, 8)), _net(name="convnet", shape=(1, 8, 8))
    curves = fit(net, data, dataclasses.replace(CONFIG, precision="bfloat16", epochs=15))
    assert all(p.dtype == torch.float32 for p in net.parameters())
    assert curves.train_loss[-1] < 0.5 * curves.train_loss[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"optimizer": "sdg"}, "did you mean 'sgd'"),
        ({"schedule": "linear"}, "unknown schedule"),
        ({"batch_size": 0}, r"batch_size = 0 is outside \[1, inf"),
        ({"learning_rate": 0.0}, r"learning_rate = 0.0 is outside \(0, inf"),
    ],
)
def test_bad_settings(change, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(CONFIG, **change)


def test_bad_data():
    x, y = _data()
    with pytest.raises(ValueError, match="200 inputs and 100 targets"):
        fit(_net(), (x, y[:100]), CONFIG)
    with pytest.raises(ValueError, match="0 inputs"):
        fit(_net(), (x[:0], y[:0]), CONFIG)
    x[3] = float("nan")
    with pytest.raises(ValueError, match="NaN"):
        fit(_net(), (x, y), CONFIG)


def test_divergence_is_an_error():
    with pytest.raises(FloatingPointError, match="lower learning_rate"):
        fit(_net(), _data(), dataclasses.replace(CONFIG, learning_rate=1e30))


def test_a_demanded_gpu_that_is_missing():
    if torch.cuda.is_available():
        assert fit(_net(), _data(), CONFIG, device="cuda").epochs == 6
    else:
        with pytest.raises(RuntimeError, match="no GPU"):
            fit(_net(), _data(), CONFIG, device="cuda")


def test_narrow_networks_train_with_their_channels_first():
    """A strided 1 x 1 convolution of few inputs, its channels last, kills the process on some CPUs: see `runtime.safe_last`.

    One channel's images may have the strides of either layout, and an augmentation gives them those of channels last.
    """
    code = """
import torch
from dlcore import augment, training
from dlcore.models import network
torch.set_num_threads(1)
config = training.TrainConfig(epochs=4, batch_size=8, precision="float32")
for channels in (1, 3):
    for width in (2, 4, 8, 16):
        torch.manual_seed(0)
        net, first = network("resnet", (channels, 8, 8), 10, width=width), []
        for conv in (m for m in net.modules() if isinstance(m, torch.nn.Conv2d)):
            conv.register_forward_hook(lambda m, given, out: first.append(out.is_contiguous()) if m.training else None)
        data = torch.randn(64, channels, 8, 8), torch.randint(0, 10, (64,))
        training.fit(net, data, config, device="cpu", augment=augment.crop_flip)
        print(width, all(first), flush=True)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr[-500:]
    assert done.stdout.split("\n")[:-1] == 2 * ["2 True", "4 True", "8 True", "16 False"]
