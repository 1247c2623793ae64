"""The live lab: a panel of widgets that runs a study with the reader's settings and shows the run among the recorded ones.

    from dlcore import lab
    lab.panel("distributional")

In JupyterLab and Colab (ipywidgets 7.7 or 8) this is a panel: settings, Run and Stop, the training curve as it grows,
and the recorded runs with yours among them. In the book, where no kernel runs, it is the chart that explores the
recorded runs.
"""

from __future__ import annotations

import importlib.util
import os
import threading
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from dlcore import runtime
from dlcore.charts.panel import PanelSpec
from dlcore.charts.theme import setup
from dlcore.config import one_of, unknown_choice
from dlcore.lab import charts as live
from dlcore.lab.compare import PANELS, asked_for, drawn, table_of
from dlcore.records import Record, RecordStore

try:
    import altair as alt
    import ipywidgets as widgets
    from altair import JupyterChart
except ImportError as error:  # pragma: no cover - depends on what is installed
    raise ImportError(f"dlcore.lab needs two packages: pip install ipywidgets anywidget ({error})") from error

RECIPE = "recipe's"  # a control's own word for None, which a widget takes for "nothing chosen"
REDRAW = 0.4  # seconds; a chart is sent to the browser again each time


class Panel:
    """Settings, Run and Stop, the curve of the run, and the recorded runs with the reader's own. See `panel`.

    `widget` is what a notebook shows. (It is held, not inherited: a widget's class has many names of its own.)
    """

    def __init__(self, spec: PanelSpec, store: RecordStore, start: Mapping[str, Any]) -> None:
        self.spec, self.store = spec, store
        self._stopping, self._thread = threading.Event(), None
        self._points: list[dict[str, Any]] = []
        self._drawn, self._loop, self._label = 0.0, "", ""
        self._config, self._refused, self._view = None, False, None
        self._recorded = table_of(spec, store)
        self.controls = {name: _control(name, values, start.get(name)) for name, values in spec.fields.items()}
        for control in self.controls.values():
            control.observe(lambda _change: self._changed(), "value")
        self.run_button = widgets.Button(description="Run", button_style="primary", tooltip="Train with these settings")
        self.stop_button = widgets.Button(
            description="Stop", disabled=True, tooltip="Stop at the next point of the curve; Run goes on"
        )
        self.run_button.on_click(lambda _button: self.run())
        self.stop_button.on_click(lambda _button: self.stop())
        self.progress = widgets.IntProgress(min=0, max=1, value=0)
        self.status = widgets.HTML()
        self._say("Ready.")
        self.curve, self.comparison = JupyterChart(self._drawing()), JupyterChart(self._drawing())
        self._changed()
        wrap = widgets.Layout(flex_flow="row wrap")
        self.widget = widgets.VBox(
            [
                widgets.HTML(f"<h3>{spec.title}</h3>"),
                widgets.HBox(list(self.controls.values()), layout=wrap),
                widgets.HBox([self.run_button, self.stop_button, self.progress], layout=wrap),
                self.status,
                self.curve,
                self.comparison,
            ]
        )

    def _ipython_display_(self) -> None:
        from IPython.display import display

        display(self.widget)

    def config(self) -> Any:
        """Returns the configuration that the controls say. Raises ValueError for settings that contradict."""
        chosen = {name: control.value for name, control in self.controls.items() if control.value != RECIPE}
        return self.spec.config(**{**self.spec.fixed, **chosen})

    def run(self) -> None:
        """Starts the run that the controls say, in the background; a second call while it runs does nothing."""
        if self._thread is not None and self._thread.is_alive():
            return
        try:
            self._config = config = self.config()
        except ValueError as error:
            self._refuse(error)
            return
        self._points, self._drawn, self._loop, self._label = [], 0.0, "", ""
        self._stopping.clear()
        self.run_button.disabled, self.stop_button.disabled = True, False
        self.progress.value, self.progress.bar_style = 0, ""
        self._say("Running ...")
        self._thread = threading.Thread(target=self._work, args=(config,), daemon=True, name="dlcore-lab")
        self._thread.start()

    def stop(self) -> None:
        """Asks the run to stop at the next point of its curve. It leaves no record; Run goes on from there."""
        self._stopping.set()
        self._say("Stopping at the next point of the curve ...")

    def wait(self, seconds: float | None = None) -> bool:
        """Waits until the run has ended; returns whether it has."""
        if self._thread is not None:
            self._thread.join(seconds)
        return self._thread is None or not self._thread.is_alive()

    def _work(self, config: Any) -> None:
        try:
            known = self.store.load(config)
            with runtime.listening(self._heard):
                record = known or self.store.load_or_run(config)
        except runtime.Stopped:
            self._draw()
            self.progress.bar_style = "warning"
            self._say("Stopped. Nothing was recorded; Run goes on from here.")
        except Exception as error:  # shown to the reader, who cannot see this thread
            self._say(f"{type(error).__name__}: {error}", failed=True)
        else:
            self._draw()
            self.progress.value, self.progress.bar_style = self.progress.max, "success"
            found = {name: record.metrics.get(name) for name in self.spec.shown}
            numbers = ", ".join(f"{k.replace('_', ' ')} {v:.3f}" for k, v in found.items() if v is not None)
            self._say(f"{'This run was in the store' if known else f'Done in {record.seconds:.1f} s'}: {numbers}.")
            self._add(record)
        finally:
            self.run_button.disabled, self.stop_button.disabled = False, True

    def _heard(self, label: str, done: int, total: int, values: Mapping[str, float]) -> None:
        if self._stopping.is_set():
            raise runtime.Stopped
        if label != self._loop or (self._points and done <= self._points[-1]["step"]):
            # the next network of the same study
            self._points, self._loop = [], label
            self._label = self.spec.live(label, self._config)
            self._say(f"Running ... {self._label}")
        self._points += [
            {"step": done, "curve": k.replace("_", " "), "value": v} for k, v in values.items() if np.isfinite(v)
        ]
        if time.perf_counter() - self._drawn > REDRAW:
            self.progress.max, self.progress.value = total, done
            self._draw()

    def _draw(self) -> None:
        if self._points:
            self._drawn = time.perf_counter()
            self.curve.chart = self._drawing()

    def _drawing(self) -> Any:
        return live.live_curve(self._points, label=self._label, unit=self.spec.unit, y_title=self.spec.loss)

    def _say(self, text: str, failed: bool = False) -> None:
        colour = "color:#b3261e" if failed else ""
        text = text.replace("&", "&amp;").replace("<", "&lt;")
        self.status.value = f'<span role="status" style="{colour}">{text}</span>'

    def _changed(self) -> None:
        """Says at once what is wrong with the settings, unless a run has the line, and draws the runs that they ask for."""
        if self.run_button.disabled:
            return
        try:
            self._config = self.config()
        except ValueError as error:
            self._refuse(error)
        else:
            if self._refused:
                self._say("Ready.")
            self._refused = False
        self._compare()

    def _refuse(self, error: ValueError) -> None:
        self._config, self._refused = None, True
        self._say(str(error), failed=True)

    def _add(self, record: Record) -> None:
        if record.key not in set(self._recorded.key):
            self._recorded, self._view = table_of(self.spec, self.store), None
        self._compare()

    def _compare(self) -> None:
        """Draws the recorded and the reader's runs, if the settings ask for others than those that are drawn."""
        settings = self._config.to_dict() if self._config else {n: c.value for n, c in self.controls.items()}
        heading, arms = asked_for(self.spec, settings, complete=self._config is not None)
        if self._view == (heading, arms):
            return
        self._view = heading, arms
        self.comparison.chart = drawn(self.spec, self._recorded, settings, heading, arms)


