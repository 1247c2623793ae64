"""Tables as people export them: read right, or refused with the line; files too large are not read."""

import gzip
import io
import os
import tracemalloc
import zipfile

import numpy as np
import pandas as pd
import pytest

from dlcore import data, reading
from dlcore.data import tabular, vision
from dlcore.sweep import grid
from dlcore.translation import text

SIZE, LOSS = [1000, 2000, 4000], [0.5, 0.25, 0.125]
GOOD = "size,loss\n1000,0.5\n2000,0.25\n4000,0.125\n"


def _lines(**replace):
    """GOOD with other line ends or separators."""
    text = GOOD
    for old, new in replace.items():
        text = text.replace({"end": "\n", "comma": ","}[old], new)
    return text


READ = {
    "plain": GOOD,
    "no last line end": GOOD[:-1],
    "Windows": _lines(end="\r\n"),
    "old Macintosh": _lines(end="\r"),
    "UTF-8 with a mark": GOOD.encode("utf-8-sig"),
    "UTF-8 with two marks": b"\xef\xbb\xbf" + GOOD.encode("utf-8-sig"),
    "UTF-16": GOOD.encode("utf-16"),
    "UTF-16, big end first": b"\xfe\xff" + GOOD.encode("utf-16-be"),
    "gzipped": gzip.compress(GOOD.encode(), mtime=0),
    "gzipped in two parts": gzip.compress(GOOD[:20].encode(), mtime=0) + gzip.compress(GOOD[20:].encode(), mtime=0),
    "semicolons": _lines(comma=";"),
    "semicolons and decimal commas": "size;loss\n1000;0,5\n2000;0,25\n4000;0,125\n",
    "tabs": _lines(comma="\t"),
    "Excel's Unicode text": _lines(comma="\t", end="\r\n").encode("utf-16"),
    "quotes": 'size,loss\n"1000","0.5"\n"2000","0.25"\n"4000","0.125"\n',
    "spaces": "size , loss\n 1000 , 0.5\n 2000, 0.25\n4000 ,0.125 \n",
    "empty lines": "\n\nsize,loss\n1000,0.5\n\n2000,0.25\n , \n4000,0.125\n\n",
    "rows that end in a comma": "size,loss\n1000,0.5,\n2000,0.25,\n4000,0.125,\n",
    "all lines end in a comma": "size,loss,\n1000,0.5,\n2000,0.25,\n4000,0.125,\n",
    "an index of pandas": pd.DataFrame({"size": SIZE, "loss": LOSS}).to_csv(),
    "an index of words": pd.DataFrame({"size": SIZE, "loss": LOSS}, index=["a", "b", "c"]).to_csv(),
    "row names of R": '"","size","loss"\n"1",1000,0.5\n"2",2000,0.25\n"3",4000,0.125\n',
    "an index and a comma at the end": ",size,loss,\n0,1000,0.5,\n1,2000,0.25,\n2,4000,0.125,\n",
    "exponents": "size,loss\n1e3,5e-1\n2.0E+3,.25\n4000.,+1.25e-1\n",
    "another column": 'size,note,loss\n1000,\u201afirst\u2018,0.5\n2000,"a, b",0.25\n4000,"two\nlines",0.125\n',
}


def _write(tmp_path, content):
    path = tmp_path / "t.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize("kind", READ)
def test_a_table_is_read_as_it_is_meant(kind, tmp_path):
    table = reading.read_table(_write(tmp_path, READ[kind]))
    assert set(table) - {"note"} == {"size", "loss"}
    np.testing.assert_array_equal(table["size"], SIZE)
    np.testing.assert_array_equal(table["loss"], LOSS)


