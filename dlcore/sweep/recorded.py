"""The recorded runs: fill the studies' grids, promote the result into the package."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import threading
import uuid
from collections.abc import Iterator, Sequence

from dlcore import record_files, runtime, studies, sweep
from dlcore.config import Config, one_of
from dlcore.records import PACKAGED, RecordStore
from dlcore.sweep import signals
from dlcore.sweep.cells import DONE, MISSING, Place
from dlcore.sweep.engine import GRACE
from dlcore.sweep.grid import Cell
from dlcore.sweep.plan import Plan


def queue(names: Sequence[str], groups: Sequence[str]) -> list[Config]:
    """Returns the configurations of recorded groups (all when none is named), those of several studies in turn.

    A grid has its most informative runs first, so a queue that ends early has made these of every study. A group that
    is in none of the grids is a ValueError.
    """
    grids = [studies.recorded(name) for name in names]
    for name in groups:
        one_of("group", name, {group: None for grid in grids for group in grid})
    each = [[c for name in (groups or grid) for c in grid.get(name, ())] for grid in grids]
    turns = itertools.chain.from_iterable(itertools.zip_longest(*each))
    return list({c.key: c for c in turns if c is not None}.values())


@contextlib.contextmanager
def _ending(seconds: float | None) -> Iterator[None]:
    """Stops what runs inside the block, as SIGTERM does, early enough to leave it time for its checkpoints."""
    if seconds is None:
        yield
        return
    timer = threading.Timer(max(1.0, seconds - GRACE), os.kill, (os.getpid(), signal.SIGTERM))
    timer.daemon = True
    # one that comes when the runs have just ended finds nothing to stop
    with signals.handled(lambda *_: None, signal.SIGTERM):
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            timer.join()


def run_groups(
    names: Sequence[str], groups: Sequence[str], store: RecordStore, *, workers: int = 1, budget: float | None = None
) -> int:
    """Runs the missing configurations of the named groups of studies as a sweep; returns an exit status.

    Finished records are skipped, failures are listed at the end while the others go on, and a kill loses no
    more than the running cells, which resume from their checkpoints, on another machine too if the store is copied.

    Args:
        workers: processes, one thread each if there are several; 0 runs them here.
        budget: seconds after which what runs is saved and stopped; None has no end.
    """
    folder = store.path.resolve()
    # the failures' files go where no study has its records
    place = Place("recorded", folder, folder / "recorded" / "direct", uuid.uuid4().hex[:12])
    plan = Plan(place, [Cell(c.to_dict(), c) for c in queue(names, groups)], 0, {}, {})
    plan.look()
    todo = plan.todo(retry_failed=True)
    print(
        f"{', '.join(names)}: {len(plan.cells)} configurations, {len(plan.cells) - len(todo)} done, {len(todo)} to run"
    )
    with _ending(budget):
        stopped = sweep.execute(plan, todo, sweep.Workers(workers))
    failed = [place.read_failure(cell.key) for cell in todo if plan.status[cell.key] not in (DONE, MISSING)]
    for failure in failed:
        print(f"failed: {failure['key']} {failure['error']}; {failure['file']} says where")
    left = sum(plan.status[cell.key] != DONE for cell in todo) - len(failed)
    if stopped:
        print(f"stopped with {left} to run; finished records are kept, run again to go on")
    return 1 if failed else 130 if stopped and budget is None else 0


def promote(study: str, store: RecordStore) -> int:
    """Adds the store's records of the recorded grid to the package's groups; returns how many were new.

    A record that several groups have goes to the first of them.

    Raises:
        RuntimeError: the working tree has changes, or a record was made by code that was not committed: its
            numbers could not be traced to a commit.
    """
    if "+" in runtime.commit():
        raise RuntimeError("the package differs from its commit; commit first, so that a record names its code")
    groups: dict[str, str] = {}
    for name, configs in studies.recorded(study).items():
        for config in configs:
            groups.setdefault(config.key, name)
    shipped = {entry.key for entry in record_files.entries(PACKAGED / study)}
    new: dict[str, list[str]] = {}
    for record in RecordStore(store.path, packaged=False).records(study):
        if record.key not in groups or record.key in shipped:
            continue
        made = record.environment.get("commit", "unknown")
        if made == "unknown" or "+" in made:
            raise RuntimeError(f"record {record.key} was made by uncommitted code ({made}); run it again")
        new.setdefault(groups[record.key], []).append(record.to_json())
    for name, added in new.items():
        record_files.add(PACKAGED / study / f"{name}.jsonl", added)
    return sum(map(len, new.values()))
