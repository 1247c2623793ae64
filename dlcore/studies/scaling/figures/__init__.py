"""The charts of chapter 4; never import torch."""

from dlcore.studies.scaling.figures.comparisons import beside_counting, size_by_size
from dlcore.studies.scaling.figures.exponents import exponent_constants, extrapolation, published_points
from dlcore.studies.scaling.figures.learning_curves import learning_curves, marginal_value_of_data
from dlcore.studies.scaling.figures.size import data_and_size

# the figure of the page that shows what a claim is about: the first pattern that fits the claim's name
CLAIMS = {
    r"published-512m|published-early": "extrapolation",
    r"published": "published-points",
    r"size-": "data-and-size",
    r"reference|excess-exponent-wide|counting-difference": "beside-counting",
    r"largest-size|knee-moves|fitted-floor|excess-exponent|filter|longer": "learning-curves",
    r"back-translation": "learning-curves",
    r"tatoeba": "size-by-size",
    r"noise-|source|misaligned|architecture|width": "exponents-constants",
}
