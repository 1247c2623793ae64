"""Parallel text: files checked before they are used, splits that do not leak, a vocabulary that loses nothing."""

import gzip
import hashlib
import os
import random
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlcore import noise
from dlcore.translation import bpe, text

REAL = os.environ.get("DLCORE_DATA")
needs_data = pytest.mark.skipif(not REAL, reason="DLCORE_DATA is not set: no real data to read")


@pytest.fixture(autouse=True)
def no_folder(monkeypatch):
    """No data folder, whatever the user has."""
    monkeypatch.delenv("DLCORE_DATA", raising=False)


@pytest.fixture
def tokenizers():
    """The tokenizers library, of which requirements.txt has a version."""
    return pytest.importorskip("tokenizers", reason="tokenizers is not installed: no vocabulary to train")


def corpus(n=600, seed=0):
    """English-like pairs in which sentences repeat on both sides."""
    rng = random.Random(seed)
    words = ["dog", "cat", "tree", "house", "runs", "sleeps", "sees", "big", "small", "the"]
    sources = [" ".join(rng.choices(words, k=rng.randint(1, 4))) for _ in range(n)]
    return sources, [" ".join(w[::-1] for w in s.split()) + rng.choice(["", "!", "."]) for s in sources]


def write(path: Path, lines, zipped=False) -> Path:
    raw = "".join(f"{line}\n" for line in lines).encode()
    path.write_bytes(gzip.compress(raw) if zipped else raw)
    return path


def leaks(found: text.ParallelText) -> int:
    held = [{p[side] for part in (found.dev, found.test) for p in part} for side in (0, 1)]
    return sum(s in held[0] or t in held[1] for s, t in found.train)


# Reading


@pytest.mark.parametrize("zipped", [False, True])
def test_a_two_column_file_is_read(tmp_path, zipped):
    path = write(tmp_path / "pairs.tsv", ["Hi.\tHallo!", 'He said "go".\tEr sagte „geh“.'], zipped)
    assert text.read_tsv(path) == [["Hi.", 'He said "go".'], ["Hallo!", "Er sagte „geh“."]]


def test_windows_lines_a_mark_and_odd_separators_are_no_trouble(tmp_path):
    path = tmp_path / "pairs.tsv"
    path.write_bytes("\ufeffa\u2028b\tc\r\nd\te\r\n".encode())
    assert text.read_tsv(path) == [["a\u2028b", "d"], ["c", "e"]]


def test_columns_may_be_chosen(tmp_path):
    path = write(tmp_path / "four.tsv", ["1\tHi\t2\tHallo", "3\tGo\t4\tGeh"])
    assert text.read_tsv(path, columns=(1, 3)) == [["Hi", "Go"], ["Hallo", "Geh"]]
    with pytest.raises(ValueError, match=r"four\.tsv, line 1 has 4 columns, not 2 or 3 .*columns="):
        text.read_tsv(path)


@pytest.mark.parametrize(
    ("raw", "kind", "message"),
    [
        (b"a\tb\nc\n", ValueError, r"x\.tsv, line 2 has 1 columns; line 1 has 2"),
        (b"a\tb\nc\td\te\n", ValueError, r"x\.tsv, line 2 has 3 columns"),
        (b"a\tb\nc\t \n", ValueError, r"x\.tsv, line 2 has an empty column"),
        (b"a\tb\n\nc\td\n", ValueError, r"x\.tsv, line 2 has 1 columns"),
        (b"", ValueError, r"x\.tsv is empty"),
        (b"a\tb\nc\t\xff\n", OSError, r"x\.tsv, line 2 is not UTF-8"),
        (gzip.compress(b"a\tb\n" * 99)[:-9], OSError, r"x\.tsv is damaged"),
    ],
    # pytest would make the name of the bytes, in which gzip writes the second
    ids=["few columns", "many columns", "empty column", "empty line", "empty file", "not UTF-8", "cut"],
)
def test_a_bad_file_is_named_with_its_line(tmp_path, raw, kind, message):
    (tmp_path / "x.tsv").write_bytes(raw)
    with pytest.raises(kind, match=message):
        text.read_tsv(tmp_path / "x.tsv")


