"""A shared byte-level BPE vocabulary, by the `tokenizers` library: from strings to token numbers and back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dlcore.arrays import typed
from dlcore.translation.sentence_pairs import SPECIAL, Pairs, Ragged

_LEAST = len(SPECIAL) + 256  # every byte is a token, so every string can be written


@dataclass(frozen=True, eq=False)
class BPE:
    """A trained vocabulary; numbers 0 to 3 are padding, begin, end, unknown. Made by `train_bpe`."""

    tokenizer: Any

    def __len__(self) -> int:
        return self.tokenizer.get_vocab_size()

    def encode(self, sentences: Sequence[str]) -> Ragged:
        """Returns the token numbers of sentences, without begin or end marks."""
        return Ragged.of([found.ids for found in self.tokenizer.encode_batch(list(sentences))])

    def decode(self, sequences: Iterable[Sequence[int]]) -> list[str]:
        """Returns the sentences; special tokens are left out, bytes that are not UTF-8 become a replacement mark."""
        lists = [[int(t) for t in s] for s in sequences]
        return [text.strip() for text in self.tokenizer.decode_batch(lists, skip_special_tokens=True)]

    def pairs(self, texts: Sequence[tuple[str, str]], longest: int = 256) -> tuple[Pairs, int]:
        """Returns the pairs as token numbers and how many were left out because a side is longer than `longest`."""
        source = self.encode([s for s, _ in texts])
        target = self.encode([t for _, t in texts]).with_end()
        keep = (source.lengths <= longest) & (target.lengths <= longest) & (source.lengths > 0)
        return Pairs(source.take(keep), target.take(keep)), int(np.sum(~keep))


@typed
def train_bpe(sentences: Iterable[str], size: int) -> BPE:
    """Returns a byte-level BPE vocabulary of at most `size` tokens, trained on sentences of both languages.

    Give it training sentences only. For losses that compare between sizes of the training set, train it once, on
    the largest. The result depends on the sentences alone.

    Raises: ValueError for a size below 260 (4 special tokens and 256 bytes) or no sentences; RuntimeError when
        the tokenizers library is missing.
    Paper: Sennrich, Haddow, Birch 2016, section 3.2.
    Differs: merges are of bytes instead of characters, so that no string is unknown.
    """
    if size < _LEAST:
        raise ValueError(f"a byte-level vocabulary needs at least {_LEAST} tokens, not {size}")
    sentences = list(sentences)
    if not sentences:
        raise ValueError("there are no sentences to train a vocabulary on")
    try:
        import tokenizers
    except ImportError as error:
        raise RuntimeError(f"BPE needs the tokenizers library: pip install tokenizers ({error})") from error
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.normalizer = tokenizers.normalizers.NFC()
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=list(SPECIAL),
        initial_alphabet=sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(sentences, trainer, length=len(sentences))
    # a text that contains "<eos>" means these five letters
    tokenizer.encode_special_tokens = True
    return BPE(tokenizer)
