"""Training and decoding of a small translation model: dlcore, torch.nn.Transformer and Marian of Transformers.

    python benchmarks/translation.py     # pip install transformers

All have 3 + 3 layers, width 128, 4 heads, a tied vocabulary of 2,000 and dropout 0.1; batches of 64 pairs of 20
tokens; fused Adam; forward, backward and step.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import harness
import torch
from torch import nn
from torch.nn import functional

from dlcore import runtime
from dlcore.translation.decoding import greedy
from dlcore.translation.models import ARCHITECTURES, Shape, seq2seq
from dlcore.translation.sentence_pairs import BOS, EOS

VOCABULARY, WIDTH, HEADS, LAYERS, DROPOUT = 2000, 128, 4, 3, 0.1
PAIRS, LENGTH = 64, 20
TURNS, STEPS = 5, 3


def data(pairs: int, length: int = LENGTH) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns random sources and targets (pairs, length)."""
    generator = torch.Generator().manual_seed(0)
    source, target = torch.randint(4, VOCABULARY, (2, pairs, length), generator=generator)
    target[:, -1] = EOS
    return source, target


def shape(architecture: str = "transformer", width: int = WIDTH, dropout: float = DROPOUT) -> Shape:
    """Returns the size of dlcore's models."""
    layers = {"encoder_layers": LAYERS, "decoder_layers": LAYERS}
    return Shape(VOCABULARY, VOCABULARY, architecture, width=width, heads=HEADS, shared=True, dropout=dropout, **layers)


