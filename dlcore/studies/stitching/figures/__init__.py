"""The charts of chapter 2; never import torch."""

from dlcore.studies.stitching.figures.path import barrier_by_width, freeze_training, stitching_path
from dlcore.studies.stitching.figures.penalty import (
    cross_stage,
    more_is_better,
    penalty_by_depth,
    similarity_against_penalty,
)

# the figure of the page that shows what a claim is about: the first pattern that fits the claim's name
CLAIMS = {
    r"stitching-path": "stitching-path",
    r"stitching-width": "stitching-width",
    r"stitching-cka|population": "stitching-similarity",
    r"stitching-freeze": "freeze-training",
    r"stitching-late": "stitching-cross-stage",
    r"stitching-(more-data|less-data|confound|time)": "stitching-more-data",
    r"stitching": "stitching-penalty",
}
