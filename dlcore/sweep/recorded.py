"""The recorded runs: fill a study's grid, promote the result into the package."""

from __future__ import annotations

import concurrent.futures
import multiprocessing
import os
import threading
import time
import traceback
from collections.abc import Sequence

from tqdm.auto import tqdm

from dlcore import machine, record_files, runtime, studies
from dlcore.config import Config, one_of
from dlcore.records import PACKAGED, RecordStore


def _one(config: Config, path: str) -> str | None:
    """Runs a configuration in a worker; returns a traceback instead of raising, so that the others go on."""
    try:
        RecordStore(path).load_or_run(config)
    except Exception:
        return traceback.format_exc()
    return None


def _start(threads: int, parent: int) -> None:
    """Sets up a worker: its threads, and its end when the parent is gone (a killed pool leaves its workers behind)."""
    runtime.limit_threads(threads)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def run_groups(study: str, names: Sequence[str], store: RecordStore, *, workers: int = 1) -> int:
    """Runs the missing configurations of the named groups (all when none is named); returns an exit status.

    Finished records are skipped, failures are listed at the end while the others go on, and a kill loses no
    more than the running cells, which resume from their checkpoints.
    """
    groups = studies.recorded(study)
    for name in names:
        one_of("group", name, groups)
    wanted = {c.key: c for name in (names or groups) for c in groups[name]}
    have = {r.key: r.data.get("checksum") for r in store.records(study)}
    todo = [c for key, c in wanted.items() if key not in have or c.data_checksum() not in (None, have[key])]
    print(f"{study}: {len(wanted)} configurations, {len(wanted) - len(todo)} done, {len(todo)} to run")
    failed: list[tuple[Config, str]] = []
    context = multiprocessing.get_context("spawn")
    threads = machine.threads() or max(1, machine.cores() // workers)
    with concurrent.futures.ProcessPoolExecutor(
        workers,
        mp_context=context,
        initializer=_start,
        initargs=(threads, os.getpid()),
    ) as pool:
        running = {pool.submit(_one, c, str(store.path)): c for c in todo}
        for done in tqdm(concurrent.futures.as_completed(running), total=len(todo), unit="run", mininterval=5):
            if (error := done.result()) is not None:
                failed.append((running[done], error))
                tqdm.write(f"failed: {running[done]}\n{error}")
    for config, error in failed:
        print(f"failed: {config.key} {error.strip().splitlines()[-1]}")
    return 1 if failed else 0


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
