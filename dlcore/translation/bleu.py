"""BLEU by sacrebleu, with the signature that makes them comparable."""

from __future__ import annotations

from collections.abc import Sequence

from dlcore.results import Result


class Score(Result):
    """`value` from 0 to 100, and sacrebleu's `signature`, to be printed beside it."""

    value: float
    signature: str


def _check(hypotheses: Sequence, references: Sequence) -> None:
    if isinstance(hypotheses, str) or isinstance(references, str):
        raise ValueError("hypotheses and references are lists of sentences, not one: its letters would be compared")
    if len(hypotheses) != len(references) or not len(references):
        raise ValueError(f"{len(hypotheses)} hypotheses and {len(references)} references")


def bleu(hypotheses: Sequence[str], references: Sequence[str], *, tokenize: str = "13a") -> Score:
    """Returns the corpus BLEU of hypotheses against one reference each.

    `tokenize` is sacrebleu's: "13a" for text, "none" for tokens that are parted by spaces already.

    Raises: ValueError for lists that are empty or differ in length; RuntimeError when sacrebleu is missing.
    Paper: Papineni et al. 2002; Post 2018 for the signature.
    """
    _check(hypotheses, references)
    try:
        import sacrebleu
    except ImportError as error:
        raise RuntimeError(f"BLEU needs sacrebleu: pip install sacrebleu ({error})") from error
    # `force` only permits text that has been tokenised
    metric = sacrebleu.BLEU(tokenize=tokenize, force=True)
    value = metric.corpus_score(list(hypotheses), [list(references)]).score
    return Score(float(value), str(metric.get_signature()))


def exact_match(hypotheses: Sequence[Sequence], references: Sequence[Sequence]) -> float:
    """Returns the fraction of sentences that equal their reference, in [0, 1].

    >>> exact_match([[4, 5], [6]], [[4, 5], [7]])
    0.5
    """
    _check(hypotheses, references)
    return sum(list(h) == list(r) for h, r in zip(hypotheses, references, strict=True)) / len(references)
