"""Derived columns and summaries of the tidy table of records; never imports torch.

Which rows count as findings, and means over seeds, are in `findings`; chapter 1's tables in `gaps`, chapter 2's in `pairs`,
chapter 3's in `partitions`, chapter 4's in `learning_curves`, `side_by_side`, `data_and_size` and `readings`; display
names in `names`.
"""

from __future__ import annotations

from dlcore.tables.data_and_size import against_usual, joint_fit, widest_predicted, widths
from dlcore.tables.findings import FINDINGS, over_seeds
from dlcore.tables.gaps import beside_the_paper, by_size, probes, rationality, slopes_in_n
from dlcore.tables.learning_curves import (
    LAWS,
    PUBLISHED,
    CurveFit,
    architecture_name,
    fits_table,
    holdouts,
    noise_name,
    paired,
    published_scaling,
    scaling,
    scaling_fits,
)
from dlcore.tables.names import PROBES, family, method, rate_name
from dlcore.tables.pairs import has_usual_width, order_table, pair, rank_correlations, stages, stitching
from dlcore.tables.partitions import USUAL_BANDWIDTH, distributional
from dlcore.tables.readings import (
    all_pairs,
    back_translation,
    filtering,
    held_out_laws,
    kept_steps,
    last_steps,
    translation_quality,
    translations,
)
from dlcore.tables.side_by_side import beside_counting, counting_ratios, exponents_under_noise, ratios, size_by_size

__all__ = [
    "FINDINGS",
    "LAWS",
    "PROBES",
    "PUBLISHED",
    "USUAL_BANDWIDTH",
    "CurveFit",
    "against_usual",
    "all_pairs",
    "architecture_name",
    "back_translation",
    "beside_counting",
    "beside_the_paper",
    "by_size",
    "counting_ratios",
    "distributional",
    "exponents_under_noise",
    "family",
    "filtering",
    "fits_table",
    "has_usual_width",
    "held_out_laws",
    "holdouts",
    "joint_fit",
    "kept_steps",
    "last_steps",
    "method",
    "noise_name",
    "order_table",
    "over_seeds",
    "pair",
    "paired",
    "probes",
    "published_scaling",
    "rank_correlations",
    "rate_name",
    "rationality",
    "ratios",
    "scaling",
    "scaling_fits",
    "size_by_size",
    "slopes_in_n",
    "stages",
    "stitching",
    "translation_quality",
    "translations",
    "widest_predicted",
    "widths",
]
