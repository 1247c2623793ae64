"""Notebooks: the pair agrees, no outputs, parameters are the study's, papermill runs them and refuses mistakes."""

import ast
import dataclasses
import json
import re
import resource
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jupytext
import nbformat
import papermill
import pytest
import yaml
from papermill.cli import papermill as papermill_command

from dlcore import notebook, studies
from dlcore.studies.distributional.config import EXPERIMENTS

ROOT = Path(__file__).resolve().parents[1]
SOURCES = sorted((ROOT / "notebooks").glob("*.py"))
CHAPTERS = {studies.study(name).NOTEBOOK: name for name in studies.STUDIES}


# settings at which a chapter's run takes a second
FAST = {
    "1_rationality": {"objective": "pixels"},
    "2_stitching": {"epochs": 1, "stitch_epochs": 1},
    "3_distributional_generalization": {},
    "4_data_scaling": {"steps": 2, "test_pairs": 10, "pairs": 64},
}


@pytest.fixture(autouse=True)
def quiet(monkeypatch):
    """The kernels of these tests run plain notebooks, not the book's pages."""
    monkeypatch.delenv("DLCORE_BOOK", raising=False)


@pytest.mark.parametrize("source", SOURCES, ids=lambda p: p.stem)
def test_the_pair_agrees(source):
    text = jupytext.read(source)
    pair = nbformat.read(source.with_suffix(".ipynb"), 4)
    assert [(c.cell_type, c.source) for c in text.cells] == [(c.cell_type, c.source) for c in pair.cells], (
        "run: make notebooks"
    )
    assert [c.metadata.get("tags") for c in text.cells] == [c.metadata.get("tags") for c in pair.cells]


@pytest.mark.parametrize("source", SOURCES, ids=lambda p: p.stem)
def test_outputs_are_never_committed(source):
    for cell in nbformat.read(source.with_suffix(".ipynb"), 4).cells:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None


@pytest.mark.parametrize("source", SOURCES, ids=lambda p: p.stem)
def test_code_that_a_reader_need_not_see_lives_in_the_package(source):
    """What is folded stays short; what is shown, the experiment above all, is to be read."""
    lines = {True: 0, False: 0}
    for cell in jupytext.read(source).cells:
        if cell.cell_type == "code":
            lines[bool({"hide-input", "remove-cell"} & set(cell.metadata.get("tags", [])))] += len(
                cell.source.splitlines()
            )
    assert lines[True] <= 135  # of which chapter 4 spends thirty on imports
    assert lines[False] <= 75


@pytest.mark.parametrize("source", SOURCES, ids=lambda p: p.stem)
def test_no_line_of_text_is_a_comment_by_accident(source):
    """A line that begins with a per cent sign is a comment for the book, and is not printed."""
    cells = [c.source for c in jupytext.read(source).cells if c.cell_type == "markdown"]
    assert not [line for cell in cells for line in cell.splitlines() if line.lstrip().startswith("% ")]


@pytest.mark.parametrize("source", SOURCES, ids=lambda p: p.stem)
def test_a_verdict_is_pasted_and_never_typed(source):
    """A verdict in a sentence changes with the records; in italics the word itself is meant."""
    text = "\n".join(c.source for c in jupytext.read(source).cells if c.cell_type == "markdown")
    assert not re.findall(r"(?<![*\w])(?:undecided|not reproduced|Undecided|Not reproduced|Reproduced)\b", text)
    ids = {
        e["id"]
        for study in studies.STUDIES
        for e in yaml.safe_load((ROOT / f"dlcore/studies/{study}/claims.yml").read_text())
    }
    assert set(re.findall(r"`\w+/([\w-]+)-verdict`", text)) <= ids


@pytest.mark.parametrize("name", CHAPTERS)
def test_the_parts_of_a_chapter(name):
    """The answer and its figure come first; what a first reading can do without is folded, in the details."""
    text = (ROOT / "notebooks" / f"{name}.py").read_text("utf8")
    parts = [
        "# :::{admonition} The answer",
        "# figures.",
        "# ## Look at the data",
        "# ## The claim",
        "# ## Predict",
        "# ## The experiment",
        "# ## Recorded runs",
        "# ## What would falsify it, and the confounds",
        "# ## Check against the thesis",
        "# ## Exercises",
        "# ## Details",
        "# ### Half a page to project",
    ]
    places = [re.search(rf"^{re.escape(part.replace('# figures', 'figures'))}", text, re.M).start() for part in parts]
    assert places == sorted(places)
    assert re.findall(r"^# ## (.+)", text, re.M)[-1] == "Details"


