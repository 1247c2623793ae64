"""The grammar of the synthetic translation task: derivations, the sentences they write on both sides, and parsing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import numpy as np

from dlcore.translation.sentence_pairs import EOS, Ragged, equal_rows

T = TypeVar("T")

P_OBJECT, P_ADVERBIAL, P_ADJECTIVE, P_NESTED = 0.7, 0.3, 0.5, 0.4
DETERMINERS, NESTED, PREPOSITIONS = 4, 4, 6  # prepositions 0 to 3 attach to a noun, 4 and 5 to the sentence
SUBJECT, OBJECT, ADVERBIAL = 0, 1, 2
NOUN, VERB, ADJECTIVE = 0, 1, 2

# Token numbers: 0 to 3 are special. Source: register, determiners, prepositions, then nouns, verbs, adjectives.
REGISTER, DET, PREP, CONTENT = 4, 6, 10, 16
# Target: determiners (number, gender), postpositions, then the symbols of which content words have two.
TARGET_DET, POST, SYMBOL = 4, 12, 18
_CHAIN = 512  # longer chains of noun phrases have probability 0.4 ** 512


@dataclass(frozen=True, eq=False)
class Derivations:
    """n derivations. S -> register NP V (NP) (PP), NP -> det (adj) noun (PP), PP -> prep NP.

    A noun phrase holds at most one other, at its end, so it is a chain of simple ones: row j of the arrays
    (m,) is a simple noun phrase, at place `index` of the chain that is the subject, object or adverbial of its
    sentence. Ranks are 0-based; `adjective` and `preposition` are -1 where there is none.
    """

    register: np.ndarray
    verb: np.ndarray
    sentence: np.ndarray
    slot: np.ndarray
    index: np.ndarray
    determiner: np.ndarray
    noun: np.ndarray
    adjective: np.ndarray
    preposition: np.ndarray

    def __len__(self) -> int:
        return len(self.register)


@dataclass(frozen=True, eq=False)
class Words:
    """The content words of some sentences, all verbs first, then nouns, then adjectives: (w,) each."""

    sentence: np.ndarray
    list: np.ndarray
    rank: np.ndarray


def words(d: Derivations) -> Words:
    """Returns the content words of derivations in the order that every array of words has."""
    has = d.adjective >= 0
    parts = (np.arange(len(d)), d.sentence, d.sentence[has])
    kinds = np.repeat([VERB, NOUN, ADJECTIVE], [len(p) for p in parts])
    return Words(np.concatenate(parts), kinds, np.concatenate([d.verb, d.noun, d.adjective[has]]))


def draw(n: int, rng: np.random.Generator, rank) -> Derivations:
    """Returns n random derivations; `rank(k)` draws k ranks from a content list."""
    register = rng.integers(0, 2, n)
    lengths = np.minimum(rng.geometric(1 - P_NESTED, (n, 3)), _CHAIN - 1)
    lengths[:, OBJECT] *= rng.random(n) < P_OBJECT
    lengths[:, ADVERBIAL] *= rng.random(n) < P_ADVERBIAL
    chain = np.repeat(np.arange(3 * n), lengths.ravel())
    m = len(chain)
    index = np.arange(m) - np.repeat(np.cumsum(lengths.ravel()) - lengths.ravel(), lengths.ravel())
    slot = chain % 3
    verb, noun, adjective = rank(n), rank(m), rank(m)
    adjective = np.where(rng.random(m) < P_ADJECTIVE, adjective, -1)
    inside, outside = rng.integers(0, NESTED, m), rng.integers(NESTED, PREPOSITIONS, m)
    preposition = np.where(index > 0, inside, np.where(slot == ADVERBIAL, outside, -1))
    return Derivations(
        register, verb, chain // 3, slot, index, rng.integers(0, DETERMINERS, m), noun, adjective, preposition
    )


def write_source(d: Derivations, size: int) -> Ragged:
    """Returns the source sentences; `size` is the number of types of a content list."""
    has, prep = d.adjective >= 0, d.preposition >= 0
    place = np.array([1, 3, 4])[d.slot]
    whole = np.arange(len(d))
    zero = np.zeros(len(d), np.int64)

    every = slice(None)
    keys = (
        _key(whole, zero, zero, 0),
        _key(whole, zero + 2, zero, 0),
        _phrase_key(d, place, prep, 0),
        _phrase_key(d, place, every, 1),
        _phrase_key(d, place, has, 2),
        _phrase_key(d, place, every, 3),
    )
    tokens = (
        REGISTER + d.register,
        CONTENT + VERB * size + d.verb,
        PREP + d.preposition[prep],
        DET + d.determiner,
        CONTENT + ADJECTIVE * size + d.adjective[has],
        CONTENT + NOUN * size + d.noun,
    )
    return _sorted(keys, tokens, len(d))[0]


def write_target(
    d: Derivations, codes: np.ndarray, gender: np.ndarray, alphabet: int
) -> tuple[Ragged, np.ndarray, np.ndarray]:
    """Returns the target sentences, and where in `flat` each content word (w,) and each determiner (m,) begins.

    The verb goes behind its object and adverbial, the adjective behind its noun, the preposition behind its noun
    phrase; the determiner shows the noun's gender; the register is not written.

    Shapes: codes (w,) of `words(d)`, symbol pair as one number; gender (m,) of the nouns.
    """
    n, m, has, prep = len(d), len(d.noun), d.adjective >= 0, d.preposition >= 0
    whole, zero = np.arange(n), np.zeros(n, np.int64)
    first, second = SYMBOL + codes // alphabet, SYMBOL + codes % alphabet
    verb, noun, adj = slice(0, n), slice(n, n + m), slice(n + m, None)

    every = slice(None)
    keys = (
        _key(whole, zero + 3, zero, 0),
        _phrase_key(d, d.slot, every, 1),
        _phrase_key(d, d.slot, has, 3),
        _key(whole, zero + 3, zero, 1),
        _phrase_key(d, d.slot, every, 2),
        _phrase_key(d, d.slot, has, 4),
        _phrase_key(d, d.slot, every, 0),
        _key(d.sentence[prep], d.slot[prep], 2 * _CHAIN - 1 - d.index[prep], 0),
        _key(whole, zero + 4, zero, 0),
    )
    tokens = (
        *(first[part] for part in (verb, noun, adj)),
        *(second[part] for part in (verb, noun, adj)),
        TARGET_DET + 2 * d.determiner + gender,
        POST + d.preposition[prep],
        zero + EOS,
    )
    text, place = _sorted(keys, tokens, n)
    return text, place[: len(codes)], place[2 * len(codes) : 2 * len(codes) + m]


def _key(sentence, place, index, within) -> np.ndarray:
    return ((sentence * 8 + place) * (2 * _CHAIN) + index) * 8 + within


def _phrase_key(d: Derivations, place: np.ndarray, rows, within: int) -> np.ndarray:
    return _key(d.sentence[rows], place[rows], d.index[rows], within)


def _sorted(keys, tokens, n: int) -> tuple[Ragged, np.ndarray]:
    key = np.concatenate(keys)
    order = np.argsort(key)
    place = np.empty(len(key), np.int64)
    place[order] = np.arange(len(key))
    lengths = np.bincount(key // (8 * 2 * _CHAIN * 8), minlength=n)
    return Ragged.cut(np.concatenate(tokens)[order], lengths), place


def parse_source(source: Ragged, size: int) -> tuple[np.ndarray, Derivations]:
    """Returns which sentences (n,) are sentences of the task, and the derivations of those.

    The prepositions of noun and sentence differ, so every sentence has one derivation. What is read is written
    again and compared, so nothing malformed passes.
    """
    t = source.flat.astype(np.int64)
    kind = np.where(t >= CONTENT, (t - CONTENT) // size, -1)
    kind[kind > ADJECTIVE] = -1
    nonempty = source.lengths > 0
    start = np.zeros(len(source), np.int64)
    start[nonempty] = t[source.offsets[:-1][nonempty]]
    good = np.isin(start, [REGISTER, REGISTER + 1])
    good &= np.bincount(source.rows[kind == VERB], minlength=len(source)) == 1
    if not len(good) or not good.all():
        return _again(good, source, size, parse_source)
    at, verb_at = np.flatnonzero(kind == NOUN), np.flatnonzero(kind == VERB)
    sentence = source.rows[at]
    adj = kind[at - 1] == ADJECTIVE
    det_at = at - 1 - adj
    prep = t[np.maximum(det_at - 1, 0)] - PREP
    prep[(prep < 0) | (prep >= PREPOSITIONS)] = -1
    # a preposition of the sentence opens the adverbial; all after it in the sentence belong to it
    opened = (
        np.cumsum(prep >= NESTED)
        - np.concatenate([[0], np.cumsum(prep >= NESTED)])[np.searchsorted(sentence, sentence)]
    )
    slot = np.where(at < verb_at[sentence], SUBJECT, np.where(opened > 0, ADVERBIAL, OBJECT))
    chain = sentence * 3 + slot
    index = np.arange(len(at)) - np.searchsorted(chain, chain) if len(at) else at
    ranks = [
        t[verb_at] - CONTENT - VERB * size,
        t[at] - CONTENT,
        np.where(adj, t[at - 1] - CONTENT - ADJECTIVE * size, -1),
    ]
    d = Derivations(
        start - REGISTER, ranks[0], sentence, slot, index % _CHAIN, t[det_at] - DET, ranks[1], ranks[2], prep
    )
    good = equal_rows(write_source(d, size), source) & _grammatical(d)
    return (good, d) if good.all() else _again(good, source, size, parse_source)


def parse_target(target: Ragged, alphabet: int) -> tuple[np.ndarray, Derivations, np.ndarray, np.ndarray]:
    """Returns which sentences (n,) have the form of a target, and for those derivations, codes and genders.

    The derivations' ranks are all zero (adjectives 0 or -1), their register zero: `codes` (w,) tell the words.
    """
    t = target.flat.astype(np.int64)
    symbol, rows = t >= SYMBOL, target.rows
    good = target.lengths >= 6
    good &= np.bincount(rows[t == EOS], minlength=len(target)) == 1
    good &= np.bincount(rows[~symbol & (t < TARGET_DET)], minlength=len(target)) == 1
    if len(t):
        good &= t[np.maximum(target.offsets[1:] - 1, 0)] == EOS
    good &= np.bincount(rows[(t >= TARGET_DET) & (t < POST)], minlength=len(target)) > 0
    if not len(good) or not good.all():
        return _again(good, target, alphabet, parse_target)
    at = np.flatnonzero((t >= TARGET_DET) & (t < POST))
    sentence = rows[at]
    end = target.offsets[1:]
    behind = np.concatenate([at[1:], [len(t)]])
    behind = np.minimum(behind, end[sentence] - 1)  # the next determiner, or the sentence's EOS
    posts = np.cumsum(np.concatenate([[0], (t >= POST) & (t < SYMBOL)]))
    count = posts[behind] - posts[at]
    last = np.concatenate([sentence[1:] != sentence[:-1], [True]])
    symbols = behind - at - 1 - count - 2 * last  # the verb's two symbols stand before EOS
    has = symbols == 4
    # the posts behind a noun phrase close it and those before it, innermost first
    post_at = np.flatnonzero((t >= POST) & (t < SYMBOL))
    owner = np.searchsorted(at, post_at) - 1
    step = np.arange(len(post_at)) - np.searchsorted(owner, owner)
    prep = np.full(len(at), -1)
    prep[np.maximum(owner - step, 0)] = t[post_at] - POST
    outer = np.zeros(len(at), bool)
    outer[owner[t[post_at] - POST >= NESTED]] = True
    inside = np.zeros(len(at) + 1, np.int64)  # noun phrases that continue a chain
    reach = np.where(count > 0, count - outer, 0)
    np.add.at(inside, np.maximum(np.arange(len(at)) - reach + 1, 0), 1)
    np.add.at(inside, np.arange(len(at)) + 1, -1)
    begins = np.cumsum(inside)[:-1] <= 0
    begins |= np.concatenate([[True], sentence[1:] != sentence[:-1]])
    number = np.cumsum(begins)
    chain = number - number[np.searchsorted(sentence, sentence)]
    start = np.searchsorted(number, number)
    whole = np.bincount(number, weights=outer, minlength=number[-1] + 1)[number] > 0
    slot = np.where(whole, ADVERBIAL, np.minimum(chain, OBJECT))
    noun_code = codes_at(t, at + 1, alphabet)
    codes = [codes_at(t, end - 3, alphabet), noun_code, codes_at(t, at + 3, alphabet)[has]]
    zero, m = np.zeros(len(target), np.int64), np.zeros(len(at), np.int64)
    index = np.minimum(np.arange(len(at)) - start, _CHAIN - 1)
    d = Derivations(zero, zero, sentence, slot, index, (t[at] - TARGET_DET) // 2, m, np.where(has, 0, -1), prep)
    gender, codes = (t[at] - TARGET_DET) % 2, np.concatenate(codes)
    good = equal_rows(write_target(d, codes, gender, alphabet)[0], target) & _grammatical(d)
    good &= np.bincount(words(d).sentence[codes < 0], minlength=len(target)) == 0
    return (good, d, codes, gender) if good.all() else _again(good, target, alphabet, parse_target)


def codes_at(t: np.ndarray, at: np.ndarray, alphabet: int) -> np.ndarray:
    """Returns the codes of the words that begin at the places `at` of target tokens t, -1 for what is no word."""
    a, b = (t[np.minimum(at + k, len(t) - 1)] - SYMBOL for k in (0, 1))
    return np.where((a >= 0) & (b >= 0) & (a < alphabet) & (b < alphabet), a * alphabet + b, -1)


def _grammatical(d: Derivations) -> np.ndarray:
    """Whether each sentence has one subject chain and prepositions, determiners and places that the grammar allows."""
    nested = (d.preposition >= 0) & (d.preposition < NESTED)
    expected = np.where(d.index > 0, nested, np.where(d.slot == ADVERBIAL, d.preposition >= NESTED, d.preposition < 0))
    wrong = ~expected | (d.determiner < 0) | (d.determiner >= DETERMINERS)
    _, first, times = np.unique(_key(d.sentence, d.slot, d.index, 0), return_index=True, return_counts=True)
    wrong[first[times > 1]] = True
    subjects = np.bincount(d.sentence[(d.slot == SUBJECT) & (d.index == 0)], minlength=len(d))
    return (np.bincount(d.sentence[wrong], minlength=len(d)) == 0) & (subjects == 1)


def _again(good: np.ndarray, text: Ragged, size: int, parse: Callable[[Ragged, int], T]) -> T:
    """Parses the good sentences alone, which may turn out bad in turn."""
    if not good.any():
        good = np.zeros(len(text), bool)
        none = np.zeros(0, np.int64)
        empty = Derivations(*[none] * 9)
        return cast(T, (good, empty) if parse is parse_source else (good, empty, none, none))
    found, *rest = cast(Any, parse(text.take(good), size))
    result = np.zeros(len(text), bool)
    result[np.flatnonzero(good)[found]] = True
    return cast(T, (result, *rest))
