"""The charts of chapter 3; never import torch."""

from dlcore.studies.distributional.figures.agreement import agreement, kernel_path, knn_law, long_curves, training_time
from dlcore.studies.distributional.figures.calibration import (
    human_cells,
    human_noise,
    marginals,
    tv_against_epsilon,
    tv_by_size,
)
from dlcore.studies.distributional.figures.spectrum import joint_density, spectrum

# the figure of the page that shows what a claim is about: the first pattern that fits the claim's name
CLAIMS = {
    r"nn-is|convnet-between|mlp-noise": "spectrum",
    r"knn": "knn-law",
    r"cats|other-animals|mlp-(does|slope)|digits-sub|fashion-sub|ten-classes": "joint-density",
    r"tv-below": "tv-by-size",
    r"laplace|gaussian|forest": "tv-against-epsilon",
    r"constant": "marginals",
    r"agreement": "agreement",
    r"kernel-path": "kernel-path",
    r"training-time": "training-time",
    r"human": "human-noise",
}
