"""Charts of your own results, as `result.plot()` draws them; several go into one: a mapping name -> result, or by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from dlcore.charts.layers import single
from dlcore.charts.shared import INK
from dlcore.charts.theme import DASHED, ROLES, SOLID, dashes, finish, roles

GAPS = ("generalization", "robustness", "memorization", "rationality", "bound")
RUNS = {"on the law": "train", "held out": "test", "off the law": "chosen"}
LOSSES = {"train_loss": "train", "dev_loss": "test"}
WIDTH = 420


def gaps(result: Any) -> alt.TopLevelMixin:
    """Returns the gaps of a `Rationality`, or of `GapIntervals`, with their intervals."""
    named = {name: getattr(getattr(result, "intervals", result), name) for name in GAPS}
    rows = _rows(named, "gap", {"value": "value", "low": "low", "high": "high"})
    base = alt.Chart(rows).encode(
        y=alt.Y("gap:N", sort=list(GAPS), title=None), tooltip=["gap", "value", "low", "high"]
    )
    bars = base.mark_bar(color=ROLES["own"], height=14).encode(x=alt.X("value:Q", title="difference of accuracies"))
    whiskers = base.mark_rule(color=INK, strokeWidth=2).encode(x="low:Q", x2="high:Q")
    title = f"Memorization {rows.value[2]:+.3f}, rationality {rows.value[3]:+.3f}"
    return _finished(bars + whiskers, "gaps", title, rows)


def calibration(results: Any, **others: Any) -> alt.TopLevelMixin:
    """Returns the total variation of a `Calibration` or `TwoSample`, or of several, beside what a sampler would show."""
    columns = {"TV": "tv", "low": "low", "high": "high", "sampler": "null_mean", "q95": "null_q95"}
    rows = _rows(_several(results, "test", others), "set", columns)
    base = alt.Chart(rows).encode(y=alt.Y("set:N", title=None, sort=None), tooltip=list(rows))
    null = (
        base.mark_bar(color=ROLES["sampler"], opacity=0.3, height=22)
        .encode(x=alt.X("zero:Q", title="total variation (shaded: 95 % of exact samplers)"), x2="q95:Q")
        .transform_calculate(zero="0")
    )
    dots, whiskers = _dots(base).encode(x="TV:Q"), _whiskers(base).encode(x="low:Q", x2="high:Q")
    title = "; ".join(
        f"TV {tv:.3f}, a sampler {sampler:.3f}" for tv, sampler in zip(rows.TV, rows.sampler, strict=True)
    )
    return _finished(null + whiskers + dots, "calibration", title, rows)


def agreement(results: Any, **others: Any) -> alt.TopLevelMixin:
    """Returns the agreement of an `AgreementGap`, or of several, less accuracy, with its interval."""
    names = ("accuracy", "agreement", "gap", "low", "high")
    rows = _rows(_several(results, "pair", others), "pair", dict(zip(names, names, strict=True)))
    base = alt.Chart(rows).encode(y=alt.Y("pair:N", title=None, sort=None), tooltip=list(rows))
    dots = _dots(base).encode(x=alt.X("gap:Q", title="agreement - accuracy"))
    whiskers = _whiskers(base).encode(x="low:Q", x2="high:Q")
    zero = single(gap=0.0).mark_rule(color=ROLES["sampler"], strokeDash=[4, 3]).encode(x="gap:Q")
    title = f"Agreement {rows.agreement[0]:.3f}, accuracy {rows.accuracy[0]:.3f}"
    return _finished(zero + whiskers + dots, "agreement", title, rows)


def penalties(rows: Any) -> alt.TopLevelMixin:
    """Returns the penalties of a `penalty_curve` by depth, with the top stitched to itself and an untrained bottom.

    Args: rows: `Penalties`, or a table, a row a stage, whose columns have the names of `StagePenalty`; `top_stage` and `penalty` do.
    """
    table = rows.to_frame() if hasattr(rows, "to_frame") else pd.DataFrame(rows)
    table = table.assign(seed=table.get("seed", 0))
    kinds = {"penalty": ("own", SOLID), "self_penalty": ("null", SOLID), "random_penalty": ("null", DASHED)}
    kinds = {kind: how for kind, how in kinds.items() if kind in table}
    long = table.melt(["top_stage", "seed"], list(kinds), "kind", "value").dropna()
    kinds = {kind: how for kind, how in kinds.items() if kind in set(long.kind)}
    base = alt.Chart(long).encode(
        x=alt.X("top_stage:N", sort=None, title="stage", axis=alt.Axis(labelAngle=-30)),
        y=alt.Y("value:Q", title="error of the stitch - error of the top", axis=alt.Axis(format="%")),
        color=roles("kind", {kind: role for kind, (role, _) in kinds.items()}),
        tooltip=list(long),
    )
    dash = dashes("kind", {kind: dash for kind, (_, dash) in kinds.items()})
    lines = base.mark_line().encode(y="mean(value):Q", strokeDash=dash)
    excess = table.penalty - table.get("self_penalty", np.nan)
    title = f"The largest excess over the self-stitch is {excess.max():.1%}"
    title = title if excess.notna().any() else f"The largest penalty is {table.penalty.max():.1%}"
    return _finished(lines + base.mark_point(filled=True, size=50), "penalties", title, long)


def law(fitted: Any, *, held_out: Any = None) -> alt.TopLevelMixin:
    """Returns a fitted law of one size, its runs, its bootstrap band where it has one, and held-out runs of a `Holdout`."""
    curve = fitted.curve
    runs = pd.DataFrame({"size": np.exp(curve.x + curve.shift), "loss": np.exp(curve.y), "run": "fitted"})
    if held_out is not None:
        late = pd.DataFrame({"size": held_out.sizes, "loss": held_out.losses, "run": "held out"})
        runs = pd.concat([runs, late], ignore_index=True)
    grid = np.geomspace(runs["size"].min(), 2 * runs["size"].max(), 60)
    line = pd.DataFrame({"size": grid, "loss": fitted.predict(grid)})
    across: dict[str, Any] = {"x": alt.X("size:Q", scale=alt.Scale(type="log"), title="size")}
    height = alt.Y("loss:Q", scale=alt.Scale(type="log", zero=False, nice=False), title="loss")
    shown = alt.Chart(line).mark_line(color=ROLES["bayes"]).encode(**across, y=height)
    if fitted.draws is not None:
        line["low"], line["high"] = fitted.band(grid)
        band = alt.Chart(line).mark_area(color=ROLES["bayes"], opacity=0.2).encode(**across, y="low:Q", y2="high:Q")
        shown = band + shown
    dots = (
        alt.Chart(runs)
        .mark_point(filled=True, size=50)
        .encode(**across, y=height, color=roles("run", {"fitted": "train", "held out": "test"}), tooltip=list(runs))
    )
    title = f"{fitted.curve.law.formula}, {fitted.curve.law.exponent} = {fitted.exponent:.3f}"
    return _finished(shown + dots, "law", title, runs)


def report(found: Any) -> alt.TopLevelMixin:
    """Returns the best law of a `LawReport`, fitted without the held-out runs."""
    return holdout(found.held_out[found.best])


def holdout(found: Any) -> alt.TopLevelMixin:
    """Returns the law of a `Holdout`, of one size or joint, with the runs that it was fitted to and those held out."""
    return (joint if found.fit.curve.x.ndim == 2 else law)(found.fit, held_out=found)


def joint(fitted: Any, *, held_out: Any = None) -> alt.TopLevelMixin:
    """Returns the losses of a joint fit against its predictions; runs off the law, and those held out, are marked."""
    curve = fitted.curve
    rows = pd.DataFrame({"predicted": np.exp(fitted.log_losses(curve.x)), "loss": np.exp(curve.y)})
    rows["run"] = np.where(np.isin(np.arange(len(rows)), fitted.outliers), "off the law", "on the law")
    if held_out is not None:
        predicted = held_out.losses * np.exp(held_out.log_errors)
        late = pd.DataFrame({"predicted": predicted, "loss": held_out.losses, "run": "held out"})
        rows = pd.concat([rows, late], ignore_index=True)
    scale = alt.Scale(type="log", zero=False, nice=False, domain=[0.97 * rows.loss.min(), 1.03 * rows.loss.max()])
    base = alt.Chart(rows).encode(x=alt.X("predicted:Q", scale=scale), y=alt.Y("loss:Q", scale=scale))
    dots = base.mark_point(filled=True, size=30, clip=True).encode(
        color=roles("run", {k: v for k, v in RUNS.items() if k in set(rows.run)}), tooltip=list(rows)
    )
    ends = pd.DataFrame({"predicted": scale["domain"], "loss": scale["domain"]})
    line = alt.Chart(ends).mark_line(color=ROLES["null"]).encode(x="predicted:Q", y="loss:Q")
    return _finished(line + dots, "joint-law", f"{curve.law.formula}: {len(fitted.outliers)} runs off the law", rows)


def curves(results: Any, **others: Any) -> alt.TopLevelMixin:
    """Returns the losses of `Curves` over epochs or of `SequenceCurves` over steps, of one run or of several."""
    parts = []
    for name, one in _several(results, "run", others).items():
        table = one.to_frame()
        table["at"] = table.get("steps", pd.Series(np.arange(1, len(table) + 1)))
        kinds = [kind for kind in ("train_loss", "dev_loss") if kind in table]
        parts.append(table.melt(["at"], kinds, "kind", "loss").assign(run=name))
    rows = pd.concat(parts, ignore_index=True)
    title = "steps" if "dev_loss" in set(rows.kind) else "epochs"
    lines = (
        alt.Chart(rows)
        .mark_line(point=True)
        .encode(
            x=alt.X("at:Q", title=title),
            y=alt.Y("loss:Q", title="loss (nats)"),
            color=roles("kind", {k: v for k, v in LOSSES.items() if k in set(rows.kind)}),
            detail="run:N",
            tooltip=list(rows),
        )
    )
    return _finished(
        lines, "curves", f"The training loss ends at {rows.loss[rows.kind == 'train_loss'].iloc[-1]:.3g}", rows
    )


def path(found: Any) -> alt.TopLevelMixin:
    """Returns the errors on a `Path` between two networks, with their standard errors."""
    rows = found.to_frame().assign(low=lambda t: t.error - t.error_se, high=lambda t: t.error + t.error_se)
    base = alt.Chart(rows).encode(
        x=alt.X("share:Q", title="share of the stages from the bottom network", axis=alt.Axis(format="%")),
        tooltip=list(rows),
    )
    line = base.mark_line(color=ROLES["own"], point=True).encode(
        y=alt.Y("error:Q", title="test error", axis=alt.Axis(format="%"))
    )
    whiskers = _whiskers(base).encode(y="low:Q", y2="high:Q")
    return _finished(line + whiskers, "path", f"A barrier of {found.barrier:.1%} ({found.barrier_se:.1%})", rows)


def similarity(found: Any) -> alt.TopLevelMixin:
    """Returns the heat map of a `SimilarityMatrix`."""
    rows = found.to_frame()
    order = [list(found.value.index), list(found.value.columns)]
    chart = (
        alt.Chart(rows)
        .mark_rect()
        .encode(
            x=alt.X("layer_b:N", sort=order[1], title="layers of B"),
            y=alt.Y("layer_a:N", sort=order[0][::-1], title="layers of A"),
            color=alt.Color("cka:Q", scale=alt.Scale(scheme="viridis", domain=[0, 1], clamp=True), title="CKA"),
            tooltip=list(rows),
        )
    )
    top = rows.loc[rows.cka.idxmax()]
    title = f"CKA up to {top.cka:.2f}, of {top.layer_a} with {top.layer_b}"
    return _finished(chart, "similarity", title, rows)


def equivalence(found: Any) -> alt.TopLevelMixin:
    """Returns the difference of two exponents with its interval, over the band in which they count as the same."""
    row = found.to_frame().assign(below=-found.band)
    base = alt.Chart(row).encode(tooltip=list(row))
    shade = base.mark_bar(color=ROLES["null"], opacity=0.3, height=22).encode(
        x=alt.X("below:Q", title="difference of the exponents (shaded: the same)"), x2="band:Q"
    )
    whisker, dot = _whiskers(base).encode(x="low:Q", x2="high:Q"), _dots(base).encode(x="difference:Q")
    title = f"{found.verdict.capitalize()}: {found.difference:+.3f} [{found.low:.3f}, {found.high:.3f}]"
    return _finished(shade + whisker + dot, "equivalence", title, row)


def shared(found: Any) -> alt.TopLevelMixin:
    """Returns the curves of a `SharedExponent` with the fit that has one exponent for all."""
    runs, lines = [], []
    for name, (curve, _) in found._curves.items():
        sizes = np.exp(curve.x + curve.shift)
        runs.append(pd.DataFrame({"size": sizes, "loss": np.exp(curve.y), "curve": name}))
        grid = np.geomspace(sizes.min(), sizes.max(), 40)
        lines.append(pd.DataFrame({"size": grid, "loss": found.predict(name, grid), "curve": name}))
    rows, scale = pd.concat(runs, ignore_index=True), alt.Scale(type="log", zero=False, nice=False)
    place = {
        "x": alt.X("size:Q", scale=scale),
        "y": alt.Y("loss:Q", scale=scale),
        "color": alt.Color("curve:N", title=None, sort=None),
    }
    dots = alt.Chart(rows).mark_point(filled=True, size=50).encode(**place, tooltip=list(rows))
    fits = alt.Chart(pd.concat(lines, ignore_index=True)).mark_line().encode(**place)
    title = f"One exponent, {found.exponent:.3f} [{found.low:.3f}, {found.high:.3f}], p = {found.p_value:.2g}"
    return _finished(fits + dots, "shared-exponent", title, rows)


def sweep(found: Any, *, x: str | None = None, y: str | None = None, color: str | None = None) -> alt.TopLevelMixin:
    """Returns a column of a `Sweep`'s table against another, each cell a point and a line through their means.

    By default x is the first swept field and y the first metric. Raises: KeyError for a column that the table lacks.
    """
    done = found.table[found.table["status"] == "done"] if "status" in found.table else found.table
    columns = list(done)
    x = x or columns[0]
    later = columns[columns.index("seconds") + 1 :] if "seconds" in columns else columns
    y = y or next(c for c in later if c != x and pd.api.types.is_numeric_dtype(done[c]))
    rows = done[list(dict.fromkeys([x, y, *([color] if color else [])]))].reset_index(drop=True)
    numeric = pd.api.types.is_numeric_dtype(rows[x])
    base = alt.Chart(rows).encode(
        x=alt.X(f"{x}:{'Q' if numeric else 'N'}", scale=alt.Scale(zero=False) if numeric else alt.Undefined),
        y=alt.Y(f"{y}:Q", scale=alt.Scale(zero=False)),
        color=alt.Color(f"{color}:N") if color else alt.value(ROLES["own"]),
        tooltip=list(rows),
    )
    line = base.mark_line().encode(y=alt.Y(f"mean({y}):Q", title=y), tooltip=alt.Undefined)
    return _finished(line + base.mark_point(filled=True, size=50), "sweep", f"{y} by {x}", rows)


def numbers(found: Any) -> alt.TopLevelMixin:
    """Returns the numbers of any result, each field on a scale of its own: intervals as whiskers, of an array percentiles."""
    rows: list[dict[str, Any]] = []

    def walk(name: str, value: Any) -> None:
        if isinstance(value, Mapping) and {"value", "low", "high"} <= set(value):
            bounds = {k: value[k] for k in ("value", "low", "high")}
            rows.append({"field": "{} = {:.3g} [{:.3g}, {:.3g}]".format(name, *bounds.values()), **bounds})
        elif isinstance(value, Mapping):
            for key, inner in value.items():
                walk(f"{name}, {key}" if name else str(key), inner)
        else:
            entries = np.ravel(value)
            if entries.size and entries.dtype.kind in "biuf":
                shown = np.quantile(entries.astype(float), np.linspace(0, 1, min(entries.size, 101)), method="nearest")
                field = f"{name} = {shown[0]:.3g}" if entries.size == 1 else f"{name}, {entries.size:,} values"
                rows.extend({"field": field, "value": v, "low": v, "high": v} for v in shown)

    whole = found.to_dict()
    walk(type(found).__name__ if {"value", "low", "high"} <= set(whole) else "", whole)
    table = pd.DataFrame(rows)
    few = alt.Axis(tickCount=4, format=".3~g")
    across = alt.X("value:Q", title=None, axis=few, scale=alt.Scale(zero=False))
    base = alt.Chart(table).encode(x=across, tooltip=list(table))
    dots = base.mark_point(filled=True, size=50, color=ROLES["own"])
    whiskers = _whiskers(base).encode(x="low:Q", x2="high:Q")
    head = alt.Header(labelAngle=0, labelAlign="left", title=None)
    chart = (whiskers + dots).properties(width=WIDTH, height=18)
    chart = chart.facet(row=alt.Row("field:N", sort=list(dict.fromkeys(table.field)), header=head)).resolve_scale(
        x="independent"
    )
    title = f"{type(found).__name__}: {table.field.nunique()} fields"
    return finish(chart, name="numbers", title=title, description=f"{title}. {len(table)} rows.", rows=table)


def _rows(results: Mapping[str, Any], by: str, columns: Mapping[str, str]) -> pd.DataFrame:
    """Returns a row a result: its name, and its fields as columns, column -> field."""
    return pd.DataFrame(
        [{by: name} | {c: getattr(one, field) for c, field in columns.items()} for name, one in results.items()]
    )


def _dots(base: alt.Chart) -> alt.Chart:
    return base.mark_point(filled=True, size=70, color=ROLES["own"])


def _whiskers(base: alt.Chart) -> alt.Chart:
    return base.mark_rule(color=ROLES["own"], strokeWidth=2)


def _several(results: Any, name: str, others: Mapping[str, Any]) -> Mapping[str, Any]:
    return {**(results if isinstance(results, Mapping) else {name: results}), **others}


def _finished(chart: Any, name: str, title: str, rows: pd.DataFrame) -> alt.TopLevelMixin:
    height = {"gaps": 150, "calibration": 110, "agreement": 90, "equivalence": 60}.get(name, 260)
    described = f"{title}. {len(rows)} rows: {', '.join(map(str, rows.columns))}."
    return finish(
        chart.properties(width=WIDTH, height=height), name=name, title=title, description=described, rows=rows
    )
