"""Benchmark records: what they mean, and what is said of those that cannot be used."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from genprm_sdk.errors import InputError
from genprm_sdk.evaluation.datasets import Benchmark, Item, Unreadable, load

PB = {
    "id": "gsm8k-1",
    "generator": "g",
    "problem": "P",
    "steps": ["a", "b"],
    "label": 1,
    "final_answer_correct": False,
}
BBM = {"input": "I", "steps": ["a", "b"], "target": "1", "answer": "1", "mistake_index": None}


def write(path: Path, *records: object) -> Path:
    path.write_text("".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in records))
    return path


def test_both_formats(tmp_path: Path) -> None:
    (item,) = load("processbench", write(tmp_path / "gsm8k.jsonl", PB))
    assert isinstance(item, Item)
    assert (item.key, item.subset, item.expected) == ("gsm8k/gsm8k-1", "gsm8k", 1)
    assert (item.solution.problem, item.solution.steps, item.solution.id) == ("P", ("a", "b"), "gsm8k-1")
    (right,) = load("processbench", write(tmp_path / "x.jsonl", PB | {"label": -1}))
    assert isinstance(right, Item)
    assert right.expected is None
    (item,) = load("bigbench-mistake", write(tmp_path / "task.jsonl", BBM))
    assert isinstance(item, Item)
    assert (item.key, item.expected, item.solution.problem) == ("task/record-1", None, "I")


def test_repeated_ids_stay_apart(tmp_path: Path) -> None:
    items = load("processbench", write(tmp_path / "f.jsonl", PB, PB, PB | {"id": 5}))
    assert [item.key for item in items] == ["f/gsm8k-1", "f/gsm8k-1#2", "f/5"]


@pytest.mark.parametrize(
    ("benchmark", "change", "part"),
    [
        ("processbench", {"label": 2}, "step 2 is wrong, but the last step is 1"),
        ("processbench", {"label": -2}, "label"),
        ("processbench", {"label": None}, "label"),
        ("processbench", {"label": True}, "label"),
        ("processbench", {"problem": 3}, "problem"),
        ("processbench", {"problem": "  "}, "problem is blank"),
        ("processbench", {"steps": []}, "at least one"),
        ("processbench", {"steps": "a"}, "steps"),
        ("processbench", {"steps": ["a", ""]}, "step 1 is blank"),
        ("bigbench-mistake", {"mistake_index": -1}, "mistake_index"),
        ("bigbench-mistake", {"mistake_index": "1"}, "mistake_index"),
        ("bigbench-mistake", {"input": None}, "input"),
    ],
)
def test_a_bad_record_says_where_and_what(
    benchmark: Benchmark, change: dict[str, object], part: str, tmp_path: Path
) -> None:
    good: dict[str, object] = dict(PB if benchmark == "processbench" else BBM)
    file = write(tmp_path / "f.jsonl", good, good | change)
    first, second = load(benchmark, file)
    assert isinstance(first, Item)
    assert isinstance(second, Unreadable)
    assert second.place == f"{file}:2"
    assert part in second.reason


def test_a_missing_label_is_no_label_of_none(tmp_path: Path) -> None:
    without = {key: value for key, value in BBM.items() if key != "mistake_index"}
    _, second = load("bigbench-mistake", write(tmp_path / "f.jsonl", BBM, without))
    assert isinstance(second, Unreadable)


def test_a_folder_is_its_files_and_limit_is_for_each(tmp_path: Path) -> None:
    write(tmp_path / "b.jsonl", PB, PB)
    write(tmp_path / "a.jsonl", PB, "{torn", PB)
    (tmp_path / "README.md").write_text("not data")
    items = load("processbench", tmp_path, limit=2)
    assert [item.key for item in items] == ["a/gsm8k-1", "a/record-2", "b/gsm8k-1", "b/gsm8k-1#2"]


def test_the_wrong_benchmark_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no usable bigbench-mistake record; .*f\.jsonl:1: input"):
        load("bigbench-mistake", write(tmp_path / "f.jsonl", PB))
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(InputError, match=r"holds no \.jsonl file"):
        load("processbench", empty)
    with pytest.raises(InputError, match="no such file"):
        load("processbench", tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("benchmark", "folder", "count"),
    [("processbench", "processbench", 200), ("bigbench-mistake", "bigbench_mistake", 360)],
)
def test_the_development_data_is_read_whole(benchmark: Benchmark, folder: str, count: int) -> None:
    data = Path(__file__).parents[2].parent / "shared" / "data" / folder
    if not data.is_dir():
        pytest.skip(f"{data} is not on this machine")
    items = load(benchmark, data)
    assert len(items) == count
    assert all(isinstance(item, Item) for item in items)
    if benchmark == "processbench":
        assert sum(isinstance(item, Item) and item.expected is not None for item in items) == 120