REFUSED = {
    "nothing": ("", "No columns: .*t.csv is empty"),
    "blank lines": ("\n \n", "No columns: .*t.csv is empty"),
    "a row too short": ("size,loss\n1000,0.5\n2000\n", "line 3: 1 entries for 2 names"),
    "a row too long": ("size,loss\n1000,0.5\n2000,0.25,7\n", "line 3: 3 entries for 2 names"),
    "one row ends in a comma": ("size,loss\n1000,0.5\n2000,0.25,\n", "line 3: 3 entries for 2 names"),
    "rows have more columns than names": ("size,loss\n0,1000,0.5\n1,2000,0.25\n", "line 2: 3 entries for 2 names"),
    "a decimal comma between commas": ("size,loss\n1000,0,5\n", "line 2: 3 entries for 2 names"),
    "a long header": ("size,loss,seed\n1000,0.5\n", "line 2: 2 entries for 3 names"),
    "a name twice": ("size,size\n1,2\n", "must name each column once"),
    "a column without a name": ("size,,loss\n1000,x,0.5\n", "must name each column once"),
    "a quote left open": ('size,loss\n"1000,0.5\n', "line 2: unexpected end of data"),
    "text after a quote": ('size,loss\n"1"000,0.5\n', "line 2: .* expected after"),
    "an endless field": (f"size,loss\n{'1' * 200_000},2\n", "line 2: field larger than field limit"),
    "Latin-1": ("size,loss\n1000,0.5\n2000,zw\xf6lf\n".encode("latin1"), "line 3 is not UTF-8: "),
    "UTF-16 without its mark": (GOOD.encode("utf-16-le"), "line 1 holds a null character"),
    "half a UTF-16": (GOOD.encode("utf-16")[:-1], "is not UTF-16"),
    "a cut gzip": (gzip.compress(GOOD.encode() * 99, mtime=0)[:-9], "is damaged: Compressed file ended before"),
    "a wrong gzip": (b"\x1f\x8b\x08\x00 no such thing", "is damaged"),
    "rubbish after a gzip": (gzip.compress(GOOD.encode(), mtime=0) + b"more", "is damaged"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_a_table_that_says_two_things_is_refused_with_its_line(kind, tmp_path):
    content, message = REFUSED[kind]
    with pytest.raises((ValueError, OSError), match=message) as raised:
        reading.read_table(_write(tmp_path, content))
    assert "t.csv" in str(raised.value)


def test_words_are_words(tmp_path):
    """A class may be called None or NA; a code is no number; what is missing is missing."""
    content = "label,code,part,share,gap\nNone,007,1,0.5,\nNA,010,2,,\nnan,123,3,1e-3,\nnull,1,10,2,\n"
    table = reading.read_table(_write(tmp_path, content))
    assert list(table["label"]) == ["None", "NA", "nan", "null"]
    assert list(table["code"]) == ["007", "010", "123", "1"]
    assert list(table["part"]) == [1, 2, 3, 10]
    assert table["part"].dtype.kind == "i"
    np.testing.assert_array_equal(table["share"], [0.5, np.nan, 1e-3, 2])
    assert table["gap"].isna().all()


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        (["1,5", "2,25"], [1.5, 2.25]),
        (["0,234", "12,345"], [0.234, 12.345]),
        (["1,234", "5,678"], ["1,234", "5,678"]),  # thousands?
        (["1,5", "2.5"], ["1,5", "2.5"]),
        (["1.234,5", "2"], ["1.234,5", "2"]),
        (["1_000", "2"], ["1_000", "2"]),
        (["1e400", "2"], [np.inf, 2]),
        (["inf", "2"], ["inf", "2"]),
        (["12345678901234567890", "1"], [12345678901234567890.0, 1.0]),
        (["True", "False"], ["True", "False"]),
        (["-0", "+3"], [0, 3]),
    ],
)
def test_a_column_is_numbers_when_all_its_entries_are(entries, expected, tmp_path):
    content = "".join(f"{entry};x\n" for entry in ["column", *entries]).replace("column;x", "column;y")
    assert list(reading.read_table(_write(tmp_path, content))["column"]) == expected


