"""Numbers as the sentences of charts have them."""

from __future__ import annotations

import pandas as pd


def percent(rate: float) -> str:
    """Returns a rate in per cent, as sentences have it.

    >>> percent(0.3)
    '30 %'
    """
    return f"{100 * rate:.0f} %"


def in_points(value: float) -> str:
    """Returns a fraction in points, with two digits.

    >>> in_points(0.0123), in_points(0.42), in_points(1)
    ('1.2', '42', '100')
    """
    return f"{100 * value:.1f}" if abs(value) < 0.0995 else f"{100 * value:.0f}"


def order(one: pd.Series, two: pd.Series, together: str, apart: str) -> str:
    """Returns which of two sentences the rank correlation of two columns bears out, from a half on the first, with its value.

    >>> one = pd.Series([1, 2, 3, 4])
    >>> order(one, one**2, "they rise together", "they do not"), order(one, -one, "they rise together", "they do not")
    ('they rise together (rank correlation 1.00, 4 runs)', 'they do not (rank correlation -1.00, 4 runs)')
    """
    found = one.corr(two, method="spearman")
    return f"{together if found >= 0.5 else apart} (rank correlation {found:.2f}, {len(one)} runs)"
