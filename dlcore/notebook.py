"""What a chapter calls in its cells, and the execution of notebooks by papermill: mistakes refused, stalls retried."""

from __future__ import annotations

import ast
import base64
import contextlib
import hashlib
import html
import importlib.util
import json
import logging
import os
import shutil
import signal
import sys
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlcore import cache
from dlcore.config import one_of

if TYPE_CHECKING:
    import pandas as pd

MARK = "# Parameters"  # how the parameters cell begins, and the one that papermill adds after it
LIVE = {"JPY_SESSION_NAME", "VSCODE_PID"}  # what Jupyter and VS Code leave in the environment of a kernel with a reader
WIDTH = 800  # of a chart, with its axes and legends
EMBED = "https://cdn.jsdelivr.net/npm/vega-embed@7/+esm"
_KERNELS: set[int] = set()  # process ids of the kernels that this process runs


def setup() -> None:
    """Prepares the kernel; a chapter calls it before its parameters cell. A second call does nothing more.

    From then on the names that the parameters cell sets are kept in the notebook's own `_parameters`, for
    `Config.from_namespace`: what later cells leave behind is no parameter when a reader changes one and runs
    again. Charts get their renderer once Altair is imported, which is slow and can wait until the parameters are
    checked. Without IPython there is nothing to prepare.
    """
    if "IPython" not in sys.modules or (shell := sys.modules["IPython"].get_ipython()) is None:
        return
    for callback in (_note_parameters, _ready_charts):
        if callback not in shell.events.callbacks["pre_run_cell"]:
            shell.events.register("pre_run_cell", callback)


def _note_parameters(info: Any) -> None:
    """Keeps the names that a parameters cell is about to set."""
    first = info.raw_cell.lstrip().partition("\n")[0].rstrip()
    if first.startswith(MARK):
        names = sys.modules["IPython"].get_ipython().user_ns.setdefault("_parameters", [])
        if first != MARK:  # the notebook's own cell: papermill's begins with the mark and nothing else
            names.clear()
        names += assigned(info.raw_cell)


def _ready_charts(info: Any = None) -> None:
    """Sets the charts' renderer, once: afterwards a reader may choose another one."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    waits = shell is not None and _ready_charts in shell.events.callbacks["pre_run_cell"]
    if "dlcore.figures" not in sys.modules or shell is None or not waits:
        return
    shell.events.unregister("pre_run_cell", _ready_charts)
    sys.modules["dlcore.figures"].setup()
    if os.environ.get("DLCORE_BOOK") or "google.colab" in sys.modules:
        return
    if importlib.util.find_spec("vl_convert"):  # it holds the charts' script
        import altair as alt

        # a widget carries that script with it, 0.9 MB each: for a reader who is there, not for papermill's copies
        live = LIVE & os.environ.keys() and importlib.util.find_spec("anywidget")
        alt.renderers.register("dlcore", _widget if live else _picture)
        alt.renderers.enable("dlcore")


def _sized(spec: dict[str, Any]) -> dict[str, Any]:
    """Returns a chart with a width of its own and without the page's notes: here is no column of text to fill."""
    spec = {k: v for k, v in spec.items() if k != "usermeta"}
    if parts := spec.get("hconcat"):
        each = (WIDTH - 150 - spec.get("spacing", 24) * (len(parts) - 1)) // len(parts)
        spec["hconcat"] = [{**part, "width": each} for part in parts]
    elif spec.get("width") == "container":
        spec["width"] = WIDTH - 150
    return spec


def _widget(spec: dict[str, Any], **_: Any) -> Any:
    """Returns a chart as a widget that answers to its controls without the network."""
    import altair as alt

    alt.JupyterChart.enable_offline(offline=True)
    return alt.JupyterChart(alt.Chart.from_dict(_sized(spec)))._repr_mimebundle_()


