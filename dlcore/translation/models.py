"""Sequence-to-sequence models of translation: transformer, decoder-only with prefix, transformer with LSTM decoder."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple, cast

import torch
from torch import nn
from torch.nn import functional

from dlcore import runtime
from dlcore.arrays import typed
from dlcore.config import Options, option
from dlcore.translation.attention import Cache, Layer, dropout, positions
from dlcore.translation.sentence_pairs import BOS, PAD

ARCHITECTURES = ("transformer", "decoder_only", "transformer_lstm")


@dataclass(frozen=True)
class Shape(Options):
    """The size of a model. Units: layers, units, tokens; `dropout` is a fraction.

    Args:
        architecture: "transformer" has `encoder_layers` and `decoder_layers`; "decoder_only" is one stack of
            encoder_layers + decoder_layers on source and target; "transformer_lstm" has LSTM layers with attention to the
            source for its decoder.
        inner: units of the feed-forward layers, 0 for four times the width.
        shared: one vocabulary, and one embedding table, for both sides; needs equal vocabularies.
    Raises: ValueError for an unknown architecture, a width that `heads` does not divide or that is odd, a size below 1.
    """

    source_vocabulary: int = option(low=1)
    target_vocabulary: int = option(low=1)
    architecture: str = option("transformer", choices=ARCHITECTURES)
    width: int = option(128, low=1)
    heads: int = option(4, low=1)
    encoder_layers: int = option(2, low=0)
    decoder_layers: int = option(2, low=1)
    inner: int = option(0, low=0)
    dropout: float = option(0.1, low=0, below=1)
    shared: bool = False

    def __post_init__(self) -> None:
        if self.inner is None:
            object.__setattr__(self, "inner", 0)
        super().__post_init__()
        if self.encoder_layers < 1 and self.architecture != "decoder_only":
            raise ValueError(f"encoder_layers = {self.encoder_layers} must be at least 1")
        if self.width % self.heads or self.width % 2:
            near = max(2, round(self.width / self.heads)) * self.heads
            near += near % 2 * self.heads
            raise ValueError(
                f"width = {self.width} must be even and a multiple of heads = {self.heads}, such as {near}"
            )
        if self.shared and self.source_vocabulary != self.target_vocabulary:
            raise ValueError(
                f"shared needs one vocabulary: {self.source_vocabulary} and {self.target_vocabulary} tokens differ"
            )
        if not self.inner:
            object.__setattr__(self, "inner", 4 * self.width)


class Loss(NamedTuple):
    """`objective` to minimise, a mean per token; `nats`, summed target cross-entropies; `tokens`, on a GPU a tensor."""

    objective: torch.Tensor
    nats: torch.Tensor
    tokens: int | torch.Tensor


@dataclass
class State:
    """Where decoding is: one cache and one memory a layer, the source's mask, and the next position."""

    caches: list[Cache]
    memory: list[Cache] = field(default_factory=list)
    mask: torch.Tensor | None = None
    position: int = 0

    def take(self, rows: torch.Tensor) -> State:
        """Returns the state of hypotheses `rows` (k,)."""
        caches, memory = ([{k: v[rows] for k, v in c.items()} for c in part] for part in (self.caches, self.memory))
        return State(caches, memory, None if self.mask is None else self.mask[rows], self.position)


