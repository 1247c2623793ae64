"""Writes what the page shows of each task, its output and its chart: python book/examples/tasks"""

import contextlib
import io
import runpy
import tempfile
from pathlib import Path

import vl_convert

if __name__ == "__main__":
    for script in sorted(Path(__file__).resolve().parent.glob("[!_]*.py")):
        output = io.StringIO()
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder), contextlib.redirect_stdout(output):
            found = runpy.run_path(str(script), run_name="__main__")
        script.with_suffix(".txt").write_text(output.getvalue(), "utf8")
        script.with_suffix(".svg").write_text(vl_convert.vegalite_to_svg(found["chart"].to_dict()), "utf8")
