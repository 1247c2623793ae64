"""What the machine has, asked without torch: a process that only starts others needs to know it too."""

from __future__ import annotations

import contextlib
import os
import platform
import subprocess
from pathlib import Path

# by these git would look elsewhere than where it is asked
ELSEWHERE = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY", "GIT_NAMESPACE")


def cores() -> int:
    """Returns how many processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def threads() -> int | None:
    """Returns the threads that $OMP_NUM_THREADS asks for; of a list such as 4,2 the first level counts.

    None where it is unset, or nothing that OpenMP would take.
    """
    first = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    return int(first) if first.isascii() and first.isdigit() and int(first) else None


def cpu_name() -> str:
    """Returns the processor's name."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def git(root: Path, *arguments: str, timeout: float = 60) -> str:
    """Returns what git says of the repository whose folder is `root`, whatever repository the environment names.

    Raises: OSError without git or without a repository there; subprocess.SubprocessError where git fails.
    """
    if not (root / ".git").exists():
        raise FileNotFoundError(f"{root} is no repository")
    own = {name: value for name, value in os.environ.items() if name not in ELSEWHERE}
    command = ["git", "-C", str(root), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=timeout, env=own).stdout
