"""The landing page: the verdicts as a bar, one figure that answers, a card for each chapter. All from the records."""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from typing import NamedTuple

import ledger as ledger_page
import numpy as np
import pandas as pd

from dlcore import claims as ledger
from dlcore import studies
from dlcore.claims import pages
from dlcore.records import PACKAGED, RecordStore
from dlcore.studies.scaling.table import setting_of
from dlcore.studies.stitching.table import by_stage

START = 0.4  # the noise rate that the figure begins with


class Card(NamedTuple):
    """A chapter's question, and a claim that held and one that did not, each in a sentence with the name of its row."""

    question: str
    held: tuple[str, str]
    failed: tuple[str, str]


CARDS = {
    1: Card(
        "Why does learning without labels generalize?",
        (
            "A linear classifier on such features ignores most wrong labels; a network trained end to end learns them all.",
            "separation-cifar10",
        ),
        (
            "Whatever the linear classifier, accuracy hardly falls under label noise: with logistic regression it does.",
            "flat-digits-logistic",
        ),
    ),
    2: Card(
        "Do different networks learn the same thing?",
        ("The lower layers of a network that saw more data improve one that saw less.", "stitching-more-data"),
        (
            "A network that never saw a label fits one that did: between small convnets it does not.",
            "stitching-self-supervised",
        ),
    ),
    3: Card(
        "Do classifiers sample from what they were taught?",
        ("Two networks trained apart agree as often as each is right.", "agreement-networks"),
        (
            "Outputs stay as close to the training labels' law as the conjecture says: at some sizes they do not.",
            "tv-below-epsilon",
        ),
    ),
    4: Card(
        "What is more data worth?",
        ("The thesis's law predicts the loss at twice the data to within 1.5 %.", "published-512m-bansal"),
        ("One exponent fits all architectures: on the published curves it does not.", "published-shared-p"),
    ),
}


class Line(NamedTuple):
    """One line of a small picture: points, the role that gives its colour, and what it is."""

    x: Sequence[float]
    y: Sequence[float]
    role: str
    name: str


def noise_table() -> pd.DataFrame:
    """Returns, by noise rate, what 100 mislabelled digits come back as and how many new ones are right, over seeds.

    Columns start with `end` (a network trained end to end) or `probe` (a linear classifier on SimCLR features). `taught`:
    the wrong label that was taught; `true`: the right one. A point whose label was not flipped cannot be wrong by noise, so
    that the accuracy on noisy labels is (1 - rate) x accuracy of those + rate x share that was taught.
    """
    t = studies.table("rationality", RecordStore(PACKAGED).table("rationality"))
    t = t[t.usual & (t.dataset == "digits") & (t.experiment == "gaps")]
    which = {"end": t.objective == "supervised", "probe": (t.objective == "simclr") & (t.probe == "ridge")}
    columns = {}
    for name, rows in which.items():
        rows = t[rows]
        right = rows.train_noisy - rows.flip_rate * rows.noisy_train
        shares = rows.assign(taught=(rows.train_on_noisy_labels - right) / rows.flip_rate, true=rows.noisy_train)
        means = shares.groupby("noise")[["taught", "true", "test_after_noise"]].mean()
        columns |= {f"{name}_{k}": v for k, v in means.rename(columns={"test_after_noise": "test"}).items()}
    return pd.DataFrame(columns).dropna()


def bar(rows: list[ledger.Claim]) -> str:
    """Returns a bar of verdicts for each chapter, each part a link to its rows of the ledger."""
    most = max(sum(pages.counts([c for c in rows if c.chapter == n]).values()) for n in ledger.STUDIES)
    parts, key = [], []
    for number, title in zip(ledger.STUDIES, pages.TITLES, strict=True):
        counts = pages.counts([c for c in rows if c.chapter == number])
        cells = "".join(
            f"<a href='claims.html#chapter={number}&amp;verdict={html.escape(v.replace(' ', '+'))}' style='flex:{n};background:{pages.LOOKS[v].colour}'"
            f" aria-label='{n} {v}, chapter {number}' title='{n} {v}'>{n}</a>"
            for v, n in counts.items()
            if n
        )
        space = most - sum(counts.values())
        parts.append(
            f"<li><a class='chapter' href='../notebooks/{ledger_page.chapter(number)}.html'>{number} {title}</a>"
            f"<span class='parts'>{cells}{f'<i style=flex:{space}></i>' if space else ''}</span></li>"
        )
    for v, n in pages.counts(rows).items():
        if n:
            key.append(
                f"<li><a href='claims.html#verdict={v.replace(' ', '+')}'><i style='background:{pages.LOOKS[v].colour}'></i>{n} {v}</a></li>"
            )
    return f"<ul class='verdicts'>{''.join(parts)}</ul><ul class='key'>{''.join(key)}</ul>"


