"""Translating with a trained model: greedy, batched, with cached keys and values."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from dlcore import borrowed
from dlcore.translation.models import Seq2Seq
from dlcore.translation.sentence_pairs import BOS, EOS, PAD, Ragged


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


def translate(
    model: Seq2Seq, sources: list[np.ndarray], *, longest: int = 128, batch_tokens: int = 4096
) -> list[np.ndarray]:
    """Returns the translations of token sequences, in their order, without EOS; sorts by length and batches.

    Args:
        sources: a list of integer arrays or a `dlcore.translation.sentence_pairs.Ragged`.
    Raises: ValueError for an empty source.
    """
    where = next(model.parameters()).device
    lengths = np.array([len(s) for s in sources])
    if len(lengths) and lengths.min() == 0:
        raise ValueError(f"source {int(lengths.argmin())} is empty")
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
