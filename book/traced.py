"""Runs first in the kernel of a page: notes, after every cell, which files the page has been made of so far."""


def _trace() -> None:
    import json
    import os
    import sys
    from pathlib import Path

    opened, listed = set(), set()
    target = Path(os.environ["DLCORE_TRACE"])

    def note(event, arguments):
        # pathlib lists folders by scandir, the import system by listdir: its folders do not matter, its modules do
        kept = {"open": opened, "os.scandir": listed}.get(event)
        if kept is not None and isinstance(arguments[0], str | os.PathLike):
            kept.add(os.path.abspath(arguments[0]))

    def write(*_):
        modules = {os.path.abspath(m.__file__) for m in list(sys.modules.values()) if getattr(m, "__file__", None)}
        target.write_text(json.dumps(sorted(opened | listed | modules)), "utf8")

    sys.addaudithook(note)
    get_ipython().events.register("post_run_cell", write)  # noqa: F821


_trace()
del _trace