def _squares(name: str, title: str, taught: int, true: int) -> str:
    kinds = ["taught"] * taught + ["true"] * true + ["other"] * (100 - taught - true)
    cells = "".join(f"<i class='{kind}'></i>" for kind in kinds)
    return f"<figure data-name='{name}'><div class='hundred' aria-hidden='true'>{cells}</div><figcaption>{title}</figcaption></figure>"


def sentence(row: dict[str, int]) -> str:
    """Returns what the figure shows at one noise rate; landing.js fills the same words with the same numbers."""
    told = {k: f"<b data-of='{k}'>{v}</b>" for k, v in row.items()}
    return (
        f"With {told['noise']} % wrong labels in training, the network trained end to end repeats {told['end_taught']} of 100 wrong "
        f"labels and is right about {told['end_test']} of 100 new digits. The linear classifier on features that never saw a label repeats "
        f"{told['probe_taught']}, and is right about {told['probe_test']}."
    )


def figure() -> str:
    """Returns the figure: a slider over the recorded noise rates, a hundred squares for each way to learn, a sentence."""
    table = (noise_table() * 100).round().astype(int)
    for name in ("end", "probe"):  # two roundings may make 101 of 100
        table[f"{name}_true"] = np.minimum(table[f"{name}_true"], 100 - table[f"{name}_taught"])
    states = [
        {"noise": round(rate * 100), **row} for rate, row in zip(table.index, table.to_dict("records"), strict=True)
    ]
    at = int(np.argmin(np.abs(table.index - START)))
    now = states[at]
    return (
        "<section class='try' aria-labelledby='try-title'><h2 id='try-title'>Teach a machine wrong labels</h2>"
        "<p class='ask'>Some handwritten digits get a wrong label before training. Of 100 that did, how many come back with that label?</p>"
        f"<label class='slide' hidden>wrong labels <input type='range' min='0' max='{len(states) - 1}' value='{at}' aria-valuetext='{now['noise']} %'>"
        f" <output>{now['noise']} %</output></label>"
        "<div class='pair'>"
        + _squares("end", "a network trained end to end", now["end_taught"], now["end_true"])
        + _squares("probe", "a linear classifier on SimCLR features", now["probe_taught"], now["probe_true"])
        + "</div><p class='legend'><i class='taught'></i> the wrong label it was taught <i class='true'></i> the true label <i class='other'></i> a third label</p>"
        f"<p class='says' aria-live='polite'>{sentence(now)}</p>"
        f"<p class='more'>Means over recorded runs on scikit-learn's digits. <a href='../notebooks/{ledger_page.chapter(1)}.html'>Chapter 1</a> has"
        " the images, other networks and the intervals.</p>"
        f"<script type='application/json'>{json.dumps(states, separators=(',', ':'))}</script></section>"
    )


def picture(lines: Sequence[Line], text: str, log: bool = False) -> str:
    """Returns a small chart of a few labelled lines, in the colours of their roles."""
    scaled = np.log10 if log else np.asarray
    xs, ys = (
        [scaled(np.asarray(values, float)) for values in found]
        for found in zip(*((n.x, n.y) for n in lines), strict=True)
    )
    left, right, low, high = min(map(np.min, xs)), max(map(np.max, xs)), min(map(np.min, ys)), max(map(np.max, ys))
    parts, below = [], -9.0
    # from the top down, so that a label can make room for the one above it
    for line, x, y in sorted(zip(lines, xs, ys, strict=True), key=lambda part: -np.mean(part[2])):
        px, py = 8 + (x - left) / (right - left) * 150, 96 - (y - low) / (high - low) * 84
        points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(px, py, strict=True))
        below = max(py[-1] + 4, below + 15)
        parts.append(f"<polyline class='{line.role}' points='{points}'/>")
        parts.append(f"<circle class='{line.role}' cx='168' cy='{below - 4:.1f}' r='4'/>")
        parts.append(f"<text x='177' y='{below:.1f}'>{line.name}</text>")
    return f"<svg viewBox='0 0 290 120' role='img' aria-label='{html.escape(text, quote=True)}'>{''.join(parts)}</svg>"


