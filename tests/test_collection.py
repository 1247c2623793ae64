"""Every process collects the same tests: the workers of `pytest -n` refuse to start when a name differs."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# another time, another order of the files in every folder, another number of cores
ELSEWHERE = """
import os, time

now, listdir, scandir = time.time, os.listdir, os.scandir
time.time = lambda: now() + 100_000.7
time.time_ns = lambda: int(time.time() * 1e9)
os.listdir = lambda *path: listdir(*path)[::-1]
os.cpu_count = lambda: 7
os.sched_getaffinity = lambda pid: set(range(7))


class Backwards:
    def __init__(self, *path):
        with scandir(*path) as found:
            self.entries = iter(list(found)[::-1])

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def __iter__(self):
        return self.entries

    def __next__(self):
        return next(self.entries)

    def close(self):
        pass


os.scandir = Backwards
"""


def test_two_processes_collect_the_same_tests(tmp_path):
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "DLCORE"))}
    running = []
    for seed in ("1", "2"):
        home = tmp_path / seed
        home.mkdir()
        changes = {"PYTHONHASHSEED": seed, "HOME": str(home), "TMPDIR": str(home), "XDG_CACHE_HOME": str(home)}
        command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider"]
        if seed == "2":
            (home / "elsewhere.py").write_text(ELSEWHERE)
            changes |= {"PYTHONPATH": f"{home}{os.pathsep}{clean.get('PYTHONPATH', '')}", "DLCORE_DATA": str(home)}
            command += ["-p", "elsewhere"]
        running.append(subprocess.Popen(command, cwd=ROOT, env=clean | changes, stdout=subprocess.PIPE, text=True))
    outputs = [process.communicate(timeout=300)[0] for process in running]
    assert [process.returncode for process in running] == [0, 0], outputs
    here, there = ([line for line in output.splitlines() if "::" in line] for output in outputs)
    assert len(here) > 2000
    assert here == there
    # a place or an address in memory is the same in two processes of one machine only
    places = [name for name in here if str(ROOT) in name or " at 0x" in name]
    assert not places
