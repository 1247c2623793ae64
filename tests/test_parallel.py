"""Two processes train what one does: MLP, convolutions with BatchNorm, losses that compare samples, a record.

The file is its own worker: `python -m torch.distributed.run --nproc-per-node 2 tests/test_parallel.py FOLDER`.
"""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional

from dlcore import augment, objectives, parallel, pretraining
from dlcore.models import network
from dlcore.training import TrainConfig, fit

CONFIG = TrainConfig(epochs=2, batch_size=32, learning_rate=0.05, precision="float32", seed=3)
# 203 = 6 * 32 + 11: the last batch splits into 6 and 5; 65 = 2 * 32 + 1: fewer rows than processes


def _data(n, shape, classes=3):
    g = torch.Generator().manual_seed(0)
    y = torch.randint(0, classes, (n,), generator=g)
    x = torch.randn(n, *shape, generator=g)
    x[torch.arange(n), ..., y] += 3
    return x, y


def _mlp(folder, **changes):
    net = network("mlp", (1, 40), 3, seed=1, width=16, depth=2)
    return net, fit(net, _data(203, (1, 40)), dataclasses.replace(CONFIG, **changes), device="cpu")


def _convnet(folder):
    net = network("convnet", (1, 8, 8), 3, seed=1, width=4, depth=2)
    return net, fit(net, _data(65, (1, 8, 8)), CONFIG, augment=augment.crop_flip, device="cpu")