def _picture(spec: dict[str, Any], **_: Any) -> dict[str, str]:
    """Returns a chart as a picture, which becomes the chart itself where a script can be had from the network."""
    import vl_convert

    spec = _sized(spec)
    svg = base64.b64encode(vl_convert.vegalite_to_svg(spec).encode()).decode()
    text, name = spec.get("description", ""), f"chart-{uuid.uuid4().hex}"
    body = json.dumps(spec, separators=(",", ":")).replace("</", "<\\/")
    return {
        "text/plain": f"[chart] {text}",
        "text/html": f"""<div id="{name}"><img alt="{html.escape(text)}" src="data:image/svg+xml;base64,{svg}"></div>
<script type="module">
const {{ default: embed }} = await import("{EMBED}");
embed(document.getElementById("{name}"), {body}, {{ actions: false }});
</script>""",
    }


def assigned(source: str) -> list[str]:
    """Returns the names that a cell sets by plain assignment; none where the cell is no valid Python.

    >>> assigned("# Parameters\\nnoise = 0.4\\nseed: int = 1")
    ['noise', 'seed']
    """
    try:
        lines = ast.parse(source).body
    except SyntaxError:
        return []
    targets = [t for line in lines for t in getattr(line, "targets", None) or [getattr(line, "target", None)]]
    return [target.id for target in targets if isinstance(target, ast.Name)]


def live(config: Any, record: Any) -> Any:
    """Returns the chart of the recorded runs with the reader's run among them, a diamond, as the lab draws it.

    None in the book, whose charts are of recorded runs alone.
    """
    if os.environ.get("DLCORE_BOOK"):
        return None
    try:
        from dlcore.lab.compare import one_run
    except ImportError as error:  # without widgets
        print(f"No chart of the run: {error}")
        return None
    _ready_charts()
    return one_run(config, record)


def glue(name: str, value: Any) -> None:
    """Keeps a value for the sentences of the book's page, or the values of a mapping as `name/key`.

    Does nothing elsewhere, where the sentences hold the recorded ones.
    """
    if isinstance(value, Mapping):
        for key, each in value.items():
            glue(f"{name}/{key}", each)
    elif os.environ.get("DLCORE_BOOK"):
        from myst_nb import glue as keep

        keep(name, value, display=False)


def show(found: pd.DataFrame | str, digits: int | None = None) -> None:
    """Shows a table in the book's style, rounded, scrolling where it is wide; HTML is shown as it is."""
    from IPython.display import HTML, display

    if not isinstance(found, str):
        found = found if digits is None else found.round(digits)
        table = found.to_html(index=False, classes="dl-table", border=0, na_rep="")
        found = f"<div class='dl-scroll' tabindex='0'>{table}</div>"
    display(HTML(found))


def read(source: str | Path):
    """Returns a notebook node from a .py (py:percent) or .ipynb file, with a kernel named."""
    import jupytext

    try:
        book = jupytext.read(cache.expanded(source))
    except (OSError, MemoryError):
        raise
    except Exception as error:  # of JSON, of nbformat, of YAML, of jupytext: each has its own
        raise ValueError(f"{source} is no notebook: {' '.join(str(error).split())}") from error
    book.metadata.setdefault("kernelspec", {"name": "python3", "display_name": "Python 3", "language": "python"})
    return book


def defaults(source: str | Path) -> dict[str, Any]:
    """Returns the parameters of a notebook and their values; None for a value that is not a literal."""
    import papermill

    logging.getLogger("papermill").setLevel(logging.ERROR)
    inspected = papermill.inspect_notebook(read(source))
    found: dict[str, Any] = dict.fromkeys(inspected)
    for name, about in inspected.items():
        with contextlib.suppress(ValueError, SyntaxError):
            found[name] = ast.literal_eval(about["default"])
    return found


def fingerprint(source: str | Path) -> str:
    """Returns a hash of a notebook's cells, the same for both files of a pair; outputs do not count."""
    cells = [(cell.cell_type, cell.source) for cell in read(source).cells]
    return hashlib.sha256(json.dumps(cells).encode()).hexdigest()[:10]