def test_a_missing_file_and_a_wrong_one_are_named(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match=r"no\.tsv is missing"):
        text.load(tmp_path / "no.tsv")
    with pytest.raises(FileNotFoundError, match="DLCORE_DATA is not set; set it to the folder with parallel/tatoeba"):
        text.load("tatoeba_eng-deu")
    with pytest.raises(FileNotFoundError, match="no parallel/bible_eng-deu.tsv.gz in"):
        text.load("bible_eng-deu", root=tmp_path)
    (tmp_path / "parallel").mkdir()
    write(tmp_path / "parallel" / "tatoeba_eng-fra.tsv.gz", ["a\tb"], zipped=True)
    monkeypatch.setenv("DLCORE_DATA", str(tmp_path))
    with pytest.raises(OSError, match=r"tatoeba_eng-fra\.tsv\.gz has the wrong SHA-256"):
        text.load("tatoeba_eng-fra")
    with pytest.raises(FileNotFoundError, match="folder /no/such does not exist"):
        text.load("tatoeba_eng-fra", root="/no/such")
    with pytest.raises(ValueError, match="unknown corpus 'tatoeba_eng_deu'; did you mean 'tatoeba_eng-deu'"):
        text.load("tatoeba_eng_deu")


# Splitting


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), min_size=1, max_size=40))
@settings(max_examples=60, deadline=None)
def test_components_are_those_of_the_graph(edges):
    found = text.components([f"s{a}" for a, _ in edges], [f"t{b}" for _, b in edges])
    # the slow way: spread the smallest label until nothing moves
    label = list(range(len(edges)))
    for _ in edges:
        for i, (a, b) in enumerate(edges):
            label[i] = min(label[j] for j, (c, d) in enumerate(edges) if a == c or b == d)
    assert [sorted(set(label)).index(v) for v in label] == found.tolist()


def test_a_split_does_not_leak(tmp_path):
    path = write(tmp_path / "pairs.tsv", [f"{s}\t{t}" for s, t in zip(*corpus(), strict=True)])
    whole = text.load(path)
    assert leaks(whole) == 0
    assert len(whole.train) + len(whole.dev) + len(whole.test) == 600
    assert min(len(whole.dev), len(whole.test)) > 3
    assert text.load(path).test == whole.test
    assert "connected component" in whole.split


def test_a_file_with_references_is_split_by_chapter(tmp_path):
    lines = [f"1 Book {c}:{v}\tline {c} {v}\tZeile {c} {v}" for c in range(1, 41) for v in range(1, 6)]
    lines.append("2 Book 1:1\tline 3 3\tZeile anders")
    found = text.load(write(tmp_path / "bible.tsv", lines))
    assert found.groups == 41
    assert leaks(found) == 0

    def chapters(part):
        return {s.split()[1] for s, _ in part}

    assert not chapters(found.train) & chapters(found.test)
    with pytest.raises(ValueError, match="the reference 'Genesis 1' of pair 1 is not 'book chapter:verse'"):
        text.load(write(tmp_path / "bad.tsv", ["Genesis 1\ta\tb"]))


def test_a_split_says_what_is_impossible(tmp_path):
    path = write(tmp_path / "one.tsv", ["a\tb", "a\tc"])
    with pytest.raises(ValueError, match="1 groups of pairs that belong together cannot be split"):
        text.load(path)


# Noise


@pytest.mark.parametrize("side", ["source", "target"])
def test_words_are_replaced_at_their_rate_on_one_side(side):
    texts = list(zip(*corpus(3000), strict=True))
    at = ("source", "target").index(side)
    found = noise.replace_words(texts, 0.3, seed=1, side=side)
    words = [w for pair in texts for w in pair[at].split()]
    share = np.unique(words, return_counts=True)[1] / len(words)
    expected = 0.3 * (1 - (share**2).sum())
    assert abs(found.changed.sum() / len(words) - expected) < 4 * (expected / len(words)) ** 0.5
    assert all(a[1 - at] == b[1 - at] for a, b in zip(found.texts, texts, strict=True))
    after = [w for pair in found.texts for w in pair[at].split()]
    # the unigram law stays
    again = np.array([after.count(w) for w in np.unique(words)]) / len(after)
    assert np.abs(again - share).max() < 0.015