class Seq2Seq(nn.Module, ABC):
    """Base of the models: embeddings, tied softmax, teacher-forced loss. Subclasses say how the target is read.

    Padding (0) may only be on the right; targets end with EOS (2). The output layer is the target embedding
    (Press and Wolf 2017).
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.target_embedding = nn.Embedding(shape.target_vocabulary, shape.width)
        self.source_embedding = (
            self.target_embedding if shape.shared else nn.Embedding(shape.source_vocabulary, shape.width)
        )
        for table in (self.target_embedding, self.source_embedding):
            # times sqrt(width) on the way in: unit variance there, and logits of unit variance on the way out
            nn.init.normal_(table.weight, std=shape.width**-0.5)

    def embed(self, table: nn.Embedding, tokens: torch.Tensor, start: int = 0) -> torch.Tensor:
        """Returns the inputs (b, t, width) of tokens (b, t): embedding times sqrt(width), plus positions from `start` on."""
        x = table(tokens) * self.shape.width**0.5
        return dropout(x + positions(start, start + tokens.shape[1], x), self.shape.dropout, self.training)

    @abstractmethod
    def hidden(self, source: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Returns the last layer's outputs (b, t, width) at the target positions; position i has read target[:, :i]."""

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """Returns the logits of the target tokens (..., target_vocabulary)."""
        return functional.linear(hidden, self.target_embedding.weight)

    def forward(self, source: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Returns teacher-forced logits (b, t, target_vocabulary) of source (b, s) and target (b, t) tokens."""
        return self.logits(self.hidden(source, target))

    def loss(self, source: torch.Tensor, target: torch.Tensor) -> Loss:
        """Returns the teacher-forced loss; nats / tokens is the log-perplexity, EOS included, padding not."""
        hidden, keep = self.hidden(source, target), target != PAD
        if target.is_cuda:
            return self._padded_loss(hidden, target)
        # without padding before the softmax, which costs a third of the time at 2,000 tokens
        nats = functional.cross_entropy(self.logits(hidden[keep]).float(), target[keep], reduction="sum")
        tokens = int(keep.sum())
        return Loss(nats / tokens, nats.detach(), tokens)

    def _padded_loss(self, hidden: torch.Tensor, target: torch.Tensor) -> Loss:
        """As `loss`, of the outputs `hidden`: more arithmetic, but no number that the CPU would have to wait for."""
        logits, tokens = self.logits(hidden).float().flatten(0, 1), (target != PAD).sum()
        nats = functional.cross_entropy(logits, target.flatten(), ignore_index=PAD, reduction="sum")
        return Loss(nats / tokens, nats.detach(), tokens)

    @abstractmethod
    def start(self, source: torch.Tensor) -> State:
        """Returns the state before the first target token, the source (b, s) read."""

    @abstractmethod
    def step(self, tokens: torch.Tensor, state: State) -> torch.Tensor:
        """Returns logits (b, target_vocabulary) after the last tokens written (b,), BOS at first; moves the state."""


def _shifted(target: torch.Tensor) -> torch.Tensor:
    return functional.pad(target[:, :-1], (1, 0), value=BOS)


def _mask(source: torch.Tensor) -> torch.Tensor | None:
    """Returns where the source is (b, 1, 1, s); None on a CPU when all of it is, which is faster."""
    mask = source != PAD
    return None if not source.is_cuda and bool(mask.all()) else mask[:, None, None]


class EncoderDecoder(Seq2Seq):
    """A transformer encoder and a decoder of transformer or LSTM layers that attend to it.

    Paper: Vaswani et al. 2017; the hybrid after Chen et al. 2018, "The best of both worlds".
    Differs: an LSTM layer takes the place of self-attention in a pre-LN layer without feed-forward part, and the
        attention's result goes to the next layer, not back into the recurrence, so that training is parallel.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape)
        d, recurrent = shape.width, shape.architecture == "transformer_lstm"
        sizes = (d, shape.heads, shape.inner, shape.dropout)
        self.encoder = nn.ModuleList(Layer(*sizes) for _ in range(shape.encoder_layers))
        self.encoder_norm = nn.LayerNorm(d)
        sizes = (d, shape.heads, 0 if recurrent else shape.inner, shape.dropout)
        self.decoder = nn.ModuleList(
            Layer(*sizes, memory=True, recurrent=recurrent) for _ in range(shape.decoder_layers)
        )
        self.decoder_norm = nn.LayerNorm(d)

    def encode(self, source: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Returns the encoded source (b, s, width) and its mask."""
        mask, x = _mask(source), self.embed(self.source_embedding, source)
        for layer in self.encoder:
            x = layer(x, mask)
        return self.encoder_norm(x), mask

    def hidden(self, source: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        memory, mask = self.encode(source)
        x = self.embed(self.target_embedding, _shifted(target))
        for layer, own in zip(self.decoder, self._remembered(memory), strict=True):
            x = layer(x, causal=True, memory=own, memory_mask=mask)
        return self.decoder_norm(x)

    def _remembered(self, memory: torch.Tensor) -> Iterator[Cache]:
        return (cast(Layer, layer).remember(memory) for layer in self.decoder)

    def start(self, source: torch.Tensor) -> State:
        memory, mask = self.encode(source)
        return State([{} for _ in self.decoder], [*self._remembered(memory)], mask)

    def step(self, tokens: torch.Tensor, state: State) -> torch.Tensor:
        x = self.embed(self.target_embedding, tokens[:, None], state.position)
        for layer, cache, memory in zip(self.decoder, state.caches, state.memory, strict=True):
            x = layer(x, cache=cache, memory=memory, memory_mask=state.mask)
        state.position += 1
        return self.logits(self.decoder_norm(x)[:, 0])


class DecoderOnly(Seq2Seq):
    """One stack that reads the source, then writes the target: a prefix language model (Raffel et al. 2020).

    Differs: positions are counted from 0 on both sides, which two learned segment vectors tell apart.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape)
        sizes = (shape.width, shape.heads, shape.inner, shape.dropout)
        self.decoder = nn.ModuleList(Layer(*sizes) for _ in range(shape.encoder_layers + shape.decoder_layers))
        self.decoder_norm = nn.LayerNorm(shape.width)
        self.segment = nn.Parameter(torch.zeros(2, shape.width))

    def hidden(self, source: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        (_, s), (_, t) = source.shape, target.shape
        left = self.embed(self.source_embedding, source) + self.segment[0]
        right = self.embed(self.target_embedding, _shifted(target)) + self.segment[1]
        x = torch.cat([left, right], 1)
        seen = torch.ones(s + t, s + t, dtype=torch.bool, device=source.device).tril()
        seen[:s, :s] = True
        mask = _mask(source)
        if mask is not None:
            seen = seen & functional.pad(mask, (0, t), value=True)
        for i, layer in enumerate(self.decoder, 1):
            # nothing reads the source's positions after the last layer has attended to them
            x = layer(x, seen, skipped=s if i == len(self.decoder) else 0)
        return self.decoder_norm(x)

    def start(self, source: torch.Tensor) -> State:
        mask = _mask(source)
        x = self.embed(self.source_embedding, source) + self.segment[0]
        state = State([{} for _ in self.decoder], [], mask)
        for layer, cache in zip(self.decoder, state.caches, strict=True):
            x = layer(x, mask, cache=cache)
        return state

    def step(self, tokens: torch.Tensor, state: State) -> torch.Tensor:
        x = self.embed(self.target_embedding, tokens[:, None], state.position) + self.segment[1]
        state.position += 1
        mask = None if state.mask is None else functional.pad(state.mask, (0, state.position), value=True)
        for layer, cache in zip(self.decoder, state.caches, strict=True):
            x = layer(x, mask, cache=cache)
        return self.logits(self.decoder_norm(x)[:, 0])


@typed
def seq2seq(shape: Shape, *, seed: int = 0) -> Seq2Seq:
    """Returns a freshly initialised model of a shape.

    >>> model = seq2seq(Shape(50, 40, width=8, heads=2))
    >>> model(torch.tensor([[4, 5]]), torch.tensor([[7, 8, 2]])).shape
    torch.Size([1, 3, 40])
    """
    with runtime.seeded(seed, 0x5E92):
        return (DecoderOnly if shape.architecture == "decoder_only" else EncoderDecoder)(shape)
