"""python tests/kills.py --count 300: kills runs of all four studies, at random and before they put a file in its place.

After each kill the store must load without a warning; the same run, begun again, must give the very record of a run that was
left in peace, and leave neither a checkpoint nor a half-written file.
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import random
import signal
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path

import torch

from dlcore import studies
from dlcore.config import Config
from dlcore.records import RecordStore

# study -> settings in which it keeps more than one thing between steps
CASES = {
    "rationality": {"objective": "simclr", "dataset": "digits", "n_train": 200, "epochs": 3, "draws": 3},
    "rationality, end to end": {
        "objective": "supervised",
        "dataset": "digits",
        "n_train": 200,
        "epochs": 4,
        "draws": 2,
    },
    "stitching": {"dataset": "mnist1d", "n_train": 200, "epochs": 3},
    "distributional": {"dataset": "digits", "architecture": "mlp", "n_train": 200, "epochs": 40},
    "scaling": {"pairs": 128, "steps": 30, "test_pairs": 20},
    "scaling, back-translation": {
        **{"pairs": 64, "steps": 20, "test_pairs": 20, "noise_kind": "back_translation"},
        **{"reverse_pairs": 32, "reverse_width": 16, "reverse_steps": 20},
    },
}


def config_of(case: str) -> Config:
    """Returns the configuration of a case of preset "smoke"."""
    return studies.study(case.partition(",")[0]).Config.from_parameters(preset="smoke", **CASES[case])


def child(config: Config, folder: Path, at: int | None = None, count: Path | None = None) -> int:
    """Runs a configuration in a process of its own; returns its number.

    Args: at: it dies before it puts its file of this number in its place; count: it writes the number of such files there.
    """
    if pid := os.fork():
        return pid
    try:
        files = 0

        def note(event: str, _: tuple) -> None:
            nonlocal files
            if event == "os.rename":  # what os.replace is audited as
                if files == at:
                    os.kill(os.getpid(), signal.SIGKILL)
                files += 1

        sys.addaudithook(note)
        RecordStore(folder, packaged=False).load_or_run(config)
        if count:
            count.write_text(str(files))
        os._exit(0)
    except BaseException:
        traceback.print_exc()
        os._exit(1)


def record(config: Config, folder: Path) -> str | None:
    """Returns what a record says, without when and where it was made; None without one. A warning is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = {r.key: r for r in RecordStore(folder, packaged=False).records(config.STUDY)}
    if config.key not in found:
        return None
    made = found[config.key]
    return json.dumps([made.config, made.metrics, made.curves, made.arrays], sort_keys=True)


def undisturbed(config: Config, folder: Path) -> tuple[str, float, int]:
    """Returns the record of a run left in peace, its seconds, and how many files it put in their places."""
    start, count = time.monotonic(), folder.with_suffix(".count")
    status = os.waitpid(child(config, folder, count=count), 0)[1]
    seconds, text = time.monotonic() - start, record(config, folder)
    if status or text is None:
        raise RuntimeError(f"{config} fails without a kill")
    return text, seconds, int(count.read_text())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    args = parser.parse_args()
    torch.set_num_threads(1)
    rng, killed, faults = random.Random(args.seed), collections.Counter(), []
    with tempfile.TemporaryDirectory() as top:
        known = {case: undisturbed(config_of(case), Path(top, case)) for case in args.cases}
        for number in range(args.count):
            case = args.cases[number % len(args.cases)]
            config, folder = config_of(case), Path(top, str(number))
            expected, seconds, files = known[case]
            for _ in range(rng.choice((1, 1, 2))):  # some are killed again
                at = rng.randrange(files) if rng.random() < 0.5 else None
                pid = child(config, folder, at)
                if at is None:
                    time.sleep(rng.uniform(0, seconds))
                    os.kill(pid, signal.SIGKILL)
                killed[case, "at a file" if at is not None else "at a moment"] += os.waitpid(pid, 0)[1] != 0
                try:
                    record(config, folder)
                except Exception as error:
                    faults.append(f"{number} {case}: the store does not load: {error!r}")
            again = os.waitpid(child(config, folder), 0)[1]
            left = [str(p.relative_to(folder)) for p in folder.rglob("*") if p.suffix in (".tmp", ".pt")]
            left = [name for name in left if name.endswith(".tmp") or "unfinished" in name]
            if again or record(config, folder) != expected or left:
                faults.append(f"{number} {case}: status {again}, left {left}, or another record")
    for (case, where), times in sorted(killed.items()):
        print(f"{times:4} kills {where}: {case}")
    print(f"{sum(killed.values())} kills of {args.count} runs, {len(faults)} faults", *faults, sep="\n")
    return 1 if faults else 0


if __name__ == "__main__":
    raise SystemExit(main())
