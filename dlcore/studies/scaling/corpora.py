"""Sentence pairs of chapter 4: the synthetic task and real corpora behind one interface, with their noise."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from dlcore import noise as noises
from dlcore.studies.scaling.config import ALIGNMENT, COUNTING, DEV, LEXICON, LONGEST, SYNTHETIC, VOCABULARY, Config
from dlcore.translation import text
from dlcore.translation.alignment import Model1, best
from dlcore.translation.bpe import BPE, train_bpe
from dlcore.translation.counting import LexiconLearner
from dlcore.translation.noise import CLEAN, Noise
from dlcore.translation.sentence_pairs import Pairs
from dlcore.translation.task import Transduction


@dataclass(frozen=True)
class Corpus:
    """Training pairs with their noise, development and test pairs, and what is known about them.

    oracle: nats of each test sentence under the law of the test pairs (n,), or None; reference: nats of each test sentence for the
    count-based learner on the same training pairs, or None; words: content words of each test sentence, or None;
    floor: expected test loss of the learner that is calibrated to these noisy pairs, in nats per target token, NaN when
    unknown; on clean pairs a learner that believes in less noise scores lower; clean: where the test pairs are noisy, the
    same ones without noise and their nats under the clean law; filtered: what a filter did, see `filter_misaligned`.
    """

    train: Pairs
    dev: Pairs
    test: Pairs
    vocabulary: tuple[int, int]
    show: Callable[[np.ndarray, str], str]
    split: str
    oracle: np.ndarray | None = None
    reference: np.ndarray | None = None
    words: np.ndarray | None = None
    floor: float = float("nan")
    changed: float = 0.0
    filtered: dict[str, float] = field(default_factory=dict)
    clean: tuple[Pairs, np.ndarray] | None = None


def load(config: Config) -> Corpus:
    """Returns the corpus of a configuration; the noise is in the training pairs, and in the others where it is asked for."""
    return _synthetic(config) if config.dataset == SYNTHETIC else _text(config)


def _synthetic(config: Config) -> Corpus:
    task, known = Transduction(**LEXICON), config.noise_kind != "back_translation"
    law = Noise(config.noise_kind, config.noise) if known and config.noise else CLEAN
    train, filtered = task.sample(config.pairs, seed=config.seed, noise=law), {}
    changed = float(np.mean(train.changed > 0))
    if config.filter_pairs is not None:
        trusted = task.sample(config.filter_pairs, seed=config.seed, stream="reverse")
        train, filtered = filter_misaligned(train, trusted, 1 - config.noise)
        law = Noise(config.noise_kind, config.noise, filtered["filter_recall"], filtered["filter_false_alarm"])
    noisy = config.held_out == "noisy"
    of = law if noisy else CLEAN
    dev, test = (
        task.sample(n, stream=s, noise=of)
        for n, s in ((min(DEV, config.test_pairs), "dev"), (config.test_pairs, "test"))
    )
    learner = LexiconLearner(task, **COUNTING).fit(train)
    # a target of another sentence has no finite loss for a learner that knows the grammar
    counted = known and not (noisy and config.noise_kind == "misaligned")
    plain = task.sample(config.test_pairs, stream="test") if noisy else test
    return Corpus(
        train,
        dev,
        test,
        (task.source_vocabulary, task.target_vocabulary),
        task.text,
        f"generated: train, development and test are independent streams of seed {config.seed}, 0 and 0",
        oracle=-task.log_prob(test.source, test.target, of),
        reference=learner.sentence_losses(test) if counted else None,
        words=np.bincount(task.align(test).sentence, minlength=len(test)),
        floor=task.floor(law, test=config.held_out) if known else float("nan"),
        changed=changed,
        filtered=filtered,
        clean=(plain, -task.log_prob(plain.source, plain.target)) if noisy else None,
    )


def filter_misaligned(pairs: Pairs, trusted: Pairs, share: float) -> tuple[Pairs, dict[str, float]]:
    """Returns the share of the pairs that an alignment model of trusted pairs likes best, and how well it told them apart.

    `filter_recall` and `filter_false_alarm`: the shares of the misaligned and of the intact pairs that were dropped. The
    model sees words, not the truth: it likes pairs of words it knows. Where the floor takes the two rates for those of a
    filter that is blind to all else, it is an approximation.
    """
    kept = best(Model1(**ALIGNMENT).fit(trusted).scores(pairs), share)
    bad = pairs.changed > 0
    rates = {"filter_recall": bad, "filter_false_alarm": ~bad}
    return pairs.take(kept), {name: float(np.mean(~kept[of])) if of.any() else 0.0 for name, of in rates.items()}


@functools.lru_cache(maxsize=2)
def _parallel(name: str) -> tuple[text.ParallelText, BPE]:
    """Returns a corpus split once, with its vocabulary from all training pairs: sizes must not change the tokens."""
    found = text.load(name)
    return found, train_bpe([s for pair in found.train for s in pair], VOCABULARY)


def _text(config: Config) -> Corpus:
    whole, bpe = _parallel(config.dataset)
    if config.pairs > len(whole.train):
        raise ValueError(f"pairs = {config.pairs} is too large: {config.dataset} has {len(whole.train)} training pairs")
    order = np.random.default_rng([config.seed, 41]).permutation(len(whole.train))
    chosen = [whole.train[i] for i in order[: config.pairs]]
    changed = 0.0
    if config.noise_kind != "none":
        misaligned, side = config.noise_kind == "misaligned", config.noise_kind.split("_")[0]
        law = noises.misalign if misaligned else functools.partial(noises.replace_words, side=side)
        noisy = law(chosen, config.noise, config.seed, reference=whole.train)
        chosen, changed = noisy.texts, float(np.mean(noisy.changed > 0))
    train, dev, test = (
        bpe.pairs(part, longest=LONGEST)[0] for part in (chosen, whole.dev[:DEV], whole.test[: config.test_pairs])
    )
    return Corpus(
        train,
        dev,
        test,
        (len(bpe), len(bpe)),
        lambda tokens, side: bpe.decode([tokens])[0],
        whole.split,
        changed=changed,
    )
