"""Tables of records -> Altair charts, the same in the page, Jupyter and Colab. Never imports torch."""

from dlcore.figures.beyond import agreement, kernel_path, knn_law, long_curves, training_time
from dlcore.figures.calibration import human_cells, human_noise, marginals, tv_against_epsilon, tv_by_size
from dlcore.figures.certificates import bound_by_size, leverage, table_procedure
from dlcore.figures.data_and_size import data_and_size
from dlcore.figures.rationality import gap_decomposition, noise_sweep
from dlcore.figures.scaling import learning_curves, marginal_value_of_data
from dlcore.figures.scaling_direct import beside_counting, size_by_size
from dlcore.figures.scaling_exponents import exponent_constants, extrapolation, published_points
from dlcore.figures.shared import DATASETS
from dlcore.figures.spectrum import joint_density, spectrum
from dlcore.figures.stitching import cross_stage, more_is_better, penalty_by_depth, similarity_against_penalty
from dlcore.figures.stitching_path import barrier_by_width, freeze_training, stitching_path
from dlcore.figures.theme import setup

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
    "more_is_better",
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
]
