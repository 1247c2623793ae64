"""The recorded runs of chapter 4, in named groups, the most informative first; the last group needs a GPU."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any

from dlcore.studies.scaling.config import ARCHITECTURES, Config, budget, steps_of
from dlcore.studies.shared import product

SIZES = tuple(2**k for k in range(7, 16))
TEXT_SIZES = tuple(2**k for k in range(9, 17))
_run = functools.partial(product, Config, preset="laptop")


def _seeds(pairs: int) -> range:
    """Returns three seeds below 2,048 pairs, where one run says little."""
    return range(3 if pairs < 2048 else 1)


def _make(sizes: Iterable[int], **fields: Any) -> list[Config]:
    """Returns a run for every size and seed, one combination of fields after the other."""
    return [c for own in product(dict, **fields) for n in sizes for c in _run(pairs=n, seed=_seeds(n), **own)]


def _large(**fields: Any) -> list[Config]:
    """Returns the runs at width 512, up to a million pairs, the small ones first; see `studies.scaling.budget`."""
    found = []
    for n in (2**k for k in range(10, 21, 2)):
        own = {**budget("gpu", n)._asdict(), **fields}
        found += product(Config.from_parameters, preset="gpu", pairs=n, seed=_seeds(n), **own)
    return found


def recorded() -> dict[str, list[Config]]:
    """Returns the groups of recorded runs: name -> configurations."""
    groups: dict[str, list[Config]] = {"clean": _make(SIZES)}
    groups["target-noise"] = _make(SIZES, noise=(0.4, 0.2, 0.1))
    groups["architectures"] = _make(SIZES, architecture=[name for name in ARCHITECTURES if name != "2L2L"])
    groups["other-noise"] = _make(SIZES, noise_kind=("source_unigram", "source_uniform", "misaligned"), noise=0.2)
    groups["back-translation"] = [
        c
        for pairs, width in ((1024, 64), (4096, 64), (1024, 32))
        for c in _make(SIZES, noise_kind="back_translation", reverse_pairs=pairs, reverse_width=width)
    ]
    groups["width"] = _make(SIZES, width=128)
    # below 1,024 pairs the grammar is being learnt
    groups["narrow"] = _make(SIZES[3:], width=(16, 32))
    # what `studies.scaling.budget.rate_of` was chosen by
    groups["tuning"] = [
        *_run(pairs=2048, width=(16, 32), learning_rate=(0.006, 0.012, 0.024)),
        *_run(pairs=2048, width=64, learning_rate=(0.0015, 0.003, 0.006)),
    ]
    # what the learning rate of 64 units would have made of them, and what 128 units would make of theirs
    groups["other-rates"] = [
        *_make(SIZES, width=(16, 32), learning_rate=3e-3),
        *_run(pairs=(2048, 4096, 16384), width=128, learning_rate=1.5e-3),
    ]
    misaligned = {"noise": 0.2, "noise_kind": "misaligned"}
    groups["filter"] = [
        *_make(SIZES[3:], filter_pairs=1024, **misaligned),
        *_run(pairs=SIZES[-1], seed=(1, 2), filter_pairs=(None, 1024), **misaligned),
    ]
    # every difference is one from the baseline: its large sizes have three seeds too
    groups["clean-seeds"] = _run(pairs=SIZES[4:], seed=(1, 2))
    # a control: does the exponent come from the training time, 25 sqrt(D) steps, which grows with D as well?
    groups["longer"] = [c for n in (1024, 4096, 16384) for c in _run(pairs=n, steps=2 * steps_of(n))]
    groups["longer"] += _run(pairs=16384, width=(16, 32), steps=2 * steps_of(16384))
    # scored on pairs of the same noise, where the noisy law's loss is a bound; one design for all: three seeds a size
    groups["noisy-pairs"] = _run(seed=range(3), noise=(0.2, 0.4, 0.1), pairs=SIZES[3:], held_out="noisy")
    text = {"dataset": "tatoeba_eng-deu", "width": 128}
    groups["tatoeba"] = [
        *_make(TEXT_SIZES, architecture=("2L2L", "decoder_only", "transformer_lstm"), **text),
        *_make(TEXT_SIZES, noise=0.2, noise_kind=(None, "misaligned"), **text),
    ]
    groups["gpu"] = [*_large(), *_large(noise=0.2), *_large(architecture="decoder_only")]
    return groups
