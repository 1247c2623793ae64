"""The ledger of claims: what the thesis says, what our records say, and the verdict that follows from the interval.

`shipped()` returns its rows, `evaluate()` measures them anew. A row has a `kind` (claim, identity, exploratory), a `verdict`, and a `timing`: whether its
region was committed before the first of its records was made (`history.py`). `multiplicity.py` says how many verdicts
chance alone would spoil, and what is left of the headlines' after Holm's correction.

Text and regions are in `studies/*/claims.yml`, measures in the claims.py beside each. `accept` is the region [low, high] that
counts as the claim; `headline` marks what a chapter stands for, chosen by what the thesis claims and not by the verdict;
`kind`: claim unless said otherwise, identity holds by proof, so that its row tests the code, exploratory was looked for in
runs that had been seen; `post_hoc`: the row, or what it measures, was chosen after its runs had been seen. When each region was
committed, and the first of its records made, is in history.json: after a commit of regions or of records, run
`python -m dlcore claims --history`.

Corrected after the runs, values as before: intervals of largest values are simultaneous over their cells; those of agreement
count seeds, not cells; rank correlations end at -1 and 1; laws of chapter 4 are fitted to one mean a size, all arms by one
method, so that intervals carry the misfit of the law (before, curves with several seeds resampled seeds, which leaves it out).
"""

from dlcore.claims.ledger import (
    KINDS,
    STUDIES,
    TIMINGS,
    VERDICTS,
    Claim,
    evaluate,
    headlines_corrected,
    multiplicity_statement,
    runs,
    sceptics_html,
    shipped,
    write_history,
)
from dlcore.claims.pages import ledger_html, ledger_json, ledger_markdown, told, words
from dlcore.measures import MEASURES, Measured, two_digits

__all__ = [
    "KINDS",
    "MEASURES",
    "STUDIES",
    "TIMINGS",
    "VERDICTS",
    "Claim",
    "Measured",
    "evaluate",
    "headlines_corrected",
    "ledger_html",
    "ledger_json",
    "ledger_markdown",
    "multiplicity_statement",
    "runs",
    "sceptics_html",
    "shipped",
    "told",
    "two_digits",
    "words",
    "write_history",
]