def test_a_file_has_one_decimal_sign(tmp_path):
    """Beside decimal commas, 0.234 is no thousand, and 1.234 may be one, which float() would take for 1."""
    content = "size;share;loss\n500;0.125;0,5\n2000;0.25;0,25\n"
    table = reading.read_table(_write(tmp_path, content))
    assert list(table["size"]) == [500, 2000]
    assert list(table["share"]) == [0.125, 0.25]
    assert list(table["loss"]) == [0.5, 0.25]
    with pytest.raises(
        ValueError, match=r"t.csv, line 3: is size = 2.000 a thousand\? Other columns .* commas; write 2000,"
    ):
        reading.read_table(_write(tmp_path, content.replace("2000", "2.000")))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("size;loss\n1.000;2\n2.000;3\n", None),
        ("size;loss\n500;2\n1.000;3\n", None),
        ("size;loss\n1.000;2.5\n2.000;3\n", [1, 2]),
        ("size;loss\n1.000;0.125\n2.000;3\n", [1, 2]),
        ("size;loss\n1.000;2000\n2.000;3000\n", [1, 2]),  # who writes 2000 writes 1000
        ("size,loss\n1.000,2\n2.000,3\n", [1, 2]),  # a comma between entries is none in a number
        ("size\tloss\n1.000\t2\n2.000\t3\n", [1, 2]),
    ],
)
def test_thousands_between_semicolons_are_refused_where_nothing_tells_them_from_decimals(content, expected, tmp_path):
    path = _write(tmp_path, content)
    if expected is None:
        with pytest.raises(ValueError, match=r"line [23]: is size = 1.000 a thousand\? Semicolons come with"):
            reading.read_table(path)
    else:
        assert list(reading.read_table(path)["size"]) == expected


# people's spellings of numbers that are none to a reader who does not know the people
SPELLINGS = [
    *("1,000", "1,000,000", "1.000,5", "1 000", "1\u00a0000", "1\u202f000", "1'000", "1\u2019000"),
    *("12%", "12 %", "12,5 %", "$5", "5 €", "1k", "2M", "1/2", "(5)", "\u22125", "0x10", "1d3", "1,5e3", "1\u00d710^3"),
    *("nan", "-", "n/a", "2020-01-01", "five", "1..5", "--5", "5+", ""),
]


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_spelling_is_no_number_by_accident(spelling, tmp_path):
    """It stays the words that it is, of which nothing makes a number but what knows how."""
    table = reading.read_table(_write(tmp_path, f"size;loss\n500;2\n{spelling};3\n"))
    assert list(table["loss"]) == [2, 3]
    assert table["size"][1] == spelling or (spelling == "" and np.isnan(table["size"][1]))
    assert np.isnan(pd.to_numeric(table["size"], errors="coerce")[1])


@pytest.mark.parametrize("entry", ["1,000", "0,5", "1,5,2"])
def test_a_cell_of_a_grid_has_one_value(entry, tmp_path):
    """Python reads 0,5 as two numbers, and a function would be called with both."""
    (tmp_path / "grid.csv").write_text(f"seed;rate\n0;0.5\n1;{entry}\n")
    with pytest.raises(ValueError, match=f"grid.csv, line 3: rate = {entry} is several values, or has a decimal comma"):
        grid.read_file(tmp_path / "grid.csv")
    (tmp_path / "grid.csv").write_text('pair;rate\n"(1, 2)";0.5\n')
    assert grid.read_file(tmp_path / "grid.csv") == [{"pair": (1, 2), "rate": 0.5}]


@pytest.mark.parametrize("kind", [k for k in READ if k not in ("another column", "semicolons and decimal commas")])
def test_a_grid_file_may_be_any_such_table(kind, tmp_path):
    content = READ[kind]
    path = tmp_path / "grid.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert [(cell["size"], cell["loss"]) for cell in grid.read_file(path)] == list(zip(SIZE, LOSS, strict=True))


# Sizes