def _control(name: str, values: tuple, start: Any) -> Any:
    more = {"description": name.replace("_", " "), "style": {"description_width": "initial"}}
    if name == "seed":
        return widgets.BoundedIntText(value=start, min=0, max=10**6, **more)
    if name == "noise":
        return widgets.SelectionSlider(options=[(f"{v:.0%}", v) for v in values], value=start, **more)
    options = [(_offered(name, v), RECIPE if v is None else v) for v in values]
    return widgets.Dropdown(options=options, value=RECIPE if start is None else start, **more)


def _offered(name: str, value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: RECIPE, True: "yes", False: "no"}[value]
    return f"{value:.0%}" if name.endswith("share") else str(value)


def panel(study: str, store: RecordStore | None = None, **start: Any) -> Any:
    """Returns the live panel of a study; in the book, the chart that explores its recorded runs.

    Args:
        store: where records are read and the reader's are written; by default the local store.
        start: what the controls show first.
    Raises: ValueError for a study without a panel, a setting without a control, or a value that it does not offer.

    >>> panel("distributional", noise=0.4).controls["noise"].value
    0.4
    """
    one_of("study", study, PANELS)
    spec, store = PANELS[study], store or RecordStore()
    for name, value in start.items():
        one_of("setting", name, spec.fields)
        if name == "seed":
            spec.config.from_parameters(seed=value)
        elif value not in spec.fields[name]:
            raise unknown_choice(name, value, [str(v) for v in spec.fields[name]])
    setup()
    if os.environ.get("DLCORE_BOOK"):
        return spec.explorer(store)
    if importlib.util.find_spec("vl_convert"):  # else the chart's script comes from the network, as in Colab
        JupyterChart.enable_offline()
    alt.data_transformers.disable_max_rows()
    return Panel(spec, store, {**spec.start, **start})
