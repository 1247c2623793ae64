"""Tables of records -> Altair charts, the same in the page, Jupyter and Colab. Never imports torch."""

from dlcore.charts.shared import DATASETS
from dlcore.charts.theme import setup
from dlcore.figures.synthesis import memorising_and_sampling, noise_in_four, what_similar_buys
from dlcore.studies.distributional.figures.agreement import agreement, kernel_path, knn_law, long_curves, training_time
from dlcore.studies.distributional.figures.calibration import (
    human_cells,
    human_noise,
    marginals,
    tv_against_epsilon,
    tv_by_size,
)
from dlcore.studies.distributional.figures.spectrum import joint_density, spectrum
from dlcore.studies.rationality.figures.certificates import bound_by_size, leverage, table_procedure
from dlcore.studies.rationality.figures.gaps import gap_decomposition, noise_sweep
from dlcore.studies.scaling.figures.comparisons import beside_counting, size_by_size
from dlcore.studies.scaling.figures.exponents import exponent_constants, extrapolation, published_points
from dlcore.studies.scaling.figures.learning_curves import learning_curves, marginal_value_of_data
from dlcore.studies.scaling.figures.size import data_and_size
from dlcore.studies.stitching.figures.path import barrier_by_width, freeze_training, stitching_path
from dlcore.studies.stitching.figures.penalty import (
    cross_stage,
    more_is_better,
    penalty_by_depth,
    similarity_against_penalty,
)

__all__ = [
    "DATASETS",
    "agreement",
    "barrier_by_width",
    "beside_counting",
    "bound_by_size",
    "cross_stage",
    "data_and_size",
    "exponent_constants",
    "extrapolation",
    "freeze_training",
    "gap_decomposition",
    "human_cells",
    "human_noise",
    "joint_density",
    "kernel_path",
    "knn_law",
    "learning_curves",
    "leverage",
    "long_curves",
    "marginal_value_of_data",
    "marginals",
    "memorising_and_sampling",
    "more_is_better",
    "noise_in_four",
    "noise_sweep",
    "penalty_by_depth",
    "published_points",
    "setup",
    "similarity_against_penalty",
    "size_by_size",
    "spectrum",
    "stitching_path",
    "table_procedure",
    "training_time",
    "tv_against_epsilon",
    "tv_by_size",
    "what_similar_buys",
]
