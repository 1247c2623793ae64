"""What a wheel has that is made: packed records, the chapters' notebooks; all the rest is in pyproject.toml."""

import lzma
import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildPy(build_py):
    """Leaves each group of records as .jsonl.xz, a third smaller than the wheel's own compression makes it.

    Adds the plain editions of the chapters, for `python -m dlcore notebooks`.
    """

    def run(self) -> None:
        super().run()
        if not self.editable_mode:  # which reads them where they are
            target = Path(self.build_lib, "dlcore", "notebooks")
            shutil.copytree(Path(__file__).with_name("notebooks") / "plain", target, dirs_exist_ok=True)
        for group in Path(self.build_lib).glob("dlcore/records/*/*.jsonl"):
            group.with_suffix(".jsonl.xz").write_bytes(lzma.compress(group.read_bytes(), preset=9))
            group.unlink()


setup(cmdclass={"build_py": BuildPy})
