"""The benchmarks run at tiny sizes and give sound tables; the page says what was measured, and what failed."""

import dataclasses
import doctest
import importlib
import json
import math
import os
import subprocess
import sys
import time
import types
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "benchmarks"
sys.path.insert(0, str(FOLDER))

import harness  # noqa: E402
import page  # noqa: E402
import report  # noqa: E402

TABLE = harness.Table("Speed of a|b", "One note.", [{"method": "a|b_c", "ratio": 2.0}], ("ratio",), "peer 1.0")


def test_every_script_is_a_benchmark_or_known():
    assert {p.stem for p in FOLDER.glob("*.py")} - set(page.scripts()) == {"harness", "page", "report"}
    assert {
        "augmentation",
        "law_fit",
        "pretraining",
        "probe",
        "similarity",
        "stitching",
        "training",
        "translation",
    } <= set(page.scripts())


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning", "ignore:.*fork:RuntimeWarning")
@pytest.mark.parametrize(
    "name",
    [
        "augmentation",
        "ensembles",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in sorted({*page.scripts()} - {"augmentation", "browser", "ensembles"})
        ),
    ],
)
def test_a_benchmark_gives_sound_tables(name, monkeypatch):
    monkeypatch.setattr(harness, "devices", lambda: ["cpu"])
    script = importlib.import_module(name)
    with harness.threads_limited():
        found = script.tables(quick=True)
    assert len({table.title for table in found}) == len(found) >= 1
    for table in found:
        assert table.ratios
        assert len(table.note) > 60
        measured = [row for row in table.rows if "remark" not in row]
        assert measured
        assert all(0 < row[r] < math.inf for row in measured for r in table.ratios if r in row)
        for row in table.rows:
            assert any(isinstance(v, str) for v in row.values()), "a row has a name"
            assert "remark" in row or all(v is not None and v == v for v in row.values()), row
        # it survives the way to the page
        again = harness.Table(**json.loads(json.dumps(dataclasses.asdict(table))))
        assert again.markdown() == table.markdown()
    first = next(row for row in found[0].rows if "remark" not in row)
    assert any(first.get(r) == 1 for r in found[0].ratios) or name in (
        "ensembles",
        "machinery",
        "probe",
        "scale",
        "stitching",
        "sweep",
    ), "the first row is what others are compared with"


def test_without_a_chromium_the_promises_of_the_page_say_so(monkeypatch):
    browser = importlib.import_module("browser")
    monkeypatch.setattr(browser.conftest, "found_chromium", lambda: None)
    for table in browser.tables(quick=True):
        assert table.rows == [{"what": "all of it", "remark": "no Chromium here"}]
    row = browser.row("a step", 0.05, [0.02, 0.01, 0.04])
    assert (row["median, s"], row["min to max"]) == (0.02, "0.01 to 0.04")
    assert row[browser.RATIO] == pytest.approx(0.4)


def test_a_missing_peer_is_a_remark_and_never_a_number(monkeypatch):
    similarity, training = importlib.import_module("similarity"), importlib.import_module("training")
    monkeypatch.setattr(similarity, "METHODS", ("dlcore", "repsim"))
    for name in ("repsim", "lightning", "ckatorch"):
        monkeypatch.setitem(sys.modules, name, None)
    assert dict(training.ways(True))["Lightning, 0 workers"] is None
    with pytest.raises(ImportError):
        similarity.method("repsim")
    row = harness.remark("not installed", method="x")
    table = harness.Table("t", "n", [{"method": "y", "ratio": 1.0}, row], ("ratio",))
    assert table.cells()[1] == ["x", "–", "not installed"]


def test_every_method_sees_every_image_in_batches_of_one_size(monkeypatch):
    similarity, seen = importlib.import_module("similarity"), []

    class CKA:
        def __init__(self, one, two, layers):
            self.layers = layers

        def __call__(self, loader, epochs):
            seen.extend(map(len, loader))
            return np.ones((len(self.layers),) * 2)

    monkeypatch.setitem(sys.modules, "ckatorch", types.SimpleNamespace(CKA=CKA))
    monkeypatch.setattr(harness, "measure", lambda work, repeats: work())
    assert similarity.layer_by_layer("ckatorch", True) == 1
    images = len(similarity._pair(True)[2])
    assert (sum(seen), len(set(seen))) == (images, 1)
    assert similarity.IMAGES % similarity.LOT == 0