def pictures() -> dict[int, str]:
    """Returns a small chart of each chapter's main finding."""
    store = RecordStore(PACKAGED)
    noise = noise_table()
    found = {
        1: picture(
            [
                Line(noise.index, noise.probe_test, "sampler", "on features"),
                Line(noise.index, noise.end_test, "test", "end to end"),
            ],
            "Accuracy on new digits against the share of wrong labels, end to end and on SimCLR features",
        )
    }
    records = {r.key: r for r in store.records("stitching")}
    stages = by_stage(
        studies.table("stitching", store.table("stitching"), records=records), {k: r.curves for k, r in records.items()}
    )
    usual = (stages.dataset == "mnist1d") & (stages.architecture == "convnet") & (stages.contrast == "seeds")
    usual &= stages.paper_map & (stages.stitcher_data == "top")
    depth = stages[usual].groupby("depth")[["penalty", "random_penalty"]].mean()
    found[2] = picture(
        [
            Line(depth.index, depth.random_penalty, "null", "untrained"),
            Line(depth.index, depth.penalty, "chosen", "another seed"),
        ],
        "Test error added by the first layers of another network, over depth: near zero when trained, growing when untrained",
    )
    t = studies.table("distributional", store.table("distributional"))
    t = t[t.usual & (t.experiment == "cyclic") & (t.dataset == "digits")]
    rate = t[t.architecture == "knn"].groupby(["neighbours", "noise"]).flip_rate_test.mean().unstack()
    found[3] = picture(
        [
            Line(rate.columns, rate.loc[15], "bayes", "15 neighbours"),
            Line(rate.columns, rate.loc[1], "sampler", "one neighbour"),
        ],
        "Rate of the noise's label on new digits against its rate in training: the diagonal for one neighbour, a step for 15",
    )
    t = studies.table("scaling", store.table("scaling"))
    t = t[t.curve == "transduction"]
    loss = t.groupby(["setting", "pairs"]).loss.mean().unstack(0)
    settings = {
        setting_of(t, noise_kind="back_translation", reverse_pairs=1024, reverse_width=64): ("null", "back-translated"),
        setting_of(t, noise_kind="target", noise=0.4): ("train", "40 % noise"),
        setting_of(t): ("test", "clean"),
    }
    found[4] = picture(
        [Line((own := loss[name].dropna()).index, own, role, word) for name, (role, word) in settings.items()],
        "Loss against the number of sentence pairs, on logarithmic axes: clean, noisy and translated back",
        log=True,
    )
    return found


def cards(rows: list[ledger.Claim]) -> str:
    """Returns a card for each chapter: its question, a picture, what held and what did not, with the ledger's verdicts."""
    known, drawn, parts = {c.id: c for c in rows}, pictures(), []
    for number, card in CARDS.items():
        told = "".join(
            f"<p><a href='claims.html#{name}'>{pages.LOOKS[known[name].verdict].mark} {known[name].verdict}</a> {text}</p>"
            for text, name in (card.held, card.failed)
        )
        parts.append(
            f"<article><h2><a href='../notebooks/{ledger_page.chapter(number)}.html'>{card.question}</a></h2>{drawn[number]}{told}</article>"
        )
    return f"<div class='cards'>{''.join(parts)}</div>"


def ways(url: str | None) -> str:
    """Returns the three ways to use the book, in a row; Colab where `url` is a repository whose notebooks it can open."""
    first = ledger_page.chapter(1)
    colab = ""
    if url:
        name = "/".join(url.split("/")[-2:])
        colab = f"<a href='https://colab.research.google.com/github/{name}/blob/main/notebooks/plain/{first}.ipynb'>Open it in Colab</a>, or "
    return (
        "<div class='ways'>"
        f"<div><h2>Read</h2><p><a href='../notebooks/{first}.html'>Begin with chapter 1</a>. Static pages: no kernel, no network; figures answer to mouse, finger and keyboard.</p></div>"
        f"<div><h2>Run</h2><p>{colab}make one run of your own:</p><pre tabindex='0'>python -m dlcore run rationality dataset=digits noise=0.4</pre></div>"
        "<div><h2>Sweep</h2><p>A grid, on your cores or a cluster; <a href='using.html'>more</a>, also with <a href='own.html'>your own models</a>:</p>"
        "<pre tabindex='0'>python -m dlcore sweep rationality --grid noise=0:0.8:0.2 --seeds 3</pre></div></div>"
    )


def page(rows: list[ledger.Claim], url: str | None) -> str:
    """Returns the page's HTML, for the mark in index.md."""
    parts = (bar(rows), figure(), cards(rows), ways(url))
    return f"<link rel='stylesheet' href='../_static/landing.css'><div class='landing'>{''.join(parts)}</div><script defer src='../_static/landing.js'></script>"
