"""What the metrics of chapter 2 mean, for `dlcore.columns` and the page of all columns."""

_PLACES = {"first": "at the first stage", "mid": "at the middle stage", "last": "at the last stage"}
_KINDS = {
    "penalty": "error of the stitch - error of the top",
    "excess": "penalty - that of the top stitched to itself",
    "random_excess": "excess of an untrained bottom",
}
METRICS = {
    **{f"{kind}_{place}": f"{what}, {where}" for kind, what in _KINDS.items() for place, where in _PLACES.items()},
    "excess_max": "largest excess over all stages",
    "top_error": "test error of the top network",
    "bottom_error": "test error of the bottom network",
    "flip_rate": "of a population: share of the bottom's training labels that the noise changed",
    "bottom_train_error": "of a population: error of the bottom on its own training labels",
    "train_noisy": "of a population: accuracy of the bottom on all its training points, clean labels",
    "noisy_train": "of a population: the same on the points whose label was changed",
    "memorization": "train_noisy - noisy_train, signed",
    "fitted_wrong": "of a population: share of the bottom's training points whose changed label it predicts",
    "agreement": "of a population: share of test points on which the bottom and its twin agree",
    "accuracy_noisy": "of a population: their mean accuracy on equally noisy test labels, expected",
}
# what `studies.table` adds; those from "barrier" on need records=
DERIVED = {
    "contrast": "in what the bottom differs from the top, a code to select by",
    "pair": "the same, in words",
    "map": "the map between the two networks, in words",
    "paper_map": "whether that is the paper's: 1 x 1, trained from a random start, BatchNorm recalibrated",
    "usual": "paper_map, trained on the top's own samples, similarities without shuffles",
    "usual_width": "whether the top has the width of the main comparison",
    "memorized_share": "of a population: memorization / that of an interpolator, 1 - flip_rate",
    "sampler_share": "of a population: test accuracy that the noise costs / what it costs a sampler of the noisy labels",
    "barrier": "largest test error of the stitched networks over all stages - that of the worse of the two networks",
    "linear_cka_mid": "linear CKA at the middle stage, 0 to 1",
    "cka_order": "Spearman's correlation of linear CKA with excess over the stages, -1 to 1",
    "excess_half": "excess at half of the depth",
    "self_penalty_max": "largest penalty of the top stitched to itself, over all stages",
    "cka_null": "largest 95 % quantile of linear CKA for shuffled inputs, over all stages",
    "late_into_early_task": "penalty of the bottom's last stage in the top's first, map trained",
    "late_into_early_least_squares": "the same, map by least squares",
    "freeze_error": "test error retrained above the bottom's layers, frozen to the deepest stage of at most 2 points of excess",
}