@pytest.mark.parametrize("name", CHAPTERS)
def test_each_prediction_links_to_the_figure_that_answers_it(name):
    text = (ROOT / "notebooks" / f"{name}.py").read_text("utf8")
    asked = re.search(r"Before the results\n(.*?)^# :::$", text, re.S | re.M)[1]
    assert len(re.findall(r"^# \d\. ", asked, re.M)) == asked.count("{drive}`Answer <") >= 4


TERM = re.compile(r"\{term\}`(?:[^`<]*<)?([^`<>]+)>?`")


@pytest.mark.parametrize("name", CHAPTERS)
def test_a_term_is_explained_where_it_is_first_used(name):
    """In the running text: headings, code, addresses and formulas name things, too."""
    cells = jupytext.read(ROOT / "notebooks" / f"{name}.py").cells
    text = "\n".join(c.source for c in cells if c.cell_type == "markdown")
    text = TERM.sub(r"[[\1]]", text)
    text = re.sub(r"(?m)^#.*$|^[:`]{3}.*$|\{[\w:]+\}`[^`]*`|`[^`]*`|\$[^$]*\$", "", text)
    marked = {match[1]: match.start() for match in reversed([*re.finditer(r"\[\[(.+?)\]\]", text)])}
    assert len(marked) >= 4
    for term, place in marked.items():
        early = re.search(rf"(?i)\b{term}s?\b", text[:place])
        assert not early, f"{term}: {text[max(0, early.start() - 60) : early.end() + 20]!r}"


@pytest.mark.parametrize("name", CHAPTERS)
def test_parameters_are_fields_of_the_study(name):
    config = studies.study(CHAPTERS[name]).Config
    found = notebook.defaults(ROOT / "notebooks" / f"{name}.py")
    assert set(found) <= set(config.names())
    assert {"preset", "noise", "architecture", "seed"} <= set(found)


