"""Records of a file, whatever stands between them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genprm_sdk.errors import InputError
from genprm_sdk.evaluation.reading import Broken, Record, read_file, read_records

TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXT, lambda v: st.lists(v, max_size=3), max_leaves=5
)
GOOD = st.dictionaries(TEXT, VALUES, max_size=3).flatmap(
    lambda value: st.booleans().map(lambda ascii_only: json.dumps(value, ensure_ascii=ascii_only))
)


def is_json(line: str) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


TORN = st.tuples(GOOD, st.integers(min_value=1, max_value=30)).map(lambda pair: pair[0][: -pair[1]])
BAD = (TORN | TEXT.map(lambda text: text.replace("\n", " "))).filter(
    lambda t: bool(t.strip()) and not is_json(t)
)
BAD_BYTES = BAD.map(lambda text: text.encode().replace(b"\n", b" ")) | GOOD.map(
    lambda t: t.encode() + b"\xff"
)
LINES = st.lists(GOOD.map(str.encode) | BAD_BYTES | st.sampled_from([b"", b"  ", b"\r"]), max_size=8)


@given(LINES, st.sampled_from([b"\n", b"\r\n"]), st.booleans())
def test_any_mixture_of_lines_loses_only_the_broken_ones(lines: list[bytes], end: bytes, mark: bool) -> None:
    good = [line for line in lines if line.strip() and is_utf8_json(line)]
    bad = [line for line in lines if line.strip() and not is_utf8_json(line)]
    records = read_records((b"\xef\xbb\xbf" if mark else b"") + end.join(lines), "f")
    assert [r.value for r in records if isinstance(r, Record)] == [json.loads(line) for line in good]
    broken = [r for r in records if isinstance(r, Broken)]
    if good:
        assert len(broken) == len(bad)
        numbers = [n for n, line in enumerate(lines, 1) if line.strip() and not is_utf8_json(line)]
        assert [r.place.line for r in broken] == numbers
    else:
        assert bool(broken) is bool(bad)
    assert [r.place.number for r in records] == list(range(1, len(records) + 1))


def is_utf8_json(line: bytes) -> bool:
    try:
        return is_json(line.decode())
    except UnicodeDecodeError:
        return False


@given(st.lists(GOOD, max_size=5), st.sampled_from([None, 2]))
def test_an_array_is_its_elements(texts: list[str], indent: int | None) -> None:
    values = [json.loads(text) for text in texts]
    records = read_records(json.dumps(values, indent=indent).encode(), "f")
    assert [r.value for r in records if isinstance(r, Record)] == values
    assert [str(r.place) for r in records] == [f"f, record {n}" for n in range(1, len(values) + 1)]


@given(st.lists(GOOD, min_size=2, max_size=5), st.integers(min_value=1, max_value=40))
def test_a_torn_array_keeps_what_was_whole(texts: list[str], cut: int) -> None:
    values = [json.loads(text) for text in texts]
    whole = json.dumps(values, indent=1)
    records = read_records(whole[: max(1, len(whole) - cut)].encode(), "f")
    kept = [r.value for r in records if isinstance(r, Record)]
    assert kept == values[: len(kept)]
    assert any(isinstance(record, Broken) for record in records)


def test_places_and_reasons() -> None:
    text = '\n{"a": 1}\n{"a": \n{"b": "\\ud83d\\ude00"}\n{"c": "\\ud83d"}\n[1]\n'
    records = read_records(text.encode(), "x.jsonl")
    assert [str(r.place) for r in records] == [
        "x.jsonl:2",
        "x.jsonl:3",
        "x.jsonl:4",
        "x.jsonl:5",
        "x.jsonl:6",
    ]
    assert [isinstance(r, Record) for r in records] == [True, False, True, False, True]
    assert isinstance(records[1], Broken)
    assert "expecting value, column" in records[1].message
    assert isinstance(records[3], Broken)
    assert records[3].message == "\\ud83d is half of a surrogate pair, not a character"


def test_line_separators_inside_strings_do_not_end_a_line() -> None:
    lines = [json.dumps({"steps": ["a\u2028b\x85c"]}, ensure_ascii=False)] * 2
    assert len(read_records("\n".join(lines).encode(), "f")) == 2


@pytest.mark.parametrize(
    "text",
    ["hello\nworld", '{\n  "steps": [\n    "a",,\n  ]\n}', "\xff\xfe", "[" * 100_000, "[1, 2", "9" * 5000],
)
def test_what_is_no_json_at_all_is_one_complaint(text: str) -> None:
    (record,) = read_records(text.encode("latin-1"), "f") if text != "[1, 2" else read_records(b'"a', "f")
    assert isinstance(record, Broken)
    assert "object" in record.message


def test_a_number_of_too_many_digits_loses_its_line() -> None:
    broken, good = read_records(b'{"id": ' + b"9" * 5000 + b'}\n{"id": 1}\n', "f")
    assert isinstance(broken, Broken)
    assert broken.message == "a number in it has too many digits"
    assert isinstance(good, Record)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1"])
@pytest.mark.parametrize("lines", ['{"problem": "pä"}\n{"problem": "q"}', '[{"problem": "pä"}]'])
def test_another_encoding_is_named_as_what_is_wrong(lines: str, encoding: str) -> None:
    record = read_records(lines.encode(encoding), "f")[0]
    assert isinstance(record, Broken)
    assert "not UTF-8 text" in record.message
    assert "JSON (" not in record.message


@pytest.mark.parametrize("number", ["1e400", "-1e400", "NaN", "Infinity", "-Infinity", "9" * 400 + ".0"])
@pytest.mark.parametrize("shape", ['{"id": %s}\n{"id": 1e5}\n', '[{"id": %s}, {"id": 1e5}]'])
def test_a_number_that_json_does_not_have_loses_its_record(number: str, shape: str) -> None:
    broken, good = read_records((shape % number).encode(), "f")
    assert isinstance(broken, Broken)
    assert broken.message == "a number in it is not finite: JSON has neither NaN nor Infinity"
    assert isinstance(good, Record)
    assert good.value == {"id": 1e5}


def test_an_empty_file_has_no_records() -> None:
    assert read_records(b"", "f") == []
    assert read_records(b"\xef\xbb\xbf \n\t\n", "f") == []
    assert read_records(b"[]", "f") == []


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_file(tmp_path / "nothing")
    with pytest.raises(InputError, match="folder"):
        read_file(tmp_path)
    with pytest.raises(InputError, match="cannot be read"):
        read_file(Path("a\0b"))
