"""What the ledger measures of chapter 2, on the table of `dlcore.tables.stitching`."""

from __future__ import annotations

from dlcore.claims.measures import MEASURES, Measured, Table, mean, measure


def _rows(t: Table, pair: str = "two seeds", usual: bool = True, **where) -> Table:
    t = t[(t.pair == pair) & (t.dataset == "mnist1d")]
    for name, value in where.items():
        t = t[t[name] == value]
    return t[t.usual] if usual else t


def _share(architecture: str):
    def measured(t: Table) -> Measured | None:
        rows = _rows(t, architecture=architecture)
        return mean(rows.excess_mid / rows.random_excess_mid)

    return measured


MEASURES["stitching-connectivity-convnet"] = _share("convnet")
MEASURES["stitching-connectivity-mlp"] = _share("mlp")


@measure("stitching-excess")
def _(t):
    return mean(_rows(t).excess_mid)


@measure("stitching-random")
def _(t):
    return mean(_rows(t).random_excess_last)


@measure("stitching-halves")
def _(t):
    return mean(_rows(t, "disjoint halves", architecture="mlp").excess_mid)


@measure("stitching-more-data")
def _(t):
    return mean(_rows(t, "bottom all data, top a quarter", architecture="mlp").excess_last)


@measure("stitching-less-data")
def _(t):
    return mean(_rows(t, "bottom 5 % of the data, top a quarter", architecture="mlp").excess_last)


@measure("stitching-confound")
def _(t):
    rows = t[(t.dataset == "mnist1d") & (t.architecture == "mlp") & (t.stitcher_data == "all") & (t.top_share == 0.25)]
    # the self-stitch of one top is the same beside every bottom
    return mean((rows.penalty_last - rows.excess_last).groupby(rows.seed).first())


@measure("stitching-random-labels")
def _(t):
    return mean(_rows(t, "100 % random labels", architecture="mlp").excess_mid)


@measure("stitching-noisy-labels")
def _(t):
    rows = _rows(t, "50 % random labels", architecture="mlp")
    return mean(rows.excess_last - rows.excess_first)


@measure("stitching-identity")
def _(t):
    return mean(_rows(t, usual=False, architecture="mlp", family="identity").penalty_mid)
