"""Several models at once: each as if it were trained alone, whatever the others do."""

import dataclasses

import pytest
import torch
from torch import nn

from dlcore import ensembles, runtime
from dlcore.models import network
from dlcore.training import TrainConfig, fit, fit_many, predict

CONFIG = TrainConfig(epochs=8, batch_size=32, learning_rate=0.02, precision="float32")
CPU = torch.device("cpu")


class Shift(nn.Module):
    """A layer without parameters that the engine does not know."""

    def __init__(self):
        super().__init__()
        self.register_buffer("by", torch.full((1,), 0.1))

    def forward(self, x):
        return x + self.by


def _data(n=203, shape=(1, 20), classes=3):
    g = torch.Generator().manual_seed(0)
    y = torch.randint(0, classes, (n,), generator=g)
    x = torch.randn(n, *shape, generator=g)
    x[torch.arange(n), ..., y] += 3
    wrong = torch.randint(0, classes, (n,), generator=g)
    # labels from clean to random: they are fitted at different epochs
    return x, [torch.where(torch.rand(n, generator=g) < rate, wrong, y) for rate in (0.0, 0.3, 1.0)]


def _nets(name="mlp", shape=(1, 20), width=16):
    nets, shift = [network(name, shape, 3, seed=k, width=width, depth=2) for k in range(3)], Shift()
    return [nn.Sequential(shift, net) for net in nets]


def _configs(**changes):
    return [dataclasses.replace(CONFIG, seed=10 + k, **changes) for k in range(3)]


def _same(nets, curves, others, expected, x, tolerance=1e-4):
    for k, (one, two) in enumerate(zip(curves, expected, strict=True)):
        assert one.train_loss == pytest.approx(two.train_loss, rel=tolerance, abs=tolerance), k
        assert one.train_error == pytest.approx(two.train_error, abs=1e-9), k
        assert (one.stopped, one.values) == (two.stopped, two.values), k
        assert torch.equal(predict(nets[k], x), predict(others[k], x)), k
        assert nets[k].training  # as it was


@pytest.mark.parametrize(
    "changes",
    [
        {"optimizer": "sgd"},
        {"optimizer": "adam", "learning_rate": 2e-3, "schedule": "constant"},
        {"optimizer": "adamw", "learning_rate": 2e-3, "weight_decay": 0.1, "drop_last": True},
        {"optimizer": "sgd", "momentum": 0.0, "weight_decay": 0.01},
    ],
    ids=lambda changes: changes["optimizer"],
)
def test_each_model_ends_where_it_ends_alone(changes):
    x, labels = _data()
    configs = _configs(**changes)
    together, alone = _nets(), _nets()
    curves = fit_many(together, (x, labels), configs, device="cpu")
    expected = [fit(n, (x, y), c, device="cpu") for n, y, c in zip(alone, labels, configs, strict=True)]
    _same(together, curves, alone, expected, x)
    assert len({tuple(c.train_loss) for c in curves}) == 3


def test_one_label_vector_and_augmentation():
    x, labels = _data()

    def augment(inputs, generator):
        return inputs + 0.1 * torch.randn(inputs.shape, generator=generator)

    together, alone = _nets(), _nets()
    curves = fit_many(together, (x, labels[1]), _configs(), augment=augment, device="cpu")
    expected = [
        fit(n, (x, labels[1]), c, augment=augment, device="cpu") for n, c in zip(alone, _configs(), strict=True)
    ]
    _same(together, curves, alone, expected, x)


STOPPING = {
    "epochs": 60,
    "optimizer": "adam",
    "learning_rate": 5e-3,
    "schedule": "constant",
    "stop_at_zero_error": True,
}


def test_a_model_that_is_done_leaves_the_stack():
    x, labels = _data(100)
    together, alone = _nets(), _nets()
    heard = []
    with runtime.listening(lambda label, done, total, values: heard.append((label, done))):
        curves = fit_many(together, (x, labels), _configs(**STOPPING), labels=["a", "b", "c"], device="cpu")
    expected = [fit(n, (x, y), c, device="cpu") for n, y, c in zip(alone, labels, _configs(**STOPPING), strict=True)]
    _same(together, curves, alone, expected, x)
    lengths = [c.epochs for c in curves]
    assert lengths[0] < lengths[1] < lengths[2]
    assert sorted(heard) == sorted((n, e + 1) for n, length in zip("abc", lengths, strict=True) for e in range(length))


class _Killed(BaseException):
    pass


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("lagging", [False, True])
def test_a_killed_stack_resumes_also_from_unequal_checkpoints(tmp_path, optimizer, lagging):
    """`lagging`: one model's file is from an earlier epoch, as when the kill came between two writes."""
    x, labels = _data()
    configs = _configs(optimizer=optimizer, learning_rate=0.01)
    norms = [lambda model, epoch: {"norm": float(sum(p.norm() for p in model.parameters()))}] * 3

    def dies(after):
        def evaluate(model, epoch):
            if epoch > after:
                raise _Killed
            return norms[0](model, epoch)

        return evaluate

    alone = _nets()
    expected = [
        fit(n, (x, y), c, evaluate=e, device="cpu") for n, y, c, e in zip(alone, labels, configs, norms, strict=True)
    ]
    paths = [tmp_path / f"{k}.pt" for k in range(3)]
    options = {"checkpoints": paths, "checkpoint_seconds": 0.0, "device": "cpu"}
    if lagging:
        with pytest.raises(_Killed):
            fit(_nets()[1], (x, labels[1]), configs[1], evaluate=dies(2), checkpoint=paths[1], checkpoint_seconds=0.0)
        early = paths[1].read_bytes()
    with pytest.raises(_Killed):
        fit_many(_nets(), (x, labels), configs, evaluate=[dies(5)] * 3, **options)
    if lagging:
        paths[1].write_bytes(early)
    nets = _nets()
    curves = fit_many(nets, (x, labels), configs, evaluate=norms, **options)
    # with a checkpoint among them they were trained one by one, and the last had not begun
    assert [c.resumed for c in curves] == [1, 1, 0 if lagging else 1]
    for k, (one, two) in enumerate(zip(curves, expected, strict=True)):
        assert one.train_loss == pytest.approx(two.train_loss, rel=1e-4), k
        assert one.values["norm"] == pytest.approx(two.values["norm"], rel=1e-5), k
        assert torch.equal(predict(nets[k], x), predict(alone[k], x))