def test_noise_of_a_subset_is_that_of_the_whole_and_a_larger_rate_changes_a_superset():
    texts = list(zip(*corpus(), strict=True))
    for make in (noise.replace_words, noise.misalign):
        whole, less = make(texts, 0.3, 1), make(texts, 0.1, 1)
        few = make(texts[:50], 0.3, 1, reference=texts)
        assert few.texts == whole.texts[:50]
        assert np.all(less.changed <= whole.changed)
        assert [t for t, c in zip(whole.texts, whole.changed, strict=True) if not c] == [
            t for t, c in zip(texts, whole.changed, strict=True) if not c
        ]
        with pytest.raises(ValueError, match=r"rate = 1.0 is outside \[0, 1\)"):
            make(texts, 1.0, 1)
        with pytest.raises(ValueError, match="no sentence pairs"):
            make([], 0.1, 1)
    share = noise.misalign(texts, 0.3, 1).changed.mean()
    assert 0.2 < share < 0.36
    with pytest.raises(ValueError, match="did you mean 'target'"):
        noise.replace_words(texts, 0.1, 1, side="targets")
    with pytest.raises(ValueError, match="at least two pairs"):
        noise.misalign(texts[:1], 0.1, 1)


# The vocabulary


@pytest.fixture
def vocabulary(tokenizers):
    """A small vocabulary of the made-up corpus."""
    return bpe.train_bpe([s for side in corpus() for s in side], 300)


def test_a_vocabulary_reads_back_what_it_writes(vocabulary):
    lines = [*corpus(50)[0], "Größe, naïve – „Zitat“ 漢字 🙂", "<eos> is text", "a  b", "\\t"]
    assert vocabulary.decode(vocabulary.encode(lines)) == lines
    assert len(vocabulary) == 300
    assert vocabulary.encode(["<eos>"]).flat.min() > 3
    assert vocabulary.decode([[1, 2, 0]]) == [""]


def test_a_vocabulary_depends_on_its_sentences_alone(vocabulary):
    again = bpe.train_bpe([s for side in corpus() for s in side], 300)
    assert again.tokenizer.to_str() == vocabulary.tokenizer.to_str()
    assert bpe.train_bpe(corpus()[0], 300).tokenizer.to_str() != vocabulary.tokenizer.to_str()


def test_pairs_end_with_the_end_mark_and_long_ones_are_counted(vocabulary):
    pairs, dropped = vocabulary.pairs([("the dog", "eht god"), ("the " * 90, "eht")], longest=20)
    assert (len(pairs), dropped) == (1, 1)
    assert pairs.target[0][-1] == 2
    assert (pairs.source.flat > 3).all()
    assert vocabulary.decode(pairs.target) == ["eht god"]


def test_a_vocabulary_says_what_is_wrong(tokenizers):
    with pytest.raises(ValueError, match="at least 260 tokens, not 100"):
        bpe.train_bpe(["a"], 100)
    with pytest.raises(ValueError, match="no sentences"):
        bpe.train_bpe([], 300)


def test_without_the_library_the_vocabulary_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(RuntimeError, match="pip install tokenizers"):
        bpe.train_bpe(["a"], 300)


# The real corpora


@needs_data
@pytest.mark.parametrize(
    ("name", "groups", "checksum"),
    [
        ("tatoeba_eng-deu", 126_328, "9d92541f52f29e68"),
        ("tatoeba_eng-fra", 109_864, "d82519b10557254d"),
        ("bible_eng-deu", 1189, "caf7de8ae9986b6e"),
    ],
)
def test_the_real_corpora_are_what_they_were(name, groups, checksum):
    found = text.load(name, root=REAL)
    assert found.groups == groups
    assert leaks(found) == 0
    digest = hashlib.sha256()
    for part in (found.train, found.dev, found.test):
        digest.update("\n".join(f"{s}\t{t}" for s, t in part).encode() + b"\n\n")
    assert digest.hexdigest()[:16] == checksum
    assert len(found.test) > 1000
    sizes = np.array([len(s) for s, _ in found.train[:2000]])
    # shuffled: the file is sorted by length
    assert abs(np.corrcoef(sizes, np.arange(len(sizes)))[0, 1]) < 0.1
