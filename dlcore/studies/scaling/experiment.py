"""Chapter 4, data scaling: how the test loss of a translation model falls with the number of sentence pairs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dlcore import cache, runtime
from dlcore.records import Record
from dlcore.studies.scaling import corpora
from dlcore.studies.scaling.config import ARCHITECTURES, LEXICON, RECIPE, SCORED, SHAPE, SHOWN, TRAINING, Config
from dlcore.translation import bleu as translation
from dlcore.translation import decoding
from dlcore.translation.models import Seq2Seq, Shape, seq2seq
from dlcore.translation.sentence_pairs import Ragged, back_translate
from dlcore.translation.task import Transduction
from dlcore.translation.training import SequenceConfig, fit_pairs, sentence_losses


def _shape(config: Config, vocabulary: tuple[int, int], width: int) -> Shape:
    architecture, encoder, decoder = ARCHITECTURES[config.architecture]
    return Shape(
        *vocabulary,
        architecture=architecture,
        width=width,
        encoder_layers=encoder,
        decoder_layers=decoder,
        dropout=config.dropout,
        heads=SHAPE["heads"],
        inner=SHAPE["inner"] * width,
        shared=config.dataset != corpora.SYNTHETIC,
    )


def _training(config: Config, steps: int) -> SequenceConfig:
    return SequenceConfig(
        steps=steps,
        batch_tokens=config.batch_tokens,
        learning_rate=config.learning_rate,
        warm=max(1, steps // RECIPE["warm"]),
        evaluate_every=max(1, steps // RECIPE["evaluations"]),
        **TRAINING,
        # curves of one preset compare, whatever machine made them
        precision="auto" if config.preset == "gpu" else "float32",
        seed=config.seed,
    )


def _reverse(config: Config, options: dict[str, Any]) -> tuple[Seq2Seq, float]:
    """Returns the model that translates targets back into sources, and its loss; it is kept for runs of other sizes."""
    task = Transduction(**LEXICON)
    vocabulary = (task.target_vocabulary, task.source_vocabulary)
    width = config.reverse_width
    inner = SHAPE["inner"] * width
    shape = Shape(*vocabulary, width=width, heads=SHAPE["heads"], inner=inner, dropout=config.dropout)
    model, path = seq2seq(shape, seed=config.seed + 1), options["checkpoint"]
    names = ("seed", "reverse_pairs", "reverse_width", "reverse_steps", "dropout", "learning_rate", "batch_tokens")
    names += ("constants",)
    text = json.dumps([getattr(config, n) for n in names] + [min(corpora.DEV, config.test_pairs)])
    kept = cache.beside(path, "reverse", text, ".pt")

    def read(path: Path) -> float:
        saved = torch.load(path, map_location="cpu", weights_only=True)
        model.load_state_dict(saved["model"])
        return saved["loss"]

    if (loss := cache.kept(kept, read)) is not None:
        return model, loss
    pairs = task.sample(config.reverse_pairs, seed=config.seed, stream="reverse").reversed()
    dev = task.sample(min(corpora.DEV, config.test_pairs), stream="dev").reversed()
    own = {**options, "checkpoint": path.with_suffix(".reverse.pt") if path else None}
    curves = fit_pairs(model, pairs, dev, _training(config, config.reverse_steps), label="reverse model", **own)
    loss = curves.dev_loss[curves.best]
    if kept is not None:
        saved = {"model": model.state_dict(), "loss": loss}
        if cache.keep(kept, lambda file: torch.save(saved, file)):
            own["checkpoint"].unlink(missing_ok=True)
    return model, loss


@runtime.single_precision()
def run(
    config: Config, *, checkpoint: Path | None = None, progress: bool = False, device: str | torch.device = "auto"
) -> Record:
    """Trains one model on D pairs and returns its record.

    Metrics, nats per target token on test pairs: `loss`; on the synthetic task also `oracle`, the loss of the
    true law on the same sentences, `excess` = loss - oracle with its standard error over sentences, `floor`, what the
    learner that is calibrated to such noisy pairs would end with, and `reference`, the count-based learner on the same pairs.
    With noisy `held_out` pairs oracle, excess and floor are those of the noisy law, so that `excess` estimates a KL
    divergence, and `loss_clean`, `excess_clean` are of the clean pairs. `loss_word`, `excess_word` per content word; of a filter `filter_recall` and `filter_false_alarm`, the shares of the
    misaligned and of the intact pairs that it dropped (`num_train` are left, of `pairs`). `bleu` (0 to 100) and `exact` of
    greedy translations of 200 sentences.
    """
    options = {"checkpoint": checkpoint, "progress": progress, "device": device}
    corpus = corpora.load(config)
    train, reverse_loss = corpus.train, None
    if config.noise_kind == "back_translation":
        reverse, reverse_loss = _reverse(config, options)
        train = back_translate(train, lambda targets: _never_empty(Ragged.of(decoding.translate(reverse, targets))))
    shape = _shape(config, corpus.vocabulary, config.width)
    model = seq2seq(shape, seed=config.seed)
    curves = fit_pairs(
        model,
        train,
        corpus.dev,
        _training(config, config.steps),
        label=f"{config.architecture} D={config.pairs}",
        **options,
    )

    losses, tokens = sentence_losses(model, corpus.test), corpus.test.target.lengths
    metrics: dict[str, Any] = {
        "num_train": len(train),
        "num_test": len(losses),
        "parameters": sum(p.numel() for p in model.parameters()),
        "train_tokens": int(train.target.lengths.sum()),
        "tokens_seen": curves.tokens[-1],
        "steps_run": curves.steps[-1],
        "stopped": curves.stopped,
        "changed_pairs": corpus.changed,
        "loss": float(losses.sum() / tokens.sum()),
        "loss_se": _ratio_error(losses, tokens),
        "train_loss": curves.train_loss[curves.best],
        "dev_loss": curves.dev_loss[curves.best],
    }
    if corpus.oracle is not None:
        over = losses - corpus.oracle
        metrics |= {
            "oracle": float(corpus.oracle.sum() / tokens.sum()),
            "floor": corpus.floor,
            "excess": float(over.sum() / tokens.sum()),
            "excess_se": _ratio_error(over, tokens),
            "loss_word": float(losses.sum() / corpus.words.sum()),
            "excess_word": float(over.sum() / corpus.words.sum()),
        }
        if corpus.reference is not None:
            metrics["reference"] = float(corpus.reference.sum() / tokens.sum())
    if corpus.clean is not None:
        clean, truth = corpus.clean
        losses, tokens = sentence_losses(model, clean), clean.target.lengths
        metrics["loss_clean"] = float(losses.sum() / tokens.sum())
        metrics["excess_clean"] = float((losses - truth).sum() / tokens.sum())
    if reverse_loss is not None:
        metrics["reverse_dev_loss"] = reverse_loss
    metrics |= corpus.filtered
    shown_of = corpus.test if corpus.clean is None else corpus.clean[0]
    few = shown_of.take(slice(0, min(SCORED, len(shown_of))))
    found = decoding.translate(model, few.source)
    truth = list(few.target.without_end())
    written = [[corpus.show(t, "target") for t in side] for side in (found, truth)]
    plain = config.dataset == corpora.SYNTHETIC
    metrics["bleu"] = translation.bleu(*written, tokenize="none" if plain else "13a").value
    metrics["exact"] = translation.exact_match(found, truth)
    shown = [
        {"source": corpus.show(s, "source"), "target": t, "translation": h}
        for s, t, h in zip(few.source.take(slice(0, SHOWN)), written[1], written[0], strict=False)
    ]
    logged = {name: getattr(curves, name) for name in ("steps", "tokens", "train_loss", "dev_loss")}
    about = {"name": config.dataset, "split": corpus.split, "checksum": corpus.train.checksum}
    where = next(model.parameters()).device
    return Record(
        "scaling", config.to_dict(), metrics, logged, {"translations": shown}, about, runtime.environment(where)
    )


def _never_empty(sources: Ragged) -> Ragged:
    """Returns the sources, an empty one replaced by the first token that is not a mark."""
    return Ragged.of([s if len(s) else [4] for s in sources])


def _ratio_error(values: np.ndarray, tokens: np.ndarray) -> float:
    """Returns the standard error of sum(values) / sum(tokens) over sentences."""
    residual = values - values.sum() / tokens.sum() * tokens
    return float(np.sqrt(np.square(residual).sum()) / tokens.sum())
