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
}
