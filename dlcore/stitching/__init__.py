"""Model stitching: the first layers of one network, a simple trained map, the last layers of another.

halves      any `nn.Module` cut at a named stage, with a check that nothing goes around the cut
layouts     shapes of activations (flat, channels first, tokens) and how one is brought into another's
families    the maps: closed forms from second moments, and trained ones with their initialisations
options     how to stitch, beyond the family
subject     a network under study, its activations and errors; the data, checked
fitting     one stitch: fit, penalty
together    several maps below one stage of a top, trained at once
curves      controls (self-stitch, random bottom) and penalties over all stages
search      one stitch from several starts, with more steps while that gains, up to a limit
cached      controls kept on disk for pairs with one top
path        stitching connectivity: from one network to the other, stage by stage
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dlcore import lazy

if TYPE_CHECKING:
    from dlcore.stitching.curves import StagePenalty, penalty_curve, random_bottom
    from dlcore.stitching.fitting import Stitch, stitch
    from dlcore.stitching.halves import activations, stage_names
    from dlcore.stitching.options import StitchOptions
    from dlcore.stitching.path import Path, connectivity
    from dlcore.stitching.search import Search
    from dlcore.stitching.subject import StitchData

__all__ = [
    "CLOSED",
    "FAMILIES",
    "INITIALISATIONS",
    "TRAINED",
    "Path",
    "Search",
    "StagePenalty",
    "Stitch",
    "StitchData",
    "StitchOptions",
    "activations",
    "connectivity",
    "penalty_curve",
    "random_bottom",
    "stage_names",
    "stitch",
]
CLOSED = ("identity", "permutation", "orthogonal", "least_squares", "low_rank")
TRAINED = ("conv1x1", "linear", "token_linear")
FAMILIES = (*CLOSED, *TRAINED)
INITIALISATIONS = ("random", "identity", "least_squares")

__getattr__ = lazy.attributes(
    __name__,
    {
        "curves": ("StagePenalty", "penalty_curve", "random_bottom"),
        "fitting": ("Stitch", "stitch"),
        "halves": ("activations", "stage_names"),
        "options": ("StitchOptions",),
        "path": ("Path", "connectivity"),
        "search": ("Search",),
        "subject": ("StitchData",),
    },
)