@pytest.mark.parametrize("name", CHAPTERS)
def test_nothing_slow_stands_before_the_parameters_are_checked(name):
    """A mistake is refused before figures, claims and scikit-learn are imported and before anything is trained."""
    cells = [c for c in jupytext.read(ROOT / "notebooks" / f"{name}.py").cells if c.cell_type == "code"]
    first = next(i for i, c in enumerate(cells) if "parameters" in c.metadata.get("tags", []))
    assert cells[first].source.startswith(notebook.MARK + " ")  # papermill's own cell has the mark and nothing else
    assert "Config.from_namespace(globals())" in cells[first + 1].source
    imported = {
        node.module if isinstance(node, ast.ImportFrom) else node.names[0].name
        for cell in cells[: first + 2]
        for node in ast.walk(ast.parse(cell.source))
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    assert imported == {"sys", "subprocess", "dlcore.notebook", f"dlcore.studies.{CHAPTERS[name]}"}


def again(cells, **changes):
    """Returns the code of cells with changed parameters, as a reader runs it who has run the whole chapter."""
    found = []
    for cell in (c for c in cells if c.cell_type == "code"):
        source = cell.source
        if "parameters" in cell.metadata.get("tags", []):
            for name, value in changes.items():
                source = re.sub(rf"^{name} = .*", f"{name} = {value!r}", source, flags=re.M)
        found.append(nbformat.v4.new_code_cell(source))
    return [
        *found,
        nbformat.v4.new_code_cell("print('again', *(getattr(config, n) for n in _parameters), sep=', ')"),
    ]


# no name is looked up and nothing is called from here on; the kernel's own sockets are not Python's
OFFLINE = "import socket\n\nsocket.getaddrinfo = socket.socket.connect = None"
# of a processor; processors differ threefold, a notebook that trains where it should look up takes ten times as long
SECONDS = 300
OTHER = {
    "1_rationality": ({"noise": 0.4, "objective": "vicreg", "preset": "smoke"}, "VICReg on digits, noise 40%"),
    "2_stitching": ({"noise": 0.5, "architecture": "convnet", "preset": "smoke"}, "50 % random labels"),
    "3_distributional_generalization": (
        {"noise": 0.4, "architecture": "mlp", "preset": "smoke"},
        "subgroup noise 40% on digits, MLP",
    ),
    "4_data_scaling": (
        {"noise": 0.4, "architecture": "decoder_only", "preset": "smoke"},
        "decoder only, target words 40 %, 256 pairs",
    ),
}


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] * (n != "3_distributional_generalization")) for n in CHAPTERS]
)
def test_the_plain_edition_runs_in_a_foreign_folder_offline_and_again_with_other_parameters(name, tmp_path):
    """By this package's call of papermill, and for one chapter by papermill's own command with a YAML file."""
    parameters, wanted = OTHER[name]
    # the kernel's processor time: on a busy machine the clock on the wall measures the neighbours
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    book = nbformat.read(ROOT / "notebooks" / "plain" / f"{name}.ipynb", 4)
    # what trains most has tests of its own, and is run by the build
    book.cells = [c for c in book.cells if c.source != experiment(name) and "training.fit(" not in c.source]
    once = 1 + len(book.cells)
    first = next(i for i, c in enumerate(book.cells) if "parameters" in c.metadata.get("tags", []))
    book.cells = [
        nbformat.v4.new_code_cell(OFFLINE),
        *book.cells,
        # chapter 4's laws without their largest sizes take no parameter, and half a minute
        *again([c for c in book.cells if "held_out_laws(fits)" not in c.source], noise=0.1, seed=1, **FAST[name]),
        *again(book.cells[first : first + 2], noise=0.2, seed=2),
    ]
    source, out = tmp_path / "chapter.ipynb", tmp_path / "out.ipynb"
    nbformat.write(book, source)
    if name == "3_distributional_generalization":
        (tmp_path / "mine.yaml").write_text(yaml.safe_dump(parameters), "utf8")
        files = [str(source), str(out), "--parameters_file", str(tmp_path / "mine.yaml")]
        papermill_command.main([*files, "--cwd", str(tmp_path), "--no-progress-bar"], standalone_mode=False)
    else:
        notebook.execute(source, out, parameters, cwd=tmp_path)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < SECONDS
    cells = nbformat.read(out, 4).cells
    outputs = [o for c in cells for o in c.get("outputs", [])]
    # whatever is red in a reader's Jupyter
    assert not [o for o in outputs if o.output_type == "error" or o.get("name") == "stderr"]
    text = "".join(o.get("text", "") for o in outputs)
    assert wanted in text
    # parameters changed and read again in the same kernel: names that other cells left are no parameters
    assert [line.split(", ")[-2:] for line in text.splitlines() if line.startswith("again, ")] == [
        ["0.1", "1"],
        ["0.2", "2"],
    ]
    # charts of a copy that nobody watches being made: pictures, which need no network
    for part in (cells[: once + 1], cells[once + 1 :]):  # papermill adds a cell of parameters
        charts = [
            o.data["text/html"]
            for c in part
            for o in c.get("outputs", [])
            if "[chart]" in o.get("data", {}).get("text/plain", "")
        ]
        assert len(charts) >= 5
        assert all("data:image/svg+xml;base64," in chart for chart in charts)
    shown = [c.source for c in cells if c.cell_type == "markdown"] + [text]
    shown += [str(o.get("data", {}).get("text/markdown", "")) for o in outputs]
    assert not re.search(r":::|\{[a-z:]+\}`", "\n".join(shown))
    assert out.stat().st_size < 9e6
    assert not list(tmp_path.glob("*.failed.ipynb"))


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("1_rationality", {"noise": 1.0}, "noise = 1.0 is outside [0.0, 1.0)"),
        ("2_stitching", {"architecture": "convnett"}, "unknown architecture 'convnett'; did you mean 'convnet'?"),
        ("3_distributional_generalization", {"noize": 0.4}, "unknown parameter 'noize'; did you mean 'noise'"),
        ("4_data_scaling", {"architecture": "2L2l"}, "unknown architecture '2L2l'; did you mean '2L2L'"),
        ("5_lab", {"seed": -1}, "seed = -1 is outside [0, inf]"),
    ],
)
def test_bare_papermill_fails_clearly(name, parameters, message, tmp_path):
    """Papermill itself only logs an unknown parameter: the notebook must notice, before anything slow."""
    source, out = ROOT / "notebooks" / f"{name}.ipynb", tmp_path / "out.ipynb"
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with pytest.raises(papermill.PapermillExecutionError) as caught:
        papermill.execute_notebook(str(source), str(out), parameters, cwd=str(ROOT), progress_bar=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert message in caught.value.evalue
    assert "\n" not in caught.value.evalue
    assert (
        after.ru_utime - before.ru_utime < 8
    )  # with papermill's kernel; 2 to 3 seconds on the clock of a quiet machine


@pytest.mark.parametrize("study", studies.STUDIES)
def test_a_mistake_is_refused_before_anything_slow_is_loaded(study):
    code = f"""
import sys, dlcore.notebook
from dlcore.studies.{study} import Config
try:
    Config.from_parameters(noise=7.0)
except ValueError as error:
    print(error, sorted({{"altair", "pandas", "scipy", "sklearn", "torch"}} & set(sys.modules)))
"""
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert re.fullmatch(r"noise = 7.0 is outside \[0.0, 1.0[)\]] \[\]\n", found.stdout)


def _ends(study):
    """Yields each field of a study with a limit: its name, the last value within and the first one beyond."""
    for field in dataclasses.fields(studies.study(study).Config):
        low, high, below = map(field.metadata.get, ("low", "high", "below"))
        kind = float if "float" in str(field.type) else int
        for end, sign, within in ((low, -1, True), (high, 1, True), (below, 1, False)):
            if end is not None:
                step = (lambda v, s: v + s) if kind is int else (lambda v, s: float(f"{v + s * 1e-9:.12g}"))
                yield field.name, end if within else step(end, -1), step(end, sign) if within else end


def _taken(study, name, value):
    """Returns the value that a configuration takes, or the line that refuses it."""
    try:
        return getattr(studies.study(study).Config.from_parameters(**{"preset": "smoke", name: value}), name)
    except ValueError as error:
        return str(error)


@pytest.mark.parametrize(
    ("study", "name", "within", "beyond"),
    [(study, *end) for study in studies.STUDIES for end in _ends(study)],
)
def test_both_ends_of_every_range(study, name, within, beyond):
    """What lies within is taken, or contradicts another setting, and the line says which; what lies beyond is not."""
    found = _taken(study, name, within)
    assert found == within or (name in found and not re.search(r"is outside|\n", found))
    assert re.match(rf"{name} = .* is outside [\[(]", _taken(study, name, beyond))


@pytest.mark.parametrize(
    ("study", "name", "choices"),
    [
        (study, field.name, field.metadata["choices"])
        for study in studies.STUDIES
        for field in dataclasses.fields(studies.study(study).Config)
        if field.metadata.get("choices")
    ],
)
def test_every_choice_is_taken_or_contradicts_another_setting(study, name, choices):
    for value in choices:
        found = _taken(study, name, value)
        assert found == value or not re.search(r"^unknown|is outside|\n", found)
    assert re.match(f"unknown {name} '{choices[0]}x'; .*choose from", _taken(study, name, f"{choices[0]}x"))


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        *((name, {"noise": noise}) for name in CHAPTERS for noise in (0.0, 1e-12, 0.999999)),
        ("2_stitching", {"noise": 1.0}),
        *((name, {"seed": 2**64}) for name in CHAPTERS),
        *(("3_distributional_generalization", {"noise": 0.0, "experiment": e}) for e in EXPERIMENTS if e != "human"),
    ],
    ids=str,
)
def test_the_live_run_prints_at_the_ends_of_every_range(name, parameters, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("DLCORE_RECORDS", str(tmp_path))
    study = studies.study(CHAPTERS[name])
    cells = [c.source for c in jupytext.read(ROOT / "notebooks" / f"{name}.py").cells if c.cell_type == "code"]
    live = next(source for source in cells if "load_or_run(config)" in source)
    exec(live, {**vars(study), "config": study.Config.from_parameters(preset="smoke", **FAST[name], **parameters)})
    assert len(capsys.readouterr().out.splitlines()) >= 2


EXPERIMENTS_SHOWN = {
    # what the comment below the cell promises: pattern -> expected numbers
    "1_rationality": (
        {"noise": 0.2},
        r"probe +test 0\.9\d, memorization ([\d.]+), .*\n.*memorization ([\d.]+), bound 1\.00",
        (0.07, 0.81),
    ),
    "2_stitching": (
        {"noise": 0.0},
        r"penalty ([+-][\d.]+)\n.*penalty ([+-][\d.]+)\n.*penalty ([+-][\d.]+)",
        (-0.02, -0.02, 0.18),
    ),
    "3_distributional_generalization": (
        {"noise": 0.3},
        r"error ([\d.]+) .*\n.* ([\d.]+) of the test outputs",
        (0.0, 0.24),
    ),
    "4_data_scaling": (
        {"noise": 0.2},
        r"([\d.]+) nats .* 64 pairs\n([\d.]+) nats .* 256 pairs\n([\d.]+) nats .* 1024 pairs\n.*: ([\d.]+)",
        (2.91, 1.77, 1.16, 0.33),
    ),
}


def experiment(name):
    """The source of the cell that shows a chapter's experiment."""
    cells = [c for c in jupytext.read(ROOT / "notebooks" / f"{name}.py").cells if c.cell_type == "code"]
    return next(c.source for c in cells if c.source.partition("from dlcore import ")[2] and "seed=seed" in c.source)


@pytest.mark.parametrize("name", CHAPTERS)
def test_a_chapter_shows_its_experiment(name, capsys):
    """In plain `dlcore`, ten to fifteen lines, with the expected numbers in its last line; noise and seed reach it."""
    source, (parameters, pattern, wanted) = experiment(name), EXPERIMENTS_SHOWN[name]
    body = ast.parse(source)
    assert 10 <= sum(bool(line.strip()) and not line.startswith("#") for line in source.splitlines()) <= 15
    assert [n.module for n in ast.walk(body) if isinstance(n, ast.ImportFrom)].count("dlcore") == 1
    promised = source.splitlines()[-1]
    assert promised.startswith("# ")
    kind = studies.study(CHAPTERS[name]).Config
    printed = []
    for changes in ({}, {"noise": 0.6, "seed": 3}):
        config = kind.from_parameters(**{**parameters, **changes})
        exec(source, {"config": config, "seed": config.seed})
        printed.append(capsys.readouterr().out)
    # that both reach it: the other values differ, and both names are read
    assert {"noise", "seed"} <= {getattr(n, "attr", getattr(n, "id", "")) for n in ast.walk(body)}
    found = [float(number) for number in re.search(pattern, printed[0]).groups()]
    # other machines round other sums, and training carries it on
    assert found == pytest.approx(wanted, abs=0.04, rel=0.05)
    for number in wanted:
        assert re.search(rf"(?<![\d.]){re.escape(f'{number:+.2f}'.lstrip('+'))}(?!\d)", promised) or number == 0
    assert len(set(printed)) == 2


def test_execute_refuses_before_anything_runs(tmp_path):
    with pytest.raises(ValueError, match="did you mean 'noise'"):
        notebook.execute(SOURCES[0], tmp_path / "out.ipynb", {"noize": 1})
    assert list(tmp_path.glob("*.ipynb")) == []


@pytest.fixture
def shell(monkeypatch):
    """An IPython shell of its own, in this process."""
    from IPython.core.interactiveshell import InteractiveShell

    shell = InteractiveShell()
    monkeypatch.setattr("IPython.get_ipython", lambda: shell)
    return shell


def test_the_parameters_cell_decides_what_a_parameter_is(shell):
    """Whatever other cells leave: also a name that is a field, and one that looks like a field."""
    run = "from dlcore.studies.distributional import Config\nconfig = Config.from_namespace(globals())"
    own = "# Parameters of the run\nnoise = {}\narchitecture = 'mlp'"
    notebook.setup()
    notebook.setup()
    for source in (
        own.format(0.1),
        run,
        "width = 7\nnoize = 2\nname = 'x'\nfor seed in range(9): pass",
        own.format(0.4),
    ):
        assert shell.run_cell(source).success
    assert shell.run_cell(run).success
    config = shell.user_ns["config"]
    assert (config.noise, config.width, config.seed) == (0.4, 256, 0)
    shell.run_cell("# Parameters\nnoize = 0.4")  # what papermill adds
    assert "noize" in str(shell.run_cell(run).error_in_exec)
    shell.run_cell(own.format(0.3))  # the notebook's own cell again, without papermill's
    assert shell.run_cell(run).success
    shell.run_cell("# Parameters of the run\nnoise = 0.3\nnoise, = 1")
    assert shell.user_ns["_parameters"] == ["noise"]


@pytest.mark.parametrize(
    ("where", "wanted"),
    [
        ({"JPY_SESSION_NAME": "x.ipynb"}, "application/vnd.jupyter.widget-view+json"),  # with a reader: a widget
        ({"VSCODE_PID": "1"}, "application/vnd.jupyter.widget-view+json"),
        ({}, "data:image/svg+xml;base64,"),  # papermill: a picture
    ],
)
def test_charts_need_no_network(shell, monkeypatch, where, wanted):
    import altair as alt
    import pandas as pd

    import dlcore.figures  # noqa: F401

    for name in notebook.LIVE:
        monkeypatch.delenv(name, raising=False)
    for name, value in where.items():
        monkeypatch.setenv(name, value)
    before = alt.renderers.active
    chart = alt.Chart(pd.DataFrame({"x": [1, 2]})).mark_point().encode(x="x").properties(width="container")
    try:
        notebook.setup()
        shell.run_cell("1")
        single, pair = (str(c._repr_mimebundle_(None, None)) for c in (chart, alt.hconcat(chart, chart)))
        alt.renderers.enable("default")  # what a reader chooses stays
        shell.run_cell("1")
        assert alt.renderers.active == "default"
    finally:
        alt.renderers.enable(before)
    assert wanted in single
    assert wanted in pair


def test_a_chart_in_a_notebook_has_a_width_of_its_own():
    """A widget gives "container" nothing to fill, and the page's script, which sets widths, is not there."""
    sized = notebook._sized({"width": "container", "usermeta": {"csv": "a"}, "mark": "bar"})
    assert sized == {"width": notebook.WIDTH - 150, "mark": "bar"}
    parts = notebook._sized({"hconcat": [{"width": "container"}, {"width": {"step": 20}}]})["hconcat"]
    assert 2 * parts[0]["width"] < notebook.WIDTH - 150
    assert parts[0]["width"] == parts[1]["width"] > 200


def test_a_failing_cell_keeps_the_executed_copy_and_no_output(tmp_path):
    source = tmp_path / "bad.py"
    source.write_text("# %% tags=['parameters']\nx = 1\n\n# %%\nraise KeyError(x)\n")
    with pytest.raises(papermill.PapermillExecutionError):
        notebook.execute(source, tmp_path / "out.ipynb")
    assert (tmp_path / "out.failed.ipynb").exists()
    assert not (tmp_path / "out.ipynb").exists()


def test_two_threads_may_write_one_target(tmp_path, monkeypatch):
    source, target, both = tmp_path / "two.py", tmp_path / "out.ipynb", threading.Barrier(2, timeout=120)
    source.write_text("# %% tags=['parameters']\nx = 1\n")

    def executes(_, output, parameters, **__):
        Path(output).write_text(json.dumps(parameters))
        both.wait()
        assert json.loads(Path(output).read_text()) == parameters
        both.wait()

    monkeypatch.setattr(papermill, "execute_notebook", executes)
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(lambda x: notebook.execute(source, target, {"x": x}), (2, 3))) == [target, target]
    assert json.loads(target.read_text()) in ({"x": 2}, {"x": 3})
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out.ipynb", "two.py"]


def test_a_stalled_kernel_is_started_again(tmp_path):
    """The first attempt sleeps past the timeout, the second finds the mark of the first and goes on."""
    source, mark = tmp_path / "slow.py", tmp_path / "mark"
    source.write_text(
        f"# %% tags=['parameters']\nx = 1\n\n# %%\nimport pathlib, time\np = pathlib.Path({str(mark)!r})\n"
        "if not p.exists():\n    p.touch()\n    time.sleep(60)\n"
    )
    assert notebook.execute(source, tmp_path / "out.ipynb", timeout=4).exists()
