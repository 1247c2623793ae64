"""A stitch is an infimum over maps: several starts, and more steps for as long as they help, chosen on validation samples."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field

import torch

from dlcore.results import Result
from dlcore.stitching.fitting import Stitch, stitch_subjects
from dlcore.stitching.options import StitchOptions
from dlcore.stitching.subject import StitchData, Subject, evaluated

STARTS = ("least_squares", "random")


class Trial(Result):
    """One map that was trained: from where, for how many steps, and its error on the validation samples, a fraction."""

    start: str
    steps: int
    error: float


@dataclass
class Search:
    """Stitches from both starts, and goes on from the better one with more steps while these gain, up to the largest number.

    Call it as `stitch_subjects`, or give it to `penalty_curve` as `fit`. Every trial is a run of its own with the whole
    schedule; the one with the smallest validation error is returned: an upper bound of the infimum, the more so where the search
    ended at its largest number of steps (`chosen` says so). Neither network nor map may have seen the
    validation samples, and they must not be the test samples, or the smallest of several errors would flatter the map.

    validation: inputs and labels. steps: numbers of steps of the map, in increasing order. gain: the decrease of the
    validation error, a fraction, for which the next number is tried; an untrained bottom gets the first two only. tried: what
    was run, by (role of the bottom, its stage, the top's stage).

    Raises: ValueError, when called, for a family that is not trained.
    """

    validation: tuple[torch.Tensor, torch.Tensor]
    steps: tuple[int, ...] = (1000, 4000, 16000)
    gain: float = 0.0025
    tried: dict[tuple[str, str, str], list[Trial]] = field(default_factory=dict)

    def __call__(
        self, bottom: Subject, top: Subject, low: str, high: str, family: str, data: StitchData, options: StitchOptions
    ) -> Stitch:
        """Returns the best stitch of the trials."""
        trials = self.tried[bottom.role, low, high] = []
        stitches: list[Stitch] = []

        def run(start: str, steps: int) -> None:
            epochs = max(1, round(steps / math.ceil(len(data.train_inputs) / options.training.batch_size)))
            how = dataclasses.replace(
                options, init=start, training=dataclasses.replace(options.training, epochs=epochs)
            )
            found = stitch_subjects(bottom, top, low, high, family, data, how)
            wrong, _ = evaluated(found.model, *self.validation, bottom.where, "the stitched network")
            trials.append(Trial(start, steps, float(wrong.mean())))
            # only the best is needed: the others' networks are let go
            best = trials[-1] == min(trials, key=lambda t: t.error)
            stitches.append(found if best else dataclasses.replace(found, model=None))

        for start in STARTS:
            run(start, self.steps[0])
        start = min(trials, key=lambda t: t.error).start
        for steps in self.steps[1:2] if bottom.role == "the random bottom" else self.steps[1:]:
            before = min(t.error for t in trials)
            run(start, steps)
            if trials[-1].error > before - self.gain:
                break
        best = min(range(len(trials)), key=lambda i: trials[i].error)
        return stitches[best]

    def chosen(self, role: str, low: str, high: str) -> Trial:
        """Returns the trial that was returned for a stitch."""
        return min(self.tried[role, low, high], key=lambda t: t.error)