def _bomb(size):
    packed = io.BytesIO()
    with gzip.open(packed, "wb") as file:
        for _ in range(size // 2**20):
            file.write(bytes(2**20))
    return packed.getvalue()


BOMB = 200 * 2**20


@pytest.mark.parametrize("kind", ["table", "corpus", "grid"])
def test_a_bomb_is_refused_before_it_is_large(kind, tmp_path, monkeypatch):
    path = tmp_path / {"table": "uci/vowel.csv.gz", "corpus": "parallel/tatoeba_eng-deu.tsv.gz", "grid": "g.csv"}[kind]
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(_bomb(BOMB))
    monkeypatch.setattr(reading, "LARGEST", 2**25)
    monkeypatch.setattr(reading.read_text, "__defaults__", (2**25,))
    read = {
        "table": lambda: data.load("vowel", root=tmp_path),
        "corpus": lambda: text.load("tatoeba_eng-deu", root=tmp_path),
        "grid": lambda: grid.read_file(path),
    }[kind]
    tracemalloc.start()
    with pytest.raises(OSError, match=f"{path.name} (cannot be read: .*)?has more than .* bytes when it is unpacked"):
        read()
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < BOMB, f"{most:,} bytes were held"


def test_a_zip_bomb_is_refused_by_what_it_says_of_itself(tmp_path):
    path = tmp_path / "cifar10"
    path.mkdir()
    for name in vision.layouts("cifar10")["cifar10"]:
        with zipfile.ZipFile(path / name, "w", zipfile.ZIP_DEFLATED) as file, file.open("images.npy", "w") as part:
            for _ in range(vision.LARGEST // 2**20 + 1):
                part.write(bytes(2**20))
    with pytest.raises(
        OSError, match=r"train_\d.npz is damaged: its parts have 68,\d+,\d+ bytes, more than 67,108,864"
    ):
        data.load("cifar10", root=tmp_path)


def _npz(path, **arrays):
    rows = {
        "train_inputs": np.ones((6, 2)),
        "train_labels": [0, 1] * 3,
        "test_inputs": np.ones((2, 2)),
        "test_labels": [0, 1],
    }
    np.savez_compressed(path, **{**rows, **arrays})
    return data.own.named(str(path))


def test_arrays_of_ones_own_have_a_limit_too(tmp_path, monkeypatch):
    monkeypatch.setattr(reading.arrays.__wrapped__, "__defaults__", (2**20,))
    name = _npz(tmp_path / "bomb.npz", train_inputs=np.zeros((6, 2**16)))
    with pytest.raises(ValueError, match="bomb.npz is damaged: its parts have 3,1.* bytes, more than 1,048,576"):
        data.load(name)
    assert len(data.load(_npz(tmp_path / "fits.npz")).train_labels) == 6


def test_a_pipe_is_no_file_of_arrays(tmp_path):
    os.mkfifo(tmp_path / "pipe.npz")
    with pytest.raises(ValueError, match="pipe.npz is not a regular file"):
        data.load(str(tmp_path / "pipe.npz"))


@pytest.mark.parametrize(
    ("column", "says"),
    [
        (1e8 + np.arange(6.0), r"input \(1,\) varies by 1.7, and float32, .*, rounds it by [34]"),
        (1e-50 * np.arange(6.0), "rounds it by 5e-50"),
        (1e200 * np.arange(6.0), "rounds it by inf"),
        (np.arange(6) + 10**9, "rounds it by"),
    ],
)
def test_inputs_that_float32_cannot_tell_apart_are_refused(column, says, tmp_path):
    inputs = np.stack([np.arange(6.0), column], 1)
    with pytest.raises(ValueError, match=says):
        data.load(_npz(tmp_path / "mine.npz", train_inputs=inputs))
    centred = (inputs - inputs.mean(0)) / np.ptp(inputs, axis=0)
    assert np.allclose(
        data.load(_npz(tmp_path / "other.npz", train_inputs=centred)).train_inputs.std(0), centred.std(0)
    )


@pytest.mark.parametrize("constant", [0.1, 1e8 / 3, 0.0])
def test_a_constant_input_loses_nothing(constant, tmp_path):
    inputs = np.stack([np.arange(6.0), np.full(6, constant)], 1)
    assert data.load(_npz(tmp_path / "mine.npz", train_inputs=inputs)).train_inputs.dtype == np.float32


@pytest.mark.parametrize("name", ["mnist", "cifar10_full"])
def test_a_file_of_another_size_is_not_read(name, tmp_path, monkeypatch):
    ((folder, files),) = vision.layouts(name).items()
    (tmp_path / folder).mkdir(parents=True)
    for file in files:
        with open(tmp_path / folder / file, "wb") as hole:
            hole.truncate(2**40)
    with pytest.raises(OSError, match="1,099,511,627,776 bytes"):
        data.load(name, root=tmp_path)


def test_limits_leave_room_for_the_published_files():
    assert tabular.LARGEST > 10 * 3_000_000
    assert vision.LARGEST > 2 * 10_000 * 3073
    assert text.LARGEST > 4 * 14_000_000


def test_whole_numbers_may_be_written_as_floats():
    assert len(data.load("digits", n_train=1e2, n_test=np.float64(50)).train_labels) == 100
    with pytest.raises(TypeError, match="n_train = 1.5 must be an integer"):
        data.load("digits", n_train=1.5)