def test_generated_images_can_be_learnt_and_differ_by_seed():
    training = importlib.import_module("training")
    (x, y), (x2, _) = training.generated(300, 1), training.generated(300, 2)
    assert x.shape == (300, 3, 32, 32)
    assert x.dtype == np.uint8
    assert not np.array_equal(x, x2)
    means = np.stack([x[y == k].mean((0, 2, 3)) for k in range(10)])
    nearest = ((x.mean((2, 3))[:, None] - means) ** 2).sum(2).argmin(1)
    assert (nearest == y).mean() > 0.2


def test_the_training_loops_take_the_same_steps(monkeypatch):
    """Without augmentation and with one batch an epoch, whose order is nothing, all end with the same weights."""
    import torch

    training = importlib.import_module("training")

    class Still(training.Pictures):
        def __init__(self, *arrays):
            super().__init__(*arrays)
            self.transform.transforms = self.transform.transforms[2:]

    monkeypatch.setattr(training, "Pictures", Still)
    monkeypatch.setattr(training.augment, "crop_flip", lambda images, generator: images)
    train = training.generated(48, 1)
    # a small rate: rounding moves units across the kink of ReLU, and then the weights part
    config = dataclasses.replace(training.CONFIG, epochs=4, batch_size=48, learning_rate=0.01, precision="float32")
    ways = [training.ours, training.loop]
    if dict(training.ways(True))["Lightning, 0 workers"]:
        ways.append(training.lightning_fit)
    ends = []
    for run in ways:
        net = training.network("resnet", (3, 32, 32), 10, width=8)
        start = torch.cat([p.detach().flatten().clone() for p in net.parameters()])
        with harness.threads_limited():
            run(net, train, config, "cpu")
        ends.append(torch.cat([p.detach().flatten() for p in net.parameters()]))
    moved = (ends[0] - start).norm()
    assert moved > 0.02
    for end in ends[1:]:
        assert (end - ends[0]).norm() < 0.02 * moved


def test_measuring(monkeypatch):
    def work():
        return np.ones(8 * 2**20).sum() + sum(range(200_000))

    cost = harness.measure(work, 2)
    assert 55 < cost.memory < 120
    assert 0 < cost.low <= cost.cpu <= cost.high < 60
    assert cost.value == work()
    sleeper = harness.measure(lambda: time.sleep(0.2), 1)
    assert sleeper.wall >= 0.2
    assert sleeper.cpu < 0.15
    child = harness.measure(lambda: subprocess.run([sys.executable, "-c", "sum(range(10**6))"], check=True), 1)
    assert child.cpu > 0.005, "child processes that ended count"


def test_threads_are_limited_inside_and_as_before_outside(monkeypatch):
    import torch

    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    before = torch.get_num_threads()
    with harness.threads_limited(before + 1):
        assert torch.get_num_threads() == before + 1
        assert os.environ["OMP_NUM_THREADS"] == str(before + 1)
    assert torch.get_num_threads() == before
    assert "OMP_NUM_THREADS" not in os.environ


def test_limits_of_the_hardware():
    import torch

    weights, inputs = torch.ones(64, 32, requires_grad=True), torch.ones(32, 16)
    one = 2 * 64 * 32 * 16
    assert harness.flops(lambda: weights @ inputs) == one
    assert harness.flops(lambda: (weights @ inputs).sum().backward()) == 2 * one, "the inputs have no gradient"
    with harness.threads_limited():
        square = torch.ones(512, 512)
        _, seconds, _ = harness.timed(lambda: square @ square, least=0.2)
        assert harness.peak(torch.float32) > 0.5 * 2 * 512**3 / seconds
        assert harness.bandwidth() == harness.bandwidth() > 1e8, "measured once a run"


def test_turns_alternate_and_the_first_is_warm_up():
    calls = []
    spent = harness.turns({n: lambda n=n: calls.append(n) for n in "ab"}, 2)
    assert calls == list("ababab")
    assert set(spent) == {"a", "b"}
    calls.clear()
    harness.turns({"a": lambda: calls.append(sum(range(10_000)))}, 1, least=0.01)
    assert len(calls) > 3


def test_growth_compares_neighbours():
    axis = harness.Axis("n", (100_000, 200_000, 400_000), lambda n: lambda: sum(range(n)), "2")
    short = harness.Axis("m", (100_000, 200_000), lambda n: lambda: sum(range(n)), "2")
    table = harness.growth("t", "n", [axis, short], 1)
    assert table.cells()[1][table.columns().index("doubling 2")] == "–"
    assert table.ratios == ("doubling 1", "doubling 2")
    row = table.rows[0]
    assert row["sizes"] == "100,000 → 200,000 → 400,000"
    assert row["doubling 1"] * row["doubling 2"] == pytest.approx(row["CPU-s, last"] / row["CPU-s, first"])


