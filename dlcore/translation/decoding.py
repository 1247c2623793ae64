"""Translating with a trained model: greedy, beam search and sampling, batched, with cached keys and values."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from dlcore import borrowed, runtime
from dlcore.config import unknown_choice
from dlcore.translation.models import BOS, EOS, PAD, Seq2Seq

METHODS = ("greedy", "beam", "sample")
_NEVER = (PAD, BOS)  # a model may not write these


def _check(source: torch.Tensor, longest: int) -> None:
    if source.ndim != 2 or source.shape[1] == 0 or bool((source == PAD).all(1).any()):
        raise ValueError(f"sources must be (sentences, tokens), none of them empty; shape {tuple(source.shape)}")
    if longest < 1:
        raise ValueError(f"longest = {longest} must be at least 1")


@torch.no_grad()
def greedy(
    model: Seq2Seq, source: torch.Tensor, longest: int = 128, generator: torch.Generator | None = None
) -> torch.Tensor:
    """Returns the most likely next token each time, or with a generator a random one; (b, t), PAD behind EOS.

    Sentences that reach `longest` tokens end there, without EOS. The model should be in evaluation mode.

    Shapes: source (b, s), padded on the right with 0.
    Raises: ValueError for an empty source or longest < 1.
    """
    _check(source, longest)
    state = model.start(source)
    rows = torch.arange(len(source), device=source.device)
    last = torch.full((len(source),), BOS, device=source.device)
    result = torch.full((len(source), longest), PAD, device=source.device)
    for t in range(longest):
        logits = model.step(last, state).float()
        logits[:, _NEVER] = -torch.inf
        if generator is None:
            last = logits.argmax(1)
        else:
            last = torch.multinomial(logits.softmax(1), 1, generator=generator)[:, 0]
        result[rows, t] = last
        going = last != EOS
        if not going.all():
            # finished sentences leave the batch
            if not going.any():
                return result[:, : t + 1]
            rows, last, state = rows[going], last[going], state.take(going.nonzero()[:, 0])
    return result


@torch.no_grad()
def beam(
    model: Seq2Seq, source: torch.Tensor, size: int = 4, longest: int = 128, length_penalty: float = 0.6
) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns the best translations found (b, t), PAD behind EOS, and their log-probabilities (b,) in nats.

    Hypotheses compete by log-probability; a finished one stays in the beam. Among the last `size`, the best is that
    of the largest log p / ((5 + tokens) / 6) ** length_penalty.

    Paper: Wu et al. 2016, equation 14, without the coverage term.
    Differs: the penalty ranks finished hypotheses and prunes none.
    Raises: ValueError for an empty source, or size or longest < 1.
    """
    _check(source, longest)
    if size < 1:
        raise ValueError(f"size = {size} must be at least 1")
    b, device = len(source), source.device
    state = model.start(source)
    score = torch.full((b, size), -torch.inf, device=device)
    score[:, 0] = 0.0  # all hypotheses are equal at first
    state = state.take(torch.arange(b, device=device).repeat_interleave(size))
    last = torch.full((b * size,), BOS, device=device)
    written = torch.full((b, size, longest), PAD, device=device)
    done = torch.zeros(b, size, dtype=torch.bool, device=device)
    base = torch.arange(b, device=device)[:, None] * size
    for t in range(longest):
        nats = model.step(last, state).float().log_softmax(1).view(b, size, -1)
        vocabulary = nats.shape[-1]
        nats[:, :, _NEVER] = -torch.inf
        nats[done] = -torch.inf
        nats[:, :, PAD] = torch.where(done, 0.0, -torch.inf)
        score, best = (score[:, :, None] + nats).flatten(1).topk(size)
        parent, token = best // vocabulary, best % vocabulary
        written = written.gather(1, parent[:, :, None].expand_as(written))
        written[:, :, t] = token
        done = done.gather(1, parent) | (token == EOS)
        if done.all():
            break
        state = state.reorder((base + parent).flatten())
        last = token.flatten()
    tokens = (written != PAD).sum(2)
    ranked = score / ((5 + tokens) / 6) ** length_penalty
    # a hypothesis cut at `longest` is taken only where none has ended
    ranked = torch.where(done | ~done.any(1, keepdim=True), ranked, -torch.inf)
    choice = ranked.argmax(1)
    rows = torch.arange(b, device=device)
    return written[rows, choice, : t + 1], score[rows, choice]


def translate(
    model: Seq2Seq,
    sources: list[np.ndarray],
    method: str = "greedy",
    *,
    size: int = 4,
    longest: int = 128,
    seed: int = 0,
    batch_tokens: int = 4096,
    on_progress: Callable[[int], None] | None = None,
) -> list[np.ndarray]:
    """Returns the translations of token sequences, in their order, without EOS; sorts by length and batches.

    Args: sources: a list of integer arrays or a `dlcore.translation.sentence_pairs.Ragged`; method: "greedy", "beam" of `size`, or
        "sample" from the model's own law, seeded; on_progress: called with the number of sentences done.
    Raises: ValueError for an unknown method, an empty source.
    """
    if method not in METHODS:
        raise unknown_choice("decoding method", method, METHODS)
    where = next(model.parameters()).device
    lengths = np.array([len(s) for s in sources])
    if len(lengths) and lengths.min() == 0:
        raise ValueError(f"source {int(lengths.argmin())} is empty")
    order, result, at = np.argsort(lengths, kind="stable"), [None] * len(lengths), 0
    with borrowed.evaluating(model), runtime.seeded(seed, 0xDEC0DE) as generator:
        on_device = torch.Generator(where).manual_seed(generator.initial_seed())
        while at < len(order):
            count = max(1, batch_tokens // (lengths[order[at]] * (size if method == "beam" else 1)))
            rows = order[at : at + count]
            batch = np.full((len(rows), lengths[rows].max()), PAD)
            for i, row in enumerate(rows):
                batch[i, : lengths[row]] = sources[row]
            source = torch.from_numpy(batch).to(where)
            if method == "beam":
                out = beam(model, source, size, longest)[0]
            else:
                out = greedy(model, source, longest, on_device if method == "sample" else None)
            for row, tokens in zip(rows, out.cpu().numpy(), strict=True):
                result[row] = tokens[(tokens != PAD) & (tokens != EOS)]
            at += len(rows)
            if on_progress is not None:
                on_progress(at)
    return result