class Plain(nn.Module):
    """What one writes with torch.nn.Transformer: pre-LN, tied embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(VOCABULARY, WIDTH)
        nn.init.normal_(self.table.weight, std=WIDTH**-0.5)  # with torch's own, logits start at a loss of 45
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pre-LN has no nested tensors
            self.body = nn.Transformer(
                WIDTH, HEADS, LAYERS, LAYERS, 4 * WIDTH, DROPOUT, batch_first=True, norm_first=True
            )
        self.position = nn.Parameter(torch.randn(LENGTH, WIDTH), requires_grad=False)
        self.register_buffer("mask", nn.Transformer.generate_square_subsequent_mask(LENGTH))

    def forward(self, source: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        shifted = functional.pad(target[:, :-1], (1, 0), value=BOS)
        x, y = (functional.dropout(self.table(t) * WIDTH**0.5 + self.position, DROPOUT) for t in (source, shifted))
        hidden = self.body(x, y, tgt_mask=self.mask, tgt_is_causal=True)
        logits = functional.linear(hidden, self.table.weight)
        return functional.cross_entropy(logits.flatten(0, 1), target.flatten())


def marian() -> nn.Module | None:
    """Returns Marian of the same size, or None."""
    try:
        from transformers import MarianConfig, MarianMTModel
    except ImportError:
        return None
    return MarianMTModel(
        MarianConfig(
            vocab_size=VOCABULARY,
            d_model=WIDTH,
            encoder_layers=LAYERS,
            decoder_layers=LAYERS,
            encoder_attention_heads=HEADS,
            decoder_attention_heads=HEADS,
            encoder_ffn_dim=4 * WIDTH,
            decoder_ffn_dim=4 * WIDTH,
            dropout=DROPOUT,
            max_position_embeddings=128,
            pad_token_id=0,
            eos_token_id=EOS,
            decoder_start_token_id=BOS,
            forced_eos_token_id=EOS,
        )
    )


def steps(model: nn.Module, loss: Callable[[], torch.Tensor], count: int) -> Callable[[], float]:
    """Returns a function of some training steps, which returns the last loss."""
    optimizer = torch.optim.Adam(model.parameters(), 1e-3, fused=True)

    def work() -> float:
        for _ in range(count):
            optimizer.zero_grad(set_to_none=True)
            last = loss()
            last.backward()
            optimizer.step()
        return float(last.detach())

    return work


def competitors(pairs: int, count: int, device: str) -> dict[str, tuple[Callable[[], float], int] | None]:
    """Returns name -> (training steps, parameters), None for what is not installed."""
    source, target = (v.to(device) for v in data(pairs))
    models: dict[str, tuple[nn.Module, Callable[[nn.Module], torch.Tensor]] | None] = {}
    for architecture in ARCHITECTURES:
        models[f"dlcore, {architecture}"] = (seq2seq(shape(architecture)), lambda m: m.loss(source, target).objective)
    models["torch.nn.Transformer"] = (Plain(), lambda m: m(source, target))
    toolkit = marian()
    if toolkit is not None:
        toolkit.train()
    models["Transformers, Marian"] = toolkit and (toolkit, lambda m: m(input_ids=source, labels=target).loss)
    found: dict[str, tuple[Callable[[], float], int] | None] = dict.fromkeys(models)
    for name, entry in models.items():
        if entry is not None:
            model, loss = entry[0].to(device), entry[1]
            size = sum(p.numel() for p in model.parameters() if p.requires_grad)
            found[name] = steps(model, lambda m=model, f=loss: f(m), count), size
    return found


def training(quick: bool) -> harness.Table:
    """Returns the table of training steps."""
    pairs, turns, count = (4, 1, 1) if quick else (PAIRS, TURNS, STEPS)
    torch.manual_seed(0)
    # as dlcore's training loops do; here it helps the others as well
    runtime.keep_memory()
    rows = []
    for device in harness.devices():
        found = competitors(pairs, count, device)
        spent = harness.turns({name: entry[0] for name, entry in found.items() if entry}, turns)
        base = spent[f"dlcore, {ARCHITECTURES[0]}"]
        for name, entry in found.items():
            where = {"device": device} if len(harness.devices()) > 1 else {}
            if entry is None:
                rows.append(harness.remark("not installed", **where, method=name))
                continue
            cost, tokens = spent[name], count * pairs * LENGTH
            seconds, work = cost.cpu if device == "cpu" else cost.wall, harness.flops(entry[0])
            row = {**where, "method": name, "parameters": entry[1], "tokens / s": tokens / seconds}
            row |= harness.compared(cost, base, wall=device != "cpu")
            if "lstm" not in name:  # whose products are not counted
                row["MFLOP / token"] = work / tokens / 1e6
                row["share of peak"] = f"{work / seconds / harness.peak(torch.float32, device):.0%}"
            row["loss, nats"] = cost.value
            row |= {"extra MB": cost.memory} if device == "cpu" else {"GPU MB": cost.gpu}
            rows.append(row)
    note = (
        f"{LAYERS} + {LAYERS} layers, width {WIDTH}, {HEADS} heads, one tied vocabulary of {VOCABULARY:,}, dropout "
        f"{DROPOUT}; batches of {pairs} pairs of {LENGTH} tokens; forward, backward and a step of fused Adam in float32, "
        "one thread, memory kept as dlcore's loop does. Target tokens a second (of CPU time; on a GPU, of wall time), the "
        f"median of {turns} turns; the time is relative to dlcore's transformer, which the others resemble. The products' "
        f"FLOPs and their share of the measured float32 peak; the loss after the {(turns + 1) * count} steps on one batch, "
        "which all took. A decoder alone sends both sides through all six layers: more work a target token."
    )
    versions = harness.versions("torch", "transformers")
    return harness.Table("Training a translation model", note, rows, ("time / dlcore's",), versions)


def decoding(quick: bool) -> harness.Table:
    """Returns the table of decoding with cached keys and values and with the whole prefix again."""
    pairs, turns = (4, 1) if quick else (PAIRS, TURNS)
    source, _ = data(pairs)
    model = seq2seq(shape()).eval()

    @torch.no_grad()
    def anew() -> None:
        written = torch.empty(pairs, 0, dtype=torch.long)
        for _ in range(LENGTH):
            padded = functional.pad(written, (0, 1), value=EOS)
            written = torch.cat([written, model(source, padded)[:, -1:].argmax(2)], 1)

    ways = {
        "greedy, cached": lambda: greedy(model, source, LENGTH),
        "greedy, whole prefix": anew,
    }
    spent = harness.turns(ways, turns)
    rows = [
        {"method": name, "tokens / CPU-s": pairs * LENGTH / cost.cpu}
        | harness.compared(cost, spent["greedy, cached"], "time / greedy, cached")
        | {"extra MB": cost.memory}
        for name, cost in spent.items()
    ]
    note = (
        f"The same transformer, untrained, writes up to {LENGTH} tokens for each of {pairs} sources; the whole-prefix loop "
        f"is what one writes without a cache. The median of {turns} turns, on a CPU."
    )
    return harness.Table("Decoding", note, rows, ("time / greedy, cached",), harness.versions("torch"))


def grown(quick: bool) -> harness.Table:
    """Returns the table of costs as sizes double."""
    pairs, widths, lengths = ((2, 4), (8, 16), (4, 8)) if quick else ((16, 32, 64, 128), (64, 128, 256), (20, 40, 80))

    def work(count: int, width: int, length: int) -> Callable[[], Any]:
        source, target = data(count, length)
        model = seq2seq(shape(width=width))
        return steps(model, lambda: model.loss(source, target).objective, 1)

    few, length = pairs[0], lengths[0]
    axes = [
        harness.Axis("pairs in a batch", pairs, lambda n: work(n, widths[1], length), "2"),
        harness.Axis("tokens in a sentence", lengths, lambda n: work(few, widths[1], n), "2, attention 4"),
        harness.Axis("width", widths, lambda w: work(few, w, length), "2 (vocabulary) to 4 (layers)"),
    ]
    note = (
        f"A training step of dlcore's transformer; elsewhere {few} pairs of {length} tokens and width {widths[1]}. A small "
        "batch costs more than its share: Adam's step costs the same for any batch."
    )
    return harness.growth("Translation as its size doubles", note, axes, 1 if quick else 3, least=0.0 if quick else 0.1)


def tables(quick: bool = False) -> list[harness.Table]:
    """Returns the tables of this benchmark."""
    return [training(quick), decoding(quick), grown(quick)]


if __name__ == "__main__":
    harness.main(tables, __doc__)
