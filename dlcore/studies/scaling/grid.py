"""The recorded runs of chapter 4, in named groups, the most informative first; the last group needs a GPU."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from dlcore.studies.scaling.config import ARCHITECTURES, Config, budget, steps_of

SIZES = tuple(2**k for k in range(7, 16))
TEXT_SIZES = tuple(2**k for k in range(9, 17))


def _make(sizes: Iterable[int], **settings: Any) -> list[Config]:
    """Returns a run for every size, three seeds below 2,048 pairs, where one run says little."""
    return [
        Config(preset="laptop", pairs=n, seed=seed, **settings) for n in sizes for seed in range(3 if n < 2048 else 1)
    ]


def _large(**settings: Any) -> list[Config]:
    """Returns the runs at width 512, up to a million pairs, the small ones first; see `studies.scaling.budget`."""
    found = []
    for pairs in (2**k for k in range(10, 21, 2)):
        how = {**budget("gpu", pairs)._asdict(), **settings}
        found += [
            Config.from_parameters(preset="gpu", pairs=pairs, seed=seed, **how)
            for seed in range(3 if pairs < 2048 else 1)
        ]
    return found


def recorded() -> dict[str, list[Config]]:
    """Returns the groups of recorded runs: name -> configurations."""
    groups: dict[str, list[Config]] = {"clean": _make(SIZES)}
    groups["target-noise"] = [c for rate in (0.4, 0.2, 0.1) for c in _make(SIZES, noise=rate)]
    groups["architectures"] = [c for name in ARCHITECTURES if name != "2L2L" for c in _make(SIZES, architecture=name)]
    groups["other-noise"] = [
        c
        for kind in ("source_unigram", "source_uniform", "misaligned")
        for c in _make(SIZES, noise=0.2, noise_kind=kind)
    ]
    groups["back-translation"] = [
        c
        for pairs, width in ((1024, 64), (4096, 64), (1024, 32))
        for c in _make(SIZES, noise_kind="back_translation", reverse_pairs=pairs, reverse_width=width)
    ]
    groups["width"] = _make(SIZES, width=128)
    # below 1,024 pairs the grammar is being learnt
    groups["narrow"] = [c for width in (16, 32) for c in _make(SIZES[3:], width=width)]
    # what `studies.scaling.budget.rate_of` was chosen by
    tried = {16: (0.006, 0.012, 0.024), 32: (0.006, 0.012, 0.024), 64: (0.0015, 0.003, 0.006)}
    groups["tuning"] = [
        Config(preset="laptop", pairs=2048, width=w, learning_rate=rate) for w, rates in tried.items() for rate in rates
    ]
    # what the learning rate of 64 units would have made of them
    groups["other-rates"] = [c for width in (16, 32) for c in _make(SIZES, width=width, learning_rate=3e-3)]
    # and what 128 units would make of theirs
    groups["other-rates"] += [
        Config(preset="laptop", pairs=n, width=128, learning_rate=1.5e-3) for n in (2048, 4096, 16384)
    ]
    groups["filter"] = _make(SIZES[3:], noise=0.2, noise_kind="misaligned", filter_pairs=1024)
    groups["filter"] += [
        Config(preset="laptop", pairs=SIZES[-1], seed=s, noise=0.2, noise_kind="misaligned", filter_pairs=n)
        for s in (1, 2)
        for n in (None, 1024)
    ]
    # every difference is one from the baseline: its large sizes have three seeds too
    groups["clean-seeds"] = [Config(preset="laptop", pairs=n, seed=s) for n in SIZES[4:] for s in (1, 2)]
    # a control: does the exponent come from the training time, 25 sqrt(D) steps, which grows with D as well?
    groups["longer"] = [Config(preset="laptop", pairs=n, steps=2 * steps_of(n)) for n in (1024, 4096, 16384)]
    groups["longer"] += [Config(preset="laptop", pairs=16384, width=w, steps=2 * steps_of(16384)) for w in (16, 32)]
    # scored on pairs of the same noise, where the noisy law's loss is a bound; one design for all: three seeds a size
    groups["noisy-pairs"] = [
        Config(preset="laptop", pairs=n, seed=s, noise=rate, held_out="noisy")
        for s in range(3)
        for rate in (0.2, 0.4, 0.1)
        for n in SIZES[3:]
    ]
    text = {"dataset": "tatoeba_eng-deu", "width": 128}
    groups["tatoeba"] = [
        *_make(TEXT_SIZES, **text),
        *_make(TEXT_SIZES, architecture="decoder_only", **text),
        *_make(TEXT_SIZES, architecture="transformer_lstm", **text),
        *_make(TEXT_SIZES, noise=0.2, **text),
        *_make(TEXT_SIZES, noise=0.2, noise_kind="misaligned", **text),
    ]
    groups["gpu"] = [c for kind in ({}, {"noise": 0.2}, {"architecture": "decoder_only"}) for c in _large(**kind)]
    return groups
