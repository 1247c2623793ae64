"""Target tokens per CPU-second of training: our transformer against torch.nn.Transformer and Marian of Transformers.

    OMP_NUM_THREADS=1 python benchmarks/translation.py

All have 3 + 3 layers, width 128, 4 heads, a tied vocabulary of 2,000 and dropout 0.1; batches of 64 pairs of 20
tokens; one thread, fused Adam; forward, backward and step. They take turns, so that other work on the machine meets
all alike; the table gives the median and the range of the turns. Marian is left out where Transformers is not
installed.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional

from dlcore.models.decoding import beam, greedy
from dlcore.models.seq2seq import ARCHITECTURES, BOS, EOS, Shape, seq2seq

VOCABULARY, WIDTH, HEADS, LAYERS, DROPOUT = 2000, 128, 4, 3, 0.1
PAIRS, LENGTH = 64, 20


def data() -> tuple[torch.Tensor, torch.Tensor]:
    """Returns random sources and targets (64, 20)."""
    generator = torch.Generator().manual_seed(0)
    source, target = torch.randint(4, VOCABULARY, (2, PAIRS, LENGTH), generator=generator)
    target[:, -1] = EOS
    return source, target


class Plain(nn.Module):
    """What one writes with torch.nn.Transformer: pre-LN, tied embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(VOCABULARY, WIDTH)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pre-LN has no nested tensors
            self.body = nn.Transformer(
                WIDTH, HEADS, LAYERS, LAYERS, 4 * WIDTH, DROPOUT, batch_first=True, norm_first=True
            )
        self.position = nn.Parameter(torch.randn(LENGTH, WIDTH), requires_grad=False)
        self.mask = nn.Transformer.generate_square_subsequent_mask(LENGTH)

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


def trained(model: nn.Module, loss: Callable[[], torch.Tensor]) -> tuple[Callable[[], None], int]:
    """Returns a function of one training step and the model's number of parameters."""
    optimizer = torch.optim.Adam(model.parameters(), 1e-3, fused=True)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        loss().backward()
        optimizer.step()

    return step, sum(p.numel() for p in model.parameters() if p.requires_grad)


def competitors() -> dict[str, tuple[Callable[[], None], int]]:
    """Returns name -> (training step, parameters)."""
    source, target = data()
    found = {}
    for architecture in ARCHITECTURES:
        sizes = {"width": WIDTH, "heads": HEADS, "encoder_layers": LAYERS, "decoder_layers": LAYERS}
        model = seq2seq(Shape(VOCABULARY, VOCABULARY, architecture, shared=True, dropout=DROPOUT, **sizes))
        found[f"dlcore {architecture}"] = trained(model, lambda m=model: m.loss(source, target).objective)
    plain = Plain()
    found["torch.nn.Transformer"] = trained(plain, lambda: plain(source, target))
    toolkit = marian()
    if toolkit is not None:
        toolkit.train()
        found["Transformers, Marian"] = trained(toolkit, lambda: toolkit(input_ids=source, labels=target).loss, False)
    return found


def decoding(turns: int) -> None:
    """Prints target tokens per CPU-second of decoding with cached keys and values and with the whole prefix anew."""
    source, _ = data()
    sizes = {"width": WIDTH, "heads": HEADS, "encoder_layers": LAYERS, "decoder_layers": LAYERS}
    model = seq2seq(Shape(VOCABULARY, VOCABULARY, shared=True, **sizes)).eval()

    @torch.no_grad()
    def anew() -> None:
        written = torch.empty(PAIRS, 0, dtype=torch.long)
        for _ in range(LENGTH):
            padded = functional.pad(written, (0, 1), value=EOS)
            written = torch.cat([written, model(source, padded)[:, -1:].argmax(2)], 1)

    ways = {
        "greedy, cached": lambda: greedy(model, source, LENGTH),
        "beam of 4, cached": lambda: beam(model, source, 4, LENGTH),
        "greedy, whole prefix": anew,
    }
    for name, way in ways.items():
        speeds = []
        for _ in range(turns):
            start = time.process_time()
            way()
            speeds.append(PAIRS * LENGTH / (time.process_time() - start))
        print(f"{name:28} {statistics.median(speeds):9,.0f} tokens written / CPU-s")


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--steps", type=int, default=5, help="training steps a turn")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    found = competitors()
    speeds: dict[str, list[float]] = {name: [] for name in found}
    for turn in range(options.turns + 1):
        for name, (step, _) in found.items():
            start = time.process_time()
            for _ in range(options.steps):
                step()
            if turn:  # the first warms up
                speeds[name].append(options.steps * PAIRS * LENGTH / (time.process_time() - start))
    base = statistics.median(speeds["torch.nn.Transformer"])
    print(f"{'training':28} {'parameters':>11} {'tokens / CPU-s':>15} {'range':>15} {'ratio':>6}")
    for name, values in speeds.items():
        middle = statistics.median(values)
        between = f"{min(values):,.0f}-{max(values):,.0f}"
        print(f"{name:28} {found[name][1]:11,} {middle:15,.0f} {between:>15} {middle / base:6.2f}")
    decoding(options.turns)


if __name__ == "__main__":
    main()