def execute(
    source: str | Path,
    output: str | Path,
    parameters: Mapping[str, Any] | None = None,
    *,
    cwd: str | Path | None = None,
    timeout: int | None = 600,
    retries: int = 1,
    env: Mapping[str, str] | None = None,
    first: str | Path | None = None,
) -> Path:
    """Runs a notebook and writes its executed copy to `output`, atomically; returns the path.

    Args:
        parameters: replace those of the parameters cell; an unknown name is refused before anything runs.
        timeout: seconds that one cell may take; None is no limit.
        retries: how often a run whose kernel stalled or died is started again. An error in a cell is never retried.
        env: variables of the kernel's environment, over this process's own.
        first: a script that the kernel runs before the notebook.
    Raises:
        ValueError: an unknown parameter; the message names the closest one.
        papermill.PapermillExecutionError: an error in a cell; what was executed is kept as NAME.failed.ipynb.
    """
    import papermill
    from nbclient.exceptions import CellTimeoutError

    target = cache.expanded(output)
    if parameters:
        known = defaults(source)
        for name in parameters:
            one_of("parameter", name, known)
    target.parent.mkdir(parents=True, exist_ok=True)
    cache.sweep(target.parent)
    failed = target.with_name(f"{target.stem}.failed.ipynb")
    # a folder of its own: another thread may write the same, and on a cluster the copy of a lost worker may still be open
    folder = cache.temporary_name(target)
    folder.mkdir()
    temporary = folder / target.name
    try:
        for left in range(retries, -1, -1):
            try:
                papermill.execute_notebook(
                    read(source),
                    str(temporary),
                    parameters=dict(parameters or {}),
                    cwd=str(cache.expanded(cwd)) if cwd else None,
                    progress_bar=False,
                    execution_timeout=timeout,
                    start_timeout=120,
                    kernel_manager_class=_manager(env or {}),
                    # "running over TCP without encryption" once a kernel, on the loopback
                    extra_arguments=["--log-level=ERROR", *([f"--IPKernelApp.exec_files={first}"] if first else [])],
                )
            except BaseException as error:
                if temporary.exists():
                    temporary.replace(failed)
                # papermill's own error for an error in a cell is neither
                if not left or not isinstance(error, (CellTimeoutError, RuntimeError)):
                    raise
            else:
                temporary.replace(target)
                failed.unlink(missing_ok=True)
                break
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return target


def copy_chapters(folder: str | Path) -> list[Path]:
    """Copies the chapters' notebooks, in the edition that Jupyter shows well, into a folder; returns the copies.

    Raises: ValueError where a file has the name of one already; then nothing is copied.
    """
    shipped = Path(__file__).with_name("notebooks")
    place = shipped if shipped.is_dir() else Path(__file__).resolve().parents[1] / "notebooks" / "plain"
    target = cache.expanded(folder)
    copies = {source: target / source.name for source in sorted(place.glob("*.ipynb"))}
    if taken := next((copy for copy in copies.values() if copy.exists()), None):
        raise ValueError(f"{taken} is there already, and may be yours; name another folder")
    target.mkdir(parents=True, exist_ok=True)
    return [Path(shutil.copyfile(source, copy)) for source, copy in copies.items()]


def _manager(env: Mapping[str, str]) -> type:
    """Returns a class of kernel managers that add to the environment and tell `interrupt` of their kernels."""
    from jupyter_client.manager import AsyncKernelManager

    class Manager(AsyncKernelManager):
        async def start_kernel(self, **options: Any) -> None:
            await super().start_kernel(env={**os.environ, **env}, **options)
            self._pid = getattr(self.provisioner, "pid", None)
            if self._pid is not None:
                _KERNELS.add(self._pid)

        async def cleanup_resources(self, restart: bool = False) -> None:
            _KERNELS.discard(getattr(self, "_pid", None))
            await super().cleanup_resources(restart)

    return Manager


def interrupt() -> None:
    """Interrupts the cell that each running kernel of this process executes, as the stop button of Jupyter does."""
    for pid in list(_KERNELS):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGINT)
