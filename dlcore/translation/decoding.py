"""Translating with a trained model: greedy, batched, with cached keys and values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from dlcore import borrowed
from dlcore.arrays import typed
from dlcore.translation.models import Seq2Seq
from dlcore.translation.sentence_pairs import BOS, EOS, PAD, Ragged


@typed
@torch.no_grad()
def greedy(model: Seq2Seq, source: torch.Tensor, longest: int = 128) -> torch.Tensor:
    """Returns the most likely next token each time; (b, t), PAD behind EOS.

    Sentences that reach `longest` tokens end there, without EOS. The model should be in evaluation mode.

    Shapes: source (b, s), padded on the right with 0.
    Raises: ValueError for an empty source or longest < 1.
    """
    if source.ndim != 2 or source.shape[1] == 0 or bool((source == PAD).all(1).any()):
        raise ValueError(f"sources must be (sentences, tokens), none of them empty; shape {tuple(source.shape)}")
    if longest < 1:
        raise ValueError(f"longest = {longest} must be at least 1")
    state = model.start(source)
    rows = torch.arange(len(source), device=source.device)
    last = torch.full((len(source),), BOS, device=source.device)
    result = torch.full((len(source), longest), PAD, device=source.device)
    for t in range(longest):
        logits = model.step(last, state).float()
        logits[:, [PAD, BOS]] = -torch.inf  # a model may not write these
        last = logits.argmax(1)
        result[rows, t] = last
        going = last != EOS
        if not going.all():
            # finished sentences leave the batch
            if not going.any():
                return result[:, : t + 1]
            rows, last, state = rows[going], last[going], state.take(going.nonzero()[:, 0])
    return result


@typed
def translate(
    model: Seq2Seq, sources: Ragged | Sequence[Sequence[int]], *, longest: int = 128, batch_tokens: int = 4096
) -> list[np.ndarray]:
    """Returns the translations of token sequences, in their order, without EOS; sorts by length and batches.

    Args:
        sources: lists of token numbers or a `dlcore.translation.sentence_pairs.Ragged`.
    Raises: ValueError for an empty source, and tokens that the model does not know.
    """
    where = next(model.parameters()).device
    sources = sources if isinstance(sources, Ragged) else Ragged.of(sources)
    lengths, known = sources.lengths, model.shape.source_vocabulary
    if len(lengths) and lengths.min() == 0:
        raise ValueError(f"source {int(lengths.argmin())} is empty")
    if (bad := sources.flat[(sources.flat <= PAD) | (sources.flat >= known)]).size:
        raise ValueError(f"source token {bad[0]} is outside 1..{known - 1}")
    order, at = np.argsort(lengths, kind="stable"), 0
    result: list[Any] = [None] * len(lengths)
    with borrowed.evaluating(model):
        while at < len(order):
            count = max(1, batch_tokens // lengths[order[at]])
            rows = order[at : at + count]
            batch = torch.from_numpy(Ragged.of(sources[row] for row in rows).padded()).to(where)
            out = greedy(model, batch, longest)
            for row, tokens in zip(rows, out.cpu().numpy(), strict=True):
                result[row] = tokens[(tokens != PAD) & (tokens != EOS)]
            at += len(rows)
    return result