def test_a_fresh_process_answers_or_says_why_not():
    assert harness.alone(math.sqrt, 4.0) == 2.0
    assert harness.alone(math.sqrt, -1.0).startswith("failed: ValueError")
    assert harness.alone(importlib.import_module, "no_such_package") == "no_such_package is not installed"
    assert harness.alone(time.sleep, 60, limit=0.1) == "too slow: more than 0.1 s"
    assert "without an answer" in harness.alone(os._exit, 3)


@pytest.mark.parametrize("value", [math.nan, math.inf, 0.0, None, "2"])
def test_a_ratio_that_is_none_is_refused(value):
    with pytest.raises(ValueError, match="positive number"):
        harness.Table("t", "n", [{"method": "x", "ratio": value}], ("ratio",))


def test_a_row_without_a_ratio_says_why():
    with pytest.raises(ValueError, match="no ratio"):
        harness.Table("t", "n", [{"method": "x"}], ("ratio",))


def test_a_table_as_markdown_and_text():
    assert TABLE.markdown().splitlines() == ["| method | ratio |", "| --- | ---: |", r"| a\|b\_c | 2 |"]
    assert TABLE.text().splitlines()[-2:] == ["method  ratio", "a|b_c       2"]


def test_the_examples_of_the_harness():
    for module in (harness, report):
        found = doctest.testmod(module)
        assert found.attempted
        assert not found.failed


GOOD = '''"""A good one.

More.
"""
import harness
def tables(quick=False):
    return [harness.Table("Quick" if quick else "Whole", "A note.", [{"method": "x", "ratio": 1.5}], ("ratio",))]
if __name__ == "__main__":
    harness.main(tables, __doc__)
'''


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with a good benchmark, whose harness is ours."""
    monkeypatch.setenv("PYTHONPATH", str(FOLDER))
    place = tmp_path / "benchmarks"
    place.mkdir()
    (place / "good_one.py").write_text(GOOD)
    (place / "helper.py").write_text("x = 1\n")
    return place


def test_the_page_shows_tables_and_where_they_come_from(folder, tmp_path):
    target = tmp_path / "book" / "benchmarks.md"
    target.parent.mkdir()
    target.write_text("old")
    assert page.main([], folder, target) == 0
    text = target.read_text("utf8")
    assert text.startswith("(benchmarks)=\n\n# Benchmarks\n")
    for part in (
        "## Good one\n",
        "A good one. `python benchmarks/good_one.py`",
        "### Whole\n",
        "| x | 1.5 |",
        "A note.",
    ):
        assert part in text
    for part in ("one run on one machine", "| Processor |", "| Commit |", "| Date |", "| Load before the run |"):
        assert part in text
    assert "Tiny" not in text
    assert [p.name for p in target.parent.iterdir()] == ["benchmarks.md"]


def test_a_failing_benchmark_is_named_and_the_others_go_on(folder, tmp_path):
    (folder / "bad.py").write_text('"""Bad."""\ndef tables(quick=False): ...\nraise SystemError("no <luck>")\n')
    (folder / "empty.py").write_text('"""Empty."""\ndef tables(quick=False): ...\n')
    (folder / "slow.py").write_text('"""Slow."""\nimport time\ndef tables(quick=False): ...\ntime.sleep(60)\n')
    target = tmp_path / "page.md"
    assert page.main(["--output", str(target), "--limit", "5"], folder) == 1
    text = target.read_text("utf8")
    assert "Not measured: bad, empty, slow." in text
    assert "SystemError: no &lt;luck&gt;" in text
    assert "it wrote no tables" in text
    assert "it took more than 5 s" in text
    assert str(tmp_path) not in text
    assert "| x | 1.5 |" in text


def test_some_benchmarks_leave_the_book_alone(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(page, "PARTIAL", tmp_path / "part" / "page.md")
    target = tmp_path / "benchmarks.md"
    assert page.main(["--only", "good_one", "--quick"], folder, target) == 0
    assert not target.exists()
    text = page.PARTIAL.read_text("utf8")
    assert "### Quick" in text
    assert "none of these numbers means anything" in text
    with pytest.raises(SystemExit):
        page.main(["--only", "god_one"], folder, target)


def test_the_books_page_is_whole():
    text = page.PAGE.read_text("utf8")
    assert text.startswith("(benchmarks)=\n")
    assert "Tiny sizes" not in text
    assert "Not measured" not in text
