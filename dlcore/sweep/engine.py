"""Running the cells of a plan, here or on workers: progress, signals, and an end that leaves everything resumable."""

from __future__ import annotations

import contextlib
import dataclasses
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from dlcore import cache
from dlcore.records import RecordStore, write_atomically
from dlcore.sweep import cells
from dlcore.sweep.cells import DONE, FAILED, STOPPED, Outcome
from dlcore.sweep.cluster import DEATHS
from dlcore.sweep.grid import Cell
from dlcore.sweep.plan import Plan
from dlcore.sweep.signals import handled

GRACE = 20.0  # seconds that running cells have to write their checkpoints when a sweep is stopped


def freeze(plan: Plan) -> None:
    """Writes the copy of the notebook that the cells execute, and tidies their folder."""
    place = plan.place
    if place.source is None:
        return
    copy = place.folder / "source.ipynb"
    if not copy.exists():
        import nbformat

        from dlcore import notebook

        write_atomically(copy, nbformat.writes(notebook.read(place.source)) + "\n")
    plan.place = dataclasses.replace(place, source=copy)
    tidy(plan)


def tidy(plan: Plan) -> None:
    """Removes what killed processes left half-written."""
    for folder in (plan.place.folder, plan.place.folder.parents[1]):
        cache.sweep(folder, again=True)
    for study in plan.studies:
        RecordStore(plan.place.store).tidy(study, again=True)


def here(plan: Plan, todo: Iterable[Cell], progress: bool = True) -> bool:
    """Runs the cells in this process, one after the other; returns whether the sweep was stopped.

    The first Ctrl-C or SIGTERM ends a training after its epoch, with a checkpoint; the second ends at once.
    """

    def stop(*_: Any) -> None:
        if plan.place.token in cells._STOPPING:
            raise KeyboardInterrupt
        print("stopping when this epoch is done; once more to stop at once", file=sys.stderr, flush=True)
        cells.stop(plan.place.token)

    todo = list(todo)
    with handled(stop, signal.SIGINT, signal.SIGTERM), _progress(plan, todo, progress) as told:
        for cell in todo:
            told(cells.run(plan.at(cell), cell.key, cell.given, cell.config.to_dict()))
            if plan.place.token in cells._STOPPING:
                return True
    return False


def on(client: Any, plan: Plan, todo: Iterable[Cell], progress: bool = True) -> bool:
    """Runs the cells on the workers of a Dask client; returns whether the sweep was stopped."""
    from distributed import as_completed

    todo = list(todo)
    with _progress(plan, todo, progress) as told:
        # only plain values travel: a scheduler unpacks what it passes on, and need not have torch
        futures = {
            client.submit(
                cells.run,
                plan.at(cell),
                cell.key,
                cell.given,
                cell.config.to_dict(),
                key=f"{cell.config.STUDY}-{cell.key}-{plan.place.token}",
                pure=False,
            ): cell
            for cell in todo
        }
        try:
            for future in as_completed(list(futures)):
                told(_outcome(future, futures[future], plan))
                future.release()
        except KeyboardInterrupt:
            with handled(lambda *_: sys.exit(130), signal.SIGINT, signal.SIGTERM):
                _stop(client, plan, list(futures))
            return True
    return False


def _outcome(future: Any, cell: Cell, plan: Plan) -> Outcome:
    """Returns how a cell ended; a worker's death, which the worker could not write down, becomes a failure here."""
    from distributed import KilledWorker

    if future.status == "finished":
        return future.result()
    if future.status == "cancelled":
        raise RuntimeError("the scheduler is gone; finished records are kept, run again to go on")
    error = future.exception()
    text = f"{type(error).__name__}: {error}".splitlines()[0]
    if isinstance(error, KilledWorker):
        text = f"the worker died {DEATHS} times while it ran this cell; out of memory, or of time?"
        unfinished = plan.place.folder.glob(f".*{cell.key}.ipynb.*.tmp/*.ipynb")
        if last := max(unfinished, key=lambda path: path.stat().st_mtime, default=None):
            last.replace(plan.place.copy(cell.key, cell.given).with_suffix(".failed.ipynb"))
    return cells.fail(plan.at(cell), cell.key, cell.given, text, str(error))


def _stop(client: Any, plan: Plan, futures: list[Any]) -> None:
    """Ends the running cells: they have `GRACE` seconds to write their checkpoints; the others never start."""
    waiting = [future for future in futures if future.status == "pending"]
    print("stopping: running cells write their checkpoints; once more to stop at once", file=sys.stderr, flush=True)
    end = time.monotonic() + GRACE
    with contextlib.suppress(Exception):  # a worker may be gone
        while time.monotonic() < end and any(future.status == "pending" for future in waiting):
            # again and again: a kernel between two cells does not hear
            client.run(cells.stop, plan.place.token, on_error="ignore")
            time.sleep(0.5)
    client.cancel(waiting)


@contextlib.contextmanager
def _progress(plan: Plan, todo: list[Cell], shown: bool) -> Iterator[Callable[[Outcome], None]]:
    """A bar with the number of failed cells and the time left; yields what takes each outcome down."""
    from tqdm.auto import tqdm

    named, failed = {cell.key: cell for cell in todo}, 0
    with tqdm(total=len(todo), desc=plan.place.study, unit="cell", disable=not shown or not todo) as bar:

        def told(outcome: Outcome) -> None:
            nonlocal failed
            if outcome.status == STOPPED:
                return
            if outcome.status == FAILED:
                failed += 1
                bar.write(f"failed: {named[outcome.key]}: {outcome.error}", file=sys.stderr)
            plan.status[outcome.key] = DONE if outcome.status == DONE else FAILED
            bar.set_postfix(failed=failed, refresh=False)
            bar.update()

        yield told
