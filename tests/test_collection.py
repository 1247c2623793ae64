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


def test_two_processes_collect_the_same_tests(request, tmp_path):
    """Those of this process, in their order, are collected elsewhere too."""
    here = [item.nodeid for item in request.session.items]
    files = sorted({name.partition("::")[0] for name in here})
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "DLCORE"))}
    (tmp_path / "elsewhere.py").write_text(ELSEWHERE)
    changes = dict.fromkeys(("HOME", "TMPDIR", "XDG_CACHE_HOME", "DLCORE_DATA"), str(tmp_path))
    changes |= {"PYTHONHASHSEED": "2", "PYTHONPATH": f"{tmp_path}{os.pathsep}{clean.get('PYTHONPATH', '')}"}
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", "-p", "elsewhere"]
    command += ["--quick"] * request.config.getoption("quick")
    done = subprocess.run([*command, *files], cwd=ROOT, env=clean | changes, stdout=subprocess.PIPE, text=True)
    assert done.returncode == 0, done.stdout
    there = [line for line in done.stdout.splitlines() if "::" in line]
    # a worker begins with the longest files
    place = {name: i for i, name in enumerate(dict.fromkeys(name.partition("::")[0] for name in here))}
    there.sort(key=lambda name: place[name.partition("::")[0]])
    options = request.config.option
    if options.keyword or options.markexpr or any("::" in name for name in request.config.args):
        there = [name for name in there if name in set(here)]  # one asked for some of them
    assert there == here
    # a place or an address in memory is the same in two processes of one machine only
    assert not [name for name in here if str(ROOT) in name or " at 0x" in name]