def test_a_checkpoint_of_a_stack_is_one_of_fit(tmp_path):
    x, labels = _data()
    paths = [tmp_path / f"{k}.pt" for k in range(3)]

    def dies(model, epoch):
        if epoch > 3:
            raise _Killed
        return {}

    with pytest.raises(_Killed):
        fit_many(
            _nets(), (x, labels), _configs(), evaluate=[dies] * 3, checkpoints=paths, checkpoint_seconds=0,
            device="cpu",
        )  # fmt: skip
    one, two = _nets()[2], _nets()[2]
    curves = fit(one, (x, labels[2]), _configs()[2], checkpoint=paths[2], device="cpu")
    assert curves.resumed == 1
    assert curves.train_loss == pytest.approx(
        fit(two, (x, labels[2]), _configs()[2], device="cpu").train_loss, rel=1e-4
    )


def test_layers_that_differ_are_those_of_each_model():
    x, labels = _data()

    def nets():
        made = [nn.Sequential(Shift(), net) for net in _nets()]
        for k, net in enumerate(made):
            net[0].by.fill_(float(k))
        return made

    together, alone = nets(), nets()
    curves = fit_many(together, (x, labels), _configs(), device="cpu")
    expected = [fit(n, (x, y), c, device="cpu") for n, y, c in zip(alone, labels, _configs(), strict=True)]
    _same(together, curves, alone, expected, x)


def test_stopped_by_a_listener_and_gone_on(tmp_path):
    x, labels = _data()
    paths = [tmp_path / f"{k}.pt" for k in range(3)]

    def stop(label, done, total, values):
        if done == 3:
            raise runtime.Stopped

    with pytest.raises(runtime.Stopped), runtime.listening(stop):
        fit_many(_nets(), (x, labels), _configs(), checkpoints=paths, device="cpu")
    curves = fit_many(_nets(), (x, labels), _configs(), checkpoints=paths, device="cpu")
    assert [(c.resumed, c.epochs) for c in curves] == [(1, 8)] * 3


def test_the_rule_stacks_small_chains_alone(monkeypatch):
    calls = []
    real = ensembles.fit_stack
    monkeypatch.setattr(ensembles, "fit_stack", lambda runs, *a, **k: calls.append(len(runs)) or real(runs, *a, **k))
    x, labels = _data()
    fit_many(_nets(), (x, labels), _configs(epochs=1), device="cpu")
    assert calls == [3]
    fit_many(_nets()[:1], (x, labels[:1]), CONFIG, device="cpu")
    fit_many(_nets("convnet"), (x, labels), _configs(epochs=1), device="cpu")
    assert calls == [3]
    assert not ensembles.pays(_nets(width=512), CPU)
    assert not ensembles.pays([_nets()[0], _nets(width=8)[1]], CPU)
    shared = _nets()[0]
    assert not ensembles.pays([shared, shared], CPU)
    for own in (Shift, nn.Dropout, lambda: nn.BatchNorm1d(1, affine=False)):  # what may differ, or draw, or remember
        assert not ensembles.pays([nn.Sequential(own(), net) for net in _nets()], CPU)
    sloped = [nn.Sequential(nn.Flatten(), nn.Linear(20, 3), nn.LeakyReLU(slope)) for slope in (0.1, 0.9)]
    assert not ensembles.pays(sloped, CPU)
    hooked = _nets()
    hooked[0][1].register_forward_hook(lambda *given: None)
    assert not ensembles.pays(hooked, CPU)
    # another configuration is another stack
    mixed = [*_configs(epochs=1)[:2], dataclasses.replace(CONFIG, epochs=2)]
    curves = fit_many(_nets(), (x, labels), mixed, device="cpu")
    assert calls == [3, 2]
    assert [c.epochs for c in curves] == [1, 1, 2]


def test_bad_input():
    x, labels = _data()
    with pytest.raises(ValueError, match="2 targets for 3 models"):
        fit_many(_nets(), (x, labels[:2]), CONFIG)
    with pytest.raises(ValueError, match="2 configs for 3 models"):
        fit_many(_nets(), (x, labels), _configs()[:2])
    with pytest.raises(ValueError, match="203 inputs and 100 targets"):
        fit_many(_nets(), (x, [y[:100] for y in labels]), CONFIG, device="cpu")
    with pytest.raises(FloatingPointError, match="model 0"):
        fit_many(_nets(), (x, labels), dataclasses.replace(CONFIG, learning_rate=1e30), device="cpu")