def _self_supervised(objective, folder):
    """Unequal slices, 17 and 16, and two views of each row."""
    x = torch.rand(75, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    net, _ = pretraining.encoder("convnet", x, seed=1, width=4, depth=2)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        whole = objectives.SelfSupervised(net, 8, objective, projection=16)
    view = pretraining.view((1, 8, 8))
    config = dataclasses.replace(CONFIG, batch_size=33, optimizer="adamw", learning_rate=1e-3, drop_last=True)
    many = view if objective == "rotation" else augment.two_views(view)
    return whole, fit(whole, (x, torch.zeros(75)), config, loss=whole.loss, augment=many, device="cpu")


class _Killed(BaseException):
    pass


def _resumed(folder):
    """Killed in the second epoch of four, then resumed, with the same model twice under DDP."""
    path = Path(folder) / "checkpoint.pt"

    def evaluate(model, epoch):
        if epoch == 2 and not path.with_suffix(".died").exists():
            parallel.from_first(None)
            path.with_suffix(".died").touch()
            raise _Killed
        return {"norm": float(sum(p.norm() for p in model.parameters()))}

    net = network("convnet", (1, 8, 8), 3, seed=1, width=4, depth=2)
    config = dataclasses.replace(CONFIG, epochs=4, optimizer="adam", learning_rate=3e-3)
    options = {"evaluate": evaluate, "checkpoint": path, "checkpoint_seconds": 0.0, "device": "cpu"}
    try:
        fit(net, _data(65, (1, 8, 8)), config, **options)
    except _Killed:
        parallel.agree("having died", True)
    curves = fit(net, _data(65, (1, 8, 8)), config, **options)
    assert curves.resumed == 1
    return net, curves


def _own_loss(folder):
    """A loss that looks into the model, and a parameter that is frozen."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(40, 8), nn.Linear(8, 3))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for layer in net[1:]:
            layer.reset_parameters()
    net[1].weight.requires_grad_(False)

    def loss(model, inputs, targets):
        return functional.cross_entropy(model(inputs), targets) + 0.1 * model[2].weight.square().sum()

    return net, fit(net, _data(203, (1, 40)), CONFIG, loss=loss, device="cpu")


CASES = {
    "mlp": _mlp,
    "mlp adam to zero error": lambda folder: _mlp(
        folder, optimizer="adam", learning_rate=0.01, schedule="constant", epochs=60, stop_at_zero_error=True
    ),
    "convnet": _convnet,
    **{name: lambda folder, name=name: _self_supervised(name, folder) for name in objectives.OBJECTIVES},
    "resumed": _resumed,
    "own loss": _own_loss,
}


def _launch(*args, processes=2):
    """Runs a command on two processes, without a GPU and with this package first on the path."""
    root = str(Path(__file__).resolve().parents[1])
    known = {k: v for k, v in os.environ.items() if k not in ("RANK", "WORLD_SIZE", "LOCAL_RANK")}
    environment = {**known, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1", "PYTHONPATH": root}
    start = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    return subprocess.run([*start, *args], capture_output=True, text=True, env=environment, check=False, timeout=600)


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """Weights and curves of every case, trained by two processes."""
    folder = tmp_path_factory.mktemp("two")
    done = _launch(__file__, str(folder))
    assert done.returncode == 0, done.stderr
    return torch.load(folder / "found.pt")


@pytest.mark.parametrize("name", CASES)
def test_two_processes_end_where_one_does(name, shared, tmp_path):
    net, curves = CASES[name](tmp_path)
    weights, other = shared[name]
    assert other["train_loss"] == pytest.approx(curves.train_loss, rel=1e-4)
    assert other["train_error"] == pytest.approx(curves.train_error, nan_ok=True, abs=1e-9)
    assert (other["stopped"], len(other["train_loss"])) == (curves.stopped, curves.epochs)
    for key, values in net.state_dict().items():
        # the relative difference of a whole tensor: single weights pass through zero
        gap = (weights[key].double() - values.double()).norm() / values.double().norm().clamp(min=1e-3)
        assert gap < 1e-4, key
    assert not any("forward" in vars(m) for m in net.modules())


def test_processes_are_told_apart(shared):
    assert shared["facts"] == {
        "ranks": [0, 1],
        "reports": [2, 0],
        "dropout": True,
        "sequence": True,
        "environment": "2",
    }


@pytest.mark.slow
def test_the_record_is_that_of_one_process(tmp_path):
    command = ["dlcore", "run", "rationality", "objective=simclr", "n_train=101", "epochs=2", "width=4", "--store"]
    alone = subprocess.run([sys.executable, "-m", *command, str(tmp_path / "one")], capture_output=True, text=True)
    assert alone.returncode == 0, alone.stderr
    together = _launch("-m", *command, str(tmp_path / "two"))
    assert together.returncode == 0, together.stderr
    assert together.stdout.count("record ") == 1
    one, two = (json.loads(next((tmp_path / n).glob("rationality/*.json")).read_text()) for n in ("one", "two"))
    assert len(list((tmp_path / "two").rglob("*.json"))) == 1
    assert two["environment"]["processes"] == "2"
    assert two["curves"]["pretraining_loss"] == pytest.approx(one["curves"]["pretraining_loss"], rel=1e-4)
    for name, value in one["metrics"].items():
        assert two["metrics"][name] == pytest.approx(value, rel=0.02, abs=0.02, nan_ok=True), name
    again = _launch("-m", *command, str(tmp_path / "two"))
    assert (again.returncode, again.stdout) == (0, together.stdout)


def test_an_error_of_one_process_ends_all(tmp_path):
    done = _launch(__file__, str(tmp_path), "fail")
    assert done.returncode != 0
    assert "only here" in done.stderr


def test_slices_cover_a_batch_in_order(monkeypatch):
    monkeypatch.setattr(parallel, "size", lambda: 3)
    found = []
    for rank in (0, 2, 1):
        monkeypatch.setattr(parallel, "rank", lambda rank=rank: rank)
        found.append((parallel.own(8), parallel.own(2)))
    assert found == [(slice(0, 3), slice(0, 1)), (slice(6, 8), slice(2, 2)), (slice(3, 6), slice(1, 2))]
    with parallel.share(5) as mine:
        assert mine.weight == pytest.approx(2 * 3 / 5)
        assert mine.of(torch.arange(10)).tolist() == [2, 3, 7, 8]
        with pytest.raises(ValueError, match="7 rows of 5"):
            mine.of(torch.arange(7))
    with parallel.share(2) as mine:
        assert (mine.split, mine.weight, mine.counts) == (False, 1.0, False)
    with pytest.raises(RuntimeError, match="not on 3: start it without torchrun"):
        parallel.only_one("this")


def test_alone_everything_is_as_it_was():
    x = torch.rand(4, 2, requires_grad=True)
    with parallel.group() as rank, parallel.share(4) as mine:
        assert (rank, parallel.size(), mine.weight) == (0, 1, 1.0)
        assert mine.of(x) is x is parallel.gather(x)
    assert parallel.add(x) is x is parallel.from_first(x)


def _facts():
    """What a process sees of itself, gathered."""
    from dlcore import runtime
    from dlcore.translation.training import SequenceConfig, fit_pairs

    seen, masks = [], []

    class Masked(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(40, 3)

        def forward(self, x):
            if self.training:
                masks.append(functional.dropout(torch.ones(6), 0.5))
            return self.layer(x.flatten(1))

    with runtime.listening(lambda *args: seen.append(args)):
        fit(Masked(), _data(32, (1, 40)), CONFIG, device="cpu")
    try:
        fit_pairs(None, None, None, SequenceConfig())
    except RuntimeError as error:
        refused = "not on 2" in str(error)
    mine = (parallel.rank(), len(seen), masks[0].tolist(), refused)
    found = [None] * parallel.size()
    torch.distributed.all_gather_object(found, mine)
    ranks, reports, masks, refused = zip(*found, strict=True)
    processes = runtime.environment()["processes"]
    apart = masks[0] != masks[1]
    return {
        "ranks": [*ranks],
        "reports": [*reports],
        "dropout": apart,
        "sequence": all(refused),
        "environment": processes,
    }


def _main(folder, *how):
    with parallel.group() as rank:
        if how:
            if rank == 1:
                raise ValueError("only here")
            parallel.add(torch.ones(1))
        found = {}
        for name, case in CASES.items():
            net, curves = case(folder)
            found[name] = (net.state_dict(), dataclasses.asdict(curves))
        found["facts"] = _facts()
        if rank == 0:
            torch.save(found, Path(folder) / "found.pt")


if __name__ == "__main__":
    _main(*sys.argv[1:])
